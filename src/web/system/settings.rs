//! The settings page: connections, and what this appliance is and uses.

use crate::door::problem::Answer;
use crate::door::visit::Person;
use crate::frame::parts::{bytes, duration};
use crate::system::settings_page as page;
use crate::system::settings_page::{ConnectionItem, SettingsView};
use app::connections::ConnectionView as Found;
use app::live::LiveView;
use base::ids::ConnectionId;
use maud::Markup;
use model::nodes::Storage;
use std::collections::BTreeMap;
use std::time::Duration;

pub async fn show(person: Person) -> Answer<Markup> {
    let found = person.web.app.connections().list(&person.actor)?;
    let view =
        SettingsView { connections: found.into_iter().map(|c| item(&person, c)).collect(), about: about(&person) };
    Ok(page::settings(&person.page(), &view))
}

/// A connection with what the last look at it told.
pub fn item(person: &Person, found: Found) -> ConnectionItem {
    let snapshot = person.web.app.live().snapshot();
    ConnectionItem {
        id: found.id,
        name: found.name,
        endpoints: found.endpoints,
        fingerprints: found.fingerprints,
        ca: found.ca,
        token_id: found.token_id,
        refused: found.refused,
        ssh: found.ssh,
        limits: found.limits,
        reach: found.reach,
        silent: snapshot.connection(found.id).and_then(|c| c.silent.clone()),
        left_out: snapshot.connection(found.id).map(|c| c.left_out.to_vec()).unwrap_or_default(),
        machines: snapshot.guests.iter().filter(|g| g.row.connection == found.id && !g.state.template).count(),
        nodes: snapshot.nodes.iter().filter(|n| n.connection == found.id).map(|n| n.node.name.clone()).collect(),
        storages: storages(&snapshot, found.id),
        templates: snapshot
            .guests
            .iter()
            .filter(|g| g.row.connection == found.id && g.state.template)
            .filter_map(|g| Some((g.row.vmid?, g.state.name.clone())))
            .collect(),
    }
}

/// A connection's storages that something can be put on, each once, with what people read.
fn storages(snapshot: &LiveView, id: ConnectionId) -> Vec<(String, String)> {
    let all = snapshot.connection(id).map(|c| c.storages.as_slice()).unwrap_or_default();
    let takes = |s: &Storage, what: &[&str]| s.content.iter().any(|c| what.contains(&c.as_str()));
    let disks = |s: &Storage| takes(s, &["images", "rootdir"]);
    let named = all.iter().filter(|s| disks(s) || takes(s, &["import"])).map(|s| {
        let words = if disks(s) { s.name.clone() } else { format!("{}, only images for templates", s.name) };
        (s.name.clone(), words)
    });
    named.collect::<BTreeMap<_, _>>().into_iter().collect()
}

fn about(person: &Person) -> Vec<(String, String)> {
    let app = &person.web.app;
    let costs = app.health().footprint();
    let pair = |word: &str, value: String| (word.to_owned(), value);
    vec![
        pair("Version", env!("CARGO_PKG_VERSION").to_owned()),
        pair("Running for", duration(Duration::from_secs(costs.uptime_seconds))),
        pair("Memory", bytes(costs.rss)),
        pair("Store", bytes(costs.store_bytes)),
        pair("Open files", costs.open_files.to_string()),
        pair("Data folder", app.settings().data_dir.display().to_string()),
    ]
}
