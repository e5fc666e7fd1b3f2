//! The real binary in a process of its own, so that it can be killed, beside a simulated cluster in this one.

use app::{Actor, App};
use base::ids::ConnectionId;
use base::{Clock, Secret, SystemClock};
use config::Settings;
use crypto::appliance;
use model::connections::{Connection, Limits, PveAccess, Transport, Trust};
use model::sessions::Scope;
use serde_json::Value;
use sim::{self, Sim};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::process::{Child, Command};

pub const PASSWORD: &str = "three green lamps";

/// A data folder with an admin and a connection, and the process that serves it.
pub struct Appliance {
    folder: tempfile::TempDir,
    pub address: SocketAddr,
    pub token: String,
    child: Option<Child>,
    /// More settings of the process, as in its environment.
    pub settings_more: Vec<(&'static str, String)>,
    /// The data folder is on a disk of this many KiB, which only the process sees.
    pub small_disk: Option<u32>,
}

/// An answer of the REST API.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub body: String,
}

impl Answer {
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|e| panic!("{e}: {self:?}"))
    }
}

/// A small cluster; a task that takes a minute there takes `60 * time_scale` seconds.
pub async fn cluster(time_scale: f64) -> Sim {
    web::install_crypto();
    sim::start(sim::Options { nodes: 2, guests: 8, time_scale, ..sim::Options::default() }).await.unwrap()
}

/// The connection's row for a cluster.
pub fn connection(cluster: &Sim) -> Connection {
    Connection {
        id: ConnectionId::new(),
        name: "Test".to_owned(),
        plugin: "proxmox".to_owned(),
        transport: Transport::Pve(PveAccess {
            endpoints: vec![cluster.url.clone()],
            trust: Trust::Fingerprints(vec![cluster.fingerprint.to_vec()]),
            token_id: cluster.token_id.clone(),
            token_secret: cluster.token_secret.clone(),
        }),
        limits: Limits::default(),
        created: SystemClock.now(),
        identity: None,
    }
}

/// The same command in a mount namespace of its own, so that the small disk is gone with it. That needs root.
fn on_a_small_disk(command: &Command, folder: &Path, kib: u32) -> Command {
    let script = format!(
        "cp -a \"$0\" \"$0.own\" && mount -t tmpfs -o size={kib}k steward-test \"$0\" && cp -a \"$0.own/.\" \"$0\" && exec \"$@\""
    );
    let command = command.as_std();
    let mut small = Command::new("unshare");
    small.args(["--mount", "--propagation", "private", "--", "sh", "-c", &script]).arg(folder);
    small.arg(command.get_program()).args(command.get_args()).stdin(Stdio::null()).kill_on_drop(true);
    small.envs(command.get_envs().filter_map(|(name, value)| Some((name, value?))));
    small
}

impl Appliance {
    /// Makes the folder, the first admin, a token and the connection. Nothing runs yet.
    pub async fn prepare(cluster: &Sim) -> Self {
        let appliance = Self::alone().await;
        let app = appliance.open();
        app.connections().add_known(&Actor::host_console(), connection(cluster)).await.unwrap();
        app.close();
        appliance
    }

