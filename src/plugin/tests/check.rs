//! `plugin check` on a plugin with good and bad tests.

use crate::check;

const TOML: &str = r#"
name = "demo"
version = "1"
about = "A demo."
kind = "provider"
api = 1
grants = ["pve", "guests", "kv"]

[hooks]
nodes = { params = 0, mode = "effect" }
label = { params = 1, mode = "pure" }
make = { params = 2, mode = "job" }
"#;

const MAIN: &str = r#"fn nodes() { pve::get("/nodes").map(|n| n.node) }
fn label(x) { `<${x}>` }
fn make(job, args) {
    let vmid = job.step("reserve", || guests::reserve_vmid());
    job.undo("reserve", || guests::release_vmid(vmid));
    job.undo("make", || { job.wait_task(pve::delete(`/qemu/${vmid}`, #{})); });
    let upid = job.step("make", || pve::post("/qemu", #{vmid: vmid, name: args.name}));
    job.wait_task(upid);
    job.sleep(10);
    job.log("made");
    vmid
}
"#;

const TESTS: &str = r#"fn test_nodes() {
    mock::pve("GET", "/nodes", [#{node: "a"}, #{node: "b"}]);
    mock::once("GET", "/nodes", []);
    assert_eq(nodes(), []);
    assert_eq(nodes(), ["a", "b"]);
    assert_eq(mock::calls().len(), 2);
}
fn test_a_job() {
    mock::pve("POST", "/qemu", "UPID:1");
    let job = mock::run_job("make", #{name: "web"});
    assert_eq(job.outcome, "done");
    assert_eq(job.log, ["made"]);
    assert_eq(mock::calls()[0].params.name, "web");
}
fn test_a_job_that_gives_up() {
    mock::pve("POST", "/qemu", "UPID:1");
    mock::pve("DELETE", "/qemu/*", "UPID:2");
    mock::task("storage is full");
    let job = mock::run_job("make", #{name: "web"});
    assert_eq(job.message, "storage is full");
    assert(job.retry);
    mock::task("OK");
    assert_eq(mock::undo_job().outcome, "undone");
    assert_eq(mock::reserved(), []);
}
fn test_a_pure_hook() { assert_eq(mock::hook("label", [3]), "<3>"); }
fn helper() { 1 }
fn test_that_fails() {
    assert_eq(helper(), 2);
}
fn test_that_throws() {
    nodes();
}
"#;

#[test]
fn each_test_is_reported_with_its_place() {
    let folder = tempfile::tempdir().unwrap();
    let demo = folder.path().join("demo");
    std::fs::create_dir(&demo).unwrap();
    std::fs::write(demo.join("plugin.toml"), TOML).unwrap();
    std::fs::write(demo.join("main.rhai"), MAIN).unwrap();
    std::fs::write(demo.join("tests.rhai"), TESTS).unwrap();
    let report = check::run(embedded::FILES.plugins, &demo);
    insta::assert_snapshot!(report, @r"
    ok      it loads
    ok      test_nodes
    ok      test_a_job
    ok      test_a_job_that_gives_up
    ok      test_a_pure_hook
    FAILED  test_that_fails
            demo/tests.rhai:29:5: left is 1, right is 2
    FAILED  test_that_throws
            demo/main.rhai:1:19: no mock answers GET /nodes
    5 passed, 2 failed
    ");
}

#[test]
fn a_plugin_that_does_not_load_fails() {
    let folder = tempfile::tempdir().unwrap();
    let report = check::run(embedded::FILES.plugins, folder.path());
    assert!(!report.is_ok() && report.to_string().contains("plugin.toml: the file is missing"), "{report}");
}

#[test]
fn the_plugins_of_the_repository_pass_their_own_tests() {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../plugins");
    for entry in std::fs::read_dir(folder).into_iter().flatten().filter_map(Result::ok).filter(|e| e.path().is_dir()) {
        let report = check::run(embedded::FILES.plugins, &entry.path());
        assert!(report.is_ok(), "{}\n{report}", entry.path().display());
    }
}
