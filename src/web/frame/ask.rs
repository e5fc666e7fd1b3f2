//! The question before something is done: as a page, and the buttons that the script asks for.

use crate::frame::form::{Form, csrf};
use crate::frame::{Page, layout};
use maud::{Markup, html};
use model::guests::ActionKind;

/// What is asked before something is done. `{}` in the text stands for the thing's name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Question {
    pub text: &'static str,
    /// The yes.
    pub word: &'static str,
}

impl Question {
    pub const fn new(text: &'static str, word: &'static str) -> Self {
        Self { text, word }
    }

    pub fn words(&self, what: &str) -> String {
        self.text.replacen("{}", if what.is_empty() { "it" } else { what }, 1)
    }
}

pub const CANCEL_JOB: Question = Question::new("Cancel this job? What it has done so far is undone.", "Cancel the job");
pub const DISCARD_JOB: Question = Question::new("Discard this job? It can't be tried again then.", "Discard");
pub const SIGN_OUT: Question = Question::new("Sign out {}? What is open there ends at once.", "Sign out");
pub const SIGN_OUT_OTHERS: Question =
    Question::new("Sign out all other browsers and programs? What is open there ends at once.", "Sign out all others");
pub const RENEW_TOKEN: Question =
    Question::new("Renew {}? Programs that use its present text are refused from then on.", "Renew");
pub const REVOKE_TOKEN: Question =
    Question::new("Revoke {}? Programs that use it are refused at once. This can't be undone.", "Revoke");
pub const DEACTIVATE: Question = Question::new("Deactivate {}? They are signed out everywhere at once.", "Deactivate");
pub const UNLIST_SOFTWARE: Question =
    Question::new("Remove {} from the list? What is installed stays on the machine.", "Remove from list");
pub const FORGET_HOST_KEY: Question = Question::new(
    "Accept whichever host key is presented next? Do this only if you know why it changed.",
    "Forget the host key",
);
pub const STOP_SHARING: Question = Question::new("Stop sharing it with {}? It takes effect at once.", "Stop sharing");
pub const GIVE_BACK: Question = Question::new("Give {} back? You will no longer see it.", "Give it back");
pub const HAND_OVER: Question = Question::new(
    "Hand {} over? It then belongs to the new owner, and only they or an admin can give it back.",
    "Hand it over",
);
pub const DISCARD_DRAFT: Question = Question::new("Discard {}? What you typed so far is lost.", "Discard");

/// The page that asks, for those without script. A yes sends the same form again.
pub fn page(page: &Page, question: &Question, form: &Form, action: &str, back: &str) -> Markup {
    let text = question.words(form.value("what"));
    let (title, rest) = text.split_once("? ").map_or((text.as_str(), ""), |(title, rest)| (title, rest));
    let main = html! {
        section.card.narrow.attention.bad.sure {
            h1 { (title.trim_end_matches('?')) "?" }
            @if !rest.is_empty() { p { (rest) } }
            form method="post" action=(action) {
                (csrf(page))
                input type="hidden" name="sure" value="yes";
                @for (name, value) in form.pairs().filter(|(name, _)| !matches!(*name, "csrf" | "sure")) {
                    input type="hidden" name=(name) value=(value);
                }
                div.actions {
                    button.danger.solid { (question.word) }
                    a.button.quiet href=(back) { "Keep as it is" }
                }
            }
        }
    };
    layout::page(page, title, main)
}

/// A form of one button that asks first. `what` is the name of the thing.
pub fn button(page: &Page, action: &str, question: &Question, what: &str, class: &str) -> Markup {
    html! { form.inline method="post" action=(action) { (csrf(page)) (yes(question, what, class, html! { (question.word) })) } }
}

/// The button of a larger form that asks first.
pub fn yes(question: &Question, what: &str, class: &str, label: Markup) -> Markup {
    html! {
        @if !what.is_empty() { input type="hidden" name="what" value=(what); }
        button class=(class) data-confirm=(question.words(what)) { (label) }
    }
}

/// What is asked before this action on a machine.
pub fn of(kind: ActionKind) -> Question {
    let spec = kind.spec();
    Question::new(spec.question, spec.label)
}
