//! The keys of a VM's configuration: their types, which privilege each needs, how they are shown.

use crate::formats::{self, Props};
use crate::schema::{Param, Type, opt, row};

use Type::{Bool, Format, Int, List, Num, OneOf, Text};

const OSTYPES: &[&str] =
    &["other", "wxp", "w2k", "w2k3", "w2k8", "wvista", "win7", "win8", "win10", "win11", "l24", "l26", "solaris"];
const SCSIHW: &[&str] = &["lsi", "lsi53c810", "virtio-scsi-pci", "virtio-scsi-single", "megasas", "pvscsi"];

/// Parameters of create and of both config calls.
pub const CONFIG: &[Param] = &[
    opt("acpi", Bool),
    opt("affinity", Text(0, 200)),
    opt("agent", Format(agent)),
    opt("args", Text(0, 4096)),
    opt("autostart", Bool),
    opt("balloon", Int(0, 1 << 30)),
    opt("bios", OneOf(&["seabios", "ovmf"])),
    opt("boot", Format(boot)),
    opt("bootdisk", Format(formats::config_id)),
    opt("cdrom", Format(drive)),
    opt("cicustom", Text(0, 1024)),
    opt("cipassword", Text(0, 1024)),
    opt("citype", OneOf(&["configdrive2", "nocloud", "opennebula"])),
    opt("ciupgrade", Bool),
    opt("ciuser", Text(0, 256)),
    opt("cores", Int(1, i64::MAX)),
    opt("cpu", Text(0, 512)),
    opt("cpulimit", Num(0.0, 128.0)),
    opt("cpuunits", Int(1, 262_144)),
    opt("description", Text(0, 8192)),
    opt("efidisk0", Format(drive)),
    opt("hookscript", Text(0, 512)),
    opt("hotplug", Format(hotplug)),
    opt("keyboard", Text(0, 16)),
    opt("kvm", Bool),
    opt("localtime", Bool),
    opt("machine", Format(machine)),
    opt("memory", Format(memory)),
    opt("name", Format(formats::dns_name)),
    opt("nameserver", Text(0, 512)),
    opt("numa", Bool),
    opt("onboot", Bool),
    opt("ostype", OneOf(OSTYPES)),
    opt("protection", Bool),
    opt("rng0", Text(0, 256)),
    opt("scsihw", OneOf(SCSIHW)),
    opt("searchdomain", Text(0, 512)),
    opt("shares", Int(0, 50_000)),
    opt("smbios1", Format(smbios1)),
    opt("sockets", Int(1, i64::MAX)),
    opt("sshkeys", Format(urlencoded)),
    opt("startup", Text(0, 128)),
    opt("tablet", Bool),
    opt("tags", List(formats::tag)),
    opt("tpmstate0", Format(drive)),
    opt("vcpus", Int(1, i64::MAX)),
    opt("vga", Format(vga)),
    opt("vmgenid", Text(0, 64)),
    opt("vmstatestorage", Format(formats::storage)),
    row("ide", 4, Format(drive)),
    row("sata", 6, Format(drive)),
    row("scsi", 31, Format(drive)),
    row("virtio", 16, Format(drive)),
    row("unused", 256, Format(drive)),
    row("net", 32, Format(net)),
    row("ipconfig", 32, Format(ipconfig)),
    row("serial", 4, Format(serial)),
    row("numa", 8, Text(0, 256)),
    row("hostpci", 16, Format(hostpci)),
    row("usb", 14, Text(0, 256)),
];

/// Whether it is a key of a VM's configuration.
pub fn exists(key: &str) -> bool {
    CONFIG.iter().any(|p| p.is(key))
}

