//! `log::`: lines for people.

use super::{HostFunction, HostModule};
use crate::run::{self, Answer};
use model::jobs::LogLevel;

pub(super) const MODULE: HostModule = HostModule {
    name: "log",
    about: "Lines for people: in a job they go to the job's log, otherwise to the service's. `print` does the same as \
            `log::info`. At most 200 lines in one run.",
    functions: &[
        HostFunction {
            signature: "info(text)",
            about: "Writes a line.",
            example: r#"log::info("two nodes answered");"#,
            register: |m| set!(m, "info", |text: &str| line(LogLevel::Info, text)),
        },
        HostFunction {
            signature: "warn(text)",
            about: "Writes a line that stands out.",
            example: r#"log::warn("node pve3 did not answer");"#,
            register: |m| set!(m, "warn", |text: &str| line(LogLevel::Warn, text)),
        },
    ],
};

fn line(level: LogLevel, text: &str) -> Answer<()> {
    run::current()?.log(level, text);
    Ok(())
}
