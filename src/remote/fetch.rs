//! Fetching a small public text (a publisher's list of checksums) or the beginning of a file over HTTPS, with the
//! system's own roots.

use crate::http::{self, Failure};
use crate::tls::{self, LastChain, Trust};
use ::http::header::{ACCEPT, HOST, LOCATION, RANGE, USER_AGENT};
use ::http::{HeaderValue, Request, Response};
use bytes::Bytes;
use http_body_util::{BodyExt as _, Empty, Limited};
use hyper::body::Incoming;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use url::Url;

/// For everything together, redirects too.
const PATIENCE: Duration = Duration::from_secs(30);
/// For a look that may be left out.
const SHORT_PATIENCE: Duration = Duration::from_secs(5);
/// Mirrors of distributions redirect once or twice.
const REDIRECTS: usize = 5;

/// Why there is no text, as a sentence for people; it names the host.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{0}")]
pub struct FetchError(pub String);

/// The text at `url`, at most `limit` bytes of it. Follows redirects, but never from https to http.
///
/// # Errors
/// When there is no such text, or it can't be had within 30 s.
pub async fn text(url: &str, limit: usize) -> Result<String, FetchError> {
    let url = Url::parse(url).map_err(|_| FetchError(format!("“{url}” is not a web address.")))?;
    let host = url.host_str().unwrap_or_default().to_owned();
    let read = async {
        let (url, response) = follow(url, None).await?;
        let whole = Limited::new(response.into_body(), limit).collect().await;
        let bytes = whole.map_err(|_| {
            FetchError(format!("The answer of {} is larger than {} KiB, or was cut off.", name(&url), limit / 1024))
        })?;
        Ok(String::from_utf8_lossy(&bytes.to_bytes()).into_owned())
    };
    match tokio::time::timeout(PATIENCE, read).await {
        Ok(result) => result,
        Err(_) => Err(FetchError(format!("{host} did not answer within {} seconds.", PATIENCE.as_secs()))),
    }
}

/// The first `count` bytes of what is at `url`, or all of it when it is shorter. Follows redirects like [`text`].
///
/// # Errors
/// When there is nothing, or it can't be had within 5 s.
pub async fn start(url: &str, count: usize) -> Result<Vec<u8>, FetchError> {
    let url = Url::parse(url).map_err(|_| FetchError(format!("“{url}” is not a web address.")))?;
    let late = FetchError(format!("{} did not answer in time.", name(&url)));
    let read = async {
        let mut body = follow(url, Some(count)).await?.1.into_body();
        let mut seen = Vec::new();
        // A server may send all of it, whatever was asked for.
        while seen.len() < count {
            match body.frame().await {
                Some(Ok(frame)) => seen.extend_from_slice(frame.data_ref().map_or(&[], |data| data)),
                Some(Err(_)) => return Err(FetchError("The answer was cut off.".to_owned())),
                None => break,
            }
        }
        seen.truncate(count);
        Ok(seen)
    };
    tokio::time::timeout(SHORT_PATIENCE, read).await.unwrap_or(Err(late))
}

/// The answer after all redirects, and where it came from.
async fn follow(mut url: Url, first: Option<usize>) -> Result<(Url, Response<Incoming>), FetchError> {
    for _ in 0..=REDIRECTS {
        let response = ask(&url, first).await?;
        let status = response.status();
        if status.is_redirection() {
            let place = response.headers().get(LOCATION).and_then(|v| v.to_str().ok()).unwrap_or_default();
            let next = url.join(place).map_err(|_| FetchError(format!("{} redirects to nowhere.", name(&url))))?;
            if url.scheme() == "https" && next.scheme() != "https" {
                return Err(FetchError(format!("{} redirects to an address without https.", name(&url))));
            }
            url = next;
            continue;
        }
        if !status.is_success() {
            return Err(FetchError(format!("{} answers {} for {}.", name(&url), status.as_u16(), url.path())));
        }
        return Ok((url, response));
    }
    Err(FetchError(format!("{} redirects too often.", name(&url))))
}

fn name(url: &Url) -> &str {
    url.host_str().unwrap_or("The server")
}

