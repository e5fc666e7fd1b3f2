//! The guest agent of machines that run and were started with `agent=1`.

use crate::dispatch::Call;
use crate::error::ApiError;
use crate::formats::Props;
use crate::http::answer::Answer;
use crate::qemu::{keys, windows};
use crate::state::{Guest, Kind};
use crate::world::lock;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as B64;
use serde_json::{Value, json};

/// Seconds after a start until the agent answers.
const BOOT: f64 = 8.0;
/// Seconds a ping of a silent agent costs.
const SILENT: f64 = 3.08;

/// The guest, if its agent answers.
async fn ready(call: &Call) -> Result<Guest, ApiError> {
    let guest = call.world.read(|c| c.guest(call.node(), Kind::Qemu, call.vmid()).cloned())?;
    let enabled =
        |text: &str| matches!(Props::parse(text, "enabled").get("enabled"), Some("1" | "on" | "yes" | "true"));
    if !guest.get("agent").is_some_and(enabled) {
        return Err(ApiError::die("No QEMU guest agent configured"));
    }
    let Some(run) = &guest.run else { return Err(ApiError::die(format!("VM {} is not running", guest.vmid))) };
    let age = (call.world.now() - run.since) as f64 / 1000.0;
    let silent = lock(&call.world.windows).get(&guest.vmid).is_some_and(|w| w.silent_until > call.world.now());
    if silent || !run.agent || run.paused || guest.deaf || age < call.world.scaled(BOOT).as_secs_f64() {
        tokio::time::sleep(call.world.scaled(SILENT)).await;
        return Err(ApiError::die("QEMU guest agent is not running"));
    }
    Ok(guest)
}

/// The address of a card: the one cloud-init gave, else one by DHCP that stays the same.
pub fn address_of(guest: &Guest, card: u32) -> String {
    let key = format!("ipconfig{card}");
    let fixed = guest.get(&key).map(|v| Props::parse(v, "ip")).and_then(|p| p.get("ip").map(str::to_owned));
    match fixed.filter(|ip| ip.contains('/')) {
        Some(cidr) => cidr.split('/').next().unwrap_or_default().to_owned(),
        None => format!("10.20.{}.{}", 4 + card * 16 + guest.vmid / 240 % 16, 10 + guest.vmid % 240),
    }
}

/// `GET .../agent/{command}`: answers are wrapped in `result`.
pub async fn query(call: Call) -> Answer {
    let guest = ready(&call).await?;
    let result = match call.arg("command") {
        "network-get-interfaces" => interfaces(&guest),
        "get-host-name" => json!({ "host-name": guest.name() }),
        "get-osinfo" => os(&guest),
        "get-time" => json!(call.world.now() * 1_000_000),
        "get-timezone" => json!({ "zone": "UTC", "offset": 0 }),
        "get-users" => json!([]),
        "get-vcpus" => json!(
            (0..guest.cpus())
                .map(|n| json!({ "logical-id": n, "online": true, "can-offline": n > 0 }))
                .collect::<Vec<_>>()
        ),
        "get-fsinfo" => json!([{ "name": "sda1", "mountpoint": "/", "type": "ext4", "disk": [] }]),
        "info" => json!({ "version": "10.0.2", "supported_commands": [] }),
        other => {
            return Err(ApiError::not_implemented(
                "GET",
                &format!("/nodes/{}/qemu/{}/agent/{other}", call.node(), guest.vmid),
            ));
        }
    };
    Ok(json!({ "result": result }).into())
}

/// `POST .../agent/{command}`: ping and the file system calls do nothing that could be seen.
pub async fn command(call: Call) -> Answer {
    let guest = ready(&call).await?;
    let result = match call.arg("command") {
        "ping" => json!({}),
        "fstrim" => json!({ "paths": [{ "path": "/", "trimmed": 1_073_741_824_u64, "minimum": 0 }] }),
        "fsfreeze-status" => json!("thawed"),
        other => {
            return Err(ApiError::not_implemented(
                "POST",
                &format!("/nodes/{}/qemu/{}/agent/{other}", call.node(), guest.vmid),
            ));
        }
    };
    Ok(json!({ "result": result }).into())
}

