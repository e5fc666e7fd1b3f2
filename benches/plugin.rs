//! What a hook call costs over the script's own work: the budget is 10 microseconds.

#![expect(clippy::print_stdout, clippy::unwrap_used, reason = "a bench prints its figure and may stop at once")]

use plugin::{Call, CallError, Host, Plugins, Run, stack};
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::Instant;

const TOML: &str = "name = \"bench\"\nversion = \"1\"\nabout = \"x\"\nkind = \"rule\"\napi = 1\ngrants = [\"pve\"]\n\
                    [hooks]\nnothing = { params = 0, mode = \"pure\" }\ndecide = { params = 1, mode = \"pure\" }\n\
                    ask = { params = 0, mode = \"effect\" }\n";
const MAIN: &str =
    "fn nothing() { }\nfn decide(m) { if m.cpu > 80 { #{add: 1} } else { () } }\nfn ask() { pve::get(\"/nodes\") }\n";

/// Answers what the inventory asks, for 1,000 machines on 4 nodes.
struct Cluster(Value);

impl Cluster {
    fn new() -> Self {
        let guest = |n: u32| {
            json!({"id": format!("qemu/{n}"), "type": "qemu", "vmid": n, "node": format!("pve{}", n % 4), "status": "running",
                "name": format!("machine-{n}"), "cpu": 0.05, "maxcpu": 4, "mem": 2_147_483_648_u64, "maxmem": 4_294_967_296_u64,
                "disk": 0, "maxdisk": 34_359_738_368_u64, "netin": 123_456, "netout": 654_321, "diskread": 1, "diskwrite": 2,
                "uptime": 86_400, "template": 0, "tags": "steward;web"})
        };
        Self(Value::Array((0..1_000).map(guest).collect()))
    }
}

impl Host for Cluster {
    fn call(&self, _: &Run, call: Call) -> Result<Value, CallError> {
        match call {
            Call::Pve { path, .. } if path == "/cluster/resources" => Ok(self.0.clone()),
            _ => Ok(json!([])),
        }
    }
}

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
    let plugins = Plugins::load(base::files::Files::default(), Some(folder.path()));
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
    if let Some(proxmox) = plugins.get("proxmox") {
        let cluster: Arc<dyn Host> = Arc::new(Cluster::new());
        let began = Instant::now();
        for _ in 0..10 {
            proxmox.call(&cluster, "inventory", vec![], Run::default()).unwrap();
        }
        println!("inventory of 1,000 machines: {:.1} ms", began.elapsed().as_secs_f64() * 100.0);
    }
    println!(
        "plugin hook call: empty {empty:.2} us, decision with a map in and out {decide:.2} us, one host call {ask:.2} us; \
         on a thread that was not prepared {fresh:.1} us"
    );
}
