//! Processor, memory, disks and cards of a machine that runs and of one that is off; the other side is asked by virsh
//! on the host, and by the system inside.

use super::{KvmHost, done, failed};
use serde_json::{Value, json};
use std::time::{Duration, Instant};

/// What a person may type and no shell or XML may take for more than text.
const NASTY: &str = "it's <b>\"$(touch /tmp/hacked)\" `id` & ]]> <@@live> @@x\nsecond; line\\";

async fn hardware(kvm: &KvmHost, path: &str) -> Value {
    kvm.appliance.ask("GET", &format!("{path}/hardware"), None).await.json()
}

fn value<'a>(all: &'a Value, key: &str) -> &'a Value {
    all["settings"].as_array().unwrap().iter().find(|v| v["key"] == key).unwrap()
}

fn disk<'a>(all: &'a Value, key: &str) -> &'a Value {
    let disks = all["disks"].as_array().unwrap();
    disks.iter().find(|d| d["key"] == key).unwrap_or_else(|| panic!("no {key} in {all:#}"))
}

async fn change(kvm: &KvmHost, path: &str, values: Value) -> Value {
    let body = json!({ "values": values });
    done(&kvm.appliance, kvm.appliance.ask("PATCH", &format!("{path}/hardware"), Some(body)).await, 60).await
}

