//! Reading Proxmox's loosely typed answers: a number may arrive as a string, a boolean as 0 or "1".

use serde_json::Value;

/// A whole number, also from `"103"` or `2048.0`.
pub fn as_u64(value: &Value) -> Option<u64> {
    match value {
        Value::Number(n) => n.as_u64().or_else(|| n.as_f64().and_then(whole)),
        Value::String(text) => text.trim().parse().ok(),
        _ => None,
    }
}

/// A number, also from a string.
pub fn as_f64(value: &Value) -> Option<f64> {
    match value {
        Value::Number(n) => n.as_f64(),
        Value::String(text) => text.trim().parse().ok(),
        _ => None,
    }
}

/// A boolean, also from 0, 1, "0" and "1".
pub fn as_bool(value: &Value) -> Option<bool> {
    match value {
        Value::Bool(on) => Some(*on),
        other => match as_u64(other)? {
            0 => Some(false),
            1 => Some(true),
            _ => None,
        },
    }
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "checked: not negative, no fraction, below 2^53"
)]
fn whole(number: f64) -> Option<u64> {
    (number >= 0.0 && number.fract() == 0.0 && number < 9_007_199_254_740_992.0).then_some(number as u64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn numbers_and_booleans_are_read_in_all_their_shapes() {
        assert_eq!(as_u64(&json!("103")), Some(103));
        assert_eq!(as_u64(&json!(2048.0)), Some(2048));
        assert_eq!(as_u64(&json!(-1)), None);
        assert_eq!(as_f64(&json!("0.25")), Some(0.25));
        assert_eq!(as_bool(&json!("1")), Some(true));
        assert_eq!(as_bool(&json!(0)), Some(false));
        assert_eq!(as_bool(&json!("yes")), None);
    }
}
