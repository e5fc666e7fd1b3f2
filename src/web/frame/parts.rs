//! Small pieces that many pages use: numbers with units, times, states, meters, buttons.

use crate::frame::form::csrf;
use crate::frame::{Page, icons};
pub use base::amounts::count;
use base::{Timestamp, amounts};
use maud::{Markup, html};
use model::jobs::JobState;
use std::fmt::Write as _;
use std::time::Duration;

pub fn icon(name: &str) -> Markup {
    html! { svg.ico viewBox="0 0 24 24" aria-hidden="true" { path d=(icons::path(name)) {} } }
}

/// An amount and its unit stay on one line.
fn unbroken(text: &str) -> String {
    text.replace(' ', "\u{a0}")
}

/// `4.1 GiB`
pub fn bytes(n: u64) -> String {
    unbroken(&amounts::bytes(n))
}

/// `93 %`
pub fn percent(share: f64) -> String {
    unbroken(&amounts::percent(share))
}

/// `2 h 5 min`
pub fn duration(d: Duration) -> String {
    unbroken(&amounts::duration(d))
}

/// `3 min ago`, `in 2 h`, `just now`: one unit is enough for a glance.
pub fn relative(now: Timestamp, t: Timestamp) -> String {
    let (past, gap) = if t <= now { (true, t.until(now)) } else { (false, now.until(t)) };
    let s = gap.as_secs();
    let amount = match s {
        0..10 => return if past { "just now".to_owned() } else { "in a moment".to_owned() },
        10..60 => format!("{s}\u{a0}s"),
        60..3600 => format!("{}\u{a0}min", s / 60),
        3600..86_400 => format!("{}\u{a0}h", s / 3600),
        86_400..172_800 => "1\u{a0}day".to_owned(),
        _ => format!("{}\u{a0}days", s / 86_400),
    };
    if past { format!("{amount} ago") } else { format!("in {amount}") }
}

/// A point in time: relative words, the exact one on hover. The script keeps the words fresh and turns
/// the exact one into the person's zone.
pub fn time(page: &Page, t: Timestamp) -> Markup {
    let exact = t.to_utc().format("%Y-%m-%d %H:%M:%S UTC");
    html! { time datetime=(t) title=(exact) { (relative(page.now, t)) } }
}

/// A word with a shape and a colour; `class` is ok, warn, bad, busy or idle.
pub fn state(class: &str, word: &str) -> Markup {
    html! { span class={ "state " (class) } { (word) } }
}

/// The colour of a guest's status.
pub fn guest_class(status: &str) -> &'static str {
    match status {
        "running" => "ok",
        "paused" | "suspended" | "prelaunch" => "warn",
        "io-error" | "internal-error" | "missing" => "bad",
        "creating" | "starting" | "stopping" => "busy",
        _ => "idle",
    }
}

pub fn guest_state(status: &str) -> Markup {
    state(guest_class(status), status)
}

pub fn job_class(state: JobState) -> &'static str {
    match state {
        JobState::Running | JobState::Waiting | JobState::Undoing => "busy",
        JobState::Succeeded => "ok",
        JobState::Failed => "bad",
        JobState::Queued | JobState::Cancelled | JobState::Discarded => "idle",
    }
}

pub fn job_state(job: JobState) -> Markup {
    state(job_class(job), if job == JobState::Waiting { "running" } else { job.name() })
}

/// A bar for a share of one, with its amount in words. The words carry the meaning, the bar is decoration.
pub fn meter(share: f64, words: &str) -> Markup {
    html! { span.meter { (bar(share)) b { (words) } } }
}

/// From this share on a bar is yellow, and from the next on red.
pub const HIGH: f64 = 0.75;
pub const FULL: f64 = 0.9;

/// Only the bar.
pub fn bar(share: f64) -> Markup {
    let width = (share.clamp(0.0, 1.0) * 100.0).round();
    let class = if share > FULL {
        "bar-meter bad"
    } else if share > HIGH {
        "bar-meter warn"
    } else {
        "bar-meter"
    };
    html! {
        svg class=(class) viewBox="0 0 100 6" preserveAspectRatio="none" aria-hidden="true" { rect width=(width) height="6" {} }
    }
}

/// How many values a small chart has room for when it is full: an hour by minutes.
const SPARK_FULL: usize = 60;

