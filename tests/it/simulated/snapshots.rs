//! guest_snapshots, guest_snapshot, guest_rollback, guest_snapshot_delete, guest_snapshot_edit.

use super::{bench, cluster};
use crate::dying::{Death, Played, cluster as small};
use crate::proxmox::{Bench, MemoryJournal, wanted};
use model::guests::snapshots::Snapshots;
use plugin::{Mode, Outcome};
use serde_json::{Value, json};
use std::sync::Arc;

fn who() -> Value {
    json!({"vmid": 500, "kind": "vm", "node": "pve1"})
}

fn with(mut who: Value, more: &Value) -> Value {
    who.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    who
}

async fn list(bench: &Bench, who: &Value) -> Snapshots {
    serde_json::from_value(bench.call("guest_snapshots", vec![who.clone()]).await.unwrap()).unwrap()
}

fn drawn(all: &Snapshots) -> Vec<String> {
    all.tree().iter().map(|(d, s)| format!("{}{}", ".".repeat(*d), s.map_or("NOW", |s| &s.name))).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_machine_is_kept_changed_and_brought_back() {
    let sim = cluster().await;
    let bench = bench(&sim);
    bench.done("guest_create", &wanted()).await;
    let memory = with(who(), &json!({"name": "before", "description": "Two\nlines", "memory": true}));
    bench.done("guest_snapshot", &memory).await;
    bench.done("guest_snapshot", &with(who(), &json!({"name": "second"}))).await;
    let all = list(&bench, &who()).await;
    assert_eq!(drawn(&all), ["before", ".second", "..NOW"]);
    let first = all.get("before").unwrap();
    assert!(first.memory && first.time > base::Timestamp::ZERO && first.description == "Two\nlines", "{first:?}");
    assert_eq!(all.refusal, None);

    bench.client.call("PUT", "/nodes/pve1/qemu/500/config", &json!({"description": "broken"})).await.unwrap();
    let (end, _) = bench.done("guest_rollback", &with(who(), &json!({"name": "before"}))).await;
    assert_eq!(end, json!({"name": "before", "status": "running"}));
    let config = bench.get("/nodes/pve1/qemu/500/config").await;
    assert!(!config["description"].as_str().unwrap().contains("broken"), "{config:#}");
    assert_eq!(drawn(&list(&bench, &who()).await), ["before", ".second", ".NOW"]);

    let note = with(who(), &json!({"name": "before", "description": "kept"}));
    bench.done("guest_snapshot_edit", &note).await;
    assert_eq!(list(&bench, &who()).await.get("before").unwrap().description, "kept");
    bench.done("guest_snapshot_delete", &with(who(), &json!({"name": "before"}))).await;
    bench.done("guest_snapshot_delete", &with(who(), &json!({"name": "before"}))).await;
    assert_eq!(drawn(&list(&bench, &who()).await), ["second", "NOW"]);
    let why = bench.refused("guest_rollback", &with(who(), &json!({"name": "before"}))).await;
    assert_eq!(why, "There is no snapshot before.");
}

#[tokio::test(flavor = "multi_thread")]
async fn containers_have_snapshots_too() {
    let sim = cluster().await;
    let bench = bench(&sim);
    let all = bench.call("inventory", vec![]).await.unwrap();
    let guests = all["guests"].as_array().unwrap();
    let one = guests.iter().find(|g| g["kind"] == "container" && g["status"] == "running").unwrap();
    let who = json!({"vmid": one["vmid"], "kind": "container", "node": one["node"]});
    bench.done("guest_snapshot", &with(who.clone(), &json!({"name": "calm"}))).await;
    assert_eq!(drawn(&list(&bench, &who).await), ["calm", ".NOW"]);
    let (end, _) = bench.done("guest_rollback", &with(who.clone(), &json!({"name": "calm", "start": true}))).await;
    assert!(end["status"] == "running" || end["status"] == "stopped", "{end}");
    bench.done("guest_snapshot_delete", &with(who.clone(), &json!({"name": "calm"}))).await;
    assert!(list(&bench, &who).await.snapshots.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_snapshot_that_breaks_off_says_how_the_machine_is_freed() {
    let sim = cluster().await;
    let bench = bench(&sim);
    bench.done("guest_create", &wanted()).await;
    sim.faults().fail_task("qmsnapshot", "no space left on device", 1);
    let why = bench.refused("guest_snapshot", &with(who(), &json!({"name": "half"}))).await;
    assert!(why.contains("qm unlock 500 && qm delsnapshot 500 half --force"), "{why}");
    let all = list(&bench, &who()).await;
    assert!(all.get("half").unwrap().broken, "{all:?}");
    sim.faults().guest_lock(500, None);
    let why = bench.refused("guest_rollback", &with(who(), &json!({"name": "half"}))).await;
    assert!(why.contains("roll back to it"), "{why}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_raw_file_is_named_as_what_keeps_snapshots_from_being_made() {
    let sim = cluster().await;
    let bench = bench(&sim);
    bench.done("guest_create", &wanted()).await;
    let raw = json!({"scsi5": "nas:1,format=raw"});
    bench.client.call("PUT", "/nodes/pve1/qemu/500/config", &raw).await.unwrap();
    let why = list(&bench, &who()).await.refusal.unwrap();
    assert!(why.contains("scsi5 is a file in raw format"), "{why}");
    let why = bench.refused("guest_snapshot", &with(who(), &json!({"name": "no"}))).await;
    assert!(why.contains("qcow2"), "{why}");
    assert!(list(&bench, &who()).await.snapshots.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cancelled_snapshot_is_taken_away() {
    let sim = cluster().await;
    let bench = bench(&sim);
    bench.done("guest_create", &wanted()).await;
    let journal = Arc::new(MemoryJournal::new());
    let args = with(who(), &json!({"name": "regret"}));
    let end = bench.drive(&journal, "guest_snapshot", &args, Mode::Forward).await;
    assert!(matches!(end, Outcome::Done(_)), "{end:?}");
    assert_eq!(bench.drive(&journal, "guest_snapshot", &args, Mode::Undo).await, Outcome::Undone);
    assert!(list(&bench, &who()).await.snapshots.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn the_snapshot_job_dies_at_every_point_and_one_snapshot_is_there() {
    let sim = small(0.01).await;
    let looker = Played::of(&sim, "guest_snapshot", |_| json!({}));
    let kind = json!({"type": "vm"});
    let guests = looker.outside.client.call("GET", "/cluster/resources", &kind).await.unwrap();
    let fits = |g: &&Value| g["type"] == "qemu" && g["template"] != 1 && g["status"] == "running";
    let guest = guests.as_array().unwrap().iter().find(fits).unwrap().clone();
    let (vmid, node) = (guest["vmid"].clone(), guest["node"].as_str().unwrap().to_owned());
    for point in 0.. {
        let name = format!("p{point}-x");
        let args = json!({"vmid": vmid, "kind": "vm", "node": node, "name": name, "description": "", "memory": false});
        let job = Played::of(&sim, "guest_snapshot", |_| args);
        let first = job.life(&Death::at(point), Mode::Forward, false).await;
        let died = first.is_none();
        let last = match first {
            Some(outcome) => outcome,
            None => job.life(&Death::at(usize::MAX), Mode::Forward, false).await.unwrap(),
        };
        assert!(matches!(last, Outcome::Done(_)), "death at point {point}: {last:?}");
        let path = format!("/nodes/{node}/qemu/{vmid}/snapshot");
        let list = job.outside.client.call("GET", &path, &Value::Null).await.unwrap();
        let made = list.as_array().unwrap().iter().filter(|s| s["name"] == name.as_str()).count();
        assert_eq!(made, 1, "death at point {point}: {list:#}");
        if !died {
            assert!(point >= 8, "only {point} points: the test does not reach what it should");
            break;
        }
    }
}
