//! Floor 3: the use cases, and the only place that joins store, keys, plugins and the outside.
//!
//! Pages, the REST API, the command line and jobs all come through here with an [`Actor`]: the same checks,
//! the same job, the same event, the same audit entry. This floor must not know HTTP, HTML or how a job is
//! scheduled. Each noun has its file and a small handle: `app.guests().request_create(&actor, spec)`.
//!
//! All use cases fail alike: `Forbidden` when the actor may not, `NotFound` for what is not there or not for this actor,
//! `Invalid` with a sentence per field, `Unavailable` while the provider or a server is away, and what the store says.
//! A section *Errors* stands only where there is more to say.

pub mod account;
pub mod actor;
mod agent;
pub mod audit;
mod beats;
pub mod certificate;
mod commands;
pub mod connections;
pub mod consoles;
mod crontab;
mod derived_keys;
pub mod drafts;
mod ended;
pub mod events;
pub mod guests;
pub mod hardware_profiles;
pub mod hasher;
pub mod health;
pub mod impact;
pub mod inventory;
pub mod invites;
pub mod jobs;
pub mod keys;
pub mod live;
pub mod nodes;
mod plugin_host;
pub mod plugins;
pub mod quotas;
mod report;
mod rights;
pub mod schedules;
pub mod search;
pub mod sessions;
pub mod setup;
pub mod software;
pub mod ssh;
pub mod templates;
pub mod tokens;
pub mod users;

pub use actor::Actor;

use base::{Clock, Result, Secret, Timestamp};
use config::Settings;
use crypto::SealKey;
use plugin::Plugins;
use remote::neighbours::Neighbours;
use std::sync::Arc;
use std::sync::atomic::AtomicI64;
use store::Store;
use tokio::sync::{Notify, watch};

/// The whole appliance behind its doors. Cheap to clone.
#[derive(Clone)]
pub struct App(Arc<Inner>);

struct Inner {
    store: Store,
    clock: Arc<dyn Clock>,
    settings: Settings,
    plugins: Plugins,
    hasher: hasher::Hasher,
    people: users::People,
    live: live::Live,
    grants: Arc<guests::sharing::Grants>,
    links: connections::Links,
    consoles: consoles::Desk,
    setup: setup::SetupCode,
    ended: ended::Ended,
    ssh: ssh::Sessions,
    systems: guests::Systems,
    keys: derived_keys::DerivedKeys,
    neighbours: Neighbours,
    job_bell: Notify,
    /// Counts looks at Proxmox; pages with live numbers wait on it.
    tick: watch::Sender<u64>,
    /// Asks the poller to look now.
    look_now: Notify,
    /// Held while Proxmox is being polled: two looks at once would both find a machine to be new.
    looking: tokio::sync::Mutex<()>,
    /// When somebody asked for anything last, in Unix milliseconds.
    visited: AtomicI64,
    started: Timestamp,
}

impl std::fmt::Debug for App {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("App")
    }
}

impl App {
    /// Opens the store with the appliance key and loads what is kept in memory.
    ///
    /// # Errors
    /// Everything that `Store::open` refuses, with its sentence; a plugins folder that can't be read.
    pub fn open(settings: Settings, key: SealKey, clock: Arc<dyn Clock>) -> Result<Self> {
        let derived_keys = derived_keys::DerivedKeys::derive(&key);
        let store = Store::open(&settings.store_file(), Arc::new(keys::ApplianceSeal::new(key)), Arc::clone(&clock))?;
        let plugins = Plugins::load(settings.built_in.plugins, settings.plugins_dir.as_deref());
        let people = users::People::load(&store)?;
        let live = live::Live::load(&store)?;
        let grants = Arc::new(guests::sharing::Grants::load(&store)?);
        let links = connections::Links::load(&store)?;
        links.announce(&live);
        let setup = setup::SetupCode::for_start(!people.somebody_can_sign_in());
        let started = clock.now();
        hardware_profiles::first_start(&store, &plugins, started)?;
        Ok(Self(Arc::new(Inner {
            store,
            clock,
            settings,
            plugins,
            hasher: hasher::Hasher::for_this_machine(),
            people,
            live,
            grants,
            links,
            consoles: consoles::Desk::default(),
            setup,
            ended: ended::Ended::default(),
            ssh: ssh::Sessions::default(),
            systems: guests::Systems::default(),
            keys: derived_keys,
            neighbours: Neighbours::default(),
            job_bell: Notify::new(),
            tick: watch::Sender::new(0),
            look_now: Notify::new(),
            looking: tokio::sync::Mutex::default(),
            visited: AtomicI64::new(i64::MIN),
            started,
        })))
    }

    /// The machines of the own network.
    fn neighbours(&self) -> &Neighbours {
        &self.0.neighbours
    }

    pub fn store(&self) -> &Store {
        &self.0.store
    }

    pub fn clock(&self) -> &Arc<dyn Clock> {
        &self.0.clock
    }

    pub fn now(&self) -> Timestamp {
        self.0.clock.now()
    }

    pub fn settings(&self) -> &Settings {
        &self.0.settings
    }

    pub fn plugin_set(&self) -> &Plugins {
        &self.0.plugins
    }

    /// When this process started.
    pub fn started(&self) -> Timestamp {
        self.0.started
    }

    /// Rung when a job was made or changed from outside the runner.
    pub fn job_bell(&self) -> &Notify {
        &self.0.job_bell
    }

    /// Changes with every look at Proxmox.
    pub fn ticks(&self) -> watch::Receiver<u64> {
        self.0.tick.subscribe()
    }

    /// The key that signs forms and flash messages; new forms of an old process stay good after a restart.
    pub fn form_key(&self) -> &Secret<Vec<u8>> {
        &self.0.keys.forms
    }

    pub fn live(&self) -> &live::Live {
        &self.0.live
    }

    pub fn people(&self) -> &users::People {
        &self.0.people
    }

    /// Ends the store's writer; the file can be opened again afterwards.
    pub fn close(&self) {
        self.0.store.close();
    }
}

macro_rules! nouns {
    ($($method:ident => $($module:ident)::+),+ $(,)?) => {
        impl App {
            $(pub fn $method(&self) -> $($module)::+<'_> {
                $($module)::+(self)
            })+
        }
    };
}

nouns! {
    account => account::Account,
    drafts => drafts::Drafts,
    agent => agent::Agent,
    audit => audit::Audit,
    certificate => certificate::Certificate,
    connections => connections::Connections,
    consoles => consoles::Consoles,
    guests => guests::Guests,
    hardware_profiles => hardware_profiles::HardwareProfiles,
    impact => impact::Impacts,
    invites => invites::Invites,
    jobs => jobs::Jobs,
    joining => connections::joining::Joining,
    nodes => nodes::Nodes,
    plugins => plugins::PluginPages,
    quotas => quotas::Quotas,
    schedules => schedules::Schedules,
    search => search::Search,
    sessions => sessions::Sessions,
    setup => setup::Setup,
    templates => templates::Templates,
    software => software::SoftwarePages,
    ssh => ssh::Ssh,
    ssh_hosts => connections::ssh_hosts::SshHosts,
    tokens => tokens::Tokens,
    users => users::Users,
    health => health::Health,
    inventory => inventory::Inventory,
}
