//! Everyday work on a machine by REST, on the real binary and the simulated cluster.

use crate::appliance::{Answer, Appliance, cluster};
use serde_json::{Value, json};
use sim::Sim;

/// An appliance that sees the cluster, and the address of one running machine.
async fn house(time_scale: f64) -> (Sim, Appliance, String) {
    let cluster = cluster(time_scale).await;
    let mut appliance = Appliance::prepare(&cluster).await;
    appliance.start().await;
    let path = "/api/v1/guests?q=kind:vm%20status:running%20-is:template";
    let list = appliance.until(path, 20, |v| v["guests"].as_array().is_some_and(|a| !a.is_empty())).await;
    let guest = format!("/api/v1/guests/{}", list["guests"][0]["id"].as_str().unwrap());
    (cluster, appliance, guest)
}

/// Waits for the end of the asked job, which must be a good one.
pub async fn over(appliance: &Appliance, asked: &Answer) -> Value {
    assert_eq!(asked.status, 202, "{asked:?}");
    let body = asked.json();
    let id = body["id"].as_str().unwrap_or_else(|| body["job"]["id"].as_str().unwrap());
    let job = appliance.until(&format!("/api/v1/jobs/{id}"), 60, |v| v["finished"].is_string()).await;
    assert_eq!(job["state"], "succeeded", "{job:#}");
    job
}

