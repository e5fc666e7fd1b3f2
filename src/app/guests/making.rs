//! What a create job needs of the rows while it runs, and what the end of any job means for its machine.

use super::Guests;
use super::sharing::drop_of_guest;
use crate::jobs::{NewJob, enqueue};
use crate::{Actor, quotas};
use base::ids::{ConnectionId, GuestId, JobId};
use base::{Error, Result};
use model::audit::AuditRecord;
use model::guests::{Guest, GuestState};
use model::jobs::{Job, JobKind, JobState};
use model::quotas::Amounts;
use model::subject::Subject;
use serde_json::Value;
use store::{Read, Scan, WriteTx, tables};

/// Makes a request harmless when it is sent twice.
#[derive(Clone, Debug)]
pub struct Once {
    /// The caller chooses it.
    pub key: String,
    /// Stands for what was asked for: the same request has the same mark. Nothing can be read from it.
    pub mark: String,
}

pub(super) fn same_request(first: &Job, mark: Option<&str>) -> Result<()> {
    if request_of(&first.kind) == mark {
        return Ok(());
    }
    Err(Error::conflict("This Idempotency-Key was used for another request, which is under way. Use a different key."))
}

fn request_of(kind: &JobKind) -> Option<&str> {
    match kind {
        JobKind::CreateGuest(create) => create.request.as_deref(),
        _ => None,
    }
}

/// A machine that somebody asks for, and the job that will make it.
pub(super) struct PendingGuest {
    pub guest: Guest,
    pub job: NewJob,
    /// For its owner's quota.
    pub takes: Amounts,
    pub record: AuditRecord,
}

/// Looked at once more inside the commit: of two requests at the same moment only one gets the name.
fn is_free(tx: &WriteTx, guest: &Guest) -> Result<()> {
    for (id, ()) in tx.list(tables::OPEN_JOBS, Scan::all(), usize::MAX)? {
        let made = tx.get(tables::JOBS, &id)?.and_then(|job| job.subject.guest());
        let Some(other) = made.map(|id| tx.get(tables::GUESTS, &id)).transpose()?.flatten() else { continue };
        if other.making.is_some() && (other.connection, &other.name) == (guest.connection, &guest.name) {
            return Err(name_taken());
        }
    }
    Ok(())
}

pub(super) fn name_taken() -> Error {
    Error::field("name", "There is a machine with this name already. Choose another.")
}

