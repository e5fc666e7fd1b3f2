//! `steward nodes`.

use super::Common;
use super::table::{self, Cell, Row, state};
use base::Result;
use base::amounts::{bytes, percent, seconds};
use clap::Subcommand;
use std::process::ExitCode;
use web::system::nodes::{NodeList, NodeView};

#[derive(Debug, clap::Args)]
pub struct Nodes {
    #[command(flatten)]
    common: Common,
    #[command(subcommand)]
    verb: NodesCommand,
}

#[derive(Debug, Subcommand)]
enum NodesCommand {
    /// All nodes with their load.
    List,
}

impl Nodes {
    pub async fn run(self) -> Result<ExitCode> {
        let NodesCommand::List = self.verb;
        let all: NodeList = self.common.api()?.get("/nodes").await?;
        let nothing = "No node is known: no cluster is connected yet, or none has answered.";
        table::list(&self.common, &all.nodes, nothing);
        Ok(ExitCode::SUCCESS)
    }
}

impl Row for NodeView {
    const HEADS: &'static [&'static str] =
        &["name", "state", "cpu", "threads", "memory", "root disk", "machines", "up"];

    fn cells(&self) -> Vec<Cell> {
        let of = |used, all| Cell::number(format!("{} of {}", bytes(used), bytes(all)));
        vec![
            Cell::text(&self.name),
            state(if self.stale { "unknown" } else { &self.status }),
            Cell::number(percent(self.cpu)),
            Cell::number(self.threads),
            of(self.memory, self.memory_max),
            of(self.disk, self.disk_max),
            Cell::number(self.guests),
            Cell::maybe((self.uptime > 0).then(|| seconds(self.uptime))).right(),
        ]
    }
}
