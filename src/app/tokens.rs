//! API tokens and the short tokens (JWT, RFC 7519) made from them. Both are key slots like a session.

use crate::actor::Via;
use crate::ended::Credential;
use crate::{Actor, App, sessions};
use base::ids::{SessionId, TokenId};
use base::text::is_name;
use base::{Error, Result, Secret, Timestamp, random};
use crypto::{jwt, slots};
use model::sessions::{Scope, Session, SessionKind, Token};
use serde::{Deserialize, Serialize};
use std::time::Duration;
use store::{Read, Scan, tables};

/// Makes a leaked token easy to find, also for the scanners of code hosts.
const PREFIX: &str = "stw_";
/// How long a JWT is good.
pub(super) const JWT_GOOD_FOR: Duration = Duration::from_secs(15 * 60);
const TOUCH_EVERY: Duration = Duration::from_secs(60);
const MOST_TOKENS: usize = 50;

/// An API token as the profile page shows it.
#[derive(Clone, Debug, Serialize, Deserialize, utoipa::ToSchema)]
pub struct TokenView {
    pub id: TokenId,
    pub name: String,
    pub scope: Scope,
    pub created: Timestamp,
    pub expires: Option<Timestamp>,
    pub last_used: Option<Timestamp>,
}

/// A fresh short token.
#[derive(Debug)]
pub struct AccessToken {
    pub text: Secret<String>,
    /// The `jti`: with it the token can be revoked.
    pub id: SessionId,
    pub expires: Timestamp,
    pub scope: Scope,
}

pub struct Tokens<'a>(pub(super) &'a App);