#[tokio::test(flavor = "multi_thread")]
async fn snapshots_are_taken_listed_rolled_back_and_deleted() {
    let (cluster, mut appliance, guest) = house(0.05).await;
    let path = format!("{guest}/snapshots");
    let wrong = appliance.ask("POST", &path, Some(json!({ "name": "1st" }))).await;
    assert_eq!(wrong.status, 422, "{wrong:?}");
    assert!(wrong.json()["errors"]["name"].is_string(), "{wrong:?}");
    let body = json!({ "name": "before", "description": "Before the upgrade", "memory": true });
    let asked = appliance.ask("POST", &path, Some(body)).await;
    over(&appliance, &asked).await;
    let list = appliance.ask("GET", &path, None).await.json();
    assert_eq!(list["parent"], "before", "{list:#}");
    assert_eq!(list["snapshots"][0]["memory"], true, "{list:#}");
    assert!(list["snapshots"][0]["time"].as_str().unwrap().starts_with("20"), "{list:#}");
    let note = appliance.ask("PATCH", &format!("{path}/before"), Some(json!({ "description": "kept" }))).await;
    over(&appliance, &note).await;
    let back = appliance.ask("POST", &format!("{path}/before/rollback"), None).await;
    over(&appliance, &back).await;
    let gone = appliance.ask("DELETE", &format!("{path}/before"), None).await;
    over(&appliance, &gone).await;
    let list = appliance.ask("GET", &path, None).await.json();
    assert_eq!(list["snapshots"], json!([]), "{list:#}");
    // What was done stands in the audit log.
    let audit = appliance.ask("GET", "/api/v1/audit?q=action:guest.rollback", None).await;
    assert!(audit.body.contains("guest.rollback"), "{audit:?}");
    appliance.stop().await;
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn hardware_is_previewed_changed_and_taken_back() {
    let (cluster, mut appliance, guest) = house(0.05).await;
    let path = format!("{guest}/hardware");
    let seen = appliance.ask("GET", &path, None).await.json();
    let of = |v: &Value, key: &str| v["settings"].as_array().unwrap().iter().find(|s| s["key"] == key).unwrap().clone();
    let cores: u64 = of(&seen, "cores")["current"].as_str().unwrap().parse().unwrap();
    let wrong = appliance.ask("PATCH", &path, Some(json!({ "values": { "cores": "many", "flying": "1" } }))).await;
    assert_eq!(wrong.status, 422, "{wrong:?}");
    assert!(wrong.json()["errors"]["cores"].is_string() && wrong.json()["errors"]["flying"].is_string(), "{wrong:?}");
    let more = (cores + 1).to_string();
    let body = json!({ "values": { "cores": more, "cpu_limit": "1.5" }, "digest": seen["digest"] });
    let plan = appliance.ask("POST", &format!("{path}/plan"), Some(body.clone())).await;
    assert_eq!(plan.status, 200, "{plan:?}");
    let live: Vec<_> = plan.json()["changes"].as_array().unwrap().iter().map(|c| c["live"].clone()).collect();
    assert_eq!(live, [json!(false), json!(true)], "{plan:?}");
    over(&appliance, &appliance.ask("PATCH", &path, Some(body)).await).await;
    let after = appliance.ask("GET", &path, None).await.json();
    assert_eq!(of(&after, "cores")["pending"], more.as_str(), "{after:#}");
    assert_eq!(after["waiting"], json!(["cores"]));
    over(&appliance, &appliance.ask("POST", &format!("{path}/revert"), None).await).await;
    assert_eq!(appliance.ask("GET", &path, None).await.json()["waiting"], json!([]));

    let disk = json!({ "bus": "scsi", "storage": "nas", "gib": 3 });
    let job = over(&appliance, &appliance.ask("POST", &format!("{guest}/disks"), Some(disk)).await).await;
    let key = job["result"]["disk"].as_str().unwrap();
    let grow = async |gib: Value| {
        let body = json!({ "action": "grow_disk", "gib": gib });
        appliance.ask("POST", &format!("{guest}/disks/{key}"), Some(body)).await
    };
    let smaller = grow(json!("1G")).await;
    assert!(
        smaller.status == 422 && smaller.json()["errors"]["gib"].as_str().unwrap().contains("3 GiB"),
        "{smaller:?}"
    );
    over(&appliance, &grow(json!("+1G")).await).await;
    let grown = appliance.ask("GET", &path, None).await.json();
    let size = grown["disks"].as_array().unwrap().iter().find(|d| d["key"] == key).unwrap()["size"].clone();
    assert_eq!(size, json!(4_u64 << 30), "{grown:#}");
    let used = appliance.ask("DELETE", &format!("{guest}/disks/{key}"), None).await;
    assert_eq!(used.status, 422, "{used:?}");
    over(
        &appliance,
        &appliance.ask("POST", &format!("{guest}/disks/{key}"), Some(json!({ "action": "detach_disk" }))).await,
    )
    .await;
    over(&appliance, &appliance.ask("DELETE", &format!("{guest}/disks/unused0"), None).await).await;
    // What can't work is refused before there is a job, beside its field.
    for (key, values) in [
        ("memory", json!({ "memory": "8T" })),
        ("ci_address", json!({ "ci_address": "10.0.0.255/24" })),
        ("ci_gateway", json!({ "ci_address": "10.0.0.5/24", "ci_gateway": "fd00::1" })),
        ("ci_dns", json!({ "ci_dns": "9.9.9.9 127.0.0.1" })),
        ("ci_keys", json!({ "ci_keys": "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIHxB8x6W me" })),
        ("name", json!({ "name": "web\u{202e}01" })),
    ] {
        let wrong = appliance.ask("PATCH", &path, Some(json!({ "values": values }))).await;
        assert_eq!(wrong.status, 422, "{key}: {wrong:?}");
        assert!(wrong.json()["errors"][key].is_string(), "{key}: {wrong:?}");
    }
    let taken = grown["nics"][0]["mac"].as_str().unwrap().to_lowercase();
    let twice = json!({ "bridge": "vmbr0", "mac": taken });
    let twice = appliance.ask("POST", &format!("{guest}/nics"), Some(twice)).await;
    assert!(twice.json()["errors"]["mac"].as_str().unwrap().contains("net0"), "{twice:?}");
    let nic = json!({ "bridge": "vmbr0", "vlan": 20 });
    over(&appliance, &appliance.ask("PUT", &format!("{guest}/nics/net0"), Some(nic)).await).await;
    let end = appliance.ask("GET", &path, None).await.json();
    assert_eq!(end["nics"][0]["vlan"], 20, "{end:#}");
    assert!(!end.to_string().contains("unused0"), "{end:#}");
    appliance.stop().await;
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_there_is_said_at_once_and_nothing_else_is_hit() {
    let (cluster, mut appliance, guest) = house(0.05).await;
    // No way around the settings: a key of the configuration is no card and no disk.
    let detach = || Some(json!({ "action": "detach_disk" }));
    for (method, part, body) in [
        ("DELETE", "nics/protection", None),
        ("DELETE", "nics/memory", None),
        ("DELETE", "nics/scsi0", None),
        ("PUT", "nics/description", Some(json!({ "bridge": "vmbr0" }))),
        ("POST", "disks/cores", detach()),
        ("POST", "disks/net0", detach()),
        ("DELETE", "disks/unused7", None),
        ("POST", "snapshots/nope/rollback", None),
        ("DELETE", "snapshots/nope", None),
    ] {
        let refused = appliance.ask(method, &format!("{guest}/{part}"), body).await;
        assert_eq!(refused.status, 404, "{method} {part}: {refused:?}");
        assert!(refused.json()["detail"].as_str().unwrap().contains(" no "), "{refused:?}");
    }
    let snapshots = format!("{guest}/snapshots");
    over(&appliance, &appliance.ask("POST", &snapshots, Some(json!({ "name": "once" }))).await).await;
    let twice = appliance.ask("POST", &snapshots, Some(json!({ "name": "once" }))).await;
    assert!(twice.json()["errors"]["name"].as_str().is_some_and(|t| t.contains("already")), "{twice:?}");

    let hardware = format!("{guest}/hardware");
    for (key, value) in
        [("boot", "scsi9"), ("hotplug", "disk,memory"), ("snapshot_storage", "nope"), ("cpu_type", "x;y")]
    {
        let request = json!({ "values": { key: value } });
        let refused = appliance.ask("PATCH", &hardware, Some(request)).await;
        let sentence = refused.json()["errors"][key].as_str().map(str::to_owned);
        assert!(refused.status == 422 && sentence.is_some_and(|t| t.ends_with('.')), "{key}: {refused:?}");
    }

    let disk = json!({ "bus": "scsi", "storage": "nas", "gib": 1 });
    let job = over(&appliance, &appliance.ask("POST", &format!("{guest}/disks"), Some(disk)).await).await;
    let disk = job["result"]["disk"].as_str().unwrap();
    let protect = json!({ "values": { "protection": "1" } });
    over(&appliance, &appliance.ask("PATCH", &hardware, Some(protect)).await).await;
    let kept = appliance.ask("DELETE", &guest, None).await;
    assert_eq!(kept.status, 409, "{kept:?}");
    assert!(kept.body.contains("protected"), "{kept:?}");
    let off = appliance.ask("POST", &format!("{guest}/disks/{disk}"), detach()).await;
    let id = off.json()["id"].as_str().unwrap().to_owned();
    let job = appliance.until(&format!("/api/v1/jobs/{id}"), 60, |v| v["finished"].is_string()).await;
    assert!(job["error"].as_str().unwrap().contains("protected, and so are its disks"), "{job:#}");

    let list = appliance.ask("GET", "/api/v1/guests?q=is:template%20kind:vm", None).await.json();
    let template = &list["guests"][0];
    let wanted = |bridge: &str, storage: &str, text: &str| {
        json!({
            "name": "new-01", "node": template["node"], "source": { "from": "template", "vmid": template["vmid"], "full": true },
            "cores": 1, "memory": 512, "disk": 200, "bridge": bridge, "storage": storage, "description": text,
        })
    };
    for (field, body) in [
        ("bridge", wanted("vmbr9", "nas", "")),
        ("storage", wanted("vmbr0", "nope", "")),
        ("description", wanted("vmbr0", "nas", &"x".repeat(9000))),
    ] {
        let refused = appliance.ask("POST", "/api/v1/guests", Some(body)).await;
        assert!(refused.json()["errors"][field].is_string(), "{field}: {refused:?}");
    }
    appliance.stop().await;
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_machine_is_copied_made_a_template_moved_and_hibernated() {
    let (cluster, mut appliance, guest) = house(0.05).await;
    // A copy: the new machine is there at once.
    let path = format!("{guest}/clone");
    let wrong = appliance.ask("POST", &path, Some(json!({ "name": "no name" }))).await;
    assert_eq!((wrong.status, wrong.json()["errors"]["name"].is_string()), (422, true), "{wrong:?}");
    let linked = appliance.ask("POST", &path, Some(json!({ "name": "copy-01", "full": false }))).await;
    assert_eq!(linked.status, 409, "{linked:?}");
    let asked = appliance.ask("POST", &path, Some(json!({ "name": "copy-01" }))).await;
    let again = appliance.ask("POST", &path, Some(json!({ "name": "copy-01" }))).await;
    assert_eq!(again.json()["guest"], asked.json()["guest"], "asked twice, made once: {again:?}");
    let copy = format!("/api/v1/guests/{}", asked.json()["guest"].as_str().unwrap());
    let view = appliance.ask("GET", &copy, None).await.json();
    assert_eq!((&view["name"], &view["status"]), (&json!("copy-01"), &json!("creating")), "{view:#}");
    over(&appliance, &asked).await;
    // While it is made Proxmox lists it as "VM 107", and up to 10 seconds longer.
    let view = appliance.until(&copy, 30, |v| v["status"] == "stopped" && v["name"] == "copy-01").await;
    assert!(view["vmid"].is_number() && view["owner"].is_string(), "{view:#}");
    let twice = appliance.ask("POST", &path, Some(json!({ "name": "copy-01" }))).await;
    assert!(twice.json()["errors"]["name"].is_string(), "the name is taken now: {twice:?}");

    // It moves to each node that nothing stands in the way of.
    let path = format!("{copy}/migrate");
    let check = appliance.ask("GET", &path, None).await.json();
    assert_eq!((&check["running"], &check["problems"]), (&json!(false), &json!([])), "{check:#}");
    let here = view["node"].as_str().unwrap();
    let staying = appliance.ask("POST", &path, Some(json!({ "node": here }))).await;
    assert!(staying.json()["errors"]["node"].is_string(), "{staying:?}");
    let fits = |n: &&Value| n["problems"] == json!([]);
    let place = check["nodes"].as_array().unwrap().iter().find(fits).unwrap()["name"].clone();
    let asked = appliance.ask("POST", &path, Some(json!({ "node": place, "disks": true }))).await;
    over(&appliance, &asked).await;
    appliance.until(&copy, 20, |v| v["node"] == place).await;

    // And becomes a template.
    let asked = appliance.ask("POST", &format!("{copy}/template"), None).await;
    over(&appliance, &asked).await;
    appliance.until(&copy, 20, |v| v["template"] == true).await;
    let asleep = appliance.ask("POST", &format!("{copy}/hibernate"), None).await;
    assert_eq!(asleep.status, 409, "{asleep:?}");

    // The first one sleeps, and a start wakes it.
    let asked = appliance.ask("POST", &format!("{guest}/hibernate"), None).await;
    over(&appliance, &asked).await;
    appliance.until(&guest, 20, |v| v["lock"] == "suspended").await;
    let start = appliance.ask("POST", &format!("{guest}/power"), Some(json!({ "action": "start" }))).await;
    over(&appliance, &start).await;
    let audit = appliance.ask("GET", "/api/v1/audit", None).await;
    for word in ["guest.clone", "guest.migrate", "guest.template", "guest.hibernate"] {
        assert!(audit.body.contains(word), "{word} lacks in {audit:?}");
    }
    appliance.stop().await;
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_copy_that_fails_goes_away_and_comes_back_with_a_retry() {
    let (cluster, mut appliance, guest) = house(0.05).await;
    cluster.faults().fail_task("qmclone", "no space left on device", 3);
    let asked = appliance.ask("POST", &format!("{guest}/clone"), Some(json!({ "name": "copy-02" }))).await;
    assert_eq!(asked.status, 202, "{asked:?}");
    let body = asked.json();
    let job = format!("/api/v1/jobs/{}", body["id"].as_str().unwrap());
    let copy = format!("/api/v1/guests/{}", body["guest"].as_str().unwrap());
    let end = appliance.until(&job, 90, |v| v["finished"].is_string()).await;
    assert_eq!(end["state"], "failed", "{end:#}");
    assert!(end["error"].as_str().unwrap().contains("no space left"), "{end:#}");
    assert_eq!(appliance.ask("GET", &copy, None).await.status, 404);
    let retry = appliance.ask("POST", &format!("{job}/retry"), None).await;
    assert!(retry.status < 300, "{retry:?}");
    let end = appliance.until(&job, 90, |v| v["finished"].is_string()).await;
    assert_eq!(end["state"], "succeeded", "{end:#}");
    appliance.until(&copy, 20, |v| v["status"] == "stopped").await;
    appliance.stop().await;
    cluster.stop().await;
}