/// A line of shares of one (0 to 1) by minute, oldest first, without axes. The right end is now; a machine
/// that is known for a short time has a short line. Pairs of values are one point, to keep long lists small.
pub fn spark(values: &[f32], width: u16, height: u16) -> Markup {
    let points: Vec<f32> = values.rchunks(2).rev().map(|pair| pair.iter().sum::<f32>() / pair.len() as f32).collect();
    if points.len() < 2 {
        return html! {};
    }
    // Twice the height, so that whole numbers are fine enough; the picture is stretched to its box.
    let (w, h) = (f32::from(width), f32::from(height) * 2.0);
    let top = points.iter().copied().fold(0.1_f32, f32::max);
    let step = w / (points.len().max(SPARK_FULL / 2) - 1) as f32;
    let mut line = String::with_capacity(points.len() * 6);
    for (n, v) in points.iter().enumerate() {
        let x = w - step * (points.len() - 1 - n) as f32;
        let y = h - 3.0 - (v / top).clamp(0.0, 1.0) * (h - 6.0);
        let _ = write!(line, "{x:.0},{y:.0} ");
    }
    html! {
        svg.spark viewBox={ "0 0 " (width) " " (h) } preserveAspectRatio="none" aria-hidden="true" {
            polyline points=(line.trim_end()) {}
        }
    }
}

/// A form that is only a button. `class` is `primary`, `quiet`, `danger` or empty.
pub fn post(page: &Page, action: &str, word: &str, class: &str) -> Markup {
    html! {
        form.inline method="post" action=(action) { (csrf(page)) button class=(class) { (word) } }
    }
}

/// Text to take along, with a copy button (the script shows it; without script the text can be selected).
pub fn copy(text: &str) -> Markup {
    html! {
        span.copy { code { (text) }
            button.quiet.icon type="button" hidden data-copy=(text) aria-label="Copy" title="Copy" { (icon("copy")) } }
    }
}

/// Several lines to run elsewhere.
pub fn commands(text: &str) -> Markup {
    html! {
        div.commands { pre tabindex="0" { code { (text) } }
            button.quiet.icon type="button" hidden data-copy=(text) aria-label="Copy the commands" title="Copy" { (icon("copy")) } }
    }
}

/// An empty place that says what would be here, and the way to begin.
pub fn empty(picture: &str, title: &str, text: &str, action: Option<(&str, &str)>) -> Markup {
    html! {
        div.empty { (icon(picture)) h2 { (title) } p { (text) }
            @if let Some((href, word)) = action { a.button.primary href=(href) { (word) } } }
    }
}

/// A sentence in a coloured box; `class` is ok, warn, bad or busy.
pub fn note(class: &str, body: Markup) -> Markup {
    let picture = match class {
        "ok" => "check",
        "busy" => "info",
        _ => "warn",
    };
    html! { div class={ "note " (class) } { (icon(picture)) div { (body) } } }
}

/// A table head that sorts: a link for everybody, sorted in place by the script.
pub fn sort_head(class: &str, key: &str, word: &str, sort: &str, base: &str) -> Markup {
    let (down, by) = sort.strip_prefix('-').map_or((false, sort), |k| (true, k));
    let now = by == key;
    let order = if now { Some(if down { "descending" } else { "ascending" }) } else { None };
    let next = if now && !down { format!("-{key}") } else { key.to_owned() };
    html! {
        th scope="col" class=(class) aria-sort=[order] { a href={ (base) (next) } data-sort=(key) { (word) } }
    }
}

/// A name of at most `most` letters for tight places.
pub fn initials(name: &str) -> String {
    name.split_whitespace().filter_map(|w| w.chars().next()).take(2).collect::<String>().to_uppercase()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_told_as_a_person_would() {
        let now = Timestamp::from_secs(1_000_000);
        let at = |s: i64| relative(now, Timestamp::from_secs(1_000_000 + s)).replace('\u{a0}', " ");
        assert_eq!(
            [at(0), at(-59), at(-3700), at(7200), at(-90_000)],
            ["just now", "59 s ago", "1 h ago", "in 2 h", "1 day ago"]
        );
    }

    #[test]
    fn a_short_history_is_a_short_line_that_ends_now() {
        let html = spark(&[0.5; 6], 90, 20).into_string();
        assert!(html.contains("points=\"84,3 87,3 90,3\""), "{html}");
    }

    #[test]
    fn a_bar_never_leaves_its_box() {
        assert!(bar(7.0).into_string().contains("width=\"100\""));
        assert!(bar(-1.0).into_string().contains("width=\"0\""));
    }
}