/// Asks until the host's answer holds `part`.
async fn until(kvm: &KvmHost, command: &str, part: &str) {
    let began = Instant::now();
    loop {
        let said = kvm.host.run(command);
        if said.contains(part) {
            return;
        }
        assert!(began.elapsed() < Duration::from_secs(20), "{command} says {said}, not {part}");
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}

/// On the running machine `lab-01`, made with one core and 256 MiB; afterwards it is off.
pub async fn changes(kvm: &KvmHost, path: &str) {
    let appliance = &kvm.appliance;
    let plan = json!({ "values": { "cores": "2", "memory": "384", "memory_now": "300", "name": "lab-02" } });
    let plan = appliance.ask("POST", &format!("{path}/hardware/plan"), Some(plan)).await.json();
    let live =
        |key: &str| plan["changes"].as_array().unwrap().iter().find(|c| c["key"] == key).unwrap()["live"].clone();
    assert_eq!((live("cores"), live("memory"), live("memory_now")), (json!(false), json!(false), json!(false)));
    let text = plan.to_string();
    assert!(text.contains("only to a machine that is off"), "{plan:#}");
    let refused = json!({ "values": { "cores": "1000" } });
    let refused = appliance.ask("PATCH", &format!("{path}/hardware"), Some(refused)).await;
    assert!(refused.status == 202 || refused.status == 422, "{refused:?}");
    if refused.status == 202 {
        assert!(failed(appliance, refused, 30).await.contains("threads"));
    }

    // Room to grow comes with a restart, and can be taken back before that.
    change(kvm, path, json!({ "cores": "2", "cpus": "1", "memory": "384", "memory_now": "256" })).await;
    let all = hardware(kvm, path).await;
    assert_eq!((&value(&all, "cores")["current"], &value(&all, "cores")["pending"]), (&json!("1"), &json!("2")));
    assert_eq!(all["waiting"], json!(["cores", "cpus", "memory", "memory_now"]), "{all:#}");
    done(appliance, appliance.ask("POST", &format!("{path}/hardware/revert"), None).await, 60).await;
    assert_eq!(hardware(kvm, path).await["waiting"], json!([]));
    change(kvm, path, json!({ "cores": "2", "cpus": "1", "memory": "384", "memory_now": "256" })).await;

    // What a person types is text, whatever is in it.
    change(kvm, path, json!({ "description": NASTY, "start_at_boot": "1" })).await;
    let all = hardware(kvm, path).await;
    assert_eq!(value(&all, "description")["current"], NASTY);
    assert_eq!(kvm.host.run("virsh desc lab-01").trim(), NASTY);
    assert_eq!(kvm.host.run("ls /tmp/hacked /root/hacked 2>/dev/null; true"), "");
    assert_eq!(value(&all, "start_at_boot")["current"], "1");
    assert!(kvm.host.run("virsh dominfo lab-01").contains("Autostart:      enable"));

    // The guest hears the power button.
    super::power(kvm, path, "shutdown", "stopped").await;
    super::power(kvm, path, "start", "running").await;
    let facts = kvm.host.facts("lab-01").await;
    assert_eq!(facts["cores"], "1");
    let small: u64 = facts["memory"].trim_end_matches(" MiB").parse().unwrap();

    // Within that room it grows at once, and the system inside sees it.
    let end = change(kvm, path, json!({ "cpus": "", "memory_now": "" })).await;
    assert_eq!(end["result"]["waiting"], json!([]), "{end:#}");
    assert_eq!(kvm.host.run("virsh vcpucount lab-01 --live --current").trim(), "2");
    let large: u64 = kvm.host.facts("lab-01").await["memory"].trim_end_matches(" MiB").parse().unwrap();
    assert!(large >= small + 100, "{small} MiB before, {large} MiB now");
    change(kvm, path, json!({ "memory_now": "256" })).await;
    let again: u64 = kvm.host.facts("lab-01").await["memory"].trim_end_matches(" MiB").parse().unwrap();
    assert!(again < large - 100, "it gave memory back: {again} MiB");
    disks(kvm, path).await;
    cards(kvm, path).await;
}

/// A copy of the machine that is off, with all that is on its disk; then it goes away again.
async fn copy(kvm: &KvmHost, path: &str) {
    let appliance = &kvm.appliance;
    let request = json!({ "name": "twin", "full": true });
    let asked = appliance.ask("POST", &format!("{path}/clone"), Some(request)).await;
    assert_eq!(asked.status, 202, "{asked:?}");
    let twin = format!("/api/v1/guests/{}", asked.json()["guest"].as_str().unwrap());
    done(appliance, asked, 90).await;
    let vmid = appliance.ask("GET", &twin, None).await.json()["vmid"].as_u64().unwrap();
    let image = |vmid: u64, end: &str| format!("/var/lib/libvirt/images/steward-{vmid}{end}");
    let same = format!("qemu-img compare -q {} {}", image(100, ".qcow2"), image(vmid, ".qcow2"));
    kvm.host.run(&format!("virsh -q domblklist twin | grep -q {} && {same}", image(vmid, ".qcow2")));
    let seed = format!("grep -c $(virsh -q domuuid twin) {}", image(vmid, "-seed.iso"));
    assert_ne!(kvm.host.run(&seed).trim(), "0", "a first start of its own");
    assert_eq!(kvm.host.run("virsh -q domiflist lab-01; virsh -q domiflist twin").matches("52:54:00").count(), 2);
    let macs =
        kvm.host.run("(virsh -q domiflist lab-01; virsh -q domiflist twin) | awk '{print $5}' | sort -u | grep -c :");
    assert_eq!(macs.trim(), "2", "each has its own address");
    let images = kvm.host.run("ls /var/lib/libvirt/images");
    assert_eq!(images.lines().count(), 5, "{images}");
    done(appliance, appliance.ask("DELETE", &twin, None).await, 60).await;
    assert_eq!(kvm.host.run("ls /var/lib/libvirt/images").lines().count(), 3);
}

async fn disks(kvm: &KvmHost, path: &str) {
    let appliance = &kvm.appliance;
    let act = async |disk: &str, what: Value| appliance.ask("POST", &format!("{path}/disks/{disk}"), Some(what)).await;
    done(appliance, act("vda", json!({ "action": "grow_disk", "gib": 2 })).await, 60).await;
    assert_eq!(kvm.host.facts("lab-01").await["disk"], "2048 MiB", "seen inside at once");
    let smaller = act("vda", json!({ "action": "grow_disk", "gib": 1 })).await;
    assert_eq!(smaller.status, 422, "{smaller:?}");
    assert!(smaller.body.contains("a disk never gets smaller"), "{smaller:?}");
    assert!(
        failed(appliance, act("vda", json!({ "action": "detach_disk" })).await, 30).await.contains("runs from vda")
    );

    let new = |storage: &str| json!({ "bus": "scsi", "storage": storage, "gib": 1 });
    done(appliance, appliance.ask("POST", &format!("{path}/disks"), Some(new("default"))).await, 60).await;
    let all = hardware(kvm, path).await;
    let sda = disk(&all, "sda");
    assert_eq!(
        (&sda["size"], &sda["storage"], &sda["pending"]),
        (&json!(1_u64 << 30), &json!("default"), &json!(null))
    );
    let file = sda["volume"].as_str().unwrap().to_owned();
    assert!(kvm.host.run("virsh domblklist lab-01").contains(&file), "it is there while the machine runs");

    done(appliance, act("sda", json!({ "action": "detach_disk" })).await, 60).await;
    let all = hardware(kvm, path).await;
    assert_eq!((&disk(&all, "unused0")["volume"], &all["waiting"]), (&json!(file), &json!([])), "{all:#}");
    assert!(!kvm.host.run("virsh domblklist lab-01; virsh domblklist --inactive lab-01").contains(&file));
    done(appliance, act("unused0", json!({ "action": "attach_disk", "bus": "virtio" })).await, 60).await;
    assert_eq!(disk(&hardware(kvm, path).await, "vdb")["volume"], json!(file));
    done(appliance, act("vdb", json!({ "action": "detach_disk" })).await, 60).await;
    let gone = appliance.ask("DELETE", &format!("{path}/disks/unused0"), None).await;
    done(appliance, gone, 60).await;
    assert_eq!(kvm.host.run(&format!("ls {file} 2>/dev/null; true")), "");

    // A pool without room: nothing is left of the try.
    kvm.host.run(
        "mkdir -p /full && mount -t tmpfs -o size=64k none /full && virsh -q pool-create-as full dir --target /full",
    );
    let why = failed(appliance, appliance.ask("POST", &format!("{path}/disks"), Some(new("full"))).await, 60).await;
    assert!(why.contains("There is no space left there."), "{why}");
    assert_eq!(kvm.host.run("ls /full; virsh -q vol-list full").trim(), "");
    assert_eq!(hardware(kvm, path).await["disks"].as_array().unwrap().len(), 2);
    kvm.host.run("virsh -q pool-destroy full && umount /full");

    // Images only from the pools.
    let image = |file: &str| json!({ "action": "change_cd", "volid": file });
    assert!(failed(appliance, act("sdb", image("/etc/shadow")).await, 30).await.contains("no CD drive"), "its seed");
}

async fn cards(kvm: &KvmHost, path: &str) {
    let appliance = &kvm.appliance;
    kvm.host.run("ip link add br9 type bridge");
    let card = |bridge: &str, link: bool| json!({ "bridge": bridge, "link": link });
    let add = async |request: Value| appliance.ask("POST", &format!("{path}/nics"), Some(request)).await;
    assert!(failed(appliance, add(card("nowhere", true)).await, 30).await.contains("no active network or bridge"));
    assert!(failed(appliance, add(json!({ "bridge": "br9", "vlan": 9 })).await, 30).await.contains("no VLAN tags"));
    let end = done(appliance, add(card("br9", true)).await, 60).await;
    let key = end["result"]["key"].as_str().unwrap().to_owned();
    let nic = |all: &Value| all["nics"].as_array().unwrap().iter().find(|n| n["key"] == key.as_str()).cloned();
    let all = hardware(kvm, path).await;
    assert_eq!(nic(&all).unwrap()["bridge"], "br9");
    let mac = nic(&all).unwrap()["mac"].as_str().unwrap().to_owned();
    until(kvm, "virsh -q domiflist lab-01", &mac).await;

    let put = async |request: Value| appliance.ask("PUT", &format!("{path}/nics/{key}"), Some(request)).await;
    done(appliance, put(card("default", false)).await, 60).await;
    let all = hardware(kvm, path).await;
    assert_eq!((&nic(&all).unwrap()["link"], &nic(&all).unwrap()["bridge"]), (&json!(false), &json!("default")));
    assert_eq!(all["waiting"], json!([]), "at once: {all:#}");
    assert!(kvm.host.run(&format!("virsh domif-getlink lab-01 {mac}")).contains("down"));
    done(appliance, put(json!({ "bridge": "default", "model": "e1000e" })).await, 60).await;
    let all = hardware(kvm, path).await;
    assert_eq!(all["waiting"], json!([key]), "another model waits: {all:#}");
    done(appliance, appliance.ask("DELETE", &format!("{path}/nics/{key}"), None).await, 60).await;
    assert_eq!(nic(&hardware(kvm, path).await), None);
    until(kvm, "virsh -q domiflist lab-01 | grep -c :", "1").await;

    // Off, it can be renamed and boot from elsewhere.
    super::power(kvm, path, "stop", "stopped").await;
    change(kvm, path, json!({ "name": "lab-02", "boot": "sdb vda" })).await;
    let all = hardware(kvm, path).await;
    assert_eq!(
        (&value(&all, "boot")["current"], &value(&all, "name")["current"]),
        (&json!("sdb vda"), &json!("lab-02"))
    );
    let grown = json!({ "action": "grow_disk", "gib": 3 });
    done(appliance, appliance.ask("POST", &format!("{path}/disks/vda"), Some(grown)).await, 60).await;
    assert_eq!(disk(&hardware(kvm, path).await, "vda")["size"], json!(3_u64 << 30));
    change(kvm, path, json!({ "name": "lab-01", "boot": "vda" })).await;
    copy(kvm, path).await;
    assert_eq!(value(&hardware(kvm, path).await, "description")["current"], NASTY, "the rest is as it was");
}
