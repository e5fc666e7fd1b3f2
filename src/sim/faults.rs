//! Faults on demand: what can go wrong at a cluster, switched on by tests and by the demo.
//!
//! In the same process: [`Faults`]. For a separate process: `POST /sim/faults` with one JSON object per
//! call (see [`Fault`] for the forms), `DELETE /sim/faults` to end all, `GET /sim/state` to look.
//! These calls are answered only to callers on the loopback address.

use super::access::who::Who;
use super::qemu::windows::{Ran, Reply};
use super::tasks;
use super::world::{World, lock};
use base::Result;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use tokio::sync::watch;

/// One thing to switch on (or off again). As JSON: the name in snake_case with its value, for example
/// `{"node_down":"pve2"}`, `{"quorum":false}`, `{"lock":{"vmid":100,"lock":"backup"}}`,
/// `{"task":{"type":"qmclone","fail":"no space left","times":1}}`, `{"task":{"type":"qmstart","hang":true}}`, `{"task":{"type":"qmclone","kill":true}}`,
/// `{"answer":{"path":"/config","status":596,"after":true}}`, `{"answer":{"path":"/clone","cut":true,"times":1}}`,
/// `{"pvestatd":{"node":"pve1","dead":true}}`, `{"slow":2.5}`, `{"away":"refuse"}`, `{"new_certificate":true}`, `{"cut_consoles":true}`,
/// `{"role":{"name":"Steward","only":"Audit"}}`,
/// `{"when":{"method":"WRITE","path":"/clone","after":true,"then":[{"node_down":"pve1"}]}}`.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Fault {
    /// The node is off: 595 for calls about it, `offline` in the lists; its guests stay as last seen
    /// for five (scaled) minutes, then `unknown`.
    NodeDown(String),
    NodeUp(String),
    /// The node's pvestatd has died, or runs again: what it told stays for five (scaled) minutes, then nothing is known
    /// of the node's figures, its storages and its guests. Everything else goes on.
    Pvestatd {
        node: String,
        dead: bool,
    },
    /// `false`: the cluster file system is read-only.
    Quorum(bool),
    /// Puts a `lock:` line in a guest's file (`null` removes it).
    Lock {
        vmid: u32,
        lock: Option<String>,
    },
    /// Holds (or lets go) the short lock on a guest's file: edits wait 10 s, then fail.
    FileLock {
        vmid: u32,
        held: bool,
    },
    /// What the next tasks of a type do.
    Task(TaskFault),
    /// What the next matching calls get.
    Answer(AnswerFault),
    /// Every answer takes this many real seconds longer; 0 ends it.
    Slow(f64),
    /// Proxmox is away altogether.
    Away(Away),
    /// A new leaf certificate, signed by the same CA, with a new key.
    NewCertificate(bool),
    /// The role keeps only the rights with this text in their names (`Audit`; nothing has `-`); `null` gives it
    /// all back.
    Role {
        name: String,
        only: Option<String>,
    },
    /// Switches others on when a certain call comes in.
    When(Trap),
    /// Every open console is cut now; the next one works again.
    CutConsoles(bool),
    /// The guest does not react to ACPI nor to guest-shutdown.
    Deaf {
        vmid: u32,
        deaf: bool,
    },
    /// What a script does inside a Windows machine.
    Windows {
        vmid: u32,
        reply: Reply,
    },
    /// Fixed CPU and memory use (fractions 0 to 1) instead of the load function; `null` ends it.
    Load {
        vmid: u32,
        load: Option<(f64, f64)>,
    },
}

/// The next `times` tasks of type `kind` fail with a text half-way through, hang until interrupted, are killed, or
/// succeed with a warning.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TaskFault {
    /// `qmclone`, `qmstart`, ... or `*` for any.
    #[serde(rename = "type")]
    pub kind: String,
    #[serde(default)]
    pub fail: Option<String>,
    #[serde(default)]
    pub warn: Option<String>,
    #[serde(default)]
    pub hang: bool,
    /// The worker is killed half-way: nothing is cleaned up, its locks stay.
    #[serde(default)]
    pub kill: bool,
    /// The last line of its log before it fails.
    #[serde(default)]
    pub say: Option<String>,
    #[serde(default = "once")]
    pub times: u32,
}

