//! A plugin from a text, and a host that answers as a test wants.

use crate::source::Files;
use crate::{Call, CallError, Host, Plugin, Run};
use model::plugins::{Origin, ScriptError};
use serde_json::Value;
use std::sync::{Arc, Mutex};

/// Hooks by line: `name params mode`.
pub fn load(grants: &str, hooks: &str, main: &str) -> Result<Plugin, ScriptError> {
    let grants: Vec<String> = grants.split_whitespace().map(|g| format!("\"{g}\"")).collect();
    let mut toml = format!(
        "name = \"test\"\nversion = \"1\"\nabout = \"A test.\"\nkind = \"provider\"\napi = 1\ngrants = [{}]\n\n[hooks]\n",
        grants.join(", ")
    );
    for hook in hooks.split(';').map(str::trim).filter(|h| !h.is_empty()) {
        let mut words = hook.split_whitespace();
        let (name, params, mode) = (words.next().unwrap(), words.next().unwrap(), words.next().unwrap());
        toml.push_str(&format!("{name} = {{ params = {params}, mode = \"{mode}\" }}\n"));
    }
    let files = Files::from([("plugin.toml".to_owned(), toml), ("main.rhai".to_owned(), main.to_owned())]);
    Plugin::load("test", Origin::Folder, "hash".into(), &files, None)
}

/// All modules granted.
pub fn plugin(hooks: &str, main: &str) -> Plugin {
    load("pve guests kv log time", hooks, main).unwrap()
}

type Answer = dyn Fn(&Call) -> Result<Value, CallError> + Send + Sync;

/// Answers with a closure and remembers what it was asked.
pub struct Fake {
    answer: Box<Answer>,
    pub calls: Mutex<Vec<(Run, Call)>>,
}

impl Fake {
    pub fn new(answer: impl Fn(&Call) -> Result<Value, CallError> + Send + Sync + 'static) -> Arc<Self> {
        Arc::new(Self { answer: Box::new(answer), calls: Mutex::default() })
    }

    pub fn calls(&self) -> Vec<Call> {
        self.calls.lock().unwrap().iter().map(|(_, c)| c.clone()).collect()
    }
}

impl Host for Fake {
    fn call(&self, run: &Run, call: Call) -> Result<Value, CallError> {
        self.calls.lock().unwrap().push((run.clone(), call.clone()));
        (self.answer)(&call)
    }
}

/// A host that answers null to everything.
pub fn quiet() -> Arc<dyn Host> {
    Fake::new(|_| Ok(Value::Null))
}

/// Calls a hook of a plugin with a quiet host.
pub fn call(plugin: &Plugin, hook: &str, args: Vec<Value>) -> Result<Value, ScriptError> {
    plugin.call(&quiet(), hook, args, Run::default())
}
