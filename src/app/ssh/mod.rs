//! SSH to machines and hosts: which host a run may reach, how to sign in there, commands as root, files.

pub(crate) mod command;

use crate::App;
use base::ids::{ConnectionId, GuestId};
use base::{Error, Kind, Result};
use command::as_root;
use model::plugins::PluginKind;
use model::software::GuestKey;
use plugin::{CallError, CallErrorKind, Run};
use remote::ssh::{Auth, Ran, RunOptions, SshError, SshErrorKind, SshSession, Stream, Target, Tunnel};
use serde_json::{Value, json};
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;
use store::{Read, tables};
use tokio::sync::Mutex;

/// What a run may reach over SSH. Decided from the run, never by the script.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum SshTarget {
    /// A machine, with the key that was made for it.
    Guest(GuestId),
    /// The host behind a connection that is reached by SSH.
    Connection(ConnectionId),
}

/// Open connections, kept for the next call.
#[derive(Default)]
pub(super) struct Sessions(Mutex<HashMap<SshTarget, Arc<SshSession>>>);

pub struct Ssh<'a>(pub(super) &'a App);

/// Lines of a command as they come.
pub type Each<'a> = &'a mut (dyn FnMut(Stream, &str) + Send);

fn invalid(message: impl Into<String>) -> SshError {
    SshError::new(SshErrorKind::Invalid, message)
}

fn from_ours(e: &Error) -> SshError {
    let kind = match e.kind() {
        Kind::Unavailable | Kind::TooMany => SshErrorKind::Unreachable,
        Kind::Internal | Kind::Storage => SshErrorKind::Internal,
        _ => SshErrorKind::Invalid,
    };
    SshError::new(kind, e.message())
}

