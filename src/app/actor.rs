//! Who acts: a person (through a browser, an API token or a short token), Steward for a person, or the host's own
//! console.

use crate::App;
use crate::guests::sharing::Grants;
use crate::keys::VaultSeal;
use base::ids::{SessionId, TokenId, UserId};
use base::{Error, Result, Timestamp};
use crypto::VaultKey;
use model::access::{GuestRight, guest_right, person_right};
use model::audit::AuditRecord;
use model::guests::Guest;
use model::sessions::Scope;
use model::subject::Named;
use model::users::{Role, User};
use std::sync::Arc;
use store::Keyspace;

/// How the actor proved who they are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Via {
    Session(SessionId),
    Jwt(SessionId),
    Token(TokenId),
}

/// A signed-in person with their open vault key, or the host's console (anyone who may use the socket is root
/// there anyway). Dropped at the end of a request; the key goes with it.
#[derive(Clone)]
pub struct Actor {
    person: Option<Person>,
    address: Option<String>,
    label: String,
}

#[derive(Clone)]
struct Person {
    user: Arc<User>,
    /// How they proved who they are, and the key that this opened; `None` when Steward acts for them.
    signed_in: Option<(Via, VaultKey)>,
    scope: Option<Scope>,
    /// What is shared with whom, as it stands at each moment: a long-lived actor (an open stream) loses a
    /// right at once.
    grants: Arc<Grants>,
}

impl std::fmt::Debug for Actor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Actor({})", self.label)
    }
}

impl Actor {
    pub(super) fn person(
        user: Arc<User>,
        via: Via,
        scope: Option<Scope>,
        vault: VaultKey,
        address: &str,
        grants: Arc<Grants>,
    ) -> Self {
        let label = user.login.clone();
        let person = Person { user, signed_in: Some((via, vault)), scope, grants };
        Self { person: Some(person), address: Some(address.to_owned()), label }
    }

    /// Steward, doing what this person asked for earlier: with their rights as they are now and never more, and
    /// without a way to their keyspace. `what` says on which occasion, for logs: `schedule Nightly`.
    ///
    /// # Errors
    /// `Forbidden` when the person is gone or deactivated.
    pub fn on_behalf(app: &App, user: UserId, what: &str) -> Result<Self> {
        let user = app.people().get(user).filter(|u| u.active);
        let user = user.ok_or_else(|| Error::forbidden("The person who asked for this may no longer sign in."))?;
        let label = format!("{} ({what})", user.login);
        let person = Person { user, signed_in: None, scope: None, grants: app.shared_grants() };
        Ok(Self { person: Some(person), address: None, label })
    }

    /// As [`Self::on_behalf`] of the person who asked; of the appliance itself when that was no person but its own console.
    pub(super) fn on_behalf_of(app: &App, asker: Option<UserId>, what: &str) -> Result<Self> {
        match asker {
            Some(user) => Self::on_behalf(app, user, what),
            None => Ok(Self { person: None, address: None, label: what.to_owned() }),
        }
    }

    /// The console of the host: everything that an admin may do, except reading anybody's keyspace.
    pub fn host_console() -> Self {
        Self { person: None, address: None, label: "host console".to_owned() }
    }

    /// Who it is, in words that outlive the user.
    pub fn label(&self) -> &str {
        &self.label
    }

    pub fn address(&self) -> Option<&str> {
        self.address.as_deref()
    }

    pub fn user(&self) -> Option<&User> {
        self.person.as_ref().map(|p| &*p.user)
    }

    pub fn user_id(&self) -> Option<UserId> {
        self.user().map(|u| u.id)
    }

    pub fn login(&self) -> &str {
        self.user().map_or(self.label.as_str(), |u| u.login.as_str())
    }

    pub fn via(&self) -> Option<Via> {
        self.person.as_ref()?.signed_in.as_ref().map(|(via, _)| *via)
    }

    pub fn role(&self) -> Role {
        self.user().map_or(Role::Admin, |u| u.role)
    }

    /// What the bearer's token allows; `None` means all that the person may.
    pub fn scope(&self) -> Option<Scope> {
        self.person.as_ref().and_then(|p| p.scope)
    }

    pub fn is_admin(&self) -> bool {
        self.role() == Role::Admin
    }

    /// # Errors
    /// `Forbidden` for everybody but admins.
    pub fn require_admin(&self) -> Result<()> {
        if self.is_admin() { Ok(()) } else { Err(Error::forbidden("Only an admin may do this.")) }
    }

    /// # Errors
    /// `Forbidden` when the actor's token may do less than `least`.
    pub fn require_scope(&self, least: Scope) -> Result<()> {
        let have = match self.scope() {
            None | Some(Scope::Full) => 2,
            Some(Scope::Operate) => 1,
            Some(Scope::Read) => 0,
        };
        let need = match least {
            Scope::Read => 0,
            Scope::Operate => 1,
            Scope::Full => 2,
        };
        if have >= need {
            Ok(())
        } else {
            Err(Error::forbidden(format!("This token may not do this; it needs the scope “{}”.", least.name())))
        }
    }

    /// An admin whose token (if they use one) may do everything.
    pub fn require_full_admin(&self) -> Result<()> {
        self.require_admin()?;
        self.require_scope(Scope::Full)
    }

    /// What this actor may do with a guest; `None` means that for them it does not exist.
    pub fn guest_right(&self, guest: &Guest) -> Option<GuestRight> {
        guest_right(self.person_right(guest), self.scope())
    }

    /// What the person may do with a guest, whatever the token that they use now allows.
    pub fn person_right(&self, guest: &Guest) -> Option<GuestRight> {
        match &self.person {
            None => Some(GuestRight::Manage),
            Some(p) => person_right(p.user.id, p.user.role, guest, p.grants.right(guest.id, p.user.id)),
        }
    }

    /// The one way to this person's own rows.
    ///
    /// # Errors
    /// `Forbidden` for somebody who is not signed in.
    pub fn keyspace(&self) -> Result<Keyspace> {
        let user = self.require_person()?;
        Ok(Keyspace::new(Arc::new(VaultSeal::new(user, self.vault()?))))
    }

    /// The open vault key, for wrapping it into another slot.
    pub(super) fn vault(&self) -> Result<&VaultKey> {
        let signed_in = self.person.as_ref().and_then(|p| p.signed_in.as_ref());
        signed_in.map(|(_, vault)| vault).ok_or_else(|| Error::forbidden("This needs a signed-in person."))
    }

    /// The id of the signed-in person.
    pub fn require_person(&self) -> Result<UserId> {
        self.user_id().ok_or_else(|| Error::forbidden("This needs a signed-in person."))
    }

    /// An audit record of something that this actor did.
    pub fn record(
        &self,
        at: Timestamp,
        action: &str,
        subject: impl Into<Named>,
        detail: impl Into<String>,
    ) -> AuditRecord {
        let Named { words, subject } = subject.into();
        AuditRecord {
            at,
            actor: self.label.clone(),
            actor_id: self.user_id(),
            action: action.to_owned(),
            subject: words,
            detail: detail.into(),
            address: self.address.clone(),
            ok: true,
            about: subject,
        }
    }
}
