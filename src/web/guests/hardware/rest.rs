//! Hardware and options for programs.

use crate::door::forms::id;
use crate::door::problem::Answer;
use crate::door::visit::Person;
use crate::rest::body::Sent;
use crate::rest::openapi::{OneProblems, WriteProblems};
use axum::Json;
use axum::extract::Path;
use base::ids::GuestId;
use model::guests::actions::ChangeSettings;
use model::guests::hardware::{self, find};
use serde::Serialize;
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
#[utoipa::path(post, path = "/api/v1/guests/{id}/hardware/plan", tag = "guests", params(("id" = String, Path)), request_body = ChangeSettings,
    responses((status = 200, body = PlanView), WriteProblems))]
pub async fn plan(
    person: Person,
    Path(text): Path<String>,
    Sent(wanted): Sent<ChangeSettings>,
) -> Answer<Json<PlanView>> {
    let guests = person.web.app.guests();
    let plan = guests.plan_change(&person.actor, id::<GuestId>(&text)?, &wanted.values).await?;
    Ok(Json(PlanView { digest: plan.digest, changes: plan.changes.into_iter().map(Into::into).collect() }))
}
