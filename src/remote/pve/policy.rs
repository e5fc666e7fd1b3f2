//! Where Steward may act on a connection, checked beside the client that sends. Proxmox can give a token rights on
//! single machines and storages but has no rule for nodes, bridges or numbers, so every change passes here.
//!
//! A call that changes something outside the places named here is refused, whatever the lists say: the users and rights
//! of the cluster (`/access`) are nobody's business here, and what a new part of Proxmox's API does is not known.
//!
//! What only reads is free: a template may be cloned from a node that is not allowed, as long as the copy goes to
//! one that is.

use super::client::{EndpointIndex, PveClient};
use super::error::{PveError, PveErrorKind};
use super::task::Upid;
use super::upload::CdImage;
use model::connections::Limits;
use serde_json::{Value, json};

/// What the check must know of machines and can't see in the call.
pub trait Machines {
    /// Is this number a template, as far as is known? What is not known counts as one.
    fn is_template(&self, vmid: u32) -> bool;
    /// Does this very job make the machine with this number?
    fn is_being_made(&self, vmid: u32) -> bool;
    /// The node that has the machine with this number, as far as is known.
    fn node_of(&self, vmid: u32) -> Option<String>;
}

/// A client that changes only what the allow-list allows.
pub struct LimitedClient<'a> {
    pub client: &'a PveClient,
    pub limits: &'a Limits,
    pub machines: &'a dyn Machines,
}

impl LimitedClient<'_> {
    /// As [`PveClient::call_placed`].
    ///
    /// # Errors
    /// As there; `Forbidden` for a change that is not allowed: nothing is sent then.
    pub async fn call(&self, method: &str, path: &str, params: &Value) -> Result<(Value, EndpointIndex), PveError> {
        if method != "GET" {
            self.permit(&Change { path, params, delete: method == "DELETE" }).await?;
        }
        self.client.call_placed(method, path, params).await
    }

    /// As [`PveClient::upload_cd`].
    ///
    /// # Errors
    /// As there; `Forbidden` when nothing may be put on that storage.
    pub async fn upload_cd(&self, cd: &CdImage<'_>) -> Result<String, PveError> {
        let path = format!("/nodes/{}/storage/{}/upload", cd.node, cd.storage);
        self.permit(&Change { path: &path, params: &Value::Null, delete: false }).await?;
        self.client.upload_cd(cd).await
    }

    async fn permit(&self, change: &Change<'_>) -> Result<(), PveError> {
        let copied = match unnamed_copy(self.limits, change) {
            Some((node, kind, vmid)) => self.storages_of(&node, &kind, vmid).await?,
            None => Vec::new(),
        };
        let known = Known { machines: self.machines, own_token: self.client.token_id(), copied: &copied };
        check(self.limits, change, &known).map_err(forbidden)
    }

    async fn storages_of(&self, node: &str, kind: &str, vmid: u32) -> Result<Vec<String>, PveError> {
        let config = self.client.call("GET", &format!("/nodes/{node}/{kind}/{vmid}/config"), &Value::Null).await;
        config.map(|c| storages_in(&c)).map_err(|e| {
            forbidden(format!("Steward could not see on which storages the disks of {vmid} are: {}", e.message))
        })
    }
}

impl PveClient {
    /// Whether a number is free in the whole cluster: Proxmox may know machines that the token can't see.
    pub async fn is_free(&self, vmid: u32) -> Result<bool, PveError> {
        match self.call("GET", "/cluster/nextid", &json!({ "vmid": vmid })).await {
            Ok(_) => Ok(true),
            Err(e) if e.status == 400 => Ok(false),
            Err(e) => Err(e),
        }
    }
}

fn forbidden(text: String) -> PveError {
    PveError::new(PveErrorKind::Forbidden, text)
}

/// One change that is about to be sent.
struct Change<'a> {
    path: &'a str,
    params: &'a Value,
    delete: bool,
}

impl Change<'_> {
    fn text(&self, name: &str) -> Option<String> {
        self.params.get(name).map(plain).filter(|t| !t.is_empty())
    }

    /// A parameter with several values, as a list or as one text.
    fn list(&self, name: &str) -> Vec<String> {
        let values = match self.params.get(name) {
            Some(Value::Array(all)) => all.iter().map(plain).collect(),
            Some(one) => vec![plain(one)],
            None => Vec::new(),
        };
        let items = values.iter().flat_map(|text| text.split([',', ';', ' ', '\0']));
        items.filter(|item| !item.is_empty()).map(str::to_owned).collect()
    }
}

