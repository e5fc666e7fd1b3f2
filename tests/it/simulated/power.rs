//! guest_power and guest_delete.

use super::{bench, cluster};
use crate::proxmox::{Bench, MemoryJournal, wanted};
use plugin::{Mode, Outcome};
use serde_json::{Value, json};
use sim::{AnswerFault, Fault, Sim};
use std::sync::Arc;

/// A machine of our own, running, number 500 on pve1.
async fn machine(sim: &Sim) -> Bench {
    let bench = bench(sim);
    bench.done("guest_create", &wanted()).await;
    bench
}

fn args(action: &str) -> Value {
    json!({"vmid": 500, "kind": "vm", "node": "pve1", "action": action})
}

fn who() -> Value {
    json!({"vmid": 500, "kind": "vm", "node": "pve1"})
}

async fn phase(bench: &Bench) -> String {
    let state = bench.get("/nodes/pve1/qemu/500/status/current").await;
    state["qmpstatus"].as_str().unwrap().to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn every_action_reaches_its_state_and_may_be_asked_twice() {
    let sim = cluster().await;
    let bench = machine(&sim).await;
    for (action, wanted) in [
        ("suspend", "paused"),
        ("suspend", "paused"),
        ("resume", "running"),
        ("reboot", "running"),
        ("reset", "running"),
        ("shutdown", "stopped"),
        ("shutdown", "stopped"),
        ("start", "running"),
        ("stop", "stopped"),
        ("stop", "stopped"),
    ] {
        bench.done("guest_power", &args(action)).await;
        assert_eq!(phase(&bench).await, wanted, "{action}");
    }
    let why = bench.refused("guest_power", &args("reboot")).await;
    assert_eq!(why, "It is not running.");
    assert_eq!(bench.refused("guest_power", &args("reset")).await, "It is not running.");
    let why = bench.refused("guest_power", &args("explode")).await;
    assert_eq!(why, "\"explode\" is not a power action.");
}

#[tokio::test(flavor = "multi_thread")]
async fn containers_have_power_actions_too() {
    let sim = cluster().await;
    let bench = bench(&sim);
    let all = bench.call("inventory", vec![]).await.unwrap();
    let guests = all["guests"].as_array().unwrap();
    let one = guests.iter().find(|g| g["kind"] == "container" && g["status"] == "running").unwrap();
    for action in ["reboot", "shutdown", "start", "stop"] {
        let args = json!({"vmid": one["vmid"], "kind": "container", "node": one["node"], "action": action});
        bench.done("guest_power", &args).await;
    }
    let args = json!({"vmid": one["vmid"], "kind": "container", "node": one["node"], "action": "suspend"});
    assert_eq!(bench.refused("guest_power", &args).await, "Containers can't be suspended.");
    let args = json!({"vmid": one["vmid"], "kind": "container", "node": one["node"], "action": "reset"});
    assert_eq!(bench.refused("guest_power", &args).await, "Containers can't be reset.");
    let gone = json!({"vmid": one["vmid"], "kind": "container", "node": one["node"]});
    bench.done("guest_delete", &gone).await;
    assert!(!bench.vmids().await.contains(&one["vmid"].as_u64().unwrap()));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deaf_guest_fails_its_shutdown_plainly_and_stop_cuts_in() {
    let sim = cluster().await;
    let bench = machine(&sim).await;
    sim.faults().set(Fault::Deaf { vmid: 500, deaf: true }).await.unwrap();
    let why = bench.refused("guest_power", &args("shutdown")).await;
    assert_eq!(why, "It did not shut down within 60 seconds. It may still do so; if it hangs, use Stop.");
    assert_eq!(phase(&bench).await, "running");
    // A shutdown is under way when somebody presses Stop.
    let journal = Arc::new(MemoryJournal::new());
    let waiting = bench.run(&journal, "guest_power", &args("shutdown"), Mode::Forward).await;
    assert!(matches!(waiting, Outcome::Wait(_)), "{waiting:?}");
    bench.done("guest_power", &args("stop")).await;
    assert_eq!(phase(&bench).await, "stopped");
}

#[tokio::test(flavor = "multi_thread")]
async fn lost_answers_and_deaths_do_not_act_twice() {
    let sim = cluster().await;
    let bench = machine(&sim).await;
    for action in ["reboot", "shutdown", "start"] {
        let lost = AnswerFault {
            method: "POST".into(),
            path: "/status/".into(),
            cut: true,
            after: true,
            ..AnswerFault::default()
        };
        sim.faults().answer(lost);
        bench.done("guest_power", &args(action)).await;
    }
    let tasks = bench.get("/nodes/pve1/tasks").await;
    let tasks: Vec<&str> =
        tasks.as_array().unwrap().iter().filter(|t| t["id"] == "500").map(|t| t["type"].as_str().unwrap()).collect();
    let count = |kind: &str| tasks.iter().filter(|t| **t == kind).count();
    assert_eq!((count("qmreboot"), count("qmshutdown")), (1, 1), "{tasks:?}");
    for n in 1.. {
        let journal = Arc::new(MemoryJournal::new());
        journal.die_at_write(n);
        let action = if n % 2 == 0 { "start" } else { "stop" };
        bench.job(&journal, "guest_power", &args(action)).await.unwrap_or_else(|e| panic!("write {n}: {e:?}"));
        assert_eq!(phase(&bench).await == "running", n % 2 == 0);
        if !journal.has_died() {
            return;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_running_machine_is_stopped_and_removed_and_a_second_time_is_no_error() {
    let sim = cluster().await;
    for n in 1.. {
        let bench = machine(&sim).await;
        let journal = Arc::new(MemoryJournal::new());
        journal.die_at_write(n);
        bench.job(&journal, "guest_delete", &who()).await.unwrap_or_else(|e| panic!("write {n}: {e:?}"));
        assert!(!bench.vmids().await.contains(&500));
        if !journal.has_died() {
            break;
        }
    }
    bench(&sim).done("guest_delete", &who()).await;
}

/// The job dies after the removal; before it goes on, its number is given to a new machine.
#[tokio::test(flavor = "multi_thread")]
async fn a_new_machine_with_an_old_number_is_never_removed() {
    let sim = cluster().await;
    let bench = machine(&sim).await;
    let journal = Arc::new(MemoryJournal::new());
    let lost = AnswerFault { method: "DELETE".into(), cut: true, after: true, ..AnswerFault::default() };
    sim.faults().answer(lost);
    let failed = bench.drive(&journal, "guest_delete", &who(), Mode::Forward).await;
    assert!(matches!(failed, Outcome::Failed(_)), "{failed:?}");
    while bench.vmids().await.contains(&500) {
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    bench.done("guest_create", &wanted()).await;
    bench.job(&journal, "guest_delete", &who()).await.unwrap();
    assert!(bench.vmids().await.contains(&500), "{}", journal.text());
}

#[tokio::test(flavor = "multi_thread")]
async fn protection_and_linked_clones_are_said() {
    let sim = cluster().await;
    let bench = machine(&sim).await;
    bench.client.call("PUT", "/nodes/pve1/qemu/500/config", &json!({"protection": true})).await.unwrap();
    let why = bench.refused("guest_delete", &who()).await;
    assert!(why.starts_with("It is protected against deletion"), "{why}");
    let mut linked = wanted();
    linked["source"]["full"] = json!(false);
    linked["storage"] = Value::Null;
    bench.done("guest_create", &linked).await;
    let why = bench.refused("guest_delete", &json!({"vmid": 9000, "kind": "vm", "node": "pve1"})).await;
    assert!(why.starts_with("Removing it failed"), "{why}");
    assert!(bench.vmids().await.contains(&9000));
}
