//! The reference of what scripts can use, made from what is registered. `docs/PLUGINS.md` contains it.

use super::{api, check, core, job};
use std::fmt::Write;

/// Markdown: core functions, host modules, the `job` object.
pub fn markdown() -> String {
    let mut out =
        String::from("### In every hook\n\nRhai's own functions for numbers, text, arrays and maps, and:\n\n");
    for (signature, about, example) in core::DOCS {
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
