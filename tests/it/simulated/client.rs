//! The client alone: trust, failover, connections, lost answers, tasks, sign-in.

use super::{client, cluster, target};
use base::Secret;
use remote::pve::{PveClient, PveErrorKind, Target, Trust, login};
use serde_json::{Value, json};
use sim::{AnswerFault, Away, Fault, Options, Sim, start};
use std::time::Duration;

const NONE: &Value = &Value::Null;

async fn twin(first: &Sim) -> Sim {
    let secret = Some(first.token_secret.expose().clone());
    start(Options { guests: 2, time_scale: 0.01, token_secret: secret, ..Options::default() }).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_renewed_certificate_breaks_a_pin_and_not_the_ca() {
    let sim = cluster().await;
    let by_ca = || PveClient::new(target(&sim, Trust::Ca(sim.ca_pem.clone()))).unwrap();
    client(&sim).call("GET", "/version", NONE).await.unwrap();
    by_ca().call("GET", "/version", NONE).await.unwrap();
    sim.faults().set(Fault::NewCertificate(true)).await.unwrap();
    by_ca().call("GET", "/version", NONE).await.unwrap();
    let e = client(&sim).call("GET", "/version", NONE).await.unwrap_err();
    assert!(e.message.contains("different certificate") && e.errors.contains_key("certificate"), "{e:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn when_a_node_is_away_the_next_one_is_asked() {
    let first = cluster().await;
    let second = twin(&first).await;
    let both = Target {
        endpoints: vec![first.url.clone(), second.url.clone()],
        ..target(&first, Trust::Fingerprints(vec![first.fingerprint, second.fingerprint]))
    };
    let client = PveClient::new(both).unwrap();
    let guests = async || client.call("GET", "/cluster/resources", &json!({"type": "vm"})).await.unwrap();
    let (many, few) = (16, 6);
    assert_eq!(guests().await.as_array().unwrap().len(), many);
    for away in [Away::Refuse, Away::Reset] {
        first.faults().away(away);
        assert_eq!(guests().await.as_array().unwrap().len(), few);
        first.faults().away(Away::No);
        assert_eq!(guests().await.as_array().unwrap().len(), few, "it stays with the one that works");
        second.faults().away(Away::Refuse);
        assert_eq!(guests().await.as_array().unwrap().len(), many);
        second.faults().away(Away::No);
    }
    first.faults().away(Away::Refuse);
    second.faults().away(Away::Refuse);
    let e = client.call("GET", "/version", NONE).await.unwrap_err();
    assert_eq!(e.kind, PveErrorKind::Unreachable);
    assert!(e.message.contains("connection refused. Is it switched on?"), "{e}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_write_after_an_idle_time_and_after_100_requests_does_not_fail() {
    let sim = start(Options { guests: 2, ..Options::default() }).await.unwrap();
    let client = client(&sim);
    for n in 0..230 {
        let tags = json!({"tags": format!("n{n}")});
        client.call("PUT", "/nodes/pve1/qemu/9000/config", &tags).await.unwrap_or_else(|e| panic!("write {n}: {e}"));
    }
    for idle in [3800, 4100, 5200] {
        tokio::time::sleep(Duration::from_millis(idle)).await;
        client.call("PUT", "/nodes/pve1/qemu/9000/config", &json!({"tags": "idle"})).await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_answer_is_an_unknown_outcome_for_a_write_and_nothing_for_a_read() {
    let sim = cluster().await;
    let client = client(&sim);
    let cut = |method: &str| AnswerFault {
        method: method.into(),
        path: "/qemu/9000/config".into(),
        cut: true,
        after: true,
        ..AnswerFault::default()
    };
    sim.faults().answer(cut("PUT"));
    let e = client.call("PUT", "/nodes/pve1/qemu/9000/config", &json!({"tags": "lost"})).await.unwrap_err();
    assert_eq!(e.kind, PveErrorKind::Timeout);
    assert!(e.message.contains("The outcome is unknown"), "{e}");
    sim.faults().answer(cut("GET"));
    let config = client.call("GET", "/nodes/pve1/qemu/9000/config", NONE).await.unwrap();
    assert_eq!(config["tags"], "lost");
}

#[tokio::test(flavor = "multi_thread")]
async fn statuses_of_the_node_proxy_are_told_apart() {
    let sim = cluster().await;
    let client = client(&sim);
    for (status, kind) in [(595, PveErrorKind::Unreachable), (596, PveErrorKind::Timeout)] {
        sim.faults().answer(AnswerFault { path: "/resize".into(), status, ..AnswerFault::default() });
        let size = json!({"disk": "scsi0", "size": "9G"});
        let e = client.call("PUT", "/nodes/pve1/qemu/9000/resize", &size).await.unwrap_err();
        assert_eq!((e.kind, e.status), (kind, status), "{e}");
    }
    sim.faults().node_down("pve2");
    let e = client.call("GET", "/nodes/pve2/status", NONE).await.unwrap_err();
    assert_eq!((e.kind, e.message.starts_with("Node pve2 does not answer")), (PveErrorKind::Unreachable, true), "{e}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_task_that_fails_tells_why() {
    let sim = cluster().await;
    let client = client(&sim);
    sim.faults().fail_task("qmclone", "clone failed: no space left on device", 1);
    let clone = json!({"newid": 500, "name": "x", "full": true});
    let upid = client.call("POST", "/nodes/pve1/qemu/9000/clone", &clone).await.unwrap();
    let (every, limit) = (Duration::from_millis(20), Duration::from_secs(20));
    let end = client.wait_task(upid.as_str().unwrap(), every, limit).await.unwrap();
    assert_eq!(end.succeeded(), Some(false));
    assert!(end.exitstatus.unwrap().contains("no space left on device"));
    let log = client.task_log(upid.as_str().unwrap(), 0, 0).await.unwrap();
    assert!(log.last().unwrap().text.starts_with("TASK ERROR"), "{log:?}");
    let e = client.task("UPID:pve1:00000001:00000001:00000001:qmstart:1:a@pam:").await.unwrap_err();
    assert_eq!(e.kind, PveErrorKind::NotFound, "{e}");
}

#[tokio::test(flavor = "multi_thread")]
async fn one_sign_in_makes_a_role_a_user_and_a_token_that_lacks_nothing() {
    let sim =
        start(Options { time_scale: 0.01, token_id: "other@pve!one".into(), ..Options::default() }).await.unwrap();
    let trust = Trust::Fingerprints(vec![sim.fingerprint]);
    let plan = super::bench(&sim).call("setup_plan", vec![json!("9.2"), json!("1a2b3c4d")]).await.unwrap();
    let ticket = login(&sim.url, &trust, "root@pam", &sim.root_password, None).await.unwrap();
    let privileges: Vec<&str> = plan["privileges"].as_array().unwrap().iter().map(|p| p.as_str().unwrap()).collect();
    let role = json!({"roleid": plan["role"], "privs": privileges.join(" ")});
    // The simulation has one of this name, as a host has on which Steward was set up before.
    let e = ticket.call("POST", "/access/roles", &role).await.unwrap_err();
    assert_eq!(e.kind, PveErrorKind::Conflict, "{e}");
    ticket.call("PUT", "/access/roles/Steward", &json!({"privs": role["privs"]})).await.unwrap();
    ticket.call("POST", "/access/users", &json!({"userid": plan["user"]})).await.unwrap();
    let acl = json!({"path": "/", "users": plan["user"], "roles": plan["role"]});
    ticket.call("PUT", "/access/acl", &acl).await.unwrap();
    let (user, name) = (plan["user"].as_str().unwrap(), plan["token"].as_str().unwrap());
    let made = ticket.call("POST", &format!("/access/users/{user}/token/{name}"), &json!({"privsep": false})).await;
    let made = made.unwrap();
    let client = PveClient::new(Target {
        endpoints: vec![sim.url.clone()],
        trust,
        token_id: made["full-tokenid"].as_str().unwrap().to_owned(),
        token_secret: Secret::new(made["value"].as_str().unwrap().to_owned()),
    })
    .unwrap();
    let told = crate::proxmox::Bench::new(client, 500).call("probe", vec![]).await.unwrap();
    assert_eq!(told["missing"], json!([]));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_token_is_said_without_its_secret() {
    let sim = cluster().await;
    let wrong =
        Target { token_secret: Secret::new("not-the-secret".into()), ..target(&sim, Trust::Ca(sim.ca_pem.clone())) };
    let e = PveClient::new(wrong).unwrap().call("GET", "/version", NONE).await.unwrap_err();
    assert_eq!(e.kind, PveErrorKind::Auth);
    assert!(!format!("{e:?}").contains("not-the-secret"), "{e:?}");
}
