//! The listener itself: real sockets, real TLS, an orderly end.

use app::App;
use axum::body::Body;
use base::{Secret, SystemClock};
use config::Settings;
use crypto::SealKey;
use http::{Request, StatusCode, header};
use http_body_util::BodyExt;
use hyper::client::conn::{http1, http2};
use hyper_util::rt::{TokioExecutor, TokioIo};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, ServerName};
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::{TcpSocket, TcpStream};
use tokio::task::JoinHandle;
use tokio_rustls::client::TlsStream;
use tokio_rustls::{TlsConnector, rustls};
use tokio_util::sync::CancellationToken;
use web::Server;

struct Running {
    app: App,
    address: SocketAddr,
    stop: CancellationToken,
    task: JoinHandle<()>,
}

async fn start(folder: &Path) -> Running {
    web::install_crypto();
    let settings = Settings {
        built_in: embedded::FILES,
        listen: vec!["127.0.0.1:0".parse().unwrap()],
        data_dir: folder.to_owned(),
        plugins_dir: None,
        ..Settings::default()
    };
    let app = App::open(settings, SealKey::from_bytes([7; 64]), Arc::new(SystemClock)).unwrap();
    let stop = CancellationToken::new();
    let server = Server::bind(&app, stop.clone()).await.unwrap();
    let address = server.addresses()[0];
    let task = tokio::spawn(async move { server.serve().await.unwrap() });
    Running { app, address, stop, task }
}

impl Running {
    async fn connect(&self, protocol: &str) -> TlsStream<TcpStream> {
        self.connect_from("127.0.0.1", protocol).await
    }

    /// A TLS connection that trusts only the certificate that the appliance keeps.
    async fn connect_from(&self, source: &str, protocol: &str) -> TlsStream<TcpStream> {
        let (chain, _) = self.app.certificate().get().unwrap().unwrap();
        let mut roots = rustls::RootCertStore::empty();
        roots.add(CertificateDer::from_pem_slice(chain.as_bytes()).unwrap()).unwrap();
        let mut config = rustls::ClientConfig::builder().with_root_certificates(roots).with_no_client_auth();
        config.alpn_protocols = vec![protocol.as_bytes().to_vec()];
        let socket = TcpSocket::new_v4().unwrap();
        socket.bind(SocketAddr::new(source.parse().unwrap(), 0)).unwrap();
        let socket = socket.connect(self.address).await.unwrap();
        let name = ServerName::try_from("localhost").unwrap();
        TlsConnector::from(Arc::new(config)).connect(name, socket).await.unwrap()
    }

    async fn end(self) {
        self.stop.cancel();
        tokio::time::timeout(Duration::from_secs(5), self.task).await.expect("it ends in time").unwrap();
        self.app.close();
    }
}

fn get(path: &str) -> Request<Body> {
    Request::get(path).header(header::HOST, "localhost").body(Body::empty()).unwrap()
}

#[tokio::test]
async fn both_versions_of_http_are_spoken_over_tls() {
    let folder = tempfile::tempdir().unwrap();
    let running = start(folder.path()).await;
    let (mut one, connection) = http1::handshake(TokioIo::new(running.connect("http/1.1").await)).await.unwrap();
    tokio::spawn(connection);
    let answer = one.send_request(get("/healthz")).await.unwrap();
    assert_eq!((answer.status(), answer.version()), (StatusCode::OK, http::Version::HTTP_11));
    let stream = running.connect("h2").await;
    let (mut two, connection) = http2::handshake(TokioExecutor::new(), TokioIo::new(stream)).await.unwrap();
    tokio::spawn(connection);
    let answer =
        two.send_request(Request::get("https://localhost/healthz").body(Body::empty()).unwrap()).await.unwrap();
    assert_eq!((answer.status(), answer.version()), (StatusCode::OK, http::Version::HTTP_2));
    assert_eq!(answer.into_body().collect().await.unwrap().to_bytes(), "ok\n");
    drop((one, two));
    running.end().await;
}