async fn ask(url: &Url, first: Option<usize>) -> Result<Response<Incoming>, FetchError> {
    let fail = |why: &str| FetchError(format!("{} can't be reached: {why}", name(url)));
    let host = url.host_str().ok_or_else(|| fail("there is no host in the address."))?;
    let port = url.port_or_known_default().ok_or_else(|| fail("there is no port in the address."))?;
    let explain = |failure: Failure| match &failure {
        Failure::Host => fail("this is not a host name."),
        Failure::Tcp(e) if e.kind() == std::io::ErrorKind::ConnectionRefused => fail("connection refused."),
        Failure::Tls(_) if failure.tls().is_some() => fail("its certificate is not accepted."),
        Failure::Tls(_) => fail("it closed the connection."),
        _ => fail("is its name right, and can this host reach the Internet?"),
    };
    match url.scheme() {
        "http" => send(url, first, http::tcp(host, port).await.map_err(explain)?).await,
        "https" => {
            let config = tls::config(&Trust::System, &LastChain::default()).map_err(|e| FetchError(e.0))?;
            send(url, first, http::tls(host, port, config, PATIENCE).await.map_err(explain)?).await
        }
        _ => Err(fail("only https and http are supported.")),
    }
}

async fn send<S>(url: &Url, first: Option<usize>, stream: S) -> Result<Response<Incoming>, FetchError>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let broke = || FetchError(format!("{} closed the connection.", name(url)));
    let mut sender = http::sender(stream).await.map_err(|_| broke())?;
    let target = match url.query() {
        Some(query) => format!("{}?{query}", url.path()),
        None => url.path().to_owned(),
    };
    let mut request = Request::get(target)
        .header(HOST, http::authority(url))
        .header(USER_AGENT, concat!("steward/", env!("CARGO_PKG_VERSION")))
        .header(ACCEPT, HeaderValue::from_static("text/plain, */*"));
    if let Some(first) = first {
        request = request.header(RANGE, format!("bytes=0-{}", first.saturating_sub(1)));
    }
    let request = request
        .body(Empty::<Bytes>::new())
        .map_err(|_| FetchError(format!("The address of {} can't be requested.", name(url))))?;
    sender.send_request(request).await.map_err(|_| broke())
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::TcpListener;

    /// Answers each connection with the next of `answers`; `{}` in one is the server's address.
    async fn server(answers: Vec<String>) -> String {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move {
            for answer in answers {
                let (mut stream, _) = listener.accept().await.unwrap();
                let mut buffer = [0; 2048];
                let _ = stream.read(&mut buffer).await;
                let _ = stream.write_all(answer.replace("{}", &address.to_string()).as_bytes()).await;
            }
        });
        format!("http://{address}")
    }

    fn ok(body: &str) -> String {
        format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}", body.len())
    }

    #[tokio::test]
    async fn a_text_is_fetched_through_a_redirect() {
        let moved = "HTTP/1.1 302 Found\r\nlocation: /there\r\ncontent-length: 0\r\n\r\n".to_owned();
        let url = server(vec![moved, ok("abc  file\n")]).await;
        assert_eq!(text(&format!("{url}/here"), 100).await.unwrap(), "abc  file\n");
    }

    #[tokio::test]
    async fn only_the_beginning_is_read_even_when_all_of_it_is_sent() {
        let url = server(vec![ok(&"x".repeat(900)), ok("ab")]).await;
        assert_eq!(start(&url, 512).await.unwrap(), [b'x'; 512]);
        assert_eq!(start(&url, 512).await.unwrap(), b"ab");
    }

    #[tokio::test]
    async fn what_is_missing_too_large_or_goes_round_in_circles_is_said() {
        let url = server(vec!["HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n".to_owned()]).await;
        assert!(text(&format!("{url}/x"), 100).await.unwrap_err().0.contains("answers 404 for /x"));
        let url = server(vec![ok(&"x".repeat(200))]).await;
        assert!(text(&url, 100).await.unwrap_err().0.contains("larger"));
        let circle = "HTTP/1.1 301 Moved\r\nlocation: http://{}/\r\ncontent-length: 0\r\n\r\n".to_owned();
        let url = server(vec![circle; 7]).await;
        assert!(text(&url, 100).await.unwrap_err().0.contains("too often"));
    }

    #[tokio::test]
    async fn a_dead_server_and_a_wrong_address_are_said() {
        let gone = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
        assert!(text(&format!("http://{gone}/"), 10).await.unwrap_err().0.contains("refused"));
        assert!(text("nonsense", 10).await.unwrap_err().0.contains("not a web address"));
        assert!(text("file:///etc/passwd", 10).await.is_err());
    }

    #[tokio::test]
    async fn https_checks_the_certificate() {
        // Speaks plain http: the handshake must fail, and not fall back.
        let url = server(vec![ok("never")]).await;
        assert!(text(&url.replace("http:", "https:"), 100).await.is_err());
    }
}
