//! `steward api`: any call, for what has no command of its own.

use super::super::say::say;
use super::{Common, client, explain, table};
use base::text::without_mark;
use base::{Error, Result};
use http::Method;
use serde_json::Value;
use std::io::Read as _;
use std::process::ExitCode;

#[derive(Debug, clap::Args)]
pub struct Raw {
    #[command(flatten)]
    common: Common,
    /// GET, POST, PUT, PATCH or DELETE.
    #[arg(value_name = "METHOD")]
    method: String,
    /// Like /guests or /api/v1/guests; `steward api GET /openapi.json` lists them all.
    #[arg(value_name = "PATH")]
    path: String,
    /// The body; `-` reads it from standard input.
    #[arg(value_name = "JSON")]
    body: Option<String>,
}

impl Raw {
    pub async fn run(self) -> Result<ExitCode> {
        let method = match self.method.to_uppercase().as_str() {
            "GET" => Method::GET,
            "POST" => Method::POST,
            "PUT" => Method::PUT,
            "PATCH" => Method::PATCH,
            "DELETE" => Method::DELETE,
            other => {
                return Err(Error::invalid(format!("“{other}” is not a method: use GET, POST, PUT, PATCH or DELETE.")));
            }
        };
        let path = match self.path.trim_start_matches('/') {
            p if p.starts_with("api/") => format!("/{p}"),
            p => format!("/api/v1/{p}"),
        };
        let body = self.body.as_deref().map(read).transpose()?;
        let (status, text) = self.common.api()?.raw(&method, &path, body.as_ref()).await?;
        match serde_json::from_slice::<Value>(&text) {
            Ok(value) => table::json(&value),
            Err(_) if text.is_empty() => {}
            Err(_) => say(&String::from_utf8_lossy(&text)),
        }
        if status.is_success() {
            return Ok(ExitCode::SUCCESS);
        }
        let e = client::problem(status, &text);
        explain(&e);
        Ok(ExitCode::from(super::code(e.kind())))
    }
}

fn read(text: &str) -> Result<Value> {
    let mut piped = String::new();
    let text = if text == "-" {
        std::io::stdin()
            .read_to_string(&mut piped)
            .map_err(|e| Error::invalid("Standard input can't be read.").with_cause(e))?;
        piped.as_str()
    } else {
        text
    };
    serde_json::from_str(without_mark(text)).map_err(|e| Error::invalid(format!("The body is not JSON: {e}.")))
}
