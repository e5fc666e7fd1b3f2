//! What Steward does for a person: with that person's rights as they are then, and never more.

use crate::house::House;
use crate::sharing::{connected, share};
use app::Actor;
use app::software::LetIn;
use base::Kind;
use model::access::GuestRight;
use model::guests::actions::{Delete, Reboot};
use model::software::{SoftwareRequest, SoftwareState};
use model::users::Role;
use std::time::Duration;
use tokio_util::sync::CancellationToken;

#[tokio::test(flavor = "multi_thread")]
async fn steward_may_for_a_person_what_that_person_may_and_no_more() {
    let (house, cluster) = connected().await;
    let admin = house.admin().await;
    let jon = house.somebody(&admin, "jon", Role::User).await;
    let me = jon.actor().user_id().unwrap();
    let steward = Actor::on_behalf(&house.app, me, "a rule").unwrap();
    assert_eq!((steward.label(), steward.user_id(), steward.is_admin()), ("jon (a rule)", Some(me), false));
    let guests = house.app.guests();
    let id = guests.list(&admin.actor(), "status:running kind:vm").first().unwrap().row.id;
    let reboot = async || guests.request_action(&steward, id, Reboot {}).await.map_err(|e| e.kind());
    assert_eq!(reboot().await.unwrap_err(), Kind::NotFound);
    share(&house, id, &jon, GuestRight::See).await;
    assert_eq!(reboot().await.unwrap_err(), Kind::Forbidden);
    share(&house, id, &jon, GuestRight::Use).await;
    let job = reboot().await.unwrap().unwrap();
    assert_eq!((job.owner, job.asked_by.as_str()), (Some(me), "jon (a rule)"));
    let log = house.app.audit().page(&admin.actor(), "action:guest.reboot", None, 1).unwrap().entries.remove(0).record;
    assert_eq!((log.actor.as_str(), log.actor_id), ("jon (a rule)", Some(me)));
    assert_eq!(guests.request_action(&steward, id, Delete {}).await.unwrap_err().kind(), Kind::Forbidden);
    assert!(steward.keyspace().is_err() && house.app.connections().list(&steward).is_err());
    guests.unshare(&admin.actor(), id, me).await.unwrap();
    assert!(guests.get(&steward, id).is_err(), "also for one who acts already");
    let off = app::users::UserChange { active: Some(false), ..Default::default() };
    house.app.users().change(&admin.actor(), me, off).await.unwrap();
    assert_eq!(Actor::on_behalf(&house.app, me, "a rule").unwrap_err().kind(), Kind::Forbidden);
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn software_is_not_installed_for_a_person_who_lost_the_right_meanwhile() {
    let (house, cluster) = connected().await;
    let admin = house.admin().await;
    let jon = house.somebody(&admin, "jon", Role::User).await;
    let (root, actor) = (admin.actor(), jon.actor());
    let (guests, software) = (house.app.guests(), house.app.software());
    let id = guests.list(&root, "status:running kind:vm").first().unwrap().row.id;
    share(&house, id, &jon, GuestRight::Manage).await;
    let access = LetIn { user: "jon".into(), address: "192.0.2.7".into(), port: 22, password: None };
    software.let_in(&actor, id, access).await.unwrap();
    // Something else works on the machine, so it has to wait.
    guests.request_action(&root, id, Reboot {}).await.unwrap();
    let request = SoftwareRequest { recipe: "software-docker".into(), options: serde_json::Map::new() };
    assert_eq!(software.request_install(&actor, id, request).await.unwrap().state, SoftwareState::Wanted);
    guests.unshare(&root, id, actor.user_id().unwrap()).await.unwrap();
    let row = over(&house, async || software.of_guest(&root, id).await.unwrap().remove(0)).await;
    assert_eq!(row.error.as_deref(), Some("jon asked for it and may not change this machine any more."));
    assert_eq!((row.state, row.job), (SoftwareState::Failed, None));
    cluster.stop().await;
}

/// Runs jobs until the software is no longer waited for.
async fn over(house: &House, look: impl AsyncFn() -> app::software::SoftwareView) -> app::software::SoftwareView {
    let stop = CancellationToken::new();
    let runner = tokio::spawn(jobs::run(house.app.clone(), stop.clone()));
    for _ in 0..400 {
        if look().await.state != SoftwareState::Wanted {
            break;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    stop.cancel();
    runner.await.unwrap();
    look().await
}
