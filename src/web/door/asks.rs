//! Asking first. What interrupts somebody, or takes away what the same page does not give back, is done only after a
//! yes: each row of the table of routes says which question is asked, for an action on a machine its specification
//! does. Our script asks in a dialog and sends the yes along; without script the answer is a page that asks.

use crate::door::visit::Visit;
use crate::frame::Form;
use crate::frame::ask::{self, Question};
use axum::response::{IntoResponse as _, Response};
use http::HeaderMap;
use model::guests::ActionKind;
use url::Url;

/// Whether a form asks first.
#[derive(Clone, Copy, Debug)]
pub enum Asks {
    /// It interrupts nobody, and what it changes is changed back on the same page.
    No,
    First(&'static Question),
    /// By the last word of the address, or by the button's `go`; other words ask nothing.
    Verbs(&'static [(&'static str, &'static Question)]),
    /// By the specification of the action that the last word of the address stands for.
    Action(fn(&str) -> Option<ActionKind>),
    /// The handler asks, with what depends on the machine.
    WithImpact,
    /// The form stands below what it does, and a name has to be typed or its effects were shown: it is the question.
    Page,
}

impl Asks {
    /// The question before this form is done.
    pub fn question(&self, path: &str, form: &Form) -> Option<Question> {
        let last = path.rsplit('/').next().unwrap_or_default();
        match self {
            Self::First(question) => Some(**question),
            Self::Verbs(list) => {
                let meant = |verb: &str| verb == last || verb == form.value("go");
                list.iter().find(|(verb, _)| meant(verb)).map(|(_, question)| **question)
            }
            Self::Action(kind) => {
                let kind = kind(last)?;
                (!kind.spec().question.is_empty()).then(|| ask::of(kind))
            }
            Self::No | Self::WithImpact | Self::Page => None,
        }
    }
}

/// The page that asks, when the form needs a yes and has none.
pub fn first(visit: &Visit, asks: &Asks, headers: &HeaderMap, body: &[u8]) -> Option<Response> {
    if visit.fragment {
        return None;
    }
    let form: Form = serde_urlencoded::from_bytes(body).ok()?;
    let question = asks.question(&visit.path, &form).filter(|_| !form.has("sure"))?;
    let back = own_referer(headers).unwrap_or_else(|| "/".to_owned());
    Some(ask::page(&visit.page(), &question, &form, &visit.path, &back).into_response())
}

/// Path and query of the page that a form was on. Its origin was looked at before.
pub fn own_referer(headers: &HeaderMap) -> Option<String> {
    let from = Url::parse(headers.get(http::header::REFERER)?.to_str().ok()?).ok()?;
    Some(from.query().map_or_else(|| from.path().to_owned(), |query| format!("{}?{query}", from.path())))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::routes::table;
    use http::Method;

    #[test]
    fn the_question_is_the_one_of_the_verb_the_button_or_the_action() {
        let by = |path: &str, pattern: &str, form: &Form| {
            let rows = table();
            let row = rows.iter().find(|r| r.info.path == pattern && r.info.method == Method::POST).unwrap();
            row.info.asks.question(path, form).map(|q| q.words(form.value("what")))
        };
        let disk = "/machines/{id}/hardware/disk/{name}/{action}";
        let form = Form::new().set("what", "scsi1");
        assert!(by("/machines/1/hardware/disk/scsi1/detach", disk, &form).unwrap().starts_with("Detach scsi1? "));
        assert_eq!(by("/machines/1/hardware/disk/scsi1/grow", disk, &form), None);
        let users = "/users/{id}/{action}";
        assert!(by("/users/1/deactivate", users, &Form::new()).unwrap().starts_with("Deactivate it?"));
        assert_eq!(by("/users/1/activate", users, &Form::new()), None);
        let wizard = "/machines/new/{draft}/{step}";
        assert!(by("/machines/new/1/size", wizard, &Form::new().set("go", "discard")).is_some());
        assert_eq!(by("/machines/new/1/size", wizard, &Form::new().set("go", "next")), None);
    }

    #[test]
    fn no_row_that_takes_something_away_goes_without_asking() {
        let words = [
            "delete",
            "remove",
            "revoke",
            "revoke-others",
            "rotate",
            "forget",
            "unshare",
            "owner",
            "revert",
            "template",
        ];
        for info in table()
            .into_iter()
            .map(|r| r.info)
            .filter(|i| i.door == crate::routes::Door::Page && i.method == Method::POST)
        {
            let takes = info.path.rsplit('/').next().is_some_and(|last| words.contains(&last));
            assert!(!takes || !matches!(info.asks, Asks::No), "{}", info.path);
            let verbs = info.path.ends_with("/{action}");
            assert!(!verbs || matches!(info.asks, Asks::Verbs(_) | Asks::Action(_)), "{}", info.path);
        }
    }
}
