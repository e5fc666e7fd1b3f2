//! What stands before every handler: who is it, may they, is the request ours, is it too much.
//!
//! The guard belongs to the route (see `routes`), so a handler can't be mounted without one.

use crate::door::connections::Connection;
use crate::door::cookies;
use crate::door::cookies::{Cookies, Name};
use crate::door::limits::PersonSlot;
use crate::door::problem::Problem;
use crate::door::problem::refuse;
use crate::door::state::Web;
use crate::door::visit::{Visit, VisitData, see_other};
use crate::door::{asks, csrf, problem};
use crate::routes::{Access, Door, Info};
use app::Actor;
use axum::extract::{ConnectInfo, Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use base::{Error, Kind, Result, random};
use http::uri::Authority;
use http::{HeaderMap, Method, StatusCode, header};
use model::sessions::{Scope, device_name};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

/// A handler that takes longer is given up; streams answer at once and are not meant.
const LONGEST: Duration = Duration::from_secs(60);
/// The same where a file is sent: 64 GiB over a slow line. What sends nothing is given up much sooner.
const UPLOAD: Duration = Duration::from_secs(12 * 3600);

/// Runs the checks of `info`, then the handler.
pub async fn enforce(State((web, info)): State<(Web, Info)>, mut request: Request, next: Next) -> Response {
    let visit = match admit(&web, &info, &request) {
        Ok(visit) => visit,
        Err(refusal) => return *refusal,
    };
    let slot = match running(&visit) {
        Ok(slot) => slot,
        Err(e) => return refuse(e),
    };
    if let Some(connection) = request.extensions().get::<Arc<Connection>>()
        && visit.actor.is_some()
    {
        connection.is_known();
    }
    if visit.actor.is_some() {
        web.app.inventory().visited();
    }
    request.extensions_mut().insert(visit.clone());
    let is_upload = info.path.ends_with("/upload");
    let is_form = info.door == Door::Page && info.method == Method::POST && !is_upload;
    let handled = async {
        if !is_form {
            return Ok::<_, Response>(next.run(request).await);
        }
        let (request, body) = csrf::with_token(request, visit.form_mark).await?;
        match asks::first(&visit, &info.asks, request.headers(), &body) {
            Some(question) => Ok(question),
            None => Ok(next.run(request).await),
        }
    };
    let longest = if is_upload { UPLOAD } else { LONGEST };
    let mut response = match tokio::time::timeout(longest, handled).await {
        Ok(Ok(response) | Err(response)) => response,
        Err(_) => Problem::new(StatusCode::REQUEST_TIMEOUT, "The answer took more than a minute, so Steward gave up.")
            .into_response(),
    };
    if info.door == Door::Page {
        page_cookies(&visit, &mut response);
    }
    if let Some(slot) = slot {
        response.extensions_mut().insert(Arc::new(slot));
    }
    response.extensions_mut().insert(visit);
    response
}

/// Counts the request of a person until its answer is sent: answers that nobody reads are memory.
fn running(visit: &Visit) -> Result<Option<PersonSlot>> {
    let Some(user) = visit.actor.as_ref().and_then(Actor::user_id) else { return Ok(None) };
    let slot = visit.web.running.enter(user);
    slot.map(Some).ok_or_else(|| Error::too_many("Too many requests of yours are running at once. Try again.", 5))
}

/// The visitor, or the answer that turns them away.
fn admit(web: &Web, info: &Info, request: &Request) -> std::result::Result<Visit, Box<Response>> {
    let refuse = |e: Error| Box::new(refuse(e));
    under_a_known_name(web, info, request)?;
    let address = peer(request.extensions());
    let changes = !matches!(*request.method(), Method::GET | Method::HEAD);
    if info.door == Door::Api {
        web.count_api(address).map_err(refuse)?;
    }
    if changes && matches!(info.access, Access::Public | Access::SignedOut) {
        web.count_anonymous(address).map_err(refuse)?;
    }
    let cookies = Cookies::of(request.headers(), web.options().secure);
    let (actor, by_cookie) = identify(web, info, request.headers(), &cookies, address).map_err(refuse)?;
    if changes && (by_cookie || info.door == Door::Page) {
        from_our_page(web, info.door, request).map_err(refuse)?;
    }
    if let Some(away) = entry(web, info, actor.as_ref(), request) {
        return Err(Box::new(away));
    }
    allowed(info, actor.as_ref()).map_err(refuse)?;
    Ok(visit(web, request, address, cookies, actor))
}

/// The peer's address; IPv4 in its plain form also on a socket for both families.
pub fn peer(extensions: &http::Extensions) -> IpAddr {
    let peer = extensions.get::<ConnectInfo<SocketAddr>>().map(|c| c.0.ip().to_canonical());
    peer.unwrap_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED))
}