/// What the check goes by beside the call and the list.
struct Known<'a> {
    machines: &'a dyn Machines,
    /// `user@realm!name`
    own_token: &'a str,
    /// The storages of the original, for a copy that does not say where its disks go.
    copied: &'a [String],
}

/// Node, kind and number of the machine that is copied without saying where the disks go, when that matters.
fn unnamed_copy(limits: &Limits, change: &Change<'_>) -> Option<(String, String, u32)> {
    let path = decoded(change.path);
    match Resource::of(&parts(&path)) {
        Resource::Clone { node, kind, vmid } if !limits.storages.is_empty() && change.text("storage").is_none() => {
            Some((node.to_owned(), kind.to_owned(), vmid))
        }
        _ => None,
    }
}

fn parts(path: &str) -> Vec<&str> {
    path.split('/').filter(|p| !p.is_empty()).collect()
}

fn check(limits: &Limits, change: &Change<'_>, known: &Known<'_>) -> Result<(), String> {
    // Proxmox takes %2F for a slash, too.
    let path = decoded(change.path);
    let parts = parts(&path);
    if parts.iter().any(|p| matches!(*p, "." | "..")) {
        return Err("This is not an address of Proxmox.".to_owned());
    }
    let resource = Resource::of(&parts);
    if let Resource::Clone { node, vmid, .. } = resource {
        return check_clone(limits, change, known, node, vmid);
    }
    check_place(limits, change, &resource, known)?;
    for name in ["target", "target-node", "node", "nodes"] {
        // A rule gives nodes a priority: `pve1:2`.
        let named = change.list(name);
        named.iter().try_for_each(|item| node(limits, item.split_once(':').map_or(item.as_str(), |(name, _)| name)))?;
    }
    match resource {
        Resource::New { .. } => {
            if let Some(vmid) = change.text("vmid") {
                number(limits, &vmid)?;
            }
        }
        _ => {
            let named =
                ["vms", "vmid", "target-vmid", "sid", "resources"].into_iter().flat_map(|name| change.list(name));
            named.into_iter().try_for_each(|item| existing(limits, known, &item))?;
        }
    }
    if let Resource::Storage { storage: name, .. } = resource
        && (!change.delete || parts.len() > 4)
    {
        storage(limits, name)?;
    }
    for name in ["storage", "vmstatestorage", "target-storage"] {
        change.list(name).iter().try_for_each(|name| storage(limits, name))?;
    }
    if let Some(map) = change.text("targetstorage") {
        // "1" means: the same names over there. Else one name, or pairs of from and to.
        let to = map.split(',').map(|pair| pair.rsplit(':').next().unwrap_or(pair).trim());
        to.filter(|name| *name != "1").try_for_each(|name| storage(limits, name))?;
    }
    for (key, value) in change.params.as_object().into_iter().flatten() {
        check_value(limits, key, &plain(value))?;
    }
    Ok(())
}

/// What an address is about.
#[derive(Clone, Copy)]
enum Resource<'a> {
    Clone {
        node: &'a str,
        kind: &'a str,
        vmid: u32,
    },
    /// A machine that is not there yet.
    New {
        node: &'a str,
    },
    Guest {
        node: &'a str,
        vmid: u32,
    },
    Storage {
        node: &'a str,
        storage: &'a str,
    },
    Task {
        node: &'a str,
        upid: &'a str,
    },
    Node {
        node: &'a str,
    },
    /// Something of the whole cluster. Where nodes are limited, one of these parameters has to say whom it concerns.
    Cluster {
        names: &'static [&'static str],
    },
    /// A machine in the rules for high availability, as `vm:100`.
    Available {
        sid: &'a str,
    },
    /// Something that is there already: whom it concerns can't be seen in the call.
    Unseen,
    Pool,
    /// Not a place where Steward changes anything.
    Other,
}

