//! The Proxmox client and plugin against fakepve, a fake of the API by other people (PyPI, a test tool only).
//!
//! Our own simulated cluster and our client could share a wrong idea of Proxmox; this one was written from
//! Proxmox's sources by somebody else: parameters, rights, texts and task ids are checked a second time.

mod client;
mod hooks;

use base::Secret;
use rcgen::{CertificateParams, KeyPair};
use remote::pve::{PveClient, Target, Trust};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::Mutex;

/// A running fakepve. It ends when this is dropped.
pub struct FakePve {
    child: Child,
    pipes: Mutex<(ChildStdin, BufReader<ChildStdout>)>,
    pub url: String,
    pub pin: [u8; 32],
    secret: String,
    _files: tempfile::TempDir,
}

impl FakePve {
    /// Starts one with the guests of `tests/peers/fakepve_harness.py`.
    pub fn start() -> Self {
        let files = tempfile::tempdir().unwrap();
        let key = KeyPair::generate().unwrap();
        let cert = CertificateParams::new(vec!["127.0.0.1".to_owned()]).unwrap().self_signed(&key).unwrap();
        let (cert_file, key_file) = (files.path().join("cert.pem"), files.path().join("key.pem"));
        std::fs::write(&cert_file, cert.pem()).unwrap();
        std::fs::write(&key_file, key.serialize_pem()).unwrap();
        let mut child = Command::new(python())
            .arg(root().join("tests/peers/fakepve_harness.py"))
            .args(["--cert".as_ref(), cert_file.as_os_str(), "--key".as_ref(), key_file.as_os_str()])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let stdin = child.stdin.take().unwrap();
        let mut stdout = BufReader::new(child.stdout.take().unwrap());
        let hello = read(&mut stdout);
        Self {
            child,
            pipes: Mutex::new((stdin, stdout)),
            url: hello["url"].as_str().unwrap().to_owned(),
            pin: Sha256::digest(cert.der()).into(),
            secret: hello["secret"].as_str().unwrap().to_owned(),
            _files: files,
        }
    }

    /// Gives the harness an order and returns what stands under `ok`.
    pub fn order(&self, order: &Value) -> Value {
        let mut pipes = self.pipes.lock().unwrap();
        writeln!(pipes.0, "{order}").unwrap();
        let told = read(&mut pipes.1);
        assert!(told.get("error").is_none(), "{order}: {told}");
        told["ok"].clone()
    }

    pub fn call(&self, name: &str, args: &Value) -> Value {
        self.order(&json!({"call": name, "args": args}))
    }

    pub fn guest(&self, vmid: u32) -> Value {
        self.order(&json!({ "guest": vmid }))
    }

    /// A client with the token `steward@pve!<name>`: full, reader or nothing.
    pub fn client(&self, token: &str) -> PveClient {
        PveClient::new(Target {
            endpoints: vec![self.url.clone()],
            trust: Trust::Fingerprints(vec![self.pin]),
            token_id: format!("steward@pve!{token}"),
            token_secret: Secret::new(self.secret.clone()),
        })
        .unwrap()
    }
}

impl Drop for FakePve {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn read(from: &mut BufReader<ChildStdout>) -> Value {
    let mut line = String::new();
    from.read_line(&mut line).unwrap();
    serde_json::from_str(&line).unwrap_or_else(|_| panic!("fakepve ended or said something else: {line:?}"))
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The Python with fakepve: the project's own environment, or what STEWARD_TEST_PYTHON names.
fn python() -> PathBuf {
    let python =
        std::env::var_os("STEWARD_TEST_PYTHON").map_or_else(|| root().join(".tools/venv/bin/python"), PathBuf::from);
    let has_it = Command::new(&python)
        .args(["-c", "import importlib.util as u, sys; sys.exit(u.find_spec('fakepve') is None)"])
        .output()
        .is_ok_and(|o| o.status.success());
    assert!(has_it, "fakepve is missing for these tests. Run scripts/setup-tests venv first (or make test).");
    python
}
