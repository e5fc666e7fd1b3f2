//! People: the list that is kept in memory, and what admins do with it.

use crate::guests::sharing::drop_of_user;
use crate::{Actor, App};
use arc_swap::ArcSwap;
use base::ids::{InviteId, UserId};
use base::{Error, Result, Secret, Timestamp};
use model::json::given;
use model::lockout::Failures;
use model::users::{Role, User, parse_email, parse_login, parse_name};
use model::{sessions::Scope, subject::Subject};
use serde::Deserialize;
use std::collections::HashMap;
use std::sync::Arc;
use store::{Name, Read, Scan, Store, WriteTx, tables};

/// All users in memory. Few, asked for with every request, changed seldom.
pub struct People(ArcSwap<HashMap<UserId, Arc<User>>>);

impl People {
    pub(super) fn load(store: &Store) -> Result<Self> {
        let rows = store.read(|tx| tx.list(tables::USERS, Scan::all(), usize::MAX))?;
        Ok(Self(ArcSwap::from_pointee(rows.into_iter().map(|(id, user)| (id, Arc::new(user))).collect())))
    }

    /// Has anybody set a password yet? Before that the setup code makes the first admin; people who are only
    /// invited don't count.
    pub fn somebody_can_sign_in(&self) -> bool {
        self.0.load().values().any(|u| u.password_set.is_some())
    }

    pub fn get(&self, id: UserId) -> Option<Arc<User>> {
        self.0.load().get(&id).cloned()
    }

    /// The user with this (folded) login.
    pub fn by_login(&self, login: &str) -> Option<Arc<User>> {
        self.0.load().values().find(|u| u.login == login).cloned()
    }

    /// What pages call the owner of something.
    pub fn name_of(&self, id: Option<UserId>) -> String {
        id.and_then(|id| self.get(id)).map_or_else(|| "–".to_owned(), |u| u.login.clone())
    }

    /// All, by login.
    pub fn all(&self) -> Vec<Arc<User>> {
        let mut all: Vec<_> = self.0.load().values().cloned().collect();
        all.sort_by(|a, b| a.login.cmp(&b.login));
        all
    }

    pub(super) fn put(&self, user: User) {
        self.0.rcu(|old| {
            let mut map = HashMap::clone(old);
            map.insert(user.id, Arc::new(user.clone()));
            map
        });
    }

    pub(super) fn remove(&self, id: UserId) {
        self.0.rcu(|old| {
            let mut map = HashMap::clone(old);
            map.remove(&id);
            map
        });
    }
}

/// A user as the list shows them.
#[derive(Clone, Debug)]
pub struct UserView {
    pub user: Arc<User>,
    /// Too many failed sign-ins; an admin can unlock.
    pub locked: bool,
    /// Failed tries since the last success.
    pub failures: u32,
    /// Was invited and has not set a password yet.
    pub invited: bool,
    /// An invite or reset link is open until then.
    pub invited_until: Option<Timestamp>,
    /// Signed-in browsers and JWTs.
    pub sessions: usize,
    /// API tokens.
    pub tokens: usize,
}

/// What an admin gives for a new user.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NewUser {
    pub login: String,
    pub name: String,
    pub email: String,
    pub role: Role,
}

/// What an admin may change of a user. `None` leaves it.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct UserChange {
    #[serde(default, deserialize_with = "given")]
    pub name: Option<String>,
    #[serde(default, deserialize_with = "given")]
    pub email: Option<String>,
    pub role: Option<Role>,
    pub active: Option<bool>,
}

pub struct Users<'a>(pub(super) &'a App);

pub(super) fn account_failures(login: &str) -> Name {
    Name::new(format!("account:{login}"))
}

