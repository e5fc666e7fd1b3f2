//! The create job of the Proxmox plugin dies at every point where something happens or is recorded, and goes
//! on: exactly one machine each time, and none at all when it gives up.

use crate::dying::{Death, Played, cluster};
use base::ids::JobId;
use plugin::{Mode, Outcome};
use serde_json::{Value, json};
use sim::Sim;

fn wanted(name: &str, template: u64, mark: JobId) -> Value {
    json!({
        "name": name, "node": "pve1", "source": { "from": "template", "vmid": template, "full": true },
        "cores": 2, "memory": 2048, "disk": 64, "storage": null, "bridge": "vmbr0", "vlan": null,
        "address": { "mode": "dhcp" }, "user": "mira", "ssh_keys": "", "tags": [], "description": "",
        "start": true, "mark": mark,
    })
}

fn create(cluster: &Sim, name: &str, template: u64) -> Played {
    Played::of(cluster, "guest_create", |mark| wanted(name, template, mark))
}

async fn template(cluster: &Sim) -> u64 {
    let looker = create(cluster, "x", 0);
    let list = looker.outside.client.call("GET", "/cluster/resources", &json!({ "type": "vm" })).await.unwrap();
    let all = list.as_array().unwrap();
    let found = all.iter().find(|g| g["template"] == 1 && g["node"] == "pve1" && g["type"] == "qemu");
    found.unwrap_or_else(|| panic!("no template on pve1: {list}"))["vmid"].as_u64().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_create_job_dies_at_every_point_and_still_makes_exactly_one_machine() {
    let cluster = cluster(0.01).await;
    let template = template(&cluster).await;
    let mut point = 0;
    loop {
        let job = create(&cluster, &format!("point-{point}"), template);
        let before = job.guests().await;
        let death = Death::at(point);
        let first = job.life(&death, Mode::Forward, false).await;
        let died = first.is_none();
        let last = match first {
            Some(outcome) => outcome,
            None => job.life(&Death::at(usize::MAX), Mode::Forward, false).await.unwrap(),
        };
        let log = job.disk.log.lock().unwrap().join("\n");
        assert!(matches!(last, Outcome::Done(_)), "death at point {point}: {last:?}\n{log}");
        let new: Vec<u64> = job.guests().await.difference(&before).copied().collect();
        assert_eq!(new.len(), 1, "death at point {point} made {new:?}");
        if !died {
            break;
        }
        point += 1;
    }
    assert!(point >= 20, "only {point} points: the test does not reach what it should");
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_create_job_that_gives_up_leaves_nothing_wherever_it_dies() {
    let cluster = cluster(0.01).await;
    let template = template(&cluster).await;
    let mut point = 0;
    loop {
        let job = create(&cluster, &format!("lost-{point}"), template);
        let before = job.guests().await;
        // It goes as far as it comes, dies, and then somebody cancels it; the first undo dies too.
        job.life(&Death::at(point), Mode::Forward, false).await;
        let last = match job.life(&Death::at(point / 2), Mode::Undo, false).await {
            Some(outcome) => outcome,
            None => job.life(&Death::at(usize::MAX), Mode::Undo, false).await.unwrap(),
        };
        assert_eq!(last, Outcome::Undone, "death at point {point}: {}", job.disk.log.lock().unwrap().join("\n"));
        assert_eq!(
            job.guests().await,
            before,
            "death at point {point} left a machine: {:#?}\n{:#?}",
            job.disk.log,
            job.disk.steps
        );
        point += 3;
        if point > 45 {
            break;
        }
    }
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_idempotent_step_run_twice_gives_the_same_machine() {
    let cluster = cluster(0.01).await;
    let job = create(&cluster, "twice", template(&cluster).await);
    let before = job.guests().await;
    let outcome = job.life(&Death::at(usize::MAX), Mode::Forward, true).await.unwrap();
    assert!(matches!(outcome, Outcome::Done(_)), "{outcome:?}");
    // Run again from the top with everything recorded: nothing happens any more.
    let again = job.life(&Death::at(usize::MAX), Mode::Forward, true).await.unwrap();
    assert_eq!(outcome, again);
    assert_eq!(job.guests().await.len(), before.len() + 1);
    cluster.stop().await;
}
