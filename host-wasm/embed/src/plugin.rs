//! The compiled component.

use std::path::Path;
use std::thread;
use std::time::Duration;

use wasmtime::component::{Component, HasSelf, Linker};
use wasmtime::{Config, Engine, OptLevel, ProfilingStrategy};

use crate::bindings;
use crate::clock::{Clock, SystemClock};
use crate::compiled;
use crate::error::{CompileError, OpenError};
use crate::host::Host;
use crate::queue::{Queue, QueueConfig};
use crate::storage::Storage;

/// How often a computing instance is asked whether it has computed for too long.
const TICK: Duration = Duration::from_millis(5);

/// How the component is compiled.
#[derive(Clone, Debug)]
pub struct Options {
    /// False compiles faster, to slower code.
    pub optimize: bool,
    /// False leaves out the checks on which [`Limits::call_time`](crate::Limits::call_time)
    /// and `open_time` depend: calls are faster and nothing ends them.
    pub time_limits: bool,
    /// True names the compiled functions in `/tmp/perf-PID.map`, where `perf` of Linux looks for them.
    pub perf_map: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            optimize: true,
            time_limits: true,
            perf_map: false,
        }
    }
}

/// The component, compiled once for any number of queues. A clone is the same.
#[derive(Clone)]
pub struct Plugin {
    pub(crate) engine: Engine,
    pub(crate) component: bindings::PluginPre<Host>,
}

impl std::fmt::Debug for Plugin {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Plugin").finish_non_exhaustive()
    }
}

impl Plugin {
    /// Compiles the component. Takes seconds.
    ///
    /// # Errors
    /// If the bytes are not Burrow's component.
    pub fn compile(wasm: &[u8], options: &Options) -> Result<Self, CompileError> {
        let engine = engine(options)?;
        let component = Component::new(&engine, wasm).map_err(unusable)?;
        Self::new(engine, &component)
    }

    /// As [`compile`](Self::compile), but keeps the compiled code in the folder and takes it from
    /// there the next time. **The code in the folder is run without a check:** nobody else
    /// may be able to write there.
    ///
    /// # Errors
    /// If the bytes are not Burrow's component, or the folder cannot be written.
    pub fn compile_cached(
        wasm: &[u8],
        options: &Options,
        folder: &Path,
    ) -> Result<Self, CompileError> {
        let engine = engine(options)?;
        let component = compiled::component(&engine, wasm, folder)?;
        Self::new(engine, &component)
    }

    /// A queue on the machine's clock, or a manual one, with what is stored.
    ///
    /// # Errors
    /// If what is stored cannot be read or is damaged.
    pub fn instantiate(
        &self,
        storage: impl Storage + 'static,
        config: QueueConfig,
    ) -> Result<Queue, OpenError> {
        self.instantiate_with_clock(storage, SystemClock::default(), config)
    }

    /// A queue on the given clock.
    ///
    /// # Errors
    /// If what is stored cannot be read or is damaged.
    pub fn instantiate_with_clock(
        &self,
        storage: impl Storage + 'static,
        clock: impl Clock + 'static,
        config: QueueConfig,
    ) -> Result<Queue, OpenError> {
        Queue::open(self.clone(), Box::new(storage), Box::new(clock), config)
    }

    fn new(engine: Engine, component: &Component) -> Result<Self, CompileError> {
        let mut linker = Linker::new(&engine);
        bindings::Plugin::add_to_linker::<_, HasSelf<_>>(&mut linker, |host: &mut Host| host)
            .map_err(unusable)?;
        let component = linker.instantiate_pre(component).map_err(unusable)?;
        let component = bindings::PluginPre::new(component).map_err(unusable)?;
        tick(&engine)?;
        Ok(Self { engine, component })
    }
}

fn engine(options: &Options) -> Result<Engine, CompileError> {
    let mut config = Config::new();
    config.epoch_interruption(options.time_limits);
    config.cranelift_opt_level(if options.optimize {
        OptLevel::Speed
    } else {
        OptLevel::None
    });
    if options.perf_map {
        config.profiler(ProfilingStrategy::PerfMap);
    }
    Engine::new(&config).map_err(|error| CompileError::Engine(format!("{error:#}")))
}

/// Lets the engine's time go on for as long as the engine is used.
fn tick(engine: &Engine) -> Result<(), CompileError> {
    let engine = engine.weak();
    let ticker = thread::Builder::new().name("burrow-ticks".into());
    let spawned = ticker.spawn(move || {
        while let Some(engine) = engine.upgrade() {
            engine.increment_epoch();
            drop(engine);
            thread::sleep(TICK);
        }
    });
    spawned
        .map(drop)
        .map_err(|error| CompileError::Engine(error.to_string()))
}

pub(crate) fn unusable(error: wasmtime::Error) -> CompileError {
    CompileError::Component(format!("{error:#}"))
}
