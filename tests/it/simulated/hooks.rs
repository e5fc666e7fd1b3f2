//! What the plugin reads: inventory, choices, history, addresses, rights.

use super::{bench, client, cluster};
use crate::proxmox::Bench;
use model::guests::GuestState;
use model::nodes::{Choices, Node, Storage};
use serde_json::{Value, json};
use sim::{Options, start};
use std::time::Instant;

#[tokio::test(flavor = "multi_thread")]
async fn the_inventory_fits_what_the_appliance_reads() {
    let sim = cluster().await;
    let all = bench(&sim).call("inventory", vec![]).await.unwrap();
    let guests: Vec<GuestState> = serde_json::from_value(all["guests"].clone()).unwrap();
    let nodes: Vec<Node> = serde_json::from_value(all["nodes"].clone()).unwrap();
    let storages: Vec<Storage> = serde_json::from_value(all["storages"].clone()).unwrap();
    assert_eq!((guests.len(), nodes.len()), (16, 3));
    assert_eq!(guests.iter().filter(|g| g.template).count(), 4);
    let running = guests.iter().find(|g| g.status == "running").unwrap();
    assert!(running.cpu > 0.0 && running.maxmem > 0 && running.uptime > 0 && !running.name.is_empty(), "{running:?}");
    assert!(nodes.iter().all(|n| n.status == "online" && n.maxmem > 0), "{nodes:?}");
    let ceph = storages.iter().find(|s| s.name == "ceph-vm").unwrap();
    assert!(ceph.shared && ceph.total > ceph.used && ceph.content.contains(&"images".to_owned()), "{ceph:?}");
    assert_eq!(bench(&sim).call("quorum", vec![all["nodes"].clone()]).await.unwrap(), true);
    sim.faults().quorum(false);
    sim.faults().node_down("pve3");
    let all = bench(&sim).call("inventory", vec![]).await.unwrap();
    assert_eq!(bench(&sim).call("quorum", vec![all["nodes"].clone()]).await.unwrap(), false);
    assert!(all["nodes"].as_array().unwrap().iter().any(|n| n["name"] == "pve3" && n["status"] == "offline"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_thousand_machines_are_listed_with_one_call() {
    let sim = start(Options { guests: 1000, nodes: 5, ..Options::default() }).await.unwrap();
    let bench = bench(&sim);
    bench.call("inventory", vec![]).await.unwrap();
    let began = Instant::now();
    let all = bench.call("inventory", vec![]).await.unwrap();
    assert_eq!(all["guests"].as_array().unwrap().len(), 1004);
    // An unoptimised build on a busy machine; what it costs in the end is measured by `make bench`.
    assert!(began.elapsed().as_millis() < 3000, "{:?}", began.elapsed());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_single_host_is_always_quorate() {
    let sim = start(Options { guests: 3, nodes: 1, ..Options::default() }).await.unwrap();
    assert_eq!(bench(&sim).call("quorum", vec![json!([])]).await.unwrap(), true);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_create_form_gets_bridges_storages_and_images() {
    let sim = cluster().await;
    let told = bench(&sim).call("choices", vec![json!("pve1")]).await.unwrap();
    let choices: Choices = serde_json::from_value(told).unwrap();
    assert_eq!(choices.bridges, ["vmbr0", "vmbr1"]);
    assert!(choices.storages.contains(&"local-lvm".to_owned()) && !choices.storages.contains(&"local".to_owned()));
    assert!(choices.isos.iter().any(|i| i == "nas:iso/debian-13.1.0-amd64-netinst.iso"), "{choices:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn history_has_points_in_order() {
    let sim = cluster().await;
    let guest = json!({"vmid": 9000, "kind": "vm", "node": "pve1"});
    for frame in ["hour", "day"] {
        let points = bench(&sim).call("history", vec![running(&bench(&sim)).await, json!(frame)]).await.unwrap();
        let times: Vec<u64> = points.as_array().unwrap().iter().map(|p| p["time"].as_u64().unwrap()).collect();
        assert!(times.len() > 50 && times.is_sorted(), "{frame}: {} points", times.len());
        assert!(points.as_array().unwrap().iter().any(|p| p["cpu"].as_f64().is_some()));
    }
    bench(&sim).call("history", vec![guest, json!("hour")]).await.unwrap();
}

/// A running machine as the hooks take it.
async fn running(bench: &Bench) -> Value {
    let all = bench.call("inventory", vec![]).await.unwrap();
    let guests = all["guests"].as_array().unwrap();
    let one = guests.iter().find(|g| g["kind"] == "vm" && g["status"] == "running").unwrap();
    json!({"vmid": one["vmid"], "kind": "vm", "node": one["node"]})
}

#[tokio::test(flavor = "multi_thread")]
async fn addresses_come_from_agent_or_container_or_not_at_all() {
    let sim = cluster().await;
    let bench = bench(&sim);
    let all = bench.call("inventory", vec![]).await.unwrap();
    let mut found = 0;
    for guest in all["guests"].as_array().unwrap() {
        let who = json!({"vmid": guest["vmid"], "kind": guest["kind"], "node": guest["node"]});
        let told = bench.call("addresses", vec![who]).await.unwrap();
        let addresses: Vec<&str> = told.as_array().unwrap().iter().map(|a| a.as_str().unwrap()).collect();
        assert!(addresses.iter().all(|a| a.parse::<std::net::IpAddr>().is_ok()), "{addresses:?}");
        assert!(!addresses.iter().any(|a| a.starts_with("127.") || *a == "::1"), "{addresses:?}");
        found += addresses.len();
    }
    assert!(found > 3, "only {found} addresses");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_probe_is_content_with_the_token_of_the_simulation() {
    let sim = cluster().await;
    let told = Bench::new(client(&sim), 500).call("probe", vec![]).await.unwrap();
    assert_eq!(told["missing"], json!([]), "{told}");
    assert!(told["version"].as_str().unwrap().starts_with('9'), "{told}");
}
