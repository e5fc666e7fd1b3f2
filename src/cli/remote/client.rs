//! One HTTP client for all commands: HTTP/1.1 over one connection, opened when it is needed, opened again when the
//! server closed it.

use super::contexts::Context;
use super::tls;
use base::{Error, Kind, Result, Secret};
use bytes::Bytes;
use http::{HeaderValue, Method, Request, StatusCode, header};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::client::conn::http1::SendRequest;
use model::guests::GuestAction;
use remote::tls::Trust;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use std::time::Duration;
use tokio::net::TcpStream;
use tokio_rustls::client::TlsStream;
use web::guests::rest::GuestView;
use web::jobs::rest::JobView;

/// The appliance gives up after a minute itself.
const ANSWER: Duration = Duration::from_secs(75);
/// Lists of 1,000 machines have about 1 MB.
const LARGEST: usize = 64 << 20;

/// The REST API of one Steward.
pub struct Api {
    url: url::Url,
    trust: Trust,
    token: Secret<String>,
    key: Option<HeaderValue>,
    open: Option<SendRequest<Full<Bytes>>>,
}

impl std::fmt::Debug for Api {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Api").field("url", &self.url.as_str()).finish_non_exhaustive()
    }
}

/// `home` and `https://home:8443/` both become `https://home:8443`.
pub fn address(text: &str) -> Result<url::Url> {
    let wrong = || Error::invalid("Give the address of a Steward, like https://steward.lan:8443.");
    if let Some(sentence) = model::connections::without_brackets(text.trim()) {
        return Err(Error::invalid(sentence));
    }
    let full = if text.contains("://") { text.trim().to_owned() } else { format!("https://{}", text.trim()) };
    let mut url = url::Url::parse(&full).map_err(|_| wrong())?;
    if url.scheme() != "https" || url.host_str().is_none_or(str::is_empty) || !url.username().is_empty() {
        return Err(wrong());
    }
    // A bare name means the usual port; 443 has to be written.
    if url.port().is_none() && !full.trim_end_matches('/').ends_with(":443") {
        url.set_port(Some(8443)).map_err(|()| wrong())?;
    }
    url.set_path("/");
    url.set_query(None);
    url.set_fragment(None);
    Ok(url)
}

impl Api {
    pub fn new(context: Context) -> Result<Self> {
        let pin = context.fingerprint.as_deref().map(tls::parse).transpose()?;
        let trust = pin.map_or(Trust::System, |pin| Trust::Fingerprints(vec![pin]));
        Ok(Self::with(address(&context.url)?, trust, Secret::new(context.token)))
    }

    pub fn with(url: url::Url, trust: Trust, token: Secret<String>) -> Self {
        Self { url, trust, token, key: None, open: None }
    }

    pub async fn get<T: DeserializeOwned>(&mut self, path: &str) -> Result<T> {
        self.call(&Method::GET, path, &()).await
    }

    pub async fn post<T: DeserializeOwned>(&mut self, path: &str, body: &impl Serialize) -> Result<T> {
        self.call(&Method::POST, path, body).await
    }

    pub async fn delete<T: DeserializeOwned>(&mut self, path: &str) -> Result<T> {
        self.call(&Method::DELETE, path, &()).await
    }

    /// POST with an `Idempotency-Key`: sent twice it is done once.
    pub async fn create<T: DeserializeOwned>(
        &mut self,
        path: &str,
        body: &impl Serialize,
        key: Option<&str>,
    ) -> Result<T> {
        let key = key.map(|k| HeaderValue::from_str(k).map_err(|_| Error::invalid("Use plain characters as the key.")));
        self.key = key.transpose()?;
        let answer = self.post(path, body).await;
        self.key = None;
        answer
    }

    /// Asks for an action on a machine; the answer is its job.
    pub async fn act(&mut self, guest: &GuestView, action: impl Into<GuestAction>) -> Result<JobView> {
        self.post(&format!("/guests/{}/actions", guest.id), &action.into()).await
    }

    /// One call below `/api/v1`. The body `()` is none, and an answer without a body is read as `()`.
    pub async fn call<T: DeserializeOwned>(&mut self, method: &Method, path: &str, body: &impl Serialize) -> Result<T> {
        let body = Some(serde_json::to_value(body).map_err(Error::internal)?).filter(|b| !b.is_null());
        let (status, text) = self.raw(method, &format!("/api/v1{path}"), body.as_ref()).await?;
        if !status.is_success() {
            return Err(problem(status, &text));
        }
        let text = if text.is_empty() { b"null".as_slice() } else { text.as_ref() };
        serde_json::from_slice(text).map_err(|e| {
            Error::unavailable("What answers there is not a Steward, or is one of another version.").with_cause(e)
        })
    }

    /// The answer as it is. `path` begins with a slash.
    pub async fn raw(&mut self, method: &Method, path: &str, body: Option<&Value>) -> Result<(StatusCode, Bytes)> {
        let reused = self.open.is_some();
        match self.exchange(method, path, body).await {
            // The server closes quiet connections. Only reading is done twice without asking.
            Err(_) if reused && *method == Method::GET => self.exchange(method, path, body).await,
            other => other,
        }
    }

