//! The Stewards that this computer is signed in to: `~/.config/steward/cli.toml`, readable by its owner only, as a
//! token in it is as good as a password within its scope.

use base::{Error, Result};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::io::Write as _;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

/// All of them.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Contexts {
    /// The one that is used when none is named.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub current: Option<String>,
    #[serde(default)]
    pub contexts: BTreeMap<String, Context>,
}

/// One Steward.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Context {
    /// `https://host:port`
    pub url: String,
    /// SHA-256 of the one certificate that is accepted, `AB:CD:..`; none: the system's authorities decide.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fingerprint: Option<String>,
    pub login: String,
    /// For taking it back; unknown when the token was made elsewhere.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub token_id: Option<String>,
    pub token: String,
}

impl std::fmt::Debug for Context {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Context").field("url", &self.url).field("login", &self.login).finish_non_exhaustive()
    }
}

/// `STEWARD_CLI_FILE`, else in the person's folder for settings.
fn file() -> Result<PathBuf> {
    let var = |name| std::env::var_os(name).filter(|v| !v.is_empty()).map(PathBuf::from);
    var("STEWARD_CLI_FILE")
        .or_else(|| var("XDG_CONFIG_HOME").map(|d| d.join("steward/cli.toml")))
        .or_else(|| var("HOME").map(|d| d.join(".config/steward/cli.toml")))
        .ok_or_else(|| Error::invalid("Neither HOME nor STEWARD_CLI_FILE says where the sign-ins are kept."))
}

impl Contexts {
    pub fn load() -> Result<Self> {
        Self::read(&file()?)
    }

    fn read(path: &Path) -> Result<Self> {
        let wrong = |why: String| Error::invalid(format!("{}: {why}", path.display()));
        let text = match std::fs::read_to_string(path) {
            Ok(text) => text,
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(Self::default()),
            Err(e) => return Err(wrong(e.to_string())),
        };
        let mode = std::fs::metadata(path).map_err(|e| wrong(e.to_string()))?.permissions().mode();
        if mode & 0o077 != 0 {
            return Err(wrong(format!(
                "others can read the token in it. Revoke it (steward logout), or run: chmod 600 {}",
                path.display()
            )));
        }
        toml::from_str(&text).map_err(|e| wrong(e.message().to_owned()))
    }

    pub fn save(&self) -> Result<()> {
        self.write(&file()?)
    }

    /// Whole or not at all, and never readable by others, not even for a moment.
    fn write(&self, path: &Path) -> Result<()> {
        let wrong = |e: std::io::Error| Error::invalid(format!("{} can't be written: {e}", path.display()));
        if let Some(folder) = path.parent() {
            std::fs::DirBuilder::new().recursive(true).mode(0o700).create(folder).map_err(wrong)?;
        }
        let text = toml::to_string(self).map_err(Error::internal)?;
        let fresh = path.with_extension(format!("toml.{}", std::process::id()));
        let mut file =
            std::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&fresh).map_err(wrong)?;
        let written = file.write_all(text.as_bytes()).and_then(|()| file.sync_all());
        let moved = written.and_then(|()| std::fs::rename(&fresh, path));
        moved.map_err(|e| {
            let _ = std::fs::remove_file(&fresh);
            wrong(e)
        })
    }

    /// The named one, else the current one, else the only one.
    pub fn choose(&self, name: Option<&str>) -> Result<(String, Context)> {
        if let Some(name) = name {
            let found = self.contexts.get(name).cloned();
            return found.map(|c| (name.to_owned(), c)).ok_or_else(|| {
                let all: Vec<&str> = self.contexts.keys().map(String::as_str).collect();
                Error::not_found(format!("There is no sign-in called “{name}” here. There are: {}.", all.join(", ")))
            });
        }
        let current = self.current.as_ref().and_then(|c| self.contexts.get_key_value(c));
        let only = || self.contexts.iter().next().filter(|_| self.contexts.len() == 1);
        current.or_else(only).map(|(name, c)| (name.clone(), c.clone())).ok_or_else(|| {
            Error::unauthenticated(if self.contexts.is_empty() {
                "This computer is signed in to no Steward. Run: steward login https://HOST:8443"
            } else {
                "Choose a Steward: --context NAME, or once: steward context use NAME"
            })
        })
    }

    /// Puts one in and makes it the current one.
    pub fn put(&mut self, name: &str, context: Context) {
        self.contexts.insert(name.to_owned(), context);
        self.current = Some(name.to_owned());
    }

    /// Forgets one.
    pub fn remove(&mut self, name: &str) {
        self.contexts.remove(name);
        if self.current.as_deref() == Some(name) {
            self.current = None;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn context(url: &str) -> Context {
        Context {
            url: url.to_owned(),
            fingerprint: None,
            login: "mira".to_owned(),
            token_id: None,
            token: "stw_secret".to_owned(),
        }
    }

    #[test]
    fn the_file_is_for_its_owner_only_and_comes_back_as_it_was() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a/b/cli.toml");
        let mut all = Contexts::read(&path).unwrap();
        assert_eq!(all, Contexts::default());
        all.put("home", context("https://home:8443"));
        all.write(&path).unwrap();
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(std::fs::metadata(path.parent().unwrap()).unwrap().permissions().mode() & 0o777, 0o700);
        assert_eq!(Contexts::read(&path).unwrap(), all);
        assert!(!format!("{all:?}").contains("stw_secret"));
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o644)).unwrap();
        assert!(Contexts::read(&path).unwrap_err().message().contains("chmod 600"));
    }

    #[test]
    fn the_named_then_the_current_then_the_only_one_is_used() {
        let mut all = Contexts::default();
        assert!(all.choose(None).unwrap_err().message().contains("steward login"));
        all.put("home", context("https://home:8443"));
        all.put("work", context("https://work:8443"));
        assert_eq!(all.choose(None).unwrap().0, "work");
        assert_eq!(all.choose(Some("home")).unwrap().0, "home");
        assert!(all.choose(Some("away")).unwrap_err().message().contains("home, work"));
        all.remove("work");
        assert_eq!(all.choose(None).unwrap().0, "home");
    }
}
