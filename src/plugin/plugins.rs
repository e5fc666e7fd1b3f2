//! All plugins: loaded from the binary and a folder, loaded again when a file changes.

use super::script::Plugin;
use super::source::{self, Files, Source};
use base::{Error, Result};
use model::plugins::{Manifest, Origin, PluginInfo, ScriptError};
use notify::{RecursiveMode, Watcher};
use std::collections::{BTreeMap, HashMap};
use std::fs::Metadata;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::mpsc;
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::Duration;

/// Editors write a file in several steps; wait until it has been quiet this long.
const QUIET: Duration = Duration::from_millis(250);
/// How often it is looked whether the folder is still the same one.
const LOOK: Duration = Duration::from_secs(2);

/// The plugins of the appliance. Clones are the same collection.
#[derive(Clone)]
pub struct Plugins(Arc<Collection>);

struct Collection {
    built_in: base::files::Files,
    folder: Option<PathBuf>,
    state: RwLock<State>,
    /// One reload at a time.
    reloading: Mutex<()>,
}

#[derive(Default)]
struct State {
    slots: BTreeMap<String, Slot>,
    /// Every version that was good since the process began: jobs go on with the one that started them.
    by_hash: HashMap<String, Arc<Plugin>>,
}

/// One plugin by name.
#[derive(Clone)]
struct Slot {
    origin: Origin,
    /// Of the files as they are now.
    hash: String,
    manifest: Option<Manifest>,
    error: Option<ScriptError>,
    /// The files as they are now, for reading.
    files: Arc<Files>,
    /// What runs: these files, or with an error in them the last good version.
    active: Option<Arc<Plugin>>,
}

impl std::fmt::Debug for Plugins {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Plugins").field("folder", &self.0.folder).finish_non_exhaustive()
    }
}

impl Plugins {
    /// Loads the built-in plugins and those in `folder`, which override built-in ones of the same name.
    /// A broken plugin is in `list` with its error.
    pub fn load(built_in: base::files::Files, folder: Option<&Path>) -> Self {
        let plugins = Self(Arc::new(Collection {
            built_in,
            folder: folder.map(Path::to_owned),
            state: RwLock::default(),
            reloading: Mutex::default(),
        }));
        plugins.reload();
        plugins
    }

    /// One of the built-in plugins as it is built in, whatever a folder overrides.
    ///
    /// # Errors
    /// There is none of this name, or it is broken.
    pub fn built_in(files: base::files::Files, name: &str) -> Result<Plugin> {
        let mut sources = source::built_in(files);
        source::join_libraries(&mut sources);
        let source = sources.into_iter().find(|s| s.name == name);
        let source = source.ok_or_else(|| Error::internal(format!("there is no built-in plugin “{name}”")))?;
        let hash = source.hash();
        let loaded = source.files.and_then(|files| Plugin::load(name, source.origin, hash, &files, None));
        loaded.map_err(Error::internal)
    }

    /// All plugins by name, also broken ones.
    pub fn list(&self) -> Vec<PluginInfo> {
        let state = self.0.state.read().unwrap_or_else(PoisonError::into_inner);
        let info = |(name, slot): (&String, &Slot)| PluginInfo {
            name: name.clone(),
            origin: slot.origin,
            hash: slot.hash.clone(),
            manifest: slot.manifest.clone(),
            error: slot.error.clone(),
            active: slot.active.as_ref().map(|p| p.hash().to_owned()),
        };
        state.slots.iter().map(info).collect()
    }

    /// A plugin's files as they are now, by name; none when they can't be read.
    pub fn files(&self, name: &str) -> Vec<(String, String)> {
        let state = self.0.state.read().unwrap_or_else(PoisonError::into_inner);
        let slot = state.slots.get(name);
        slot.map(|s| s.files.iter().map(|(n, t)| (n.clone(), t.clone())).collect()).unwrap_or_default()
    }

    /// The version that serves new runs.
    pub fn get(&self, name: &str) -> Option<Arc<Plugin>> {
        let state = self.0.state.read().unwrap_or_else(PoisonError::into_inner);
        state.slots.get(name).and_then(|s| s.active.clone())
    }

    /// The providers that serve new runs.
    pub fn providers(&self) -> Vec<Arc<Plugin>> {
        let state = self.0.state.read().unwrap_or_else(PoisonError::into_inner);
        let all = state.slots.values().filter_map(|s| s.active.clone());
        all.filter(|p| p.manifest().kind == model::plugins::PluginKind::Provider).collect()
    }

    /// A version by its content hash, also one that was replaced since the process began.
    pub fn by_hash(&self, hash: &str) -> Option<Arc<Plugin>> {
        let state = self.0.state.read().unwrap_or_else(PoisonError::into_inner);
        state.by_hash.get(hash).cloned()
    }

