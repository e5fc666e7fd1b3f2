//! Changes to machines that run: what is live, what waits, what is refused. And disks, snapshots, cloud-init.

use super::client::cluster;

#[tokio::test]
async fn cores_wait_for_the_next_process_and_a_full_stop_and_start_applies_them() {
    let c = cluster().await;
    let path = c.running(800, "").await;
    assert_eq!(c.put(&format!("{path}/config"), "cores=4&name=live&cpulimit=1.5").await.status, 200);
    let wanted = c.get(&format!("{path}/config")).await.data();
    let current = c.get(&format!("{path}/config?current=1")).await.data();
    assert_eq!((wanted["cores"].as_i64(), current["cores"].as_i64()), (Some(4), Some(2)));
    assert_eq!((current["name"].as_str(), current["cpulimit"].as_str()), (Some("live"), Some("1.5")));
    let pending = c.get(&format!("{path}/pending")).await.data();
    let cores = pending.as_array().unwrap().iter().find(|i| i["key"] == "cores").unwrap().clone();
    assert_eq!((cores["value"].as_i64(), cores["pending"].as_i64()), (Some(2), Some(4)));
    assert_eq!(c.exit(&c.post(&format!("{path}/status/reset"), "").await).await, "OK");
    assert_eq!(c.get(&format!("{path}/config?current=1")).await.data()["cores"], 2, "a reset keeps the process");
    assert_eq!(c.put(&format!("{path}/config"), "revert=cores").await.status, 200);
    assert_eq!(c.get(&format!("{path}/config")).await.data()["cores"], 2);
    c.put(&format!("{path}/config"), "cores=4").await;
    assert_eq!(c.exit(&c.post(&format!("{path}/status/stop"), "").await).await, "OK");
    assert_eq!(c.get(&format!("{path}/config?current=1")).await.data()["cores"], 4);
}

#[tokio::test]
async fn memory_plugs_in_modules_and_a_guest_that_does_not_help_keeps_it() {
    let c = cluster().await;
    let path = c.running(801, "&numa=1&hotplug=network%2Cdisk%2Ccpu%2Cmemory&vcpus=1").await;
    let config = format!("{path}/config");
    assert_eq!(c.put(&config, "memory=1700").await.status, 200);
    assert_eq!(c.get(&format!("{config}?current=1")).await.data()["memory"], "2048", "rounded up silently");
    assert_eq!(c.put(&config, "vcpus=2").await.status, 200);
    assert_eq!(c.get(&format!("{path}/status/current")).await.data()["cpus"], 2);
    let text = c.put(&config, "vcpus=3").await.error("vcpus");
    assert!(
        text.starts_with("hotplug problem - 400 Parameter verification failed.\nvcpus: you can't add more"),
        "{text}"
    );
    c.put(&config, "revert=vcpus").await;
    c.sim.faults().set(crate::Fault::Deaf { vmid: 801, deaf: true }).await.unwrap();
    let bridge = c.put(&config, "net1=virtio%2Cbridge%3Dvmbr9").await.error("net1");
    assert!(bridge.contains("bridge 'vmbr9' does not exist"), "{bridge}");
    let mixed = c.put(&config, "vcpus=1&name=still-good").await;
    assert_eq!(
        mixed.error("vcpus"),
        "hotplug problem - 400 Parameter verification failed.\nvcpus: error unplugging cpu2\n"
    );
    let now = c.get(&format!("{config}?current=1")).await.data();
    assert_eq!((now["name"].as_str(), now["vcpus"].as_i64()), (Some("still-good"), Some(2)));
    assert_eq!(c.get(&config).await.data()["vcpus"], 1, "it looks applied and is not");
    assert!(c.put(&config, "memory=1024").await.error("memory").contains("error unplug memory module"));
}

#[tokio::test]
async fn start_says_in_the_task_what_create_let_pass() {
    let c = cluster().await;
    let path = c.machine(802, "").await;
    let start = format!("{path}/status/start");
    c.put(&format!("{path}/config"), "cores=64").await;
    assert_eq!(c.exit(&c.post(&start, "").await).await, "MAX 32 vcpus allowed per VM on this node");
    c.put(&format!("{path}/config"), "cores=2&net0=virtio%2Cbridge%3Dvmbr7").await;
    assert_eq!(c.exit(&c.post(&start, "").await).await, "bridge 'vmbr7' does not exist");
    c.put(&format!("{path}/config"), "net0=virtio%2Cbridge%3Dvmbr0&numa=1&hotplug=memory&memory=1700").await;
    assert_eq!(c.exit(&c.post(&start, "").await).await, "memory size (1700) must be aligned to 512 for hotplugging");
    assert_eq!(
        c.exit(&c.post("/nodes/pve1/qemu/9000/status/start", "").await).await,
        "you can't start a vm if it's a template"
    );
}

