//! One connection: reach it, know its host key again, prove who we are.

use super::Tunnel;
use super::error::{SshError, SshErrorKind};
use super::keys;
use base::Secret;
use russh::client::{self, AuthResult, Handle, Msg};
use russh::keys::{HashAlg, PrivateKeyWithHashAlg, PublicKeyOrCertificate};
use russh::{Channel, ChannelMsg};
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::net::TcpStream;
use tokio::time::timeout;

/// For the TCP connection, and again for key exchange and sign-in together.
const CONNECT: Duration = Duration::from_secs(10);
const SIGN_IN: Duration = Duration::from_secs(20);
/// A silent peer is probed this often, and given up after four probes without an answer.
const KEEPALIVE: Duration = Duration::from_secs(15);
const KEEPALIVES: usize = 4;

/// Where to connect, as whom, and who must answer.
#[derive(Debug, Clone)]
pub struct Target {
    /// A name or an address.
    pub host: String,
    pub port: u16,
    pub user: String,
    pub auth: Auth,
    /// Accepted host keys as `SHA256:...`; empty accepts any key (first use), and the caller keeps it.
    pub pins: Vec<String>,
}

#[derive(Debug, Clone)]
pub enum Auth {
    /// A private key in OpenSSH's or PEM form, without a passphrase.
    Key(Arc<Secret<String>>),
    /// Used once, to place a key.
    Password(Arc<Secret<String>>),
}

/// A host's key, as people compare it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HostKey {
    /// `ssh-ed25519`, `ecdsa-sha2-nistp256` ...
    pub kind: String,
    /// `SHA256:...`, as `ssh-keygen -lf` prints it.
    pub fingerprint: String,
}

/// An open connection.
pub struct SshSession {
    pub(super) handle: Handle<Checker>,
    pub(super) place: String,
    host_key: HostKey,
}

impl std::fmt::Debug for SshSession {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SshSession").field("place", &self.place).finish_non_exhaustive()
    }
}

/// Compares the host's key with the pinned ones.
pub(super) struct Checker {
    pins: Vec<String>,
    seen: Arc<Mutex<Option<HostKey>>>,
}

impl client::Handler for Checker {
    type Error = russh::Error;

    async fn check_server_key(&mut self, key: &PublicKeyOrCertificate) -> Result<bool, russh::Error> {
        // No certificate was asked for, so a peer that sends one is not the one we know.
        let PublicKeyOrCertificate::PublicKey { key, .. } = key else { return Ok(false) };
        let fingerprint = key.fingerprint(HashAlg::Sha256).to_string();
        let known = self.pins.is_empty() || self.pins.contains(&fingerprint);
        let seen = HostKey { kind: key.algorithm().to_string(), fingerprint };
        *self.seen.lock().unwrap_or_else(PoisonError::into_inner) = Some(seen);
        Ok(known)
    }
}

impl SshSession {
    /// Connects and signs in.
    ///
    /// # Errors
    /// `Unreachable`, `HostKey` (before any credential was sent), `Auth`, `Invalid` for a key that can't be read.
    pub async fn connect(target: &Target) -> Result<Self, SshError> {
        let place = place(&target.host, target.port);
        let tcp = timeout(CONNECT, TcpStream::connect((target.host.as_str(), target.port)));
        let tcp = match tcp.await {
            Ok(Ok(tcp)) => tcp,
            Ok(Err(e)) => return Err(SshError::unreachable(format!("{place} can't be reached over SSH: {e}."))),
            Err(_) => return Err(SshError::unreachable(format!("{place} does not answer over SSH."))),
        };
        // Without this every small packet waits for the answer to the one before.
        let _ = tcp.set_nodelay(true);
        match timeout(SIGN_IN, Self::sign_in(target, place.clone(), tcp)).await {
            Ok(result) => result,
            Err(_) => Err(SshError::unreachable(format!("{place} is taking too long to let Steward sign in."))),
        }
    }

    /// The key that the host presents now. Nothing is sent that reveals who is asking.
    ///
    /// # Errors
    /// `Unreachable`; `HostKey` when it shows none.
    pub async fn host_key_of(host: &str, port: u16) -> Result<HostKey, SshError> {
        let place = place(host, port);
        let unreachable =
            |e: &dyn std::fmt::Display| SshError::unreachable(format!("{place} can't be reached over SSH: {e}."));
        let look = async {
            let tcp = TcpStream::connect((host, port)).await.map_err(|e| unreachable(&e))?;
            let seen = Arc::new(Mutex::new(None));
            // No key has this fingerprint, so the connection ends as soon as the host has shown its own.
            let checker = Checker { pins: vec![String::new()], seen: Arc::clone(&seen) };
            let ended = client::connect_stream(Arc::new(client::Config::default()), tcp, checker).await.err();
            let shown = seen.lock().unwrap_or_else(PoisonError::into_inner).take();
            shown.ok_or_else(|| match ended {
                Some(e) => unreachable(&e),
                None => SshError::new(SshErrorKind::HostKey, format!("{place} presented no host key.")),
            })
        };
        timeout(CONNECT, look)
            .await
            .unwrap_or_else(|_| Err(SshError::unreachable(format!("{place} does not answer over SSH."))))
    }

