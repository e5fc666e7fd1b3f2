//! What Steward asks of a cluster: as little as it can, because people work there too. Counted by the simulated cluster.

use crate::appliance::{Appliance, cluster};
use crate::everyday::over;
use crate::sharing::connected;
use serde_json::json;
use std::time::Duration;

type Calls = Vec<(String, String)>;

fn about(calls: &Calls, part: &str) -> usize {
    calls.iter().filter(|(_, path)| path.contains(part)).count()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_quiet_minute_costs_one_list_a_look_and_the_quorum_twice() {
    let (house, cluster) = connected().await;
    let minute = async || {
        cluster.faults().clear();
        for _ in 0..12 {
            house.clock.advance(Duration::from_secs(5));
            house.app.inventory().look().await;
        }
        cluster.faults().calls()
    };
    let calls = minute().await;
    assert_eq!((about(&calls, "/cluster/resources"), about(&calls, "/cluster/status")), (12, 2), "{calls:?}");
    assert_eq!(calls.len(), 14, "{calls:?}");
    // A node that goes is a change: the quorum is asked for at once.
    cluster.faults().clear();
    cluster.faults().node_down("pve2");
    house.app.inventory().look().await;
    assert_eq!(about(&cluster.faults().calls(), "/cluster/status"), 1);
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn while_nobody_looks_it_is_asked_every_half_minute() {
    let (house, cluster) = connected().await;
    let inventory = || house.app.inventory().pause();
    assert_eq!(inventory(), Duration::from_secs(30));
    let mut admin = house.admin().await;
    admin.get("/").await;
    assert_eq!(inventory(), Duration::from_secs(5));
    house.clock.advance(Duration::from_secs(61));
    assert_eq!(inventory(), Duration::from_secs(30));
    // An open page is somebody who looks, and so is whoever comes back: for them it is looked at once.
    let page = house.app.ticks();
    assert_eq!(inventory(), Duration::from_secs(5));
    drop(page);
    // Nothing of before is still asked for.
    let asked = async || tokio::time::timeout(Duration::from_millis(200), house.app.inventory().asked()).await.is_ok();
    while asked().await {}
    admin.get("/machines").await;
    assert!(asked().await);
    admin.get("/machines").await;
    assert!(!asked().await, "once is enough");
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_option_is_changed_with_five_calls() {
    let cluster = cluster(0.1).await;
    let mut appliance = Appliance::prepare(&cluster).await;
    appliance.start().await;
    let found = appliance.until("/api/v1/guests?q=status:running", 20, |v| v["total"].as_u64() > Some(0)).await;
    let guest = format!("/api/v1/guests/{}", found["guests"][0]["id"].as_str().unwrap());
    // What runs inside is found out by itself soon after the start.
    tokio::time::sleep(Duration::from_secs(2)).await;
    cluster.faults().clear();
    let asked = json!({ "values": { "start_at_boot": "1", "description": "for everybody" } });
    over(&appliance, &appliance.ask("PATCH", &format!("{guest}/hardware"), Some(asked)).await).await;
    let calls: Calls = cluster.faults().calls();
    let writes = cluster.faults().writes();
    let on_it: Vec<_> = calls.iter().filter(|(_, path)| path.starts_with("/nodes/")).collect();
    assert!(on_it.len() <= 5, "{on_it:?}");
    assert_eq!(writes.len(), 1, "{writes:?}");
    appliance.stop().await;
    cluster.stop().await;
}