impl Ssh<'_> {
    /// The target of a plugin's run: the job's machine for recipes, the connection's host for providers.
    pub(super) fn target_of(&self, run: &Run) -> Result<SshTarget, CallError> {
        let refused = |text: &str| CallError::new(CallErrorKind::Forbidden, 0, text);
        match self.0.plugin_set().get(&run.plugin).map(|p| p.manifest().kind) {
            Some(PluginKind::Software) => {
                let guest = run.guest.filter(|_| run.job.is_some());
                guest
                    .map(SshTarget::Guest)
                    .ok_or_else(|| refused("This run belongs to no machine, so it can't call ssh::."))
            }
            Some(PluginKind::Provider) => {
                let id = run.connection.filter(|id| self.0.connections().is_by_ssh(*id));
                id.map(SshTarget::Connection)
                    .ok_or_else(|| refused("This run belongs to no SSH connection, so it can't call ssh::."))
            }
            _ => Err(refused("Only plugins of kind software and provider reach a machine over SSH.")),
        }
    }

    /// An open session to a place; the host key is pinned at the first one.
    pub(super) async fn session(&self, place: SshTarget) -> Result<Arc<SshSession>, SshError> {
        let mut open = self.0.0.ssh.0.lock().await;
        if let Some(session) = open.get(&place).filter(|s| !s.is_closed()) {
            return Ok(Arc::clone(session));
        }
        open.remove(&place);
        drop(open);
        let target = self.target(place).await?;
        let session = Arc::new(SshSession::connect(&target).await?);
        if target.pins.is_empty() {
            self.pin(place, &session.host_key().fingerprint).await.map_err(|e| from_ours(&e))?;
        }
        self.0.0.ssh.0.lock().await.insert(place, Arc::clone(&session));
        Ok(session)
    }

    /// A session of its own, for what takes long and must not end with another call: a console. The host key is the
    /// pinned one, so the place was reached before.
    pub(super) async fn own_session(&self, place: SshTarget) -> Result<SshSession, SshError> {
        let target = self.target(place).await?;
        if target.pins.is_empty() {
            return Err(invalid("The host's key is not known yet. Wait until Steward has reached it."));
        }
        SshSession::connect(&target).await
    }

    /// A terminal there, in which a command runs as root.
    pub(super) async fn terminal(
        &self,
        place: SshTarget,
        session: &SshSession,
        script: &str,
    ) -> Result<Tunnel, SshError> {
        session.terminal(&as_root(&self.user(place).await?, script)).await
    }

    /// Ends the kept session of a place, so that the next call makes a new one.
    pub(super) async fn forget(&self, place: SshTarget) {
        let session = self.0.0.ssh.0.lock().await.remove(&place);
        if let Some(session) = session {
            session.close().await;
        }
    }

    async fn target(&self, place: SshTarget) -> Result<Target, SshError> {
        match place {
            SshTarget::Guest(id) => {
                let key = self.key(id).map_err(|e| from_ours(&e))?;
                let key = key.ok_or_else(|| {
                    invalid("Steward has no key for this machine. Give it access on the machine's Software page.")
                })?;
                let host = match &key.address {
                    Some(address) => address.clone(),
                    None => self.address(id).await?.ok_or_else(|| {
                        let text = "The machine has no address yet: its guest agent does not answer, and Steward does not see its network card in its own network.";
                        SshError::new(SshErrorKind::Unreachable, text)
                    })?,
                };
                let auth = Auth::Key(Arc::new(key.private));
                Ok(Target { host, port: key.port, user: key.user, auth, pins: key.host_keys })
            }
            SshTarget::Connection(id) => {
                let ssh = self.0.connections().ssh_access(id).map_err(|e| from_ours(&e))?;
                let key = self.0.connections().ssh_key(id).map_err(|e| from_ours(&e))?;
                let auth = Auth::Key(Arc::new(key));
                Ok(Target { host: ssh.host, port: ssh.port, user: ssh.user, auth, pins: ssh.host_keys })
            }
        }
    }

    pub(super) fn key(&self, id: GuestId) -> Result<Option<GuestKey>> {
        self.0.store().read(|tx| tx.get(tables::GUEST_KEYS, &id))
    }

    /// The machine's address by its provider or the own network: the first that others can reach, IPv4 before IPv6.
    pub(super) async fn address(&self, id: GuestId) -> Result<Option<String>, SshError> {
        let guest = self.0.live().snapshot().guest(id).cloned();
        let Some(guest) = guest else { return Err(invalid("This machine does not exist.")) };
        let list = self.0.guests().addresses_of(&guest, true).await.unwrap_or_default();
        Ok(best_address(&list))
    }

    async fn pin(&self, place: SshTarget, fingerprint: &str) -> Result<()> {
        let pin = fingerprint.to_owned();
        match place {
            SshTarget::Guest(id) => {
                let write = self.0.store().write(move |tx| {
                    if let Some(mut key) =
                        tx.get(tables::GUEST_KEYS, &id)?.filter(|k: &GuestKey| k.host_keys.is_empty())
                    {
                        key.host_keys = vec![pin];
                        tx.put(tables::GUEST_KEYS, &id, &key)?;
                    }
                    Ok(())
                });
                write.await
            }
            SshTarget::Connection(id) => self.0.connections().pin_ssh(id, pin).await,
        }
    }

    async fn user(&self, place: SshTarget) -> Result<String, SshError> {
        match place {
            SshTarget::Guest(id) => {
                let key = self.key(id).map_err(|e| from_ours(&e))?;
                Ok(key.map(|k| k.user).unwrap_or_default())
            }
            SshTarget::Connection(id) => Ok(self.0.connections().ssh_access(id).map_err(|e| from_ours(&e))?.user),
        }
    }

    /// Runs a script by `sh` as root. A session that turns out to be dead before anything was sent is made anew.
    pub(super) async fn run(
        &self,
        place: SshTarget,
        script: &str,
        options: &RunOptions,
        each: Each<'_>,
    ) -> Result<Ran, SshError> {
        let session = self.session(place).await?;
        let command = as_root(&self.user(place).await?, script);
        let ran = session.run(&command, options, each).await;
        if ran.as_ref().is_err_and(|e| matches!(e.kind, SshErrorKind::Unreachable)) {
            self.forget(place).await;
        }
        ran
    }

    /// The same without lines, for short questions.
    pub(super) async fn ask(&self, place: SshTarget, script: &str) -> Result<Ran, SshError> {
        let options = RunOptions { limit: Duration::from_secs(20), ..RunOptions::default() };
        self.run(place, script, &options, &mut |_, _| {}).await
    }

    /// Can commands be run there now? `{ok, why, address}`; `why` is a sentence for people.
    pub(super) async fn ready(&self, place: SshTarget) -> Result<Value, SshError> {
        let not_yet = |why: &str| Ok(json!({ "ok": false, "why": why, "address": "" }));
        if let SshTarget::Guest(id) = place {
            let snapshot = self.0.live().snapshot();
            match snapshot.guest(id).map(|g| g.state.status.as_str()) {
                None => return Err(invalid("This machine does not exist.")),
                Some("running") => {}
                Some(_) => return not_yet("The machine is not running."),
            }
        }
        let target = match self.target(place).await {
            Ok(target) => target,
            Err(e) if e.kind == SshErrorKind::Unreachable => return not_yet(&e.message),
            Err(e) => return Err(e),
        };
        match self.ask(place, command::LOOK).await {
            Ok(ran) if ran.out.contains("ready") => Ok(json!({ "ok": true, "why": "", "address": target.host })),
            Ok(ran) if ran.out.contains("busy") => not_yet("The machine's first set-up (cloud-init) is still running."),
            Ok(ran) => {
                let said = ran.err.lines().last().unwrap_or("it did not say why").trim().to_owned();
                not_yet(&format!("The user {} may not act as root there: {said}.", target.user))
            }
            // The key arrives with the first set-up, so at first it is refused.
            Err(e) if matches!(e.kind, SshErrorKind::Unreachable | SshErrorKind::Auth | SshErrorKind::Timeout) => {
                not_yet(&e.message)
            }
            Err(e) => Err(e),
        }
    }
}

/// The first address that others can reach, IPv4 before IPv6.
fn best_address(list: &[String]) -> Option<String> {
    use std::net::IpAddr;
    let ips: Vec<IpAddr> = list.iter().filter_map(|text| text.parse().ok()).collect();
    let outside = |ip: &&IpAddr| match ip {
        IpAddr::V4(v4) => !v4.is_loopback() && !v4.is_link_local() && !v4.is_unspecified(),
        IpAddr::V6(v6) => !v6.is_loopback() && !v6.is_unspecified() && (v6.segments()[0] & 0xffc0) != 0xfe80,
    };
    let usable: Vec<&IpAddr> = ips.iter().filter(outside).collect();
    usable.iter().find(|ip| ip.is_ipv4()).or(usable.first()).map(|ip| ip.to_string())
}

#[cfg(test)]
mod tests {
    use super::best_address;

    #[test]
    fn the_address_that_others_reach_is_taken() {
        let best = |list: &[&str]| best_address(&list.iter().map(|s| (*s).to_owned()).collect::<Vec<_>>());
        assert_eq!(best(&["127.0.0.1", "fe80::1", "fd00::5", "10.0.0.5", "172.17.0.1"]).as_deref(), Some("10.0.0.5"));
        assert_eq!(best(&["::1", "fd00::5"]).as_deref(), Some("fd00::5"));
        assert_eq!(best(&["127.0.0.1", "169.254.3.4", "what"]), None);
    }
}
