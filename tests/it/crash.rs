//! The appliance dies and comes back: nothing is lost, nothing happens twice.

use crate::appliance::{Appliance, cluster};
use serde_json::{Value, json};
use std::io::Write as _;
use std::path::PathBuf;
use std::time::Duration;

fn wanted(name: &str, template: u64) -> Value {
    json!({
        "name": name, "node": "pve1", "source": { "from": "template", "vmid": template, "full": true },
        "cores": 2, "memory": 2048, "disk": 40, "bridge": "vmbr0", "user": "mira", "tags": ["test"],
    })
}

async fn template(appliance: &Appliance) -> u64 {
    let path = "/api/v1/guests?q=is:template%20node:pve1";
    let list = appliance.until(path, 20, |v| v["guests"].as_array().is_some_and(|a| !a.is_empty())).await;
    list["guests"][0]["vmid"].as_u64().unwrap()
}

/// Machines with this name in the list.
async fn named(appliance: &Appliance, name: &str) -> usize {
    let list = appliance.ask("GET", &format!("/api/v1/guests?q=name:{name}"), None).await.json();
    list["guests"].as_array().unwrap().len()
}

#[tokio::test(flavor = "multi_thread")]
async fn kill_while_the_clone_runs_and_the_machine_still_arrives_once() {
    let cluster = cluster(0.2).await;
    let mut appliance = Appliance::prepare(&cluster).await;
    appliance.start().await;
    let template = template(&appliance).await;
    let answer = appliance.ask("POST", "/api/v1/guests", Some(wanted("phoenix", template))).await;
    assert_eq!(answer.status, 202, "{answer:?}");
    let job = format!("/api/v1/jobs/{}", answer.json()["job"]["id"].as_str().unwrap());
    appliance.until(&job, 20, |v| v["state"] == "waiting").await;
    appliance.kill().await;
    tokio::time::sleep(Duration::from_millis(300)).await;
    appliance.start().await;
    let over = appliance.until(&job, 60, |v| v["finished"].is_string()).await;
    assert_eq!(over["state"], "succeeded", "{over:#}");
    let log = over["log"].as_array().unwrap();
    assert!(log.iter().any(|l| l["text"].as_str().unwrap().contains("continues where it stopped")), "{over:#}");
    appliance
        .until("/api/v1/guests?q=name:phoenix%20status:running", 30, |v| {
            v["guests"].as_array().is_some_and(|a| a.len() == 1)
        })
        .await;
    assert_eq!(named(&appliance, "phoenix").await, 1);
    // It is the machine that was asked for, and whoever asked owns it.
    let guest = answer.json()["guest"].as_str().unwrap().to_owned();
    let guest = appliance.ask("GET", &format!("/api/v1/guests/{guest}"), None).await.json();
    assert_eq!((&guest["status"], &guest["owner"]), (&json!("running"), &json!("mira")), "{guest:#}");
    appliance.stop().await;
    cluster.stop().await;
}