    /// The same without a connection.
    pub async fn alone() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let address = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let mut appliance =
            Self { folder, address, token: String::new(), child: None, settings_more: Vec::new(), small_disk: None };
        let app = appliance.open();
        let code = app.setup().code().unwrap();
        let password = Secret::new(PASSWORD.to_owned());
        let signed_in = app.setup().first_admin(code.expose(), "mira", password, "test", "127.0.0.1").await.unwrap();
        let mira = app.sessions().authenticate(signed_in.cookie.expose(), "127.0.0.1").unwrap();
        let (_, token) = app.tokens().create(&mira, "test", Scope::Full, None).await.unwrap();
        appliance.token = token.expose().clone();
        app.close();
        appliance
    }

    pub fn settings(&self) -> Settings {
        Settings {
            built_in: embedded::FILES,
            listen: vec![self.address],
            data_dir: self.path("data"),
            key_file: self.path("appliance.key"),
            socket: self.path("steward.sock"),
            plugins_dir: None,
            images_file: Some(self.path("images.toml")),
            poll_seconds: 1,
            ..Settings::default()
        }
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// The store in this process; only while the appliance does not run.
    pub fn open(&self) -> App {
        let settings = self.settings();
        std::fs::create_dir_all(&settings.data_dir).unwrap();
        let key = appliance::load(None, &settings.key_file, true).unwrap();
        App::open(settings, key, Arc::new(SystemClock)).unwrap()
    }

    pub fn command(&self, words: &[&str]) -> Command {
        let settings = self.settings();
        let mut command = Command::new(env!("CARGO_BIN_EXE_steward"));
        command
            .args(words)
            .env("STEWARD_CONFIG", self.path("none.toml"))
            .env("STEWARD_LISTEN", settings.listen[0].to_string())
            .env("STEWARD_DATA_DIR", &settings.data_dir)
            .env("STEWARD_KEY_FILE", &settings.key_file)
            .env("STEWARD_SOCKET", &settings.socket)
            .env("STEWARD_PLUGINS_DIR", self.path("plugins"))
            .env("STEWARD_IMAGES_FILE", self.path("images.toml"))
            .env("STEWARD_POLL_SECONDS", "1")
            .env("STEWARD_LOG", "warn")
            .envs(self.settings_more.iter().map(|(name, value)| (*name, value.as_str())))
            .stdin(Stdio::null())
            .kill_on_drop(true);
        std::fs::write(self.path("none.toml"), "").unwrap();
        command
    }

    /// Starts the process and waits until it answers.
    pub async fn start(&mut self) {
        let log = std::fs::OpenOptions::new().create(true).append(true).open(self.path("log")).unwrap();
        let mut command = self.command(&["serve"]);
        if let Some(kib) = self.small_disk {
            command = on_a_small_disk(&command, &self.settings().data_dir, kib);
        }
        self.child = Some(command.stdout(Stdio::null()).stderr(log).spawn().unwrap());
        let began = Instant::now();
        while self.try_ask("GET", "/readyz", None).await.is_none_or(|a| a.status != 200) {
            assert!(began.elapsed() < Duration::from_secs(30), "it does not answer: {}", self.log());
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    pub fn log(&self) -> String {
        std::fs::read_to_string(self.path("log")).unwrap_or_default()
    }

    /// The process, to look into its memory.
    pub fn pid(&self) -> u32 {
        self.child.as_ref().and_then(Child::id).unwrap()
    }

    /// SIGKILL, as by a power cut.
    pub async fn kill(&mut self) {
        let mut child = self.child.take().unwrap();
        child.kill().await.unwrap();
    }

    /// SIGTERM, as systemd does; the exit must be orderly.
    pub async fn stop(&mut self) {
        let mut child = self.child.take().unwrap();
        let pid = nix::unistd::Pid::from_raw(i32::try_from(child.id().unwrap()).unwrap());
        nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGTERM).unwrap();
        let status = tokio::time::timeout(Duration::from_secs(25), child.wait()).await.unwrap().unwrap();
        assert!(status.success(), "{status}: {}", self.log());
    }

    /// One REST call.
    pub async fn ask(&self, method: &str, path: &str, body: Option<Value>) -> Answer {
        self.ask_with(method, path, &[], body).await
    }

    /// The same with more headers.
    pub async fn ask_with(&self, method: &str, path: &str, headers: &[(&str, &str)], body: Option<Value>) -> Answer {
        let answer = self.send(method, path, headers, body).await;
        answer.unwrap_or_else(|| panic!("no answer to {method} {path}: {}", self.log()))
    }

    async fn try_ask(&self, method: &str, path: &str, body: Option<Value>) -> Option<Answer> {
        self.send(method, path, &[], body).await
    }

    async fn send(&self, method: &str, path: &str, headers: &[(&str, &str)], body: Option<Value>) -> Option<Answer> {
        let tcp = TcpStream::connect(self.address).await.ok()?;
        let name = rustls::pki_types::ServerName::try_from("localhost").unwrap();
        let mut tls = any_certificate().connect(name, tcp).await.ok()?;
        let body = body.map(|b| b.to_string()).unwrap_or_default();
        let headers: String = headers.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
        let request = format!(
            "{method} {path} HTTP/1.1\r\nhost: {}\r\n{headers}authorization: Bearer {}\r\ncontent-type: application/json\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}",
            self.address,
            self.token,
            body.len(),
        );
        tls.write_all(request.as_bytes()).await.ok()?;
        let mut raw = Vec::new();
        // A peer that closes without TLS' goodbye is fine: the length tells whether all is there.
        let _ = tls.read_to_end(&mut raw).await;
        let text = String::from_utf8_lossy(&raw).into_owned();
        let (head, body) = text.split_once("\r\n\r\n")?;
        let status = head.split(' ').nth(1)?.parse().ok()?;
        Some(Answer { status, body: dechunk(head, body) })
    }

    /// A POST whose body is a file.
    pub async fn send_file(&self, path: &str, file: &[u8]) -> Answer {
        let tcp = TcpStream::connect(self.address).await.unwrap();
        let name = rustls::pki_types::ServerName::try_from("localhost").unwrap();
        let mut tls = any_certificate().connect(name, tcp).await.unwrap();
        let head = format!(
            "POST {path} HTTP/1.1\r\nhost: {}\r\nauthorization: Bearer {}\r\ncontent-type: application/octet-stream\r\ncontent-length: {}\r\nconnection: close\r\n\r\n",
            self.address,
            self.token,
            file.len(),
        );
        tls.write_all(head.as_bytes()).await.unwrap();
        // A refusal may come before all is sent.
        let _ = tls.write_all(file).await;
        let mut raw = Vec::new();
        let _ = tls.read_to_end(&mut raw).await;
        let text = String::from_utf8_lossy(&raw).into_owned();
        let (head, body) = text.split_once("\r\n\r\n").unwrap();
        Answer { status: head.split(' ').nth(1).unwrap().parse().unwrap(), body: dechunk(head, body) }
    }

    /// A request as a browser sends it: no token, only these headers. The whole answer as text.
    pub async fn raw(&self, method: &str, path: &str, headers: &[(&str, &str)], body: &str) -> String {
        let tcp = TcpStream::connect(self.address).await.unwrap();
        let name = rustls::pki_types::ServerName::try_from("localhost").unwrap();
        let mut tls = any_certificate().connect(name, tcp).await.unwrap();
        let headers: String = headers.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
        let length = body.len();
        let head = format!(
            "{method} {path} HTTP/1.1\r\nhost: {}\r\n{headers}content-length: {length}\r\nconnection: close\r\n",
            self.address
        );
        tls.write_all(format!("{head}\r\n{body}").as_bytes()).await.unwrap();
        let mut raw = Vec::new();
        let _ = tls.read_to_end(&mut raw).await;
        String::from_utf8_lossy(&raw).into_owned()
    }

    /// Waits until `path`'s JSON satisfies `done`.
    pub async fn until(&self, path: &str, seconds: u64, done: impl Fn(&Value) -> bool) -> Value {
        let began = Instant::now();
        loop {
            let value = self.ask("GET", path, None).await.json();
            if done(&value) {
                return value;
            }
            assert!(began.elapsed() < Duration::from_secs(seconds), "{path} stays {value:#}\n{}", self.log());
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }
}

fn dechunk(head: &str, body: &str) -> String {
    if !head.to_lowercase().contains("transfer-encoding: chunked") {
        return body.to_owned();
    }
    let (mut out, mut rest) = (String::new(), body);
    while let Some((size, tail)) = rest.split_once("\r\n") {
        let Ok(size) = usize::from_str_radix(size.trim(), 16) else { break };
        if size == 0 || tail.len() < size {
            break;
        }
        out.push_str(&tail[..size]);
        rest = tail[size..].trim_start_matches("\r\n");
    }
    out
}

/// The certificate was made by the appliance for itself a moment ago; who it is is not what is tested here.
pub fn any_certificate() -> tokio_rustls::TlsConnector {
    use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
    use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
    use rustls::{DigitallySignedStruct, Error, SignatureScheme};
    #[derive(Debug)]
    struct Any;
    impl ServerCertVerifier for Any {
        fn verify_server_cert(
            &self,
            _: &CertificateDer<'_>,
            _: &[CertificateDer<'_>],
            _: &ServerName<'_>,
            _: &[u8],
            _: UnixTime,
        ) -> Result<ServerCertVerified, Error> {
            Ok(ServerCertVerified::assertion())
        }
        fn verify_tls12_signature(
            &self,
            _: &[u8],
            _: &CertificateDer<'_>,
            _: &DigitallySignedStruct,
        ) -> Result<HandshakeSignatureValid, Error> {
            Ok(HandshakeSignatureValid::assertion())
        }
        fn verify_tls13_signature(
            &self,
            _: &[u8],
            _: &CertificateDer<'_>,
            _: &DigitallySignedStruct,
        ) -> Result<HandshakeSignatureValid, Error> {
            Ok(HandshakeSignatureValid::assertion())
        }
        fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
            rustls::crypto::aws_lc_rs::default_provider().signature_verification_algorithms.supported_schemes()
        }
    }
    web::install_crypto();
    let config = rustls::ClientConfig::builder()
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(Any))
        .with_no_client_auth();
    tokio_rustls::TlsConnector::from(Arc::new(config))
}
