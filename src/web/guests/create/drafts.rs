//! What was typed so far: kept as a draft with each step, so that Back, reload, another page and a lost session lose
//! nothing. Each step has an address of its own, and sending one leads to the next by a redirect.

use super::{CreateStep, Steps, draw};
use crate::door::csrf::Checked;
use crate::door::forms::{self, helps};
use crate::door::problem::Answer;
use crate::door::visit::{Person, see_other};
use crate::frame::Form;
use app::software::MenuItem;
use axum::extract::Path;
use axum::response::{IntoResponse as _, Response};
use base::ids::{DraftId, JobId};
use base::{Error, Result, Timestamp};
use http::StatusCode;
use model::drafts::{Draft, Refused};
use model::guests::keys::is_private;

/// A draft as the wizard shows it.
#[derive(Clone, Debug)]
pub struct DraftItem {
    pub id: DraftId,
    pub name: String,
    pub changed: Timestamp,
    /// The farthest step that was reached.
    pub reached: CreateStep,
    /// The job that was made of it.
    pub job: Option<JobId>,
}

impl DraftItem {
    pub(super) fn of(id: DraftId, draft: &Draft) -> Self {
        Self {
            id,
            name: draft.value("name").to_owned(),
            changed: draft.changed,
            reached: CreateStep::parse(&draft.reached).unwrap_or(CreateStep::Source),
            job: draft.job,
        }
    }

    pub fn at(&self, step: CreateStep) -> String {
        address(self.id, step)
    }
}

fn address(id: DraftId, step: CreateStep) -> String {
    format!("/machines/new/{id}/{}", step.name())
}

/// The draft and the step of an address.
fn named(id: &str, step: &str) -> Result<(DraftId, CreateStep)> {
    let step = CreateStep::parse(step).ok_or_else(|| Error::not_found("There is nothing at this address."))?;
    Ok((forms::id(id)?, step))
}

pub async fn show(person: Person, Path((id, step)): Path<(String, String)>) -> Answer {
    let (id, step) = named(&id, &step)?;
    let draft = person.web.app.drafts().get(&person.actor, id)?;
    let form = Form::from_pairs(draft.fields.clone());
    let form = match draft.refused.as_ref().filter(|r| r.step == step.name()) {
        Some(refused) => form.fail(&refused.error()),
        None => form,
    };
    Ok(draw(&person, step, &form, Some(DraftItem::of(id, &draft))).await)
}

/// The first step, or all that a page of ours carried into it.
pub async fn begin(person: Person, Checked { form, .. }: Checked) -> Answer {
    let at = CreateStep::parse(form.value("step")).unwrap_or(CreateStep::Source);
    take(&person, DraftId::new(), Draft::default(), at, form).await
}

/// One step was filled in.
pub async fn step(person: Person, Path((id, step)): Path<(String, String)>, Checked { form, .. }: Checked) -> Answer {
    let (id, at) = named(&id, &step)?;
    let drafts = person.web.app.drafts();
    if form.value("go") == "discard" {
        drafts.discard(&person.actor, id).await?;
        return Ok(person.done("/machines/new", "The draft is discarded."));
    }
    let draft = drafts.get(&person.actor, id)?;
    take(&person, id, draft, at, form).await
}

async fn take(person: &Person, id: DraftId, draft: Draft, at: CreateStep, sent: Form) -> Answer {
    let drafts = person.web.app.drafts();
    let menu = person.web.app.software().menu(&person.actor);
    let go = sent.value("go").to_owned();
    // A box that is not ticked sends nothing: what this step asks is as it was sent, the rest as it was.
    let others = draft.fields.iter().filter(|(name, _)| !at.asks(name, &menu));
    let whole = sent.filled_from(&Form::from_pairs(others.cloned()));
    if go == "keep" {
        let kept = fields(&whole, &menu);
        drafts.change(&person.actor, id, move |draft| draft.fields = kept).await?;
        return Ok(StatusCode::NO_CONTENT.into_response());
    }
    let (form, next) = super::walk(person, at, &go, whole).await;
    let (place, refused, made) = match next {
        Ok(Steps::To(step)) => (step, None, None),
        Ok(Steps::Made(guest, job)) => (at, None, Some((guest, job))),
        Err((step, e)) if helps(e.kind()) => {
            tracing::debug!(kind = ?e.kind(), error = %e.chain(), "a step of the wizard was refused");
            (step, Some(Refused::new(step.name(), &e)), None)
        }
        Err((_, e)) => return Err(e.into()),
    };
    let (kept, job) = (fields(&form, &menu), made.as_ref().map(|(_, job)| *job));
    let change = move |draft: &mut Draft| {
        let reached = CreateStep::parse(&draft.reached).map_or(place, |before| before.max(place));
        (draft.fields, draft.reached, draft.refused) = (kept, reached.name().to_owned(), refused);
        draft.job = job.or(draft.job);
    };
    drafts.change(&person.actor, id, change).await?;
    Ok(match made {
        Some((guest, _)) => person.done(&format!("/machines/{guest}"), ""),
        None => to(id, place),
    })
}

fn to(id: DraftId, step: CreateStep) -> Response {
    see_other(&address(id, step))
}

/// What is kept of a form: what the steps ask, but no password, and no private key where a public one belongs.
fn fields(form: &Form, menu: &[MenuItem]) -> Vec<(String, String)> {
    let kept = |name: &str| CreateStep::ALL.iter().any(|s| *s != CreateStep::Review && s.asks(name, menu));
    let is_secret = |name: &str, value: &str| name == "ssh_keys" && is_private(value);
    let all = form.pairs().filter(|(name, value)| kept(name) && !is_secret(name, value));
    all.map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::frame::gallery::samples;

    #[test]
    fn what_is_kept_has_no_password_and_nothing_that_was_not_asked() {
        let menu = samples::menu();
        let secret = menu.iter().find_map(|i| {
            let option = i.recipe.options.iter().find(|o| crate::frame::recipe::is_secret(o))?;
            Some(crate::frame::recipe::field_name(&i.name, &option.key))
        });
        let form = Form::new()
            .set("name", "web-01")
            .set("cores", "2")
            .set("password", "three green lamps")
            .set(secret.unwrap(), "three green lamps")
            .set("software.gone.password", "three green lamps")
            .set("ssh_keys", "-----BEGIN OPENSSH PRIVATE KEY-----")
            .set("csrf", "x");
        let kept = fields(&form, &menu);
        assert_eq!(kept, [("cores".to_owned(), "2".to_owned()), ("name".to_owned(), "web-01".to_owned())]);
    }
}
