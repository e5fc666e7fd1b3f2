//! A job of the Proxmox plugin that dies where something happens or is recorded, and goes on: the journal and
//! the simulated cluster stay, the process does not.

use base::ids::JobId;
use base::{Clock, Error, Secrets, SystemClock, Timestamp};
use model::jobs::{LogLevel, Progress, Step, StepState, TaskEnd, Wait};
use plugin::{
    Call, CallError, CallErrorKind, CdUpload, Host, Journal, MachineCall, Method, Mode, Outcome, Plugin, Plugins, Run,
};
use remote::pve::{CdImage, PveClient, PveError, Target, Trust};
use serde_json::{Value, json};
use sim::Sim;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::runtime::Handle;

/// Counts the points at which the process could die, and dies at one of them: from then on nothing works.
#[derive(Default)]
pub struct Death {
    points: AtomicUsize,
    at: AtomicUsize,
    dead: AtomicBool,
}

impl Death {
    pub fn at(point: usize) -> Arc<Self> {
        Arc::new(Self { at: AtomicUsize::new(point), ..Self::default() })
    }

    /// One point; true when the process is dead.
    fn pass(&self) -> bool {
        if self.points.fetch_add(1, Ordering::SeqCst) == self.at.load(Ordering::SeqCst) {
            self.dead.store(true, Ordering::SeqCst);
        }
        self.dead.load(Ordering::SeqCst)
    }

    /// How many points were passed.
    pub fn passed(&self) -> usize {
        self.points.load(Ordering::SeqCst)
    }

    pub fn came(&self) -> bool {
        self.dead.load(Ordering::SeqCst)
    }
}

/// What would be on disk.
#[derive(Default)]
pub struct Disk {
    pub steps: Mutex<BTreeMap<String, Step>>,
    pub log: Mutex<Vec<String>>,
    /// Milliseconds that were skipped instead of waited.
    skipped: AtomicI64,
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
        Timestamp(SystemClock.now().0 + self.disk.skipped.load(Ordering::SeqCst))
    }
}

/// The world outside: it does not die with the process.
pub struct Outside {
    pub client: PveClient,
    reserved: Mutex<BTreeSet<u64>>,
    /// What is inside the machine that a recipe works on.
    inside: Option<Inside>,
}

