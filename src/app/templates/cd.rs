//! A CD image that is made of texts and put on a storage: what a plugin asks for with `files` in an upload.

use super::iso::{IsoFile, image};
use bytes::Bytes;
use futures_util::stream;
use remote::pve::{FileUpload, PveClient, PveError, PveErrorKind};
use serde_json::{Value, json};

/// Is this call such a one? `POST /nodes/NODE/storage/STORAGE/upload` with `files`.
pub fn is_cd(method: &str, path: &str, params: &Value) -> bool {
    method == "POST" && path.ends_with("/upload") && params["files"].is_object()
}

/// Makes the image and sends it. What lies there under the name is written over. Answers the task's UPID.
///
/// # Errors
/// As [`PveClient::upload`]; `Internal` for names that no CD can have.
pub async fn upload_cd(client: &PveClient, path: &str, params: &Value) -> Result<Value, PveError> {
    let wrong = |text: &str| PveError::new(PveErrorKind::Internal, text);
    let parts: Vec<&str> = path.split('/').collect();
    let ["", "nodes", node, "storage", storage, "upload"] = parts[..] else {
        return Err(wrong("This is no address for an upload."));
    };
    let texts: Vec<(&String, &str)> = params["files"]
        .as_object()
        .into_iter()
        .flatten()
        .map(|(name, text)| (name, text.as_str().unwrap_or_default()))
        .collect();
    let files: Vec<IsoFile<'_>> = texts.iter().map(|(name, text)| IsoFile { name, bytes: text.as_bytes() }).collect();
    let bytes = image(params["label"].as_str().unwrap_or("STEWARD"), &files).map_err(|e| wrong(e.message()))?;
    let file = FileUpload {
        node,
        storage,
        content: "iso",
        filename: params["filename"].as_str().unwrap_or_default(),
        checksum: None,
        size: bytes.len() as u64,
    };
    let task = client.upload(&file, stream::iter([Ok(Bytes::from(bytes))])).await?;
    Ok(json!(task))
}
