//! `steward hardware`: settings, disks and network cards of a machine.

use super::super::say::{complain, say};
use super::Common;
use super::actions::{self, Wait};
use super::client::Api;
use super::find::{self, GuestArg};
use super::table::{self, Cell, Row, Tone};
use base::amounts::{bytes, gibibytes};
use base::{Error, Result};
use clap::Subcommand;
use model::amounts::NewSize;
use model::guests::GuestAction;
use model::guests::actions::{
    AddDisk, AddNic, AttachDisk, ChangeNic, ChangeSettings, DeleteDisk, DetachDisk, GrowDisk, MoveDisk, NicSpec,
    RemoveNic, RevertSettings,
};
use model::guests::hardware::{self, Nic, Plan, Planned};
use serde_json::json;
use std::collections::BTreeMap;
use std::process::ExitCode;
use web::guests::hardware::rest::{HardwareView, SettingView};

#[derive(Debug, clap::Args)]
pub struct Hardware {
    #[command(flatten)]
    common: Common,
    #[command(subcommand)]
    verb: HardwareCommand,
}

#[derive(Debug, Subcommand)]
enum HardwareCommand {
    /// What a machine has, and what waits for its next restart.
    Show(GuestArg),
    /// Change settings: `steward hardware set web-01 cores=4 memory=4G`.
    Set {
        #[command(flatten)]
        guest: GuestArg,
        /// New values; nothing behind the `=` removes a value. `steward hardware show` lists the keys.
        #[arg(value_name = "KEY=VALUE", required = true)]
        values: Vec<String>,
        /// Only show what would change, and when.
        #[arg(long)]
        dry_run: bool,
        #[command(flatten)]
        wait: Wait,
    },
    /// Revert changes that are waiting for a restart.
    Revert {
        #[command(flatten)]
        guest: GuestArg,
        /// Which; all when left out.
        #[arg(value_name = "KEY")]
        keys: Vec<String>,
        #[command(flatten)]
        wait: Wait,
    },
    /// Disks: add, grow, move, detach, attach, delete.
    #[command(subcommand)]
    Disk(DiskCommand),
    /// Network cards: add, change, remove.
    #[command(subcommand)]
    Nic(NicCommand),
}

#[derive(Debug, clap::Args)]
struct Disk {
    #[command(flatten)]
    guest: GuestArg,
    /// Like scsi0 or unused0.
    #[arg(value_name = "DISK")]
    disk: String,
    #[command(flatten)]
    wait: Wait,
}

#[derive(Debug, Subcommand)]
enum DiskCommand {
    /// A new, empty disk.
    Add {
        #[command(flatten)]
        guest: GuestArg,
        /// GiB.
        #[arg(long, value_parser = gibibytes)]
        size: u64,
        #[arg(long)]
        storage: String,
        /// scsi, virtio, sata or ide; mp for a container.
        #[arg(long, default_value = "scsi")]
        bus: String,
        /// Where a container sees it.
        #[arg(long)]
        path: Option<String>,
        #[command(flatten)]
        wait: Wait,
    },
    /// Make a disk larger. It can't get smaller again.
    Grow {
        #[command(flatten)]
        disk: Disk,
        /// GiB in all, or with a unit: 1.5T; with a plus what it grows by: +10G.
        #[arg(long)]
        size: NewSize,
    },
    /// To another storage.
    Move {
        #[command(flatten)]
        disk: Disk,
        #[arg(long)]
        storage: String,
        /// raw or qcow2, where the storage has the choice.
        #[arg(long)]
        format: Option<String>,
        /// Leave the old one as an unused disk.
        #[arg(long)]
        keep: bool,
    },
    /// Detach a disk; its data stays as an unused disk.
    Detach(Disk),
    /// Attach an unused disk to the machine again.
    Attach {
        #[command(flatten)]
        disk: Disk,
        #[arg(long, default_value = "scsi")]
        bus: String,
        /// Where a container sees it.
        #[arg(long)]
        path: Option<String>,
    },
    /// Delete an unused disk with all that is on it.
    Delete {
        #[command(flatten)]
        disk: Disk,
        /// Ask nothing.
        #[arg(long, short)]
        yes: bool,
    },
}

#[derive(Debug, clap::Args)]
struct Card {
    #[arg(long)]
    bridge: String,
    /// As the machine's provider calls it, like virtio or e1000.
    #[arg(long)]
    model: Option<String>,
    #[arg(long)]
    vlan: Option<u16>,
    #[arg(long)]
    firewall: bool,
    /// The cable is out.
    #[arg(long)]
    unplugged: bool,
    #[arg(long)]
    mac: Option<String>,
    /// A container's: dhcp, or an address with its prefix.
    #[arg(long)]
    address: Option<String>,
    #[command(flatten)]
    wait: Wait,
}

