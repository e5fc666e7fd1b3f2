//! Recipes over SSH: the real binary, the simulated cluster, and a real OpenSSH server on loopback that stands
//! for the machine. The recipe only writes into its own temporary folder.

use crate::appliance::{Appliance, cluster};
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

pub struct Sshd {
    child: Child,
    pub port: u16,
    folder: tempfile::TempDir,
}

impl Drop for Sshd {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Sshd {
    pub fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let at = folder.path().display().to_string();
        let file = format!("{at}/hostkey");
        let made = Command::new("ssh-keygen").args(["-q", "-t", "ed25519", "-N", "", "-f", &file]).status().unwrap();
        assert!(made.success());
        std::fs::write(folder.path().join("authorized_keys"), "").unwrap();
        let _ = std::fs::create_dir_all("/run/sshd");
        let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let config = format!(
            "ListenAddress 127.0.0.1:{port}\nHostKey {at}/hostkey\nPidFile {at}/pid\nAuthorizedKeysFile {at}/authorized_keys\n\
             StrictModes no\nUsePAM no\nPasswordAuthentication no\nPermitRootLogin prohibit-password\n"
        );
        std::fs::write(folder.path().join("sshd_config"), config).unwrap();
        let child = Command::new("/usr/sbin/sshd")
            .args(["-D", "-e", "-f", &format!("{at}/sshd_config")])
            .stderr(Stdio::null())
            .spawn()
            .expect("scripts/setup-tests apt brings sshd");
        Self { child, port, folder }
    }

    pub fn allow(&self, line: &str) {
        std::fs::write(self.folder.path().join("authorized_keys"), format!("{line}\n")).unwrap();
    }
}

