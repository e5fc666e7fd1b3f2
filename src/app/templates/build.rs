//! Asking for a template: which image, where, under which name. The checksum is looked up now, so that what is
//! downloaded later can be compared with what the publisher listed.

use super::Templates;
use crate::Actor;
use crate::jobs::{NewJob, enqueue};
use base::ids::{ConnectionId, GuestId, JobId};
use base::{Error, Result};
use model::connections::Reach;
use model::guests::{HOST_NAME, is_host_name};
use model::images::{Image, START, find_checksum, refused_by_start};
use model::jobs::{Job, JobKind, Priority};
use model::plugins::HookMode;
use model::subject::Subject;
use model::templates::{BuildArgs, TemplateRequest, TemplateTarget, free_name};
use remote::fetch;
use serde_json::json;

/// A list of checksums is some KiB; Fedora's is signed and somewhat larger.
const LARGEST_LIST: usize = 1 << 20;

impl Templates<'_> {
    /// Asks for a template: one commit holds the job and the audit entry. While a template of the same image is
    /// made on the same node, that job is the answer.
    ///
    /// # Errors
    /// `Forbidden`; `Invalid` with a sentence per field; `Unavailable` while Proxmox or the publisher's server is
    /// away.
    pub async fn request_build(&self, actor: &Actor, request: TemplateRequest) -> Result<Job> {
        actor.require_full_admin()?;
        let mut place = request.target();
        let (image, of_catalogue) = match (request.image, request.own) {
            (Some(id), None) => {
                let found = self.catalogue().get(&id).cloned();
                (found.ok_or_else(|| Error::field("image", "There is no such image in the catalogue."))?, true)
            }
            (None, Some(own)) => (own.into(), false),
            _ => return Err(Error::field("image", "Give either image (an id of the catalogue) or own.")),
        };
        if place.disk == 0 {
            place.disk = image.disk;
        }
        check(&image, &place, if of_catalogue { Source::Catalogue } else { Source::Own })?;
        let connection = self.connection_for(request.connection.as_deref(), &place.node)?;
        let name = self.name_for(connection, &image, request.name.trim())?;
        self.look_at_start(&image)
            .await
            .map_err(|why| Error::field(if of_catalogue { "image" } else { "own.url" }, why))?;
        let digest = self.digest(&image).await?;
        let id = JobId::new();
        let args = self.args(&image, of_catalogue, place, name, digest, id);
        self.enqueue_build(actor, connection, args, id).await
    }

    /// One commit with the job and the audit entry.
    pub(super) async fn enqueue_build(
        &self,
        actor: &Actor,
        connection: ConnectionId,
        args: BuildArgs,
        id: JobId,
    ) -> Result<Job> {
        let new = NewJob {
            id,
            plugin: self.0.connections().plugin_of(connection)?,
            title: format!("Make template {}", args.name),
            priority: Priority::Normal,
            subject: Subject::Connection(connection),
            connection: Some(connection),
            lane: Some(format!("node:{connection}:{}", args.place.node)),
            dedup: Some(format!("template:{connection}:{}:{}", args.place.node, args.image)),
            max_attempts: 3,
            kind: JobKind::BuildTemplate(Box::new(args.clone())),
        };
        let about = format!("{} on {}, {} {}", args.title, args.place.node, args.algorithm.name(), args.digest);
        let record = actor.record(self.0.now(), "template.build", args.name, about);
        let actor = actor.clone();
        let job = self
            .0
            .store()
            .write(move |tx| {
                let job = enqueue(tx, &actor, new)?;
                if job.id == id {
                    tx.audit(record);
                }
                Ok(job)
            })
            .await?;
        self.0.job_bell().notify_one();
        Ok(job)
    }

    /// Asks for a new template of the same image, in the same place as an earlier one.
    ///
    /// # Errors
    /// As [`Self::request_build`]; `Conflict` for a template that was not made from the catalogue.
    pub async fn request_rebuild(&self, actor: &Actor, id: GuestId) -> Result<Job> {
        actor.require_full_admin()?;
        let guest = self.template(actor, id)?;
        let known = self.known(guest.row.connection)?;
        let made = guest.row.vmid.and_then(|v| known.get(&v)).filter(|t| t.of_catalogue).ok_or_else(|| {
            Error::conflict(
                "Steward did not make this template from an image of the catalogue, so it can't rebuild it.",
            )
        })?;
        self.request_build(actor, TemplateRequest::again(made)).await
    }

    pub(super) fn args(
        &self,
        image: &Image,
        of_catalogue: bool,
        place: TemplateTarget,
        name: String,
        digest: String,
        id: JobId,
    ) -> BuildArgs {
        let notes = format!(
            "{} ({}), made by Steward on {} from\n{}\n{}: {digest}{}",
            image.title(),
            image.arch,
            self.0.now().to_utc().format("%Y-%m-%d"),
            if image.url.is_empty() { "an uploaded file" } else { &image.url },
            image.algorithm.name(),
            if image.user.is_empty() { String::new() } else { format!("\nUser: {}", image.user) },
        );
        BuildArgs {
            image: image.id.clone(),
            title: image.title(),
            url: self.address(&image.url),
            file: BuildArgs::file_name(image, &digest),
            algorithm: image.algorithm,
            digest,
            format: image.format.clone(),
            user: image.user.clone(),
            system: image.system.clone(),
            cpu: image.cpu.clone(),
            memory: image.memory.max(512),
            name,
            place,
            notes,
            upload: None,
            mark: json!(id).as_str().unwrap_or_default().to_owned(),
            of_catalogue,
            recommended: image.recommended,
        }
    }

    /// Where a publisher's file is fetched from: the mirror of the settings, or the publisher.
    fn address(&self, url: &str) -> String {
        match (&self.0.settings().image_mirror, url.split_once("://")) {
            (Some(mirror), Some((_, rest))) => format!("{}/{rest}", mirror.trim_end_matches('/')),
            _ => url.to_owned(),
        }
    }

    /// Refuses a file that is not what it should be before a node fetches all of it. The node may reach servers that
    /// Steward can't, so no answer is none to worry about here.
    async fn look_at_start(&self, image: &Image) -> std::result::Result<(), String> {
        match fetch::start(&self.address(&image.url), START).await {
            Ok(start) => refused_by_start(&image.format, &start).map_or(Ok(()), Err),
            Err(e) => {
                tracing::debug!(error = %e, "the beginning of the image was not seen");
                Ok(())
            }
        }
    }

    /// The image's checksum as its publisher lists it now.
    pub(super) async fn digest(&self, image: &Image) -> Result<String> {
        if let Some(fixed) = &image.checksum {
            return Ok(fixed.trim().to_ascii_lowercase());
        }
        let list = image.checksums.as_deref().unwrap_or_default();
        let text = fetch::text(&self.address(list), LARGEST_LIST).await.map_err(|e| {
            Error::unavailable(format!("The publisher's list of checksums can't be read. {e}")).with_cause(e)
        })?;
        find_checksum(&text, image).ok_or_else(|| {
            Error::unavailable(format!(
                "The publisher's list of checksums ({list}) does not name {}. There may be a newer release with another name.",
                image.file()
            ))
        })
    }

    pub(super) fn connection_for(&self, wanted: Option<&str>, node: &str) -> Result<ConnectionId> {
        let found = self.0.nodes().connection_of(node, wanted)?;
        let snapshot = self.0.live().snapshot();
        let reach = snapshot.connection(found).map(|c| c.reach.clone());
        if !matches!(reach, Some(Reach::Here { .. })) {
            return Err(Error::unavailable("Proxmox is not answering. Try again when it is back."));
        }
        if !self.0.nodes().usable(found)?.iter().any(|n| n == node) {
            return Err(Error::field("node", "This node is not available, or Steward may not use it."));
        }
        let plugin = self.0.plugin_set().get(&self.0.connections().plugin_of(found)?);
        let can = plugin
            .is_some_and(|p| p.manifest().hooks.get(JobKind::BUILD_TEMPLATE).is_some_and(|h| h.mode == HookMode::Job));
        if !can {
            return Err(Error::field("node", "The plugin of this connection can't make templates from images."));
        }
        Ok(found)
    }

    pub(super) fn name_for(&self, connection: ConnectionId, image: &Image, wanted: &str) -> Result<String> {
        let snapshot = self.0.live().snapshot();
        let taken = |name: &str| snapshot.guests.iter().any(|g| g.row.connection == connection && g.state.name == name);
        if wanted.is_empty() {
            let day = self.0.now().to_utc().format("%Y%m%d").to_string();
            return Ok(free_name(&image.id, &day, taken));
        }
        if !is_host_name(wanted) {
            return Err(Error::field("name", HOST_NAME));
        }
        if taken(wanted) {
            return Err(Error::field("name", "There is a machine with this name already. Choose another."));
        }
        Ok(wanted.to_owned())
    }
}

