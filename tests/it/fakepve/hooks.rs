//! The plugin's hooks against fakepve. It does not resize disks and keeps no metrics; the simulated cluster
//! is there for those.

use super::FakePve;
use crate::proxmox::{Bench, MemoryJournal, wanted};
use plugin::{Mode, Outcome};
use serde_json::{Value, json};
use std::sync::Arc;

fn bench(fake: &FakePve) -> Bench {
    Bench::new(fake.client("full"), 105)
}

fn power(vmid: u32, node: &str, action: &str) -> Value {
    json!({"vmid": vmid, "kind": "vm", "node": node, "action": action})
}

#[tokio::test(flavor = "multi_thread")]
async fn the_inventory_has_machines_nodes_and_storages() {
    let fake = FakePve::start();
    let all = bench(&fake).call("inventory", vec![]).await.unwrap();
    let guests = all["guests"].as_array().unwrap();
    let find = |vmid: u32| guests.iter().find(|g| g["vmid"] == vmid).unwrap();
    assert_eq!(guests.len(), 5);
    assert_eq!(
        (&find(100)["status"], &find(100)["tags"], &find(9000)["template"], &find(200)["kind"]),
        (&json!("running"), &json!(["web", "prod"]), &json!(true), &json!("container"))
    );
    assert_eq!(all["nodes"].as_array().unwrap().len(), 2);
    assert!(!all["storages"].as_array().unwrap().is_empty());
    assert_eq!(all["quorate"], true);
    fake.call("lose_quorum", &json!([]));
    assert_eq!(bench(&fake).call("inventory", vec![]).await.unwrap()["quorate"], false);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_probe_names_what_a_token_may_not() {
    let fake = FakePve::start();
    let missing = async |token: &str| {
        let told = Bench::new(fake.client(token), 105).call("probe", vec![]).await.unwrap();
        let names = told["missing"].as_array().unwrap().iter();
        names.map(|m| m["privilege"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(missing("full").await, [""; 0]);
    let reader = missing("reader").await;
    assert!(reader.contains(&"VM.PowerMgmt".to_owned()) && !reader.contains(&"VM.Audit".to_owned()), "{reader:?}");
    assert!(missing("nothing").await.contains(&"VM.Audit".to_owned()));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_machine_is_made_from_a_template_set_up_and_started() {
    let fake = FakePve::start();
    let bench = bench(&fake);
    let mut spec = wanted();
    spec["mark"] = json!("0192f0aa");
    let (made, journal) = bench.done("guest_create", &spec).await;
    assert_eq!(made, json!({"vmid": 105, "node": "pve1", "status": "running"}));
    let guest = fake.guest(105);
    assert_eq!(guest["status"], "running", "{}", journal.text());
    let config = &guest["config"];
    let net = config["net0"].as_str().unwrap();
    assert!(net.starts_with("virtio=BC:24:11") && net.contains("bridge=vmbr0") && net.contains("tag=20"), "{net}");
    assert_eq!((&config["cores"], &config["memory"], &config["ciuser"]), (&json!("2"), &json!("2048"), &json!("mira")));
    assert_eq!(config["ipconfig0"], "ip=192.168.1.44/24,gw=192.168.1.1");
    let keys =
        "ssh-ed25519%20AAAAC3NzaC1lZDI1NTE5AAAAIJm%2B%2FDw9Pj9AQUJDREVGR0hJSktMTU5PUFFSU1RVVldY%20mira%40l%C3%A4ptop";
    assert_eq!(config["sshkeys"], keys, "a clone keeps it percent-encoded");
    assert_eq!(config["description"], "Builds things.\n\nsteward-job: 0192f0aa");
    assert_eq!(journal.progress_done().last(), Some(&(6, 6)));
    assert!(bench.reserved().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_number_that_somebody_took_leads_to_the_next_one() {
    let fake = FakePve::start();
    let bench = Bench::new(fake.client("full"), 100);
    let (made, journal) = bench.done("guest_create", &wanted()).await;
    assert_eq!(made["vmid"], 103, "100 to 102 are others' machines");
    assert!(journal.text().contains("Number 101 is taken"), "{}", journal.text());
    assert_eq!(bench.vmids().await, [100, 101, 102, 103, 200, 9000]);
    assert!(bench.reserved().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_machine_is_made_from_an_iso_image() {
    let fake = FakePve::start();
    fake.order(&json!({"call": "store_file", "args": ["local", "debian-13.iso", 700_000_000]}));
    let bench = bench(&fake);
    let mut spec = wanted();
    spec["source"] = json!({"from": "iso", "volid": "local:iso/debian-13.iso", "system": "linux"});
    bench.done("guest_create", &spec).await;
    let guest = fake.guest(105);
    let config = &guest["config"];
    assert_eq!(guest["status"], "running");
    assert!(config["scsi0"].as_str().unwrap().contains("size=8G"), "{config}");
    assert_eq!((&config["boot"], &config["scsihw"]), (&json!("order=scsi0;ide2;net0"), &json!("virtio-scsi-single")));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_that_dies_at_any_write_goes_on_and_makes_one_machine() {
    for n in 1.. {
        let fake = FakePve::start();
        let bench = bench(&fake);
        let journal = Arc::new(MemoryJournal::new());
        journal.die_at_write(n);
        let made = bench.job(&journal, "guest_create", &wanted()).await;
        let made = made.unwrap_or_else(|e| panic!("died at write {n}: {e:?}\n{}", journal.text()));
        assert_eq!(bench.vmids().await.len(), 6, "died at write {n}: {made} {:?}", journal.names());
        assert_eq!(fake.guest(u32::try_from(made["vmid"].as_u64().unwrap()).unwrap())["status"], "running");
        if !journal.has_died() {
            assert!(n > 15, "only {n} writes");
            return;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_that_gives_up_leaves_nothing_behind() {
    let fake = FakePve::start();
    let bench = bench(&fake);
    fake.order(&json!({"call": "fail", "args": ["POST", "/status/start"],
        "kwargs": {"status": 500, "message": "no space left on device"}}));
    let why = bench.refused("guest_create", &wanted()).await;
    assert!(why.contains("no space left on device"), "{why}");
    assert_eq!(bench.vmids().await, [100, 101, 102, 200, 9000]);
    assert!(bench.reserved().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_template_that_is_not_there_is_said_at_once() {
    let fake = FakePve::start();
    let mut spec = wanted();
    spec["source"]["vmid"] = json!(8000);
    let why = bench(&fake).refused("guest_create", &spec).await;
    assert!(why.starts_with("There is no template 8000"), "{why}");
}

#[tokio::test(flavor = "multi_thread")]
async fn power_actions_reach_their_state_and_may_be_asked_twice() {
    let fake = FakePve::start();
    let bench = bench(&fake);
    for (action, status) in [("start", "running"), ("start", "running"), ("reboot", "running"), ("shutdown", "stopped")]
    {
        bench.done("guest_power", &power(101, "pve2", action)).await;
        assert_eq!(fake.guest(101)["status"], status, "{action}");
    }
    bench.done("guest_power", &power(101, "pve2", "start")).await;
    bench.done("guest_power", &power(101, "pve2", "suspend")).await;
    bench.done("guest_power", &power(101, "pve2", "resume")).await;
    bench.done("guest_power", &power(101, "pve2", "stop")).await;
    bench.done("guest_power", &json!({"vmid": 200, "kind": "container", "node": "pve1", "action": "stop"})).await;
    assert_eq!(fake.guest(200)["status"], "stopped");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_machine_that_moved_is_found_on_its_new_node() {
    let fake = FakePve::start();
    bench(&fake).done("guest_power", &power(101, "pve1", "start")).await;
    assert_eq!(fake.guest(101)["status"], "running");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_guest_that_does_not_shut_down_is_said_plainly_and_once() {
    let fake = FakePve::start();
    fake.order(&json!({"guest": 100, "set": {"acpi": false, "agent": null}}));
    let why = bench(&fake).refused("guest_power", &power(100, "pve1", "shutdown")).await;
    assert_eq!(why, "It did not shut down within 60 seconds. It may still do so; if it hangs, use Stop.");
    let mut args = power(100, "pve1", "shutdown");
    args["force"] = json!(true);
    bench(&fake).done("guest_power", &args).await;
    assert_eq!(fake.guest(100)["status"], "stopped");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_locked_machine_is_waited_for() {
    let fake = FakePve::start();
    fake.call("snapshot_lock", &json!([101, "backup"]));
    let bench = bench(&fake);
    let journal = Arc::new(MemoryJournal::new());
    let args = power(101, "pve2", "start");
    let first = bench.run(&journal, "guest_power", &args, Mode::Forward).await;
    assert!(matches!(first, Outcome::Wait(_)), "{first:?}");
    fake.call("unlock", &json!([101]));
    bench.job(&journal, "guest_power", &args).await.unwrap();
    assert_eq!(fake.guest(101)["status"], "running");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_running_machine_is_stopped_and_removed_and_a_protected_one_is_not() {
    let fake = FakePve::start();
    let bench = bench(&fake);
    bench.done("guest_delete", &json!({"vmid": 100, "kind": "vm", "node": "pve1"})).await;
    assert_eq!(bench.vmids().await, [101, 102, 200, 9000]);
    bench.done("guest_delete", &json!({"vmid": 100, "kind": "vm", "node": "pve1"})).await;
    let why = bench.refused("guest_delete", &json!({"vmid": 102, "kind": "vm", "node": "pve1"})).await;
    assert!(why.starts_with("It is protected against deletion"), "{why}");
    assert_eq!(bench.vmids().await, [101, 102, 200, 9000]);
}

#[tokio::test(flavor = "multi_thread")]
async fn without_quorum_making_a_machine_fails_with_the_reason() {
    let fake = FakePve::start();
    fake.call("lose_quorum", &json!([]));
    let why = bench(&fake).refused("guest_create", &wanted()).await;
    assert!(why.contains("no quorum"), "{why}");
}

#[tokio::test(flavor = "multi_thread")]
async fn addresses_and_choices_are_read() {
    let fake = FakePve::start();
    let bench = bench(&fake);
    let found = bench.call("addresses", vec![json!({"vmid": 100, "kind": "vm", "node": "pve1"})]).await.unwrap();
    assert_eq!(found, json!(["192.0.2.10"]));
    let choices = bench.call("choices", vec![json!("pve1")]).await.unwrap();
    assert_eq!(choices["storages"], json!(["local-lvm"]));
    let history = bench.call("history", vec![json!({"vmid": 100, "kind": "vm", "node": "pve1"}), json!("hour")]);
    assert!(history.await.unwrap().is_array());
}