/// The privilege that changing a key needs; cloud-init keys take either of two.
pub fn privileges(key: &str, value: &str) -> &'static [&'static str] {
    match base(key) {
        "cores" | "sockets" | "vcpus" | "cpu" | "cpulimit" | "cpuunits" | "numa" | "affinity" => &["VM.Config.CPU"],
        "memory" | "balloon" | "shares" => &["VM.Config.Memory"],
        "net" => &["VM.Config.Network"],
        "ipconfig" | "ciuser" | "cipassword" | "citype" | "ciupgrade" | "cicustom" | "sshkeys" | "nameserver"
        | "searchdomain" => &["VM.Config.Cloudinit", "VM.Config.Network"],
        "ide" | "sata" | "scsi" | "virtio" if value.contains("media=cdrom") || value.contains(":cloudinit") => {
            &["VM.Config.CDROM"]
        }
        "cdrom" => &["VM.Config.CDROM"],
        "ide" | "sata" | "scsi" | "virtio" | "unused" | "boot" | "bootdisk" | "efidisk" | "tpmstate"
        | "vmstatestorage" => &["VM.Config.Disk"],
        "hotplug" | "machine" | "scsihw" | "vga" | "smbios" | "serial" | "kvm" | "acpi" | "tablet" | "rng"
        | "keyboard" | "localtime" | "vmgenid" | "hostpci" | "usb" => &["VM.Config.HWType"],
        _ => &["VM.Config.Options"],
    }
}

/// Keys that only `root@pam` itself may set.
pub fn only_root(key: &str) -> bool {
    matches!(base(key), "args" | "hookscript" | "affinity" | "usb")
}

/// The key without its number.
pub fn base(key: &str) -> &str {
    key.trim_end_matches(|c: char| c.is_ascii_digit())
}

/// Shown as numbers; all else is text (also memory, cpulimit, agent).
pub fn is_number(key: &str) -> bool {
    matches!(
        key,
        "acpi"
            | "autostart"
            | "balloon"
            | "ciupgrade"
            | "cores"
            | "cpuunits"
            | "kvm"
            | "localtime"
            | "numa"
            | "onboot"
            | "protection"
            | "shares"
            | "sockets"
            | "tablet"
            | "template"
            | "vcpus"
            | "snaptime"
    )
}

/// Cloud-init keys: they change what the generated drive holds.
pub fn is_cloudinit(key: &str) -> bool {
    matches!(
        base(key),
        "ciuser"
            | "cipassword"
            | "citype"
            | "ciupgrade"
            | "cicustom"
            | "sshkeys"
            | "nameserver"
            | "searchdomain"
            | "ipconfig"
    )
}

pub fn is_drive(key: &str) -> bool {
    let row = CONFIG.iter().any(|p| matches!(p.name, "ide" | "sata" | "scsi" | "virtio") && p.is(key));
    row || matches!(key, "efidisk0" | "tpmstate0")
}

pub fn is_net(key: &str) -> bool {
    CONFIG.iter().any(|p| p.name == "net" && p.is(key))
}

/// Does a device's value name a device of the node itself? Only root may pass that through (qemu-server:
/// `check_hostpci_perm`).
pub fn is_raw_device(value: &str) -> bool {
    Props::parse(value, "host").get("host").is_some()
}

/// The resource mapping that a device's value names.
pub fn mapping(value: &str) -> Option<String> {
    Props::parse(value, "host").get("mapping").map(str::to_owned)
}

/// The resource mappings of the cluster, with a device on every node.
pub const MAPPINGS: &[&str] = &["gpu1", "gpu2", "capture"];

pub fn is_hostpci(key: &str) -> bool {
    CONFIG.iter().any(|p| p.name == "hostpci" && p.is(key))
}

fn hostpci(text: &str) -> Result<(), String> {
    let p = Props::parse(text, "host");
    let known =
        ["host", "mapping", "rombar", "romfile", "pcie", "x-vga", "legacy-igd", "mdev", "vendor-id", "device-id"];
    p.only(&known)?;
    match (p.get("host"), p.get("mapping")) {
        (Some(_), Some(_)) => return Err("Cannot set both 'host' and 'mapping'.".into()),
        // Callers other than root are told so when rights are checked.
        (None, None) => {}
        (None, Some(name)) => formats::config_id(name).map_err(|e| format!("format error\nmapping: {e}\n"))?,
        (Some(host), None) => {
            let id = |c: char| c.is_ascii_hexdigit() || ":.;".contains(c);
            if host.is_empty() || !host.chars().all(id) {
                return Err("format error\nhost: value does not match the regex pattern\n".into());
            }
        }
    }
    booleans(&p, &["rombar", "pcie", "x-vga", "legacy-igd"])
}

