//! `steward proxmox join` and `leave`: root on a Proxmox node makes, or removes, what Steward needs there, with
//! Proxmox's own tools. Each command is printed before it is run, so nothing happens that a person could not
//! have typed. The service itself has no rights on the host; it only gets the token.
//!
//! Root does not take orders from the service: what is created is defined in this program (the built-in plugin, whatever a folder
//! overrides). The service only supplies the mark at the end of the token's name, and that is checked.

mod appliance;
mod record;

use super::console::{Carried, Request};
use super::say::{complain, say};
use app::connections::access::Probe;
use appliance::Appliance;
use base::files::Files;
use base::{Error, Kind, Result, Secret};
use clap::Subcommand;
use config::Settings;
use plugin::Plugins;
use record::Record;
use remote::pve::AccessPlan;
use remote::pve::node::{self, LocalNode, NodeAddress, Step};
use serde_json::json;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

#[derive(Debug, Subcommand)]
pub(super) enum ProxmoxCommand {
    /// Create a role, a user and a token for Steward on this host's Proxmox, and connect to it. May be run again.
    Join(Join),
    /// Remove what `join` created: the connection, the token, and user and role when no other Steward uses them.
    Leave(Leave),
}

#[derive(Debug, clap::Args)]
pub(super) struct Join {
    /// Only say what would be done.
    #[arg(long)]
    dry_run: bool,
    /// The connection's name; the cluster's or the host's name if left out.
    #[arg(long, value_name = "NAME")]
    name: Option<String>,
    /// As the package's timer does: nothing on a host without Proxmox or after `leave`, wait for the cluster, and
    /// follow renewed certificates.
    #[arg(long, conflicts_with_all = ["dry_run", "name"])]
    at_start: bool,
    #[command(flatten)]
    place: NodeOptions,
}

#[derive(Debug, clap::Args)]
pub(super) struct Leave {
    /// Only say what would be done.
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    place: NodeOptions,
}

#[derive(Debug, clap::Args)]
struct NodeOptions {
    /// Where this node's API answers, when pveproxy does not listen on 127.0.0.1.
    #[arg(long, value_name = "URL", default_value = "https://127.0.0.1:8006")]
    endpoint: String,
    /// Proxmox's settings.
    #[arg(long, value_name = "FOLDER", default_value = "/etc/pve", hide = true)]
    pve_dir: PathBuf,
    /// Where `join` records what it created, for the package's purge.
    #[arg(long, value_name = "FILE", default_value = record::FILE, hide = true)]
    record: PathBuf,
}

/// A cluster that boots may need minutes until it has quorum.
const PATIENCE: Duration = Duration::from_secs(300);

impl ProxmoxCommand {
    pub(super) fn run(self, settings: Settings) -> Result<ExitCode> {
        super::logging::start("warn")?;
        super::appliance::block_on(async {
            match self {
                Self::Join(join) if join.at_start => join.at_start(settings).await,
                Self::Join(join) => join.run(settings).await,
                Self::Leave(leave) => leave.run(settings).await,
            }
        })
    }
}

impl Join {
    async fn run(self, settings: Settings) -> Result<ExitCode> {
        let host = LocalNode::find(&self.place.pve_dir)?;
        host.is_ready().await?;
        let plugins = settings.built_in.plugins;
        let appliance = Appliance::reach(settings).await?;
        let joined = self.join(&host, &appliance, plugins).await;
        appliance.close().await;
        joined
    }

    /// What the package's timer runs every few minutes. Mostly it only compares certificates.
    async fn at_start(self, settings: Settings) -> Result<ExitCode> {
        let host = match LocalNode::find(&self.place.pve_dir) {
            Ok(host) => host,
            Err(e) if e.kind() == Kind::NotFound => {
                say("This host has no Proxmox: there is nothing to join.");
                return Ok(ExitCode::SUCCESS);
            }
            Err(e) => return Err(e),
        };
        if Record::read(&self.place.record)?.is_some_and(|r| r.left) {
            say("Steward was made to leave this Proxmox (steward proxmox leave); “steward proxmox join” joins again.");
            return Ok(ExitCode::SUCCESS);
        }
        let plugins = settings.built_in.plugins;
        let appliance = Appliance::reach(settings).await?;
        let result = self.keep_joined(&host, &appliance, plugins).await;
        appliance.close().await;
        result
    }

