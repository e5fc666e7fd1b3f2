//! Consoles: who may open one, with a short ticket of our own, and what is written about it.
//!
//! A person asks for a ticket (30 seconds, once, for this session, machine and kind; kept in memory only),
//! then comes with it to the websocket. Only then is the machine's side opened, since Proxmox waits ten
//! seconds and no longer. A host by SSH gets a connection of its own for each console. Nothing of what goes through is kept or logged.

mod desk;
mod stream;

pub use desk::Desk;
pub use stream::{ConsoleReader, ConsoleWriter};

use crate::live::GuestLive;
use crate::sessions::{bearer_text, parse_bearer};
use crate::ssh::SshTarget;
use crate::{Actor, App, guests, plugin_host};
use base::ids::{GuestId, UserId};
use base::{Error, Result, Secret, Timestamp, random};
use desk::{ConsoleSlot, Ticket};
use model::access::GuestRight;
use model::consoles::{ConsoleChoice, ConsoleKind};
use model::sessions::Scope;
use serde::Deserialize;
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::Duration;
use stream::ConsoleStream;

/// How long a ticket can be shown.
pub const TICKET: Duration = Duration::from_secs(30);
/// How often an open console's person is judged again.
const RECHECK: Duration = Duration::from_secs(2);
/// The provider waits ten seconds for each of its two steps; anything longer is an error.
const OPENING: Duration = Duration::from_secs(25);

pub struct Consoles<'a>(pub(super) &'a App);

/// What a person gets and has to present again.
#[derive(Debug)]
pub struct ConsoleTicket {
    pub text: Secret<String>,
    pub kind: ConsoleKind,
    pub expires: Timestamp,
}

/// How a provider's `console` hook says the stream is opened.
#[derive(Deserialize)]
#[serde(tag = "via", rename_all = "lowercase")]
enum ConsoleTransport {
    /// A websocket of Proxmox's API, at the node that answered the hook's last change.
    Pve {
        path: String,
        params: Value,
        /// For VNC's own password check.
        #[serde(default)]
        password: Option<Secret<String>>,
        /// What a terminal expects first.
        #[serde(default)]
        hello: Option<Secret<String>>,
    },
    /// Over SSH to the connection's host: a port that it can reach, or a command with a terminal.
    Ssh(SshWay),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct SshWay {
    /// Where the port is, as the host sees it; empty with a command.
    #[serde(default)]
    host: String,
    #[serde(default)]
    port: u16,
    /// For VNC's own password check.
    #[serde(default)]
    password: Option<Secret<String>>,
    /// For `sh`, as root.
    #[serde(default)]
    command: String,
}

impl Consoles<'_> {
    /// How many are open, of all people.
    pub fn open_now(&self) -> usize {
        self.0.0.consoles.total()
    }

    /// Who has how many open on a machine.
    pub(crate) fn at(&self, guest: GuestId) -> Vec<(UserId, usize)> {
        self.0.0.consoles.at(guest)
    }

    /// The kinds that the machine has, each with the reason why not where there is one.
    ///
    /// # Errors
    /// `NotFound`; `Forbidden` for who may only look; `Conflict` when nothing can be opened now (templates,
    /// machines that are off or being made); `Unavailable` when the provider does not answer.
    pub async fn choices(&self, actor: &Actor, id: GuestId) -> Result<Vec<ConsoleChoice>> {
        let guest = self.usable(actor, id)?;
        self.offered(&guest).await
    }

    /// The machine, if this actor may use its console now.
    fn usable(&self, actor: &Actor, id: GuestId) -> Result<Arc<GuestLive>> {
        let guests = self.0.guests();
        let guest = guests.get_for(actor, id, GuestRight::Use)?;
        actor.require_scope(Scope::Operate)?;
        if guest.state.template {
            return Err(Error::conflict("A template never runs, so it has no console."));
        }
        guests.check_reach(guest.row.connection)?;
        if let Some(why) = guests.general_refusal(actor, &guest) {
            return Err(Error::conflict(why));
        }
        if !is_on(&guest.state.status) {
            return Err(Error::conflict("It is off, so there is nothing to see. Start it first."));
        }
        Ok(guest)
    }