/// A recipe that counts how often it ran each part, waits for a file, and fails as long as another one is there.
fn recipe(plugins: &Path, work: &Path) {
    let folder = plugins.join("software-probe");
    std::fs::create_dir_all(&folder).unwrap();
    let toml = r#"
name = "software-probe"
version = "1.0.0"
about = "Writes files."
kind = "software"
api = 1
grants = ["ssh"]
uses = ["linux"]

[software]
title = "Probe"
category = "Tests"

[[software.options]]
key = "word"
label = "Word"
kind = "text"
default = "hello"

[[software.options]]
key = "password"
label = "Password"
kind = "password"
required = true
min = 8

[hooks]
install = { params = 2, mode = "job" }
"#;
    let at = work.display();
    let script = format!(
        r#"fn install(job, args) {{
    machine(job, 3);
    job.repeatable("first", || {{ must("echo first >>{at}/first; echo said by the first"); () }});
    job.repeatable("told", || {{ ssh::run("cat", #{{ input: template::fill("the password is {{word}}\n", #{{ word: args.options.password }}) }}); () }});
    long(job, "long part", `echo begun >>{at}/begun
echo it waits
until [ -e {at}/go ]; do sleep 0.2; done
if [ -e {at}/broken ]; then echo 'E: Unable to locate package nope' >&2; exit 100; fi
echo ${{args.options.word}} >>{at}/done`);
    job.repeatable("secret", || {{ ssh::run("cat >{at}/secret", #{{ input: args.options.password, quiet: true }}); () }});
    tidy(job);
    #{{ links: [#{{ title: "Probe", url: "http://{{address}}:8080/" }}] }}
}}
"#
    );
    std::fs::write(folder.join("plugin.toml"), toml).unwrap();
    std::fs::write(folder.join("main.rhai"), script).unwrap();
}

struct Scene {
    appliance: Appliance,
    sshd: Sshd,
    work: tempfile::TempDir,
    guest: String,
    /// Everything that is behind it, until the end.
    _cluster: sim::Sim,
}

const PASSWORD: &str = "seven-brown-kettles";

impl Scene {
    async fn new() -> Self {
        let cluster = cluster(0.1).await;
        let work = tempfile::tempdir().unwrap();
        let mut appliance = Appliance::prepare(&cluster).await;
        recipe(&appliance.path("plugins"), work.path());
        appliance.start().await;
        let list = appliance.until("/api/v1/guests?q=status:running%20kind:vm", 20, |l| l["total"] != 0).await;
        let guest = list["guests"][0]["id"].as_str().unwrap().to_owned();
        let sshd = Sshd::start();
        let scene = Self { appliance, sshd, work, guest, _cluster: cluster };
        let body = json!({ "user": "root", "address": "127.0.0.1", "port": scene.sshd.port });
        let key = scene.appliance.ask("PUT", &scene.path("/ssh"), Some(body)).await;
        assert_eq!(key.status, 200, "{}", key.body);
        scene.sshd.allow(key.json()["public_key"].as_str().unwrap());
        scene
    }

    fn path(&self, rest: &str) -> String {
        format!("/api/v1/guests/{}{rest}", self.guest)
    }

    fn file(&self, name: &str) -> PathBuf {
        self.work.path().join(name)
    }

    fn lines(&self, name: &str) -> usize {
        std::fs::read_to_string(self.file(name)).unwrap_or_default().lines().count()
    }

    async fn install(&self) -> String {
        let body = json!({ "recipe": "software-probe", "options": { "password": PASSWORD } });
        let asked = self.appliance.ask("POST", &self.path("/software"), Some(body)).await;
        assert_eq!(asked.status, 202, "{}", asked.body);
        asked.json()["job"].as_str().unwrap().to_owned()
    }

    async fn reaches(&self, name: &str) {
        for _ in 0..200 {
            if self.lines(name) > 0 {
                return;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        panic!("{name} is not there: {}", self.appliance.log());
    }

    async fn job(&self, id: &str, state: &str) -> Value {
        self.appliance.until(&format!("/api/v1/jobs/{id}"), 60, |j| j["state"] == state).await
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_recipe_is_installed_over_ssh_and_its_secret_is_nowhere_in_words() {
    let scene = Scene::new().await;
    let job = scene.install().await;
    scene.reaches("begun").await;
    // Its lines are there while it still runs.
    let open = format!("/api/v1/jobs/{job}");
    let live = scene.appliance.until(&open, 20, |j| j["log"].to_string().contains("it waits")).await;
    assert!(live["log"].to_string().contains("said by the first"), "{live:#}");
    std::fs::write(scene.file("go"), "").unwrap();
    let done = scene.job(&job, "succeeded").await;
    assert!(!done.to_string().contains(PASSWORD), "{done:#}");
    assert!(done["log"].to_string().contains("the password is ••••••"), "{done:#}");
    assert_eq!(std::fs::read_to_string(scene.file("secret")).unwrap(), PASSWORD);
    let list = scene.appliance.until(&scene.path("/software"), 10, |l| l[0]["state"] == "installed").await;
    assert_eq!(list[0]["links"][0]["url"], "http://127.0.0.1:8080/");
    assert!(!list.to_string().contains(PASSWORD));
    let key = scene.appliance.ask("GET", &scene.path("/ssh"), None).await.json();
    assert!(key["host_keys"][0].as_str().unwrap().starts_with("SHA256:"), "{key}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_kill_in_the_middle_of_a_command_does_not_start_it_twice() {
    let mut scene = Scene::new().await;
    let job = scene.install().await;
    scene.reaches("begun").await;
    scene.appliance.kill().await;
    std::fs::write(scene.file("go"), "").unwrap();
    // The command ends while nobody watches.
    scene.reaches("done").await;
    scene.appliance.start().await;
    let done = scene.job(&job, "succeeded").await;
    assert_eq!((scene.lines("first"), scene.lines("begun"), scene.lines("done")), (1, 1, 1));
    assert!(done["log"].to_string().contains("it waits"), "what it said meanwhile is in the log: {done:#}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failure_is_told_in_words_and_a_retry_goes_on_where_it_stopped() {
    let scene = Scene::new().await;
    std::fs::write(scene.file("go"), "").unwrap();
    std::fs::write(scene.file("broken"), "").unwrap();
    let job = scene.install().await;
    let failed = scene.job(&job, "failed").await;
    let why = failed["error"].as_str().unwrap();
    assert!(why.starts_with("The machine's package sources do not have a package that is needed."), "{why}");
    assert_eq!((scene.lines("first"), scene.lines("begun")), (1, 3), "three tries of the failed part only");
    let list = scene.appliance.until(&scene.path("/software"), 10, |l| l[0]["state"] == "failed").await;
    assert_eq!(list[0]["error"], failed["error"]);
    std::fs::remove_file(scene.file("broken")).unwrap();
    let again = scene.appliance.ask("POST", &format!("/api/v1/jobs/{job}/retry"), None).await;
    assert_eq!(again.status, 200, "{}", again.body);
    scene.job(&job, "succeeded").await;
    assert_eq!((scene.lines("first"), scene.lines("done")), (1, 1));
    let removed = scene.appliance.ask("DELETE", &scene.path("/software/software-probe"), None).await;
    assert_eq!(removed.status, 204, "{}", removed.body);
}

#[tokio::test(flavor = "multi_thread")]
async fn cancelling_ends_the_command_and_wrong_options_are_named() {
    let scene = Scene::new().await;
    let body = json!({ "recipe": "software-probe", "options": { "password": "short", "colour": 1 } });
    let refused = scene.appliance.ask("POST", &scene.path("/software"), Some(body)).await;
    assert_eq!(refused.status, 422);
    let fields: Vec<String> = refused.json()["errors"].as_object().unwrap().keys().cloned().collect();
    assert_eq!(fields, ["software.software-probe.colour", "software.software-probe.password"]);
    let job = scene.install().await;
    scene.reaches("begun").await;
    scene.appliance.ask("POST", &format!("/api/v1/jobs/{job}/cancel"), None).await;
    scene.job(&job, "cancelled").await;
    tokio::time::sleep(Duration::from_secs(4)).await;
    std::fs::write(scene.file("go"), "").unwrap();
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(scene.lines("done"), 0, "the command was ended, so it does not come to its end later");
}