/// As 2,048 connections of one address once kept everybody out: HTTP/2, its pings answered, no request on it.
#[tokio::test]
async fn idle_connections_of_one_address_leave_room_for_others_and_for_itself() {
    use tokio::io::AsyncReadExt as _;
    let folder = tempfile::tempdir().unwrap();
    let running = start(folder.path()).await;
    let ask = async |source: &str| {
        let stream = running.connect_from(source, "h2").await;
        let (mut client, connection) = http2::handshake(TokioExecutor::new(), TokioIo::new(stream)).await.unwrap();
        tokio::spawn(connection);
        let asked = Request::get("https://localhost/healthz").body(Body::empty()).unwrap();
        assert_eq!(client.send_request(asked).await.unwrap().status(), StatusCode::OK, "{source}");
    };
    let mut idle = Vec::new();
    for _ in 0..100 {
        idle.push(running.connect_from("127.0.0.2", "h2").await);
    }
    ask("127.0.0.3").await;
    ask("127.0.0.2").await;
    let mut open = 0;
    for stream in &mut idle {
        let mut bytes = [0; 1024];
        let closed = async { while !matches!(stream.read(&mut bytes).await, Ok(0) | Err(_)) {} };
        open += usize::from(tokio::time::timeout(Duration::from_millis(50), closed).await.is_err());
    }
    assert!((1..=64).contains(&open), "{open} of 100 idle ones are open");
    drop(idle);
    running.end().await;
}

#[tokio::test]
async fn the_certificate_stays_the_same_over_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let first = start(folder.path()).await;
    let before = first.app.certificate().get().unwrap().unwrap().0;
    first.end().await;
    let second = start(folder.path()).await;
    assert_eq!(second.app.certificate().get().unwrap().unwrap().0, before);
    second.connect("h2").await;
    second.end().await;
}

#[tokio::test]
async fn an_open_event_stream_ends_with_the_service() {
    let folder = tempfile::tempdir().unwrap();
    let running = start(folder.path()).await;
    let code = running.app.setup().code().unwrap().expose().clone();
    let password = Secret::new("three green lamps".to_owned());
    let signed_in = running.app.setup().first_admin(&code, "root", password, "test", "127.0.0.1").await.unwrap();
    let (mut client, connection) = http1::handshake(TokioIo::new(running.connect("http/1.1").await)).await.unwrap();
    tokio::spawn(connection);
    let mut request = get("/events");
    let cookie = format!("__Host-steward={}", signed_in.cookie.expose());
    request.headers_mut().insert(header::COOKIE, cookie.parse().unwrap());
    let answer = client.send_request(request).await.unwrap();
    assert_eq!(answer.status(), StatusCode::OK);
    assert!(answer.headers().get(header::CONTENT_ENCODING).is_none(), "a packed stream would arrive late");
    let whole = tokio::spawn(answer.into_body().collect());
    tokio::time::sleep(Duration::from_millis(200)).await;
    running.end().await;
    let text = whole.await.unwrap().unwrap().to_bytes();
    assert!(String::from_utf8_lossy(&text).contains("event: health"));
}

#[tokio::test]
async fn a_refused_request_leaves_its_connection_usable_or_says_that_it_closes() {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let folder = tempfile::tempdir().unwrap();
    let running = start(folder.path()).await;
    let mut stream = running.connect("http/1.1").await;
    let head = |length: usize| {
        let kind = "content-type: application/json";
        format!("POST /api/v1/guests HTTP/1.1\r\nhost: localhost\r\n{kind}\r\ncontent-length: {length}\r\n\r\n")
    };
    let mut buffer = [0; 8192];
    for n in 0..10 {
        // The body comes when the refusal could be out already.
        stream.write_all(head(12).as_bytes()).await.unwrap();
        stream.flush().await.unwrap();
        tokio::time::sleep(Duration::from_millis(30)).await;
        stream.write_all(br#"{"name":"x"}"#).await.unwrap();
        stream.flush().await.unwrap();
        let read = tokio::time::timeout(Duration::from_secs(5), stream.read(&mut buffer)).await.unwrap();
        let answer = String::from_utf8_lossy(&buffer[..read.unwrap_or(0)]).to_lowercase();
        assert!(answer.starts_with("http/1.1 401"), "request {n}: {answer:?}");
        assert!(!answer.contains("connection: close"), "request {n}: {answer}");
    }
    stream.write_all(head(100 << 20).as_bytes()).await.unwrap();
    stream.flush().await.unwrap();
    let read = tokio::time::timeout(Duration::from_secs(5), stream.read(&mut buffer)).await.unwrap().unwrap();
    let answer = String::from_utf8_lossy(&buffer[..read]).to_lowercase();
    assert!(answer.starts_with("http/1.1 401") && answer.contains("connection: close"), "{answer}");
    running.end().await;
}

#[tokio::test]
async fn a_client_that_does_not_speak_tls_is_let_go() {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let folder = tempfile::tempdir().unwrap();
    let running = start(folder.path()).await;
    let mut plain = TcpStream::connect(running.address).await.unwrap();
    plain.write_all(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
    let mut rest = Vec::new();
    // A TLS alert and the end, or a reset; never an answer.
    let _ = plain.read_to_end(&mut rest).await;
    assert!(!rest.starts_with(b"HTTP/"));
    running.end().await;
}
