//! `steward doctor`: checks the usual causes of trouble and says what to do.

use super::console::Request;
use super::say::say;
use super::socket;
use config::Settings;
use plugin::Plugins;
use std::net::TcpStream;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

/// Prints one line a check; the exit code says whether all are well.
pub(super) fn run(settings: &Settings) -> ExitCode {
    let mut well = true;
    let mut report = |ok: bool, name: &str, text: &str| {
        well &= ok;
        say(&format!("{} {name:<10} {text}", if ok { "ok  " } else { "BAD " }));
    };
    report(true, "settings", "can be read");
    let (ok, text) = key(&settings.key_file);
    report(ok, "key", &text);
    let (ok, text) = folder(&settings.data_dir);
    report(ok, "data", &text);
    for text in app::health::exposed(settings) {
        report(false, "files", &text);
    }
    let (ok, text) = plugins(settings);
    report(ok, "plugins", &text);
    match socket::ask(&settings.socket, &Request::Health) {
        Ok(text) => {
            report(true, "service", "runs");
            for line in text.lines() {
                well &= line.starts_with("ok");
                say(line);
            }
        }
        Err(e) => report(false, "service", e.message()),
    }
    for address in &settings.listen {
        let local = if address.ip().is_unspecified() { ([127, 0, 0, 1], address.port()).into() } else { *address };
        let ok = TcpStream::connect_timeout(&local, Duration::from_secs(2)).is_ok();
        let mut line = |ok, text: String| {
            well &= ok;
            say(&format!("{} {:<10} {text}", if ok { "ok  " } else { "BAD " }, "page"));
        };
        line(ok, format!("https://{local} {}", if ok { "answers" } else { "does not answer" }));
        if let Some(fingerprint) = super::remote::fingerprint(local).filter(|_| ok) {
            line(true, format!("its certificate: {fingerprint}"));
        }
    }
    if well { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn key(path: &Path) -> (bool, String) {
    match std::fs::metadata(path) {
        Ok(m) if m.permissions().mode() & 0o077 == 0 => (true, format!("{} is there and private", path.display())),
        Ok(_) => (false, format!("others can read {0}. Run: chmod 600 {0}", path.display())),
        Err(e) => (false, format!("{} can't be read: {e}. Run this as root.", path.display())),
    }
}

fn folder(path: &Path) -> (bool, String) {
    match std::fs::metadata(path) {
        Ok(m) if m.is_dir() => (true, format!("{} is there", path.display())),
        _ => (false, format!("{} is not there yet; the service makes it when it starts", path.display())),
    }
}

fn plugins(settings: &Settings) -> (bool, String) {
    let folder = settings.plugins_dir.as_deref().filter(|p| p.is_dir());
    let all = Plugins::load(settings.built_in.plugins, folder).list();
    let broken: Vec<String> = all.into_iter().filter_map(|p| p.error.map(|e| format!("{}: {e}", p.name))).collect();
    (broken.is_empty(), if broken.is_empty() { "all can be loaded".to_owned() } else { broken.join("; ") })
}