    async fn keep_joined(&self, host: &LocalNode, appliance: &Appliance, plugins: Files) -> Result<ExitCode> {
        let token_id = access_plan(appliance, plugins, "").await?.token_id();
        let address = host.address(&self.place.endpoint)?;
        let current = Request::ProxmoxCurrent { token_id: token_id.clone(), address: address.clone() };
        match appliance.ask::<Option<bool>>(current).await? {
            None => {
                host.wait_until_ready(PATIENCE).await?;
                return self.join(host, appliance, plugins).await;
            }
            Some(false) => {
                let keep = Request::ProxmoxKeep { name: String::new(), token_id, secret: None, address };
                appliance.ask::<bool>(keep).await?;
                say("The node's certificate has changed; Steward accepts the new one.");
            }
            Some(true) => tracing::debug!("joined already, and the certificate is the same"),
        }
        Ok(ExitCode::SUCCESS)
    }

    async fn join(&self, host: &LocalNode, appliance: &Appliance, plugins: Files) -> Result<ExitCode> {
        let version = host.version().await?;
        let plan = access_plan(appliance, plugins, &version).await?;
        let access = host.access(&plan.user).await?;
        let address = host.address(&self.place.endpoint)?;
        let current = Request::ProxmoxCurrent { token_id: plan.token_id(), address: address.clone() };
        let has_secret = appliance.ask::<Option<bool>>(current).await?.is_some();
        say(&format!("Proxmox VE {version} on this host. Steward's token: {}", plan.token_id()));
        for note in node::notes(&access, &plan) {
            say(&note);
        }
        let steps = node::join(&access, &plan, has_secret);
        if self.dry_run {
            return Ok(dry(&steps, "Steward would then keep the token and the certificate's CA."));
        }
        // Before anything is made: whatever happens from here on, purging the package finds it.
        Record::joined(&plan, &access).write(&self.place.record)?;
        let secret = carry_out(host, &steps).await?;
        let name = match &self.name {
            Some(name) => name.clone(),
            None => host.name().await,
        };
        let fresh = secret.is_some();
        let believes = believes(&address);
        let keep = Request::ProxmoxKeep { name, token_id: plan.token_id(), secret: secret.map(Carried), address };
        let changed: bool = appliance.ask(keep).await?;
        say(&match (changed, fresh) {
            (_, true) => format!("Steward keeps the token, sealed, and {}.", believes),
            (true, false) => format!("Steward {} from now on.", believes),
            (false, false) => "Steward already has all it needs.".to_owned(),
        });
        check(appliance, &plan).await
    }
}

/// What is to be made on this host's Proxmox, of this version; empty: what every version knows.
async fn access_plan(appliance: &Appliance, plugins: Files, version: &str) -> Result<AccessPlan> {
    let mark: String = appliance.ask(Request::ProxmoxMark).await?;
    if !is_mark(&mark) {
        tracing::error!(?mark, "the service did not send the mark of a Steward");
        return Err(Error::forbidden("The service's answer is not the mark of a Steward. Nothing was done."));
    }
    let plugin = Plugins::built_in(plugins, "proxmox")?;
    let plan = plugin.call_pure("setup_plan", vec![json!(version), json!(mark)]).map_err(Error::internal)?;
    serde_json::from_value(plan).map_err(Error::internal)
}

/// It becomes part of a command of root.
fn is_mark(text: &str) -> bool {
    text.len() == 8 && text.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b))
}

fn believes(address: &NodeAddress) -> &'static str {
    if address.ca.is_some() {
        "trusts the cluster's own CA"
    } else {
        "accepts just the certificate that this node shows"
    }
}

