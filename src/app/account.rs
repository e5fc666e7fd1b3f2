//! A person's own settings, kept under their vault key.

use crate::{Actor, App};
use base::{Error, Result};
use model::guests::keys::check_public_keys;
use model::prefs::Prefs;
use store::{Read, tables};

/// Languages that the pages speak.
pub const LANGUAGES: [(&str, &str); 1] = [("en", "English")];

pub struct Account<'a>(pub(super) &'a App);

impl Account<'_> {
    /// The person's settings; defaults where nothing was set.
    pub fn prefs(&self, actor: &Actor) -> Result<Prefs> {
        let keyspace = actor.keyspace()?;
        Ok(self.0.store().read(|tx| tx.own(&keyspace).get(tables::PREFS, &()))?.unwrap_or_default())
    }

    /// Stores them.
    ///
    /// # Errors
    /// `Invalid` on `language` or `ssh_keys`.
    pub async fn set_prefs(&self, actor: &Actor, prefs: Prefs) -> Result<()> {
        if prefs.language.as_deref().is_some_and(|l| !LANGUAGES.iter().any(|(tag, _)| *tag == l)) {
            return Err(Error::field("language", "Steward does not speak this language yet."));
        }
        // Keys that are there already are in nobody's way.
        if prefs.ssh_keys != self.prefs(actor)?.ssh_keys {
            let long = prefs.ssh_keys.len() > 32_768;
            let checked = if long { Err("Use at most 32 KiB.".to_owned()) } else { check_public_keys(&prefs.ssh_keys) };
            checked.map_err(|text| Error::field("ssh_keys", text))?;
        }
        let keyspace = actor.keyspace()?;
        self.0.store().write(move |tx| tx.own(&keyspace).put(tables::PREFS, &(), &prefs)).await
    }
}
