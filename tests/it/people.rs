//! Signing in and out, invites, passwords: through the pages, as people do it.

use crate::house::{Browser, House, PASSWORD};
use app::Actor;
use app::users::UserChange;
use axum::body::Body;
use base::Kind;
use base::ids::ScheduleId;
use http::{Request, StatusCode, header};
use model::schedules::Schedule;
use model::sessions::Scope;
use model::users::Role;
use std::time::Duration;

fn typed(text: &str) -> String {
    text.replace(' ', "+")
}

#[tokio::test]
async fn a_wrong_password_is_said_on_the_form_and_the_login_stays() {
    let house = House::new();
    house.admin().await;
    let mut browser = Browser::new(&house);
    let answer = browser.send("/sign-in?next=/jobs", "/sign-in", "login=root&password=wrong+lamps&next=/jobs").await;
    assert_eq!(answer.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert!(answer.body.contains("Login or password is wrong."));
    assert!(answer.body.contains("value=\"root\"") && answer.body.contains("value=\"/jobs\""));
    assert!(!answer.body.contains("wrong lamps"));
    let form = format!("login=root&password={}&next=/jobs", typed(PASSWORD));
    let answer = browser.send("/sign-in", "/sign-in", &form).await;
    assert_eq!((answer.status, answer.header("location")), (StatusCode::SEE_OTHER, "/jobs"));
    assert_eq!(browser.get("/jobs").await.status, StatusCode::OK);
}

#[tokio::test]
async fn nobody_is_sent_to_another_site_after_the_sign_in() {
    let house = House::new();
    house.admin().await;
    let mut browser = Browser::new(&house);
    let form = format!("login=root&password={}&next=//evil.example/", typed(PASSWORD));
    assert_eq!(browser.send("/sign-in", "/sign-in", &form).await.header("location"), "/");
}

#[tokio::test]
async fn the_sign_in_form_of_another_browser_is_refused() {
    let house = House::new();
    house.admin().await;
    let token = Browser::new(&house).form_token("/sign-in").await;
    let mut victim = Browser::new(&house);
    victim.get("/sign-in").await;
    let form = format!("login=root&password={}&csrf={token}", typed(PASSWORD));
    assert_eq!(victim.post("/sign-in", &form).await.status, StatusCode::FORBIDDEN);
}

#[tokio::test]
async fn signing_out_ends_the_session_at_once() {
    let house = House::new();
    let mut admin = house.admin().await;
    let kept = admin.cookie("__Host-steward").unwrap().to_owned();
    let answer = admin.send("/profile", "/sign-out", "").await;
    assert_eq!((answer.status, answer.header("location")), (StatusCode::SEE_OTHER, "/sign-in"));
    assert_eq!(admin.cookie("__Host-steward"), None);
    let stolen = house.app.sessions().authenticate(&kept, "192.0.2.9");
    assert_eq!(stolen.unwrap_err().kind(), Kind::Unauthenticated);
    assert!(admin.get("/sign-in").await.body.contains("You are signed out."));
    assert!(!admin.get("/sign-in").await.body.contains("You are signed out."), "said once");
}

#[tokio::test]
async fn an_invite_link_works_once() {
    let house = House::new();
    let mut admin = house.admin().await;
    let answer = admin.send("/users/new", "/users/new", "login=mira&name=Mira&email=&role=user").await;
    assert_eq!(answer.status, StatusCode::OK, "{}", answer.body);
    let start = answer.body.find("https://steward.test/invite/").expect("the whole link is shown");
    let link = answer.body[start..].split(['"', '<']).next().unwrap().replace("https://steward.test", "");
    let mut mira = Browser::new(&house);
    let weak = mira.send(&link, &link, "password=short&again=short").await;
    assert_eq!(weak.status, StatusCode::UNPROCESSABLE_ENTITY);
    let form = format!("password={0}&again={0}", typed(PASSWORD));
    assert_eq!(mira.send(&link, &link, &form).await.status, StatusCode::SEE_OTHER);
    assert!(mira.get("/").await.body.contains("Mira"));
    let mut late = Browser::new(&house);
    assert_eq!(late.get(&link).await.status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn a_reset_ends_the_tokens_that_were_made_before() {
    let house = House::new();
    let admin = house.admin().await;
    let mira = house.somebody(&admin, "mira", Role::User).await;
    let token = house.token(&mira, Scope::Full).await;
    let me = async || {
        let asked = Request::get("/api/v1/me").header(header::AUTHORIZATION, format!("Bearer {}", token.expose()));
        house.call(asked.body(Body::empty()).unwrap()).await.status
    };
    assert_eq!(me().await, StatusCode::OK);
    let user = mira.actor().user_id().unwrap();
    let code = house.app.users().reset_link(&admin.actor(), user).await.unwrap();
    let link = format!("/invite/{}", code.expose());
    let form = format!("password={0}&again={0}", typed(PASSWORD));
    assert_eq!(Browser::new(&house).send(&link, &link, &form).await.status, StatusCode::SEE_OTHER);
    assert_eq!(me().await, StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn a_taken_login_is_said_beside_its_field() {
    let house = House::new();
    let mut admin = house.admin().await;
    let answer = admin.send("/users/new", "/users/new", "login=root&name=Other&email=&role=user").await;
    assert_eq!(answer.status, StatusCode::CONFLICT);
    assert!(answer.body.contains("This login is taken.") && answer.body.contains("value=\"Other\""));
}

#[tokio::test]
async fn a_new_password_ends_the_other_browsers() {
    let house = House::new();
    let mut admin = house.admin().await;
    let mut other = Browser::new(&house);
    other.send("/sign-in", "/sign-in", &format!("login=root&password={}", typed(PASSWORD))).await;
    assert_eq!(other.get("/profile").await.status, StatusCode::OK);
    let form = format!("current={}&password=four+blue+chairs&again=four+blue+chairs", typed(PASSWORD));
    let answer = admin.send("/profile", "/profile/password", &form).await;
    assert_eq!(answer.status, StatusCode::SEE_OTHER, "{}", answer.body);
    assert_eq!(admin.get("/profile").await.status, StatusCode::OK);
    assert_eq!(other.get("/profile").await.header("location"), "/sign-in?next=%2Fprofile");
}

#[tokio::test]
async fn a_deactivated_person_is_out_at_once() {
    let house = House::new();
    let mut admin = house.admin().await;
    let mut mira = house.somebody(&admin, "mira", Role::User).await;
    let id = mira.actor().user_id().unwrap();
    let page = format!("/users/{id}");
    let answer = admin.send(&page, &format!("{page}/deactivate"), "sure=yes").await;
    assert_eq!(answer.status, StatusCode::SEE_OTHER, "{}", answer.body);
    assert_eq!(mira.get("/").await.status, StatusCode::SEE_OTHER);
    assert!(admin.get(&page).await.body.contains("Deactivated"));
}

#[tokio::test]
async fn the_theme_is_kept_for_the_person_and_for_the_sign_in_page() {
    let house = House::new();
    let mut admin = house.admin().await;
    admin.send("/profile", "/profile/theme", "theme=dark").await;
    assert!(admin.get("/").await.body.contains("data-theme=\"dark\""));
    admin.send("/profile", "/sign-out", "").await;
    assert!(admin.get("/sign-in").await.body.contains("data-theme=\"dark\""));
}

#[tokio::test]
async fn a_flood_of_sign_ins_from_one_address_is_slowed_and_the_pages_are_not() {
    let house = House::new();
    let mut admin = house.admin().await;
    let mut flood = Browser::new(&house);
    let mut last = StatusCode::OK;
    for _ in 0..40 {
        last = flood.post("/sign-in", "login=root&password=x").await.status;
    }
    assert_eq!(last, StatusCode::TOO_MANY_REQUESTS);
    assert_eq!(admin.get("/").await.status, StatusCode::OK);
}

#[tokio::test]
async fn a_token_is_shown_once_and_can_be_taken_back() {
    let house = House::new();
    let mut admin = house.admin().await;
    let answer = admin.send("/profile", "/profile/tokens", "token_name=backup&scope=read&days=30").await;
    assert_eq!(answer.status, StatusCode::OK);
    let start = answer.body.find("stw_").expect("the token is shown");
    let token = answer.body[start..].split(['"', '<']).next().unwrap().to_owned();
    assert!(!admin.get("/profile").await.body.contains("stw_"));
    assert!(house.app.tokens().authenticate(&token, "192.0.2.1").is_ok());
    let id = house.app.tokens().list(&admin.actor()).unwrap()[0].id;
    let revoke = format!("/profile/tokens/{id}/revoke");
    let question = admin.send("/profile", &revoke, "what=backup").await;
    assert_eq!(question.status, StatusCode::OK);
    assert!(question.body.contains("Revoke backup?") && question.body.contains("name=\"sure\""), "{}", question.body);
    assert!(admin.get("/profile").await.body.contains("backup"), "nothing is revoked before the yes");
    admin.send("/profile", &revoke, "sure=yes").await;
    assert!(house.app.tokens().authenticate(&token, "192.0.2.1").is_err());
}

#[tokio::test]
async fn a_schedule_makes_one_job_when_its_time_has_come() {
    let house = House::new();
    let console = Actor::host_console();
    let schedule = Schedule {
        id: ScheduleId::new(),
        name: "Nightly start".into(),
        cron: "*/5 * * * *".into(),
        plugin: "proxmox".into(),
        hook: "guest_power".into(),
        args: serde_json::json!({ "vmid": 100, "kind": "vm", "node": "pve1", "action": "start" }),
        active: true,
        last: None,
        owner: None,
    };
    let wrong = Schedule { cron: "0 0 31 2 *".into(), ..schedule.clone() };
    assert!(house.app.schedules().put(&console, wrong).await.unwrap_err().fields().contains_key("cron"));
    let wrong = Schedule { hook: "inventory".into(), ..schedule.clone() };
    assert!(house.app.schedules().put(&console, wrong).await.unwrap_err().fields().contains_key("hook"));
    house.app.schedules().put(&console, schedule).await.unwrap();
    house.clock.advance(Duration::from_secs(301));
    assert_eq!(house.app.schedules().tick().await.unwrap(), 1);
    assert_eq!(house.app.schedules().tick().await.unwrap(), 0, "not twice for one time");
    house.clock.advance(Duration::from_secs(301));
    house.app.schedules().tick().await.unwrap();
    let jobs = house.app.jobs().all_open().unwrap();
    assert_eq!(jobs.len(), 1, "not a second job while the first is open");
    assert_eq!((jobs[0].title.as_str(), jobs[0].asked_by.as_str()), ("Nightly start", "schedule Nightly start"));
}

#[tokio::test]
async fn a_schedule_acts_for_the_admin_who_set_it_and_for_nobody_who_is_none_any_more() {
    let house = House::new();
    let admin = house.admin().await;
    let ann = house.somebody(&admin, "ann", Role::Admin).await.actor();
    let schedule = Schedule {
        id: ScheduleId::new(),
        name: "Nightly start".into(),
        cron: "*/5 * * * *".into(),
        plugin: "proxmox".into(),
        hook: "guest_power".into(),
        args: serde_json::Value::Null,
        active: true,
        last: None,
        owner: None,
    };
    house.app.schedules().put(&ann, schedule).await.unwrap();
    house.clock.advance(Duration::from_secs(301));
    assert_eq!(house.app.schedules().tick().await.unwrap(), 1);
    let job = house.app.jobs().all_open().unwrap().remove(0);
    assert_eq!((job.asked_by.as_str(), job.owner), ("ann (schedule Nightly start)", ann.user_id()));
    house.app.jobs().cancel(&admin.actor(), job.id).await.unwrap();
    let change = UserChange { role: Some(Role::User), ..UserChange::default() };
    house.app.users().change(&admin.actor(), ann.user_id().unwrap(), change).await.unwrap();
    house.clock.advance(Duration::from_secs(301));
    assert_eq!(house.app.schedules().tick().await.unwrap(), 0);
    let log = house.app.audit().page(&admin.actor(), "action:schedule.fire ok:no", None, 10).unwrap();
    assert_eq!(log.entries[0].record.actor, "schedule Nightly start");
}

#[tokio::test]
async fn an_invitation_before_the_set_up_does_not_close_it() {
    let house = House::new();
    let new = app::users::NewUser { login: "jon".into(), name: String::new(), email: String::new(), role: Role::User };
    house.app.users().invite(&Actor::host_console(), new).await.unwrap();
    assert!(house.app.setup().is_needed());
    house.admin().await;
    assert!(!house.app.setup().is_needed());
}
