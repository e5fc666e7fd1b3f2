//! Making a machine: what people ask for, and what the provider's job gets.

use super::addresses::{other_address, own_address, wrong_router};
use super::keys::check_public_keys;
use super::settings::MachineSettings;
use super::{
    HOST_NAME, System, UNIX_USER, WINDOWS_USER, is_host_name, is_password, is_tag, is_unix_user, is_windows_user,
};
use crate::amounts;
use crate::profiles::MoreDisk;
use crate::software::SoftwareRequest;
use base::ids::ProfileId;
use base::{Error, Result, Secret};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use utoipa::ToSchema;

/// Where the first disk comes from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(tag = "from", rename_all = "lowercase", deny_unknown_fields)]
pub enum GuestSource {
    /// A template; a linked clone (`full: false`) is quick and shares the template's disk.
    Template {
        vmid: u32,
        #[serde(default = "yes")]
        full: bool,
    },
    /// A blank disk, started from an ISO image (`local:iso/name.iso`).
    Iso {
        volid: String,
        /// One of the provider's words for what will be inside (the setting `system`); left out: its usual one.
        #[serde(default)]
        system: String,
    },
}

impl GuestSource {
    /// The template's number.
    pub fn template(&self) -> Option<u32> {
        match self {
            Self::Template { vmid, .. } => Some(*vmid),
            Self::Iso { .. } => None,
        }
    }
}

/// How the first network card gets its address (cloud-init; templates only).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(tag = "mode", rename_all = "lowercase", deny_unknown_fields)]
pub enum GuestAddress {
    Dhcp {},
    Static {
        /// `192.168.1.44/24`
        cidr: String,
        #[serde(default)]
        gateway: String,
    },
}

fn yes() -> bool {
    true
}

impl Default for GuestSource {
    fn default() -> Self {
        Self::Template { vmid: 0, full: true }
    }
}

impl Default for GuestAddress {
    fn default() -> Self {
        Self::Dhcp {}
    }
}

/// A new machine, as it is asked for.
#[derive(Clone, Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct GuestRequest {
    /// Its host name, like web-01 or web-01.example.org.
    pub name: String,
    /// The connection's id or name; needed when several of them have a node of this name.
    pub connection: Option<String>,
    pub node: String,
    pub source: GuestSource,
    /// A hardware profile's id or name. It says what is left out below, and more.
    pub profile: Option<String>,
    /// Left out: the profile's, else as the template has it; likewise below.
    pub cores: Option<u32>,
    /// MiB.
    #[serde(default, deserialize_with = "amounts::maybe_mib")]
    pub memory: Option<u64>,
    /// GiB. A clone's disk only grows.
    #[serde(default, deserialize_with = "amounts::maybe_gib")]
    pub disk: Option<u64>,
    /// Where the disk goes; left out: the profile's, else where the template's disk is; empty: there in any case.
    pub storage: Option<String>,
    /// Needed unless the profile says it.
    pub bridge: Option<String>,
    /// VLAN tag, 1 to 4094; 0: none, even if the profile has one.
    pub vlan: Option<u16>,
    #[serde(default)]
    pub address: GuestAddress,
    /// The cloud-init user.
    pub user: Option<String>,
    /// That user's password, 8 to 120 characters; for templates of Windows only, and needed there.
    #[schema(value_type = Option<String>, format = Password)]
    pub password: Option<Secret<String>>,
    /// Public keys, one per line.
    #[serde(default)]
    pub ssh_keys: String,
    #[serde(default)]
    pub tags: Vec<String>,
    #[serde(default)]
    pub description: String,
    /// Start it when it is created.
    #[serde(default = "yes")]
    pub start: bool,
    /// What to install on it then, in this order.
    #[serde(default)]
    pub software: Vec<SoftwareRequest>,
}

