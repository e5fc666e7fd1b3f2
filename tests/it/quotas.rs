//! Quotas and the allow-list, from the request to the job's end, against the simulated cluster.

use crate::house::{Browser, House};
use crate::sharing::connected;
use app::Actor;
use app::connections::ConnectionChange;
use app::live::GuestLive;
use base::Kind;
use base::ids::JobId;
use http::StatusCode;
use model::amounts::NewSize;
use model::connections::Limits;
use model::guests::actions::{AddDisk, ChangeSettings, Delete, GrowDisk};
use model::guests::{GuestAction, GuestRequest, GuestSource};
use model::jobs::{Job, JobState};
use model::quotas::{Allowance, Quota, UserQuota};
use model::users::Role;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// A small machine on pve1, from a template there.
pub fn wanted(house: &House, name: &str) -> GuestRequest {
    let all = house.app.guests().list(&Actor::host_console(), "is:template node:pve1 kind:vm");
    let template = all.first().expect("a template on pve1");
    GuestRequest {
        name: name.to_owned(),
        node: "pve1".to_owned(),
        source: GuestSource::Template { vmid: template.row.vmid.unwrap(), full: true },
        cores: Some(2),
        memory: Some(1024),
        disk: Some(template.state.maxdisk.div_ceil(1 << 30).max(8)),
        bridge: Some("vmbr0".to_owned()),
        ..GuestRequest::default()
    }
}

async fn machines_at_most(house: &House, who: &Browser<'_>, n: u64) {
    let own = UserQuota { machines: Allowance::AtMost(n), ..UserQuota::default() };
    house.app.quotas().set(&Actor::host_console(), who.actor().user_id().unwrap(), own).await.unwrap();
}

/// Runs jobs until this one is over.
pub async fn run_until_over(house: &House, id: JobId) -> Job {
    let stop = CancellationToken::new();
    let runner = tokio::spawn(jobs::run(house.app.clone(), stop.clone()));
    let job = over(house, id).await;
    stop.cancel();
    runner.await.unwrap();
    job
}