/// Asks Proxmox with the new token what it may do. What the service says of it is shown and not done.
async fn check(appliance: &Appliance, plan: &AccessPlan) -> Result<ExitCode> {
    match appliance.ask::<Probe>(Request::ProxmoxProbe { token_id: plan.token_id() }).await {
        Ok(probe) if probe.missing.is_empty() => {
            say("It answers, and nothing is missing.");
            Ok(ExitCode::SUCCESS)
        }
        Ok(probe) => {
            say("It answers, but some rights are missing:");
            for right in &probe.missing {
                say(&printable(&format!("  {} on {}: {}", right.privilege, right.path, right.why)));
            }
            say(&format!("Run as root:\n  {}", node::grant(plan).shown()));
            Ok(ExitCode::FAILURE)
        }
        Err(e) => Err(Error::unavailable(format!(
            "Everything is created and stored, but the API does not accept it yet: {} Is pveproxy running, and does it listen \
             there (--endpoint)?",
            e.message()
        ))),
    }
}

fn dry(steps: &[Step], then: &str) -> ExitCode {
    if steps.is_empty() {
        say("There is nothing to do on Proxmox.");
    } else {
        say("Would run:");
    }
    for step in steps {
        say(&format!("  {}    # {}", step.shown(), step.what));
    }
    say(then);
    ExitCode::SUCCESS
}

/// Runs the steps in order; gives the secret of a token that was made.
async fn carry_out(host: &LocalNode, steps: &[Step]) -> Result<Option<Secret<String>>> {
    let mut secret = None;
    for step in steps {
        say(&format!("+ {}", step.shown()));
        let answer = host.run(&step.command).await?;
        if step.makes_token {
            secret = Some(node::token_value(&answer)?);
        }
    }
    Ok(secret)
}

impl Leave {
    async fn run(self, settings: Settings) -> Result<ExitCode> {
        let host = LocalNode::find(&self.place.pve_dir)?;
        host.is_ready().await?;
        let plugins = settings.built_in.plugins;
        let appliance = Appliance::reach(settings).await?;
        let left = self.leave(&host, &appliance, plugins).await;
        appliance.close().await;
        left
    }

    async fn leave(&self, host: &LocalNode, appliance: &Appliance, plugins: Files) -> Result<ExitCode> {
        let plan = access_plan(appliance, plugins, "").await?;
        let (steps, kept) = node::leave(&host.access(&plan.user).await?, &plan);
        if self.dry_run {
            let code = dry(&steps, "Steward would forget the connection first.");
            kept.iter().for_each(|line| say(line));
            return Ok(code);
        }
        // First, as it refuses while jobs are under way, and then nothing is taken from them.
        if appliance.ask::<bool>(Request::ProxmoxForget { token_id: plan.token_id() }).await? {
            say("Steward has forgotten the connection. The machines keep running.");
        }
        carry_out(host, &steps).await?;
        kept.iter().for_each(|line| say(line));
        Record::left().write(&self.place.record)?;
        if steps.is_empty() {
            complain("Nothing of Steward was found on this Proxmox.");
        }
        Ok(ExitCode::SUCCESS)
    }
}

/// Without characters that would move a terminal's cursor.
fn printable(text: &str) -> String {
    text.chars().map(|c| if base::text::is_hidden(c) { ' ' } else { c }).collect()
}

/// For messages: a path that is not UTF-8 is shown as well as it can be.
fn shown(path: &Path) -> String {
    path.display().to_string()
}

#[cfg(test)]
mod tests {
    use super::is_mark;

    #[test]
    fn of_the_service_only_a_mark_goes_into_a_command_of_root() {
        assert!(is_mark("1a2b3c4d"));
        for wrong in ["", "1a2b3c4", "1a2b3c4d5", "1A2B3C4D", "x; true ", "--privs=", "../../et"] {
            assert!(!is_mark(wrong), "{wrong}");
        }
    }
}