    async fn exchange(&mut self, method: &Method, path: &str, body: Option<&Value>) -> Result<(StatusCode, Bytes)> {
        let origin = self.url.origin().ascii_serialization();
        let away = |why: &str| Error::unavailable(format!("Steward at {origin} did not answer: {why}"));
        let mut sender = match self.open.take() {
            Some(sender) if sender.is_ready() => sender,
            _ => self.connect().await?,
        };
        let body = body.map(ToString::to_string);
        let mut request = Request::builder()
            .method(method)
            .uri(path)
            .header(header::HOST, remote::http::authority(&self.url))
            .header(header::USER_AGENT, concat!("steward/", env!("CARGO_PKG_VERSION"), " (Linux)"))
            .header(header::ACCEPT, "application/json");
        if !self.token.expose().is_empty() {
            request = request.header(header::AUTHORIZATION, format!("Bearer {}", self.token.expose()));
        }
        if let Some(key) = &self.key {
            request = request.header("idempotency-key", key);
        }
        if body.is_some() {
            request = request.header(header::CONTENT_TYPE, "application/json");
        }
        let request = request
            .body(Full::new(Bytes::from(body.unwrap_or_default())))
            .map_err(|e| Error::invalid("This path can't be requested.").with_cause(e))?;
        let all = async {
            let response = sender.send_request(request).await.map_err(|e| away("it hung up.").with_cause(e))?;
            let (parts, body) = response.into_parts();
            let body = Limited::new(body, LARGEST).collect().await;
            let body = body.map_err(|_| away("the answer was cut off or is too large."))?.to_bytes();
            Ok::<_, Error>((parts.status, body))
        };
        let answer = tokio::time::timeout(ANSWER, all).await.map_err(|_| away("nothing for more than a minute."))??;
        self.open = Some(sender);
        Ok(answer)
    }

    /// Address, token and a fresh connection, for what is not HTTP calls.
    pub async fn bare(&self) -> Result<(&url::Url, &str, TlsStream<TcpStream>)> {
        Ok((&self.url, self.token.expose(), tls::connect(&self.url, &self.trust).await?))
    }

    async fn connect(&self) -> Result<SendRequest<Full<Bytes>>> {
        let tls = tls::connect(&self.url, &self.trust).await?;
        remote::http::sender(tls).await.map_err(|e| {
            Error::unavailable(format!("{} does not speak HTTP.", self.url.origin().ascii_serialization()))
                .with_cause(e)
        })
    }
}

/// `application/problem+json` (RFC 9457) as an error of ours, with a sentence per field.
pub fn problem(status: StatusCode, body: &[u8]) -> Error {
    let value: Value = serde_json::from_slice(body).unwrap_or_default();
    let detail = value["detail"].as_str().or_else(|| value["title"].as_str()).unwrap_or_default();
    let sentence = if detail.is_empty() { format!("Steward answered {status}.") } else { detail.to_owned() };
    let kind = match status.as_u16() {
        401 => Kind::Unauthenticated,
        403 => Kind::Forbidden,
        404 => Kind::NotFound,
        400 | 405 | 413 | 415 | 422 => Kind::Invalid,
        409 => Kind::Conflict,
        429 => Kind::TooMany,
        408 | 502..=504 => Kind::Unavailable,
        507 => Kind::Storage,
        _ => Kind::Internal,
    };
    let sentence = match kind {
        Kind::Unauthenticated => format!("{sentence} To sign in again: steward login"),
        _ => sentence,
    };
    let fields = value["errors"].as_object().into_iter().flatten();
    fields.fold(Error::new(kind, sentence), |e, (field, text)| e.with_field(field, text.as_str().unwrap_or_default()))
}

/// A piece of a path.
pub fn part(text: &str) -> String {
    // `+` for a space is right in a query only.
    url::form_urlencoded::byte_serialize(text.as_bytes()).collect::<String>().replace('+', "%20")
}

/// `?a=b&c=d` of those that say something.
pub fn query(pairs: &[(&str, &str)]) -> String {
    let pairs = pairs.iter().filter(|(_, value)| !value.is_empty());
    let text = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(pairs).finish();
    if text.is_empty() { text } else { format!("?{text}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_completed() {
        for text in ["steward.lan", "https://steward.lan/", " https://steward.lan:8443/machines?q=a "] {
            assert_eq!(address(text).unwrap().as_str(), "https://steward.lan:8443/", "{text}");
        }
        assert_eq!(address("https://steward.lan:443").unwrap().port_or_known_default(), Some(443));
        for bad in ["", "http://steward.lan", "https://mira@steward.lan", "https://"] {
            assert!(address(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_problem_becomes_a_sentence_with_its_fields() {
        let e =
            problem(StatusCode::UNPROCESSABLE_ENTITY, br#"{"detail":"Please correct.","errors":{"name":"Too long."}}"#);
        assert_eq!(
            (e.kind(), e.message(), e.fields()["name"].as_str()),
            (Kind::Invalid, "Please correct.", "Too long.")
        );
        let e = problem(StatusCode::BAD_GATEWAY, b"<html>");
        assert_eq!((e.kind(), e.message()), (Kind::Unavailable, "Steward answered 502 Bad Gateway."));
    }

    #[test]
    fn what_stands_in_an_address_is_escaped() {
        assert_eq!(part("before update/1"), "before%20update%2F1");
        assert_eq!(query(&[("q", "tag:a b"), ("sort", "")]), "?q=tag%3Aa+b");
        assert_eq!(query(&[("q", "")]), "");
    }
}
