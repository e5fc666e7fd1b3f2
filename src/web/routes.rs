//! The one table of routes. A handler is reachable only through a row here, and a row can't be written
//! without saying who may call it; the guard that enforces it is put on by [`router`], not by the handler.
//!
//! Long on purpose: it reads as a list.

use crate::door::asks::Asks;
use crate::door::drain;
use crate::door::state::Web;
use crate::door::{guard, headers, observe};
use crate::frame::ask;
use crate::{
    account, audit, connections, guests, hardware_profiles, jobs, overview, plugins, quotas, rest, search, sign_in,
    sse, system, templates, users,
};
use axum::Router;
use axum::extract::{DefaultBodyLimit, Path, Request, State};
use axum::handler::Handler;
use axum::middleware::{from_fn, from_fn_with_state};
use axum::response::Response;
use axum::routing::{MethodFilter, MethodRouter, on};
use http::{HeaderMap, Method, header};
use model::sessions::Scope;
use std::pin::Pin;
use std::sync::Arc;
use tower_http::CompressionLevel;
use tower_http::catch_panic::CatchPanicLayer;
use tower_http::compression::CompressionLayer;
use utoipa::OpenApi;
use utoipa::openapi::OpenApi as OpenApiDocument;

/// The largest body of a request. Forms and JSON are small; files are read as streams with limits of their own.
const BODY: usize = 256 * 1024;

/// Who may call a route. A token's scope counts besides; a browser's session has all of its person's rights.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// Everybody.
    Public,
    /// For people who are not signed in; others are sent home.
    SignedOut,
    /// Everybody who is signed in, by a token of at least this scope.
    User(Scope),
    /// Admins.
    Admin(Scope),
}

/// Which way a route is reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Door {
    /// A browser's page or form: only the session's cookie counts, nobody is sent to the sign-in.
    Page,
    /// Files of ours that are the same for everybody: nobody is asked who they are.
    File,
    /// What our script fetches, and probes: cookie or bearer, errors as JSON.
    Data,
    /// The REST API: cookie or bearer, rate limited, errors as JSON.
    Api,
}

/// One row without its handler, for lists and tests.
#[derive(Clone, Debug)]
pub struct Info {
    pub method: Method,
    pub path: &'static str,
    pub access: Access,
    pub door: Door,
    /// Whether it asks first.
    pub asks: Asks,
}

/// One row.
#[derive(Debug)]
pub struct Route {
    pub info: Info,
    /// What the OpenAPI document says of it: all of the REST API, and nothing else.
    pub described: Option<fn() -> OpenApiDocument>,
    handler: MethodRouter<Web>,
}

fn row<H, T>(door: Door, method: Method, path: &'static str, access: Access, handler: H) -> Route
where
    H: Handler<T, Web>,
    T: 'static,
{
    // The table has only methods that axum knows.
    let filter = MethodFilter::try_from(method.clone()).unwrap_or(MethodFilter::GET);
    let handler = on(filter, AnyHandler::of(handler));
    Route { info: Info { method, path, access, door, asks: Asks::No }, described: None, handler }
}

type Answering = Pin<Box<dyn Future<Output = Response> + Send>>;

/// A handler of whatever shape: without this, all of the router's machinery is compiled for each of them.
#[derive(Clone)]
struct AnyHandler(Arc<dyn Fn(Request, Web) -> Answering + Send + Sync>);

impl AnyHandler {
    fn of<H: Handler<T, Web>, T>(handler: H) -> Self {
        Self(Arc::new(move |request, web| Box::pin(handler.clone().call(request, web))))
    }
}

impl Handler<(), Web> for AnyHandler {
    type Future = Answering;

    fn call(self, request: Request, web: Web) -> Answering {
        (self.0)(request, web)
    }
}

fn get<H: Handler<T, Web>, T: 'static>(path: &'static str, access: Access, handler: H) -> Route {
    row(Door::Page, Method::GET, path, access, handler)
}

/// A form. Each row decides whether it asks first.
fn post<H: Handler<T, Web>, T: 'static>(path: &'static str, access: Access, asks: Asks, handler: H) -> Route {
    let mut route = row(Door::Page, Method::POST, path, access, handler);
    route.info.asks = asks;
    route
}

