//! A small web server with cloud images as publishers have them: files that begin like real qcow2 images, and
//! lists of their checksums. For the demo and the tests, which have no Internet.

use super::world::lock;
use base::{Error, Result};
use bytes::Bytes;
use http::{HeaderValue, Request, Response, StatusCode};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use sha2::Digest as _;
use std::collections::BTreeMap;
use std::convert::Infallible;
use std::sync::{Arc, Mutex};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

/// Bytes of a served image; the disk in it is as large as [`Served::gib`] says.
const FILE: usize = 512 * 1024;

/// Where redirects lead.
const MOVED: &str = "/moved";

/// One image to serve.
#[derive(Debug, Clone)]
pub struct Served {
    /// Its path, like `/cloud.example/debian-13.qcow2`.
    pub path: String,
    /// The path of its list of checksums, if it is to have one. Images with the same path share the list.
    pub list: Option<String>,
    /// `sha256` or `sha512`.
    pub algorithm: String,
    /// The size of the disk in it.
    pub gib: u64,
}

#[derive(Debug, Default)]
struct Shop {
    images: BTreeMap<String, Shown>,
}

#[derive(Debug)]
struct Shown {
    served: Served,
    /// Another number gives another file.
    edition: u64,
    /// The list names the checksum of the edition before.
    corrupt: bool,
    missing: bool,
    moved: bool,
    /// Bytes in the place of the image's.
    other: Option<Vec<u8>>,
}

/// The running server; it ends when this is dropped.
#[derive(Debug)]
pub struct Images {
    /// `http://127.0.0.1:port`
    pub url: String,
    shop: Arc<Mutex<Shop>>,
    stop: CancellationToken,
}

impl Images {
    /// Serves these images on a free port of the loopback address.
    ///
    /// # Errors
    /// When no port can be had.
    pub async fn serve(images: Vec<Served>) -> Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.map_err(Error::internal)?;
        let address = listener.local_addr().map_err(Error::internal)?;
        let shown =
            |served: Served| Shown { served, edition: 1, corrupt: false, missing: false, moved: false, other: None };
        let images = images.into_iter().map(|s| (s.path.clone(), shown(s))).collect();
        let shop = Arc::new(Mutex::new(Shop { images }));
        let stop = CancellationToken::new();
        tokio::spawn(run(listener, Arc::clone(&shop), stop.clone()));
        Ok(Self { url: format!("http://{address}"), shop, stop })
    }

    fn change(&self, path: &str, f: impl FnOnce(&mut Shown)) {
        if let Some(shown) = lock(&self.shop).images.get_mut(path) {
            f(shown);
        }
    }

    /// The publisher puts a newer image in the old one's place.
    pub fn publish(&self, path: &str) {
        self.change(path, |s| s.edition += 1);
    }

    /// The list names another checksum than the file has, or the right one again.
    pub fn corrupt(&self, path: &str, corrupt: bool) {
        self.change(path, |s| s.corrupt = corrupt);
    }

    /// The file is not there, or is again. Its list still names it.
    pub fn remove(&self, path: &str, missing: bool) {
        self.change(path, |s| s.missing = missing);
    }

    /// The file is at another place, to which the server redirects; or at its own again.
    pub fn redirect(&self, path: &str, moved: bool) {
        self.change(path, |s| s.moved = moved);
    }

    /// Something else is served in the image's place; its list names that.
    pub fn replace(&self, path: &str, bytes: &[u8]) {
        self.change(path, |s| s.other = Some(bytes.to_vec()));
    }

    /// The file as it is served now.
    pub fn file(&self, path: &str) -> Vec<u8> {
        lock(&self.shop).images.get(path).map(|s| bytes_of(s, s.edition)).unwrap_or_default()
    }
}

