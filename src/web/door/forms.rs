//! What forms have in common: a refused one is shown again with what was typed.

use crate::door::problem::Answer;
use crate::door::problem::status;
use crate::door::visit::Visit;
use crate::frame::{Form, Page};
use axum::response::{IntoResponse, Response};
use base::{Error, Kind, Result};
use http::{HeaderValue, StatusCode, header};
use maud::Markup;

/// Answers a form with what it asks for. A refused one is shown again by `redraw`: typed values stay, sentences are
/// next to their fields. Faults of ours, a missing thing and a missing right do not concern the form and become their
/// own page; our script gets the plain problem.
pub async fn submit<F: Future<Output = Result<Markup>>>(
    visit: &Visit,
    form: &Form,
    asked: impl Future<Output = Result<Response>>,
    redraw: impl FnOnce(Page, Form) -> F,
) -> Answer {
    let e = match asked.await {
        Ok(response) => return Ok(response),
        Err(e) => e,
    };
    if !helps(e.kind()) || visit.fragment {
        return Err(e.into());
    }
    tracing::debug!(kind = ?e.kind(), error = %e.chain(), "a form was refused");
    let mut response = redraw(visit.page(), form.clone().fail(&e)).await?.into_response();
    // 401 would ask for another way to prove oneself; here the form itself is the way.
    *response.status_mut() = match e.kind() {
        Kind::Unauthenticated => StatusCode::UNPROCESSABLE_ENTITY,
        kind => status(kind),
    };
    if let Some(seconds) = e.retry_after() {
        response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds));
    }
    Ok(response)
}

/// Can the person do something about it in the form?
pub fn helps(kind: Kind) -> bool {
    matches!(kind, Kind::Invalid | Kind::Unauthenticated | Kind::Conflict | Kind::TooMany | Kind::Unavailable)
}

/// Answers a button with what it asks for. Why it is refused is read at `back`.
pub async fn press(visit: &Visit, back: &str, asked: impl Future<Output = Result<Response>>) -> Answer {
    match asked.await {
        Ok(response) => Ok(response),
        Err(e) => refused(visit, back, e),
    }
}

/// After a background POST our script wants no page: 204. A browser goes to `to`.
pub fn finished(visit: &Visit, to: &str, text: &str) -> Response {
    if visit.fragment { StatusCode::NO_CONTENT.into_response() } else { visit.done(to, text) }
}

/// A refusal of a button: our script gets the problem, a browser goes back to `to` and reads the sentence there.
pub fn refused(visit: &Visit, to: &str, e: Error) -> Answer {
    let here = matches!(e.kind(), Kind::Invalid | Kind::Conflict | Kind::Unavailable | Kind::TooMany);
    if visit.fragment || !here {
        return Err(e.into());
    }
    let text = e.fields().values().next().map_or(e.message(), String::as_str);
    Ok(visit.done(to, &format!("!{text}")))
}

/// An id in a path or field that is not one: such a thing does not exist.
pub fn id<T: std::str::FromStr>(text: &str) -> Result<T> {
    text.parse().map_err(|_| Error::not_found("There is nothing at this address."))
}

/// Where to go after signing in: only a path of ours, never another site.
pub fn safe_next(next: &str) -> &str {
    let path = next.starts_with('/') && !next.starts_with("//") && !next.contains(['\\', '\r', '\n', '\t']);
    if path && !next.starts_with("/sign-") { next } else { "/" }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn after_the_sign_in_nobody_is_sent_to_another_site() {
        assert_eq!(safe_next("/machines?q=a"), "/machines?q=a");
        for bad in ["", "//evil.example", "https://evil.example", "/\\evil.example", "/a\r\nx: y", "/sign-in", "evil"] {
            assert_eq!(safe_next(bad), "/", "{bad:?}");
        }
    }
}