fn data<H: Handler<T, Web>, T: 'static>(path: &'static str, access: Access, handler: H) -> Route {
    row(Door::Data, Method::GET, path, access, handler)
}

/// A row of the REST API: method, path and description are those of the handler's `#[utoipa::path]`.
macro_rules! rest {
    ($access:expr, $($handler:ident)::+) => {{
        #[derive(OpenApi)]
        #[openapi(paths($($handler)::+))]
        struct Described;
        rest($access, Described::openapi, $($handler)::+)
    }};
}

fn rest<H: Handler<T, Web>, T: 'static>(access: Access, described: fn() -> OpenApiDocument, handler: H) -> Route {
    let (path, item) = described().paths.paths.pop_first().unwrap_or_default();
    let methods =
        [(Method::GET, item.get), (Method::PUT, item.put), (Method::POST, item.post), (Method::PATCH, item.patch)];
    let method = methods.into_iter().find(|(_, operation)| operation.is_some()).map_or(Method::DELETE, |(m, _)| m);
    // The table is made a few times in a process' life, and its paths are lent to all of it.
    Route { described: Some(described), ..row(Door::Api, method, path.leak(), access, handler) }
}

const ANY: Access = Access::Public;
const OUT: Access = Access::SignedOut;
const USER: Access = Access::User(Scope::Full);
const ADMIN: Access = Access::Admin(Scope::Full);
const READ: Access = Access::User(Scope::Read);
const OPERATE: Access = Access::User(Scope::Operate);
const ADMIN_READ: Access = Access::Admin(Scope::Read);

/// Every route there is.
pub fn table() -> Vec<Route> {
    let mut all = doors();
    all.extend(pages());
    all.extend(admin_pages());
    all.extend(for_scripts());
    all.extend(rest_api());
    all
}

fn doors() -> Vec<Route> {
    vec![
        data("/healthz", ANY, system::health::alive),
        data("/readyz", ANY, system::health::ready),
        // Loopback, or an admin: the handler decides by the address.
        data("/metrics", ANY, system::metrics::show),
        row(Door::File, Method::GET, "/assets/{name}", ANY, asset),
        row(Door::File, Method::GET, "/favicon.ico", ANY, favicon),
        get("/setup", OUT, sign_in::setup_page),
        post("/setup", OUT, Asks::No, sign_in::setup),
        get("/sign-in", OUT, sign_in::sign_in_page),
        post("/sign-in", OUT, Asks::No, sign_in::sign_in),
        get("/invite/{code}", ANY, sign_in::invite_page),
        post("/invite/{code}", ANY, Asks::No, sign_in::invite),
        post("/sign-out", USER, Asks::No, sign_in::sign_out),
    ]
}