    async fn offered(&self, guest: &GuestLive) -> Result<Vec<ConsoleChoice>> {
        let features = self.0.guests().features(guest);
        let target = guests::Guests::target(guest)?;
        let asked = plugin_host::call(self.0, guest.row.connection, "consoles", vec![target]);
        let told: Vec<ConsoleChoice> = asked.await?;
        Ok(told.into_iter().filter(|c| features.contains(&c.kind.feature())).collect())
    }

    /// A ticket for one console; it is good for 30 seconds, once, and only together with what the actor signed
    /// in with.
    ///
    /// # Errors
    /// As [`Self::choices`]; `Conflict` when the machine has no such console, with the reason; `TooMany`.
    pub async fn ticket(&self, actor: &Actor, id: GuestId, kind: ConsoleKind) -> Result<ConsoleTicket> {
        let user = actor.require_person()?;
        let guest = self.usable(actor, id)?;
        let choice = self.offered(&guest).await?.into_iter().find(|c| c.kind == kind);
        let choice = choice.ok_or_else(|| Error::conflict("This machine has no such console."))?;
        if !choice.why.is_empty() {
            return Err(Error::conflict(choice.why));
        }
        let (key, secret) = (random::bytes::<16>(), random::bytes::<32>());
        let now = self.0.now();
        let expires = now.plus(TICKET);
        let via = actor.via();
        let text = Secret::new(bearer_text(&key, &secret));
        let ticket = Ticket { secret: Secret::new(secret), user, via, guest: id, kind, expires };
        self.0.0.consoles.keep(key, ticket, now)?;
        Ok(ConsoleTicket { text, kind, expires })
    }

    /// Redeems a ticket: whatever the outcome, it can't be used again.
    ///
    /// # Errors
    /// `NotFound`, `Forbidden` (also for a ticket that is not good), `Conflict`, `Unavailable`; `TooMany` when
    /// the person has too many consoles open.
    pub fn enter(&self, actor: &Actor, id: GuestId, ticket: &str) -> Result<Entry> {
        let user = actor.require_person()?;
        let guest = self.usable(actor, id)?;
        let good = parse_bearer(ticket).and_then(|(key, secret)| self.0.0.consoles.take(&key, &secret));
        let good = good.filter(|t| t.is_for(user, actor.via(), id, self.0.now()));
        let Some(ticket) = good else {
            return Err(Error::forbidden("This console ticket is not valid. Ask for a new one."));
        };
        let place = self.0.0.consoles.sit(user, id)?;
        Ok(Entry { app: self.0.clone(), actor: actor.clone(), guest, kind: ticket.kind, place })
    }
}

/// Machines that have something to show: also a paused one still has its screen.
pub fn is_on(status: &str) -> bool {
    matches!(status, "running" | "paused" | "prelaunch" | "io-error")
}

/// A person with a valid ticket, for whom the machine's side is not open yet.
pub struct Entry {
    app: App,
    actor: Actor,
    guest: Arc<GuestLive>,
    kind: ConsoleKind,
    place: ConsoleSlot,
}

impl std::fmt::Debug for Entry {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Entry({:?}, {})", self.kind, self.guest.row.id)
    }
}

impl Entry {
    pub fn kind(&self) -> ConsoleKind {
        self.kind
    }

