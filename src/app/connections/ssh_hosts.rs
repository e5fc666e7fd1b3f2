//! Hosts that are reached by SSH and have no API of their own: a plain KVM host with libvirt. Each is a connection
//! like a Proxmox cluster; only how Steward signs in differs.

use super::links::Link;
use super::{Connections, check_name};
use crate::ssh::SshTarget;
use crate::{Actor, App};
use base::ids::ConnectionId;
use base::{Error, Kind, Result, Secret};
use model::connections::{Connection, Limits, SshAccess, Transport, without_brackets};
use remote::ssh::{Auth, HostKey, KeyPair, RunOptions, SshError, SshErrorKind, SshSession, Target};
use serde::Deserialize;
use std::sync::Arc;
use store::tables;

/// The plugin behind such a connection.
const LIBVIRT: &str = "libvirt";

/// How the person gives Steward access, once: Steward installs a key of its own and forgets this.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SshWay {
    Password,
    Key,
}

/// A host to add.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NewSshHost {
    pub name: String,
    /// A name or an address, with `:port` when it is not 22.
    pub address: String,
    /// root, or a user who may use sudo without a password.
    pub user: String,
    /// The host key that the person accepted, `SHA256:...`.
    pub fingerprint: String,
    pub way: SshWay,
    #[serde(default)]
    pub password: Secret<String>,
    /// A private key that the host accepts, without a passphrase.
    #[serde(default)]
    pub key: Secret<String>,
}

pub struct SshHosts<'a>(pub(crate) &'a App);

impl SshHosts<'_> {
    /// The key that the host shows now, for the person to compare and accept.
    ///
    /// # Errors
    /// `Forbidden`; `Invalid` on `address`.
    pub async fn host_key(&self, actor: &Actor, address: &str) -> Result<HostKey> {
        actor.require_full_admin()?;
        let (host, port) = host_and_port(address)?;
        SshSession::host_key_of(&host, port).await.map_err(|e| Error::field("address", e.message))
    }

    /// Adds a host: signs in once as the person does, places Steward's own key, and signs in with that.
    ///
    /// # Errors
    /// `Forbidden`; `Invalid` beside the field that is wrong. Nothing is kept then, on neither side.
    pub async fn add(&self, actor: &Actor, new: NewSshHost) -> Result<ConnectionId> {
        actor.require_full_admin()?;
        let name = check_name(&new.name)?;
        let (host, port) = host_and_port(&new.address)?;
        let user = new.user.trim().to_owned();
        if !is_user(&user) {
            return Err(Error::field("user", "Give the user's name on the host, like root."));
        }
        let id = ConnectionId::new();
        let pair = KeyPair::new(&format!("steward-{id}")).map_err(from_ssh)?;
        let (field, auth) = match new.way {
            SshWay::Password => ("password", Auth::Password(Arc::new(new.password))),
            SshWay::Key => {
                let lines = new.key.expose().trim().lines().flat_map(|line| [line, "\n"]);
                ("key", Auth::Key(Arc::new(Secret::joined(lines))))
            }
        };
        let target = Target { host: host.clone(), port, user: user.clone(), auth, pins: vec![new.fingerprint.clone()] };
        let session = SshSession::connect(&target).await.map_err(|e| beside(field, e))?;
        place_key(&session, &pair.public).await.map_err(|e| beside(field, e))?;
        session.close().await;

        let own = Target { auth: Auth::Key(Arc::new(pair.private.clone())), ..target };
        let session = SshSession::connect(&own).await.map_err(|e| beside(field, e))?;
        if let Err(e) = become_root(&session, &user).await {
            remove_key(&session, &pair.public).await;
            return Err(beside("user", e));
        }
        session.close().await;
        let row = Connection {
            id,
            name,
            plugin: LIBVIRT.to_owned(),
            transport: Transport::Ssh(SshAccess {
                host,
                port,
                user,
                private: pair.private,
                public: pair.public,
                host_keys: vec![new.fingerprint],
            }),
            limits: Limits::default(),
            created: self.0.now(),
            identity: None,
        };
        self.0.connections().add_known(actor, row).await
    }

    /// Changes which host keys are accepted, after the person compared a new one.
    ///
    /// # Errors
    /// `Forbidden`, `NotFound`; `Invalid` on `host_keys`.
    pub async fn accept(&self, actor: &Actor, id: ConnectionId, host_keys: Vec<String>) -> Result<()> {
        actor.require_full_admin()?;
        let fits = |k: &String| k.strip_prefix("SHA256:").is_some_and(|rest| rest.len() == 43 && rest.is_ascii());
        if host_keys.is_empty() || !host_keys.iter().all(fits) {
            return Err(Error::field(
                "host_keys",
                "Each line is one fingerprint as ssh-keygen -lf prints it: SHA256:...",
            ));
        }
        let connections = self.0.connections();
        let row = connections.with_host_keys(id, host_keys)?;
        connections.store(actor, Link::new(&row)?, row, "connection.host_keys").await?;
        self.0.ssh().forget(SshTarget::Connection(id)).await;
        Ok(())
    }

    /// Takes Steward's key from the host again, when it answers: nothing of ours stays behind.
    pub(super) async fn leave(&self, id: ConnectionId, access: &SshAccess) {
        match self.0.ssh().session(SshTarget::Connection(id)).await {
            Ok(session) => remove_key(&session, &access.public).await,
            Err(e) => tracing::warn!(connection.id = %id, error = %e, "our key stays on the host"),
        }
        self.0.ssh().forget(SshTarget::Connection(id)).await;
    }
}

