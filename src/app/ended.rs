//! Sessions and tokens that are over though their rows are still there: nobody stays signed in because a disk is full.

use crate::App;
use base::ids::{SessionId, TokenId, UserId};
use base::{Error, Kind, Result};
use model::audit::AuditRecord;
use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use store::{Read, WriteTx, tables};

/// What opens a person's keyspace.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Credential {
    Session(SessionId),
    Token(TokenId),
}

/// Each with what its end writes. After a restart a row that is still there is good again.
#[derive(Debug, Default)]
pub(super) struct Ended(Mutex<HashMap<Credential, (UserId, AuditRecord)>>);

impl Ended {
    fn lock(&self) -> MutexGuard<'_, HashMap<Credential, (UserId, AuditRecord)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn has(&self, credential: Credential) -> bool {
        self.lock().contains_key(&credential)
    }
}

impl App {
    /// Ends it at once for this process, and for good as soon as that can be written. The caller has seen that it is the user's.
    ///
    /// # Errors
    /// `NotFound` when the user has no such session or token.
    pub(super) async fn end_credential(&self, ended: Credential, user: UserId, record: AuditRecord) -> Result<()> {
        self.0.ended.lock().insert(ended, (user, record.clone()));
        match self.write_end(ended, user, record).await {
            Err(e) if e.kind() != Kind::NotFound => {
                tracing::error!(error = e.chain(), "what was ended is written down later");
                Ok(())
            }
            written => written,
        }
    }

    /// Writes down what could not be written when it ended.
    ///
    /// # Errors
    /// The disk is still full.
    pub async fn write_ends(&self) -> Result<()> {
        let waiting: Vec<_> = self.0.ended.lock().iter().map(|(ended, (user, r))| (*ended, *user, r.clone())).collect();
        for (ended, user, record) in waiting {
            match self.write_end(ended, user, record).await {
                Err(e) if e.kind() != Kind::NotFound => return Err(e),
                _ => {}
            }
        }
        Ok(())
    }

    async fn write_end(&self, ended: Credential, user: UserId, record: AuditRecord) -> Result<()> {
        let written = self.store().write(move |tx| {
            if !drop_row(tx, ended, user)? {
                return Err(Error::not_found("This session or token is over already."));
            }
            tx.audit(record);
            Ok(())
        });
        let written = written.await;
        if written.as_ref().err().is_none_or(|e| e.kind() == Kind::NotFound) {
            self.0.ended.lock().remove(&ended);
        }
        written
    }
}

/// `false`: that user has none.
fn drop_row(tx: &mut WriteTx, ended: Credential, user: UserId) -> Result<bool> {
    match ended {
        Credential::Session(id) if tx.get(tables::SESSIONS, &id)?.is_some_and(|s| s.user == user) => {
            tx.delete(tables::SESSIONS, &id)?;
            tx.delete(tables::USER_SESSIONS, &(user, id))
        }
        Credential::Token(id) if tx.get(tables::TOKENS, &id)?.is_some_and(|t| t.user == user) => {
            tx.delete(tables::TOKENS, &id)?;
            tx.delete(tables::USER_TOKENS, &(user, id))
        }
        _ => Ok(false),
    }
}
