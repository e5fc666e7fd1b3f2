//! The documents say what the code does: generated parts are made again and compared, named tests exist, every
//! setting and every link is there.
//!
//! `UPDATE_DOCS=1 cargo test --test docs` writes the generated parts anew.

#![expect(clippy::unwrap_used, reason = "helpers of tests")]

use model::providers::Feature;
use plugin::limits;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use web::routes::{self, Access, Door, Route};

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn read(name: &str) -> String {
    std::fs::read_to_string(root().join(name)).unwrap_or_else(|e| panic!("{name}: {e}"))
}

/// Compares the part of a document between its two marks with `wanted`, or writes it when asked to.
fn generated(document: &str, mark: &str, wanted: &str) {
    let (begin, end) = (format!("<!-- {mark}: begin -->\n"), format!("<!-- {mark}: end -->"));
    let text = read(document);
    let (head, rest) = text.split_once(&begin).unwrap_or_else(|| panic!("{document} has no line {begin}"));
    let (present, tail) = rest.split_once(&end).unwrap_or_else(|| panic!("{document} has no line {end}"));
    let wanted = format!("{}\n", wanted.trim_end());
    if present == wanted {
        return;
    }
    if std::env::var_os("UPDATE_DOCS").is_some() {
        std::fs::write(root().join(document), format!("{head}{begin}{wanted}{end}{tail}")).unwrap();
        return;
    }
    let line = present.lines().zip(wanted.lines()).position(|(a, b)| a != b);
    let line = line.unwrap_or_else(|| present.lines().count().min(wanted.lines().count()));
    panic!(
        "{document}: the part \"{mark}\" is not what the code says; its line {} should be: {}\nRun: UPDATE_DOCS=1 cargo test --test docs",
        line + 1,
        wanted.lines().nth(line).unwrap_or("(nothing)"),
    );
}

#[test]
fn the_host_functions_are_those_that_are_registered() {
    generated("docs/PLUGINS.md", "host functions", &plugin::docs::markdown());
}

#[test]
fn the_features_of_providers_are_those_that_are_checked() {
    let lines: Vec<_> = Feature::ALL.iter().map(|f| format!("| `{}` | {} |", f.name(), f.about())).collect();
    generated("docs/PLUGINS.md", "features", &format!("| name | what it needs |\n|---|---|\n{}", lines.join("\n")));
}

fn grouped(n: u64) -> String {
    let digits = n.to_string();
    let head = digits.len() % 3;
    let groups = digits.as_bytes().iter().enumerate().flat_map(|(i, d)| {
        let comma = i > 0 && i % 3 == head;
        comma.then_some(',').into_iter().chain([char::from(*d)])
    });
    groups.collect()
}

fn mib(bytes: u64) -> String {
    if bytes.is_multiple_of(1 << 20) { format!("{} MiB", bytes >> 20) } else { format!("{} KiB", bytes >> 10) }
}

#[test]
fn the_limits_are_those_of_the_code() {
    let rows = [
        ("operations (about three make one turn of a small loop)", grouped(limits::OPERATIONS)),
        ("time of the script itself", format!("{} s", limits::SCRIPT_TIME.as_secs())),
        ("time with all host calls", format!("{} s", limits::WALL_TIME.as_secs())),
        ("memory that the script holds", mib(limits::MEMORY.unsigned_abs() as u64)),
        ("host calls", grouped(limits::HOST_CALLS.into())),
        ("one `ssh::run`", format!("{} s", limits::SSH_SECONDS)),
        ("input of a command, a file put or got over SSH", mib(limits::SSH_INPUT_BYTES as u64)),
        ("log lines", grouped(limits::LOG_LINES.into())),
        ("bytes of one log line", grouped(limits::LOG_LINE_BYTES as u64)),
        ("log lines kept for one job", grouped(app::jobs::LOG_LINES.into())),
        ("text in one value", mib(limits::STRING_BYTES as u64)),
        ("elements of all arrays in one value", grouped(limits::ARRAY_ITEMS as u64)),
        ("entries of all maps in one value", grouped(limits::MAP_ENTRIES as u64)),
        ("nesting of data", grouped(limits::DATA_DEPTH as u64)),
        ("function calls inside each other", grouped(limits::CALL_DEPTH as u64)),
        ("variables in one function", grouped(limits::VARIABLES as u64)),
        ("functions in one plugin", grouped(limits::FUNCTIONS as u64)),
        ("one file", mib(limits::FILE_BYTES)),
        ("files of one plugin", grouped(limits::FILES as u64)),
        ("files of one plugin together", mib(limits::PLUGIN_BYTES)),
        ("plugins in the folder", grouped(limits::PLUGINS as u64)),
        ("kept values (`kv`) of one plugin", grouped(limits::KV_KEYS as u64)),
        ("kept values of one plugin together", mib(limits::KV_BYTES as u64)),
        ("a step's result, a job's result, a kept value", mib(limits::RESULT_BYTES as u64)),
        ("`job.sleep`, time-out of `job.wait_until`", format!("{} days", limits::LONGEST_WAIT_SECONDS / 86_400)),
    ];
    let rows = rows.iter().map(|(what, limit)| format!("| {what} | {limit} |\n"));
    generated("docs/PLUGINS.md", "limits", &format!("| what | limit |\n|---|---|\n{}", rows.collect::<String>()));
}

