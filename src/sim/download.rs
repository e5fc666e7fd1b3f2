//! `POST .../storage/{storage}/upload` and `.../download-url`: files that come to a storage. A download is really
//! fetched, over plain http (the simulation has no certificates of the world), so a wrong checksum, a missing file
//! and a full storage are what they are. Wording: PVE::Tools `download_file_from_url`, pve-storage: API2/Storage/Status.pm.

use super::access::permissions::{has, require};
use super::dispatch::Call;
use super::error::ApiError;
use super::http::answer::Answer;
use super::images::{digest, judge};
use super::state::{Cluster, Volume};
use super::storage::find;
use super::tasks::{self, Job, Work};
use bytes::Bytes;
use http_body_util::{BodyExt as _, Empty};
use hyper_util::rt::TokioIo;
use serde_json::json;
use std::sync::Arc;

/// Where a file is to go, and what it must be.
#[derive(Debug, Clone)]
pub struct DownloadSpec {
    pub node: String,
    pub storage: String,
    /// `iso`, `vztmpl` or `import`.
    pub content: String,
    pub filename: String,
    /// Algorithm and hex.
    pub checksum: Option<(String, String)>,
}

impl DownloadSpec {
    pub fn volid(&self) -> String {
        format!("{}:{}/{}", self.storage, self.content, self.filename)
    }

    /// Checks what both ways of bringing a file check before they begin.
    pub fn from(call: &Call, filename: &str) -> Result<Self, ApiError> {
        let p = &call.params;
        let content = p.text("content");
        let filename = normal(filename);
        let ends = |all: &[&str]| all.iter().any(|e| filename.to_ascii_lowercase().ends_with(e));
        let fits = match content.as_str() {
            "iso" => ends(&[".iso", ".img"]),
            "vztmpl" => ends(&[".tar.gz", ".tar.xz", ".tar.zst"]),
            _ => ends(&[".ova", ".qcow2", ".raw", ".vmdk"]),
        };
        if !fits {
            return Err(ApiError::param("filename", "wrong file extension"));
        }
        let checksum = match (p.get("checksum"), p.get("checksum-algorithm")) {
            (None, None) => None,
            (Some(sum), Some(algorithm)) => Some((algorithm.to_owned(), sum.to_owned())),
            (Some(_), None) => {
                return Err(ApiError::param("checksum", "missing 'checksum-algorithm' - required by 'checksum'"));
            }
            (None, Some(_)) => return Err(ApiError::param("checksum", "parameter 'checksum' is required")),
        };
        call.world.read(|c| {
            let storage = find(c, call.arg("storage"))?;
            if !storage.content.contains(&content) {
                return Err(ApiError::die(format!(
                    "storage '{}' is not configured for content-type '{content}'",
                    storage.id
                )));
            }
            if !["dir", "nfs"].contains(&storage.plugin.as_str()) {
                return Err(ApiError::die(format!(
                    "can't upload to storage type '{}', not a file based storage!",
                    storage.plugin
                )));
            }
            Ok(())
        })?;
        let (node, storage) = (call.node().to_owned(), call.arg("storage").to_owned());
        Ok(Self { node, storage, content, filename, checksum })
    }

    /// The file becomes a volume.
    pub fn store(&self, c: &mut Cluster, bytes: &[u8], now: i64) -> Work {
        let (format, size) = judge(bytes);
        let named = self.filename.rsplit('.').next().unwrap_or_default();
        let import = self.content == "import";
        if import && named != format {
            return Err(format!("file '{}' has format '{format}' instead of '{named}'", self.filename));
        }
        let storage = find(c, &self.storage)?;
        let shared = storage.shared;
        let volume = Volume {
            storage: self.storage.clone(),
            node: (!shared).then(|| self.node.clone()),
            volid: self.volid(),
            content: self.content.clone(),
            format: if import { format } else { named }.to_owned(),
            size: if import { size } else { bytes.len() as u64 },
            used: bytes.len() as u64,
            vmid: None,
            parent: None,
            ctime: now,
        };
        c.volumes.insert(volume.key(), volume);
        Ok(())
    }
}

/// Names become `[A-Za-z0-9_.-]`.
fn normal(name: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "_.-".contains(c);
    name.rsplit('/').next().unwrap_or_default().chars().map(|c| if plain(c) { c } else { '_' }).collect()
}

/// The whole file is there when this is called; task `imgcopy` puts it in its place.
pub fn upload(call: &Call) -> Answer {
    let Some((name, bytes)) = call.file.clone() else {
        return Err(ApiError::param("filename", "property is missing and it is not optional"));
    };
    let wanted = DownloadSpec::from(call, &name)?;
    let upid = tasks::spawn(&call.world, &call.who, call.node(), "imgcopy", "", move |job| async move {
        job.log(format!("target node: {}", wanted.node));
        if let Some((algorithm, sum)) = &wanted.checksum {
            let got = digest(algorithm, &bytes);
            if !got.eq_ignore_ascii_case(sum) {
                return Err(format!("checksum mismatch: got '{got}' != expect '{sum}'"));
            }
        }
        job.wait(0.8).await?;
        let now = job.world.seconds();
        job.world.change(|c| {
            let storage = find(c, &wanted.storage)?;
            if bytes.len() as u64 > storage.total.saturating_sub(c.used(storage, &wanted.node)) {
                return Err("import failed: No space left on device".to_owned());
            }
            wanted.store(c, &bytes, now)
        })?;
        if wanted.content == "iso" {
            crate::world::lock(&job.world.isos).insert(wanted.volid(), bytes.to_vec());
        }
        Ok(())
    });
    Ok(json!(upid).into())
}

