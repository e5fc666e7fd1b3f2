//! Keeps the drawing in docs/ARCHITECTURE.md true.
//!
//! Reads every source file and fails on a path that goes from one floor to another one that is not
//! under it. Comments and strings are left out; grouped imports and `super::` chains are followed.
//! Test code of any floor may also use what stands in [`FOR_TESTS`].

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// A floor and the floors that it may use. `main`, `lib` and `cli` are the roof and may use all.
const FLOORS: &[(&str, &[&str])] = &[
    ("base", &[]),
    ("model", &["base"]),
    ("store", &["base", "model"]),
    ("crypto", &["base"]),
    ("remote", &["base", "model"]),
    ("plugin", &["base", "model"]),
    ("config", &["base", "model"]),
    ("app", &["base", "model", "store", "crypto", "remote", "plugin", "config"]),
    ("web", &["base", "model", "store", "crypto", "remote", "plugin", "config", "app"]),
    ("jobs", &["base", "model", "store", "crypto", "remote", "plugin", "config", "app"]),
    ("sim", &["base"]),
];
const ROOF: &[&str] = &["main", "lib", "cli", "bin"];
/// The simulated cluster, because that is what it is for, and the real keys, so that the store is tested
/// with the seal that it gets.
const FOR_TESTS: &[&str] = &["sim", "crypto"];
const MAX_LINES: usize = 700;

/// One path in the source that reaches the crate's root: where it is and what it names there.
#[derive(Debug, PartialEq)]
struct Reach {
    line: usize,
    name: String,
    is_macro: bool,
    in_test: bool,
}

#[derive(Debug, PartialEq, Clone)]
enum Token {
    Word(String),
    PathSep,
    Sign(char),
}

/// Splits a source text into words, `::` and signs, each with its line; comments, strings and
/// character literals are dropped.
fn tokens(source: &str) -> Vec<(usize, Token)> {
    let c: Vec<char> = source.chars().collect();
    let at = |i: usize| c.get(i).copied().unwrap_or('\0');
    let (mut out, mut i, mut line) = (Vec::new(), 0, 1);
    while i < c.len() {
        let start = i;
        match c[i] {
            '/' if at(i + 1) == '/' => i += c[i..].iter().take_while(|x| **x != '\n').count(),
            '/' if at(i + 1) == '*' => i = after_block_comment(&c, i),
            '"' => i = after_string(&c, i + 1),
            '\'' => i = after_quote(&c, i),
            ':' if at(i + 1) == ':' => {
                out.push((line, Token::PathSep));
                i += 2;
            }
            x if x.is_alphanumeric() || x == '_' => {
                let word: String = c[i..].iter().take_while(|x| x.is_alphanumeric() || **x == '_').collect();
                i += word.chars().count();
                match raw_string_end(&c, &word, i) {
                    Some(end) => i = end,
                    None => out.push((line, Token::Word(word))),
                }
            }
            x if x.is_whitespace() => i += 1,
            x => {
                out.push((line, Token::Sign(x)));
                i += 1;
            }
        }
        line += c[start..i.min(c.len())].iter().filter(|x| **x == '\n').count();
    }
    out
}

fn after_block_comment(c: &[char], start: usize) -> usize {
    let (mut depth, mut i) = (0, start);
    while i < c.len() {
        match (c[i], c.get(i + 1)) {
            ('/', Some('*')) => (depth, i) = (depth + 1, i + 2),
            ('*', Some('/')) => (depth, i) = (depth - 1, i + 2),
            _ => i += 1,
        }
        if depth == 0 {
            break;
        }
    }
    i
}

fn after_string(c: &[char], mut i: usize) -> usize {
    while i < c.len() && c[i] != '"' {
        i += if c[i] == '\\' { 2 } else { 1 };
    }
    i + 1
}

/// Behind a character literal; a lifetime gives only its quote, its name is then a harmless word.
fn after_quote(c: &[char], i: usize) -> usize {
    match (c.get(i + 1), c.get(i + 2)) {
        (Some('\\'), _) => i + 3 + c[(i + 3).min(c.len())..].iter().take_while(|x| **x != '\'').count() + 1,
        (Some(_), Some('\'')) => i + 3,
        _ => i + 1,
    }
}

/// Where `r"..."`, `r#"..."#`, `br"..."` or `cr"..."` ends, when the word just read opens one.
fn raw_string_end(c: &[char], word: &str, i: usize) -> Option<usize> {
    if !matches!(word, "r" | "br" | "cr") {
        return None;
    }
    let hashes = c[i..].iter().take_while(|x| **x == '#').count();
    if c.get(i + hashes) != Some(&'"') {
        return None;
    }
    let close: Vec<char> = std::iter::once('"').chain(std::iter::repeat_n('#', hashes)).collect();
    let body = i + hashes + 1;
    let end = c[body..].windows(close.len()).position(|w| w == close.as_slice());
    Some(end.map_or(c.len(), |n| body + n + close.len()))
}