/// Texts must look like base64, whether they are or not (qemu-server: `$smbios1_fmt`).
fn smbios1(text: &str) -> Result<(), String> {
    if text.len() > 512 {
        return Err("value may only be 512 characters long".into());
    }
    let p = Props::parse(text, "");
    p.only(&["uuid", "version", "serial", "manufacturer", "product", "sku", "family", "base64"])?;
    let word = |t: &str| {
        let body = t.trim_end_matches('=');
        !body.is_empty()
            && t.len() - body.len() <= 2
            && body.chars().all(|c| c.is_ascii_alphanumeric() || "+/".contains(c))
    };
    for (key, value) in &p.0 {
        let fits = match key.as_str() {
            "base64" => true,
            "uuid" => {
                let lengths: Vec<usize> = value.split('-').map(str::len).collect();
                lengths == [8, 4, 4, 4, 12] && value.chars().all(|c| c.is_ascii_hexdigit() || c == '-')
            }
            _ => word(value),
        };
        if !fits {
            return Err(format!("format error\n{key}: value does not match the regex pattern\n"));
        }
    }
    booleans(&p, &["base64"])
}

fn machine(text: &str) -> Result<(), String> {
    let p = Props::parse(text, "type");
    p.only(&["type", "viommu", "enable-s3", "enable-s4", "aw-bits"])?;
    let kind = p.get("type").unwrap_or_default();
    let versioned = |start: &str| {
        kind.strip_prefix(start).is_some_and(|v| v.starts_with(|c: char| c.is_ascii_digit()) && v.contains('.'))
    };
    if ["pc", "q35", "virt"].contains(&kind) || ["pc-i440fx-", "pc-q35-", "pc-", "virt-"].iter().any(|s| versioned(s)) {
        return Ok(());
    }
    Err("format error\ntype: value does not match the regex pattern\n".into())
}

fn vga(text: &str) -> Result<(), String> {
    let p = Props::parse(text, "type");
    p.only(&["type", "memory", "clipboard"])?;
    let known = [
        "cirrus",
        "qxl",
        "qxl2",
        "qxl3",
        "qxl4",
        "none",
        "serial0",
        "serial1",
        "serial2",
        "serial3",
        "std",
        "virtio",
        "virtio-gl",
        "vmware",
    ];
    in_list(&p, "type", &known)
}

const DRIVE: &[&str] = &[
    "file",
    "format",
    "media",
    "cache",
    "discard",
    "ssd",
    "iothread",
    "aio",
    "backup",
    "replicate",
    "size",
    "snapshot",
    "import-from",
    "efitype",
    "pre-enrolled-keys",
    "version",
    "serial",
    "ro",
    "mbps",
    "mbps_rd",
    "mbps_wr",
    "iops",
    "iops_rd",
    "iops_wr",
    "iops_max",
    "mbps_max",
    "shared",
    "detect_zeroes",
    "werror",
    "rerror",
    "wwn",
    "queues",
];
const NET: &[&str] = &[
    "model",
    "macaddr",
    "bridge",
    "firewall",
    "link_down",
    "mtu",
    "queues",
    "rate",
    "tag",
    "trunks",
    "virtio",
    "e1000",
    "e1000e",
    "rtl8139",
    "vmxnet3",
];
pub const MODELS: &[&str] = &["virtio", "e1000", "e1000e", "rtl8139", "vmxnet3"];
const MISSING: &str = "property is missing and it is not optional";

