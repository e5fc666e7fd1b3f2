//! The command palette: machines, jobs and pages that fit what was typed.

use crate::{Actor, App};
use base::Result;
use serde::Serialize;

/// One line of the palette.
#[derive(Clone, Debug, Serialize)]
pub struct Hit {
    /// machine, job, page.
    pub kind: &'static str,
    pub title: String,
    pub detail: String,
    pub url: String,
}

const PAGES: [(&str, &str, bool); 14] = [
    ("Overview", "/", false),
    ("Machines", "/machines", false),
    ("New machine", "/machines/new", false),
    ("Jobs", "/jobs", false),
    ("Profile", "/profile", false),
    ("Templates", "/templates", true),
    ("New template", "/templates/new", true),
    ("Plugins", "/plugins", true),
    ("Users", "/users", true),
    ("Invite a user", "/users/new", true),
    ("Audit", "/audit", true),
    ("Settings", "/settings", true),
    ("Hardware profiles", "/settings/profiles", true),
    ("New hardware profile", "/settings/profiles/new", true),
];
const MACHINES: usize = 12;
const JOBS: usize = 5;

pub struct Search<'a>(pub(super) &'a App);

impl Search<'_> {
    /// At most some 25 hits; what starts with the text comes first.
    pub fn find(&self, actor: &Actor, text: &str) -> Result<Vec<Hit>> {
        let text = text.trim().to_lowercase();
        let pages = PAGES.iter().filter(|(_, _, admin)| !admin || actor.is_admin());
        let mut hits: Vec<Hit> = pages
            .filter(|(title, ..)| title.to_lowercase().contains(&text))
            .map(|(title, url, _)| Hit {
                kind: "page",
                title: (*title).to_owned(),
                detail: String::new(),
                url: (*url).to_owned(),
            })
            .collect();
        let machines = self.0.guests().list(actor, &text);
        hits.extend(machines.iter().take(MACHINES).map(|g| Hit {
            kind: "machine",
            title: g.state.name.clone(),
            detail: format!("{}, {} on {}", g.row.kind.word(), g.state.status, g.state.node),
            url: format!("/machines/{}", g.row.id),
        }));
        let jobs = self.0.jobs().page(actor, &[], None, 100)?.jobs;
        hits.extend(jobs.into_iter().filter(|j| j.title.to_lowercase().contains(&text)).take(JOBS).map(|j| Hit {
            kind: "job",
            url: format!("/jobs/{}", j.id),
            detail: j.state.name().to_owned(),
            title: j.title,
        }));
        hits.sort_by_key(|h| !h.title.to_lowercase().starts_with(&text));
        Ok(hits)
    }
}
