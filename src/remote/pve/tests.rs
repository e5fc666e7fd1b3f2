//! The client against small local servers that answer what the test says, byte by byte.

use super::*;
use base::Secret;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls_pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use serde_json::{Value, json};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;

/// What the server does with one request.
#[derive(Clone)]
enum Reply {
    /// Writes this and keeps the connection.
    Say(String),
    /// Writes this after a while.
    Slowly(Duration, String),
    /// Closes without a word.
    HangUp,
}

fn ok(data: &Value) -> Reply {
    say(200, "OK", &json!({"data": data}).to_string())
}

fn say(status: u16, reason: &str, body: &str) -> Reply {
    Reply::Say(format!("HTTP/1.1 {status} {reason}\r\nContent-Length: {}\r\n\r\n{body}", body.len()))
}

/// A TLS server whose certificate the test chooses.
struct Server {
    url: String,
    pin: [u8; 32],
    connections: Arc<AtomicUsize>,
    requests: Arc<Mutex<Vec<String>>>,
}

impl Server {
    async fn start(answer: impl Fn(usize, &str) -> Reply + Send + Sync + 'static) -> Self {
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
        let cert = params.self_signed(&key).unwrap();
        Self::with_certificate(vec![cert.der().clone()], &key, answer).await
    }

    async fn with_certificate(
        chain: Vec<CertificateDer<'static>>,
        key: &KeyPair,
        answer: impl Fn(usize, &str) -> Reply + Send + Sync + 'static,
    ) -> Self {
        let pin = crate::tls::fingerprint(&chain[0]);
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let config = rustls::ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(chain, PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der())))
            .unwrap();
        let acceptor = TlsAcceptor::from(Arc::new(config));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("https://{}", listener.local_addr().unwrap());
        let server = Self { url, pin, connections: Arc::default(), requests: Arc::default() };
        let (connections, requests) = (Arc::clone(&server.connections), Arc::clone(&server.requests));
        let answer = Arc::new(answer);
        tokio::spawn(async move {
            while let Ok((tcp, _)) = listener.accept().await {
                connections.fetch_add(1, Ordering::SeqCst);
                let (acceptor, requests, answer) = (acceptor.clone(), Arc::clone(&requests), Arc::clone(&answer));
                tokio::spawn(async move { serve(tcp, &acceptor, &requests, &*answer).await });
            }
        });
        server
    }

    fn trust(&self) -> Trust {
        Trust::Fingerprints(vec![self.pin])
    }

    fn client(&self) -> PveClient {
        PveClient::new(target(&[&self.url], self.trust())).unwrap()
    }

    fn seen(&self) -> Vec<String> {
        self.requests.lock().unwrap().clone()
    }
}

async fn serve(
    tcp: TcpStream,
    acceptor: &TlsAcceptor,
    requests: &Mutex<Vec<String>>,
    answer: &(dyn Fn(usize, &str) -> Reply + Send + Sync),
) {
    let Ok(mut tls) = acceptor.accept(tcp).await else { return };
    while let Some(request) = read_request(&mut tls).await {
        let number = {
            let mut all = requests.lock().unwrap();
            all.push(request.clone());
            all.len()
        };
        let text = match answer(number, &request) {
            Reply::Say(text) => text,
            Reply::Slowly(wait, text) => {
                tokio::time::sleep(wait).await;
                text
            }
            Reply::HangUp => return,
        };
        if tls.write_all(text.as_bytes()).await.is_err() {
            return;
        }
        let _ = tls.flush().await;
    }
}

async fn read_request(stream: &mut (impl AsyncReadExt + Unpin)) -> Option<String> {
    let mut bytes = Vec::new();
    let mut one = [0; 1];
    while !bytes.ends_with(b"\r\n\r\n") {
        stream.read_exact(&mut one).await.ok()?;
        bytes.push(one[0]);
    }
    let head = String::from_utf8(bytes).ok()?;
    let length = head
        .lines()
        .find_map(|l| l.to_ascii_lowercase().strip_prefix("content-length:").map(|n| n.trim().parse::<usize>()))
        .map_or(0, |n| n.unwrap());
    let mut body = vec![0; length];
    stream.read_exact(&mut body).await.ok()?;
    Some(head + &String::from_utf8(body).ok()?)
}

fn target(endpoints: &[&str], trust: Trust) -> Target {
    Target {
        endpoints: endpoints.iter().map(|e| (*e).to_owned()).collect(),
        trust,
        token_id: "steward@pve!appliance".to_owned(),
        token_secret: Secret::new("11111111-2222-3333-4444-555555555555".to_owned()),
    }
}

