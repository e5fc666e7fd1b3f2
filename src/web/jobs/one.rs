//! One job: its steps, how far it is, its log, who asked, and what to do when it failed.

use crate::frame::ask;
use crate::frame::form::csrf;
use crate::frame::parts::{duration, icon, job_state, note, post, time};
use crate::frame::{Page, layout};
use crate::jobs::page::{label, took};
use base::ids::GuestId;
use maud::{Markup, html};
use model::jobs::{Job, JobState, LogLevel, LogLine, Step, StepState, Wait};
use model::software::failure::{FailureClass, Remedy};
use std::borrow::Cow;

#[derive(Clone, Debug)]
pub struct JobView {
    pub job: Job,
    /// By order of begin.
    pub steps: Vec<Step>,
    /// Oldest first.
    pub log: Vec<LogLine>,
    pub machine: Option<(GuestId, String)>,
    /// May this person cancel, retry, discard?
    pub can_act: bool,
    /// Why a command on the machine failed, as far as its words tell.
    pub cause: Option<FailureClass>,
    /// Where to try again with other values, when the job came from a form.
    pub edit: Option<String>,
}

pub fn job(page: &Page, view: &JobView) -> Markup {
    let job = &view.job;
    let main = html! {
        (layout::crumbs(&[("/jobs", "Jobs")]))
        div id="job-head" data-live data-on={ "job:" (job.id) " job-log:" (job.id) } {
            header.head {
                div.titles { h1 { (job.title) } (facts(page, view)) }
                div.tools { (actions(page, view)) }
            }
            (fate(page, view))
        }
        div.cols {
            section.card { h2 { "Steps" } div id="steps" data-live data-on={ "job:" (job.id) } { (steps(page, view)) } }
            section.card.log-card { h2 { "Log" } (log(view)) }
        }
    };
    layout::page(page, &job.title, main)
}

fn facts(page: &Page, view: &JobView) -> Markup {
    let job = &view.job;
    html! {
        p.facts {
            (job_state(job.state))
            span { "requested by " strong { (job.asked_by) } " " (time(page, job.created)) }
            @if job.started.is_some() { span.dim { "took " (took(page, job)) @if !job.state.is_over() { " so far" } } }
            @if job.attempts > 0 { span.dim { "try " (job.attempts.min(job.max_attempts.saturating_sub(1)) + 1) " of " (job.max_attempts) } }
            @if let Some((id, name)) = &view.machine { a href={ "/machines/" (id) } { (icon("machines")) (name) } }
            span.dim { (job.plugin) "." (job.kind.hook()) }
        }
    }
}

fn actions(page: &Page, view: &JobView) -> Markup {
    let job = &view.job;
    let at = |verb: &str| format!("/jobs/{}/{verb}", job.id);
    html! {
        @if view.can_act {
            @if job.state == JobState::Failed {
                (post(page, &at("retry"), "Try again", "primary"))
                @if let Some(href) = &view.edit { a.button href=(href) { "Change and try" } }
                (ask::button(page, &at("discard"), &ask::DISCARD_JOB, "", "quiet"))
            } @else if !job.state.is_over() {
                form.inline method="post" action=(at("cancel")) {
                    (csrf(page))
                    button disabled[job.cancel_asked] title=[job.cancel_asked.then_some("It has already been asked to stop.")]
                        data-confirm=(ask::CANCEL_JOB.text) { @if job.cancel_asked { "Stopping" } @else { "Cancel" } }
                }
            }
        }
    }
}

/// The sentence about how it stands, with the bar while it is open.
fn fate(page: &Page, view: &JobView) -> Markup {
    let job = &view.job;
    html! {
        @match job.state {
            JobState::Failed => (note("bad", failed(view))),
            JobState::Cancelled => (note("warn", html! { "It was cancelled. " (undone(view)) })),
            JobState::Discarded => (note("warn", html! { "It failed and was discarded. " @if let Some(why) = &job.error { (why) } })),
            JobState::Succeeded => (note("ok", html! { "Done" @if let Some(at) = job.finished { " " (time(page, at)) } ". " @if let Some((id, name)) = &view.machine { a href={ "/machines/" (id) } { "Open " (name) } } })),
            _ => (open(page, job)),
        }
    }
}

fn open(page: &Page, job: &Job) -> Markup {
    let p = &job.progress;
    html! {
        div.card.progress-card {
            p { strong { (label(job)) } @if let Some(wait) = &job.wait { span.dim { " " (waits(page, wait)) } } }
            @if p.total > 0 { progress max=(p.total) value=(p.done.min(p.total)) aria-label="Progress" {} } @else { progress aria-label="Progress" {} }
            @if let Some(why) = &job.error {
                p.dim { "The last try failed: " (why) @if job.state == JobState::Queued && job.not_before > page.now { " Next try " (time(page, job.not_before)) "." } }
            }
            @if job.cancel_asked { p.dim { "It was asked to stop and will undo what it did." } }
        }
    }
}

fn waits(page: &Page, wait: &Wait) -> Markup {
    html! {
        @match wait {
            Wait::Command(_) => "a command runs on the machine",
            Wait::Task { .. } => "waits for a task of the provider",
            Wait::Until { at, .. } => { "continues " (time(page, *at)) },
        }
    }
}

