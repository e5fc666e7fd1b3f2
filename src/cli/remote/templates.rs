//! `steward templates`: what machines are made from.

use super::super::say::complain;
use super::actions::{self, Wait};
use super::client::Api;
use super::table::{self, Cell, Row, Tone};
use super::{Common, complete, find, impact};
use base::Result;
use base::amounts::{bytes, gibibytes};
use clap::Subcommand;
use clap_complete::engine::{ArgValueCandidates, ArgValueCompleter};
use model::guests::ActionKind;
use serde_json::{Value, json};
use std::process::ExitCode;
use web::guests::rest::GuestView;
use web::templates::rest::{ImageList, ImageView, TemplateList, TemplateView};

#[derive(Debug, clap::Args)]
pub struct Templates {
    #[command(flatten)]
    common: Common,
    #[command(subcommand)]
    verb: TemplatesCommand,
}

#[derive(Debug, Subcommand)]
enum TemplatesCommand {
    /// Templates from which machines can be made.
    List,
    /// The catalogue of cloud images. For admins.
    Images {
        /// First ask the publishers whether there are newer ones.
        #[arg(long)]
        look: bool,
    },
    /// Make a template from an image of the catalogue: download, check, prepare.
    Build(Box<Build>),
    /// Make a template from the newest image, in the same place as this one.
    Rebuild(TemplateArgs),
    /// Delete a template, if no machine depends on it.
    Delete {
        #[command(flatten)]
        one: TemplateArgs,
        /// Ask nothing.
        #[arg(long, short)]
        yes: bool,
    },
}

#[derive(Debug, clap::Args)]
struct TemplateArgs {
    /// The template's name, number or id.
    #[arg(value_name = "TEMPLATE", add = ArgValueCompleter::new(complete::templates))]
    template: String,
    #[command(flatten)]
    wait: Wait,
}

#[derive(Debug, clap::Args)]
struct Build {
    /// The image's id; `steward templates images` lists them.
    #[arg(value_name = "IMAGE", add = ArgValueCandidates::new(complete::images))]
    image: String,
    /// The node to make it on.
    #[arg(long, add = ArgValueCandidates::new(complete::nodes))]
    node: String,
    /// The network bridge of its card.
    #[arg(long)]
    bridge: String,
    #[arg(long)]
    vlan: Option<u16>,
    /// Its name; left out: the image's id with today's date.
    #[arg(long)]
    name: Option<String>,
    /// Where its disk goes; left out: the storage with the most free space.
    #[arg(long)]
    storage: Option<String>,
    /// Where the download is kept in the meantime; left out: the storage for such images with the most free space.
    #[arg(long, value_name = "STORAGE")]
    images: Option<String>,
    /// GiB; left out: what the image needs.
    #[arg(long, value_parser = gibibytes)]
    disk: Option<u64>,
    #[command(flatten)]
    wait: Wait,
}

impl Templates {
    pub async fn run(self) -> Result<ExitCode> {
        let Self { common, verb } = self;
        let mut api = common.api()?;
        let (job, wait) = match verb {
            TemplatesCommand::List => return list(&mut api, &common).await,
            TemplatesCommand::Images { look } => return images(&mut api, &common, look).await,
            TemplatesCommand::Build(build) => (api.post("/templates", &build.body()).await?, build.wait),
            TemplatesCommand::Rebuild(one) => {
                let path = path(&find::guest(&mut api, &one.template).await?);
                (api.post(&format!("{path}/rebuild"), &()).await?, one.wait)
            }
            TemplatesCommand::Delete { one, yes } => {
                let found = find::guest(&mut api, &one.template).await?;
                let question = format!("Delete {} for good?", table::plain(&found.name));
                let action = ActionKind::Delete.empty();
                impact::sure(&mut api, std::slice::from_ref(&found), &action, &question, yes).await?;
                (api.delete(&path(&found)).await?, one.wait)
            }
        };
        actions::finish(&mut api, &common, &wait, vec![job]).await
    }
}

fn path(template: &GuestView) -> String {
    format!("/templates/{}", template.id)
}

impl Build {
    fn body(&self) -> Value {
        let mut body = json!({ "image": self.image, "node": self.node, "bridge": self.bridge });
        let texts = [("name", &self.name), ("storage", &self.storage), ("images", &self.images)];
        for (key, value) in texts {
            if let Some(value) = value {
                body[key] = json!(value);
            }
        }
        if let Some(vlan) = self.vlan {
            body["vlan"] = json!(vlan);
        }
        if let Some(disk) = self.disk {
            body["disk"] = json!(disk);
        }
        body
    }
}

impl Row for TemplateView {
    const HEADS: &'static [&'static str] = &["no.", "name", "system", "node", "disk", "user", "made", ""];

    fn cells(&self) -> Vec<Cell> {
        let state = match (self.superseded, self.newer) {
            (true, _) => Cell::text("replaced").tone(Tone::Dim),
            (_, true) => Cell::text("newer image").tone(Tone::Busy),
            _ => Cell::text(""),
        };
        vec![
            Cell::maybe(self.vmid).right(),
            Cell::text(&self.name),
            Cell::maybe(self.title.as_ref()),
            Cell::text(&self.node),
            Cell::number(bytes(self.disk)),
            Cell::maybe(self.user.as_ref()),
            Cell::maybe(self.built.map(table::time)),
            state,
        ]
    }
}

impl Row for ImageView {
    const HEADS: &'static [&'static str] = &["id", "system", "user", "disk", "recommended", ""];

    fn cells(&self) -> Vec<Cell> {
        let state = match (&self.job, &self.trouble, self.newer) {
            (Some(_), ..) => Cell::text("being made").tone(Tone::Busy),
            (_, Some(why), _) => Cell::text(why).tone(Tone::Bad),
            (.., true) => Cell::text("newer than the template").tone(Tone::Busy),
            _ => Cell::text(""),
        };
        vec![
            Cell::text(&self.image.id),
            Cell::text(self.image.title()),
            Cell::text(&self.image.user),
            Cell::number(format!("{} GiB", self.image.disk)),
            Cell::text(if self.image.recommended { "yes" } else { "" }),
            state,
        ]
    }
}

async fn list(api: &mut Api, common: &Common) -> Result<ExitCode> {
    let all: TemplateList = api.get("/templates").await?;
    let nothing = "There is no template yet: steward templates build IMAGE --node NODE --bridge BRIDGE";
    table::list(common, &all.templates, nothing);
    Ok(ExitCode::SUCCESS)
}

async fn images(api: &mut Api, common: &Common, look: bool) -> Result<ExitCode> {
    if look {
        let () = api.post("/images/refresh", &()).await?;
    }
    let all: ImageList = api.get("/images").await?;
    for problem in &all.problems {
        complain(&format!("steward: {}", table::plain(problem)));
    }
    table::list(common, &all.images, "The catalogue is empty.");
    Ok(ExitCode::SUCCESS)
}
