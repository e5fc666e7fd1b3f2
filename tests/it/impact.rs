//! What depends on a machine, by REST and on the pages, on the simulated cluster.

use crate::appliance::{Appliance, cluster};
use crate::house::{Answer, House};
use crate::sharing::{a_machine_of, connected, share};
use axum::body::Body;
use base::ids::GuestId;
use http::{Request, StatusCode, header};
use model::access::GuestRight;
use model::sessions::Scope;
use model::users::Role;
use serde_json::{Value, json};
use sim::Away;
use store::tables;

/// A REST call with a token of the house in this process.
async fn read(house: &House, token: &str, path: String) -> Answer {
    let request = Request::builder().uri(path).header(header::AUTHORIZATION, format!("Bearer {token}"));
    house.call(request.body(Body::empty()).unwrap()).await
}

fn hit<'a>(impact: &'a Value, kind: &str) -> &'a Value {
    let found = impact["hits"].as_array().unwrap().iter().find(|h| h["kind"] == kind);
    found.unwrap_or_else(|| panic!("no {kind} in {impact:#}"))
}

fn names(hit: &Value) -> Vec<&str> {
    hit["items"].as_array().unwrap().iter().map(|i| i["text"].as_str().unwrap()).collect()
}

/// Asks for a machine from the template and waits until it is there.
async fn made(appliance: &Appliance, node: &Value, vmid: &Value, name: &str, full: bool) {
    let body = json!({ "name": name, "node": node, "source": { "from": "template", "vmid": vmid, "full": full },
                       "cores": 1, "memory": 512, "disk": 32, "bridge": "vmbr0", "start": false });
    let asked = appliance.ask("POST", "/api/v1/guests", Some(body)).await;
    assert_eq!(asked.status, 202, "{asked:?}");
    let path = format!("/api/v1/jobs/{}", asked.json()["job"]["id"].as_str().unwrap());
    let job = appliance.until(&path, 60, |v| v["finished"].is_string()).await;
    assert_eq!(job["state"], "succeeded", "{job:#}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_template_names_the_machines_that_share_its_disks() {
    let cluster = cluster(0.02).await;
    let mut appliance = Appliance::prepare(&cluster).await;
    appliance.start().await;
    let list =
        appliance.until("/api/v1/guests?q=is:template%20kind:vm", 20, |v| v["guests"][0]["id"].is_string()).await;
    let template = &list["guests"][0];
    let path = format!("/api/v1/guests/{}/impact?action=delete", template["id"].as_str().unwrap());
    let alone = appliance.ask("GET", &path, None).await.json();
    assert_eq!((&alone["blocks"], hit(&alone, "disks")["weight"].as_str()), (&json!(false), Some("lost")), "{alone:#}");
    made(&appliance, &template["node"], &template["vmid"], "linked-01", false).await;
    made(&appliance, &template["node"], &template["vmid"], "whole-01", true).await;
    let used = appliance.until(&path, 30, |v| v["blocks"] == true).await;
    assert_eq!(names(hit(&used, "linked")), ["linked-01"], "{used:#}");
    assert_eq!(names(hit(&used, "copies")), ["whole-01"], "{used:#}");
    assert_eq!(used["hits"][0]["kind"], "linked", "the worst comes first: {used:#}");
    // A wrong word and a snapshot that is not there.
    let wrong = appliance.ask("GET", &path.replace("delete", "explode"), None).await;
    assert_eq!(wrong.status, 422, "{wrong:?}");
    // Gone machines are named no longer.
    let list = appliance.ask("GET", "/api/v1/guests?q=name:whole-01", None).await.json();
    let whole = format!("/api/v1/guests/{}", list["guests"][0]["id"].as_str().unwrap());
    assert_eq!(appliance.ask("DELETE", &whole, None).await.status, 202);
    appliance.until(&path, 30, |v| v["hits"].as_array().unwrap().iter().all(|h| h["kind"] != "copies")).await;
    appliance.stop().await;
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn snapshots_disks_and_protection_are_told_before_a_machine_goes() {
    let cluster = cluster(0.02).await;
    let mut appliance = Appliance::prepare(&cluster).await;
    appliance.start().await;
    let path = "/api/v1/guests?q=kind:vm%20status:running%20-is:template";
    let list = appliance.until(path, 20, |v| v["guests"][0]["id"].is_string()).await;
    let guest = format!("/api/v1/guests/{}", list["guests"][0]["id"].as_str().unwrap());
    let over = async |method: &str, path: String, body: Value| {
        let asked = appliance.ask(method, &path, Some(body)).await;
        assert_eq!(asked.status, 202, "{asked:?}");
        let job = format!("/api/v1/jobs/{}", asked.json()["id"].as_str().unwrap());
        let job = appliance.until(&job, 60, |v| v["finished"].is_string()).await;
        assert_eq!(job["state"], "succeeded", "{job:#}");
    };
    for name in ["first", "second"] {
        over("POST", format!("{guest}/snapshots"), json!({ "name": name })).await;
        tokio::time::sleep(std::time::Duration::from_millis(1100)).await;
    }
    over("PATCH", format!("{guest}/hardware"), json!({ "values": { "protection": "1" } })).await;
    let told = appliance.ask("GET", &format!("{guest}/impact?action=delete"), None).await.json();
    assert_eq!(told["blocks"], true, "{told:#}");
    assert_eq!(hit(&told, "protection")["weight"], "blocks");
    let kept = hit(&told, "snapshots");
    assert!(names(kept)[0].starts_with("first (20") && names(kept).len() == 2, "{kept:#}");
    assert!(names(hit(&told, "disks"))[0].contains(" on "), "{told:#}");
    assert!(hit(&told, "state")["text"].as_str().unwrap().contains("stopped first"), "{told:#}");
    let back = appliance.ask("GET", &format!("{guest}/impact?action=rollback&snapshot=first"), None).await.json();
    assert!(names(hit(&back, "since"))[0].starts_with("second (20"), "{back:#}");
    let gone = appliance.ask("GET", &format!("{guest}/impact?action=rollback&snapshot=third"), None).await;
    assert_eq!((gone.status, gone.json()["errors"]["snapshot"].is_string()), (422, true), "{gone:?}");
    // What can't be asked for now is said.
    cluster.faults().away(Away::Refuse);
    let away = async || appliance.ask("GET", &format!("{guest}/impact?action=delete"), None).await.json();
    let began = std::time::Instant::now();
    loop {
        let told = away().await;
        if told["unknown"][0].is_string() {
            assert!(hit(&told, "disks")["text"].as_str().unwrap().contains("GiB"), "{told:#}");
            break;
        }
        assert!(began.elapsed().as_secs() < 30, "{told:#}");
    }
    cluster.faults().away(Away::No);
    appliance.stop().await;
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_machine_that_steward_runs_on_is_known_again() {
    let cluster = cluster(0.02).await;
    let mut appliance = Appliance::prepare(&cluster).await;
    appliance.start().await;
    let path = "/api/v1/guests?q=kind:vm%20status:stopped%20-is:template";
    let list = appliance.until(path, 20, |v| v["guests"][0]["id"].is_string()).await;
    let guest = format!("/api/v1/guests/{}", list["guests"][0]["id"].as_str().unwrap());
    let stop = format!("{guest}/impact?action=delete");
    let told = appliance.ask("GET", &stop, None).await.json();
    assert!(told["hits"].as_array().unwrap().iter().all(|h| h["kind"] != "steward"), "{told:#}");
    // This test runs where Steward runs: its first card, or without one its name.
    let cards = std::fs::read_dir("/sys/class/net").unwrap().flatten();
    let mac = cards.filter_map(|e| std::fs::read_to_string(e.path().join("address")).ok()).find_map(|a| {
        let mac = a.trim().to_uppercase();
        let even = u8::from_str_radix(mac.get(..2)?, 16).ok()? % 2 == 0;
        (mac.len() == 17 && even && mac != "00:00:00:00:00:00").then_some(mac)
    });
    let asked = match mac {
        Some(mac) => {
            let nic = json!({ "bridge": "vmbr0", "mac": mac });
            appliance.ask("PUT", &format!("{guest}/nics/net0"), Some(nic)).await
        }
        None => {
            let name = nix::unistd::gethostname().unwrap().into_string().unwrap();
            let name = name.split('.').next().unwrap();
            appliance.ask("PATCH", &format!("{guest}/hardware"), Some(json!({ "values": { "name": name } }))).await
        }
    };
    assert_eq!(asked.status, 202, "{asked:?}");
    let is_first = |v: &Value| v["hits"].as_array().is_some_and(|h| h.iter().any(|h| h["kind"] == "steward"));
    let told = appliance.until(&stop, 30, is_first).await;
    assert!(hit(&told, "steward")["text"].as_str().unwrap().contains("this page goes away"), "{told:#}");
    appliance.stop().await;
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_names_of_others_are_counted_and_not_told() {
    let (house, cluster) = connected().await;
    let admin = house.admin().await;
    let mira = house.somebody(&admin, "mira", Role::User).await;
    let eve = house.somebody(&admin, "evelyn", Role::User).await;
    let mut jon = house.somebody(&admin, "jon", Role::User).await;
    let (id, hidden) = (a_machine_of(&house, &mira).await, a_machine_of(&house, &eve).await);
    share(&house, id, &jon, GuestRight::Use).await;
    share(&house, id, &eve, GuestRight::Manage).await;
    let secret = house.app.guests().get(&eve.actor(), hidden).unwrap().state.name.clone();
    let write = house.app.store().write(move |tx| tx.put(tables::GUEST_COPIES, &(id, hidden), &()));
    write.await.unwrap();
    let token = house.token(&jon, Scope::Read).await;
    let told = read(&house, token.expose(), format!("/api/v1/guests/{id}/impact?action=delete")).await;
    assert_eq!(told.status, StatusCode::OK, "{}", told.body);
    assert!(!told.body.contains("evelyn") && !told.body.contains(&secret), "{}", told.body);
    let impact = told.json();
    assert_eq!(hit(&impact, "copies")["more"], 1, "{impact:#}");
    let people = hit(&impact, "people");
    assert_eq!((names(people), &people["more"]), (vec!["mira owns it"], &json!(1)), "{impact:#}");
    // Whoever manages it is told.
    let token = house.token(&eve, Scope::Read).await;
    let impact = read(&house, token.expose(), format!("/api/v1/guests/{id}/impact?action=stop")).await.json();
    assert_eq!(names(hit(&impact, "people")), ["mira owns it", "jon uses it"]);
    // And for a stranger there is no such machine.
    let ada = house.somebody(&admin, "ada", Role::User).await;
    let token = house.token(&ada, Scope::Read).await;
    let nothing = read(&house, token.expose(), format!("/api/v1/guests/{id}/impact?action=stop")).await;
    assert_eq!(nothing.status, StatusCode::NOT_FOUND, "{}", nothing.body);

    // The page asks jon before he reboots what is not his alone; nothing happens before he said yes.
    let power = format!("/machines/{id}/power");
    let asked = jon.send("/profile", &power, "action=reboot").await;
    assert_eq!(asked.status, StatusCode::SEE_OTHER);
    assert_eq!(asked.header("location"), format!("{power}?action=reboot"));
    assert!(jobs_of(&house, id).is_empty());
    let question = jon.get(&format!("{power}?action=reboot")).await;
    assert!(question.body.contains("2 other people use it.") && question.body.contains("mira owns it"));
    assert!(!question.body.contains("evelyn"), "{}", question.body);
    let asked = jon.send("/profile", &power, "action=reboot&sure=yes").await;
    assert_eq!(asked.header("location"), format!("/machines/{id}"));
    assert_eq!(jobs_of(&house, id), ["guest_power"]);
    cluster.stop().await;
}

fn jobs_of(house: &House, id: GuestId) -> Vec<String> {
    let open = house.app.jobs().all_open().unwrap().into_iter().filter(|j| j.subject.guest() == Some(id));
    open.map(|j| j.kind.hook().to_owned()).collect()
}
