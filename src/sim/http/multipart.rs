//! Uploads as pve-http-server reads them (src/PVE/APIServer/AnyEvent.pm, `file_upload_multipart`): fields, then the
//! file. What follows the file's data up to the closing boundary becomes part of the file, as there.

use super::form::{Raw, RawParams};
use crate::error::ApiError;
use bytes::Bytes;

/// The uploaded file: its name and its bytes.
pub type File = (String, Bytes);

/// Takes an upload apart.
pub fn parse(content_type: &str, body: &Bytes) -> Result<(RawParams, Option<File>), ApiError> {
    let bad = || ApiError::transport(400, "Bad Request");
    let boundary = content_type.split("boundary=").nth(1).map(|b| b.trim().trim_matches('"')).ok_or_else(bad)?;
    let opening = format!("--{boundary}\r\n").into_bytes();
    let between = format!("\r\n--{boundary}\r\n").into_bytes();
    let closing = format!("\r\n--{boundary}--").into_bytes();
    if !body.starts_with(&opening) {
        return Err(bad());
    }
    let (mut params, mut at) = (RawParams::new(), opening.len());
    loop {
        let lines = find(&body[at..], b"\r\n\r\n").ok_or_else(bad)?;
        let head = String::from_utf8_lossy(&body[at..at + lines]).into_owned();
        let data = at + lines + 4;
        // The disposition must be the part's first header.
        let first = head.lines().next().unwrap_or_default().to_owned();
        let name = between_quotes(&first, "name=\"").ok_or_else(bad)?;
        if name == "filename" {
            let file = between_quotes(&first, "filename=\"").ok_or_else(bad)?;
            let end = rfind(&body[data..], &closing).ok_or_else(bad)?;
            return Ok((params, Some((file, body.slice(data..data + end)))));
        }
        let end = find(&body[data..], &between);
        let last = end.is_none();
        let end = end.or_else(|| find(&body[data..], &closing)).ok_or_else(bad)?;
        let value = String::from_utf8_lossy(&body[data..data + end]).into_owned();
        if name == "checksum" && !params.contains_key("checksum-algorithm") {
            return Err(bad());
        }
        params.insert(name, Raw::One(value));
        if last {
            return Ok((params, None));
        }
        at = data + end + between.len();
    }
}

fn between_quotes(text: &str, key: &str) -> Option<String> {
    // "filename=" holds "name=" too.
    let at = text.find(&format!("; {key}"))? + key.len() + 2;
    text.get(at..)?.split('"').next().map(str::to_owned)
}

fn find(text: &[u8], what: &[u8]) -> Option<usize> {
    text.windows(what.len()).position(|w| w == what)
}

fn rfind(text: &[u8], what: &[u8]) -> Option<usize> {
    text.windows(what.len()).rposition(|w| w == what)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn field(name: &str, value: &str) -> String {
        format!("--B\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n")
    }

    const FILE: &str = "--B\r\nContent-Disposition: form-data; name=\"filename\"; filename=\"x.iso\"\r\n\r\nabc";

    fn read(text: String) -> Result<(RawParams, Option<File>), ApiError> {
        parse("multipart/form-data; boundary=B", &Bytes::from(text))
    }

    #[test]
    fn fields_and_file_are_told_apart() {
        let (params, file) = read(field("content", "iso") + FILE + "\r\n--B--\r\n").unwrap();
        assert_eq!(params["content"], Raw::One("iso".into()));
        assert_eq!(file.unwrap(), ("x.iso".to_owned(), Bytes::from_static(b"abc")));
    }

    #[test]
    fn a_field_after_the_file_ends_up_in_the_file() {
        let (params, file) = read(FILE.to_owned() + "\r\n" + &field("content", "iso") + "--B--\r\n").unwrap();
        assert!(params.is_empty() && file.unwrap().1.len() > 60);
    }

    #[test]
    fn a_checksum_before_its_algorithm_is_a_bad_request() {
        assert_eq!(read(field("checksum", "12") + FILE + "\r\n--B--\r\n").unwrap_err().status, 400);
    }
}
