//! Opening the file: one opener, whole, of our key and version.

use super::errors::{self, Failure, guarded};
use super::meta::{self, Marker};
use super::tx::WriteTx;
use super::view::{CommittedView, Overlay};
use super::{Seal, migrations};
use base::{Result, Timestamp};
use redb::backends::FileBackend;
use redb::{BackendError, Builder, Database, DatabaseError, StorageBackend};
use std::fs::{DirBuilder, File, OpenOptions};
use std::io;
use std::ops::Bound;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

/// Pages that redb keeps in memory. Its own default is 1 GiB; the whole appliance has a budget of 60 MB.
const CACHE_BYTES: usize = 24 << 20;
/// Files up to this size are looked through at every start (about 0.2 s a gigabyte). redb itself does that only
/// after a crash, and reads a page without looking at its checksum.
const CHECKED_BYTES: u64 = 256 << 20;

/// Opens the file and makes sure that it is one of ours, of the current version.
pub(super) fn open(path: &Path, seal: &dyn Seal, now: Timestamp) -> Result<(Database, Marker)> {
    make_folder(path)?;
    match std::fs::metadata(path) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => create(path, seal, now)?,
        // A new store has a size from the start. This is one that lost what was in it, and an appliance that began
        // anew here would show everybody its set-up.
        Ok(m) if m.len() == 0 => return Err(errors::damaged("the file is empty")),
        _ => inspect(path)?,
    }
    let db = open_file(path, false)?;
    let marker = prepare(&db, path, seal, now)?;
    Ok((db, marker))
}

/// Makes a whole store beside its place and moves it there: it is there with its first rows, or not at all.
fn create(path: &Path, seal: &dyn Seal, now: Timestamp) -> Result<()> {
    let mut beside = path.as_os_str().to_owned();
    beside.push(".new");
    let beside = Path::new(&beside);
    match std::fs::remove_file(beside) {
        Err(e) if e.kind() != io::ErrorKind::NotFound => return Err(errors::cannot_open(path, e.into())),
        _ => {}
    }
    let db = open_file(beside, true)?;
    let mut first = Overlay::default();
    meta::write(&mut first, migrations::CURRENT, &meta::new_marker(now), seal)?;
    commit(&db, &first).map_err(|f| f.error())?;
    drop(db);
    std::fs::rename(beside, path).map_err(|e| errors::cannot_open(path, e.into()))?;
    sync_folder(path);
    Ok(())
}

/// Opens the file as it is. After a crash redb repairs it first, which reads all of it.
pub(super) fn open_file(path: &Path, may_create: bool) -> Result<Database> {
    let file = open_options(may_create).open(path).map_err(|e| errors::cannot_open(path, e.into()))?;
    no_panic(|| builder().create_file(file))?.map_err(|e| errors::cannot_open(path, e))
}

/// Opens the store `id` again after the disk failed. What is there now may be something else, or nothing.
pub(super) fn reopen(path: &Path, seal: &dyn Seal, id: [u8; 16]) -> Result<Database> {
    let db = open_file(path, false)?;
    let snapshot = CommittedView::begin(&db).map_err(|f| f.error())?;
    match meta::read(&snapshot, path, seal)? {
        Some((migrations::CURRENT, marker)) if marker.id == id => Ok(db),
        _ => Err(errors::damaged("another store is in the place of the one that was open")),
    }
}

/// Writes `changes` in one durable commit.
pub(super) fn commit(db: &Database, changes: &Overlay) -> Result<(), Failure> {
    guarded(|| {
        let tx = db.begin_write()?;
        changes.apply(&tx)?;
        Ok(tx.commit()?)
    })
}

fn builder() -> Builder {
    let mut builder = Builder::new();
    builder.set_cache_size(CACHE_BYTES);
    builder
}

fn open_options(create: bool) -> OpenOptions {
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(create).truncate(false).mode(0o600);
    options
}

fn make_folder(path: &Path) -> Result<()> {
    let Some(folder) = path.parent().filter(|p| !p.as_os_str().is_empty()) else { return Ok(()) };
    let made = DirBuilder::new().recursive(true).mode(0o700).create(folder);
    made.map_err(|e| errors::cannot_open(path, e.into()))
}

/// Damage may make redb panic; that becomes a sentence too.
fn no_panic<T>(f: impl FnOnce() -> Result<T, DatabaseError>) -> Result<Result<T, DatabaseError>> {
    catch_unwind(AssertUnwindSafe(f)).map_err(|panic| errors::damaged(errors::panic_text(&*panic)))
}