/// An address where nothing listens.
async fn dead() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    format!("https://{}", listener.local_addr().unwrap())
}

#[tokio::test]
async fn a_call_carries_the_token_and_its_parameters_where_proxmox_reads_them() {
    let server = Server::start(|_, _| ok(&json!({"release": "9.2"}))).await;
    let client = server.client();
    let params = json!({"purge": true, "x": "a;b"});
    assert_eq!(client.call("GET", "/version", &Value::Null).await.unwrap()["release"], "9.2");
    client.call("POST", "/nodes/pve1/qemu", &params).await.unwrap();
    client.call("DELETE", "/nodes/pve1/qemu/100", &params).await.unwrap();
    client.call("POST", "/nodes/pve1/qemu/100/status/start", &Value::Null).await.unwrap();
    let seen = server.seen();
    assert!(seen[0].starts_with("GET /api2/json/version HTTP/1.1\r\n"), "{}", seen[0]);
    assert!(seen[0].contains("PVEAPIToken=steward@pve!appliance=11111111-2222"), "{}", seen[0]);
    assert!(!seen[0].to_lowercase().contains("content-length") && !seen[0].contains("accept-encoding"));
    assert!(seen[1].ends_with("\r\n\r\npurge=1&x=a%3Bb"), "{}", seen[1]);
    assert!(seen[2].starts_with("DELETE /api2/json/nodes/pve1/qemu/100?purge=1&x=a%3Bb HTTP"), "{}", seen[2]);
    assert!(!seen[2].to_lowercase().contains("transfer-encoding"), "{}", seen[2]);
    assert!(seen[3].to_lowercase().contains("content-length: 0"), "{}", seen[3]);
    assert_eq!(server.connections.load(Ordering::SeqCst), 1, "one connection serves all");
}

#[tokio::test]
async fn an_unknown_certificate_is_refused_named_and_nothing_is_sent() {
    let server = Server::start(|_, _| ok(&Value::Null)).await;
    let client = PveClient::new(target(&[&server.url], Trust::Fingerprints(vec![[7; 32]]))).unwrap();
    let e = client.call("GET", "/version", &Value::Null).await.unwrap_err();
    assert_eq!(e.kind, PveErrorKind::Unreachable);
    assert!(e.message.contains("different certificate"), "{e}");
    assert_eq!(e.errors["certificate"], hex::encode(server.pin));
    assert!(server.seen().is_empty());
}

#[tokio::test]
async fn the_certificate_can_be_looked_at_without_trusting_it() {
    let server = Server::start(|_, _| ok(&Value::Null)).await;
    let info = fetch_certificate(&server.url).await.unwrap();
    assert_eq!(info.sha256, server.pin);
    assert_eq!(info.names, ["localhost"]);
    assert!(info.fingerprint().starts_with(&format!("{:02X}:", server.pin[0])));
    assert!(server.seen().is_empty());
    let e = fetch_certificate(&dead().await).await.unwrap_err();
    assert_eq!(e.kind, PveErrorKind::Unreachable);
    assert!(e.message.ends_with("connection refused. Is it switched on?"), "{e}");
}

/// A CA and a server certificate from it for `name`.
fn issue(name: &str) -> (String, CertificateDer<'static>, KeyPair) {
    let mut params = CertificateParams::new(Vec::<String>::new()).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let ca = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
    let key = KeyPair::generate().unwrap();
    let leaf = CertificateParams::new(vec![name.to_owned()]).unwrap().signed_by(&key, &ca).unwrap();
    (ca.pem(), leaf.der().clone(), key)
}

#[tokio::test]
async fn with_a_ca_both_the_chain_and_the_address_must_fit() {
    let (ca, leaf, key) = issue("127.0.0.1");
    let good = Server::with_certificate(vec![leaf], &key, |_, _| ok(&json!(1))).await;
    let call = async |pem: &str, url: &str| {
        let client = PveClient::new(target(&[url], Trust::Ca(pem.to_owned()))).unwrap();
        client.call("GET", "/version", &Value::Null).await
    };
    call(&ca, &good.url).await.unwrap();
    let (other_ca, leaf, key) = issue("pve9.example");
    let e = call(&other_ca, &good.url).await.unwrap_err();
    assert!(e.message.ends_with("is not from the cluster's CA."), "{e}");
    let misnamed = Server::with_certificate(vec![leaf], &key, |_, _| ok(&json!(1))).await;
    let e = call(&other_ca, &misnamed.url).await.unwrap_err();
    assert!(e.message.ends_with("is for another name or address."), "{e}");
    assert_eq!(PveClient::new(target(&["x"], Trust::Ca("no pem".into()))).unwrap_err().kind, PveErrorKind::Invalid);
}

