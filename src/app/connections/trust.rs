//! What people type to say where a cluster answers and which certificates are accepted.

use base::{Error, Result};
use model::connections::without_brackets;

/// `pve1` and `https://pve1:8006/` both become `https://pve1:8006`.
pub(super) fn endpoint(address: &str) -> Result<String> {
    let wrong =
        || Error::field("address", "Give the host's name or address, like pve1.lan or https://192.168.1.10:8006.");
    let text = address.trim();
    if let Some(sentence) = without_brackets(text) {
        return Err(Error::field("address", sentence));
    }
    let text = if text.contains("://") { text.to_owned() } else { format!("https://{text}") };
    let url = url::Url::parse(&text).map_err(|_| wrong())?;
    let host = url.host_str().filter(|h| !h.is_empty()).ok_or_else(wrong)?;
    if url.scheme() != "https" || !url.username().is_empty() {
        return Err(wrong());
    }
    // `Url` hides 443 as https' default; Proxmox's own is 8006.
    let port = url.port().unwrap_or(if text.ends_with(":443") { 443 } else { 8006 });
    Ok(format!("https://{host}:{port}"))
}

/// SHA-256 as Proxmox shows it: `AA:BB:...`.
pub fn fingerprint_text(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("{b:02X}")).collect::<Vec<_>>().join(":")
}

pub(super) fn parse_pins(lines: &[String]) -> Result<Vec<Vec<u8>>> {
    let pins = lines.iter().map(|f| parse_fingerprint(f)).collect::<Result<Vec<_>>>();
    let wrong = |text| Error::field("fingerprints", text);
    let pins = pins.map_err(|_| wrong("Each line is one SHA-256 fingerprint: 32 pairs of hex digits."))?;
    if pins.is_empty() {
        return Err(wrong("Accept at least one certificate; otherwise nothing could be trusted."));
    }
    Ok(pins)
}

pub(super) fn parse_fingerprint(text: &str) -> Result<Vec<u8>> {
    let hex: String = text.chars().filter(char::is_ascii_hexdigit).collect();
    hex::decode(hex)
        .ok()
        .filter(|b| b.len() == 32)
        .ok_or_else(|| Error::field("fingerprint", "A fingerprint is 32 pairs of hex digits (SHA-256)."))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_completed() {
        assert_eq!(endpoint(" pve1 ").unwrap(), "https://pve1:8006");
        assert_eq!(endpoint("https://192.168.1.10/").unwrap(), "https://192.168.1.10:8006");
        assert_eq!(endpoint("https://[::1]:444").unwrap(), "https://[::1]:444");
        for bad in ["", "http://pve1", "https://u@pve1", "https://"] {
            assert!(endpoint(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn fingerprints_are_read_with_and_without_colons() {
        let text = fingerprint_text(&[0xab; 32]);
        assert_eq!(parse_fingerprint(&text).unwrap(), vec![0xab; 32]);
        assert_eq!(parse_fingerprint(&text.replace(':', "")).unwrap(), vec![0xab; 32]);
        assert!(parse_fingerprint("AA:BB").is_err());
    }
}