fn drive(text: &str) -> Result<(), String> {
    let p = Props::parse(text, "file");
    p.only(DRIVE)?;
    if p.get("file").is_none() {
        return Err(format!("format error\nfile: {MISSING}\n"));
    }
    in_list(&p, "media", &["disk", "cdrom"])?;
    in_list(&p, "format", &["raw", "qcow2", "vmdk", "cloop", "qcow", "cow", "qed"])?;
    in_list(&p, "cache", &["none", "writethrough", "writeback", "unsafe", "directsync"])?;
    in_list(&p, "discard", &["ignore", "on"])?;
    booleans(&p, &["ssd", "iothread", "backup", "replicate", "ro", "shared", "pre-enrolled-keys"])
}

fn net(text: &str) -> Result<(), String> {
    let p = Props::parse(text, "model");
    p.only(NET)?;
    let by_model = MODELS.iter().find_map(|m| p.get(m));
    match (p.get("model"), by_model) {
        (None, None) => return Err(format!("format error\nmodel: {MISSING}\n")),
        (Some(model), _) if !MODELS.contains(&model) => {
            return Err(format!(
                "format error\nmodel: value '{model}' does not have a value in the enumeration '{}'\n",
                MODELS.join(", ")
            ));
        }
        (_, Some(mac)) if !formats::is_mac(mac) => {
            return Err(
                "format error\nmacaddr: invalid format - value does not look like a valid unicast MAC address\n".into(),
            );
        }
        _ => {}
    }
    if p.get("tag").is_some_and(|t| !t.parse::<u16>().is_ok_and(|n| (1..=4094).contains(&n))) {
        return Err("format error\ntag: value must have a maximum value of 4094\n".into());
    }
    booleans(&p, &["firewall", "link_down"])
}

fn ipconfig(text: &str) -> Result<(), String> {
    let p = Props::parse(text, "ip");
    p.only(&["ip", "gw", "ip6", "gw6"])?;
    let v4 = |t: &str| t == "dhcp" || cidr(t).is_some_and(|a| a.is_ipv4());
    if p.get("ip").is_some_and(|ip| !v4(ip)) {
        return Err(
            "format error\nip: invalid format - value does not look like a valid ipv4 network configuration\n".into()
        );
    }
    if p.get("gw").is_some_and(|gw| gw.parse::<std::net::Ipv4Addr>().is_err()) {
        return Err("format error\ngw: invalid format - value does not look like a valid ipv4 address\n".into());
    }
    if p.get("gw").is_some() && p.get("ip").is_none_or(|ip| ip == "dhcp") {
        return Err("gateway specified without specifying an IP address".into());
    }
    let v6 = |t: &str| t == "dhcp" || t == "auto" || cidr(t).is_some_and(|a| a.is_ipv6());
    if p.get("ip6").is_some_and(|ip| !v6(ip)) {
        return Err(
            "format error\nip6: invalid format - value does not look like a valid ipv6 network configuration\n".into(),
        );
    }
    if p.get("gw6").is_some_and(|gw| gw.parse::<std::net::Ipv6Addr>().is_err()) {
        return Err("format error\ngw6: invalid format - value does not look like a valid ipv6 address\n".into());
    }
    if p.get("gw6").is_some() && p.get("ip6").is_none_or(|ip| ip == "dhcp" || ip == "auto") {
        return Err("IPv6 gateway specified without specifying an IPv6 address".into());
    }
    Ok(())
}

/// PVE::JSONSchema `pve_verify_cidrv4` and `pve_verify_cidrv6`: digits only, and more than 7 bits.
fn cidr(text: &str) -> Option<std::net::IpAddr> {
    let (address, bits) = text.split_once('/')?;
    let address: std::net::IpAddr = address.parse().ok()?;
    let most = if address.is_ipv4() { 32 } else { 128 };
    let digits = bits.bytes().all(|b| b.is_ascii_digit());
    bits.parse::<u8>().ok().filter(|b| digits && (8..=most).contains(b)).map(|_| address)
}

