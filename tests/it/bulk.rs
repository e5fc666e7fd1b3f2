//! One request for several machines: each is judged by itself, by REST and on the page.

use crate::house::{Answer, Browser, House};
use crate::sharing::{connected, share};
use app::Actor;
use axum::body::Body;
use base::ids::GuestId;
use http::{Method, Request, StatusCode, header};
use model::access::GuestRight;
use model::sessions::Scope;
use model::users::Role;
use serde_json::{Value, json};

/// Machines of these people, one each, whatever their state.
async fn machines_of(house: &House, owners: &[&Browser<'_>]) -> Vec<GuestId> {
    let console = Actor::host_console();
    let all = house.app.guests().list(&console, "kind:vm -is:template");
    assert!(all.len() >= owners.len(), "only {} machines", all.len());
    let mut out = Vec::new();
    for (guest, owner) in all.iter().zip(owners) {
        house.app.guests().set_owner(&console, guest.row.id, owner.actor().user_id(), None).await.unwrap();
        out.push(guest.row.id);
    }
    out
}

async fn post(house: &House, token: &str, body: &Value) -> Answer {
    let request = Request::builder()
        .method(Method::POST)
        .uri("/api/v1/guests/bulk")
        .header(header::AUTHORIZATION, format!("Bearer {token}"))
        .header(header::CONTENT_TYPE, "application/json");
    house.call(request.body(Body::from(body.to_string())).unwrap()).await
}

fn open(house: &House) -> Vec<(GuestId, String)> {
    let open = house
        .app
        .jobs()
        .all_open()
        .unwrap()
        .into_iter()
        .filter_map(|j| Some((j.subject.guest()?, j.kind.hook().to_owned())));
    open.collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn each_machine_is_judged_by_itself_and_a_stranger_stays_unnamed() {
    let (house, cluster) = connected().await;
    let admin = house.admin().await;
    let mira = house.somebody(&admin, "mira", Role::User).await;
    let jon = house.somebody(&admin, "jon", Role::User).await;
    let ada = house.somebody(&admin, "ada", Role::User).await;
    let ids = machines_of(&house, &[&jon, &mira, &mira, &mira]).await;
    let (own, managed, seen, hidden) = (ids[0], ids[1], ids[2], ids[3]);
    share(&house, managed, &jon, GuestRight::Manage).await;
    share(&house, seen, &jon, GuestRight::See).await;
    let secret = house.app.guests().get(&mira.actor(), hidden).unwrap().state.name.clone();
    let token = house.token(&jon, Scope::Full).await;
    let all: Vec<String> = ids.iter().chain(&[own]).map(GuestId::to_string).collect();
    let ask = async |action: Value, check: bool| {
        let answer = post(&house, token.expose(), &json!({ "guests": all, "action": action, "check": check })).await;
        assert!(!answer.body.contains(&secret), "{}", answer.body);
        answer
    };
    let why = |answer: &Value, id: GuestId| {
        let refused = answer["refused"].as_array().unwrap().iter().find(|r| r["guest"] == id.to_string());
        refused.map(|r| r["why"].as_str().unwrap().to_owned())
    };

    // A check changes nothing and says what would be refused.
    let snapshot = json!({ "action": "snapshot", "name": "before" });
    let checked = ask(snapshot.clone(), true).await;
    assert_eq!(checked.status, StatusCode::OK, "{}", checked.body);
    let checked = checked.json();
    assert_eq!(checked["guests"].as_array().unwrap().len(), 2, "{checked:#}");
    assert_eq!(why(&checked, seen).unwrap(), "You may not change this machine.");
    assert_eq!(why(&checked, hidden).unwrap(), "This machine does not exist.");
    assert!(open(&house).is_empty());
    let deleting = ask(json!({ "action": "delete" }), true).await.json();
    assert!(deleting["impact"]["hits"].to_string().contains("Their disks, "), "{deleting:#}");

    // What is wrong with the request itself stops the whole.
    let wrong = ask(json!({ "action": "snapshot", "name": "1st" }), false).await;
    assert_eq!((wrong.status, wrong.json()["errors"]["name"].is_string()), (StatusCode::UNPROCESSABLE_ENTITY, true));
    let nothing = post(&house, token.expose(), &json!({ "guests": [], "action": snapshot })).await;
    assert_eq!(nothing.status, StatusCode::UNPROCESSABLE_ENTITY);
    let reading = house.token(&jon, Scope::Read).await;
    let refused = post(&house, reading.expose(), &json!({ "guests": all, "action": snapshot })).await;
    assert_eq!(refused.status, StatusCode::FORBIDDEN);

    // Nobody gets it who is not there, and what is no id spoils nothing.
    let nobody = ask(json!({ "action": "give", "owner": "no-such-person" }), true).await.json();
    assert_eq!((&nobody["guests"], why(&nobody, own)), (&json!([]), Some("There is nobody with this login.".into())));
    let mixed = json!({ "guests": ["zz", own.to_string()], "action": snapshot, "check": true });
    let mixed = post(&house, token.expose(), &mixed).await.json();
    assert_eq!(mixed["guests"], json!([own.to_string()]), "{mixed:#}");
    assert_eq!(mixed["refused"][0], json!({ "guest": "zz", "name": "zz", "why": "This is not the id of a machine." }));
    let odd = post(&house, token.expose(), &json!({ "guests": ["zz"], "action": snapshot })).await;
    assert_eq!((odd.status, odd.json()["errors"]["zz"].is_string()), (StatusCode::CONFLICT, true), "{}", odd.body);

    // Only the owner hands a machine over.
    let given = ask(json!({ "action": "give", "owner": "ada", "keep": "manage" }), false).await;
    assert_eq!(given.status, StatusCode::ACCEPTED, "{}", given.body);
    let given = given.json();
    assert_eq!(given["guests"], json!([own.to_string()]), "{given:#}");
    assert!(why(&given, managed).unwrap().starts_with("Only its owner"), "{given:#}");
    assert_eq!(house.app.guests().get(&jon.actor(), own).unwrap().row.owner, ada.actor().user_id());

    // One job for each of the others, and the second time they are busy.
    let asked = ask(snapshot.clone(), false).await.json();
    assert_eq!(asked["jobs"].as_array().unwrap().len(), 2, "{asked:#}");
    let mut jobs = open(&house);
    jobs.sort();
    let mut wanted = vec![(own, "guest_snapshot".to_owned()), (managed, "guest_snapshot".to_owned())];
    wanted.sort();
    assert_eq!(jobs, wanted);
    let again = ask(json!({ "action": "tags", "add": ["prod"] }), false).await;
    assert_eq!(again.status, StatusCode::CONFLICT, "{}", again.body);
    let name = house.app.guests().get(&jon.actor(), own).unwrap().state.name.clone();
    let sentence = again.json()["errors"][&name].as_str().unwrap().to_owned();
    assert!(sentence.contains("is working on this machine now"), "{}", again.body);
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn many_are_deleted_only_when_their_number_is_typed() {
    let (house, cluster) = connected().await;
    let mut admin = house.admin().await;
    let all = house.app.guests().list(&admin.actor(), "kind:vm -is:template");
    let (a, b) = (&all[0], &all[1]);
    let chosen = format!("action=delete&id={}&id={}", a.row.id, b.row.id);
    let look = admin.send("/machines", "/machines/bulk", &chosen).await;
    assert_eq!(look.status, StatusCode::OK, "{}", look.body);
    assert!(look.body.contains("Delete 2 machines") && look.body.contains(&a.state.name), "{}", look.body);
    assert!(look.body.contains("Their disks, "), "{}", look.body);
    let wrong = admin.send("/machines", "/machines/bulk", &format!("{chosen}&sure=yes&confirm=1")).await;
    assert_eq!(wrong.status, StatusCode::UNPROCESSABLE_ENTITY, "{}", wrong.body);
    assert!(wrong.body.contains("Type how many machines are deleted: 2."), "{}", wrong.body);
    assert!(open(&house).is_empty());
    let done = admin.send("/machines", "/machines/bulk", &format!("{chosen}&sure=yes&confirm=2")).await;
    assert_eq!((done.status, done.header("location")), (StatusCode::SEE_OTHER, "/jobs"), "{}", done.body);
    let jobs = open(&house);
    assert!(jobs.len() == 2 && jobs.iter().all(|(_, hook)| hook == "guest_delete"), "{jobs:?}");
    // Nothing chosen, and a word that is none.
    let none = admin.send("/machines", "/machines/bulk", "action=delete").await;
    assert_eq!((none.status, none.header("location")), (StatusCode::SEE_OTHER, "/machines"));
    let odd = admin.send("/machines", "/machines/bulk", &format!("action=explode&id={}", a.row.id)).await;
    assert_eq!((odd.status, odd.header("location")), (StatusCode::SEE_OTHER, "/machines"));
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hung_machine_is_reset_from_everywhere_and_its_loss_is_said_before() {
    let (house, cluster) = connected().await;
    let mut admin = house.admin().await;
    let all = house.app.guests().list(&admin.actor(), "kind:vm -is:template status:running");
    let container = house.app.guests().list(&admin.actor(), "kind:container -is:template status:running");
    let (a, b, c) = (all[0].row.id, all[1].row.id, container[0].row.id);
    // The page's menu has it, and asks each time.
    let page = admin.get(&format!("/machines/{a}")).await;
    assert!(page.body.contains(r#"name="action" value="reset""#), "{}", page.body);
    let power = format!("/machines/{a}/power");
    let asked = admin.send("/machines", &power, "action=reset").await;
    assert_eq!(asked.header("location"), format!("{power}?action=reset"), "{}", asked.body);
    let question = admin.get(asked.header("location")).await;
    assert!(
        question.body.contains("This is like its reset button: what it has not saved is lost."),
        "{}",
        question.body
    );
    assert!(open(&house).is_empty());
    let done = admin.send("/machines", &power, "action=reset&sure=yes").await;
    assert_eq!(done.status, StatusCode::SEE_OTHER, "{}", done.body);
    assert_eq!(open(&house), [(a, "guest_power".to_owned())]);
    // Several by REST: a container has no reset button.
    let token = house.token(&admin, Scope::Full).await;
    let body = |check: bool| json!({ "guests": [b, c], "action": { "action": "reset" }, "check": check });
    let checked = post(&house, token.expose(), &body(true)).await.json();
    assert_eq!((&checked["guests"], &checked["refused"][0]["guest"]), (&json!([b]), &json!(c)), "{checked:#}");
    assert!(checked["impact"].to_string().contains("like the reset button"), "{checked:#}");
    assert_eq!(post(&house, token.expose(), &body(false)).await.status, StatusCode::ACCEPTED);
    let job = house.app.jobs().all_open().unwrap().into_iter().find(|j| j.subject.guest() == Some(b)).unwrap();
    assert_eq!(
        (&job.kind.args(job.id)["action"], job.title),
        (&json!("reset"), format!("Reset {}", all[1].state.name))
    );
    cluster.stop().await;
}