#[tokio::test]
async fn an_error_only_in_the_status_line_is_read() {
    let server = Server::start(|_, _| say(401, "Authentication failed!", "")).await;
    let e = server.client().call("GET", "/version", &Value::Null).await.unwrap_err();
    assert_eq!((e.kind, e.status), (PveErrorKind::Auth, 401));
    assert!(e.message.contains("does not accept the token (Authentication failed)"), "{e}");
}

#[tokio::test]
async fn a_get_that_meets_a_closing_connection_is_sent_once_more() {
    let server = Server::start(|n, _| if n == 1 { Reply::HangUp } else { ok(&json!("here")) }).await;
    assert_eq!(server.client().call("GET", "/version", &Value::Null).await.unwrap(), "here");
    assert_eq!(server.seen().len(), 2);
    let server = Server::start(|_, _| Reply::HangUp).await;
    let e = server.client().call("GET", "/version", &Value::Null).await.unwrap_err();
    assert_eq!((e.kind, server.seen().len()), (PveErrorKind::Unreachable, 2));
}

#[tokio::test]
async fn a_write_is_never_sent_twice() {
    let server = Server::start(|_, _| Reply::HangUp).await;
    let other = Server::start(|_, _| ok(&Value::Null)).await;
    let trust = Trust::Fingerprints(vec![server.pin, other.pin]);
    let client = PveClient::new(target(&[&server.url, &other.url], trust)).unwrap();
    let e = client.call("POST", "/nodes/pve1/qemu/100/status/start", &Value::Null).await.unwrap_err();
    assert_eq!(e.kind, PveErrorKind::Timeout);
    assert!(e.message.contains("The outcome is unknown"), "{e}");
    assert_eq!((server.seen().len(), other.seen().len()), (1, 0));
}

#[tokio::test]
async fn a_dead_address_is_passed_over_and_the_working_one_kept() {
    let server = Server::start(|_, _| ok(&Value::Null)).await;
    let client = PveClient::new(target(&[&dead().await, &server.url], server.trust())).unwrap();
    client.call("POST", "/nodes/pve1/qemu", &json!({"vmid": 100})).await.unwrap();
    client.call("GET", "/version", &Value::Null).await.unwrap();
    assert_eq!(server.seen().len(), 2);
}

#[tokio::test]
async fn trouble_of_the_proxy_moves_a_read_to_the_next_node_but_not_a_write() {
    let bad = Server::start(|_, _| say(595, "Connection refused", "")).await;
    let good = Server::start(|_, _| ok(&json!("here"))).await;
    let trust = Trust::Fingerprints(vec![bad.pin, good.pin]);
    let two = || PveClient::new(target(&[&bad.url, &good.url], trust.clone())).unwrap();
    assert_eq!(two().call("GET", "/nodes/pve3/status", &Value::Null).await.unwrap(), "here");
    let client = two();
    let e = client.call("POST", "/nodes/pve3/qemu", &Value::Null).await.unwrap_err();
    assert_eq!((e.kind, e.status, good.seen().len()), (PveErrorKind::Unreachable, 595, 1));
    client.call("POST", "/nodes/pve3/qemu", &Value::Null).await.unwrap();
}

#[tokio::test]
async fn a_slow_answer_ends_with_a_sentence_about_the_outcome() {
    let server = Server::start(|_, _| Reply::Slowly(Duration::from_secs(30), String::new())).await;
    let client = PveClient::with_patience(target(&[&server.url], server.trust()), Duration::ZERO).unwrap();
    let params = json!({"cores": 2});
    let (write, read) = tokio::join!(
        client.call("PUT", "/nodes/pve1/qemu/100/config", &params),
        client.call("GET", "/version", &Value::Null)
    );
    let (write, read) = (write.unwrap_err(), read.unwrap_err());
    assert_eq!((write.kind, read.kind), (PveErrorKind::Timeout, PveErrorKind::Timeout));
    assert!(write.message.contains("Node pve1 gave no answer in time. The outcome is unknown"), "{write}");
    assert!(!read.message.contains("outcome"), "{read}");
    assert_eq!(server.seen().len(), 2);
}

#[tokio::test]
async fn idle_connections_are_given_up_before_proxmox_closes_them() {
    let server = Server::start(|_, _| ok(&Value::Null)).await;
    let client = server.client();
    client.call("GET", "/version", &Value::Null).await.unwrap();
    tokio::time::sleep(Duration::from_millis(4300)).await;
    client.call("POST", "/nodes/pve1/qemu", &Value::Null).await.unwrap();
    assert_eq!(server.connections.load(Ordering::SeqCst), 2);
}

