//! The provider `libvirt` against a real libvirtd with a real guest, in a Debian machine that is reached by SSH.

mod consoles;
mod faults;
mod hardware;
mod host;

use crate::appliance::{Answer, Appliance};
use app::Actor;
use app::connections::ssh_hosts::{NewSshHost, SshWay};
use base::Secret;
use host::Host;
use serde_json::{Value, json};

/// A host, and an appliance that looks after it.
pub struct KvmHost {
    pub host: Host,
    pub appliance: Appliance,
}

/// An appliance that knows the host, and is running.
async fn appliance(host: &Host) -> Appliance {
    let mut appliance = Appliance::alone().await;
    let app = appliance.open();
    let actor = Actor::host_console();
    let address = format!("127.0.0.1:{}", host.port);
    let key = app.ssh_hosts().host_key(&actor, &address).await.unwrap();
    assert_eq!(key.fingerprint, host.fingerprint(&key.kind), "what ssh-keygen says on the host");
    let new = |way, secret: Secret<String>| NewSshHost {
        name: "KVM".to_owned(),
        address: address.clone(),
        user: "root".to_owned(),
        fingerprint: key.fingerprint.clone(),
        way,
        password: secret.clone(),
        key: secret,
    };
    let wrong = new(SshWay::Password, Secret::new("wrong".to_owned()));
    let refused = app.ssh_hosts().add(&actor, wrong).await.unwrap_err();
    assert!(refused.fields().contains_key("password"), "{refused:?}");
    let other =
        NewSshHost { fingerprint: format!("SHA256:{}", "A".repeat(43)), ..new(SshWay::Key, host.private_key()) };
    assert!(app.ssh_hosts().add(&actor, other).await.unwrap_err().fields().contains_key("address"), "another host key");
    app.ssh_hosts().add(&actor, new(SshWay::Key, host.private_key())).await.unwrap();
    app.close();
    appliance.start().await;
    appliance
}

fn job(asked: &Answer) -> String {
    assert_eq!(asked.status, 202, "{asked:?}");
    let body = asked.json();
    let job = if body["job"].is_object() { &body["job"]["id"] } else { &body["id"] };
    format!("/api/v1/jobs/{}", job.as_str().unwrap())
}

/// Waits for the end of a job, which must be a good one.
async fn done(appliance: &Appliance, asked: Answer, seconds: u64) -> Value {
    let path = job(&asked);
    let over = |v: &Value| matches!(v["state"].as_str(), Some("succeeded" | "failed" | "cancelled"));
    let end = appliance.until(&path, seconds, over).await;
    assert_eq!(end["state"], "succeeded", "{end:#}");
    end
}

/// Waits for the end of a job, which must be a bad one; gives its reason.
async fn failed(appliance: &Appliance, asked: Answer, seconds: u64) -> String {
    let path = job(&asked);
    let over = |v: &Value| matches!(v["state"].as_str(), Some("succeeded" | "failed" | "cancelled"));
    let end = appliance.until(&path, seconds, over).await;
    assert_eq!(end["state"], "failed", "{end:#}");
    end["error"].as_str().unwrap().to_owned()
}

/// A power action and its result.
async fn power(kvm: &KvmHost, path: &str, action: &str, state: &str) {
    let asked = kvm.appliance.ask("POST", &format!("{path}/power"), Some(json!({ "action": action }))).await;
    done(&kvm.appliance, asked, 90).await;
    is(&kvm.appliance, path, state).await;
}