fn pages() -> Vec<Route> {
    vec![
        get("/", USER, overview::show),
        get("/machines", USER, guests::list::list),
        get("/machines/rows", USER, guests::list::rows),
        post("/machines/bulk", USER, Asks::WithImpact, guests::bulk::act),
        post("/machines/columns", USER, Asks::No, guests::list::columns),
        get("/machines/new", USER, guests::create::show),
        post("/machines/new", USER, Asks::No, guests::create::drafts::begin),
        get("/machines/new/{draft}/{step}", USER, guests::create::drafts::show),
        post(
            "/machines/new/{draft}/{step}",
            USER,
            Asks::Verbs(&[("discard", &ask::DISCARD_DRAFT)]),
            guests::create::drafts::step,
        ),
        get("/machines/{id}", USER, guests::one::show),
        get("/machines/{id}/remote.rdp", USER, guests::one::remote_desktop),
        get("/machines/{id}/software", USER, guests::software::show),
        get("/machines/{id}/software/{recipe}", USER, guests::software::recipe),
        post("/machines/{id}/software/{recipe}", USER, Asks::No, guests::software::install),
        post(
            "/machines/{id}/software/{recipe}/remove",
            USER,
            Asks::First(&ask::UNLIST_SOFTWARE),
            guests::software::remove,
        ),
        post("/machines/{id}/ssh", USER, Asks::No, guests::software::let_in),
        post("/machines/{id}/ssh/forget", USER, Asks::First(&ask::FORGET_HOST_KEY), guests::software::forget),
        get("/machines/{id}/history", USER, guests::one::history),
        get("/machines/{id}/access", USER, guests::sharing::show),
        get("/machines/{id}/danger", USER, guests::one::danger),
        get("/machines/{id}/console", USER, guests::console::show),
        post("/machines/{id}/console/ticket", USER, Asks::No, guests::console::ticket),
        get("/machines/{id}/power", USER, guests::impact::power),
        post("/machines/{id}/power", USER, Asks::WithImpact, guests::actions::power),
        post("/machines/{id}/delete", USER, Asks::Page, guests::one::delete),
        get("/machines/{id}/hardware", USER, guests::hardware::show),
        get("/machines/{id}/hardware/edit/{name}", USER, guests::hardware::edit_page),
        post("/machines/{id}/hardware/edit/{name}", USER, Asks::Page, guests::hardware::edit),
        post(
            "/machines/{id}/hardware/revert",
            USER,
            Asks::Action(guests::hardware::revert_kind),
            guests::hardware::revert,
        ),
        get("/machines/{id}/hardware/profile", USER, hardware_profiles::apply_page),
        post("/machines/{id}/hardware/profile", USER, Asks::Page, hardware_profiles::apply),
        get("/machines/{id}/hardware/disk/{name}", USER, guests::hardware::disk_page),
        post(
            "/machines/{id}/hardware/disk/{name}/{action}",
            USER,
            Asks::Action(guests::hardware::disk_kind),
            guests::hardware::disk,
        ),
        get("/machines/{id}/hardware/nic/{name}", USER, guests::hardware::nic_page),
        post(
            "/machines/{id}/hardware/nic/{name}/{action}",
            USER,
            Asks::Action(guests::hardware::nic_kind),
            guests::hardware::nic,
        ),
        post("/machines/{id}/share", USER, Asks::No, guests::sharing::share),
        post(
            "/machines/{id}/unshare",
            USER,
            Asks::Verbs(&[("back", &ask::GIVE_BACK), ("unshare", &ask::STOP_SHARING)]),
            guests::sharing::unshare,
        ),
        post("/machines/{id}/owner", USER, Asks::First(&ask::HAND_OVER), guests::sharing::owner),
        get("/machines/{id}/clone", USER, guests::moving::clone_page),
        post("/machines/{id}/clone", USER, Asks::No, guests::moving::copy),
        get("/machines/{id}/template", USER, guests::moving::template_page),
        post("/machines/{id}/template", USER, Asks::Page, guests::moving::template),
        get("/machines/{id}/migrate", USER, guests::moving::move_page),
        post("/machines/{id}/migrate", USER, Asks::Page, guests::moving::migrate),
        get("/machines/{id}/snapshots", USER, guests::snapshots::list),
        post("/machines/{id}/snapshots", USER, Asks::No, guests::snapshots::take),
        get("/machines/{id}/snapshots/{name}", USER, guests::snapshots::show),
        post(
            "/machines/{id}/snapshots/{name}/{action}",
            USER,
            Asks::Action(guests::snapshots::kind),
            guests::snapshots::act,
        ),
        get("/jobs", USER, jobs::list),
        get("/jobs/{id}", USER, jobs::show),
        post(
            "/jobs/{id}/{action}",
            USER,
            Asks::Verbs(&[("cancel", &ask::CANCEL_JOB), ("discard", &ask::DISCARD_JOB)]),
            jobs::act,
        ),
        get("/profile", USER, account::show),
        post("/profile", USER, Asks::No, account::change),
        post("/profile/keys", USER, Asks::No, account::keys),
        post("/profile/theme", USER, Asks::No, account::theme),
        post("/profile/password", USER, Asks::No, account::password),
        post("/profile/sessions/revoke-others", USER, Asks::First(&ask::SIGN_OUT_OTHERS), account::revoke_others),
        post("/profile/sessions/{id}/revoke", USER, Asks::First(&ask::SIGN_OUT), account::revoke_session),
        post("/profile/tokens", USER, Asks::No, account::new_token),
        post("/profile/tokens/{id}/rotate", USER, Asks::First(&ask::RENEW_TOKEN), account::rotate_token),
        post("/profile/tokens/{id}/revoke", USER, Asks::First(&ask::REVOKE_TOKEN), account::revoke_token),
    ]
}

