//! Connections whose cluster changed meanwhile: the token was deleted, the certificate is another one, the cluster is
//! connected already or was forgotten.

use crate::house::{Browser, House};
use crate::sharing::{a_machine_of, connected, share};
use app::Actor;
use app::connections::access::{AccessWay, Added, NewAccess, NewConnection};
use base::Secret;
use base::ids::ConnectionId;
use http::StatusCode;
use model::access::GuestRight;
use model::connections::Reach;
use model::users::Role;
use remote::pve::{self, Ticket, Trust};
use serde_json::Value;
use sim::{Away, Fault, Sim};

fn only(house: &House) -> ConnectionId {
    let all = house.app.connections().list(&Actor::host_console()).unwrap();
    assert_eq!(all.len(), 1, "{all:?}");
    all[0].id
}

fn page_of(id: ConnectionId) -> String {
    format!("/settings/connections/{id}")
}

fn is_here(house: &House) -> bool {
    let view = house.app.connections().get(&Actor::host_console(), only(house)).unwrap();
    matches!(view.reach, Reach::Here { .. })
}

/// Root's own session on the cluster.
async fn root(cluster: &Sim, fingerprint: [u8; 32]) -> Ticket {
    let trust = Trust::Fingerprints(vec![fingerprint]);
    pve::login(&cluster.url, &trust, "root@pam", &cluster.root_password, None).await.unwrap()
}

fn login(cluster: &Sim) -> NewAccess {
    NewAccess {
        way: AccessWay::Login,
        user: "root@pam".into(),
        password: cluster.root_password.clone(),
        otp: None,
        token_id: String::new(),
        token_secret: Secret::default(),
    }
}

fn encoded(pairs: &[(&str, &str)]) -> String {
    url::form_urlencoded::Serializer::new(String::new()).extend_pairs(pairs).finish()
}

/// What the address shows now, as hex.
async fn shown(cluster: &Sim) -> String {
    pve::fetch_certificate(&cluster.url).await.unwrap().fingerprint()
}

async fn text_of(browser: &mut Browser<'_>, path: &str) -> String {
    let answer = browser.get(path).await;
    assert_eq!(answer.status, StatusCode::OK, "{}", answer.body);
    answer.body
}

const ALL_RIGHTS: &str = "has all the rights";