async fn is(appliance: &Appliance, path: &str, status: &str) {
    appliance.until(path, 30, |v| v["status"] == status).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_machine_lives_its_whole_life_on_a_plain_kvm_host() {
    let host = Host::start().await;
    let appliance = appliance(&host).await;
    let kvm = KvmHost { host, appliance };
    let (host, appliance) = (&kvm.host, &kvm.appliance);

    let list = appliance.until("/api/v1/guests?q=is:template", 30, |v| v["total"] == 1).await;
    let template = &list["guests"][0];
    assert_eq!((&template["name"], &template["disk_max"]), (&json!("small"), &json!(134_217_728)));
    let node = template["node"].as_str().unwrap();
    let nodes = appliance.ask("GET", "/api/v1/nodes", None).await.json();
    assert!(nodes["nodes"][0]["memory_max"].as_u64().unwrap() > 1 << 30, "{nodes}");

    let wanted = json!({
        "name": "lab-01", "node": node, "source": { "from": "template", "vmid": template["vmid"], "full": false },
        "cores": 1, "memory": 256, "disk": 1, "bridge": "default", "user": "mira",
        "ssh_keys": "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIHxB8x6WmXgkqE0o4h9mT0dW6q2Jm0cJ3n2T3r4s5t6u mira@home",
    });
    for (field, value) in [("vlan", json!(7)), ("tags", json!(["web"]))] {
        let mut more = wanted.clone();
        more[field] = value;
        let refused = appliance.ask("POST", "/api/v1/guests", Some(more)).await;
        assert!(
            refused.json()["errors"][field].as_str().is_some_and(|t| t.contains("Leave this empty")),
            "{refused:?}"
        );
    }
    let asked = appliance.ask("POST", "/api/v1/guests", Some(wanted)).await;
    assert_eq!(asked.status, 202, "{asked:?}");
    let path = format!("/api/v1/guests/{}", asked.json()["guest"].as_str().unwrap());
    done(appliance, asked, 60).await;
    is(appliance, &path, "running").await;
    let facts = host.facts("lab-01").await;
    assert_eq!(facts["name"], "lab-01", "cloud-init gave it its name");
    assert_eq!(facts["disk"], "1024 MiB");
    assert_eq!(facts["user"], "mira");
    assert!(facts["key"].starts_with("ssh-ed25519 AAAAC3Nz"), "{facts:?}");

    // A snapshot with its memory, something breaks, and it is as before.
    let snapshots = format!("{path}/snapshots");
    let take = json!({ "name": "good", "description": "before <the> change", "memory": true });
    done(appliance, appliance.ask("POST", &snapshots, Some(take)).await, 60).await;
    host.mark("lab-01", "broken").await;
    assert_eq!(host.facts("lab-01").await["mark"], "broken");
    let tree = appliance.ask("GET", &snapshots, None).await.json();
    assert_eq!(tree["snapshots"][0]["description"], "before <the> change", "{tree}");
    done(appliance, appliance.ask("POST", &format!("{snapshots}/good/rollback"), Some(json!({}))).await, 60).await;
    assert_eq!(host.facts("lab-01").await["mark"], "", "the change is gone");
    done(appliance, appliance.ask("DELETE", &format!("{snapshots}/good"), None).await, 60).await;

    power(&kvm, &path, "suspend", "paused").await;
    power(&kvm, &path, "resume", "running").await;
    // All changes of the definition must keep it.
    consoles::protect(&kvm);
    hardware::changes(&kvm, &path).await;
    power(&kvm, &path, "start", "running").await;
    faults::faults(&kvm, &path).await;
    host.facts("lab-01").await;

    // Its memory lies on the disk, and it goes on where it was.
    host.mark("lab-01", "kept").await;
    done(appliance, appliance.ask("POST", &format!("{path}/hibernate"), None).await, 60).await;
    is(appliance, &path, "suspended").await;
    power(&kvm, &path, "start", "running").await;
    assert_eq!(host.facts("lab-01").await["mark"], "kept");
    consoles::consoles(&kvm, &path).await;
    is(appliance, &path, "stopped").await;

    done(appliance, appliance.ask("DELETE", &path, None).await, 60).await;
    appliance.until("/api/v1/guests", 60, |v| v["total"] == 1).await;
    assert_eq!(host.run("virsh -q list --all").trim(), "");
    assert_eq!(host.run("ls /var/lib/libvirt/images").trim(), "template-small.qcow2");
    kvm.host.stop().await;
}
