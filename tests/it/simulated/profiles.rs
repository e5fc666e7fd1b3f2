//! Hardware profiles in the create and change jobs: what Proxmox is asked for, and that it is asked for once.

use super::{bench, cluster};
use crate::dying::{Death, Played, cluster as small};
use crate::proxmox::{Bench, wanted};
use plugin::{Mode, Outcome};
use serde_json::{Value, json};

/// All that a profile can set, for a machine of template 9000.
fn everything() -> Value {
    let mut spec = wanted();
    spec["disk"] = json!(12);
    spec["vlan"] = Value::Null;
    spec["mac_salt"] = json!(5);
    spec["hardware"] = json!({
        "sockets": "2", "cpu_type": "host", "numa": "1", "memory_min": "1024", "disk_cache": "writeback", "disk_discard": "1",
        "disk_ssd": "1", "disk_iothread": "1", "nic_model": "e1000", "mac_prefix": "52:54:00", "nic_firewall": "1",
        "system": "windows11", "machine": "q35", "firmware": "ovmf", "secure_boot": "1", "tpm": "1", "display": "qxl",
        "scsi": "virtio-scsi-single", "agent": "0", "hotplug": "network disk",
        "smbios_manufacturer": "Müller & Söhne", "smbios_product": "Rechner 1", "smbios_version": "v", "smbios_serial": "00,7=x",
        "smbios_sku": "s", "smbios_family": "f", "pci": "gpu1 capture",
    });
    spec["disks"] = json!([
        { "gib": 3, "storage": null, "cache": "none", "discard": false, "ssd": true, "iothread": null },
        { "gib": 4, "storage": "nas", "cache": null, "discard": null, "ssd": null, "iothread": true },
    ]);
    spec
}

async fn config(bench: &Bench) -> Value {
    bench.client.call("GET", "/nodes/pve1/qemu/500/config", &json!({"current": true})).await.unwrap()
}

fn text<'a>(config: &'a Value, key: &str) -> &'a str {
    config[key].as_str().unwrap_or_else(|| panic!("{key}: {config:#}"))
}

#[tokio::test(flavor = "multi_thread")]
async fn all_values_of_a_profile_arrive_in_a_machine_from_a_template() {
    let sim = cluster().await;
    let bench = bench(&sim);
    let before = config_of_template(&bench).await;
    bench.done("guest_create", &everything()).await;
    let c = config(&bench).await;
    let numbers = (&c["sockets"], &c["cores"], &c["balloon"], &c["numa"]);
    assert_eq!(numbers, (&json!(2), &json!(2), &json!(1024), &json!(1)), "{c:#}");
    let texts = ["cpu", "machine", "bios", "vga", "ostype", "hotplug"].map(|k| text(&c, k));
    assert_eq!(texts, ["host", "q35", "ovmf", "qxl", "win11", "network,disk"]);
    assert!(text(&c, "agent").starts_with("enabled=0"), "{c:#}");
    // 500 + 5 is 0x1F9.
    assert_eq!(text(&c, "net0"), "e1000=52:54:00:00:01:F9,bridge=vmbr0,firewall=1");
    let drive = text(&c, "scsi0");
    for option in ["cache=writeback", "discard=on", "ssd=1", "iothread=1", "size=12G"] {
        assert!(drive.contains(option), "{option}: {drive}");
    }
    assert!(text(&c, "efidisk0").contains("pre-enrolled-keys=1") && text(&c, "tpmstate0").contains("version=v2.0"));
    assert_eq!((text(&c, "hostpci0"), text(&c, "hostpci1")), ("mapping=gpu1,pcie=1", "mapping=capture,pcie=1"));
    let one = text(&c, "scsi1");
    assert!(one.starts_with("local-lvm:") && one.contains("size=3G") && one.contains("discard=ignore"), "{one}");
    let two = text(&c, "scsi2");
    assert!(two.starts_with("nas:") && two.contains("size=4G") && two.contains("iothread=1"), "{two}");
    let identity = text(&c, "smbios1");
    assert!(identity.starts_with("manufacturer=TcO8bGxlciAmIFPDtmhuZQ==,"), "{identity}");
    assert!(identity.ends_with(",base64=1") && identity.contains("uuid="), "a copy's own UUID stays: {identity}");
    assert!(!identity.contains(text(&before, "smbios1").trim_start_matches("uuid=")), "not the template's");
    // And it reads back in clear.
    let who = json!({"vmid": 500, "kind": "vm", "node": "pve1"});
    let told = bench.call("guest_hardware", vec![who]).await.unwrap();
    let value = |key: &str| {
        let all = told["values"].as_array().unwrap();
        all.iter().find(|v| v["key"] == key).unwrap_or_else(|| panic!("{key}"))["current"].clone()
    };
    assert_eq!((value("smbios_manufacturer"), value("smbios_serial")), (json!("Müller & Söhne"), json!("00,7=x")));
    assert_eq!(
        (value("pci"), value("disk_ssd"), value("nic_model")),
        (json!("gpu1 capture"), json!("1"), json!("e1000"))
    );
}