impl Tokens<'_> {
    /// The actor's API tokens.
    pub fn list(&self, actor: &Actor) -> Result<Vec<TokenView>> {
        let user = actor.require_person()?;
        self.0.store().read(|tx| {
            let mut out = Vec::new();
            for ((_, id), ()) in tx.list(tables::USER_TOKENS, Scan::prefix(&user), usize::MAX)? {
                if let Some(t) = tx.get(tables::TOKENS, &id)?.filter(|_| !self.is_ended(id)) {
                    let Token { name, scope, created, expires, last_used, .. } = t;
                    out.push(TokenView { id, name, scope, created, expires, last_used });
                }
            }
            Ok(out)
        })
    }

    /// Makes a token; its text is returned once and never again.
    ///
    /// # Errors
    /// `Invalid` on `name` or `days`; `Forbidden` for a token that may not do everything itself.
    pub async fn create(
        &self,
        actor: &Actor,
        name: &str,
        scope: Scope,
        days: Option<u32>,
    ) -> Result<(TokenView, Secret<String>)> {
        let user = actor.require_person()?;
        actor.require_scope(Scope::Full)?;
        let name = name.trim();
        if !is_name(name, 60) {
            return Err(Error::field("name", "Give the token a name of 1 to 60 characters that can be seen."));
        }
        if days.is_some_and(|d| !(1..=3650).contains(&d)) {
            return Err(Error::field("days", "Choose 1 to 3650 days."));
        }
        let (id, secret, now) = (TokenId::new(), random::bytes::<32>(), self.0.now());
        let expires = days.map(|d| now.plus(Duration::from_secs(u64::from(d) * 86_400)));
        let slot = slots::secret::wrap(actor.vault()?, &secret, id.bytes());
        let token = Token { id, user, name: name.to_owned(), scope, created: now, expires, last_used: None, slot };
        let view = TokenView { id, name: token.name.clone(), scope, created: now, expires, last_used: None };
        let record = actor.record(now, "token.create", &token.name, format!("scope {}", scope.name()));
        self.0
            .store()
            .write(move |tx| {
                if tx.list(tables::USER_TOKENS, Scan::prefix(&user), MOST_TOKENS)?.len() >= MOST_TOKENS {
                    return Err(Error::conflict(format!(
                        "You can have {MOST_TOKENS} tokens at most. Revoke one first."
                    )));
                }
                tx.put(tables::TOKENS, &id, &token)?;
                tx.put(tables::USER_TOKENS, &(user, id), &())?;
                tx.audit(record);
                Ok(())
            })
            .await?;
        let text = format!("{PREFIX}{}", sessions::bearer_text(id.bytes(), &secret));
        Ok((view, Secret::new(text)))
    }

    /// Gives a token a new secret and so a new text, returned once; the old text is refused from now on. Name and
    /// scope stay, and so does the end, unless `days` sets another one, counted from now. A token may do this with
    /// itself, whatever its scope, but then can't move its end: a stolen token must not outlive its time.
    ///
    /// # Errors
    /// `NotFound` when it is not the actor's; `Forbidden` for another token of a scope below `full`; `Invalid` on
    /// `days`; `Conflict` when it has ended.
    pub async fn rotate(&self, actor: &Actor, id: TokenId, days: Option<u32>) -> Result<(TokenView, Secret<String>)> {
        let user = actor.require_person()?;
        if actor.via() != Some(Via::Token(id)) || days.is_some() {
            actor.require_scope(Scope::Full)?;
        }
        if days.is_some_and(|d| !(1..=3650).contains(&d)) {
            return Err(Error::field("days", "Choose 1 to 3650 days."));
        }
        if self.is_ended(id) {
            return Err(Error::not_found("You have no such token."));
        }
        let (secret, now) = (random::bytes::<32>(), self.0.now());
        let slot = slots::secret::wrap(actor.vault()?, &secret, id.bytes());
        let record = actor.record(now, "token.rotate", "", "");
        let view = self
            .0
            .store()
            .write(move |tx| {
                let old = tx.get(tables::TOKENS, &id)?.filter(|t| t.user == user);
                let old = old.ok_or_else(|| Error::not_found("You have no such token."))?;
                let expires = match days {
                    Some(d) => Some(now.plus(Duration::from_secs(u64::from(d) * 86_400))),
                    None => old.expires,
                };
                if expires.is_some_and(|t| now >= t) {
                    return Err(Error::conflict("This token has expired. Create a new one."));
                }
                let token = Token { slot, expires, created: now, last_used: None, ..old };
                tx.put(tables::TOKENS, &id, &token)?;
                let mut record = record;
                record.subject.clone_from(&token.name);
                tx.audit(record);
                let Token { name, scope, created, expires, last_used, .. } = token;
                Ok(TokenView { id, name, scope, created, expires, last_used })
            })
            .await?;
        let text = format!("{PREFIX}{}", sessions::bearer_text(id.bytes(), &secret));
        Ok((view, Secret::new(text)))
    }

    /// Revokes a token. It is refused from now on. A token may do this with itself, whatever its scope.
    ///
    /// # Errors
    /// `NotFound` when it is not the actor's.
    pub async fn revoke(&self, actor: &Actor, id: TokenId) -> Result<()> {
        let user = actor.require_person()?;
        if actor.via() != Some(Via::Token(id)) {
            actor.require_scope(Scope::Full)?;
        }
        let token = self.0.store().read(|tx| tx.get(tables::TOKENS, &id))?.filter(|t| t.user == user);
        let token = token.ok_or_else(|| Error::not_found("This token has already been deleted."))?;
        let record = actor.record(self.0.now(), "token.revoke", &token.name, "");
        self.0.end_credential(Credential::Token(id), user, record).await
    }

    fn is_ended(&self, id: TokenId) -> bool {
        self.0.0.ended.has(Credential::Token(id))
    }

    /// Who holds this bearer token: an API token (`stw_...`) or a JWT.
    pub fn authenticate(&self, bearer: &str, address: &str) -> Result<Actor> {
        match bearer.strip_prefix(PREFIX) {
            Some(text) => self.open(text, address),
            None => self.open_jwt(bearer, address),
        }
    }

    fn open(&self, text: &str, address: &str) -> Result<Actor> {
        let (id, secret) = sessions::parse_bearer(text).ok_or_else(refused)?;
        let id = TokenId::from_bytes(id);
        let token = self.0.store().read(|tx| tx.get(tables::TOKENS, &id))?;
        let token = token.filter(|_| !self.is_ended(id)).ok_or_else(refused)?;
        let now = self.0.now();
        let user = self.0.people().get(token.user).filter(|u| u.active).ok_or_else(refused)?;
        if token.expires.is_some_and(|t| now >= t) {
            return Err(Error::unauthenticated("This token has expired. Create a new one on your profile page."));
        }
        let vault = slots::secret::unwrap(&token.slot, &secret, id.bytes()).ok_or_else(refused)?;
        let scope = token.scope;
        if token.last_used.is_none_or(|t| t.until(now) > TOUCH_EVERY) {
            self.touch(Token { last_used: Some(now), ..token });
        }
        Ok(Actor::person(user, Via::Token(id), Some(scope), vault, address, self.0.shared_grants()))
    }

    /// Whether a token with that slot is still good: not expired, revoked or renewed since.
    pub(super) fn is_still(&self, id: TokenId, slot: &[u8]) -> Result<()> {
        let token = self.0.store().read(|tx| tx.get(tables::TOKENS, &id))?;
        let good = |t: &Token| !self.is_ended(id) && t.slot == slot && t.expires.is_none_or(|end| self.0.now() < end);
        token.filter(good).map(drop).ok_or_else(refused)
    }

    fn touch(&self, token: Token) {
        let store = self.0.store().clone();
        tokio::spawn(async move {
            let written = store.write(move |tx| match tx.get(tables::TOKENS, &token.id)? {
                // Rotated meanwhile: the row that was read is the old one.
                Some(now) if now.slot == token.slot => tx.put(tables::TOKENS, &token.id, &token),
                _ => Ok(()),
            });
            if let Err(e) = written.await {
                tracing::warn!(error = e.chain(), "could not write when a token was last used");
            }
        });
    }

    fn open_jwt(&self, text: &str, address: &str) -> Result<Actor> {
        let claims = jwt::verify(self.0.0.keys.jwt.expose(), text, self.0.now())?;
        let (_, secret) = sessions::parse_bearer(claims.sec.expose()).ok_or_else(refused)?;
        self.0.sessions().open(claims.jti, &secret, SessionKind::Jwt, address)
    }

    /// A JWT from login and password.
    pub async fn from_password(
        &self,
        login: &str,
        password: Secret<String>,
        device: &str,
        address: &str,
    ) -> Result<AccessToken> {
        let (user, vault) = self.0.sessions().check_password(login, password, address).await?;
        let (token, session) = self.sign(user.id, &vault, Scope::Full, device, address)?;
        let mut record = Actor::person(user, Via::Jwt(token.id), None, vault, address, self.0.shared_grants()).record(
            self.0.now(),
            "user.login",
            "",
            format!("{device}, for the REST API"),
        );
        record.subject.clone_from(&record.actor);
        self.store_jwt(session, record).await?;
        Ok(token)
    }

    /// A JWT for an actor that proved itself with an API token.
    ///
    /// # Errors
    /// `Forbidden` when the actor has no token.
    pub async fn from_token(&self, actor: &Actor, device: &str) -> Result<AccessToken> {
        let (user, Some(Via::Token(by))) = (actor.require_person()?, actor.via()) else {
            return Err(Error::forbidden("Send login and password, or an API token."));
        };
        let scope = actor.scope().unwrap_or(Scope::Full);
        let address = actor.address().unwrap_or_default();
        let (token, session) = self.sign(user, actor.vault()?, scope, device, address)?;
        let row = self.0.store().read(|tx| tx.get(tables::TOKENS, &by))?.ok_or_else(refused)?;
        let session = Session { token: Some((by, row.slot)), ..session };
        let record = actor.record(self.0.now(), "token.jwt", actor.login(), format!("scope {}", scope.name()));
        self.store_jwt(session, record).await?;
        Ok(token)
    }

    fn sign(
        &self,
        user: base::ids::UserId,
        vault: &crypto::VaultKey,
        scope: Scope,
        device: &str,
        address: &str,
    ) -> Result<(AccessToken, Session)> {
        let now = self.0.now();
        let expires = now.plus(JWT_GOOD_FOR);
        let (session, secret) = self.0.sessions().make(user, vault, SessionKind::Jwt, expires, device, address);
        let session = Session { scope: Some(scope), ..session };
        let claims = jwt::Claims {
            sub: user,
            jti: session.id,
            iat: now,
            exp: expires,
            scope: scope.name().to_owned(),
            sec: secret,
        };
        let text = jwt::sign(self.0.0.keys.jwt.expose(), &claims)?;
        Ok((AccessToken { text, id: session.id, expires, scope }, session))
    }

    async fn store_jwt(&self, session: Session, record: model::audit::AuditRecord) -> Result<()> {
        self.0
            .store()
            .write(move |tx| {
                tx.put(tables::SESSIONS, &session.id, &session)?;
                tx.put(tables::USER_SESSIONS, &(session.user, session.id), &())?;
                tx.audit(record);
                Ok(())
            })
            .await
    }
}

fn refused() -> Error {
    Error::unauthenticated("This token is not valid.")
}
