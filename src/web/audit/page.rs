//! The audit log: who did what, when, from where; a chain that can be checked.

use crate::frame::parts::{empty, icon, note, state, time};
use crate::frame::{Page, layout};
use maud::{Markup, html};
use model::audit::AuditEntry;

#[derive(Clone, Debug)]
pub struct AuditView {
    /// Newest first.
    pub rows: Vec<AuditEntry>,
    pub filter: String,
    /// The `before` of the next page, when there is one.
    pub next: Option<u64>,
    /// Is this the newest page?
    pub first_page: bool,
    /// The whole chain: how many entries, and the first bad one if it was tampered with.
    pub entries: u64,
    pub first_bad: Option<u64>,
}

pub fn audit(page: &Page, view: &AuditView) -> Markup {
    let query: String = url::form_urlencoded::byte_serialize(view.filter.as_bytes()).collect();
    let lead = html! { "Every sign-in and every change. Each entry holds the hash of the one before, so none can be altered unnoticed." };
    let main = html! {
        (layout::head("Audit", lead, html! {
            a.button href={ "/audit.csv?q=" (query) } download { "CSV" }
            a.button href={ "/audit.json?q=" (query) } download { "JSON" }
        }))
        (chain(view))
        form.tools action="/audit" role="search" aria-label="Filter the audit log" {
            div.find.wide { (icon("search"))
                input type="search" name="q" value=(view.filter) placeholder="Filter: actor:mira action:guest ok:no web-01" aria-label="Filter words" autocomplete="off" spellcheck="false"; }
            button { "Filter" }
        }
        @if view.rows.is_empty() { (empty("audit", "No entries", "Nothing matches this filter.", None)) }
        @else { (entries(page, &view.rows)) }
        nav.pager aria-label="Pages" {
            @if !view.first_page { a.button href={ "/audit?q=" (query) } { (icon("left")) "Newest" } }
            @if let Some(before) = view.next { a.button href={ "/audit?q=" (query) "&before=" (before) } { "Older" (icon("right")) } }
        }
    };
    layout::page(page, "Audit", main)
}

fn chain(view: &AuditView) -> Markup {
    match view.first_bad {
        Some(seq) => note(
            "bad",
            html! { strong { "The chain is broken at entry " (seq) "." } " Somebody changed the store from outside, or the disk is failing. Compare with a backup." },
        ),
        None => html! { p.facts { (state("ok", "whole")) span { (view.entries) " entries in an unbroken chain" } } },
    }
}

/// The entries as a table; also on a machine's page.
pub fn entries(page: &Page, rows: &[AuditEntry]) -> Markup {
    html! {
        div.sheet-table { table.grid.audit-table {
            thead { tr { th scope="col" { "When" } th scope="col" { "Who" } th scope="col" { "What" } th scope="col" { "On" } th scope="col" { "Details" } th scope="col" { "From" } } }
            tbody { @for AuditEntry { seq, record: r, .. } in rows {
                tr {
                    td data-label="When" title={ "Entry " (seq) } { (time(page, r.at)) }
                    td data-label="Who" { (r.actor) }
                    th scope="row" { code { (r.action) } @if !r.ok { " " (state("bad", "refused")) } }
                    td data-label="On" { (r.subject) }
                    td.wrap data-label="Details" { (r.detail) }
                    td data-label="From" { @match &r.address { Some(a) => (a), None => span.dim { "–" } } }
                }
            } }
        } }
    }
}