async fn config_of_template(bench: &Bench) -> Value {
    bench.get("/nodes/pve1/qemu/9000/config").await
}

#[tokio::test(flavor = "multi_thread")]
async fn all_values_of_a_profile_arrive_in_a_blank_machine() {
    let sim = cluster().await;
    let bench = bench(&sim);
    let isos = bench.call("choices", vec![json!("pve1")]).await.unwrap();
    let mut spec = everything();
    spec["source"] = json!({"from": "iso", "volid": isos["isos"][0], "system": "linux"});
    bench.done("guest_create", &spec).await;
    let c = config(&bench).await;
    let texts = ["machine", "bios", "vga", "ostype", "net0"].map(|k| text(&c, k));
    assert_eq!(texts, ["q35", "ovmf", "qxl", "win11", "e1000=52:54:00:00:01:F9,bridge=vmbr0,firewall=1"]);
    assert!(text(&c, "sata0").contains("cache=writeback") && text(&c, "sata1").contains("size=3G"), "{c:#}");
    let id = spec["mark"].as_str().unwrap();
    assert!(text(&c, "smbios1").contains(&format!("uuid={}-", &id[..8])), "{c:#}");
    assert!(c["tpmstate0"].is_string() && c["efidisk0"].is_string() && c["sata2"].is_string());
    // Without a TPM, though its system would get one.
    let mut spec = everything();
    spec["source"] = json!({"from": "iso", "volid": isos["isos"][0], "system": "windows11"});
    spec["name"] = json!("bare");
    spec["hardware"] = json!({"tpm": "0", "firmware": "seabios"});
    spec["disks"] = json!([]);
    bench.done("guest_create", &spec).await;
    let c = bench.get("/nodes/pve1/qemu/501/config").await;
    assert!(c["tpmstate0"].is_null() && c["efidisk0"].is_null() && c["bios"] == "seabios", "{c:#}");
}