impl<'a> Resource<'a> {
    fn of(parts: &[&'a str]) -> Self {
        match *parts {
            ["nodes", node, kind @ ("qemu" | "lxc"), vmid, "clone"] => {
                Self::Clone { node, kind, vmid: vmid.parse().unwrap_or(0) }
            }
            // It leads to another cluster.
            ["nodes", _, "qemu" | "lxc", _, "remote_migrate", ..] => Self::Other,
            ["nodes", node, "qemu" | "lxc"] => Self::New { node },
            ["nodes", node, "qemu" | "lxc", vmid, ..] => Self::Guest { node, vmid: vmid.parse().unwrap_or(0) },
            ["nodes", node, "storage", storage, ..] => Self::Storage { node, storage },
            ["nodes", node, "tasks", upid, ..] => Self::Task { node, upid },
            ["nodes", node, "vzdump" | "startall" | "stopall" | "suspendall" | "migrateall"] => Self::Node { node },
            ["pools"] | ["pools", _] => Self::Pool,
            ["cluster", "bulk-action", "guest", _] => Self::Cluster { names: &["vms"] },
            ["cluster", "backup"] => Self::Cluster { names: &["vmid", "node"] },
            ["cluster", "ha", "resources"] => Self::Cluster { names: &["sid"] },
            ["cluster", "ha", "rules"] => Self::Cluster { names: &["resources"] },
            ["cluster", "ha", "groups"] | ["storage"] => Self::Cluster { names: &["nodes"] },
            ["cluster", "ha", "resources", sid, ..] => Self::Available { sid },
            ["cluster", "backup" | "replication", ..] | ["cluster", "ha", "rules" | "groups", _] | ["storage", _] => {
                Self::Unseen
            }
            _ => Self::Other,
        }
    }
}

fn check_place(limits: &Limits, change: &Change<'_>, resource: &Resource<'_>, known: &Known<'_>) -> Result<(), String> {
    let limited = |why: &str| format!("{why}, and Steward may not act on all nodes here.");
    match *resource {
        Resource::Other => Err("Steward changes nothing at this place of Proxmox.".to_owned()),
        Resource::Pool => Ok(()),
        Resource::Cluster { .. } | Resource::Unseen if limits.nodes.is_empty() => Ok(()),
        Resource::Cluster { names } if names.iter().any(|name| !change.list(name).is_empty()) => Ok(()),
        Resource::Cluster { .. } => Err(limited("This concerns every node")),
        Resource::Unseen => Err(limited("Whom this concerns can't be seen")),
        Resource::Available { sid } => existing(limits, known, sid),
        // A copy begins its life beside its template: what this job itself makes there may be cleaned up there.
        Resource::Guest { vmid, .. } if known.machines.is_being_made(vmid) => Ok(()),
        Resource::Task { upid, .. } if upid.parse::<Upid>().is_ok_and(|u| u.user == known.own_token) => Ok(()),
        Resource::Clone { node: name, .. }
        | Resource::New { node: name }
        | Resource::Guest { node: name, .. }
        | Resource::Storage { node: name, .. }
        | Resource::Task { node: name, .. }
        | Resource::Node { node: name } => node(limits, name),
    }
}

/// A machine that is there, by its number (`100`, `vm:100`): it has to be on an allowed node.
fn existing(limits: &Limits, known: &Known<'_>, text: &str) -> Result<(), String> {
    if limits.nodes.is_empty() {
        return Ok(());
    }
    let vmid = text.rsplit(':').next().and_then(|n| n.parse::<u32>().ok());
    let vmid = vmid.ok_or_else(|| format!("“{text}” is not a machine that Steward knows."))?;
    match known.machines.node_of(vmid) {
        _ if known.machines.is_being_made(vmid) => Ok(()),
        Some(name) => node(limits, &name),
        None => Err(format!("Steward does not know on which node {vmid} is, so it may not change it.")),
    }
}

fn check_clone(limits: &Limits, change: &Change<'_>, known: &Known<'_>, home: &str, vmid: u32) -> Result<(), String> {
    node(limits, change.text("target").as_deref().unwrap_or(home))?;
    if known.machines.is_template(vmid) {
        template(limits, vmid)?;
    }
    if let Some(new) = change.text("newid") {
        number(limits, &new)?;
    }
    match change.text("storage") {
        Some(name) => storage(limits, &name),
        // Without a name the disks go where those of the original are.
        None => known.copied.iter().try_for_each(|name| storage(limits, name)),
    }
}

/// A value of a machine's configuration: disks name a storage, network cards a bridge.
fn check_value(limits: &Limits, key: &str, value: &str) -> Result<(), String> {
    if is_disk(key) {
        return storage_in(value).map_or(Ok(()), |name| storage(limits, &name));
    }
    if numbered(key, "net") {
        let items = value.split(',').filter_map(|item| item.trim().strip_prefix("bridge="));
        return items.into_iter().try_for_each(|name| bridge(limits, name));
    }
    Ok(())
}

fn numbered(key: &str, start: &str) -> bool {
    key.strip_prefix(start).is_some_and(|rest| !rest.is_empty() && rest.bytes().all(|b| b.is_ascii_digit()))
}

fn is_disk(key: &str) -> bool {
    const NUMBERED: [&str; 8] = ["scsi", "virtio", "sata", "ide", "efidisk", "tpmstate", "mp", "unused"];
    key == "rootfs" || NUMBERED.iter().any(|start| numbered(key, start))
}

/// The storage on which a disk's value puts something; `None` when it puts nothing anywhere: an image in a CD
/// drive is only read. A path on the node itself is named as it is, and no list holds it.
fn storage_in(value: &str) -> Option<String> {
    let mut items = value.split(',').map(str::trim);
    let first = items.clone().next().unwrap_or_default();
    let named = items.find_map(|i| i.strip_prefix("file=").or_else(|| i.strip_prefix("volume=")));
    let volume = named.unwrap_or(first);
    if volume.is_empty() || volume == "none" || volume == "cdrom" {
        return None;
    }
    let cloud_init = volume.ends_with(":cloudinit") || volume.contains("-cloudinit");
    if value.split(',').any(|i| i.trim() == "media=cdrom") && !cloud_init {
        return None;
    }
    match volume.split_once(':') {
        Some((storage, _)) => Some(storage.to_owned()),
        // A size alone, or a path of the node.
        None => Some(volume.to_owned()),
    }
}

/// The storages that a machine's configuration uses.
fn storages_in(config: &Value) -> Vec<String> {
    let all = config.as_object().into_iter().flatten();
    let mut found: Vec<String> = all
        .filter(|(key, _)| is_disk(key) && !key.starts_with("unused"))
        .filter_map(|(_, value)| storage_in(&plain(value)))
        .collect();
    found.sort();
    found.dedup();
    found
}

fn node(limits: &Limits, name: &str) -> Result<(), String> {
    let text = || format!("Steward may not change anything on node {name}. An admin can allow it in the settings.");
    if limits.allows_node(name) { Ok(()) } else { Err(text()) }
}

fn storage(limits: &Limits, name: &str) -> Result<(), String> {
    let text = || format!("Steward may not put anything on storage {name}. An admin can allow it in the settings.");
    if limits.allows_storage(name) { Ok(()) } else { Err(text()) }
}

fn bridge(limits: &Limits, name: &str) -> Result<(), String> {
    let text = || format!("Steward may not connect anything to bridge {name}. An admin can allow it in the settings.");
    if limits.allows_bridge(name) { Ok(()) } else { Err(text()) }
}

fn template(limits: &Limits, vmid: u32) -> Result<(), String> {
    let text = || format!("Steward may not make machines from template {vmid}. An admin can allow it in the settings.");
    if limits.allows_template(vmid) { Ok(()) } else { Err(text()) }
}

fn number(limits: &Limits, text: &str) -> Result<(), String> {
    let (low, high) = limits.vmid_range();
    match text.parse::<u32>() {
        Ok(vmid) if (low..=high).contains(&vmid) => Ok(()),
        _ => Err(format!("New machines get numbers from {low} to {high} here, not {text}.")),
    }
}

/// Without percent signs: `%2F` is `/`.
fn decoded(path: &str) -> String {
    let mut bytes = Vec::with_capacity(path.len());
    let mut rest = path.as_bytes();
    while let [first, more @ ..] = rest {
        let pair = more.get(..2).and_then(|hex| std::str::from_utf8(hex).ok());
        let code = pair.filter(|_| *first == b'%').and_then(|hex| u8::from_str_radix(hex, 16).ok());
        bytes.push(code.unwrap_or(*first));
        rest = if code.is_some() { &more[2..] } else { more };
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

/// A parameter as it goes over the wire.
fn plain(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Null => String::new(),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    /// 9000 is a template on local-lvm, 9001 one on ceph; number 150 is being made by this job.
    struct World;

    impl Machines for World {
        fn is_template(&self, vmid: u32) -> bool {
            vmid >= 9000
        }
        fn is_being_made(&self, vmid: u32) -> bool {
            vmid == 150
        }
        /// 300 and up are on pve2, 800 nowhere.
        fn node_of(&self, vmid: u32) -> Option<String> {
            let node = if vmid < 300 { "pve1" } else { "pve2" };
            (vmid < 800).then(|| node.to_owned())
        }
    }

    fn judge(limits: &Limits, path: &str, params: &Value) -> Result<(), String> {
        let change = Change { path, params, delete: false };
        let original =
            unnamed_copy(limits, &change).map(|(_, _, vmid)| if vmid == 9000 { "local-lvm" } else { "ceph" });
        let copied: Vec<String> = original.map(str::to_owned).into_iter().collect();
        check(limits, &change, &Known { machines: &World, own_token: "steward@pve!a", copied: &copied })
    }

    fn limits() -> Limits {
        Limits {
            nodes: vec!["pve1".into()],
            vmid_min: Some(100),
            vmid_max: Some(199),
            storages: vec!["local-lvm".into(), "fast".into()],
            bridges: vec!["vmbr1".into()],
            templates: vec![9000],
        }
    }

    fn sent(path: &str, params: Value) -> Result<(), String> {
        judge(&limits(), path, &params)
    }

    #[test]
    fn a_node_that_is_not_allowed_can_neither_be_changed_nor_be_a_target() {
        assert!(sent("/nodes/pve1/qemu/100/status/start", Value::Null).is_ok());
        assert!(sent("/nodes/pve2/qemu/100/status/start", Value::Null).is_err());
        assert!(sent("/nodes/pve2/qemu/100/config", json!({ "cores": 2 })).is_err());
        assert!(sent("/nodes/pve1/qemu/100/migrate", json!({ "target": "pve2" })).is_err());
        assert!(sent("/nodes/pve2/vzdump", json!({ "vmid": 100 })).is_err());
        assert!(sent("/pools", Value::Null).is_ok());
        for hidden in ["/nodes%2Fpve2/qemu/100", "/n%6fdes/pve2/qemu/100", "//nodes//pve2/x", "/nodes/pve1/../pve2/x"] {
            assert!(sent(hidden, Value::Null).is_err(), "{hidden}");
        }
    }

    #[test]
    fn what_concerns_the_whole_cluster_must_name_allowed_machines_and_nodes() {
        for (path, params) in [
            ("/cluster/bulk-action/guest/shutdown", json!({ "vms": [100, 101] })),
            ("/cluster/ha/resources", json!({ "sid": "vm:100" })),
            ("/cluster/ha/resources/vm:100/relocate", json!({ "node": "pve1" })),
            ("/cluster/ha/rules", json!({ "resources": "vm:100,ct:101", "nodes": "pve1:2" })),
            ("/cluster/backup", json!({ "vmid": "100,101", "storage": "fast" })),
            ("/cluster/backup", json!({ "all": 1, "node": "pve1", "storage": "fast" })),
            ("/storage", json!({ "storage": "fast", "nodes": "pve1" })),
            ("/pools", json!({ "poolid": "a", "vms": "100,101", "storage": "fast" })),
            ("/nodes/pve1/stopall", json!({ "vms": "100 101" })),
        ] {
            assert_eq!(sent(path, params.clone()), Ok(()), "{path} {params}");
        }
        for (path, params) in [
            ("/cluster/bulk-action/guest/shutdown", json!({ "vms": [100, 300] })),
            ("/cluster/bulk-action/guest/shutdown", json!({ "vms": "100,800" })),
            ("/cluster/bulk-action/guest/shutdown", Value::Null),
            ("/cluster/bulk-action/guest/migrate", json!({ "vms": [100], "target-node": "pve2" })),
            ("/cluster/ha/resources", json!({ "sid": "vm:300" })),
            ("/cluster/ha/resources/vm:300", Value::Null),
            ("/cluster/ha/resources/vm%3A300", Value::Null),
            ("/cluster/ha/resources/vm:100/migrate", json!({ "node": "pve2" })),
            ("/cluster/ha/rules", json!({ "resources": "vm:100", "nodes": "pve1,pve2:1" })),
            ("/cluster/ha/rules/mine", json!({ "disable": 1 })),
            ("/cluster/backup", json!({ "all": 1, "storage": "fast" })),
            ("/cluster/backup", json!({ "vmid": "100", "storage": "ceph" })),
            ("/cluster/backup/job-1", json!({ "enabled": 0 })),
            ("/storage", json!({ "storage": "fast" })),
            ("/storage", json!({ "storage": "ceph", "nodes": "pve1" })),
            ("/storage/fast", json!({ "disable": 1 })),
            ("/pools", json!({ "poolid": "a", "vms": "100,300" })),
            ("/pools", json!({ "poolid": "a", "storage": "fast,ceph" })),
            ("/nodes/pve1/vzdump", json!({ "vmid": "300" })),
            ("/nodes/pve1/migrateall", json!({ "target": "pve2" })),
        ] {
            assert!(sent(path, params.clone()).is_err(), "{path} {params}");
        }
    }

    #[test]
    fn places_that_steward_has_no_business_at_are_refused_whatever_the_lists_say() {
        for path in [
            "/access/users/root@pam/token/mine",
            "/access/acl",
            "/access%2Facl",
            "/access/password",
            "/cluster/config/join",
            "/cluster/firewall/rules",
            "/cluster/options",
            "/cluster/sdn",
            "/nodes/pve1/execute",
            "/nodes/pve1/status",
            "/nodes/pve1/termproxy",
            "/nodes/pve1/network",
            "/nodes/pve1/qemu/100/remote_migrate",
            "/something/new",
            "/",
        ] {
            assert!(judge(&Limits::default(), path, &Value::Null).is_err(), "{path}");
        }
        for path in ["/pools", "/cluster/bulk-action/guest/start", "/cluster/backup/job-1", "/storage/nas"] {
            assert_eq!(judge(&Limits::default(), path, &json!({ "vms": "100" })), Ok(()), "{path}");
        }
    }

    #[test]
    fn a_template_on_another_node_may_be_read_when_the_copy_goes_to_an_allowed_one() {
        let clone = |params| sent("/nodes/pve2/qemu/9000/clone", params);
        clone(json!({ "newid": 150, "target": "pve1" })).unwrap();
        assert!(clone(json!({ "newid": 150 })).is_err(), "the copy would stay on pve2");
        assert!(clone(json!({ "newid": 150, "target": "pve3" })).is_err());
        // What this job makes begins beside its template, and is cleaned up there when the job gives up.
        assert!(sent("/nodes/pve2/qemu/150", Value::Null).is_ok());
        assert!(sent("/nodes/pve2/qemu/151", Value::Null).is_err());
        assert!(sent("/nodes/pve2/tasks/UPID:pve2:1:2:3:qmclone:9000:steward@pve!a:", Value::Null).is_ok());
        assert!(sent("/nodes/pve2/tasks/UPID:pve2:1:2:3:qmclone:9000:root@pam:", Value::Null).is_err());
    }

    #[test]
    fn templates_numbers_and_storages_of_copies_are_checked() {
        let clone = |vmid: u32, params| sent(&format!("/nodes/pve1/qemu/{vmid}/clone"), params);
        clone(9000, json!({ "newid": 199, "storage": "fast" })).unwrap();
        assert!(clone(9001, json!({ "newid": 150, "storage": "fast" })).unwrap_err().contains("template 9001"));
        assert!(clone(9000, json!({ "newid": 200 })).unwrap_err().contains("100 to 199"));
        assert!(clone(9000, json!({ "newid": 150, "storage": "ceph" })).unwrap_err().contains("storage ceph"));
        // An ordinary machine is not a template; its copy's disks go where its own are.
        assert!(clone(120, json!({ "newid": 150 })).unwrap_err().contains("storage ceph"));
        clone(120, json!({ "newid": 150, "storage": "fast" })).unwrap();
        assert!(sent("/nodes/pve1/qemu", json!({ "vmid": 200 })).is_err());
        assert!(sent("/nodes/pve1/lxc", json!({ "vmid": "99" })).is_err());
        assert!(sent("/nodes/pve1/qemu", json!({ "vmid": 150 })).is_ok());
    }

    #[test]
    fn every_way_to_name_a_storage_is_seen() {
        let config = |key: &str, value: &str| sent("/nodes/pve1/qemu/100/config", json!({ key: value }));
        for (key, value) in [
            ("scsi0", "ceph:16,discard=on"),
            ("virtio1", "discard=on,file=ceph:16"),
            ("sata3", "ceph:vm-100-disk-0"),
            ("ide2", "ceph:cloudinit,media=cdrom"),
            ("ide2", "ceph:vm-100-cloudinit,media=cdrom"),
            ("efidisk0", "ceph:1,efitype=4m"),
            ("tpmstate0", "ceph:1,version=v2.0"),
            ("scsi1", "/dev/sdb"),
            ("rootfs", "volume=ceph:8"),
            ("mp0", "ceph:8,mp=/srv"),
            ("vmstatestorage", "ceph"),
        ] {
            assert!(config(key, value).is_err(), "{key}={value}");
            assert!(config(key, &value.replace("ceph", "fast").replace("/dev/sdb", "fast:1")).is_ok(), "{key}={value}");
        }
        // What is only read, or no disk at all.
        for (key, value) in [
            ("ide2", "local:iso/debian.iso,media=cdrom"),
            ("ide2", "none,media=cdrom"),
            ("scsihw", "virtio-scsi-single"),
            ("scsi0", "fast:0,import-from=local:import/debian.qcow2"),
            ("description", "scsi0: ceph:16"),
        ] {
            assert!(config(key, value).is_ok(), "{key}={value}");
        }
        assert!(sent("/nodes/pve1/qemu/100/move_disk", json!({ "disk": "scsi0", "storage": "ceph" })).is_err());
        let migrate =
            |map: &str| sent("/nodes/pve1/qemu/100/migrate", json!({ "target": "pve1", "targetstorage": map }));
        assert!(migrate("1").is_ok() && migrate("fast").is_ok() && migrate("ceph:fast,old:local-lvm").is_ok());
        assert!(migrate("ceph").is_err() && migrate("fast:ceph").is_err());
        assert!(sent("/nodes/pve1/storage/ceph/download-url", json!({ "url": "https://x" })).is_err());
        assert!(sent("/nodes/pve1/storage/fast/upload", Value::Null).is_ok());
    }

    #[test]
    fn network_cards_go_to_allowed_bridges_only() {
        let card = |value: &str| sent("/nodes/pve1/qemu/100/config", json!({ "net0": value }));
        card("virtio=BC:24:11:00:00:01,bridge=vmbr1,tag=20").unwrap();
        assert!(card("virtio,bridge=vmbr0").unwrap_err().contains("bridge vmbr0"));
        assert!(sent("/nodes/pve1/lxc/100/config", json!({ "net12": "name=eth0,bridge=vmbr0" })).is_err());
        assert!(sent("/nodes/pve1/qemu/100/config", json!({ "netx": "bridge=vmbr0" })).is_ok());
    }

    #[test]
    fn empty_lists_allow_all() {
        let none = Limits::default();
        for (path, params) in [
            ("/nodes/pve7/qemu/1/clone", json!({ "newid": 150 })),
            ("/nodes/pve7/qemu", json!({ "vmid": 500, "scsi0": "any:16", "net0": "virtio,bridge=any" })),
            ("/nodes/pve7/storage/any/upload", Value::Null),
        ] {
            judge(&none, path, &params).unwrap();
        }
    }

    #[test]
    fn a_configuration_tells_its_storages() {
        let config = json!({
            "scsi0": "ceph:vm-1-disk-0,size=8G", "ide2": "fast:vm-1-cloudinit,media=cdrom", "cores": 2,
            "ide0": "local:iso/x.iso,media=cdrom", "unused0": "old:vm-1-disk-3",
        });
        assert_eq!(storages_in(&config), ["ceph", "fast"]);
    }

    proptest::proptest! {
        /// Whatever a plugin makes up, nothing is sent to a node outside of the list, except reading a template.
        #[test]
        fn no_address_reaches_another_node(
            node in "pve[1-9]", rest in "(/(qemu|lxc|storage|tasks|config|clone|[0-9]{1,4})){0,5}",
            target in proptest::option::of("pve[1-9]"),
        ) {
            let params = target.as_ref().map_or(Value::Null, |t| json!({ "target": t }));
            let path = format!("/nodes/{node}{rest}");
            if sent(&path, params).is_ok() {
                let own = rest.contains("/150");
                let last = target.as_deref().unwrap_or(&node);
                proptest::prop_assert!(own || last == "pve1", "{path} {target:?}");
                proptest::prop_assert!(own || node == "pve1" || rest.ends_with("/clone"), "{path} {target:?}");
            }
        }
    }
}
