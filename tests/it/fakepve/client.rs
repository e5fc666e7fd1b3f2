//! The client alone: tokens, rights, locks, quorum, errors, tasks.

use super::FakePve;
use base::Secret;
use remote::pve::{PveErrorKind, Trust, fetch_certificate, login, value};
use serde_json::{Value, json};
use std::time::Duration;

const NONE: &Value = &Value::Null;
const EVERY: Duration = Duration::from_millis(50);
const LIMIT: Duration = Duration::from_secs(20);

#[tokio::test]
async fn a_token_sees_what_it_may_and_is_refused_the_rest() {
    let fake = FakePve::start();
    let names = async |token: &str| {
        let list = fake.client(token).call("GET", "/cluster/resources", &json!({"type": "vm"})).await.unwrap();
        list.as_array().unwrap().len()
    };
    assert_eq!(names("full").await, 5);
    assert_eq!(names("nothing").await, 0, "lists are filtered, not refused");
    let e = fake.client("reader").call("POST", "/nodes/pve2/qemu/101/status/start", NONE).await.unwrap_err();
    assert_eq!((e.kind, e.status), (PveErrorKind::Forbidden, 403));
    assert!(e.message.contains("the right VM.PowerMgmt on /vms/101 is missing"), "{e}");
    let e = fake.client("unknown").call("GET", "/version", NONE).await.unwrap_err();
    assert_eq!((e.kind, e.status), (PveErrorKind::Auth, 401));
}

#[tokio::test]
async fn a_start_is_a_task_that_is_followed_to_its_end() {
    let fake = FakePve::start();
    let client = fake.client("full");
    let upid = client.call("POST", "/nodes/pve2/qemu/101/status/start", NONE).await.unwrap();
    let upid = upid.as_str().unwrap();
    let end = client.wait_task(upid, EVERY, LIMIT).await.unwrap();
    assert_eq!(end.succeeded(), Some(true), "{end:?}");
    let log = client.task_log(upid, 0, 0).await.unwrap();
    assert_eq!(log.last().unwrap().text, "TASK OK");
    assert_eq!(fake.guest(101)["status"], "running");
    let again = client.call("POST", "/nodes/pve2/qemu/101/status/start", NONE).await.unwrap();
    let end = client.wait_task(again.as_str().unwrap(), EVERY, LIMIT).await.unwrap();
    assert_eq!(end.exitstatus.as_deref(), Some("VM 101 already running"), "HTTP 200 is no success yet");
}

#[tokio::test]
async fn wrong_values_are_named_by_parameter() {
    let fake = FakePve::start();
    let wrong = json!({"cores": 0, "name": "a b", "bogus": 1});
    let e = fake.client("full").call("PUT", "/nodes/pve2/qemu/101/config", &wrong).await.unwrap_err();
    assert_eq!(e.kind, PveErrorKind::Invalid);
    assert_eq!(e.errors.keys().collect::<Vec<_>>(), ["bogus", "cores", "name"]);
    assert!(e.message.contains("cores: value must have a minimum value of 1"), "{e}");
}

#[tokio::test]
async fn lists_booleans_and_separators_arrive_as_meant() {
    let fake = FakePve::start();
    let client = fake.client("full");
    let params = json!({"onboot": true, "boot": "order=scsi0;net0", "tags": "a;b", "description": "x=y & z+1;ü"});
    client.call("PUT", "/nodes/pve2/qemu/101/config", &params).await.unwrap();
    let config = client.call("GET", "/nodes/pve2/qemu/101/config", NONE).await.unwrap();
    assert_eq!(value::as_bool(&config["onboot"]), Some(true));
    assert_eq!((config["boot"].as_str(), config["tags"].as_str()), (Some("order=scsi0;net0"), Some("a;b")));
    assert_eq!(config["description"], "x=y & z+1;ü");
}

