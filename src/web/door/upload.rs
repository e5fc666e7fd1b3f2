//! A form with a file at its end, read piece by piece: fields first, then the file as a stream. Like
//! [`Checked`](crate::door::csrf::Checked) it can't be had without the form's token.

use crate::door::csrf::{check_token, refused};
use crate::door::problem::refuse;
use crate::door::visit::Visit;
use crate::frame::Form;
use axum::body::{Body, BodyDataStream};
use axum::extract::{FromRequest, Request};
use axum::response::Response;
use base::{Error, Result};
use bytes::{Bytes, BytesMut};
use futures_util::StreamExt as _;
use futures_util::stream::Stream;
use http::{HeaderMap, header};
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::time::{Instant, Sleep};

/// All fields before the file together.
const FIELDS: usize = 64 * 1024;
/// A browser that sends nothing for this long is gone.
const IDLE: Duration = Duration::from_secs(60);

/// A form that was sent by our own page for this session, up to its file.
pub struct CheckedFile {
    pub form: Form,
    /// Bytes; 0 when no file was chosen.
    pub size: u64,
    pub file: FileStream,
}

impl<S: Send + Sync> FromRequest<S> for CheckedFile {
    type Rejection = Response;

    async fn from_request(request: Request, _: &S) -> std::result::Result<Self, Response> {
        let visit = Visit::of(request.extensions()).map_err(refuse)?;
        read(&visit, request).await.map_err(refuse)
    }
}

async fn read(visit: &Visit, request: Request) -> Result<CheckedFile> {
    // A form of another kind holds no token that could be read here.
    let boundary = boundary(request.headers()).ok_or_else(refused)?;
    let length = content_length(request.headers())?;
    let mut body = request.into_body().into_data_stream();
    let mut start = BytesMut::new();
    let head = loop {
        if let Some(head) = head(&start, &boundary)? {
            break head;
        }
        if start.len() > FIELDS {
            return Err(Error::invalid("The fields of the form are too long."));
        }
        match tokio::time::timeout(IDLE, body.next()).await {
            Ok(Some(Ok(chunk))) => start.extend_from_slice(&chunk),
            _ => return Err(Error::invalid("The form arrived incomplete.")),
        }
    };
    let token = head.fields.iter().find(|(name, _)| name == "csrf").map_or("", |(_, v)| v.as_str());
    if !check_token(token, visit.form_mark) {
        return Err(refused());
    }
    // What is not head and not end is the file: so its size is known before it is read.
    let tail = format!("\r\n--{boundary}--\r\n").into_bytes();
    let size = length
        .checked_sub(head.length as u64 + tail.len() as u64)
        .ok_or_else(|| Error::invalid("The form arrived incomplete."))?;
    let rest = start.split_off(head.length).freeze();
    let file = FileStream::new(Some(rest).filter(|r| !r.is_empty()), body, size, tail);
    Ok(CheckedFile { form: Form::from_pairs(head.fields), size, file })
}

fn boundary(headers: &HeaderMap) -> Option<String> {
    let text = headers.get(header::CONTENT_TYPE)?.to_str().ok()?;
    let rest = text.strip_prefix("multipart/form-data")?;
    let value = rest.split(';').find_map(|p| p.trim().strip_prefix("boundary="))?.trim_matches('"');
    (!value.is_empty() && value.len() <= 70).then(|| value.to_owned())
}

pub fn content_length(headers: &HeaderMap) -> Result<u64> {
    let text = headers.get(header::CONTENT_LENGTH).and_then(|v| v.to_str().ok());
    text.and_then(|t| t.parse().ok()).ok_or_else(|| Error::invalid("Send the length of the file (Content-Length)."))
}

/// What stands before the file.
#[derive(Debug)]
struct Head {
    fields: Vec<(String, String)>,
    /// Bytes up to the file's first.
    length: usize,
}

/// The head, when `text` has it whole. `None`: more is needed.
fn head(text: &[u8], boundary: &str) -> Result<Option<Head>> {
    let bad = || Error::invalid("The form could not be read.");
    let opening = format!("--{boundary}\r\n").into_bytes();
    let between = format!("\r\n--{boundary}\r\n").into_bytes();
    if text.len() < opening.len() {
        return Ok(None);
    }
    if !text.starts_with(&opening) {
        return Err(bad());
    }
    let (mut fields, mut at) = (Vec::new(), opening.len());
    loop {
        let Some(lines) = find(&text[at..], b"\r\n\r\n") else { return Ok(None) };
        let about = std::str::from_utf8(&text[at..at + lines]).map_err(|_| bad())?;
        let value = at + lines + 4;
        let disposition = about.lines().find(|l| l.to_ascii_lowercase().starts_with("content-disposition:"));
        let disposition = disposition.ok_or_else(bad)?;
        if disposition.contains("filename=") {
            return Ok(Some(Head { fields, length: value }));
        }
        let name = disposition.split("name=\"").nth(1).and_then(|n| n.split('"').next()).ok_or_else(bad)?;
        let Some(end) = find(&text[value..], &between) else { return Ok(None) };
        let text_value = std::str::from_utf8(&text[value..value + end]).map_err(|_| bad())?;
        fields.push((name.to_owned(), text_value.to_owned()));
        at = value + end + between.len();
    }
}

