//! `steward proxmox join` and `leave`: the real binary with a stand-in for `pveum` and `pvesh` that carries out what
//! it is told on the simulated cluster.

use crate::appliance::Appliance;
use serde_json::Value;
use sim::{self, Sim};
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

/// A Proxmox node: the cluster, its `/etc/pve`, its tools on the PATH, and a Steward that knows nothing of it.
struct Node {
    cluster: Sim,
    appliance: Appliance,
    folder: tempfile::TempDir,
}

#[derive(Debug)]
struct Said {
    code: i32,
    out: String,
    err: String,
}

impl Node {
    async fn new() -> Self {
        web::install_crypto();
        let options = sim::Options { nodes: 2, guests: 8, time_scale: 0.05, bare: true, ..sim::Options::default() };
        let cluster = sim::start(options).await.unwrap();
        let folder = tempfile::tempdir().unwrap();
        let mut appliance = Appliance::alone().await;
        appliance.start().await;
        let node = Self { cluster, appliance, folder };
        std::fs::create_dir_all(node.path("pve/priv")).unwrap();
        std::fs::create_dir_all(node.path("pve/local")).unwrap();
        std::fs::write(node.path("pve/pve-root-ca.pem"), &node.cluster.ca_pem).unwrap();
        std::fs::create_dir(node.path("bin")).unwrap();
        let tools = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/peers/pve-tools");
        for name in ["pveum", "pvesh"] {
            symlink(&tools, node.path("bin").join(name)).unwrap();
        }
        let (url, password) = (&node.cluster.url, node.cluster.root_password.expose());
        std::fs::write(node.path("pve-sim"), format!("url={url}\npassword={password}\n")).unwrap();
        node
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn environment(&self, command: &mut tokio::process::Command) {
        let path = format!("{}:{}", self.path("bin").display(), std::env::var("PATH").unwrap());
        command.env("PATH", path).env("PVE_SIM", self.path("pve-sim")).env("PVE_TOOLS_LOG", self.path("tools.log"));
    }

    /// What root would type on the node.
    async fn pveum(&self, words: &[&str]) -> String {
        let mut command = tokio::process::Command::new(self.path("bin/pveum"));
        command.args(words);
        self.environment(&mut command);
        let output = command.output().await.unwrap();
        assert!(output.status.success(), "{words:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    }

    async fn json(&self, words: &[&str]) -> Value {
        let text = self.pveum(words).await;
        serde_json::from_str(&text).unwrap_or_else(|e| panic!("{e}: {text}"))
    }

    async fn steward(&self, appliance: &Appliance, words: &[&str]) -> Said {
        let mut all = vec!["proxmox"];
        all.extend(words);
        let (pve, record) = (self.path("pve"), appliance.path("proxmox-join"));
        all.extend(["--endpoint", &self.cluster.url, "--pve-dir", pve.to_str().unwrap()]);
        all.extend(["--record", record.to_str().unwrap()]);
        let mut command = appliance.command(&all);
        self.environment(&mut command);
        let output = command.output().await.unwrap();
        Said {
            code: output.status.code().unwrap_or(-1),
            out: String::from_utf8(output.stdout).unwrap(),
            err: String::from_utf8(output.stderr).unwrap(),
        }
    }

    async fn join(&self) -> Said {
        self.steward(&self.appliance, &["join"]).await
    }

    async fn users(&self) -> Vec<String> {
        let users = self.json(&["user", "list"]).await;
        users.as_array().unwrap().iter().map(|u| u["userid"].as_str().unwrap().to_owned()).collect()
    }

    async fn tokens(&self) -> Vec<String> {
        let tokens = self.json(&["user", "token", "list", "steward@pve"]).await;
        tokens.as_array().unwrap().iter().map(|t| t["tokenid"].as_str().unwrap().to_owned()).collect()
    }
}

async fn connections(appliance: &Appliance) -> Vec<Value> {
    appliance.ask("GET", "/api/v1/connections", None).await.json()["connections"].as_array().unwrap().clone()
}

async fn sees_machines(appliance: &Appliance) {
    appliance.until("/api/v1/guests", 20, |v| v["total"].as_u64() >= Some(8)).await;
    appliance.until("/api/v1/connections", 20, |v| v["connections"][0]["reach"]["state"] == "here").await;
}

#[tokio::test]
async fn one_command_joins_the_proxmox_of_this_host() {
    let node = Node::new().await;
    let dry = node.steward(&node.appliance, &["join", "--dry-run"]).await;
    assert_eq!(dry.code, 0, "{dry:?}");
    assert!(dry.out.contains("  pveum role add Steward --privs VM.Audit,"), "{dry:?}");
    assert!(!node.users().await.contains(&"steward@pve".to_owned()), "a dry run makes nothing");
    assert!(!node.appliance.path("proxmox-join").exists());

    let joined = node.join().await;
    assert_eq!(joined.code, 0, "{joined:?}");
    assert!(joined.out.contains("+ pveum user token add steward@pve appliance-"), "{joined:?}");
    assert!(joined.out.contains("nothing is missing"), "{joined:?}");
    sees_machines(&node.appliance).await;
    let row = connections(&node.appliance).await[0].clone();
    let token = row["token_id"].as_str().unwrap().to_owned();
    assert!(token.starts_with("steward@pve!appliance-"), "{row}");
    assert_eq!(row["endpoints"][0], node.cluster.url);
    // The secret went from pveum to the store, past the terminal.
    let looks_secret = |text: &str| text.split([' ', '\n', '"']).any(|w| w.len() == 36 && w.matches('-').count() == 4);
    assert!(!looks_secret(&joined.out) && !looks_secret(&joined.err), "{joined:?}");
    assert!(!looks_secret(&std::fs::read_to_string(node.appliance.path("proxmox-join")).unwrap()));
    // Just the rights that the plugin asks for, and a user that can't sign in.
    let roles = node.json(&["role", "list"]).await;
    let role = roles.as_array().unwrap().iter().find(|r| r["roleid"] == "Steward").unwrap();
    let privileges = role["privs"].as_str().unwrap();
    assert!(privileges.contains("VM.PowerMgmt") && !privileges.contains("Sys.Modify"), "{privileges}");

    let again = node.join().await;
    assert_eq!(again.code, 0, "{again:?}");
    assert!(again.out.contains("already has all it needs") && !again.out.contains("+ pveum"), "{again:?}");
    assert_eq!(connections(&node.appliance).await.len(), 1);

    // A right that was taken away comes back.
    node.pveum(&["role", "modify", "Steward", "--privs", "VM.Audit,Sys.Audit"]).await;
    let mended = node.join().await;
    assert!(mended.code == 0 && mended.out.contains("+ pveum role modify Steward --append 1 --privs"), "{mended:?}");
}

#[tokio::test]
async fn leaving_removes_all_that_was_made_and_nothing_joins_by_itself_afterwards() {
    let node = Node::new().await;
    assert_eq!(node.join().await.code, 0);
    sees_machines(&node.appliance).await;
    let left = node.steward(&node.appliance, &["leave"]).await;
    assert_eq!(left.code, 0, "{left:?}");
    assert!(connections(&node.appliance).await.is_empty());
    assert!(!node.users().await.contains(&"steward@pve".to_owned()));
    assert!(!node.pveum(&["role", "list"]).await.contains("\"Steward\""));
    assert!(!node.pveum(&["acl", "list"]).await.contains("steward@pve"));
    let by_itself = node.steward(&node.appliance, &["join", "--at-start"]).await;
    assert_eq!(by_itself.code, 0, "{by_itself:?}");
    assert!(by_itself.out.contains("made to leave"), "{by_itself:?}");
    assert!(connections(&node.appliance).await.is_empty());
    assert_eq!(node.join().await.code, 0);
    sees_machines(&node.appliance).await;
}

#[tokio::test]
async fn two_stewards_on_one_cluster_keep_out_of_each_others_way() {
    let node = Node::new().await;
    let mut other = Appliance::alone().await;
    other.start().await;
    assert_eq!(node.join().await.code, 0);
    assert_eq!(node.steward(&other, &["join"]).await.code, 0);
    assert_eq!(node.tokens().await.len(), 2);
    sees_machines(&node.appliance).await;
    sees_machines(&other).await;
    let left = node.steward(&other, &["leave"]).await;
    assert!(left.code == 0 && left.out.contains("Kept: steward@pve"), "{left:?}");
    assert_eq!(node.tokens().await.len(), 1);
    node.appliance.ask("POST", "/api/v1/inventory/refresh", None).await;
    sees_machines(&node.appliance).await;
}

#[tokio::test]
async fn the_package_joins_by_itself_and_follows_the_nodes_certificate() {
    let node = Node::new().await;
    let joined = node.steward(&node.appliance, &["join", "--at-start"]).await;
    assert_eq!(joined.code, 0, "{joined:?}");
    sees_machines(&node.appliance).await;
    std::fs::remove_file(node.path("tools.log")).unwrap();
    let quiet = node.steward(&node.appliance, &["join", "--at-start"]).await;
    assert_eq!((quiet.code, quiet.out.as_str()), (0, ""), "{quiet:?}");
    assert!(!node.path("tools.log").exists(), "looking every few minutes starts none of Proxmox's tools");
    // An own certificate is put in: just that one counts from now on.
    let key = rcgen::KeyPair::generate().unwrap();
    let own = rcgen::CertificateParams::new(vec!["pve1.example".to_owned()]).unwrap().self_signed(&key).unwrap();
    std::fs::write(node.path("pve/local/pveproxy-ssl.pem"), own.pem()).unwrap();
    let followed = node.steward(&node.appliance, &["join", "--at-start"]).await;
    assert!(followed.code == 0 && followed.out.contains("has changed"), "{followed:?}");
    let state = |v: &Value, wanted: &str| v["connections"][0]["reach"]["state"] == wanted;
    node.appliance.until("/api/v1/connections", 20, |v| state(v, "away")).await;
    // And taken away again.
    std::fs::remove_file(node.path("pve/local/pveproxy-ssl.pem")).unwrap();
    assert_eq!(node.steward(&node.appliance, &["join", "--at-start"]).await.code, 0);
    node.appliance.until("/api/v1/connections", 20, |v| state(v, "here")).await;
}

#[tokio::test]
async fn an_admin_trusts_the_clusters_ca_from_the_connections_page() {
    use crate::house::House;
    use app::Actor;
    web::install_crypto();
    let cluster = sim::start(sim::Options { nodes: 2, guests: 8, ..sim::Options::default() }).await.unwrap();
    let house = House::new();
    let mut admin = house.admin().await;
    let row = crate::appliance::connection(&cluster);
    let id = house.app.connections().add_known(&Actor::host_console(), row).await.unwrap();
    let page = format!("/settings/connections/{id}");
    let form = |ca: &str| {
        let mut form = url::form_urlencoded::Serializer::new(String::new());
        form.extend_pairs([("name", "Home"), ("trust_by", "ca"), ("ca", ca), ("addresses", &cluster.url)]);
        form.extend_pairs([("vmid_min", "100"), ("vmid_max", "9999")]);
        form.finish()
    };
    let wrong = admin.send(&page, &page, &form("not a certificate")).await;
    assert!(wrong.body.contains("not a CA certificate in PEM form"), "{}", wrong.body);
    let saved = admin.send(&page, &page, &form(&cluster.ca_pem)).await;
    assert_eq!(saved.status, http::StatusCode::SEE_OTHER, "{}", saved.body);
    let shown = house.app.connections().get(&Actor::host_console(), id).unwrap();
    assert!(shown.fingerprints.is_empty() && shown.ca.is_some(), "{shown:?}");
    // It answers by the CA, also when the node's certificate is renewed.
    assert!(house.app.connections().probe(&Actor::host_console(), id).await.is_ok());
    let other = sim::start(sim::Options { nodes: 2, guests: 8, ..sim::Options::default() }).await.unwrap();
    let saved = admin.send(&page, &page, &form(&other.ca_pem)).await;
    assert_eq!(saved.status, http::StatusCode::SEE_OTHER, "{}", saved.body);
    let refused = house.app.connections().probe(&Actor::host_console(), id).await.unwrap_err();
    assert!(refused.message().contains("not from the cluster"), "{}", refused.message());
}

#[tokio::test]
async fn a_stopped_steward_is_joined_too_and_sees_the_machines_when_it_starts() {
    let mut node = Node::new().await;
    node.appliance.stop().await;
    let joined = node.join().await;
    assert_eq!(joined.code, 0, "{joined:?}");
    node.appliance.start().await;
    sees_machines(&node.appliance).await;
}

#[tokio::test]
async fn without_quorum_or_without_proxmox_nothing_is_made_and_it_is_said() {
    let node = Node::new().await;
    node.cluster.faults().quorum(false);
    let refused = node.join().await;
    assert_eq!(refused.code, 1, "{refused:?}");
    assert!(refused.err.contains("no quorum"), "{refused:?}");
    node.cluster.faults().quorum(true);
    assert!(!node.users().await.contains(&"steward@pve".to_owned()));
    std::fs::remove_dir_all(node.path("pve")).unwrap();
    let unmounted = node.join().await;
    assert!(unmounted.code == 1 && unmounted.err.contains("pve-cluster"), "{unmounted:?}");
    std::fs::remove_dir_all(node.path("bin")).unwrap();
    let none = node.join().await;
    assert!(none.code == 1 && none.err.contains("no Proxmox"), "{none:?}");
    let by_itself = node.steward(&node.appliance, &["join", "--at-start"]).await;
    assert!(by_itself.code == 0 && by_itself.out.contains("nothing to join"), "{by_itself:?}");
}
