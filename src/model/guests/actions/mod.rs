//! What can be done with a machine. Each action is one struct: the form's fields, the REST body, the command line's
//! request and the arguments of the provider's job. Its [`ActionSpec`] says the rest: who may ask for it, which job
//! does it, whether it goes for several machines at once, and when people are asked first.

mod disks;
mod machine;
mod nics;
mod settings;
mod snapshots;

pub use disks::{AddDisk, AttachDisk, ChangeCd, DeleteDisk, DetachDisk, GrowDisk, MoveDisk};
pub use machine::{CloneGuest, Delete, Give, MakeTemplate, Migrate};
pub use nics::{AddNic, ChangeNic, NicSpec, RemoveNic};
pub use settings::{ApplyProfile, ChangeSettings, ChangeTags, DiskGrowth, ProfileChange, RevertSettings};
pub use snapshots::{DeleteSnapshot, EditSnapshot, Rollback, TakeSnapshot};

use super::{GuestKind, GuestState};
use crate::access::GuestRight;
use crate::jobs::Priority;
use crate::providers::Feature;
use base::{Error, Result};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use strum::{EnumString, IntoStaticStr};
use utoipa::ToSchema;

/// What an action is, whatever its fields say.
#[derive(Clone, Copy, Debug)]
pub struct ActionSpec {
    /// The verb on buttons, before a machine's name or "5 machines".
    pub label: &'static str,
    /// The name of the picture beside it.
    pub icon: &'static str,
    /// The provider's job; empty: it is done at once, without one.
    pub hook: &'static str,
    /// What the actor must be allowed to do with the machine.
    pub right: GuestRight,
    pub priority: Priority,
    /// What the provider must have declared; `None`: every provider can do it.
    pub feature: Option<Feature>,
    /// It can be asked for several machines at once.
    pub bulk: bool,
    pub confirm: Confirm,
    /// What pages ask before it is done, where no list of what is hit does; `{}` stands for the part's name.
    pub question: &'static str,
}

/// When people are asked before it is done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Confirm {
    /// It takes nothing from anybody.
    Never,
    /// When something depends on the machine. Scripts go on.
    WhenHit,
    /// Each time. Scripts go on.
    Always,
    /// Each time; scripts must say yes too.
    Required,
}

impl ActionSpec {
    const fn new(label: &'static str, icon: &'static str, hook: &'static str) -> Self {
        let (right, priority) = (GuestRight::Manage, Priority::High);
        Self { label, icon, hook, right, priority, feature: None, bulk: false, confirm: Confirm::Never, question: "" }
    }

    const fn feature(self, feature: Feature) -> Self {
        Self { feature: Some(feature), ..self }
    }

    const fn bulk(self) -> Self {
        Self { bulk: true, ..self }
    }

    const fn confirm(self, confirm: Confirm) -> Self {
        Self { confirm, ..self }
    }

    const fn asks(self, question: &'static str) -> Self {
        Self { question, ..self }
    }

    /// Whole disks are copied, which takes its time; nobody waits for it.
    const fn slow(self) -> Self {
        Self { priority: Priority::Normal, ..self }
    }

    /// People who may use the machine may do this.
    const fn for_users(self) -> Self {
        Self { right: GuestRight::Use, ..self }
    }
}