fn agent(text: &str) -> Result<(), String> {
    let p = Props::parse(text, "enabled");
    p.only(&["enabled", "fstrim_cloned_disks", "freeze-fs-on-backup", "freeze-fs", "type"])?;
    if p.get("enabled").is_none() {
        return Err(format!("format error\nenabled: {MISSING}\n"));
    }
    booleans(&p, &["enabled", "fstrim_cloned_disks"])
}

fn boot(text: &str) -> Result<(), String> {
    let legacy = !text.is_empty() && text.chars().all(|c| "acdn".contains(c));
    match text.strip_prefix("order=") {
        Some(order) if order.split(';').all(|d| d.is_empty() || exists(d)) => Ok(()),
        Some(_) => Err("invalid boot device".into()),
        None if legacy || text.starts_with("legacy=") => Ok(()),
        None => Err("format error\nlegacy: value does not match the regex pattern\n".into()),
    }
}

fn hotplug(text: &str) -> Result<(), String> {
    let known = |f: &str| matches!(f, "network" | "disk" | "cpu" | "memory" | "usb" | "cloudinit");
    if text == "0" || text == "1" || text.split([',', ';', ' ']).all(known) {
        return Ok(());
    }
    Err("unable to parse hotplug option".into())
}

fn memory(text: &str) -> Result<(), String> {
    let p = Props::parse(text, "current");
    p.only(&["current"])?;
    let n: i64 = p
        .get("current")
        .unwrap_or_default()
        .parse()
        .map_err(|_| "format error\ncurrent: type check ('integer') failed\n".to_owned())?;
    if n < 16 { Err("format error\ncurrent: value must have a minimum value of 16\n".into()) } else { Ok(()) }
}

fn serial(text: &str) -> Result<(), String> {
    if text == "socket" || text.starts_with("/dev/") {
        Ok(())
    } else {
        Err("value does not match the regex pattern".into())
    }
}

/// The value itself must be percent-encoded, before the form layer encodes it once more.
fn urlencoded(text: &str) -> Result<(), String> {
    let ok = |c: char| c.is_ascii_alphanumeric() || "-%_.!~*'()".contains(c);
    if text.chars().all(ok) { Ok(()) } else { Err(format!("invalid urlencoded string: {text}")) }
}

fn in_list(p: &Props, key: &str, all: &[&str]) -> Result<(), String> {
    match p.get(key) {
        Some(v) if !all.contains(&v) => Err(format!(
            "format error\n{key}: value '{v}' does not have a value in the enumeration '{}'\n",
            all.join(", ")
        )),
        _ => Ok(()),
    }
}

/// Inside property strings also on, off, yes, no, true and false.
fn booleans(p: &Props, keys: &[&str]) -> Result<(), String> {
    const WORDS: &[&str] = &["0", "1", "on", "off", "yes", "no", "true", "false"];
    match keys.iter().find(|k| p.get(k).is_some_and(|v| !WORDS.contains(&v))) {
        Some(k) => {
            Err(format!("format error\n{k}: type check ('boolean') failed - got '{}'\n", p.get(k).unwrap_or_default()))
        }
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_taken_as_proxmox_takes_them() {
        for good in ["ip=dhcp", "ip=10.0.0.5/24,gw=10.0.0.1", "ip6=auto", "ip6=fd00::5/64,gw6=fd00::1"] {
            assert_eq!(ipconfig(good), Ok(()), "{good}");
        }
        for bad in [
            "ip=10.0.0.5/+24",
            "ip=10.0.0.5/4",
            "ip=10.0.0.5",
            "ip=10.0.0.5/24,gw=fd00::1",
            "ip6=fd00::5/64,gw6=10.0.0.1",
            "ip=10.0.0.5/24,gw6=fd00::1",
            "ip6=auto,gw6=fd00::1",
        ] {
            assert!(ipconfig(bad).is_err(), "{bad}");
        }
    }
}
