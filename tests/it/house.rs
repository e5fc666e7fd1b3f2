//! An appliance in this process, without Proxmox: a store in a temporary folder and the router, called
//! without a socket. People act through it as they would: sign in, keep the cookie, send the form's token.

use app::{Actor, App};
use axum::Router;
use axum::body::Body;
use axum::extract::ConnectInfo;
use base::time::ManualClock;
use base::{Secret, Timestamp};
use config::Settings;
use crypto::SealKey;
use http::{HeaderMap, Method, Request, StatusCode, header};
use http_body_util::BodyExt;
use model::sessions::Scope;
use model::users::Role;
use std::net::SocketAddr;
use std::sync::Arc;
use tokio_util::sync::CancellationToken;
use tower::ServiceExt;
use web::{self, Web};

pub const PASSWORD: &str = "three green lamps";

pub struct House {
    pub app: App,
    pub router: Router,
    pub clock: Arc<ManualClock>,
    _folder: tempfile::TempDir,
}

/// An answer, read whole.
#[derive(Debug)]
pub struct Answer {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub body: String,
}

impl Answer {
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.body).unwrap_or_else(|e| panic!("{e}: {}", self.body))
    }

    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |v| v.to_str().unwrap())
    }
}

impl House {
    pub fn new() -> Self {
        Self::with(web::Options::default())
    }

    pub fn with(options: web::Options) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let settings = Settings {
            built_in: embedded::FILES,
            data_dir: folder.path().to_owned(),
            plugins_dir: None,
            images_file: None,
            ..Settings::default()
        };
        let clock = Arc::new(ManualClock::at(Timestamp::from_secs(1_790_000_000)));
        let app = App::open(settings, SealKey::from_bytes([7; 64]), Arc::<ManualClock>::clone(&clock)).unwrap();
        let router = web::router(Web::new(app.clone(), options, CancellationToken::new()));
        Self { app, router, clock, _folder: folder }
    }

    pub async fn call(&self, mut request: Request<Body>) -> Answer {
        request.extensions_mut().insert(ConnectInfo(SocketAddr::from(([192, 0, 2, 1], 4711))));
        let response = self.router.clone().oneshot(request).await.unwrap();
        let (parts, body) = response.into_parts();
        let body = body.collect().await.unwrap().to_bytes();
        Answer { status: parts.status, headers: parts.headers, body: String::from_utf8_lossy(&body).into_owned() }
    }

    /// The first admin, made with the setup code through the page.
    pub async fn admin(&self) -> Browser<'_> {
        let mut browser = Browser::new(self);
        let code = self.app.setup().code().unwrap().expose().clone();
        let form = format!("code={code}&login=root&name=Root&password={0}&again={0}", PASSWORD.replace(' ', "+"));
        let answer = browser.send("/setup", "/setup", &form).await;
        assert_eq!(answer.status, StatusCode::SEE_OTHER, "{}", answer.body);
        browser
    }

    /// Somebody whom the admin invited, signed in by their link.
    pub async fn somebody(&self, admin: &Browser<'_>, login: &str, role: Role) -> Browser<'_> {
        let new = app::users::NewUser { login: login.to_owned(), name: String::new(), email: String::new(), role };
        let (_, code) = self.app.users().invite(&admin.actor(), new).await.unwrap();
        let mut browser = Browser::new(self);
        let link = format!("/invite/{}", code.expose());
        let form = format!("password={0}&again={0}", PASSWORD.replace(' ', "+"));
        let answer = browser.send(&link, &link, &form).await;
        assert_eq!(answer.status, StatusCode::SEE_OTHER, "{}", answer.body);
        browser
    }

    /// An API token of the person behind `browser`.
    pub async fn token(&self, browser: &Browser<'_>, scope: Scope) -> Secret<String> {
        self.app.tokens().create(&browser.actor(), "test", scope, None).await.unwrap().1
    }
}

/// A browser: keeps cookies, finds the form's token in the page.
pub struct Browser<'a> {
    house: &'a House,
    cookies: Vec<(String, String)>,
}

impl<'a> Browser<'a> {
    pub fn new(house: &'a House) -> Self {
        Self { house, cookies: Vec::new() }
    }

    pub fn cookie(&self, name: &str) -> Option<&str> {
        self.cookies.iter().find(|(n, _)| n == name).map(|(_, v)| v.as_str())
    }

    /// The person, as the app sees them.
    pub fn actor(&self) -> Actor {
        self.house.app.sessions().authenticate(self.cookie("__Host-steward").unwrap(), "192.0.2.1").unwrap()
    }

    pub fn request(&self, method: Method, path: &str) -> http::request::Builder {
        let cookies = self.cookies.iter().map(|(n, v)| format!("{n}={v}")).collect::<Vec<_>>().join("; ");
        let builder = Request::builder().method(method).uri(path).header(header::HOST, "steward.test");
        let builder = builder.header("sec-fetch-site", "same-origin");
        if cookies.is_empty() { builder } else { builder.header(header::COOKIE, cookies) }
    }

    pub async fn call(&mut self, request: Request<Body>) -> Answer {
        let answer = self.house.call(request).await;
        for value in answer.headers.get_all(header::SET_COOKIE) {
            let text = value.to_str().unwrap();
            let (name, rest) = text.split_once('=').unwrap();
            let value = rest.split(';').next().unwrap();
            self.cookies.retain(|(n, _)| n != name);
            if !text.contains("Max-Age=0") {
                self.cookies.push((name.to_owned(), value.to_owned()));
            }
        }
        answer
    }

    pub async fn get(&mut self, path: &str) -> Answer {
        let request = self.request(Method::GET, path).body(Body::empty()).unwrap();
        self.call(request).await
    }

    /// The token of the first form on `page`.
    pub async fn form_token(&mut self, page: &str) -> String {
        let answer = self.get(page).await;
        let mark = "name=\"csrf\" value=\"";
        let start = answer.body.find(mark).unwrap_or_else(|| panic!("no form on {page}: {}", answer.body)) + mark.len();
        answer.body[start..].split('"').next().unwrap().to_owned()
    }

    /// Loads `page`, then sends its form to `path`.
    pub async fn send(&mut self, page: &str, path: &str, form: &str) -> Answer {
        let token = self.form_token(page).await;
        self.post(path, &format!("{form}&csrf={token}")).await
    }

    /// The same, and the page that it leads to.
    pub async fn follow(&mut self, page: &str, path: &str, form: &str) -> Answer {
        let sent = self.send(page, path, form).await;
        assert_eq!(sent.status, StatusCode::SEE_OTHER, "{}", sent.body);
        let to = sent.headers[header::LOCATION].to_str().unwrap().to_owned();
        self.get(&to).await
    }

    /// A form as it is, with or without a token.
    pub async fn post(&mut self, path: &str, form: &str) -> Answer {
        let request = self
            .request(Method::POST, path)
            .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded")
            .body(Body::from(form.to_owned()))
            .unwrap();
        self.call(request).await
    }
}
