//! Every route of the table, tried as nobody, as a user, as an admin, and with tokens of each scope.

use crate::house::{Answer, Browser, House};
use axum::body::Body;
use http::{Method, Request, StatusCode, header};
use model::sessions::Scope;
use model::users::Role;
use web::routes::{self, Access, Door, Info};

/// A real address for a pattern: ids of nothing, so that what is allowed ends with 404 and not with harm.
fn address(info: &Info) -> String {
    info.path
        .replace("{id}", "0198f3a0000070008000000000000000")
        .replace("{action}", "nothing")
        .replace("{code}", "nothing")
        .replace("{name}", "nothing")
        .replace("{disk}", "nothing")
        .replace("{key}", "nothing")
}

/// Routes that would end the session that the walk uses, or never end.
fn skipped(info: &Info) -> bool {
    info.path == "/sign-out" || info.path == "/events"
}

async fn as_browser(browser: &mut Browser<'_>, info: &Info) -> Answer {
    let path = address(info);
    if info.method == Method::GET {
        return browser.get(&path).await;
    }
    let mut request = browser.request(info.method.clone(), &path);
    if info.door == Door::Page {
        request = request.header(header::CONTENT_TYPE, "application/x-www-form-urlencoded");
    } else {
        request = request.header(header::CONTENT_TYPE, "application/json");
    }
    browser.call(request.body(Body::empty()).unwrap()).await
}

async fn as_program(house: &House, token: &str, info: &Info) -> Answer {
    let request = Request::builder()
        .method(info.method.clone())
        .uri(address(info))
        .header(header::AUTHORIZATION, format!("Bearer {token}"))
        .header(header::CONTENT_TYPE, "application/json")
        .body(Body::empty())
        .unwrap();
    house.call(request).await
}

fn rows() -> Vec<Info> {
    routes::table().into_iter().map(|r| r.info).filter(|i| !skipped(i)).collect()
}

fn named(info: &Info) -> String {
    format!("{} {}", info.method, info.path)
}

#[tokio::test]
async fn nobody_gets_past_the_sign_in() {
    let house = House::new();
    house.admin().await;
    for info in rows().iter().filter(|i| matches!(i.access, Access::User(_) | Access::Admin(_))) {
        let answer = as_browser(&mut Browser::new(&house), info).await;
        if info.door == Door::Page {
            assert_eq!(answer.status, StatusCode::SEE_OTHER, "{}", named(info));
            assert!(answer.header("location").starts_with("/sign-in"), "{}", named(info));
        } else {
            assert_eq!(answer.status, StatusCode::UNAUTHORIZED, "{}", named(info));
            assert_eq!(answer.header("content-type"), "application/problem+json", "{}", named(info));
            assert!(answer.header("www-authenticate").starts_with("Bearer"), "{}", named(info));
        }
    }
}

#[tokio::test]
async fn a_user_gets_what_is_for_users_and_403_from_what_is_for_admins() {
    let house = House::new();
    let admin = house.admin().await;
    let mut mira = house.somebody(&admin, "mira", Role::User).await;
    for info in rows() {
        let answer = as_browser(&mut mira, &info).await;
        let status = answer.status;
        match info.access {
            Access::Admin(_) => assert_eq!(status, StatusCode::FORBIDDEN, "{}", named(&info)),
            Access::SignedOut => assert_eq!(status, StatusCode::SEE_OTHER, "{}", named(&info)),
            // Forms without their token are refused, also where the person may.
            _ if info.method == Method::POST && info.door == Door::Page => {
                assert_eq!(status, StatusCode::FORBIDDEN, "{}", named(&info));
            }
            _ => {
                assert_ne!(status, StatusCode::UNAUTHORIZED, "{}", named(&info));
                assert!(!status.is_server_error(), "{} {status} {}", named(&info), answer.body);
            }
        }
    }
}

#[tokio::test]
async fn an_admin_gets_every_page() {
    let house = House::new();
    let mut admin = house.admin().await;
    for info in rows().iter().filter(|i| i.method == Method::GET && !i.path.contains('{')) {
        let answer = as_browser(&mut admin, info).await;
        let expected = match info.access {
            Access::SignedOut => StatusCode::SEE_OTHER,
            _ => StatusCode::OK,
        };
        assert_eq!(answer.status, expected, "{} {}", named(info), answer.body);
    }
}

#[tokio::test]
async fn a_post_without_the_forms_token_is_refused_on_every_page() {
    let house = House::new();
    let mut admin = house.admin().await;
    for info in
        rows().iter().filter(|i| i.method == Method::POST && i.door == Door::Page && i.access != Access::SignedOut)
    {
        let answer = as_browser(&mut admin, info).await;
        assert_eq!(answer.status, StatusCode::FORBIDDEN, "{} {}", named(info), answer.body);
    }
}

/// Reached by every token, but for another id than its own only by a full one.
const ABOUT_ITSELF: [&str; 3] = ["/api/v1/auth/token/{id}", "/api/v1/me/tokens/{id}", "/api/v1/me/tokens/{id}/rotate"];

