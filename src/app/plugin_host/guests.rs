//! `guests::`: numbers for new machines.

use super::errors::{call_error, from_error, from_pve};
use super::{PluginHost, connection_of};
use base::Result;
use base::ids::ConnectionId;
use plugin::{CallError, CallErrorKind, Run};
use serde_json::{Value, json};
use store::{Read as _, tables};

impl PluginHost {
    /// Finds a number that Proxmox, our rows and other jobs leave free, and keeps it for this job.
    pub(super) fn reserve_vmid(&self, run: &Run) -> Result<Value, CallError> {
        let job = run.job.ok_or_else(|| call_error(CallErrorKind::Forbidden, "Only a job can reserve a number."))?;
        let connection = connection_of(run, "reserve a number")?;
        // A host by SSH has no numbers of its own: ours are all that count.
        let client = self.app.connections().client(connection).ok();
        let limits = self.app.connections().limits(connection).map_err(from_error)?;
        let (low, high) = limits.vmid_range();
        let mut from = low;
        loop {
            let vmid = self.lowest_free(connection, from, high).map_err(from_error)?.ok_or_else(|| {
                let text = format!("All numbers from {low} to {high} are taken. Widen the range in the settings.");
                call_error(CallErrorKind::Conflict, text)
            })?;
            let free = match &client {
                Some(client) => self.runtime.block_on(client.is_free(vmid)).map_err(from_pve)?,
                None => true,
            };
            if free {
                self.app.guests().keep_vmid(connection, vmid, job).map_err(from_error)?;
                return Ok(json!(vmid));
            }
            from = vmid + 1;
        }
    }

    fn lowest_free(&self, connection: ConnectionId, from: u32, high: u32) -> Result<Option<u32>> {
        self.app.store().read(|tx| {
            for vmid in from..=high {
                let key = (connection, vmid);
                if tx.get(tables::GUEST_VMIDS, &key)?.is_none() && tx.get(tables::VMID_RESERVATIONS, &key)?.is_none() {
                    return Ok(Some(vmid));
                }
            }
            Ok(None)
        })
    }

    pub(super) fn release_vmid(&self, run: &Run, vmid: u32) -> Result<Value, CallError> {
        let connection = connection_of(run, "have numbers")?;
        let job = run.job.ok_or_else(|| call_error(CallErrorKind::Forbidden, "Only a job can give a number back."))?;
        self.app.guests().release_vmid(connection, vmid, job).map_err(from_error)?;
        Ok(Value::Null)
    }
}
