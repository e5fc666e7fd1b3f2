//! A template from an image that the person uploads, for hosts without Internet access. The file passes
//! through Steward in pieces and is never stored as a whole.

use super::{Templates, build};
use crate::Actor;
use base::ids::JobId;
use base::{Error, Result};
use bytes::{Bytes, BytesMut};
use futures_util::stream::{self, Stream, StreamExt as _};
use model::images::{Algorithm, Image, START, refused_by_start};
use model::jobs::Job;
use model::templates::TemplateRequest;
use remote::pve::FileUpload;
use sha2::Digest as _;
use std::io;
use std::sync::{Arc, Mutex, PoisonError};

/// 64 GiB: larger than any cloud image, and a limit for mistakes.
pub const LARGEST: u64 = 64 << 30;

impl Templates<'_> {
    /// Sends the file to the node and asks for a template of it. The checksum in the image, if there is one, is
    /// what Proxmox compares the file with; else the one that Steward counts while it passes is noted.
    ///
    /// # Errors
    /// `Forbidden`; `Invalid` with a sentence per field (`file` for the file itself), before anything is read of
    /// it where possible; `Unavailable` while Proxmox is unreachable or when the upload is cut off.
    pub async fn request_upload<S>(&self, actor: &Actor, request: TemplateRequest, size: u64, body: S) -> Result<Job>
    where
        S: Stream<Item = io::Result<Bytes>> + Send + Unpin + 'static,
    {
        actor.require_full_admin()?;
        let mut place = request.target();
        let Some(own) = request.own else {
            return Err(Error::field("image", "Only an image of your own can be uploaded."));
        };
        if !(START as u64..=LARGEST).contains(&size) {
            return Err(Error::field("file", "Choose the image's file. It may have at most 64 GiB."));
        }
        let (image, given) = checked(own.into())?;
        build::check(&image, &place, build::Source::Upload)?;
        let connection = self.connection_for(request.connection.as_deref(), &place.node)?;
        let name = self.name_for(connection, &image, request.name.trim())?;
        let choices = self.choices(actor, connection, &place.node).await?;
        if place.images.is_empty() {
            place.images = choices.images.first().cloned().unwrap_or_default();
        }
        if !choices.images.contains(&place.images) {
            let hint = choices.commands.first().map(|c| format!(" Run on the node, as root: {c}")).unwrap_or_default();
            return Err(Error::field("images", format!("This storage does not take disk images to import.{hint}")));
        }
        let id = JobId::new();
        let file = format!("steward-{}-{id}.{}", image.id, image.format);
        let body = begins_right(body, &image.format).await?;
        let count = Arc::new(Mutex::new(sha2::Sha256::new()));
        let counted = Arc::clone(&count);
        let body = body.map(move |chunk| {
            chunk.inspect(|bytes| counted.lock().unwrap_or_else(PoisonError::into_inner).update(bytes))
        });
        let upload = FileUpload {
            node: &place.node,
            storage: &place.images,
            content: "import",
            filename: &file,
            checksum: given.as_deref().map(|digest| (image.algorithm.name(), digest)),
            size,
        };
        let client = self.0.connections().client(connection)?;
        let task =
            client.upload(&upload, body).await.map_err(|e| Error::unavailable(e.message.clone()).with_cause(e))?;
        let seen = hex::encode(count.lock().unwrap_or_else(PoisonError::into_inner).clone().finalize());
        let image = match &given {
            Some(_) => image,
            None => Image { algorithm: Algorithm::Sha256, ..image },
        };
        let mut args = self.args(&image, false, place, name, given.unwrap_or(seen), id);
        args.file = file;
        args.url = String::new();
        args.upload = Some(task);
        self.enqueue_build(actor, connection, args, id).await
    }
}

/// The image with the algorithm that its checksum has by its length, and the checksum in lowercase letters.
fn checked(mut image: Image) -> Result<(Image, Option<String>)> {
    let text = image.checksum.take().unwrap_or_default();
    let text = text.trim();
    if text.is_empty() {
        return Ok((image, None));
    }
    for algorithm in [Algorithm::Sha256, Algorithm::Sha512] {
        if let Some(digest) = algorithm.digest(text) {
            image.algorithm = algorithm;
            return Ok((image, Some(digest)));
        }
    }
    Err(Error::field("checksum", "A SHA-256 checksum has 64 hex digits, a SHA-512 checksum 128. It may be left empty."))
}

/// Looks at the first bytes: a file that is not what it should be is refused before it is sent anywhere.
async fn begins_right<S>(
    mut body: S,
    format: &str,
) -> Result<impl Stream<Item = io::Result<Bytes>> + Send + Unpin + 'static>
where
    S: Stream<Item = io::Result<Bytes>> + Send + Unpin + 'static,
{
    let mut start = BytesMut::new();
    while start.len() < START {
        let broke = || Error::field("file", "The file arrived incomplete. Try again.");
        match body.next().await {
            Some(Ok(chunk)) => start.extend_from_slice(&chunk),
            Some(Err(e)) => return Err(broke().with_cause(e)),
            None => return Err(broke()),
        }
    }
    if let Some(why) = refused_by_start(format, &start) {
        return Err(Error::field("file", why));
    }
    Ok(stream::iter([Ok(start.freeze())]).chain(body))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::templates::an_image;

    #[tokio::test]
    async fn a_file_of_another_kind_is_refused_by_its_first_bytes() {
        let body =
            |parts: &[&'static [u8]]| stream::iter(parts.iter().map(|p| Ok(Bytes::from_static(p))).collect::<Vec<_>>());
        static REST: [u8; START] = [0; START];
        assert!(begins_right(body(&[b"\x1f", b"\x8b", &REST]), "raw").await.is_err(), "packed");
        assert!(begins_right(body(&[b"QFI\xfb"]), "qcow2").await.is_err(), "too short");
        let whole = begins_right(body(&[b"QF", b"I\xfb", &REST, b"rest"]), "qcow2").await.unwrap();
        let parts: Vec<Bytes> = whole.map(Result::unwrap).collect().await;
        assert_eq!(parts.concat(), [b"QFI\xfb", &REST[..], b"rest"].concat());
    }

    #[test]
    fn the_kind_of_checksum_is_known_by_its_length() {
        let with = |text: String| checked(Image { checksum: Some(text), ..an_image() });
        assert_eq!(with("A".repeat(128)).unwrap().0.algorithm, Algorithm::Sha512);
        assert_eq!(with(" ".into()).unwrap().1, None);
        assert!(with("12".into()).is_err());
    }
}
