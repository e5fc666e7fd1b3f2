//! What can go wrong at the cluster, and where each of it makes sense: a rule looks at what a good run of the job
//! did (its changing calls and its tasks).

use sim::{AnswerFault, Away, Fault, TaskFault, Trap};

/// What a good run of the job did.
#[derive(Debug, Default)]
pub struct Trace {
    /// Method and path of its changing calls, in order.
    pub writes: Vec<(String, String)>,
    /// Types of the tasks that it started, in order, each once.
    pub tasks: Vec<String>,
}

impl Trace {
    /// The node of its first change.
    fn node(&self) -> Option<String> {
        part_after(&self.writes.first()?.1, "nodes")
    }

    /// The machine that its first change is about: for a copy the one that is copied.
    fn machine(&self) -> Option<u32> {
        let path = &self.writes.first()?.1;
        part_after(path, "qemu").or_else(|| part_after(path, "lxc"))?.parse().ok()
    }
}

fn part_after(path: &str, name: &str) -> Option<String> {
    path.split('/').skip_while(|p| *p != name).nth(1).map(str::to_owned)
}

/// How a trouble ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Course {
    /// By itself, this many seconds after it came.
    Passes(u64),
    /// When the job is over.
    Stays,
    /// It comes so often as was planned; nothing needs to be ended.
    Once,
    /// The person cancels the job when its task is under way.
    Cancelled,
}

#[derive(Clone, Debug)]
pub struct Trouble {
    pub on: Vec<Fault>,
    /// What ends it, beside that all planned faults end.
    pub off: Vec<Fault>,
    pub course: Course,
    /// It comes for sure (else the test counts what came).
    pub at_once: bool,
}

impl Trouble {
    /// While it lasts nobody can ask what became of a task.
    pub fn hides_tasks(&self) -> bool {
        let words = format!("{:?}", self.on);
        ["NodeDown", "Away"].iter().any(|w| words.contains(w))
    }
}

/// One row of the table. Several troubles of one row are the same trouble at different calls or tasks.
pub struct Row {
    pub title: &'static str,
    /// The job must come to a good end by itself.
    pub must_pass: bool,
    /// Or why it does not apply.
    pub troubles: Result<Vec<Trouble>, &'static str>,
}

fn trap(after: bool, then: Vec<Fault>) -> Vec<Fault> {
    vec![Fault::When(Trap { method: "WRITE".into(), after, then, ..Trap::default() })]
}

fn trouble(on: Vec<Fault>, course: Course) -> Trouble {
    Trouble { on, off: Vec::new(), course, at_once: false }
}

/// At each changing call by itself; what is the same at each (nothing was done, or the same kind of answer) at the
/// first one only.
fn answers(trace: &Trace, answer: &AnswerFault) -> Result<Vec<Trouble>, &'static str> {
    let calls = if answer.after && answer.status < 595 { trace.writes.len() } else { 1 };
    let at = |(n, _)| {
        let then = vec![Fault::Answer(AnswerFault { method: "WRITE".into(), ..answer.clone() })];
        let trap = Trap { method: "WRITE".into(), skip: u32::try_from(n).unwrap_or(0), then, ..Trap::default() };
        trouble(vec![Fault::When(trap)], Course::Once)
    };
    Ok(trace.writes.iter().take(calls).enumerate().map(at).collect())
}

/// For each type of task by itself.
fn tasks(trace: &Trace, fault: &TaskFault, course: Course) -> Result<Vec<Trouble>, &'static str> {
    if trace.tasks.is_empty() {
        return Err("it starts no task");
    }
    let of = |kind: &String| trouble(vec![Fault::Task(TaskFault { kind: kind.clone(), ..fault.clone() })], course);
    // A warning is no more than a line at any of them.
    let all = if fault.warn.is_some() { 1 } else { trace.tasks.len() };
    Ok(trace.tasks.iter().take(all).map(of).collect())
}

