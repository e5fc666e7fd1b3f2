//! Signing in and out. A session is a key slot: the cookie holds the secret that unwraps the vault key, so a
//! restart logs nobody out and no open key is kept in the store. Deleting the row revokes it at once.

use crate::actor::Via;
use crate::ended::Credential;
use crate::{Actor, App, tokens, users};
use base::ids::{SessionId, UserId};
use base::{Error, Result, Secret, Timestamp, random};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as B64;
use crypto::{VaultKey, slots};
use model::audit::AuditRecord;
use model::lockout::{FREE_ACCOUNT, FREE_ADDRESS, Failures};
use model::sessions::{Session, SessionKind};
use model::users::User;
use std::sync::Arc;
use std::time::Duration;
use store::{Name, Read, Scan, tables};

/// A browser stays signed in for 30 days after it was last seen.
const BROWSER_GOOD_FOR: Duration = Duration::from_secs(30 * 24 * 3600);
/// `last_seen` is written at most this often, so reading pages does not write all the time.
const TOUCH_EVERY: Duration = Duration::from_secs(300);
const WRONG: &str = "Login or password is wrong.";

/// What the browser gets after signing in.
#[derive(Debug)]
pub struct SignedIn {
    pub cookie: Secret<String>,
    pub expires: Timestamp,
}

/// A session as the profile page shows it.
#[derive(Clone, Debug)]
pub struct SessionView {
    pub id: SessionId,
    pub kind: SessionKind,
    pub device: String,
    pub address: String,
    pub created: Timestamp,
    pub last_seen: Timestamp,
    pub expires: Timestamp,
    /// The one that asks.
    pub current: bool,
}

pub struct Sessions<'a>(pub(super) &'a App);

pub(super) fn address_failures(address: &str) -> Name {
    Name::new(format!("address:{address}"))
}

pub(super) fn slow_down(wait: Duration) -> Error {
    let seconds = wait.as_secs() + 1;
    let words = if seconds < 120 { format!("{seconds} seconds") } else { format!("{} minutes", seconds.div_ceil(60)) };
    Error::too_many(
        format!("Too many failed attempts. Try again in {words}, or ask an admin to unlock the account."),
        seconds,
    )
}

