//! What breaks between Steward and the host, and on the host.

use super::{KvmHost, done};
use serde_json::{Value, json};

/// With `lab-01` running and a disk of 3 GiB.
pub async fn faults(kvm: &KvmHost, path: &str) {
    let (appliance, host) = (&kvm.appliance, &kvm.host);
    // The connection breaks after the disk has grown and before the answer is there: once.
    host.run(
        "printf '%s\\n' '#!/bin/sh' '/usr/bin/virsh \"$@\"; r=$?' \
         'case \"$*\" in *blockresize*) [ -e /tmp/cut ] || { : >/tmp/cut; pkill -KILL -f \"^sshd: root\"; sleep 5; };; esac' \
         'exit $r' >/usr/local/bin/virsh; chmod +x /usr/local/bin/virsh",
    );
    let grow = json!({ "action": "grow_disk", "gib": 4 });
    let end = done(appliance, appliance.ask("POST", &format!("{path}/disks/vda"), Some(grow)).await, 60).await;
    host.run("test -e /tmp/cut && rm /usr/local/bin/virsh");
    assert_eq!(end["result"]["disk"], "vda");
    assert!(host.run("virsh -q domblkinfo lab-01 vda").contains(&(4_u64 << 30).to_string()));

    // libvirt is down: said in words, and nothing is asked of it.
    let away = |v: &Value| v["stale"] == true;
    host.run("systemctl stop libvirtd.socket libvirtd-ro.socket libvirtd-admin.socket libvirtd.service");
    appliance.until(path, 30, away).await;
    let refused = appliance.ask("GET", &format!("{path}/hardware"), None).await;
    assert_eq!(refused.status, 503, "{refused:?}");
    assert!(refused.body.contains("The host KVM") && refused.body.contains("systemctl start libvirtd"), "{refused:?}");
    host.run("systemctl start libvirtd.socket libvirtd.service");
    appliance.until(path, 30, |v| v["stale"] == false && v["status"] == "running").await;

    // The host lets nobody in.
    host.run("systemctl stop ssh; pkill -KILL -f '^sshd: root'; true");
    appliance.until(path, 30, away).await;
    let refused = appliance.ask("POST", &format!("{path}/console"), Some(json!({ "kind": "vnc" }))).await;
    assert_eq!(refused.status, 503, "{refused:?}");
    host.run("systemctl start ssh");
    appliance.until(path, 30, |v| v["stale"] == false).await;
}
