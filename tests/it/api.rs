//! The REST API from a program's side.

use crate::house::{Answer, Browser, House, PASSWORD};
use axum::body::Body;
use http::{Method, Request, StatusCode, header};
use model::access::GuestRight;
use model::sessions::Scope;
use model::users::Role;
use serde_json::{Value, json};
use web::Options;
use web::door::limits::Rate;

struct Program<'a> {
    house: &'a House,
    token: String,
}

impl Program<'_> {
    async fn call(&self, method: Method, path: &str, body: Option<Value>) -> Answer {
        let mut request = Request::builder().method(method).uri(format!("/api/v1{path}"));
        if !self.token.is_empty() {
            request = request.header(header::AUTHORIZATION, format!("Bearer {}", self.token));
        }
        let body = match body {
            Some(value) => {
                request = request.header(header::CONTENT_TYPE, "application/json");
                Body::from(value.to_string())
            }
            None => Body::empty(),
        };
        self.house.call(request.body(body).unwrap()).await
    }
}

async fn program<'a>(house: &'a House, person: &Browser<'_>, scope: Scope) -> Program<'a> {
    Program { house, token: house.token(person, scope).await.expose().clone() }
}

#[tokio::test]
async fn login_and_password_give_a_jwt_that_can_be_taken_back_by_its_id() {
    let house = House::new();
    house.admin().await;
    let mut nobody = Program { house: &house, token: String::new() };
    let login = json!({ "login": "root", "password": PASSWORD });
    let made = nobody.call(Method::POST, "/auth/token", Some(login)).await;
    assert_eq!(made.status, StatusCode::OK, "{}", made.body);
    assert_eq!(made.json()["expires_in"], 900);
    assert_eq!(made.header("cache-control"), "no-store");
    nobody.token = made.json()["token"].as_str().unwrap().to_owned();
    let me = nobody.call(Method::GET, "/me", None).await.json();
    assert_eq!((me["login"].as_str(), me["via"].as_str()), (Some("root"), Some("jwt")));
    let id = made.json()["id"].as_str().unwrap().to_owned();
    let revoked = nobody.call(Method::DELETE, &format!("/auth/token/{id}"), None).await;
    assert_eq!(revoked.status, StatusCode::NO_CONTENT, "{}", revoked.body);
    assert_eq!(nobody.call(Method::GET, "/me", None).await.status, StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn a_jwt_from_a_read_token_may_only_read() {
    let house = House::new();
    let admin = house.admin().await;
    let mut program = program(&house, &admin, Scope::Read).await;
    let made = program.call(Method::POST, "/auth/token", None).await;
    assert_eq!((made.status, made.json()["scope"].as_str()), (StatusCode::OK, Some("read")));
    program.token = made.json()["token"].as_str().unwrap().to_owned();
    assert_eq!(program.call(Method::GET, "/guests", None).await.status, StatusCode::OK);
    assert_eq!(program.call(Method::POST, "/guests", Some(json!({}))).await.status, StatusCode::FORBIDDEN);
}

#[tokio::test]
async fn a_jwt_ends_with_the_token_that_it_was_made_with() {
    let house = House::new();
    let admin = house.admin().await;
    let program = program(&house, &admin, Scope::Full).await;
    for (method, end) in [(Method::POST, "/rotate"), (Method::DELETE, "")] {
        let wanted = json!({ "name": "backup", "scope": "full", "days": 30 });
        let made = program.call(Method::POST, "/me/tokens", Some(wanted)).await;
        let path = made.header("location").trim_start_matches("/api/v1").to_owned();
        let own = Program { house: &house, token: made.json()["token"].as_str().unwrap().to_owned() };
        let jwt = own.call(Method::POST, "/auth/token", None).await.json()["token"].as_str().unwrap().to_owned();
        let short = Program { house: &house, token: jwt };
        assert_eq!(short.call(Method::GET, "/me", None).await.status, StatusCode::OK);
        let ended = program.call(method.clone(), &format!("{path}{end}"), None).await;
        assert!(ended.status.is_success(), "{}", ended.body);
        assert_eq!(short.call(Method::GET, "/me", None).await.status, StatusCode::UNAUTHORIZED, "{method}");
        let more = json!({ "name": "for ever", "scope": "full" });
        assert_eq!(short.call(Method::POST, "/me/tokens", Some(more)).await.status, StatusCode::UNAUTHORIZED);
    }
}

#[tokio::test]
async fn a_token_is_renewed_and_its_old_text_is_refused_at_once() {
    let house = House::new();
    let admin = house.admin().await;
    let program = program(&house, &admin, Scope::Full).await;
    let wanted = json!({ "name": "backup", "scope": "read", "days": 30 });
    let made = program.call(Method::POST, "/me/tokens", Some(wanted)).await;
    assert_eq!(made.status, StatusCode::CREATED, "{}", made.body);
    let path = made.header("location").trim_start_matches("/api/v1").to_owned();
    let mut own = Program { house: &house, token: made.json()["token"].as_str().unwrap().to_owned() };
    let listed = own.call(Method::GET, "/me/tokens", None).await.json();
    let current: Vec<&Value> = listed["tokens"].as_array().unwrap().iter().filter(|t| t["current"] == true).collect();
    assert_eq!((current.len(), current[0]["name"].as_str()), (1, Some("backup")));
    assert!(!listed.to_string().contains("stw_"), "{listed}");
    // Whatever its scope, a token may renew itself; its end is not its own to move.
    let further = own.call(Method::POST, &format!("{path}/rotate"), Some(json!({ "days": 365 }))).await;
    assert_eq!(further.status, StatusCode::FORBIDDEN, "{}", further.body);
    let renewed = own.call(Method::POST, &format!("{path}/rotate"), None).await;
    assert_eq!(renewed.status, StatusCode::OK, "{}", renewed.body);
    assert_eq!(renewed.json()["expires"], made.json()["expires"]);
    assert_eq!(own.call(Method::GET, "/me", None).await.status, StatusCode::UNAUTHORIZED);
    own.token = renewed.json()["token"].as_str().unwrap().to_owned();
    assert_eq!(own.call(Method::GET, "/me", None).await.json()["scope"], "read");
    // Other tokens are not a small token's business.
    let other = listed["tokens"].as_array().unwrap().iter().find(|t| t["current"] == false).unwrap();
    let other = format!("/me/tokens/{}", other["id"].as_str().unwrap());
    assert_eq!(own.call(Method::DELETE, &other, None).await.status, StatusCode::FORBIDDEN);
    assert_eq!(own.call(Method::POST, &format!("{other}/rotate"), None).await.status, StatusCode::FORBIDDEN);
    let another = json!({ "name": "more", "scope": "read" });
    assert_eq!(own.call(Method::POST, "/me/tokens", Some(another)).await.status, StatusCode::FORBIDDEN);
    // It ends itself, and an ended one can't come back.
    assert_eq!(own.call(Method::DELETE, &path, None).await.status, StatusCode::NO_CONTENT);
    assert_eq!(own.call(Method::GET, "/me", None).await.status, StatusCode::UNAUTHORIZED);
    let late = program.call(Method::POST, &format!("{path}/rotate"), Some(json!({ "days": 5 }))).await;
    assert_eq!(late.status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn nobody_renews_or_ends_the_token_of_somebody_else() {
    let house = House::new();
    let admin = house.admin().await;
    let mira = house.somebody(&admin, "mira", Role::User).await;
    let hers = program(&house, &mira, Scope::Full).await;
    let list = hers.call(Method::GET, "/me/tokens", None).await.json();
    let path = format!("/me/tokens/{}", list["tokens"][0]["id"].as_str().unwrap());
    let root = program(&house, &admin, Scope::Full).await;
    assert_eq!(root.call(Method::POST, &format!("{path}/rotate"), None).await.status, StatusCode::NOT_FOUND);
    assert_eq!(root.call(Method::DELETE, &path, None).await.status, StatusCode::NOT_FOUND);
    assert_eq!(hers.call(Method::GET, "/me", None).await.status, StatusCode::OK);
}

#[tokio::test]
async fn tokens_are_made_and_renewed_on_the_profile_page() {
    let house = House::new();
    let mut admin = house.admin().await;
    let nameless = admin.send("/profile", "/profile/tokens", "token_name=&scope=read&days=30").await;
    assert!(nameless.status.is_client_error() && nameless.body.contains("1 to 60 characters"), "{}", nameless.body);
    let made = admin.send("/profile", "/profile/tokens", "token_name=phone&scope=read&days=30").await;
    let shown = |page: &str| {
        let at = page.find("stw_").unwrap_or_else(|| panic!("no token: {page}"));
        page[at..].split(|c: char| !c.is_ascii_alphanumeric() && !"_-.".contains(c)).next().unwrap().to_owned()
    };
    let mut phone = Program { house: &house, token: shown(&made.body) };
    assert_eq!(phone.call(Method::GET, "/me", None).await.status, StatusCode::OK, "{}", made.body);
    let mark = "/profile/tokens/";
    let at = made.body.find(mark).and_then(|_| made.body.find("/rotate")).unwrap();
    let id = made.body[..at].rsplit('/').next().unwrap().to_owned();
    let renewed = admin.send("/profile", &format!("{mark}{id}/rotate"), "sure=yes").await;
    let text = shown(&renewed.body);
    assert_ne!(text, phone.token);
    assert_eq!(phone.call(Method::GET, "/me", None).await.status, StatusCode::UNAUTHORIZED);
    phone.token = text;
    assert_eq!(phone.call(Method::GET, "/me", None).await.json()["scope"], "read");
}

#[tokio::test]
async fn a_wrong_password_says_the_same_for_every_login() {
    let house = House::new();
    house.admin().await;
    let nobody = Program { house: &house, token: String::new() };
    let mut details = Vec::new();
    for login in ["root", "nobody"] {
        let answer = nobody.call(Method::POST, "/auth/token", Some(json!({ "login": login, "password": "x" }))).await;
        assert_eq!(answer.status, StatusCode::UNAUTHORIZED);
        details.push(answer.json()["detail"].clone());
    }
    assert_eq!(details[0], details[1]);
}

#[tokio::test]
async fn bodies_are_checked_and_the_field_is_named() {
    let house = House::new();
    let admin = house.admin().await;
    let program = program(&house, &admin, Scope::Full).await;
    let good = json!({
        "name": "web-01", "node": "pve1", "source": { "from": "template", "vmid": 9000 },
        "cores": 2, "memory": 2048, "disk": 16, "bridge": "vmbr0"
    });
    let with = |field: &str, value: Value| {
        let mut body = good.clone();
        body[field] = value;
        body
    };
    let static_address =
        |cidr: &str, gateway: &str| with("address", json!({ "mode": "static", "cidr": cidr, "gateway": gateway }));
    let cases = [
        (with("cores", json!("two")), "cores"),
        (with("colour", json!("red")), "colour"),
        (with("name", json!("-x")), "name"),
        (json!({ "name": "web-01" }), "node"),
        (json!({ "name": "web-01" }), "source"),
        (with("source", json!(["template", 9000])), "source"),
        (with("address", json!({ "mode": "dhcp", "cidr": "192.0.2.4/24" })), "address.cidr"),
        (with("source", json!({ "from": "moon" })), "source.from"),
        (static_address("192.168.1.44/24", "fd00::1"), "gateway"),
        (static_address("192.168.1.0/24", "192.168.1.1"), "cidr"),
        (with("memory", json!("2x")), "memory"),
        (with("ssh_keys", json!("-----BEGIN OPENSSH PRIVATE KEY-----")), "ssh_keys"),
        (good.clone(), "node"),
    ];
    for (body, field) in cases {
        let answer = program.call(Method::POST, "/guests", Some(body)).await;
        assert_eq!(answer.status, StatusCode::UNPROCESSABLE_ENTITY, "{field}: {}", answer.body);
        assert_eq!(answer.header("content-type"), "application/problem+json");
        assert!(answer.json()["errors"][field].is_string(), "{field}: {}", answer.body);
    }
    let answer = program.call(Method::GET, "/guests?limit=many", None).await;
    assert_eq!(answer.status, StatusCode::UNPROCESSABLE_ENTITY, "{}", answer.body);
    assert!(answer.json()["errors"]["limit"].is_string(), "{}", answer.body);
    let answer = program.call(Method::GET, "/jobs?colour=red", None).await;
    assert!(answer.json()["errors"]["colour"].is_string(), "{}", answer.body);
}

#[tokio::test]
async fn every_body_is_an_object_and_what_is_wrong_is_told_in_everyday_words() {
    let house = House::new();
    let admin = house.admin().await;
    let program = program(&house, &admin, Scope::Full).await;
    let document: Value = serde_json::from_str(web::openapi_json()).unwrap();
    let id = "01a20005dda271e0a079b91984045600";
    let odd = [json!([1, 2, 3, 4]), json!(["start"]), json!("x"), json!(7), json!({ "no-such-field": 1 })];
    let jargon = ["expected", "u32", "u64", "struct", "variant", "enum", "invalid type", "digit", "backtick", "`"];
    let mut tried = 0;
    for (path, item) in document["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            if !operation["requestBody"]["content"]["application/json"].is_object() {
                continue;
            }
            let path = path.trim_start_matches("/api/v1").replace("{id}", id).replace("{name}", "scsi0");
            let path = path.replace("{user}", "root");
            for body in &odd {
                let method: Method = method.to_uppercase().parse().unwrap();
                let answer = program.call(method.clone(), &path, Some(body.clone())).await;
                assert_eq!(answer.status, StatusCode::UNPROCESSABLE_ENTITY, "{method} {path} {body}: {}", answer.body);
                let said = answer.json();
                let said = format!("{} {}", said["detail"], said["errors"]).to_lowercase();
                assert!(!jargon.iter().any(|word| said.contains(word)), "{method} {path} {body}: {said}");
                tried += 1;
            }
        }
    }
    assert!(tried > 100, "only {tried}");
    let mine = program.call(Method::GET, "/quota", None).await.json();
    assert!(mine["machines"].is_null(), "{mine}");
    let both = json!({ "cores": -1, "memory": "much" });
    let quota = program.call(Method::PUT, "/users/root/quota", Some(both)).await;
    let why = "Give a whole number, 0 or more, or “usual” or “unlimited”.";
    assert_eq!(quota.json()["errors"], json!({ "cores": why, "memory": why }), "{}", quota.body);
    let from = program.call(Method::GET, &format!("/jobs/{id}?log_from=-1"), None).await;
    assert!(from.json()["errors"]["log_from"].as_str().unwrap().starts_with("Give a whole number"), "{}", from.body);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_somebody_may_do_is_said_truly_and_a_rollback_needs_its_snapshot() {
    let (house, cluster) = crate::sharing::connected().await;
    let admin = house.admin().await;
    let mira = house.somebody(&admin, "mira", Role::User).await;
    let jon = house.somebody(&admin, "jon", Role::User).await;
    let guest = crate::sharing::a_machine_of(&house, &mira).await;
    let jons = program(&house, &jon, Scope::Full).await;
    let path = format!("/guests/{guest}");
    for (right, words) in [(GuestRight::See, "may view"), (GuestRight::Use, "open its console, but not change")] {
        crate::sharing::share(&house, guest, &jon, right).await;
        let refused = jons.call(Method::DELETE, &path, None).await;
        assert_eq!(refused.status, StatusCode::FORBIDDEN, "{}", refused.body);
        assert!(refused.json()["detail"].as_str().unwrap().contains(words), "{}", refused.body);
    }
    let hers = program(&house, &mira, Scope::Full).await;
    for query in ["action=rollback", "action=rollback&snapshot=", "action=fly"] {
        let answer = hers.call(Method::GET, &format!("{path}/impact?{query}"), None).await;
        let field = if query == "action=fly" { "action" } else { "snapshot" };
        assert_eq!(answer.status, StatusCode::UNPROCESSABLE_ENTITY, "{query}: {}", answer.body);
        assert!(answer.json()["errors"][field].is_string(), "{query}: {}", answer.body);
    }
    cluster.stop().await;
}

#[tokio::test]
async fn quotas_are_read_by_login_and_by_everybody_for_admins_only() {
    let house = House::new();
    let admin = house.admin().await;
    let mira = house.somebody(&admin, "mira", Role::User).await;
    let root = program(&house, &admin, Scope::Full).await;
    let set = root.call(Method::PUT, "/users/Mira/quota", Some(json!({ "machines": 3 }))).await;
    assert_eq!((set.status, set.json()["limits"]["machines"].as_u64()), (StatusCode::OK, Some(3)), "{}", set.body);
    let all = root.call(Method::GET, "/quotas", None).await.json();
    let logins: Vec<&str> = all["quotas"].as_array().unwrap().iter().filter_map(|q| q["login"].as_str()).collect();
    assert_eq!(logins, ["mira", "root"]);
    assert_eq!(root.call(Method::GET, "/users/nobody/quota", None).await.status, StatusCode::NOT_FOUND);
    let hers = program(&house, &mira, Scope::Full).await;
    for path in ["/quotas", "/users/mira/quota", "/users/nobody/quota"] {
        assert_eq!(hers.call(Method::GET, path, None).await.status, StatusCode::FORBIDDEN, "{path}");
    }
}

#[tokio::test]
async fn a_body_of_another_kind_or_too_large_is_refused() {
    let house = House::new();
    let admin = house.admin().await;
    let token = house.token(&admin, Scope::Full).await;
    let send = |kind: &'static str, body: String| {
        let request = Request::post("/api/v1/guests")
            .header(header::AUTHORIZATION, format!("Bearer {}", token.expose()))
            .header(header::CONTENT_TYPE, kind);
        house.call(request.body(Body::from(body)).unwrap())
    };
    assert_eq!(send("text/plain", "{}".into()).await.status, StatusCode::UNSUPPORTED_MEDIA_TYPE);
    assert!(send("application/json", "{".into()).await.json()["detail"].as_str().unwrap().contains("not JSON"));
    let large = send("application/json", " ".repeat(300 * 1024)).await;
    assert_eq!((large.status, large.json()["status"].as_u64()), (StatusCode::PAYLOAD_TOO_LARGE, Some(413)));
}

#[tokio::test]
async fn the_audit_log_is_for_admins_by_page_and_as_a_file() {
    let house = House::new();
    let admin = house.admin().await;
    let mira = house.somebody(&admin, "mira", Role::User).await;
    assert_eq!(
        program(&house, &mira, Scope::Full).await.call(Method::GET, "/audit", None).await.status,
        StatusCode::FORBIDDEN
    );
    let program = program(&house, &admin, Scope::Read).await;
    let first = program.call(Method::GET, "/audit?limit=2", None).await.json();
    assert_eq!(first["entries"].as_array().unwrap().len(), 2);
    let rest = program.call(Method::GET, &format!("/audit?cursor={}", first["next"]), None).await.json();
    let last = rest["entries"].as_array().unwrap().last().unwrap();
    assert_eq!((last["seq"].as_u64(), last["action"].as_str()), (Some(1), Some("setup.admin")));
    let file = program.call(Method::GET, "/audit/export", None).await;
    assert!(file.header("content-type").starts_with("text/csv"));
    assert!(file.body.starts_with("seq,at,actor,") && file.body.contains(",setup.admin,root,"), "{}", file.body);
    let lines = program.call(Method::GET, "/audit/export?format=ndjson", None).await;
    let seqs: Vec<u64> =
        lines.body.lines().map(|l| serde_json::from_str::<Value>(l).unwrap()["seq"].as_u64().unwrap()).collect();
    assert_eq!((seqs.first().copied(), seqs.last().copied()), (Some(seqs.len() as u64), Some(1)));
}

#[tokio::test]
async fn too_many_calls_are_told_when_to_come_again() {
    let house = House::with(Options { api_rate: Rate { burst: 3.0, per_second: 0.5 }, ..Options::default() });
    let admin = house.admin().await;
    let program = program(&house, &admin, Scope::Read).await;
    for _ in 0..3 {
        assert_eq!(program.call(Method::GET, "/me", None).await.status, StatusCode::OK);
    }
    let answer = program.call(Method::GET, "/me", None).await;
    assert_eq!((answer.status, answer.header("retry-after")), (StatusCode::TOO_MANY_REQUESTS, "2"));
}

#[tokio::test]
async fn a_request_under_a_strangers_name_is_told_which_setting_allows_it() {
    let hosts = Some(web::door::hosts::Hosts::new(["steward.test".to_owned()]));
    let house = House::with(Options { hosts, ..Options::default() });
    let mut admin = house.admin().await;
    assert_eq!(admin.get("/profile").await.status, StatusCode::OK);
    let ask = |path: &'static str, host: &'static str| {
        house.call(Request::get(path).header(header::HOST, host).body(Body::empty()).unwrap())
    };
    for path in ["/sign-in", "/api/v1/guests", "/metrics", "/invite/abc"] {
        let answer = ask(path, "evil.example:8443").await;
        assert_eq!(answer.status, StatusCode::MISDIRECTED_REQUEST, "{path}");
        assert!(answer.body.contains("evil.example") && answer.body.contains("hosts"), "{path}: {}", answer.body);
        assert_ne!(ask(path, "localhost:8443").await.status, StatusCode::MISDIRECTED_REQUEST);
    }
    assert_eq!(ask("/healthz", "evil.example").await.status, StatusCode::OK, "probes come under any name");
}

#[tokio::test]
async fn another_origin_reads_the_api_only_when_it_is_listed() {
    let house = House::with(Options { origins: vec!["https://tools.example".to_owned()], ..Options::default() });
    let ask = |method: Method, origin: &'static str| {
        let request = Request::builder().method(method).uri("/api/v1/openapi.json").header(header::ORIGIN, origin);
        house.call(request.header("access-control-request-method", "GET").body(Body::empty()).unwrap())
    };
    let allowed = ask(Method::OPTIONS, "https://tools.example").await;
    assert_eq!(
        (allowed.status, allowed.header("access-control-allow-origin")),
        (StatusCode::NO_CONTENT, "https://tools.example")
    );
    assert_eq!(
        ask(Method::GET, "https://tools.example").await.header("access-control-allow-origin"),
        "https://tools.example"
    );
    let other = ask(Method::OPTIONS, "https://other.example").await;
    assert_eq!((other.status, other.header("access-control-allow-origin")), (StatusCode::METHOD_NOT_ALLOWED, ""));
}

#[tokio::test]
async fn probes_and_figures_are_there() {
    let house = House::new();
    let mut admin = house.admin().await;
    let mut stranger = Browser::new(&house);
    assert_eq!(stranger.get("/healthz").await.body, "ok\n");
    let ready = stranger.get("/readyz").await.json();
    assert!(ready["ready"].is_boolean() && ready["checks"][0]["text"].is_null(), "{ready}");
    assert_eq!(stranger.get("/metrics").await.status, StatusCode::UNAUTHORIZED);
    let metrics = admin.get("/metrics").await;
    assert!(metrics.header("content-type").starts_with("text/plain; version=0.0.4"));
    for name in [
        "process_resident_memory_bytes",
        "steward_store_bytes",
        "steward_jobs_open{state=\"queued\"}",
        "route=\"/healthz\"",
    ] {
        assert!(metrics.body.contains(name), "{name} is missing in {}", metrics.body);
    }
}