fn admin_pages() -> Vec<Route> {
    vec![
        get("/plugins", ADMIN, plugins::list),
        get("/plugins/{name}", ADMIN, plugins::show),
        post("/plugins/reload", ADMIN, Asks::No, plugins::reload),
        get("/users", ADMIN, users::list),
        get("/users/new", ADMIN, users::new_page),
        post("/users/new", ADMIN, Asks::No, users::invite),
        post("/users/quota", ADMIN, Asks::No, quotas::set_usual),
        post("/users/{id}/quota", ADMIN, Asks::No, quotas::set),
        get("/users/{id}", ADMIN, users::show),
        post("/users/{id}", ADMIN, Asks::No, users::change),
        post("/users/{id}/{action}", ADMIN, Asks::Verbs(&[("deactivate", &ask::DEACTIVATE)]), users::act),
        get("/audit", ADMIN, audit::list),
        get("/templates", ADMIN, templates::list),
        post("/templates/look", ADMIN, Asks::No, templates::look),
        post("/templates/policy", ADMIN, Asks::No, templates::policy),
        get("/templates/new", ADMIN, templates::new_page),
        post("/templates/new", ADMIN, Asks::No, templates::make),
        get("/templates/upload", ADMIN, templates::upload_page),
        post("/templates/upload", ADMIN, Asks::No, templates::upload),
        get("/templates/windows", ADMIN, templates::windows_page),
        post("/templates/windows", ADMIN, Asks::No, templates::windows),
        get("/templates/{id}", ADMIN, templates::show),
        post("/templates/{id}/rebuild", ADMIN, Asks::No, templates::rebuild),
        post("/templates/{id}/delete", ADMIN, Asks::Page, templates::delete),
        get("/settings", ADMIN, system::settings::show),
        get("/settings/profiles", ADMIN, hardware_profiles::list),
        post("/settings/profiles/policy", ADMIN, Asks::No, hardware_profiles::policy),
        get("/settings/profiles/new", ADMIN, hardware_profiles::new_page),
        post("/settings/profiles/new", ADMIN, Asks::No, hardware_profiles::create),
        get("/settings/profiles/{id}", ADMIN, hardware_profiles::show),
        post("/settings/profiles/{id}", ADMIN, Asks::No, hardware_profiles::change),
        post("/settings/profiles/{id}/delete", ADMIN, Asks::Page, hardware_profiles::delete),
        get("/settings/connections/new", ADMIN, connections::new_page),
        post("/settings/connections/new", ADMIN, Asks::No, connections::step),
        get("/settings/connections/{id}", ADMIN, connections::show),
        post("/settings/connections/{id}", ADMIN, Asks::No, connections::change),
        post("/settings/connections/{id}/host-keys", ADMIN, Asks::Page, connections::hosts::accept),
        get("/settings/hosts/new", ADMIN, connections::hosts::new_page),
        post("/settings/hosts/new", ADMIN, Asks::No, connections::hosts::step),
        post("/settings/connections/{id}/check", ADMIN, Asks::No, connections::check),
        post("/settings/connections/{id}/token", ADMIN, Asks::No, connections::renew),
        post("/settings/connections/{id}/certificate", ADMIN, Asks::Page, connections::accept),
        post("/settings/connections/{id}/delete", ADMIN, Asks::Page, connections::delete),
    ]
}

fn for_scripts() -> Vec<Route> {
    vec![
        data("/events", READ, sse::events),
        data("/search.json", READ, search::find),
        data("/machines/{id}/history.json", READ, guests::one::history_json),
        data("/machines/{id}/console/ws", OPERATE, guests::console::socket),
        data("/audit.csv", ADMIN_READ, audit::csv_file),
        data("/audit.json", ADMIN_READ, audit::json_file),
    ]
}

