//! The wizard that makes a machine, and what becomes of one that can't be made.

use crate::house::{Answer, Browser, House};
use crate::quotas::{run_until_over, wanted};
use crate::sharing::connected;
use axum::body::Body;
use base::ids::DraftId;
use http::{Method, Request, StatusCode, header};
use model::guests::{GuestRequest, GuestSource};
use model::jobs::JobState;
use model::quotas::{Allowance, UserQuota};
use model::sessions::Scope;
use model::users::Role;
use std::time::Duration;

async fn rest(house: &House, who: &Browser<'_>, path: &str) -> Answer {
    let token = house.token(who, Scope::Read).await;
    let request = Request::builder().method(Method::GET).uri(format!("/api/v1{path}"));
    let request = request.header(header::AUTHORIZATION, format!("Bearer {}", token.expose()));
    house.call(request.body(Body::empty()).unwrap()).await
}

fn source(request: &GuestRequest) -> String {
    let GuestSource::Template { vmid, .. } = request.source else { panic!() };
    format!("name={}&from=template&template={vmid}&node={}&go=next", request.name, request.node)
}

#[tokio::test(flavor = "multi_thread")]
async fn each_step_is_kept_for_its_person_alone_and_goes_away_with_time() {
    let (house, cluster) = connected().await;
    let mut admin = house.admin().await;
    let mut mira = house.somebody(&admin, "mira", Role::User).await;
    let sent = mira.send("/machines/new", "/machines/new", &source(&wanted(&house, "lark"))).await;
    assert_eq!(sent.status, StatusCode::SEE_OTHER, "{}", sent.body);
    let size = sent.header("location").to_owned();
    let id: DraftId = size.split('/').nth(3).unwrap().parse().unwrap();
    // Back, reload and another page lose nothing; a refused step is a page of its own.
    let wrong = mira.follow(&size, &size, "cores=0&memory=1024&disk=64&go=next").await;
    assert!(wrong.body.contains("aria-invalid=\"true\"") && wrong.body.contains("value=\"1024\""), "{}", wrong.body);
    let network = mira.follow(&size, &size, "cores=1&memory=1024&disk=64&go=next").await;
    assert!(network.body.contains("name=\"bridge\"") && network.body.contains(&format!("href=\"{size}\"")));
    assert!(!mira.get(&size).await.body.contains("aria-invalid"), "a refusal is over when the step is taken");
    assert!(mira.get("/machines/new").await.body.contains("Go on with lark"));
    // A password is never kept, whatever is sent.
    mira.send(&size, &size, "cores=1&memory=1024&disk=64&password=three-red-lamps&go=next").await;
    let kept = house.app.drafts().get(&mira.actor(), id).unwrap();
    assert!(kept.fields.iter().all(|(name, value)| name != "password" && !value.contains("lamps")));
    // Nobody else has it, not even an admin.
    assert_eq!(admin.get(&size).await.status, StatusCode::NOT_FOUND);
    assert!(!admin.get("/machines/new").await.body.contains("lark"));
    // After signing out, a form that is sent leads back to its page.
    let mut nobody = Browser::new(&house);
    let form = nobody.request(Method::POST, &size).header(header::REFERER, format!("https://steward.test{size}"));
    let lost = nobody.call(form.body(Body::from("cores=1&go=next")).unwrap()).await;
    assert_eq!(lost.header("location"), format!("/sign-in?next={}", size.replace('/', "%2F")));
    // Two weeks after it was begun it is gone; the session is over sooner.
    let (now, actor) = (house.app.now(), mira.actor());
    house.clock.advance(now.until(id.made()) + Duration::from_secs(13 * 86_400));
    house.app.drafts().sweep().await.unwrap();
    house.app.drafts().get(&actor, id).unwrap();
    house.clock.advance(Duration::from_secs(2 * 86_400));
    house.app.drafts().sweep().await.unwrap();
    assert!(house.app.drafts().get(&actor, id).is_err());
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_quota_is_refused_where_it_is_typed_and_in_words_for_its_reader() {
    let (house, cluster) = connected().await;
    let admin = house.admin().await;
    let mut mira = house.somebody(&admin, "mira", Role::User).await;
    let user = mira.actor().user_id().unwrap();
    let own = UserQuota { cores: Allowance::AtMost(2), ..UserQuota::default() };
    house.app.quotas().set(&admin.actor(), user, own).await.unwrap();
    let request = wanted(&house, "lark");
    let sent = mira.send("/machines/new", "/machines/new", &source(&request)).await;
    let size = sent.header("location").to_owned();
    let body = mira.get(&size).await.body;
    assert!(body.contains("Leaves 0 of 2 cores."), "{body}");
    let over = mira.follow(&size, &size, "cores=3&memory=1024&disk=64&go=next").await.body;
    assert!(over.contains("You may have 2 cores in all and already have 0 cores; this takes 3 cores more."), "{over}");
    assert!(over.contains("id=\"cores-error\"") && over.contains("1 more than your 2 cores."), "{over}");
    // The request itself says so too.
    let large = GuestRequest { cores: Some(3), ..request };
    let e = house.app.guests().request_create(&mira.actor(), large.clone(), None).await.unwrap_err();
    assert!(e.message().contains("You may have 2 cores"), "{}", e.message());
    // No room for any: told at the first step.
    let none = UserQuota { machines: Allowance::AtMost(0), ..UserQuota::default() };
    house.app.quotas().set(&admin.actor(), user, none).await.unwrap();
    let first = mira.follow("/machines/new", "/machines/new", &source(&large)).await.body;
    assert!(first.contains("You may have 0 machines in all") && first.contains("name=\"template\""), "{first}");
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_address_of_a_machine_that_was_not_made_leads_to_its_job() {
    let (house, cluster) = connected().await;
    let mut admin = house.admin().await;
    let mut mira = house.somebody(&admin, "mira", Role::User).await;
    let mut jon = house.somebody(&admin, "jon", Role::User).await;
    cluster.faults().fail_task("qmclone", "clone failed: no space left on device", 99);
    let (guest, job) = house.app.guests().request_create(&mira.actor(), wanted(&house, "lark"), None).await.unwrap();
    let over = async {
        tokio::select! {
            over = run_until_over(&house, job.id) => over,
            // Its other tries come minutes later.
            () = async { loop {
                tokio::time::sleep(Duration::from_millis(100)).await;
                house.clock.advance(Duration::from_secs(5));
            } } => unreachable!(),
        }
    };
    let over = over.await;
    assert_eq!(over.state, JobState::Failed);
    let (page, job_page) = (format!("/machines/{}", guest.id), format!("/jobs/{}", job.id));
    for who in [&mut mira, &mut admin] {
        for part in ["", "/snapshots", "/history"] {
            let answer = who.get(&format!("{page}{part}")).await;
            assert_eq!(
                (answer.status, answer.header("location")),
                (StatusCode::SEE_OTHER, job_page.as_str()),
                "{part}"
            );
        }
    }
    let told = mira.get(&job_page).await.body;
    assert!(
        told.contains("no space left") && told.contains("Nothing is left behind") && told.contains("Change and try")
    );
    let rest_of = rest(&house, &mira, &format!("/guests/{}", guest.id)).await;
    assert_eq!(rest_of.status, StatusCode::NOT_FOUND);
    assert_eq!(rest_of.json()["job"], job.id.to_string());
    assert!(rest_of.json()["detail"].as_str().unwrap().starts_with("lark was not created."), "{}", rest_of.body);
    // The open page's script is told the same.
    let request = mira.request(Method::GET, &page).header("x-fragment", "1").body(Body::empty()).unwrap();
    let part = mira.call(request).await;
    assert_eq!((part.status, &part.json()["job"]), (StatusCode::NOT_FOUND, &job.id.to_string().into()));
    // Others learn nothing.
    let other = jon.get(&page).await;
    assert!(other.status == StatusCode::NOT_FOUND && !other.body.contains("lark"), "{}", other.body);
    assert!(rest(&house, &jon, &format!("/guests/{}", guest.id)).await.json()["job"].is_null());
    // With everything filled in for another try.
    let again = mira.get(&format!("/machines/new?job={}", job.id)).await.body;
    assert!(again.contains("value=\"lark\"") && again.contains("name=\"memory\" value=\"1024\""), "{again}");
    cluster.stop().await;
}
