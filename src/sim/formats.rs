//! Text formats: ids, names, sizes, tags, and property strings like `virtio=BC:..,bridge=vmbr0`.

/// A property string taken apart: pairs in order, the bare first value under the default key.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Props(pub Vec<(String, String)>);

impl Props {
    /// `default` names the key of a value that stands without one.
    pub fn parse(text: &str, default: &str) -> Self {
        let pair = |part: &str| match part.split_once('=') {
            Some((k, v)) => (k.to_owned(), v.to_owned()),
            None => (default.to_owned(), part.to_owned()),
        };
        Self(text.split(',').filter(|p| !p.is_empty()).map(pair).collect())
    }

    pub fn get(&self, key: &str) -> Option<&str> {
        self.0.iter().find(|(k, _)| k == key).map(|(_, v)| v.as_str())
    }

    pub fn set(&mut self, key: &str, value: impl Into<String>) {
        let value = value.into();
        match self.0.iter_mut().find(|(k, _)| k == key) {
            Some((_, v)) => *v = value,
            None => self.0.push((key.to_owned(), value)),
        }
    }

    pub fn remove(&mut self, key: &str) {
        self.0.retain(|(k, _)| k != key);
    }

    /// Back to text; the value under `default` comes first and bare.
    pub fn print(&self, default: &str) -> String {
        let bare = self.get(default).map(str::to_owned);
        let rest = self.0.iter().filter(|(k, _)| k != default).map(|(k, v)| format!("{k}={v}"));
        bare.into_iter().chain(rest).collect::<Vec<_>>().join(",")
    }

    /// Refuses keys that are not in `known`, as JSONSchema does inside property strings.
    pub fn only(&self, known: &[&str]) -> Result<(), String> {
        const UNKNOWN: &str = "property is not defined in schema and the schema does not allow additional properties";
        match self.0.iter().find(|(k, _)| !known.contains(&k.as_str())) {
            Some((k, _)) => Err(format!("format error\n{k}: {UNKNOWN}\n")),
            None => Ok(()),
        }
    }
}

fn bad(what: &str) -> Result<(), String> {
    Err(format!("value does not look like a valid {what}"))
}

pub fn vmid(text: &str) -> Result<(), String> {
    let ok = text.parse::<u32>().is_ok_and(|n| (100..=999_999_999).contains(&n)) && !text.starts_with(['0', '+']);
    if ok { Ok(()) } else { bad("VM ID") }
}

pub fn node(text: &str) -> Result<(), String> {
    let ok = |c: char| c.is_ascii_alphanumeric() || c == '-';
    if !text.is_empty() && text.chars().all(ok) && !text.starts_with('-') && !text.ends_with('-') {
        return Ok(());
    }
    bad("node name")
}

pub fn storage(text: &str) -> Result<(), String> {
    let first = text.starts_with(|c: char| c.is_ascii_alphabetic());
    let ok = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
    if first && text.len() > 1 && text.chars().all(ok) && text.ends_with(|c: char| c.is_ascii_alphanumeric()) {
        return Ok(());
    }
    Err(format!("storage ID '{text}' contains illegal characters"))
}

pub fn dns_name(text: &str) -> Result<(), String> {
    let label = |l: &str| {
        !l.is_empty()
            && l.len() <= 63
            && l.chars().all(|c| c.is_ascii_alphanumeric() || c == '-')
            && !l.starts_with('-')
            && !l.ends_with('-')
    };
    if text.split('.').all(label) { Ok(()) } else { bad("DNS name") }
}

/// Any configuration key or snapshot name: a letter, then letters, digits, `-` and `_`.
pub fn config_id(text: &str) -> Result<(), String> {
    let ok = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    if text.len() > 1 && text.starts_with(|c: char| c.is_ascii_alphabetic()) && text.chars().all(ok) {
        return Ok(());
    }
    Err(format!("invalid configuration ID '{text}'"))
}

pub fn tag(text: &str) -> Result<(), String> {
    let first = text.starts_with(|c: char| c.is_ascii_alphanumeric() || c == '_');
    if first && text.chars().all(|c| c.is_ascii_alphanumeric() || "_.+-".contains(c)) {
        return Ok(());
    }
    Err("invalid characters in tag".to_owned())
}

pub fn any(_: &str) -> Result<(), String> {
    Ok(())
}

pub fn user_id(text: &str) -> Result<(), String> {
    let Some((user, realm)) = text.rsplit_once('@') else { return bad("user name") };
    let ok = !user.is_empty() && user.len() <= 60 && !user.contains([' ', ':', '/', '!']) && !realm.is_empty();
    if ok { Ok(()) } else { bad("user name") }
}

/// A token id: a letter, then at least one more of letters, digits, `.`, `-`, `_`.
pub fn token_id(text: &str) -> Result<(), String> {
    let ok = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
    if text.len() >= 2 && text.starts_with(|c: char| c.is_ascii_alphabetic()) && text.chars().all(ok) {
        return Ok(());
    }
    Err("value does not match the regex pattern".to_owned())
}

/// `+5G` or `40G`; K, M, G, T or bytes.
pub fn resize(text: &str) -> Result<(), String> {
    let plain = text.strip_prefix('+').unwrap_or(text);
    if size(plain).is_some() { Ok(()) } else { Err("value does not match the regex pattern".to_owned()) }
}

/// Bytes of a text like `32G`, `512M`, `4194304`.
pub fn size(text: &str) -> Option<u64> {
    let (digits, shift) = match text.char_indices().last()? {
        (i, 'K') => (&text[..i], 10),
        (i, 'M') => (&text[..i], 20),
        (i, 'G') => (&text[..i], 30),
        (i, 'T') => (&text[..i], 40),
        _ => (text, 0),
    };
    let n: f64 = digits.parse().ok().filter(|n: &f64| *n >= 0.0 && n.is_finite())?;
    Some((n * (1_u64 << shift) as f64) as u64)
}

/// The shortest text for a size that loses nothing: `32G`, `528M`, `4194304` as `4M`.
pub fn print_size(bytes: u64) -> String {
    for (unit, shift) in [('T', 40), ('G', 30), ('M', 20), ('K', 10)] {
        if bytes >= 1 << shift && bytes.is_multiple_of(1 << shift) {
            return format!("{}{unit}", bytes >> shift);
        }
    }
    bytes.to_string()
}

/// A MAC address in Proxmox's own range, made from a number.
pub fn mac(n: u64) -> String {
    let b = n.to_be_bytes();
    format!("BC:24:11:{:02X}:{:02X}:{:02X}", b[5], b[6], b[7])
}

pub fn is_mac(text: &str) -> bool {
    let parts: Vec<&str> = text.split(':').collect();
    parts.len() == 6 && parts.iter().all(|p| p.len() == 2 && p.chars().all(|c| c.is_ascii_hexdigit()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_read_and_printed_alike() {
        for text in ["32G", "528M", "4M", "2T", "3584M"] {
            assert_eq!(print_size(size(text).unwrap()), text);
        }
        assert_eq!(size("1.5G"), Some(1_610_612_736));
        assert_eq!(size("x"), None);
    }

    #[test]
    fn property_strings_keep_their_order_and_their_bare_first_value() {
        let p = Props::parse("local-lvm:32,discard=on,ssd=1", "file");
        assert_eq!((p.get("file"), p.get("ssd")), (Some("local-lvm:32"), Some("1")));
        assert_eq!(p.print("file"), "local-lvm:32,discard=on,ssd=1");
        assert!(p.only(&["file", "ssd"]).unwrap_err().contains("discard: property is not defined"));
    }
}
