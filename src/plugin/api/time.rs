//! `time::`: the clock.

use super::{HostFunction, HostModule, ask};
use crate::host::Call;
use rhai::NativeCallContext;

pub(super) const MODULE: HostModule = HostModule {
    name: "time",
    about: "The clock.",
    functions: &[HostFunction {
        signature: "now() -> seconds",
        about: "Seconds since 1970. In a job the answer is kept in the journal, so it is the same when the job goes on.",
        example: "let began = time::now();",
        register: |m| set!(m, "now", |ctx: NativeCallContext<'_>| ask(&ctx, Call::Now)),
    }],
};