fn failed(view: &JobView) -> Markup {
    let job = &view.job;
    html! {
        p { strong { "It gave up" @if job.attempts > 1 { " after " (job.attempts) " tries" } ". " } @if let Some(why) = &job.error { (why) } }
        @if let Some(cause) = view.cause {
            p { (cause.advice()) @if let (Some((id, _)), Some(word)) = (&view.machine, hardware_word(cause)) {
                " " a href={ "/machines/" (id) "/hardware" } { (word) }
            } }
        }
        @if !view.job.kind.is_install() { p { (undone(view)) } }
        @else { p { "What is already done stays; another try continues where it stopped." } }
        @if view.can_act { p { "Try again once the cause is fixed" @if view.edit.is_some() { ", change the request," } " or discard it." } }
    }
}

/// The link to what helps, where that is a matter of the machine's hardware.
fn hardware_word(cause: FailureClass) -> Option<&'static str> {
    match cause.remedy() {
        Remedy::MoreMemory => Some("Give it more memory"),
        Remedy::BiggerDisk => Some("Make its disk larger"),
        Remedy::Retry => None,
    }
}

/// What was undone, in a sentence.
fn undone(view: &JobView) -> Markup {
    let undos = || view.steps.iter().filter_map(|s| Some((s.state, undo_name(&s.name)?)));
    let back: Vec<&str> = undos().filter(|(state, _)| *state == StepState::Done).map(|(_, name)| name).collect();
    let stuck: Vec<&str> = undos().filter(|(state, _)| *state != StepState::Done).map(|(_, name)| name).collect();
    html! {
        @if back.is_empty() && stuck.is_empty() { "There was nothing to undo." }
        @else if stuck.is_empty() { "Undone: " (back.join(", ")) ". Nothing is left behind." }
        @else { "Could not be undone: " (stuck.join(", ")) ". Please clean it up by hand." @if !back.is_empty() { " Undone: " (back.join(", ")) "." } }
    }
}

/// The name in `undo:name`. The calls that an undo made are journalled under `undo:name/METHOD path#n`.
fn undo_name(name: &str) -> Option<&str> {
    name.strip_prefix("undo:").filter(|rest| !rest.contains('/'))
}

/// The journal also keeps what is not a step to a person: the clock's answers and an undo's single calls.
fn is_shown(name: &str) -> bool {
    !name.starts_with("time:") && (!name.starts_with("undo:") || undo_name(name).is_some())
}

fn steps(page: &Page, view: &JobView) -> Markup {
    html! {
        @if view.steps.is_empty() { p.dim { "It has not begun yet." } }
        ol.steps { @for step in view.steps.iter().filter(|s| is_shown(&s.name)) { (one_step(page, view, step)) } }
    }
}

fn one_step(page: &Page, view: &JobView, step: &Step) -> Markup {
    let (class, picture, word) = match step.state {
        StepState::Done => ("ok", "check", "done"),
        StepState::Failed => ("bad", "cross", "failed"),
        StepState::Begun if view.job.state.is_over() => ("warn", "warn", "not known"),
        StepState::Begun => ("busy", "clock", "running"),
    };
    let end = step.ended.unwrap_or(page.now);
    html! {
        li class=(class) {
            span.bullet { (icon(picture)) }
            div { strong { (step_name(&step.name)) } span.unseen { ", " (word) } }
            span.dim title={ "began " (step.began) } { (duration(step.began.until(end))) }
        }
    }
}

/// A step's name is what people read; waits and undos have theirs by what they are for.
fn step_name(name: &str) -> Cow<'_, str> {
    if let Some(handle) = name.strip_prefix("wait:") {
        return match Wait::of_handle(handle) {
            Some(Wait::Command(command)) => format!("Wait for the command “{}”", command.name.replace('-', " ")).into(),
            _ => "Wait for the provider".into(),
        };
    }
    if let Some(what) = name.strip_prefix("undo:") {
        return format!("Undo: {what}").into();
    }
    if name.starts_with("sleep:") {
        return "Wait a moment".into();
    }
    name.strip_prefix("until:").unwrap_or(name).into()
}

fn log(view: &JobView) -> Markup {
    html! {
        div.log id="log" data-live data-on={ "job-log:" (view.job.id) " job:" (view.job.id) } data-follow tabindex="0" role="log" aria-label="Log of the job" {
            @if view.log.is_empty() { p.dim { "Nothing has been logged yet." } }
            ol { @for line in &view.log {
                li class=(match line.level { LogLevel::Info => "info", LogLevel::Warn => "warn", LogLevel::Error => "bad" }) {
                    time datetime=(line.at) data-clock { (line.at.to_utc().format("%H:%M:%S")) }
                    @match line.level { LogLevel::Warn => b { "warning" }, LogLevel::Error => b { "error" }, LogLevel::Info => {} }
                    span { (line.text) }
                }
            } }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{is_shown, step_name, undo_name};

    #[test]
    fn an_undos_single_calls_and_the_clock_are_no_steps() {
        assert!(is_shown("clone") && is_shown("undo:clone"));
        assert!(!is_shown("time:1") && !is_shown("undo:clone/DELETE /nodes/pve1/qemu/104#1"));
        assert_eq!(undo_name("undo:clone/DELETE /nodes/pve1/qemu/104#1"), None);
    }

    #[test]
    fn journal_names_become_words() {
        assert_eq!(step_name("wait:UPID:pve1:0001:0002:65F0:qmclone:104:steward@pve!a:"), "Wait for the provider");
        assert_eq!(step_name("wait:ssh:image-of-web"), "Wait for the command “image of web”");
        assert_eq!(step_name("wait:agent:wireshark:77aa00ff"), "Wait for the command “wireshark”");
        assert_eq!(step_name("undo:Clone the template"), "Undo: Clone the template");
        assert_eq!(step_name("until:Wait for the template"), "Wait for the template");
        assert_eq!(step_name("Set the size"), "Set the size");
    }
}
