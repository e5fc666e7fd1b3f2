//! Connections: how Steward reaches one Proxmox cluster, or another host by SSH.

use base::ids::ConnectionId;
use base::{Secret, Timestamp};
use minicbor::{Decode, Encode};
use serde::{Deserialize, Serialize};

/// What to write for an IPv6 address without brackets, whose end may be meant as a port.
pub fn without_brackets(text: &str) -> Option<String> {
    let rest = text.split_once("://").map_or(text, |(_, rest)| rest).trim_end_matches('/');
    let bare = rest.parse::<std::net::Ipv6Addr>().is_ok();
    bare.then(|| format!("“{rest}”: write an IPv6 address in brackets, like [fd00::1] or with a port [fd00::1]:443."))
}

/// How the servers' certificates are recognised.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub enum Trust {
    /// SHA-256 of each accepted leaf certificate's DER, as 32 bytes.
    #[n(0)]
    Fingerprints(#[cbor(n(0))] Vec<Vec<u8>>),
    /// The cluster's own CA (`/etc/pve/pve-root-ca.pem`), as PEM.
    #[n(1)]
    Ca(#[n(0)] String),
}

/// A Proxmox cluster or another host, as stored (the row is sealed with the appliance key).
#[derive(Clone, Debug, Encode, Decode)]
pub struct Connection {
    #[n(0)]
    pub id: ConnectionId,
    /// What people call it.
    #[n(1)]
    pub name: String,
    /// The provider plugin that speaks to it.
    #[n(2)]
    pub plugin: String,
    #[n(3)]
    pub transport: Transport,
    #[n(4)]
    pub limits: Limits,
    #[n(5)]
    pub created: Timestamp,
    /// What tells its cluster from all others, whatever address and token it has; `None` before it was asked, and
    /// where there is nothing of the kind.
    #[n(6)]
    pub identity: Option<String>,
}

impl Connection {
    /// How to sign in, for a host that is reached by SSH.
    pub fn ssh(&self) -> Option<&SshAccess> {
        match &self.transport {
            Transport::Ssh(ssh) => Some(ssh),
            Transport::Pve(_) => None,
        }
    }

    /// All but its secrets, for what lives long.
    #[must_use]
    pub fn without_secrets(&self) -> Self {
        let mut row = self.clone();
        match &mut row.transport {
            Transport::Pve(pve) => pve.token_secret = Secret::default(),
            Transport::Ssh(ssh) => ssh.private = Secret::default(),
        }
        row
    }
}

/// How the provider's plugin gets there.
#[derive(Clone, Debug, Encode, Decode)]
pub enum Transport {
    /// The REST API of a Proxmox cluster or single host.
    #[n(0)]
    Pve(#[n(0)] PveAccess),
    /// Commands on a host that has no API of its own.
    #[n(1)]
    Ssh(#[n(0)] SshAccess),
}

/// How to reach the API of a Proxmox cluster.
#[derive(Clone, Debug, Encode, Decode)]
pub struct PveAccess {
    /// `https://host:8006`, the first that answers is used.
    #[n(0)]
    pub endpoints: Vec<String>,
    #[n(1)]
    pub trust: Trust,
    /// `user@realm!name`.
    #[n(2)]
    pub token_id: String,
    /// The token's secret. Not part of any view.
    #[n(3)]
    pub token_secret: Secret<String>,
}

/// How to sign in to a host by SSH.
#[derive(Clone, Debug, Encode, Decode)]
pub struct SshAccess {
    #[n(0)]
    pub host: String,
    #[n(1)]
    pub port: u16,
    /// root, or a user who may use sudo without a password.
    #[n(2)]
    pub user: String,
    /// In OpenSSH's form. Not part of any view.
    #[n(3)]
    pub private: Secret<String>,
    /// One line as in `authorized_keys`.
    #[n(4)]
    pub public: String,
    /// Accepted host keys, `SHA256:...`; empty before the first sign-in.
    #[n(5)]
    pub host_keys: Vec<String>,
}

/// Where Steward may act. Proxmox itself has no rule that limits nodes, so this is enforced here.
#[derive(Clone, Debug, Default, PartialEq, Eq, Encode, Decode, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(default)]
pub struct Limits {
    /// Nodes on which machines may be created and changed; empty means all.
    #[n(0)]
    pub nodes: Vec<String>,
    /// The lowest id given to new machines, 100 or more.
    #[n(1)]
    pub vmid_min: Option<u32>,
    #[n(2)]
    pub vmid_max: Option<u32>,
    /// Storages that disks may be put on; empty means all. Images in a CD drive are only read, from anywhere.
    #[n(3)]
    #[cbor(default)]
    pub storages: Vec<String>,
    /// Bridges that network cards may be connected to; empty means all.
    #[n(4)]
    #[cbor(default)]
    pub bridges: Vec<String>,
    /// Templates from which machines may be created, by number; empty means all.
    #[n(5)]
    #[cbor(default)]
    pub templates: Vec<u32>,
}

impl Limits {
    pub fn allows_node(&self, node: &str) -> bool {
        self.nodes.is_empty() || self.nodes.iter().any(|n| n == node)
    }

    pub fn allows_storage(&self, storage: &str) -> bool {
        self.storages.is_empty() || self.storages.iter().any(|s| s == storage)
    }

    pub fn allows_bridge(&self, bridge: &str) -> bool {
        self.bridges.is_empty() || self.bridges.iter().any(|b| b == bridge)
    }

    pub fn allows_template(&self, vmid: u32) -> bool {
        self.templates.is_empty() || self.templates.contains(&vmid)
    }

    /// Inclusive bounds for new ids; Proxmox's own default is 100 to 999999.
    pub fn vmid_range(&self) -> (u32, u32) {
        let low = self.vmid_min.unwrap_or(100).max(100);
        (low, self.vmid_max.unwrap_or(999_999).max(low))
    }
}

/// How a connection is doing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(tag = "state", rename_all = "lowercase")]
pub enum Reach {
    /// Nothing was asked yet.
    Unknown,
    /// Answering; `since` is when the present state began.
    Here { since: Timestamp },
    /// Not answering or refusing; `why` is a sentence for people.
    Away { since: Timestamp, why: String },
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As rows were before storages, bridges and templates could be limited.
    #[derive(Encode)]
    struct Before {
        #[n(0)]
        nodes: Vec<String>,
        #[n(1)]
        vmid_min: Option<u32>,
        #[n(2)]
        vmid_max: Option<u32>,
    }

    #[test]
    fn an_ipv6_address_needs_brackets() {
        let told = without_brackets("https://fd00::1/").unwrap_or_default();
        assert!(told.contains("[fd00::1]") && without_brackets("fd00::1:8006").is_some(), "{told}");
        for other in ["[fd00::1]", "[fd00::1]:8006", "pve1:8006", "192.168.1.10", ""] {
            assert_eq!(without_brackets(other), None, "{other}");
        }
    }

    #[test]
    fn limits_of_an_earlier_version_allow_what_they_did() {
        let before = Before { nodes: vec!["pve1".into()], vmid_min: Some(200), vmid_max: None };
        let limits: Limits = minicbor::decode(&minicbor::to_vec(before).unwrap()).unwrap();
        assert_eq!(limits, Limits { nodes: vec!["pve1".into()], vmid_min: Some(200), ..Limits::default() });
        assert!(limits.allows_storage("any") && limits.allows_bridge("any") && limits.allows_template(9000));
        assert!(!limits.allows_node("pve2"));
    }
}
