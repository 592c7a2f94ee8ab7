//! Compiling a module and running it to its end.

use wasmtime::{Config, Engine, Instance, InstancePre, Linker, Module, Store, Trap};

use sunwork_runner_wire::{Computed, Ended, Limits, MAX_COMPUTED_JSON_BYTES};

use crate::limiter::{HostFailed, OutOfMemory};
use crate::meter::{self, STACK_BYTES};
use crate::state::State;
use crate::vfs::Node;
use crate::wasi::{self, Exit};

/// Longest sentence about what an app did wrong.
const MAX_REASON_CHARS: usize = 300;

/// An engine in which the same module does the same on every machine.
///
/// # Errors
/// When this machine cannot have one.
fn engine() -> wasmtime::Result<Engine> {
    let mut config = Config::new();
    config
        .consume_fuel(true)
        .cranelift_nan_canonicalization(true)
        .wasm_relaxed_simd(false)
        .wasm_memory64(false)
        .wasm_multi_memory(false)
        .wasm_tail_call(false)
        .wasm_wide_arithmetic(false)
        .wasm_custom_page_sizes(false)
        .wasm_backtrace_max_frames(None)
        // It would need a file in memory, which the cage does not give.
        .memory_init_cow(false)
        .async_stack_size(STACK_BYTES)
        .max_wasm_stack(STACK_BYTES);
    Engine::new(&config)
}

/// A module that can be run.
pub struct App {
    engine: Engine,
    ready: InstancePre<State>,
}

impl App {
    /// Validates and compiles.
    ///
    /// # Errors
    /// What ends the run before it begins.
    pub fn compile(module: &[u8]) -> Result<Self, Ended> {
        let unusable = |reason: String| Ended::Unusable { reason: short(&reason) };
        let limited = meter::limit_stack(module).map_err(unusable)?;
        let failed = |error: wasmtime::Error| Ended::Failed { reason: short(&format!("{error:#}")) };
        let engine = engine().map_err(failed)?;
        let module = Module::new(&engine, &limited).map_err(|error| unusable(format!("{error:#}")))?;
        let has = |name: &str| module.get_export(name);
        if has("memory").and_then(|m| m.memory().cloned()).is_none() {
            return Err(unusable("it exports no memory named \"memory\", as apps for WASI do".into()));
        }
        let starts = has("_start").and_then(|f| f.func().map(|f| (f.params().len(), f.results().len())));
        if starts != Some((0, 0)) {
            return Err(unusable(
                "it exports no function \"_start\" without parameters and results: it is no command".into(),
            ));
        }
        let mut linker = Linker::new(&engine);
        wasi::add(&mut linker).map_err(failed)?;
        let ready = linker.instantiate_pre(&module).map_err(|error| unusable(format!("{error:#}")))?;
        Ok(Self { engine, ready })
    }

    /// Runs it. Gives the end, what it used, and the state that holds the output.
    pub fn run(&self, state: State, limits: &Limits) -> (Ended, u64, State) {
        let mut store = Store::new(&self.engine, state);
        store.limiter(|state| &mut state.limiter);
        let ended = match store.set_fuel(limits.fuel).and_then(|()| self.go(&mut store)) {
            Ok(()) => Ended::Exited { status: 0 },
            Err(error) => ended(&error),
        };
        let left = store.get_fuel().unwrap_or(0);
        let used = if ended == Ended::OutOfFuel { limits.fuel } else { limits.fuel.saturating_sub(left) };
        (ended, used, store.into_data())
    }

    fn go(&self, store: &mut Store<State>) -> wasmtime::Result<()> {
        let instance: Instance = self.ready.instantiate(&mut *store)?;
        instance.get_typed_func::<(), ()>(&mut *store, "_start")?.call(store, ())
    }
}

fn ended(error: &wasmtime::Error) -> Ended {
    if let Some(Exit(status)) = error.downcast_ref() {
        return Ended::Exited { status: *status };
    }
    if let Some(HostFailed(reason)) = error.downcast_ref() {
        return Ended::Failed { reason: short(reason) };
    }
    if error.is::<OutOfMemory>() {
        return Ended::OutOfMemory;
    }
    match error.downcast_ref::<Trap>() {
        Some(Trap::OutOfFuel) => Ended::OutOfFuel,
        Some(trap) => Ended::Trapped { reason: short(&trap.to_string()) },
        // A data segment that does not fit, for one.
        None => Ended::Trapped { reason: short(&format!("{error:#}")) },
    }
}

fn short(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(MAX_REASON_CHARS).collect()
}

/// What the app wrote to `computed.json`.
pub fn computed(state: &State) -> Computed {
    match state.vfs.outputs.get("computed.json") {
        None => Computed::Missing,
        Some(Node::File(content)) if content.size() <= MAX_COMPUTED_JSON_BYTES => {
            let mut bytes = vec![0; content.size() as usize];
            content.read(0, &mut bytes);
            Computed::Bytes(bytes)
        }
        Some(Node::File(content)) => Computed::Odd(format!("computed.json has {} bytes", content.size())),
        Some(_) => Computed::Odd("computed.json is a folder".into()),
    }
}
