//! What a job does, with typed arguments. The plugin's function gets plain values, which are made of them here and
//! nowhere else.

use crate::access::GuestRight;
use crate::guests::actions::ProfileChange;
use crate::guests::{GuestAction, GuestKind, GuestSpec};
use crate::quotas::{Amounts, Growth};
use crate::templates::BuildArgs;
use crate::windows::WindowsRequest;
use base::ids::{JobId, ProfileId};
use minicbor::decode::Error as DecodeError;
use minicbor::encode::{Error as EncodeError, Write};
use minicbor::{Decode, Decoder, Encode, Encoder};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum JobKind {
    CreateGuest(Box<CreateGuest>),
    /// An action on a machine; a copy's job belongs to the machine that it makes.
    Guest(Box<GuestJob>),
    BuildTemplate(Box<BuildArgs>),
    BuildWindows(Box<BuildWindows>),
    /// A recipe on a machine.
    Install(Install),
    /// A job function of any plugin, as named by a schedule.
    Plugin {
        hook: String,
        args: Value,
    },
}

/// For a row from before jobs had kinds: no plugin has such a function, so it fails with a sentence.
impl Default for JobKind {
    fn default() -> Self {
        Self::Plugin { hook: String::new(), args: Value::Null }
    }
}

/// Which machine of its provider a job works on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct GuestTarget {
    pub vmid: Option<u32>,
    pub kind: GuestKind,
    pub node: String,
}

