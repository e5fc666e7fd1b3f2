//! The frame round every page: rail, bar, the person's menu; or the quiet card for signed-out pages.

use crate::frame::form::csrf;
use crate::frame::parts::{icon, initials, note};
use crate::frame::{Flash, Level, Page, Who};
use maud::{DOCTYPE, Markup, html};
use model::prefs::Theme;

struct NavItem {
    path: &'static str,
    icon: &'static str,
    word: &'static str,
    admin: bool,
}

const fn place(path: &'static str, icon: &'static str, word: &'static str, admin: bool) -> NavItem {
    NavItem { path, icon, word, admin }
}

/// The rail, most wanted first: the first four stay on a phone's bottom bar.
const PLACES: [NavItem; 7] = [
    place("/", "overview", "Overview", false),
    place("/machines", "machines", "Machines", false),
    place("/jobs", "jobs", "Jobs", false),
    place("/audit", "audit", "Audit", true),
    place("/plugins", "plugins", "Plugins", true),
    place("/users", "users", "Users", true),
    place("/settings", "settings", "Settings", true),
];

/// How many places a phone's bar holds beside "More".
const ON_PHONE: usize = 4;

/// A page of somebody who is signed in.
pub fn page(page: &Page, title: &str, main: Markup) -> Markup {
    let main = html! {
        main id="main" tabindex="-1" { (flashes(&page.flash)) (main) }
    };
    if page.fragment {
        return html! { title { (title) " · Steward" } (main) (health(page)) (job_count(page)) };
    }
    let Some(who) = &page.who else { return plain(page, title, main) };
    document(
        page,
        title,
        html! {
            a.skip href="#main" { "Skip to the content" }
            div.app {
                (rail(page, who))
                div.content { (bar(page, who)) (main) }
            }
        },
    )
}

/// A page for nobody in particular: sign-in, setup, invite, errors before sign-in.
pub fn plain(page: &Page, title: &str, main: Markup) -> Markup {
    let body = html! {
        div.door {
            header { p.brand { (icon("home")) strong { "Steward" } } }
            (main)
        }
    };
    document(page, title, body)
}

/// A signed-out page's card with its headline.
pub fn door(page: &Page, title: &str, body: Markup) -> Markup {
    plain(page, title, html! { main.card id="main" { h1 { (title) } (flashes(&page.flash)) (body) } })
}

/// Headline, a line of explanation, and what can be done from here.
pub fn head(title: &str, lead: Markup, actions: Markup) -> Markup {
    html! {
        header.head {
            div.titles { h1 { (title) } div.lead { (lead) } }
            div.tools { (actions) }
        }
    }
}

/// The way back up, for pages under a list.
pub fn crumbs(list: &[(&str, &str)]) -> Markup {
    html! {
        nav.crumbs aria-label="Breadcrumb" { ol {
            @for (href, word) in list { li { a href=(href) { (word) } } }
        } }
    }
}

fn document(page: &Page, title: &str, body: Markup) -> Markup {
    let theme = theme_name(page.theme);
    html! {
        (DOCTYPE)
        html lang="en" data-theme=(theme) {
            head {
                meta charset="utf-8";
                title { (title) " · Steward" }
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                meta name="csrf" content=(page.csrf);
                link rel="icon" type="image/svg+xml" href=(page.assets.address("steward.svg"));
                link rel="stylesheet" href=(page.assets.address("style.css"));
                script type="module" src=(page.assets.address("app.js")) {}
            }
            body data-live-stream=[page.who.as_ref().map(|_| page.after)] { (body) }
        }
    }
}

fn theme_name(theme: Theme) -> &'static str {
    match theme {
        Theme::System => "system",
        Theme::Light => "light",
        Theme::Dark => "dark",
    }
}

fn rail(page: &Page, who: &Who) -> Markup {
    let places: Vec<&NavItem> = PLACES.iter().filter(|p| who.admin || !p.admin).collect();
    let here = |p: &NavItem| if p.path == "/" { page.path == "/" } else { page.path.starts_with(p.path) };
    let link = |p: &NavItem, class: &str| {
        html! {
            a class=(class) href=(p.path) aria-current=[here(p).then_some("page")] {
                (icon(p.icon)) span { (p.word) }
                @if p.path == "/jobs" { (job_count(page)) }
            }
        }
    };
    let later = places.get(ON_PHONE..).unwrap_or_default();
    html! {
        nav.rail aria-label="Main" {
            a.brand href="/" { (icon("home")) strong { "Steward" } }
            @for (n, p) in places.iter().enumerate() { (link(p, if n < ON_PHONE { "" } else { "later" })) }
            @if later.is_empty() {
                a.phone href="/profile" aria-current=[page.path.starts_with("/profile").then_some("page")] { (icon("user")) span { "Profile" } }
            } @else {
                details.more-places name="menu" {
                    summary.current[later.iter().any(|p| here(p))] { (icon("more")) span { "More" } }
                    div.sheet { @for p in later { (link(p, "")) } }
                }
            }
        }
    }
}

/// The count beside "Jobs"; the `health` event keeps it fresh.
fn job_count(page: &Page) -> Markup {
    html! {
        em id="job-count" hidden[page.open_jobs == 0] { (page.open_jobs) span.unseen { " open" } }
    }
}

fn health(page: &Page) -> Markup {
    let word = match page.health.level {
        Level::Ok => "well",
        Level::Warn => "look here",
        Level::Bad => "trouble",
    };
    html! {
        span id="health" class={ "health " (page.health.level.name()) } title=(word) { span.words { (page.health.text) } }
    }
}

fn bar(page: &Page, who: &Who) -> Markup {
    html! {
        header.bar {
            form.find role="search" action="/machines" {
                (icon("search"))
                input id="find" type="search" name="q" placeholder="Search or go to" aria-label="Search machines, jobs and pages"
                    autocomplete="off" spellcheck="false";
                kbd aria-hidden="true" { "Ctrl K" }
                div id="palette" hidden {}
            }
            (health(page))
            (person(page, who))
        }
    }
}

fn person(page: &Page, who: &Who) -> Markup {
    let themes = [("system", "Follow the system", "system"), ("light", "Light", "sun"), ("dark", "Dark", "moon")];
    html! {
        details.menu.who name="menu" {
            summary { span.avatar aria-hidden="true" { (initials(&who.name)) } span.name { (who.name) } span.unseen { ", your menu" } (icon("down")) }
            div.sheet {
                p.whoami { strong { (who.name) } small { (who.login) @if who.admin { ", admin" } } }
                a href="/profile" { (icon("user")) "Profile and security" }
                form.themes method="post" action="/profile/theme" data-theme-form {
                    (csrf(page))
                    span id="theme-word" { "Theme" }
                    span.seg role="group" aria-labelledby="theme-word" {
                        @for (value, word, picture) in themes {
                            button name="theme" value=(value) title=(word) aria-label=(word)
                                aria-pressed=(if theme_name(page.theme) == value { "true" } else { "false" }) { (icon(picture)) }
                        }
                    }
                }
                form method="post" action="/sign-out" { (csrf(page)) button.item { (icon("out")) "Sign out" } }
            }
        }
    }
}

fn flashes(list: &[Flash]) -> Markup {
    html! {
        @if !list.is_empty() {
            div.flashes role="status" { @for f in list { (note(f.level.name(), html! { (f.text) })) } }
        }
    }
}
