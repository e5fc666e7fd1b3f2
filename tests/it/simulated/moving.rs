//! guest_clone, guest_template, guest_migrate_check, guest_migrate, guest_hibernate.

use super::{bench, cluster};
use crate::dying::{Death, Played, cluster as small};
use crate::proxmox::{Bench, MemoryJournal, wanted};
use model::guests::moving::MoveCheck;
use plugin::{Mode, Outcome};
use serde_json::{Value, json};
use sim::Sim;
use std::sync::Arc;

fn who() -> Value {
    json!({"vmid": 500, "kind": "vm", "node": "pve1"})
}

fn with(mut who: Value, more: &Value) -> Value {
    who.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    who
}

fn copy(more: &Value) -> Value {
    let plain = json!({
        "name": "copy-01", "target": null, "full": true, "storage": null, "snapshot": null, "description": "",
        "start": false, "mark": "j-copy",
    });
    with(with(who(), &plain), more)
}

fn to(node: &str, more: &Value) -> Value {
    with(with(who(), &json!({"target": node, "disks": false, "storage": null})), more)
}

async fn check(bench: &Bench, who: &Value) -> MoveCheck {
    serde_json::from_value(bench.call("guest_migrate_check", vec![who.clone()]).await.unwrap()).unwrap()
}

async fn config(bench: &Bench, node: &str, vmid: u64) -> Value {
    bench.get(&format!("/nodes/{node}/qemu/{vmid}/config")).await
}

