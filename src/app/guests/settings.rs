//! What machines can have, as their providers declare it.

use super::Guests;
use crate::live::GuestLive;
use base::ids::ConnectionId;
use base::{Error, Result};
use model::guests::actions::{AddNic, ChangeNic, ChangeSettings};
use model::guests::settings::MachineSettings;
use model::guests::{GuestAction, GuestKind};

impl Guests<'_> {
    /// What machines of this kind can have on a connection.
    pub fn settings_of(&self, connection: ConnectionId, kind: GuestKind) -> MachineSettings {
        let plugin = self.0.connections().plugin_of(connection).ok();
        let plugin = plugin.and_then(|name| self.0.plugin_set().get(&name));
        plugin.map(|p| MachineSettings::of(&p.manifest().settings, kind)).unwrap_or_default()
    }

    /// What a machine can have.
    pub fn settings(&self, guest: &GuestLive) -> MachineSettings {
        self.settings_of(guest.row.connection, guest.row.kind)
    }

    /// The action with its values as the provider gets them.
    pub(super) fn as_declared(&self, guest: &GuestLive, action: GuestAction) -> Result<GuestAction> {
        let settings = self.settings(guest);
        let nic = match &action {
            GuestAction::AddNic(AddNic { nic }) | GuestAction::ChangeNic(ChangeNic { nic, .. }) => Some(nic),
            _ => None,
        };
        if let (Some(model), Some(spec)) = (nic.and_then(|n| n.model.as_ref()), settings.find("nic_model")) {
            spec.read_text(model).map_err(|text| Error::field("model", text))?;
        }
        match action {
            GuestAction::Change(ChangeSettings { values, digest }) => {
                Ok(ChangeSettings { values: settings.change(&values)?, digest }.into())
            }
            other => Ok(other),
        }
    }
}
