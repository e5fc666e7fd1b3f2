//! `/events`: what open pages hear.

use crate::house::{Browser, House};
use app::Actor;
use axum::body::BodyDataStream;
use axum::extract::ConnectInfo;
use futures_util::StreamExt;
use http::{Method, StatusCode, header};
use model::users::Role;
use std::net::SocketAddr;
use std::time::Duration;
use tower::ServiceExt;

/// An open stream, read message by message.
struct Stream {
    body: BodyDataStream,
    rest: String,
}

impl Stream {
    async fn open(house: &House, browser: &Browser<'_>, path: &str, last: Option<u64>) -> Self {
        let mut request = browser.request(Method::GET, path);
        if let Some(last) = last {
            request = request.header("last-event-id", last.to_string());
        }
        let mut request = request.body(axum::body::Body::empty()).unwrap();
        request.extensions_mut().insert(ConnectInfo(SocketAddr::from(([192, 0, 2, 1], 4711))));
        let response = house.router.clone().oneshot(request).await.unwrap();
        assert_eq!(response.status(), StatusCode::OK);
        assert_eq!(response.headers()[header::CONTENT_TYPE], "text/event-stream");
        Self { body: response.into_body().into_data_stream(), rest: String::new() }
    }

    /// The next message, or `None` when the stream ended. Panics after 8 quiet seconds.
    async fn next(&mut self) -> Option<String> {
        loop {
            if let Some((message, rest)) = self.rest.split_once("\n\n") {
                let message = message.to_owned();
                self.rest = rest.to_owned();
                return Some(message);
            }
            let piece = tokio::time::timeout(Duration::from_secs(8), self.body.next()).await.unwrap();
            self.rest.push_str(std::str::from_utf8(&piece?.unwrap()).unwrap());
        }
    }

    /// The next message of this name.
    async fn named(&mut self, name: &str) -> String {
        self.next_with(name, "").await
    }

    /// The next change of a subject of this kind.
    async fn change(&mut self, kind: &str) -> String {
        self.next_with("change", &format!("\"kind\":\"{kind}\"")).await
    }

    async fn next_with(&mut self, name: &str, text: &str) -> String {
        loop {
            let message = self.next().await.unwrap_or_else(|| panic!("the stream ended before {name} {text}"));
            if message.contains(&format!("event: {name}\n")) && message.contains(text) {
                return message;
            }
        }
    }
}

fn number(message: &str) -> u64 {
    message.lines().find_map(|l| l.strip_prefix("id: ")).unwrap().parse().unwrap()
}

#[tokio::test]
async fn a_change_is_heard_and_after_a_cut_nothing_is_missed() {
    let house = House::new();
    let mut admin = house.admin().await;
    let mut stream = Stream::open(&house, &admin, "/events", None).await;
    assert!(stream.named("health").await.contains("\"level\":\"warn\""));
    house.somebody(&admin, "mira", Role::User).await;
    let heard = number(&stream.change("users").await);
    drop(stream);
    admin.send("/users/new", "/users/new", "login=jon&name=&email=&role=user").await;
    let mut again = Stream::open(&house, &admin, "/events", Some(heard)).await;
    assert!(number(&again.change("users").await) > heard);
}

#[tokio::test]
async fn what_is_for_admins_is_not_heard_by_others() {
    let house = House::new();
    let admin = house.admin().await;
    let mira = house.somebody(&admin, "mira", Role::User).await;
    let mut stream = Stream::open(&house, &mira, "/events?after=0", None).await;
    house.somebody(&admin, "jon", Role::User).await;
    // The heartbeat and the session's check come meanwhile, an event must not.
    tokio::time::sleep(Duration::from_millis(300)).await;
    let quiet = tokio::time::timeout(Duration::from_millis(200), stream.change("users")).await;
    assert!(quiet.is_err());
}

#[tokio::test]
async fn a_revoked_session_hears_no_more() {
    let house = House::new();
    let mut admin = house.admin().await;
    let mut stream = Stream::open(&house, &admin, "/events", None).await;
    stream.named("health").await;
    admin.send("/profile", "/sign-out", "").await;
    while stream.next().await.is_some() {}
}

#[tokio::test(flavor = "multi_thread")]
async fn an_open_page_hears_of_a_machine_from_the_share_on_until_it_is_taken_back() {
    let (house, cluster) = crate::sharing::connected().await;
    let admin = house.admin().await;
    let jon = house.somebody(&admin, "jon", Role::User).await;
    let (root, me) = (admin.actor(), jon.actor().user_id().unwrap());
    let guests = house.app.guests();
    let machine = guests.list(&root, "status:running").first().unwrap().row.id;
    let mut stream = Stream::open(&house, &jon, "/events", None).await;
    stream.named("health").await;
    house.app.inventory().look().await;
    assert!(!stream.named("tick").await.contains(&machine.to_string()));
    guests.share(&root, machine, me, model::access::GuestRight::See).await.unwrap();
    assert!(stream.change("guest").await.contains(&machine.to_string()));
    house.app.inventory().look().await;
    assert!(stream.named("tick").await.contains(&machine.to_string()));
    // Somebody else's action on it is heard, as a job and as a machine.
    guests.request_action(&root, machine, model::guests::actions::Reboot {}).await.unwrap();
    stream.change("job").await;
    guests.unshare(&root, machine, me).await.unwrap();
    assert!(stream.change("guest").await.contains(&machine.to_string()), "the page looks again and finds nothing");
    let job = house.app.jobs().open(&root).unwrap().remove(0).id;
    house.app.jobs().cancel(&root, job).await.unwrap();
    house.app.inventory().look().await;
    loop {
        let message = stream.next().await.unwrap();
        assert!(!message.contains(&job.to_string()), "{message}");
        if message.contains("event: tick\n") {
            assert!(!message.contains(&machine.to_string()), "{message}");
            break;
        }
    }
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn two_looks_at_once_find_each_machine_once() {
    let (house, cluster) = (House::new(), crate::simulated::cluster().await);
    let connection = crate::appliance::connection(&cluster);
    house.app.connections().add_known(&Actor::host_console(), connection).await.unwrap();
    let inventory = house.app.inventory();
    tokio::join!(inventory.look(), inventory.look(), inventory.look());
    let all = house.app.guests().list(&Actor::host_console(), "");
    let numbers: std::collections::BTreeSet<_> = all.iter().map(|g| g.row.vmid).collect();
    assert!(all.len() > 10 && numbers.len() == all.len(), "{} machines, {} numbers", all.len(), numbers.len());
    cluster.stop().await;
}