/// `POST .../agent/exec`: knows `true`, `false`, `hostname`, `uname` and `/bin/sh -c 'echo ..'`. A program
/// that does not exist breaks the real daemon's status line: the caller sees 596 after five seconds.
pub async fn exec(call: Call) -> Answer {
    let guest = ready(&call).await?;
    let command = call.params.array("command");
    if is_windows(&guest) {
        return exec_windows(&call, &guest, &command).await;
    }
    let words: Vec<&str> = command.iter().map(String::as_str).collect();
    let (code, out) = match words.as_slice() {
        ["true" | "/bin/true"] => (0, String::new()),
        ["false" | "/bin/false"] => (1, String::new()),
        ["hostname"] => (0, format!("{}\n", guest.name())),
        ["uname", ..] => (0, "Linux\n".to_owned()),
        ["/bin/sh" | "sh" | "/bin/bash" | "bash", "-c", script] => match script.strip_prefix("echo ") {
            Some(text) => (0, format!("{}\n", text.trim_matches(['\'', '"']))),
            None => (127, String::new()),
        },
        _ => {
            tokio::time::sleep(call.world.scaled(5.2)).await;
            return Err(ApiError::proxy(596, "Broken pipe"));
        }
    };
    let pid = next_pid(&call);
    let mut done = json!({ "exited": 1, "exitcode": code });
    if !out.is_empty() {
        done["out-data"] = json!(out);
    }
    lock(&call.world.agent_results).insert((guest.vmid, pid), (call.world.now(), done));
    Ok(json!({ "pid": pid }).into())
}

fn next_pid(call: &Call) -> u32 {
    call.world.change(|c| {
        c.next_pid = c.next_pid.wrapping_add(1).max(1000);
        c.next_pid
    })
}

pub fn is_windows(guest: &Guest) -> bool {
    guest.get("ostype").is_some_and(|o| o.starts_with("win") || o.starts_with("w2k"))
}

async fn exec_windows(call: &Call, guest: &Guest, command: &[String]) -> Answer {
    let (now, input) = (call.world.now(), call.params.text("input-data"));
    let outcome = {
        let mut all = lock(&call.world.windows);
        all.entry(guest.vmid).or_default().exec(command, &input, now, call.world.scale)
    };
    let Some(outcome) = outcome else {
        tokio::time::sleep(call.world.scaled(5.2)).await;
        return Err(ApiError::proxy(596, "Broken pipe"));
    };
    let pid = next_pid(call);
    lock(&call.world.agent_results).insert((guest.vmid, pid), (outcome.at, windows::status(&outcome)));
    Ok(json!({ "pid": pid }).into())
}

/// `POST .../agent/file-write`: with `encode=0` the content is base64 already. The agent overwrites what is there.
pub async fn file_write(call: Call) -> Answer {
    let guest = ready(&call).await?;
    let content = call.params.text("content");
    let bytes = if !matches!(call.params.get("encode"), Some("0" | "off" | "no" | "false")) {
        content.as_bytes().to_vec()
    } else {
        B64.decode(&content).map_err(|_| ApiError::die("Agent error: Invalid base64"))?
    };
    let path = call.params.text("file");
    lock(&call.world.windows).entry(guest.vmid).or_default().files.insert(path, bytes);
    Ok(Value::Null.into())
}

/// `GET .../agent/exec-status`: a result can be read once.
pub async fn exec_status(call: Call) -> Answer {
    let guest = ready(&call).await?;
    let pid = call.params.id("pid").unwrap_or(0);
    let mut results = lock(&call.world.agent_results);
    match results.get(&(guest.vmid, pid)) {
        Some((at, _)) if *at > call.world.now() => Ok(json!({ "exited": 0 }).into()),
        Some(_) => Ok(results.remove(&(guest.vmid, pid)).map_or(Value::Null, |(_, done)| done).into()),
        None => Err(ApiError::die("Agent error: PID ld does not exist")),
    }
}

fn interfaces(guest: &Guest) -> Value {
    let address =
        |ip: &str, kind: &str, prefix: u8| json!({ "ip-address": ip, "ip-address-type": kind, "prefix": prefix });
    let mut list = vec![json!({
        "name": "lo", "hardware-address": "00:00:00:00:00:00",
        "ip-addresses": [address("127.0.0.1", "ipv4", 8), address("::1", "ipv6", 128)],
    })];
    let cards = guest.config.iter().filter(|(k, _)| keys::is_net(k));
    for (i, (_, value)) in cards.enumerate() {
        let mac = Props::parse(value, "model").0.first().map(|(_, m)| m.to_lowercase()).unwrap_or_default();
        let card = u32::try_from(i).unwrap_or(0);
        let local = format!("fe80::be24:11ff:fe{:02x}:{:04x}", card, guest.vmid % 0xffff);
        let name = if card == 0 { "eth0".to_owned() } else { format!("eth{card}") };
        list.push(json!({
            "name": name, "hardware-address": mac,
            "ip-addresses": [address(&address_of(guest, card), "ipv4", 24), address(&local, "ipv6", 64)],
            "statistics": { "rx-bytes": 0, "tx-bytes": 0 },
        }));
    }
    json!(list)
}

fn os(guest: &Guest) -> Value {
    if is_windows(guest) {
        return json!({ "id": "mswindows", "name": "Microsoft Windows", "pretty-name": "Windows 10 Pro", "version-id": "10", "machine": "x86_64" });
    }
    json!({ "id": "debian", "name": "Debian GNU/Linux", "pretty-name": "Debian GNU/Linux 13 (trixie)", "version-id": "13",
            "version": "13 (trixie)", "kernel-release": "6.12.43+deb13-amd64", "machine": "x86_64" })
}