/// A machine 500 on a shared storage of pve1, running.
async fn shared(bench: &Bench) {
    let mut spec = wanted();
    spec["storage"] = json!("ceph-vm");
    spec["vlan"] = json!(null);
    bench.done("guest_create", &spec).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_running_machine_is_copied_and_the_copy_stands_on_its_own() {
    let sim = cluster().await;
    let bench = bench(&sim);
    bench.done("guest_create", &wanted()).await;
    let (end, journal) = bench.done("guest_clone", &copy(&json!({"start": true, "storage": "ceph-vm"}))).await;
    assert_eq!(end["node"], "pve1");
    let vmid = end["vmid"].as_u64().unwrap();
    let (first, second) = (config(&bench, "pve1", 500).await, config(&bench, "pve1", vmid).await);
    assert_eq!(second["name"], "copy-01");
    assert!(second["scsi0"].as_str().unwrap().starts_with("ceph-vm:"), "{second:#}");
    assert_ne!(first["net0"], second["net0"], "another MAC");
    let notes = second["description"].as_str().unwrap();
    assert!(notes.starts_with("Builds things.") && notes.trim_end().ends_with("steward-job: j-copy"), "{notes}");
    assert_eq!(notes.matches("steward-job").count(), 1, "{notes}");
    let state = bench.get(&format!("/nodes/pve1/qemu/{vmid}/status/current")).await;
    assert_eq!(state["status"], "running");
    assert!(journal.text().contains("same fixed address (192.168.1.44)"), "{}", journal.text());
    assert!(bench.reserved().is_empty(), "all numbers are given back");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_snapshot_is_copied_as_it_was() {
    let sim = cluster().await;
    let bench = bench(&sim);
    bench.done("guest_create", &wanted()).await;
    bench.done("guest_snapshot", &with(who(), &json!({"name": "calm"}))).await;
    bench.client.call("PUT", "/nodes/pve1/qemu/500/config", &json!({"onboot": true})).await.unwrap();
    let (end, _) = bench.done("guest_clone", &copy(&json!({"snapshot": "calm"}))).await;
    let made = config(&bench, "pve1", end["vmid"].as_u64().unwrap()).await;
    assert!(made["onboot"].is_null(), "{made:#}");
    let why = bench.refused("guest_clone", &copy(&json!({"snapshot": "gone", "name": "other"}))).await;
    assert_eq!(why, "There is no snapshot gone.");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_copy_goes_to_another_node_only_without_disks_to_carry() {
    let sim = cluster().await;
    let bench = bench(&sim);
    shared(&bench).await;
    let (end, _) = bench.done("guest_clone", &copy(&json!({"target": "pve2"}))).await;
    assert_eq!(end["node"], "pve2");
    config(&bench, "pve2", end["vmid"].as_u64().unwrap()).await;
    let why =
        bench.refused("guest_clone", &copy(&json!({"name": "x", "target": "pve2", "storage": "local-lvm"}))).await;
    assert!(why.contains("Each node has its own local-lvm"), "{why}");
    assert!(bench.reserved().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_machine_becomes_a_template_and_linked_copies_are_made_of_it() {
    let sim = cluster().await;
    let bench = bench(&sim);
    bench.done("guest_create", &wanted()).await;
    let why = bench.refused("guest_template", &who()).await;
    assert!(why.contains("Shut it down"), "{why}");
    bench.done("guest_power", &with(who(), &json!({"action": "stop"}))).await;
    bench.done("guest_template", &who()).await;
    assert_eq!(config(&bench, "pve1", 500).await["template"], 1);
    // Once more is no error.
    bench.done("guest_template", &who()).await;
    let (end, _) = bench.done("guest_clone", &copy(&json!({"full": false}))).await;
    let made = config(&bench, "pve1", end["vmid"].as_u64().unwrap()).await;
    assert!(made["template"].is_null(), "{made:#}");
    let why = bench.refused("guest_clone", &copy(&json!({"full": false, "storage": "nas", "name": "x"}))).await;
    assert!(why.contains("Make a full copy"), "{why}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_machine_with_snapshots_is_no_template_yet() {
    let sim = cluster().await;
    let bench = bench(&sim);
    bench.done("guest_create", &wanted()).await;
    bench.done("guest_snapshot", &with(who(), &json!({"name": "calm"}))).await;
    bench.done("guest_power", &with(who(), &json!({"action": "stop"}))).await;
    let why = bench.refused("guest_template", &who()).await;
    assert!(why.contains("snapshots (calm)"), "{why}");
    assert!(config(&bench, "pve1", 500).await["template"].is_null());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_running_machine_on_shared_storage_moves_and_goes_on_running() {
    let sim = cluster().await;
    let bench = bench(&sim);
    shared(&bench).await;
    let found = check(&bench, &who()).await;
    assert!(found.running && found.live && found.problems.is_empty() && found.disks.is_empty(), "{found:#?}");
    assert_eq!(found.nodes.len(), 2);
    assert!(found.node("pve2").unwrap().problems.is_empty(), "{found:#?}");
    let (end, _) = bench.done("guest_migrate", &to("pve2", &json!({}))).await;
    assert_eq!(end, json!({"node": "pve2", "status": "running"}));
    let state = bench.get("/nodes/pve2/qemu/500/status/current").await;
    assert_eq!(state["status"], "running");
    // Asked once more with what was known before: it is there.
    let (end, _) = bench.done("guest_migrate", &to("pve2", &json!({}))).await;
    assert_eq!(end["node"], "pve2");
}

#[tokio::test(flavor = "multi_thread")]
async fn disks_of_one_node_are_taken_along_to_the_wanted_storage() {
    let sim = cluster().await;
    let bench = bench(&sim);
    bench.done("guest_create", &wanted()).await;
    let found = check(&bench, &who()).await;
    assert!(found.disks.iter().any(|d| d.key == "scsi0" && d.storage == "local-lvm" && d.bytes > 0), "{found:#?}");
    assert!(found.node("pve2").unwrap().same, "{found:#?}");
    let why = bench.refused("guest_migrate", &to("pve2", &json!({}))).await;
    assert!(why.contains("move the disks too"), "{why}");
    let why = bench.refused("guest_migrate", &to("pve2", &json!({"disks": true, "storage": "local"}))).await;
    assert!(why.contains("no storage local for disks"), "{why}");
    bench.done("guest_migrate", &to("pve2", &json!({"disks": true, "storage": "ceph-vm"}))).await;
    let moved = config(&bench, "pve2", 500).await;
    assert!(moved["scsi0"].as_str().unwrap().starts_with("ceph-vm:"), "{moved:#}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_stands_in_the_way_is_said_before_anything_is_moved() {
    let sim = cluster().await;
    let bench = bench(&sim);
    shared(&bench).await;
    let path = "/nodes/pve1/qemu/500/config";
    let iso = json!({"ide0": "local:iso/debian-12.11.0-amd64-netinst.iso,media=cdrom"});
    bench.client.call("PUT", path, &iso).await.unwrap();
    sim.faults().node_down("pve3");
    let found = check(&bench, &who()).await;
    assert!(found.problems[0].contains("local:iso/debian-12.11.0"), "{found:#?}");
    assert_eq!(found.node("pve3").unwrap().problems, ["It is not reachable."]);
    let why = bench.refused("guest_migrate", &to("pve2", &json!({}))).await;
    assert!(why.contains("Take it out first"), "{why}");
    bench.client.call("PUT", path, &json!({"ide0": "none,media=cdrom"})).await.unwrap();
    let why = bench.refused("guest_migrate", &to("pve3", &json!({}))).await;
    assert!(why.contains("pve3: It is not reachable."), "{why}");
    bench.done("guest_migrate", &to("pve2", &json!({}))).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_move_that_breaks_off_leaves_the_machine_where_it_is() {
    let sim = cluster().await;
    let bench = bench(&sim);
    shared(&bench).await;
    sim.faults().fail_task("qmigrate", "migration aborted", 3);
    let why = bench.refused("guest_migrate", &to("pve2", &json!({}))).await;
    assert!(why.contains("Moving it to pve2 failed: "), "{why}");
    let state = bench.get("/nodes/pve1/qemu/500/status/current").await;
    assert_eq!((&state["status"], &state["lock"]), (&json!("running"), &Value::Null));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cancelled_move_is_ended_and_the_machine_stays() {
    let sim = small(0.2).await;
    let mover = Played::of(&sim, "guest_migrate", |_| json!({}));
    let (vmid, node) = running(&mover).await;
    let other = if node == "pve1" { "pve2" } else { "pve1" };
    let args = json!({"vmid": vmid, "kind": "vm", "node": node, "target": other, "disks": true, "storage": null});
    let job = Played::of(&sim, "guest_migrate", |_| args);
    // Each life does one step (two writes and what lies between), until one has asked for the move; a person
    // cancels then.
    let tasks = format!("/nodes/{node}/tasks");
    let active = json!({"source": "active"});
    let mut lives = 0;
    while job.outside.client.call("GET", &tasks, &active).await.unwrap() == json!([]) {
        lives += 1;
        assert!(lives < 30, "no life asked for the move");
        assert_eq!(job.life(&Death::at(3), Mode::Forward, false).await, None, "it came to its end before");
    }
    let end = job.life(&Death::at(usize::MAX), Mode::Undo, false).await.unwrap();
    assert_eq!(end, Outcome::Undone);
    let state =
        job.outside.client.call("GET", &format!("/nodes/{node}/qemu/{vmid}/status/current"), &Value::Null).await;
    assert_eq!(state.unwrap()["status"], "running");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hibernated_machine_goes_on_with_a_start_and_can_be_deleted() {
    let sim = cluster().await;
    let bench = bench(&sim);
    bench.done("guest_create", &wanted()).await;
    let (end, _) = bench.done("guest_hibernate", &who()).await;
    assert_eq!(end, json!({"status": "suspended"}));
    let (end, _) = bench.done("guest_power", &with(who(), &json!({"action": "start"}))).await;
    assert_eq!(end["status"], "running");
    bench.done("guest_hibernate", &who()).await;
    bench.done("guest_delete", &who()).await;
    assert!(!bench.vmids().await.contains(&500));
    let why = bench.refused("guest_hibernate", &who()).await;
    assert!(why.contains("does not exist any more"), "{why}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cancelled_copy_is_taken_away_even_when_it_is_protected() {
    let sim = cluster().await;
    let bench = bench(&sim);
    bench.done("guest_create", &wanted()).await;
    bench.client.call("PUT", "/nodes/pve1/qemu/500/config", &json!({"protection": true})).await.unwrap();
    let before = bench.vmids().await;
    let journal = Arc::new(MemoryJournal::new());
    let args = copy(&json!({"start": true}));
    let end = bench.drive(&journal, "guest_clone", &args, Mode::Forward).await;
    assert!(matches!(end, Outcome::Done(_)), "{end:?}");
    assert_eq!(bench.vmids().await.len(), before.len() + 1);
    assert_eq!(bench.drive(&journal, "guest_clone", &args, Mode::Undo).await, Outcome::Undone);
    assert_eq!(bench.vmids().await, before);
    assert!(bench.reserved().is_empty());
}

/// Number and node of a running machine.
async fn running(job: &Played) -> (u64, String) {
    let kind = json!({"type": "vm"});
    let guests = job.outside.client.call("GET", "/cluster/resources", &kind).await.unwrap();
    let fits = |g: &&Value| g["type"] == "qemu" && g["template"] != 1 && g["status"] == "running";
    let guest = guests.as_array().unwrap().iter().find(fits).unwrap().clone();
    (guest["vmid"].as_u64().unwrap(), guest["node"].as_str().unwrap().to_owned())
}

fn a_copy(vmid: u64, node: &str, name: &str, mark: &str) -> Value {
    with(copy(&json!({"name": name, "mark": mark})), &json!({"vmid": vmid, "node": node}))
}

async fn lived(job: &Played, point: usize) -> (bool, Outcome) {
    match job.life(&Death::at(point), Mode::Forward, false).await {
        Some(outcome) => (false, outcome),
        None => (true, job.life(&Death::at(usize::MAX), Mode::Forward, false).await.unwrap()),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_copy_job_dies_at_every_point_and_makes_exactly_one() {
    let sim = small(0.01).await;
    let (vmid, node) = running(&Played::of(&sim, "guest_clone", |_| json!({}))).await;
    for point in 0.. {
        let job = Played::of(&sim, "guest_clone", |mark| a_copy(vmid, &node, &format!("p{point}"), &mark.to_string()));
        let before = job.guests().await;
        let (died, last) = lived(&job, point).await;
        let log = job.disk.log.lock().unwrap().join("\n");
        assert!(matches!(last, Outcome::Done(_)), "death at point {point}: {last:?}\n{log}");
        let new: Vec<u64> = job.guests().await.difference(&before).copied().collect();
        assert_eq!(new.len(), 1, "death at point {point} made {new:?}");
        if !died {
            assert!(point >= 12, "only {point} points: the test does not reach what it should");
            break;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_copy_job_that_gives_up_leaves_nothing_wherever_it_dies() {
    let sim = small(0.01).await;
    let (vmid, node) = running(&Played::of(&sim, "guest_clone", |_| json!({}))).await;
    for point in 0.. {
        let job = Played::of(&sim, "guest_clone", |mark| a_copy(vmid, &node, &format!("q{point}"), &mark.to_string()));
        let before = job.guests().await;
        let first = job.life(&Death::at(point), Mode::Forward, false).await;
        let end = job.life(&Death::at(usize::MAX), Mode::Undo, false).await.unwrap();
        assert_eq!(end, Outcome::Undone, "death at point {point}");
        assert_eq!(job.guests().await, before, "death at point {point}");
        if first.is_some() {
            break;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_move_job_dies_at_every_point_and_the_machine_is_there() {
    let sim = small(0.01).await;
    let (vmid, mut node) = running(&Played::of(&sim, "guest_migrate", |_| json!({}))).await;
    for point in 0.. {
        let other = if node == "pve1" { "pve2" } else { "pve1" };
        let args = json!({"vmid": vmid, "kind": "vm", "node": node, "target": other, "disks": true, "storage": null});
        let job = Played::of(&sim, "guest_migrate", |_| args);
        let (died, last) = lived(&job, point).await;
        let log = job.disk.log.lock().unwrap().join("\n");
        assert!(matches!(last, Outcome::Done(_)), "death at point {point}: {last:?}\n{log}");
        let path = format!("/nodes/{other}/qemu/{vmid}/status/current");
        let state = job.outside.client.call("GET", &path, &Value::Null).await;
        assert_eq!(state.unwrap()["status"], "running", "death at point {point}");
        node = other.to_owned();
        if !died {
            assert!(point >= 8, "only {point} points: the test does not reach what it should");
            break;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn hibernating_dies_at_every_point_and_the_machine_is_asleep() {
    let sim = small(0.01).await;
    let (vmid, node) = running(&Played::of(&sim, "guest_hibernate", |_| json!({}))).await;
    let args = json!({"vmid": vmid, "kind": "vm", "node": node});
    for point in 0.. {
        let job = Played::of(&sim, "guest_hibernate", |_| args.clone());
        let (died, last) = lived(&job, point).await;
        assert!(matches!(last, Outcome::Done(_)), "death at point {point}: {last:?}");
        wake(&sim, &args).await;
        if !died {
            break;
        }
    }
}

async fn wake(sim: &Sim, args: &Value) {
    let start = Played::of(sim, "guest_power", |_| with(args.clone(), &json!({"action": "start"})));
    let end = start.life(&Death::at(usize::MAX), Mode::Forward, false).await.unwrap();
    assert!(matches!(end, Outcome::Done(_)), "{end:?}");
}
