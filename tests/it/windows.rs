//! Windows machines: recipes by the guest agent, on the real binary and the simulated cluster. No PowerShell runs
//! there: scripts are answered from a table, what goes to and fro is real.

use crate::appliance::{Appliance, cluster};
use crate::dying::{Death, Played};
use plugin::{MachineCall, Mode, Outcome};
use serde_json::{Value, json};
use sim::{Fault, Reply, Sim};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

const PASSWORD: &str = "Seven'brown\"<kettles>&7 $x";
const RECIPE: &str = "software-windows-telecom";

fn says(part: &str, out: &str) -> Reply {
    Reply { part: part.into(), out: out.into(), ..Reply::default() }
}

/// What the recipe asks Windows for its name.
const NAME: &str = "ConvertTo-Json -Compress";

fn named(name: &str) -> String {
    json!({ "name": name, "next": name, "domain": "WORKGROUP", "joined": false }).to_string()
}

struct Scene {
    appliance: Appliance,
    cluster: Sim,
    guest: String,
    vmid: u32,
}

impl Scene {
    /// A running machine that is one of Windows.
    async fn new() -> Self {
        let cluster = cluster(0.05).await;
        let mut appliance = Appliance::prepare(&cluster).await;
        appliance.start().await;
        let list = appliance.until("/api/v1/guests?q=status:running%20kind:vm", 20, |l| l["total"] != 0).await;
        let guest = list["guests"][0]["id"].as_str().unwrap().to_owned();
        let vmid = u32::try_from(list["guests"][0]["vmid"].as_u64().unwrap()).unwrap();
        cluster.faults().set_config(vmid, "ostype", "win10");
        cluster.faults().set_config(vmid, "agent", "1");
        Self { appliance, cluster, guest, vmid }
    }

    fn path(&self, rest: &str) -> String {
        format!("/api/v1/guests/{}{rest}", self.guest)
    }

    async fn ask(&self) -> crate::appliance::Answer {
        let options = json!({
            "computer_name": "DESK7", "user": "Jörg Meier", "password": PASSWORD, "programs": ["putty"], "time_zone": "UTC",
        });
        self.appliance.ask("POST", &self.path("/software"), Some(json!({ "recipe": RECIPE, "options": options }))).await
    }

    async fn install(&self) -> String {
        let asked = self.ask().await;
        assert_eq!(asked.status, 202, "{}", asked.body);
        asked.json()["job"].as_str().unwrap().to_owned()
    }

    async fn job(&self, id: &str, state: &str) -> Value {
        self.appliance.until(&format!("/api/v1/jobs/{id}"), 90, |j| j["state"] == state).await
    }

    fn ran(&self, part: &str) -> usize {
        self.cluster.faults().ran(self.vmid).iter().filter(|r| r.script.contains(part)).count()
    }

    async fn end(mut self) {
        self.appliance.stop().await;
        self.cluster.stop().await;
    }
}