    /// Reads the files again and loads what changed; true when something did.
    pub fn reload(&self) -> bool {
        let _one = self.0.reloading.lock().unwrap_or_else(PoisonError::into_inner);
        let before = self.0.state.read().unwrap_or_else(PoisonError::into_inner).slots.clone();
        let mut after: BTreeMap<String, Slot> = BTreeMap::new();
        let folder = self.0.folder.iter().flat_map(|f| source::folder(f));
        let mut sources: Vec<Source> = source::built_in(self.0.built_in).into_iter().chain(folder).collect();
        source::join_libraries(&mut sources);
        for source in sources {
            let previous = after.get(&source.name).or_else(|| before.get(&source.name));
            let same = before.get(&source.name).filter(|s| s.origin == source.origin && s.is_of(&source));
            let slot = same.cloned().unwrap_or_else(|| Slot::of(&source, previous));
            after.insert(source.name, slot);
        }
        let changed = after.len() != before.len()
            || after.iter().any(|(name, slot)| before.get(name).is_none_or(|b| !b.is_same(slot)));
        let mut state = self.0.state.write().unwrap_or_else(PoisonError::into_inner);
        for plugin in after.values().filter_map(|s| s.active.as_ref()) {
            state.by_hash.insert(plugin.hash().to_owned(), plugin.clone());
        }
        state.slots = after;
        changed
    }

    /// Watches the folder and calls `on_change` (on a thread of its own) after a reload that changed something. A folder
    /// that is replaced, or that is not there yet, is watched as soon as it is there. Without one there is nothing to watch.
    ///
    /// # Errors
    /// Nothing can be watched on this system.
    pub fn watch(&self, on_change: impl Fn() + Send + 'static) -> Result<()> {
        let Some(folder) = self.0.folder.clone() else { return Ok(()) };
        let cant = |e: &dyn std::fmt::Display| Error::unavailable(format!("The plugins folder can't be watched: {e}"));
        let (send, receive) = mpsc::channel();
        let watcher = notify::recommended_watcher(move |event: notify::Result<notify::Event>| {
            // Reading the files is an event too, and would loop for ever.
            if event.map_or(true, |e| !e.kind.is_access()) {
                // Nobody listens any more: the watcher goes away too.
                let _ = send.send(());
            }
        })
        .map_err(|e| cant(&e))?;
        let mut watched = Watched { watcher, folder, identity: None, complained: false };
        watched.follow();
        let weak = Arc::downgrade(&self.0);
        let work = move || {
            loop {
                let changed = receive.recv_timeout(LOOK).is_ok();
                while changed && receive.recv_timeout(QUIET).is_ok() {}
                let Some(inner) = weak.upgrade() else { return };
                if (watched.follow() || changed) && Plugins(inner).reload() {
                    on_change();
                }
            }
        };
        std::thread::Builder::new().name("plugins".into()).spawn(work).map_err(|e| cant(&e))?;
        Ok(())
    }
}

/// The folder under a watch, which belongs to the folder itself and not to its name.
struct Watched {
    watcher: notify::RecommendedWatcher,
    folder: PathBuf,
    /// Device and inode of the folder that is watched.
    identity: Option<(u64, u64)>,
    complained: bool,
}

impl Watched {
    /// Goes over to the folder that has the name now. `true`: it is another one.
    fn follow(&mut self) -> bool {
        let now = std::fs::metadata(&self.folder).ok().filter(Metadata::is_dir).map(|m| (m.dev(), m.ino()));
        if now == self.identity {
            return false;
        }
        // It may have gone with its folder.
        let _ = self.watcher.unwatch(&self.folder);
        let watched = now.map(|_| self.watcher.watch(&self.folder, RecursiveMode::Recursive));
        if let Some(Err(error)) = watched {
            if !self.complained {
                tracing::warn!(%error, "changed plugin files are not noticed; reload them on the Plugins page");
            }
            self.complained = true;
            return false;
        }
        (self.identity, self.complained) = (now, false);
        true
    }
}

/// Built-in plugins, by name and content: they never change, so a process compiles each once, however many appliances
/// it runs (tests run hundreds).
static EMBEDDED: Mutex<BTreeMap<(String, String), Slot>> = Mutex::new(BTreeMap::new());

impl Slot {
    fn of(source: &Source, previous: Option<&Self>) -> Self {
        if source.origin != Origin::Embedded {
            return Self::load(source, previous);
        }
        let mut all = EMBEDDED.lock().unwrap_or_else(PoisonError::into_inner);
        let key = (source.name.clone(), source.hash());
        all.entry(key).or_insert_with(|| Self::load(source, None)).clone()
    }

    /// Loads a source. If it has an error, `previous` stays in use.
    fn load(source: &Source, previous: Option<&Self>) -> Self {
        let hash = source.hash();
        let files = Arc::new(source.files.clone().unwrap_or_default());
        let loaded = source
            .files
            .as_ref()
            .map_err(Clone::clone)
            .and_then(|files| Plugin::load(&source.name, source.origin, hash.clone(), files, None));
        match loaded {
            Ok(plugin) => Self {
                origin: source.origin,
                hash,
                manifest: Some(plugin.manifest().clone()),
                error: None,
                files,
                active: Some(Arc::new(plugin)),
            },
            Err(error) => {
                tracing::warn!(plugin = source.name, %error, "a plugin is broken");
                let active = previous.and_then(|p| p.active.clone());
                let manifest = active.as_ref().map(|p| p.manifest().clone());
                Self { origin: source.origin, hash, manifest, error: Some(error), files, active }
            }
        }
    }

    /// Whether this slot was made from the same files.
    fn is_of(&self, source: &Source) -> bool {
        match &source.files {
            Ok(_) => self.hash == source.hash(),
            Err(error) => self.hash.is_empty() && self.error.as_ref() == Some(error),
        }
    }

    fn is_same(&self, other: &Self) -> bool {
        self.origin == other.origin && self.hash == other.hash && self.error == other.error
    }
}