#[tokio::test]
async fn what_is_taken_gone_or_locked_has_its_kind() {
    let fake = FakePve::start();
    let client = fake.client("full");
    let e = client.call("GET", "/cluster/nextid", &json!({"vmid": 100})).await.unwrap_err();
    assert_eq!(e.kind, PveErrorKind::Conflict, "{e}");
    let clone = json!({"newid": 101, "name": "x"});
    let e = client.call("POST", "/nodes/pve1/qemu/9000/clone", &clone).await.unwrap_err();
    assert_eq!(e.kind, PveErrorKind::Conflict, "{e}");
    let e = client.call("GET", "/nodes/pve1/qemu/101/config", NONE).await.unwrap_err();
    assert_eq!(e.kind, PveErrorKind::NotFound, "it is on pve2");
    assert_eq!(e.message, "Machine 101 does not exist on node pve1.");
    fake.call("snapshot_lock", &json!([101, "backup"]));
    let e = client.call("PUT", "/nodes/pve2/qemu/101/config", &json!({"cores": 2})).await.unwrap_err();
    assert_eq!((e.kind, e.message.as_str()), (PveErrorKind::Locked, "VM is locked (backup)"));
}

#[tokio::test]
async fn a_lost_quorum_is_said_in_words() {
    let fake = FakePve::start();
    let client = fake.client("full");
    fake.call("lose_quorum", &json!([]));
    let e = client.call("POST", "/nodes/pve2/qemu/101/status/start", NONE).await.unwrap_err();
    assert!(e.message.starts_with("The Proxmox cluster has no quorum"), "{e}");
    let status = client.call("GET", "/cluster/status", NONE).await.unwrap();
    let cluster = status.as_array().unwrap().iter().find(|i| i["type"] == "cluster").unwrap();
    assert_eq!(value::as_bool(&cluster["quorate"]), Some(false));
}

#[tokio::test]
async fn a_node_that_is_away_is_named() {
    let fake = FakePve::start();
    fake.call("set_node_offline", &json!(["pve2"]));
    let e = fake.client("full").call("POST", "/nodes/pve2/qemu/101/status/start", NONE).await.unwrap_err();
    assert_eq!((e.kind, e.status), (PveErrorKind::Unreachable, 595));
    assert!(e.message.starts_with("Node pve2 does not answer"), "{e}");
}

#[tokio::test]
async fn pages_of_a_proxy_in_between_are_not_shown_to_people() {
    let fake = FakePve::start();
    let order = json!({"call": "fail", "args": ["GET", "/version"],
        "kwargs": {"status": 502, "message": "<html>Bad Gateway</html>", "html": true}});
    fake.order(&order);
    let e = fake.client("full").call("GET", "/version", NONE).await.unwrap_err();
    assert_eq!(e.kind, PveErrorKind::Unreachable);
    assert!(!e.message.contains('<'), "{e}");
}

#[tokio::test]
async fn errors_of_the_catalogue_get_the_kind_that_scripts_act_on() {
    let fake = FakePve::start();
    let client = fake.client("full");
    let path = "/nodes/pve2/qemu/101/status/start";
    for (name, kind) in [("no_quorum", PveErrorKind::Unreachable), ("permission_denied", PveErrorKind::Forbidden)] {
        fake.order(&json!({"call": "fail", "args": ["POST", path], "kwargs": {"error": name, "times": 1}}));
        let e = client.call("POST", path, NONE).await.unwrap_err();
        assert_eq!(e.kind, kind, "{name}: {e}");
    }
}

#[tokio::test]
async fn signing_in_with_a_password_makes_a_token_that_works() {
    let fake = FakePve::start();
    let seen = fetch_certificate(&fake.url).await.unwrap();
    assert_eq!(seen.sha256, fake.pin);
    let trust = Trust::Fingerprints(vec![seen.sha256]);
    let wrong = login(&fake.url, &trust, "root@pam", &Secret::new("no".to_owned()), None).await.unwrap_err();
    assert_eq!(wrong.message, "Proxmox does not accept this user name, password or code.");
    let ticket = login(&fake.url, &trust, "root", &Secret::new("secret".to_owned()), None).await.unwrap();
    assert_eq!(ticket.user, "root@pam");
    ticket.call("GET", "/access/permissions", NONE).await.unwrap();
    let upid = ticket.call("POST", "/nodes/pve2/qemu/101/status/start", NONE).await.unwrap();
    assert!(upid.as_str().unwrap().ends_with(":root@pam:"), "{upid}");
}
