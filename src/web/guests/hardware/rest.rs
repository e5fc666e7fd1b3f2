//! Hardware and options for programs.

use crate::door::forms::id;
use crate::door::problem::Answer;
use crate::door::visit::Person;
use crate::jobs::rest::JobView;
use crate::rest::accepted;
use crate::rest::body::{MaybeSent, Sent};
use crate::rest::openapi::{OneProblems, WriteProblems};
use axum::Json;
use axum::extract::Path;
use base::ids::GuestId;
use model::guests::GuestAction;
use model::guests::hardware::{self, NicWish, find};
use model::jobs::Job;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use utoipa::ToSchema;

#[derive(Debug, Serialize, ToSchema)]
pub struct SettingView {
    /// cores, memory, tags, start_at_boot ... The same keys are used to change it.
    pub key: String,
    pub label: &'static str,
    pub group: &'static str,
    pub unit: &'static str,
    /// What it runs with now.
    pub current: String,
    /// What it has after the next restart, when that is something else.
    pub pending: Option<String>,
    /// A change now takes effect at once.
    pub live: bool,
    /// Why not at once, or what to mind.
    pub why: String,
    /// What can be chosen, where that is a list.
    pub options: Vec<String>,
}

#[derive(Debug, Serialize, ToSchema)]
pub struct DiskView {
    /// scsi0, unused0, rootfs, mp0 ...
    pub key: String,
    /// disk, cd, cloudinit, efi, tpm or unused.
    pub kind: String,
    pub storage: String,
    pub volume: String,
    /// Bytes; 0 when unknown.
    pub size: u64,
    pub format: String,
    pub options: String,
    pub boot: bool,
    /// What waits for a restart: new, removed, changed.
    pub pending: Option<String>,
}

#[derive(Debug, Serialize, ToSchema)]
pub struct NicView {
    pub key: String,
    pub model: String,
    pub mac: String,
    pub bridge: String,
    pub vlan: Option<u16>,
    pub firewall: bool,
    /// `false`: the cable is out.
    pub link: bool,
    /// A container's own address.
    pub address: String,
    pub pending: Option<String>,
}

#[derive(Debug, Serialize, ToSchema)]
pub struct HardwareView {
    /// Changes with every change of the machine; send it back to be sure that nobody was quicker.
    pub digest: String,
    pub running: bool,
    pub settings: Vec<SettingView>,
    pub disks: Vec<DiskView>,
    pub nics: Vec<NicView>,
    /// The provider's names of what waits for a restart.
    pub waiting: Vec<String>,
}

/// A machine's hardware and options.
///
/// # Errors
/// `NotFound`; `Conflict` when its provider does not offer it; `Unavailable`.
#[utoipa::path(get, path = "/api/v1/guests/{id}/hardware", tag = "guests", params(("id" = String, Path)),
    responses((status = 200, body = HardwareView), OneProblems))]
pub async fn show(person: Person, Path(text): Path<String>) -> Answer<Json<HardwareView>> {
    let all = person.web.app.guests().hardware(&person.actor, id::<GuestId>(&text)?).await?;
    let setting = |v: hardware::HardwareValue| {
        let known = find(&v.key);
        SettingView {
            label: known.map_or("", |s| s.label),
            group: known.map_or("", |s| s.group),
            unit: known.map_or("", |s| s.unit),
            key: v.key,
            current: v.current,
            pending: v.pending,
            live: v.live,
            why: v.why,
            options: v.options,
        }
    };
    let disk = |d: hardware::Disk| DiskView {
        key: d.key,
        kind: d.kind,
        storage: d.storage,
        volume: d.volume,
        size: d.size,
        format: d.format,
        options: d.options,
        boot: d.boot,
        pending: d.pending,
    };
    let nic = |n: hardware::Nic| NicView {
        key: n.key,
        model: n.model,
        mac: n.mac,
        bridge: n.bridge,
        vlan: n.vlan,
        firewall: n.firewall,
        link: n.link,
        address: n.address,
        pending: n.pending,
    };
    Ok(Json(HardwareView {
        digest: all.digest,
        running: all.running,
        settings: all.values.into_iter().map(setting).collect(),
        disks: all.disks.into_iter().map(disk).collect(),
        nics: all.nics.into_iter().map(nic).collect(),
        waiting: all.waiting,
    }))
}

async fn ask(person: &Person, text: &str, wish: GuestAction) -> Answer {
    let job: Job = person.web.app.guests().request_action(&person.actor, id::<GuestId>(text)?, wish).await?;
    Ok(accepted(&job.id.to_string(), JobView::from(job)))
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct HardwareChange {
    /// New values by key, as text; empty takes a value away.
    settings: BTreeMap<String, String>,
    /// What was looked at; another one by now ends the job without a change.
    digest: Option<String>,
}

/// Asks for new values. Those that the machine can't take while it runs wait for a restart.
///
/// # Errors
/// `Invalid` with a sentence per key; `NotFound`, `Forbidden`, `Conflict`, `Unavailable`.
#[utoipa::path(patch, path = "/api/v1/guests/{id}/hardware", tag = "guests", params(("id" = String, Path)), request_body = HardwareChange,
    responses((status = 202, description = "Asked for", body = JobView, headers(("Location" = String, description = "The job"))), WriteProblems))]