    /// Opens the machine's side and writes into the audit log that it is open.
    ///
    /// # Errors
    /// `Unavailable` when the provider does not answer; `Conflict` when it refuses.
    pub async fn open(self) -> Result<OpenConsole> {
        let late = || Error::unavailable("The machine's console did not open in time. Try again.");
        let (stream, password) = tokio::time::timeout(OPENING, self.connect()).await.map_err(|_| late())??;
        let Self { app, actor, guest, kind, place } = self;
        let since = app.now();
        let record = actor.record(since, "guest.console.open", &guest.row, kind.word().to_lowercase());
        app.store()
            .write(move |tx| {
                tx.audit(record);
                Ok(())
            })
            .await?;
        let (reader, writer) = stream.split();
        let watch = Watch { app, actor, guest, kind, since, _place: place };
        Ok(OpenConsole { reader, writer, password, watch })
    }

    async fn connect(&self) -> Result<(ConsoleStream, Option<Secret<String>>)> {
        let connection = self.guest.row.connection;
        let target = guests::Guests::target(&self.guest)?;
        let args = vec![target, json!(self.kind)];
        let (way, endpoint) = plugin_host::call_with_endpoint(&self.app, connection, "console", args).await?;
        match way {
            ConsoleTransport::Pve { path, params, password, hello } => {
                let endpoint = endpoint.ok_or_else(|| Error::internal("the hook `console` changed nothing"))?;
                let client = self.app.connections().client(connection)?;
                let line = client.websocket(endpoint, &path, &params).await?;
                let stream = match hello {
                    Some(hello) => ConsoleStream::pve_terminal(line, &hello).await?,
                    None => ConsoleStream::plain(line),
                };
                Ok((stream, password))
            }
            ConsoleTransport::Ssh(way) => {
                let (ssh, place) = (self.app.ssh(), SshTarget::Connection(connection));
                let session = ssh.own_session(place).await?;
                let line = if way.command.is_empty() {
                    session.tunnel(&way.host, way.port).await?
                } else {
                    ssh.terminal(place, &session, &way.command).await?
                };
                Ok((ConsoleStream::over_ssh(line, session), way.password))
            }
        }
    }
}

/// Both sides are there.
pub struct OpenConsole {
    pub reader: ConsoleReader,
    pub writer: ConsoleWriter,
    /// What VNC asks the viewer for; it is good for this one connection.
    pub password: Option<Secret<String>>,
    pub watch: Watch,
}

impl std::fmt::Debug for OpenConsole {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "OpenConsole({:?})", self.watch.kind)
    }
}

/// Whether it may stay open, and what is written at its end. The person's place is free when it is dropped.
pub struct Watch {
    app: App,
    actor: Actor,
    guest: Arc<GuestLive>,
    kind: ConsoleKind,
    since: Timestamp,
    _place: ConsoleSlot,
}

impl Watch {
    pub fn kind(&self) -> ConsoleKind {
        self.kind
    }

    /// Returns, with the reason, as soon as the person may no longer use the console: signed out, revoked,
    /// deactivated, the machine no longer theirs. Checks every two seconds.
    pub async fn refused(&self) -> &'static str {
        let role = self.actor.role();
        loop {
            tokio::time::sleep(RECHECK).await;
            let now = self.actor.user_id().and_then(|id| self.app.people().get(id)).map(|u| u.role);
            if !self.app.sessions().is_alive(&self.actor) || now.is_none() {
                return "You are signed out.";
            }
            if now != Some(role) {
                return "Your rights were changed. Open it again.";
            }
            if self.app.guests().get_for(&self.actor, self.guest.row.id, GuestRight::Use).is_err() {
                return "You may not use this machine any more.";
            }
        }
    }

    /// Writes how long it was open into the audit log.
    pub async fn close(self, why: &str) {
        let now = self.app.now();
        let words =
            format!("{}, open for {} s: {why}", self.kind.word().to_lowercase(), self.since.until(now).as_secs());
        let record = self.actor.record(now, "guest.console.close", &self.guest.row, words);
        let written = self.app.store().write(move |tx| {
            tx.audit(record);
            Ok(())
        });
        if let Err(e) = written.await {
            tracing::error!(guest.id = %self.guest.row.id, error = e.chain(), "a console's end was not written down");
        }
    }
}
