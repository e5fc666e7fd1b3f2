//! The first start: a code that only somebody on the host can read makes the first admin.

use crate::App;
use crate::sessions::SignedIn;
use base::ids::UserId;
use base::{Error, Kind, Result, Secret, random};
use crypto::{VaultKey, slots, token};
use model::subject::Subject;
use model::users::{Role, User, check_password, parse_login};
use model::{audit::AuditRecord, lockout::FREE_ACCOUNT};
use std::sync::Mutex;
use store::{Read, Scan, tables};

/// The code of this start; there is none once somebody can sign in.
pub(super) struct SetupCode(Mutex<Option<Secret<String>>>);

impl SetupCode {
    pub(super) fn for_start(needed: bool) -> Self {
        Self(Mutex::new(needed.then(|| Secret::new(random::code(4)))))
    }

    fn get(&self) -> Option<Secret<String>> {
        self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner).clone()
    }

    fn clear(&self) {
        *self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner) = None;
    }
}

pub struct Setup<'a>(pub(super) &'a App);

impl Setup<'_> {
    /// Is the first admin still to be made?
    pub fn is_needed(&self) -> bool {
        !self.0.people().somebody_can_sign_in()
    }

    /// The code, for the journal and `steward setup-code`. Shown on the host only, never on a page.
    pub fn code(&self) -> Option<Secret<String>> {
        self.0.0.setup.get()
    }

    /// Makes the first admin and signs them in.
    ///
    /// # Errors
    /// `Conflict` when there is a user already; `Invalid` on code, login or password; `TooMany` after wrong codes.
    pub async fn first_admin(
        &self,
        code: &str,
        login: &str,
        password: Secret<String>,
        device: &str,
        address: &str,
    ) -> Result<SignedIn> {
        self.check_code(code, address).await?;
        let login = parse_login(login)?;
        check_password(password.expose(), &login)?;
        let (user, slot, vault) = self.new_admin(login, password).await?;
        let (session, cookie) = self.0.sessions().new_session(&user, &vault, device, address);
        let record = AuditRecord {
            at: user.created,
            actor: user.login.clone(),
            actor_id: Some(user.id),
            action: "setup.admin".to_owned(),
            subject: user.login.clone(),
            detail: "first admin made with the setup code".to_owned(),
            address: Some(address.to_owned()),
            ok: true,
            about: None,
        };
        let (row, stored) = (user.clone(), session.clone());
        self.0
            .store()
            .write(move |tx| {
                let all = tx.list(tables::USERS, Scan::all(), usize::MAX)?;
                if all.iter().any(|(_, u)| u.password_set.is_some()) {
                    return Err(Error::conflict("Steward is already set up. Sign in instead."));
                }
                super::users::insert(tx, &row)?;
                tx.put(tables::PASSWORD_SLOTS, &row.id, &slot.into())?;
                tx.put(tables::SESSIONS, &stored.id, &stored)?;
                tx.put(tables::USER_SESSIONS, &(row.id, stored.id), &())?;
                tx.event(Subject::Users, None);
                tx.audit(record);
                Ok(())
            })
            .await?;
        self.0.people().put(user);
        self.0.0.setup.clear();
        Ok(SignedIn { cookie, expires: session.expires })
    }

    async fn check_code(&self, code: &str, address: &str) -> Result<()> {
        let Some(wanted) = self.code() else {
            return Err(Error::conflict("Steward is already set up. Sign in instead."));
        };
        let name = super::sessions::address_failures(address);
        let now = self.0.now();
        let failures = self.0.store().read(|tx| tx.get(tables::FAILURES, &name))?.unwrap_or_default();
        if let Some(wait) = failures.wait(now, FREE_ACCOUNT) {
            return Err(super::sessions::slow_down(wait));
        }
        let given: String = code.trim().to_uppercase();
        if token::equal(given.as_bytes(), wanted.expose().as_bytes()) {
            return Ok(());
        }
        self.0.store().write(move |tx| tx.put(tables::FAILURES, &name, &failures.failed(now))).await?;
        Err(Error::new(Kind::Invalid, "Please correct the marked fields.")
            .with_field("code", "This is not the right code. On the host, run “steward setup-code” to see it."))
    }

    async fn new_admin(&self, login: String, password: Secret<String>) -> Result<(User, Vec<u8>, VaultKey)> {
        let now = self.0.now();
        let user = User {
            id: UserId::new(),
            name: login.clone(),
            login,
            email: None,
            role: Role::Admin,
            active: true,
            created: now,
            last_login: Some(now),
            password_set: Some(now),
        };
        let vault = VaultKey::generate();
        let (key, owner) = (vault.clone(), user.id);
        let slot = self.0.0.hasher.run(move || slots::password::wrap(&key, &password, owner.bytes())).await?;
        Ok((user, slot, vault))
    }
}