impl GuestRequest {
    /// Checks what can be checked without asking the provider, by what it declares. All wrong fields are named at once.
    pub fn check(&self, settings: &MachineSettings) -> Result<()> {
        let number = |n: Option<u64>| n.map(|n| n.to_string());
        let system = match &self.source {
            GuestSource::Iso { system, .. } => Some(system.clone()),
            GuestSource::Template { .. } => None,
        };
        let mut wrong = faults(
            settings,
            [
                ("cores", number(self.cores.map(u64::from))),
                ("memory", number(self.memory)),
                ("disk", number(self.disk)),
                ("storage", self.storage.clone()),
                ("bridge", self.bridge.clone()),
                ("system", system),
            ],
        );
        if let GuestAddress::Static { cidr, gateway } = &self.address {
            let own = own_address(cidr).err();
            let router = Some(gateway).filter(|g| !g.is_empty()).and_then(|g| other_address(g).err());
            let router = router.or_else(|| if own.is_none() { wrong_router(cidr, gateway) } else { None });
            wrong.extend(own.map(|text| ("cidr", text)));
            wrong.extend(router.map(|text| ("gateway", text)));
        }
        wrong.extend(check_public_keys(&self.ssh_keys).err().map(|text| ("ssh_keys", text)));
        let mut say = |is_wrong: bool, field: &'static str, sentence: &str| {
            if is_wrong {
                wrong.push((field, sentence.to_owned()));
            }
        };
        say(!is_host_name(&self.name), "name", HOST_NAME);
        say(self.vlan.is_some_and(|v| v > 4094), "vlan", "A VLAN tag is 1 to 4094.");
        match &self.source {
            GuestSource::Template { vmid, .. } => say(*vmid == 0, "template", "Choose a template."),
            GuestSource::Iso { volid, .. } => say(volid.is_empty(), "volid", "Choose an ISO image."),
        }
        let strange = self.user.as_deref().is_some_and(|u| !is_unix_user(u) && !is_windows_user(u));
        say(strange, "user", UNIX_USER);
        say(!self.tags.iter().all(|t| is_tag(t)), "tags", "Tags use letters, digits, dash, dot, plus and underscore.");
        say(self.description.len() > 8000, "description", "Use at most 8000 bytes.");
        let blank = matches!(self.source, GuestSource::Iso { .. });
        if !self.software.is_empty() && blank {
            say(true, "software", "Software needs a system: choose a template, or install it later.");
        } else if !self.software.is_empty() {
            say(!self.start, "start", "Software can only be installed when the machine is started.");
        }
        Error::of_fields(wrong)
    }

    /// Checks what depends on the system of the template that it is made from.
    ///
    /// # Errors
    /// `Invalid` on `user` or `password`.
    pub fn check_system(&self, system: System) -> Result<()> {
        let user = self.user.as_deref();
        match (system, user, &self.password) {
            (System::Windows, Some(user), _) if !is_windows_user(user) => Err(Error::field("user", WINDOWS_USER)),
            (System::Windows, Some(_), None) => {
                Err(Error::field("password", "Windows lets nobody in without a password. Give the user one."))
            }
            (System::Windows, None, Some(_)) => Err(Error::field("user", "Enter the user that this password is for.")),
            (System::Windows, _, Some(password)) if !is_password(password.expose()) => {
                Err(Error::field("password", "Use 8 to 120 characters on one line."))
            }
            (System::Windows, ..) => Ok(()),
            (_, _, Some(_)) => Err(Error::field(
                "password",
                "A password is for Windows only. On other systems people sign in with an SSH key.",
            )),
            (_, Some(user), None) if !is_unix_user(user) => Err(Error::field("user", UNIX_USER)),
            _ => Ok(()),
        }
    }
}