#[derive(Debug, Subcommand)]
enum NicCommand {
    /// A new network card.
    Add {
        #[command(flatten)]
        guest: GuestArg,
        #[command(flatten)]
        card: Card,
    },
    /// New settings for a card; MAC and model stay unless given.
    Change {
        #[command(flatten)]
        guest: GuestArg,
        /// Like net0.
        #[arg(value_name = "CARD")]
        name: String,
        #[command(flatten)]
        card: Card,
    },
    /// Take a card out.
    Remove {
        #[command(flatten)]
        guest: GuestArg,
        #[arg(value_name = "CARD")]
        name: String,
        #[command(flatten)]
        wait: Wait,
    },
}

/// `KEY=VALUE` each.
fn values(pairs: &[String]) -> Result<BTreeMap<String, String>> {
    let mut all = BTreeMap::new();
    for text in pairs {
        let (key, value) = text
            .split_once('=')
            .filter(|(key, _)| !key.is_empty())
            .ok_or_else(|| Error::invalid(format!("“{text}” changes nothing: write KEY=VALUE.")))?;
        if all.insert(key.to_owned(), value.to_owned()).is_some() {
            return Err(Error::invalid(format!("{key} is given twice.")));
        }
    }
    Ok(all)
}

impl Hardware {
    pub async fn run(self) -> Result<ExitCode> {
        let Self { common, verb } = self;
        let mut api = common.api()?;
        let (guest, action, wait): (GuestArg, GuestAction, Wait) = match verb {
            HardwareCommand::Show(guest) => return show(&mut api, &common, &guest).await,
            HardwareCommand::Set { guest, values: pairs, dry_run, wait } => {
                let path = guest.path(&mut api, "hardware").await?;
                let values = values(&pairs)?;
                let plan: Plan = api.post(&format!("{path}/plan"), &json!({ "values": values })).await?;
                if dry_run || !common.json() {
                    planned(&common, &plan);
                }
                if dry_run {
                    let refused: Vec<_> =
                        plan.changes.iter().filter_map(|c| Some((&c.key, c.refused.as_ref()?))).collect();
                    for (key, why) in &refused {
                        complain(&format!("steward: {}: {}", table::plain(key), table::plain(why)));
                    }
                    return Ok(if refused.is_empty() { ExitCode::SUCCESS } else { ExitCode::from(1) });
                }
                // What was just looked at: if somebody was quicker, nothing is changed.
                (guest, ChangeSettings { values, digest: Some(plan.digest) }.into(), wait)
            }
            HardwareCommand::Revert { guest, keys, wait } => (guest, RevertSettings { keys }.into(), wait),
            HardwareCommand::Disk(verb) => verb.action()?,
            HardwareCommand::Nic(verb) => verb.action(),
        };
        let found = find::guest(&mut api, &guest.guest).await?;
        let job = api.act(&found, action).await?;
        actions::finish(&mut api, &common, &wait, vec![job]).await
    }
}

impl DiskCommand {
    fn action(self) -> Result<(GuestArg, GuestAction, Wait)> {
        let (Disk { guest, disk, wait }, action): (Disk, fn(String) -> GuestAction) = match self {
            Self::Add { guest, size, storage, bus, path, wait } => {
                return Ok((guest, AddDisk { bus, storage, gib: size, path }.into(), wait));
            }
            Self::Grow { disk: Disk { guest, disk, wait }, size } => {
                return Ok((guest, GrowDisk { disk, gib: size }.into(), wait));
            }
            Self::Move { disk: Disk { guest, disk, wait }, storage, format, keep } => {
                return Ok((guest, MoveDisk { disk, storage, format, keep }.into(), wait));
            }
            Self::Attach { disk: Disk { guest, disk, wait }, bus, path } => {
                return Ok((guest, AttachDisk { disk, bus, path }.into(), wait));
            }
            Self::Detach(disk) => (disk, |disk| DetachDisk { disk }.into()),
            Self::Delete { disk, yes } => {
                let question = format!("Delete {} of {} with all that is on it?", disk.disk, disk.guest.guest);
                if !yes && !super::terminal::confirm(&question)? {
                    return Err(Error::conflict("Nothing was changed."));
                }
                (disk, |disk| DeleteDisk { disk }.into())
            }
        };
        Ok((guest, action(disk), wait))
    }
}

