//! Who may see, use and manage a machine. Every route with a machine in its address is tried by everybody whom it
//! may or may not concern; the routes come from the table, so a new one is covered as soon as it is there.

use crate::appliance::{cluster, connection};
use crate::house::{Answer, Browser, House};
use app::Actor;
use axum::body::Body;
use base::ids::GuestId;
use http::{Method, Request, StatusCode, header};
use model::access::GuestRight;
use model::sessions::Scope;
use model::users::Role;
use serde_json::{Map, Value, json};
use sim::Sim;
use std::collections::BTreeSet;
use web::rest::openapi;
use web::routes::{self, Door, Info};

/// An id of the right form that nothing has.
const NOTHING: &str = "0198f3a0000070008000000000000000";

/// A house with a simulated cluster that was looked at once. No runner: what is asked for stays queued.
pub async fn connected() -> (House, Sim) {
    let (house, cluster) = (House::new(), cluster(0.1).await);
    house.app.connections().add_known(&Actor::host_console(), connection(&cluster)).await.unwrap();
    house.app.inventory().look().await;
    (house, cluster)
}

/// A running machine, given to the person behind `owner`.
pub async fn a_machine_of(house: &House, owner: &Browser<'_>) -> GuestId {
    let all = house.app.guests().list(&Actor::host_console(), "status:running kind:vm -is:template");
    let free = all.iter().find(|g| g.row.owner.is_none()).expect("a machine without an owner");
    let id = free.row.id;
    house.app.guests().set_owner(&Actor::host_console(), id, owner.actor().user_id(), None).await.unwrap();
    id
}

pub async fn share(house: &House, id: GuestId, with: &Browser<'_>, right: GuestRight) {
    let with = with.actor().user_id().unwrap();
    house.app.guests().share(&Actor::host_console(), id, with, right).await.unwrap();
}

/// Every route with a machine in its address.
fn rows() -> Vec<Info> {
    let all = routes::table().into_iter().map(|r| r.info);
    let rows: Vec<Info> =
        all.filter(|i| i.path.starts_with("/machines/{id}") || i.path.starts_with("/api/v1/guests/{id}")).collect();
    assert!(rows.len() > 20, "only {} routes: the table is read wrongly", rows.len());
    rows
}

fn address(info: &Info, id: &str) -> String {
    let path = info.path.replace("{id}", id).replace("{name}", "probe").replace("{user}", "evelyn");
    let path = path.replace("{action}", "delete").replace("{disk}", "scsi0").replace("{key}", "net0");
    if path.ends_with("history.json") { format!("{path}?range=hour") } else { path }
}

/// A body that fits the operation's description.
fn sample(info: &Info) -> Value {
    let document: Value = serde_json::from_str(openapi::text()).unwrap();
    let operation = &document["paths"][info.path][info.method.as_str().to_lowercase()];
    fitting(&document, &operation["requestBody"]["content"]["application/json"]["schema"], "")
}

fn fitting(document: &Value, schema: &Value, name: &str) -> Value {
    if let Some(place) = schema["$ref"].as_str() {
        return fitting(document, &document["components"]["schemas"][place.rsplit('/').next().unwrap()], name);
    }
    if let Some(parts) = schema["allOf"].as_array() {
        let parts = parts.iter().map(|part| fitting(document, part, name)).filter_map(|part| part.as_object().cloned());
        return Value::Object(parts.flatten().collect());
    }
    for choice in ["oneOf", "anyOf"] {
        if let Some(first) = schema[choice].as_array().and_then(|all| all.iter().find(|s| s["type"] != "null")) {
            return fitting(document, first, name);
        }
    }
    if let Some(one) = schema["enum"].get(0).or(schema.get("const")) {
        return one.clone();
    }
    let kind = schema["type"].as_str().or_else(|| schema["type"][0].as_str());
    match (kind, name) {
        (Some("string"), "action") => json!("reboot"),
        (Some("string"), "right") => json!("manage"),
        (Some("string"), "owner") => json!("evelyn"),
        (Some("string"), _) => json!("probe"),
        (Some("integer" | "number"), _) => schema.get("minimum").cloned().unwrap_or(json!(1)),
        (Some("boolean"), _) => json!(true),
        (Some("array"), _) => json!([]),
        _ => {
            let required: BTreeSet<&str> =
                schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
            let fields = schema["properties"].as_object().into_iter().flatten();
            let filled = fields.filter(|(name, _)| required.contains(name.as_str()));
            Value::Object(filled.map(|(name, s)| (name.clone(), fitting(document, s, name))).collect::<Map<_, _>>())
        }
    }
}

