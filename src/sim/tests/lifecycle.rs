//! Machines and tasks from the cradle to the grave.

use super::client::cluster;

#[tokio::test]
async fn a_machine_is_cloned_from_a_template_started_and_deleted() {
    let c = cluster().await;
    // A clone takes milliseconds here: one that hangs shows how it is meanwhile.
    c.sim.faults().hang_task("qmclone");
    let hanging = c.post("/nodes/pve1/qemu/9000/clone", "newid=600&name=fresh").await;
    assert_eq!(c.get("/nodes/pve1/qemu/600/config").await.data()["lock"], "clone");
    assert_eq!(c.put("/nodes/pve1/qemu/600/config", "cores=4").await.message(), "VM is locked (clone)");
    c.sim.interrupt().await;
    assert_ne!(c.exit(&hanging).await, "OK");

    let clone = c.post("/nodes/pve1/qemu/9000/clone", "newid=600&name=fresh").await;
    let upid = clone.data().as_str().unwrap().to_owned();
    let parts: Vec<&str> = upid.split(':').collect();
    assert_eq!((parts.len(), parts[5], parts[6], parts[7]), (9, "qmclone", "9000", "steward@pve!appliance"));
    assert_eq!(c.exit(&clone).await, "OK");
    let config = c.get("/nodes/pve1/qemu/600/config").await.data();
    assert_eq!(config["name"], "fresh");
    assert!(config.get("lock").is_none() && config.get("template").is_none());
    let template = c.get("/nodes/pve1/qemu/9000/config").await.data();
    assert_ne!(config["net0"], template["net0"]);
    assert_ne!(config["smbios1"], template["smbios1"]);
    assert!(config["scsi0"].as_str().unwrap().contains("base-9000-disk-0/vm-600-disk-0"), "{config}");
    assert!(config["ide2"].as_str().unwrap().contains("vm-600-cloudinit"));

    let start = c.post("/nodes/pve1/qemu/600/status/start", "").await;
    assert_eq!(c.exit(&start).await, "OK");
    assert_eq!(c.get("/nodes/pve1/qemu/600/status/current").await.data()["status"], "running");
    let again = c.post("/nodes/pve1/qemu/600/status/start", "").await;
    assert_eq!(c.exit(&again).await, "VM 600 already running");
    assert_eq!(c.delete("/nodes/pve1/qemu/600").await.message(), "VM 600 is running - destroy failed");
    let base = c.delete("/nodes/pve1/qemu/9000").await;
    assert!(c.exit(&base).await.contains("still in use"));
    let stop = c.post("/nodes/pve1/qemu/600/status/stop", "").await;
    assert_eq!(c.exit(&stop).await, "OK");
    let gone = c.delete("/nodes/pve1/qemu/600?purge=1&destroy-unreferenced-disks=1").await;
    assert_eq!(c.exit(&gone).await, "OK");
    let missing = c.get("/nodes/pve1/qemu/600/config").await;
    assert_eq!(missing.message(), "Configuration file 'nodes/pve1/qemu-server/600.conf' does not exist");
    assert!(c.sim.world.read(|s| s.volumes.values().all(|v| v.vmid != Some(600))), "a volume was left behind");
}

#[tokio::test]
async fn a_failing_clone_leaves_nothing_behind() {
    let c = cluster().await;
    c.sim.faults().fail_task("qmclone", "no space left on device", 1);
    let clone = c.post("/nodes/pve1/qemu/9000/clone", "newid=601&full=1").await;
    assert_eq!(c.exit(&clone).await, "no space left on device");
    assert!(c.sim.world.read(|s| !s.guests.contains_key(&601) && s.volumes.values().all(|v| v.vmid != Some(601))));
    let again = c.post("/nodes/pve1/qemu/9000/clone", "newid=601").await;
    assert_eq!(c.exit(&again).await, "OK");
}

#[tokio::test]
async fn only_one_of_several_creates_with_the_same_id_wins() {
    let c = cluster().await;
    let form = "vmid=602&memory=512&scsi0=local-lvm:4";
    let (a, b) = tokio::join!(c.post("/nodes/pve1/qemu", form), c.post("/nodes/pve2/qemu", form));
    let won = [&a, &b].iter().filter(|r| r.status == 200).count();
    assert_eq!(won, 1, "{a:?} {b:?}");
    let lost = if a.status == 200 { b } else { a };
    assert!(lost.message().starts_with("unable to create VM 602 - VM 602 already exists on node 'pve"), "{lost:?}");
    let clone = c.post("/nodes/pve1/qemu/9000/clone", "newid=602").await;
    assert_eq!(clone.message(), "unable to create VM 602: config file already exists");
    assert_eq!(c.get("/cluster/nextid?vmid=602").await.error("vmid"), "VM 602 already exists");
}

#[tokio::test]
async fn linked_clones_take_no_storage_and_full_ones_do() {
    let c = cluster().await;
    let linked = c.post("/nodes/pve1/qemu/9000/clone", "newid=603&storage=local-lvm").await;
    assert_eq!(linked.message(), "parameter 'storage' not allowed for linked clones");
    let full = c.post("/nodes/pve1/qemu/9000/clone", "newid=603&storage=local-lvm&full=1").await;
    assert_eq!(c.exit(&full).await, "OK");
    let config = c.get("/nodes/pve1/qemu/603/config").await.data();
    assert!(config["scsi0"].as_str().unwrap().starts_with("local-lvm:vm-603-disk-0"), "{config}");
    let away = c.post("/nodes/pve1/qemu/603/clone", "newid=604&target=pve2").await;
    assert_eq!(away.message(), "can't clone VM to node 'pve2' (VM uses local storage)");
    let shared = c.post("/nodes/pve1/qemu/9000/clone", "newid=604&target=pve2").await;
    assert_eq!(c.exit(&shared).await, "OK");
    assert_eq!(c.node_of(604), "pve2");
}

#[tokio::test]
async fn a_new_machine_is_unknown_in_the_big_list_until_the_next_round() {
    let c = crate::tests::client::with(crate::Options { time_scale: 0.05, ..Default::default() }).await;
    let made = c.post("/nodes/pve1/qemu", "vmid=605&name=late&memory=512").await;
    let find = |list: serde_json::Value| list.as_array().unwrap().iter().find(|i| i["vmid"] == 605).cloned().unwrap();
    let item = find(c.get("/cluster/resources?type=vm").await.data());
    assert_eq!(item["status"], "unknown");
    assert!(item.get("name").is_none(), "{item}");
    assert_eq!(c.exit(&made).await, "OK");
    tokio::time::sleep(std::time::Duration::from_millis(700)).await;
    let item = find(c.get("/cluster/resources?type=vm").await.data());
    assert_eq!((item["status"].as_str(), item["name"].as_str()), (Some("stopped"), Some("late")));
}