impl Users<'_> {
    /// All users with their sign-in state.
    pub fn list(&self, actor: &Actor) -> Result<Vec<UserView>> {
        actor.require_admin()?;
        self.0.people().all().into_iter().map(|user| self.view(user)).collect()
    }

    /// One user.
    pub fn get(&self, actor: &Actor, id: UserId) -> Result<UserView> {
        actor.require_admin()?;
        self.view(self.find(id)?)
    }

    /// Finds a user by login, for the command line.
    pub fn by_login(&self, actor: &Actor, login: &str) -> Result<UserView> {
        actor.require_admin()?;
        let user = self.0.people().by_login(&login.to_lowercase());
        self.view(user.ok_or_else(|| Error::not_found(format!("There is no user “{login}”.")))?)
    }

    fn find(&self, id: UserId) -> Result<Arc<User>> {
        self.0.people().get(id).ok_or_else(|| Error::not_found("This user does not exist."))
    }

    fn view(&self, user: Arc<User>) -> Result<UserView> {
        let now = self.0.now();
        self.0.store().read(|tx| {
            let failures: Failures = tx.get(tables::FAILURES, &account_failures(&user.login))?.unwrap_or_default();
            let invites = tx.list(tables::INVITES, Scan::all(), usize::MAX)?;
            let theirs = invites.into_iter().filter(|(_, i)| i.user == user.id && now < i.expires);
            Ok(UserView {
                locked: failures.is_locked(now),
                failures: failures.count,
                invited: tx.get(tables::PASSWORD_SLOTS, &user.id)?.is_none(),
                invited_until: theirs.map(|(_, i)| i.expires).max(),
                sessions: tx.list(tables::USER_SESSIONS, Scan::prefix(&user.id), usize::MAX)?.len(),
                tokens: tx.list(tables::USER_TOKENS, Scan::prefix(&user.id), usize::MAX)?.len(),
                user,
            })
        })
    }

    /// Makes a user who can sign in as soon as they used the returned one-time link.
    ///
    /// # Errors
    /// `Forbidden`; `Invalid` on login or email; `Conflict` when the login is taken.
    pub async fn invite(&self, actor: &Actor, new: NewUser) -> Result<(User, Secret<String>)> {
        actor.require_full_admin()?;
        let login = parse_login(&new.login)?;
        let email = parse_email(&new.email)?;
        let name = if new.name.trim().is_empty() { login.clone() } else { parse_name(&new.name)? };
        let now = self.0.now();
        let user = User {
            id: UserId::new(),
            name,
            login,
            email,
            role: new.role,
            active: true,
            created: now,
            last_login: None,
            password_set: None,
        };
        let record = actor.record(now, "user.invite", &user.login, format!("role {}", user.role.name()));
        let (invite, link) = self.0.invites().make(user.id, false);
        let row = user.clone();
        self.0
            .store()
            .write(move |tx| {
                insert(tx, &row)?;
                let (id, invite) = invite;
                tx.put(tables::INVITES, &id, &invite)?;
                tx.event(Subject::Users, None);
                tx.audit(record);
                Ok(())
            })
            .await?;
        self.0.people().put(user.clone());
        Ok((user, link))
    }

    /// Changes name, e-mail, role or whether they may sign in. Deactivating ends all their sessions.
    ///
    /// # Errors
    /// `Forbidden`; `Conflict` when it would leave no active admin; `Invalid` on email.
    pub async fn change(&self, actor: &Actor, id: UserId, change: UserChange) -> Result<()> {
        actor.require_full_admin()?;
        let mut user = User::clone(&*self.find(id)?);
        let mut said = Vec::new();
        if let Some(name) = change.name {
            user.name = parse_name(&name)?;
            said.push("name".to_owned());
        }
        if let Some(email) = change.email {
            user.email = parse_email(&email)?;
            said.push("e-mail".to_owned());
        }
        if let Some(role) = change.role.filter(|r| *r != user.role) {
            user.role = role;
            said.push(format!("role {}", role.name()));
        }
        if let Some(active) = change.active.filter(|a| *a != user.active) {
            user.active = active;
            said.push(if active { "activated" } else { "deactivated" }.to_owned());
        }
        self.check_an_admin_remains(&user)?;
        let record = actor.record(self.0.now(), "user.change", &user.login, said.join(", "));
        let row = user.clone();
        self.0
            .store()
            .write(move |tx| {
                tx.put(tables::USERS, &row.id, &row)?;
                if !row.active {
                    end_sessions(tx, row.id, None)?;
                }
                tx.event(Subject::Users, None);
                tx.audit(record);
                Ok(())
            })
            .await?;
        self.0.people().put(user);
        Ok(())
    }

    fn check_an_admin_remains(&self, changed: &User) -> Result<()> {
        let others = self.0.people().all();
        let fine = (changed.active && changed.role == Role::Admin)
            || others
                .iter()
                .any(|u| u.id != changed.id && u.active && u.role == Role::Admin && u.password_set.is_some());
        if fine {
            Ok(())
        } else {
            Err(Error::conflict("This is the only admin who can sign in. Make another user an admin first."))
        }
    }

    /// Forgets failed sign-ins, so that the person can try again at once.
    pub async fn unlock(&self, actor: &Actor, id: UserId) -> Result<()> {
        actor.require_full_admin()?;
        let user = self.find(id)?;
        let record = actor.record(self.0.now(), "user.unlock", &user.login, "failed sign-ins forgotten");
        self.0
            .store()
            .write(move |tx| {
                tx.delete(tables::FAILURES, &account_failures(&user.login))?;
                tx.event(Subject::Users, None);
                tx.audit(record);
                Ok(())
            })
            .await
    }

    /// A one-time link with which the person sets a new password. What is sealed under the old one (their
    /// own settings, later their vault) can't be opened afterwards: only the old password unwraps its key.
    pub async fn reset_link(&self, actor: &Actor, id: UserId) -> Result<Secret<String>> {
        actor.require_full_admin()?;
        let user = self.find(id)?;
        let record = actor.record(self.0.now(), "user.reset", &user.login, "link to set a new password made");
        let ((invite_id, invite), link) = self.0.invites().make(id, true);
        self.0
            .store()
            .write(move |tx| {
                drop_invites(tx, id)?;
                tx.put(tables::INVITES, &invite_id, &invite)?;
                tx.audit(record);
                Ok(())
            })
            .await?;
        Ok(link)
    }

    /// Deletes a user: their key slots go, so what was theirs can't be opened any more, not even in old
    /// backups. Their machines stay, without an owner.
    ///
    /// # Errors
    /// `Forbidden`, `NotFound`; `Conflict` for the last admin.
    pub async fn delete(&self, actor: &Actor, id: UserId) -> Result<()> {
        actor.require_full_admin()?;
        let user = self.find(id)?;
        self.check_an_admin_remains(&User { active: false, ..User::clone(&user) })?;
        let record = actor.record(self.0.now(), "user.delete", &user.login, "key slots destroyed");
        let login = user.login.clone();
        let shared = self
            .0
            .store()
            .write(move |tx| {
                end_sessions(tx, id, None)?;
                drop_tokens(tx, id)?;
                drop_invites(tx, id)?;
                tx.delete(tables::PASSWORD_SLOTS, &id)?;
                tx.erase_owner(id)?;
                tx.delete(tables::USER_LOGINS, &Name::new(login.clone()))?;
                tx.delete(tables::FAILURES, &account_failures(&login))?;
                tx.delete(tables::USERS, &id)?;
                tx.delete(tables::USER_QUOTAS, &id)?;
                let shared = drop_of_user(tx, id)?;
                tx.event(Subject::Users, None);
                tx.audit(record);
                Ok(shared)
            })
            .await?;
        self.0.people().remove(id);
        self.0.grants().reload(self.0.store(), &shared)?;
        self.0.guests().disown(id).await
    }

    /// What a person changes about themselves.
    ///
    /// # Errors
    /// `Invalid` on email or name.
    pub async fn change_own(&self, actor: &Actor, name: &str, email: &str) -> Result<()> {
        actor.require_scope(Scope::Full)?;
        let mut user = User::clone(&*self.find(actor.require_person()?)?);
        user.name = parse_name(name)?;
        user.email = parse_email(email)?;
        let record = actor.record(self.0.now(), "user.profile", &user.login, "name or e-mail");
        let row = user.clone();
        self.0
            .store()
            .write(move |tx| {
                tx.put(tables::USERS, &row.id, &row)?;
                tx.event(Subject::Users, None);
                tx.audit(record);
                Ok(())
            })
            .await?;
        self.0.people().put(user);
        Ok(())
    }

    pub(super) fn touch_login(&self, id: UserId, at: Timestamp) {
        if let Some(user) = self.0.people().get(id) {
            self.0.people().put(User { last_login: Some(at), ..User::clone(&user) });
        }
    }
}

