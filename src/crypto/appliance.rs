//! The appliance key: outside the data folder, from a systemd credential or a file only the service reads.

use super::SealKey;
use base::{Error, Kind, Result};
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _};
use std::path::Path;
use zeroize::Zeroizing;

/// The credential's name in `LoadCredential=` and `LoadCredentialEncrypted=` (systemd.exec(5)).
pub const CREDENTIAL: &str = "steward.key";

/// Loads the key: the systemd credential when `credential_dir` holds one, else `key_file`. With
/// `may_create` (a new store, nothing sealed yet) a missing key file is made, readable by its owner only.
///
/// # Errors
/// A sentence that names the file and what to do: it is missing, readable by others, or not a key.
pub fn load(credential_dir: Option<&Path>, key_file: &Path, may_create: bool) -> Result<SealKey> {
    if let Some(path) = credential_dir.map(|d| d.join(CREDENTIAL)) {
        match File::open(&path) {
            // No look at the mode: systemd guards it, and shows group-readable where it uses an ACL.
            Ok(file) => return parse(file, &path),
            Err(e) if e.kind() == io::ErrorKind::NotFound => {}
            Err(e) => return Err(cannot_read(&path, e)),
        }
    }
    match File::open(key_file) {
        Ok(file) => {
            refuse_open_modes(&file, key_file)?;
            parse(file, key_file)
        }
        Err(e) if e.kind() == io::ErrorKind::NotFound && may_create => create(key_file),
        Err(e) if e.kind() == io::ErrorKind::NotFound => Err(problem(format!(
            "The appliance key is missing: there is no file {0}. Put the key back (a backup of it, mode 0600) or set \
             the systemd credential {CREDENTIAL}. Without it the store can't be opened.",
            key_file.display()
        ))),
        Err(e) => Err(cannot_read(key_file, e)),
    }
}

fn problem(sentence: String) -> Error {
    Error::new(Kind::Internal, sentence)
}

fn cannot_read(path: &Path, e: io::Error) -> Error {
    problem(format!(
        "The appliance key {} can't be read ({e}). The file must belong to the user that Steward runs as.",
        path.display()
    ))
    .with_cause(e)
}

/// Only 0600 and 0400 are acceptable: a key that others can read is not a key any more.
fn refuse_open_modes(file: &File, path: &Path) -> Result<()> {
    let mode = file.metadata().map_err(|e| cannot_read(path, e))?.mode() & 0o7777;
    if mode & 0o077 == 0 {
        return Ok(());
    }
    let path = path.display();
    Err(problem(format!(
        "Other users of this machine can reach the appliance key {path} (mode {mode:04o}). Run: chmod 0600 {path}"
    )))
}

/// The file holds 128 hexadecimal digits, so that it survives copying as text.
fn parse(file: File, path: &Path) -> Result<SealKey> {
    let mut text = Zeroizing::new(String::with_capacity(256));
    // One byte over what a key with line ends needs: enough to notice that it is something else.
    file.take(200).read_to_string(&mut text).map_err(|e| cannot_read(path, e))?;
    let mut key = Zeroizing::new([0; 64]);
    hex::decode_to_slice(text.trim_ascii(), &mut *key).map_err(|_| {
        problem(format!(
            "The file {} is not an appliance key: it must hold 128 hexadecimal digits. Put the key back from a backup.",
            path.display()
        ))
    })?;
    Ok(SealKey::from_bytes(*key))
}

/// Writes a new key. It gets its name only when it is whole and on disk, and never replaces another.
fn create(path: &Path) -> Result<SealKey> {
    let key = SealKey::generate();
    write_new(path, &key).map_err(|e| {
        problem(format!("The appliance key {} can't be created ({e}). Is its folder writable?", path.display()))
            .with_cause(e)
    })?;
    Ok(key)
}

fn write_new(path: &Path, key: &SealKey) -> io::Result<()> {
    let folder = path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
    DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
    let unfinished = path.with_extension("new");
    match fs::remove_file(&unfinished) {
        Err(e) if e.kind() != io::ErrorKind::NotFound => return Err(e),
        _ => {}
    }
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&unfinished)?;
    let text = Zeroizing::new(hex::encode(key.bytes()) + "\n");
    file.write_all(text.as_bytes())?;
    file.sync_all()?;
    // A link, unlike a rename, fails when the name is taken.
    let linked = fs::hard_link(&unfinished, path);
    fs::remove_file(&unfinished)?;
    linked?;
    File::open(folder)?.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::Permissions;
    use std::os::unix::fs::PermissionsExt as _;

    fn set_mode(path: &Path, mode: u32) {
        fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
    }

    #[test]
    fn a_new_key_is_made_for_its_owner_only_and_found_again() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("keys/steward.key");
        let made = load(None, &path, true).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().mode() & 0o7777, 0o600);
        assert_eq!(load(None, &path, true).unwrap().bytes(), made.bytes());
        assert_eq!(load(None, &path, false).unwrap().bytes(), made.bytes());
        assert_eq!(fs::read_dir(path.parent().unwrap()).unwrap().count(), 1, "nothing is left next to it");
    }

    #[test]
    fn a_key_that_others_can_reach_is_refused_with_the_command_to_run() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("steward.key");
        load(None, &path, true).unwrap();
        for mode in [0o640, 0o604, 0o660, 0o644, 0o610] {
            set_mode(&path, mode);
            let error = load(None, &path, true).unwrap_err();
            assert!(error.message().contains(&format!("chmod 0600 {}", path.display())), "{error}");
        }
        set_mode(&path, 0o400);
        assert!(load(None, &path, false).is_ok());
    }

    #[test]
    fn a_missing_key_is_not_made_for_a_store_that_is_there() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("steward.key");
        let error = load(None, &path, false).unwrap_err();
        assert!(error.message().contains("The appliance key is missing"), "{error}");
        assert!(!path.exists());
    }

    #[test]
    fn the_systemd_credential_comes_first() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("file.key");
        let credentials = dir.path().join("credentials");
        load(None, &file, true).unwrap();
        let credential = load(None, &credentials.join(CREDENTIAL), true).unwrap();
        assert_eq!(load(Some(&credentials), &file, false).unwrap().bytes(), credential.bytes());
        let empty = dir.path().join("empty");
        assert_eq!(load(Some(&empty), &file, false).unwrap().bytes(), load(None, &file, false).unwrap().bytes());
    }

    #[test]
    fn what_is_not_a_key_is_refused_and_kept() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("steward.key");
        for text in [String::new(), "00".repeat(63), "00".repeat(65), "zz".repeat(64), "00".repeat(1000)] {
            fs::write(&path, &text).unwrap();
            set_mode(&path, 0o600);
            let error = load(None, &path, true).unwrap_err();
            assert!(error.message().contains("is not an appliance key"), "{error}");
            assert_eq!(fs::read_to_string(&path).unwrap(), text);
        }
    }
}