pub async fn change(person: Person, Path(text): Path<String>, Sent(wanted): Sent<HardwareChange>) -> Answer {
    ask(&person, &text, GuestAction::Change { values: wanted.settings, digest: wanted.digest }).await
}

#[derive(Debug, Serialize, ToSchema)]
pub struct PlannedView {
    pub key: String,
    pub from: String,
    pub to: String,
    /// At once; else after a restart.
    pub live: bool,
    pub why: String,
    /// Why it can't be done at all.
    pub refused: Option<String>,
}

impl From<hardware::Planned> for PlannedView {
    fn from(c: hardware::Planned) -> Self {
        Self { key: c.key, from: c.from, to: c.to, live: c.live, why: c.why, refused: c.refused }
    }
}

#[derive(Debug, Serialize, ToSchema)]
pub struct PlanView {
    pub digest: String,
    /// Values that are as wished already are left out.
    pub changes: Vec<PlannedView>,
}

/// What new values would do, without doing it.
///
/// # Errors
/// `Invalid` with a sentence per key; `NotFound`, `Conflict`, `Unavailable`.
#[utoipa::path(post, path = "/api/v1/guests/{id}/hardware/plan", tag = "guests", params(("id" = String, Path)), request_body = HardwareChange,
    responses((status = 200, body = PlanView), WriteProblems))]
pub async fn plan(
    person: Person,
    Path(text): Path<String>,
    Sent(wanted): Sent<HardwareChange>,
) -> Answer<Json<PlanView>> {
    let guests = person.web.app.guests();
    let plan = guests.plan_change(&person.actor, id::<GuestId>(&text)?, &wanted.settings).await?;
    Ok(Json(PlanView { digest: plan.digest, changes: plan.changes.into_iter().map(Into::into).collect() }))
}

#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct HardwareRevert {
    /// From `waiting`; left out: all of them.
    #[serde(default)]
    keys: Vec<String>,
}

/// Asks to take changes back that wait for a restart.
///
/// # Errors
/// `NotFound`, `Forbidden`, `Conflict`, `Unavailable`.
#[utoipa::path(post, path = "/api/v1/guests/{id}/hardware/revert", tag = "guests", params(("id" = String, Path)),
    request_body(content = HardwareRevert, description = "May be left out"),
    responses((status = 202, description = "Asked for", body = JobView, headers(("Location" = String, description = "The job"))), WriteProblems))]
pub async fn revert(person: Person, Path(text): Path<String>, MaybeSent(wanted): MaybeSent<HardwareRevert>) -> Answer {
    let mut keys = wanted.unwrap_or_default().keys;
    if keys.is_empty() {
        keys = person.web.app.guests().hardware(&person.actor, id::<GuestId>(&text)?).await?.waiting;
    }
    ask(&person, &text, GuestAction::Revert { keys }).await
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct DiskCreate {
    /// scsi, virtio, sata, ide; mp for a container.
    bus: String,
    storage: String,
    /// 1 to 65536.
    gib: u64,
    /// Where a container sees it.
    path: Option<String>,
}

/// Asks for a new disk.
///
/// # Errors
/// `Invalid`, `NotFound`, `Forbidden`, `Conflict`, `Unavailable`.
#[utoipa::path(post, path = "/api/v1/guests/{id}/disks", tag = "guests", params(("id" = String, Path)), request_body = DiskCreate,
    responses((status = 202, description = "Asked for", body = JobView, headers(("Location" = String, description = "The job"))), WriteProblems))]
pub async fn add_disk(person: Person, Path(text): Path<String>, Sent(wanted): Sent<DiskCreate>) -> Answer {
    let DiskCreate { bus, storage, gib, path } = wanted;
    ask(&person, &text, GuestAction::AddDisk { bus, storage, gib, path }).await
}

/// One thing to do with a disk.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(tag = "action", rename_all = "lowercase", deny_unknown_fields)]
pub enum DiskAct {
    /// To this size in GiB in all.
    Grow { gib: u64 },
    /// To another storage; `keep` leaves the old one as an unused disk.
    Move {
        storage: String,
        /// raw or qcow2, where the storage has the choice.
        format: Option<String>,
        #[serde(default)]
        keep: bool,
    },
    /// Off the machine; its data stays as an unused disk.
    Detach {},
    /// An unused disk back onto the machine.
    Attach { bus: String, path: Option<String> },
    /// Another image into a CD drive; `null` takes it out.
    Image { volid: Option<String> },
}

