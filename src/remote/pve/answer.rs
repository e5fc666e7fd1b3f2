//! What an answer of Proxmox means: the data, or an error with its text, wherever Proxmox put it.

use super::endpoint::Endpoint;
use super::error::{PveError, PveErrorKind};
use serde_json::Value;
use std::collections::BTreeMap;

/// The longest text of Proxmox that is passed on, in characters.
const MAX_TEXT: usize = 600;

/// What was asked, for the sentences.
#[derive(Debug, Clone, Copy)]
pub(super) struct SentRequest<'a> {
    pub method: &'a str,
    pub path: &'a str,
    pub endpoint: &'a Endpoint,
}

impl SentRequest<'_> {
    pub(super) fn is_write(&self) -> bool {
        self.method != "GET"
    }

    /// The node that the path names.
    fn node(&self) -> Option<&str> {
        self.path.strip_prefix("/nodes/")?.split('/').next().filter(|n| !n.is_empty())
    }

    /// The machine that the path names.
    fn vmid(&self) -> Option<&str> {
        let mut parts = self.path.strip_prefix("/nodes/")?.split('/').skip(1);
        matches!(parts.next(), Some("qemu" | "lxc")).then(|| parts.next()).flatten()
    }
}

/// Reads an answer: `data` of a 200, else the error.
pub(super) fn read(asked: SentRequest<'_>, status: u16, reason: Option<&str>, body: &[u8]) -> Result<Value, PveError> {
    if status != 200 {
        return Err(failure(asked, status, reason, body));
    }
    match serde_json::from_slice::<Value>(body) {
        Ok(Value::Object(mut map)) if map.contains_key("data") => Ok(map.remove("data").unwrap_or(Value::Null)),
        _ => Err(PveError {
            kind: PveErrorKind::Refused,
            status,
            message: format!("What answers at {} is not Proxmox's API.", asked.endpoint),
            errors: BTreeMap::new(),
        }),
    }
}

fn failure(asked: SentRequest<'_>, status: u16, reason: Option<&str>, body: &[u8]) -> PveError {
    let (text, errors) = texts(reason, body);
    let kind = kind(status, &text, &errors);
    let message = sentence(asked, kind, status, &text, &errors);
    PveError { kind, status, message, errors }
}

/// Text and errors by parameter: from the JSON body, else a plain body, else the status line. Before
/// http-server 5.2 (January 2025), for every 401 and for 595 to 599 it is only in the status line.
fn texts(reason: Option<&str>, body: &[u8]) -> (String, BTreeMap<String, String>) {
    let mut errors = BTreeMap::new();
    let mut text = String::new();
    if let Ok(Value::Object(map)) = serde_json::from_slice::<Value>(body) {
        text = map.get("message").and_then(Value::as_str).map(tidy).unwrap_or_default();
        if let Some(Value::Object(fields)) = map.get("errors") {
            for (name, why) in fields {
                let why = why.as_str().map_or_else(|| why.to_string(), str::to_owned);
                errors.insert(name.clone(), tidy(&why));
            }
        }
    } else if let Ok(plain) = std::str::from_utf8(body)
        && !plain.trim_start().starts_with('<')
    {
        text = tidy(plain);
    }
    if text.is_empty() {
        text = reason.map(tidy).unwrap_or_default();
    }
    (text, errors)
}

/// One line, no blanks at the ends, not endless.
fn tidy(text: &str) -> String {
    let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    match line.char_indices().nth(MAX_TEXT) {
        Some((cut, _)) => format!("{}…", &line[..cut]),
        None => line,
    }
}

fn kind(status: u16, text: &str, errors: &BTreeMap<String, String>) -> PveErrorKind {
    let says = |what: &str| text.contains(what) || errors.values().any(|e| e.contains(what));
    match status {
        401 => PveErrorKind::Auth,
        403 if says("does not exist") => PveErrorKind::NotFound,
        403 => PveErrorKind::Forbidden,
        400 if says("already exists") => PveErrorKind::Conflict,
        400 if says("no such task") => PveErrorKind::NotFound,
        400 => PveErrorKind::Invalid,
        // Nothing was done, and it passes by itself: as if the host were unreachable.
        500 if says("no quorum") => PveErrorKind::Unreachable,
        500 if says("already exists") || says("checksum mismatch") || says("detected modified configuration") => {
            PveErrorKind::Conflict
        }
        500 if says(" is locked (") || says("can't lock file") => PveErrorKind::Locked,
        500 if says("does not exist") || says("hostname lookup") || says("no such") => PveErrorKind::NotFound,
        // A reverse proxy in front says these when Proxmox itself is away.
        502 | 503 | 595 => PveErrorKind::Unreachable,
        504 | 596..=599 => PveErrorKind::Timeout,
        _ => PveErrorKind::Refused,
    }
}

