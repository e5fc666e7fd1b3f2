//! The proxmox plugin against a Proxmox: a host that asks a real client, a journal in memory, and a small
//! runner that waits for tasks. What the appliance does with the store is not part of this.

mod journal;

pub use journal::MemoryJournal;

use base::Timestamp;
use base::ids::JobId;
use model::jobs::Wait;
use plugin::{Call, CallError, CallErrorKind, Failure, Host, Mode, Outcome, Plugin, Plugins, Run};
use remote::pve::{PveClient, PveError, PveErrorKind};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::runtime::Handle;

/// Answers a script's calls by asking Proxmox.
pub struct PveHost {
    client: PveClient,
    runtime: Handle,
    reserved: Mutex<BTreeSet<u32>>,
    /// The first number to give out. Nothing is looked up: what is taken shows when it is used.
    first: u32,
}

impl PveHost {
    fn pve(&self, method: &str, path: &str, params: &Value) -> Result<Value, CallError> {
        self.runtime.block_on(self.client.call(method, path, params)).map_err(call_error)
    }

    fn reserve(&self) -> u32 {
        let mut reserved = self.reserved.lock().unwrap();
        let id = (self.first..).find(|id| !reserved.contains(id)).unwrap();
        reserved.insert(id);
        id
    }
}

impl Host for PveHost {
    fn call(&self, _: &Run, call: Call) -> Result<Value, CallError> {
        match call {
            Call::Pve { method, path, params, .. } => self.pve(method.name(), &path, &params),
            Call::ReserveVmid => Ok(self.reserve().into()),
            Call::ReleaseVmid { vmid } => {
                self.reserved.lock().unwrap().remove(&vmid);
                Ok(Value::Null)
            }
            _ => Ok(Value::Null),
        }
    }
}

fn call_error(e: PveError) -> CallError {
    let kind = match e.kind {
        PveErrorKind::Unreachable => CallErrorKind::Unreachable,
        PveErrorKind::Auth => CallErrorKind::Auth,
        PveErrorKind::Forbidden => CallErrorKind::Forbidden,
        PveErrorKind::Invalid => CallErrorKind::Invalid,
        PveErrorKind::Locked => CallErrorKind::Locked,
        PveErrorKind::NotFound => CallErrorKind::NotFound,
        PveErrorKind::Conflict => CallErrorKind::Conflict,
        PveErrorKind::Refused => CallErrorKind::Refused,
        PveErrorKind::Timeout => CallErrorKind::Timeout,
        PveErrorKind::Internal => CallErrorKind::Internal,
    };
    CallError { kind, status: e.status, message: e.message, errors: e.errors }
}

/// The proxmox plugin with one Proxmox to drive.
#[derive(Clone)]
pub struct Bench {
    plugin: Arc<Plugin>,
    pub host: Arc<PveHost>,
    pub client: PveClient,
}

impl Bench {
    /// What the plugin declares for this kind of machine.
    pub fn settings(&self, kind: model::guests::GuestKind) -> model::guests::settings::MachineSettings {
        model::guests::settings::MachineSettings::of(&self.plugin.manifest().settings, kind)
    }

    /// `first` is the first number that new machines get.
    pub fn new(client: PveClient, first: u32) -> Self {
        let plugins = Plugins::load(embedded::FILES.plugins, None);
        let plugin = plugins.get("proxmox").unwrap_or_else(|| panic!("{:?}", plugins.list()));
        let host = PveHost { client: client.clone(), runtime: Handle::current(), reserved: Mutex::default(), first };
        Self { plugin, host: Arc::new(host), client }
    }

    /// Numbers that are reserved now.
    pub fn reserved(&self) -> Vec<u32> {
        self.host.reserved.lock().unwrap().iter().copied().collect()
    }

    /// An effect or pure hook.
    pub async fn call(&self, hook: &'static str, args: Vec<Value>) -> Result<Value, String> {
        let (plugin, host) = (Arc::clone(&self.plugin), Arc::clone(&self.host) as Arc<dyn Host>);
        let call = move || plugin.call(&host, hook, args, Run::default()).map_err(|e| e.to_string());
        tokio::task::spawn_blocking(call).await.unwrap()
    }

