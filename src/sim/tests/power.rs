//! Power, locks, interrupts.

use super::client::{cluster, with};
use crate::{Fault, Options};
use std::time::Duration;

#[tokio::test]
async fn paused_shows_as_such_only_in_the_big_list() {
    let c = cluster().await;
    let path = c.running(900, "").await;
    assert_eq!(c.exit(&c.post(&format!("{path}/status/suspend"), "").await).await, "OK");
    let now = c.get(&format!("{path}/status/current")).await.data();
    assert_eq!((now["status"].as_str(), now["qmpstatus"].as_str()), (Some("running"), Some("paused")));
    tokio::time::sleep(Duration::from_millis(250)).await;
    let list = c.get("/cluster/resources?type=vm").await.data();
    let item = list.as_array().unwrap().iter().find(|i| i["vmid"] == 900).unwrap().clone();
    assert_eq!(item["status"], "paused");
    assert_eq!(c.post(&format!("{path}/status/shutdown"), "").await.message(), "VM is paused - cannot shutdown");
    assert_eq!(c.exit(&c.post(&format!("{path}/status/resume"), "").await).await, "OK");
    assert_eq!(c.exit(&c.post(&format!("{path}/status/shutdown"), "").await).await, "OK");
    assert_eq!(c.post(&format!("{path}/status/suspend"), "").await.message(), "VM 900 not running");
    assert_eq!(c.post(&format!("{path}/status/reset"), "").await.message(), "VM 900 not running");
    assert_eq!(
        c.exit(&c.post(&format!("{path}/status/shutdown"), "").await).await,
        "OK",
        "of a stopped one it is fine"
    );
}

#[tokio::test]
async fn reboot_ends_when_the_machine_is_down_and_root_starts_it_again() {
    let c = cluster().await;
    let path = c.running(901, "").await;
    c.put(&format!("{path}/config"), "cores=4").await;
    assert_eq!(c.exit(&c.post(&format!("{path}/status/reboot"), "").await).await, "OK");
    tokio::time::sleep(Duration::from_millis(200)).await;
    assert_eq!(c.get(&format!("{path}/status/current")).await.data()["status"], "running");
    assert_eq!(c.get(&format!("{path}/config?current=1")).await.data()["cores"], 4, "what waited is applied");
    let last = c.get("/nodes/pve1/tasks?vmid=901&typefilter=qmstart&source=all").await.data()[0].clone();
    assert_eq!(last["user"], "root@pam");
    assert!(last.get("tokenid").is_none());
}

#[tokio::test]
async fn a_deaf_guest_times_out_and_holds_its_file_meanwhile() {
    let c = with(Options { time_scale: 0.02, ..Options::default() }).await;
    let path = c.running(902, "").await;
    c.sim.faults().set(Fault::Deaf { vmid: 902, deaf: true }).await.unwrap();
    let short = c.post(&format!("{path}/status/shutdown"), "timeout=5").await;
    assert_eq!(c.exit(&short).await, "VM quit/powerdown failed - got timeout");
    let long = c.post(&format!("{path}/status/shutdown"), "timeout=600").await;
    let locked = c.put(&format!("{path}/config"), "name=no").await;
    assert_eq!(locked.message(), "can't lock file '/var/lock/qemu-server/lock-902.conf' - got timeout");
    assert!(c.exit(&c.post(&format!("{path}/status/stop"), "").await).await.starts_with("can't lock file"));
    assert_eq!(c.exit(&c.post(&format!("{path}/status/stop"), "overrule-shutdown=1").await).await, "OK");
    assert_eq!(c.exit(&long).await, "received interrupt");
}

#[tokio::test]
async fn locks_stop_edits_at_once_and_power_only_in_the_task() {
    let c = cluster().await;
    let path = c.machine(903, "").await;
    c.sim.faults().guest_lock(903, Some("backup"));
    assert_eq!(c.put(&format!("{path}/config"), "cores=1").await.message(), "VM is locked (backup)");
    assert_eq!(c.post(&format!("{path}/clone"), "newid=904").await.message(), "VM is locked (backup)");
    assert_eq!(c.exit(&c.post(&format!("{path}/status/start"), "").await).await, "VM is locked (backup)");
    assert_eq!(c.exit(&c.put(&format!("{path}/resize"), "disk=scsi0&size=%2B1G").await).await, "VM is locked (backup)");
    c.sim.faults().guest_lock(903, None);
    c.put(&format!("{path}/config"), "protection=1").await;
    assert_eq!(c.delete(&path).await.message(), "can't remove VM 903 - protection mode enabled");
}

#[tokio::test]
async fn a_hanging_task_runs_until_its_owner_interrupts_it() {
    let c = cluster().await;
    c.sim.faults().hang_task("qmclone");
    let clone = c.post("/nodes/pve1/qemu/9000/clone", "newid=905").await;
    let upid = clone.data().as_str().unwrap().to_owned();
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert_eq!(c.get(&format!("/nodes/pve1/tasks/{upid}/status")).await.data()["status"], "running");
    assert_eq!(c.delete(&format!("/nodes/pve1/tasks/{upid}")).await.status, 200);
    assert_eq!(c.exit(&clone).await, "received interrupt");
    assert!(c.sim.world.read(|s| !s.guests.contains_key(&905)), "the half clone is cleaned up");
    let log = c.get(&format!("/nodes/pve1/tasks/{upid}/log")).await;
    let lines = log.data().as_array().unwrap().clone();
    assert_eq!(lines.last().unwrap()["t"], "TASK ERROR: received interrupt");
    assert_eq!(log.json()["total"], lines.len());
}

#[tokio::test]
async fn containers_refuse_at_once_what_machines_refuse_in_the_task() {
    let c = cluster().await;
    let (vmid, node) = c.sim.world.read(|s| {
        let found = s.guests.values().find(|g| g.kind == crate::state::Kind::Lxc && g.run.is_some()).unwrap();
        (found.vmid, found.node.clone())
    });
    let path = format!("/nodes/{node}/lxc/{vmid}");
    assert_eq!(c.post(&format!("{path}/status/start"), "").await.message(), format!("CT {vmid} already running"));
    assert!(c.get(&format!("{path}/interfaces")).await.data()[1]["inet"].as_str().unwrap().contains('/'));
    assert_eq!(c.exit(&c.post(&format!("{path}/status/shutdown"), "").await).await, "OK");
    assert_eq!(c.post(&format!("{path}/status/stop"), "").await.message(), format!("CT {vmid} not running"));
    assert_eq!(c.exit(&c.post(&format!("{path}/status/start"), "").await).await, "OK");
    assert_eq!(c.get(&format!("{path}/status/current")).await.data()["status"], "running");
}