/// A bearer token counts everywhere but on pages, the session's cookie everywhere. A bad bearer token is an
/// error where somebody must be signed in, and nobody where everybody may call (a probe must not fail for it).
/// A bad cookie is nobody. The second value: it was the cookie.
fn identify(
    web: &Web,
    info: &Info,
    headers: &HeaderMap,
    cookies: &Cookies,
    address: IpAddr,
) -> Result<(Option<Actor>, bool)> {
    if info.door == Door::File {
        return Ok((None, false));
    }
    let address = address.to_string();
    let by_bearer = || match bearer(headers)? {
        Some(token) => web.app.tokens().authenticate(token, &address).map(Some),
        None => Ok(None),
    };
    if info.door != Door::Page {
        match by_bearer() {
            Ok(Some(actor)) => return Ok((Some(actor), false)),
            Err(e) if e.kind() == Kind::Unauthenticated && info.access == Access::Public => return Ok((None, false)),
            Err(e) => return Err(e),
            Ok(None) => {}
        }
    }
    let Some(cookie) = &cookies.session else { return Ok((None, false)) };
    match web.app.sessions().authenticate(cookie, &address) {
        Ok(actor) => Ok((Some(actor), true)),
        Err(e) if e.kind() == Kind::Unauthenticated => Ok((None, false)),
        Err(e) => Err(e),
    }
}

fn bearer(headers: &HeaderMap) -> Result<Option<&str>> {
    let Some(value) = headers.get(header::AUTHORIZATION) else { return Ok(None) };
    let text = value.to_str().ok().and_then(|v| v.split_once(' '));
    match text {
        Some((scheme, token)) if scheme.eq_ignore_ascii_case("bearer") => Ok(Some(token.trim())),
        _ => Err(Error::unauthenticated("Send “Authorization: Bearer” with an API token or a JWT.")),
    }
}

/// A write authorised by a cookie must come from our own page. A form may come without any sign of its
/// origin (its token is checked when it is read); the API has no token, so there the sign is required.
fn from_our_page(web: &Web, door: Door, request: &Request) -> Result<()> {
    match csrf::same_origin(web.scheme(), request.uri(), request.headers()) {
        Some(true) => Ok(()),
        None if door == Door::Page => Ok(()),
        _ => Err(csrf::refused()),
    }
}

/// Where a browser is sent instead: to the set-up before there is an admin, to the sign-in, or home from there.
fn entry(web: &Web, info: &Info, actor: Option<&Actor>, request: &Request) -> Option<Response> {
    let page = info.door == Door::Page
        && problem::Reader::of(request.uri().path(), request.headers()) == problem::Reader::Page;
    if !page {
        return None;
    }
    let setting_up = web.app.setup().is_needed();
    match (info.access, actor) {
        (Access::SignedOut, Some(_)) => Some(see_other("/")),
        (Access::SignedOut, None) if setting_up != (info.path == "/setup") => {
            Some(see_other(if setting_up { "/setup" } else { "/sign-in" }))
        }
        (Access::User(_) | Access::Admin(_), None) if setting_up => Some(see_other("/setup")),
        (Access::User(_) | Access::Admin(_), None) => Some(see_other(&sign_in_address(request))),
        _ => None,
    }
}

/// `/sign-in?next=...` with the page that was asked for; for a form, the page that it was on.
fn sign_in_address(request: &Request) -> String {
    let wanted = match *request.method() {
        Method::GET => request.uri().path_and_query().map_or("/", |p| p.as_str()).to_owned(),
        _ => asks::own_referer(request.headers()).unwrap_or_default(),
    };
    if matches!(wanted.as_str(), "" | "/") {
        return "/sign-in".to_owned();
    }
    let next: String = url::form_urlencoded::byte_serialize(wanted.as_bytes()).collect();
    format!("/sign-in?next={next}")
}

fn allowed(info: &Info, actor: Option<&Actor>) -> Result<()> {
    let (scope, admin) = match info.access {
        Access::Public | Access::SignedOut => return Ok(()),
        Access::User(scope) => (scope, false),
        Access::Admin(scope) => (scope, true),
    };
    let actor = actor.ok_or_else(|| Error::unauthenticated("Please sign in, or send a token."))?;
    if admin {
        actor.require_admin()?;
    }
    if scope == Scope::Read { Ok(()) } else { actor.require_scope(scope) }
}

