//! How Steward signs in to a machine: its own key for each, placed by cloud-init or with the help of a password.

use super::SoftwarePages;
use crate::Actor;
use crate::live::GuestLive;
use crate::ssh::SshTarget;
use base::ids::GuestId;
use base::{Error, Result, Secret};
use model::access::GuestRight;
use model::guests::is_unix_user;
use model::sessions::Scope;
use model::software::GuestKey;
use model::subject::Subject;
use remote::ssh::{Auth, KeyPair, RunOptions, SshErrorKind, SshSession, Target};
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use store::{Read, tables};

/// How Steward signs in, without the private key.
#[derive(Clone, Debug, Serialize, Deserialize, utoipa::ToSchema)]
pub struct KeyView {
    pub user: String,
    pub public_key: String,
    pub host_keys: Vec<String>,
    /// `None`: the provider is asked.
    pub address: Option<String>,
    pub port: u16,
}

/// Giving Steward access to a machine that it did not create.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct LetIn {
    /// root, or a user who may use sudo without a password.
    pub user: String,
    /// Empty: the address that the provider tells.
    #[serde(default)]
    pub address: String,
    #[serde(default = "ssh_port")]
    pub port: u16,
    /// Used once to install the key, then forgotten. Left out: install the answer's `public_key` yourself.
    #[schema(value_type = Option<String>, format = Password)]
    pub password: Option<Secret<String>>,
}

fn ssh_port() -> u16 {
    22
}

/// What stands at the end of a key's line.
const COMMENT: &str = "steward@";

/// Is this line of `authorized_keys` one that Steward put there?
pub fn is_own_key(line: &str) -> bool {
    line.split_ascii_whitespace().nth(2).is_some_and(|comment| comment.starts_with(COMMENT))
}

/// A key for a machine that is just being asked for.
pub(crate) fn new_key(guest: GuestId, name: &str, user: &str, now: base::Timestamp) -> Result<GuestKey> {
    let pair = KeyPair::new(&format!("{COMMENT}{name}"))?;
    Ok(GuestKey {
        guest,
        user: user.to_owned(),
        private: pair.private,
        public: pair.public,
        host_keys: Vec::new(),
        address: None,
        port: 22,
        made: now,
    })
}

