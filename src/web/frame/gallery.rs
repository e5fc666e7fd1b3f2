//! Every page with sample data: checked here for what no page may have, and written to target/gallery/ to be
//! looked at (`STEWARD_GALLERY=1 cargo test -p steward-web gallery`).

pub mod profiles;
pub mod samples;
mod templates;
mod views;

use views::all;

/// The pages of all rooms, by the names that the samples use.
mod pages {
    pub use crate::account::page as profile;
    pub use crate::audit::page as audit;
    pub use crate::connections::page as connections;
    pub use crate::frame::*;
    pub use crate::guests::bulk::page as bulk;
    pub use crate::guests::console::page as console;
    pub use crate::guests::create::page as create;

    pub use crate::guests::impact::page as impact;
    pub use crate::guests::list::page as machines;

    pub use crate::guests::one::page as machine;
    pub use crate::guests::sharing::page as sharing;
    pub use crate::guests::snapshots::page as snapshots;

    pub use crate::jobs::{one as job, page as jobs};
    pub use crate::overview::page as overview;
    pub use crate::plugins::page as plugins;
    pub use crate::quotas::page as quotas;
    pub use crate::sign_in::page as sign_in;
    pub use crate::system::settings_page as settings;
    pub use crate::users::page as users;
}

/// Tags of a page, each as the text between `<` and `>`.
fn tags(html: &str) -> Vec<&str> {
    html.split('<').skip(1).filter_map(|part| part.split_once('>').map(|(tag, _)| tag)).collect()
}

fn attribute<'a>(tag: &'a str, name: &str) -> Option<&'a str> {
    let start = tag.find(&format!(" {name}=\""))? + name.len() + 3;
    tag[start..].split('"').next()
}

#[test]
fn no_page_has_inline_script_or_style() {
    for (name, html) in all() {
        for tag in tags(&html) {
            assert!(!tag.contains(" style="), "{name}: <{tag}>");
            assert!(!tag.starts_with("style"), "{name}: <{tag}>");
            assert!(!tag.starts_with("script") || tag.contains(" src="), "{name}: <{tag}>");
            let handler = tag.split(' ').any(|a| a.starts_with("on") && a.contains("=\""));
            assert!(!handler, "{name}: <{tag}>");
        }
    }
}

#[test]
fn names_are_escaped_on_every_page() {
    for (name, html) in all() {
        assert!(!html.contains("<img src=x"), "{name} lets a name through as HTML");
    }
}

#[test]
fn every_form_that_changes_something_carries_the_csrf_token() {
    for (name, html) in all() {
        for form in html.split("<form").skip(1) {
            let form = form.split("</form>").next().unwrap_or_default();
            if form.split('>').next().unwrap_or_default().contains("method=\"post\"") {
                assert!(form.contains("name=\"csrf\" value=\"sample-csrf\""), "{name}: {form}");
            }
        }
    }
}

#[test]
fn every_input_has_a_label_and_every_id_is_there_once() {
    for (name, html) in all() {
        let mut seen = std::collections::BTreeSet::new();
        for tag in tags(&html) {
            if let Some(id) = attribute(tag, "id") {
                assert!(seen.insert(id), "{name}: id {id} twice");
            }
        }
        for tag in
            tags(&html).into_iter().filter(|t| ["input ", "select ", "textarea "].iter().any(|k| t.starts_with(k)))
        {
            if attribute(tag, "type") == Some("hidden") || attribute(tag, "aria-label").is_some() {
                continue;
            }
            let labelled = attribute(tag, "id").is_some_and(|id| html.contains(&format!("<label for=\"{id}\"")));
            let ticked = matches!(attribute(tag, "type"), Some("checkbox" | "radio"));
            assert!(labelled || ticked, "{name}: <{tag}> has no label");
        }
    }
}

#[test]
fn a_fragment_has_the_main_part_and_no_frame() {
    let page = crate::frame::Page { fragment: true, ..samples::page("/machines") };
    let html = crate::guests::list::page::machines(&page, &samples::machines(3)).into_string();
    assert!(
        html.contains("<main")
            && html.contains("id=\"job-count\"")
            && !html.contains("<html")
            && !html.contains("class=\"rail\"")
    );
}