#[tokio::test(flavor = "multi_thread")]
async fn proxmox_refuses_what_it_refuses_and_nothing_is_left() {
    let sim = cluster().await;
    let bench = bench(&sim);
    let before = bench.vmids().await;
    let with = |hardware: Value| {
        let mut spec = wanted();
        spec["hardware"] = hardware;
        spec
    };
    // No such mapping: taken by the configuration, refused at the start.
    let why = bench.refused("guest_create", &with(json!({"pci": "gpu9"}))).await;
    assert!(why.contains("PCI device mapping not found for 'gpu9'"), "{why}");
    let mut nowhere = wanted();
    nowhere["disks"] = json!([{"gib": 1, "storage": "no-such"}]);
    let why = bench.refused("guest_create", &nowhere).await;
    assert!(why.contains("no storage no-such"), "{why}");
    assert_eq!(bench.vmids().await, before);
    let raw = |key: &str, value: &str| {
        let client = bench.client.clone();
        let params = json!({key: value});
        async move { client.call("PUT", "/nodes/pve1/qemu/9000/config", &params).await.unwrap_err().message }
    };
    assert!(
        raw("hostpci0", "0000:01:00.0").await.contains("only root can set 'hostpci0' config for non-mapped devices")
    );
    assert!(raw("hostpci0", "pcie=1").await.contains("either 'host' or 'mapping' must be set"));
    assert!(raw("smbios1", "manufacturer=A B").await.contains("manufacturer: value does not match"), "not base64");
    assert!(raw("machine", "pc-99").await.contains("type: value does not match"));
    // The right to use mappings is one that is asked for.
    let rights = bench.call("probe", vec![]).await.unwrap();
    assert_eq!(rights["missing"], json!([]), "{rights:#}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_create_job_with_a_profile_dies_at_every_point_and_every_disk_is_there_once() {
    let cluster = small(0.01).await;
    let looker = Played::of(&cluster, "guest_create", |_| json!({}));
    let list = looker.outside.client.call("GET", "/cluster/resources", &json!({ "type": "vm" })).await.unwrap();
    let template =
        list.as_array().unwrap().iter().find(|g| g["template"] == 1 && g["node"] == "pve1" && g["type"] == "qemu");
    let template = template.unwrap()["vmid"].clone();
    let mut points = 0;
    for point in 0.. {
        let job = Played::of(&cluster, "guest_create", |mark| {
            json!({
                "name": format!("point-{point}"), "node": "pve1", "source": { "from": "template", "vmid": template, "full": true },
                "cores": 2, "memory": 2048, "disk": 64, "storage": null, "bridge": "vmbr0", "vlan": null,
                "address": { "mode": "dhcp" }, "user": "mira", "ssh_keys": "", "tags": [], "description": "", "start": true,
                "mark": mark, "hardware": { "firmware": "ovmf", "tpm": "1", "smbios_serial": "7", "disk_ssd": "1" },
                "disks": [{ "gib": 1 }, { "gib": 2 }],
            })
        });
        let before = job.guests().await;
        let first = job.life(&Death::at(point), Mode::Forward, false).await;
        let died = first.is_none();
        let last = match first {
            Some(outcome) => outcome,
            None => job.life(&Death::at(usize::MAX), Mode::Forward, false).await.unwrap(),
        };
        let log = job.disk.log.lock().unwrap().join("\n");
        assert!(matches!(last, Outcome::Done(_)), "death at point {point}: {last:?}\n{log}");
        let new: Vec<u64> = job.guests().await.difference(&before).copied().collect();
        assert_eq!(new.len(), 1, "death at point {point} made {new:?}");
        let path = format!("/nodes/pve1/qemu/{}/config", new[0]);
        let c = job.outside.client.call("GET", &path, &Value::Null).await.unwrap();
        let disks: Vec<&String> =
            c.as_object().unwrap().keys().filter(|k| k.starts_with("scsi") && *k != "scsihw").collect();
        assert_eq!(disks, ["scsi0", "scsi1", "scsi2"], "death at point {point}: {c:#}");
        assert!(!c.to_string().contains("unused"), "death at point {point} left a disk: {c:#}");
        assert!(c["efidisk0"].is_string() && c["tpmstate0"].is_string(), "death at point {point}: {c:#}");
        points = point;
        if !died {
            break;
        }
    }
    assert!(points >= 26, "only {points} points: the test does not reach the disks");
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_apply_job_dies_at_every_point_and_adds_its_disk_once() {
    let sim = small(0.01).await;
    let looker = Played::of(&sim, "guest_change", |_| json!({}));
    let client = &looker.outside.client;
    let guests = client.call("GET", "/cluster/resources", &json!({"type": "vm"})).await.unwrap();
    let fits = |g: &&Value| g["type"] == "qemu" && g["template"] != 1 && g["status"] == "running";
    let guest = guests.as_array().unwrap().iter().find(fits).unwrap().clone();
    let (vmid, node) = (guest["vmid"].clone(), guest["node"].as_str().unwrap().to_owned());
    let path = format!("/nodes/{node}/qemu/{vmid}/config");
    let disks = |c: &Value| {
        let all = c.as_object().unwrap().iter();
        all.filter(|(k, v)| k.starts_with("scsi") && *k != "scsihw" && v.as_str().is_some_and(|v| v.contains("size=")))
            .count()
    };
    let mut size = client.call("GET", &path, &Value::Null).await.unwrap();
    for point in 0.. {
        let before = disks(&size);
        let args = json!({"vmid": vmid, "kind": "vm", "node": node, "action": "apply", "name": "P",
                          "values": {"cpu_limit": format!("{}", point + 1)},
                          "grow": {"disk": "scsi0", "gib": 100 + point}, "add": [{"gib": 1}]});
        let job = Played::of(&sim, "guest_change", |_| args);
        let first = job.life(&Death::at(point), Mode::Forward, false).await;
        let died = first.is_none();
        let last = match first {
            Some(outcome) => outcome,
            None => job.life(&Death::at(usize::MAX), Mode::Forward, false).await.unwrap(),
        };
        let log = job.disk.log.lock().unwrap().join("\n");
        assert!(matches!(last, Outcome::Done(_)), "death at point {point}: {last:?}\n{log}");
        size = client.call("GET", &path, &Value::Null).await.unwrap();
        assert_eq!(disks(&size), before + 1, "death at point {point}: {size:#}");
        assert!(size["scsi0"].as_str().unwrap().contains(&format!("size={}G", 100 + point)), "{size:#}");
        assert_eq!(size["cpulimit"], format!("{}", point + 1).as_str());
        if !died {
            assert!(point >= 10, "only {point} points: the test does not reach what it should");
            break;
        }
    }
    sim.stop().await;
}
