//! Pure and effect hooks.

use super::support::{Fake, call, load, plugin};
use crate::{Call, CallError, CallErrorKind, Host, MachineCall, Method, Run, SecretPlaces, handles};
use base::{Secret, Secrets};
use model::jobs::LogLevel;
use serde_json::{Value, json};
use std::sync::Arc;

#[test]
fn a_pure_hook_gets_and_returns_data() {
    let plugin = plugin("double 1 pure", "fn double(xs) { xs.map(|x| x * 2) }");
    assert_eq!(call(&plugin, "double", vec![json!([1, 2.5])]).unwrap(), json!([2, 5.0]));
}

#[test]
fn constants_at_the_top_are_there_in_hooks() {
    let plugin = plugin("area 1 pure", "const PI = 3;\nfn area(r) { global::PI * r * r }");
    assert_eq!(call(&plugin, "area", vec![json!(2)]).unwrap(), json!(12));
}

#[test]
fn a_pure_hook_has_no_host_modules_even_when_they_are_granted() {
    let plugin = plugin("peek 0 pure", "fn peek() {\n  pve::get(\"/nodes\")\n}");
    let error = call(&plugin, "peek", vec![]).unwrap_err();
    assert_eq!((error.file.as_str(), error.line), ("test/main.rhai", 2));
    assert!(error.message.contains("`pve` is not available"), "{error}");
}

