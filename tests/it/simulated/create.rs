//! guest_create: the machine arrives, once, whatever happens on the way; or nothing is left.

use super::{bench, cluster};
use crate::proxmox::{Bench, MemoryJournal, wanted};
use plugin::{Mode, Outcome};
use serde_json::{Value, json};
use sim::{AnswerFault, Sim, TaskFault};
use std::sync::Arc;

fn spec() -> Value {
    let mut spec = wanted();
    spec["disk"] = json!(12);
    spec
}

async fn config(bench: &Bench, node: &str, vmid: u32) -> Value {
    bench.get(&format!("/nodes/{node}/qemu/{vmid}/config")).await
}

async fn status(bench: &Bench, node: &str, vmid: u32) -> String {
    let state = bench.get(&format!("/nodes/{node}/qemu/{vmid}/status/current")).await;
    state["status"].as_str().unwrap().to_owned()
}

/// Exactly one machine more than before, running.
async fn one_more(bench: &Bench, before: &[u64], made: &Value) {
    let after = bench.vmids().await;
    let new: Vec<_> = after.iter().filter(|id| !before.contains(id)).collect();
    assert_eq!(new, [&made["vmid"].as_u64().unwrap()]);
    assert_eq!(status(bench, made["node"].as_str().unwrap(), u32::try_from(*new[0]).unwrap()).await, "running");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_clone_gets_its_hardware_network_access_and_size() {
    let sim = cluster().await;
    let bench = bench(&sim);
    let mac = |net: &Value| net.as_str().unwrap().split(',').next().unwrap().to_owned();
    let template = config(&bench, "pve1", 9000).await;
    let (made, journal) = bench.done("guest_create", &spec()).await;
    assert_eq!(made, json!({"vmid": 500, "node": "pve1", "status": "running"}));
    let config = config(&bench, "pve1", 500).await;
    assert_eq!((&config["name"], &config["cores"], &config["memory"]), (&json!("build-01"), &json!(2), &json!("2048")));
    let net = config["net0"].as_str().unwrap();
    assert!(net.contains("bridge=vmbr0") && net.contains("tag=20") && net.starts_with("virtio="), "{net}");
    assert_ne!(mac(&config["net0"]), mac(&template["net0"]));
    assert!(
        config["scsi0"].as_str().unwrap().starts_with("local-lvm:")
            && config["scsi0"].as_str().unwrap().contains("size=12G")
    );
    assert_eq!((&config["ciuser"], &config["ciupgrade"]), (&json!("mira"), &json!(0)));
    assert_eq!(
        (&config["tags"], &config["ipconfig0"]),
        (&json!("build;ci"), &json!("ip=192.168.1.44/24,gw=192.168.1.1"))
    );
    assert!(config["sshkeys"].as_str().unwrap().starts_with("ssh-ed25519%20AAAA"), "{config}");
    let steps = [
        "Plan the machine",
        "until:Wait until the template is free",
        "Reserve a number",
        "Clone the disks",
        "Set hardware, network and access",
        "Enlarge the disk",
        "Start the machine",
    ];
    let names = journal.names();
    assert!(steps.iter().all(|s| names.iter().any(|n| n == s)), "{names:?}");
    assert_eq!(status(&bench, "pve1", 500).await, "running");
    assert!(bench.reserved().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_linked_clone_may_go_to_another_node_and_stay_off() {
    let sim = cluster().await;
    let bench = bench(&sim);
    let mut spec = spec();
    spec["source"]["full"] = json!(false);
    spec["storage"] = Value::Null;
    spec["node"] = json!("pve2");
    spec["vlan"] = Value::Null;
    spec["address"] = json!({"mode": "dhcp"});
    spec["start"] = json!(false);
    let (made, _) = bench.done("guest_create", &spec).await;
    assert_eq!(made["node"], "pve2");
    assert_eq!(status(&bench, "pve2", 500).await, "stopped");
    let config = config(&bench, "pve2", 500).await;
    assert_eq!(config["ipconfig0"], "ip=dhcp");
    assert!(!config["net0"].as_str().unwrap().contains("tag="));
}

#[tokio::test(flavor = "multi_thread")]
async fn machines_are_made_from_iso_images_also_for_windows() {
    let sim = cluster().await;
    let bench = bench(&sim);
    let mut spec = spec();
    spec["source"] = json!({"from": "iso", "volid": "nas:iso/debian-13.1.0-amd64-netinst.iso", "system": "linux"});
    bench.done("guest_create", &spec).await;
    assert!(config(&bench, "pve1", 500).await["scsi0"].as_str().unwrap().contains("iothread=1"));
    spec["source"] = json!({"from": "iso", "volid": "nas:iso/Win10_22H2_English_x64v1.iso", "system": "windows10"});
    spec["storage"] = json!("nas");
    spec["mark"] = json!("the second");
    bench.done("guest_create", &spec).await;
    let config = config(&bench, "pve1", 501).await;
    assert!(config["sata0"].as_str().unwrap().contains(".qcow2"), "files take snapshots only as qcow2: {config}");
    assert_eq!(config["boot"], "order=sata0;ide2;net0");
    spec["source"]["system"] = json!("windows11");
    spec["mark"] = json!("the third");
    bench.done("guest_create", &spec).await;
    spec["storage"] = json!("nowhere");
    let why = bench.refused("guest_create", &spec).await;
    assert_eq!(why, "Node pve1 has no storage for disks named nowhere.");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_process_may_die_at_any_write_and_one_machine_arrives() {
    let sim = cluster().await;
    let bench = bench(&sim);
    for n in 1.. {
        let before = bench.vmids().await;
        let journal = Arc::new(MemoryJournal::new());
        journal.die_at_write(n);
        let spec = spec();
        let made = bench.job(&journal, "guest_create", &spec).await;
        let made = made.unwrap_or_else(|e| panic!("died at write {n}: {e:?}\n{}", journal.text()));
        one_more(&bench, &before, &made).await;
        remove(&bench, made["vmid"].as_u64().unwrap()).await;
        if !journal.has_died() {
            assert!(n > 18, "only {n} writes");
            return;
        }
    }
}

/// Every changing call loses its answer once, after the work was done.
#[tokio::test(flavor = "multi_thread")]
async fn answers_may_be_lost_on_every_call_and_one_machine_arrives() {
    let sim = cluster().await;
    let bench = bench(&sim);
    for (method, path) in [
        ("POST", "/clone"),
        ("PUT", "/config"),
        ("PUT", "/resize"),
        ("POST", "/status/start"),
        ("GET", "/status/current"),
    ] {
        for cut in [true, false] {
            let before = bench.vmids().await;
            let status = if cut { 0 } else { 596 };
            let lost = AnswerFault {
                method: method.into(),
                path: path.into(),
                cut,
                after: true,
                status,
                ..AnswerFault::default()
            };
            sim.faults().answer(lost);
            let (made, _) = bench.done("guest_create", &spec()).await;
            one_more(&bench, &before, &made).await;
            remove(&bench, made["vmid"].as_u64().unwrap()).await;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failed_task_is_tried_again_and_when_it_fails_thrice_nothing_is_left() {
    let sim = cluster().await;
    let bench = bench(&sim);
    let before = bench.vmids().await;
    for kind in ["qmclone", "resize", "qmstart"] {
        let before = bench.vmids().await;
        sim.faults().fail_task(kind, "simulated trouble", 1);
        let (made, _) = bench.done("guest_create", &spec()).await;
        one_more(&bench, &before, &made).await;
        remove(&bench, made["vmid"].as_u64().unwrap()).await;
    }
    for kind in ["qmclone", "resize", "qmstart"] {
        sim.faults().fail_task(kind, "simulated trouble", 3);
        let why = bench.refused("guest_create", &spec()).await;
        assert!(why.contains("simulated trouble"), "{why}");
        assert_eq!(bench.vmids().await, before, "{kind}");
        assert!(bench.reserved().is_empty());
    }
}

async fn remove(bench: &Bench, vmid: u64) {
    bench.done("guest_delete", &json!({"vmid": vmid, "kind": "vm", "node": "pve1"})).await;
}

/// The worker of a clone is killed: the machine of the next number is half made and locked for good.
async fn stuck(sim: &Sim, bench: &Bench, spec: &Value) -> Arc<MemoryJournal> {
    sim.faults().task(TaskFault { kind: "qmclone".into(), kill: true, times: 1, ..TaskFault::default() });
    let journal = Arc::new(MemoryJournal::new());
    let Outcome::Failed(first) = bench.drive(&journal, "guest_create", spec, Mode::Forward).await else { panic!() };
    assert!(first.retry && first.error.message.contains("unexpected status"), "{first:?}");
    let again = bench.run(&journal, "guest_create", spec, Mode::Forward).await;
    assert!(matches!(again, Outcome::Wait(_)), "{again:?}");
    assert!(
        journal.label().contains("Run on node pve1, as root: qm unlock 500; qm destroy 500"),
        "{}",
        journal.label()
    );
    journal
}

/// `qm unlock 500; qm destroy 500`
async fn unlock_and_destroy(sim: &Sim, bench: &Bench) {
    sim.faults().guest_lock(500, None);
    let task = bench.client.call("DELETE", "/nodes/pve1/qemu/500", &json!({})).await.unwrap();
    let every = std::time::Duration::from_millis(20);
    let end = bench.client.wait_task(task.as_str().unwrap(), every, every * 1000).await.unwrap();
    assert_eq!(end.succeeded(), Some(true), "{end:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_clone_whose_worker_died_says_what_to_run_and_goes_on_when_that_is_done() {
    let sim = cluster().await;
    let (bench, spec) = (bench(&sim), spec());
    let before = bench.vmids().await;
    let journal = stuck(&sim, &bench, &spec).await;
    unlock_and_destroy(&sim, &bench).await;
    let made = bench.job(&journal, "guest_create", &spec).await.unwrap();
    one_more(&bench, &before, &made).await;
    assert_eq!(made["vmid"], 501);
    assert!(bench.reserved().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn cancelling_a_clone_whose_worker_died_waits_for_the_same_and_ends() {
    let sim = cluster().await;
    let (bench, spec) = (bench(&sim), spec());
    let before = bench.vmids().await;
    let journal = stuck(&sim, &bench, &spec).await;
    for _ in 0..3 {
        let Outcome::Failed(why) = bench.drive(&journal, "guest_create", &spec, Mode::Undo).await else { panic!() };
        assert!(why.unreachable && why.error.message.contains("qm unlock 500; qm destroy 500"), "{why:?}");
        assert!(journal.label().contains("qm unlock 500"), "{}", journal.label());
    }
    unlock_and_destroy(&sim, &bench).await;
    assert_eq!(bench.drive(&journal, "guest_create", &spec, Mode::Undo).await, Outcome::Undone, "{}", journal.text());
    assert_eq!(bench.vmids().await, before);
    assert!(bench.reserved().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_clone_without_a_size_keeps_the_templates() {
    let sim = cluster().await;
    let bench = bench(&sim);
    sim.faults().set_config(9000, "scsi0", &odd_size(&config(&bench, "pve1", 9000).await));
    let mut spec = spec();
    (spec["disk"], spec["keep_disk"], spec["start"]) = (json!(5), json!(true), json!(false));
    bench.done("guest_create", &spec).await;
    let disk = config(&bench, "pve1", 500).await["scsi0"].as_str().unwrap().to_owned();
    assert!(disk.contains("size=4300M"), "{disk}");
}

/// The template's disk with 4300 MiB.
fn odd_size(config: &Value) -> String {
    let disk = config["scsi0"].as_str().unwrap();
    let kept: Vec<&str> = disk.split(',').filter(|part| !part.starts_with("size=")).collect();
    format!("{},size=4300M", kept.join(","))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_template_under_backup_is_waited_for() {
    let sim = cluster().await;
    let (bench, spec) = (bench(&sim), spec());
    sim.faults().guest_lock(9000, Some("backup"));
    let journal = Arc::new(MemoryJournal::new());
    for _ in 0..3 {
        let run = bench.run(&journal, "guest_create", &spec, Mode::Forward).await;
        assert!(matches!(run, Outcome::Wait(_)), "{run:?}");
    }
    sim.faults().guest_lock(9000, None);
    bench.job(&journal, "guest_create", &spec).await.unwrap();
}

/// Cancelled while the clone runs: the task is ended and what it made is gone.
#[tokio::test(flavor = "multi_thread")]
async fn a_job_that_is_taken_back_while_it_clones_leaves_nothing() {
    let sim = cluster().await;
    let (bench, spec) = (bench(&sim), spec());
    let before = bench.vmids().await;
    sim.faults().hang_task("qmclone");
    let journal = Arc::new(MemoryJournal::new());
    let run = bench.run(&journal, "guest_create", &spec, Mode::Forward).await;
    assert!(matches!(run, Outcome::Wait(_)), "{run:?}");
    assert!(bench.vmids().await.len() > before.len(), "the clone has begun");
    assert_eq!(bench.drive(&journal, "guest_create", &spec, Mode::Undo).await, Outcome::Undone, "{}", journal.text());
    assert_eq!(bench.vmids().await, before);
    assert!(bench.reserved().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_machine_that_runs_is_taken_back_and_a_foreign_one_never() {
    let sim = cluster().await;
    let (bench, spec) = (bench(&sim), spec());
    let before = bench.vmids().await;
    let journal = Arc::new(MemoryJournal::new());
    bench.job(&journal, "guest_create", &spec).await.unwrap();
    assert_eq!(bench.drive(&journal, "guest_create", &spec, Mode::Undo).await, Outcome::Undone, "{}", journal.text());
    assert_eq!(bench.vmids().await, before);

    let journal = Arc::new(MemoryJournal::new());
    bench.job(&journal, "guest_create", &spec).await.unwrap();
    let notes = json!({"description": "now mine"});
    bench.client.call("PUT", "/nodes/pve1/qemu/500/config", &notes).await.unwrap();
    assert_eq!(bench.drive(&journal, "guest_create", &spec, Mode::Undo).await, Outcome::Undone);
    assert!(bench.vmids().await.contains(&500), "without the mark it is somebody else's");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_can_not_work_is_said_in_a_sentence() {
    let sim = cluster().await;
    let bench = bench(&sim);
    quorum_lost(&sim, &bench).await;
    let mut spec = spec();
    spec["storage"] = json!("no-such");
    let why = bench.refused("guest_create", &spec).await;
    assert!(why.contains("no-such"), "{why}");
    sim.faults().node_down("pve1");
    let why = bench.refused("guest_create", &wanted()).await;
    assert!(why.contains("Node pve1 does not answer"), "{why}");
}

async fn quorum_lost(sim: &Sim, bench: &Bench) {
    sim.faults().quorum(false);
    let why = bench.refused("guest_create", &spec()).await;
    assert!(why.contains("no quorum"), "{why}");
    sim.faults().quorum(true);
}