pub fn download(call: &Call) -> Answer {
    let url = call.params.text("url");
    if !(url.starts_with("http://") || url.starts_with("https://")) {
        return Err(ApiError::param("url", "value does not match the regex pattern"));
    }
    call.world.read(|c| {
        let node = format!("/nodes/{}", call.node());
        if has(c, &call.who, &node, "Sys.AccessNetwork") {
            return Ok(());
        }
        require(c, &call.who, "/", &["Sys.Audit", "Sys.Modify"])
    })?;
    let wanted = DownloadSpec::from(call, &call.params.text("filename"))?;
    let id = wanted.filename.clone();
    let upid = tasks::spawn(&call.world, &call.who, call.node(), "download", &id, move |job| async move {
        fetch(&job, &wanted, &url).await
    });
    Ok(json!(upid).into())
}

async fn fetch(job: &Arc<Job>, wanted: &DownloadSpec, url: &str) -> Work {
    let path = format!("/var/lib/vz/template/{}/{}", wanted.content, wanted.filename);
    job.log(format!("downloading {url} to {path}"));
    let there = job.world.read(|c| c.volume(&wanted.node, &wanted.volid()).is_some());
    if there && wanted.checksum.is_none() {
        return Err(format!("refusing to override existing file '{path}'"));
    }
    // The files of the simulation are not kept: the same name with a checksum in it is the same file.
    if there {
        job.log("OK, got correct file already, no need to download");
        return job.wait(0.2).await;
    }
    let wget = |code: u32| {
        format!(
            "download failed: command '/usr/bin/wget --progress=dot:giga -O {path}.tmp_dwnl.1234 {url}' failed: exit code {code}"
        )
    };
    let bytes = get(job, url).await.map_err(|e| match e {
        Failed::Answer(status) => {
            job.log(format!("ERROR {status}"));
            wget(8)
        }
        Failed::Network => wget(4),
        Failed::Circle => {
            job.log(format!("{REDIRECTS} redirections exceeded."));
            wget(8)
        }
        Failed::Scheme => "download failed: the simulation fetches plain http only".to_owned(),
    })?;
    let free = job.world.read(|c| {
        let storage = find(c, &wanted.storage)?;
        Ok::<_, String>(storage.total.saturating_sub(c.used(storage, &wanted.node)))
    })?;
    if bytes.len() as u64 > free {
        job.log("Cannot write to file (No space left on device).");
        return Err(wget(3));
    }
    for part in 1..=10 {
        job.wait(0.9).await?;
        let kib = bytes.len() * part / 10 / 1024;
        job.log(format!("{kib:>8}K ........ ........ ........ ........ {:>2}% 9.1M 1s", part * 10));
    }
    if let Some((algorithm, sum)) = &wanted.checksum {
        job.log("calculating checksum...");
        let got = digest(algorithm, &bytes);
        if !got.eq_ignore_ascii_case(sum) {
            return Err(format!("checksum mismatch: got '{got}' != expect '{sum}'"));
        }
        job.log("OK, checksum verified");
    }
    let now = job.world.seconds();
    job.world.change(|c| wanted.store(c, &bytes, now))?;
    job.log(format!("download of '{url}' to '{path}' finished"));
    Ok(())
}

/// As many as wget follows.
const REDIRECTS: usize = 20;

enum Failed {
    Scheme,
    Network,
    Circle,
    Answer(u16),
}

async fn get(job: &Arc<Job>, url: &str) -> Result<Bytes, Failed> {
    let mut url = url.to_owned();
    for _ in 0..=REDIRECTS {
        let response = ask(&url).await?;
        let status = response.status();
        if status.is_redirection() {
            let place = response.headers().get(http::header::LOCATION).and_then(|v| v.to_str().ok());
            let place = place.ok_or(Failed::Answer(status.as_u16()))?;
            job.log(format!("Location: {place} [following]"));
            // From the server's root, or a whole address.
            let root = url.splitn(4, '/').take(3).collect::<Vec<_>>().join("/");
            url = if place.starts_with('/') { format!("{root}{place}") } else { place.to_owned() };
            continue;
        }
        if !status.is_success() {
            return Err(Failed::Answer(status.as_u16()));
        }
        return Ok(response.into_body().collect().await.map_err(|_| Failed::Network)?.to_bytes());
    }
    Err(Failed::Circle)
}

async fn ask(url: &str) -> Result<http::Response<hyper::body::Incoming>, Failed> {
    let rest = url.strip_prefix("http://").ok_or(Failed::Scheme)?;
    let (host, path) = rest.split_once('/').unwrap_or((rest, ""));
    let address = if host.contains(':') { host.to_owned() } else { format!("{host}:80") };
    let stream = tokio::net::TcpStream::connect(address).await.map_err(|_| Failed::Network)?;
    let (mut sender, connection) =
        hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.map_err(|_| Failed::Network)?;
    tokio::spawn(connection);
    let request = http::Request::get(format!("/{path}")).header(http::header::HOST, host).body(Empty::<Bytes>::new());
    sender.send_request(request.map_err(|_| Failed::Network)?).await.map_err(|_| Failed::Network)
}
