//! Disks: reading a drive's text, making and naming volumes, copying and linking them.

use super::keys::{base, is_drive};
use crate::formats::{Props, print_size, size};
use crate::state::{Cluster, Config, Storage, Volume, volume_key};
use crate::storage;

/// Size of a generated cloud-init drive.
const CLOUDINIT: u64 = 4 << 20;

/// What the `file` of a drive asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// `STORAGE:SIZE` with the size in GiB.
    New { storage: String, bytes: u64 },
    /// `STORAGE:cloudinit`.
    Cloudinit { storage: String },
    /// An empty CD drive, or the host's.
    Empty,
    /// Something that is there already.
    Volume(String),
}

pub fn source(text: &str) -> Source {
    let file = Props::parse(text, "file").get("file").unwrap_or_default().to_owned();
    if matches!(file.as_str(), "none" | "cdrom") {
        return Source::Empty;
    }
    let Some((storage, rest)) = file.split_once(':') else { return Source::Volume(file) };
    let storage = storage.to_owned();
    match rest.parse::<f64>() {
        Ok(gib) if gib >= 0.0 => Source::New { storage, bytes: (gib * (1_u64 << 30) as f64) as u64 },
        _ if rest == "cloudinit" => Source::Cloudinit { storage },
        _ => Source::Volume(file),
    }
}

pub fn is_cdrom(text: &str) -> bool {
    text.contains("media=cdrom")
}

pub fn is_cloudinit(text: &str) -> bool {
    let file = text.split(',').next().unwrap_or_default();
    file.ends_with("-cloudinit") || file.ends_with("-cloudinit.qcow2") || file.ends_with("-cloudinit.raw")
}

/// The volume id at the front of a drive's text.
pub fn volid(text: &str) -> &str {
    let file = text.split(',').next().unwrap_or_default();
    file.strip_prefix("file=").or_else(|| file.strip_prefix("volume=")).unwrap_or(file)
}

/// Drives that hold a volume of this guest: disks and the cloud-init drive, not ISOs.
pub fn own_volumes(config: &Config) -> Vec<(String, String)> {
    let own = |(k, v): (&String, &String)| {
        let disk = (is_drive(k) || base(k) == "unused" || k == "rootfs" || base(k) == "mp")
            && (!is_cdrom(v) || is_cloudinit(v))
            && volid(v).contains(':');
        disk.then(|| (k.clone(), volid(v).to_owned()))
    };
    config.iter().filter_map(own).collect()
}

/// The volume whose size `maxdisk` reports: the first disk of the boot order.
pub fn first_disk(config: &Config) -> Option<String> {
    if let Some(root) = config.get("rootfs") {
        return Some(volid(root).to_owned());
    }
    let order = config.get("boot").and_then(|b| b.strip_prefix("order=")).unwrap_or_default();
    let disk = |k: &&str| is_drive(k) && config.get(*k).is_some_and(|v| !is_cdrom(v));
    let first = order.split(';').find(|k| disk(k)).or_else(|| config.keys().map(String::as_str).find(|k| disk(k)));
    first.and_then(|k| config.get(k)).map(|v| volid(v).to_owned())
}

/// The free name for a new volume of a guest.
fn free_name(c: &Cluster, s: &Storage, vmid: u32, format: &str) -> String {
    let own: Vec<&str> =
        c.volumes.values().filter(|v| v.vmid == Some(vmid) && v.storage == s.id).map(|v| v.volid.as_str()).collect();
    let taken =
        |n: u32| own.iter().any(|v| v.split(['/', ':', '.']).any(|part| part.ends_with(&format!("-{vmid}-disk-{n}"))));
    let n = (0..10_000).find(|n| !taken(*n)).unwrap_or(0);
    named(s, vmid, &format!("vm-{vmid}-disk-{n}"), format)
}

fn named(s: &Storage, vmid: u32, name: &str, format: &str) -> String {
    if is_files(s) { format!("{}:{vmid}/{name}.{format}", s.id) } else { format!("{}:{name}", s.id) }
}

/// Directory-like storages hold files, the others block devices.
pub fn is_files(s: &Storage) -> bool {
    matches!(s.plugin.as_str(), "dir" | "nfs")
}

/// What to make: one volume of a guest on a node.
#[derive(Debug, Clone, Copy)]
pub struct Make<'a> {
    pub node: &'a str,
    pub vmid: u32,
    pub storage: &'a str,
    pub bytes: u64,
    pub format: Option<&'a str>,
    /// `images` or `rootdir`.
    pub content: &'a str,
    pub now: i64,
}

/// Makes a volume and returns its id.
pub fn allocate(c: &mut Cluster, m: Make<'_>) -> Result<String, String> {
    let s = storage::find(c, m.storage)?.clone();
    if !s.content.iter().any(|k| k == m.content) {
        return Err(format!("storage '{}' does not support content-type '{}'", s.id, m.content));
    }
    storage::check_space(c, &s, m.node, m.bytes)?;
    // A directory makes raw files unless told otherwise; a raw file can't be snapshotted.
    let format = if is_files(&s) { m.format.unwrap_or("raw") } else { "raw" };
    let volid = free_name(c, &s, m.vmid, format);
    insert(c, &s, m, volid.clone(), format, None);
    Ok(volid)
}

fn insert(c: &mut Cluster, s: &Storage, m: Make<'_>, volid: String, format: &str, parent: Option<String>) {
    let used = if parent.is_some() { m.bytes / 200 } else { storage::thin(m.bytes, &volid) };
    let v = Volume {
        storage: s.id.clone(),
        node: (!s.shared).then(|| m.node.to_owned()),
        volid,
        content: m.content.to_owned(),
        format: format.to_owned(),
        size: m.bytes,
        used,
        vmid: Some(m.vmid),
        parent,
        ctime: m.now,
    };
    c.volumes.insert(v.key(), v);
}

