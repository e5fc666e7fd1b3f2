//! Reading the audit log.

use crate::{Actor, App};
use base::Result;
use model::audit::AuditEntry;
use model::filter::Filter;
use model::subject::Subject;
use serde::Serialize;
use std::ops::ControlFlow;
use store::{Read, Scan, tables};

pub use store::AuditCheck;

/// A page of the log, the newest first.
#[derive(Clone, Debug, Serialize, utoipa::ToSchema)]
pub struct AuditPage {
    /// The newest first.
    pub entries: Vec<AuditEntry>,
    /// Send this as `cursor` to get the next page; null at the end.
    pub next: Option<u64>,
}

pub struct Audit<'a>(pub(super) &'a App);

impl Audit<'_> {
    /// Entries before `before` (all for `None`) that fit the filter words: bare words, and `actor:`, `action:`,
    /// `subject:`, `address:`, `ok:yes|no`. At most `limit`, 1 to 10,000.
    pub fn page(&self, actor: &Actor, filter: &str, before: Option<u64>, limit: usize) -> Result<AuditPage> {
        actor.require_admin()?;
        let filter = Filter::parse(filter);
        let limit = limit.clamp(1, 10_000);
        let mut entries: Vec<AuditEntry> = Vec::new();
        let mut more = false;
        let scan = match before {
            Some(seq) => Scan::all().after(&seq).rev(),
            None => Scan::all().rev(),
        };
        self.0.store().read(|tx| {
            tx.scan(tables::AUDIT, scan, |_, entry| {
                if !fits(&filter, &entry) {
                    return Ok(ControlFlow::Continue(()));
                }
                if entries.len() == limit {
                    more = true;
                    return Ok(ControlFlow::Break(()));
                }
                entries.push(entry);
                Ok(ControlFlow::Continue(()))
            })
        })?;
        let next = entries.last().map(|e| e.seq).filter(|_| more);
        Ok(AuditPage { entries, next })
    }

    /// What was done to one subject, the newest first.
    pub(super) fn about(&self, subject: Subject, limit: usize) -> Result<Vec<AuditEntry>> {
        let mut entries = Vec::new();
        // Looks back only so far: a machine's page must not read years of log.
        let mut seen = 0;
        self.0.store().read(|tx| {
            tx.scan(tables::AUDIT, Scan::all().rev(), |_, entry: AuditEntry| {
                seen += 1;
                if entry.record.about == Some(subject) {
                    entries.push(entry);
                }
                Ok(if entries.len() >= limit || seen >= 5_000 {
                    ControlFlow::Break(())
                } else {
                    ControlFlow::Continue(())
                })
            })
        })?;
        Ok(entries)
    }

    /// Checks the whole chain.
    pub fn verify(&self, actor: &Actor) -> Result<AuditCheck> {
        actor.require_admin()?;
        self.0.store().verify_audit()
    }
}

fn fits(filter: &Filter, entry: &AuditEntry) -> bool {
    let r = &entry.record;
    let address = r.address.as_deref().unwrap_or_default();
    filter.fits(&[&r.actor, &r.action, &r.subject, &r.detail, address], |key| match key {
        "actor" => vec![r.actor.clone()],
        "action" => vec![r.action.clone()],
        "subject" => vec![r.subject.clone()],
        "address" => vec![address.to_owned()],
        "ok" => vec![if r.ok { "yes" } else { "no" }.to_owned()],
        _ => Vec::new(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use base::Timestamp;
    use model::audit::AuditRecord;

    fn fits_words(words: &str) -> bool {
        let record = AuditRecord {
            at: Timestamp::ZERO,
            actor: "mira".into(),
            actor_id: None,
            action: "guest.create".into(),
            subject: "VM 104 web-01".into(),
            detail: "full clone of 9000".into(),
            address: Some("192.168.1.20".into()),
            ok: false,
            about: None,
        };
        fits(&Filter::parse(words), &AuditEntry { seq: 1, record, hash: Vec::new() })
    }

    #[test]
    fn the_filter_looks_at_who_did_what_to_what_from_where_and_how_it_went() {
        for words in
            ["", "mira", "actor:mira action:guest. ok:no", "subject:vm clone", "address:192.168 -jon", "WEB-01"]
        {
            assert!(fits_words(words), "{words}");
        }
        for words in ["jon", "actor:jon", "action:user", "ok:yes", "-mira", "address:10."] {
            assert!(!fits_words(words), "{words}");
        }
    }
}
