//! Users, tokens, roles and ACLs as `/etc/pve/user.cfg` holds them.

use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct AccessData {
    pub users: BTreeMap<String, User>,
    /// By full id, `user@realm!name`.
    pub tokens: BTreeMap<String, Token>,
    pub roles: BTreeMap<String, BTreeSet<String>>,
    pub acls: Vec<Acl>,
}

#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct User {
    pub enabled: bool,
    pub comment: String,
    pub password: Option<String>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Token {
    pub secret: String,
    /// Rights are those that both user and token have.
    pub privsep: bool,
    /// Unix seconds; 0 is never.
    pub expire: i64,
    pub comment: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Acl {
    pub path: String,
    /// `user`, `token` or `group`.
    pub kind: String,
    pub subject: String,
    pub role: String,
    pub propagate: bool,
}

/// Every privilege of Proxmox VE 9 (pve-access-control: src/PVE/AccessControl.pm).
pub const PRIVILEGES: &[&str] = &[
    "Datastore.Allocate",
    "Datastore.AllocateSpace",
    "Datastore.AllocateTemplate",
    "Datastore.Audit",
    "Group.Allocate",
    "Mapping.Audit",
    "Mapping.Modify",
    "Mapping.Use",
    "Permissions.Modify",
    "Pool.Allocate",
    "Pool.Audit",
    "Realm.Allocate",
    "Realm.AllocateUser",
    "SDN.Allocate",
    "SDN.Audit",
    "SDN.Use",
    "Sys.AccessNetwork",
    "Sys.Audit",
    "Sys.Console",
    "Sys.Incoming",
    "Sys.Modify",
    "Sys.PowerMgmt",
    "Sys.Syslog",
    "User.Modify",
    "VM.Allocate",
    "VM.Audit",
    "VM.Backup",
    "VM.Clone",
    "VM.Config.CDROM",
    "VM.Config.CPU",
    "VM.Config.Cloudinit",
    "VM.Config.Disk",
    "VM.Config.HWType",
    "VM.Config.Memory",
    "VM.Config.Network",
    "VM.Config.Options",
    "VM.Console",
    "VM.GuestAgent.Audit",
    "VM.GuestAgent.FileRead",
    "VM.GuestAgent.FileSystemMgmt",
    "VM.GuestAgent.FileWrite",
    "VM.GuestAgent.Unrestricted",
    "VM.Migrate",
    "VM.PowerMgmt",
    "VM.Replicate",
    "VM.Snapshot",
    "VM.Snapshot.Rollback",
];

/// The rights Steward asks for; the demo's token has this role on `/`.
const STEWARD: &[&str] = &[
    "VM.Allocate",
    "VM.Audit",
    "VM.Backup",
    "VM.Clone",
    "VM.Config.CDROM",
    "VM.Config.CPU",
    "VM.Config.Cloudinit",
    "VM.Config.Disk",
    "VM.Config.HWType",
    "VM.Config.Memory",
    "VM.Config.Network",
    "VM.Config.Options",
    "VM.Console",
    "VM.Migrate",
    "VM.PowerMgmt",
    "VM.Snapshot",
    "VM.Snapshot.Rollback",
    "VM.GuestAgent.Audit",
    "VM.GuestAgent.FileRead",
    "VM.GuestAgent.FileWrite",
    "VM.GuestAgent.FileSystemMgmt",
    "VM.GuestAgent.Unrestricted",
    "Datastore.AllocateSpace",
    "Datastore.AllocateTemplate",
    "Datastore.Audit",
    "Mapping.Use",
    "Pool.Audit",
    "SDN.Use",
    "Sys.AccessNetwork",
    "Sys.Audit",
];

/// root@pam, the built-in roles that matter here, and the given token with role Steward on `/`.
pub fn initial(token_id: &str, secret: &str) -> AccessData {
    let mut access = AccessData::default();
    let user = token_id.split('!').next().unwrap_or_default().to_owned();
    let set = |names: &[&str]| names.iter().map(|n| (*n).to_owned()).collect::<BTreeSet<_>>();
    access.roles.insert("NoAccess".into(), BTreeSet::new());
    access.roles.insert("Administrator".into(), set(PRIVILEGES));
    access.roles.insert(
        "PVEAuditor".into(),
        set(&[
            "Datastore.Audit",
            "Mapping.Audit",
            "Pool.Audit",
            "SDN.Audit",
            "Sys.Audit",
            "VM.Audit",
            "VM.GuestAgent.Audit",
        ]),
    );
    let user_rights: Vec<&str> =
        STEWARD.iter().filter(|p| p.starts_with("VM.") && !p.contains("Allocate")).copied().collect();
    access.roles.insert("PVEVMUser".into(), set(&user_rights));
    access.roles.insert("Steward".into(), set(STEWARD));
    access.users.insert("root@pam".into(), User { enabled: true, ..User::default() });
    access.users.insert(user.clone(), User { enabled: true, comment: "the appliance".into(), password: None });
    let token = Token { secret: secret.to_owned(), privsep: false, expire: 0, comment: String::new() };
    access.tokens.insert(token_id.to_owned(), token);
    access.acls.push(Acl {
        path: "/".into(),
        kind: "user".into(),
        subject: user,
        role: "Steward".into(),
        propagate: true,
    });
    access
}
