//! The page for what went wrong: what, why, and where to go.

use crate::frame::parts::icon;
use crate::frame::{Page, layout};
use base::ids::JobId;
use maud::{Markup, html};

#[derive(Clone, Debug)]
pub struct ErrorView {
    /// The HTTP status code.
    pub status: u16,
    /// The sentence for the person.
    pub message: String,
    /// The job that tells the rest.
    pub job: Option<JobId>,
    /// What to quote when asking for help.
    pub request_id: Option<String>,
}

pub fn error(page: &Page, view: &ErrorView) -> Markup {
    let title = match view.status {
        401 => "Please sign in",
        403 => "You don't have access to this",
        404 => "There is nothing here",
        409 => "That conflicts with the current state",
        429 => "Too many attempts",
        503 => "Not reachable right now",
        507 => "The disk is full",
        400..=499 => "That did not work",
        _ => "Something went wrong",
    };
    let body = html! {
        div.empty.error-page {
            (icon("warn"))
            h1 { (title) }
            p { (view.message) }
            @if let Some(job) = view.job { a.button.primary href={ "/jobs/" (job) } { "Open the job" } }
            @else if page.who.is_some() { a.button.primary href="/" { "Go to the overview" } } @else { a.button.primary href="/sign-in" { "Sign in" } }
            @if let Some(id) = &view.request_id { p.dim { "Request " code { (id) } } }
        }
    };
    if page.who.is_some() {
        layout::page(page, title, body)
    } else {
        layout::plain(page, title, html! { main.card id="main" { (body) } })
    }
}
