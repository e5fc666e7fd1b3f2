//! guest_hardware, guest_change_plan, guest_change, guest_disk, guest_nic.

use super::{bench, cluster};
use crate::dying::{Death, Played, cluster as small};
use crate::proxmox::{Bench, wanted};
use model::guests::GuestKind;
use model::guests::hardware::{Hardware, Plan};
use model::options::When;
use plugin::{Mode, Outcome};
use serde_json::{Value, json};
use sim::{AnswerFault, Fault, Sim};

fn with(more: Value) -> Value {
    let mut all = json!({"vmid": 500, "kind": "vm", "node": "pve1"});
    all.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    all
}

fn change(values: Value) -> Value {
    with(json!({"action": "change", "values": values}))
}

async fn machine(sim: &Sim) -> Bench {
    let bench = bench(sim);
    bench.done("guest_create", &wanted()).await;
    bench
}

async fn hardware(bench: &Bench, who: &Value) -> Hardware {
    serde_json::from_value(bench.call("guest_hardware", vec![who.clone()]).await.unwrap()).unwrap()
}

async fn config(bench: &Bench) -> Value {
    bench.client.call("GET", "/nodes/pve1/qemu/500/config", &json!({"current": true})).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn live_values_are_live_and_the_others_wait_and_can_be_taken_back() {
    let sim = cluster().await;
    let bench = machine(&sim).await;
    let plan = bench.call("guest_change_plan", vec![with(json!({})), json!({"cores": "4", "cpu_limit": "1.5"})]).await;
    let plan: Plan = serde_json::from_value(plan.unwrap()).unwrap();
    assert_eq!(
        plan.changes.iter().map(|c| (c.key.as_str(), c.live)).collect::<Vec<_>>(),
        [("cores", false), ("cpu_limit", true)]
    );
    let args = change(json!({"cores": "4", "cpu_limit": "1.5", "description": "two\nlines", "tags": "b A"}));
    let (end, _) = bench.done("guest_change", &args).await;
    assert_eq!(end["waiting"], json!(["cores"]), "{end}");
    let now = config(&bench).await;
    assert_eq!((&now["cores"], &now["cpulimit"], &now["tags"]), (&json!(2), &json!("1.5"), &json!("a;b")), "{now:#}");
    let all = hardware(&bench, &with(json!({}))).await;
    assert_eq!(all.value("cores").unwrap().pending.as_deref(), Some("4"));
    assert_eq!(all.value("description").unwrap().current, "two\nlines");
    assert!(all.running && all.disks_live && all.nics_live && !all.digest.is_empty());
    let (end, _) = bench.done("guest_change", &with(json!({"action": "revert", "keys": ["cores"]}))).await;
    assert_eq!(end["waiting"], json!([]));
    // What waits is taken at a stop and a start.
    bench.done("guest_change", &change(json!({"cores": "4"}))).await;
    for action in ["shutdown", "start"] {
        bench.done("guest_power", &with(json!({"action": action}))).await;
    }
    assert_eq!(config(&bench).await["cores"], 4);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_machine_tells_is_declared_and_counts_when_the_declaration_says() {
    let sim = cluster().await;
    let bench = machine(&sim).await;
    let all = bench.call("inventory", vec![]).await.unwrap();
    let container =
        all["guests"].as_array().unwrap().iter().find(|g| g["kind"] == "container" && g["status"] == "running");
    let container =
        json!({"vmid": container.unwrap()["vmid"], "kind": "container", "node": container.unwrap()["node"]});
    for (kind, who) in [(GuestKind::Vm, with(json!({}))), (GuestKind::Container, container)] {
        let (settings, told) = (bench.settings(kind), hardware(&bench, &who).await);
        for value in &told.values {
            let spec = settings.find(&value.key).unwrap_or_else(|| panic!("{} is not declared", value.key));
            assert!(spec.when != When::Live || value.live, "{kind:?}: {} counts at once", value.key);
        }
        let missing: Vec<_> =
            settings.iter().filter(|s| !s.device && told.value(&s.key).is_none()).map(|s| &s.key).collect();
        let of_new_ones = if kind == GuestKind::Vm { vec!["secure_boot", "tpm"] } else { Vec::new() };
        assert_eq!(missing, of_new_ones, "{kind:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_machine_does_not_take_is_taken_back_and_the_rest_stays() {
    let sim = cluster().await;
    let bench = machine(&sim).await;
    let ready =
        json!({"hotplug": "network disk usb cpu memory", "numa": "1", "cores": "4", "cpus": "2", "memory": "4096"});
    bench.done("guest_power", &with(json!({"action": "stop"}))).await;
    bench.done("guest_change", &change(ready)).await;
    bench.done("guest_power", &with(json!({"action": "start"}))).await;
    // More goes at once, in steps.
    bench.done("guest_change", &change(json!({"cpus": "4", "memory": "4200"}))).await;
    let now = config(&bench).await;
    assert_eq!((&now["vcpus"], &now["memory"]), (&json!(4), &json!("4608")), "{now:#}");
    // Less needs the help of a guest that does not give it.
    sim.faults().set(Fault::Deaf { vmid: 500, deaf: true }).await.unwrap();
    let why = bench.refused("guest_change", &change(json!({"cpus": "2", "cpu_limit": "2"}))).await;
    assert!(why.contains("vcpus: ") && why.contains("error unplugging cpu4") && why.contains("reverted"), "{why}");
    let now = config(&bench).await;
    assert_eq!((&now["vcpus"], &now["cpulimit"]), (&json!(4), &json!("2")), "{now:#}");
    assert!(hardware(&bench, &with(json!({}))).await.waiting.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn memory_that_is_given_back_only_in_part_is_told_as_it_is() {
    let sim = cluster().await;
    let bench = machine(&sim).await;
    bench.done("guest_power", &with(json!({"action": "stop"}))).await;
    // A system that the cluster gets one module of, and no more.
    let ready = json!({"hotplug": "network disk usb memory", "numa": "1", "memory": "2048", "system": "other"});
    bench.done("guest_change", &change(ready)).await;
    bench.done("guest_power", &with(json!({"action": "start"}))).await;
    let why = bench.refused("guest_change", &change(json!({"memory": "1024", "description": "less"}))).await;
    assert!(why.contains("Changed only in part") && why.contains("memory is 1536 now, neither 2048 nor 1024"), "{why}");
    let now = config(&bench).await;
    assert_eq!((&now["memory"], now["description"].as_str().map(str::trim)), (&json!("1536"), Some("less")), "{now:#}");
    assert!(hardware(&bench, &with(json!({}))).await.waiting.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_value_that_may_not_be_set_takes_no_other_down() {
    let sim = cluster().await;
    let bench = machine(&sim).await;
    // Steward's own role lacks the right for the start order: it is said beforehand.
    let order = hardware(&bench, &with(json!({}))).await.value("start_order").unwrap().refused.clone().unwrap();
    assert!(order.contains("--append 1 --privs Sys.Modify"), "{order}");
    assert_eq!(hardware(&bench, &with(json!({}))).await.value("start_at_boot").unwrap().refused, None);
    let plan = bench.call("guest_change_plan", vec![with(json!({})), json!({"start_order": "order=1"})]).await.unwrap();
    assert!(plan["changes"][0]["refused"].as_str().unwrap().contains("Sys.Modify"), "{plan}");
    sim.faults().allow("Steward", "Sys.Modify");
    assert_eq!(hardware(&bench, &with(json!({}))).await.value("start_order").unwrap().refused, None);
    let both = change(json!({"start_order": "order=1", "start_at_boot": "1"}));
    bench.done("guest_change", &both).await;
    // A right that is missing without anybody knowing beforehand.
    sim.faults().forbid("Steward", "VM.Config.CPU");
    let journal = std::sync::Arc::new(crate::proxmox::MemoryJournal::new());
    let args = change(json!({"cpu_limit": "2", "start_at_boot": "0"}));
    let failed = bench.job(&journal, "guest_change", &args).await.unwrap_err();
    assert!(failed.error.message.contains("cpulimit") && failed.error.message.contains("VM.Config.CPU"), "{failed:?}");
    assert!(!failed.retry);
    let now = config(&bench).await;
    assert_eq!((&now["cpulimit"], &now["onboot"], &now["startup"]), (&Value::Null, &json!(0), &json!("order=1")));
    assert!(journal.text().contains("start_at_boot: 1 → 0, at once"), "{}", journal.text());
    assert!(!journal.text().contains("cpu_limit"), "told before it was done: {}", journal.text());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_answer_is_looked_for_and_another_hand_is_noticed() {
    let sim = cluster().await;
    let bench = machine(&sim).await;
    let lost = AnswerFault {
        method: "PUT".into(),
        path: "/config".into(),
        status: 596,
        after: true,
        ..AnswerFault::default()
    };
    sim.faults().answer(lost);
    bench.done("guest_change", &change(json!({"cpu_limit": "3"}))).await;
    assert_eq!(config(&bench).await["cpulimit"], "3");
    let old = with(json!({"action": "change", "values": {"cpu_limit": "4"}, "digest": "0000"}));
    assert!(bench.refused("guest_change", &old).await.contains("Somebody has changed"));
    let why = bench.refused("guest_change", &change(json!({"cores": "500"}))).await;
    assert!(why.contains("threads"), "{why}");
}

#[tokio::test(flavor = "multi_thread")]
async fn disks_are_added_grown_moved_taken_off_used_again_and_deleted() {
    let sim = cluster().await;
    let bench = machine(&sim).await;
    let disk = |more: Value| with(more);
    let (end, _) =
        bench.done("guest_disk", &disk(json!({"action": "add_disk", "bus": "scsi", "storage": "nas", "gib": 5}))).await;
    let key = end["disk"].as_str().unwrap().to_owned();
    let has = |all: &Hardware, key: &str| all.disks.iter().find(|d| d.key == key).cloned();
    let one = has(&hardware(&bench, &with(json!({}))).await, &key).unwrap();
    assert_eq!((one.size, one.storage.as_str(), one.format.as_str()), (5 << 30, "nas", "qcow2"), "{one:?}");
    bench.done("guest_disk", &disk(json!({"action": "grow_disk", "disk": key, "gib": 8}))).await;
    bench.done("guest_disk", &disk(json!({"action": "grow_disk", "disk": key, "gib": 8}))).await;
    bench
        .done("guest_disk", &disk(json!({"action": "move_disk", "disk": key, "storage": "local-lvm", "keep": true})))
        .await;
    let all = hardware(&bench, &with(json!({}))).await;
    let one = has(&all, &key).unwrap();
    assert_eq!((one.size, one.storage.as_str()), (8 << 30, "local-lvm"), "{all:?}");
    assert_eq!(has(&all, "unused0").unwrap().storage, "nas");
    bench.done("guest_disk", &disk(json!({"action": "delete_disk", "disk": "unused0"}))).await;
    bench.done("guest_disk", &disk(json!({"action": "detach_disk", "disk": key}))).await;
    let all = hardware(&bench, &with(json!({}))).await;
    assert!(has(&all, &key).is_none() && has(&all, "unused0").is_some(), "{all:?}");
    let (end, _) =
        bench.done("guest_disk", &disk(json!({"action": "attach_disk", "disk": "unused0", "bus": "scsi"}))).await;
    let all = hardware(&bench, &with(json!({}))).await;
    assert_eq!(has(&all, end["disk"].as_str().unwrap()).unwrap().size, 8 << 30, "{all:?}");
    let boot = all.disks.iter().find(|d| d.boot && d.kind == "disk").unwrap();
    let why = bench.refused("guest_disk", &disk(json!({"action": "detach_disk", "disk": boot.key}))).await;
    assert!(why.contains("It runs from"), "{why}");
    let why = bench.refused("guest_disk", &disk(json!({"action": "grow_disk", "disk": boot.key, "gib": 1}))).await;
    assert!(why.contains("can't be made smaller"), "{why}");
}

#[tokio::test(flavor = "multi_thread")]
async fn network_cards_come_change_and_go() {
    let sim = cluster().await;
    let bench = machine(&sim).await;
    let before = hardware(&bench, &with(json!({}))).await.nics[0].clone();
    let nic = json!({"bridge": "vmbr0", "vlan": 30, "firewall": true, "link": false});
    bench.done("guest_nic", &with(json!({"action": "change_nic", "key": "net0", "nic": nic}))).await;
    let after = hardware(&bench, &with(json!({}))).await.nics[0].clone();
    assert_eq!((after.mac, after.model), (before.mac, before.model));
    assert!(after.vlan == Some(30) && after.firewall && !after.link && after.pending.is_none());
    let (end, _) = bench.done("guest_nic", &with(json!({"action": "add_nic", "nic": {"bridge": "vmbr0"}}))).await;
    assert_eq!(end["key"], "net1");
    bench.done("guest_nic", &with(json!({"action": "remove_nic", "key": "net1"}))).await;
    assert_eq!(hardware(&bench, &with(json!({}))).await.nics.len(), 1);
    let why = bench.refused("guest_nic", &with(json!({"action": "add_nic", "nic": {"bridge": "vmbr77"}}))).await;
    assert!(why.contains("no bridge vmbr77"), "{why}");
    // A card that the system inside does not let go of is put back.
    sim.faults().set(Fault::Deaf { vmid: 500, deaf: true }).await.unwrap();
    let nic = json!({"bridge": "vmbr0", "model": "e1000"});
    let why = bench.refused("guest_nic", &with(json!({"action": "change_nic", "key": "net0", "nic": nic}))).await;
    assert!(why.contains("error unplugging network device"), "{why}");
    assert!(hardware(&bench, &with(json!({}))).await.waiting.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn containers_change_too() {
    let sim = cluster().await;
    let bench = bench(&sim);
    let all = bench.call("inventory", vec![]).await.unwrap();
    let one = all["guests"]
        .as_array()
        .unwrap()
        .iter()
        .find(|g| g["kind"] == "container" && g["status"] == "running")
        .unwrap()
        .clone();
    let with = |more: Value| {
        let mut who = json!({"vmid": one["vmid"], "kind": "container", "node": one["node"]});
        who.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        who
    };
    let values = json!({"memory": "1024", "swap": "256", "description": "x", "ci_dns": "192.168.1.1"});
    let (end, _) = bench.done("guest_change", &with(json!({"action": "change", "values": values}))).await;
    assert_eq!(end["waiting"], json!(["nameserver"]));
    let told = hardware(&bench, &with(json!({}))).await;
    assert_eq!(told.value("memory").unwrap().current, "1024");
    let storage = told.disks.iter().find(|d| d.key == "rootfs").unwrap().storage.clone();
    let add = json!({"action": "add_disk", "bus": "mp", "storage": storage, "gib": 2, "path": "/srv/data"});
    let (end, _) = bench.done("guest_disk", &with(add)).await;
    assert_eq!(end["disk"], "mp0");
    bench.done("guest_disk", &with(json!({"action": "grow_disk", "disk": "rootfs", "gib": 40}))).await;
    let nic = json!({"bridge": "vmbr0", "vlan": 9, "address": "10.9.0.5/24"});
    bench.done("guest_nic", &with(json!({"action": "change_nic", "key": "net0", "nic": nic}))).await;
    let told = hardware(&bench, &with(json!({}))).await;
    assert_eq!((told.nics[0].vlan, told.nics[0].address.as_str()), (Some(9), "10.9.0.5/24"));
    assert_eq!(told.disks.iter().find(|d| d.key == "rootfs").unwrap().size, 40 << 30);
    let why = bench.refused("guest_change", &with(json!({"action": "change", "values": {"sockets": "2"}}))).await;
    assert!(why.contains("no such setting"), "{why}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_change_job_dies_at_every_point_and_the_value_is_there_once() {
    let sim = small(0.01).await;
    let looker = Played::of(&sim, "guest_change", |_| json!({}));
    let kind = json!({"type": "vm"});
    let guests = looker.outside.client.call("GET", "/cluster/resources", &kind).await.unwrap();
    let fits = |g: &&Value| g["type"] == "qemu" && g["template"] != 1 && g["status"] == "running";
    let guest = guests.as_array().unwrap().iter().find(fits).unwrap().clone();
    let (vmid, node) = (guest["vmid"].clone(), guest["node"].as_str().unwrap().to_owned());
    for point in 0.. {
        let limit = format!("{}", point + 1);
        let args = json!({"vmid": vmid, "kind": "vm", "node": node, "action": "change",
                          "values": {"cpu_limit": limit, "description": format!("point {point}")}});
        let job = Played::of(&sim, "guest_change", |_| args);
        let first = job.life(&Death::at(point), Mode::Forward, false).await;
        let died = first.is_none();
        let last = match first {
            Some(outcome) => outcome,
            None => job.life(&Death::at(usize::MAX), Mode::Forward, false).await.unwrap(),
        };
        assert!(matches!(last, Outcome::Done(_)), "death at point {point}: {last:?}");
        let path = format!("/nodes/{node}/qemu/{vmid}/config");
        let config = job.outside.client.call("GET", &path, &json!({"current": true})).await.unwrap();
        assert_eq!(config["cpulimit"], limit.as_str(), "death at point {point}");
        if !died {
            assert!(point >= 8, "only {point} points: the test does not reach what it should");
            break;
        }
    }
}