impl Drop for Images {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

async fn run(listener: TcpListener, shop: Arc<Mutex<Shop>>, stop: CancellationToken) {
    loop {
        let stream = tokio::select! {
            () = stop.cancelled() => return,
            accepted = listener.accept() => match accepted { Ok((stream, _)) => stream, Err(_) => continue },
        };
        let (shop, stop) = (Arc::clone(&shop), stop.clone());
        tokio::spawn(async move {
            let service = service_fn(move |request: Request<Incoming>| {
                let answer = answer(&shop, request.uri().path());
                async move { Ok::<_, Infallible>(answer) }
            });
            let connection = http1::Builder::new().serve_connection(TokioIo::new(stream), service);
            tokio::select! { () = stop.cancelled() => {}, _ = connection => {} }
        });
    }
}

fn answer(shop: &Mutex<Shop>, path: &str) -> Response<Full<Bytes>> {
    let shop = lock(shop);
    let (place, followed) = match path.strip_prefix(MOVED) {
        Some(rest) => (rest, true),
        None => (path, false),
    };
    let body = match shop.images.get(place).filter(|s| !s.missing) {
        Some(shown) if shown.moved && !followed => {
            let mut away = Response::new(Full::default());
            *away.status_mut() = StatusCode::FOUND;
            if let Ok(place) = HeaderValue::try_from(format!("{MOVED}{path}")) {
                away.headers_mut().insert(http::header::LOCATION, place);
            }
            return away;
        }
        Some(shown) => bytes_of(shown, shown.edition),
        None => list(&shop, path).into_bytes(),
    };
    let status = if body.is_empty() { StatusCode::NOT_FOUND } else { StatusCode::OK };
    let mut response = Response::new(Full::new(Bytes::from(body)));
    *response.status_mut() = status;
    response
}

fn bytes_of(shown: &Shown, edition: u64) -> Vec<u8> {
    shown.other.clone().unwrap_or_else(|| content(&shown.served, edition))
}

/// The checksums of all images with this list; empty when there is none.
fn list(shop: &Shop, path: &str) -> String {
    let mut out = String::new();
    for shown in shop.images.values().filter(|s| s.served.list.as_deref() == Some(path)) {
        let edition = if shown.corrupt { shown.edition + 1000 } else { shown.edition };
        let file = shown.served.path.rsplit('/').next().unwrap_or_default();
        out.push_str(&format!("{}  {file}\n", digest(&shown.served.algorithm, &bytes_of(shown, edition))));
    }
    out
}

/// Hex of the file's checksum.
pub fn digest(algorithm: &str, bytes: &[u8]) -> String {
    if algorithm == "sha512" {
        hex::encode(sha2::Sha512::digest(bytes))
    } else {
        hex::encode(sha2::Sha256::digest(bytes))
    }
}

/// A file that begins like a qcow2 image of version 3 (docs/interop/qcow2.rst of QEMU): magic, version, no
/// backing file, cluster bits, size. No guest could start from it.
fn content(served: &Served, edition: u64) -> Vec<u8> {
    let mut out = Vec::with_capacity(FILE);
    out.extend(b"QFI\xfb");
    out.extend(3_u32.to_be_bytes());
    out.extend(0_u64.to_be_bytes());
    out.extend(0_u32.to_be_bytes());
    out.extend(16_u32.to_be_bytes());
    out.extend((served.gib << 30).to_be_bytes());
    let mut seed = served.path.bytes().fold(edition, |h, b| super::load::mix(h ^ u64::from(b)));
    while out.len() < FILE {
        seed = super::load::mix(seed);
        out.extend(seed.to_be_bytes());
    }
    out.truncate(FILE);
    out
}

/// The format that a file really has, and the size of the disk in it. A file with no head of its own is raw.
pub fn judge(bytes: &[u8]) -> (&'static str, u64) {
    let size = bytes.get(24..32).and_then(|b| b.try_into().ok()).map(u64::from_be_bytes);
    match size {
        Some(size) if bytes.starts_with(b"QFI\xfb") => ("qcow2", size),
        _ => ("raw", bytes.len() as u64),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn served_images_look_like_qcow2_and_each_edition_is_another_file() {
        let served = Served { path: "/a.qcow2".into(), list: None, algorithm: "sha256".into(), gib: 3 };
        let (first, second) = (content(&served, 1), content(&served, 2));
        assert_eq!(judge(&first), ("qcow2", 3 << 30));
        assert_ne!(first, second);
        assert_eq!(first.len(), FILE);
    }
}