impl Connections<'_> {
    /// Keeps the host key that was seen first.
    pub(crate) async fn pin_ssh(&self, id: ConnectionId, fingerprint: String) -> Result<()> {
        if !self.ssh_access(id)?.host_keys.is_empty() {
            return Ok(());
        }
        let row = self.with_host_keys(id, vec![fingerprint])?;
        let link = Arc::new(Link::new(&row)?);
        self.0.store().write(move |tx| tx.put(tables::CONNECTIONS, &id, &row)).await?;
        self.links().put(&link);
        Ok(())
    }

    fn with_host_keys(&self, id: ConnectionId, host_keys: Vec<String>) -> Result<Connection> {
        let mut row = self.row(id)?;
        match &mut row.transport {
            Transport::Ssh(ssh) => ssh.host_keys = host_keys,
            Transport::Pve(_) => return Err(Error::conflict("This connection does not use SSH.")),
        }
        Ok(row)
    }
}

/// Adds our public key for the user who signed in; once, however often it is asked.
async fn place_key(session: &SshSession, public: &str) -> std::result::Result<(), SshError> {
    // A public line has letters, digits, `+/=-_` and blanks only.
    let script = format!(
        "umask 077; mkdir -p ~/.ssh && touch ~/.ssh/authorized_keys && {{ grep -qxF '{public}' ~/.ssh/authorized_keys || \
         printf '%s\\n' '{public}' >> ~/.ssh/authorized_keys; }}"
    );
    run(session, &script).await
}

async fn remove_key(session: &SshSession, public: &str) {
    let script = format!(
        "f=~/.ssh/authorized_keys; [ -e $f ] && {{ grep -vxF '{public}' $f > $f.steward; cat $f.steward > $f; rm -f $f.steward; }}"
    );
    if let Err(e) = run(session, &script).await {
        tracing::warn!(error = %e, "our key stays on the host");
    }
}

async fn become_root(session: &SshSession, user: &str) -> std::result::Result<(), SshError> {
    if user == "root" {
        return Ok(());
    }
    run(session, "sudo -n true").await.map_err(|_| {
        let text = format!("{user} may not use sudo without a password there. Use root, or allow it in sudoers.");
        SshError::new(SshErrorKind::Refused, text)
    })
}

async fn run(session: &SshSession, script: &str) -> std::result::Result<(), SshError> {
    let ran = session.run(script, &RunOptions::default(), &mut |_, _| {}).await?;
    if ran.code == 0 {
        return Ok(());
    }
    let said = ran.err.lines().last().unwrap_or("it did not say why").trim().to_owned();
    Err(SshError::new(SshErrorKind::Refused, format!("The host refused: {said}.")))
}

/// `kvm1`, `kvm1:2222`, `192.168.1.9`, `[2001:db8::9]:2222`; port 22 when there is none.
fn host_and_port(address: &str) -> Result<(String, u16)> {
    let wrong = || Error::field("address", "Give a name or an address, like kvm1.home.example or 192.168.1.20:22.");
    let text = address.trim().trim_start_matches("ssh://").trim_end_matches('/');
    if let Some(sentence) = without_brackets(text) {
        return Err(Error::field("address", sentence));
    }
    let url = url::Url::parse(&format!("ssh://{text}")).map_err(|_| wrong())?;
    let plain = url.username().is_empty() && url.path().is_empty() && url.query().is_none();
    let host = url.host_str().filter(|h| plain && !h.is_empty()).ok_or_else(wrong)?;
    Ok((host.trim_matches(['[', ']']).to_owned(), url.port().unwrap_or(22)))
}

fn is_user(text: &str) -> bool {
    (1..=32).contains(&text.len())
        && text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && text.chars().all(|c| c.is_ascii_alphanumeric() || "-_.".contains(c))
}

fn beside(field: &str, e: SshError) -> Error {
    match e.kind {
        SshErrorKind::Unreachable | SshErrorKind::HostKey => Error::field("address", e.message),
        SshErrorKind::Internal => from_ssh(e),
        _ => Error::field(field, e.message),
    }
}

fn from_ssh(e: SshError) -> Error {
    match e.kind {
        SshErrorKind::Internal => Error::new(Kind::Internal, "Steward could not make a key.").with_cause(e),
        _ => Error::unavailable(e.message),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_may_have_a_port_and_nothing_else() {
        assert_eq!(host_and_port(" kvm1 ").unwrap(), ("kvm1".to_owned(), 22));
        assert_eq!(host_and_port("192.168.1.20:2222").unwrap(), ("192.168.1.20".to_owned(), 2222));
        assert_eq!(host_and_port("[2001:db8::9]:22").unwrap(), ("2001:db8::9".to_owned(), 22));
        let bare = host_and_port("fd00::1").unwrap_err();
        assert!(bare.fields()["address"].contains("[fd00::1]"), "{bare:?}");
        for wrong in ["", "root@kvm1", "kvm1/path", "kvm 1", "kvm1:port", "kvm1?x"] {
            assert!(host_and_port(wrong).is_err(), "{wrong}");
        }
    }
}
