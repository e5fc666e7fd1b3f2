//! The jobs of the table: on which machine, and how each is asked for, as a person does.

use super::stage::Stage;
use app::Actor;
use app::live::GuestLive;
use base::Result;
use base::ids::GuestId;
use model::amounts::NewSize;
use model::guests::actions::{
    AddDisk, AddNic, ChangeSettings, CloneGuest, Delete, DeleteSnapshot, GrowDisk, Hibernate, MakeTemplate, Migrate,
    MoveDisk, NicSpec, RemoveNic, Rollback, Shutdown, Start, Stop, TakeSnapshot,
};
use model::guests::{GuestAction, GuestRequest};
use model::jobs::{Job, JobState};
use model::templates::TemplateRequest;
use serde_json::json;
use std::collections::BTreeMap;
use std::sync::Arc;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Work {
    Create,
    Clone,
    Template,
    Build,
    Migrate,
    MoveDisk,
    Snapshot,
    Rollback,
    DeleteSnapshot,
    Change,
    AddDisk,
    GrowDisk,
    AddNic,
    RemoveNic,
    Start,
    Shutdown,
    Stop,
    Hibernate,
    Delete,
    ContainerClone,
    ContainerMigrate,
    ContainerSnapshot,
    ContainerGrow,
    ContainerShutdown,
    ContainerDelete,
}

/// Jobs that are in one table of the document.
pub const GROUPS: [(&str, &[Work]); 4] = [
    ("Making and moving", &[Work::Create, Work::Clone, Work::Template, Work::Build, Work::Migrate, Work::MoveDisk]),
    (
        "Snapshots and hardware",
        &[
            Work::Snapshot,
            Work::Rollback,
            Work::DeleteSnapshot,
            Work::Change,
            Work::AddDisk,
            Work::GrowDisk,
            Work::AddNic,
            Work::RemoveNic,
        ],
    ),
    ("Power and deleting", &[Work::Start, Work::Shutdown, Work::Stop, Work::Hibernate, Work::Delete]),
    (
        "Containers",
        &[
            Work::ContainerClone,
            Work::ContainerMigrate,
            Work::ContainerSnapshot,
            Work::ContainerGrow,
            Work::ContainerShutdown,
            Work::ContainerDelete,
        ],
    ),
];

const NAME: &str = "probe";