impl GuestTarget {
    /// The machine with what is asked for. What it is called and where it is are not for the action to say, but a
    /// `node` that the action names is where the machine goes.
    pub fn with(&self, action: &impl Serialize) -> Value {
        let mut args = json!(self);
        if let (Some(args), Value::Object(more)) = (args.as_object_mut(), json!(action)) {
            args.extend(more.into_iter().filter_map(|(key, value)| match key.as_str() {
                "vmid" | "kind" => None,
                "node" => Some(("target".to_owned(), value)),
                _ => Some((key, value)),
            }));
        }
        args
    }
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CreateGuest {
    /// Without the password, which is kept apart.
    pub spec: GuestSpec,
    /// Keeps the addresses of two clusters apart that count their machines alike.
    pub mac_salt: Option<u32>,
    /// Stands for what was asked for by a request that may be sent twice. Nothing can be read from it.
    pub request: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct GuestJob {
    pub target: GuestTarget,
    pub action: GuestAction,
    /// What a profile makes of this machine, when one is applied: the plugin gets this instead of the action.
    pub change: Option<ProfileChange>,
    /// What it makes of the machine, for its owner's quota; a retry claims it again.
    pub growth: Option<Growth>,
    /// What a copy's own row begins with; a job that is tried again recreates it.
    pub copy: Option<CopyOf>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CopyOf {
    pub takes: Amounts,
    pub profile: Option<ProfileId>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BuildWindows {
    pub spec: WindowsRequest,
    pub title: String,
    /// The image with the answers to Windows Setup.
    pub file: String,
    pub notes: String,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Install {
    /// The secret ones are kept apart.
    pub options: Value,
    pub version: String,
    pub guest: InstallGuest,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct InstallGuest {
    pub name: String,
    pub vmid: Option<u32>,
}

/// A machine that a job makes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct NewGuest<'a> {
    pub name: &'a str,
    pub kind: GuestKind,
    pub profile: Option<ProfileId>,
    pub takes: Amounts,
    /// The number of the machine or template that it is copied from.
    pub source: Option<u32>,
}

impl JobKind {
    /// The provider's job that makes a template of an image.
    pub const BUILD_TEMPLATE: &'static str = "template_build";
    /// The one that makes a template of Windows.
    pub const BUILD_WINDOWS: &'static str = "windows_build";

    /// The plugin's function.
    pub fn hook(&self) -> &str {
        match self {
            Self::CreateGuest(_) => "guest_create",
            Self::Guest(job) => job.action.spec().hook,
            Self::BuildTemplate(_) => Self::BUILD_TEMPLATE,
            Self::BuildWindows(_) => Self::BUILD_WINDOWS,
            Self::Install(_) => "install",
            Self::Plugin { hook, .. } => hook,
        }
    }

    /// What the plugin's function gets. What a job makes is marked by the job's id, so that it knows its own
    /// machine again after a crash.
    pub fn args(&self, id: JobId) -> Value {
        match self {
            Self::CreateGuest(create) => {
                let mut args = json!(create.spec);
                args["mark"] = json!(id);
                if let Some(salt) = create.mac_salt {
                    args["mac_salt"] = json!(salt);
                }
                args
            }
            Self::Guest(job) => {
                let mut args = match &job.change {
                    Some(change) => job.target.with(change),
                    None => job.target.with(&job.action),
                };
                if job.copy.is_some() {
                    args["mark"] = json!(id);
                }
                args
            }
            Self::BuildTemplate(build) => json!(build),
            Self::BuildWindows(build) => {
                let mut args = json!(build.spec);
                args["title"] = json!(build.title);
                args["file"] = json!(build.file);
                args["notes"] = json!(build.notes);
                args["mark"] = json!(id);
                args
            }
            Self::Install(install) => json!(install),
            Self::Plugin { args, .. } => args.clone(),
        }
    }

    /// The machine that comes to be by it, and goes when it gives up.
    pub fn new_guest(&self) -> Option<NewGuest<'_>> {
        match self {
            Self::CreateGuest(create) => Some(NewGuest {
                name: &create.spec.name,
                kind: GuestKind::Vm,
                profile: create.spec.profile,
                takes: Amounts::wanted(&create.spec),
                source: create.spec.source.template(),
            }),
            Self::Guest(job) => match (&job.action, &job.copy) {
                (GuestAction::Clone(clone), Some(copy)) => Some(NewGuest {
                    name: &clone.name,
                    kind: job.target.kind,
                    profile: copy.profile,
                    takes: copy.takes,
                    source: job.target.vmid,
                }),
                _ => None,
            },
            _ => None,
        }
    }

    /// The hardware profile that a machine has when it is done.
    pub fn applies(&self) -> Option<ProfileId> {
        match self {
            Self::Guest(job) => job.change.as_ref().map(|change| change.profile),
            _ => None,
        }
    }

    pub fn growth(&self) -> Option<&Growth> {
        match self {
            Self::Guest(job) => job.growth.as_ref(),
            _ => None,
        }
    }

    /// The number of the machine that it takes away.
    pub fn deletes(&self) -> Option<u32> {
        match self {
            Self::Guest(job) if matches!(job.action, GuestAction::Delete(_)) => job.target.vmid,
            _ => None,
        }
    }

    pub fn is_power(&self) -> bool {
        matches!(self, Self::Guest(job) if job.action.is_power())
    }

    pub fn is_install(&self) -> bool {
        matches!(self, Self::Install(_))
    }

    /// The right on the machine that the action needs.
    pub fn right(&self) -> GuestRight {
        match self {
            Self::Guest(job) => job.action.spec().right,
            _ => GuestRight::Manage,
        }
    }
}

/// In a row: its JSON text.
impl<C> Encode<C> for JobKind {
    fn encode<W: Write>(&self, e: &mut Encoder<W>, _: &mut C) -> Result<(), EncodeError<W::Error>> {
        let text = serde_json::to_string(self).map_err(|_| EncodeError::message("a job's kind is not data"))?;
        e.str(&text)?.ok()
    }
}

impl<C> Decode<'_, C> for JobKind {
    fn decode(d: &mut Decoder<'_>, _: &mut C) -> Result<Self, DecodeError> {
        serde_json::from_str(d.str()?).map_err(|_| DecodeError::message("the row's kind of job can't be read"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::guests::ActionKind;
    use crate::guests::actions::Migrate;

    fn target() -> GuestTarget {
        GuestTarget { vmid: Some(104), kind: GuestKind::Vm, node: "pve1".into() }
    }

    #[test]
    fn a_plugin_gets_the_machine_and_what_is_asked_for_it() {
        let id = JobId::new();
        let of = |action| {
            JobKind::Guest(Box::new(GuestJob { target: target(), action, change: None, growth: None, copy: None }))
        };
        let kind = of(ActionKind::Stop.empty());
        assert_eq!(kind.args(id), json!({ "vmid": 104, "kind": "vm", "node": "pve1", "action": "stop" }));
        assert!(kind.is_power() && !of(ActionKind::Delete.empty()).is_power());
        let kind = of(Migrate { node: "pve2".into(), disks: true, storage: None }.into());
        let args = kind.args(id);
        assert_eq!(
            (&args["node"], &args["target"], &args["action"]),
            (&json!("pve1"), &json!("pve2"), &json!("migrate"))
        );
        assert_eq!((kind.hook(), args.get("mark")), ("guest_migrate", None));
    }

    #[test]
    fn a_kind_is_read_back_from_its_row() {
        let kind = JobKind::Plugin { hook: "tidy".into(), args: json!({ "days": 3 }) };
        let bytes = minicbor::to_vec(&kind).unwrap();
        assert_eq!(minicbor::decode::<JobKind>(&bytes).unwrap(), kind);
    }
}
