//! The one place that writes to the terminal.

use std::io::Write as _;

/// A line for the person. A closed pipe (`steward ... | head`) is no fault.
pub(super) fn say(text: &str) {
    let mut out = std::io::stdout().lock();
    let _ = writeln!(out, "{}", text.trim_end_matches('\n'));
    let _ = out.flush();
}

/// A line on standard error.
pub(super) fn complain(text: &str) {
    let _ = writeln!(std::io::stderr().lock(), "{text}");
}
