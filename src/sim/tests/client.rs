//! A raw HTTPS client: what is sent is exactly what the test wrote.

use crate::{Options, Sim, start};
use rustls::pki_types::pem::PemObject as _;
use rustls::{ClientConfig, RootCertStore};
use rustls_pki_types::{CertificateDer, ServerName};
use serde_json::Value;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

pub struct Cluster {
    pub sim: Sim,
    pub auth: String,
}

/// What came back, read to the end.
#[derive(Debug)]
pub struct Reply {
    pub status: u16,
    pub reason: String,
    pub headers: String,
    pub body: String,
}

impl Reply {
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|e| panic!("{e}: {self:?}"))
    }

    pub fn data(&self) -> Value {
        assert_eq!(self.status, 200, "{self:?}");
        self.json()["data"].clone()
    }

    pub fn error(&self, name: &str) -> String {
        assert_eq!(self.status, 400, "{self:?}");
        self.json()["errors"][name].as_str().unwrap_or_else(|| panic!("no error for {name}: {self:?}")).to_owned()
    }

    pub fn message(&self) -> String {
        self.json()["message"].as_str().unwrap_or_default().trim().to_owned()
    }
}

/// A hundred times faster than the real thing.
pub async fn cluster() -> Cluster {
    with(Options { nodes: 3, guests: 30, time_scale: 0.01, ..Options::default() }).await
}

pub async fn with(options: Options) -> Cluster {
    let sim = start(options).await.unwrap();
    let auth = format!("Authorization: PVEAPIToken={}={}\r\n", sim.token_id, sim.token_secret.expose());
    Cluster { sim, auth }
}

impl Cluster {
    pub async fn connect(&self) -> TlsStream<TcpStream> {
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from_pem_slice(self.sim.ca_pem.as_bytes()).unwrap()).unwrap();
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let builder = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
        let config = builder.with_root_certificates(roots).with_no_client_auth();
        let tcp = TcpStream::connect(self.sim.url.trim_start_matches("https://")).await.unwrap();
        let name = ServerName::try_from("localhost").unwrap();
        TlsConnector::from(Arc::new(config)).connect(name, tcp).await.unwrap()
    }

    /// Sends the text as it is and reads until the other side closes.
    pub async fn raw(&self, text: &str) -> Reply {
        let mut tls = self.connect().await;
        tls.write_all(text.as_bytes()).await.unwrap();
        let mut all = Vec::new();
        let _ = tls.read_to_end(&mut all).await;
        parse(&all)
    }

    pub async fn ask(&self, method: &str, path: &str, headers: &str, body: &str) -> Reply {
        let length = if body.is_empty() { String::new() } else { format!("Content-Length: {}\r\n", body.len()) };
        let text = format!(
            "{method} /api2/json{path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n{headers}{length}\r\n{body}"
        );
        self.raw(&text).await
    }

    pub async fn get(&self, path: &str) -> Reply {
        self.ask("GET", path, &self.auth, "").await
    }

    pub async fn post(&self, path: &str, form: &str) -> Reply {
        self.form("POST", path, form).await
    }

    pub async fn put(&self, path: &str, form: &str) -> Reply {
        self.form("PUT", path, form).await
    }

    pub async fn delete(&self, path: &str) -> Reply {
        self.ask("DELETE", path, &self.auth, "").await
    }

    async fn form(&self, method: &str, path: &str, form: &str) -> Reply {
        let headers = format!("{}Content-Type: application/x-www-form-urlencoded\r\n", self.auth);
        self.ask(method, path, &headers, form).await
    }

    /// Polls a task to its end and gives its exit text.
    pub async fn exit(&self, reply: &Reply) -> String {
        let upid = reply.data().as_str().unwrap_or_else(|| panic!("no task: {reply:?}")).to_owned();
        let node = upid.split(':').nth(1).unwrap().to_owned();
        for _ in 0..1000 {
            let status = self.get(&format!("/nodes/{node}/tasks/{}/status", upid.replace('!', "%21"))).await.data();
            if status["status"] == "stopped" {
                return status["exitstatus"].as_str().unwrap().to_owned();
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        panic!("{upid} does not end");
    }

    /// Node of a guest.
    pub fn node_of(&self, vmid: u32) -> String {
        self.sim.world.read(|c| c.guests[&vmid].node.clone())
    }

    /// A fresh small machine on pve1, stopped.
    pub async fn machine(&self, vmid: u32, more: &str) -> String {
        let form = format!(
            "vmid={vmid}&name=test-{vmid}&ostype=l26&memory=1024&cores=2&scsi0=local-lvm:8&net0=virtio%2Cbridge%3Dvmbr0{more}"
        );
        let reply = self.post("/nodes/pve1/qemu", &form).await;
        assert_eq!(self.exit(&reply).await, "OK");
        format!("/nodes/pve1/qemu/{vmid}")
    }

    /// The same, running.
    pub async fn running(&self, vmid: u32, more: &str) -> String {
        let path = self.machine(vmid, more).await;
        let reply = self.post(&format!("{path}/status/start"), "").await;
        assert_eq!(self.exit(&reply).await, "OK");
        path
    }
}

pub fn parse(all: &[u8]) -> Reply {
    let text = String::from_utf8_lossy(all);
    let (head, body) = text.split_once("\r\n\r\n").unwrap_or_else(|| panic!("no answer: {text:?}"));
    let (line, headers) = head.split_once("\r\n").unwrap_or((head, ""));
    let mut parts = line.splitn(3, ' ');
    parts.next();
    Reply {
        status: parts.next().and_then(|s| s.parse().ok()).unwrap(),
        reason: parts.next().unwrap_or_default().to_owned(),
        headers: headers.to_ascii_lowercase(),
        body: body.to_owned(),
    }
}
