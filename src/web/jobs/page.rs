//! The list of jobs, and the short form of a job that other pages show.

use crate::frame::parts::{duration, empty, icon, job_state, time};
use crate::frame::{Page, layout};
use base::excerpt;
use maud::{Markup, html};
use model::jobs::{Job, JobState};

#[derive(Clone, Debug)]
pub struct JobsView {
    /// Newest first.
    pub jobs: Vec<Job>,
    /// `open`, `failed`, `done`, or empty for all.
    pub state: String,
    /// How many there are by state, for the tabs.
    pub open: usize,
    pub failed: usize,
    /// The list was cut here.
    pub more: bool,
}

pub fn jobs(page: &Page, view: &JobsView) -> Markup {
    let tab = |key: &str, word: &str, n: Option<usize>| {
        let href = if key.is_empty() { "/jobs".to_owned() } else { format!("/jobs?state={key}") };
        html! {
            a href=(href) aria-current=[(view.state == key).then_some("page")] {
                (word) @if let Some(n) = n.filter(|n| *n > 0) { span.count { (n) } }
            }
        }
    };
    let main = html! {
        (layout::head("Jobs", html! { "What Steward does for you, step by step. After a restart, a job continues where it was." }, html! {}))
        nav.tabs aria-label="Which jobs" {
            (tab("", "All", None)) (tab("open", "Open", Some(view.open))) (tab("failed", "Failed", Some(view.failed))) (tab("done", "Done", None))
        }
        section id="jobs" data-live data-on="job" {
            @if view.jobs.is_empty() { (nothing(view)) } @else { (table(page, &view.jobs)) }
            @if view.more { p.dim { "Only the newest are shown." } }
        }
    };
    layout::page(page, "Jobs", main)
}

fn nothing(view: &JobsView) -> Markup {
    match view.state.as_str() {
        "failed" => empty(
            "check",
            "Nothing failed",
            "When a job gives up, it waits here with what was tried and what was undone.",
            None,
        ),
        "open" => empty("jobs", "Nothing to do", "Queued and running jobs are listed here.", None),
        _ => empty(
            "jobs",
            "No jobs yet",
            "Creating, starting and deleting machines are jobs: each has steps and a log, and continues after a restart.",
            Some(("/machines/new", "New machine")),
        ),
    }
}

/// A table of jobs; becomes cards on a phone.
pub fn table(page: &Page, list: &[Job]) -> Markup {
    html! {
        div.sheet-table { table.grid.jobs-table {
            thead { tr { th scope="col" { "State" } th scope="col" { "Job" } th scope="col" { "Progress" } th scope="col" { "Requested by" } th scope="col" { "When" } th scope="col" { "Took" } } }
            tbody { @for item in list { (row(page, item)) } }
        } }
    }
}

fn row(page: &Page, job: &Job) -> Markup {
    html! {
        tr id={ "j-" (job.id) } {
            td.c-state { (job_state(job.state)) }
            th scope="row" { a href={ "/jobs/" (job.id) } { (job.title) } @if let Some(why) = failed(job) { small.bad { (excerpt::listed(why)) } } }
            td.c-progress { (progress(job)) }
            td data-label="Requested by" { (job.asked_by) }
            td data-label="When" { (time(page, job.created)) }
            td data-label="Took" { (took(page, job)) }
        }
    }
}

fn failed(job: &Job) -> Option<&str> {
    (job.state == JobState::Failed).then_some(job.error.as_deref()).flatten()
}

/// Run time so far, or in all.
pub fn took(page: &Page, job: &Job) -> Markup {
    html! {
        @match job.started {
            Some(start) => (duration(start.until(job.finished.unwrap_or(page.now)))),
            None => span.dim { "–" },
        }
    }
}

/// The bar and the words of an open job; only dim words for the others.
pub fn progress(job: &Job) -> Markup {
    let p = &job.progress;
    html! {
        @if job.state.is_over() {
            span.dim { @if job.state == JobState::Succeeded { "all steps done" } @else { (job.progress.label) } }
        } @else {
            small { (label(job)) }
            @if p.total > 0 { progress max=(p.total) value=(p.done.min(p.total)) aria-label={ "Progress of " (job.title) } {} }
            @else { progress aria-label={ "Progress of " (job.title) } {} }
        }
    }
}

/// What it is doing, in words: `Step 3 of 6: start`.
pub fn label(job: &Job) -> String {
    let p = &job.progress;
    match job.state {
        JobState::Queued if job.attempts > 0 => "waits for the next try".to_owned(),
        JobState::Queued => "waits for its turn".to_owned(),
        JobState::Undoing => format!("undoing: {}", p.label),
        _ if p.total > 0 => format!("Step {} of {}: {}", (p.done + 1).min(p.total), p.total, p.label),
        _ if p.label.is_empty() => "just begun".to_owned(),
        _ => p.label.clone(),
    }
}

/// The short list of what is happening now, for the overview and a machine's page.
pub fn short(page: &Page, list: &[Job]) -> Markup {
    html! {
        ul.list {
            @for job in list {
                li { div {
                    a href={ "/jobs/" (job.id) } { (job.title) }
                    small { (label(job)) ", requested by " (job.asked_by) ", " (time(page, job.created)) }
                    @if job.progress.total > 0 { progress max=(job.progress.total) value=(job.progress.done.min(job.progress.total)) aria-label={ "Progress of " (job.title) } {} }
                    @else { progress aria-label={ "Progress of " (job.title) } {} }
                } a.go href={ "/jobs/" (job.id) } aria-label={ "Open the job " (job.title) } { (icon("right")) } }
            }
        }
    }
}