/// When a matching call comes in, the faults of `then` are switched on, once.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Trap {
    /// As in [`AnswerFault`].
    pub method: String,
    pub path: String,
    /// So many matching calls go by first.
    pub skip: u32,
    /// When its work was begun and before it is answered, instead of before its work.
    pub after: bool,
    pub then: Vec<Fault>,
}

/// The next `times` calls whose method and path match are answered by the fault.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct AnswerFault {
    /// `GET`, `POST`, ...; `WRITE` for all but `GET`; empty for any.
    pub method: String,
    /// A part of the path behind `/api2/json`; empty for any.
    pub path: String,
    /// Status of the answer; 0 leaves the true answer (useful with `delay`).
    pub status: u16,
    pub text: String,
    /// The connection is cut instead of an answer.
    pub cut: bool,
    /// The work is done first, only its answer is lost: the caller can't know.
    pub after: bool,
    /// Real seconds before the answer.
    pub delay: f64,
    /// How often; 0 means once.
    pub times: u32,
}

/// In what way the whole cluster is away.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Away {
    #[default]
    No,
    /// Nothing listens: connection refused.
    Refuse,
    /// Connections are taken and dropped at once.
    Reset,
}

/// What a starting task is told.
#[derive(Debug, Clone)]
pub enum Planned {
    Fail { text: String, say: Option<String> },
    Warn(String),
    Hang,
    Kill,
}

fn once() -> u32 {
    1
}

/// The switched-on faults that are not part of the cluster's state.
#[derive(Debug)]
pub struct FaultBox {
    active: Mutex<Active>,
    away: watch::Sender<Away>,
}

#[derive(Debug, Default)]
struct Active {
    tasks: Vec<TaskFault>,
    answers: Vec<AnswerFault>,
    slow: f64,
    held: Vec<(u32, super::world::FileLock)>,
    traps: Vec<Trap>,
    /// Rights that were taken from roles.
    rights: BTreeMap<String, BTreeSet<String>>,
    /// How many planned answers, tasks and traps have come.
    came: u32,
    /// All calls, oldest first: method and path.
    calls: Vec<(String, String)>,
    /// Those that change something.
    writes: Vec<(String, String)>,
}

/// Calls that are remembered.
const REMEMBERED: usize = 1000;

fn fits(wanted: (&str, &str), method: &str, path: &str) -> bool {
    let (wanted, part) = wanted;
    let by_method = wanted.is_empty() || wanted == method || (wanted == "WRITE" && method != "GET");
    by_method && path.contains(part)
}

impl Default for FaultBox {
    fn default() -> Self {
        Self { active: Mutex::default(), away: watch::Sender::new(Away::No) }
    }
}

impl FaultBox {
    pub fn away(&self) -> Away {
        *self.away.borrow()
    }

    /// Ends when "away" was changed after this call.
    pub fn changed(&self) -> impl Future<Output = ()> + Send + use<> {
        let mut seen = self.away.subscribe();
        seen.mark_unchanged();
        async move {
            let _ = seen.changed().await;
        }
    }

    /// Ends as soon as the cluster is away.
    pub fn until_away(&self) -> impl Future<Output = ()> + Send + use<> {
        let mut seen = self.away.subscribe();
        async move {
            let _ = seen.wait_for(|a| *a != Away::No).await;
        }
    }

    pub fn slow(&self) -> f64 {
        lock(&self.active).slow
    }

    /// Takes what is planned for a task of this type.
    pub fn plan_for(&self, kind: &str) -> Option<Planned> {
        let mut active = lock(&self.active);
        let at = active.tasks.iter().position(|t| t.kind == kind || t.kind == "*")?;
        let fault = active.tasks[at].clone();
        active.tasks[at].times = fault.times.saturating_sub(1);
        active.tasks.retain(|t| t.times > 0);
        active.came += 1;
        if fault.hang {
            return Some(Planned::Hang);
        }
        if fault.kill {
            return Some(Planned::Kill);
        }
        if let Some(text) = fault.warn {
            return Some(Planned::Warn(text));
        }
        let text = fault.fail.unwrap_or_else(|| "simulated failure".into());
        Some(Planned::Fail { text, say: fault.say })
    }