/// Looks through a file that was closed well, without writing to it: redb's check repairs what it can by going
/// back to an older commit, and that must not happen unnoticed.
fn inspect(path: &Path) -> Result<()> {
    match std::fs::metadata(path) {
        Ok(m) if (1..=CHECKED_BYTES).contains(&m.len()) => {}
        _ => return Ok(()),
    }
    let file = open_options(false).open(path).map_err(|e| errors::cannot_open(path, e.into()))?;
    let shadow = Shadow::over(file).map_err(|e| errors::cannot_open(path, e))?;
    let clean = no_panic(|| {
        let mut builder = builder();
        builder.set_repair_callback(redb::RepairSession::abort);
        builder.create_with_backend(shadow)?.check_integrity()
    })?;
    match clean {
        Ok(true) => Ok(()),
        // Not closed well: redb looks through all of it when it is opened for good.
        Err(DatabaseError::RepairAborted) => Ok(()),
        Ok(false) => Err(errors::damaged("the file does not pass redb's check")),
        Err(e) => Err(errors::cannot_open(path, e)),
    }
}

/// Checks key and version of a store and brings it up to date.
fn prepare(db: &Database, path: &Path, seal: &dyn Seal, now: Timestamp) -> Result<Marker> {
    let snapshot = CommittedView::begin(db).map_err(|f| f.error())?;
    let mut changes = Overlay::default();
    let marker = match meta::read(&snapshot, path, seal)? {
        None => return Err(errors::damaged("the store's own rows are gone")),
        Some((schema, _)) if schema > migrations::CURRENT => return Err(errors::newer(schema, migrations::CURRENT)),
        Some((schema, marker)) if schema < migrations::CURRENT => {
            let nothing = Overlay::default();
            let mut tx = WriteTx::new(&snapshot, &nothing, seal, now);
            migrations::run(schema, &mut tx)?;
            changes = tx.own;
            meta::write(&mut changes, migrations::CURRENT, &marker, seal)?;
            marker
        }
        Some((_, marker)) => marker,
    };
    drop(snapshot);
    if !changes.is_empty() {
        commit(db, &changes).map_err(|f| f.error())?;
        sync_folder(path);
    }
    Ok(marker)
}

/// A new file's name must be on the disk too. Where a folder can't be synced there is nothing to do about it.
fn sync_folder(path: &Path) {
    let folder = path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
    if let Err(e) = File::open(folder).and_then(|f| f.sync_all()) {
        tracing::warn!(error = %e, "the data folder could not be synced");
    }
}

/// The file, read as it is; what is written stays in memory. Locks are the file's own.
#[derive(Debug)]
struct Shadow {
    file: FileBackend,
    len: AtomicU64,
    written: Mutex<Vec<(u64, Vec<u8>)>>,
}

impl Shadow {
    fn over(file: File) -> Result<Self, DatabaseError> {
        let len = AtomicU64::new(file.metadata()?.len());
        Ok(Self { file: FileBackend::new(file)?, len, written: Mutex::default() })
    }

    fn written(&self) -> std::sync::MutexGuard<'_, Vec<(u64, Vec<u8>)>> {
        self.written.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

/// Copies the part of `data` (which is at `at`) that falls into `out` (which is at `offset`).
fn copy_overlap(out: &mut [u8], offset: u64, data: &[u8], at: u64) {
    let start = offset.max(at);
    let end = (offset + out.len() as u64).min(at + data.len() as u64);
    if start < end {
        let (o, d, n) = ((start - offset) as usize, (start - at) as usize, (end - start) as usize);
        out[o..o + n].copy_from_slice(&data[d..d + n]);
    }
}

impl StorageBackend for Shadow {
    fn len(&self) -> io::Result<u64> {
        Ok(self.len.load(Ordering::SeqCst))
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        if offset.saturating_add(out.len() as u64) > StorageBackend::len(self)? {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        out.fill(0);
        let there = self.file.len()?.saturating_sub(offset).min(out.len() as u64) as usize;
        self.file.read(offset, &mut out[..there])?;
        for (at, data) in self.written().iter() {
            copy_overlap(out, offset, data, *at);
        }
        Ok(())
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.len.store(len, Ordering::SeqCst);
        Ok(())
    }

    fn sync_data(&self) -> io::Result<()> {
        Ok(())
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.written().push((offset, data.to_vec()));
        Ok(())
    }

    fn close(&self) -> io::Result<()> {
        self.file.close()
    }

    fn try_lock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<bool, BackendError> {
        self.file.try_lock_range(start, end)
    }

    fn try_lock_shared_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<bool, BackendError> {
        self.file.try_lock_shared_range(start, end)
    }

    fn lock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<(), BackendError> {
        self.file.lock_range(start, end)
    }

    fn lock_shared_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<(), BackendError> {
        self.file.lock_shared_range(start, end)
    }

    fn unlock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<(), BackendError> {
        self.file.unlock_range(start, end)
    }

    fn query_lock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<bool, BackendError> {
        self.file.query_lock_range(start, end)
    }
}
