//! The `job` object of durable hooks: steps, waits, undo. A run replays finished steps from the
//! journal and continues with the first unfinished one; `state` holds the rules that keep that sound.

mod methods;
mod replay;
mod run;
mod state;
mod steps;
mod undo;
mod waits;

pub(super) use methods::METHODS;
pub(super) use run::run;
pub(super) use state::JobRun;

use rhai::{Dynamic, Engine};

/// What a script holds as `job`. Empty: everything is in the run.
#[derive(Clone, Debug)]
pub(super) struct JobHandle;

/// Adds the type and its methods to an engine.
pub(super) fn register(engine: &mut Engine) {
    engine.register_type_with_name::<JobHandle>("Job");
    for method in METHODS {
        (method.register)(engine);
    }
    // A closure that uses `job` captures it, which makes it a shared value, and a method call on a shared
    // value locks it: `job.step("x", || job.log("y"))` would be a data race. So the name never reads the variable.
    #[expect(deprecated, reason = "marked volatile, not deprecated; the version is pinned by Cargo.lock")]
    engine.on_var(|name, _, _| Ok((name == "job").then(|| Dynamic::from(JobHandle))));
}
