//! One version of a plugin: compiled, checked, and kept with its engines.

use super::error::{Failed, from_parse};
use super::host::{Call, CallError, CallErrorKind, Host, Run};
use super::job::METHODS;
use super::manifest::{self, Function};
use super::run::RunState;
use super::source::Files;
use super::text::{MAIN, TESTS, Text};
use super::{engine, stack};
use model::plugins::{HookMode, Manifest, Origin, ScriptError};
use rhai::{AST, Dynamic, Engine, Position, Scope};
use serde_json::Value;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// One version of a plugin, ready to run. Cheap to share; never changes.
pub struct Plugin {
    manifest: Manifest,
    hash: String,
    origin: Origin,
    ast: AST,
    effect: Engine,
    durable: Engine,
    /// All its files; with `tests.rhai` only in `plugin check`.
    text: Text,
}

impl std::fmt::Debug for Plugin {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Plugin").field("name", &self.manifest.name).field("hash", &self.hash).finish_non_exhaustive()
    }
}

/// What is added to a plugin for `plugin check`.
pub(super) struct Tests<'a> {
    pub text: &'a str,
    pub extend: &'a dyn Fn(&mut Engine),
}

impl Plugin {
    /// Compiles and checks the files of the plugin `name`.
    pub(super) fn load(
        name: &str,
        origin: Origin,
        hash: String,
        files: &Files,
        tests: Option<Tests<'_>>,
    ) -> Result<Self, ScriptError> {
        let file = |file: &str| {
            let missing = || Failed::misuse("the file is missing", Position::NONE).at(&format!("{name}/{file}"));
            files.get(file).ok_or_else(missing)
        };
        let toml = file("plugin.toml")?;
        file(MAIN)?;
        let mut manifest = manifest::parse(name, toml)?;
        if let Some(text) = files.get(manifest::SETTINGS) {
            manifest::add_settings(&mut manifest, text)?;
        }
        let (mut effect, mut durable) = (engine::effect(&manifest.grants), engine::durable(&manifest.grants));
        let mut text = Text::of(files);
        if let Some(tests) = tests {
            (tests.extend)(&mut effect);
            (tests.extend)(&mut durable);
            text.add(TESTS, tests.text);
        }
        let mut plugin = Self { manifest, hash, origin, ast: AST::empty(), effect, durable, text };
        plugin.ast = plugin.compile()?;
        let functions = plugin.functions();
        plugin.check_names(&functions)?;
        manifest::check_hooks(&plugin.manifest, toml, &functions)?;
        plugin.check_top_level()?;
        Ok(plugin)
    }

    pub fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    pub fn name(&self) -> &str {
        &self.manifest.name
    }

    /// SHA-256 over all files, hex.
    pub fn hash(&self) -> &str {
        &self.hash
    }

    pub fn origin(&self) -> Origin {
        self.origin
    }

    pub(super) fn ast(&self) -> &AST {
        &self.ast
    }

    pub(super) fn durable(&self) -> &Engine {
        &self.durable
    }

    pub(super) fn engine(&self, mode: HookMode) -> &Engine {
        match mode {
            HookMode::Pure => &engine::PURE,
            HookMode::Effect => &self.effect,
            HookMode::Job => &self.durable,
        }
    }

    pub(super) fn functions(&self) -> Vec<Function> {
        let own = |f: rhai::ScriptFnMetadata<'_>| Function {
            name: f.name.to_owned(),
            params: f.params.iter().map(|p| (*p).to_owned()).collect(),
        };
        self.ast.iter_functions().map(own).collect()
    }

    /// A failure with the file it happened in.
    pub(super) fn place(&self, failed: &Failed) -> ScriptError {
        self.text.place(failed.at(MAIN), &self.manifest.name)
    }

    fn compile(&self) -> Result<AST, ScriptError> {
        let compiled = stack::on_large(|| self.effect.compile(self.text.whole())).map_err(|e| self.broken(&e))?;
        compiled.map_err(|e| self.text.place(from_parse(&e, MAIN), &self.manifest.name))
    }

    /// A function of the script with the name of a `job` method would be called instead of it.
    fn check_names(&self, functions: &[Function]) -> Result<(), ScriptError> {
        let is_method = |f: &&Function| METHODS.iter().any(|m| m.signature.starts_with(&format!("{}(", f.name)));
        let Some(taken) = functions.iter().find(is_method) else { return Ok(()) };
        let declared = format!("fn {}", taken.name);
        let line = self.text.whole().lines().position(|l| l.trim_start().starts_with(&declared)).map_or(0, |i| i + 1);
        let message = format!("a function can't be called \"{}\", because that is a method of `job`", taken.name);
        let error = Failed::misuse(message, Position::NONE).at(MAIN);
        let error = ScriptError { line, column: usize::from(line > 0), ..error };
        Err(self.text.place(error, &self.manifest.name))
    }

    /// Code outside functions (constants) runs before every hook, so it may not do anything. It gets no
    /// input, so what it does once it does always.
    fn check_top_level(&self) -> Result<(), ScriptError> {
        let asked = Arc::new(NoHost::default());
        let host: Arc<dyn Host> = asked.clone();
        let result = stack::on_large(|| {
            let run = RunState::new(Run { plugin: self.name().to_owned(), ..Run::default() }, host, None);
            let result = run.enter(|| self.effect.eval_ast_with_scope::<Dynamic>(&mut Scope::new(), &self.ast));
            match (run.take_stop(), result) {
                (Some(super::run::Stop::Failed(failed)), _) => Err(failed),
                (_, Err(error)) => Err(Failed::from_script(&error)),
                _ => Ok(()),
            }
        });
        let result = result.map_err(|e| self.broken(&e))?;
        result.map_err(|failed| self.place(&failed))?;
        if asked.0.load(Ordering::Relaxed) {
            return Err(self.broken("code outside of functions may not ask the host"));
        }
        Ok(())
    }

    /// An error without a place.
    pub(super) fn broken(&self, message: &str) -> ScriptError {
        self.place(&Failed::misuse(message, Position::NONE))
    }
}

/// Refuses everything and remembers that it was asked.
#[derive(Default)]
pub(super) struct NoHost(AtomicBool);

impl Host for NoHost {
    fn call(&self, _: &Run, _: Call) -> Result<Value, CallError> {
        self.0.store(true, Ordering::Relaxed);
        Err(CallError::new(CallErrorKind::Refused, 0, "code outside of functions may not ask the host"))
    }
}
