//! The create job of the Proxmox plugin dies at every point where something happens or is recorded, and goes
//! on: exactly one machine each time, and none at all when it gives up.

use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use steward::base::ids::JobId;
use steward::base::{Clock, Error, SystemClock, Timestamp};
use steward::model::jobs::{LogLevel, Progress, Step, StepState, Wait};
use steward::plugin::{Call, CallError, CallErrorKind, Host, Journal, Method, Mode, Outcome, Plugin, Plugins, Run};
use steward::remote::pve::{PveClient, Target, Trust};
use steward::sim::Sim;
use tokio::runtime::Handle;

/// Counts the points at which the process could die, and dies at one of them: from then on nothing works.
#[derive(Default)]
struct Death {
    points: AtomicUsize,
    at: AtomicUsize,
    dead: AtomicBool,
}

impl Death {
    fn at(point: usize) -> Arc<Self> {
        Arc::new(Self { at: AtomicUsize::new(point), ..Self::default() })
    }

    /// One point; true when the process is dead.
    fn pass(&self) -> bool {
        if self.points.fetch_add(1, Ordering::SeqCst) == self.at.load(Ordering::SeqCst) {
            self.dead.store(true, Ordering::SeqCst);
        }
        self.dead.load(Ordering::SeqCst)
    }

    fn came(&self) -> bool {
        self.dead.load(Ordering::SeqCst)
    }
}

/// What would be on disk.
#[derive(Default)]
struct Disk {
    steps: Mutex<BTreeMap<String, Step>>,
    log: Mutex<Vec<String>>,
}

struct TestJournal {
    disk: Arc<Disk>,
    death: Arc<Death>,
}

impl TestJournal {
    fn write(&self, f: impl FnOnce(&mut BTreeMap<String, Step>)) -> Result<(), Error> {
        let gone = || Err(Error::internal("the process is dead"));
        if self.death.pass() {
            return gone();
        }
        f(&mut self.disk.steps.lock().unwrap());
        if self.death.pass() { gone() } else { Ok(()) }
    }
}

impl Journal for TestJournal {
    fn entries(&self) -> Result<Vec<Step>, Error> {
        Ok(self.disk.steps.lock().unwrap().values().cloned().collect())
    }
    fn begin(&self, name: &str) -> Result<(), Error> {
        self.write(|steps| {
            let order = u32::try_from(steps.len()).unwrap();
            let began = SystemClock.now();
            let new =
                || Step { name: name.into(), state: StepState::Begun, began, ended: None, result: Value::Null, order };
            let step = steps.entry(name.into()).or_insert_with(new);
            (step.state, step.began) = (StepState::Begun, began);
        })
    }
    fn finish(&self, name: &str, result: Value) -> Result<(), Error> {
        self.write(|steps| {
            let step = steps.get_mut(name).unwrap();
            (step.state, step.result, step.ended) = (StepState::Done, result, Some(SystemClock.now()));
        })
    }
    fn fail(&self, name: &str) -> Result<(), Error> {
        self.write(|steps| steps.get_mut(name).unwrap().state = StepState::Failed)
    }
    fn forget(&self, name: &str) -> Result<(), Error> {
        self.write(|steps| _ = steps.remove(name))
    }
    fn progress(&self, _: Progress) {}
    fn log(&self, _: LogLevel, text: &str) {
        self.disk.log.lock().unwrap().push(text.to_owned());
    }
    fn cancelled(&self) -> bool {
        false
    }
    fn now(&self) -> Timestamp {
        SystemClock.now()
    }
}

/// The world outside: it does not die with the process.
struct Outside {
    client: PveClient,
    reserved: Mutex<BTreeSet<u64>>,
}

struct TestHost {
    disk: Arc<Disk>,
    outside: Arc<Outside>,
    death: Arc<Death>,
    runtime: Handle,
    /// Every change is sent twice, as by a client that repeats itself after a lost answer.
    twice: bool,
}

impl TestHost {
    fn pve(&self, method: Method, path: &str, params: &Value) -> Result<Value, CallError> {
        let result = self.runtime.block_on(self.outside.client.call(method.name(), path, params));
        result.map_err(|e| {
            let kind = serde_json::from_value(json!(e.kind.name())).unwrap();
            CallError { kind, status: e.status, message: e.message, errors: e.errors }
        })
    }

    fn reserve(&self) -> Result<Value, CallError> {
        let mut reserved = self.outside.reserved.lock().unwrap();
        let id = (1_000..).find(|id| {
            !reserved.contains(id) && self.pve(Method::Get, "/cluster/nextid", &json!({ "vmid": id })).is_ok()
        });
        reserved.insert(id.unwrap());
        Ok(json!(id))
    }
}

impl Host for TestHost {
    fn call(&self, _: &Run, call: Call) -> Result<Value, CallError> {
        let gone = || CallError::new(CallErrorKind::Internal, 0, "the process is dead");
        let changes = !matches!(&call, Call::Pve { method: Method::Get, .. } | Call::Now | Call::Log { .. });
        if self.death.came() || (changes && self.death.pass()) {
            return Err(gone());
        }
        let answer = match call {
            Call::Pve { method, path, params } => {
                // Configuration is idempotent, so twice must be the same as once.
                if self.twice && method == Method::Put {
                    self.pve(method, &path, &params)?;
                }
                self.pve(method, &path, &params)
            }
            Call::ReserveVmid => self.reserve(),
            Call::ReleaseVmid { vmid } => {
                self.outside.reserved.lock().unwrap().remove(&u64::from(vmid));
                Ok(Value::Null)
            }
            Call::Now => Ok(json!(SystemClock.now().as_secs())),
            Call::Log { text, .. } => {
                self.disk.log.lock().unwrap().push(text);
                Ok(Value::Null)
            }
            _ => Ok(Value::Null),
        };
        if changes && self.death.pass() { Err(gone()) } else { answer }
    }
}