#[test]
fn the_example_plugin_passes_its_own_tests() {
    let text = read("docs/PLUGINS.md");
    let folder = tempfile::tempdir().unwrap();
    let plugin = folder.path().join("idle-report");
    std::fs::create_dir(&plugin).unwrap();
    for file in ["plugin.toml", "main.rhai", "tests.rhai"] {
        let (_, rest) = text.split_once(&format!("<!-- example: {file} -->\n```")).unwrap();
        let (_, code) = rest.split_once('\n').unwrap();
        std::fs::write(plugin.join(file), code.split_once("\n```").unwrap().0).unwrap();
    }
    let report = plugin::check::run(embedded::FILES.plugins, &plugin);
    assert!(report.failed == 0 && report.passed == 4, "{report}");
}

/// Who may call a route, for people.
fn caller(access: Access) -> String {
    match access {
        Access::Public => "everybody".to_owned(),
        Access::SignedOut => "people who are not signed in".to_owned(),
        Access::User(scope) => format!("user, {}", scope.name()),
        Access::Admin(scope) => format!("admin, {}", scope.name()),
    }
}

#[test]
fn the_route_table_is_the_one_of_the_router() {
    let mut text = "| method | path | who, scope | cookie or token |\n|---|---|---|---|\n".to_owned();
    for Route { info, .. } in routes::table() {
        let door = if info.door == Door::Page { "cookie" } else { "both" };
        text.push_str(&format!("| {} | `{}` | {} | {door} |\n", info.method, info.path, caller(info.access)));
    }
    generated("docs/SECURITY.md", "routes", &text);
}

/// All documents.
fn documents() -> Vec<String> {
    let docs = std::fs::read_dir(root().join("docs")).unwrap().map(|e| e.unwrap().file_name().into_string().unwrap());
    let docs = docs.filter(|n| n.ends_with(".md")).map(|n| format!("docs/{n}"));
    docs.chain(["README.md".to_owned(), "CHANGELOG.md".to_owned()]).collect()
}

#[test]
fn every_setting_is_in_the_operations_document() {
    let text = read("docs/OPERATIONS.md");
    let settings = serde_json::to_value(config::Settings::default()).unwrap();
    for key in settings.as_object().unwrap().keys() {
        let row = format!("| `{key}` | `STEWARD_{}` |", key.to_uppercase());
        assert!(text.contains(&row), "docs/OPERATIONS.md has no row that begins with: {row}");
    }
}

/// What stands between backticks and names a test: `file::test`.
fn named_tests(text: &str) -> Vec<(String, String)> {
    let quoted = text.split('`').skip(1).step_by(2);
    let pairs = quoted.filter_map(|q| q.split_once("::")).filter(|(file, _)| file.contains('/'));
    pairs.map(|(file, test)| (file.to_owned(), test.to_owned())).collect()
}

#[test]
fn every_test_that_a_feature_names_exists() {
    let tests = named_tests(&read("docs/FEATURES.md"));
    assert!(!tests.is_empty());
    let mut wrong = Vec::new();
    for (file, test) in tests {
        let text = std::fs::read_to_string(root().join(&file)).unwrap_or_default();
        let found = if file.ends_with(".rs") { text.contains(&format!("fn {test}(")) } else { text.contains(&test) };
        if !found {
            wrong.push(format!("{file}::{test}"));
        }
    }
    assert!(wrong.is_empty(), "docs/FEATURES.md names tests that do not exist:\n{}", wrong.join("\n"));
}

#[test]
fn every_feature_has_its_row_once_and_what_works_names_a_test() {
    let text = read("docs/FEATURES.md");
    let mut seen = BTreeSet::new();
    for row in text.lines().filter(|l| l.starts_with("| ") && !l.starts_with("| id ")) {
        let cells: Vec<&str> = row.split('|').map(str::trim).collect();
        let (id, state, shown) = (cells[1], cells[3], cells[4]);
        assert!(seen.insert(id.to_owned()), "{id} is there twice");
        assert!(["works", "partly", "not yet"].contains(&state), "{id}: {state}");
        assert!(state != "works" || !named_tests(shown).is_empty(), "{id} works, but no test shows it");
    }
    let wanted = [("A", 27), ("B", 11), ("C", 16), ("D", 8), ("E", 20)];
    let wanted = wanted.iter().flat_map(|(letter, last)| (1..=*last).map(move |n| format!("{letter}{n}")));
    assert_eq!(seen, wanted.collect());
}

#[test]
fn links_between_the_documents_lead_somewhere() {
    for document in documents() {
        let text = read(&document);
        let folder = root().join(&document).parent().map(PathBuf::from).unwrap();
        for link in text.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
            let file = link.split('#').next().unwrap_or_default();
            if !file.is_empty() && !link.contains("://") {
                assert!(folder.join(file).exists(), "{document} links to {link}, which is not there");
            }
        }
    }
}

/// Paths in backticks that begin with a folder of this repository.
#[test]
fn files_that_the_documents_name_exist() {
    let folders = ["src/", "plugins/", "tests/", "docs/", "packaging/", "assets/", "scripts/", "systemd/", "benches/"];
    let mut wrong = Vec::new();
    for document in documents() {
        let text = read(&document);
        for quoted in text.split('`').skip(1).step_by(2) {
            let file = quoted.split("::").next().unwrap_or_default();
            let plain = file.chars().all(|c| c.is_ascii_alphanumeric() || "/._-".contains(c));
            // Capitals stand for a name that the reader puts in.
            let example = Path::new(file).iter().any(|part| part == "NOUN" || part == "NAME" || part == "MODULE")
                || file.contains("NOUN.")
                || file.contains("MODULE.");
            if plain && !example && folders.iter().any(|f| file.starts_with(f)) && !root().join(file).exists() {
                wrong.push(format!("{document}: {file}"));
            }
        }
    }
    assert!(wrong.is_empty(), "the documents name files that are not there:\n{}", wrong.join("\n"));
}