fn visit(web: &Web, request: &Request, address: IpAddr, mut cookies: Cookies, actor: Option<Actor>) -> Visit {
    let key = web.app.form_key().expose();
    let form_mark = match (&actor, &cookies.session) {
        (Some(_), Some(cookie)) => csrf::session_mark(key, cookie),
        _ => csrf::anonymous_mark(key, cookies.form.get_or_insert_with(random::token::<18>)),
    };
    let text = |name| request.headers().get(name).and_then(|v: &http::HeaderValue| v.to_str().ok()).unwrap_or_default();
    Visit::new(VisitData {
        web: web.clone(),
        actor,
        address,
        path: request.uri().path().to_owned(),
        after: *web.app.bell().borrow(),
        fragment: request.headers().contains_key("x-fragment"),
        device: device_name(text(header::USER_AGENT)),
        origin: origin(web, request),
        cookies,
        form_mark,
    })
}

/// Probes may come under any name, and so may what a browser needs to show the sentence.
fn under_a_known_name(web: &Web, info: &Info, request: &Request) -> std::result::Result<(), Box<Response>> {
    let is_free = info.door == Door::File || matches!(info.path, "/healthz" | "/readyz");
    let (Some(hosts), false) = (&web.options().hosts, is_free) else { return Ok(()) };
    let Some(host) = host(request) else { return Ok(()) };
    let refused = |why: String| {
        tracing::debug!(%host, "a request under a name that is not ours");
        Box::new(Problem::new(StatusCode::MISDIRECTED_REQUEST, why).into_response())
    };
    hosts.check(&host).map_err(refused)
}

/// What the visitor typed before the first slash. HTTP/2 carries it in the address, HTTP/1.1 in `Host`.
fn host(request: &Request) -> Option<Authority> {
    let host = || request.headers().get(header::HOST).and_then(|h| h.to_str().ok()).and_then(|h| h.parse().ok());
    request.uri().authority().cloned().or_else(host)
}

fn origin(web: &Web, request: &Request) -> String {
    let host = host(request);
    format!("{}://{}", web.scheme(), host.as_ref().map_or("localhost", Authority::as_str))
}

/// Gives an anonymous visitor the form's other half, and takes a flash away that was shown.
fn page_cookies(visit: &Visit, response: &mut Response) {
    if visit.actor.is_none()
        && let Some(form) = &visit.cookies.form
    {
        visit.set_cookie(response, Name::Form, form, None);
    }
    let shown = visit.cookies.flash.is_some() && !visit.fragment && !response.status().is_redirection();
    if shown && let Some(cleared) = cookies::clear(Name::Flash, visit.web.options().secure) {
        response.headers_mut().append(header::SET_COOKIE, cleared);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::body::Body;
    use http::HeaderValue;

    #[test]
    fn the_asked_page_is_kept_for_after_the_sign_in() {
        let get = |uri| Request::get(uri).body(Body::empty()).unwrap();
        assert_eq!(sign_in_address(&get("/machines?q=a&sort=-cpu")), "/sign-in?next=%2Fmachines%3Fq%3Da%26sort%3D-cpu");
        assert_eq!(sign_in_address(&get("/")), "/sign-in");
        let post = Request::post("/machines/power").body(Body::empty()).unwrap();
        assert_eq!(sign_in_address(&post), "/sign-in");
    }

    #[test]
    fn another_scheme_than_bearer_is_refused_and_not_ignored() {
        let mut headers = HeaderMap::new();
        assert_eq!(bearer(&headers).unwrap(), None);
        headers.insert(header::AUTHORIZATION, HeaderValue::from_static("Basic bWlyYTp4"));
        assert!(bearer(&headers).is_err());
        headers.insert(header::AUTHORIZATION, HeaderValue::from_static("bearer  abc"));
        assert_eq!(bearer(&headers).unwrap(), Some("abc"));
    }

    #[test]
    fn an_address_is_the_same_on_a_socket_for_both_families() {
        let mut extensions = http::Extensions::new();
        extensions.insert(ConnectInfo("[::ffff:192.0.2.1]:5".parse::<SocketAddr>().unwrap()));
        assert_eq!(peer(&extensions).to_string(), "192.0.2.1");
    }
}
