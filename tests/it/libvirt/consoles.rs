//! A real screen by VNC and a real serial line, both through SSH and Steward's own websocket.

use super::KvmHost;
use crate::console::viewer::{Refused, Socket, greet, key, update};
use serde_json::{Value, json};
use std::time::{Duration, Instant};

/// VNC looks at eight bytes.
const PASSWORD: &str = "s3cret12";

/// A screen with a password, from the next start on.
pub fn protect(kvm: &KvmHost) {
    let change = format!("sed \"s/<graphics type='vnc'/& passwd='{PASSWORD}'/\"");
    kvm.host.run(&format!(
        "virsh dumpxml --inactive lab-01 | {change} >/tmp/g.xml && virsh -q define /tmp/g.xml && rm /tmp/g.xml"
    ));
}

async fn open(kvm: &KvmHost, path: &str, kind: &str) -> Result<Socket, Refused> {
    let appliance = &kvm.appliance;
    let ask = async || appliance.ask("POST", &format!("{path}/console"), Some(json!({ "kind": kind }))).await;
    let (mut answer, began) = (ask().await, Instant::now());
    // After a cut the host counts as away until the next look at it.
    while answer.status == 503 && began.elapsed() < Duration::from_secs(20) {
        tokio::time::sleep(Duration::from_millis(500)).await;
        answer = ask().await;
    }
    assert_eq!(answer.status, 201, "{answer:?}");
    let address = answer.json()["websocket"].as_str().unwrap().to_owned();
    let address = address.strip_prefix(&format!("wss://{}", appliance.address)).unwrap().to_owned();
    Socket::open(appliance, &address, &[("authorization", &format!("Bearer {}", appliance.token))]).await
}

/// The screen until something is drawn on it, as bytes of the whole.
async fn drawn(socket: Socket, password: &str) -> (tokio::io::DuplexStream, usize) {
    let mut line = socket.bytes();
    let screen = greet(&mut line, password).await.expect("it takes the password");
    assert!(screen.name.contains("lab-01"), "{screen:?}");
    let began = Instant::now();
    loop {
        let whole = update(&mut line, &screen, false).await;
        let size = whole.iter().map(|(_, p)| p.len()).sum::<usize>();
        assert_eq!(size, usize::from(screen.width) * usize::from(screen.height) * 4);
        if whole.iter().any(|(_, p)| p.chunks_exact(4).any(|p| p[..3] != [0, 0, 0])) {
            return (line, size);
        }
        assert!(began.elapsed() < Duration::from_secs(20), "the screen stays black");
        tokio::time::sleep(Duration::from_millis(300)).await;
    }
}

/// Types a command until it is answered: what is typed before the shell listens is lost.
async fn answers(line: &mut Socket, command: &str, wanted: &str) {
    for _ in 0..10 {
        line.say(format!("\r{command}\r").as_bytes()).await;
        if tokio::time::timeout(Duration::from_secs(3), line.until_says(wanted)).await.is_ok() {
            return;
        }
    }
    panic!("the serial line does not say {wanted}");
}

/// With `lab-01` running.
pub async fn consoles(kvm: &KvmHost, path: &str) {
    let (appliance, host) = (&kvm.appliance, &kvm.host);
    // The password of its definition reaches the viewer, and nobody else.
    let mut socket = open(kvm, path, "vnc").await.unwrap();
    assert_eq!(socket.first().await, json!({ "open": { "kind": "vnc", "password": PASSWORD } }));
    let (line, _) = drawn(socket, PASSWORD).await;
    drop(line);

    let mut serial = open(kvm, path, "serial").await.unwrap();
    assert_eq!(serial.first().await, json!({ "open": { "kind": "serial", "password": null } }));
    serial.tell(json!({ "columns": 100, "rows": 30 })).await;
    answers(&mut serial, "echo $((6 * 7))-$(hostname)", "42-lab-01").await;

    // The way is cut: the viewer is told so, and the next try works.
    host.run("pkill -KILL -f '^sshd: root' ; true");
    assert_eq!(serial.until_closed().await, (4002, "the connection to its host was cut".to_owned()));
    let mut serial = open(kvm, path, "serial").await.unwrap();
    assert!(serial.first().await["open"].is_object());
    answers(&mut serial, "echo $((6 * 8))-again", "48-again").await;
    // The system inside takes any key for its power button. That the machine stops is another ending.
    let mut socket = open(kvm, path, "vnc").await.unwrap();
    assert!(socket.first().await["open"].is_object());
    let (mut line, _) = drawn(socket, PASSWORD).await;
    key(&mut line, true, 0xFF0D).await;
    key(&mut line, false, 0xFF0D).await;
    assert_eq!(serial.until_closed().await.0, 4000);
    drop(line);

    let count =
        |v: &Value, action: &str| v["entries"].as_array().unwrap().iter().filter(|e| e["action"] == action).count();
    let all = |v: &Value| (count(v, "guest.console.open"), count(v, "guest.console.close")) == (4, 4);
    let page = appliance.until("/api/v1/audit?limit=200", 10, all).await;
    assert!(!appliance.log().contains(PASSWORD) && !page.to_string().contains(PASSWORD));
}