/// Is a text anywhere in the files of a folder, as it is?
fn in_files(folder: &std::path::Path, text: &str) -> bool {
    std::fs::read_dir(folder).unwrap().flatten().any(|entry| {
        let path = entry.path();
        if path.is_dir() {
            return in_files(&path, text);
        }
        let bytes = std::fs::read(&path).unwrap_or_default();
        bytes.windows(text.len()).any(|w| w == text.as_bytes())
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn a_windows_desk_is_set_up_by_the_guest_agent_and_no_password_is_in_a_command_line() {
    let mut scene = Scene::new().await;
    let putty = Reply { seconds: 40.0, ..says("'PuTTY.PuTTY'", "Found PuTTY\nGrün installiert\n") };
    scene.cluster.faults().windows(scene.vmid, putty);
    let job = scene.install().await;
    let live =
        scene.appliance.until(&format!("/api/v1/jobs/{job}"), 30, |j| j["log"].to_string().contains("Found")).await;
    assert!(!live["log"].to_string().contains("installiert"), "lines come while it runs: {live:#}");
    let done = scene.job(&job, "succeeded").await;
    let log = done["log"].to_string();
    assert!(log.contains("Grün installiert"), "what it wrote is UTF-8 on the whole way: {log}");
    assert_eq!(scene.ran("shutdown.exe /r"), 1, "a new name starts Windows anew, once");
    let ran = scene.cluster.faults().ran(scene.vmid);
    let user = ran.iter().find(|r| r.script.contains("New-LocalUser")).unwrap();
    assert_eq!((user.input.as_str(), user.long), (PASSWORD, false));
    assert!(user.script.contains("'Jörg Meier'"), "{}", user.script);
    for one in &ran {
        assert!(!one.command_line.contains("kettles") && !one.script.contains("kettles"), "{one:?}");
        assert_eq!(one.command_line, ran[0].command_line, "always the same");
    }
    assert!(!done.to_string().contains("kettles"));
    let list = scene.appliance.until(&scene.path("/software"), 10, |l| l[0]["state"] == "installed").await;
    assert!(!list.to_string().contains("kettles"));
    assert!(!scene.appliance.log().contains("kettles"));
    scene.appliance.stop().await;
    assert!(!in_files(&scene.appliance.path("data"), "kettles"));
    scene.cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_kill_while_a_program_is_installed_by_the_agent_does_not_start_it_twice() {
    let mut scene = Scene::new().await;
    let putty = Reply { seconds: 60.0, ..says("'PuTTY.PuTTY'", "Found PuTTY\nInstalled\n") };
    scene.cluster.faults().windows(scene.vmid, putty);
    let job = scene.install().await;
    scene.appliance.until(&format!("/api/v1/jobs/{job}"), 30, |j| j["log"].to_string().contains("Found")).await;
    scene.appliance.kill().await;
    tokio::time::sleep(Duration::from_secs(2)).await;
    scene.appliance.start().await;
    let done = scene.job(&job, "succeeded").await;
    assert_eq!(scene.ran("'PuTTY.PuTTY'"), 1);
    assert!(done["log"].to_string().contains("Installed"), "what it said meanwhile is in the log: {done:#}");
    scene.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_program_that_fails_by_the_agent_tells_its_cause_and_a_retry_goes_on() {
    let scene = Scene::new().await;
    let full = Reply { code: 1, times: 3, ..says("'PuTTY.PuTTY'", "There is not enough space on the disk.\n") };
    scene.cluster.faults().windows(scene.vmid, full);
    let job = scene.install().await;
    let failed = scene.job(&job, "failed").await;
    let why = failed["error"].as_str().unwrap();
    assert!(why.starts_with("The machine's disk is full.") && why.contains("not enough space"), "{why}");
    assert_eq!((scene.ran("Set-TimeZone"), scene.ran("'PuTTY.PuTTY'")), (1, 3), "only the failed part is tried again");
    let again = scene.appliance.ask("POST", &format!("/api/v1/jobs/{job}/retry"), None).await;
    assert_eq!(again.status, 200, "{}", again.body);
    scene.job(&job, "succeeded").await;
    assert_eq!((scene.ran("Set-TimeZone"), scene.ran("New-LocalUser")), (1, 1));
    scene.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn cancelling_ends_what_the_agent_started() {
    let scene = Scene::new().await;
    let putty = Reply { seconds: 4000.0, ..says("'PuTTY.PuTTY'", "Found PuTTY\nInstalled\n") };
    scene.cluster.faults().windows(scene.vmid, putty);
    let job = scene.install().await;
    scene.appliance.until(&format!("/api/v1/jobs/{job}"), 30, |j| j["log"].to_string().contains("Found")).await;
    assert_eq!(scene.cluster.faults().running_inside(scene.vmid), 1);
    scene.appliance.ask("POST", &format!("/api/v1/jobs/{job}/cancel"), None).await;
    scene.job(&job, "cancelled").await;
    for _ in 0..100 {
        if scene.cluster.faults().running_inside(scene.vmid) == 0 {
            return scene.end().await;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    panic!("it still runs: {}", scene.appliance.log());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_missing_right_is_named_with_the_command_and_a_silent_agent_is_waited_for() {
    let scene = Scene::new().await;
    scene.cluster.faults().forbid("Steward", "VM.GuestAgent.Unrestricted");
    let job = scene.install().await;
    let failed = scene.job(&job, "failed").await;
    let why = failed["error"].as_str().unwrap();
    assert!(why.contains("pveum role modify Steward --append 1 --privs VM.GuestAgent.Unrestricted"), "{why}");
    scene.cluster.faults().allow("Steward", "VM.GuestAgent.Unrestricted");
    // Nothing answers in there now.
    scene.cluster.faults().set_config(scene.vmid, "agent", "1");
    scene.cluster.faults().set(Fault::Deaf { vmid: scene.vmid, deaf: true }).await.unwrap();
    scene.appliance.ask("POST", &format!("/api/v1/jobs/{job}/retry"), None).await;
    let path = format!("/api/v1/jobs/{job}");
    scene
        .appliance
        .until(&path, 30, |j| j["state"] == "waiting" || j["error"].to_string().contains("does not answer"))
        .await;
    scene.cluster.faults().set(Fault::Deaf { vmid: scene.vmid, deaf: false }).await.unwrap();
    scene.job(&job, "succeeded").await;
    scene.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_recipe_by_the_agent_dies_at_every_point_and_starts_windows_anew_once() {
    let cluster = crate::dying::cluster(0.005).await;
    let options = json!({
        "computer_name": "DESK7", "account": "local", "user": "mira", "password": PASSWORD, "admin": true, "domain": "", "ou": "",
        "join_user": "", "join_password": "", "rdp_group": "", "time_zone": "UTC", "keyboard": "keep", "rdp": true, "firewall": true,
        "no_sleep": true, "programs": ["putty", "git"], "source": "winget", "choco_script": "", "msi": "https://files.example/a.msi",
    });
    let args = json!({ "options": options, "guest": { "name": "desk", "vmid": 100 }, "version": "1.0.0" });
    let mut point = 0;
    loop {
        let (boots, scripts) = (Arc::new(AtomicUsize::new(0)), Arc::new(Mutex::new(Vec::<String>::new())));
        let (seen, kept) = (Arc::clone(&boots), Arc::clone(&scripts));
        let inside = move |call: MachineCall| {
            let boot = seen.load(Ordering::SeqCst);
            Ok(match call {
                MachineCall::Run(asked) | MachineCall::Look(asked) => {
                    if asked.command.contains("shutdown.exe /r") {
                        seen.fetch_add(1, Ordering::SeqCst);
                    }
                    let name = if boot == 0 { "DESKTOP-1" } else { "DESK7" };
                    let out = if asked.command.contains(NAME) { named(name) } else { "True".to_owned() };
                    kept.lock().unwrap().push(asked.command);
                    json!({ "code": 0, "out": out, "err": "", "truncated": false })
                }
                MachineCall::Start { name, command } => {
                    kept.lock().unwrap().push(command);
                    json!(format!("agent:{name}:00"))
                }
                MachineCall::Ready => json!({ "ok": true, "why": "", "system": "mswindows" }),
                MachineCall::Boot => json!(boot.to_string()),
                MachineCall::Put { .. } | MachineCall::Get { .. } => Value::Null,
            })
        };
        let job = Played::recipe(&cluster, RECIPE, args.clone(), Box::new(inside));
        let first = job.life(&Death::at(point), Mode::Forward, false).await;
        let died = first.is_none();
        let last = match first {
            Some(outcome) => outcome,
            None => job.life(&Death::at(usize::MAX), Mode::Forward, false).await.unwrap(),
        };
        let log = job.disk.log.lock().unwrap().join("\n");
        assert!(matches!(last, Outcome::Done(_)), "death at point {point}: {last:?}\n{log}");
        assert_eq!(boots.load(Ordering::SeqCst), 1, "death at point {point}");
        let scripts = scripts.lock().unwrap();
        for part in [
            "Set-TimeZone",
            "'PuTTY.PuTTY'",
            "'Git.Git'",
            "a.msi",
            "New-LocalUser",
            "Rename-Computer",
            "fDenyTSConnections",
        ] {
            let times = scripts.iter().filter(|s| s.contains(part)).count();
            assert!((1..=2).contains(&times), "death at point {point}: {part} ran {times} times");
        }
        let disk = format!("{:?}", job.disk.steps.lock().unwrap());
        assert!(!disk.contains("kettles") && !log.contains("kettles"), "death at point {point}");
        if !died {
            break;
        }
        point += 1;
    }
    assert!(point >= 30, "only {point} points: the test does not reach what it should");
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_machine_from_a_windows_template_gets_its_user_by_cloudbase_init_and_no_linux_software() {
    let cluster = cluster(0.05).await;
    let mut appliance = Appliance::prepare(&cluster).await;
    appliance.start().await;
    let list = appliance.until("/api/v1/guests?q=windows-10", 20, |l| l["total"] != 0).await;
    let (template, node) = (list["guests"][0]["vmid"].clone(), list["guests"][0]["node"].clone());
    let wanted = |more: Value| {
        let mut all = json!({
            "name": "desk-7", "node": node, "source": { "from": "template", "vmid": template, "full": false },
            "cores": 2, "memory": 4096, "disk": 64, "bridge": "vmbr0", "user": "Jörg Meier", "password": PASSWORD,
            "ssh_keys": "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIHxB8x6WmXgkqE0o4h9mT0dW6q2Jm0cJ3n2T3r4s5t6u mira@desk",
        });
        all.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        all
    };
    let refused = |more: Value| {
        let (appliance, body) = (&appliance, wanted(more));
        async move {
            let answer = appliance.ask("POST", "/api/v1/guests", Some(body)).await;
            assert_eq!(answer.status, 422, "{}", answer.body);
            answer.json()["errors"].as_object().unwrap().keys().next().unwrap().clone()
        }
    };
    assert_eq!(refused(json!({ "password": null })).await, "password");
    assert_eq!(refused(json!({ "password": "short" })).await, "password");
    assert_eq!(refused(json!({ "user": "a@b" })).await, "user");
    assert_eq!(refused(json!({ "software": [{ "recipe": "software-nginx", "options": {} }] })).await, "software");

    let asked = appliance.ask("POST", "/api/v1/guests", Some(wanted(json!({})))).await;
    assert_eq!(asked.status, 202, "{}", asked.body);
    assert!(!asked.body.contains("kettles"));
    let job = format!("/api/v1/jobs/{}", asked.json()["job"]["id"].as_str().unwrap());
    let done = appliance.until(&job, 60, |j| j["finished"].is_string()).await;
    assert_eq!(done["state"], "succeeded", "{done:#}");
    assert!(!done.to_string().contains("kettles"), "{done:#}");
    let vmid = u32::try_from(done["result"]["vmid"].as_u64().unwrap()).unwrap();
    let config = |key: &str| cluster.faults().config(vmid, key).unwrap_or_default();
    assert_eq!((config("ciuser"), config("citype")), ("Jörg Meier".into(), "configdrive2".into()));
    assert_eq!((config("cipassword"), config("sshkeys")), (PASSWORD.into(), String::new()));

    let guest = format!("/api/v1/guests/{}", asked.json()["guest"].as_str().unwrap());
    appliance.until(&guest, 30, |g| g["status"] == "running").await;
    let linux = json!({ "recipe": "software-nginx", "options": {} });
    let refused = appliance.ask("POST", &format!("{guest}/software"), Some(linux)).await;
    assert_eq!(refused.status, 422, "{}", refused.body);
    assert!(refused.body.contains("can't be installed on a machine with Windows"), "{}", refused.body);
    assert!(!appliance.log().contains("kettles"));
    appliance.stop().await;
    assert!(!in_files(&appliance.path("data"), "kettles"));
    cluster.stop().await;
}

fn build(name: &str, mark: base::ids::JobId) -> Value {
    json!({
        "name": name, "title": "Windows 11", "notes": "Windows 11", "mark": mark, "release": "win11", "node": "pve1", "storage": "", "bridge": "vmbr0",
        "vlan": null, "disk": 64, "cores": 2, "memory": 4096, "iso": "nas:iso/debian-13.1.0-amd64-netinst.iso", "drivers": "nas:iso/virtio-win-0.1.271.iso",
        "extra": "", "hours": 6, "file": format!("steward-answers-{mark}.iso"), "answers": { "autounattend.xml": format!("<p>{PASSWORD}</p>") },
    })
}

fn answer_cds(cluster: &Sim) -> Vec<String> {
    cluster.faults().volumes().into_iter().filter(|v| v.contains("steward-answers")).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_build_of_a_windows_template_dies_all_along_and_makes_one_without_its_answers() {
    let cluster = crate::dying::cluster(0.0002).await;
    cluster.faults().allow("Steward", "Datastore.Allocate");
    let mut point = 0;
    loop {
        let mut job = Played::of(&cluster, "windows_build", |mark| build(&format!("win-{point}"), mark));
        job.hurry = true;
        let before = job.guests().await;
        let first = job.life(&Death::at(point), Mode::Forward, false).await;
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
        assert_eq!(
            (&config["template"], &config["citype"]),
            (&json!(1), &json!("configdrive2")),
            "death at point {point}: {config:#}"
        );
        assert!(config["sata0"].is_null() && config["sata2"].is_null(), "death at point {point}: {config:#}");
        assert!(config["tpmstate0"].is_string() && config["efidisk0"].is_string(), "{config:#}");
        assert_eq!(answer_cds(&cluster), [""; 0], "death at point {point}");
        assert!(!format!("{:?}{log}", job.disk.steps.lock().unwrap()).contains("kettles"), "death at point {point}");
        if !died {
            break;
        }
        // Between two calls lie two points, so an odd step comes to both. Twelve keys with their pauses are alike.
        point += if (36..120).contains(&point) { 11 } else { 3 };
    }
    assert!(point >= 40, "only {point} points: the test does not reach what it should");
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_answers_with_the_password_go_away_wherever_the_build_gives_up() {
    let cluster = crate::dying::cluster(0.0002).await;
    for (point, allowed) in (0..36).step_by(3).flat_map(|p| [(p, true), (p, false)]) {
        if allowed {
            cluster.faults().allow("Steward", "Datastore.Allocate");
        } else {
            cluster.faults().forbid("Steward", "Datastore.Allocate");
        }
        let mut job = Played::of(&cluster, "windows_build", |mark| build(&format!("gone-{point}-{allowed}"), mark));
        job.hurry = true;
        let (before, cds) = (job.guests().await, answer_cds(&cluster));
        job.life(&Death::at(point), Mode::Forward, false).await;
        let last = match job.life(&Death::at(point / 2), Mode::Undo, false).await {
            Some(outcome) => outcome,
            None => job.life(&Death::at(usize::MAX), Mode::Undo, false).await.unwrap(),
        };
        let log = job.disk.log.lock().unwrap().join("\n");
        assert_eq!(last, Outcome::Undone, "death at point {point}: {log}");
        assert_eq!(job.guests().await, before, "death at point {point} left a machine: {log}");
        let left: Vec<String> = answer_cds(&cluster).into_iter().filter(|v| !cds.contains(v)).collect();
        assert!(!allowed || left.is_empty(), "death at point {point} left {left:?}");
        for volid in left {
            let bytes = cluster.faults().iso(&volid).unwrap();
            assert!(
                !bytes.windows(7).any(|w| w == b"kettles"),
                "death at point {point}: the password is still in {volid}"
            );
        }
    }
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_windows_template_is_made_from_an_iso_image_and_its_password_is_nowhere() {
    let cluster = cluster(0.005).await;
    let mut appliance = Appliance::prepare(&cluster).await;
    appliance.start().await;
    appliance.until("/api/v1/nodes", 20, |v| v["nodes"].as_array().is_some_and(|a| !a.is_empty())).await;
    let wanted = json!({
        "name": "win-11", "node": "pve1", "release": "win11", "iso": "nas:iso/debian-13.1.0-amd64-netinst.iso", "drivers": "nas:iso/virtio-win-0.1.271.iso",
        "edition": 6, "language": "en-US", "keyboard": "0409:00000409", "time_zone": "UTC", "bridge": "vmbr0", "disk": 64, "cores": 2,
        "memory": 4096, "hours": 6, "password": PASSWORD, "product_key": "ABCDE-12345-ABCDE-12345-ABCDE",
    });
    let mut wrong = wanted.clone();
    wrong["password"] = json!("short");
    wrong["drivers"] = json!("");
    let refused = appliance.ask("POST", "/api/v1/templates/windows", Some(wrong)).await;
    assert_eq!(refused.status, 422, "{}", refused.body);
    assert!(refused.body.contains("password") && refused.body.contains("drivers"), "{}", refused.body);
    let asked = appliance.ask("POST", "/api/v1/templates/windows", Some(wanted)).await;
    assert_eq!(asked.status, 202, "{}", asked.body);
    let path = format!("/api/v1/jobs/{}", asked.json()["id"].as_str().unwrap());
    let done = appliance.until(&path, 120, |j| j["finished"].is_string()).await;
    assert_eq!(done["state"], "succeeded", "{done:#}");
    let all = format!("{}{done}{}", asked.body, appliance.log());
    assert!(!all.contains("kettles") && !all.contains("12345-ABCDE"), "{all}");
    // Without the right to remove it the CD is written over.
    let left = answer_cds(&cluster);
    assert_eq!(left.len(), 1);
    assert!(!cluster.faults().iso(&left[0]).unwrap().windows(7).any(|w| w == b"kettles"));
    assert!(done["log"].to_string().contains("Datastore.Allocate"), "{done:#}");
    appliance.until("/api/v1/templates", 30, |v| v.to_string().contains("win-11")).await;
    appliance.stop().await;
    assert!(!in_files(&appliance.path("data"), "kettles"));
    cluster.stop().await;
}
