//! One-time links: the first password of an invited person, or a new one after a reset.

use crate::sessions::SignedIn;
use crate::{App, users};
use base::ids::{InviteId, UserId};
use base::{Error, Result, Secret, Timestamp, random};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as B64;
use crypto::{VaultKey, slots, token};
use model::users::{Invite, User, check_password};
use model::{audit::AuditRecord, subject::Subject};
use std::sync::Arc;
use std::time::Duration;
use store::{Read, tables};

/// How long a link is good.
const GOOD_FOR: Duration = Duration::from_secs(72 * 3600);

/// What a link opens.
#[derive(Clone, Debug)]
pub struct InviteView {
    pub user: Arc<User>,
    pub expires: Timestamp,
    /// A new password for somebody who may have had one.
    pub reset: bool,
}

#[derive(Debug)]
pub struct Invites<'a>(pub(super) &'a App);

impl Invites<'_> {
    /// The row and the link's last part (the path is `/invite/{code}`). The secret exists only in the link.
    pub(super) fn make(&self, user: UserId, reset: bool) -> ((InviteId, Invite), Secret<String>) {
        let id = InviteId::new();
        let secret = random::bytes::<32>();
        let expires = self.0.now().plus(GOOD_FOR);
        let invite = Invite { user, expires, secret_hash: token::hash(&secret).to_vec(), reset };
        let code = B64.encode([id.bytes().as_slice(), &secret].concat());
        ((id, invite), Secret::new(code))
    }

    /// Whose link this is.
    ///
    /// # Errors
    /// `NotFound` when it was used, has expired or never was.
    pub fn look(&self, code: &str) -> Result<InviteView> {
        let (_, invite) = self.find(code)?;
        let user = self.0.people().get(invite.user).filter(|u| u.active).ok_or_else(gone)?;
        Ok(InviteView { user, expires: invite.expires, reset: invite.reset })
    }

    fn find(&self, code: &str) -> Result<(InviteId, Invite)> {
        let bytes = B64.decode(code).ok().filter(|b| b.len() == 48).ok_or_else(gone)?;
        let (id, secret) = bytes.split_at(16);
        let id = InviteId::from_bytes(id.try_into().map_err(|_| gone())?);
        let invite: Invite = self.0.store().read(|tx| tx.get(tables::INVITES, &id))?.ok_or_else(gone)?;
        let fits = token::equal(&token::hash(secret), &invite.secret_hash);
        if fits && self.0.now() < invite.expires { Ok((id, invite)) } else { Err(gone()) }
    }

    /// Sets the password, uses the link up and signs the person in.
    ///
    /// # Errors
    /// `NotFound` for a used link; `Invalid` on the field `password`.
    pub async fn accept(&self, code: &str, password: Secret<String>, device: &str, address: &str) -> Result<SignedIn> {
        let (id, invite) = self.find(code)?;
        let user = self.0.people().get(invite.user).filter(|u| u.active).ok_or_else(gone)?;
        check_password(password.expose(), &user.login)?;
        let vault = VaultKey::generate();
        let (key, owner) = (vault.clone(), user.id);
        let slot = self.0.0.hasher.run(move || slots::password::wrap(&key, &password, owner.bytes())).await?;
        let now = self.0.now();
        let row = User { password_set: Some(now), last_login: Some(now), ..User::clone(&user) };
        let (session, cookie) = self.0.sessions().new_session(&row, &vault, device, address);
        let record = AuditRecord {
            at: now,
            actor: row.login.clone(),
            actor_id: Some(row.id),
            action: if invite.reset { "user.reset.used" } else { "user.invite.used" }.to_owned(),
            subject: row.login.clone(),
            detail: "set a password with a one-time link".to_owned(),
            address: Some(address.to_owned()),
            ok: true,
            about: None,
        };
        let (stored, signed_in) = (row.clone(), session.clone());
        self.0
            .store()
            .write(move |tx| {
                if !tx.delete(tables::INVITES, &id)? {
                    return Err(gone());
                }
                users::drop_invites(tx, stored.id)?;
                users::end_sessions(tx, stored.id, None)?;
                // Whoever may have had the password may have made tokens.
                users::drop_tokens(tx, stored.id)?;
                // The key is new: what the old one sealed can't be opened any more, so it goes.
                tx.erase_owner(stored.id)?;
                tx.put(tables::PASSWORD_SLOTS, &stored.id, &slot.into())?;
                tx.put(tables::USERS, &stored.id, &stored)?;
                tx.delete(tables::FAILURES, &users::account_failures(&stored.login))?;
                tx.put(tables::SESSIONS, &signed_in.id, &signed_in)?;
                tx.put(tables::USER_SESSIONS, &(stored.id, signed_in.id), &())?;
                tx.event(Subject::Users, None);
                tx.audit(record);
                Ok(())
            })
            .await?;
        self.0.people().put(row);
        Ok(SignedIn { cookie, expires: session.expires })
    }
}

fn gone() -> Error {
    Error::not_found("This link has already been used or has expired. Ask an admin for a new one.")
}