/// An open brace: whether it opened a module, and whether what stands in it is test code.
struct Block {
    is_module: bool,
    in_test: bool,
}

/// Every path of one file that reaches the crate's root. `depth` is how many modules deep the file
/// is itself (`src/web/mod.rs` 1, `src/web/guests.rs` 2).
fn reaches(source: &str, depth: usize, test_file: bool) -> Vec<Reach> {
    let t = tokens(source);
    let word = |i: usize| match t.get(i) {
        Some((_, Token::Word(w))) => w.as_str(),
        _ => "",
    };
    let is = |i: usize, token: &Token| t.get(i).is_some_and(|(_, x)| x == token);
    let (mut out, mut blocks, mut test_next) = (Vec::new(), Vec::<Block>::new(), false);
    let mut i = 0;
    while i < t.len() {
        let in_test = test_file || test_next || blocks.last().is_some_and(|b| b.in_test);
        match &t[i].1 {
            Token::Sign('#') if word(i + 2) == "cfg" && word(i + 4) == "test" => test_next = true,
            Token::Sign(';') => test_next = false,
            Token::Sign('{') => {
                blocks.push(Block { is_module: i >= 2 && word(i - 2) == "mod", in_test });
                test_next = false;
            }
            Token::Sign('}') => {
                blocks.pop();
            }
            Token::Word(w) if w == "crate" && is(i + 1, &Token::PathSep) => {
                i = collect(&t, i + 2, in_test, &mut out);
                continue;
            }
            Token::Word(w) if w == "super" && is(i + 1, &Token::PathSep) => {
                let mut up = 0;
                while word(i) == "super" && is(i + 1, &Token::PathSep) {
                    (up, i) = (up + 1, i + 2);
                }
                if up >= depth + blocks.iter().filter(|b| b.is_module).count() {
                    i = collect(&t, i, in_test, &mut out);
                }
                continue;
            }
            _ => {}
        }
        i += 1;
    }
    out
}

/// The names that follow `crate::`: one, or every first name of a `{...}` group.
fn collect(t: &[(usize, Token)], start: usize, in_test: bool, out: &mut Vec<Reach>) -> usize {
    let mut reach = |i: usize| {
        let (line, token) = &t[i];
        let name = match token {
            Token::Word(w) => w.clone(),
            _ => "*".to_string(),
        };
        let is_macro = matches!(t.get(i + 1), Some((_, Token::Sign('!'))));
        out.push(Reach { line: *line, name, is_macro, in_test });
    };
    match t.get(start) {
        Some((_, Token::Sign('{'))) => {
            let (mut depth, mut i, mut first) = (0, start, true);
            while i < t.len() {
                match &t[i].1 {
                    Token::Sign('{') => depth += 1,
                    Token::Sign('}') => depth -= 1,
                    Token::Sign(',') if depth == 1 => first = true,
                    Token::Word(_) | Token::Sign('*') if depth == 1 && first => {
                        reach(i);
                        first = false;
                    }
                    _ => {}
                }
                i += 1;
                if depth == 0 {
                    break;
                }
            }
            i
        }
        Some((_, Token::Word(_) | Token::Sign('*'))) => {
            reach(start);
            start + 1
        }
        _ => start,
    }
}

/// Says why a floor may not reach a name, or nothing when it may.
fn complaint(floor: &str, reach: &Reach, macros: &BTreeMap<String, String>) -> Option<String> {
    if ROOF.contains(&floor) {
        return None;
    }
    let target = match macros.get(&reach.name) {
        Some(home) if reach.is_macro => home.as_str(),
        _ => reach.name.as_str(),
    };
    if target == floor || target == "self" || (reach.in_test && FOR_TESTS.contains(&target)) {
        return None;
    }
    let Some((_, below)) = FLOORS.iter().find(|(name, _)| *name == floor) else {
        return Some(format!("`{floor}` is no floor of the house; add it to tests/floors.rs on purpose"));
    };
    if below.contains(&target) {
        return None;
    }
    let known = FLOORS.iter().any(|(name, _)| *name == target) || ROOF.contains(&target);
    let what = if known { "is not under it" } else { "is no floor" };
    Some(format!("`{floor}` uses `crate::{target}`, which {what}; it may use: {}", below.join(", ")))
}

/// The floor of a file: the first folder under src, or the file's own name.
fn floor_of(relative: &Path) -> String {
    let first = relative.components().next().map(|c| c.as_os_str().to_string_lossy().into_owned()).unwrap_or_default();
    first.trim_end_matches(".rs").to_string()
}

fn module_depth(relative: &Path) -> usize {
    let parts = relative.components().count();
    let own = relative.file_name().is_some_and(|f| f == "mod.rs" || f == "lib.rs" || f == "main.rs");
    if own { parts - 1 } else { parts }
}

fn is_test_file(relative: &Path) -> bool {
    let stem = relative.file_stem().map(|s| s.to_string_lossy().into_owned()).unwrap_or_default();
    let in_folder = relative.components().any(|c| c.as_os_str() == "tests");
    in_folder || stem == "tests" || stem.ends_with("_tests")
}