fn rest_api() -> Vec<Route> {
    vec![
        rest!(ANY, rest::openapi::document),
        rest!(ANY, sign_in::rest::create),
        rest!(READ, sign_in::rest::revoke),
        rest!(READ, account::rest::show),
        rest!(READ, hardware_profiles::rest::list),
        rest!(ADMIN, hardware_profiles::rest::create),
        rest!(READ, hardware_profiles::rest::show),
        rest!(ADMIN, hardware_profiles::rest::put),
        rest!(ADMIN, hardware_profiles::rest::delete),
        rest!(ADMIN, hardware_profiles::rest::policy),
        rest!(OPERATE, hardware_profiles::rest::apply),
        rest!(READ, quotas::rest::mine),
        rest!(ADMIN_READ, quotas::rest::list),
        rest!(ADMIN_READ, quotas::rest::usual),
        rest!(ADMIN, quotas::rest::put_usual),
        rest!(ADMIN_READ, quotas::rest::show),
        rest!(ADMIN, quotas::rest::put),
        rest!(READ, account::tokens::list),
        rest!(USER, account::tokens::create),
        // A token may change and end itself, whatever its scope; the use case looks at whose it is.
        rest!(READ, account::tokens::rotate),
        rest!(READ, account::tokens::revoke),
        rest!(READ, guests::rest::list),
        rest!(OPERATE, guests::rest::create),
        rest!(OPERATE, guests::bulk::rest::act),
        rest!(READ, guests::rest::show),
        rest!(OPERATE, guests::actions::rest::delete),
        rest!(OPERATE, guests::actions::rest::act),
        rest!(OPERATE, guests::actions::rest::power),
        rest!(READ, guests::impact::rest::show),
        rest!(OPERATE, guests::console::rest::create),
        rest!(OPERATE, guests::actions::rest::copy),
        rest!(OPERATE, guests::actions::rest::template),
        rest!(READ, guests::moving::rest::check),
        rest!(OPERATE, guests::actions::rest::migrate),
        rest!(OPERATE, guests::actions::rest::hibernate),
        rest!(READ, guests::snapshots::rest::list),
        rest!(OPERATE, guests::actions::rest::take_snapshot),
        rest!(OPERATE, guests::actions::rest::edit_snapshot),
        rest!(OPERATE, guests::actions::rest::delete_snapshot),
        rest!(OPERATE, guests::actions::rest::rollback),
        rest!(READ, guests::hardware::rest::show),
        rest!(OPERATE, guests::actions::rest::change_settings),
        rest!(OPERATE, guests::hardware::rest::plan),
        rest!(OPERATE, guests::actions::rest::revert_settings),
        rest!(OPERATE, guests::actions::rest::add_disk),
        rest!(OPERATE, guests::actions::rest::disk),
        rest!(OPERATE, guests::actions::rest::delete_disk),
        rest!(OPERATE, guests::actions::rest::add_nic),
        rest!(OPERATE, guests::actions::rest::change_nic),
        rest!(OPERATE, guests::actions::rest::remove_nic),
        rest!(READ, guests::software::rest::menu),
        rest!(READ, guests::software::rest::list),
        rest!(OPERATE, guests::software::rest::install),
        rest!(OPERATE, guests::software::rest::remove),
        rest!(READ, guests::software::rest::ssh),
        rest!(OPERATE, guests::software::rest::let_in),
        rest!(OPERATE, guests::software::rest::forget_host_key),
        rest!(READ, guests::sharing::rest::list),
        rest!(READ, guests::sharing::rest::show),
        rest!(USER, guests::sharing::rest::put),
        rest!(USER, guests::sharing::rest::delete),
        rest!(USER, guests::sharing::rest::owner),
        rest!(READ, jobs::rest::list),
        rest!(READ, jobs::rest::show),
        rest!(OPERATE, jobs::rest::cancel),
        rest!(OPERATE, jobs::rest::retry),
        rest!(OPERATE, jobs::rest::discard),
        rest!(READ, guests::figures::show),
        rest!(ADMIN_READ, templates::rest::images),
        rest!(ADMIN, templates::rest::refresh),
        rest!(READ, templates::rest::list),
        rest!(ADMIN, templates::rest::create),
        rest!(ADMIN, templates::rest::upload),
        rest!(ADMIN, templates::rest::windows),
        rest!(ADMIN, templates::rest::rebuild),
        rest!(ADMIN, templates::rest::delete),
        rest!(READ, system::nodes::list),
        rest!(OPERATE, system::nodes::refresh),
        rest!(ADMIN_READ, audit::rest::list),
        rest!(ADMIN_READ, audit::rest::export),
        rest!(ADMIN_READ, connections::rest::list),
        rest!(ADMIN, connections::rest::renew),
        rest!(ADMIN, connections::rest::accept),
        rest!(ADMIN_READ, system::rest::plugins),
    ]
}

