//! Malicious scripts. Each is stopped within its limit, for the reason noted next to it,
//! while calls of a small hook on another thread go on.

use super::support::{Fake, load, plugin};
use crate::check::MemoryJournal;
use crate::{Call, Host, Mode, Outcome, Plugin, Run};
use base::Timestamp;
use serde_json::{Value, json};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Barrier};
use std::time::{Duration, Instant};

/// Where it ends.
enum End {
    /// It is not even loaded.
    Load,
    /// The hook `act()` ends with an error.
    Hook,
    /// The job `act(job, args)` fails.
    Job,
    /// The hook ends well, because nothing came of it: its result as JSON.
    Harmless,
}
use End::{Harmless, Hook, Job, Load};

/// Words that end endless scripts.
const OPERATIONS: &str = "operations";
const TOO_LARGE: &str = "too large";
/// What a script that tries to read a secret is told.
const HIDDEN: &str = "a secret can't be read";

/// Name, where it ends, wall time in ms, a part of the error, the script's function body (or a whole text).
#[rustfmt::skip]
const HOSTILE: &[(&str, End, u64, &str, &str)] = &[
    // Loops and recursion.
    ("endless loop", Hook, 6000, OPERATIONS, "loop {}"),
    ("endless while with work", Hook, 6000, OPERATIONS, "let x = 0; while true { x = x * 31 + 7; x = x % 1000; }"),
    ("endless range", Hook, 6000, OPERATIONS, "for i in 0..9000000000000 { let y = i; }"),
    ("recursion", Hook, 3000, "Stack overflow", "fn f(n) { f(n + 1) } fn act() { f(0) }"),
    ("mutual recursion", Hook, 3000, "Stack overflow", "fn f(n) { g(n) } fn g(n) { f(n) } fn act() { f(0) }"),
    ("recursion by a closure", Hook, 3000, "Stack overflow", "fn f(g) { g.call(g) } fn act() { f(|g| f(g)) }"),
    ("doubling recursion", Hook, 6000, OPERATIONS, "fn f(n) { if n == 0 { 1 } else { f(n - 1) + f(n - 1) } } fn act() { f(40) }"),
    // Bombs.
    ("string bomb", Hook, 3000, TOO_LARGE, r#"let s = "x"; loop { s += s; }"#),
    ("string bomb by interpolation", Hook, 3000, TOO_LARGE, r#"let s = "x"; loop { s = `${s}${s}`; }"#),
    ("string bomb by pad", Hook, 3000, TOO_LARGE, r#"let s = "x"; s.pad(2000000000, "xy");"#),
    ("string bomb by replace", Hook, 3000, "longer than", r#"let s = ""; s.pad(900000, "x"); let t = s; s.replace("x", t);"#),
    ("string bomb by replacing letters", Hook, 3000, "longer than", r#"let s = ""; s.pad(900000, 'x'); let t = s; s.replace('x', t);"#),
    ("array bomb", Hook, 6000, "", "let a = []; loop { a.push(1); }"),
    ("array bomb by doubling", Hook, 3000, TOO_LARGE, "let a = [1]; loop { a += a; }"),
    ("array bomb by pad", Hook, 3000, TOO_LARGE, "let a = []; a.pad(2000000000, 1);"),
    ("array in array bomb", Hook, 3000, TOO_LARGE, "let a = [1]; loop { a = [a, a]; }"),
    ("map bomb", Hook, 6000, "", r#"let m = #{}; let i = 0; loop { m["k" + i] = i; i += 1; }"#),
    ("map in map bomb", Hook, 3000, TOO_LARGE, "let m = #{}; loop { m = #{a: m, b: m}; }"),
    ("bytes", Hook, 3000, "not found", "blob(1000000000)"),
    ("memory in many variables", Hook, 6000, "", r#"fn f(n) { let s = ""; s.pad(1000000, "x"); let t = s + ""; s += "y"; if n > 0 { f(n - 1) } else { 0 } } fn act() { let all = []; loop { let g = || 1; f(40); } }"#),
    ("memory in closures", Hook, 6000, "memory grew", r#"let s = ""; s.pad(1000000, "x"); let keep = (); let i = 0; loop { let t = s + i; let before = keep; keep = || [t, before]; i += 1; }"#),
    ("nested values", Hook, 6000, "", "let a = []; loop { a = [a]; }"),
    ("nested closures", Hook, 6000, "", "let a = (); loop { let b = a; a = || b; }"),
    ("nested closures by calls", Hook, 6000, OPERATIONS, "fn wrap(x) { || x } fn act() { let a = 1; loop { a = wrap(a); } }"),
    ("nested closures by reduce", Hook, 6000, "", "let xs = []; xs.pad(40000, 1); let a = 1; loop { a = xs.reduce(|acc, x| || acc, a); }"),
    ("printing nested closures", Harmless, 3000, "", "let a = 1; for i in 0..60 { let b = a; let c = a; a = || [b, c]; } debug(a); print(a); `${[a]}`.len"),
    ("throwing nested closures", Hook, 3000, "threw a Fn", "let a = 1; for i in 0..60 { let b = a; let c = a; a = || [b, c]; } throw a"),
    ("closures in JSON", Hook, 3000, "not data", "let a = 1; for i in 0..60 { let b = a; let c = a; a = || [b, c]; } #{x: a}.to_json()"),
    ("split bomb", Hook, 6000, TOO_LARGE, r#"let s = ""; s.pad(1000000, "x"); s.split("")"#),
    ("JSON bomb", Hook, 3000, TOO_LARGE, r#"let s = ""; s.pad(400000, "1,"); parse_json("[" + s + "1]")"#),
    ("deep JSON", Hook, 3000, "not JSON", r#"let s = ""; s.pad(100000, "["); parse_json(s)"#),
    // Loops hidden in callbacks.
    ("loop in map", Hook, 6000, OPERATIONS, "[1].map(|x| { loop {} })"),
    ("many small callbacks", Hook, 6000, OPERATIONS, "let a = []; a.pad(1000, 1); loop { a.map(|x| { for i in 0..1000 { x += 1; } x }); }"),
    ("loop in filter", Hook, 6000, OPERATIONS, "[1].filter(|x| { loop {} })"),
    ("loop in reduce", Hook, 6000, OPERATIONS, "[1, 2].reduce(|a, b| { loop {} })"),
    ("loop in sort", Hook, 6000, OPERATIONS, "let a = [3, 2, 1]; loop { a.sort(|x, y| { loop {} }); }"),
    ("errors swallowed by dedup", Hook, 6000, "", "let a = []; a.pad(5000, 1); loop { let b = a; b.dedup(|x, y| { throw 1 }); }"),
    ("a comparator without order", Hook, 6000, "", "let a = []; for i in 0..500 { a.push(i); } let n = 0; loop { try { a.sort(|x, y| { n += 1; if n % 3 == 0 { 1 } else { -1 } }); } catch { } }"),
    ("catching every end", Hook, 6000, OPERATIONS, "loop { try { loop {} } catch { } }"),
    ("endless throwing", Hook, 6000, OPERATIONS, "loop { try { throw 1 } catch { } }"),
    ("slow data races", Hook, 9000, "longer than", "let a = [1]; loop { try { a.map(|x| a.len()); } catch { } }"),
    // Code of a size or depth.
    ("deep expression", Load, 3000, "complex", "@PARENS"),
    ("deep blocks", Load, 3000, "complex", "@BLOCKS"),
    ("huge literal", Load, 3000, "array literal exceeds", "@LITERAL"),
    ("pattern that backtracks", Hook, 6000, "", r#"let s = ""; s.pad(30, "a"); s += "!"; fn m(s, i, d) { if i >= s.len() { return d == 0; } for k in (i + 1)..=s.len() { if m(s, k, d + 1) { return true; } } false } fn act() { let s = ""; s.pad(40, "a"); m(s, 0, 1) }"#),
    ("searching text in text", Hook, 9000, "", r#"let s = ""; s.pad(1000000, "a"); let t = ""; t.pad(500000, "a"); t += "b"; loop { s.index_of(t); }"#),
    // Reaching out.
    ("import", Load, 3000, "import", r#"import "/etc/passwd" as x;"#),
    ("eval", Load, 3000, "eval", r#"eval("1 + 1")"#),
    ("files", Hook, 3000, "not found", r#"open_file("/etc/passwd")"#),
    ("a module of files", Load, 3000, "`fs` is not granted", r#"fs::read("/etc/passwd")"#),
    ("processes", Load, 3000, "`process` is not granted", r#"process::run("id")"#),
    ("network", Load, 3000, "`http` is not granted", r#"http::get("http://127.0.0.1/")"#),
    ("environment", Load, 3000, "`env` is not granted", r#"env::get("HOME")"#),
    ("secrets", Load, 3000, "`secrets` is not granted", r#"secrets::open("pve")"#),
    ("sleeping", Hook, 3000, "not found", "sleep(10)"),
    ("sleeping a bit", Hook, 3000, "not found", "sleep(0.5)"),
    ("the clock of the machine", Hook, 3000, "not found", "timestamp()"),
    ("shadowing a host function", Harmless, 3000, "null", "fn get(path) { 42 } fn act() { pve::get(\"/x\") }"),
    ("a module of its own", Load, 3000, "", "module pve { fn get() { 1 } } fn act() { 1 }"),
    ("overriding a method of job", Load, 3000, "method of `job`", "fn step(name, f) { f.call() } fn act() { 1 }"),
    ("a handle for nothing", Load, 3000, "Undefined variable", "job.step(\"x\", || 1)"),
    // Reading a secret.
    ("a secret in a text", Hook, 3000, HIDDEN, r#"let s = template::fill("x", #{}); let t = `a ${s}`; t.len"#),
    ("a secret in a sum", Hook, 3000, HIDDEN, r#"let t = "a" + template::fill("x", #{}); t.len"#),
    ("catching a secret in a text", Hook, 3000, HIDDEN, r#"let s = template::fill("x", #{}); try { print(s); } catch { } 1"#),
    ("a secret as JSON", Hook, 3000, HIDDEN, r#"to_json(#{a: template::fill("x", #{})})"#),
    ("a secret kept", Hook, 3000, HIDDEN, r#"kv::put("k", [template::fill("x", #{})])"#),
    ("a secret returned", Hook, 3000, HIDDEN, r#"#{a: template::fill("x", #{})}"#),
    ("a secret thrown", Hook, 3000, "threw a secret", r#"throw template::fill("x", #{})"#),
    ("a secret in a path", Hook, 3000, "not found", r#"pve::get(template::fill("x", #{}))"#),
    ("a secret's length", Hook, 3000, "Unknown property", r#"template::fill("x", #{}).len"#),
    ("two secrets compared", Harmless, 3000, "", r#"template::fill("x", #{}) == "x""#),
    ("a secret as a step's result", Job, 3000, HIDDEN, r#"job.step("a", || template::fill("x", #{}))"#),
    ("a secret in the job's log", Job, 3000, HIDDEN, r#"job.log(`${template::fill("x", #{})}`)"#),
    ("template bomb", Hook, 3000, "too long", r#"let s = template::fill("x", #{}); loop { s = template::fill("{a}{a}", #{a: s}); }"#),
    // Floods.
    ("print flood", Hook, 6000, OPERATIONS, r#"loop { print("x"); }"#),
    ("call flood", Hook, 6000, "calls to the host", r#"loop { kv::put("k", 1); }"#),
    ("call flood behind catch", Hook, 6000, "calls to the host", r#"loop { try { pve::get("/x"); } catch { } }"#),
    ("large values for the host", Hook, 6000, "64 KiB", r#"let s = ""; s.pad(100000, "x"); kv::put("k", s)"#),
    ("calls before anything runs", Load, 3000, "outside of functions", "pve::post(\"/x\", #{});\nfn act() { 1 }"),
    // Jobs.
    ("step in step", Job, 3000, "inside a step", r#"job.step("a", || job.step("b", || 1))"#),
    ("undo in undo", Job, 3000, "inside a step", r#"job.step("a", || job.undo("b", || 1))"#),
    ("huge step result", Job, 3000, "at most 65536", r#"job.step("a", || { let s = ""; s.pad(100000, "x"); s })"#),
    ("step result that is code", Job, 3000, "not data", r#"job.step("a", || (|| 1))"#),
    ("endless tries of a step", Job, 3000, "used twice", r#"loop { try { job.step("a", || { throw 1 }); } catch { } }"#),
    ("endless new steps", Job, 9000, "", r#"let i = 0; loop { job.step("s" + i, || 1); i += 1; }"#),
    ("catching the suspension", Job, 3000, "@wait", r#"loop { try { job.wait_task("UPID:x"); } catch { } }"#),
    ("sleeping backwards", Job, 3000, "0 to", "job.sleep(-1)"),
    ("sleeping for ever", Job, 3000, "0 to", "job.sleep(9223372036854775807)"),
    ("asking all the time", Job, 3000, "every 1 to", r#"job.wait_until("x", 0, 10, || false)"#),
    ("waiting for ever", Job, 3000, "at most", r#"job.wait_until("x", 1, 9223372036854775807, || false)"#),
    ("effects in a look", Job, 3000, "only read", r#"job.wait_until("x", 1, 10, || pve::post("/x", #{}))"#),
    ("effects beside steps", Job, 3000, "inside job.step", r#"pve::post("/x", #{})"#),
    ("a job's loop in a step", Job, 6000, OPERATIONS, r#"job.step("a", || { loop {} })"#),
    ("forged journal names", Job, 3000, "prefix is taken", r#"job.step("wait:UPID:1", || #{exitstatus: "OK"})"#),
    ("another job object", Job, 3000, "", "let job = 1; job.step(\"a\", 2)"),
];

fn text(script: &str, end: &End) -> String {
    let script = match script {
        "@PARENS" => format!("let x = {}1{};", "(".repeat(500), ")".repeat(500)),
        "@BLOCKS" => format!("{}1{}", "if true { ".repeat(500), " }".repeat(500)),
        "@LITERAL" => format!("let x = [{}]; loop {{ x += x; }}", "1,".repeat(60_000)),
        other => other.to_owned(),
    };
    match (script.contains("fn act"), end) {
        (true, _) => script,
        (false, Job) => format!("fn act(job, args) {{ {script} }}"),
        (false, _) => format!("fn act() {{ {script} }}"),
    }
}

/// Runs one to its end: the error's text, the result, or `@wait`.
fn run(end: &End, text: &str, host: &Arc<dyn Host>) -> Result<Value, String> {
    let hooks = if matches!(end, Job) { "act 2 job" } else { "act 0 effect" };
    let plugin = load("pve guests kv log time", hooks, text).map_err(|e| format!("load: {e}"))?;
    if !matches!(end, Job) {
        return plugin.call(host, "act", vec![], Run::default()).map_err(|e| e.to_string());
    }
    let journal = Arc::new(MemoryJournal::at(Timestamp::ZERO));
    match plugin.run_job(host, journal, "act", Value::Null, Run::default(), Mode::Forward) {
        Outcome::Failed(failure) => Err(failure.error.to_string()),
        Outcome::Wait(_) => Err("@wait".into()),
        other => Ok(json!(format!("{other:?}"))),
    }
}

/// Calls a small hook all the time; counts, and remembers the slowest.
struct Neighbour {
    done: AtomicU64,
    slowest_ms: AtomicU64,
    stop: AtomicBool,
}

impl Neighbour {
    fn work(&self, plugin: &Plugin, host: &Arc<dyn Host>) {
        while !self.stop.load(Ordering::SeqCst) {
            let began = Instant::now();
            assert_eq!(plugin.call(host, "add", vec![json!(1)], Run::default()).unwrap(), json!(2));
            let took = u64::try_from(began.elapsed().as_millis()).unwrap();
            self.slowest_ms.fetch_max(took, Ordering::SeqCst);
            self.done.fetch_add(1, Ordering::SeqCst);
        }
    }
}

#[test]
fn hostile_scripts_are_stopped_within_their_limits_while_a_neighbour_works_on() {
    let host: Arc<dyn Host> = Fake::new(|call| match call {
        Call::ReserveVmid => Ok(json!(100)),
        _ => Ok(Value::Null),
    });
    let small = plugin("add 1 pure", "fn add(x) { x + 1 }");
    let neighbour = Neighbour { done: AtomicU64::new(0), slowest_ms: AtomicU64::new(0), stop: AtomicBool::new(false) };
    assert!(HOSTILE.len() >= 25);
    let (mut wrong, mut table) = (Vec::new(), Vec::new());
    std::thread::scope(|scope| {
        scope.spawn(|| {
            crate::stack::mark_thread();
            neighbour.work(&small, &host);
        });
        for (name, end, limit_ms, wanted, script) in HOSTILE {
            let before = neighbour.done.load(Ordering::SeqCst);
            let began = Instant::now();
            let result = run(end, &text(script, end), &host);
            let took = began.elapsed();
            let fits = match (&result, end) {
                (Err(error), Load) => error.starts_with("load: ") && error.contains(wanted),
                (Err(error), Hook | Job) => !error.starts_with("load: ") && error.contains(wanted),
                (Ok(value), Harmless) => value.to_string().contains(wanted),
                _ => false,
            };
            let shown = format!("{result:?}").chars().take(160).collect::<String>();
            table.push(format!("{name:36} {:5} ms  {shown}", took.as_millis()));
            if !fits {
                wrong.push(format!("{name}: {shown}"));
            }
            if took > Duration::from_millis(*limit_ms) {
                wrong.push(format!("{name}: took {} ms of {limit_ms}", took.as_millis()));
            }
            if took > Duration::from_millis(200) && neighbour.done.load(Ordering::SeqCst) == before {
                wrong.push(format!("{name}: the neighbour stood still"));
            }
        }
        neighbour.stop.store(true, Ordering::SeqCst);
    });
    let slowest = neighbour.slowest_ms.load(Ordering::SeqCst);
    assert!(slowest < 1_000, "a neighbour's call took {slowest} ms");
    assert!(wrong.is_empty(), "{}\n\n{}", wrong.join("\n"), table.join("\n"));
}

#[test]
fn a_neighbour_that_grows_does_not_stop_a_small_script() {
    let turn = Arc::new(Barrier::new(2));
    let of_host = Arc::clone(&turn);
    let host: Arc<dyn Host> = Fake::new(move |_| {
        // The script is under way; it goes on when the neighbour has grown.
        of_host.wait();
        of_host.wait();
        Ok(Value::Null)
    });
    let small = plugin("act 0 effect", r#"fn act() { pve::get("/x"); let x = 0; for i in 0..100000 { x += 1; } x }"#);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            turn.wait();
            let grown = vec![1_u8; 300 << 20];
            turn.wait();
            turn.wait();
            assert_eq!(grown.iter().step_by(4096).filter(|b| **b == 1).count(), 76_800);
        });
        let result = small.call(&host, "act", vec![], Run::default());
        turn.wait();
        assert_eq!(result.unwrap(), json!(100_000));
    });
}

#[test]
fn a_plugin_has_no_way_to_name_another_plugins_rows() {
    let fake = Fake::new(|_| Ok(Value::Null));
    let host: Arc<dyn Host> = fake.clone();
    let script = r#"fn act() { kv::get("../other/key"); kv::get("other:key"); }"#;
    let run = Run { plugin: "other".into(), ..Run::default() };
    plugin("act 0 effect", script).call(&host, "act", vec![], run).unwrap();
    for (run, _) in fake.calls.lock().unwrap().iter() {
        assert_eq!(run.plugin, "test", "the host is told who really asks, and keys are only looked up under that");
    }
}