fn sources(dir: &Path, out: &mut Vec<PathBuf>) -> io::Result<()> {
    for entry in fs::read_dir(dir)? {
        let path = entry?.path();
        if path.is_dir() {
            sources(&path, out)?;
        } else if path.extension().is_some_and(|e| e == "rs") {
            out.push(path);
        }
    }
    Ok(())
}

/// Every source file under src: its path from there and its text.
fn house() -> io::Result<Vec<(PathBuf, String)>> {
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut paths = Vec::new();
    sources(&src, &mut paths)?;
    paths.sort();
    paths.iter().map(|p| Ok((p.strip_prefix(&src).unwrap_or(p).to_path_buf(), fs::read_to_string(p)?))).collect()
}

/// Macros stand at the crate's root wherever they are written: name to floor.
fn macros(house: &[(PathBuf, String)]) -> BTreeMap<String, String> {
    let mut out = BTreeMap::new();
    for (path, text) in house {
        let t = tokens(text);
        for w in t.windows(3) {
            if let [(_, Token::Word(m)), (_, Token::Sign('!')), (_, Token::Word(name))] = w
                && m == "macro_rules"
            {
                out.insert(name.clone(), floor_of(path));
            }
        }
    }
    out
}

#[test]
fn every_path_points_to_a_floor_underneath() {
    let house = house().unwrap();
    assert!(house.len() > 20, "only {} files were found under src", house.len());
    let macros = macros(&house);
    let mut wrong = Vec::new();
    for (path, text) in &house {
        for reach in reaches(text, module_depth(path), is_test_file(path)) {
            if let Some(why) = complaint(&floor_of(path), &reach, &macros) {
                wrong.push(format!("src/{}:{}: {why}", path.display(), reach.line));
            }
        }
    }
    assert!(wrong.is_empty(), "{} wrong arrows:\n{}", wrong.len(), wrong.join("\n"));
}

#[test]
fn every_floor_opens_with_a_paragraph() {
    let bare: Vec<_> = house()
        .unwrap()
        .into_iter()
        .filter(|(path, text)| path.ends_with("mod.rs") && !text.starts_with("//!"))
        .map(|(path, _)| format!("src/{}", path.display()))
        .collect();
    assert!(bare.is_empty(), "say at the top what these are for: {}", bare.join(", "));
}

#[test]
fn no_file_is_too_long_to_read() {
    let long: Vec<_> = house()
        .unwrap()
        .into_iter()
        .filter(|(_, text)| text.lines().count() > MAX_LINES)
        .map(|(path, text)| format!("src/{}: {} lines", path.display(), text.lines().count()))
        .collect();
    assert!(long.is_empty(), "split these (at most {MAX_LINES} lines): {}", long.join(", "));
}

#[test]
fn wrong_arrows_are_found_wherever_they_hide() {
    let planted = [
        ("store", 2, "use crate::web::page;", 1),
        ("store", 2, "fn f() {\n  crate::jobs::run();\n}", 2),
        ("web", 2, "use crate::{\n  app::App,\n  jobs::{Runner, app},\n};", 3),
        ("base", 2, "use super::super::model::users;", 1),
        ("base", 1, "mod inner {\n  use super::super::model;\n}", 2),
        ("crypto", 2, "use crate::model::users;", 1),
        ("remote", 2, "#[cfg(test)]\nmod t { use crate::sim; }\nuse crate::sim;", 3),
        ("plugin", 2, "use crate::*;", 1),
        ("sim", 2, "/// fine\npub(in crate::app) fn f<'a>(c: char) { let _ = 'x'; }", 2),
    ];
    for (floor, depth, text, line) in planted {
        let found: Vec<_> = reaches(text, depth, false)
            .into_iter()
            .filter(|r| complaint(floor, r, &BTreeMap::new()).is_some())
            .map(|r| r.line)
            .collect();
        assert_eq!(found, [line], "in {text}");
    }
}

#[test]
fn right_arrows_words_in_texts_and_test_helpers_pass() {
    let fine = [
        ("store", 2, "// use crate::web::page;\n/* crate::web /* nested */ crate::jobs */"),
        ("store", 2, r###"const A: &str = "crate::web"; const B: &str = r#"crate::" web"#;"###),
        ("store", 2, "const Q: char = '\"'; use crate::base::Error; const R: char = '\\''; use super::tables;"),
        ("web", 2, "use crate::{app::{App, jobs}, base, model::jobs};"),
        ("remote", 2, "#[cfg(test)]\nmod tests {\n  use super::*;\n  fn f() { crate::sim::start(); }\n}"),
        ("cli", 2, "use crate::{web, jobs, sim};"),
        ("jobs", 2, "mod a { mod b { use super::super::runner; } }"),
    ];
    for (floor, depth, text) in fine {
        for reach in reaches(text, depth, false) {
            assert_eq!(complaint(floor, &reach, &BTreeMap::new()), None, "in {text}");
        }
    }
}
