//! The reference of what scripts can use, made from what is registered. `docs/PLUGINS.md` contains it.

use super::{api, check, core, job, limits, secret};
use std::fmt::Write;

/// Markdown: core functions, host modules, the `job` object.
pub fn markdown() -> String {
    let mut out =
        String::from("### In every hook\n\nRhai's own functions for numbers, text, arrays and maps, and:\n\n");
    for (signature, about, example) in core::DOCS.iter().chain(secret::DOCS) {
        entry(&mut out, signature, about, example);
    }
    for module in api::MODULES {
        section(&mut out, &format!("`{}`", module.name), module.about);
        for f in module.functions {
            entry(&mut out, &format!("{}::{}", module.name, f.signature), f.about, f.example);
        }
    }
    section(&mut out, "`job`", "The first parameter of a job hook; it must be called `job`.");
    for m in job::METHODS {
        entry(&mut out, &format!("job.{}", m.signature), m.about, m.example);
    }
    rules(&mut out);
    section(
        &mut out,
        "In `tests.rhai`",
        "`steward plugin check DIR` runs the functions named `test_*` that have no parameters.",
    );
    for (signature, about, example) in check::DOCS {
        entry(&mut out, signature, about, example);
    }
    out
}

/// What a script's author has to know and the signatures don't say.
fn rules(out: &mut String) {
    let about = format!(
        "A run may use {} operations (about a third as many turns of a small loop), {} s of its own time, {} s with all its \
         calls, {} calls to the host and {} log lines; one value may hold {} KiB of text, {} array items and {} map \
         entries. Nothing catches the end of a run.\n\n\
         - Make long lists with `map` and `filter`: `push` measures the whole list each time.\n\
         - In a job the host is asked only inside of `job.step`, `job.repeatable`, `job.wait_until` and `job.undo`; a job \
         that continues runs from its top again and must take the same path.\n\
         - A step that threw is done again by the next try. If the script caught the error and went on, the error is \
         kept as the step's outcome.\n\
         - After an error that may hide an effect (`unreachable`, `timeout`, `internal`) a step counts as begun: `settle` or \
         `job.repeatable` decide. Without them the job stops.\n\
         - In an undo, calls that change something are kept by method and path until it is done: when it runs again after \
         `job.wait_task`, they are not made twice.",
        limits::OPERATIONS,
        limits::SCRIPT_TIME.as_secs(),
        limits::WALL_TIME.as_secs(),
        limits::HOST_CALLS,
        limits::LOG_LINES,
        limits::STRING_BYTES >> 10,
        limits::ARRAY_ITEMS,
        limits::MAP_ENTRIES,
    );
    section(out, "Limits and rules", &about);
}

fn section(out: &mut String, title: &str, about: &str) {
    // Writing to a String can't fail.
    let _ = write!(out, "### {title}\n\n{about}\n\n");
}

fn entry(out: &mut String, signature: &str, about: &str, example: &str) {
    let _ = write!(out, "- `{signature}`: {about}\n  ```rhai\n  {example}\n  ```\n");
}

#[cfg(test)]
mod tests {
    #[test]
    fn every_module_and_method_is_described_in_a_sentence() {
        let text = super::markdown();
        for part in ["`pve::get(path) -> value`", "`kv::put(key, value)`", "`job.step(name, effect, settle) -> value`"]
        {
            assert!(text.contains(part), "{part} is missing");
        }
        let functions = super::api::MODULES.iter().flat_map(|m| m.functions);
        for f in functions {
            assert!(f.about.ends_with('.') && !f.example.is_empty(), "{}", f.signature);
        }
    }
}
