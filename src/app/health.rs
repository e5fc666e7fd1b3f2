//! How the appliance itself is doing: for `/readyz`, `/metrics`, `steward doctor` and the settings page.

use crate::App;
use config::Settings;
use model::connections::Reach;
use model::jobs::JobState;
use serde::Serialize;
use std::collections::BTreeMap;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

/// What others on this host can reach or change of what Steward keeps, as sentences with what to do.
pub fn exposed(settings: &Settings) -> Vec<String> {
    let mut found = Vec::new();
    let (data, store, key) = (&settings.data_dir, settings.store_file(), &settings.key_file);
    for (path, right, closed) in [(data, "0700", 0o077), (&store, "0600", 0o077), (key, "0600", 0o077)] {
        if let Some(mode) = mode(path).filter(|mode| mode & closed != 0) {
            let path = path.display();
            found.push(format!("Others on this host can reach {path} (mode {mode:04o}). Run: chmod {right} {path}"));
        }
    }
    for path in settings.plugins_dir.iter().chain(&settings.images_file) {
        if let Some(mode) = mode(path).filter(|mode| mode & 0o022 != 0) {
            let path = path.display();
            found.push(format!("Others on this host can change {path} (mode {mode:04o}). Run: chmod go-w {path}"));
        }
    }
    // The setting itself is refused inside of the data folder; here are links.
    if let (Ok(data), Ok(real)) = (data.canonicalize(), key.canonicalize())
        && real.starts_with(&data)
    {
        found.push(format!(
            "The appliance key {} leads into the data folder ({}), so a copy of the data holds the key too. Move the \
             file out of it.",
            key.display(),
            real.display()
        ));
    }
    found
}

fn mode(path: &Path) -> Option<u32> {
    Some(std::fs::metadata(path).ok()?.mode() & 0o7777)
}

/// One check with its outcome in words.
#[derive(Clone, Debug, Serialize)]
pub struct Check {
    pub name: &'static str,
    pub ok: bool,
    pub text: String,
}

/// What the process costs.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub struct Footprint {
    /// Resident memory in bytes.
    pub rss: u64,
    /// CPU seconds used since the start.
    pub cpu_seconds: f64,
    pub open_files: u64,
    pub threads: u64,
    /// The store's file in bytes.
    pub store_bytes: u64,
    pub uptime_seconds: u64,
}

pub struct Health<'a>(pub(super) &'a App);