/// A part of a machine that an action names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part<'a> {
    Disk(&'a str),
    Nic(&'a str),
    Snapshot(&'a str),
    /// One that must not be there yet.
    NewSnapshot(&'a str),
}

/// One action. What is not said here is as it is for most.
pub trait Action: Default + DeserializeOwned + Into<GuestAction> {
    const SPEC: ActionSpec;

    /// The job's title.
    fn title(&self, machine: &str) -> String {
        format!("{} {machine}", Self::SPEC.label)
    }

    /// What was asked for, for the audit log.
    fn describe(&self) -> String {
        String::new()
    }

    /// Checks what can be checked without asking the provider.
    fn check(&self) -> Result<()> {
        Ok(())
    }

    /// What the provider must have declared for it.
    fn feature(&self) -> Option<Feature> {
        Self::SPEC.feature
    }

    /// Why this makes no sense now, or `None` when it does. The provider's lock is looked at before.
    fn refusal(&self, _kind: GuestKind, _state: &GuestState) -> Option<String> {
        None
    }

    /// It can be done although the provider has locked the machine.
    fn ignores_lock(&self, _lock: &str) -> bool {
        false
    }

    fn part(&self) -> Option<Part<'_>> {
        None
    }
}

/// Something that an action's fields can be read from.
pub trait ActionReader {
    fn read_action<A: Action>(self) -> Result<A>;
}

macro_rules! actions {
    ($($variant:ident: $action:ident),* $(,)?) => {
        /// Any action. As JSON its fields with its name as `action`, which is also what the provider's job gets.
        #[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
        #[serde(tag = "action", rename_all = "snake_case")]
        pub enum GuestAction {
            $($variant($action),)*
        }

        /// Which action, without its fields.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema, EnumString, IntoStaticStr)]
        #[serde(rename_all = "snake_case")]
        #[strum(serialize_all = "snake_case")]
        pub enum ActionKind {
            $($variant,)*
        }

        impl ActionKind {
            /// In the order of menus.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)*];

            pub fn spec(self) -> &'static ActionSpec {
                match self {
                    $(Self::$variant => &<$action as Action>::SPEC,)*
                }
            }

            pub fn read(self, fields: impl ActionReader) -> Result<GuestAction> {
                match self {
                    $(Self::$variant => fields.read_action::<$action>().map(GuestAction::from),)*
                }
            }

            /// The action without its fields filled in: enough to find out whether it makes sense now.
            pub fn empty(self) -> GuestAction {
                match self {
                    $(Self::$variant => GuestAction::$variant($action::default()),)*
                }
            }
        }

        impl GuestAction {
            pub fn kind(&self) -> ActionKind {
                match self {
                    $(Self::$variant(_) => ActionKind::$variant,)*
                }
            }

            /// See [`Action::title`].
            pub fn title(&self, machine: &str) -> String {
                match self {
                    $(Self::$variant(a) => a.title(machine),)*
                }
            }

            /// See [`Action::describe`].
            pub fn describe(&self) -> String {
                match self {
                    $(Self::$variant(a) => a.describe(),)*
                }
            }

            /// See [`Action::check`].
            pub fn check(&self) -> Result<()> {
                match self {
                    $(Self::$variant(a) => a.check(),)*
                }
            }

            /// See [`Action::feature`].
            pub fn feature(&self) -> Option<Feature> {
                match self {
                    $(Self::$variant(a) => a.feature(),)*
                }
            }

            /// See [`Action::part`].
            pub fn part(&self) -> Option<Part<'_>> {
                match self {
                    $(Self::$variant(a) => a.part(),)*
                }
            }

            fn own_refusal(&self, kind: GuestKind, state: &GuestState) -> Option<String> {
                match self {
                    $(Self::$variant(a) => a.refusal(kind, state),)*
                }
            }

            fn ignores_lock(&self, lock: &str) -> bool {
                match self {
                    $(Self::$variant(a) => a.ignores_lock(lock),)*
                }
            }
        }

        $(impl From<$action> for GuestAction {
            fn from(action: $action) -> Self {
                Self::$variant(action)
            }
        })*
    };
}

actions! {
    Start: Start, Shutdown: Shutdown, Reboot: Reboot, Suspend: Suspend, Resume: Resume, Stop: Stop,
    Reset: Reset,
    Hibernate: Hibernate,
    Snapshot: TakeSnapshot, Rollback: Rollback, DeleteSnapshot: DeleteSnapshot, EditSnapshot: EditSnapshot,
    Change: ChangeSettings, Apply: ApplyProfile, Revert: RevertSettings, Tags: ChangeTags,
    AddDisk: AddDisk, GrowDisk: GrowDisk, MoveDisk: MoveDisk, DetachDisk: DetachDisk, AttachDisk: AttachDisk,
    DeleteDisk: DeleteDisk, ChangeCd: ChangeCd,
    AddNic: AddNic, ChangeNic: ChangeNic, RemoveNic: RemoveNic,
    Clone: CloneGuest, Template: MakeTemplate, Migrate: Migrate, Give: Give, Delete: Delete,
}

impl GuestAction {
    pub fn spec(&self) -> &'static ActionSpec {
        self.kind().spec()
    }

    /// Switching it on and off. A stop may overtake these.
    pub fn is_power(&self) -> bool {
        self.spec().hook == POWER
    }

    /// Why this makes no sense now, or `None` when it does.
    pub fn refusal(&self, kind: GuestKind, state: &GuestState) -> Option<String> {
        match state.lock.as_deref().filter(|lock| !self.ignores_lock(lock)) {
            Some("suspended") => Some("It is hibernated. Start it first.".to_owned()),
            Some(lock) => Some(format!("It is locked ({lock}). Wait until that is done.")),
            None => self.own_refusal(kind, state),
        }
    }
}

