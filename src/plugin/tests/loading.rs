//! What is found when a plugin is loaded.

use super::support::{call, load};
use crate::Plugins;
use std::path::Path;
use std::sync::mpsc;
use std::time::Duration;

fn error(grants: &str, hooks: &str, main: &str) -> String {
    load(grants, hooks, main).unwrap_err().to_string()
}

#[test]
fn a_module_that_is_not_granted_is_found_with_its_line() {
    let text = error(
        "kv",
        "act 0 effect",
        "// pve::get is only a comment\nfn act() {\n    let x = \"pve::get\";\n    pve::get(\"/\")\n}",
    );
    assert!(text.starts_with("test/main.rhai:4:") && text.contains("`pve` is not granted"), "{text}");
}

#[test]
fn a_syntax_error_names_line_and_column() {
    let text = error("", "act 0 pure", "fn act() {\n  let = 3;\n}");
    assert!(text.starts_with("test/main.rhai:2:7:"), "{text}");
}

#[test]
fn an_unknown_variable_is_found_before_anything_runs() {
    let text = error("", "act 0 pure", "fn act() {\n  nodes\n}");
    assert!(text.starts_with("test/main.rhai:2:3:") && text.contains("nodes"), "{text}");
}

#[test]
fn hooks_must_be_functions_with_that_many_parameters() {
    assert!(error("", "act 0 pure", "fn other() {}").contains("plugin.toml:9:1: hook \"act\": the script has no such"));
    assert!(error("", "act 0 pure", "fn act(a) {}").contains("has 0 parameters here and 1 in the script"));
    assert!(error("", "act 2 job", "fn act(j, args) {}").contains("must be written as: fn act(job, args)"));
}

#[test]
fn a_grant_that_does_not_exist_is_refused() {
    assert!(
        error("telnet", "act 0 pure", "fn act() {}").contains("plugin.toml:6:1: there is no host module \"telnet\"")
    );
}

#[test]
fn code_outside_of_functions_may_not_ask_the_host() {
    let text = "try { pve::post(\"/x\", #{}); } catch { }\nfn act() {}";
    assert!(error("pve", "act 0 effect", text).contains("outside of functions"));
}

#[test]
fn words_that_reach_outside_do_not_exist() {
    for code in ["import \"x\" as y;", "eval(\"1\")", "export x;"] {
        assert!(load("", "act 0 pure", &format!("fn act() {{ {code} }}")).is_err(), "{code}");
    }
}

#[test]
fn a_function_named_like_a_method_of_job_is_refused() {
    let text = error("", "act 2 job", "fn act(job, args) {}\nfn step(name, effect) { effect.call() }");
    assert!(text.starts_with("test/main.rhai:2:1:") && text.contains("method of `job`"), "{text}");
}

const TOML: &str = "name = \"demo\"\nversion = \"1\"\nabout = \"x\"\nkind = \"provider\"\napi = 1\n[hooks.act]\nparams = 0\nmode = \"pure\"\n";

fn write(folder: &Path, toml: &str, main: &str) {
    let folder = folder.join("demo");
    std::fs::create_dir_all(&folder).unwrap();
    std::fs::write(folder.join("plugin.toml"), toml).unwrap();
    std::fs::write(folder.join("main.rhai"), main).unwrap();
}

fn answer(plugins: &Plugins) -> i64 {
    call(&plugins.get("demo").unwrap(), "act", vec![]).unwrap().as_i64().unwrap()
}

#[test]
fn unknown_keys_of_the_manifest_are_errors_with_their_line() {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), &TOML.replace("api = 1", "api = 1\ncolour = 3"), "fn act() { 1 }");
    let plugins = Plugins::load(embedded::FILES.plugins, Some(folder.path()));
    let info = plugins.list().into_iter().find(|p| p.name == "demo").unwrap();
    let error = info.error.unwrap();
    assert_eq!((error.file.as_str(), error.line), ("demo/plugin.toml", 6), "{error}");
    assert!(info.active.is_none() && plugins.get("demo").is_none());
}

#[test]
fn a_folder_of_the_file_system_is_no_plugin() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir(folder.path().join("lost+found")).unwrap();
    let plugins = Plugins::load(embedded::FILES.plugins, Some(folder.path()));
    assert!(plugins.list().iter().all(|p| p.name != "lost+found" && p.error.is_none()));
}

#[test]
fn a_broken_edit_shows_its_error_and_the_good_version_runs_on() {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), TOML, "fn act() { 1 }");
    let plugins = Plugins::load(embedded::FILES.plugins, Some(folder.path()));
    let first = plugins.get("demo").unwrap().hash().to_owned();
    assert!(!plugins.reload(), "nothing changed");

    write(folder.path(), TOML, "fn act() { 1");
    assert!(plugins.reload());
    let info = plugins.list().into_iter().find(|p| p.name == "demo").unwrap();
    assert!(info.error.is_some() && info.hash != first && info.active.as_deref() == Some(first.as_str()));
    assert_eq!(answer(&plugins), 1);

    write(folder.path(), TOML, "fn act() { 2 }");
    assert!(plugins.reload());
    assert_eq!(answer(&plugins), 2);
    assert_eq!(plugins.by_hash(&first).unwrap().hash(), first, "jobs of the old version find it");
}