/// What the declaration refuses of these values.
fn faults<const N: usize>(
    settings: &MachineSettings,
    values: [(&'static str, Option<String>); N],
) -> Vec<(&'static str, String)> {
    let given = values.into_iter().filter_map(|(key, value)| Some((key, value?)));
    given.filter_map(|(key, value)| Some((key, settings.find(key)?.read_text(&value).err()?))).collect()
}

/// What the provider's job gets: the request, completed by profile and template, without secrets.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct GuestSpec {
    pub name: String,
    pub node: String,
    pub source: GuestSource,
    pub cores: u32,
    /// MiB.
    pub memory: u64,
    /// GiB. A clone's disk only grows.
    pub disk: u64,
    /// Nobody asked for a size: the clone's disk stays as large as the template's, of which `disk` has the whole GiB.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub keep_disk: bool,
    /// Where the disk goes; for a full clone or a blank disk. `None`: where the template's disk is.
    pub storage: Option<String>,
    pub bridge: String,
    pub vlan: Option<u16>,
    pub address: GuestAddress,
    /// The cloud-init user.
    pub user: Option<String>,
    /// The template's system is Windows.
    #[serde(default)]
    pub windows: bool,
    /// Public keys, one per line.
    #[serde(default)]
    pub ssh_keys: String,
    #[serde(default)]
    pub tags: Vec<String>,
    #[serde(default)]
    pub description: String,
    pub start: bool,
    /// The hardware profile that it is made with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub profile: Option<ProfileId>,
    /// What the profile sets beside the fields above, by its keys.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub hardware: BTreeMap<String, String>,
    /// The profile's further disks.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub disks: Vec<MoreDisk>,
}

impl GuestSpec {
    /// Whether what profile and template completed is within the bounds.
    ///
    /// # Errors
    /// `Invalid` on `cores`, `memory` or `disk`.
    pub fn check(&self, settings: &MachineSettings) -> Result<()> {
        let sizes = [("cores", u64::from(self.cores)), ("memory", self.memory), ("disk", self.disk)];
        Error::of_fields(faults(settings, sizes.map(|(key, n)| (key, Some(n.to_string())))))
    }

    /// Cores in all sockets.
    pub fn all_cores(&self) -> u64 {
        let sockets = self.hardware.get("sockets").and_then(|v| v.parse().ok()).unwrap_or(1);
        u64::from(self.cores).saturating_mul(sockets)
    }

    /// GiB of all disks.
    pub fn all_disks(&self) -> u64 {
        self.disks.iter().fold(self.disk, |sum, d| sum.saturating_add(d.gib))
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::super::settings::tests::some;
    use super::*;

    pub(crate) fn a_spec() -> GuestSpec {
        GuestSpec {
            name: "web-01".to_owned(),
            node: "pve1".to_owned(),
            source: GuestSource::Template { vmid: 9000, full: true },
            cores: 2,
            memory: 2048,
            disk: 16,
            keep_disk: false,
            storage: Some("local-lvm".to_owned()),
            bridge: "vmbr0".to_owned(),
            vlan: None,
            address: GuestAddress::Dhcp {},
            user: Some("mira".to_owned()),
            windows: false,
            ssh_keys: String::new(),
            tags: Vec::new(),
            description: String::new(),
            start: true,
            profile: None,
            hardware: BTreeMap::new(),
            disks: Vec::new(),
        }
    }

    fn request() -> GuestRequest {
        let source = GuestSource::Template { vmid: 9000, full: true };
        GuestRequest { name: "web-01".into(), node: "pve1".into(), source, ..GuestRequest::default() }
    }

    #[test]
    fn a_wrong_request_names_every_wrong_field_at_once() {
        let wrong = GuestRequest {
            name: "-x".into(),
            cores: Some(0),
            vlan: Some(4095),
            ssh_keys: "no key".into(),
            ..request()
        };
        let fields: Vec<_> = wrong.check(&some()).unwrap_err().fields().keys().cloned().collect();
        assert_eq!(fields, ["cores", "name", "ssh_keys", "vlan"]);
        request().check(&some()).unwrap();
    }

    #[test]
    fn an_address_that_cant_work_is_refused_beside_its_field() {
        let fields = |cidr: &str, gateway: &str| {
            let address = GuestAddress::Static { cidr: cidr.into(), gateway: gateway.into() };
            let checked = GuestRequest { address, ..request() }.check(&some());
            checked.err().map(|e| e.fields().keys().cloned().collect::<Vec<_>>()).unwrap_or_default()
        };
        assert_eq!(fields("192.168.1.44/24", "192.168.1.1"), Vec::<String>::new());
        assert_eq!(fields("192.168.1.44/24", ""), Vec::<String>::new());
        assert_eq!(fields("192.168.1.44/24", "fd00::1"), ["gateway"]);
        assert_eq!(fields("192.168.1.0/24", "192.168.1.1"), ["cidr"]);
        assert_eq!(fields("192.168.1.44/+24", "127.0.0.1"), ["cidr", "gateway"]);
    }

    #[test]
    fn a_request_has_defaults_and_refuses_what_it_does_not_know() {
        let body =
            r#"{"name":"web-01","node":"pve1","source":{"from":"template","vmid":9000},"cores":2,"bridge":"vmbr0"}"#;
        let read = serde_json::from_str::<GuestRequest>(body).unwrap();
        assert!(matches!(read.source, GuestSource::Template { vmid: 9000, full: true }));
        assert!(
            read.start && read.address == GuestAddress::default() && read.profile.is_none() && read.memory.is_none()
        );
        assert!(serde_json::from_str::<GuestRequest>(&body.replace("\"bridge\"", "\"brigde\"")).is_err());
        assert!(serde_json::from_str::<GuestRequest>(&body.replace("\"vmid\"", "\"fast\":1,\"vmid\"")).is_err());
    }

    #[test]
    fn who_signs_in_depends_on_the_system() {
        let asked = |user: Option<&str>, password: Option<&str>| GuestRequest {
            user: user.map(str::to_owned),
            password: password.map(|p| Secret::new(p.to_owned())),
            ..request()
        };
        let field = |system, user, password| {
            let e = asked(user, password).check_system(system).err();
            e.map(|e| e.fields().keys().next().cloned().unwrap())
        };
        let good = Some("Seven kettles 7");
        assert_eq!(field(System::Windows, Some("Jörg Meier"), good), None);
        assert_eq!(field(System::Windows, None, None), None, "as in the template");
        assert_eq!(field(System::Windows, Some("mira"), None).as_deref(), Some("password"));
        assert_eq!(field(System::Windows, Some("mira"), Some("short")).as_deref(), Some("password"));
        assert_eq!(field(System::Windows, Some("a@b"), good).as_deref(), Some("user"));
        assert_eq!(field(System::Linux, Some("mira"), good).as_deref(), Some("password"));
        assert_eq!(field(System::Unknown, Some("Jörg Meier"), None).as_deref(), Some("user"));
        assert!(!format!("{:?}", asked(Some("mira"), good)).contains("kettles"));
    }
}