    /// Takes what is planned for a call.
    pub fn answer_for(&self, method: &str, path: &str) -> Option<AnswerFault> {
        let mut active = lock(&self.active);
        let at = active.answers.iter().position(|a| fits((&a.method, &a.path), method, path))?;
        let fault = active.answers[at].clone();
        active.answers[at].times = fault.times.max(1) - 1;
        active.answers.retain(|a| a.times > 0);
        active.came += 1;
        Some(fault)
    }

    /// Takes the traps that this call sets off, and remembers the call when it is one that changes something.
    pub fn traps_for(&self, method: &str, path: &str) -> Vec<Trap> {
        let mut active = lock(&self.active);
        if active.calls.len() < REMEMBERED {
            active.calls.push((method.to_owned(), path.to_owned()));
        }
        if method != "GET" && active.writes.len() < REMEMBERED {
            active.writes.push((method.to_owned(), path.to_owned()));
        }
        let mut found = Vec::new();
        active.traps.retain_mut(|trap| {
            if !fits((&trap.method, &trap.path), method, path) {
                return true;
            }
            if trap.skip > 0 {
                trap.skip -= 1;
                return true;
            }
            found.push(trap.clone());
            false
        });
        active.came += u32::try_from(found.len()).unwrap_or(0);
        found
    }
}

/// The handle for tests; clones act on the same simulation.
#[derive(Debug, Clone)]
pub struct Faults(pub(super) Arc<World>);