#[tokio::test]
async fn disks_grow_only_and_detached_ones_become_unused() {
    let c = cluster().await;
    let path = c.machine(803, "").await;
    let resize = format!("{path}/resize");
    assert_eq!(c.exit(&c.put(&resize, "disk=scsi0&size=%2B2G").await).await, "OK");
    assert!(c.get(&format!("{path}/config")).await.data()["scsi0"].as_str().unwrap().contains("size=10G"));
    assert_eq!(c.exit(&c.put(&resize, "disk=scsi0&size=4G").await).await, "shrinking disks is not supported");
    assert_eq!(c.exit(&c.put(&resize, "disk=scsi5&size=%2B1G").await).await, "disk 'scsi5' does not exist");
    assert_eq!(c.put(&format!("{path}/config"), "delete=scsi0").await.status, 200);
    let config = c.get(&format!("{path}/config")).await.data();
    assert_eq!(config["unused0"], "local-lvm:vm-803-disk-0");
    assert!(config.get("scsi0").is_none());
    assert_eq!(c.put(&format!("{path}/config"), "delete=unused0").await.status, 200);
    assert!(c.sim.world.read(|s| s.volume("pve1", "local-lvm:vm-803-disk-0").is_none()));
    assert!(c.put(&format!("{path}/config"), "delete=bogus").await.error("delete").contains("unknown option"));
    assert!(
        c.put(&format!("{path}/config"), "delete=cores&cores=2").await.error("delete").contains("at the same time")
    );
    assert_eq!(
        c.put(&format!("{path}/config"), "cores=2&digest=xyz").await.message(),
        "checksum mismatch (file change by other user?)"
    );
}

#[tokio::test]
async fn the_boot_disk_of_a_running_machine_can_not_go() {
    let c = cluster().await;
    let path = c.running(804, "").await;
    let text = c.put(&format!("{path}/config"), "delete=scsi0").await.error("scsi0");
    assert_eq!(text, "hotplug problem - 400 Parameter verification failed.\nscsi0: can't unplug bootdisk 'scsi0'\n");
    let config = format!("{path}/config");
    assert!(c.get(&config).await.data().get("scsi0").is_none(), "it looks gone until it is reverted");
    assert_eq!(c.put(&config, "revert=scsi0").await.status, 200);
    assert!(c.get(&config).await.data()["scsi0"].is_string());
}

#[tokio::test]
async fn snapshots_are_taken_listed_rolled_back_and_deleted() {
    let c = cluster().await;
    let path = c.machine(805, "").await;
    let snapshot = format!("{path}/snapshot");
    assert_eq!(c.exit(&c.post(&snapshot, "snapname=before&description=first").await).await, "OK");
    assert_eq!(c.exit(&c.post(&snapshot, "snapname=before").await).await, "snapshot name 'before' already used");
    let list = c.get(&snapshot).await.data();
    assert_eq!((list[0]["name"].as_str(), list[1]["name"].as_str()), (Some("before"), Some("current")));
    c.exit(&c.put(&format!("{path}/resize"), "disk=scsi0&size=%2B2G").await).await;
    c.put(&format!("{path}/config"), "cores=1").await;
    assert_eq!(
        c.post(&format!("{path}/template"), "").await.message(),
        "unable to create template, because VM contains snapshots"
    );
    assert_eq!(c.exit(&c.post(&format!("{snapshot}/before/rollback"), "").await).await, "OK");
    let config = c.get(&format!("{path}/config")).await.data();
    assert_eq!(config["cores"], 2);
    assert!(config["scsi0"].as_str().unwrap().contains("size=8G"));
    assert_eq!(
        c.exit(&c.post(&format!("{snapshot}/never/rollback"), "").await).await,
        "snapshot 'never' does not exist"
    );
    assert_eq!(c.exit(&c.delete(&format!("{snapshot}/before")).await).await, "OK");
    c.sim.faults().fail_task("qmsnapshot", "got signal 9", 1);
    assert_eq!(c.exit(&c.post(&snapshot, "snapname=half").await).await, "got signal 9");
    assert_eq!(c.get(&snapshot).await.data()[0]["snapstate"], "prepare");
    assert_eq!(c.put(&format!("{path}/config"), "cores=1").await.message(), "VM is locked (snapshot)");
    let raw = c.post("/nodes/pve1/qemu", "vmid=806&scsi0=nas:1").await;
    assert_eq!(c.exit(&raw).await, "OK");
    assert_eq!(
        c.exit(&c.post("/nodes/pve1/qemu/806/snapshot", "snapname=no").await).await,
        "snapshot feature is not available"
    );
}