fn sentence(
    asked: SentRequest<'_>,
    kind: PveErrorKind,
    status: u16,
    text: &str,
    errors: &BTreeMap<String, String>,
) -> String {
    match (status, kind) {
        (401, _) => auth_sentence(asked, text),
        (403, PveErrorKind::Forbidden) => forbidden_sentence(text),
        (400, _) if !errors.is_empty() => {
            let all: Vec<_> =
                errors.iter().map(|(name, why)| format!("{name}: {}", why.trim_end_matches('.'))).collect();
            format!("Proxmox does not accept the values: {}.", all.join("; "))
        }
        (500, PveErrorKind::NotFound) if text.starts_with("Configuration file") => gone_sentence(asked),
        (500, _) if text.contains("no quorum") => {
            "The Proxmox cluster has no quorum: more than half of its nodes must \
             be online before anything can be changed (Proxmox says: no quorum)."
                .to_owned()
        }
        (500, PveErrorKind::Locked) if text.contains("can't lock file") => {
            let machine = asked.vmid().map_or_else(|| "the machine".to_owned(), |vmid| format!("machine {vmid}"));
            format!("Proxmox is busy with {machine}: another operation holds its configuration.")
        }
        (501, _) if text.is_empty() || text.contains("not implemented") => {
            format!("This Proxmox does not offer {} {}.", asked.method, asked.path)
        }
        (502 | 503 | 595, _) => away_sentence(asked),
        (504 | 596..=599, _) => timeout_sentence(asked, text),
        (300..=399, _) => format!("{} answers with a redirect. Is this Proxmox's own port (8006)?", asked.endpoint),
        _ if text.is_empty() => format!("Proxmox at {} answered with status {status}.", asked.endpoint),
        _ => text.to_owned(),
    }
}

fn auth_sentence(asked: SentRequest<'_>, text: &str) -> String {
    let said = if text.is_empty() { String::new() } else { format!(" ({})", text.trim_end_matches(['!', '.'])) };
    format!("Proxmox at {} does not accept the token{said}. It may be deleted, renewed or expired.", asked.endpoint)
}

/// Proxmox says "Permission check failed (/vms/100, VM.PowerMgmt)".
fn forbidden_sentence(text: &str) -> String {
    let inner = text.split_once("Permission check failed").map(|(_, rest)| rest.trim());
    let Some(inner) = inner else { return format!("Proxmox does not allow it: {text}.").replace("..", ".") };
    match inner.trim_start_matches('(').trim_end_matches(')').split_once(',') {
        Some((path, privilege)) => {
            format!("Proxmox does not allow it: the right {} on {} is missing.", privilege.trim(), path.trim())
        }
        None => "Proxmox does not allow it: a right is missing.".to_owned(),
    }
}

fn gone_sentence(asked: SentRequest<'_>) -> String {
    match (asked.vmid(), asked.node()) {
        (Some(vmid), Some(node)) => format!("Machine {vmid} does not exist on node {node}."),
        _ => "This machine does not exist there.".to_owned(),
    }
}

fn away_sentence(asked: SentRequest<'_>) -> String {
    match asked.node() {
        Some(node) => {
            format!("Node {node} does not answer ({} could not reach it). Is it switched on?", asked.endpoint)
        }
        None => format!("Proxmox at {} does not answer just now.", asked.endpoint),
    }
}

