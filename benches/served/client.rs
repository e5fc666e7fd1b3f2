//! A small HTTPS client for the load: one kept connection per caller, HTTP/1.1.

use crate::Fallible;
use bytes::Bytes;
use http::{Method, Request, StatusCode, header};
use http_body_util::{BodyExt as _, Full};
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper_util::rt::TokioIo;
use rustls::ClientConfig;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls_pki_types::{CertificateDer, ServerName, UnixTime};
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

/// Where to ask, and what every request carries.
#[derive(Clone)]
pub struct Client {
    host: String,
    tls: TlsConnector,
    headers: Vec<(String, String)>,
}

pub struct Answer {
    pub status: u16,
    pub headers: http::HeaderMap,
    pub body: Bytes,
}

impl Answer {
    fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// The address of a style sheet or script in a page, by a part of its name.
    pub fn asset(&self, part: &str) -> Option<String> {
        let text = self.text();
        text.split(['"', '\'']).find(|s| s.starts_with('/') && s.contains(part)).map(str::to_owned)
    }

    /// The value of the page's hidden `csrf` field.
    fn csrf(&self) -> Option<String> {
        let text = self.text();
        let field = &text[text.find("name=\"csrf\" value=\"")? + 19..];
        Some(field[..field.find('"')?].to_owned())
    }

    fn cookies(&self) -> String {
        let set = self.headers.get_all(header::SET_COOKIE).iter().filter_map(|v| v.to_str().ok());
        set.filter_map(|v| v.split(';').next()).collect::<Vec<_>>().join("; ")
    }
}

impl Client {
    pub fn new(url: &str) -> Fallible<Self> {
        let host = url.strip_prefix("https://").ok_or("not an https address")?.to_owned();
        let mut config = ClientConfig::builder()
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(OwnMachine))
            .with_no_client_auth();
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(Self { host, tls: TlsConnector::from(Arc::new(config)), headers: Vec::new() })
    }

    pub fn with(&self, name: &str, value: &str) -> Self {
        let mut headers = self.headers.clone();
        headers.push((name.to_owned(), value.to_owned()));
        Self { headers, ..self.clone() }
    }

    pub async fn connect(&self) -> Fallible<SendRequest<Full<Bytes>>> {
        let tcp = TcpStream::connect(&self.host).await?;
        tcp.set_nodelay(true)?;
        let stream = self.tls.connect(ServerName::try_from("localhost")?, tcp).await?;
        let (sender, connection) = handshake(TokioIo::new(stream)).await?;
        tokio::spawn(connection);
        Ok(sender)
    }

    fn request(&self, method: Method, path: &str, form: Option<&[(&str, &str)]>) -> Fallible<Request<Full<Bytes>>> {
        let mut request = Request::builder().method(method).uri(path).header(header::HOST, &self.host);
        for (name, value) in &self.headers {
            request = request.header(name, value);
        }
        let body = match form {
            None => String::new(),
            Some(pairs) => {
                request = request
                    .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded")
                    .header(header::ORIGIN, format!("https://{}", self.host));
                url::form_urlencoded::Serializer::new(String::new()).extend_pairs(pairs).finish()
            }
        };
        Ok(request.body(Full::new(Bytes::from(body)))?)
    }

    /// One request on a connection that is there; the whole body is read.
    pub async fn ask(&self, sender: &mut SendRequest<Full<Bytes>>, path: &str) -> Fallible<Answer> {
        sender.ready().await?;
        read(sender.send_request(self.request(Method::GET, path, None)?).await?).await
    }

    pub async fn get(&self, path: &str) -> Fallible<Answer> {
        let mut sender = self.connect().await?;
        self.ask(&mut sender, path).await
    }

    /// Signs in as a person does; the answer carries the session.
    pub async fn sign_in(&self, login: &str, password: &str) -> Fallible<Self> {
        let door = self.get("/sign-in").await?;
        let csrf = door.csrf().ok_or("the sign-in page has no csrf field")?;
        let client = self.with("cookie", &door.cookies());
        let form = [("csrf", csrf.as_str()), ("login", login), ("password", password)];
        let mut sender = client.connect().await?;
        let answer = read(sender.send_request(client.request(Method::POST, "/sign-in", Some(&form))?).await?).await?;
        if answer.status != StatusCode::SEE_OTHER.as_u16() {
            return Err(format!("sign-in was answered with {}", answer.status).into());
        }
        Ok(self.with("cookie", &answer.cookies()))
    }

    /// Holds a stream open and throws away what comes.
    pub async fn drain(&self, path: &str, limit: Duration) -> Fallible<()> {
        let mut sender = self.connect().await?;
        let mut answer = sender.send_request(self.request(Method::GET, path, None)?).await?;
        let all = async { while let Some(Ok(_)) = answer.body_mut().frame().await {} };
        let _ = tokio::time::timeout(limit, all).await;
        Ok(())
    }
}

async fn read(answer: http::Response<hyper::body::Incoming>) -> Fallible<Answer> {
    let (head, body) = answer.into_parts();
    Ok(Answer { status: head.status.as_u16(), headers: head.headers, body: body.collect().await?.to_bytes() })
}

/// Accepts the certificate of the process that this benchmark itself started on loopback.
#[derive(Debug)]
struct OwnMachine;

impl ServerCertVerifier for OwnMachine {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &rustls::DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn verify_tls13_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &rustls::DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn supported_verify_schemes(&self) -> Vec<rustls::SignatureScheme> {
        rustls::crypto::aws_lc_rs::default_provider().signature_verification_algorithms.supported_schemes()
    }
}