impl Work {
    pub fn title(self) -> &'static str {
        match self {
            Self::Create => "create",
            Self::Clone => "copy",
            Self::Template => "make a template",
            Self::Build => "template from an image",
            Self::Migrate => "move to a node",
            Self::MoveDisk => "move a disk",
            Self::Snapshot => "snapshot with memory",
            Self::Rollback => "roll back",
            Self::DeleteSnapshot => "delete a snapshot",
            Self::Change => "change hardware",
            Self::AddDisk => "add a disk",
            Self::GrowDisk => "enlarge a disk",
            Self::AddNic => "add a network card",
            Self::RemoveNic => "remove a network card",
            Self::Start => "start",
            Self::Shutdown => "shut down",
            Self::Stop => "stop",
            Self::Hibernate => "hibernate",
            Self::Delete => "delete",
            Self::ContainerClone => "copy a container",
            Self::ContainerMigrate => "move a container",
            Self::ContainerSnapshot => "snapshot of a container",
            Self::ContainerGrow => "enlarge a container's disk",
            Self::ContainerShutdown => "shut a container down",
            Self::ContainerDelete => "delete a container",
        }
    }

    /// Whether a good run changes which machines there are.
    pub fn changes_the_list(self) -> bool {
        let making = matches!(self, Self::Create | Self::Clone | Self::Build | Self::ContainerClone);
        making || matches!(self, Self::Delete | Self::ContainerDelete)
    }

    fn is_container(self) -> bool {
        self.title().contains("container")
    }

    /// What must have happened, as a part of the difference that a good run makes.
    pub fn sign(self) -> &'static str {
        match self {
            Self::Create | Self::Clone => "new machine: name = probe",
            Self::ContainerClone => "new machine: hostname = probe",
            Self::Build => "new machine: template = 1",
            Self::Template => "template: (none) → 1",
            Self::Migrate | Self::ContainerMigrate => "node: pve",
            Self::MoveDisk => "scsi0: ",
            Self::Snapshot | Self::ContainerSnapshot => "snapshot probe: (none) → ",
            Self::Rollback => "cores: ",
            Self::DeleteSnapshot => "→ (none)",
            Self::Change => "cores (waiting): (none) → ",
            Self::AddDisk => "scsi1: (none) → ",
            Self::GrowDisk | Self::ContainerGrow => "size=",
            Self::AddNic => "net1: (none) → ",
            Self::RemoveNic => "net0: ",
            Self::Start => "state: stopped → running",
            Self::Shutdown | Self::Stop | Self::ContainerShutdown => "state: running → stopped",
            Self::Hibernate => "lock: (none) → suspended",
            Self::Delete | Self::ContainerDelete => "machine is gone",
        }
    }

    /// Chooses a machine and brings it into the state in which the job makes sense. `None`: the job makes its own.
    pub async fn prepare(self, stage: &Stage) -> Option<u32> {
        if matches!(self, Self::Create | Self::Build) {
            return None;
        }
        let kind = if self.is_container() { "container" } else { "vm" };
        let guests = stage.app.guests();
        let all = guests.list(&Actor::host_console(), &format!("kind:{kind} status:running -is:template"));
        // The smallest, so that nothing is too large for its place.
        let id = all.iter().min_by_key(|g| (g.state.maxdisk, g.row.vmid)).expect("a machine that runs").row.id;
        match self {
            Self::Start | Self::Template | Self::ContainerClone | Self::ContainerDelete => {
                stage.action(id, Stop {}).await
            }
            Self::Rollback => {
                stage.action(id, snapshot()).await;
                stage.action(id, change("cores", "3")).await;
                stage.action(id, Stop {}).await;
                stage.action(id, Start {}).await;
            }
            Self::DeleteSnapshot => stage.action(id, snapshot()).await,
            _ => {}
        }
        stage.look().await;
        stage.guest(id).row.vmid
    }

    /// `subject`: the machine's number. (Its row is a new one after it was deleted and put back.)
    pub async fn request(self, stage: &Stage, subject: Option<u32>) -> Result<Job> {
        let subject = subject.map(|vmid| stage.by_number(vmid));
        let console = Actor::host_console();
        let guests = stage.app.guests();
        let action: GuestAction = match self {
            Self::Create => return guests.request_create(&console, spec(stage), None).await.map(|(_, job)| job),
            Self::Build => return stage.app.templates().request_build(&console, build()).await,
            Self::Start => Start {}.into(),
            Self::Shutdown | Self::ContainerShutdown => Shutdown {}.into(),
            Self::Stop => Stop {}.into(),
            Self::Delete | Self::ContainerDelete => Delete {}.into(),
            Self::Clone | Self::ContainerClone => {
                CloneGuest { name: NAME.into(), start: self == Self::Clone, ..CloneGuest::default() }.into()
            }
            Self::Template => MakeTemplate {}.into(),
            Self::Migrate | Self::ContainerMigrate => {
                let here = stage.guest(subject.unwrap()).state.node.clone();
                let node = if here == "pve1" { "pve2" } else { "pve1" };
                Migrate { node: node.into(), disks: true, storage: None }.into()
            }
            Self::MoveDisk => {
                MoveDisk { disk: "scsi0".into(), storage: "nas".into(), format: None, keep: false }.into()
            }
            Self::Snapshot => snapshot(),
            Self::ContainerSnapshot => {
                TakeSnapshot { name: NAME.into(), description: "before".into(), memory: false }.into()
            }
            Self::Rollback => Rollback { name: NAME.into(), start: false }.into(),
            Self::DeleteSnapshot => DeleteSnapshot { name: NAME.into() }.into(),
            Self::Change => change("cores", "7"),
            Self::AddDisk => AddDisk { bus: "scsi".into(), storage: "nas".into(), gib: 3, path: None }.into(),
            Self::GrowDisk => GrowDisk { disk: "scsi0".into(), gib: NewSize::Whole(500) }.into(),
            Self::ContainerGrow => GrowDisk { disk: "rootfs".into(), gib: NewSize::Whole(500) }.into(),
            Self::AddNic => {
                let nic = NicSpec { bridge: "vmbr0".into(), vlan: Some(20), link: true, ..NicSpec::default() };
                AddNic { nic }.into()
            }
            Self::RemoveNic => RemoveNic { key: "net0".into() }.into(),
            Self::Hibernate => Hibernate {}.into(),
        };
        guests.request_action(&console, subject.unwrap(), action).await.map(Option::unwrap)
    }
}

fn snapshot() -> GuestAction {
    TakeSnapshot { name: NAME.into(), description: "before".into(), memory: true }.into()
}

fn change(key: &str, value: &str) -> GuestAction {
    ChangeSettings { values: BTreeMap::from([(key.to_owned(), value.to_owned())]), digest: None }.into()
}

fn spec(stage: &Stage) -> GuestRequest {
    let all = stage.app.guests().templates(&Actor::host_console());
    let template = all.iter().min_by_key(|t| t.row.vmid).expect("a template").row.vmid.unwrap();
    // From JSON, so that what is not this test's matter has its usual value.
    let spec = json!({
        "name": NAME, "node": "pve1", "source": { "from": "template", "vmid": template, "full": true }, "cores": 2,
        "memory": 2048, "disk": 20, "storage": null, "bridge": "vmbr0", "vlan": null, "address": { "mode": "dhcp" },
        "user": "mira", "start": true,
    });
    serde_json::from_value(spec).unwrap()
}

fn build() -> TemplateRequest {
    TemplateRequest {
        image: Some("debian-13".into()),
        node: "pve1".into(),
        bridge: "vmbr0".into(),
        disk: 6,
        name: NAME.into(),
        ..TemplateRequest::default()
    }
}

impl Stage {
    pub fn guest(&self, id: GuestId) -> Arc<GuestLive> {
        self.app.guests().get(&Actor::host_console(), id).unwrap()
    }

    fn by_number(&self, vmid: u32) -> GuestId {
        let all = self.app.guests().list(&Actor::host_console(), &format!("id:{vmid}"));
        all.iter().find(|g| g.row.vmid == Some(vmid)).expect("the machine").row.id
    }

    async fn action(&self, id: GuestId, action: impl Into<GuestAction>) {
        let job = self.app.guests().request_action(&Actor::host_console(), id, action).await.unwrap();
        self.well(job.unwrap()).await;
    }

    async fn well(&self, job: Job) {
        let job = self.finish(job.id).await.unwrap();
        assert_eq!(job.state, JobState::Succeeded, "{job:#?}");
        self.look().await;
    }
}
