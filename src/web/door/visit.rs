//! One request's visitor: who it is, from where, and what their pages need. Made by the guard, read by handlers.

use crate::door::cookies;
use crate::door::cookies::Cookies;
use crate::door::flash;
use crate::door::forms;
use crate::door::problem::refuse;
use crate::door::sign;
use crate::door::state::Web;
use crate::frame::{Flash, Health, Page, Who};
use crate::system::health;
use app::Actor;
use axum::body::Body;
use axum::extract::{FromRequestParts, Path};
use axum::response::{IntoResponse, Response};
use base::{Error, Result};
use http::request::Parts;
use http::{Extensions, HeaderValue, StatusCode, header};
use model::prefs::Theme;
use std::net::IpAddr;
use std::sync::Arc;

/// Who asks.
#[derive(Clone, Debug)]
pub struct Visit(Arc<VisitData>);

#[derive(Debug)]
pub struct VisitData {
    pub web: Web,
    /// `None`: nobody is signed in.
    pub actor: Option<Actor>,
    pub address: IpAddr,
    pub path: String,
    /// The last event before anything was read for this request: the page's stream goes on from there, so that
    /// nothing is missed that happens before it is open.
    pub after: u64,
    /// Our script asked for the live part only.
    pub fragment: bool,
    /// Browser and system in words.
    pub device: String,
    /// `https://host:port` as the visitor reached us, for links that are given away.
    pub origin: String,
    pub cookies: Cookies,
    /// What the forms of this visitor are bound to.
    pub form_mark: [u8; sign::MARK],
}

impl std::ops::Deref for Visit {
    type Target = VisitData;

    fn deref(&self) -> &VisitData {
        &self.0
    }
}

impl Visit {
    pub fn new(inner: VisitData) -> Self {
        Self(Arc::new(inner))
    }

    /// The visit that the guard left.
    pub fn of(extensions: &Extensions) -> Result<Self> {
        extensions.get::<Self>().cloned().ok_or_else(|| Error::internal("a handler ran without its guard"))
    }

    /// The signed-in person.
    pub fn actor(&self) -> Result<&Actor> {
        self.actor.as_ref().ok_or_else(|| Error::unauthenticated("Please sign in."))
    }

    pub fn address_text(&self) -> String {
        self.address.to_string()
    }

    /// What every page knows about its request.
    pub fn page(&self) -> Page {
        let app = &self.web.app;
        let (health, open_jobs) = match &self.actor {
            Some(actor) => (health::appliance_health(app, actor), health::open_jobs(app, actor)),
            None => (Health { level: crate::frame::Level::Ok, text: String::new() }, 0),
        };
        Page {
            who: self.actor.as_ref().and_then(who),
            path: self.path.clone(),
            after: self.after,
            csrf: sign::mask(self.form_mark),
            now: self.web.now(),
            theme: self.theme(),
            health,
            open_jobs,
            flash: self.flash(),
            fragment: self.fragment,
            assets: self.web.assets(),
        }
    }

    /// The person's own setting; signed out, what this browser had last.
    fn theme(&self) -> Theme {
        let own = self.actor.as_ref().and_then(|a| self.web.app.account().prefs(a).ok()).map(|p| p.theme);
        own.or(self.cookies.theme).unwrap_or_default()
    }

    fn flash(&self) -> Vec<Flash> {
        let key = self.web.app.form_key();
        self.cookies.flash.as_deref().and_then(|text| flash::open(key.expose(), text)).into_iter().collect()
    }

    /// 303 to `to`, where `text` is shown once.
    pub fn done(&self, to: &str, text: &str) -> Response {
        let mut response = see_other(to);
        if !text.is_empty() {
            let sealed = flash::seal(self.web.app.form_key().expose(), text);
            self.set_cookie(&mut response, cookies::Name::Flash, &sealed, None);
        }
        response
    }

    pub fn set_cookie(
        &self,
        response: &mut Response,
        name: cookies::Name,
        value: &str,
        until: Option<base::Timestamp>,
    ) {
        if let Some(value) = cookies::set(name, value, until, self.web.now(), self.web.options().secure) {
            response.headers_mut().append(header::SET_COOKIE, value);
        }
    }
}

fn who(actor: &Actor) -> Option<Who> {
    let user = actor.user()?;
    Some(Who { id: user.id, login: user.login.clone(), name: user.name.clone(), admin: actor.is_admin() })
}

/// 303 with no body: the browser goes on with GET.
pub fn see_other(to: &str) -> Response {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::SEE_OTHER;
    let to = HeaderValue::from_str(to).unwrap_or(HeaderValue::from_static("/"));
    response.headers_mut().insert(header::LOCATION, to);
    response
}

impl<S: Send + Sync> FromRequestParts<S> for Visit {
    type Rejection = Response;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> std::result::Result<Self, Response> {
        Self::of(&parts.extensions).map_err(refuse)
    }
}

/// A signed-in visitor: what handlers of routes for users and admins take.
#[derive(Clone, Debug)]
pub struct Person {
    pub visit: Visit,
    pub actor: Actor,
}

impl std::ops::Deref for Person {
    type Target = Visit;

    fn deref(&self) -> &Visit {
        &self.visit
    }
}

impl Person {
    pub fn of(visit: &Visit) -> Result<Self> {
        Ok(Self { actor: visit.actor()?.clone(), visit: visit.clone() })
    }
}

/// The id in the address. A text that is none is no address of ours.
#[derive(Debug)]
pub struct Id<T>(pub T);

impl<T: std::str::FromStr, S: Send + Sync> FromRequestParts<S> for Id<T> {
    type Rejection = Response;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> std::result::Result<Self, Response> {
        let Path(text) = Path::<String>::from_request_parts(parts, state).await.map_err(IntoResponse::into_response)?;
        forms::id(&text).map(Self).map_err(refuse)
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Person {
    type Rejection = Response;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> std::result::Result<Self, Response> {
        Visit::of(&parts.extensions).and_then(|v| Self::of(&v)).map_err(refuse)
    }
}