#[tokio::test]
async fn a_token_reaches_what_its_scope_allows() {
    let house = House::new();
    let admin = house.admin().await;
    let mira = house.somebody(&admin, "mira", Role::User).await;
    for scope in [Scope::Read, Scope::Operate, Scope::Full] {
        let token = house.token(&mira, scope).await;
        for info in rows().iter().filter(|i| i.door == Door::Api) {
            let answer = as_program(&house, token.expose(), info).await;
            let least = match info.access {
                Access::User(least) => least,
                Access::Admin(_) => {
                    assert_eq!(answer.status, StatusCode::FORBIDDEN, "{} {scope:?}", named(info));
                    continue;
                }
                _ => continue,
            };
            let rank = |s| [Scope::Read, Scope::Operate, Scope::Full].iter().position(|x| *x == s);
            if rank(scope) < rank(least) {
                assert_eq!(answer.status, StatusCode::FORBIDDEN, "{} {scope:?}", named(info));
            } else if !ABOUT_ITSELF.contains(&info.path) {
                assert_ne!(answer.status, StatusCode::FORBIDDEN, "{} {scope:?} {}", named(info), answer.body);
                assert_ne!(answer.status, StatusCode::UNAUTHORIZED, "{} {scope:?}", named(info));
            }
        }
    }
}

#[tokio::test]
async fn a_bearer_token_opens_no_page() {
    let house = House::new();
    let admin = house.admin().await;
    let token = house.token(&admin, Scope::Full).await;
    for info in
        rows().iter().filter(|i| i.door == Door::Page && i.method == Method::GET && i.access != Access::SignedOut)
    {
        if info.access == Access::Public {
            continue;
        }
        let answer = as_program(&house, token.expose(), info).await;
        assert_eq!(answer.status, StatusCode::SEE_OTHER, "{}", named(info));
    }
}

#[tokio::test]
async fn another_site_cannot_act_with_the_sessions_cookie() {
    let house = House::new();
    let admin = house.admin().await;
    let mut request = admin
        .request(Method::POST, "/api/v1/guests")
        .header(header::CONTENT_TYPE, "application/json")
        .body(Body::from("{}"))
        .unwrap();
    request.headers_mut().insert("sec-fetch-site", "cross-site".parse().unwrap());
    assert_eq!(house.call(request).await.status, StatusCode::FORBIDDEN);
    // A program that only stole the cookie says nothing of its origin.
    let mut request = admin.request(Method::POST, "/api/v1/guests").body(Body::from("{}")).unwrap();
    request.headers_mut().remove("sec-fetch-site");
    assert_eq!(house.call(request).await.status, StatusCode::FORBIDDEN);
}

#[tokio::test]
async fn before_the_first_admin_every_page_leads_to_the_set_up() {
    let house = House::new();
    let mut browser = Browser::new(&house);
    for path in ["/", "/machines", "/sign-in"] {
        let answer = browser.get(path).await;
        assert_eq!((answer.status, answer.header("location")), (StatusCode::SEE_OTHER, "/setup"), "{path}");
    }
    assert_eq!(browser.get("/setup").await.status, StatusCode::OK);
    house.admin().await;
    assert_eq!(browser.get("/setup").await.header("location"), "/sign-in");
}

#[tokio::test]
async fn what_is_not_there_is_said_as_the_caller_reads() {
    let house = House::new();
    let mut admin = house.admin().await;
    let page = admin.get("/no/such/page").await;
    assert_eq!(page.status, StatusCode::NOT_FOUND);
    assert!(page.header("content-type").starts_with("text/html"));
    assert!(page.body.contains("/machines"), "the page has its frame");
    let api = admin.get("/api/v1/nothing").await;
    assert_eq!((api.status, api.json()["status"].as_u64()), (StatusCode::NOT_FOUND, Some(404)));
    let method = admin.request(Method::PUT, "/api/v1/guests").body(Body::empty()).unwrap();
    let method = admin.call(method).await;
    assert_eq!(method.status, StatusCode::METHOD_NOT_ALLOWED);
    assert_eq!(method.header("content-type"), "application/problem+json");
    assert!(method.header("allow").contains("POST"), "{method:?}");
}

#[tokio::test]
async fn every_answer_carries_the_security_headers() {
    let house = House::new();
    let mut admin = house.admin().await;
    for path in ["/", "/sign-in", "/no/such/page", "/api/v1/me", "/api/v1/nothing", "/healthz", "/assets/nothing.js"] {
        let answer = admin.get(path).await;
        assert!(answer.header("content-security-policy").starts_with("default-src 'none'"), "{path}");
        assert_eq!(answer.header("x-content-type-options"), "nosniff", "{path}");
        assert_eq!(
            answer.header("strict-transport-security"),
            "",
            "{path}: the host name is shared, as the port is not 443"
        );
        assert!(!answer.header("x-request-id").is_empty(), "{path}");
    }
    assert_eq!(admin.get("/").await.header("cache-control"), "no-store");
}