/// After 596 and the like, and after our own time-out.
pub(super) fn timeout_sentence(asked: SentRequest<'_>, text: &str) -> String {
    let who = asked.node().map_or_else(|| format!("Proxmox at {}", asked.endpoint), |node| format!("Node {node}"));
    let said = if text.is_empty() { String::new() } else { format!(" ({text})") };
    if asked.is_write() {
        format!("{who} gave no answer in time{said}. The outcome is unknown: it may have been done or not.")
    } else {
        format!("{who} gave no answer in time{said}.")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(method: &str, path: &str, status: u16, reason: &str, body: &str) -> PveError {
        let endpoint = "pve1".parse().unwrap();
        let asked = SentRequest { method, path, endpoint: &endpoint };
        read(asked, status, Some(reason), body.as_bytes()).unwrap_err()
    }

    #[test]
    fn the_text_is_found_in_json_in_plain_bodies_and_in_the_status_line() {
        let json = error("POST", "/nodes/pve1/qemu", 500, "x", r#"{"data":null,"message":"VM is locked (backup)\n"}"#);
        assert_eq!((json.kind, json.message.as_str()), (PveErrorKind::Locked, "VM is locked (backup)"));
        let plain = error("POST", "/version", 501, "x", "Unexpected content for method 'GET'");
        assert_eq!(
            (plain.kind, plain.message.as_str()),
            (PveErrorKind::Refused, "Unexpected content for method 'GET'")
        );
        let line = error("POST", "/pools", 500, "pool 'x' already exists", "");
        assert_eq!((line.kind, line.message.as_str()), (PveErrorKind::Conflict, "pool 'x' already exists"));
    }

    #[test]
    fn every_text_that_scripts_act_on_has_its_kind() {
        let kind = |status, text: &str| error("PUT", "/nodes/pve1/qemu/100/config", status, text, "").kind;
        assert_eq!(kind(500, "unable to create VM 100: config file already exists"), PveErrorKind::Conflict);
        assert_eq!(kind(500, "checksum mismatch (file change by other user?)"), PveErrorKind::Conflict);
        assert_eq!(
            kind(500, "can't lock file '/var/lock/qemu-server/lock-100.conf' - got timeout"),
            PveErrorKind::Locked
        );
        assert_eq!(kind(500, "CT is locked (backup)"), PveErrorKind::Locked);
        assert_eq!(
            kind(500, "Configuration file 'nodes/pve1/qemu-server/100.conf' does not exist"),
            PveErrorKind::NotFound
        );
        assert_eq!(kind(500, "hostname lookup 'x' failed - failed to get address info"), PveErrorKind::NotFound);
        assert_eq!(kind(500, "cluster not ready - no quorum?"), PveErrorKind::Unreachable);
        assert_eq!(kind(400, "no such task"), PveErrorKind::NotFound);
        assert_eq!(kind(401, "Authentication failed!"), PveErrorKind::Auth);
        assert_eq!(kind(595, "No route to host"), PveErrorKind::Unreachable);
        assert_eq!(kind(596, "Broken pipe"), PveErrorKind::Timeout);
        assert_eq!(kind(403, "pool 'x' does not exist"), PveErrorKind::NotFound);
    }

    #[test]
    fn wrong_values_are_named_in_one_sentence() {
        let body = r#"{"data":null,"message":"Parameter verification failed.\n","errors":{"cores":"value must have a minimum value of 1","vmid":"VM 100 already exists"}}"#;
        let e = error("POST", "/nodes/pve1/qemu", 400, "x", body);
        assert_eq!(e.kind, PveErrorKind::Conflict);
        assert_eq!(
            e.message,
            "Proxmox does not accept the values: cores: value must have a minimum value of 1; vmid: VM 100 already exists."
        );
        assert_eq!(e.errors["cores"], "value must have a minimum value of 1");
    }

    #[test]
    fn people_read_what_to_do_and_not_only_what_failed() {
        let e = error("POST", "/nodes/pve3/qemu/100/status/start", 595, "Connection refused", "");
        assert_eq!(e.message, "Node pve3 does not answer (pve1:8006 could not reach it). Is it switched on?");
        let e = error("POST", "/nodes/pve3/qemu/100/status/start", 596, "", "");
        assert_eq!(
            e.message,
            "Node pve3 gave no answer in time. The outcome is unknown: it may have been done or not."
        );
        let e = error("POST", "/x", 403, "Permission check failed (/vms/100, VM.PowerMgmt)", "");
        assert_eq!(e.message, "Proxmox does not allow it: the right VM.PowerMgmt on /vms/100 is missing.");
        let e = error(
            "GET",
            "/nodes/pve1/qemu/7/config",
            500,
            "Configuration file 'nodes/pve1/qemu-server/7.conf' does not exist",
            "",
        );
        assert_eq!(e.message, "Machine 7 does not exist on node pve1.");
    }

    #[test]
    fn another_server_is_noticed() {
        let endpoint = "pve1".parse().unwrap();
        let asked = SentRequest { method: "GET", path: "/version", endpoint: &endpoint };
        let e = read(asked, 200, None, b"<html>hello</html>").unwrap_err();
        assert_eq!(e.message, "What answers at pve1:8006 is not Proxmox's API.");
        assert!(error("GET", "/version", 302, "Found", "").message.contains("redirect"));
    }
}
