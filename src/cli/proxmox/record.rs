//! What `join` made, written down in plain lines: the package's purge reads it when this program is gone already.
//! It contains no secret.

use super::shown;
use base::{Error, Result};
use remote::pve::AccessPlan;
use remote::pve::node::CurrentAccess;
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

pub const FILE: &str = "/etc/steward/proxmox-join";

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Record {
    pub user: String,
    pub token: String,
    pub role: String,
    /// Steward made the user, so it may remove it.
    pub made_user: bool,
    /// A person left: the package must not join again by itself.
    pub left: bool,
}

impl Record {
    pub fn joined(plan: &AccessPlan, current: &CurrentAccess) -> Self {
        Self {
            user: plan.user.clone(),
            token: plan.token.clone(),
            role: plan.role.clone(),
            made_user: current.user.as_ref().is_none_or(|comment| *comment == plan.comment),
            left: false,
        }
    }

    pub fn left() -> Self {
        Self { left: true, ..Self::default() }
    }

    pub fn read(path: &Path) -> Result<Option<Self>> {
        let text = match std::fs::read_to_string(path) {
            Ok(text) => text,
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(e) => return Err(Error::invalid(format!("{} can't be read: {e}", shown(path)))),
        };
        let value = |key: &str| {
            let line = text.lines().find_map(|l| l.strip_prefix(key).and_then(|l| l.strip_prefix('=')));
            line.unwrap_or_default().to_owned()
        };
        Ok(Some(Self {
            user: value("user"),
            token: value("token"),
            role: value("role"),
            made_user: value("made_user") == "yes",
            left: value("left") == "yes",
        }))
    }

    pub fn write(&self, path: &Path) -> Result<()> {
        let wrong = |e: std::io::Error| Error::invalid(format!("{} can't be written: {e}", shown(path)));
        let word = |b: bool| if b { "yes" } else { "no" };
        let text = format!(
            "# Written by “steward proxmox”; the package's purge removes what is listed here.\nuser={}\ntoken={}\nrole={}\nmade_user={}\nleft={}\n",
            self.user,
            self.token,
            self.role,
            word(self.made_user),
            word(self.left),
        );
        if let Some(folder) = path.parent() {
            std::fs::create_dir_all(folder).map_err(wrong)?;
        }
        let fresh = path.with_extension("new");
        let mut file = std::fs::OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o644)
            .open(&fresh)
            .map_err(wrong)?;
        file.write_all(text.as_bytes()).and_then(|()| file.sync_all()).map_err(wrong)?;
        std::fs::rename(&fresh, path).map_err(wrong)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_made_is_read_again() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("steward/proxmox-join");
        assert_eq!(Record::read(&path).unwrap(), None);
        let record = Record {
            user: "steward@pve".into(),
            token: "appliance-1a2b3c4d".into(),
            role: "Steward".into(),
            made_user: true,
            left: false,
        };
        record.write(&path).unwrap();
        assert_eq!(Record::read(&path).unwrap(), Some(record));
        Record::left().write(&path).unwrap();
        assert!(Record::read(&path).unwrap().unwrap().left);
    }
}
