//! The host modules: what a script can ask of the appliance. Each function only builds a `Call` and
//! turns an error into a thrown map. One list per module serves registration and documentation.

/// Registers a function that depends on the world: never folded away or remembered by the optimizer.
/// (A macro, because the bound that a function would need is private to Rhai.)
macro_rules! set {
    ($module:expr, $name:literal, $function:expr $(,)?) => {{
        rhai::FuncRegistration::new($name)
            .in_internal_namespace()
            .with_purity(true)
            .with_volatility(true)
            .set_into_module($module, $function);
    }};
}

mod agent;
mod guests;
mod kv;
mod log;
mod pve;
mod ssh;
mod time;

use super::convert::{from_json, to_json};
use super::error::{throw, throw_value, thrown};
use super::host::Call;
use super::run::{self, Answer};
use super::secret::{SecretPlaces, take_out};
use rhai::{Dynamic, Module, NativeCallContext, Shared};
use serde_json::Value;

/// A module that a manifest can be granted.
#[derive(Debug)]
pub struct HostModule {
    pub name: &'static str,
    pub about: &'static str,
    pub functions: &'static [HostFunction],
}

/// One function of a module.
#[derive(Debug)]
pub struct HostFunction {
    /// `get(path, params) -> value`, without the module's name.
    pub signature: &'static str,
    /// One sentence.
    pub about: &'static str,
    pub example: &'static str,
    register: fn(&mut Module),
}

/// All modules there are.
pub static MODULES: &[HostModule] =
    &[pve::MODULE, ssh::MODULE, agent::MODULE, guests::MODULE, kv::MODULE, log::MODULE, time::MODULE];

impl HostModule {
    pub(super) fn build(&self) -> Shared<Module> {
        let mut module = Module::new();
        for function in self.functions {
            (function.register)(&mut module);
        }
        module.into()
    }
}

/// Asks the host; a refusal is thrown as a map.
fn ask(ctx: &NativeCallContext<'_>, call: Call) -> Answer<Dynamic> {
    match run::current()?.call(call, ctx.call_position())? {
        Ok(value) => Ok(from_json(value)),
        Err(error) => Err(throw_value(thrown(error), ctx.call_position())),
    }
}

/// A parameter that is data with secrets in it.
fn data_with_secrets(ctx: &NativeCallContext<'_>, value: Dynamic) -> Answer<(Value, SecretPlaces)> {
    let mut secrets = SecretPlaces::new();
    let value = take_out(value, &mut secrets);
    Ok((data(ctx, &value)?, secrets))
}

/// A parameter that must be data.
fn data(ctx: &NativeCallContext<'_>, value: &Dynamic) -> Answer<Value> {
    to_json(value).map_err(|e| throw("invalid", &format!("a parameter of {}: {e}", ctx.fn_name()), ctx.call_position()))
}