/// Asks for a change of a disk.
///
/// # Errors
/// `Invalid`, `NotFound`, `Forbidden`, `Conflict`, `Unavailable`.
#[utoipa::path(post, path = "/api/v1/guests/{id}/disks/{name}", tag = "guests",
    params(("id" = String, Path), ("name" = String, Path, description = "scsi0, unused0 ...")), request_body = DiskAct,
    responses((status = 202, description = "Asked for", body = JobView, headers(("Location" = String, description = "The job"))), WriteProblems))]
pub async fn act_disk(
    person: Person,
    Path((text, disk)): Path<(String, String)>,
    Sent(wanted): Sent<DiskAct>,
) -> Answer {
    let wish = match wanted {
        DiskAct::Grow { gib } => GuestAction::GrowDisk { disk, gib },
        DiskAct::Move { storage, format, keep } => GuestAction::MoveDisk { disk, storage, format, keep },
        DiskAct::Detach {} => GuestAction::DetachDisk { disk },
        DiskAct::Attach { bus, path } => GuestAction::AttachDisk { disk, bus, path },
        DiskAct::Image { volid } => GuestAction::ChangeCd { disk, volid },
    };
    ask(&person, &text, wish).await
}

/// Asks to delete an unused disk with all that is on it.
///
/// # Errors
/// `Invalid` for a disk in use; `NotFound`, `Forbidden`, `Conflict`, `Unavailable`.
#[utoipa::path(delete, path = "/api/v1/guests/{id}/disks/{name}", tag = "guests",
    params(("id" = String, Path), ("name" = String, Path)),
    responses((status = 202, description = "Asked for", body = JobView, headers(("Location" = String, description = "The job"))), WriteProblems))]
pub async fn delete_disk(person: Person, Path((text, disk)): Path<(String, String)>) -> Answer {
    ask(&person, &text, GuestAction::DeleteDisk { disk }).await
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NicBody {
    bridge: String,
    /// virtio, e1000, e1000e, rtl8139, vmxnet3; left out: kept, or virtio.
    model: Option<String>,
    /// 1 to 4094.
    vlan: Option<u16>,
    #[serde(default)]
    firewall: bool,
    /// `false`: the cable is out.
    #[serde(default = "yes")]
    link: bool,
    /// Left out: kept, or made up.
    mac: Option<String>,
    /// A container's: dhcp, or address and prefix length.
    address: Option<String>,
}

fn yes() -> bool {
    true
}

impl From<NicBody> for NicWish {
    fn from(n: NicBody) -> Self {
        Self {
            bridge: n.bridge,
            model: n.model,
            vlan: n.vlan,
            firewall: n.firewall,
            link: n.link,
            mac: n.mac,
            address: n.address,
        }
    }
}

/// Asks for a new network card.
///
/// # Errors
/// `Invalid`, `NotFound`, `Forbidden`, `Conflict`, `Unavailable`.
#[utoipa::path(post, path = "/api/v1/guests/{id}/nics", tag = "guests", params(("id" = String, Path)), request_body = NicBody,
    responses((status = 202, description = "Asked for", body = JobView, headers(("Location" = String, description = "The job"))), WriteProblems))]
pub async fn add_nic(person: Person, Path(text): Path<String>, Sent(wanted): Sent<NicBody>) -> Answer {
    ask(&person, &text, GuestAction::AddNic { nic: wanted.into() }).await
}

/// Asks for other settings of a network card. Its MAC and what is not named here stay.
///
/// # Errors
/// `Invalid`, `NotFound`, `Forbidden`, `Conflict`, `Unavailable`.
#[utoipa::path(put, path = "/api/v1/guests/{id}/nics/{name}", tag = "guests",
    params(("id" = String, Path), ("name" = String, Path, description = "net0 ...")), request_body = NicBody,
    responses((status = 202, description = "Asked for", body = JobView, headers(("Location" = String, description = "The job"))), WriteProblems))]
pub async fn change_nic(
    person: Person,
    Path((text, key)): Path<(String, String)>,
    Sent(wanted): Sent<NicBody>,
) -> Answer {
    ask(&person, &text, GuestAction::ChangeNic { key, nic: wanted.into() }).await
}

/// Asks to remove a network card.
///
/// # Errors
/// `NotFound`, `Forbidden`, `Conflict`, `Unavailable`.
#[utoipa::path(delete, path = "/api/v1/guests/{id}/nics/{name}", tag = "guests",
    params(("id" = String, Path), ("name" = String, Path)),
    responses((status = 202, description = "Asked for", body = JobView, headers(("Location" = String, description = "The job"))), WriteProblems))]
pub async fn remove_nic(person: Person, Path((text, key)): Path<(String, String)>) -> Answer {
    ask(&person, &text, GuestAction::RemoveNic { key }).await
}