#[tokio::test]
async fn cloud_init_keys_are_live_the_password_is_hidden_and_keys_must_be_encoded_twice() {
    let c = cluster().await;
    let path = c.machine(807, "&ide2=local-lvm%3Acloudinit&ipconfig0=ip%3D10.9.8.7%2F24%2Cgw%3D10.9.8.1&agent=1").await;
    let config = format!("{path}/config");
    let once = c.put(&config, "sshkeys=ssh-ed25519%20AAAAC3Nza%20me").await;
    assert!(once.error("sshkeys").contains("invalid urlencoded string"), "{once:?}");
    assert_eq!(
        c.put(&config, "sshkeys=ssh-ed25519%2520AAAAC3NzaC1lZDI1NTE5AAAAIJm%252B%252FDw9Pj9AQUJDREVGR0hJSktMTU5PUFFSU1RVVldY%2520me&cipassword=secret&ciuser=ada").await.status,
        200
    );
    let cut = c.put(&config, "sshkeys=ssh-ed25519%2520AAAAC3Nza%2520me").await;
    assert_eq!(cut.message(), "SSH public key validation error", "{cut:?}");
    let now = c.get(&config).await.data();
    assert_eq!(
        (now["cipassword"].as_str(), now["sshkeys"].as_str()),
        (
            Some("**********"),
            Some("ssh-ed25519%20AAAAC3NzaC1lZDI1NTE5AAAAIJm%2B%2FDw9Pj9AQUJDREVGR0hJSktMTU5PUFFSU1RVVldY%20me")
        )
    );
    let dump = c.get(&format!("{path}/cloudinit/dump?type=user")).await.data();
    let dump = dump.as_str().unwrap();
    assert!(
        dump.contains("- ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJm+/Dw9Pj9AQUJDREVGR0hJSktMTU5PUFFSU1RVVldY me")
            && dump.contains("user: ada")
            && dump.contains("password: $5$"),
        "{dump}"
    );
    assert_eq!(c.get(&format!("{path}/agent/network-get-interfaces")).await.message(), "VM 807 is not running");
    c.exit(&c.post(&format!("{path}/status/start"), "").await).await;
    tokio::time::sleep(std::time::Duration::from_millis(120)).await;
    let list = c.get(&format!("{path}/agent/network-get-interfaces")).await.data();
    assert_eq!(list["result"][1]["ip-addresses"][0]["ip-address"], "10.9.8.7");
    let mac = list["result"][1]["hardware-address"].as_str().unwrap().to_uppercase();
    assert!(now["net0"].as_str().unwrap().contains(&mac));
    c.put(&config, "ciuser=grace").await;
    let changed = c.get(&format!("{path}/cloudinit")).await.data();
    let user = changed.as_array().unwrap().iter().find(|i| i["key"] == "ciuser").unwrap().clone();
    assert_eq!((user["value"].as_str(), user["pending"].as_str()), (Some("ada"), Some("grace")));
    let pid = c.post(&format!("{path}/agent/exec"), "command=hostname").await.data()["pid"].clone();
    let done = c.get(&format!("{path}/agent/exec-status?pid={pid}")).await.data();
    assert_eq!((done["exitcode"].as_i64(), done["out-data"].as_str()), (Some(0), Some("test-807\n")));
    assert_eq!(
        c.get(&format!("{path}/agent/exec-status?pid={pid}")).await.message(),
        "Agent error: PID ld does not exist"
    );
}

#[tokio::test]
async fn migration_moves_the_machine_and_says_what_is_in_the_way() {
    let c = cluster().await;
    let path = c.running(808, "").await;
    let migrate = format!("{path}/migrate");
    assert_eq!(c.post(&migrate, "target=pve1").await.error("target"), "target is local node.");
    assert_eq!(c.post(&migrate, "target=pve9").await.message(), "no such cluster node 'pve9'");
    assert_eq!(c.post(&migrate, "target=pve2").await.message(), "can't migrate running VM without --online");
    assert!(c.exit(&c.post(&migrate, "target=pve2&online=1").await).await.contains("local disk"));
    assert_eq!(c.exit(&c.post(&migrate, "target=pve2&online=1&with-local-disks=1").await).await, "OK");
    assert_eq!(c.node_of(808), "pve2");
    assert!(c.get(&format!("{path}/config")).await.message().ends_with("does not exist"));
    assert_eq!(c.get("/nodes/pve2/qemu/808/config").await.status, 200);
}