/// Where an image comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Source {
    Catalogue,
    Own,
    Upload,
}

/// What can be checked without asking anybody. All wrong fields are named at once.
pub(super) fn check(image: &Image, place: &TemplateTarget, source: Source) -> Result<()> {
    let mut wrong: Vec<(String, String)> = Vec::new();
    for (field, text) in image.check() {
        let field = match field {
            "id" => "name",
            "checksums" => "checksum",
            field => field,
        };
        match source {
            Source::Own => wrong.push((format!("own.{field}"), text)),
            Source::Upload if field == "name" => wrong.push(("title".to_owned(), text)),
            // An uploaded file has neither address nor list.
            Source::Upload if !["url", "checksum"].contains(&field) => wrong.push((field.to_owned(), text)),
            _ => {}
        }
    }
    let mut say = |is_wrong: bool, field: &str, text: &str| {
        if is_wrong {
            wrong.push((field.to_owned(), text.to_owned()));
        }
    };
    let is_name =
        |text: &str| text.chars().all(|c| c.is_ascii_alphanumeric() || "-_.".contains(c)) && text.len() <= 100;
    say(place.bridge.is_empty() || !is_name(&place.bridge), "bridge", "Choose a bridge.");
    say(!is_name(&place.storage), "storage", "This is not the name of a storage.");
    say(!is_name(&place.images), "images", "This is not the name of a storage.");
    say(place.vlan.is_some_and(|v| !(1..=4094).contains(&v)), "vlan", "A VLAN tag is 1 to 4094.");
    let least = format!("{} needs at least {} GiB; 65536 GiB is the limit.", image.title(), image.disk);
    say(place.disk < image.disk || place.disk > 65_536, "disk", &least);
    Error::of_fields(wrong)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::templates::an_image;

    #[test]
    fn a_place_that_can_not_be_names_all_its_fields() {
        let place = TemplateTarget {
            bridge: String::new(),
            vlan: Some(5000),
            disk: 1,
            storage: "a,b".into(),
            ..TemplateTarget::default()
        };
        let e = check(&an_image(), &place, Source::Catalogue).unwrap_err();
        assert_eq!(e.fields().keys().collect::<Vec<_>>(), ["bridge", "disk", "storage", "vlan"]);
        let place = TemplateTarget { bridge: "vmbr0".into(), disk: 4, ..TemplateTarget::default() };
        assert!(check(&an_image(), &place, Source::Catalogue).is_ok());
    }
}
