//! The pages: plain functions from a view to HTML. They know `base` and `model`, nothing of requests,
//! routes or the use cases, so a page can be read, tested and drawn alone.
//!
//! Each function returns a whole document, or only what can change in it when `Page::fragment` is set.
//! No page has inline script or style (the CSP forbids both); everything but charts works without script.

pub mod ask;
pub mod error;
pub mod form;
#[cfg(test)]
pub mod gallery;
pub mod icons;
pub mod layout;
pub mod options;
pub mod parts;
pub mod recipe;

pub use form::Form;

use crate::door::assets::Assets;
use base::Timestamp;
use base::ids::UserId;
use model::prefs::Theme;

/// What every page needs to know about its request.
#[derive(Clone, Debug)]
pub struct Page {
    /// `None`: nobody is signed in.
    pub who: Option<Who>,
    /// The request's path, to mark the place in the rail.
    pub path: String,
    /// The page's stream of events goes on behind this one.
    pub after: u64,
    /// Goes into a hidden field of every form.
    pub csrf: String,
    pub now: Timestamp,
    pub theme: Theme,
    pub health: Health,
    /// Jobs of this person (admins: all) that are not over.
    pub open_jobs: usize,
    /// Sentences about what was just done.
    pub flash: Vec<Flash>,
    /// Only the main part is wanted: a script asked with `X-Fragment: 1`.
    pub fragment: bool,
    pub assets: Assets,
}

impl Page {
    pub fn admin(&self) -> bool {
        self.who.as_ref().is_some_and(|w| w.admin)
    }
}

/// The signed-in person.
#[derive(Clone, Debug)]
pub struct Who {
    pub id: UserId,
    pub login: String,
    pub name: String,
    pub admin: bool,
}

/// How good or bad something is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, strum::IntoStaticStr)]
#[strum(serialize_all = "lowercase")]
pub enum Level {
    Ok,
    Warn,
    Bad,
}

impl Level {
    /// The CSS class, also the word in the `health` event.
    pub fn name(self) -> &'static str {
        self.into()
    }
}

/// The dot in the bar: "Proxmox 3 of 3 nodes".
#[derive(Clone, Debug)]
pub struct Health {
    pub level: Level,
    pub text: String,
}

/// A sentence shown once, after a form was sent.
#[derive(Clone, Debug)]
pub struct Flash {
    pub level: Level,
    pub text: String,
}
