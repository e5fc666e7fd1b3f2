//! The rules of `job`, one by one, with a journal in memory.

use super::support::{Fake, plugin};
use crate::check::MemoryJournal;
use crate::limits::SCRIPT_TIME;
use crate::{Call, CallError, CallErrorKind, Failure, Host, Journal, Mode, Outcome, Plugin, Run};
use base::{Error, Timestamp};
use model::jobs::{LogLevel, Progress, Step, StepState, TaskEnd, Wait};
use serde_json::{Value, json};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

struct World {
    plugin: Plugin,
    fake: Arc<Fake>,
    journal: Arc<MemoryJournal>,
}

impl World {
    fn new(script: &str) -> Self {
        Self::with(script, |_| Ok(json!("UPID:1")))
    }

    fn with(script: &str, host: impl Fn(&Call) -> Result<Value, CallError> + Send + Sync + 'static) -> Self {
        let journal = Arc::new(MemoryJournal::at(Timestamp::from_secs(1_000)));
        Self { plugin: plugin("act 2 job", script), fake: Fake::new(host), journal }
    }

    fn turn(&self, mode: Mode) -> Outcome {
        let host: Arc<dyn Host> = self.fake.clone();
        self.plugin.run_job(&host, self.journal.clone(), "act", json!({"n": 3}), Run::default(), mode)
    }

    fn forward(&self) -> Outcome {
        self.turn(Mode::Forward)
    }

    fn failure(&self) -> Failure {
        match self.forward() {
            Outcome::Failed(failure) => failure,
            other => panic!("{other:?}"),
        }
    }

    fn states(&self) -> Vec<(String, StepState)> {
        self.journal.all().into_iter().map(|s| (s.name, s.state)).collect()
    }

    /// What the script asked for that changes something.
    fn paths(&self) -> Vec<String> {
        let path = |c: Call| match c {
            Call::Pve { method, path, .. } => Some(format!("{} {path}", method.name())),
            _ => None,
        };
        self.fake.calls().into_iter().filter_map(path).collect()
    }
}