/// The words that a form could hold, for any page.
const TYPED: &str = "action=reboot&sure=yes&confirm=probe&name=probe&login=evelyn&right=manage&owner=evelyn&form=share";

async fn ask(house: &House, who: &mut Browser<'_>, token: &str, info: &Info, id: &str) -> Answer {
    let path = address(info, id);
    if info.door == Door::Api {
        let request = Request::builder()
            .method(info.method.clone())
            .uri(path)
            .header(header::AUTHORIZATION, format!("Bearer {token}"))
            .header(header::CONTENT_TYPE, "application/json")
            .body(Body::from(sample(info).to_string()))
            .unwrap();
        return house.call(request).await;
    }
    if info.method == Method::GET {
        return who.get(&path).await;
    }
    let mut typed = TYPED.to_owned();
    if info.path.ends_with("/unshare") {
        let eve = house.app.people().by_login("evelyn").unwrap().id;
        typed.push_str(&format!("&user={eve}"));
    }
    who.send("/profile", &path, &typed).await
}

/// Without what differs from request to request.
fn plain(answer: &Answer) -> (StatusCode, String) {
    let cut = |text: &str| text.split("instance").next().unwrap_or_default().to_owned();
    let body = if answer.header("content-type").starts_with("text/html") { String::new() } else { cut(&answer.body) };
    (answer.status, body)
}

/// What could be changed: open jobs, owner and shares of the machine.
fn state(house: &House, id: GuestId) -> (Vec<String>, String) {
    let console = Actor::host_console();
    let jobs = house
        .app
        .jobs()
        .open(&console)
        .unwrap()
        .into_iter()
        .filter(|j| j.subject.guest() == Some(id))
        .map(|j| j.kind.hook().to_owned());
    let guest = house.app.guests().get(&console, id).unwrap();
    let shares = house.app.guests().shared(&console, id).unwrap();
    let shares: Vec<_> = shares.into_iter().map(|g| format!("{} {:?}", g.login, g.right)).collect();
    (jobs.collect(), format!("{:?} {shares:?}", guest.row.owner))
}