    async fn sign_in(target: &Target, place: String, tcp: TcpStream) -> Result<Self, SshError> {
        let seen = Arc::new(Mutex::new(None));
        let checker = Checker { pins: target.pins.clone(), seen: Arc::clone(&seen) };
        let config = Arc::new(client::Config {
            keepalive_interval: Some(KEEPALIVE),
            keepalive_max: KEEPALIVES,
            nodelay: true,
            ..client::Config::default()
        });
        let connected = client::connect_stream(config, tcp, checker).await;
        let shown = seen.lock().unwrap_or_else(PoisonError::into_inner).take();
        let mut handle = match (connected, &shown) {
            (Ok(handle), _) => handle,
            (Err(russh::Error::UnknownKey), Some(key)) => return Err(other_key(&place, key, &target.pins)),
            (Err(e), _) => return Err(SshError::broken(&place, &e)),
        };
        let Some(host_key) = shown else {
            return Err(SshError::new(SshErrorKind::HostKey, format!("{place} presented no host key.")));
        };
        let user = target.user.as_str();
        let broken = |e: russh::Error| SshError::broken(&place, &e);
        let result = match &target.auth {
            Auth::Key(private) => {
                let key = keys::read(private)?;
                let hash = handle.best_supported_rsa_hash().await.map_err(broken)?.flatten();
                let key = PrivateKeyWithHashAlg::new(Arc::new(key), hash);
                handle.authenticate_publickey(user, key).await.map_err(broken)?
            }
            Auth::Password(password) => {
                handle.authenticate_password(user, password.expose().as_str()).await.map_err(broken)?
            }
        };
        if let AuthResult::Failure { .. } = result {
            let what = if matches!(target.auth, Auth::Key(_)) { "Steward's key" } else { "the password" };
            let text = format!("{place} does not accept {what} for the user {user}.");
            return Err(SshError::new(SshErrorKind::Auth, text));
        }
        Ok(Self { handle, place, host_key })
    }

    /// The key that the host showed, to pin it after first use.
    pub fn host_key(&self) -> &HostKey {
        &self.host_key
    }

    /// The connection is gone; calls on it fail.
    pub fn is_closed(&self) -> bool {
        self.handle.is_closed()
    }

    /// A stream to a port that the host can reach (`direct-tcpip`); it lives as long as this session.
    ///
    /// # Errors
    /// `Refused` when nothing listens there or forwarding is switched off; `Unreachable`.
    pub async fn tunnel(&self, host: &str, port: u16) -> Result<Tunnel, SshError> {
        let opened = self.handle.channel_open_direct_tcpip(host, u32::from(port), "127.0.0.1", 0);
        match timeout(CONNECT, opened).await {
            Ok(Ok(channel)) => Ok(channel.into_stream()),
            Ok(Err(russh::Error::ChannelOpenFailure(_))) => {
                let text = format!("{} does not let us through to {host} port {port}.", self.place);
                Err(SshError::new(SshErrorKind::Refused, text))
            }
            Ok(Err(e)) => Err(SshError::broken(&self.place, &e)),
            Err(_) => Err(SshError::unreachable(format!(
                "{} does not forward connections to {host} port {port}.",
                self.place
            ))),
        }
    }

    /// A stream to a command that has a terminal there, as with `ssh -t`; it lives as long as this session. What the
    /// command writes comes as it is, and its end is the stream's end.
    ///
    /// # Errors
    /// `Refused` when the host gives no terminal or runs no commands; `Unreachable`.
    pub async fn terminal(&self, command: &str) -> Result<Tunnel, SshError> {
        let broken = |e: russh::Error| SshError::broken(&self.place, &e);
        let opened = async {
            let mut channel = self.handle.channel_open_session().await.map_err(broken)?;
            channel.request_pty(true, "xterm-256color", 80, 24, 0, 0, &[]).await.map_err(broken)?;
            self.granted(&mut channel, "gives Steward no terminal").await?;
            channel.exec(true, command).await.map_err(broken)?;
            self.granted(&mut channel, "does not let Steward run commands").await?;
            Ok(channel.into_stream())
        };
        let late = || SshError::unreachable(format!("{} does not open a terminal.", self.place));
        timeout(CONNECT, opened).await.unwrap_or_else(|_| Err(late()))
    }

    /// Waits for the answer to a request on a channel.
    async fn granted(&self, channel: &mut Channel<Msg>, refusal: &str) -> Result<(), SshError> {
        while let Some(message) = channel.wait().await {
            match message {
                ChannelMsg::Success => return Ok(()),
                ChannelMsg::Failure | ChannelMsg::Close => {
                    return Err(SshError::new(SshErrorKind::Refused, format!("{} {refusal}.", self.place)));
                }
                _ => {}
            }
        }
        Err(SshError::broken(&self.place, &russh::Error::Disconnect))
    }

    /// Says goodbye. Dropping it closes the connection too.
    pub async fn close(&self) {
        // The other side may be gone already: nothing to do about it.
        let _ = self.handle.disconnect(russh::Disconnect::ByApplication, "", "en").await;
    }
}

fn other_key(place: &str, key: &HostKey, pins: &[String]) -> SshError {
    let text = format!(
        "{place} presents a different host key than before ({}, expected {}). Somebody else may be answering there, or the machine \
         was reinstalled. Nothing was sent. If you know why, forget the old key on the machine's Software page.",
        key.fingerprint,
        pins.join(", "),
    );
    SshError::new(SshErrorKind::HostKey, text)
}

/// `10.0.0.5`, `[fd00::5]:2222`: the port only where it is not the usual one.
fn place(host: &str, port: u16) -> String {
    let host = match host.parse() {
        Ok(IpAddr::V6(ip)) if port != 22 => format!("[{ip}]"),
        _ => host.to_owned(),
    };
    if port == 22 { host } else { format!("{host}:{port}") }
}