fn find(text: &[u8], what: &[u8]) -> Option<usize> {
    text.windows(what.len()).position(|w| w == what)
}

/// The file's bytes, exactly as many as its size; an error when the form goes on after the file or breaks off.
pub struct FileStream {
    first: Option<Bytes>,
    body: BodyDataStream,
    left: u64,
    /// What must come after the file; empty for a bare body.
    tail: Vec<u8>,
    /// Ends when nothing came for a while.
    idle: Pin<Box<Sleep>>,
}

impl FileStream {
    fn new(first: Option<Bytes>, body: BodyDataStream, left: u64, tail: Vec<u8>) -> Self {
        Self { first, body, left, tail, idle: Box::pin(tokio::time::sleep(IDLE)) }
    }

    /// A body that is nothing but the file.
    pub fn bare(body: Body, size: u64) -> Self {
        Self::new(None, body.into_data_stream(), size, Vec::new())
    }

    /// The part of `chunk` that belongs to the file; the rest must be the end.
    fn cut(&mut self, mut chunk: Bytes) -> io::Result<Bytes> {
        let most = usize::try_from(self.left).unwrap_or(usize::MAX).min(chunk.len());
        let rest = chunk.split_off(most);
        self.left -= most as u64;
        if !self.tail.starts_with(&rest) {
            return Err(io::Error::other("the file must be the last field of the form"));
        }
        self.tail.drain(..rest.len());
        Ok(chunk)
    }
}

impl Stream for FileStream {
    type Item = io::Result<Bytes>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let next = match self.first.take() {
            Some(first) => Some(Ok(first)),
            None => match Pin::new(&mut self.body).poll_next(cx) {
                Poll::Pending if self.idle.as_mut().poll(cx).is_ready() => {
                    (self.left, self.tail) = (0, Vec::new());
                    return Poll::Ready(Some(Err(io::Error::other("nothing came for a minute"))));
                }
                Poll::Pending => return Poll::Pending,
                Poll::Ready(next) => next.map(|c| c.map_err(io::Error::other)),
            },
        };
        match next {
            Some(Ok(chunk)) => {
                self.idle.as_mut().reset(Instant::now() + IDLE);
                Poll::Ready(Some(self.cut(chunk)))
            }
            Some(Err(e)) => Poll::Ready(Some(Err(e))),
            None if self.left > 0 || !self.tail.is_empty() => {
                (self.left, self.tail) = (0, Vec::new());
                Poll::Ready(Some(Err(io::Error::other("the sender broke off"))))
            }
            None => Poll::Ready(None),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FORM: &str = "--B\r\nContent-Disposition: form-data; name=\"csrf\"\r\n\r\nabc\r\n--B\r\nContent-Disposition: form-data; name=\"title\"\r\n\r\nMy \r\n image\r\n--B\r\nContent-Disposition: form-data; name=\"file\"; filename=\"a.qcow2\"\r\nContent-Type: application/octet-stream\r\n\r\nDATA";

    #[test]
    fn fields_are_read_and_the_file_begins_where_it_begins_however_it_is_cut() {
        for cut in 0..FORM.len() - 4 {
            assert!(head(&FORM.as_bytes()[..cut], "B").unwrap().is_none(), "{cut}");
        }
        let head = head(FORM.as_bytes(), "B").unwrap().unwrap();
        assert_eq!(&FORM[head.length..], "DATA");
        assert_eq!(head.fields[1], ("title".to_owned(), "My \r\n image".to_owned()));
    }

    #[test]
    fn what_is_no_form_is_refused() {
        assert!(head(b"<html><body>hello</body>", "B").is_err());
        assert!(head(b"--B\r\nContent-Type: x\r\n\r\nv\r\n--B\r\n", "B").is_err());
    }

    async fn all(parts: &[&'static str], size: u64) -> io::Result<Vec<u8>> {
        let parts: Vec<io::Result<Bytes>> = parts.iter().map(|p| Ok(Bytes::from_static(p.as_bytes()))).collect();
        let body = Body::from_stream(futures_util::stream::iter(parts)).into_data_stream();
        let mut file = FileStream::new(None, body, size, b"\r\n--B--\r\n".to_vec());
        let mut out = Vec::new();
        while let Some(chunk) = file.next().await {
            out.extend_from_slice(&chunk?);
        }
        Ok(out)
    }

    #[tokio::test]
    async fn the_file_is_exactly_the_file() {
        assert_eq!(all(&["DA", "TA\r\n--", "B--\r\n"], 4).await.unwrap(), b"DATA");
        assert!(all(&["DATA\r\n--B\r\nmore"], 4).await.is_err(), "a field after the file");
        assert!(all(&["DATA\r\n--B"], 4).await.is_err(), "broken off at the end");
        assert!(all(&["DA"], 4).await.is_err(), "broken off in the file");
    }
}
