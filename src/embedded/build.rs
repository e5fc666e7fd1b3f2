//! Makes assets/dist (bundled scripts and styles) when it is missing or older than its sources.
//!
//! `STEWARD_WEB=skip` writes an empty stand-in instead, for work that needs no pages and has no node.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::time::SystemTime;

/// Seen from this crate's folder, where build scripts run.
const ASSETS: &str = "../../assets";
const SOURCES: [&str; 6] = ["package.json", "package-lock.json", "build.mjs", "css", "js", "icons"];

fn main() -> ExitCode {
    println!("cargo:rerun-if-changed=build.rs");
    // A file that is added later is embedded too.
    println!("cargo:rerun-if-changed=../../plugins");
    println!("cargo:rerun-if-env-changed=STEWARD_WEB");
    for source in SOURCES {
        println!("cargo:rerun-if-changed={ASSETS}/{source}");
    }
    println!("cargo:rerun-if-changed={ASSETS}/dist/manifest.json");
    match assets(Path::new(ASSETS)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            println!("cargo:warning=the browser files were not built: {why}");
            ExitCode::FAILURE
        }
    }
}

fn assets(root: &Path) -> Result<(), String> {
    let dist = root.join("dist");
    if std::env::var("STEWARD_WEB").is_ok_and(|v| v == "skip") {
        return stand_in(&dist).map_err(|e| format!("could not write {}: {e}", dist.display()));
    }
    let wanted = fingerprint(root).map_err(|e| format!("could not read {}: {e}", root.display()))?;
    let stamp = dist.join("sources.txt");
    let manifest = dist.join("manifest.json");
    if manifest.exists() && fs::read_to_string(&stamp).is_ok_and(|have| have == wanted) {
        return Ok(());
    }
    run(root, "npm", &["ci", "--ignore-scripts", "--no-audit", "--no-fund"])?;
    run(root, "node", &["build.mjs"])?;
    fs::write(&stamp, wanted).map_err(|e| format!("could not write {}: {e}", stamp.display()))?;
    // Cargo watches the manifest so that a deleted dist is made again. A file written during the build
    // looks changed to it, so the manifest is dated back; else everything would be compiled twice.
    let dated_back = fs::File::options().append(true).open(&manifest);
    dated_back.and_then(|f| f.set_modified(SystemTime::UNIX_EPOCH)).map_err(|e| e.to_string())
}

/// An empty manifest, unless real files are there.
fn stand_in(dist: &Path) -> io::Result<()> {
    let manifest = dist.join("manifest.json");
    if manifest.exists() {
        return Ok(());
    }
    fs::create_dir_all(dist)?;
    fs::write(manifest, "{}\n")
}

fn run(dir: &Path, program: &str, args: &[&str]) -> Result<(), String> {
    let line = format!("{program} {}", args.join(" "));
    match Command::new(program).args(args).current_dir(dir).output() {
        Ok(out) if out.status.success() => Ok(()),
        Ok(out) => {
            let text = String::from_utf8_lossy(&out.stderr);
            let text = text.lines().filter(|l| !l.contains("npm warn")).collect::<Vec<_>>().join(" / ");
            Err(format!("`{line}` in assets/ failed: {text}"))
        }
        Err(e) if e.kind() == io::ErrorKind::NotFound => Err(format!(
            "`{program}` is not installed. Install Node.js 18 or newer with npm (Debian: apt-get install nodejs npm), \
             or set STEWARD_WEB=skip to build without the pages' scripts and styles."
        )),
        Err(e) => Err(format!("`{line}` could not be started: {e}")),
    }
}

/// FNV-1a (64 bits) over names and contents of all sources, as hex. It only has to notice edits.
fn fingerprint(root: &Path) -> io::Result<String> {
    let mut files = Vec::new();
    for source in SOURCES {
        collect(&root.join(source), &mut files)?;
    }
    files.sort();
    let mut hash: u64 = 0xcbf2_9ce4_8422_2325;
    for file in files {
        let mut add = |bytes: &[u8]| {
            for b in bytes {
                hash = (hash ^ u64::from(*b)).wrapping_mul(0x0100_0000_01b3);
            }
        };
        add(file.to_string_lossy().as_bytes());
        add(&fs::read(&file)?);
    }
    Ok(format!("{hash:016x}"))
}

fn collect(path: &Path, into: &mut Vec<PathBuf>) -> io::Result<()> {
    if path.is_dir() {
        for entry in fs::read_dir(path)? {
            collect(&entry?.path(), into)?;
        }
    } else {
        into.push(path.to_owned());
    }
    Ok(())
}
