//! `steward nodes`.

use super::Common;
use super::table::{self, Cell, state};
use base::Result;
use clap::Subcommand;
use serde_json::Value;
use std::process::ExitCode;

#[derive(Debug, clap::Args)]
pub struct Nodes {
    #[command(flatten)]
    common: Common,
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// All nodes with their load.
    List,
}

impl Nodes {
    /// # Errors
    /// What the API refuses.
    pub async fn run(self) -> Result<ExitCode> {
        let Verb::List = self.verb;
        let nodes = self.common.api()?.get("/nodes").await?["nodes"].take();
        if self.common.json() {
            table::json(&nodes);
            return Ok(ExitCode::SUCCESS);
        }
        let row = |n: &Value| {
            let text = |key: &str| n[key].as_str().unwrap_or_default();
            let number = |key: &str| n[key].as_u64().unwrap_or(0);
            let used =
                |part: &str, all: &str| format!("{} of {}", table::bytes(number(part)), table::bytes(number(all)));
            let shown = if n["stale"] == true { "unknown" } else { text("status") };
            vec![
                Cell::text(text("name")),
                state(shown),
                Cell::number(table::share(n["cpu"].as_f64().unwrap_or(0.0))),
                Cell::number(n["threads"].as_f64().unwrap_or(0.0).to_string()),
                Cell::number(used("memory", "memory_max")),
                Cell::number(used("disk", "disk_max")),
                Cell::number(number("guests").to_string()),
                Cell::number(table::span(number("uptime"))),
            ]
        };
        let rows: Vec<Vec<Cell>> = nodes.as_array().into_iter().flatten().map(row).collect();
        let heads = ["name", "state", "cpu", "threads", "memory", "root disk", "machines", "up"];
        table::print(&heads, &rows, "No node is known: no cluster is connected yet, or none has answered.");
        Ok(ExitCode::SUCCESS)
    }
}
