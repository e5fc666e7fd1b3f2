//! Everyday work on a machine by REST, on the real binary and the simulated cluster.

use crate::appliance::{Answer, Appliance, cluster};
use serde_json::{Value, json};
use steward::sim::Sim;

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
async fn over(appliance: &Appliance, asked: &Answer) -> Value {
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