#[tokio::test(flavor = "multi_thread")]
async fn for_those_without_a_right_a_machine_is_not_there_on_any_route() {
    let (house, cluster) = connected().await;
    let admin = house.admin().await;
    let mira = house.somebody(&admin, "mira", Role::User).await;
    house.somebody(&admin, "evelyn", Role::User).await;
    let mut jon = house.somebody(&admin, "jon", Role::User).await;
    let id = a_machine_of(&house, &mira).await;
    let token = house.token(&jon, Scope::Full).await;
    let before = state(&house, id);
    for info in rows() {
        let there = ask(&house, &mut jon, token.expose(), &info, &id.to_string()).await;
        let nothing = ask(&house, &mut jon, token.expose(), &info, NOTHING).await;
        assert_eq!(plain(&there), plain(&nothing), "{} {}", info.method, info.path);
        assert!(there.status.is_client_error(), "{} {} {}", info.method, info.path, there.status);
    }
    assert_eq!(state(&house, id), before);
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_may_see_changes_nothing_and_who_may_use_only_its_power() {
    let (house, cluster) = connected().await;
    let admin = house.admin().await;
    let mira = house.somebody(&admin, "mira", Role::User).await;
    let eve = house.somebody(&admin, "evelyn", Role::User).await;
    for (login, right) in [("jon", GuestRight::See), ("ada", GuestRight::Use)] {
        let mut person = house.somebody(&admin, login, Role::User).await;
        let id = a_machine_of(&house, &mira).await;
        share(&house, id, &person, right).await;
        share(&house, id, &eve, GuestRight::See).await;
        let token = house.token(&person, Scope::Full).await;
        let before = state(&house, id);
        for info in rows() {
            let answer = ask(&house, &mut person, token.expose(), &info, &id.to_string()).await;
            let named = format!("{login}: {} {} {} {}", info.method, info.path, answer.status, answer.body);
            let whole = ["/machines/{id}", "/machines/{id}/history", "/machines/{id}/access", "/api/v1/guests/{id}"];
            if info.method == Method::GET && whole.contains(&info.path) {
                assert_eq!(answer.status, StatusCode::OK, "{named}");
                assert!(!answer.body.contains("evelyn"), "it tells with whom else it is shared: {named}");
            }
            if info.method == Method::GET && info.path.contains("/grants") {
                assert_eq!(answer.status, StatusCode::FORBIDDEN, "{named}");
            }
            let after = state(&house, id);
            assert_eq!(after.1, before.1, "{named}");
            let power = |hook: &String| hook == "guest_power";
            let fine = if right == GuestRight::See { after.0.is_empty() } else { after.0.iter().all(power) };
            assert!(fine, "{named}: {:?}", after.0);
        }
        // Somebody who may use it did get to its power: the walk asked for that once.
        let asked = state(&house, id).0;
        assert_eq!(asked.is_empty(), right == GuestRight::See, "{login}: {asked:?}");
    }
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_manages_it_is_refused_nowhere_but_may_not_hand_it_over() {
    let (house, cluster) = connected().await;
    let admin = house.admin().await;
    let mira = house.somebody(&admin, "mira", Role::User).await;
    house.somebody(&admin, "evelyn", Role::User).await;
    let mut jon = house.somebody(&admin, "jon", Role::User).await;
    let token = house.token(&jon, Scope::Full).await;
    let id = a_machine_of(&house, &mira).await;
    share(&house, id, &jon, GuestRight::Manage).await;
    for info in rows() {
        let answer = ask(&house, &mut jon, token.expose(), &info, &id.to_string()).await;
        let handing_over = info.path.ends_with("/owner");
        assert_eq!(
            answer.status == StatusCode::FORBIDDEN,
            handing_over,
            "{} {} {} {}",
            info.method,
            info.path,
            answer.status,
            answer.body
        );
        // Sharing by the page and by REST both went to evelyn.
        if info.method == Method::PUT && info.path.contains("/grants") {
            assert_eq!(house.app.guests().shared(&jon.actor(), id).unwrap().len(), 2);
        }
    }
    let owner = house.app.guests().get(&jon.actor(), id).unwrap().row.owner;
    assert_eq!(owner, mira.actor().user_id());
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_narrows_what_was_shared() {
    let (house, cluster) = connected().await;
    let admin = house.admin().await;
    let mira = house.somebody(&admin, "mira", Role::User).await;
    let jon = house.somebody(&admin, "jon", Role::User).await;
    let id = a_machine_of(&house, &mira).await;
    share(&house, id, &jon, GuestRight::Manage).await;
    let call = async |token: &str, method: Method, path: String, body: &str| {
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header(header::AUTHORIZATION, format!("Bearer {token}"))
            .header(header::CONTENT_TYPE, "application/json")
            .body(Body::from(body.to_owned()))
            .unwrap();
        house.call(request).await
    };
    let reading = house.token(&jon, Scope::Read).await;
    let acting = house.token(&jon, Scope::Operate).await;
    let (guest, grants) = (format!("/api/v1/guests/{id}"), format!("/api/v1/guests/{id}/grants"));
    let shown = call(reading.expose(), Method::GET, guest.clone(), "").await;
    assert_eq!((shown.status, shown.json()["right"].as_str()), (StatusCode::OK, Some("manage")));
    assert_eq!(call(reading.expose(), Method::GET, grants.clone(), "").await.status, StatusCode::OK);
    let power = format!("{guest}/power");
    let reboot = r#"{"action":"reboot"}"#;
    assert_eq!(call(reading.expose(), Method::POST, power.clone(), reboot).await.status, StatusCode::FORBIDDEN);
    let jons = format!("{grants}/jon");
    let lower = r#"{"right":"see"}"#;
    assert_eq!(call(acting.expose(), Method::PUT, jons.clone(), lower).await.status, StatusCode::FORBIDDEN);
    assert_eq!(call(acting.expose(), Method::DELETE, jons, "").await.status, StatusCode::FORBIDDEN);
    assert_eq!(call(acting.expose(), Method::POST, power, reboot).await.status, StatusCode::ACCEPTED);
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn taking_it_back_counts_at_once_also_for_their_own_jobs_and_lists() {
    let (house, cluster) = connected().await;
    let admin = house.admin().await;
    let mira = house.somebody(&admin, "mira", Role::User).await;
    let mut jon = house.somebody(&admin, "jon", Role::User).await;
    let id = a_machine_of(&house, &mira).await;
    let name = house.app.guests().get(&mira.actor(), id).unwrap().state.name.clone();
    assert!(!jon.get("/machines").await.body.contains(&name));
    share(&house, id, &jon, GuestRight::Use).await;
    // A person who is inside already: what was given and taken counts for them without a new sign-in.
    let long_lived = jon.actor();
    assert!(jon.get("/machines").await.body.contains(&name), "kept from before");
    assert!(jon.get("/search.json?q=").await.body.contains(&id.to_string()));
    let asked = jon.send("/profile", &format!("/machines/{id}/power"), "action=reboot&sure=yes").await;
    assert_eq!(asked.status, StatusCode::SEE_OTHER, "{}", asked.body);
    let job = house.app.jobs().open(&long_lived).unwrap().remove(0).id;
    assert_eq!(jon.get(&format!("/jobs/{job}")).await.status, StatusCode::OK);

    let mira_actor = mira.actor();
    house.app.guests().unshare(&mira_actor, id, long_lived.user_id().unwrap()).await.unwrap();
    assert!(house.app.guests().get(&long_lived, id).is_err());
    assert!(house.app.jobs().get(&long_lived, job).is_err());
    assert!(house.app.jobs().cancel(&long_lived, job).await.is_err());
    for path in [format!("/machines/{id}"), format!("/jobs/{job}"), format!("/api/v1/guests/{id}")] {
        assert_eq!(jon.get(&path).await.status, StatusCode::NOT_FOUND, "{path}");
    }
    assert!(!jon.get("/machines").await.body.contains(&name));
    assert!(!jon.get("/search.json?q=").await.body.contains(&id.to_string()));
    let told = house.app.audit().page(&admin.actor(), "action:guest.", None, 10).unwrap().entries;
    let actions: Vec<&str> = told.iter().map(|e| e.record.action.as_str()).collect();
    assert!(actions.contains(&"guest.share") && actions.contains(&"guest.unshare"), "{actions:?}");
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_shared_goes_with_the_person_and_stays_over_a_restart_of_the_index() {
    let (house, cluster) = connected().await;
    let admin = house.admin().await;
    let mira = house.somebody(&admin, "mira", Role::User).await;
    let mut jon = house.somebody(&admin, "jon", Role::User).await;
    let id = a_machine_of(&house, &mira).await;
    share(&house, id, &jon, GuestRight::See).await;
    // Given back by themselves, through the page.
    let back =
        jon.send(&format!("/machines/{id}/access"), &format!("/machines/{id}/unshare"), "go=back&sure=yes").await;
    assert_eq!((back.status, back.header("location")), (StatusCode::SEE_OTHER, "/machines"));
    assert!(house.app.guests().shared(&mira.actor(), id).unwrap().is_empty());
    share(&house, id, &jon, GuestRight::See).await;
    house.app.users().delete(&admin.actor(), jon.actor().user_id().unwrap()).await.unwrap();
    assert!(house.app.guests().shared(&mira.actor(), id).unwrap().is_empty());
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_owner_hands_a_machine_over_and_may_keep_a_part_of_it() {
    let (house, cluster) = connected().await;
    let admin = house.admin().await;
    let mut mira = house.somebody(&admin, "mira", Role::User).await;
    let jon = house.somebody(&admin, "jon", Role::User).await;
    let id = a_machine_of(&house, &mira).await;
    let page = format!("/machines/{id}/access");
    let wrong = mira.send(&page, &format!("/machines/{id}/owner"), "form=owner&owner=nobody-here&sure=yes").await;
    assert_eq!(wrong.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert!(wrong.body.contains("There is nobody with this login."), "{}", wrong.body);
    let to_nobody = house.app.guests().set_owner(&mira.actor(), id, None, None).await;
    assert!(to_nobody.is_err(), "only admins may leave a machine to nobody");
    let done = mira.send(&page, &format!("/machines/{id}/owner"), "form=owner&owner=jon&keep=use&sure=yes").await;
    assert_eq!(done.status, StatusCode::SEE_OTHER, "{}", done.body);
    let guests = house.app.guests();
    let row = &guests.get(&jon.actor(), id).unwrap().row;
    assert_eq!(row.owner, jon.actor().user_id());
    assert_eq!(mira.actor().guest_right(row), Some(GuestRight::Use));
    cluster.stop().await;
}