impl Sessions<'_> {
    /// Checks login and password and makes a browser session. Slow by design; waits its turn.
    ///
    /// # Errors
    /// `Unauthenticated` with one text for every wrong pair; `TooMany` while a delay runs.
    pub async fn sign_in(
        &self,
        login: &str,
        password: Secret<String>,
        device: &str,
        address: &str,
    ) -> Result<SignedIn> {
        let (user, vault) = self.check_password(login, password, address).await?;
        let now = self.0.now();
        let (session, cookie) = self.new_session(&user, &vault, device, address);
        let record = sign_in_record(now, &user.login, Some(user.id), address, device, true);
        let row = User { last_login: Some(now), ..User::clone(&user) };
        let stored = session.clone();
        self.0
            .store()
            .write(move |tx| {
                tx.delete(tables::FAILURES, &users::account_failures(&row.login))?;
                tx.put(tables::USERS, &row.id, &row)?;
                tx.put(tables::SESSIONS, &stored.id, &stored)?;
                tx.put(tables::USER_SESSIONS, &(row.id, stored.id), &())?;
                tx.audit(record);
                Ok(())
            })
            .await?;
        self.0.users().touch_login(user.id, now);
        Ok(SignedIn { cookie, expires: session.expires })
    }

    /// Login and password give the user and their open vault key. Failures are counted and slow the next try.
    pub(super) async fn check_password(
        &self,
        login: &str,
        password: Secret<String>,
        address: &str,
    ) -> Result<(Arc<User>, VaultKey)> {
        let login: String = login.trim().to_lowercase().chars().take(64).collect();
        self.check_delay(&login, address)?;
        let user = self.0.people().by_login(&login).filter(|u| u.active);
        let slot = match &user {
            Some(user) => self.0.store().read(|tx| tx.get(tables::PASSWORD_SLOTS, &user.id))?,
            None => None,
        };
        let id = user.as_ref().map_or_else(UserId::new, |u| u.id);
        let vault = self
            .0
            .0
            .hasher
            .run(move || match slot {
                Some(slot) => slots::password::unwrap(&slot, &password, id.bytes()),
                // An unknown login takes as long as a known one.
                None => {
                    slots::password::wrap(&VaultKey::generate(), &password, id.bytes());
                    None
                }
            })
            .await?;
        match (user, vault) {
            (Some(user), Some(vault)) => Ok((user, vault)),
            (user, _) => Err(self.count_failure(&login, user.map(|u| u.id), address).await),
        }
    }

    fn check_delay(&self, login: &str, address: &str) -> Result<()> {
        let now = self.0.now();
        let (account, place) = self.0.store().read(|tx| {
            let account: Option<Failures> = tx.get(tables::FAILURES, &users::account_failures(login))?;
            let place: Option<Failures> = tx.get(tables::FAILURES, &address_failures(address))?;
            Ok((account.unwrap_or_default(), place.unwrap_or_default()))
        })?;
        let waits = [account.wait(now, FREE_ACCOUNT), place.wait(now, FREE_ADDRESS)];
        waits.into_iter().flatten().max().map_or(Ok(()), |wait| Err(slow_down(wait)))
    }

    async fn count_failure(&self, login: &str, id: Option<UserId>, address: &str) -> Error {
        let now = self.0.now();
        let record = AuditRecord { ok: false, ..sign_in_record(now, login, id, address, "", false) };
        let names = [users::account_failures(login), address_failures(address)];
        let written = self
            .0
            .store()
            .write(move |tx| {
                for name in &names {
                    let failures: Failures = tx.get(tables::FAILURES, name)?.unwrap_or_default();
                    tx.put(tables::FAILURES, name, &failures.failed(now))?;
                }
                tx.audit(record);
                Ok(())
            })
            .await;
        // A failure that can't be counted must not become a free try.
        written.err().unwrap_or_else(|| Error::unauthenticated(WRONG))
    }

    /// A new browser session's row and cookie; the caller stores the row.
    pub(super) fn new_session(
        &self,
        user: &User,
        vault: &VaultKey,
        device: &str,
        address: &str,
    ) -> (Session, Secret<String>) {
        let now = self.0.now();
        self.make(user.id, vault, SessionKind::Browser, now.plus(BROWSER_GOOD_FOR), device, address)
    }

    pub(super) fn make(
        &self,
        user: UserId,
        vault: &VaultKey,
        kind: SessionKind,
        expires: Timestamp,
        device: &str,
        address: &str,
    ) -> (Session, Secret<String>) {
        let (id, secret, now) = (SessionId::new(), random::bytes::<32>(), self.0.now());
        let session = Session {
            id,
            user,
            kind,
            created: now,
            last_seen: now,
            expires,
            address: address.to_owned(),
            device: device.chars().take(100).collect(),
            slot: slots::secret::wrap(vault, &secret, id.bytes()),
            scope: None,
            token: None,
        };
        (session, Secret::new(bearer_text(id.bytes(), &secret)))
    }

    /// Who holds this cookie.
    ///
    /// # Errors
    /// `Unauthenticated` when the session is over, revoked, or its user deactivated.
    pub fn authenticate(&self, cookie: &str, address: &str) -> Result<Actor> {
        let (id, secret) = parse_bearer(cookie).ok_or_else(over)?;
        self.open(SessionId::from_bytes(id), &secret, SessionKind::Browser, address)
    }

    pub(super) fn open(&self, id: SessionId, secret: &[u8; 32], kind: SessionKind, address: &str) -> Result<Actor> {
        let session = self.0.store().read(|tx| tx.get(tables::SESSIONS, &id))?;
        let session = session.filter(|_| !self.is_ended(id)).ok_or_else(over)?;
        let now = self.0.now();
        let user = self.0.people().get(session.user).filter(|u| u.active).ok_or_else(over)?;
        let good_for = match kind {
            SessionKind::Browser => BROWSER_GOOD_FOR,
            SessionKind::Jwt => tokens::JWT_GOOD_FOR,
        };
        // What is good for longer than it can be was made while the clock was ahead.
        if session.kind != kind || session.expires.has_come(now, good_for) {
            return Err(over());
        }
        if let Some((token, slot)) = &session.token {
            self.0.tokens().is_still(*token, slot)?;
        }
        let vault = slots::secret::unwrap(&session.slot, secret, id.bytes()).ok_or_else(over)?;
        if kind == SessionKind::Browser && session.last_seen.until(now) > TOUCH_EVERY {
            self.touch(Session { last_seen: now, expires: now.plus(BROWSER_GOOD_FOR), ..session.clone() });
        }
        let via = match kind {
            SessionKind::Browser => Via::Session(id),
            SessionKind::Jwt => Via::Jwt(id),
        };
        Ok(Actor::person(user, via, session.scope, vault, address, self.0.shared_grants()))
    }

    fn is_ended(&self, id: SessionId) -> bool {
        self.0.0.ended.has(Credential::Session(id))
    }

    /// Writes `last_seen` beside the request; a session that was revoked meanwhile stays revoked.
    fn touch(&self, session: Session) {
        let store = self.0.store().clone();
        tokio::spawn(async move {
            let written = store.write(move |tx| match tx.get(tables::SESSIONS, &session.id)? {
                Some(_) => tx.put(tables::SESSIONS, &session.id, &session),
                None => Ok(()),
            });
            if let Err(e) = written.await {
                tracing::warn!(error = e.chain(), "could not write when a session was last seen");
            }
        });
    }

    /// Is the session or token that made this actor still good? For streams that stay open.
    pub fn is_alive(&self, actor: &Actor) -> bool {
        let (store, now, ended) = (self.0.store(), self.0.now(), &self.0.0.ended);
        let good = match actor.via() {
            Some(Via::Session(id) | Via::Jwt(id)) if ended.has(Credential::Session(id)) => false,
            Some(Via::Token(id)) if ended.has(Credential::Token(id)) => false,
            Some(Via::Session(id) | Via::Jwt(id)) => {
                matches!(store.read(|tx| tx.get(tables::SESSIONS, &id)), Ok(Some(s)) if now < s.expires)
            }
            Some(Via::Token(id)) => {
                let row = store.read(|tx| tx.get(tables::TOKENS, &id));
                matches!(row, Ok(Some(t)) if t.expires.is_none_or(|end| now < end))
            }
            None => true,
        };
        good && actor.user_id().is_none_or(|id| self.0.people().get(id).is_some_and(|u| u.active))
    }

    /// Ends the actor's own session.
    ///
    /// # Errors
    /// `Forbidden` for an actor without a session.
    pub async fn sign_out(&self, actor: &Actor) -> Result<()> {
        match actor.via() {
            Some(Via::Session(id) | Via::Jwt(id)) => self.end(actor, id, "user.logout").await,
            _ => Err(Error::forbidden("There is no session to end.")),
        }
    }

    /// The actor's sessions, the newest first.
    pub fn list(&self, actor: &Actor) -> Result<Vec<SessionView>> {
        let user = actor.require_person()?;
        let current = match actor.via() {
            Some(Via::Session(id) | Via::Jwt(id)) => Some(id),
            _ => None,
        };
        let now = self.0.now();
        let mut out = self.0.store().read(|tx| {
            let mut out = Vec::new();
            for ((_, id), ()) in tx.list(tables::USER_SESSIONS, Scan::prefix(&user), usize::MAX)? {
                let Some(s) = tx.get(tables::SESSIONS, &id)?.filter(|s| now < s.expires && !self.is_ended(id)) else {
                    continue;
                };
                out.push(SessionView {
                    id,
                    kind: s.kind,
                    device: s.device,
                    address: s.address,
                    created: s.created,
                    last_seen: s.last_seen,
                    expires: s.expires,
                    current: current == Some(id),
                });
            }
            Ok(out)
        })?;
        out.sort_by_key(|s| std::cmp::Reverse(s.last_seen));
        Ok(out)
    }

    /// Ends one of the actor's own sessions.
    ///
    /// # Errors
    /// `NotFound` when it is not theirs.
    pub async fn revoke(&self, actor: &Actor, id: SessionId) -> Result<()> {
        self.end(actor, id, "session.revoke").await
    }

    async fn end(&self, actor: &Actor, id: SessionId, action: &str) -> Result<()> {
        let user = actor.require_person()?;
        let row = self.0.store().read(|tx| tx.get(tables::SESSIONS, &id))?.filter(|s| s.user == user);
        let row = row.ok_or_else(|| Error::not_found("This session is over already."))?;
        let detail = format!("{} at {}", row.device, row.address);
        let record = actor.record(self.0.now(), action, actor.login(), detail);
        self.0.end_credential(Credential::Session(id), user, record).await
    }

    /// Sets a new password: the same vault key gets a new slot. All other sessions end.
    ///
    /// # Errors
    /// `Invalid` on `current` or `password`; `TooMany` while a delay runs.
    pub async fn change_password(&self, actor: &Actor, current: Secret<String>, new: Secret<String>) -> Result<()> {
        let user = actor.require_person()?;
        model::users::check_password(new.expose(), actor.login())?;
        let address = actor.address().unwrap_or_default();
        let checked = self.check_password(actor.login(), current, address).await;
        let (row, vault) = checked.map_err(|e| match e.kind() {
            base::Kind::Unauthenticated => Error::field("current", "This is not your current password."),
            _ => e,
        })?;
        let slot = self.0.0.hasher.run(move || slots::password::wrap(&vault, &new, user.bytes())).await?;
        let now = self.0.now();
        let row = User { password_set: Some(now), ..User::clone(&row) };
        let keep = match actor.via() {
            Some(Via::Session(id)) => Some(id),
            _ => None,
        };
        let record = actor.record(now, "user.password", actor.login(), "other sessions ended");
        let stored = row.clone();
        self.0
            .store()
            .write(move |tx| {
                tx.put(tables::PASSWORD_SLOTS, &user, &slot.into())?;
                tx.put(tables::USERS, &user, &stored)?;
                users::end_sessions(tx, user, keep)?;
                tx.audit(record);
                Ok(())
            })
            .await?;
        self.0.people().put(row);
        Ok(())
    }

    /// Removes sessions that ended by themselves and failures that are forgotten. Run now and then.
    pub async fn sweep(&self) -> Result<()> {
        let now = self.0.now();
        self.0
            .store()
            .write(move |tx| {
                for (id, session) in tx.list(tables::SESSIONS, Scan::all(), usize::MAX)? {
                    if now >= session.expires {
                        tx.delete(tables::SESSIONS, &id)?;
                        tx.delete(tables::USER_SESSIONS, &(session.user, id))?;
                    }
                }
                for (name, failures) in tx.list(tables::FAILURES, Scan::all(), usize::MAX)? {
                    if failures.is_forgotten(now) {
                        tx.delete(tables::FAILURES, &name)?;
                    }
                }
                Ok(())
            })
            .await
    }
}

fn over() -> Error {
    Error::unauthenticated("You are signed out. Sign in again.")
}

fn sign_in_record(
    at: Timestamp,
    login: &str,
    id: Option<UserId>,
    address: &str,
    device: &str,
    ok: bool,
) -> AuditRecord {
    AuditRecord {
        at,
        actor: login.to_owned(),
        actor_id: id,
        action: "user.login".to_owned(),
        subject: login.to_owned(),
        detail: if ok { device.to_owned() } else { "login or password was wrong".to_owned() },
        address: Some(address.to_owned()),
        ok,
        about: None,
    }
}

/// Id and secret as one text that can be a cookie or a bearer token.
pub(super) fn bearer_text(id: &[u8; 16], secret: &[u8; 32]) -> String {
    B64.encode([id.as_slice(), secret].concat())
}

pub(super) fn parse_bearer(text: &str) -> Option<([u8; 16], [u8; 32])> {
    let bytes = B64.decode(text).ok().filter(|b| b.len() == 48)?;
    let (id, secret) = bytes.split_at(16);
    Some((id.try_into().ok()?, secret.try_into().ok()?))
}
