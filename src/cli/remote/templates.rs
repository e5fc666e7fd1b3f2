//! `steward templates`: what machines are made from.

use super::super::say::complain;
use super::actions::{self, Wait};
use super::client::{Api, part};
use super::create::gibibytes;
use super::table::{self, Cell, Tone};
use super::{Common, complete, find, impact};
use base::Result;
use clap::Subcommand;
use clap_complete::engine::{ArgValueCandidates, ArgValueCompleter};
use model::guests::ActionKind;
use serde_json::{Value, json};
use std::process::ExitCode;

#[derive(Debug, clap::Args)]
pub struct Templates {
    #[command(flatten)]
    common: Common,
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Templates from which machines can be made.
    List,
    /// The catalogue of cloud images. For admins.
    Images {
        /// Ask the publishers first whether there are newer ones.
        #[arg(long)]
        look: bool,
    },
    /// Make a template of an image of the catalogue: download, check, prepare.
    Build(Box<Build>),
    /// Make a template of the newest image in the place of this one.
    Rebuild(One),
    /// Delete a template, if no machine hangs on it.
    Delete {
        #[command(flatten)]
        one: One,
        /// Ask nothing.
        #[arg(long, short)]
        yes: bool,
    },
}

#[derive(Debug, clap::Args)]
struct One {
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
    /// What to call it; left out: the image's id with today's date.
    #[arg(long)]
    name: Option<String>,
    /// Where its disk goes; left out: the storage with the most room.
    #[arg(long)]
    storage: Option<String>,
    /// Where the download lies meanwhile; left out: the storage for such images with the most room.
    #[arg(long, value_name = "STORAGE")]
    images: Option<String>,
    /// GiB; left out: what the image needs.
    #[arg(long, value_parser = gibibytes)]
    disk: Option<u64>,
    #[command(flatten)]
    wait: Wait,
}

impl Templates {
    /// # Errors
    /// What the API refuses.
    pub async fn run(self) -> Result<ExitCode> {
        let Self { common, verb } = self;
        let mut api = common.api()?;
        let (job, wait) = match verb {
            Verb::List => return list(&mut api, &common).await,
            Verb::Images { look } => return images(&mut api, &common, look).await,
            Verb::Build(build) => (api.post("/templates", Some(&build.body())).await?, build.wait),
            Verb::Rebuild(one) => {
                let path = path(&find::guest(&mut api, &one.template).await?);
                (api.post(&format!("{path}/rebuild"), None).await?, one.wait)
            }
            Verb::Delete { one, yes } => {
                let found = find::guest(&mut api, &one.template).await?;
                let question = format!("Delete for good {}?", table::plain(text(&found, "name")));
                impact::sure(&mut api, &[&found], &ActionKind::Delete.empty(), &question, yes).await?;
                (api.delete(&path(&found)).await?, one.wait)
            }
        };
        actions::finish(&mut api, &common, &wait, vec![job]).await
    }
}

fn path(template: &Value) -> String {
    format!("/templates/{}", part(text(template, "id")))
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

fn text<'a>(v: &'a Value, key: &str) -> &'a str {
    v[key].as_str().unwrap_or_default()
}

async fn list(api: &mut Api, common: &Common) -> Result<ExitCode> {
    let all = api.get("/templates").await?["templates"].take();
    if common.json() {
        table::json(&all);
        return Ok(ExitCode::SUCCESS);
    }
    let row = |t: &Value| {
        let state = match (t["superseded"] == true, t["newer"] == true) {
            (true, _) => Cell::text("replaced").tone(Tone::Dim),
            (_, true) => Cell::text("newer image").tone(Tone::Busy),
            _ => Cell::text(""),
        };
        vec![
            Cell::number(t["vmid"].as_u64().map(|v| v.to_string()).unwrap_or_default()),
            Cell::text(text(t, "name")),
            Cell::text(text(t, "title")),
            Cell::text(text(t, "node")),
            Cell::number(table::bytes(t["disk"].as_u64().unwrap_or(0))),
            Cell::text(text(t, "user")),
            Cell::text(table::time(text(t, "built"))),
            state,
        ]
    };
    let rows: Vec<Vec<Cell>> = all.as_array().into_iter().flatten().map(row).collect();
    let heads = ["no.", "name", "system", "node", "disk", "user", "made", ""];
    table::print(&heads, &rows, "There is no template yet: steward templates build IMAGE --node NODE --bridge BRIDGE");
    Ok(ExitCode::SUCCESS)
}

async fn images(api: &mut Api, common: &Common, look: bool) -> Result<ExitCode> {
    if look {
        api.post("/images/look", None).await?;
    }
    let answer = api.get("/images").await?;
    for problem in answer["problems"].as_array().into_iter().flatten().filter_map(Value::as_str) {
        complain(&format!("steward: {}", table::plain(problem)));
    }
    if common.json() {
        table::json(&answer["images"]);
        return Ok(ExitCode::SUCCESS);
    }
    let row = |i: &Value| {
        let state = match (i["job"].as_str(), i["trouble"].as_str(), i["newer"] == true) {
            (Some(_), ..) => Cell::text("being made").tone(Tone::Busy),
            (_, Some(why), _) => Cell::text(why).tone(Tone::Bad),
            (.., true) => Cell::text("newer than the template").tone(Tone::Busy),
            _ => Cell::text(""),
        };
        vec![
            Cell::text(text(i, "id")),
            Cell::text(format!("{} {}", text(i, "name"), text(i, "version"))),
            Cell::text(text(i, "user")),
            Cell::number(format!("{} GiB", i["disk"])),
            Cell::text(if i["recommended"] == true { "yes" } else { "" }),
            state,
        ]
    };
    let rows: Vec<Vec<Cell>> = answer["images"].as_array().into_iter().flatten().map(row).collect();
    table::print(&["id", "system", "user", "disk", "recommended", ""], &rows, "The catalogue is empty.");
    Ok(ExitCode::SUCCESS)
}
