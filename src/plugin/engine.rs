//! The engines: built from `Engine::new_raw` (no files, no `sleep`, no clock) with every limit set.

use super::{api, core, job, limits, run};
use rhai::packages::{
    ArithmeticPackage, BasicArrayPackage, BasicFnPackage, BasicIteratorPackage, BasicMapPackage, BasicMathPackage,
    BasicStringPackage, BitFieldPackage, LogicPackage, MoreStringPackage, Package,
};
use rhai::{Engine, Module, OptimizationLevel, Shared};
use std::sync::LazyLock;

/// Rhai's packages without `LanguageCore` (`sleep`, `exit`), `BasicTime` and blobs; shared by all engines.
static PACKAGES: LazyLock<Vec<Shared<Module>>> = LazyLock::new(|| {
    vec![
        ArithmeticPackage::new().as_shared_module(),
        LogicPackage::new().as_shared_module(),
        BasicStringPackage::new().as_shared_module(),
        MoreStringPackage::new().as_shared_module(),
        BasicIteratorPackage::new().as_shared_module(),
        BasicArrayPackage::new().as_shared_module(),
        BasicMapPackage::new().as_shared_module(),
        BasicMathPackage::new().as_shared_module(),
        BasicFnPackage::new().as_shared_module(),
        BitFieldPackage::new().as_shared_module(),
    ]
});

/// The engine of pure hooks: no host module exists in it. One for the whole process.
pub(super) static PURE: LazyLock<Engine> = LazyLock::new(base);

/// The engine of effect hooks with the granted modules. It also compiles: what is not granted is an
/// error with its line there, because `strict_variables` makes Rhai look modules up while parsing.
pub(super) fn effect(grants: &[String]) -> Engine {
    let mut engine = base();
    for module in api::MODULES.iter().filter(|m| grants.iter().any(|g| g == m.name)) {
        engine.register_static_module(module.name, module.build());
    }
    engine
}

/// The engine of job hooks: the granted modules and the `job` object.
pub(super) fn durable(grants: &[String]) -> Engine {
    let mut engine = effect(grants);
    job::register(&mut engine);
    engine
}

fn base() -> Engine {
    let mut engine = Engine::new_raw();
    for package in PACKAGES.iter() {
        engine.register_global_module(package.clone());
    }
    engine.set_max_strings_interned(256);
    engine.set_optimization_level(OptimizationLevel::Simple);
    engine.set_strict_variables(true);
    for word in ["eval", "import", "export", "curry"] {
        engine.disable_symbol(word);
    }
    set_limits(&mut engine);
    engine.on_progress(|_| run::tick());
    engine.on_print(run::print);
    engine.on_debug(|text, _, _| run::print(text));
    core::register(&mut engine);
    engine
}

fn set_limits(engine: &mut Engine) {
    // `max_operations` counts anew in every callback, so the true budget is in `run::tick`; it ends first.
    engine.set_max_operations(limits::OPERATIONS + 1);
    engine.set_max_call_levels(limits::CALL_DEPTH);
    engine.set_max_expr_depths(limits::EXPRESSION_DEPTH, limits::EXPRESSION_DEPTH);
    engine.set_max_string_size(limits::STRING_BYTES);
    engine.set_max_array_size(limits::ARRAY_ITEMS);
    engine.set_max_map_size(limits::MAP_ENTRIES);
    engine.set_max_variables(limits::VARIABLES);
    engine.set_max_functions(limits::FUNCTIONS);
    engine.set_max_modules(0);
}