/// Kills at moments that move through the whole job, several times in a row: exactly one machine each time.
#[tokio::test(flavor = "multi_thread")]
async fn kill_at_any_moment_of_a_create_gives_exactly_one_machine() {
    let cluster = cluster(0.05).await;
    let mut appliance = Appliance::prepare(&cluster).await;
    appliance.start().await;
    let template = template(&appliance).await;
    for round in 0..8_u64 {
        let name = format!("cat-{round}");
        let answer = appliance.ask("POST", "/api/v1/guests", Some(wanted(&name, template))).await;
        assert_eq!(answer.status, 202, "{answer:?}");
        let job = format!("/api/v1/jobs/{}", answer.json()["job"]["id"].as_str().unwrap());
        for life in 0..3 {
            tokio::time::sleep(Duration::from_millis(30 + 90 * round + 40 * life)).await;
            appliance.kill().await;
            appliance.start().await;
        }
        let over = appliance.until(&job, 60, |v| v["finished"].is_string()).await;
        assert_eq!(over["state"], "succeeded", "{over:#}\n{}", appliance.log());
        let path = format!("/api/v1/guests?q=name:{name}%20status:running");
        appliance.until(&path, 30, |v| v["guests"].as_array().is_some_and(|a| a.len() == 1)).await;
        assert_eq!(named(&appliance, &name).await, 1);
    }
    appliance.stop().await;
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restart_logs_nobody_out_and_a_revoked_token_stays_revoked() {
    let cluster = cluster(0.1).await;
    let mut appliance = Appliance::prepare(&cluster).await;
    appliance.start().await;
    let login = json!({ "login": "mira", "password": crate::appliance::PASSWORD });
    let made = appliance.ask("POST", "/api/v1/auth/token", Some(login)).await;
    assert_eq!(made.status, 200, "{made:?}");
    let (long, short) = (appliance.token.clone(), made.json()["token"].as_str().unwrap().to_owned());
    let id = made.json()["id"].as_str().unwrap().to_owned();
    appliance.kill().await;
    appliance.start().await;
    appliance.token.clone_from(&short);
    assert_eq!(appliance.ask("GET", "/api/v1/me", None).await.status, 200);
    appliance.token = long;
    let revoked = appliance.ask("DELETE", &format!("/api/v1/auth/token/{id}"), None).await;
    assert_eq!(revoked.status, 204, "{revoked:?}");
    appliance.token = short;
    assert_eq!(appliance.ask("GET", "/api/v1/me", None).await.status, 401);
    appliance.kill().await;
    appliance.start().await;
    assert_eq!(appliance.ask("GET", "/api/v1/me", None).await.status, 401);
    appliance.stop().await;
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_keeps_nobody_signed_in_and_hides_no_machine() {
    let cluster = cluster(0.05).await;
    let mut appliance = Appliance::prepare(&cluster).await;
    appliance.small_disk = Some(12 << 10);
    appliance.start().await;
    let list = appliance.until("/api/v1/guests?q=kind:vm", 20, |l| l["total"] != 0).await;
    let vmid = u32::try_from(list["guests"][0]["vmid"].as_u64().unwrap()).unwrap();
    let cookie = crate::console::cookie(&appliance).await;
    let profile = appliance.raw("GET", "/profile", &[("cookie", &cookie)], "").await;
    let csrf = profile.split("name=\"csrf\" value=\"").nth(1).unwrap().split('"').next().unwrap();

    let folder = format!("/proc/{}/root{}", appliance.pid(), appliance.path("data").display());
    let filler = PathBuf::from(folder).join("filler");
    let mut file = std::fs::File::create(&filler).unwrap();
    while file.write_all(&[1; 4096]).is_ok() {}
    let mut status = 0;
    for n in 0..40 {
        let token = json!({ "name": format!("token {n}"), "scope": "read" });
        status = appliance.ask("POST", "/api/v1/me/tokens", Some(token)).await.status;
        if status == 507 {
            break;
        }
    }
    assert_eq!(status, 507, "the small disk is full");

    cluster.faults().set_config(vmid, "name", "renamed");
    appliance.until("/api/v1/guests?q=name:renamed", 20, |l| l["total"] == 1).await;
    let reach = appliance.ask("GET", "/api/v1/connections", None).await.json()["connections"][0]["reach"].clone();
    assert!(reach.to_string().contains("here"), "{reach}");

    let kind = ("content-type", "application/x-www-form-urlencoded");
    let headers = [("cookie", cookie.as_str()), ("sec-fetch-site", "same-origin"), kind];
    let out = appliance.raw("POST", "/sign-out", &headers, &format!("csrf={csrf}")).await;
    assert!(out.starts_with("HTTP/1.1 303") && out.contains("__Host-steward=;"), "{out}");
    let page = appliance.raw("GET", "/profile", &[("cookie", &cookie)], "").await;
    assert!(page.starts_with("HTTP/1.1 303") && page.contains("location: /sign-in"), "{page}");

    // Its room is free when nobody holds it open either.
    drop(file);
    std::fs::remove_file(&filler).unwrap();
    let written = |audit: &Value| audit.to_string().contains("user.logout");
    appliance.until("/api/v1/audit?limit=20", 40, written).await;
    appliance.stop().await;
    cluster.stop().await;
}

#[tokio::test]
async fn too_little_address_space_is_a_sentence_and_an_end() {
    let appliance = Appliance::alone().await;
    let command = appliance.command(&["serve"]);
    let mut limited = tokio::process::Command::new("prlimit");
    limited.arg(format!("--as={}", 1 << 30)).arg(command.as_std().get_program()).arg("serve").kill_on_drop(true);
    limited.envs(command.as_std().get_envs().filter_map(|(name, value)| Some((name, value?))));
    let ended = tokio::time::timeout(Duration::from_secs(20), limited.output()).await.unwrap().unwrap();
    let said = String::from_utf8_lossy(&ended.stderr);
    assert!(!ended.status.success() && said.contains("address space (1024 MiB) is too low"), "{said}");
}