impl Guests<'_> {
    /// One commit holds the wanted machine, its job, the event and the audit entry, and what `more` writes. The same
    /// request again gives the first one's machine and writes nothing.
    ///
    /// # Errors
    /// `Conflict` when the owner's quota has no room, or the first one's machine is gone or was asked for in other
    /// words; what `more` says.
    pub(super) async fn make(
        &self,
        actor: &Actor,
        wanted: PendingGuest,
        more: impl Fn(&mut WriteTx, GuestId, JobId) -> Result<()> + Send + 'static,
    ) -> Result<(Guest, Job)> {
        let (actor, PendingGuest { mut guest, job, takes, record }) = (actor.clone(), wanted);
        let (guest, job) = self
            .0
            .store()
            .write(move |tx| {
                let mark = request_of(&job.kind).map(str::to_owned);
                let job = enqueue(tx, &actor, job)?;
                if let Some(first) = job.subject.guest().filter(|id| *id != guest.id) {
                    same_request(&job, mark.as_deref())?;
                    let row = tx.get(tables::GUESTS, &first)?;
                    return Ok((row.ok_or_else(|| Error::conflict("This machine has already been requested."))?, job));
                }
                is_free(tx, &guest)?;
                guest.making = Some(job.id);
                tx.put(tables::GUESTS, &guest.id, &guest)?;
                more(tx, guest.id, job.id)?;
                quotas::claim_new(tx, &guest, job.id, takes)?;
                tx.event(Subject::Guest(guest.id), guest.owner);
                tx.audit(record);
                Ok((guest, job))
            })
            .await?;
        self.0.live().put_rows(vec![guest.clone()]);
        self.0.job_bell().notify_one();
        Ok((guest, job))
    }

    /// Keeps a number for a job and writes it on the machine that the job makes. On a blocking thread.
    pub(crate) fn keep_vmid(&self, connection: ConnectionId, vmid: u32, job: JobId) -> Result<()> {
        let row = self.0.store().write_blocking(move |tx| {
            let key = (connection, vmid);
            if tx.get(tables::VMID_RESERVATIONS, &key)?.is_some() {
                return Err(Error::conflict("Another job has just taken this number."));
            }
            tx.put(tables::VMID_RESERVATIONS, &key, &job)?;
            let guest = tx.get(tables::JOBS, &job)?.and_then(|j| j.subject.guest());
            let Some(id) = guest else { return Ok(None) };
            let Some(mut row) = tx.get(tables::GUESTS, &id)? else { return Ok(None) };
            // A job that found its first number taken comes for another one.
            if let Some(old) = row.vmid.replace(vmid) {
                tx.delete(tables::GUEST_VMIDS, &(connection, old))?;
            }
            tx.put(tables::GUESTS, &id, &row)?;
            tx.put(tables::GUEST_VMIDS, &key, &id)?;
            tx.event(Subject::Guest(id), row.owner);
            Ok(Some(row))
        })?;
        self.0.live().put_rows(row.into_iter().collect());
        Ok(())
    }

    /// Gives a number back. The machine that has it keeps it; what becomes of the machine is settled when the
    /// job is over.
    pub(crate) fn release_vmid(&self, connection: ConnectionId, vmid: u32, job: JobId) -> Result<()> {
        self.0.store().write_blocking(move |tx| {
            let key = (connection, vmid);
            if tx.get(tables::VMID_RESERVATIONS, &key)? == Some(job) {
                tx.delete(tables::VMID_RESERVATIONS, &key)?;
            }
            Ok(())
        })
    }

    /// What a job that is tried again needs of the rows: its wanted machine, which giving up had removed, and room in
    /// its owner's quota.
    pub(crate) fn want_again(tx: &mut WriteTx, job: &Job) -> Result<Option<Guest>> {
        let (Some(id), Some(connection)) = (job.subject.guest(), job.connection) else { return Ok(None) };
        if let Some(growth) = job.kind.growth() {
            quotas::claim_change(tx, id, job.id, growth)?;
        }
        let Some(new) = job.kind.new_guest() else { return Ok(None) };
        if tx.get(tables::GUESTS, &id)?.is_some() {
            return Ok(None);
        }
        let wanted = Guest::wanted(connection, new.kind, new.name.to_owned(), job.owner, tx.now());
        let guest = Guest { id, making: Some(job.id), profile: new.profile, ..wanted };
        tx.put(tables::GUESTS, &id, &guest)?;
        quotas::claim_new(tx, &guest, job.id, new.takes)?;
        tx.event(Subject::Guest(id), guest.owner);
        Ok(Some(guest))
    }

    /// What the end of a job means for its machine: made, gone, or in a new state.
    pub(crate) async fn settle(&self, job: &Job) -> Result<()> {
        let Some(id) = job.subject.guest() else { return Ok(()) };
        let (job_id, ok) = (job.id, job.state == JobState::Succeeded);
        let new = job.kind.new_guest();
        let (create, delete) = (new.is_some(), job.kind.deletes().is_some());
        let source = new.and_then(|new| new.source);
        let applied = job.kind.applies();
        let node = job.result.get("node").and_then(Value::as_str).map(str::to_owned);
        let row = self
            .0
            .store()
            .write(move |tx| {
                quotas::settle(tx, id, job_id, ok)?;
                let Some(mut row) = tx.get(tables::GUESTS, &id)? else { return Ok(None) };
                let gone = (create && !ok && row.making == Some(job_id)) || (delete && ok);
                if gone {
                    tx.delete(tables::GUESTS, &id)?;
                    drop_of_guest(tx, id)?;
                    if let Some(vmid) = row.vmid {
                        tx.delete(tables::GUEST_VMIDS, &(row.connection, vmid))?;
                    }
                } else if row.making == Some(job_id) {
                    row.making = None;
                    // Until the next look only the job knows where it is, and it can be worked with at once.
                    if let Some(node) = node.filter(|_| row.last.is_none()) {
                        let name = row.name.clone();
                        row.last =
                            Some(GuestState { name, node, status: "unknown".to_owned(), ..GuestState::default() });
                    }
                    tx.put(tables::GUESTS, &id, &row)?;
                    let source = source.map(|vmid| tx.get(tables::GUEST_VMIDS, &(row.connection, vmid)));
                    if let Some(source) = source.transpose()?.flatten() {
                        tx.put(tables::GUEST_COPIES, &(source, id), &())?;
                    }
                } else if ok && applied.is_some() && row.profile != applied {
                    row.profile = applied;
                    tx.put(tables::GUESTS, &id, &row)?;
                }
                tx.event(Subject::Guest(id), row.owner);
                Ok(Some((row, gone)))
            })
            .await?;
        match row {
            Some((_, true)) => {
                self.0.live().remove_rows(&[id]);
                self.0.grants().reload(self.0.store(), &[id])?;
            }
            Some((row, false)) => self.0.live().put_rows(vec![row]),
            None => {}
        }
        self.0.live().job_is_over(id, &job.result, self.0.now());
        Ok(())
    }
}
