//! Uploading a file to a storage. Proxmox takes it as `multipart/form-data` with a length (no chunks) and is strict
//! about the order: fields first, the file last. What came after the file would become part of it.

use super::answer::SentRequest;
use super::client::PveClient;
use super::encode::{check_path, component};
use super::error::{PveError, PveErrorKind};
use super::iso::{IsoFile, image};
use super::wire::{Auth, Miss, Wire, receive};
use base::Secret;
use bytes::Bytes;
use futures_util::stream::{self, Stream, StreamExt as _};
use http::Request;
use http::header::{ACCEPT, AUTHORIZATION, CONTENT_LENGTH, CONTENT_TYPE, HOST};
use http_body_util::StreamBody;
use hyper::body::Frame;
use std::io;
use std::time::Duration;

/// For everything together: 64 GiB over a slow line.
const PATIENCE: Duration = Duration::from_secs(12 * 3600);

/// What is uploaded, and where to.
#[derive(Debug, Clone, Copy)]
pub struct FileUpload<'a> {
    pub node: &'a str,
    pub storage: &'a str,
    /// `iso`, `vztmpl` or `import`.
    pub content: &'a str,
    /// `[A-Za-z0-9_.-]`, with the ending that fits the content.
    pub filename: &'a str,
    /// Algorithm (`sha256` ...) and hex: Proxmox throws a file with another checksum away.
    pub checksum: Option<(&'a str, &'a str)>,
    /// Bytes; the stream must yield exactly that many.
    pub size: u64,
}

/// A CD image of a few texts, put on a storage.
#[derive(Debug, Clone, Copy)]
pub struct CdImage<'a> {
    pub node: &'a str,
    pub storage: &'a str,
    /// As in [`FileUpload`], with `.iso` at its end.
    pub filename: &'a str,
    /// Up to 16 characters.
    pub label: &'a str,
    /// Names and texts.
    pub files: &'a [(String, Secret<String>)],
}

impl FileUpload<'_> {
    /// What stands before and after the file.
    fn frame(&self, boundary: &str) -> (String, String) {
        let mut head = String::new();
        let mut field = |name: &str, value: &str| {
            head.push_str(&format!(
                "--{boundary}\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n"
            ));
        };
        field("content", self.content);
        if let Some((algorithm, sum)) = self.checksum {
            // The other way round Proxmox answers a bare "Bad Request".
            field("checksum-algorithm", algorithm);
            field("checksum", sum);
        }
        head.push_str(&format!(
            "--{boundary}\r\nContent-Disposition: form-data; name=\"filename\"; filename=\"{}\"\r\nContent-Type: application/octet-stream\r\n\r\n",
            self.filename
        ));
        (head, format!("\r\n--{boundary}--\r\n"))
    }
}

impl PveClient {
    /// Sends a file and returns the UPID of the task that puts it in its place. Sent once, to the first address
    /// that can be connected.
    ///
    /// # Errors
    /// As [`PveClient::call`]; `Refused` when the stream breaks off.
    pub async fn upload<S>(&self, file: &FileUpload<'_>, body: S) -> Result<String, PveError>
    where
        S: Stream<Item = io::Result<Bytes>> + Send + Unpin + 'static,
    {
        let plain =
            |text: &str| !text.is_empty() && text.chars().all(|c| c.is_ascii_alphanumeric() || "_.-".contains(c));
        if !plain(file.filename) || !plain(file.node) || !file.checksum.is_none_or(|(a, s)| plain(a) && plain(s)) {
            return Err(PveError::internal("This name can't be part of an upload."));
        }
        let path = format!("/nodes/{}/storage/{}/upload", file.node, component(file.storage));
        check_path(&path)?;
        let (auth, wire, io) = self.connected().await?;
        let sent = send(auth, wire, io, &path, file, body);
        match tokio::time::timeout(PATIENCE, sent).await {
            Ok(answer) => answer.map_err(Miss::into_error)?.as_str().map(str::to_owned).ok_or_else(|| {
                PveError::new(PveErrorKind::Refused, "Proxmox accepted the file, but named no task for it.")
            }),
            Err(_) => Err(PveError::new(PveErrorKind::Timeout, "The upload took more than 12 hours and was given up.")),
        }
    }

    /// Makes a CD image and sends it. A file of the same name is overwritten. Returns the task's UPID.
    ///
    /// # Errors
    /// As [`PveClient::upload`]; `Internal` for names that no CD can have.
    pub async fn upload_cd(&self, cd: &CdImage<'_>) -> Result<String, PveError> {
        let files: Vec<IsoFile<'_>> =
            cd.files.iter().map(|(name, text)| IsoFile { name, bytes: text.expose().as_bytes() }).collect();
        let bytes = image(cd.label, &files).map_err(|e| PveError::internal(e.message()))?;
        let file = FileUpload {
            node: cd.node,
            storage: cd.storage,
            content: "iso",
            filename: cd.filename,
            checksum: None,
            size: bytes.len() as u64,
        };
        self.upload(&file, stream::iter([Ok(Bytes::from(bytes))])).await
    }
}

async fn send<S>(
    auth: &Auth,
    wire: &Wire,
    io: tokio_rustls::client::TlsStream<tokio::net::TcpStream>,
    path: &str,
    file: &FileUpload<'_>,
    body: S,
) -> Result<serde_json::Value, Miss>
where
    S: Stream<Item = io::Result<Bytes>> + Send + Unpin + 'static,
{
    let boundary = format!("steward-{}", uuid::Uuid::new_v4().simple());
    let (head, tail) = file.frame(&boundary);
    let length = head.len() as u64 + file.size + tail.len() as u64;
    let asked = SentRequest { method: "POST", path, endpoint: &wire.endpoint };
    let broken = |why: &str| {
        Miss::Broken(PveError::new(PveErrorKind::Refused, format!("The upload to Proxmox was cut off{why}.")))
    };
    let whole = stream::iter([Ok(Bytes::from(head))]).chain(body).chain(stream::iter([Ok(Bytes::from(tail))]));
    let mut sender = crate::http::sender(io).await.map_err(|_| broken(""))?;
    let Auth::Token(token) = auth else { return Err(broken(": only tokens upload")) };
    let request = Request::post(format!("/api2/json{path}"))
        .header(HOST, wire.endpoint.authority())
        .header(ACCEPT, "application/json")
        .header(AUTHORIZATION, token)
        .header(CONTENT_TYPE, format!("multipart/form-data; boundary={boundary}"))
        .header(CONTENT_LENGTH, length)
        .body(StreamBody::new(whole.map(|chunk| chunk.map(Frame::data))))
        .map_err(|_| broken(""))?;
    let response = sender.send_request(request).await.map_err(|e| {
        let why = std::error::Error::source(&e).map(|s| format!(": {s}")).unwrap_or_default();
        broken(&why)
    })?;
    receive(asked, response).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_file_comes_last_and_the_algorithm_before_the_checksum() {
        let file = FileUpload {
            node: "pve1",
            storage: "local",
            content: "import",
            filename: "x.qcow2",
            checksum: Some(("sha256", "ab")),
            size: 5,
        };
        let (head, tail) = file.frame("B");
        let names: Vec<&str> =
            head.split("name=\"").skip(1).filter_map(|p| p.split('"').next()).filter(|n| *n != "x.qcow2").collect();
        assert_eq!(names, ["content", "checksum-algorithm", "checksum", "filename"]);
        assert!(head.ends_with("\r\n\r\n") && tail == "\r\n--B--\r\n");
    }
}
