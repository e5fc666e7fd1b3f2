//! Consoles without the appliance: what the client does and what the cluster insists on.

use super::{client, cluster, target};
use crate::console::viewer::{greet, press, update};
use remote::pve::{EndpointIndex, PveClient, PveErrorKind, Target, Trust};
use serde_json::{Value, json};
use sim::Sim;
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

/// A running machine of this kind as `(path, vmid)`; with a serial port when it is a VM.
async fn running(sim: &Sim, kind: &str) -> (String, u32) {
    let client = client(sim);
    let all = client.call("GET", "/cluster/resources", &json!({ "type": "vm" })).await.unwrap();
    for guest in all.as_array().unwrap().iter().filter(|g| g["type"] == kind && g["status"] == "running") {
        let path = format!("/nodes/{}/{kind}/{}", guest["node"].as_str().unwrap(), guest["vmid"]);
        let config = client.call("GET", &format!("{path}/config"), &Value::Null).await.unwrap();
        if kind == "lxc" || config["serial0"] == "socket" {
            return (path, u32::try_from(guest["vmid"].as_u64().unwrap()).unwrap());
        }
    }
    panic!("no running {kind}");
}

async fn proxy(client: &PveClient, path: &str) -> (Value, EndpointIndex) {
    client.call_placed("POST", &format!("{path}/vncproxy"), &json!({ "websocket": true })).await.unwrap()
}

fn shown(answer: &Value) -> Value {
    json!({ "port": answer["port"], "vncticket": answer["ticket"] })
}

#[tokio::test(flavor = "multi_thread")]
async fn the_websocket_goes_to_the_node_that_gave_the_ticket() {
    let sim = cluster().await;
    let (path, vmid) = running(&sim, "qemu").await;
    // Nothing listens at the first address, so the ticket comes from the second; the websocket must go there
    // too, although the first one may be due for another try by then.
    let both = Target {
        endpoints: vec!["https://127.0.0.1:1".to_owned(), sim.url.clone()],
        ..target(&sim, Trust::Fingerprints(vec![sim.fingerprint]))
    };
    let client = PveClient::new(both).unwrap();
    let (answer, place) = proxy(&client, &path).await;
    assert!(
        answer["ticket"].as_str().unwrap().starts_with(&format!("{}:PVEVNC:", answer["password"].as_str().unwrap()))
    );
    assert!(answer["port"].is_string());
    let mut line = client.websocket(place, &format!("{path}/vncwebsocket"), &shown(&answer)).await.unwrap();
    let screen = greet(&mut line, answer["password"].as_str().unwrap()).await.unwrap();
    assert_eq!(update(&mut line, &screen, false).await.len(), usize::from(screen.height / 16));
    press(&mut line, "x").await;
    update(&mut line, &screen, true).await;
    assert_eq!(sim.faults().typed(vmid), "x");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_password_is_refused_by_the_screen() {
    let sim = cluster().await;
    let (path, _) = running(&sim, "qemu").await;
    let client = client(&sim);
    let (answer, place) = proxy(&client, &path).await;
    let mut line = client.websocket(place, &format!("{path}/vncwebsocket"), &shown(&answer)).await.unwrap();
    assert!(greet(&mut line, "wrong").await.is_none());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_ticket_is_for_one_machine_one_identity_and_one_use() {
    let sim = cluster().await;
    let (path, _) = running(&sim, "qemu").await;
    let (container, _) = running(&sim, "lxc").await;
    let client = client(&sim);
    let (answer, place) = proxy(&client, &path).await;
    for (path, params) in [
        (&path, json!({ "port": answer["port"], "vncticket": "PVEVNC:0::x" })),
        (&path, json!({ "port": "5999", "vncticket": answer["ticket"] })),
        (&container, shown(&answer)),
    ] {
        let e = client.websocket(place, &format!("{path}/vncwebsocket"), &params).await.unwrap_err();
        assert_eq!(e.kind, PveErrorKind::Auth, "{e:?}");
    }
    let socket = format!("{path}/vncwebsocket");
    let line = client.websocket(place, &socket, &shown(&answer)).await.unwrap();
    let began = Instant::now();
    let e = client.websocket(place, &socket, &shown(&answer)).await.unwrap_err();
    assert_eq!(e.kind, PveErrorKind::Unreachable, "the second gets no answer at all: {e:?}");
    assert!((9..13).contains(&began.elapsed().as_secs()), "{:?}", began.elapsed());
    drop(line);
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_comes_so_the_worker_gives_up_and_its_port_is_free_again() {
    let sim = cluster().await;
    let (path, _) = running(&sim, "qemu").await;
    let client = client(&sim);
    let (first, _) = proxy(&client, &path).await;
    let end = client.wait_task(first["upid"].as_str().unwrap(), Duration::from_millis(100), Duration::from_secs(10));
    assert_eq!(end.await.unwrap().exitstatus.as_deref(), Some("connection timed out"));
    let (second, _) = proxy(&client, &path).await;
    assert_eq!(first["port"], second["port"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_terminal_wants_its_hello_and_a_serial_port() {
    let sim = cluster().await;
    let (path, _) = running(&sim, "qemu").await;
    let client = client(&sim);
    let e = client.call("POST", &format!("{path}/termproxy"), &json!({ "serial": "serial3" })).await.unwrap_err();
    assert!(e.message.contains("serial3"), "{e:?}");
    for right in [true, false] {
        let (answer, place) = client.call_placed("POST", &format!("{path}/termproxy"), &json!({})).await.unwrap();
        let socket = format!("{path}/vncwebsocket");
        let mut line = client.websocket(place, &socket, &shown(&answer)).await.unwrap();
        let ticket = if right { answer["ticket"].as_str().unwrap() } else { "another" };
        line.write_all(format!("{}:{ticket}\n", answer["user"].as_str().unwrap()).as_bytes()).await.unwrap();
        let mut said = [0; 2];
        let read = line.read_exact(&mut said).await;
        assert_eq!(read.is_ok() && &said == b"OK", right, "{said:?}");
    }
}