/// Writes a new user and their login.
pub(super) fn insert(tx: &mut WriteTx, user: &User) -> Result<()> {
    let login = Name::new(user.login.clone());
    if tx.get(tables::USER_LOGINS, &login)?.is_some() {
        return Err(Error::new(base::Kind::Conflict, "Please correct the marked fields.")
            .with_field("login", "This login is taken. Choose another."));
    }
    tx.put(tables::USER_LOGINS, &login, &user.id)?;
    tx.put(tables::USERS, &user.id, user)
}

/// Ends all sessions of a user, except `keep`.
pub(super) fn end_sessions(tx: &mut WriteTx, user: UserId, keep: Option<base::ids::SessionId>) -> Result<()> {
    for ((_, session), ()) in tx.list(tables::USER_SESSIONS, Scan::prefix(&user), usize::MAX)? {
        if Some(session) != keep {
            tx.delete(tables::SESSIONS, &session)?;
            tx.delete(tables::USER_SESSIONS, &(user, session))?;
        }
    }
    Ok(())
}

/// Revokes all API tokens of a user, and with them the JWTs that were made with them.
pub(super) fn drop_tokens(tx: &mut WriteTx, user: UserId) -> Result<()> {
    for ((_, token), ()) in tx.list(tables::USER_TOKENS, Scan::prefix(&user), usize::MAX)? {
        tx.delete(tables::TOKENS, &token)?;
        tx.delete(tables::USER_TOKENS, &(user, token))?;
    }
    Ok(())
}

/// Revokes all open links of a user.
pub(super) fn drop_invites(tx: &mut WriteTx, user: UserId) -> Result<()> {
    let all = tx.list(tables::INVITES, Scan::all(), usize::MAX)?;
    let theirs: Vec<InviteId> = all.into_iter().filter(|(_, i)| i.user == user).map(|(id, _)| id).collect();
    for id in theirs {
        tx.delete(tables::INVITES, &id)?;
    }
    Ok(())
}