async fn asset(State(web): State<Web>, Path(name): Path<String>, headers: HeaderMap) -> Response {
    let text = |name| headers.get(name).and_then(|v: &http::HeaderValue| v.to_str().ok());
    web.assets().serve(&name, text(header::ACCEPT_ENCODING), text(header::IF_NONE_MATCH))
}

async fn favicon(State(web): State<Web>) -> Response {
    web.assets().favicon()
}

/// The whole door: every route with its guard, and the layers around all of them. The first layer here is
/// the innermost.
pub fn router(web: Web) -> Router {
    let mut router: Router<Web> = Router::new();
    for Route { info, handler, .. } in table() {
        let guard = from_fn_with_state((web.clone(), info.clone()), guard::enforce);
        router = router.route(info.path, handler.layer(guard));
    }
    let panics = web.clone();
    router
        .fallback(|| async { http::StatusCode::NOT_FOUND })
        .layer(DefaultBodyLimit::max(BODY))
        .layer(CatchPanicLayer::custom(move |panic: Box<dyn std::any::Any + Send>| observe::panicked(&panics, &*panic)))
        .layer(from_fn_with_state(web.clone(), observe::problems))
        .layer(from_fn_with_state(web.clone(), headers::layer))
        .layer(CompressionLayer::new().br(true).gzip(true).quality(CompressionLevel::Fastest))
        .layer(from_fn_with_state(web.clone(), observe::layer))
        .layer(from_fn(vary_by_fragment))
        .layer(from_fn(drain::layer))
        .with_state(web)
}

/// Pages and their live parts have the same address.
async fn vary_by_fragment(request: Request, next: axum::middleware::Next) -> Response {
    let mut response = next.run(request).await;
    let page = response.headers().get(header::CONTENT_TYPE).is_some_and(|v| v.as_bytes().starts_with(b"text/html"));
    if page {
        response.headers_mut().append(header::VARY, http::HeaderValue::from_static("X-Fragment, Cookie"));
    }
    response
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn no_row_is_there_twice() {
        let mut seen = HashSet::new();
        for route in table() {
            assert!(
                seen.insert((route.info.method.clone(), route.info.path)),
                "{} {}",
                route.info.method,
                route.info.path
            );
        }
    }

    #[test]
    fn only_these_need_no_sign_in() {
        let open = table().into_iter().filter(|r| matches!(r.info.access, Access::Public | Access::SignedOut));
        let mut open: Vec<String> = open.map(|r| format!("{} {}", r.info.method, r.info.path)).collect();
        open.sort();
        let expected = [
            "GET /api/v1/openapi.json",
            "GET /assets/{name}",
            "GET /favicon.ico",
            "GET /healthz",
            "GET /invite/{code}",
            "GET /metrics",
            "GET /readyz",
            "GET /setup",
            "GET /sign-in",
            "POST /api/v1/auth/token",
            "POST /invite/{code}",
            "POST /setup",
            "POST /sign-in",
        ];
        assert_eq!(open, expected);
    }

    #[test]
    fn a_read_token_reaches_no_write() {
        for route in table() {
            let reads = matches!(route.info.access, Access::User(Scope::Read) | Access::Admin(Scope::Read));
            let own_token = ["/api/v1/auth/token/{id}", "/api/v1/me/tokens/{id}", "/api/v1/me/tokens/{id}/rotate"]
                .contains(&route.info.path);
            assert!(
                !reads || route.info.method == Method::GET || own_token,
                "{} {}",
                route.info.method,
                route.info.path
            );
        }
    }
}