impl Faults {
    /// Switches one fault on or off. (Boxed: a trap holds further faults.)
    pub fn set(&self, fault: Fault) -> Pin<Box<dyn Future<Output = Result<()>> + Send + '_>> {
        Box::pin(self.set_one(fault))
    }

    async fn set_one(&self, fault: Fault) -> Result<()> {
        let world = &self.0;
        match fault {
            Fault::NodeDown(name) => self.node(&name, true),
            Fault::NodeUp(name) => self.node(&name, false),
            Fault::Pvestatd { node, dead } => self.pvestatd(&node, dead),
            Fault::Quorum(there) => world.change(|c| c.without_quorum = !there),
            Fault::Lock { vmid, lock } => self.guest_lock(vmid, lock.as_deref()),
            Fault::FileLock { vmid, held: true } => {
                if let Ok(guard) = world.file_lock(vmid, 60.0).await {
                    lock(&world.faults.active).held.push((vmid, guard));
                }
            }
            Fault::FileLock { vmid, held: false } => lock(&world.faults.active).held.retain(|(id, _)| *id != vmid),
            Fault::Task(fault) => self.task(fault),
            Fault::Answer(fault) => lock(&world.faults.active).answers.push(fault),
            Fault::Slow(seconds) => lock(&world.faults.active).slow = seconds,
            Fault::Away(away) => {
                world.faults.away.send_replace(away);
            }
            Fault::NewCertificate(_) => {
                let names: Vec<String> = world.read(|c| c.nodes.keys().cloned().collect());
                world.leaf.store(Arc::new(world.authority.leaf(&names)?));
            }
            Fault::CutConsoles(_) => world.desk.cut(),
            Fault::Role { name, only: Some(part) } => self.strip(&name, &part),
            Fault::Role { name, only: None } => self.give_back(Some(&name)),
            Fault::When(trap) => lock(&world.faults.active).traps.push(trap),
            Fault::Deaf { vmid, deaf } => self.guest(vmid, |g| g.deaf = deaf),
            Fault::Windows { vmid, reply } => self.windows(vmid, reply),
            Fault::Load { vmid, load } => self.guest(vmid, |g| g.load = load),
        }
        Ok(())
    }

    /// Ends every fault: nodes up, quorum back, nothing planned, nothing held. Locks in guests' files stay.
    pub fn clear(&self) {
        self.give_back(None);
        *lock(&self.0.faults.active) = Active::default();
        self.0.faults.away.send_replace(Away::No);
        self.0.change(|c| {
            c.without_quorum = false;
            c.nodes.values_mut().for_each(|n| (n.offline, n.silent_since) = (false, None));
            c.guests.values_mut().for_each(|g| g.load = None);
        });
    }

    /// The next `times` tasks of this type (`qmclone`, ...) fail with `text`, half-way through.
    pub fn fail_task(&self, kind: &str, text: &str, times: u32) {
        self.task(TaskFault { kind: kind.into(), fail: Some(text.into()), times, ..TaskFault::default() });
    }

    /// The next task of this type runs until it is interrupted.
    pub fn hang_task(&self, kind: &str) {
        self.task(TaskFault { kind: kind.into(), hang: true, times: 1, ..TaskFault::default() });
    }

    pub fn task(&self, fault: TaskFault) {
        lock(&self.0.faults.active).tasks.push(fault);
    }

    pub fn answer(&self, fault: AnswerFault) {
        lock(&self.0.faults.active).answers.push(fault);
    }

    /// Nothing more fits on a storage (`true`), or as much as before.
    pub fn full(&self, storage: &str, full: bool) {
        self.0.change(|c| {
            if let Some(s) = c.storages.get_mut(storage) {
                let room = 1 << 50;
                s.other = if full { s.other + room } else { s.other.saturating_sub(room) };
            }
        });
    }

    /// How many planned answers, tasks and traps have come since the last [`Self::clear`].
    pub fn came(&self) -> u32 {
        lock(&self.0.faults.active).came
    }

    /// All calls since the last [`Self::clear`]: method and path.
    pub fn calls(&self) -> Vec<(String, String)> {
        lock(&self.0.faults.active).calls.clone()
    }

    /// The calls that changed something (or tried to) since the last [`Self::clear`]: method and path.
    pub fn writes(&self) -> Vec<(String, String)> {
        lock(&self.0.faults.active).writes.clone()
    }

    fn strip(&self, role: &str, part: &str) {
        let had = self.0.change(|c| {
            let rights = c.access.roles.get_mut(role)?;
            let had = rights.clone();
            rights.retain(|r| r.contains(part));
            Some(had)
        });
        if let Some(had) = had {
            lock(&self.0.faults.active).rights.entry(role.to_owned()).or_insert(had);
        }
    }

    /// To one role, or to all.
    fn give_back(&self, role: Option<&str>) {
        let mut all = std::mem::take(&mut lock(&self.0.faults.active).rights);
        let mine: BTreeMap<_, _> = all.extract_if(.., |name, _| role.is_none_or(|r| r == name)).collect();
        lock(&self.0.faults.active).rights.append(&mut all);
        self.0.change(|c| c.access.roles.extend(mine));
    }

    /// Gives a role more rights, as `pveum role modify NAME --append 1` does.
    pub fn allow(&self, role: &str, privilege: &str) {
        self.0.change(|c| {
            if let Some(rights) = c.access.roles.get_mut(role) {
                rights.insert(privilege.to_owned());
            }
        });
    }

    /// Which kinds of content a storage takes.
    pub fn set_content(&self, storage: &str, content: &str) {
        self.0.change(|c| {
            if let Some(s) = c.storages.get_mut(storage) {
                s.content = content.split(',').map(str::to_owned).collect();
            }
        });
    }

    /// What scripts do inside a Windows machine from now on; the newest match wins.
    pub fn windows(&self, vmid: u32, reply: Reply) {
        lock(&self.0.windows).entry(vmid).or_default().replies.push(reply);
    }

    /// The scripts that were run inside a Windows machine.
    pub fn ran(&self, vmid: u32) -> Vec<Ran> {
        lock(&self.0.windows).get(&vmid).map(|w| w.ran.clone()).unwrap_or_default()
    }

    /// Commands that go on inside a Windows machine now.
    pub fn running_inside(&self, vmid: u32) -> usize {
        lock(&self.0.windows).get(&vmid).map_or(0, |w| w.running(self.0.now()))
    }

    /// A file inside a Windows machine.
    pub fn windows_file(&self, vmid: u32, path: &str) -> Option<Vec<u8>> {
        lock(&self.0.windows).get(&vmid).and_then(|w| w.files.get(path).cloned())
    }

    /// The bytes of an uploaded CD image that is on a storage.
    pub fn iso(&self, volid: &str) -> Option<Vec<u8>> {
        let there = self.volumes().iter().any(|v| v == volid);
        there.then(|| lock(&self.0.isos).get(volid).cloned()).flatten()
    }

    /// Takes a right from a role.
    pub fn forbid(&self, role: &str, privilege: &str) {
        self.0.change(|c| {
            if let Some(rights) = c.access.roles.get_mut(role) {
                rights.remove(privilege);
            }
        });
    }

    /// One key of a machine's configuration as it is stored, without stars.
    pub fn config(&self, vmid: u32, key: &str) -> Option<String> {
        self.0.read(|c| c.guests.get(&vmid).and_then(|g| g.config.get(key).cloned()))
    }

    /// Sets one key of a machine's configuration, as it is now and was at its start.
    pub fn set_config(&self, vmid: u32, key: &str, value: &str) {
        self.guest(vmid, |g| {
            g.config.insert(key.to_owned(), value.to_owned());
            if let Some(run) = g.run.as_mut().filter(|_| key == "agent") {
                run.agent = value.starts_with('1') || value.contains("enabled=1");
            }
        });
    }

    /// Volume ids of all volumes.
    pub fn volumes(&self) -> Vec<String> {
        self.0.read(|c| c.volumes.values().map(|v| v.volid.clone()).collect())
    }

    pub fn node_down(&self, name: &str) {
        self.node(name, true);
    }

    pub fn node_up(&self, name: &str) {
        self.node(name, false);
    }

    pub fn quorum(&self, there: bool) {
        self.0.change(|c| c.without_quorum = !there);
    }

    /// Cuts every open console.
    pub fn cut_consoles(&self) {
        self.0.desk.cut();
    }

    /// What was typed at a machine's screen.
    pub fn typed(&self, vmid: u32) -> String {
        self.0.desk.memory(vmid).typed
    }

    /// Puts a `lock:` line in the guest's file, or removes it. With `backup` a backup runs as long.
    pub fn guest_lock(&self, vmid: u32, lock: Option<&str>) {
        self.guest(vmid, |g| {
            match lock {
                Some(l) => g.config.insert("lock".into(), l.into()),
                None => g.config.remove("lock"),
            };
        });
        let now = self.0.seconds();
        self.0.change(|c| {
            for task in c.tasks.iter_mut().filter(|t| t.kind == "vzdump" && t.id == vmid.to_string()) {
                task.endtime.get_or_insert(now);
                task.exit.get_or_insert_with(|| "OK".to_owned());
            }
            if lock == Some("backup")
                && let Some(node) = c.guests.get(&vmid).map(|g| g.node.clone())
            {
                tasks::register(c, &Who::root(), &node, "vzdump", &vmid.to_string(), now);
            }
        });
    }

    pub fn away(&self, away: Away) {
        self.0.faults.away.send_replace(away);
    }

    fn pvestatd(&self, name: &str, dead: bool) {
        let now = self.0.now();
        self.0.change(|c| {
            if let Some(node) = c.nodes.get_mut(name) {
                node.silent_since = dead.then(|| node.silent_since.unwrap_or(now));
            }
        });
    }

    fn node(&self, name: &str, offline: bool) {
        self.0.change(|c| {
            if let Some(node) = c.nodes.get_mut(name) {
                node.offline = offline;
            }
        });
    }

    fn guest(&self, vmid: u32, f: impl FnOnce(&mut super::state::Guest)) {
        self.0.change(|c| {
            if let Some(guest) = c.guests.get_mut(&vmid) {
                f(guest);
            }
        });
    }
}
