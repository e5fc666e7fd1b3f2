//! Parameters as Proxmox reads them: `application/x-www-form-urlencoded`, strictly.

use super::error::{PveError, PveErrorKind};
use serde_json::Value;
use url::form_urlencoded::Serializer;

/// Encodes an object of parameters. Booleans become `1` and `0` (Proxmox refuses `true`), a list becomes
/// its name repeated, `null` is left out. `;`, `=` and `+` inside values are percent-encoded: Proxmox
/// splits pairs at a bare `;` and cuts a value at a second bare `=`.
pub(super) fn form(params: &Value) -> Result<String, PveError> {
    let mut out = Serializer::new(String::new());
    let fields = match params {
        Value::Null => return Ok(String::new()),
        Value::Object(fields) => fields,
        _ => return Err(wrong("Parameters must be a map of names and values.")),
    };
    for (name, value) in fields {
        match value {
            Value::Null => {}
            Value::Array(items) => {
                for item in items {
                    out.append_pair(name, &scalar(name, item)?);
                }
            }
            one => {
                out.append_pair(name, &scalar(name, one)?);
            }
        }
    }
    Ok(out.finish())
}

fn scalar(name: &str, value: &Value) -> Result<String, PveError> {
    match value {
        Value::Bool(on) => Ok(if *on { "1" } else { "0" }.to_owned()),
        Value::Number(number) => Ok(number.to_string()),
        Value::String(text) => Ok(text.clone()),
        _ => Err(wrong(format!("Parameter {name} must be a text, a number, true, false or a list of these."))),
    }
}

fn wrong(message: impl Into<String>) -> PveError {
    PveError::new(PveErrorKind::Invalid, message)
}

/// Accepts `/nodes/pve1/qemu/100/config` and the like. Refuses what could leave the API's tree or smuggle
/// a query: `..`, `//`, `?`, `#`, blanks, control and non-ASCII characters.
pub(super) fn check_path(path: &str) -> Result<(), PveError> {
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"-._~/:@!$&'()*+,;=%".contains(&b);
    let dots = |part: &str| part == "." || part == ".." || part.to_ascii_lowercase().contains("%2e%2e");
    let fine = path.starts_with('/') && path.bytes().all(plain) && !path.contains("//") && !path.split('/').any(dots);
    if fine { Ok(()) } else { Err(wrong(format!("This is not a path of Proxmox's API: {path:?}"))) }
}

/// Percent-encodes everything but unreserved characters (RFC 3986), for a value inside a path.
pub(super) fn component(text: &str) -> String {
    percent(text, |b| b.is_ascii_alphanumeric() || b"-._~".contains(&b))
}

/// A cookie's value: only what is not allowed in one (RFC 6265 section 4.1.1) is percent-encoded, and `%` itself.
/// Proxmox decodes it, other implementations of its API compare it as it is; a usual ticket has nothing to encode.
pub(super) fn cookie(text: &str) -> String {
    percent(text, |b| b.is_ascii_graphic() && !b"%\",;\\".contains(&b))
}

fn percent(text: &str, plain: impl Fn(u8) -> bool) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        if plain(byte) {
            out.push(char::from(byte));
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn parameters_are_written_as_pveproxy_reads_them() {
        let params = json!({"a": true, "b": false, "c": [1, "x y"], "d": null, "e": 1.5,
            "boot": "order=scsi0;net0", "size": "+5G"});
        assert_eq!(form(&params).unwrap(), "a=1&b=0&boot=order%3Dscsi0%3Bnet0&c=1&c=x+y&e=1.5&size=%2B5G");
        assert_eq!(form(&Value::Null).unwrap(), "");
    }

    #[test]
    fn nested_values_are_refused_before_they_are_sent() {
        assert_eq!(form(&json!({"net0": {"model": "virtio"}})).unwrap_err().kind, PveErrorKind::Invalid);
        assert_eq!(form(&json!([1])).unwrap_err().kind, PveErrorKind::Invalid);
    }

    #[test]
    fn a_ticket_goes_into_the_cookie_as_it_is_unless_it_would_break_it() {
        assert_eq!(cookie("PVE:root@pam:6B01::a+b/c=="), "PVE:root@pam:6B01::a+b/c==");
        assert_eq!(cookie("a;b c%\"ü"), "a%3Bb%20c%25%22%C3%BC");
    }

    #[test]
    fn only_plain_paths_pass() {
        for good in
            ["/version", "/nodes/pve1/tasks/UPID:pve1:0:0:0:qmstart:100:a@pam!t:/status", "/x/local%3Aiso%2Fa.iso"]
        {
            check_path(good).unwrap();
        }
        for bad in ["", "version", "/a?b=1", "/a/../b", "/a/%2E%2e/b", "//x", "/a b", "/a#b", "/ä", "/a\r\nb"] {
            assert!(check_path(bad).is_err(), "{bad}");
        }
    }
}