/// Answers what a recipe asks of its machine.
pub type Inside = Box<dyn Fn(MachineCall) -> Result<Value, CallError> + Send + Sync>;

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
        self.runtime.block_on(self.outside.client.call(method.name(), path, params)).map_err(from_pve)
    }

    fn upload_cd(&self, cd: &CdUpload) -> Result<Value, CallError> {
        let none = Secrets::default();
        let files: Vec<_> =
            cd.files.iter().map(|(name, text)| (name.clone(), text.resolve(&none).unwrap_or_default())).collect();
        let CdUpload { node, storage, filename, label, .. } = cd;
        let image = CdImage { node, storage, filename, label, files: &files };
        self.runtime.block_on(self.outside.client.upload_cd(&image)).map(|task| json!(task)).map_err(from_pve)
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
        let reads = |call: &MachineCall| {
            matches!(call, MachineCall::Look(_) | MachineCall::Get { .. } | MachineCall::Ready | MachineCall::Boot)
        };
        let changes = match &call {
            Call::Pve { method: Method::Get, .. } | Call::Now | Call::Log { .. } => false,
            Call::Agent(call) => !reads(call),
            _ => true,
        };
        if self.death.came() || (changes && self.death.pass()) {
            return Err(gone());
        }
        let answer = match call {
            Call::Pve { method, path, params, .. } => {
                // Configuration is idempotent, so twice must be the same as once.
                if self.twice && method == Method::Put {
                    self.pve(method, &path, &params)?;
                }
                self.pve(method, &path, &params)
            }
            Call::UploadCd(cd) => self.upload_cd(&cd),
            Call::Agent(call) => self.outside.inside.as_ref().unwrap()(call),
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

fn from_pve(e: PveError) -> CallError {
    let kind = serde_json::from_value(json!(e.kind.name())).unwrap();
    CallError { kind, status: e.status, message: e.message, errors: e.errors }
}

/// One job with its disk; `drive` runs it as the runner does, over as many lives as it takes.
pub struct Played {
    plugin: Arc<Plugin>,
    pub outside: Arc<Outside>,
    pub disk: Arc<Disk>,
    id: JobId,
    hook: String,
    args: Value,
    /// Pauses are skipped, as the clock says that they are over.
    pub hurry: bool,
}

impl Played {
    /// A job of `hook`; `args` gets the job's id, for its mark.
    pub fn of(cluster: &Sim, hook: &str, args: impl FnOnce(JobId) -> Value) -> Self {
        let target = Target {
            endpoints: vec![cluster.url.clone()],
            trust: Trust::Fingerprints(vec![cluster.fingerprint]),
            token_id: cluster.token_id.clone(),
            token_secret: cluster.token_secret.clone(),
        };
        let outside = Outside { client: PveClient::new(target).unwrap(), reserved: Mutex::default(), inside: None };
        let id = JobId::new();
        let args = args(id);
        let plugin = Plugins::load(embedded::FILES.plugins, None).get("proxmox").unwrap();
        Self { plugin, outside: Arc::new(outside), disk: Arc::default(), id, hook: hook.to_owned(), args, hurry: false }
    }

    /// A job of a recipe.
    pub fn recipe(cluster: &Sim, name: &str, args: Value, inside: Inside) -> Self {
        let mut played = Self::of(cluster, "install", |_| args);
        played.plugin = Plugins::load(embedded::FILES.plugins, None).get(name).unwrap();
        Arc::get_mut(&mut played.outside).unwrap().inside = Some(inside);
        played
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
        let run =
            Run { plugin: self.plugin.name().into(), hook: self.hook.clone(), job: Some(self.id), ..Run::default() };
        let (plugin, hook, args) = (Arc::clone(&self.plugin), self.hook.clone(), self.args.clone());
        tokio::task::spawn_blocking(move || plugin.run_job(&host, journal, &hook, args, run, mode)).await.unwrap()
    }

    /// Runs until the job is over or the process dies.
    pub async fn life(&self, death: &Arc<Death>, mode: Mode, twice: bool) -> Option<Outcome> {
        let mut tries = 0;
        loop {
            let outcome = self.once(death, mode, twice).await;
            if death.came() {
                return None;
            }
            match outcome {
                Outcome::Wait(Wait::Task { id }) => self.wait(&id).await,
                Outcome::Wait(Wait::Command(command)) => self.ended(&command.to_string(), &TaskEnd::ok()),
                Outcome::Wait(Wait::Until { at, .. }) if self.hurry => {
                    let now = SystemClock.now().0 + self.disk.skipped.load(Ordering::SeqCst);
                    self.disk.skipped.fetch_add((at.0 - now).max(0) + 1, Ordering::SeqCst);
                    tokio::time::sleep(Duration::from_millis(20)).await;
                }
                Outcome::Wait(Wait::Until { at, .. }) => {
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

    /// What the runner writes when a task or command is over.
    fn ended(&self, handle: &str, end: &TaskEnd) {
        let journal = TestJournal { disk: Arc::clone(&self.disk), death: Death::at(usize::MAX) };
        let name = format!("wait:{handle}");
        journal.begin(&name).unwrap();
        journal.finish(&name, json!(end)).unwrap();
    }

    async fn wait(&self, upid: &str) {
        let status = loop {
            let status = self.outside.client.task(upid).await.unwrap();
            if !status.running {
                break status;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        };
        self.ended(upid, &end_of(&status));
    }

    pub async fn guests(&self) -> BTreeSet<u64> {
        let list = self.outside.client.call("GET", "/cluster/resources", &json!({ "type": "vm" })).await.unwrap();
        list.as_array().unwrap().iter().map(|g| g["vmid"].as_u64().unwrap()).collect()
    }
}

/// Two nodes, eight guests.
pub async fn cluster(time_scale: f64) -> Sim {
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    sim::start(sim::Options { nodes: 2, guests: 8, time_scale, ..Default::default() }).await.unwrap()
}

/// A task's end as the journal keeps it.
pub fn end_of(status: &remote::pve::TaskStatus) -> TaskEnd {
    let end = remote::pve::TaskEnd::of(status.exitstatus.as_deref().unwrap_or_default());
    TaskEnd { ok: end.ok, text: end.text, unreachable: end.unreachable, lasting: end.lasting }
}
