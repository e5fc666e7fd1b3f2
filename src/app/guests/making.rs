//! What a create job needs of the rows while it runs, and what the end of any job means for its machine.

use super::Guests;
use super::sharing::drop_of_guest;
use crate::jobs::{NewJob, enqueue};
use crate::{Actor, quotas};
use base::ids::{ConnectionId, GuestId, JobId, ProfileId};
use base::{Error, Result};
use model::audit::AuditRecord;
use model::events::EventKind;
use model::guests::{Guest, GuestKind, GuestSpec, GuestState};
use model::jobs::{Job, JobState};
use model::quotas::{Amounts, Growth};
use serde_json::Value;
use store::{Read, Scan, WriteTx, tables};

/// Whether the job's machine comes to be by it, and goes when it gives up.
pub(crate) fn makes_machine(job: &Job) -> bool {
    matches!(job.hook.as_str(), "guest_create" | "guest_clone")
}

/// The number of the machine or template that the job copies.
pub(crate) fn made_from(job: &Job) -> Option<u32> {
    let vmid = match job.hook.as_str() {
        "guest_create" => job.args["source"]["vmid"].as_u64(),
        "guest_clone" => job.args["vmid"].as_u64(),
        _ => None,
    };
    vmid.and_then(|v| u32::try_from(v).ok())
}

/// The hardware profile that the job applies.
fn profile_in(job: &Job) -> Option<ProfileId> {
    serde_json::from_value(job.args["profile"].clone()).ok()
}

/// Makes a request harmless when it is sent twice.
#[derive(Clone, Debug)]
pub struct Once {
    /// Whoever asks chooses it.
    pub key: String,
    /// Stands for what was asked for: the same request has the same mark. Nothing can be read from it.
    pub mark: String,
}

/// Where a job keeps [`Once::mark`].
pub(super) const REQUEST: &str = "request";

/// # Errors
/// `Conflict` when the job was asked for by a request of another content.
pub(super) fn same_request(first: &Job, mark: &Value) -> Result<()> {
    if first.args[REQUEST] == *mark {
        return Ok(());
    }
    Err(Error::conflict("This Idempotency-Key was used for another request, which is under way. Use another key."))
}

/// A machine that somebody asks for, and the job that will make it.
pub(super) struct Wanted {
    pub guest: Guest,
    pub job: NewJob,
    /// For its owner's quota.
    pub takes: Amounts,
    pub record: AuditRecord,
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
        wanted: Wanted,
        more: impl Fn(&mut WriteTx, GuestId, JobId) -> Result<()> + Send + 'static,
    ) -> Result<(Guest, Job)> {
        let (actor, Wanted { mut guest, job, takes, record }) = (actor.clone(), wanted);
        let (guest, job) = self
            .0
            .store()
            .write(move |tx| {
                let mark = job.args[REQUEST].clone();
                let job = enqueue(tx, &actor, job)?;
                if let Some(first) = job.guest.filter(|id| *id != guest.id) {
                    same_request(&job, &mark)?;
                    let row = tx.get(tables::GUESTS, &first)?;
                    return Ok((row.ok_or_else(|| Error::conflict("This machine was asked for already."))?, job));
                }
                guest.making = Some(job.id);
                tx.put(tables::GUESTS, &guest.id, &guest)?;
                more(tx, guest.id, job.id)?;
                quotas::claim_new(tx, &guest, job.id, takes)?;
                tx.event(EventKind::Guest { id: guest.id }, guest.owner);
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
                return Err(Error::conflict("Another job took this number just now."));
            }
            tx.put(tables::VMID_RESERVATIONS, &key, &job)?;
            let guest = tx.get(tables::JOBS, &job)?.and_then(|j| j.guest);
            let Some(id) = guest else { return Ok(None) };
            let Some(mut row) = tx.get(tables::GUESTS, &id)? else { return Ok(None) };
            // A job that found its first number taken comes for another one.
            if let Some(old) = row.vmid.replace(vmid) {
                tx.delete(tables::GUEST_VMIDS, &(connection, old))?;
            }
            tx.put(tables::GUESTS, &id, &row)?;
            tx.put(tables::GUEST_VMIDS, &key, &id)?;
            tx.event(EventKind::Guest { id }, row.owner);
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
        let (Some(id), Some(connection)) = (job.guest, job.connection) else { return Ok(None) };
        if let Ok(growth) = serde_json::from_value::<Growth>(job.args["growth"].clone()) {
            quotas::claim_change(tx, id, job.id, &growth)?;
        }
        if !makes_machine(job) || tx.get(tables::GUESTS, &id)?.is_some() {
            return Ok(None);
        }
        let name = job.args["name"].as_str().unwrap_or_default().to_owned();
        let kind = if job.args["kind"] == GuestKind::Lxc.name() { GuestKind::Lxc } else { GuestKind::Qemu };
        let wanted = Guest::wanted(connection, kind, name, job.owner, tx.now());
        let guest = Guest { id, making: Some(job.id), profile: profile_in(job), ..wanted };
        tx.put(tables::GUESTS, &id, &guest)?;
        if let Ok(spec) = serde_json::from_value::<GuestSpec>(job.args.clone()) {
            quotas::claim_new(tx, &guest, job.id, Amounts::wanted(&spec))?;
        } else if let Ok(takes) = serde_json::from_value::<Amounts>(job.args["takes"].clone()) {
            // A copy's job says itself what it takes.
            quotas::claim_new(tx, &guest, job.id, takes)?;
        }
        tx.event(EventKind::Guest { id }, guest.owner);
        Ok(Some(guest))
    }

    /// What the end of a job means for its machine: made, gone, or in a new state. Called by the runner after
    /// the job's last commit; running it again does no harm.
    ///
    /// # Errors
    /// What the store says.
    pub async fn settle(&self, job: &Job) -> Result<()> {
        let Some(id) = job.guest else { return Ok(()) };
        let (job_id, ok) = (job.id, job.state == JobState::Succeeded);
        let (create, delete) = (makes_machine(job), job.hook == "guest_delete");
        let source = made_from(job);
        let applied = profile_in(job).filter(|_| job.hook == "guest_change");
        let node = job.result.get("node").and_then(Value::as_str).map(str::to_owned);
        let row = self
            .0
            .store()
            .write(move |tx| {
                for (key, owner) in tx.list(tables::VMID_RESERVATIONS, Scan::all(), usize::MAX)? {
                    if owner == job_id {
                        tx.delete(tables::VMID_RESERVATIONS, &key)?;
                    }
                }
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
                tx.event(EventKind::Guest { id }, row.owner);
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
        self.0.live().job_is_over(id, job.result.get("status").and_then(Value::as_str));
        self.0.inventory().look_soon();
        Ok(())
    }
}