/// Makes the small drive that cloud-init reads.
pub fn allocate_cloudinit(c: &mut Cluster, node: &str, vmid: u32, id: &str, now: i64) -> Result<String, String> {
    let s = storage::find(c, id)?.clone();
    let volid = named(&s, vmid, &format!("vm-{vmid}-cloudinit"), "qcow2");
    let m = Make { node, vmid, storage: id, bytes: CLOUDINIT, format: None, content: "images", now };
    insert(c, &s, m, volid.clone(), if is_files(&s) { "qcow2" } else { "raw" }, None);
    Ok(volid)
}

/// Turns a requested drive into the text in the configuration, creating its volume if need be.
pub fn realize(c: &mut Cluster, node: &str, vmid: u32, text: &str, now: i64) -> Result<String, String> {
    let mut p = Props::parse(text, "file");
    match source(text) {
        Source::Empty => return Ok(p.print("file")),
        Source::Cloudinit { storage } => {
            p.set("file", allocate_cloudinit(c, node, vmid, &storage, now)?);
            p.set("media", "cdrom");
            p.set("size", print_size(CLOUDINIT));
        }
        Source::New { storage, bytes } => {
            let imported = p.get("import-from").map(|from| import_size(c, node, from)).transpose()?;
            let format = p.get("format").map(str::to_owned);
            let bytes = imported.unwrap_or(bytes);
            if bytes == 0 {
                return Err(format!("'{text}' - disk size is zero"));
            }
            let make = Make { node, vmid, storage: &storage, bytes, format: format.as_deref(), content: "images", now };
            p.set("file", allocate(c, make)?);
            p.remove("import-from");
            p.remove("format");
            p.set("size", print_size(bytes));
        }
        Source::Volume(volid) => {
            let size =
                c.volume(node, &volid).map(|v| v.size).ok_or_else(|| format!("volume '{volid}' does not exist"))?;
            p.set("size", print_size(size));
        }
    }
    Ok(p.print("file"))
}

/// The size that an imported image gives.
fn import_size(c: &Cluster, node: &str, from: &str) -> Result<u64, String> {
    let v = c.volume(node, from).ok_or_else(|| format!("import source '{from}' does not exist"))?;
    Ok(v.size)
}

/// A copy (full) or a thin child (linked) of one drive for another guest.
pub fn copy(
    c: &mut Cluster,
    node: &str,
    from: &str,
    vmid: u32,
    full: bool,
    to: Option<&str>,
    now: i64,
) -> Result<String, String> {
    let old = c.volume(node, volid(from)).cloned().ok_or_else(|| format!("volume '{}' does not exist", volid(from)))?;
    let target = to.unwrap_or(&old.storage).to_owned();
    let s = storage::find(c, &target)?.clone();
    let mut p = Props::parse(from, "file");
    let m = Make { node, vmid, storage: &target, bytes: old.size, format: None, content: &old.content, now };
    if is_cloudinit(from) {
        p.set("file", allocate_cloudinit(c, node, vmid, &target, now)?);
    } else if full {
        let format = if is_files(&s) { old.format.as_str() } else { "raw" };
        storage::check_space(c, &s, node, old.size)?;
        let fresh = free_name(c, &s, vmid, format);
        insert(c, &s, m, fresh.clone(), format, None);
        p.set("file", fresh);
    } else {
        let fresh = free_name(c, &s, vmid, &old.format);
        let shown = linked_name(&s, &old.volid, &fresh);
        insert(c, &s, m, shown.clone(), &old.format, Some(old.volid.clone()));
        p.set("file", shown);
    }
    Ok(p.print("file"))
}

/// Linked clones name their base in the id, except on LVM-thin.
fn linked_name(s: &Storage, base: &str, fresh: &str) -> String {
    let bare = |v: &str| v.split_once(':').map(|(_, r)| r.to_owned()).unwrap_or_default();
    if s.plugin == "lvmthin" { fresh.to_owned() } else { format!("{}:{}/{}", s.id, bare(base), bare(fresh)) }
}

/// Renames a disk to a base volume, as a template's.
pub fn to_base(c: &mut Cluster, node: &str, text: &str) -> String {
    let old = volid(text).to_owned();
    let fresh = old.replacen("vm-", "base-", 1);
    if let Some(mut v) = c.remove_volume(node, &old) {
        v.volid = fresh.clone();
        c.volumes.insert(v.key(), v);
    }
    let mut p = Props::parse(text, "file");
    p.set("file", fresh);
    p.print("file")
}

/// Whether anything was cloned from this volume.
pub fn has_children(c: &Cluster, node: &str, volid: &str) -> bool {
    let Some(v) = c.volume(node, volid) else { return false };
    c.volumes.values().any(|o| o.parent.as_deref() == Some(volid) && o.storage == v.storage && o.node == v.node)
}

/// Moves a guest's local volumes from one node to another.
pub fn carry(c: &mut Cluster, from: &str, to: &str, volid: &str) {
    if let Some(mut v) = c.volumes.remove(&volume_key(Some(from), volid)) {
        v.node = Some(to.to_owned());
        c.volumes.insert(v.key(), v);
    }
}

/// Writes a new size into a drive's text.
pub fn with_size(text: &str, bytes: u64) -> String {
    let mut p = Props::parse(text, "file");
    p.set("size", print_size(bytes));
    p.print("file")
}

/// The size that stands in a drive's text.
pub fn size_of(text: &str) -> u64 {
    Props::parse(text, "file").get("size").and_then(size).unwrap_or(0)
}