    /// One run of a job hook, up to its end or its next wait.
    pub async fn run(&self, journal: &Arc<MemoryJournal>, hook: &'static str, args: &Value, mode: Mode) -> Outcome {
        let (plugin, host) = (Arc::clone(&self.plugin), Arc::clone(&self.host) as Arc<dyn Host>);
        let (journal, args) = (Arc::clone(journal), args.clone());
        let run = Run { job: Some(JobId::new()), ..Run::default() };
        tokio::task::spawn_blocking(move || plugin.run_job(&host, journal, hook, args, run, mode)).await.unwrap()
    }

    /// Runs through all waits until the job ends; what fails is not tried again.
    pub async fn drive(&self, journal: &Arc<MemoryJournal>, hook: &'static str, args: &Value, mode: Mode) -> Outcome {
        for _ in 0..500 {
            match self.run(journal, hook, args, mode).await {
                Outcome::Wait(wait) => self.wait(journal, wait).await,
                end => return end,
            }
        }
        panic!("the job waits without end: {:?}", journal.names());
    }

    async fn wait(&self, journal: &MemoryJournal, wait: Wait) {
        match wait {
            Wait::Task { id } => {
                let every = Duration::from_millis(20);
                let end = self.client.wait_task(&id, every, Duration::from_secs(60)).await.unwrap();
                journal.task_over(&id, &crate::dying::end_of(&end));
            }
            Wait::Command(command) => panic!("{command} is no task"),
            Wait::Until { at, .. } => {
                tokio::time::sleep(Duration::from_millis(20)).await;
                journal.move_to(at);
            }
        }
    }

    /// As the appliance does it: three tries, then everything is taken back. `Err` has the last failure.
    pub async fn job(&self, journal: &Arc<MemoryJournal>, hook: &'static str, args: &Value) -> Result<Value, Failure> {
        let mut last = None;
        for _ in 0..3 {
            match self.drive(journal, hook, args, Mode::Forward).await {
                Outcome::Done(value) => return Ok(value),
                Outcome::Failed(failure) if failure.retry => last = Some(failure),
                Outcome::Failed(failure) => {
                    last = Some(failure);
                    break;
                }
                other => panic!("{other:?}"),
            }
        }
        let undone = self.drive(journal, hook, args, Mode::Undo).await;
        assert_eq!(undone, Outcome::Undone);
        Err(last.unwrap())
    }

    /// A job that must succeed.
    pub async fn done(&self, hook: &'static str, args: &Value) -> (Value, Arc<MemoryJournal>) {
        let journal = Arc::new(MemoryJournal::new());
        let value = self.job(&journal, hook, args).await.unwrap_or_else(|e| panic!("{e:?}\n{}", journal.text()));
        (value, journal)
    }

    /// A job that must fail, and its sentence.
    pub async fn refused(&self, hook: &'static str, args: &Value) -> String {
        let journal = Arc::new(MemoryJournal::new());
        match self.job(&journal, hook, args).await {
            Err(failure) => failure.error.message,
            Ok(value) => panic!("it succeeded: {value}"),
        }
    }

    pub async fn get(&self, path: &str) -> Value {
        self.client.call("GET", path, &Value::Null).await.unwrap()
    }

    /// Numbers of all machines there are.
    pub async fn vmids(&self) -> Vec<u64> {
        let list = self.client.call("GET", "/cluster/resources", &json!({"type": "vm"})).await.unwrap();
        let mut ids: Vec<u64> = list.as_array().unwrap().iter().map(|g| g["vmid"].as_u64().unwrap()).collect();
        ids.sort_unstable();
        ids
    }
}

/// A wanted machine, cloned from template 9000; each with a mark of its own.
pub fn wanted() -> Value {
    json!({
        "name": "build-01", "node": "pve1", "source": {"from": "template", "vmid": 9000, "full": true},
        "cores": 2, "memory": 2048, "disk": 8, "storage": "local-lvm", "bridge": "vmbr0", "vlan": 20,
        "address": {"mode": "static", "cidr": "192.168.1.44/24", "gateway": "192.168.1.1"}, "user": "mira",
        "ssh_keys": "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJm+/Dw9Pj9AQUJDREVGR0hJSktMTU5PUFFSU1RVVldY mira@läptop\n", "tags": ["ci", "build"],
        "description": "Builds things.", "start": true, "mark": JobId::new().to_string(),
    })
}

/// The time that the journal starts with.
pub fn now() -> Timestamp {
    use base::{Clock, SystemClock};
    SystemClock.now()
}