#[test]
fn the_hash_depends_on_names_and_contents() {
    let files = |name: &str, text: &str| crate::source::Files::from([(name.to_owned(), text.to_owned())]);
    let hash = |name, text| crate::source::hash(&files(name, text));
    assert_eq!(hash("a", "bc"), hash("a", "bc"));
    assert_ne!(hash("a", "bc"), hash("ab", "c"));
}

#[test]
fn a_saved_file_is_noticed() {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), TOML, "fn act() { 1 }");
    let plugins = Plugins::load(embedded::FILES.plugins, Some(folder.path()));
    let (send, receive) = mpsc::channel();
    plugins.watch(move || send.send(()).unwrap()).unwrap();
    write(folder.path(), TOML, "fn act() { 2 }");
    receive.recv_timeout(Duration::from_secs(20)).unwrap();
    assert_eq!(answer(&plugins), 2);
}

#[test]
fn a_folder_that_is_replaced_or_comes_later_is_watched_too() {
    let place = tempfile::tempdir().unwrap();
    let folder = place.path().join("plugins");
    let plugins = Plugins::load(embedded::FILES.plugins, Some(&folder));
    let (send, receive) = mpsc::channel();
    plugins.watch(move || send.send(()).unwrap()).unwrap();
    let until = |wanted: i64| {
        while plugins.get("demo").is_none() || answer(&plugins) != wanted {
            receive.recv_timeout(Duration::from_secs(20)).unwrap();
        }
    };
    std::fs::create_dir(&folder).unwrap();
    write(&folder, TOML, "fn act() { 1 }");
    until(1);
    std::fs::rename(&folder, place.path().join("old")).unwrap();
    std::fs::create_dir(&folder).unwrap();
    write(&folder, TOML, "fn act() { 2 }");
    until(2);
    write(&folder, TOML, "fn act() { 3 }");
    until(3);
    std::fs::remove_dir_all(&folder).unwrap();
    std::fs::create_dir(&folder).unwrap();
    write(&folder, TOML, "fn act() { 4 }");
    until(4);
}

#[test]
fn a_library_is_part_of_the_plugin_and_of_its_hash() {
    let folder = tempfile::tempdir().unwrap();
    let put = |path: &str, text: &str| {
        let file = folder.path().join(path);
        std::fs::create_dir_all(file.parent().unwrap()).unwrap();
        std::fs::write(file, text).unwrap();
    };
    let head = |name: &str, kind: &str, more: &str| {
        format!("name = \"{name}\"\nversion = \"1\"\nabout = \"x\"\nkind = \"{kind}\"\napi = 1\n{more}")
    };
    put("words/plugin.toml", &head("words", "library", ""));
    put("words/main.rhai", "fn hello(who) { `hello ${who}` }");
    put("words/tests.rhai", "fn broken( {");
    let hook = "uses = [\"words\"]\n[hooks]\nact = { params = 0, mode = \"pure\" }\n";
    put("user/plugin.toml", &head("user", "checker", hook));
    put("user/main.rhai", "fn act() { hello(\"you\") }");
    let plugins = Plugins::load(embedded::FILES.plugins, Some(folder.path()));
    let first = plugins.get("user").unwrap();
    assert_eq!(call(&first, "act", vec![]).unwrap(), "hello you");
    put("words/main.rhai", "fn hello(who) { `good day ${who}` }");
    assert!(plugins.reload());
    let second = plugins.get("user").unwrap();
    assert_ne!(first.hash(), second.hash());
    assert_eq!(call(&second, "act", vec![]).unwrap(), "good day you");
    put("words/main.rhai", "fn hello(who) { oops }");
    plugins.reload();
    let error = plugins.list().into_iter().find(|p| p.name == "user").unwrap().error.unwrap();
    assert!(error.to_string().starts_with("user/words/main.rhai:1:"), "{error}");
    put("user/plugin.toml", &head("user", "checker", &hook.replace("words", "wrods")));
    plugins.reload();
    let error = plugins.list().into_iter().find(|p| p.name == "user").unwrap().error.unwrap();
    assert!(error.to_string().contains("user/plugin.toml:6:1: there is no library \"wrods\""), "{error}");
}

#[test]
fn a_recipe_says_what_it_offers_and_has_an_install_job() {
    let recipe = |more: &str, hooks: &str| {
        let folder = tempfile::tempdir().unwrap();
        let plugin = folder.path().join("pot");
        std::fs::create_dir(&plugin).unwrap();
        let toml = format!(
            "name = \"pot\"\nversion = \"1\"\nabout = \"x\"\nkind = \"software\"\napi = 1\n{more}\n[hooks]\n{hooks}\n"
        );
        std::fs::write(plugin.join("plugin.toml"), toml).unwrap();
        std::fs::write(plugin.join("main.rhai"), "fn install(job, args) { #{} }").unwrap();
        crate::check::run(embedded::FILES.plugins, &plugin).to_string()
    };
    let job = "install = { params = 2, mode = \"job\" }";
    let section = "[software]\ntitle = \"Pot\"\ncategory = \"Kitchen\"";
    assert!(recipe(section, job).ends_with("1 passed, 0 failed"));
    assert!(recipe("", job).contains("needs a section [software]"));
    assert!(recipe(section, "").contains("has a job hook \"install\""));
    let option = "\n[[software.options]]\nkey = \"size\"\nlabel = \"Size\"\nkind = \"number\"\ndefault = \"big\"";
    assert!(recipe(&format!("{section}{option}"), job).contains("pot/plugin.toml:10:1: option \"size\": the default"));
}
