//! `pve::`: Proxmox's API on the run's connection, within its allow-list.

use super::errors::{from_error, from_pve};
use super::secrets::{fill_in, without};
use super::{PluginHost, connection_of};
use crate::App;
use base::ids::{ConnectionId, JobId};
use plugin::{CallError, CdUpload, Method, Run, SecretPlaces, SecretText};
use remote::pve::{CdImage, LimitedClient, Machines, PveClient};
use serde_json::{Value, json};
use std::sync::PoisonError;
use store::{Read as _, tables};

/// The machines of a connection, for one call of one run.
struct Known<'a> {
    app: &'a App,
    connection: ConnectionId,
    job: Option<JobId>,
}

impl Machines for Known<'_> {
    fn is_template(&self, vmid: u32) -> bool {
        let snapshot = self.app.live().snapshot();
        let mut all = snapshot.guests.iter().filter(|g| g.row.connection == self.connection);
        all.find(|g| g.row.vmid == Some(vmid)).is_none_or(|g| g.state.template)
    }

    fn node_of(&self, vmid: u32) -> Option<String> {
        let snapshot = self.app.live().snapshot();
        let mut all = snapshot.guests.iter().filter(|g| g.row.connection == self.connection);
        all.find(|g| g.row.vmid == Some(vmid)).map(|g| g.state.node.clone())
    }

    fn is_being_made(&self, vmid: u32) -> bool {
        let key = (self.connection, vmid);
        let holder = self.app.store().read(|tx| tx.get(tables::VMID_RESERVATIONS, &key));
        self.job.is_some() && matches!(holder, Ok(holder) if holder == self.job)
    }
}

impl PluginHost {
    pub(super) fn pve(
        &self,
        run: &Run,
        method: Method,
        path: &str,
        mut params: Value,
        places: &SecretPlaces,
    ) -> Result<Value, CallError> {
        let (secrets, hidden) = self.secrets(run, places.values())?;
        fill_in(method, &mut params, places, &secrets)?;
        let done = self
            .limited(run, |client| self.runtime.block_on(client.call(method.name(), path, &params)).map_err(from_pve));
        let value = done.map(|(value, endpoint)| {
            if method != Method::Get {
                *self.answered_at.lock().unwrap_or_else(PoisonError::into_inner) = Some(endpoint);
            }
            value
        });
        without(value, &hidden)
    }

    pub(super) fn upload_cd(&self, run: &Run, cd: &CdUpload) -> Result<Value, CallError> {
        let (secrets, hidden) = self.secrets(run, cd.files.iter().map(|(_, text)| text))?;
        let file = |(name, text): &(String, SecretText)| Ok((name.clone(), text.resolve(&secrets)?));
        let files = cd.files.iter().map(file).collect::<Result<Vec<_>, CallError>>()?;
        let CdUpload { node, storage, filename, label, .. } = cd;
        let image = CdImage { node, storage, filename, label, files: &files };
        let task = self.limited(run, |c| self.runtime.block_on(c.upload_cd(&image)).map_err(from_pve));
        without(task.map(|task| json!(task)), &hidden)
    }

    fn limited<T>(
        &self,
        run: &Run,
        call: impl FnOnce(LimitedClient<'_>) -> Result<T, CallError>,
    ) -> Result<T, CallError> {
        let connection = connection_of(run, "call pve::")?;
        let client: PveClient = self.app.connections().client(connection).map_err(from_error)?;
        let limits = self.app.connections().limits(connection).map_err(from_error)?;
        let machines = Known { app: &self.app, connection, job: run.job };
        call(LimitedClient { client: &client, limits: &limits, machines: &machines })
    }
}