#[test]
fn a_step_runs_once_and_answers_from_the_journal_afterwards() {
    let w = World::new(
        r#"fn act(job, args) {
            let upid = job.step("start", || pve::post("/start", #{n: args.n}));
            job.wait_task(upid);
            job.step("tag", || { job.log("tagging"); pve::put("/tag", #{}); 7 })
        }"#,
    );
    assert_eq!(w.forward(), Outcome::Wait(Wait::Task { id: "UPID:1".into() }));
    w.journal.task_over("UPID:1", &TaskEnd::ok());
    assert_eq!(w.forward(), Outcome::Done(json!(7)));
    assert_eq!(w.forward(), Outcome::Done(json!(7)), "once more changes nothing");
    assert_eq!(w.paths(), ["POST /start", "PUT /tag"]);
}

#[test]
fn no_catch_stops_a_suspension_and_no_comparator_swallows_it() {
    let w = World::new(
        r#"fn act(job, args) {
            try { [2, 1].sort(|a, b| { job.wait_task("UPID:9"); a - b }); } catch { }
            job.step("after", || pve::post("/after", #{}));
        }"#,
    );
    assert_eq!(w.forward(), Outcome::Wait(Wait::Task { id: "UPID:9".into() }));
    assert!(w.paths().is_empty());
}

#[test]
fn a_name_is_used_once() {
    let w = World::new("fn act(job, args) {\n job.step(\"a\", || 1);\n job.step(\"a\", || 2);\n}");
    let failure = w.failure();
    assert!(!failure.retry && failure.error.message.contains("used twice"));
    assert_eq!((failure.error.line, failure.error.column), (3, 6));
}

#[test]
fn an_endless_error_of_a_script_is_cut() {
    let w = World::new("fn act(job, args) { let a = \"no room \"; a.pad(500000, 'x'); throw a; }");
    let failure = w.failure();
    let kept = &failure.error.message;
    assert!(kept.len() <= base::excerpt::ERROR_BYTES && kept.starts_with("no room"), "{}", kept.len());
}

#[test]
fn the_host_is_only_asked_inside_of_steps() {
    let w = World::new("fn act(job, args) { try { pve::get(\"/nodes\"); } catch { } }");
    let failure = w.failure();
    assert!(!failure.retry && failure.error.message.contains("inside job.step"), "{failure:?}");
}

#[test]
fn steps_and_waits_do_not_stand_in_steps() {
    for inner in ["job.step(\"b\", || 1)", "job.wait_task(\"UPID:1\")", "job.sleep(1)", "job.undo(\"u\", || 1)"] {
        let w = World::new(&format!("fn act(job, args) {{ job.step(\"a\", || {{ {inner}; 1 }}); }}"));
        assert!(w.failure().error.message.contains("can't be used inside a step"), "{inner}");
        assert_eq!(w.states(), [("a".to_owned(), StepState::Failed)], "nothing happened in it");
    }
}

#[test]
fn a_refused_effect_is_tried_again_and_an_unclear_one_is_not() {
    let script = r#"fn act(job, args) { job.step("a", || pve::post("/a", #{})) }"#;
    let w = World::with(script, |_| Err(CallError::new(CallErrorKind::Locked, 500, "VM is locked")));
    assert!(w.failure().retry);
    assert_eq!(w.states(), [("a".to_owned(), StepState::Failed)]);

    let w = World::with(script, |_| Err(CallError::new(CallErrorKind::Timeout, 0, "no answer")));
    assert!(w.failure().retry);
    assert_eq!(w.states(), [("a".to_owned(), StepState::Begun)]);
    let failure = w.failure();
    assert!(!failure.retry && failure.error.message.contains("may or may not have happened"), "{failure:?}");
    assert_eq!(w.paths().len(), 1);
}

#[test]
fn a_wrong_request_is_not_tried_again() {
    let script = r#"fn act(job, args) { job.step("a", || pve::post("/a", #{})) }"#;
    let w = World::with(script, |_| Err(CallError::new(CallErrorKind::Invalid, 400, "no such parameter")));
    assert!(!w.failure().retry);
    let w = World::new("fn act(job, args) { [1][5] }");
    assert!(!w.failure().retry, "a bug of the script stays one");
}

#[test]
fn a_repeatable_step_is_done_again_and_a_settle_closure_decides() {
    let script = r#"fn act(job, args) {
        let a = job.repeatable("a", || pve::put("/a", #{}));
        let b = job.step("b", || pve::post("/b", #{}), |began| if pve::get("/b") == () { () } else { began });
        [a, b]
    }"#;
    for (found, wanted) in [(Value::Null, json!(["UPID:1", "UPID:1"])), (json!("there"), json!(["UPID:1", 1_000]))] {
        let answer = found.clone();
        let w = World::with(script, move |call| match call {
            Call::Pve { method: crate::Method::Get, .. } => Ok(answer.clone()),
            _ => Ok(json!("UPID:1")),
        });
        w.journal.begin("a").unwrap();
        assert!(matches!(w.forward(), Outcome::Done(_)));
        w.journal.begin("b").unwrap();
        assert_eq!(w.forward(), Outcome::Done(wanted), "found: {found}");
    }
}

#[test]
fn a_caught_failure_is_remembered_so_that_the_way_stays_the_same() {
    let script = r#"fn act(job, args) {
        try { job.step("hotplug", || pve::put("/hot", #{})); }
        catch (e) { job.step("cold", || pve::post(`/cold/${e.kind}`, #{})); }
        job.sleep(10);
        "done"
    }"#;
    let refuse = std::sync::atomic::AtomicBool::new(true);
    let w = World::with(script, move |_| match refuse.swap(false, Ordering::SeqCst) {
        true => Err(CallError::new(CallErrorKind::Refused, 500, "hotplug problem")),
        false => Ok(Value::Null),
    });
    assert_eq!(w.forward(), Outcome::Wait(Wait::Until { at: Timestamp::from_secs(1_010), pause: 10 }));
    w.journal.set_now(Timestamp::from_secs(1_010));
    assert_eq!(w.forward(), Outcome::Done(json!("done")));
    assert_eq!(w.paths(), ["PUT /hot", "POST /cold/refused"]);
}

#[test]
fn a_failed_task_throws_and_its_step_is_done_again_by_the_next_try() {
    let w = World::new(
        "fn act(job, args) {\n let upid = job.step(\"clone\", || pve::post(\"/clone\", #{}));\n job.wait_task(upid);\n}",
    );
    assert!(matches!(w.forward(), Outcome::Wait(_)));
    w.journal.task_over("UPID:1", &TaskEnd::failed("storage 'local' is full"));
    let failure = w.failure();
    assert_eq!(
        (failure.error.message.as_str(), failure.error.line, failure.retry),
        ("storage 'local' is full", 3, true)
    );
    assert_eq!(w.states(), [("clone".to_owned(), StepState::Failed)], "and the wait is forgotten");
    assert!(matches!(w.forward(), Outcome::Wait(_)));
    assert_eq!(w.paths().len(), 2);
}

#[test]
fn a_task_that_would_fail_each_time_is_not_tried_again() {
    let w = World::new(r#"fn act(job, args) { job.wait_task("UPID:1") }"#);
    assert!(matches!(w.forward(), Outcome::Wait(_)));
    w.journal.task_over("UPID:1", &TaskEnd { lasting: true, ..TaskEnd::failed("bridge 'vmbr7' does not exist") });
    let failure = w.failure();
    assert!(!failure.retry && failure.error.message.contains("vmbr7"), "{failure:?}");
}

#[test]
fn warnings_of_a_task_are_not_failures() {
    let w = World::new(r#"fn act(job, args) { job.wait_task("UPID:1") }"#);
    assert!(matches!(w.forward(), Outcome::Wait(_)));
    w.journal.task_over("UPID:1", &TaskEnd { text: "WARNINGS: 2".into(), ..TaskEnd::ok() });
    assert_eq!(w.forward(), Outcome::Done(json!("WARNINGS: 2")));
}

#[test]
fn sleep_ends_when_its_time_has_come() {
    let w = World::new("fn act(job, args) { job.sleep(30); job.sleep(5); 1 }");
    assert_eq!(w.forward(), Outcome::Wait(Wait::Until { at: Timestamp::from_secs(1_030), pause: 30 }));
    w.journal.set_now(Timestamp::from_secs(1_020));
    assert_eq!(w.forward(), Outcome::Wait(Wait::Until { at: Timestamp::from_secs(1_030), pause: 30 }), "not yet");
    w.journal.set_now(Timestamp::from_secs(1_031));
    assert_eq!(w.forward(), Outcome::Wait(Wait::Until { at: Timestamp::from_secs(1_036), pause: 5 }));
    w.journal.set_now(Timestamp::from_secs(1_036));
    assert_eq!(w.forward(), Outcome::Done(json!(1)));
}

#[test]
fn wait_until_asks_again_and_gives_up_in_time() {
    let script = r#"fn act(job, args) { job.wait_until("ip", 5, 12, || pve::get("/ip")) }"#;
    let w = World::with(script, |_| Ok(Value::Null));
    for at in [1_005, 1_010, 1_015] {
        assert_eq!(w.forward(), Outcome::Wait(Wait::Until { at: Timestamp::from_secs(at), pause: 5 }));
        w.journal.set_now(Timestamp::from_secs(at));
    }
    let failure = w.failure();
    assert!(failure.retry && failure.error.message.contains("did not come true within 12 s"));
    assert!(w.states().is_empty(), "the next try waits anew");
    let w = World::with(script, |_| Ok(json!("10.0.0.7")));
    assert_eq!(w.forward(), Outcome::Done(json!("10.0.0.7")));
}

#[test]
fn looking_closures_change_nothing() {
    let w = World::new(r#"fn act(job, args) { job.wait_until("x", 5, 12, || pve::post("/x", #{})) }"#);
    assert!(w.failure().error.message.contains("only read"));
}

#[test]
fn time_stands_still_for_a_job_that_goes_on() {
    let w = World::new("fn act(job, args) { let t = time::now(); job.sleep(100); t }");
    assert!(matches!(w.forward(), Outcome::Wait(_)));
    w.journal.set_now(Timestamp::from_secs(1_100));
    assert_eq!(w.forward(), Outcome::Done(json!(1_000)));
}

#[test]
fn cancel_is_heard_before_the_next_effect() {
    let w = World::new(
        r#"fn act(job, args) { job.step("a", || pve::post("/a", #{})); job.step("b", || pve::post("/b", #{})); }"#,
    );
    w.journal.cancelled.store(true, Ordering::SeqCst);
    assert_eq!(w.forward(), Outcome::Cancelled);
    assert!(w.paths().is_empty());
}

#[test]
fn lines_and_progress_are_written_once_over_all_runs() {
    let w = World::new(
        r#"fn act(job, args) {
            job.log("begin");
            job.progress(0, 2, "first");
            job.step("a", || { job.log("in a"); 1 });
            job.log("between");
            job.wait_task("UPID:1");
            job.progress(1, 2, "second");
            job.step("b", || 2);
            job.warn("end");
        }"#,
    );
    assert!(matches!(w.forward(), Outcome::Wait(_)));
    w.journal.task_over("UPID:1", &TaskEnd::ok());
    assert!(matches!(w.forward(), Outcome::Done(_)));
    let lines: Vec<String> = w.journal.lines.lock().unwrap().iter().map(|l| l.1.clone()).collect();
    assert_eq!(lines, ["begin", "in a", "between", "end"]);
    let labels: Vec<String> = w.journal.progress.lock().unwrap().iter().map(|p| p.label.clone()).collect();
    assert_eq!(labels, ["first", "second"]);
}

#[test]
fn a_job_can_give_up_without_another_try() {
    let w = World::new("fn act(job, args) {\n try { job.fail(\"The template is gone.\"); } catch { }\n}");
    let failure = w.failure();
    assert_eq!(failure.error.to_string(), "test/main.rhai:2:12: The template is gone.");
    assert!(!failure.retry);
}

#[test]
fn a_result_that_is_too_large_is_refused() {
    let w = World::new(r#"fn act(job, args) { job.step("a", || { let s = ""; s.pad(70000, 'x'); s }) }"#);
    assert!(w.failure().error.message.contains("at most 65536"));
}

#[test]
fn a_journal_of_another_script_stops_the_job() {
    let done = |w: &World, name: &str| {
        w.journal.begin(name).unwrap();
        w.journal.finish(name, json!(1)).unwrap();
    };
    let script =
        r#"fn act(job, args) { job.step("a", || pve::post("/a", #{})); job.step("b", || pve::post("/b", #{})); }"#;
    for entries in [vec!["old"], vec!["a", "old"], vec!["b", "a"], vec!["old", "a", "b"], vec!["a", "b", "old"]] {
        let w = World::new(script);
        entries.iter().for_each(|name| done(&w, name));
        let failure = w.failure();
        assert!(failure.mismatch && !failure.retry, "{entries:?}: {failure:?}");
        assert!(w.paths().is_empty(), "{entries:?}: no effect on a guess");
    }
}

#[test]
fn undo_takes_back_in_reverse_what_was_registered() {
    let w = World::new(
        r#"fn act(job, args) {
            job.undo("a", || { pve::delete("/a", #{}); });
            job.step("a", || pve::post("/a", #{}));
            job.undo("b", || { let upid = pve::delete("/b", #{}); job.wait_task(upid); job.log("b is gone"); });
            job.step("b", || pve::post("/b", #{}));
            job.wait_task("UPID:never");
            job.undo("c", || pve::delete("/c", #{}));
        }"#,
    );
    assert!(matches!(w.forward(), Outcome::Wait(_)));
    assert_eq!(w.turn(Mode::Undo), Outcome::Wait(Wait::Task { id: "UPID:1".into() }));
    w.journal.task_over("UPID:1", &TaskEnd::ok());
    assert_eq!(w.turn(Mode::Undo), Outcome::Undone);
    assert_eq!(w.turn(Mode::Undo), Outcome::Undone, "once more changes nothing");
    assert_eq!(w.paths(), ["POST /a", "POST /b", "DELETE /b", "DELETE /a"]);
    assert!(matches!(w.forward(), Outcome::Failed(f) if f.mismatch), "there is no way forward any more");
}

#[test]
fn an_undo_that_fails_is_tried_again() {
    let script = r#"fn act(job, args) {
        job.undo("a", || { let upid = pve::delete("/a", #{}); job.wait_task(upid); });
        job.step("a", || pve::post("/a", #{}));
        job.fail("no");
    }"#;
    let w = World::new(script);
    assert!(!w.failure().retry);
    assert!(matches!(w.turn(Mode::Undo), Outcome::Wait(_)));
    w.journal.task_over("UPID:1", &TaskEnd::failed("can't remove: in use"));
    let Outcome::Failed(failure) = w.turn(Mode::Undo) else { panic!() };
    assert!(failure.retry && failure.error.message == "undoing \"a\": can't remove: in use", "{failure:?}");
    assert!(matches!(w.turn(Mode::Undo), Outcome::Wait(_)), "it removes it again");
    w.journal.task_over("UPID:1", &TaskEnd::ok());
    assert_eq!(w.turn(Mode::Undo), Outcome::Undone);
    assert_eq!(w.paths(), ["POST /a", "DELETE /a", "DELETE /a"]);
}

#[test]
fn a_begun_step_is_settled_before_it_is_taken_back() {
    let w = World::with(
        r#"fn act(job, args) {
            let id = job.step("make", || pve::post("/make", #{}), |began| pve::get("/made"));
            job.undo("make", || pve::delete(`/made/${id}`, #{}));
            job.step("next", || 1);
        }"#,
        |_| Ok(json!("m1")),
    );
    w.journal.begin("make").unwrap();
    assert_eq!(w.turn(Mode::Undo), Outcome::Undone);
    assert_eq!(w.paths(), ["GET /made", "DELETE /made/m1"]);
}

#[test]
fn the_id_of_the_job_is_known() {
    let w = World::new("fn act(job, args) { `mark:${job.id}` }");
    let id = base::ids::JobId::new();
    let host: Arc<dyn Host> = w.fake.clone();
    let run = Run { job: Some(id), ..Run::default() };
    let outcome = w.plugin.run_job(&host, w.journal.clone(), "act", Value::Null, run, Mode::Forward);
    assert_eq!(outcome, Outcome::Done(json!(format!("mark:{id}"))));
}

/// Every commit takes as long as on a disk that is busy with something else.
struct SlowJournal(MemoryJournal);

impl SlowJournal {
    #[expect(clippy::disallowed_methods, reason = "a disk that is busy keeps the script's own thread waiting")]
    fn commit<T>(&self, write: impl FnOnce(&MemoryJournal) -> T) -> T {
        std::thread::sleep(Duration::from_millis(250));
        write(&self.0)
    }
}

impl Journal for SlowJournal {
    fn entries(&self) -> Result<Vec<Step>, Error> {
        self.0.entries()
    }

    fn begin(&self, name: &str) -> Result<(), Error> {
        self.commit(|j| j.begin(name))
    }

    fn finish(&self, name: &str, result: Value) -> Result<(), Error> {
        self.commit(|j| j.finish(name, result))
    }

    fn fail(&self, name: &str) -> Result<(), Error> {
        self.commit(|j| j.fail(name))
    }

    fn forget(&self, name: &str) -> Result<(), Error> {
        self.commit(|j| j.forget(name))
    }

    fn progress(&self, progress: Progress) {
        self.commit(|j| j.progress(progress));
    }

    fn log(&self, level: LogLevel, text: &str) {
        self.commit(|j| j.log(level, text));
    }

    fn cancelled(&self) -> bool {
        self.0.cancelled()
    }

    fn now(&self) -> Timestamp {
        self.0.now()
    }
}

#[test]
fn a_slow_disk_is_not_counted_as_the_scripts_time() {
    let w = World::new(
        r#"fn act(job, args) {
            for n in 0..5 { job.step(`step ${n}`, || n); log::info(`step ${n} is done`); }
            "done"
        }"#,
    );
    let journal = Arc::new(SlowJournal(MemoryJournal::at(Timestamp::from_secs(1_000))));
    let (host, began): (Arc<dyn Host>, _) = (w.fake.clone(), Instant::now());
    let end = w.plugin.run_job(&host, journal, "act", json!({}), Run::default(), Mode::Forward);
    assert_eq!(end, Outcome::Done(json!("done")));
    assert!(began.elapsed() > SCRIPT_TIME, "the disk was slow enough: {:?}", began.elapsed());
}