#[test]
fn an_effect_hook_asks_the_host_with_method_path_and_params() {
    let plugin = plugin("act 0 effect", r#"fn act() { pve::post("/nodes/a/qemu", #{vmid: 7}) }"#);
    let fake = Fake::new(|_| Ok(json!("UPID:1")));
    let host: Arc<dyn Host> = fake.clone();
    assert_eq!(plugin.call(&host, "act", vec![], Run::default()).unwrap(), json!("UPID:1"));
    let (path, params) = ("/nodes/a/qemu".into(), json!({"vmid": 7}));
    let wanted = Call::Pve { method: Method::Post, path, params, secrets: SecretPlaces::new() };
    assert_eq!(fake.calls(), vec![wanted]);
    assert_eq!(fake.calls.lock().unwrap()[0].0.plugin, "test");
}

#[test]
fn a_refusal_is_thrown_as_a_map_that_the_script_can_read() {
    let text =
        r#"fn act() { try { pve::get("/x") } catch (e) { return [e.kind, e.status, e.message, e.errors.vmid]; } }"#;
    let host: Arc<dyn Host> = Fake::new(|_| {
        let mut error = CallError::new(CallErrorKind::NotFound, 404, "no such thing");
        error.errors.insert("vmid".into(), "too low".into());
        Err(error)
    });
    let result = plugin("act 0 effect", text).call(&host, "act", vec![], Run::default());
    assert_eq!(result.unwrap(), json!(["not_found", 404, "no such thing", "too low"]));
}

#[test]
fn an_uncaught_refusal_names_line_and_column_and_the_fields() {
    let host: Arc<dyn Host> = Fake::new(|_| {
        let mut error = CallError::new(CallErrorKind::Invalid, 400, "Parameter verification failed.");
        error.errors.insert("cores".into(), "must be positive".into());
        Err(error)
    });
    let plugin = plugin("act 0 effect", "fn ask() {\n    pve::get(\"/x\")\n}\nfn act() { ask() }");
    let error = plugin.call(&host, "act", vec![], Run::default()).unwrap_err();
    assert_eq!(error.to_string(), "test/main.rhai:2:10: Parameter verification failed. [cores: must be positive]");
}

#[test]
fn a_panic_in_the_host_is_an_error_of_the_call() {
    let host: Arc<dyn Host> = Fake::new(|_| panic!("a bug in the host"));
    let plugin = plugin("act 0 effect", "fn act() { try { pve::get(\"/x\") } catch (e) { return e.kind; } }");
    assert_eq!(plugin.call(&host, "act", vec![], Run::default()).unwrap(), json!("internal"));
}

#[test]
fn a_typed_result_of_another_shape_names_hook_field_and_what_was_expected() {
    #[derive(serde::Deserialize, Debug)]
    struct Guest {
        #[expect(dead_code, reason = "only its type matters here")]
        vmid: u32,
    }
    #[derive(serde::Deserialize, Debug)]
    struct Inventory {
        #[expect(dead_code, reason = "only its type matters here")]
        guests: Vec<Guest>,
    }
    let plugin = plugin("inventory 0 effect", r#"fn inventory() { #{guests: [#{vmid: 1}, #{vmid: "two"}]} }"#);
    let error = plugin.call_as::<Inventory>(&super::support::quiet(), "inventory", vec![], Run::default()).unwrap_err();
    assert!(error.message.contains("hook \"inventory\", guests[1].vmid"), "{error}");
    assert!(error.message.contains("expected u32"), "{error}");
}

#[test]
fn a_result_that_is_not_data_is_refused_with_its_place() {
    let plugin = plugin("act 0 pure", "fn act() { #{a: [1, || 2]} }");
    assert!(call(&plugin, "act", vec![]).unwrap_err().message.contains("a[1]: a Fn is not data"));
}

#[test]
fn print_and_log_reach_the_host_as_lines() {
    let fake = Fake::new(|_| Ok(Value::Null));
    let host: Arc<dyn Host> = fake.clone();
    let plugin = plugin("act 0 effect", r#"fn act() { print("a"); log::warn("b"); }"#);
    plugin.call(&host, "act", vec![], Run::default()).unwrap();
    let line = |level, text: &str| Call::Log { level, text: text.into() };
    assert_eq!(fake.calls(), vec![line(LogLevel::Info, "a"), line(LogLevel::Warn, "b")]);
}

#[test]
fn json_is_read_and_written() {
    let text = r#"fn act(t) { let v = parse_json(t); v.n += 1; to_json(v) }"#;
    let plugin = plugin("act 1 pure", text);
    assert_eq!(
        call(&plugin, "act", vec![json!(r#"{"n":1,"t":[null,true]}"#)]).unwrap(),
        json!(r#"{"n":2,"t":[null,true]}"#)
    );
}

#[test]
fn calling_a_hook_wrongly_says_how() {
    let plugin = load("", "one 1 pure; job 2 job", "fn one(a) { a }\nfn job(job, args) { }").unwrap();
    let message = |hook, args| call(&plugin, hook, args).unwrap_err().message;
    assert!(message("two", vec![]).contains("no hook \"two\""));
    assert!(message("one", vec![]).contains("takes 1 arguments, not 0"));
    assert!(message("job", vec![]).contains("is a job"));
}

#[test]
fn sorting_is_stable_and_errors_of_the_comparator_come_out() {
    let text = r#"
        fn act(xs) { xs.sort(|a, b| a.n - b.n); let ys = xs.order_by(|a, b| a.n > b.n); [xs, ys] }
        fn bad(xs) { xs.sort(|a, b| { throw "no order" }); xs }"#;
    let plugin = plugin("act 1 pure; bad 1 pure", text);
    let items = json!([{"n": 2, "t": "a"}, {"n": 1, "t": "b"}, {"n": 2, "t": "c"}, {"n": 1, "t": "d"}]);
    let tags =
        |v: &Value| v.as_array().unwrap().iter().map(|i| i["t"].as_str().unwrap().to_owned()).collect::<String>();
    let sorted = call(&plugin, "act", vec![items.clone()]).unwrap();
    assert_eq!((tags(&sorted[0]).as_str(), sorted[1][0]["n"].as_i64()), ("bdac", Some(2)));
    assert_eq!(call(&plugin, "bad", vec![items]).unwrap_err().message, "no order");
}

#[test]
fn a_secret_comes_as_a_handle_and_leaves_by_its_name_alone() {
    let text = r#"fn act(guest, ask) {
        pve::post("/agent", #{ file: "x", content: ask.content });
        ssh::run("cat", #{ input: template::fill("{a}\n", #{ a: ask.content }) });
        type_of(ask.content)
    }"#;
    let plugin = load("pve ssh", "act 2 effect", text).unwrap();
    let fake = Fake::new(|_| Ok(Value::Null));
    let host: Arc<dyn Host> = fake.clone();
    let mut secrets = Secrets::default();
    secrets.put("1/content", Secret::new("hunter2".to_owned()));
    let run = Run { secrets: handles(&secrets), ..Run::default() };
    assert_eq!(plugin.call(&host, "act", vec![json!(7), json!({})], run).unwrap(), json!("Secret"));
    let calls = fake.calls();
    assert!(!format!("{calls:?}").contains("hunter2"));
    let (Call::Pve { params, secrets: places, .. }, Call::Ssh(run)) = (&calls[0], &calls[1]) else {
        panic!("{calls:?}")
    };
    assert_eq!(*params, json!({"file": "x", "content": null}));
    assert_eq!(places["/content"].resolve(&secrets).unwrap().expose(), "hunter2");
    let MachineCall::Run(full) = run.clone().resolve(&secrets).unwrap() else { panic!("{run:?}") };
    assert_eq!(full.input.expose(), "hunter2\n");
}
