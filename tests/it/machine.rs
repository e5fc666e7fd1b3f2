//! One machine's life by REST, on the real binary and the simulated cluster.

use crate::appliance::{Appliance, cluster};
use serde_json::{Value, json};
use std::time::Duration;

#[tokio::test(flavor = "multi_thread")]
async fn a_machine_is_made_once_shut_down_and_deleted() {
    let cluster = cluster(0.1).await;
    let mut appliance = Appliance::prepare(&cluster).await;
    appliance.start().await;
    let templates = "/api/v1/guests?q=is:template%20node:pve1";
    let list = appliance.until(templates, 20, |v| v["guests"].as_array().is_some_and(|a| !a.is_empty())).await;
    let wanted = json!({
        "name": "lark", "node": "pve1", "source": { "from": "template", "vmid": list["guests"][0]["vmid"] },
        "cores": 2, "memory": 2048, "disk": 80, "bridge": "vmbr0", "user": "mira",
    });
    let asked = appliance.ask("POST", "/api/v1/guests", Some(wanted)).await;
    assert_eq!(asked.status, 202, "{asked:?}");
    over(&appliance, &asked.json()["job"]).await;
    let guest = format!("/api/v1/guests/{}", asked.json()["guest"].as_str().unwrap());
    appliance.until(&guest, 20, |v| v["status"] == "running" && v["vmid"].is_u64()).await;
    // Several more looks at Proxmox must find the same machine, not another one beside it.
    tokio::time::sleep(Duration::from_secs(3)).await;
    let list = appliance.ask("GET", "/api/v1/guests?q=name:lark", None).await.json();
    assert_eq!(list["total"], 1, "{list:#}");
    assert!(list["guests"][0]["vmid"].is_u64(), "{list:#}");
    let off = appliance.ask("POST", &format!("{guest}/power"), Some(json!({ "action": "shutdown" }))).await;
    assert_eq!(off.status, 202, "{off:?}");
    over(&appliance, &off.json()).await;
    appliance.until(&guest, 20, |v| v["status"] == "stopped").await;
    let gone = appliance.ask("DELETE", &guest, None).await;
    assert_eq!(gone.status, 202, "{gone:?}");
    over(&appliance, &gone.json()).await;
    appliance.until("/api/v1/guests?q=name:lark", 5, |v| v["total"] == 0).await;
    assert_eq!(appliance.ask("GET", &guest, None).await.status, 404);
    appliance.stop().await;
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_request_sent_twice_with_a_key_makes_one_machine() {
    let cluster = cluster(1.0).await;
    let mut appliance = Appliance::prepare(&cluster).await;
    appliance.start().await;
    let templates = "/api/v1/guests?q=is:template%20node:pve1";
    let list = appliance.until(templates, 20, |v| v["guests"].as_array().is_some_and(|a| !a.is_empty())).await;
    let wanted = json!({
        "name": "twin", "node": "pve1", "source": { "from": "template", "vmid": list["guests"][0]["vmid"] },
        "cores": 1, "memory": 1024, "disk": 80, "bridge": "vmbr0",
    });
    let headers = [("idempotency-key", "backup-2026-11-21")];
    let first = appliance.ask_with("POST", "/api/v1/guests", &headers, Some(wanted.clone())).await;
    let second = appliance.ask_with("POST", "/api/v1/guests", &headers, Some(wanted.clone())).await;
    assert_eq!((first.status, second.status), (202, 202), "{second:?}");
    assert_eq!(first.json()["guest"], second.json()["guest"]);
    assert_eq!(first.json()["job"]["id"], second.json()["job"]["id"]);
    let mut other = wanted.clone();
    other["name"] = json!("another");
    let third = appliance.ask_with("POST", "/api/v1/guests", &headers, Some(other)).await;
    assert_eq!(third.status, 409, "{third:?}");
    assert!(third.json()["detail"].as_str().unwrap().contains("Use a different key"), "{third:?}");
    let without = appliance.ask("POST", "/api/v1/guests", Some(wanted)).await;
    assert_eq!(without.status, 422, "{without:?}");
    appliance.stop().await;
    cluster.stop().await;
}

/// Waits for the end of a job, which must be a good one.
async fn over(appliance: &Appliance, job: &Value) {
    let path = format!("/api/v1/jobs/{}", job["id"].as_str().unwrap());
    let job = appliance.until(&path, 60, |v| v["finished"].is_string()).await;
    assert_eq!(job["state"], "succeeded", "{job:#}");
}

#[tokio::test(flavor = "multi_thread")]
async fn three_failed_tries_are_taken_back_and_a_retry_makes_the_machine_with_its_owner() {
    let cluster = cluster(0.05).await;
    let mut appliance = Appliance::prepare(&cluster).await;
    appliance.start().await;
    let templates = "/api/v1/guests?q=is:template%20node:pve1";
    let list = appliance.until(templates, 20, |v| v["guests"].as_array().is_some_and(|a| !a.is_empty())).await;
    cluster.faults().fail_task("qmclone", "no space left on device", 3);
    let wanted = json!({
        "name": "thrice", "node": "pve1", "source": { "from": "template", "vmid": list["guests"][0]["vmid"] },
        "cores": 1, "memory": 1024, "disk": 80, "bridge": "vmbr0",
    });
    let asked = appliance.ask("POST", "/api/v1/guests", Some(wanted)).await;
    assert_eq!(asked.status, 202, "{asked:?}");
    let path = format!("/api/v1/jobs/{}", asked.json()["job"]["id"].as_str().unwrap());
    // 5 s before the second try, 10 s before the third.
    let failed = appliance.until(&path, 60, |v| v["finished"].is_string()).await;
    assert_eq!(failed["state"], "failed", "{failed:#}");
    assert!(failed["error"].as_str().unwrap().contains("no space left on device"), "{failed:#}");
    let guest = format!("/api/v1/guests/{}", asked.json()["guest"].as_str().unwrap());
    assert_eq!(appliance.ask("GET", &guest, None).await.status, 404);
    assert_eq!(appliance.ask("GET", "/api/v1/guests?q=name:thrice", None).await.json()["total"], 0);

    let again = appliance.ask("POST", &format!("{path}/retry"), None).await;
    assert!(again.status < 300, "{again:?}");
    over(&appliance, &failed).await;
    assert_eq!(appliance.ask("POST", "/api/v1/inventory/refresh", None).await.status, 202);
    let made = appliance.until(&guest, 20, |v| v["status"] == "running").await;
    assert_eq!((&made["owner"], &made["name"]), (&json!("mira"), &json!("thrice")));
    let discard = appliance.ask("POST", &format!("{path}/discard"), None).await;
    assert_eq!(discard.status, 409, "{discard:?}");
    appliance.stop().await;
    cluster.stop().await;
}