#[tokio::test]
async fn no_more_than_five_requests_run_at_once() {
    let Reply::Say(answer) = ok(&Value::Null) else { unreachable!() };
    let server = Server::start(move |_, _| Reply::Slowly(Duration::from_millis(300), answer.clone())).await;
    let client = server.client();
    let calls: Vec<_> = (0..12)
        .map(|_| {
            let client = client.clone();
            tokio::spawn(async move { client.call("GET", "/version", &Value::Null).await })
        })
        .collect();
    tokio::time::sleep(Duration::from_millis(200)).await;
    assert_eq!(server.seen().len(), PARALLEL);
    for call in calls {
        call.await.unwrap().unwrap();
    }
    assert_eq!(server.seen().len(), 12);
}

#[tokio::test]
async fn an_endless_answer_is_cut_off() {
    let body = "x".repeat(wire::MAX_BODY + 1);
    let server = Server::start(move |_, _| say(200, "OK", &body)).await;
    let e = server.client().call("GET", "/cluster/resources", &Value::Null).await.unwrap_err();
    assert!(e.message.contains("larger than 32 MiB"), "{e}");
}

#[tokio::test]
async fn sign_in_asks_for_the_second_factor_and_then_uses_cookie_and_csrf_token() {
    let server = Server::start(|_, request| {
        if request.contains("/version") || request.contains("/access/roles") {
            return ok(&json!(null));
        }
        if request.contains("tfa-challenge=PVE%3A%21tfa%21") && request.contains("password=totp%3A123456") {
            return ok(
                &json!({"ticket": "PVE:root@pam:1::a+b=", "CSRFPreventionToken": "1:x", "username": "root@pam"}),
            );
        }
        if request.contains("username=root%40pam&") || request.contains("password=hunter2") {
            return ok(&json!({"ticket": "PVE:!tfa!", "NeedTFA": 1, "username": "root@pam"}));
        }
        say(401, "authentication failure", r#"{"data":null,"message":"authentication failure\n"}"#)
    })
    .await;
    let sign_in = async |password: &str, otp: Option<&str>| {
        let otp = otp.map(|code| Secret::new(code.to_owned()));
        login(&server.url, &server.trust(), "root", &Secret::new(password.to_owned()), otp.as_ref()).await
    };
    let e = sign_in("hunter2", None).await.unwrap_err();
    assert_eq!((e.kind, e.errors.contains_key("otp")), (PveErrorKind::Auth, true));
    let ticket = sign_in("hunter2", Some("123456")).await.unwrap();
    ticket.call("GET", "/version", &Value::Null).await.unwrap();
    ticket.call("POST", "/access/roles", &json!({"roleid": "Steward"})).await.unwrap();
    let seen = server.seen();
    let (get, post) = (&seen[seen.len() - 2], &seen[seen.len() - 1]);
    assert!(get.contains("cookie: PVEAuthCookie=PVE:root@pam:1::a+b=\r"), "{get}");
    assert!(!get.to_lowercase().contains("csrf") && post.contains("1:x"), "{post}");
    assert_eq!(format!("{ticket:?}").matches("PVE:").count(), 0);
}

#[tokio::test]
async fn a_wrong_password_is_said_plainly() {
    let server = Server::start(|_, _| say(401, "authentication failure", r#"{"data":null,"message":"x"}"#)).await;
    let password = Secret::new("hunter2".to_owned());
    let e = login(&server.url, &server.trust(), "root@pam", &password, None).await.unwrap_err();
    assert_eq!(e.message, "Proxmox does not accept this user name, password or code.");
}

#[test]
fn secrets_are_in_no_debug_output_and_bad_tokens_are_refused() {
    let trust = Trust::Fingerprints(vec![[0; 32]]);
    let client = PveClient::new(target(&["pve1"], trust.clone())).unwrap();
    let shown = format!("{client:?} {:?}", target(&["pve1"], trust.clone()));
    assert!(shown.contains("steward@pve!appliance") && !shown.contains("1111"), "{shown}");
    for (id, secret) in [("steward@pve", "x"), ("a!bc", "x"), ("a@pve!bc", ""), ("a@pve!b c", "x"), ("a@pve!bc", "x\n")]
    {
        let bad =
            Target { token_id: id.into(), token_secret: Secret::new(secret.into()), ..target(&["x"], trust.clone()) };
        let e = PveClient::new(bad).unwrap_err();
        assert_eq!(e.kind, PveErrorKind::Invalid, "{id}");
    }
}
