//! The socket between commands and the running appliance: one line of JSON each way. Its mode admits the
//! service's own user and root, nobody else.

use super::console::Request;
use app::App;
use base::{Error, Kind, Result};
use serde::{Deserialize, Serialize};
use std::io::{BufRead as _, BufReader, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::UnixStream as Blocking;
use std::path::Path;
use std::time::Duration;
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{UnixListener, UnixStream};
use tokio_util::sync::CancellationToken;

/// A request line is never longer.
const LONGEST: u64 = 64 * 1024;

#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Answer {
    Ok(String),
    Error(String),
}

/// Makes the socket; a left-over one of a dead process is replaced.
pub(super) fn listen(path: &Path) -> Result<UnixListener> {
    let wrong = |e: std::io::Error| Error::invalid(format!("The socket {} can't be created: {e}", path.display()));
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder).map_err(wrong)?;
    }
    if path.exists() {
        if Blocking::connect(path).is_ok() {
            return Err(Error::conflict(format!("Another Steward answers on {}. Stop it first.", path.display())));
        }
        std::fs::remove_file(path).map_err(wrong)?;
    }
    let listener = UnixListener::bind(path).map_err(wrong)?;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600)).map_err(wrong)?;
    Ok(listener)
}

/// Answers until `stop`.
pub(super) async fn serve(listener: UnixListener, app: App, stop: CancellationToken) {
    loop {
        let accepted = tokio::select! {
            () = stop.cancelled() => return,
            accepted = listener.accept() => accepted,
        };
        if let Ok((stream, _)) = accepted {
            let app = app.clone();
            tokio::spawn(async move {
                let talk = tokio::time::timeout(Duration::from_secs(60), talk(stream, &app)).await;
                if let Ok(Err(e)) = talk {
                    tracing::debug!(error = %e, "a command hung up");
                }
            });
        }
    }
}

async fn talk(stream: UnixStream, app: &App) -> std::io::Result<()> {
    let (reader, mut writer) = stream.into_split();
    let mut line = String::new();
    tokio::io::BufReader::new(reader.take(LONGEST)).read_line(&mut line).await?;
    let answer = match serde_json::from_str::<Request>(&line) {
        Ok(request) => request.answer(app).await,
        Err(e) => Err(Error::invalid(format!(
            "The running Steward does not understand this command ({e}). Is it another version?"
        ))),
    };
    let answer = match answer {
        Ok(text) => Answer::Ok(text),
        Err(e) => {
            if e.kind() == Kind::Internal {
                tracing::error!(error = e.chain(), "a command failed");
            }
            let fields: Vec<&str> = e.fields().values().map(String::as_str).collect();
            Answer::Error(if fields.is_empty() { e.message().to_owned() } else { fields.join(" ") })
        }
    };
    let mut text = serde_json::to_string(&answer).unwrap_or_default();
    text.push('\n');
    writer.write_all(text.as_bytes()).await
}

/// Asks the running appliance.
pub(super) fn ask(path: &Path, request: &Request) -> Result<String> {
    let mut stream = Blocking::connect(path).map_err(|e| {
        let text = match e.kind() {
            std::io::ErrorKind::PermissionDenied => {
                "Only root and the service's own user may do this. Try with sudo.".to_owned()
            }
            _ => format!("No Steward answers on {}. Is it running? (systemctl status steward)", path.display()),
        };
        Error::unavailable(text).with_cause(e)
    })?;
    let broken = |e: std::io::Error| Error::unavailable("The running Steward hung up.").with_cause(e);
    stream.set_read_timeout(Some(Duration::from_secs(60))).map_err(broken)?;
    let line = serde_json::to_string(request).map_err(Error::internal)?;
    writeln!(stream, "{line}").map_err(broken)?;
    let mut answer = String::new();
    BufReader::new(stream).read_line(&mut answer).map_err(broken)?;
    match serde_json::from_str(&answer).map_err(Error::internal)? {
        Answer::Ok(text) => Ok(text),
        Answer::Error(text) => Err(Error::conflict(text)),
    }
}
