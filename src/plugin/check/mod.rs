//! `steward plugin check DIR`: a plugin's own tests, without network.
//!
//! `tests.rhai` is compiled together with the script, so a test calls the plugin's functions directly.
//! Functions named `test_*` without parameters are the tests; each has a fresh mock host.

mod glob;
mod journal;
mod mock;
mod words;

#[cfg(test)]
pub(super) use journal::MemoryJournal;
pub(super) use words::DOCS;

use super::host::{Host, Run};
use super::run::RunState;
use super::script::{Plugin, Tests};
use super::source::{self, Files};
use super::stack;
use mock::Mock;
use model::plugins::{HookMode, Origin, ScriptError};
use std::fmt;
use std::path::Path;
use std::sync::Arc;

/// How a plugin did.
#[derive(Clone, Debug, Default)]
pub struct CheckReport {
    pub passed: usize,
    pub failed: usize,
    /// First whether it loads, then each test in the order of the file.
    pub rows: Vec<CheckRow>,
}

/// One test.
#[derive(Clone, Debug)]
pub struct CheckRow {
    pub name: String,
    /// What went wrong, and where; `None` when it passed.
    pub error: Option<ScriptError>,
}

impl CheckReport {
    pub fn is_ok(&self) -> bool {
        self.failed == 0
    }

    fn add(&mut self, name: &str, result: Result<(), ScriptError>) {
        match result {
            Ok(()) => self.passed += 1,
            Err(_) => self.failed += 1,
        }
        self.rows.push(CheckRow { name: name.to_owned(), error: result.err() });
    }
}

impl fmt::Display for CheckReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for row in &self.rows {
            match &row.error {
                None => writeln!(f, "ok      {}", row.name)?,
                Some(error) => writeln!(f, "FAILED  {}\n        {error}", row.name)?,
            }
        }
        write!(f, "{} passed, {} failed", self.passed, self.failed)
    }
}

/// Loads the plugin in `dir` and runs its tests. Blocks; each test has the limits of a hook.
pub fn run(built_in: base::files::Files, dir: &Path) -> CheckReport {
    let mut report = CheckReport::default();
    let whole = dir.canonicalize().unwrap_or_else(|_| dir.to_owned());
    let name = whole.file_name().map(|n| n.to_string_lossy().into_owned()).unwrap_or_default();
    // A library is looked for beside the plugin, then among those that are built in.
    let library = |used: &str| {
        let beside = whole.parent().map(|p| p.join(used)).filter(|p| p.is_dir());
        let beside = beside.and_then(|p| source::read(used, &p).ok());
        beside.or_else(|| source::built_in(built_in).into_iter().find(|s| s.name == used).and_then(|s| s.files.ok()))
    };
    let loaded = source::read(&name, &whole).and_then(|files| {
        let files = source::with_libraries(&name, files, library)?;
        Plugin::load(&name, Origin::Folder, source::hash(&files), &files, None)?;
        Ok(files)
    });
    match loaded {
        Ok(files) => {
            report.add("it loads", Ok(()));
            if let Some(tests) = files.get("tests.rhai") {
                run_tests(&name, &files, tests, &mut report);
            }
        }
        Err(error) => report.add("it loads", Err(error)),
    }
    report
}

fn run_tests(name: &str, files: &Files, tests: &str, report: &mut CheckReport) {
    let mock = Arc::new(Mock::default());
    let extend = |engine: &mut rhai::Engine| words::register(engine, &mock);
    let tests_too = Some(Tests { text: tests, extend: &extend });
    let plugin = match Plugin::load(name, Origin::Folder, source::hash(files), files, tests_too) {
        Ok(plugin) => Arc::new(plugin),
        Err(error) => return report.add("tests.rhai loads", Err(error)),
    };
    mock.set_plugin(&plugin);
    for test in names(&plugin, tests) {
        mock.reset();
        report.add(&test, run_one(&plugin, &mock, &test));
    }
}

fn run_one(plugin: &Plugin, mock: &Arc<Mock>, test: &str) -> Result<(), ScriptError> {
    let host: Arc<dyn Host> = mock.clone();
    let run = Run { plugin: plugin.name().to_owned(), hook: test.to_owned(), ..Run::default() };
    stack::on_large(|| {
        let state = RunState::new(run, host, None);
        let result = state.enter(|| plugin.function(HookMode::Effect, test, Vec::new()).map(|_| rhai::Dynamic::UNIT));
        plugin.result(&state, test, result).map(drop)
    })
    .unwrap_or_else(|e| Err(plugin.broken(&e)))
}

/// The tests in the order of the file.
fn names(plugin: &Plugin, tests: &str) -> Vec<String> {
    let mut found: Vec<(usize, String)> = plugin
        .functions()
        .into_iter()
        .filter(|f| f.name.starts_with("test_") && f.params.is_empty())
        .filter_map(|f| tests.find(&format!("fn {}(", f.name)).map(|at| (at, f.name)))
        .collect();
    found.sort();
    found.into_iter().map(|(_, name)| name).collect()
}