/// One job with its disk; `drive` runs it as the runner does, over as many lives as it takes.
struct Played {
    plugin: Arc<Plugin>,
    outside: Arc<Outside>,
    disk: Arc<Disk>,
    id: JobId,
    args: Value,
}

impl Played {
    async fn new(cluster: &Sim, name: &str, template: u64) -> Self {
        let target = Target {
            endpoints: vec![cluster.url.clone()],
            trust: Trust::Fingerprints(vec![cluster.fingerprint]),
            token_id: cluster.token_id.clone(),
            token_secret: cluster.token_secret.clone(),
        };
        let outside = Outside { client: PveClient::new(target).unwrap(), reserved: Mutex::default() };
        let id = JobId::new();
        let args = json!({
            "name": name, "node": "pve1", "source": { "from": "template", "vmid": template, "full": true },
            "cores": 2, "memory": 2048, "disk": 64, "storage": null, "bridge": "vmbr0", "vlan": null,
            "address": { "mode": "dhcp" }, "user": "mira", "ssh_keys": "", "tags": [], "description": "",
            "start": true, "mark": id,
        });
        let plugin = Plugins::load(None).get("proxmox").unwrap();
        Self { plugin, outside: Arc::new(outside), disk: Arc::default(), id, args }
    }

    async fn once(&self, death: &Arc<Death>, mode: Mode, twice: bool) -> Outcome {
        let host: Arc<dyn Host> = Arc::new(TestHost {
            disk: Arc::clone(&self.disk),
            outside: Arc::clone(&self.outside),
            death: Arc::clone(death),
            runtime: Handle::current(),
            twice,
        });
        let journal: Arc<dyn Journal> =
            Arc::new(TestJournal { disk: Arc::clone(&self.disk), death: Arc::clone(death) });
        let run = Run { plugin: "proxmox".into(), hook: "guest_create".into(), job: Some(self.id), ..Run::default() };
        let (plugin, args) = (Arc::clone(&self.plugin), self.args.clone());
        tokio::task::spawn_blocking(move || plugin.run_job(&host, journal, "guest_create", args, run, mode))
            .await
            .unwrap()
    }

    /// Runs until the job is over or the process dies.
    async fn life(&self, death: &Arc<Death>, mode: Mode, twice: bool) -> Option<Outcome> {
        let mut tries = 0;
        loop {
            let outcome = self.once(death, mode, twice).await;
            if death.came() {
                return None;
            }
            match outcome {
                Outcome::Wait(Wait::Task { upid }) => self.wait(&upid).await,
                Outcome::Wait(Wait::Until { at }) => {
                    tokio::time::sleep(SystemClock.now().until(at).min(Duration::from_secs(6))).await;
                }
                // As the runner: three tries, with a pause between them.
                Outcome::Failed(why) if why.retry && tries < 2 => {
                    tries += 1;
                    tokio::time::sleep(Duration::from_millis(500)).await;
                }
                over => return Some(over),
            }
        }
    }

    /// What the runner writes when a task is over.
    async fn wait(&self, upid: &str) {
        let status = loop {
            let status = self.outside.client.task(upid).await.unwrap();
            if !status.running {
                break status;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        };
        let journal = TestJournal { disk: Arc::clone(&self.disk), death: Death::at(usize::MAX) };
        let name = format!("wait:{upid}");
        journal.begin(&name).unwrap();
        journal.finish(&name, json!({ "exitstatus": status.exitstatus })).unwrap();
    }

    async fn guests(&self) -> BTreeSet<u64> {
        let list = self.outside.client.call("GET", "/cluster/resources", &json!({ "type": "vm" })).await.unwrap();
        list.as_array().unwrap().iter().map(|g| g["vmid"].as_u64().unwrap()).collect()
    }
}

async fn template(cluster: &Sim) -> u64 {
    let looker = Played::new(cluster, "x", 0).await;
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
        let job = Played::new(&cluster, &format!("point-{point}"), template).await;
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
        let job = Played::new(&cluster, &format!("lost-{point}"), template).await;
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
    let job = Played::new(&cluster, "twice", template(&cluster).await).await;
    let before = job.guests().await;
    let outcome = job.life(&Death::at(usize::MAX), Mode::Forward, true).await.unwrap();
    assert!(matches!(outcome, Outcome::Done(_)), "{outcome:?}");
    // Run again from the top with everything recorded: nothing happens any more.
    let again = job.life(&Death::at(usize::MAX), Mode::Forward, true).await.unwrap();
    assert_eq!(outcome, again);
    assert_eq!(job.guests().await.len(), before.len() + 1);
    cluster.stop().await;
}

async fn cluster(time_scale: f64) -> Sim {
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    steward::sim::start(steward::sim::Options { nodes: 2, guests: 8, time_scale, ..Default::default() }).await.unwrap()
}