impl Card {
    fn split(self) -> (NicSpec, Wait) {
        let Self { bridge, model, vlan, firewall, unplugged, mac, address, wait } = self;
        (NicSpec { bridge, model, vlan, firewall, link: !unplugged, mac, address }, wait)
    }
}

impl NicCommand {
    fn action(self) -> (GuestArg, GuestAction, Wait) {
        match self {
            Self::Add { guest, card } => {
                let (nic, wait) = card.split();
                (guest, AddNic { nic }.into(), wait)
            }
            Self::Change { guest, name, card } => {
                let (nic, wait) = card.split();
                (guest, ChangeNic { key: name, nic }.into(), wait)
            }
            Self::Remove { guest, name, wait } => (guest, RemoveNic { key: name }.into(), wait),
        }
    }
}

/// What a change would do.
fn planned(common: &Common, plan: &Plan) {
    if !common.prints(plan) {
        table::rows(&plan.changes, "All of this is already set.");
    }
}

impl Row for Planned {
    const HEADS: &'static [&'static str] = &["key", "now", "new", "when"];

    fn cells(&self) -> Vec<Cell> {
        let when = match (&self.refused, self.live) {
            (Some(why), _) => Cell::text(why).tone(Tone::Bad),
            (None, true) => Cell::text("at once").tone(Tone::Good),
            (None, false) => Cell::text(format!("after a restart. {}", self.why)).tone(Tone::Busy),
        };
        vec![Cell::text(&self.key), Cell::text(&self.from), Cell::text(&self.to), when]
    }
}

impl Row for SettingView {
    const HEADS: &'static [&'static str] = &["key", "what", "now", "after a restart", "changes"];

    fn cells(&self) -> Vec<Cell> {
        let value = |v: &str| match v {
            "" => String::new(),
            v => format!("{v} {}", self.unit).trim_end().to_owned(),
        };
        // An older Steward does not say it in words.
        let now = if self.words.is_empty() { value(&self.current) } else { self.words.clone() };
        let changes = match (&self.refused, self.live) {
            (Some(_), _) => "no",
            (None, true) => "at once",
            (None, false) => "restart",
        };
        vec![
            Cell::text(&self.key),
            Cell::text(&self.label),
            Cell::text(now),
            Cell::text(value(self.pending.as_deref().unwrap_or_default())).tone(Tone::Busy),
            Cell::text(changes),
        ]
    }
}

impl Row for hardware::Disk {
    const HEADS: &'static [&'static str] = &["disk", "kind", "size", "storage", "format", "", "waits"];

    fn cells(&self) -> Vec<Cell> {
        vec![
            Cell::text(&self.key),
            Cell::text(&self.kind),
            Cell::maybe((self.size > 0).then(|| bytes(self.size))).right(),
            Cell::text(&self.storage),
            Cell::text(&self.format),
            Cell::text(if self.boot { "boots" } else { "" }),
            Cell::maybe(self.pending.as_ref()).tone(Tone::Busy),
        ]
    }
}

impl Row for Nic {
    const HEADS: &'static [&'static str] = &["card", "model", "mac", "bridge", "vlan", "address", "", "waits"];

    fn cells(&self) -> Vec<Cell> {
        vec![
            Cell::text(&self.key),
            Cell::text(&self.model),
            Cell::text(&self.mac),
            Cell::text(&self.bridge),
            Cell::maybe(self.vlan).right(),
            Cell::text(&self.address),
            Cell::text(if self.link { "" } else { "unplugged" }),
            Cell::maybe(self.pending.as_ref()).tone(Tone::Busy),
        ]
    }
}

async fn show(api: &mut Api, common: &Common, guest: &GuestArg) -> Result<ExitCode> {
    let path = guest.path(api, "hardware").await?;
    let all: HardwareView = api.get(&path).await?;
    if !common.prints(&all) {
        table::rows(&all.settings, "It has no settings.");
        say("");
        table::rows(&all.disks, "It has no disk.");
        say("");
        table::rows(&all.nics, "It has no network card.");
    }
    Ok(ExitCode::SUCCESS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_pairs_and_none_is_there_twice() {
        let pairs = |words: &[&str]| values(&words.iter().map(|w| (*w).to_owned()).collect::<Vec<_>>());
        let both = [("cores", "4"), ("tags", "")].map(|(k, v)| (k.to_owned(), v.to_owned()));
        assert_eq!(pairs(&["cores=4", "tags="]).unwrap(), BTreeMap::from(both));
        assert!(pairs(&["cores"]).is_err() && pairs(&["=4"]).is_err());
        assert!(pairs(&["cores=4", "cores=2"]).unwrap_err().message().contains("twice"));
    }
}