impl ActionKind {
    /// As in JSON, addresses and the audit log (`guest.snapshot`).
    pub fn name(self) -> &'static str {
        self.into()
    }

    pub fn parse(text: &str) -> Option<Self> {
        text.parse().ok()
    }

    /// What people who may use a machine can do: switching it on and off, and hibernating it. These need nothing but a
    /// yes.
    pub fn power() -> impl Iterator<Item = Self> {
        Self::ALL.iter().copied().filter(|kind| kind.spec().right == GuestRight::Use)
    }

    /// What can be done with several machines at once.
    pub fn bulk() -> impl Iterator<Item = Self> {
        Self::ALL.iter().copied().filter(|kind| kind.spec().bulk)
    }

    /// People are asked each time, whatever depends on the machine.
    pub fn always_asks(self) -> bool {
        matches!(self.spec().confirm, Confirm::Always | Confirm::Required)
    }

    /// What people should know before: [`crate::impact`] has words for it.
    pub fn has_impact(self) -> bool {
        self.spec().confirm != Confirm::Never
    }
}

/// Power: without fields. `fits`: the states in which it makes sense.
macro_rules! power {
    ($($(#[$doc:meta])* $name:ident($spec:expr, containers: $containers:literal, fits: $fits:expr $(, despite: $lock:literal)?);)*) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
        #[serde(deny_unknown_fields)]
        pub struct $name {}

        impl Action for $name {
            const SPEC: ActionSpec = $spec.for_users().bulk();

            fn refusal(&self, kind: GuestKind, state: &GuestState) -> Option<String> {
                let fits: fn(&str) -> bool = $fits;
                if state.template {
                    return Some("A template can't be started. Create a machine from it.".to_owned());
                }
                if kind == GuestKind::Container && !$containers {
                    return Some("Only virtual machines can do this.".to_owned());
                }
                (!fits(&state.status) && !state.is_unknown()).then(|| format!("It is {} now.", state.status))
            }

            fn ignores_lock(&self, lock: &str) -> bool {
                let ignored: &[&str] = &[$($lock)?];
                ignored.contains(&lock)
            }
        }
    )*};
}

const POWER: &str = "guest_power";

const fn power(label: &'static str, icon: &'static str, confirm: Confirm) -> ActionSpec {
    ActionSpec::new(label, icon, POWER).confirm(confirm)
}

power! {
    /// Switches it on. A hibernated machine resumes where it was.
    Start(power("Start", "play", Confirm::Never), containers: true, fits: |s| matches!(s, "stopped" | "suspended" | "unknown"), despite: "suspended");
    /// Asks the system inside to shut down.
    Shutdown(power("Shut down", "power", Confirm::Always), containers: true, fits: |s| s == "running");
    /// Asks the system inside to restart.
    Reboot(power("Reboot", "reboot", Confirm::Always), containers: true, fits: |s| s == "running");
    /// Freezes it in memory.
    Suspend(power("Suspend", "pause", Confirm::Always), containers: false, fits: |s| s == "running");
    /// Lets a frozen machine continue.
    Resume(power("Resume", "play", Confirm::Never), containers: false, fits: |s| matches!(s, "paused" | "suspended"));
    /// Switches it off at once, like pulling the plug.
    Stop(power("Stop", "stop", Confirm::Always), containers: true, fits: |s| !matches!(s, "stopped" | "suspended"));
    /// Restarts it at once, like its reset button.
    Reset(power("Reset", "reboot", Confirm::Always), containers: false, fits: |s| s == "running");
    /// Writes what is in memory to a disk and switches it off; starting it resumes where it left off.
    Hibernate(
        ActionSpec::new("Hibernate", "moon", "guest_hibernate").feature(Feature::Hibernate).confirm(Confirm::Always),
        containers: true, fits: |s| s == "running"
    );
}

/// A note's length.
fn check_text(text: &str) -> Result<()> {
    if text.len() > 8192 {
        return Err(Error::field("description", "Use at most 8192 bytes."));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn state(status: &str) -> GuestState {
        GuestState { status: status.into(), ..GuestState::default() }
    }

    #[test]
    fn an_action_is_read_from_json_and_unknown_fields_are_refused() {
        let read = |text: &str| serde_json::from_str::<GuestAction>(text);
        let memory = TakeSnapshot { name: "a1".into(), memory: true, ..TakeSnapshot::default() };
        assert_eq!(read(r#"{"action":"snapshot","name":"a1","memory":true}"#).unwrap(), memory.into());
        assert!(read(r#"{"action":"snapshot","name":"a1","memroy":true}"#).is_err());
        assert!(read(r#"{"action":"delete","all":true}"#).is_err());
        assert!(read(r#"{"action":"migrate"}"#).is_err());
        assert!(read(r#"{"action":"give"}"#).is_err(), "nobody is named on purpose only");
        assert_eq!(read(r#"{"action":"give","owner":null}"#).unwrap(), Give::default().into());
        assert_eq!(read(r#"{"action":"hibernate"}"#).unwrap(), Hibernate {}.into());
    }

    #[test]
    fn every_action_has_one_name_and_a_label() {
        for kind in ActionKind::ALL.iter().copied() {
            assert_eq!(ActionKind::parse(kind.name()), Some(kind));
            assert_eq!(serde_json::to_value(kind.empty()).unwrap()["action"], kind.name());
            assert_eq!(serde_json::to_value(kind).unwrap(), kind.name());
            assert!(!kind.spec().label.is_empty() && !kind.empty().title("web").is_empty());
        }
        assert_eq!(ActionKind::parse("explode"), None);
        let names: Vec<_> = ActionKind::power().map(ActionKind::name).collect();
        assert_eq!(names, ["start", "shutdown", "reboot", "suspend", "resume", "stop", "reset", "hibernate"]);
    }

    #[test]
    fn power_actions_are_offered_by_state() {
        let refusal = |kind: ActionKind, of, state: &GuestState| kind.empty().refusal(of, state);
        let mut running = state("running");
        assert!(refusal(ActionKind::Start, GuestKind::Vm, &running).is_some());
        assert!(refusal(ActionKind::Shutdown, GuestKind::Vm, &running).is_none());
        assert!(refusal(ActionKind::Suspend, GuestKind::Container, &running).is_some());
        running.lock = Some("backup".into());
        assert!(refusal(ActionKind::Shutdown, GuestKind::Vm, &running).unwrap().contains("backup"));
        let hibernated = GuestState { lock: Some("suspended".into()), ..state("stopped") };
        assert_eq!(refusal(ActionKind::Start, GuestKind::Vm, &hibernated), None);
        assert!(refusal(ActionKind::Snapshot, GuestKind::Vm, &hibernated).unwrap().contains("hibernated"));
        assert_eq!(refusal(ActionKind::Delete, GuestKind::Vm, &hibernated), None);
    }

    #[test]
    fn what_makes_no_sense_now_is_said() {
        let memory: GuestAction = TakeSnapshot { memory: true, ..TakeSnapshot::default() }.into();
        assert!(memory.refusal(GuestKind::Vm, &state("stopped")).unwrap().contains("no memory"));
        assert_eq!(memory.refusal(GuestKind::Vm, &state("running")), None);
        let locked = GuestState { lock: Some("backup".into()), ..state("running") };
        assert!(memory.refusal(GuestKind::Vm, &locked).unwrap().contains("backup"));
        let template = GuestState { template: true, ..state("stopped") };
        let make: GuestAction = MakeTemplate {}.into();
        assert!(make.refusal(GuestKind::Vm, &state("running")).is_some());
        assert!(make.refusal(GuestKind::Vm, &template).is_some());
        let linked: GuestAction = CloneGuest { name: "x".into(), full: false, ..CloneGuest::default() }.into();
        assert!(linked.refusal(GuestKind::Vm, &state("stopped")).is_some());
        assert_eq!(linked.refusal(GuestKind::Vm, &template), None);
    }

    #[test]
    fn what_is_not_said_or_makes_no_sense_is_named_beside_its_field() {
        let field = |action: GuestAction| action.check().unwrap_err().fields().keys().next().cloned().unwrap();
        let words = |list: &[&str]| list.iter().map(|t| (*t).to_owned()).collect::<Vec<_>>();
        let tags = |add: &[&str], remove: &[&str]| ChangeTags { add: words(add), remove: words(remove) }.into();
        assert_eq!(field(tags(&[], &[])), "add");
        assert_eq!(field(tags(&["a b"], &[])), "add");
        assert_eq!(field(tags(&["a"], &["a"])), "remove");
        for (kind, name) in [(ActionKind::Snapshot, "name"), (ActionKind::Migrate, "node")] {
            assert_eq!(field(kind.empty()), name);
        }
    }
}
