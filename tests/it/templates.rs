//! Templates from cloud images, on the real binary, the simulated cluster and a publisher's server: what is
//! served there is really fetched by the cluster.

use crate::appliance::{Appliance, cluster};
use crate::dying::{Death, Played};
use app::{Actor, App};
use base::ids::JobId;
use base::time::ManualClock;
use base::{Clock as _, SystemClock};
use crypto::appliance;
use model::templates::{Policy, WhenNewer};
use plugin::{Mode, Outcome};
use serde_json::{Value, json};
use sim::Sim;
use sim::images::{Images, Served, digest};
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

const DEBIAN: &str = "/cloud.debian.org/images/cloud/trixie/latest/debian-13-genericcloud-amd64.qcow2";
const LIST: &str = "/cloud.debian.org/images/cloud/trixie/latest/SHA512SUMS";

/// The publisher: Debian 13, and another image on the same list.
pub async fn publisher() -> Images {
    let image = |path: &str| Served { path: path.into(), list: Some(LIST.into()), algorithm: "sha512".into(), gib: 3 };
    Images::serve(vec![image(DEBIAN), image("/cloud.debian.org/images/cloud/trixie/latest/other.qcow2")]).await.unwrap()
}

pub async fn appliance(cluster: &Sim, publisher: &Images) -> Appliance {
    // Without this right the download stays on the storage; that case is tested by itself.
    cluster.faults().allow("Steward", "Datastore.Allocate");
    let mut appliance = Appliance::prepare(cluster).await;
    appliance.settings_more.push(("STEWARD_IMAGE_MIRROR", publisher.url.clone()));
    appliance.start().await;
    appliance.until("/api/v1/nodes", 20, |v| v["nodes"].as_array().is_some_and(|a| !a.is_empty())).await;
    appliance
}

fn wanted() -> Value {
    json!({ "image": "debian-13", "node": "pve1", "bridge": "vmbr0", "disk": 6 })
}

/// Asks for a template and waits for the end of the job.
async fn build(appliance: &Appliance, wanted: Value) -> Value {
    let asked = appliance.ask("POST", "/api/v1/templates", Some(wanted)).await;
    assert_eq!(asked.status, 202, "{asked:?}");
    over(appliance, &asked.json()).await
}

async fn over(appliance: &Appliance, job: &Value) -> Value {
    let path = format!("/api/v1/jobs/{}", job["id"].as_str().unwrap());
    appliance.until(&path, 90, |v| v["finished"].is_string()).await
}

/// The templates that Steward made, once Proxmox lists as many.
async fn made(appliance: &Appliance, count: usize) -> Vec<Value> {
    let of_steward = |v: &Value| -> Vec<Value> {
        v["templates"].as_array().unwrap().iter().filter(|t| t["image"] == "debian-13").cloned().collect()
    };
    of_steward(&appliance.until("/api/v1/templates", 30, |v| of_steward(v).len() == count).await)
}