pub fn rows(trace: &Trace) -> Vec<Row> {
    let mut rows = Vec::new();
    let mut row = |title: &'static str, must_pass: bool, troubles| rows.push(Row { title, must_pass, troubles });
    let node = trace.node().ok_or("it changes nothing on a node");
    let machine = trace.machine().ok_or("no machine can be locked before it makes one");
    let (passing, staying) = (Course::Passes(25), Course::Stays);

    let down = |after, course| node.clone().map(|n| vec![trouble(trap(after, vec![Fault::NodeDown(n)]), course)]);
    row("the node goes down before the first change and comes back", true, down(false, passing));
    row("the node goes down after the first change and comes back", true, down(true, passing));
    row("the node goes down before the first change and stays down", false, down(false, staying));
    row("the node goes down after the first change and stays down", false, down(true, staying));

    let quorum = |after, course| Ok(vec![trouble(trap(after, vec![Fault::Quorum(false)]), course)]);
    row("no quorum from before the first change, then back", true, quorum(false, passing));
    row("no quorum from after the first change, then back", true, quorum(true, passing));
    row("no quorum from before the first change on", false, quorum(false, staying));
    row("no quorum from after the first change on", false, quorum(true, staying));

    let lock = |vmid, on: bool| Fault::Lock { vmid, lock: on.then(|| "backup".to_owned()) };
    let locked = |course| {
        let one =
            |vmid| Trouble { off: vec![lock(vmid, false)], at_once: true, ..trouble(vec![lock(vmid, true)], course) };
        machine.map(|vmid| vec![one(vmid)])
    };
    row("a backup holds the machine for a while", true, locked(Course::Passes(25)));
    row("a backup holds the machine for hours", false, locked(staying));
    let late = |course| {
        let one =
            |vmid| Trouble { off: vec![lock(vmid, false)], ..trouble(trap(false, vec![lock(vmid, true)]), course) };
        machine.map(|vmid| vec![one(vmid)])
    };
    row("a backup begins between the look and the change, and ends", true, late(Course::Passes(8)));
    let held = |course| {
        let hold = |vmid, held| Fault::FileLock { vmid, held };
        let one =
            |vmid| Trouble { off: vec![hold(vmid, false)], ..trouble(trap(false, vec![hold(vmid, true)]), course) };
        machine.map(|vmid| vec![one(vmid)])
    };
    row("the machine's file is held for a moment", true, held(Course::Passes(8)));
    row("the machine's file stays held", false, held(staying));

    let task = |fail: Option<&str>, warn: Option<&str>, hang, times| TaskFault {
        kind: String::new(),
        fail: fail.map(str::to_owned),
        warn: warn.map(str::to_owned),
        hang,
        times,
        ..TaskFault::default()
    };
    let full = Some("no space left on device");
    row("a task fails once: no space left", true, tasks(trace, &task(full, None, false, 1), Course::Once));
    row("a task fails each time: no space left", false, tasks(trace, &task(full, None, false, 3), Course::Once));
    row("a task warns", true, tasks(trace, &task(None, Some("a warning"), false, 1), Course::Once));
    row("a task hangs and the person cancels", false, tasks(trace, &task(None, None, true, 1), Course::Cancelled));

    let answer = |status, cut, after| AnswerFault { status, cut, after, ..AnswerFault::default() };
    row("596 instead of a change", true, answers(trace, &answer(596, false, false)));
    row("596 after a change was made", true, answers(trace, &answer(596, false, true)));
    row("599 after a change was made", true, answers(trace, &answer(599, false, true)));
    let said =
        |after| AnswerFault { text: "got no worker upid - start worker failed".into(), ..answer(500, false, after) };
    row("500 instead of a change", true, answers(trace, &said(false)));
    row("500 after a change was made", true, answers(trace, &said(true)));
    row("the connection is cut before a change", true, answers(trace, &answer(0, true, false)));
    row("the connection is cut after a change was made", true, answers(trace, &answer(0, true, true)));
    let reads = AnswerFault { method: "GET".into(), times: 2, ..answer(596, false, false) };
    row("two looks are answered 596", true, Ok(vec![trouble(vec![Fault::Answer(reads)], Course::Once)]));
    let slow = Trouble { at_once: true, ..trouble(vec![Fault::Slow(0.02)], staying) };
    row("every answer is slow", true, Ok(vec![slow]));

    // The first change loses its answer, before its work or after it: a cut that comes at the same time as the
    // answer would lose it only sometimes.
    let away = |after, how, course| {
        let lost = Fault::Answer(AnswerFault { method: "WRITE".into(), ..answer(0, true, after) });
        let gone = trap(after, vec![Fault::Away(how)]);
        Ok(vec![trouble([vec![lost], gone].concat(), course)])
    };
    row("Proxmox is away before the first change and comes back", true, away(false, Away::Reset, passing));
    row("Proxmox is away after the first change and comes back", true, away(true, Away::Refuse, passing));
    row("Proxmox is away before the first change and stays away", false, away(false, Away::Refuse, staying));
    row("Proxmox is away after the first change and stays away", false, away(true, Away::Refuse, staying));

    let cut = Fault::Answer(AnswerFault { method: "GET".into(), times: 5, ..answer(0, true, false) });
    let renewed = vec![Fault::NewCertificate(true), cut];
    row("a new certificate of the same authority", true, Ok(vec![trouble(trap(true, renewed), Course::Once)]));

    let asks = |(_, path): &(String, String)| path.ends_with("/shutdown") || path.ends_with("/reboot");
    let deaf = machine.ok().filter(|_| trace.writes.iter().any(asks)).map(|vmid| {
        let deaf = |deaf| Fault::Deaf { vmid, deaf };
        vec![Trouble { off: vec![deaf(false)], at_once: true, ..trouble(vec![deaf(true)], staying) }]
    });
    row("the system inside does not react", false, deaf.ok_or("it asks nothing of the system inside"));

    let rights = |after, only: &str| {
        let role = |only: Option<&str>| Fault::Role { name: "Steward".into(), only: only.map(str::to_owned) };
        Ok(vec![trouble(trap(after, vec![role(Some(only))]), staying)])
    };
    row("the token may only look, from before the first change on", false, rights(false, "Audit"));
    row("the token may only look, from after the first change on", false, rights(true, "Audit"));
    row("the token lost all rights after the first change", false, rights(true, "-"));
    rows
}