impl Health<'_> {
    /// Store, plugins, disk space, who can reach the files, Proxmox. Only the first two count for `/readyz`: without the
    /// others the appliance is ready to show the last known state.
    pub fn checks(&self) -> Vec<Check> {
        vec![self.store(), self.plugins(), self.disk(), self.files(), self.proxmox()]
    }

    /// May this process get requests?
    pub fn is_ready(&self) -> bool {
        [self.store(), self.plugins()].iter().all(|c| c.ok)
    }

    /// Does it still work? For the watchdog: a broken plugin is not a reason to be killed.
    pub fn is_alive(&self) -> bool {
        self.store().ok
    }

    fn store(&self) -> Check {
        let read = self.0.store().read(|_| Ok(()));
        let text = read.as_ref().map_or_else(|e| e.message().to_owned(), |()| "answers".to_owned());
        Check { name: "store", ok: read.is_ok(), text }
    }

    fn plugins(&self) -> Check {
        let list = self.0.plugin_set().list();
        let broken: Vec<String> = list.iter().filter(|p| p.error.is_some()).map(|p| p.name.clone()).collect();
        if broken.is_empty() {
            Check { name: "plugins", ok: true, text: format!("{} loaded", list.len()) }
        } else {
            Check { name: "plugins", ok: false, text: format!("not usable: {}", broken.join(", ")) }
        }
    }

    fn disk(&self) -> Check {
        match free_bytes(&self.0.settings().data_dir) {
            Some(free) => Check { name: "disk", ok: free > 200 << 20, text: format!("{} MiB free", free >> 20) },
            None => Check { name: "disk", ok: false, text: "the data folder can't be read".to_owned() },
        }
    }

    fn files(&self) -> Check {
        let exposed = exposed(self.0.settings());
        let text = if exposed.is_empty() { "only Steward can reach them".to_owned() } else { exposed.join(" ") };
        Check { name: "files", ok: exposed.is_empty(), text }
    }

    fn proxmox(&self) -> Check {
        let snapshot = self.0.live().snapshot();
        let away: Vec<_> = snapshot
            .connections
            .iter()
            .filter_map(|c| match &c.reach {
                Reach::Away { why, .. } => Some(format!("{}: {why}", c.name)),
                _ => None,
            })
            .collect();
        let text = if away.is_empty() { format!("{} connected", snapshot.connections.len()) } else { away.join("; ") };
        Check { name: "proxmox", ok: away.is_empty(), text }
    }

    /// What this process costs right now, from `/proc/self`.
    pub fn footprint(&self) -> Footprint {
        let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
        let field = |name: &str| -> u64 {
            let line = status.lines().find_map(|l| l.strip_prefix(name));
            line.and_then(|l| l.split_whitespace().next()).and_then(|n| n.parse().ok()).unwrap_or(0)
        };
        Footprint {
            rss: field("VmRSS:") * 1024,
            threads: field("Threads:"),
            cpu_seconds: cpu_seconds().unwrap_or(0.0),
            open_files: std::fs::read_dir("/proc/self/fd").map_or(0, |d| d.count() as u64),
            store_bytes: std::fs::metadata(self.0.settings().store_file()).map_or(0, |m| m.len()),
            uptime_seconds: self.0.started().until(self.0.now()).as_secs(),
        }
    }

    /// Open jobs by state.
    pub fn open_jobs(&self) -> BTreeMap<&'static str, usize> {
        let mut counts = BTreeMap::from(
            [JobState::Queued, JobState::Running, JobState::Waiting, JobState::Undoing].map(|s| (s.name(), 0)),
        );
        for job in self.0.jobs().all_open().unwrap_or_default() {
            *counts.entry(job.state.name()).or_default() += 1;
        }
        counts
    }
}

/// utime and stime of proc(5)'s stat, fields 14 and 15, at 100 ticks a second as on every current Linux.
fn cpu_seconds() -> Option<f64> {
    let stat = std::fs::read_to_string("/proc/self/stat").ok()?;
    let after_name = stat.rsplit_once(") ")?.1;
    let ticks: u32 = after_name.split(' ').skip(11).take(2).filter_map(|n| n.parse::<u32>().ok()).sum();
    Some(f64::from(ticks) / 100.0)
}

fn free_bytes(path: &Path) -> Option<u64> {
    let stat = nix::sys::statvfs::statvfs(path).ok()?;
    #[expect(clippy::useless_conversion, reason = "these are u32 on some systems")]
    Some(u64::from(stat.blocks_available()) * u64::from(stat.fragment_size()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::{Permissions, create_dir, set_permissions, write};
    use std::os::unix::fs::{PermissionsExt as _, symlink};

    #[test]
    fn what_others_can_reach_is_told_with_the_command_that_helps() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        let chmod = |name: &str, mode| set_permissions(at(name), Permissions::from_mode(mode)).unwrap();
        let settings = Settings {
            data_dir: at("data"),
            key_file: at("key"),
            plugins_dir: Some(at("plugins")),
            images_file: None,
            ..Settings::default()
        };
        assert!(exposed(&settings).is_empty(), "nothing is there yet");
        for name in ["data", "plugins"] {
            create_dir(at(name)).unwrap();
        }
        for name in ["data/steward.redb", "data/key"] {
            write(at(name), "x").unwrap();
            chmod(name, 0o600);
        }
        chmod("data", 0o700);
        chmod("plugins", 0o755);
        assert!(exposed(&settings).is_empty());
        chmod("data", 0o777);
        chmod("data/steward.redb", 0o666);
        chmod("plugins", 0o777);
        symlink(at("data/key"), at("key")).unwrap();
        let told = exposed(&settings);
        let wanted = ["chmod 0700", "chmod 0600", "chmod go-w", "leads into the data folder"];
        assert_eq!(told.len(), wanted.len(), "{told:?}");
        for (told, wanted) in told.iter().zip(wanted) {
            assert!(told.contains(wanted), "{told}");
        }
    }
}
