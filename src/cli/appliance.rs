//! Building the appliance and running it until it is told to stop.

use super::{logging, socket};
use app::App;
use base::{Error, Result, SystemClock};
use config::Settings;
use crypto::appliance;
use nix::sys::resource::{Resource, getrlimit};
use plugin::{limits, stack};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;
use store::Store;
use tokio::signal::unix::{SignalKind, signal};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

/// Threads besides those of the runtime that there must be room for, and bytes for all that is no stack.
const SPARE_THREADS: usize = 6;
const ELSE_BYTES: u64 = 1 << 30;

/// The appliance while it runs.
pub(super) struct Running {
    pub app: App,
    /// The addresses that answer, with the ports that the system chose.
    pub addresses: Vec<SocketAddr>,
    stop: CancellationToken,
    tasks: JoinSet<()>,
}

/// `steward serve`.
pub(super) fn serve(settings: Settings) -> Result<ExitCode> {
    logging::start(&settings.log)?;
    block_on(async move {
        let running = Running::start(settings).await?;
        running.announce();
        sd_notify::notify(&[sd_notify::NotifyState::Ready]).map_err(Error::internal)?;
        running.until_told_to_stop().await;
        Ok(ExitCode::SUCCESS)
    })
}

/// The runtime with TLS' one backend in place.
pub(super) fn block_on<T>(work: impl Future<Output = Result<T>>) -> Result<T> {
    enough_address_space()?;
    web::install_crypto();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        // Scripts recurse deeply; the memory is reserved, not used.
        .thread_stack_size(limits::STACK_BYTES)
        .on_thread_start(stack::mark_thread)
        // Scripts may hold a thread for seconds; sign-ins and jobs together stay below this.
        .max_blocking_threads(128)
        .build()
        .map_err(Error::internal)?;
    runtime.block_on(work)
}

/// Where a thread's stack does not fit, nothing says so: the program would wait for the thread for ever.
fn enough_address_space() -> Result<()> {
    let (limit, _) = getrlimit(Resource::RLIMIT_AS).map_err(Error::internal)?;
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let needed = ((cores + SPARE_THREADS) * limits::STACK_BYTES) as u64 + ELSE_BYTES;
    if limit >= needed {
        return Ok(());
    }
    Err(Error::invalid(format!(
        "The limit on address space ({} MiB) is too low: Steward needs {} MiB. Most of it is reserved and never used. \
         Lift the limit (`ulimit -v unlimited`, in a systemd unit LimitAS=infinity); to limit memory use MemoryMax=.",
        limit >> 20,
        needed >> 20
    )))
}

impl Running {
    /// Opens the store, binds the addresses and starts all workers.
    pub(super) async fn start(settings: Settings) -> Result<Self> {
        make_data_dir(&settings.data_dir)?;
        // A key is made only for a store that is not there yet: a lost key must not be replaced in silence.
        let may_create = !Store::exists(&settings.store_file());
        let credentials = std::env::var_os("CREDENTIALS_DIRECTORY").map(PathBuf::from);
        let key = appliance::load(credentials.as_deref(), &settings.key_file, may_create)?;
        let app = App::open(settings, key, Arc::new(SystemClock))?;
        let stop = CancellationToken::new();
        let server = web::Server::bind(&app, stop.clone()).await?;
        let addresses = server.addresses();
        let mut tasks = JoinSet::new();
        let console = socket::listen(&app.settings().socket)?;
        tasks.spawn(socket::serve(console, app.clone(), stop.clone()));
        tasks.spawn(jobs::run(app.clone(), stop.clone()));
        jobs::background::start(&app, &stop, &mut tasks);
        tasks.spawn(async move {
            if let Err(e) = server.serve().await {
                tracing::error!(error = e.chain(), "the web server ended");
            }
        });
        watch_plugins(&app);
        Ok(Self { app, addresses, stop, tasks })
    }

    fn announce(&self) {
        let address = self.addresses.first().map(ToString::to_string).unwrap_or_default();
        tracing::info!(address, version = env!("CARGO_PKG_VERSION"), "Steward is ready");
        if let Some(code) = self.app.setup().code() {
            // Readable only on the host; it makes the first admin and is void afterwards.
            tracing::info!("Nobody can sign in yet. Open https://{address} and enter the setup code {}", code.expose());
        }
    }

    /// Runs until SIGTERM or SIGINT, then stops in order.
    pub(super) async fn until_told_to_stop(self) {
        let (Ok(mut term), Ok(mut int)) = (signal(SignalKind::terminate()), signal(SignalKind::interrupt())) else {
            tracing::error!("signals can't be listened for");
            return self.stop().await;
        };
        let watchdog = sd_notify::watchdog_enabled();
        loop {
            // Half the time that systemd gives: one late beat is no reason to be killed.
            let beat = async {
                match watchdog {
                    Some(limit) => tokio::time::sleep(limit / 2).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                _ = term.recv() => break,
                _ = int.recv() => break,
                () = beat => self.beat(),
            }
        }
        self.stop().await;
    }

    /// Tells systemd that the service is alive, if the store still answers.
    fn beat(&self) {
        if self.app.health().is_alive()
            && let Err(e) = sd_notify::notify(&[sd_notify::NotifyState::Watchdog])
        {
            tracing::warn!(error = %e, "systemd could not be notified that the service is alive");
        }
    }

    /// Stops accepting, lets what runs finish for a while, and closes the store.
    pub(super) async fn stop(mut self) {
        let _ = sd_notify::notify(&[sd_notify::NotifyState::Stopping]);
        tracing::info!("stopping");
        self.stop.cancel();
        let all = async { while self.tasks.join_next().await.is_some() {} };
        if tokio::time::timeout(Duration::from_secs(20), all).await.is_err() {
            tracing::warn!("something did not stop in time; its jobs go on at the next start");
        }
        let app = self.app.clone();
        let _ = tokio::task::spawn_blocking(move || app.close()).await;
        let _ = std::fs::remove_file(&self.app.settings().socket);
    }
}

fn make_data_dir(path: &Path) -> Result<()> {
    use std::os::unix::fs::DirBuilderExt as _;
    let made = std::fs::DirBuilder::new().recursive(true).mode(0o700).create(path);
    made.map_err(|e| Error::invalid(format!("The data folder {} can't be created: {e}", path.display())))
}

/// Reloads plugins when a file of theirs changes, and tells the pages.
fn watch_plugins(app: &App) {
    let (for_event, runtime) = (app.clone(), tokio::runtime::Handle::current());
    let watched = app.plugin_set().watch(move || {
        let app = for_event.clone();
        runtime.spawn(async move {
            if let Err(e) = app.plugins().changed().await {
                tracing::warn!(error = e.chain(), "pages could not be told about changed plugins");
            }
        });
    });
    if let Err(e) = watched {
        tracing::warn!(error = e.chain(), "changed plugin files are not noticed; reload them on the Plugins page");
    }
}
