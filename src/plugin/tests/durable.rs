//! A job shaped like "create a machine" in a world where the process may die at every point: before and
//! after each effect, before and after each record. Whatever happens, every effect is there exactly once,
//! and when the job gives up nothing is left.

use super::support::plugin;
use crate::check::MemoryJournal;
use crate::{Call, CallError, CallErrorKind, Host, Journal, Method, Mode, Outcome, Plugin, Run};
use base::{Error, Timestamp};
use model::jobs::{LogLevel, Progress, Step, TaskEnd, Wait};
use proptest::prelude::*;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, LazyLock, Mutex};

const SCRIPT: &str = r#"
fn guest_create(job, spec) {
    let vmid = job.step("reserve", || guests::reserve_vmid(), |began| pve::get("/reserved"));
    job.undo("reserve", || guests::release_vmid(vmid));
    job.undo("clone", || remove(job, vmid));
    job.log("cloning");
    let upid = job.step("clone", || pve::post(`/clone/${vmid}`, #{}), |began| pve::get(`/task/clone/${vmid}`));
    job.wait_task(upid);
    for disk in 0..2 {
        job.step("disk" + disk, || pve::post(`/disk/${vmid}/${disk}`, #{}), |began| pve::get(`/task/disk/${vmid}/${disk}`));
    }
    if spec.fail == "early" { job.fail("early"); }
    job.repeatable("config", || pve::put(`/config/${vmid}`, #{cores: spec.cores}));
    try { job.repeatable("tag", || pve::post(`/refused/${vmid}`, #{})); } catch { job.log("no tags here"); }
    let started = job.step("start", || pve::post(`/start/${vmid}`, #{}), |began| pve::get(`/task/start/${vmid}`));
    job.wait_task(started);
    job.sleep(5);
    let ip = job.wait_until("address", 5, 600, || pve::get(`/ip/${vmid}`));
    if spec.fail == "late" { job.fail("late"); }
    job.step("release", || { guests::release_vmid(vmid); true }, |began| if pve::get("/reserved") == () { true } else { () });
    #{vmid: vmid, ip: ip, at: time::now()}
}

fn remove(job, vmid) {
    if pve::get(`/machine/${vmid}`) == () { return; }
    if pve::get(`/running/${vmid}`) { job.wait_task(pve::post(`/stop/${vmid}`, #{})); }
    job.wait_task(pve::delete(`/machine/${vmid}`, #{}));
}
"#;

static PLUGIN: LazyLock<Plugin> = LazyLock::new(|| plugin("guest_create 2 job", SCRIPT));

#[derive(Default)]
struct World {
    machines: BTreeSet<u64>,
    running: BTreeSet<u64>,
    reserved: BTreeSet<u64>,
    /// Effect -> task, and how often it happened.
    tasks: BTreeMap<String, (String, u32)>,
    next: u32,
    asked_for_ip: u32,
}

/// The world, the journal, and when the process dies.
struct Sim {
    world: Mutex<World>,
    journal: MemoryJournal,
    /// Points until the next death; the first is the next.
    deaths: Mutex<Vec<u32>>,
    dead: std::sync::atomic::AtomicBool,
    points: std::sync::atomic::AtomicU32,
    /// The process dies instead of recording the end of this step.
    lose: Mutex<Option<String>>,
    /// After so many points somebody asks to cancel.
    cancel_at: Option<u32>,
}

use std::sync::atomic::Ordering::SeqCst;

impl Sim {
    fn new(deaths: &[u32], cancel_at: Option<u32>) -> Arc<Self> {
        Arc::new(Self {
            world: Mutex::default(),
            journal: MemoryJournal::at(Timestamp::from_secs(1_000)),
            deaths: Mutex::new(deaths.to_vec()),
            dead: false.into(),
            points: 0.into(),
            lose: Mutex::default(),
            cancel_at,
        })
    }

    /// A point where the process may die. False: it is dead, and nothing happens any more.
    fn alive(&self) -> bool {
        self.points.fetch_add(1, SeqCst);
        let mut deaths = self.deaths.lock().unwrap();
        if let Some(next) = deaths.first_mut() {
            if *next == 0 {
                deaths.remove(0);
                self.dead.store(true, SeqCst);
            } else {
                *next -= 1;
            }
        }
        !self.dead.load(SeqCst)
    }

    fn write(&self, f: impl FnOnce() -> Result<(), Error>) -> Result<(), Error> {
        let gone = || Error::unavailable("the process is gone");
        if !self.alive() {
            return Err(gone());
        }
        f()?;
        if self.alive() { Ok(()) } else { Err(gone()) }
    }

    /// What the job's runner does, over all deaths, until the job is over.
    fn live(self: &Arc<Self>, spec: &Value) -> (Outcome, Mode) {
        let mut mode = Mode::Forward;
        for _ in 0..400 {
            let host: Arc<dyn Host> = self.clone();
            let outcome = PLUGIN.run_job(&host, self.clone(), "guest_create", spec.clone(), Run::default(), mode);
            if self.dead.swap(false, SeqCst) {
                continue;
            }
            match outcome {
                Outcome::Wait(Wait::Task { id }) => self.journal.task_over(&id, &TaskEnd::ok()),
                Outcome::Wait(Wait::Command(command)) => panic!("{command} is no task"),
                Outcome::Wait(Wait::Until { at, .. }) => self.journal.set_now(at),
                Outcome::Cancelled => mode = Mode::Undo,
                Outcome::Failed(ref failure) if mode == Mode::Forward => {
                    assert!(!failure.mismatch && !failure.retry, "{failure:?}");
                    mode = Mode::Undo;
                }
                Outcome::Failed(ref failure) if failure.retry => {}
                over => return (over, mode),
            }
        }
        panic!("the job does not end: {:?}", self.journal.all());
    }

    fn assert_made_once(&self) {
        let world = self.world.lock().unwrap();
        assert_eq!(world.machines.len(), 1);
        assert_eq!(world.running, world.machines);
        assert!(world.reserved.is_empty());
        for effect in ["clone/100", "disk/100/0", "disk/100/1", "start/100"] {
            assert_eq!(world.tasks[effect].1, 1, "{effect}");
        }
    }

    fn assert_nothing_left(&self) {
        let world = self.world.lock().unwrap();
        assert!(world.machines.is_empty() && world.reserved.is_empty(), "{:?} {:?}", world.machines, world.reserved);
    }
}

impl Host for Sim {
    fn call(&self, _: &Run, call: Call) -> Result<Value, CallError> {
        let gone = || CallError::new(CallErrorKind::Internal, 0, "the process is gone");
        if matches!(call, Call::Pve { method: Method::Get, .. }) {
            return if self.dead.load(SeqCst) { Err(gone()) } else { self.world.lock().unwrap().act(&call) };
        }
        if !self.alive() {
            return Err(gone());
        }
        let answer = self.world.lock().unwrap().act(&call);
        if self.alive() { answer } else { Err(gone()) }
    }
}

impl World {
    fn act(&mut self, call: &Call) -> Result<Value, CallError> {
        match call {
            Call::ReserveVmid => {
                let vmid = (100..).find(|v| !self.reserved.contains(v) && !self.machines.contains(v)).unwrap();
                self.reserved.insert(vmid);
                Ok(vmid.into())
            }
            Call::ReleaseVmid { vmid } => {
                self.reserved.remove(&u64::from(*vmid));
                Ok(Value::Null)
            }
            Call::Pve { method, path, .. } => self.pve(*method, path.trim_start_matches('/')),
            other => panic!("{other:?}"),
        }
    }

    fn pve(&mut self, method: Method, path: &str) -> Result<Value, CallError> {
        let words: Vec<&str> = path.split('/').collect();
        let vmid = words.get(1).and_then(|v| v.parse::<u64>().ok()).unwrap_or(0);
        match (method, words[0]) {
            (Method::Get, "reserved") => Ok(self.reserved.first().map_or(Value::Null, |v| (*v).into())),
            (Method::Get, "task") => Ok(self.tasks.get(&words[1..].join("/")).map_or(Value::Null, |t| json!(t.0))),
            (Method::Get, "machine") => Ok(self.machines.get(&vmid).map_or(Value::Null, |v| json!(v))),
            (Method::Get, "running") => Ok(self.running.contains(&vmid).into()),
            (Method::Get, "ip") => {
                self.asked_for_ip += 1;
                Ok(if self.asked_for_ip > 2 { json!("10.0.0.7") } else { Value::Null })
            }
            (_, "refused") => Err(CallError::new(CallErrorKind::Refused, 500, "no tags")),
            (_, word) => {
                match (method, word) {
                    (Method::Post, "clone") => drop(self.machines.insert(vmid)),
                    (Method::Post, "start") => drop(self.running.insert(vmid)),
                    (Method::Post, "stop") => drop(self.running.remove(&vmid)),
                    (Method::Delete, "machine") if self.running.contains(&vmid) => {
                        return Err(CallError::new(CallErrorKind::Refused, 500, "it is running"));
                    }
                    (Method::Delete, "machine") => drop(self.machines.remove(&vmid)),
                    _ => {}
                }
                self.next += 1;
                let upid = format!("UPID:{}", self.next);
                self.tasks.entry(path.to_owned()).and_modify(|t| t.1 += 1).or_insert((upid.clone(), 1));
                Ok(json!(upid))
            }
        }
    }
}

impl Journal for Sim {
    fn entries(&self) -> Result<Vec<Step>, Error> {
        self.journal.entries()
    }
    fn begin(&self, name: &str) -> Result<(), Error> {
        self.write(|| self.journal.begin(name))
    }
    fn finish(&self, name: &str, result: Value) -> Result<(), Error> {
        if self.lose.lock().unwrap().take_if(|lost| lost == name).is_some() {
            self.dead.store(true, SeqCst);
        }
        self.write(|| self.journal.finish(name, result))
    }
    fn fail(&self, name: &str) -> Result<(), Error> {
        self.write(|| self.journal.fail(name))
    }
    fn forget(&self, name: &str) -> Result<(), Error> {
        self.write(|| self.journal.forget(name))
    }
    fn progress(&self, _: Progress) {}
    fn log(&self, level: LogLevel, text: &str) {
        self.journal.log(level, text);
    }
    fn cancelled(&self) -> bool {
        self.cancel_at.is_some_and(|at| self.points.load(SeqCst) >= at)
    }
    fn now(&self) -> Timestamp {
        self.journal.now()
    }
}

fn spec(fail: &str) -> Value {
    json!({"cores": 2, "fail": fail})
}

/// How many points a run without deaths has.
fn points(fail: &str) -> u32 {
    let sim = Sim::new(&[], None);
    sim.live(&spec(fail));
    sim.points.load(SeqCst)
}

#[test]
fn it_makes_one_machine_and_says_each_line_once() {
    let sim = Sim::new(&[], None);
    let (outcome, _) = sim.live(&spec(""));
    assert_eq!(outcome, Outcome::Done(json!({"vmid": 100, "ip": "10.0.0.7", "at": 1_015})));
    sim.assert_made_once();
    let lines: Vec<String> = sim.journal.lines.lock().unwrap().iter().map(|l| l.1.clone()).collect();
    assert_eq!(lines, ["cloning", "no tags here"]);
}

#[test]
fn dying_at_any_point_leaves_one_machine() {
    for point in 0..points("") {
        let sim = Sim::new(&[point], None);
        let (outcome, _) = sim.live(&spec(""));
        assert!(matches!(outcome, Outcome::Done(_)), "point {point}: {outcome:?}");
        sim.assert_made_once();
    }
}

#[test]
fn dying_twice_in_a_row_leaves_one_machine() {
    for point in 0..points("") {
        let sim = Sim::new(&[point, 1], None);
        assert!(matches!(sim.live(&spec("")).0, Outcome::Done(_)), "point {point}");
        sim.assert_made_once();
    }
}

#[test]
fn every_step_may_run_twice() {
    let reference = Sim::new(&[], None);
    reference.live(&spec(""));
    let steps = reference.journal.all().into_iter().filter(|s| !s.name.starts_with("wait:"));
    for step in steps {
        let sim = Sim::new(&[], None);
        *sim.lose.lock().unwrap() = Some(step.name.clone());
        assert!(matches!(sim.live(&spec("")).0, Outcome::Done(_)), "{}", step.name);
        assert!(sim.lose.lock().unwrap().is_none(), "{} was never finished", step.name);
        sim.assert_made_once();
    }
}

#[test]
fn giving_up_leaves_nothing_wherever_it_dies() {
    for fail in ["early", "late"] {
        for point in 0..points(fail) {
            let sim = Sim::new(&[point], None);
            let (outcome, mode) = sim.live(&spec(fail));
            assert_eq!((outcome, mode), (Outcome::Undone, Mode::Undo), "{fail} at point {point}");
            sim.assert_nothing_left();
        }
    }
}

#[test]
fn cancelling_at_any_point_leaves_nothing() {
    for point in 0..points("") {
        let sim = Sim::new(&[], Some(point));
        match sim.live(&spec("")) {
            (Outcome::Undone, _) => sim.assert_nothing_left(),
            (Outcome::Done(_), _) => sim.assert_made_once(),
            other => panic!("point {point}: {other:?}"),
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]
    #[test]
    fn any_number_of_deaths_leaves_one_machine_or_nothing(
        deaths in proptest::collection::vec(0_u32..40, 0..8),
        fail in prop_oneof![Just(""), Just("early"), Just("late")],
        cancel in proptest::option::of(0_u32..60),
    ) {
        let sim = Sim::new(&deaths, cancel);
        match sim.live(&spec(fail)) {
            (Outcome::Undone, _) => sim.assert_nothing_left(),
            (Outcome::Done(_), _) => sim.assert_made_once(),
            other => prop_assert!(false, "{other:?}"),
        }
    }
}