impl SoftwarePages<'_> {
    /// How Steward signs in to a machine; `None` when it can't.
    pub fn key(&self, actor: &Actor, id: GuestId) -> Result<Option<KeyView>> {
        self.0.guests().get(actor, id)?;
        let view = |k: GuestKey| KeyView {
            user: k.user,
            public_key: k.public,
            host_keys: k.host_keys,
            address: k.address,
            port: k.port,
        };
        Ok(self.0.ssh().key(id)?.map(view))
    }

    /// Creates a key for a machine, or keeps the one it has, and installs it with a password if one is given.
    ///
    /// # Errors
    /// `NotFound`, `Forbidden`; `Invalid` beside the field; `Unavailable` when the machine does not answer.
    pub async fn let_in(&self, actor: &Actor, id: GuestId, wanted: LetIn) -> Result<KeyView> {
        actor.require_scope(Scope::Operate)?;
        let guest = self.0.guests().get_for(actor, id, GuestRight::Manage)?;
        let mut key = self.wanted_key(&guest, &wanted)?;
        let how = match &wanted.password {
            Some(password) => {
                key.host_keys = vec![self.place_key(&key, id, password).await?];
                "key placed with a password"
            }
            None => "key made, to be placed by hand",
        };
        let record = actor.record(self.0.now(), "guest.ssh.allow", &guest.row, format!("{how}, user {}", key.user));
        let (owner, kept) = (guest.row.owner, key.clone());
        self.0
            .store()
            .write(move |tx| {
                tx.put(tables::GUEST_KEYS, &id, &kept)?;
                tx.event(Subject::Guest(id), owner);
                tx.audit(record);
                Ok(())
            })
            .await?;
        self.0.ssh().forget(SshTarget::Guest(id)).await;
        self.start_next(id).await?;
        self.key(actor, id)?.ok_or_else(|| Error::not_found("The key is gone."))
    }

    fn wanted_key(&self, guest: &GuestLive, wanted: &LetIn) -> Result<GuestKey> {
        let (user, address) = (wanted.user.trim(), wanted.address.trim());
        let mut wrong = Vec::new();
        if !is_unix_user(user) {
            wrong.push((
                "user",
                "Use 1 to 32 lowercase letters, digits, dashes or underscores, starting with a letter.",
            ));
        }
        let plain = |c: char| c.is_ascii_alphanumeric() || ".:-_%".contains(c);
        if !address.chars().all(plain) || address.len() > 253 || address.starts_with('-') {
            wrong.push(("address", "Give an address like 192.168.1.44 or a name."));
        }
        if wanted.port == 0 {
            wrong.push(("port", "Choose 1 to 65535."));
        }
        if !wrong.is_empty() {
            let start = Error::invalid("Please correct the marked fields.");
            return Err(wrong.into_iter().fold(start, |e, (field, text)| e.with_field(field, text)));
        }
        let key = match self.0.ssh().key(guest.row.id)? {
            Some(key) => key,
            None => new_key(guest.row.id, &guest.row.name, user, self.0.now())?,
        };
        let address = Some(address.to_owned()).filter(|a| !a.is_empty());
        // A different address or user: the host key there is seen for the first time.
        let same = key.address == address && key.port == wanted.port;
        let host_keys = if same { key.host_keys.clone() } else { Vec::new() };
        Ok(GuestKey { user: user.to_owned(), address, port: wanted.port, host_keys, ..key })
    }

    /// Signs in with the password once and adds the key's line. Returns the host key to pin.
    async fn place_key(&self, key: &GuestKey, id: GuestId, password: &Secret<String>) -> Result<String> {
        let host = match &key.address {
            Some(address) => address.clone(),
            None => {
                let found = self.0.ssh().address(id).await?;
                found.ok_or_else(|| Error::field("address", "The machine's address is not known. Enter one here."))?
            }
        };
        let auth = Auth::Password(Arc::new(password.clone()));
        let target = Target { host, port: key.port, user: key.user.clone(), auth, pins: key.host_keys.clone() };
        let session = SshSession::connect(&target).await.map_err(|e| match e.kind {
            SshErrorKind::Auth => Error::field("password", e.message),
            SshErrorKind::Unreachable => Error::field("address", e.message),
            _ => e.into(),
        })?;
        let line = &key.public;
        let script = format!(
            "umask 077; mkdir -p ~/.ssh && touch ~/.ssh/authorized_keys && {{ grep -qxF '{line}' ~/.ssh/authorized_keys || echo '{line}' >>~/.ssh/authorized_keys; }}"
        );
        let ran = session.run(&script, &RunOptions::default(), &mut |_, _| {}).await?;
        let pin = session.host_key().fingerprint.clone();
        session.close().await;
        if ran.code == 0 {
            return Ok(pin);
        }
        let said = ran.err.lines().last().unwrap_or_default().to_owned();
        Err(Error::unavailable(format!("The key could not be placed: {said}")))
    }

    /// Forgets the host key that was seen first: the next one that answers is accepted.
    pub async fn forget_host_key(&self, actor: &Actor, id: GuestId) -> Result<()> {
        actor.require_scope(Scope::Operate)?;
        let guest = self.0.guests().get_for(actor, id, GuestRight::Manage)?;
        let (record, owner) =
            (actor.record(self.0.now(), "guest.ssh.forget_host_key", &guest.row, ""), guest.row.owner);
        self.0
            .store()
            .write(move |tx| {
                let key = tx.get(tables::GUEST_KEYS, &id)?;
                let mut key = key.ok_or_else(|| Error::not_found("Steward has no key for this machine."))?;
                key.host_keys.clear();
                tx.put(tables::GUEST_KEYS, &id, &key)?;
                tx.event(Subject::Guest(id), owner);
                tx.audit(record);
                Ok(())
            })
            .await?;
        self.0.ssh().forget(SshTarget::Guest(id)).await;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stewards_own_keys_are_known_by_their_comment() {
        let key = new_key(GuestId::new(), "web-01", "mira", base::Timestamp::ZERO).unwrap();
        assert!(is_own_key(&key.public), "{}", key.public);
        assert!(!is_own_key("ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAA mira@laptop"));
    }
}