fn downloads(cluster: &Sim) -> Vec<String> {
    cluster.faults().volumes().into_iter().filter(|v| v.contains("import/steward-")).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_template_is_made_of_a_cloud_image_and_a_machine_of_the_template() {
    let (cluster, publisher) = (cluster(0.05).await, publisher().await);
    let mut appliance = appliance(&cluster, &publisher).await;
    let job = build(&appliance, wanted()).await;
    assert_eq!(job["state"], "succeeded", "{job:#}");
    let template = made(&appliance, 1).await.remove(0);
    assert_eq!((&template["title"], &template["user"]), (&json!("Debian 13 (trixie)"), &json!("debian")));
    assert_eq!(template["digest"], json!(digest("sha512", &publisher.file(DEBIAN))));
    assert_eq!(template["disk"], json!(6_u64 << 30), "enlarged from the image's 3 GiB");
    assert!(template["name"].as_str().unwrap().starts_with("debian-13-20"), "{template:#}");
    assert_eq!(downloads(&cluster), [""; 0], "the download is gone");

    let machine = json!({
        "name": "from-cloud", "node": "pve1", "source": { "from": "template", "vmid": template["vmid"], "full": false },
        "cores": 1, "memory": 1024, "disk": 6, "bridge": "vmbr0", "user": "debian",
    });
    let asked = appliance.ask("POST", "/api/v1/guests", Some(machine)).await;
    assert_eq!(asked.status, 202, "{asked:?}");
    assert_eq!(over(&appliance, &asked.json()["job"]).await["state"], "succeeded");
    let guest = format!("/api/v1/guests/{}", asked.json()["guest"].as_str().unwrap());
    appliance.until(&guest, 20, |v| v["status"] == "running").await;

    let path = format!("/api/v1/templates/{}", template["id"].as_str().unwrap());
    let refused = appliance.ask("DELETE", &path, None).await;
    assert_eq!(refused.status, 409, "{refused:?}");
    assert!(refused.body.contains("from-cloud"), "{refused:?}");
    let off = appliance.ask("POST", &format!("{guest}/power"), Some(json!({ "action": "stop" }))).await;
    over(&appliance, &off.json()).await;
    appliance.until(&guest, 20, |v| v["status"] == "stopped").await;
    over(&appliance, &appliance.ask("DELETE", &guest, None).await.json()).await;
    let gone = appliance.ask("DELETE", &path, None).await;
    assert_eq!(gone.status, 202, "{gone:?}");
    assert_eq!(over(&appliance, &gone.json()).await["state"], "succeeded");
    made(&appliance, 0).await;
    appliance.stop().await;
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_image_that_is_not_what_its_publisher_lists_is_thrown_away() {
    let (cluster, publisher) = (cluster(0.02).await, publisher().await);
    let mut appliance = appliance(&cluster, &publisher).await;
    publisher.corrupt(DEBIAN, true);
    let job = build(&appliance, wanted()).await;
    assert_eq!(job["state"], "failed", "{job:#}");
    assert!(job["error"].as_str().unwrap().contains("its checksum differs"), "{job:#}");
    nothing_left(&appliance, &cluster).await;
    // With the right list the same request works.
    publisher.corrupt(DEBIAN, false);
    assert_eq!(build(&appliance, wanted()).await["state"], "succeeded");
    appliance.stop().await;
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_missing_file_a_full_storage_and_an_unlisted_image_are_said_and_leave_nothing() {
    let (cluster, publisher) = (cluster(0.02).await, publisher().await);
    let mut appliance = appliance(&cluster, &publisher).await;
    publisher.remove(DEBIAN, true);
    let job = build(&appliance, wanted()).await;
    assert!(job["error"].as_str().unwrap().contains("no such file"), "{job:#}");
    publisher.remove(DEBIAN, false);
    nothing_left(&appliance, &cluster).await;

    cluster.faults().full("nas", true);
    let mut small = wanted();
    small["images"] = json!("nas");
    let job = build(&appliance, small.clone()).await;
    assert!(job["error"].as_str().unwrap().contains("no space for the image"), "{job:#}");
    cluster.faults().full("nas", false);
    nothing_left(&appliance, &cluster).await;

    // Room for the download, none for the disk.
    cluster.faults().full("local-lvm", true);
    small["storage"] = json!("local-lvm");
    let job = build(&appliance, small).await;
    assert_eq!(job["state"], "failed", "{job:#}");
    assert!(job["error"].as_str().unwrap().contains("not enough free space"), "{job:#}");
    nothing_left(&appliance, &cluster).await;

    // The publisher's server is not the mirror's business: an image that no list names is refused when asked for.
    let fedora = json!({ "image": "fedora-43", "node": "pve1", "bridge": "vmbr0" });
    let asked = appliance.ask("POST", "/api/v1/templates", Some(fedora)).await;
    assert_eq!(asked.status, 503, "{asked:?}");
    assert!(asked.body.contains("list of checksums"), "{asked:?}");
    appliance.stop().await;
    cluster.stop().await;
}

/// No template, no half machine, no download.
async fn nothing_left(appliance: &Appliance, cluster: &Sim) {
    assert_eq!(downloads(cluster), [""; 0]);
    made(appliance, 0).await;
    let list = appliance.ask("GET", "/api/v1/guests?q=name:debian-13-20", None).await.json();
    assert_eq!(list["total"], 0, "{list:#}");
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_storage_for_images_the_command_that_helps_is_named() {
    let (cluster, publisher) = (cluster(0.02).await, publisher().await);
    let mut appliance = appliance(&cluster, &publisher).await;
    cluster.faults().set_content("local", "iso,backup");
    cluster.faults().set_content("nas", "images,iso");
    let job = build(&appliance, wanted()).await;
    assert_eq!(job["state"], "failed", "{job:#}");
    assert!(job["error"].as_str().unwrap().contains("pvesm set local --content iso,backup,import"), "{job:#}");
    appliance.stop().await;
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_the_right_to_remove_it_the_download_stays_and_the_log_says_so() {
    let (cluster, publisher) = (cluster(0.02).await, publisher().await);
    let mut appliance = Appliance::prepare(&cluster).await;
    appliance.settings_more.push(("STEWARD_IMAGE_MIRROR", publisher.url.clone()));
    appliance.start().await;
    appliance.until("/api/v1/nodes", 20, |v| v["nodes"].as_array().is_some_and(|a| !a.is_empty())).await;
    let job = build(&appliance, wanted()).await;
    assert_eq!(job["state"], "succeeded", "{job:#}");
    assert_eq!(downloads(&cluster).len(), 1);
    let job = appliance.ask("GET", &format!("/api/v1/jobs/{}", job["id"].as_str().unwrap()), None).await;
    assert!(job.body.contains("Datastore.Allocate"), "{job:?}");
    appliance.stop().await;
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_template_that_can_not_be_is_refused_with_its_fields() {
    let (cluster, publisher) = (cluster(0.02).await, publisher().await);
    let mut appliance = appliance(&cluster, &publisher).await;
    let bad = appliance
        .ask("POST", "/api/v1/templates", Some(json!({ "image": "beos", "node": "pve1", "bridge": "vmbr0" })))
        .await;
    assert_eq!(bad.status, 422, "{bad:?}");
    let bad = appliance
        .ask("POST", "/api/v1/templates", Some(json!({ "image": "debian-13", "node": "pve9", "bridge": "vmbr0" })))
        .await;
    assert_eq!(bad.status, 422, "{bad:?}");
    let own = json!({ "own": { "name": "Mine", "url": "https://x.example/x.qcow2", "checksum": "12", "algorithm": "sha256" }, "node": "pve1", "bridge": "" });
    let bad = appliance.ask("POST", "/api/v1/templates", Some(own)).await;
    assert_eq!(bad.status, 422, "{bad:?}");
    for field in ["checksum", "bridge"] {
        assert!(bad.json()["fields"][field].is_string() || bad.body.contains(field), "{field}: {bad:?}");
    }
    // Packed by its name, and by its first bytes.
    let own = |url: String, format: &str| {
        json!({ "own": { "name": "Mine", "url": url, "checksum": "0".repeat(64), "algorithm": "sha256", "format": format },
                "node": "pve1", "bridge": "vmbr0" })
    };
    let named = own("https://x.example/x.raw.xz".to_owned(), "raw");
    let bad = appliance.ask("POST", "/api/v1/templates", Some(named)).await;
    assert!(bad.status == 422 && bad.body.contains("unxz"), "{bad:?}");
    publisher.replace(DEBIAN, &[&b"\x1f\x8b\x08\0"[..], &[0; 2000]].concat());
    for format in ["raw", "qcow2"] {
        let bad = appliance.ask("POST", "/api/v1/templates", Some(own(format!("http:/{DEBIAN}"), format))).await;
        assert!(bad.status == 422 && bad.body.contains("gunzip"), "{bad:?}");
    }
    appliance.stop().await;
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_own_image_with_its_checksum_becomes_a_template() {
    let (cluster, publisher) = (cluster(0.02).await, publisher().await);
    let mut appliance = appliance(&cluster, &publisher).await;
    // http is fine with a checksum that was written down; the mirror then is where it comes from. Mirrors redirect.
    publisher.redirect(DEBIAN, true);
    let own = json!({
        "own": { "name": "Own Linux", "url": format!("http:/{DEBIAN}"), "checksum": digest("sha256", &publisher.file(DEBIAN)), "algorithm": "sha256", "user": "me" },
        "node": "pve2", "bridge": "vmbr0", "name": "own-base", "disk": 4,
    });
    let job = build(&appliance, own).await;
    assert_eq!(job["state"], "succeeded", "{job:#}");
    let list = appliance.until("/api/v1/templates", 30, |v| v.to_string().contains("own-base")).await;
    let found = list["templates"].as_array().unwrap().iter().find(|t| t["name"] == "own-base").unwrap();
    assert_eq!((&found["image"], &found["user"], &found["node"]), (&json!("own-linux"), &json!("me"), &json!("pve2")));
    let again =
        appliance.ask("POST", &format!("/api/v1/templates/{}/rebuild", found["id"].as_str().unwrap()), None).await;
    assert_eq!(again.status, 409, "{again:?}");
    appliance.stop().await;
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_uploaded_image_becomes_a_template_and_a_wrong_one_does_not() {
    let (cluster, publisher) = (cluster(0.02).await, publisher().await);
    let mut appliance = appliance(&cluster, &publisher).await;
    let file = publisher.file(DEBIAN);
    let at = "/api/v1/templates/upload?node=pve1&bridge=vmbr0&disk=5&user=debian";
    let sum = digest("sha512", &file);
    let sent = appliance.send_file(&format!("{at}&title=By%20Hand&checksum={sum}"), &file).await;
    assert_eq!(sent.status, 202, "{sent:?}");
    assert_eq!(over(&appliance, &sent.json()).await["state"], "succeeded");
    let list = appliance.until("/api/v1/templates", 30, |v| v.to_string().contains("by-hand-20")).await;
    let found = list["templates"].as_array().unwrap().iter().find(|t| t["image"] == "by-hand").unwrap();
    assert_eq!((&found["digest"], &found["user"]), (&json!(sum), &json!("debian")));
    assert_eq!(found["disk"], json!(5_u64 << 30));
    assert_eq!(downloads(&cluster), [""; 0]);

    // Without a checksum the one that was counted on the way is noted.
    let sent = appliance.send_file(&format!("{at}&title=Plain"), &file).await;
    assert_eq!(sent.json()["args"]["digest"], json!(digest("sha256", &file)), "{sent:?}");
    assert_eq!(over(&appliance, &sent.json()).await["state"], "succeeded");

    let wrong = appliance.send_file(&format!("{at}&title=Wrong&checksum={}", "0".repeat(64)), &file).await;
    let job = over(&appliance, &wrong.json()).await;
    assert!(job["error"].as_str().unwrap().contains("checksum mismatch"), "{job:#}");
    let page = appliance.send_file(&format!("{at}&title=Page"), &b"<!doctype html><p>not found</p>".repeat(30)).await;
    assert_eq!(page.status, 422, "{page:?}");
    assert!(page.body.contains("web page"), "{page:?}");
    let packed = [&b"\x1f\x8b\x08\0"[..], &[0; 2000]].concat();
    let packed = appliance.send_file(&format!("{at}&title=Packed&format=raw"), &packed).await;
    assert!(packed.status == 422 && packed.body.contains("gunzip"), "{packed:?}");
    let full = appliance.send_file(&format!("{at}&title=Full&images=ceph-vm"), &file).await;
    assert_eq!(full.status, 422, "{full:?}");
    assert_eq!(downloads(&cluster), [""; 0]);
    appliance.stop().await;
    cluster.stop().await;
}

const DAY: Duration = Duration::from_secs(25 * 3600);

/// The store in this process with a clock that is a day late, after a look at Proxmox.
async fn opened(appliance: &Appliance, publisher: &Images) -> (App, Arc<ManualClock>) {
    let mut settings = appliance.settings();
    settings.image_mirror = Some(publisher.url.clone());
    let key = appliance::load(None, &settings.key_file, false).unwrap();
    let clock = Arc::new(ManualClock::at(SystemClock.now().minus(DAY)));
    let app = App::open(settings, key, Arc::<ManualClock>::clone(&clock)).unwrap();
    app.inventory().look().await;
    (app, clock)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_newer_image_gives_a_new_template_by_itself_and_the_old_one_goes() {
    let (cluster, publisher) = (cluster(0.02).await, publisher().await);
    let mut appliance = appliance(&cluster, &publisher).await;
    assert_eq!(build(&appliance, wanted()).await["state"], "succeeded");
    let first = made(&appliance, 1).await.remove(0);
    publisher.publish(DEBIAN);
    assert_eq!(appliance.ask("POST", "/api/v1/images/refresh", None).await.status, 204);
    assert_eq!(made(&appliance, 1).await[0]["newer"], true);
    appliance.stop().await;

    // The policy, and a clock that is past the time.
    let (app, clock) = opened(&appliance, &publisher).await;
    let policy = Policy { look: true, cron: "30 4 * * *".into(), when_newer: WhenNewer::Replace };
    app.templates().set_policy(&Actor::host_console(), policy).await.unwrap();
    app.templates().tick().await.unwrap();
    assert!(app.jobs().all_open().unwrap().is_empty(), "it is not time yet");
    clock.advance(DAY);
    app.templates().tick().await.unwrap();
    let open = app.jobs().all_open().unwrap();
    assert_eq!(open.iter().map(|j| j.kind.hook()).collect::<Vec<_>>(), ["template_build"]);
    app.templates().tick().await.unwrap();
    assert_eq!(app.jobs().all_open().unwrap().len(), 1, "asked for once");
    app.close();

    appliance.start().await;
    let both = made(&appliance, 2).await;
    assert_eq!((&both[0]["superseded"], &both[1]["superseded"]), (&json!(false), &json!(true)));
    assert_eq!(both[1]["id"], first["id"], "the old one stays until the clock comes round");
    assert_eq!(both[0]["digest"], json!(digest("sha512", &publisher.file(DEBIAN))));
    appliance.stop().await;
    let (app, clock) = opened(&appliance, &publisher).await;
    clock.advance(DAY);
    app.templates().tick().await.unwrap();
    app.close();
    appliance.start().await;
    let left = made(&appliance, 1).await;
    assert_eq!(left[0]["id"], both[0]["id"]);
    appliance.stop().await;
    cluster.stop().await;
}

fn args(publisher: &Images, name: &str, mark: JobId) -> Value {
    json!({
        "image": "debian-13", "title": "Debian 13", "url": format!("{}{DEBIAN}", publisher.url), "file": format!("steward-{name}.qcow2"),
        "algorithm": "sha512", "digest": digest("sha512", &publisher.file(DEBIAN)), "format": "qcow2", "user": "debian", "system": "linux",
        "cpu": "x86-64-v2-AES", "memory": 512, "name": name, "notes": "Debian 13", "upload": null, "mark": mark,
        "place": { "node": "pve1", "images": "", "storage": "", "bridge": "vmbr0", "vlan": null, "disk": 6 },
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn the_build_dies_at_every_point_and_still_makes_exactly_one_template() {
    let (cluster, publisher) = (crate::dying::cluster(0.005).await, publisher().await);
    cluster.faults().allow("Steward", "Datastore.Allocate");
    let mut point = 0;
    loop {
        let job = Played::of(&cluster, "template_build", |mark| args(&publisher, &format!("point-{point}"), mark));
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
        let path = format!("/nodes/pve1/qemu/{}/config", new[0]);
        let config = job.outside.client.call("GET", &path, &Value::Null).await.unwrap();
        assert_eq!(config["template"], 1, "death at point {point}: {config:#}");
        assert!(config["scsi0"].as_str().unwrap().contains("size=6G"), "death at point {point}: {config:#}");
        assert_eq!(downloads(&cluster), [""; 0], "death at point {point}");
        if !died {
            break;
        }
        point += 1;
    }
    assert!(point >= 20, "only {point} points: the test does not reach what it should");
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_build_that_gives_up_leaves_nothing_wherever_it_dies() {
    let (cluster, publisher) = (crate::dying::cluster(0.005).await, publisher().await);
    cluster.faults().allow("Steward", "Datastore.Allocate");
    for point in (0..50).step_by(2) {
        let job = Played::of(&cluster, "template_build", |mark| args(&publisher, &format!("lost-{point}"), mark));
        let before: BTreeSet<u64> = job.guests().await;
        job.life(&Death::at(point), Mode::Forward, false).await;
        let last = match job.life(&Death::at(point / 2), Mode::Undo, false).await {
            Some(outcome) => outcome,
            None => job.life(&Death::at(usize::MAX), Mode::Undo, false).await.unwrap(),
        };
        let log = job.disk.log.lock().unwrap().join("\n");
        assert_eq!(last, Outcome::Undone, "death at point {point}: {log}");
        assert_eq!(job.guests().await, before, "death at point {point} left a machine: {log}");
        assert_eq!(downloads(&cluster), [""; 0], "death at point {point} left a download: {log}");
    }
    cluster.stop().await;
}