#[test]
fn a_thousand_rows_stay_small() {
    let html = crate::guests::list::page::machines(&samples::page("/machines"), &samples::machines(1000)).into_string();
    assert!(html.len() < 1_500_000, "{} bytes", html.len());
}

#[test]
fn the_gallery_is_written_when_asked_for() {
    let pages = all();
    assert!(pages.len() > 25);
    if std::env::var_os("STEWARD_GALLERY").is_none() {
        return;
    }
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/gallery");
    std::fs::create_dir_all(&folder).unwrap();
    for (name, html) in pages {
        std::fs::write(folder.join(format!("{name}.html")), html).unwrap();
    }
}

/// The row of the table of routes for a form's address.
fn form_route(action: &str) -> Option<crate::routes::Info> {
    let parts: Vec<&str> = action.split('?').next()?.split('/').collect();
    let fits = |path: &str| {
        let row: Vec<&str> = path.split('/').collect();
        row.len() == parts.len() && row.iter().zip(&parts).all(|(r, p)| r == p || r.starts_with('{'))
    };
    let rows = crate::routes::table().into_iter().map(|r| r.info);
    let mut rows: Vec<_> = rows.filter(|i| i.method == http::Method::POST && fits(i.path)).collect();
    rows.sort_by_key(|i| i.path.matches('{').count());
    rows.into_iter().next()
}

/// Text as it was before it was written into HTML.
fn plain(text: &str) -> String {
    text.replace("&lt;", "<").replace("&gt;", ">").replace("&quot;", "\"").replace("&amp;", "&")
}

#[test]
fn every_form_that_takes_something_away_asks_first() {
    use crate::door::asks::Asks;
    let mut asked = std::collections::BTreeSet::new();
    for (name, html) in all() {
        for form in html.split("<form").skip(1).map(|f| f.split("</form>").next().unwrap_or_default()) {
            let head = format!("<{}", form.split('>').next().unwrap_or_default());
            let Some(action) = attribute(&head, "action").filter(|_| head.contains("method=\"post\"")) else {
                continue;
            };
            let route = form_route(action).unwrap_or_else(|| panic!("{name}: no route for {action}"));
            let inputs = tags(form).into_iter().filter(|t| t.starts_with("input "));
            let pairs = inputs.filter_map(|t| Some((attribute(t, "name")?, attribute(t, "value").unwrap_or_default())));
            let typed = crate::frame::Form::from_pairs(pairs);
            let is_question = typed.has("sure");
            for button in tags(form).into_iter().filter(|t| t.starts_with("button") && !t.contains("type=\"button\"")) {
                let value = attribute(button, "value").unwrap_or_default();
                let sent = match attribute(button, "name") {
                    Some(name) => typed.clone().replace(name, value),
                    None => typed.clone(),
                };
                let question = route.asks.question(action, &sent);
                if let Some(question) = &question {
                    let (said, words) = (attribute(button, "data-confirm"), question.words(sent.value("what")));
                    asked.insert(route.path);
                    let asks = said.is_some_and(|said| plain(said) == plain(&words));
                    assert!(is_question || asks, "{name}: {action} does not ask “{words}”: <{button}>");
                }
                let kind = model::guests::ActionKind::parse(value);
                if matches!(route.asks, Asks::WithImpact) && kind.is_some_and(|k| k.has_impact()) && !is_question {
                    let opens = button.contains("data-impact") || button.contains("data-confirm");
                    assert!(opens || action == "/machines/bulk", "{name}: {action} {value} does not ask: <{button}>");
                    asked.insert(route.path);
                }
            }
        }
    }
    for path in ["/machines/{id}/power", "/machines/{id}/snapshots/{name}/{action}", "/profile/tokens/{id}/revoke"] {
        assert!(asked.contains(path), "no page of the gallery has {path}: {asked:?}");
    }
}
