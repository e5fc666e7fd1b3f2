//! What a hook call costs over the script's own work: the budget is 10 microseconds.

#![expect(clippy::print_stdout, clippy::unwrap_used, reason = "a bench prints its figure and may stop at once")]

use serde_json::{Value, json};
use std::sync::Arc;
use std::time::Instant;
use steward::plugin::{Call, CallError, Host, Plugins, Run, stack};

const TOML: &str = "name = \"bench\"\nversion = \"1\"\nabout = \"x\"\nkind = \"rule\"\napi = 1\ngrants = [\"pve\"]\n\
                    [hooks]\nnothing = { params = 0, mode = \"pure\" }\ndecide = { params = 1, mode = \"pure\" }\n\
                    ask = { params = 0, mode = \"effect\" }\n";
const MAIN: &str =
    "fn nothing() { }\nfn decide(m) { if m.cpu > 80 { #{add: 1} } else { () } }\nfn ask() { pve::get(\"/nodes\") }\n";

struct Nothing;

impl Host for Nothing {
    fn call(&self, _: &Run, _: Call) -> Result<Value, CallError> {
        Ok(Value::Null)
    }
}

fn main() {
    let folder = tempfile::tempdir().unwrap();
    let plugin = folder.path().join("bench");
    std::fs::create_dir(&plugin).unwrap();
    std::fs::write(plugin.join("plugin.toml"), TOML).unwrap();
    std::fs::write(plugin.join("main.rhai"), MAIN).unwrap();
    let plugins = Plugins::load(Some(folder.path()));
    let plugin = plugins.get("bench").unwrap();
    let host: Arc<dyn Host> = Arc::new(Nothing);
    let time = |hook: &str, args: &[Value], rounds: u32| {
        let began = Instant::now();
        for _ in 0..rounds {
            plugin.call(&host, hook, args.to_vec(), Run::default()).unwrap();
        }
        began.elapsed().as_secs_f64() * 1e6 / f64::from(rounds)
    };
    let fresh = time("nothing", &[], 2_000);
    stack::mark_thread();
    time("nothing", &[], 20_000);
    let empty = time("nothing", &[], 200_000);
    let decide = time("decide", &[json!({"cpu": 90, "memory": 40, "name": "web"})], 200_000);
    let ask = time("ask", &[], 200_000);
    println!(
        "plugin hook call: empty {empty:.2} us, decision with a map in and out {decide:.2} us, one host call {ask:.2} us; \
         on a thread that was not prepared {fresh:.1} us"
    );
}
