//! `steward` as a remote command line: the real binary against the real appliance beside a simulated cluster.

use crate::appliance::{Appliance, PASSWORD, cluster};
use serde_json::Value;
use sim::Sim;
use std::io::{Read as _, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::process::{Output, Stdio};
use std::time::{Duration, Instant};
use tokio::io::AsyncWriteExt as _;
use tokio::process::Command;

/// Somebody's computer: a file with sign-ins, and nothing else of Steward.
struct Computer {
    folder: tempfile::TempDir,
}

/// What a command said.
#[derive(Debug)]
struct Said {
    code: i32,
    out: String,
    err: String,
}

impl Said {
    fn json(&self) -> Value {
        serde_json::from_str(&self.out).unwrap_or_else(|e| panic!("{e}: {self:?}"))
    }

    /// The fingerprint that a refused login shows.
    fn fingerprint(&self) -> String {
        let line = self.err.lines().find(|l| l.contains("SHA-256")).unwrap_or_else(|| panic!("{self:?}"));
        line.split_whitespace().last().unwrap().to_owned()
    }
}

impl From<Output> for Said {
    fn from(output: Output) -> Self {
        Self {
            code: output.status.code().unwrap_or(-1),
            out: String::from_utf8(output.stdout).unwrap(),
            err: String::from_utf8(output.stderr).unwrap(),
        }
    }
}

impl Computer {
    fn new() -> Self {
        Self { folder: tempfile::tempdir().unwrap() }
    }

    fn file(&self) -> PathBuf {
        self.folder.path().join("settings/cli.toml")
    }

    fn command(&self, words: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_steward"));
        command
            .args(words)
            .env_clear()
            .env("PATH", "/usr/bin:/bin")
            .env("STEWARD_CLI_FILE", self.file())
            .stdin(Stdio::null())
            .kill_on_drop(true);
        command
    }

    async fn run(&self, words: &[&str]) -> Said {
        let output = tokio::time::timeout(Duration::from_secs(60), self.command(words).output()).await;
        output.unwrap_or_else(|_| panic!("{words:?} did not end")).unwrap().into()
    }

    async fn piped(&self, words: &[&str], text: &str) -> Said {
        let mut command = self.command(words);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        child.stdin.take().unwrap().write_all(text.as_bytes()).await.unwrap();
        child.wait_with_output().await.unwrap().into()
    }
}

fn url(appliance: &Appliance) -> String {
    format!("https://{}", appliance.address)
}

/// An appliance, its cluster, and a computer that is signed in with the admin's token.
async fn signed_in() -> (Sim, Appliance, Computer) {
    let cluster = cluster(0.05).await;
    let mut appliance = Appliance::prepare(&cluster).await;
    appliance.start().await;
    appliance.until("/api/v1/guests?limit=1", 20, |v| v["total"].as_u64() > Some(8)).await;
    let computer = sign_in(&appliance).await;
    (cluster, appliance, computer)
}

/// A computer that is signed in with the admin's token.
async fn sign_in(appliance: &Appliance) -> Computer {
    let computer = Computer::new();
    let refused = computer.piped(&["login", &url(appliance), "--token-stdin"], &appliance.token).await;
    assert_eq!(refused.code, 5, "{refused:?}");
    let words = ["login", &url(appliance), "--token-stdin", "--fingerprint", &refused.fingerprint(), "-c", "home"];
    let done = computer.piped(&words, &format!("{}\n", appliance.token)).await;
    assert_eq!(done.code, 0, "{done:?}");
    assert!(done.out.contains("as mira (full), called “home”"), "{done:?}");
    computer
}

#[tokio::test]
async fn only_the_accepted_certificate_counts() {
    let (_cluster, appliance, computer) = signed_in().await;
    let mode = std::fs::metadata(computer.file()).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let doctor = appliance.command(&["doctor"]).output().await.unwrap();
    let text = std::fs::read_to_string(computer.file()).unwrap();
    let accepted = text.lines().find_map(|l| l.strip_prefix("fingerprint = ")).unwrap().trim_matches('"');
    assert!(String::from_utf8_lossy(&doctor.stdout).contains(accepted), "the host tells it too: {doctor:?}");
    let wrong = "AB".repeat(32);
    let other = Computer::new();
    let words = ["login", &url(&appliance), "--token-stdin", "--fingerprint", &wrong];
    let refused = other.piped(&words, &appliance.token).await;
    assert_eq!(refused.code, 5, "{refused:?}");
    assert!(refused.err.contains("different certificate") && !other.file().exists(), "{refused:?}");
    // The same when the certificate is another one later.
    let text = std::fs::read_to_string(computer.file()).unwrap();
    let line = text.lines().find(|l| l.starts_with("fingerprint")).unwrap();
    std::fs::write(computer.file(), text.replace(line, &format!("fingerprint = \"{wrong}\""))).unwrap();
    let refused = computer.run(&["guests", "list"]).await;
    assert_eq!((refused.code, refused.out.as_str()), (5, ""));
    assert!(refused.err.contains("Nothing was sent"), "{refused:?}");
}

#[tokio::test]
async fn machines_nodes_and_jobs_are_listed_for_people_and_for_programs() {
    let (_cluster, appliance, computer) = signed_in().await;
    let api = appliance.ask("GET", "/api/v1/guests?sort=name&q=-is:template", None).await.json();
    let list = computer.run(&["guests", "list", "--filter", "-is:template", "-o", "json"]).await.json();
    let names = |v: &Value| v.as_array().unwrap().iter().map(|g| g["name"].clone()).collect::<Vec<_>>();
    assert_eq!(names(&list), names(&api["guests"]));
    let table = computer.run(&["machines", "list", "-f", "-is:template"]).await;
    let mut lines = table.out.lines();
    let head: Vec<&str> = lines.next().unwrap().split_whitespace().collect();
    assert_eq!(head, ["NO.", "NAME", "STATE", "NODE", "CPU", "CORES", "MEMORY", "DISK", "UP", "OWNER", "TAGS"]);
    assert_eq!(lines.count(), list.as_array().unwrap().len());
    assert!(!table.out.contains('\u{1b}'), "colours are for terminals: {table:?}");
    let few = computer.run(&["guests", "list", "--limit", "3", "-o", "json"]).await.json();
    assert_eq!(few.as_array().unwrap().len(), 3);
    let nodes = computer.run(&["nodes", "list"]).await;
    assert!(nodes.out.contains("pve1") && nodes.out.contains("online"), "{nodes:?}");
    let first = &list[0];
    let (name, vmid) = (first["name"].as_str().unwrap(), first["vmid"].to_string());
    let by_name = computer.run(&["guests", "show", name]).await;
    assert!(by_name.out.contains(&format!("Number  {vmid}")), "{by_name:?}");
    let by_number = computer.run(&["guests", "show", &vmid, "-o", "json"]).await.json();
    assert_eq!(by_number["id"], first["id"]);
    assert_eq!(computer.run(&["guests", "show", "no-such-machine"]).await.code, 3);
    assert_eq!(computer.run(&["jobs", "list"]).await.out, "There is no such job.\n");
    let raw = computer.run(&["api", "get", "/me"]).await;
    assert_eq!(raw.json()["login"], "mira");
    let wrong = computer.run(&["api", "POST", "/guests", "{}"]).await;
    assert_eq!(wrong.code, 2, "{wrong:?}");
    assert!(wrong.err.contains("  name: ") || wrong.err.contains("Missing field"), "{wrong:?}");
    assert_eq!(computer.run(&["guests", "list", "--colour"]).await.code, 2);
}

#[tokio::test]
async fn a_command_waits_for_its_job_and_ends_as_the_job_does() {
    let (cluster, _appliance, computer) = signed_in().await;
    let running = computer.run(&["guests", "list", "-f", "status:running", "-o", "json"]).await.json();
    let vm = running.as_array().unwrap().iter().find(|g| g["kind"] == "vm").unwrap().clone();
    let name = vm["name"].as_str().unwrap();
    let told = computer.run(&["guests", "impact", name, "--action", "delete"]).await;
    assert!(told.code == 0 && told.out.contains("go with everything on them"), "{told:?}");
    assert_eq!(computer.run(&["guests", "impact", name, "--action", "fly"]).await.code, 2);
    // A person is asked each time, a script never.
    let question = format!("Stop at once, like pulling the plug: {name}? [y/N] ");
    let (no, seen) = at_terminal(&computer, &["guests", "stop", name], &question, "n").await;
    assert_eq!(no.code, 1, "{no:?} {seen}");
    assert_eq!(computer.run(&["guests", "show", name, "-o", "json"]).await.json()["status"], "running");
    let stopped = computer.run(&["guests", "stop", name, "--wait"]).await;
    assert_eq!(stopped.code, 0, "{stopped:?}");
    assert!(stopped.out.contains("succeeded"), "{stopped:?}");
    let again = computer.run(&["guests", "stop", name]).await;
    assert_eq!(again.code, 1, "a stopped machine can't be stopped: {again:?}");
    cluster.faults().fail_task("qmstart", "no memory left", 99);
    let failed = computer.run(&["guests", "start", name, "--wait", "--timeout", "50", "-o", "json"]).await;
    assert_eq!(failed.code, 6, "{failed:?}");
    let job = failed.json()[0].clone();
    assert!(job["error"].as_str().unwrap().contains("no memory left"), "{job}");
    assert!(!failed.err.is_empty(), "the log is shown on standard error");
    let id = job["id"].as_str().unwrap();
    assert_eq!(computer.run(&["jobs", "watch", id]).await.code, 6);
    let shown = computer.run(&["jobs", "show", id]).await;
    assert!(shown.out.contains("Trouble") && shown.out.contains("no memory left"), "{shown:?}");
    cluster.faults().clear();
    let retried = computer.run(&["jobs", "retry", id, "--wait"]).await;
    assert_eq!(retried.code, 0, "{retried:?}");
    assert_eq!(computer.run(&["guests", "show", name, "-o", "json"]).await.json()["status"], "running");
}

#[tokio::test]
async fn a_machine_is_made_and_deleted_from_the_command_line() {
    let (_cluster, _appliance, computer) = signed_in().await;
    let lacking = computer.run(&["guests", "create", "web-77", "--cores", "2"]).await;
    assert_eq!(lacking.code, 2);
    assert!(lacking.err.contains("--node, --template or --iso, --memory, --disk, --bridge"), "{lacking:?}");
    let templates = computer.run(&["guests", "list", "-f", "is:template", "-o", "json"]).await.json();
    let template = templates.as_array().unwrap().iter().find(|t| t["kind"] == "vm").unwrap();
    let (name, node) = (template["name"].as_str().unwrap(), template["node"].as_str().unwrap());
    let words = [
        "guests",
        "create",
        "web-77",
        "--node",
        node,
        "--template",
        name,
        "--cores",
        "2",
        "--memory",
        "2G",
        "--disk",
        "40",
        "--bridge",
        "vmbr0",
        "--no-start",
        "--wait",
        "--tag",
        "web",
    ];
    let made = computer.run(&words).await;
    assert_eq!(made.code, 0, "{made:?}");
    let guest = computer.run(&["guests", "show", "web-77", "-o", "json"]).await.json();
    assert_eq!((guest["cores"].as_f64(), guest["memory_max"].as_u64()), (Some(2.0), Some(2 << 30)), "{guest}");
    let unsure = computer.run(&["guests", "delete", "web-77"]).await;
    assert_eq!(unsure.code, 2, "nobody can be asked here: {unsure:?}");
    let gone = computer.run(&["guests", "delete", "web-77", "--yes", "--wait"]).await;
    assert_eq!(gone.code, 0, "{gone:?}");
    assert_eq!(computer.run(&["guests", "show", "web-77"]).await.code, 3);
}

#[tokio::test]
async fn snapshots_are_taken_shown_as_a_tree_gone_back_to_and_deleted() {
    let (_cluster, _appliance, computer) = signed_in().await;
    let all = computer.run(&["guests", "list", "-f", "status:stopped -is:template", "-o", "json"]).await.json();
    let vm = all.as_array().unwrap().iter().find(|g| g["kind"] == "vm").expect("a stopped machine").clone();
    let name = vm["name"].as_str().unwrap();
    assert_eq!(computer.run(&["snapshots", "list", name]).await.out, "This machine has no snapshot.\n");
    let words = ["snapshots", "create", name, "before-update", "--description", "as it was", "--wait"];
    let taken = computer.run(&words).await;
    assert_eq!(taken.code, 0, "{taken:?}");
    assert_eq!(computer.run(&["snapshots", "create", name, "after-update", "--wait"]).await.code, 0);
    let list = computer.run(&["snapshots", "list", name]).await;
    let lines: Vec<&str> = list.out.lines().collect();
    assert!(lines[1].starts_with("before-update") && lines[1].ends_with("as it was"), "{list:?}");
    assert!(lines[2].starts_with("  after-update (now)"), "{list:?}");
    assert_eq!(computer.run(&["snapshots", "note", name, "after-update", "fine", "--wait"]).await.code, 0);
    assert_eq!(computer.run(&["snapshots", "rollback", name, "before-update"]).await.code, 2, "nobody can be asked");
    let back = computer.run(&["snapshots", "rollback", name, "before-update", "--yes", "--wait"]).await;
    assert_eq!(back.code, 0, "{back:?}");
    let json = computer.run(&["snapshots", "list", name, "-o", "json"]).await.json();
    assert_eq!(json["parent"], "before-update");
    assert_eq!(computer.run(&["snapshots", "delete", name, "after-update", "--wait"]).await.code, 0);
    let none = computer.run(&["snapshots", "rollback", name, "after-update", "--yes", "--wait"]).await;
    assert_ne!(none.code, 0, "{none:?}");
}

#[tokio::test]
async fn a_template_is_built_from_the_catalogue_and_deleted() {
    let (cluster, publisher) = (cluster(0.05).await, crate::templates::publisher().await);
    let appliance = crate::templates::appliance(&cluster, &publisher).await;
    let computer = sign_in(&appliance).await;
    let images = computer.run(&["templates", "images", "--look"]).await;
    assert!(images.out.lines().any(|l| l.starts_with("debian-13 ")), "{images:?}");
    let words =
        ["templates", "build", "debian-13", "--node", "pve1", "--bridge", "vmbr0", "--disk", "6G", "--name", "trixie"];
    let unknown = computer.run(&["templates", "build", "no-such", "--node", "pve1", "--bridge", "vmbr0"]).await;
    assert!(matches!(unknown.code, 2 | 3), "{unknown:?}");
    let built = computer.run(&[&words[..], &["--wait"]].concat()).await;
    assert_eq!(built.code, 0, "{built:?}");
    appliance.until("/api/v1/guests?q=trixie", 20, |v| v["total"] == 1).await;
    let list = computer.run(&["templates", "list"]).await;
    let line = list.out.lines().find(|l| l.contains("trixie")).unwrap_or_else(|| panic!("{list:?}"));
    assert!(line.contains("Debian 13 (trixie)") && line.contains("6 GiB"), "{list:?}");
    let unsure = computer.run(&["templates", "delete", "trixie"]).await;
    assert!(unsure.code == 2 && unsure.err.contains("--yes"), "{unsure:?}");
    let (no, seen) =
        at_terminal(&computer, &["templates", "delete", "trixie"], "Delete trixie for good? [y/N] ", "n").await;
    assert!(no.code == 1 && no.out.is_empty(), "{no:?} {seen}");
    let deleted = computer.run(&["templates", "delete", "trixie", "--yes", "--wait"]).await;
    assert_eq!(deleted.code, 0, "{deleted:?}");
}

#[tokio::test]
async fn what_ended_and_what_is_away_have_exit_codes_of_their_own() {
    let (_cluster, mut appliance, computer) = signed_in().await;
    let tokens = appliance.ask("GET", "/api/v1/me/tokens", None).await.json();
    let id = tokens["tokens"][0]["id"].as_str().unwrap().to_owned();
    assert_eq!(computer.run(&["context", "use", "nowhere"]).await.code, 3);
    assert!(computer.run(&["context", "list"]).await.out.contains("home"));
    assert_eq!(computer.run(&["guests", "list", "-c", "nowhere"]).await.code, 3);
    // Taken back meanwhile, on the page or by somebody else's logout.
    assert_eq!(appliance.ask("DELETE", &format!("/api/v1/me/tokens/{id}"), None).await.status, 204);
    let refused = computer.run(&["guests", "list"]).await;
    assert_eq!(refused.code, 5, "{refused:?}");
    assert!(refused.err.contains("steward login"), "{refused:?}");
    appliance.stop().await;
    let away = computer.run(&["guests", "list"]).await;
    assert_eq!(away.code, 4, "{away:?}");
    assert!(away.err.contains("No Steward answers"), "{away:?}");
    let kept = computer.run(&["logout"]).await;
    assert_eq!(kept.code, 4, "{kept:?}");
    assert_eq!(computer.run(&["logout", "--local"]).await.code, 0);
    let nobody = computer.run(&["guests", "list"]).await;
    assert_eq!(nobody.code, 5, "{nobody:?}");
    assert!(!std::fs::read_to_string(computer.file()).unwrap().contains("stw_"));
}

/// Reads what the terminal shows until `mark` is there.
fn shown_until(terminal: &mut std::fs::File, seen: &mut String, mark: &str) {
    let began = Instant::now();
    let mut buffer = [0; 4096];
    while !seen.contains(mark) {
        assert!(began.elapsed() < Duration::from_secs(30), "{mark:?} is not shown: {seen}");
        let count = terminal.read(&mut buffer).unwrap_or(0);
        seen.push_str(&String::from_utf8_lossy(&buffer[..count]));
    }
}

/// Runs a command for somebody at a terminal who answers its question; also what the terminal showed.
async fn at_terminal(computer: &Computer, words: &[&str], question: &str, answer: &str) -> (Said, String) {
    let pty = nix::pty::openpty(None, None).unwrap();
    let (terminal, slave) = (std::fs::File::from(pty.master), std::fs::File::from(pty.slave));
    let mut command = computer.command(words);
    command.stdin(slave.try_clone().unwrap()).stderr(slave.try_clone().unwrap()).stdout(Stdio::piped());
    let child = command.spawn().unwrap();
    drop((command, slave));
    let (question, answer) = (question.to_owned(), format!("{answer}\n"));
    let typed = tokio::task::spawn_blocking(move || {
        let (mut terminal, mut seen) = (terminal, String::new());
        shown_until(&mut terminal, &mut seen, &question);
        terminal.write_all(answer.as_bytes()).unwrap();
        (terminal, seen)
    });
    let said = Said::from(child.wait_with_output().await.unwrap());
    let (_terminal, seen) = typed.await.unwrap();
    (said, seen)
}

#[tokio::test]
async fn a_password_typed_at_the_terminal_is_not_shown_and_becomes_a_token() {
    let (_cluster, appliance, _) = signed_in().await;
    let computer = Computer::new();
    let pty = nix::pty::openpty(None, None).unwrap();
    let (terminal, slave) = (std::fs::File::from(pty.master), std::fs::File::from(pty.slave));
    let mut command = computer.command(&["login", &url(&appliance), "--user", "mira", "-c", "home"]);
    command.stdin(slave.try_clone().unwrap()).stderr(slave.try_clone().unwrap()).stdout(Stdio::piped());
    let child = command.spawn().unwrap();
    drop((command, slave));
    let typed = tokio::task::spawn_blocking(move || {
        let (mut terminal, mut seen) = (terminal, String::new());
        shown_until(&mut terminal, &mut seen, "Is it the same? [y/N] ");
        terminal.write_all(b"y\n").unwrap();
        shown_until(&mut terminal, &mut seen, "Password of mira: ");
        terminal.write_all(format!("{PASSWORD}\n").as_bytes()).unwrap();
        shown_until(&mut terminal, &mut seen, "mira: \r\n");
        seen
    });
    let said = Said::from(child.wait_with_output().await.unwrap());
    let seen = typed.await.unwrap();
    assert_eq!(said.code, 0, "{said:?} {seen}");
    assert!(seen.contains("SHA-256") && !seen.contains(PASSWORD), "{seen}");
    assert!(said.out.contains("as mira (operate)"), "{said:?}");
    let tokens = appliance.ask("GET", "/api/v1/me/tokens", None).await.json();
    let own = tokens["tokens"].as_array().unwrap().iter().find(|t| t["current"] == false).unwrap().clone();
    assert!(own["name"].as_str().unwrap().starts_with("steward on "), "{own}");
    assert_eq!(own["scope"], "operate");
    assert!(own["expires"].is_string());
    let me = computer.run(&["whoami"]).await;
    assert!(me.out.contains("mira") && me.out.contains("operate"), "{me:?}");
    assert_eq!(computer.run(&["api", "POST", "/me/tokens", r#"{"name":"x","scope":"full"}"#]).await.code, 1);
    assert_eq!(computer.run(&["logout"]).await.code, 0);
    let left = appliance.ask("GET", "/api/v1/me/tokens", None).await.json();
    assert_eq!(left["tokens"].as_array().unwrap().len(), 1, "logout takes the token back: {left}");
}

#[tokio::test]
async fn a_console_opens_in_the_terminal_and_closes_with_its_key() {
    let (_cluster, _appliance, computer) = signed_in().await;
    let all = computer.run(&["guests", "list", "-f", "status:running", "-o", "json"]).await.json();
    let guest = all.as_array().unwrap().iter().find(|g| g["kind"] == "container").expect("a running container").clone();
    let name = guest["name"].as_str().unwrap().to_owned();
    assert_eq!(computer.run(&["console", &name]).await.code, 2, "a pipe is no terminal");
    let pty = nix::pty::openpty(None, None).unwrap();
    let (terminal, slave) = (std::fs::File::from(pty.master), std::fs::File::from(pty.slave));
    let mut command = computer.command(&["console", &name]);
    command.stdin(slave.try_clone().unwrap()).stderr(slave.try_clone().unwrap()).stdout(slave.try_clone().unwrap());
    let mut child = command.spawn().unwrap();
    drop((command, slave));
    let typed = tokio::task::spawn_blocking(move || {
        let (mut terminal, mut seen) = (terminal, String::new());
        shown_until(&mut terminal, &mut seen, "Connected.");
        terminal.write_all(b"echo what-was-typed-$((1))\r").unwrap();
        shown_until(&mut terminal, &mut seen, "what-was-typed");
        terminal.write_all(b"hostname\r").unwrap();
        shown_until(&mut terminal, &mut seen, &name);
        terminal.write_all(&[0x1d]).unwrap();
        (terminal, seen)
    });
    let (_terminal, seen) = typed.await.unwrap();
    let ended = tokio::time::timeout(Duration::from_secs(20), child.wait()).await.unwrap().unwrap();
    assert!(ended.success(), "{ended:?} {seen}");
}

#[tokio::test]
async fn the_shell_completes_names_of_machines() {
    let (_cluster, appliance, computer) = signed_in().await;
    let list = computer.run(&["guests", "list", "-f", "status:running", "-o", "json"]).await.json();
    let name = list[0]["name"].as_str().unwrap();
    let start = &name[..2];
    let complete = async |words: &[&str]| {
        let mut command = computer.command(&["--", "steward"]);
        command.args(words).env("COMPLETE", "bash").env("_CLAP_COMPLETE_INDEX", words.len().to_string());
        let output = command.env("_CLAP_IFS", "\n").output().await.unwrap();
        String::from_utf8(output.stdout).unwrap()
    };
    let names = complete(&["guests", "stop", start]).await;
    assert!(names.lines().any(|l| l == name), "{names}");
    assert!(names.lines().all(|l| l.starts_with(start)), "{names}");
    assert!(complete(&["guests", "st"]).await.lines().any(|l| l == "start"));
    assert!(complete(&["guests", "create", "x", "--node", ""]).await.contains("pve1"));
    // Away or not signed in: nothing, and no error.
    drop(appliance);
    assert_eq!(complete(&["guests", "stop", start]).await.trim(), "");
    let script = computer.run(&["completion", "bash"]).await;
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("steward.bash");
    std::fs::write(&file, &script.out).unwrap();
    let checked = Command::new("bash").arg("-n").arg(&file).output().await.unwrap();
    assert!(script.code == 0 && checked.status.success(), "{checked:?}");
    let pages = computer.run(&["man", "--all", folder.path().to_str().unwrap()]).await;
    assert_eq!(pages.code, 0, "{pages:?}");
    assert!(folder.path().join("steward-guests-start.1").exists());
}

#[tokio::test]
async fn a_machine_is_shared_and_handed_over() {
    let (_cluster, appliance, computer) = signed_in().await;
    let invited = appliance.command(&["user", "add", "jon"]).output().await.unwrap();
    assert!(invited.status.success(), "{invited:?}");
    let list = computer.run(&["guests", "list", "-f", "-is:template", "-o", "json"]).await.json();
    let name = list[0]["name"].as_str().unwrap();
    assert!(computer.run(&["guests", "access", name]).await.out.contains("shared with nobody"));
    let shared = computer.run(&["guests", "share", name, "jon", "--right", "use"]).await;
    assert_eq!(shared.code, 0, "{shared:?}");
    let access = computer.run(&["guests", "access", name]).await;
    assert!(access.out.lines().any(|l| l.starts_with("jon") && l.contains("use")), "{access:?}");
    assert_eq!(computer.run(&["guests", "unshare", name, "jon"]).await.code, 0);
    assert!(computer.run(&["guests", "access", name]).await.out.contains("shared with nobody"));
    let given = computer.run(&["guests", "give", name, "jon"]).await;
    assert_eq!(given.code, 0, "{given:?}");
    assert_eq!(computer.run(&["guests", "show", name, "-o", "json"]).await.json()["owner"], "jon");
    let nobody = computer.run(&["guests", "share", name, "no-such-person"]).await;
    assert!(matches!(nobody.code, 2 | 3), "{nobody:?}");
}

#[tokio::test]
async fn machines_are_copied_moved_and_treated_together() {
    let (_cluster, appliance, computer) = signed_in().await;
    let all = computer.run(&["guests", "list", "-f", "status:stopped -is:template", "-o", "json"]).await.json();
    let vm = all.as_array().unwrap().iter().find(|g| g["kind"] == "vm").expect("a stopped machine").clone();
    let (name, node) = (vm["name"].as_str().unwrap(), vm["node"].as_str().unwrap());
    let copied = computer.run(&["guests", "clone", name, "copy-01", "--wait"]).await;
    assert_eq!(copied.code, 0, "{copied:?}");
    let show = async |name: &str| computer.run(&["guests", "show", name, "-o", "json"]).await.json();
    assert_eq!(show("copy-01").await["node"], node);

    let check = computer.run(&["guests", "migrate", "copy-01", "-o", "json"]).await.json();
    let there = check["nodes"].as_array().unwrap().iter().find(|n| n["problems"] == serde_json::json!([]));
    let there = there.unwrap_or_else(|| panic!("{check}"))["name"].as_str().unwrap();
    let moved = computer.run(&["guests", "migrate", "copy-01", there, "--disks", "--wait"]).await;
    assert_eq!(moved.code, 0, "{moved:?}");
    assert_eq!(show("copy-01").await["node"], there);

    let words = ["guests", "bulk", "tags", "--add", "together", name, "copy-01", "--wait"];
    assert_eq!(computer.run(&words).await.code, 0);
    // Until the next look the list shows the old ones.
    appliance.until("/api/v1/guests?q=tag:together", 20, |v| v["total"] == 2).await;
    let again = computer.run(&words).await;
    assert_eq!(again.code, 1, "{again:?}");
    assert!(again.err.contains("Skipped copy-01: It already has exactly these tags."), "{again:?}");
    let taken = computer.run(&["guests", "bulk", "snapshot", "safe", "--filter", "tag:together", "--wait"]).await;
    assert_eq!(taken.code, 0, "{taken:?}");
    assert!(computer.run(&["snapshots", "list", "copy-01"]).await.out.contains("safe"));
    let none = computer.run(&["guests", "bulk", "snapshot", "safe", "--filter", "tag:no-such-tag"]).await;
    assert_eq!(none.code, 2, "{none:?}");
}

#[tokio::test]
async fn what_goes_for_good_is_asked_at_the_terminal_with_what_hangs_on_it() {
    let (_cluster, _appliance, computer) = signed_in().await;
    let all = computer.run(&["guests", "list", "-f", "status:stopped -is:template", "-o", "json"]).await.json();
    let vm = all.as_array().unwrap().iter().find(|g| g["kind"] == "vm").expect("a stopped machine").clone();
    let name = vm["name"].as_str().unwrap().to_owned();
    let unsure = computer.run(&["guests", "bulk", "delete", &name]).await;
    assert_eq!(unsure.code, 2, "nobody can be asked here: {unsure:?}");
    for (answer, code) in [("n", 1), ("y", 0)] {
        let words = ["guests", "bulk", "delete", &name, "--wait"];
        let (said, seen) = at_terminal(&computer, &words, "Delete for good 1 machine? [y/N] ", answer).await;
        assert!(seen.contains("go with everything on them"), "{seen}");
        assert_eq!(said.code, code, "{answer}: {said:?} {seen}");
    }
    assert_eq!(computer.run(&["guests", "show", &name]).await.code, 3);
}

#[tokio::test]
async fn hardware_is_shown_planned_and_changed() {
    let (_cluster, _appliance, computer) = signed_in().await;
    let all = computer.run(&["guests", "list", "-f", "status:stopped -is:template", "-o", "json"]).await.json();
    let vm = all.as_array().unwrap().iter().find(|g| g["kind"] == "vm").expect("a stopped machine").clone();
    let name = vm["name"].as_str().unwrap();
    let cores = if vm["cores"] == 3.0 { "2" } else { "3" };
    let request = format!("cores={cores}");
    let planned = computer.run(&["hardware", "set", name, &request, "--dry-run"]).await;
    assert_eq!(planned.code, 0, "{planned:?}");
    assert!(planned.out.lines().any(|l| l.starts_with("cores")), "{planned:?}");
    let set = computer.run(&["hardware", "set", name, &request, "--wait"]).await;
    assert_eq!(set.code, 0, "{set:?}");
    let shown = computer.run(&["hardware", "show", name, "-o", "json"]).await.json();
    let setting = shown["settings"].as_array().unwrap().iter().find(|s| s["key"] == "cores").unwrap().clone();
    assert_eq!(setting["current"], cores, "{setting}");
    let disk = shown["disks"].as_array().unwrap().iter().find(|d| d["kind"] == "disk").unwrap().clone();
    let (key, size) = (disk["key"].as_str().unwrap(), (disk["size"].as_u64().unwrap() >> 30) + 4);
    let words = ["hardware", "disk", "grow", name, key, "--size", &size.to_string(), "--wait"];
    let grown = computer.run(&words).await;
    assert_eq!(grown.code, 0, "{grown:?}");
    let added = computer.run(&["hardware", "nic", "add", name, "--bridge", "vmbr0", "--wait"]).await;
    assert_eq!(added.code, 0, "{added:?}");
    let shown = computer.run(&["hardware", "show", name]).await;
    assert!(shown.out.contains(&format!("{size} GiB")) && shown.out.contains("net1"), "{shown:?}");
    let more = computer.run(&["hardware", "set", name, "memory=3G", "--wait"]).await;
    assert_eq!(more.code, 0, "{more:?}");
    let shown = computer.run(&["hardware", "show", name, "-o", "json"]).await.json();
    let memory = shown["settings"].as_array().unwrap().iter().find(|s| s["key"] == "memory").unwrap().clone();
    assert_eq!(memory["current"], "3072", "{memory}");
    let refused = computer.run(&["hardware", "set", name, "bridge=vmbr77", "--dry-run"]).await;
    assert!(refused.code == 1 && refused.err.contains("bridge: ") && refused.err.contains("vmbr77"), "{refused:?}");
    assert_eq!(computer.run(&["hardware", "set", name, "colour=red"]).await.code, 2);
    let words = ["software", "install", name, "software-adguard", "--set", "password=three green lamps"];
    let secret = computer.run(&words).await;
    assert!(secret.code == 2 && secret.err.contains("--set-file password=FILE"), "{secret:?}");
    let twice = computer.run(&["hardware", "set", name, "cores=1", "cores=2"]).await;
    assert!(twice.code == 2 && twice.err.contains("twice"), "{twice:?}");
}

#[tokio::test]
async fn quotas_are_set_and_what_is_not_named_stays() {
    let (_cluster, appliance, computer) = signed_in().await;
    let invited = appliance.command(&["user", "add", "jon"]).output().await.unwrap();
    assert!(invited.status.success(), "{invited:?}");
    let all = computer.run(&["quotas", "set", "everybody", "machines=4", "memory=8G"]).await;
    assert!(all.code == 0 && all.out.contains("8 GiB"), "{all:?}");
    assert_eq!(computer.run(&["quotas", "set", "jon", "cores=6", "disk=unlimited"]).await.code, 0);
    let set = computer.run(&["quotas", "set", "jon", "cores=8", "-o", "json"]).await.json();
    assert_eq!(
        set["own"],
        serde_json::json!({ "machines": "usual", "cores": 8, "memory": "usual", "disk": "unlimited" })
    );
    let shown = computer.run(&["quotas", "show", "jon"]).await;
    assert!(shown.out.lines().any(|l| l.starts_with("memory") && l.contains("8 GiB")), "{shown:?}");
    let list = computer.run(&["quotas", "list"]).await;
    assert!(list.out.lines().any(|l| l.starts_with("jon") && l.contains("0 of 4")), "{list:?}");
    assert_eq!(computer.run(&["quotas", "show", "no-such-person"]).await.code, 3);
    assert_eq!(computer.run(&["quotas", "set", "jon", "colour=3"]).await.code, 2);
    assert_eq!(computer.run(&["quotas", "show", "-o", "json"]).await.json()["login"], "mira");
}

#[tokio::test]
async fn profiles_are_listed_applied_and_machines_made_with_them() {
    let (_cluster, _appliance, computer) = signed_in().await;
    let list = computer.run(&["profiles", "list"]).await;
    assert!(list.out.lines().any(|l| l.starts_with("Small") && l.contains("1 GiB memory")), "{list:?}");
    let shown = computer.run(&["profiles", "show", "windows desktop"]).await;
    assert!(shown.out.lines().any(|l| l.starts_with("firmware") && l.contains("ovmf")), "{shown:?}");
    assert_eq!(computer.run(&["profiles", "show", "none"]).await.code, 3);
    let all = computer.run(&["guests", "list", "-f", "status:stopped -is:template kind:vm", "-o", "json"]).await.json();
    let name = all[0]["name"].as_str().unwrap();
    let planned = computer.run(&["profiles", "apply", name, "Windows desktop", "--dry-run"]).await;
    assert_eq!(planned.code, 0, "{planned:?}");
    assert!(planned.out.contains("system") && planned.out.contains("firmware stays"), "{planned:?}");
    let applied = computer.run(&["profiles", "apply", name, "Small", "--wait"]).await;
    assert_eq!(applied.code, 0, "{applied:?}");
    let shown = computer.run(&["hardware", "show", name, "-o", "json"]).await.json();
    let memory = shown["settings"].as_array().unwrap().iter().find(|s| s["key"] == "memory").unwrap().clone();
    assert_eq!(memory["current"], "1024", "{memory}");
    assert_eq!(computer.run(&["profiles", "apply", name, "none"]).await.code, 2);
    let templates = computer.run(&["guests", "list", "-f", "is:template kind:vm node:pve1", "-o", "json"]).await.json();
    let template = templates[0]["vmid"].to_string();
    let words = ["guests", "create", "by-profile", "--node", "pve1", "--template", &template, "--profile", "small"];
    let lacks = computer.run(&words).await;
    assert!(lacks.code == 2 && lacks.err.contains("bridge"), "{lacks:?}");
    let mut words = words.to_vec();
    words.extend(["--bridge", "vmbr0", "--no-start", "--wait", "--memory", "2G"]);
    let made = computer.run(&words).await;
    assert_eq!(made.code, 0, "{made:?}");
    let list = computer.run(&["profiles", "list", "-o", "json"]).await.json();
    let small = list.as_array().unwrap().iter().find(|p| p["name"] == "Small").unwrap().clone();
    assert_eq!(small["machines"], 2, "{small}");
}
