//! Calling hooks.

use super::convert::{from_json, to_json};
use super::error::Failed;
use super::host::{Host, Run};
use super::job::{self, JobHandle, JobRun};
use super::journal::{Failure, Journal, Mode, Outcome};
use super::run::{Answer, RunState, Stop};
use super::script::{NoHost, Plugin};
use super::secret::put_in;
use super::stack;
use model::plugins::{HookMode, ScriptError};
use rhai::{CallFnOptions, Dynamic, Position, Scope};
use serde::de::DeserializeOwned;
use serde_json::Value;
use std::sync::Arc;

impl Plugin {
    /// Runs a pure or effect hook. Blocks: at most `limits::WALL_TIME`.
    ///
    /// # Errors
    /// No such hook, the wrong number of arguments, an error in the script (with line and column), a limit.
    pub fn call(&self, host: &Arc<dyn Host>, hook: &str, args: Vec<Value>, run: Run) -> Result<Value, ScriptError> {
        let declared =
            self.manifest().hooks.get(hook).ok_or_else(|| self.broken(&format!("there is no hook \"{hook}\"")))?;
        if declared.mode == HookMode::Job {
            return Err(self.broken(&format!("hook \"{hook}\" is a job: it is run by the queue")));
        }
        if declared.params != args.len() {
            let message = format!("hook \"{hook}\" takes {} arguments, not {}", declared.params, args.len());
            return Err(self.broken(&message));
        }
        let (mode, run) = (declared.mode, self.named(run, hook));
        stack::on_large(|| {
            let args = put_in(from_json(Value::Array(args)), &run.secrets);
            let state = RunState::new(run, host.clone(), None);
            let result = state.enter(|| self.function(mode, hook, args.into_array().unwrap_or_default()));
            self.result(&state, hook, result)
        })
        .unwrap_or_else(|e| Err(self.broken(&e)))
    }

    /// The same with a typed result.
    ///
    /// # Errors
    /// As `call`; also a result of the wrong shape, with the field's path and what was expected.
    pub fn call_as<T: DeserializeOwned>(
        &self,
        host: &Arc<dyn Host>,
        hook: &str,
        args: Vec<Value>,
        run: Run,
    ) -> Result<T, ScriptError> {
        let value = self.call(host, hook, args, run)?;
        serde_path_to_error::deserialize(value).map_err(|e| {
            let path = e.path().to_string();
            let place = if path == "." { "the result".to_owned() } else { path };
            self.broken(&format!("hook \"{hook}\", {place}: {}", e.inner()))
        })
    }

    /// Runs a pure hook, which needs no host.
    ///
    /// # Errors
    /// As `call`; and a hook that is not pure.
    pub fn call_pure(&self, hook: &str, args: Vec<Value>) -> Result<Value, ScriptError> {
        if self.manifest().hooks.get(hook).is_some_and(|h| h.mode != HookMode::Pure) {
            return Err(self.broken(&format!("hook \"{hook}\" is not pure")));
        }
        let host: Arc<dyn Host> = Arc::new(NoHost::default());
        self.call(&host, hook, args, Run::default())
    }

    /// Runs a job hook until it ends or waits. Blocks: at most `limits::WALL_TIME`.
    pub fn run_job(
        &self,
        host: &Arc<dyn Host>,
        journal: Arc<dyn Journal>,
        hook: &str,
        args: Value,
        run: Run,
        mode: Mode,
    ) -> Outcome {
        let no_retry =
            |error: ScriptError| Outcome::Failed(Failure { error, retry: false, mismatch: false, unreachable: false });
        if self.manifest().hooks.get(hook).is_none_or(|h| h.mode != HookMode::Job) {
            return no_retry(self.broken(&format!("there is no job hook \"{hook}\"")));
        }
        let run = self.named(run, hook);
        stack::on_large(|| match JobRun::new(journal, mode) {
            Ok(job) => {
                let args = vec![Dynamic::from(JobHandle), put_in(from_json(args), &run.secrets)];
                let state = RunState::new(run, host.clone(), Some(job));
                job::run(self, &state, || self.function(HookMode::Job, hook, args))
            }
            Err(e) => Outcome::Failed(Failure {
                error: self.broken(e.message()),
                retry: true,
                mismatch: false,
                unreachable: false,
            }),
        })
        .unwrap_or_else(|e| no_retry(self.broken(&e)))
    }

    fn named(&self, run: Run, hook: &str) -> Run {
        Run { plugin: self.name().to_owned(), hook: hook.to_owned(), ..run }
    }

    pub(super) fn function(&self, mode: HookMode, name: &str, args: Vec<Dynamic>) -> Answer<Dynamic> {
        let engine = self.engine(mode);
        engine.call_fn_with_options(CallFnOptions::new(), &mut Scope::new(), self.ast(), name, args)
    }

    /// How a run ended. A stop wins, whatever the script made of it (`sort` swallows errors).
    pub(super) fn result(&self, state: &RunState, hook: &str, result: Answer<Dynamic>) -> Result<Value, ScriptError> {
        state.look_again();
        let failed = match (state.take_stop(), result) {
            (Some(Stop::Failed(failed)), Err(error)) => failed.or_at(&error),
            (Some(Stop::Failed(failed)), Ok(_)) => failed,
            (Some(_), _) => Failed::misuse("the script was stopped", Position::NONE),
            (None, Err(error)) => Failed::from_script(&error),
            (None, Ok(value)) => {
                return to_json(&value).map_err(|e| self.broken(&format!("hook \"{hook}\", the result: {e}")));
            }
        };
        Err(self.place(&failed))
    }
}