#[tokio::test(flavor = "multi_thread")]
async fn a_token_that_was_deleted_is_renewed_in_place_and_owners_stay() {
    let (house, cluster) = connected().await;
    let mut admin = house.admin().await;
    let jon = house.somebody(&admin, "jon", Role::User).await;
    let (id, machine) = (only(&house), a_machine_of(&house, &jon).await);
    let page = page_of(id);
    assert!(text_of(&mut admin, &page).await.contains(ALL_RIGHTS));
    let root = root(&cluster, cluster.fingerprint).await;
    root.call("DELETE", "/access/users/steward@pve/token/appliance", &Value::Null).await.unwrap();
    house.app.inventory().look().await;
    assert!(!is_here(&house));
    let body = text_of(&mut admin, &page).await;
    assert!(!body.contains(ALL_RIGHTS) && body.contains("token") && body.contains("Give it a new token"), "{body}");

    // A wrong password: beside the field, and never shown again.
    let wrong = encoded(&[("way", "login"), ("user", "root@pam"), ("password", "not-this-one")]);
    let refused = admin.send(&page, &format!("{page}/token"), &wrong).await;
    assert_eq!(refused.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert!(refused.body.contains("does not accept this user name") && !refused.body.contains("not-this-one"));
    // One login makes a new one; nothing is deleted that was never there.
    cluster.faults().clear();
    let form = encoded(&[("way", "login"), ("user", "root@pam"), ("password", cluster.root_password.expose())]);
    let renewed = admin.send(&page, &format!("{page}/token"), &form).await;
    assert_eq!(renewed.status, StatusCode::SEE_OTHER, "{}", renewed.body);
    assert!(is_here(&house) && only(&house) == id);
    assert!(text_of(&mut admin, &page).await.contains(ALL_RIGHTS));
    let deleted = |w: &(String, String)| w.0 == "DELETE";
    assert!(!cluster.faults().writes().iter().any(deleted), "{:?}", cluster.faults().writes());
    let guest = house.app.guests().get(&Actor::host_console(), machine).unwrap();
    assert_eq!((guest.row.owner, guest.row.connection), (jon.actor().user_id(), id));

    // By REST, with a token that somebody made; a secret that is wrong changes nothing.
    let made = root.call("POST", "/access/users/steward@pve/token/by-hand", &serde_json::json!({ "privsep": 0 })).await;
    let secret = made.unwrap()["value"].as_str().unwrap().to_owned();
    let bearer = house.token(&admin, model::sessions::Scope::Full).await;
    for (secret, status) in [("wrong", StatusCode::UNPROCESSABLE_ENTITY), (secret.as_str(), StatusCode::OK)] {
        let body = serde_json::json!({ "way": "token", "token_id": "steward@pve!by-hand", "token_secret": secret });
        let request = http::Request::post(format!("/api/v1/connections/{id}/token"))
            .header("authorization", format!("Bearer {}", bearer.expose()))
            .header("content-type", "application/json")
            .body(axum::body::Body::from(body.to_string()));
        let answer = house.call(request.unwrap()).await;
        assert_eq!(answer.status, status, "{}", answer.body);
    }
    let view = house.app.connections().get(&Actor::host_console(), id).unwrap();
    assert_eq!(view.token_id, "steward@pve!by-hand");
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cluster_that_is_connected_already_is_offered_instead_of_a_second_one() {
    let (house, cluster) = connected().await;
    let mut admin = house.admin().await;
    let id = only(&house);
    // By its certificate, at the first step.
    let form = encoded(&[("step", "address"), ("go", "next"), ("address", &cluster.url), ("name", "Again")]);
    let offered = admin.send("/settings/connections/new", "/settings/connections/new", &form).await;
    assert!(offered.body.contains("connected already") && offered.body.contains(&page_of(id)), "{}", offered.body);
    // By its own CA, whatever address and certificate it has: nothing is made there.
    cluster.faults().set(Fault::NewCertificate(true)).await.unwrap();
    cluster.faults().clear();
    let again = NewConnection {
        name: "Again".into(),
        address: cluster.url.replace("127.0.0.1", "localhost"),
        fingerprint: shown(&cluster).await,
    };
    let added = house.app.connections().add(&admin.actor(), again, login(&cluster)).await.unwrap();
    assert_eq!(added, Added::Known(id));
    assert!(cluster.faults().writes().iter().all(|w| w.1 == "/access/ticket"), "{:?}", cluster.faults().writes());
    only(&house);
    // Another cluster at that address is another one.
    let other = crate::appliance::cluster(0.1).await;
    let new = NewConnection { name: "Other".into(), address: other.url.clone(), fingerprint: shown(&other).await };
    assert!(matches!(house.app.connections().add(&admin.actor(), new, login(&other)).await, Ok(Added::New(_))));
    cluster.stop().await;
    other.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn machines_of_a_cluster_that_comes_back_have_their_owners_and_shares_again() {
    let (house, cluster) = connected().await;
    let admin = house.admin().await;
    let jon = house.somebody(&admin, "jon", Role::User).await;
    let eve = house.somebody(&admin, "eve", Role::User).await;
    let (id, console) = (only(&house), Actor::host_console());
    let machine = a_machine_of(&house, &jon).await;
    share(&house, machine, &eve, GuestRight::Use).await;
    let other = a_machine_of(&house, &jon).await;
    let vmid = house.app.guests().get(&console, other).unwrap().row.vmid.unwrap();
    house.app.connections().remove(&console, id).await.unwrap();
    assert!(house.app.guests().list(&console, "").is_empty());
    // Meanwhile one number was given to another machine.
    cluster.faults().set_config(vmid, "name", "somebody-elses");
    tokio::time::sleep(std::time::Duration::from_millis(1500)).await;
    let new = NewConnection { name: "Back".into(), address: cluster.url.clone(), fingerprint: shown(&cluster).await };
    let Added::New(back) = house.app.connections().add(&console, new, login(&cluster)).await.unwrap() else { panic!() };
    house.app.inventory().look().await;
    let guest = house.app.guests().get(&eve.actor(), machine).unwrap();
    assert_eq!((guest.row.owner, guest.row.connection), (jon.actor().user_id(), back));
    assert_eq!(house.app.grants().right(machine, eve.actor().user_id().unwrap()), Some(GuestRight::Use));
    let reused = house.app.guests().list(&console, "name:somebody-elses");
    assert_eq!(reused.iter().map(|g| g.row.owner).collect::<Vec<_>>(), [None]);
    assert_eq!(house.app.guests().list(&jon.actor(), "").len(), 1);
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn another_certificate_is_shown_beside_the_accepted_one_and_can_be_accepted() {
    let (house, cluster) = connected().await;
    let mut admin = house.admin().await;
    let (id, before) = (only(&house), shown(&cluster).await);
    let page = page_of(id);
    cluster.faults().set(Fault::NewCertificate(true)).await.unwrap();
    let now = shown(&cluster).await;
    // Connections that are open go on; Steward's are closed after four quiet seconds.
    tokio::time::sleep(std::time::Duration::from_secs(5)).await;
    house.app.inventory().look().await;
    let body = text_of(&mut admin, &page).await;
    assert!(body.contains(&before) && body.contains(&now) && body.contains("It matches, accept it"), "{body}");
    assert!(!body.contains(ALL_RIGHTS));
    let form = encoded(&[("fingerprint", &now)]);
    let accepted = admin.send(&page, &format!("{page}/certificate"), &form).await;
    assert_eq!(accepted.status, StatusCode::SEE_OTHER, "{}", accepted.body);
    assert!(is_here(&house));
    let body = text_of(&mut admin, &page).await;
    assert!(body.contains(ALL_RIGHTS) && !body.contains(&before) && !body.contains("It matches, accept it"));
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_said_of_rights_that_could_not_be_looked_at() {
    let (house, cluster) = connected().await;
    let mut admin = house.admin().await;
    let page = page_of(only(&house));
    // It was here at the last look, and is away since.
    for away in [Away::Refuse, Away::Reset] {
        cluster.faults().away(away);
        let body = text_of(&mut admin, &page).await;
        assert!(!body.contains(ALL_RIGHTS), "{body}");
        let why = if away == Away::Refuse { "connection refused" } else { "closes connections at once" };
        assert!(body.contains("does not answer") && body.contains(why), "{body}");
    }
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_first_page_after_connecting_shows_what_was_found() {
    let (house, cluster) = (House::new(), crate::appliance::cluster(0.1).await);
    let mut admin = house.admin().await;
    let fingerprint = shown(&cluster).await;
    let form = encoded(&[
        ("step", "access"),
        ("go", "next"),
        ("address", &cluster.url),
        ("name", "Home"),
        ("fingerprint", &fingerprint),
        ("way", "login"),
        ("user", "root@pam"),
        ("password", cluster.root_password.expose()),
    ]);
    let made = admin.send("/settings/connections/new", "/settings/connections/new", &form).await;
    assert_eq!(made.status, StatusCode::SEE_OTHER, "{}", made.body);
    let body = text_of(&mut admin, &page_of(only(&house))).await;
    for there in ["8 machines on 2 nodes", "name=\"nodes\" value=\"pve1\"", "name=\"templates\"", "name=\"storages\""] {
        assert!(body.contains(there), "{there}: {body}");
    }
    assert!(!body.contains("not asked yet"));
    // What takes no disks is said to.
    cluster.faults().set_content("local", "iso,vztmpl,import");
    house.app.inventory().look().await;
    let body = text_of(&mut admin, &page_of(only(&house))).await;
    assert!(body.contains("local, only images for templates"), "{body}");
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dead_pvestatd_is_said_and_takes_neither_names_nor_acts() {
    use model::guests::actions::{Reboot, Start};
    let house = House::new();
    let options = sim::Options { nodes: 2, guests: 8, time_scale: 0.01, ..sim::Options::default() };
    web::install_crypto();
    let cluster = sim::start(options).await.unwrap();
    let console = Actor::host_console();
    house.app.connections().add_known(&console, crate::appliance::connection(&cluster)).await.unwrap();
    let mut admin = house.admin().await;
    let look = async || {
        // Figures that are measured move on.
        tokio::time::sleep(std::time::Duration::from_millis(1200)).await;
        house.clock.advance(std::time::Duration::from_secs(61));
        house.app.inventory().look().await;
    };
    house.app.inventory().look().await;
    look().await;
    assert!(!text_of(&mut admin, "/").await.contains("does not report"));
    let names = || {
        let mut all = house.app.guests().list(&console, "");
        all.sort_by_key(|g| g.row.vmid);
        all.iter().map(|g| (g.row.vmid, g.state.name.clone(), g.state.template)).collect::<Vec<_>>()
    };
    let before = names();
    cluster.faults().set(Fault::Pvestatd { node: "pve1".into(), dead: true }).await.unwrap();
    // First it looks as ever, only that nothing moves.
    look().await;
    look().await;
    let page = page_of(only(&house));
    for path in ["/", page.as_str()] {
        let body = text_of(&mut admin, path).await;
        assert!(body.contains("pvestatd on pve1") && body.contains("systemctl restart pvestatd"), "{path}: {body}");
        assert!(!body.contains("pvestatd on pve2"), "{path}");
    }
    // After five minutes nothing is known: names and templates stay, and it is no node that is away.
    tokio::time::sleep(std::time::Duration::from_millis(3500)).await;
    look().await;
    let unknown = house.app.guests().list(&console, "node:pve1 -is:template");
    assert!(unknown.iter().all(|g| g.state.status == "unknown") && !unknown.is_empty());
    assert_eq!(names(), before);
    let body = text_of(&mut admin, "/").await;
    assert!(body.contains("pvestatd on pve1 does not report") && !body.contains("Node pve1 is"), "{body}");
    // What is asked for is decided by the machine's own state.
    let machine = unknown[0].row.id;
    house.app.guests().request_action(&console, machine, Start {}).await.unwrap();
    house.app.guests().request_action(&console, unknown[1].row.id, Reboot {}).await.unwrap();
    cluster.faults().set(Fault::Pvestatd { node: "pve1".into(), dead: false }).await.unwrap();
    look().await;
    assert!(!text_of(&mut admin, "/").await.contains("does not report"));
    cluster.stop().await;
}