async fn over(house: &House, id: JobId) -> Job {
    for _ in 0..600 {
        let job = house.app.jobs().get(&Actor::host_console(), id).unwrap().job;
        if job.state.is_over() {
            // What depends on its end is written a moment later.
            tokio::time::sleep(Duration::from_millis(100)).await;
            return job;
        }
        // Waits of the job are counted by the house's own clock.
        house.clock.advance(Duration::from_secs(1));
        house.app.job_bell().notify_one();
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("the job does not end: {:#?}", house.app.jobs().get(&Actor::host_console(), id).unwrap())
}

/// Looks until Proxmox tells the machine with all its figures: at first it lists it without.
pub async fn listed(house: &House, name: &str) -> Arc<GuestLive> {
    for _ in 0..400 {
        house.app.inventory().look().await;
        let all = house.app.guests().list(&Actor::host_console(), name);
        if let Some(found) =
            // A copy is listed with its template's sizes first, and that one has one core.
            all.into_iter().find(|g| g.state.name == name && g.state.maxcpu > 1.0 && g.state.lock.is_none())
        {
            return found;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("{name} is not listed")
}

fn used(house: &House, who: &Browser<'_>) -> (u64, u64) {
    let view = house.app.quotas().mine(&who.actor()).unwrap();
    (view.used.machines, view.used.cores)
}

#[tokio::test(flavor = "multi_thread")]
async fn two_requests_at_once_do_not_both_take_the_last_room() {
    let (house, cluster) = connected().await;
    let admin = house.admin().await;
    let mira = house.somebody(&admin, "mira", Role::User).await;
    machines_at_most(&house, &mira, 1).await;
    let (guests, actor) = (house.app.guests(), mira.actor());
    let asked = tokio::join!(
        guests.request_create(&actor, wanted(&house, "first"), None),
        guests.request_create(&actor, wanted(&house, "second"), None),
    );
    let results = [asked.0.map(|_| ()), asked.1.map(|_| ())];
    assert_eq!(results.iter().filter(|r| r.is_ok()).count(), 1, "{results:?}");
    let refused = results.into_iter().find_map(Result::err).unwrap();
    assert_eq!(refused.kind(), Kind::Conflict);
    assert!(refused.message().contains("You may have 1 machine in all and already have 1 machine"), "{refused}");
    assert_eq!(house.app.jobs().open(&actor).unwrap().len(), 1, "the refused one left nothing");
    assert_eq!(used(&house, &mira), (1, 2), "the one that is being made counts");
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn of_equal_requests_at_the_same_moment_one_gets_the_name() {
    let (house, cluster) = connected().await;
    let admin = house.admin().await;
    let (guests, actor) = (house.app.guests(), admin.actor());
    let all = (0..8).map(|_| guests.request_create(&actor, wanted(&house, "lark"), None));
    let results = futures_util::future::join_all(all).await;
    assert_eq!(results.iter().filter(|r| r.is_ok()).count(), 1, "{results:?}");
    let refused: Vec<_> = results.into_iter().filter_map(Result::err).collect();
    assert!(refused.iter().all(|e| e.fields().contains_key("name")), "{refused:?}");
    assert_eq!(house.app.jobs().open(&actor).unwrap().len(), 1, "the refused ones left nothing");
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_machine_counts_while_it_is_made_and_afterwards_and_no_more_when_it_is_gone() {
    let (house, cluster) = connected().await;
    let admin = house.admin().await;
    let mira = house.somebody(&admin, "mira", Role::User).await;
    machines_at_most(&house, &mira, 1).await;
    let actor = mira.actor();
    let (guest, job) = house.app.guests().request_create(&actor, wanted(&house, "lark"), None).await.unwrap();
    let job = run_until_over(&house, job.id).await;
    assert_eq!((job.state, job.error.as_deref()), (JobState::Succeeded, None));
    assert_eq!(used(&house, &mira), (1, 2), "also before Proxmox lists it");
    house.app.inventory().look().await;
    assert_eq!(used(&house, &mira), (1, 2));
    assert_eq!(listed(&house, "lark").await.state.maxcpu, 2.0);
    house.clock.advance(Duration::from_secs(60));
    house.app.inventory().look().await;
    assert_eq!(used(&house, &mira), (1, 2), "from the list alone");
    assert!(house.app.guests().request_create(&actor, wanted(&house, "wren"), None).await.is_err());
    let gone = house.app.guests().request_action(&actor, guest.id, Delete {}).await.unwrap().unwrap();
    assert_eq!(run_until_over(&house, gone.id).await.state, JobState::Succeeded);
    assert_eq!(used(&house, &mira), (0, 0));
    house.app.guests().request_create(&actor, wanted(&house, "wren"), None).await.unwrap();
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_change_adds_counts_for_the_owner() {
    let (house, cluster) = connected().await;
    let admin = house.admin().await;
    let mira = house.somebody(&admin, "mira", Role::User).await;
    let actor = mira.actor();
    let (guest, job) = house.app.guests().request_create(&actor, wanted(&house, "grow-01"), None).await.unwrap();
    assert_eq!(run_until_over(&house, job.id).await.state, JobState::Succeeded);
    let has = listed(&house, "grow-01").await.state.maxdisk.div_ceil(1 << 30);
    let own = UserQuota {
        cores: Allowance::AtMost(3),
        memory: Allowance::AtMost(1024),
        disk: Allowance::AtMost(has + 4),
        ..UserQuota::default()
    };
    house.app.quotas().set(&Actor::host_console(), actor.user_id().unwrap(), own).await.unwrap();

    let change = |key: &str, value: &str| -> GuestAction {
        ChangeSettings { values: BTreeMap::from([(key.to_owned(), value.to_owned())]), digest: None }.into()
    };
    let disk =
        |gib| -> GuestAction { AddDisk { bus: "scsi".into(), storage: "local-lvm".into(), gib, path: None }.into() };
    // Two sockets double the cores that it has.
    for (action, field) in [
        (change("cores", "4"), "cores"),
        (change("sockets", "2"), "cores"),
        (change("memory", "2048"), "memory"),
        (disk(5), "disk"),
        (GrowDisk { disk: "scsi0".into(), gib: NewSize::More(5) }.into(), "disk"),
    ] {
        let refused = house.app.guests().request_action(&actor, guest.id, action).await.unwrap_err();
        assert_eq!(refused.kind(), Kind::Conflict, "{field}: {refused:?}");
        assert!(refused.fields().contains_key(field), "{field}: {refused:?}");
    }
    let fits = house.app.guests().request_action(&actor, guest.id, disk(4)).await.unwrap().unwrap();
    assert_eq!(run_until_over(&house, fits.id).await.state, JobState::Succeeded);
    let more = house.app.guests().request_action(&actor, guest.id, disk(1)).await.unwrap_err();
    assert!(more.fields().contains_key("disk"), "the disk that was added counts: {more:?}");
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_quota_lowered_meanwhile_ends_the_job_and_takes_the_machine_back() {
    let (house, cluster) = connected().await;
    let admin = house.admin().await;
    let mira = house.somebody(&admin, "mira", Role::User).await;
    let (guests, actor) = (house.app.guests(), mira.actor());
    let names = || -> Vec<String> {
        let all = house.app.guests().list(&Actor::host_console(), "");
        all.iter()
            .filter(|g| ["early", "late"].contains(&g.state.name.as_str()))
            .map(|g| g.state.name.clone())
            .collect()
    };
    // Before its first effect.
    let (_, early) = guests.request_create(&actor, wanted(&house, "early"), None).await.unwrap();
    machines_at_most(&house, &mira, 0).await;
    let job = run_until_over(&house, early.id).await;
    assert_eq!(job.state, JobState::Failed);
    assert!(job.error.as_deref().unwrap_or_default().contains("mira may have 0 machines in all"), "{:?}", job.error);
    assert!(house.app.jobs().get(&actor, early.id).unwrap().steps.is_empty(), "nothing was done");
    // A retry asks for the room again.
    let again = house.app.jobs().retry(&actor, early.id).await.unwrap_err();
    assert_eq!(again.kind(), Kind::Conflict);

    // While Proxmox copies the disk.
    machines_at_most(&house, &mira, 1).await;
    let (_, late) = guests.request_create(&actor, wanted(&house, "late"), None).await.unwrap();
    let stop = CancellationToken::new();
    let runner = tokio::spawn(jobs::run(house.app.clone(), stop.clone()));
    for _ in 0..400 {
        let view = house.app.jobs().get(&actor, late.id).unwrap();
        if view.steps.iter().any(|s| s.name.starts_with("Clone the disks")) || view.job.state.is_over() {
            break;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    machines_at_most(&house, &mira, 0).await;
    let job = over(&house, late.id).await;
    stop.cancel();
    runner.await.unwrap();
    assert_eq!(job.state, JobState::Failed, "{:?}", job.error);
    assert!(job.error.as_deref().unwrap_or_default().contains("0 machines"), "{:?}", job.error);
    house.app.inventory().look().await;
    assert_eq!(names(), Vec::<String>::new(), "it was taken back");
    assert_eq!(used(&house, &mira), (0, 0));
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_machine_goes_to_nobody_whose_quota_has_no_room_for_it() {
    let (house, cluster) = connected().await;
    let mut admin = house.admin().await;
    let mira = house.somebody(&admin, "mira", Role::User).await;
    let user = mira.actor().user_id().unwrap();
    let own = UserQuota { cores: Allowance::AtMost(0), ..UserQuota::default() };
    house.app.quotas().set(&admin.actor(), user, own).await.unwrap();
    let machine = house.app.guests().list(&admin.actor(), "-is:template").first().unwrap().row.id;
    let page = format!("/machines/{machine}/access");
    let refused =
        admin.send(&page, &format!("/machines/{machine}/owner"), &format!("form=owner&owner={user}&sure=yes")).await;
    assert_eq!(refused.status, StatusCode::CONFLICT);
    assert!(refused.body.contains("mira may have 0 cores in all"), "{}", refused.body);
    // An admin has no limit, whatever is set for them.
    let root = admin.actor().user_id().unwrap();
    house.app.quotas().set(&admin.actor(), root, own).await.unwrap();
    house.app.guests().set_owner(&admin.actor(), machine, Some(root), None).await.unwrap();
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_admin_sets_quotas_on_the_pages_and_the_person_sees_their_own() {
    let (house, cluster) = connected().await;
    let mut admin = house.admin().await;
    let mut mira = house.somebody(&admin, "mira", Role::User).await;
    let user = mira.actor().user_id().unwrap();
    let form = "machines=3&cores=8&memory=&disk=";
    let saved = admin.send("/users", "/users/quota", form).await;
    assert_eq!(saved.status, StatusCode::SEE_OTHER, "{}", saved.body);
    let usual = Quota { machines: Some(3), cores: Some(8), ..Quota::default() };
    assert_eq!(house.app.quotas().usual().unwrap(), usual);
    let wrong = admin.send("/users", "/users/quota", "machines=many&cores=8&memory=&disk=-1").await;
    assert_eq!(wrong.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert!(wrong.body.contains("value=\"many\""), "what was typed stays");
    let page = format!("/users/{user}");
    let own =
        admin.send(&page, &format!("{page}/quota"), "form=quota&machines=&cores=&cores_open=on&memory=&disk=50").await;
    assert_eq!(own.status, StatusCode::SEE_OTHER, "{}", own.body);
    let view = house.app.quotas().mine(&mira.actor()).unwrap();
    assert_eq!(view.quota, Quota { machines: Some(3), disk: Some(50), ..Quota::default() });
    for path in ["/", "/profile"] {
        assert!(mira.get(path).await.body.contains("Your quota"), "{path}");
    }
    assert_eq!(mira.get("/api/v1/me/quota").await.json()["limits"]["machines"], 3);
    for path in [format!("/api/v1/users/{user}/quota"), "/api/v1/quota".to_owned()] {
        assert_eq!(mira.get(&path).await.status, StatusCode::FORBIDDEN, "{path}");
        assert_eq!(admin.get(&path).await.status, StatusCode::OK, "{path}");
    }
    assert_eq!(admin.get(&format!("/api/v1/users/{user}/quota")).await.json()["own"]["cores"], "unlimited");
    cluster.stop().await;
}

async fn limit(house: &House, change: impl FnOnce(&mut Limits)) {
    let console = Actor::host_console();
    let old = house.app.connections().list(&console).unwrap().remove(0);
    let mut limits = Limits::default();
    change(&mut limits);
    let change = ConnectionChange { limits, ..ConnectionChange::default() };
    house.app.connections().change(&console, old.id, change).await.unwrap();
    house.app.inventory().look().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_on_the_allow_list_is_refused_beside_its_field() {
    let (house, cluster) = connected().await;
    let admin = house.admin().await;
    let mira = house.somebody(&admin, "mira", Role::User).await;
    let actor = mira.actor();
    let asked = async |name: &str| house.app.guests().request_create(&actor, wanted(&house, name), None).await;
    let field = |e: base::Error| e.fields().keys().next().cloned().unwrap_or_default();
    limit(&house, |l| l.bridges = vec!["vmbr9".into()]).await;
    assert_eq!(field(asked("a").await.unwrap_err()), "bridge");
    limit(&house, |l| l.templates = vec![1]).await;
    assert_eq!(field(asked("a").await.unwrap_err()), "template");
    assert!(house.app.guests().templates(&actor).is_empty());
    limit(&house, |l| l.storages = vec!["nowhere".into()]).await;
    assert_eq!(field(asked("a").await.unwrap_err()), "storage", "the template's disk is elsewhere");
    limit(&house, |l| l.nodes = vec!["pve2".into()]).await;
    assert_eq!(field(asked("a").await.unwrap_err()), "node");
    limit(&house, |_| {}).await;
    asked("a").await.unwrap();
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_allow_list_holds_at_the_call_itself_when_it_was_changed_after_the_request() {
    let (house, cluster) = connected().await;
    let admin = house.admin().await;
    let actor = admin.actor();
    let (_, job) = house.app.guests().request_create(&actor, wanted(&house, "lark"), None).await.unwrap();
    limit(&house, |l| l.bridges = vec!["vmbr9".into()]).await;
    let job = run_until_over(&house, job.id).await;
    assert_eq!(job.state, JobState::Failed);
    assert!(job.error.as_deref().unwrap_or_default().contains("bridge vmbr0"), "{:?}", job.error);
    house.app.inventory().look().await;
    assert!(house.app.guests().list(&actor, "name:lark").is_empty(), "and what was made is gone again");
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_template_on_another_node_may_be_used_when_the_copy_goes_to_an_allowed_one() {
    let (house, cluster) = connected().await;
    let admin = house.admin().await;
    let actor = admin.actor();
    limit(&house, |l| {
        l.nodes = vec!["pve2".into()];
        (l.vmid_min, l.vmid_max) = (Some(7000), Some(7001));
    })
    .await;
    // Its template is on pve1, on a storage that both share.
    let spec = GuestRequest { node: "pve2".to_owned(), ..wanted(&house, "wren") };
    let (_, job) = house.app.guests().request_create(&actor, spec, None).await.unwrap();
    let job = run_until_over(&house, job.id).await;
    assert_eq!((job.state, job.error.as_deref()), (JobState::Succeeded, None));
    let made = listed(&house, "wren").await;
    assert_eq!((made.state.node.as_str(), made.row.vmid), ("pve2", Some(7000)));
    cluster.stop().await;
}
