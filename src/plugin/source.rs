//! Where plugins come from: the binary, and a folder on disk. A source is text only; nothing runs here.

use super::limits::{FILE_BYTES, FILES, PLUGIN_BYTES, PLUGINS};
use super::manifest;
use base::text::without_mark;
use model::plugins::{Origin, ScriptError};
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// The files of one plugin (`*.rhai`, `*.toml`), by name.
pub(super) type Files = BTreeMap<String, String>;

/// One plugin's folder, as read.
#[derive(Debug)]
pub(super) struct Source {
    pub name: String,
    pub origin: Origin,
    pub files: Result<Files, ScriptError>,
}

impl Source {
    pub fn hash(&self) -> String {
        self.files.as_ref().map(hash).unwrap_or_default()
    }
}

/// Adds the files of the libraries that a plugin uses to its own, as `library/file`: they count in its hash
/// and are one script with it. `library` finds a library's files.
pub(super) fn with_libraries(
    name: &str,
    files: Files,
    library: impl Fn(&str) -> Option<Files>,
) -> Result<Files, ScriptError> {
    let Some(toml) = files.get("plugin.toml").cloned() else { return Ok(files) };
    let mut all = files;
    for used in manifest::uses(&toml) {
        let found = library(&used).filter(|f| f.get("plugin.toml").is_some_and(|t| manifest::is_library(t)));
        let Some(found) = found else {
            return Err(manifest::at_uses(name, &toml, format!("there is no library \"{used}\"")));
        };
        let scripts = found.into_iter().filter(|(file, _)| file.ends_with(".rhai") && file != "tests.rhai");
        all.extend(scripts.map(|(file, text)| (format!("{used}/{file}"), text)));
    }
    Ok(all)
}

/// The libraries among some plugins, for [`with_libraries`]. The last one of a name wins, as for plugins.
pub(super) fn join_libraries(sources: &mut [Source]) {
    let known: BTreeMap<String, Files> =
        sources.iter().filter_map(|s| Some((s.name.clone(), s.files.as_ref().ok()?.clone()))).collect();
    for source in sources {
        if let Ok(files) = &source.files {
            source.files = with_libraries(&source.name, files.clone(), |name| known.get(name).cloned());
        }
    }
}

/// SHA-256 over the sorted names and contents, each with its length before it; hex.
pub(super) fn hash(files: &Files) -> String {
    let mut sha = Sha256::new();
    for part in files.iter().flat_map(|(name, text)| [name, text]) {
        sha.update((part.len() as u64).to_be_bytes());
        sha.update(part.as_bytes());
    }
    hex::encode(sha.finalize())
}

/// The plugins that are built in.
pub(super) fn built_in(bundle: base::files::Files) -> Vec<Source> {
    let mut plugins: BTreeMap<String, Result<Files, ScriptError>> = BTreeMap::new();
    for path in bundle.names() {
        let Some((name, file)) = path.split_once('/').filter(|(_, f)| !f.contains('/')) else { continue };
        let Some(content) = bundle.get(&path) else { continue };
        let files = plugins.entry(name.to_owned()).or_insert_with(|| Ok(Files::new()));
        match String::from_utf8(content.into_owned()) {
            Ok(text) => {
                if let Ok(files) = files {
                    files.insert(file.to_owned(), text);
                }
            }
            Err(_) => *files = Err(unreadable(&path, "it is not UTF-8 text")),
        }
    }
    plugins.into_iter().map(|(name, files)| Source { name, origin: Origin::Embedded, files }).collect()
}

/// A folder of the file system's own, where the plugins folder is a disk of its own. Only root may look into it.
const LOST_AND_FOUND: &str = "lost+found";

/// The plugins in a folder; one that can't be read is there with its error.
pub(super) fn folder(folder: &Path) -> Vec<Source> {
    let entries = match std::fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) => {
            tracing::warn!(folder = %folder.display(), %error, "the plugins folder can't be read");
            return Vec::new();
        }
    };
    let mut found: Vec<_> = entries
        .filter_map(Result::ok)
        .filter(|e| e.path().is_dir())
        .filter_map(|e| e.file_name().into_string().ok().map(|name| (name, e.path())))
        .filter(|(name, _)| !name.starts_with('.') && name != LOST_AND_FOUND)
        .collect();
    found.sort();
    if found.len() > PLUGINS {
        let (folder, left_out) = (folder.display(), found.len() - PLUGINS);
        tracing::warn!(%folder, left_out, "a plugins folder may hold {PLUGINS} plugins; the last ones by name are left out");
    }
    let source = |(name, path): (String, PathBuf)| Source { files: read(&name, &path), name, origin: Origin::Folder };
    found.into_iter().take(PLUGINS).map(source).collect()
}

/// The plugin files of one folder.
pub(super) fn read(name: &str, path: &Path) -> Result<Files, ScriptError> {
    let problem = |e: std::io::Error| unreadable(name, &e.to_string());
    let (mut files, mut total) = (Files::new(), 0);
    for entry in std::fs::read_dir(path).map_err(problem)? {
        let entry = entry.map_err(problem)?;
        let Ok(file) = entry.file_name().into_string() else { continue };
        let wanted = !file.starts_with('.') && (file.ends_with(".rhai") || file.ends_with(".toml"));
        if !wanted {
            continue;
        }
        let label = format!("{name}/{file}");
        let meta = entry.metadata().map_err(problem)?;
        if !meta.is_file() || meta.len() > FILE_BYTES {
            return Err(unreadable(&label, &format!("it is not a plain file of at most {FILE_BYTES} bytes")));
        }
        total += meta.len();
        if files.len() == FILES || total > PLUGIN_BYTES {
            let most = PLUGIN_BYTES >> 20;
            return Err(unreadable(name, &format!("a plugin has at most {FILES} files, together {most} MiB")));
        }
        let bytes = std::fs::read(entry.path()).map_err(problem)?;
        let text = String::from_utf8(bytes).map_err(|_| unreadable(&label, "it is not UTF-8 text"))?;
        files.insert(file, without_mark(&text).to_owned());
    }
    Ok(files)
}

fn unreadable(file: &str, why: &str) -> ScriptError {
    ScriptError::new(file, 0, 0, format!("can't be read: {why}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plugin_with_too_many_or_too_large_files_is_refused_with_a_sentence() {
        let folder = tempfile::tempdir().unwrap();
        let write = |n: usize, bytes: usize| std::fs::write(folder.path().join(format!("{n}.rhai")), "x".repeat(bytes));
        (0..FILES).for_each(|n| write(n, 10).unwrap());
        std::fs::write(folder.path().join("notes.txt"), "no file of a plugin").unwrap();
        assert_eq!(read("p", folder.path()).unwrap().len(), FILES);
        write(FILES, 10).unwrap();
        let said = read("p", folder.path()).unwrap_err().message;
        assert!(said.contains("at most 100 files, together 4 MiB"), "{said}");
        std::fs::remove_file(folder.path().join(format!("{FILES}.rhai"))).unwrap();
        (0..20).for_each(|n| write(n, 250 << 10).unwrap());
        assert_eq!(read("p", folder.path()).unwrap_err().message, said);
    }

    #[test]
    fn a_folder_holds_so_many_plugins_and_no_more() {
        let folder = tempfile::tempdir().unwrap();
        (0..PLUGINS + 5).for_each(|n| std::fs::create_dir(folder.path().join(format!("p{n:04}"))).unwrap());
        assert_eq!(super::folder(folder.path()).len(), PLUGINS);
    }
}
