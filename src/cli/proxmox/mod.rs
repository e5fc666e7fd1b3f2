//! `steward proxmox join` and `leave`: root on a Proxmox node makes, or removes, what Steward needs there, with
//! Proxmox' own `pveum`. Each command is printed before it is run, so nothing happens that a person could not
//! have typed. The service itself has no rights on the host; it only gets the token.

mod appliance;
mod host;
mod plan;
mod record;

use super::console::{Carried, Request};
use super::say::{complain, say};
use app::connections::Probe;
use app::joining::{Wanted, Way};
use appliance::Appliance;
use base::{Error, Kind, Result, Secret};
use clap::Subcommand;
use config::Settings;
use host::Host;
use plan::Step;
use record::Record;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

#[derive(Debug, Subcommand)]
pub(super) enum Verb {
    /// Make a role, a user and a token for Steward on this host's Proxmox, and connect to it. May be run again.
    Join(Join),
    /// Take away what `join` made: the connection, the token, and user and role when no other Steward uses them.
    Leave(Leave),
}

#[derive(Debug, clap::Args)]
pub(super) struct Join {
    /// Only say what would be done.
    #[arg(long)]
    dry_run: bool,
    /// What the connection is called; the cluster's or the host's name when left out.
    #[arg(long, value_name = "NAME")]
    name: Option<String>,
    /// As the package's timer does: nothing on a host without Proxmox or after `leave`, wait for the cluster, and
    /// follow renewed certificates.
    #[arg(long, conflicts_with_all = ["dry_run", "name"])]
    at_start: bool,
    #[command(flatten)]
    place: Place,
}

#[derive(Debug, clap::Args)]
pub(super) struct Leave {
    /// Only say what would be done.
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    place: Place,
}

#[derive(Debug, clap::Args)]
struct Place {
    /// Where this node's API answers, when pveproxy does not listen on 127.0.0.1.
    #[arg(long, value_name = "URL", default_value = "https://127.0.0.1:8006")]
    endpoint: String,
    /// Proxmox' settings.
    #[arg(long, value_name = "FOLDER", default_value = "/etc/pve", hide = true)]
    pve_dir: PathBuf,
    /// Where it is written down what was made, for the package's purge.
    #[arg(long, value_name = "FILE", default_value = record::FILE, hide = true)]
    record: PathBuf,
}

/// A cluster that boots may need minutes until it has quorum.
const PATIENCE: Duration = Duration::from_secs(300);

impl Verb {
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
        let host = Host::find(&self.place.pve_dir)?;
        host.is_ready().await?;
        let appliance = Appliance::reach(settings).await?;
        let joined = self.join(&host, &appliance).await;
        appliance.close().await;
        joined
    }

    /// What the package's timer runs every few minutes. Mostly it only compares certificates.
    async fn at_start(self, settings: Settings) -> Result<ExitCode> {
        let host = match Host::find(&self.place.pve_dir) {
            Ok(host) => host,
            Err(e) if e.kind() == Kind::NotFound => {
                say("This host has no Proxmox: there is nothing to join.");
                return Ok(ExitCode::SUCCESS);
            }
            Err(e) => return Err(e),
        };
        if Record::read(&self.place.record)?.is_some_and(|r| r.left) {
            say("Somebody left this Proxmox (steward proxmox leave); “steward proxmox join” joins again.");
            return Ok(ExitCode::SUCCESS);
        }
        let appliance = Appliance::reach(settings).await?;
        let wanted: Wanted = appliance.ask(Request::ProxmoxWanted { version: String::new() }).await?;
        let result = if wanted.known {
            self.follow_certificates(&host, &appliance, &wanted).await
        } else {
            host.wait_until_ready(PATIENCE).await?;
            self.join(&host, &appliance).await
        };
        appliance.close().await;
        result
    }

    async fn follow_certificates(&self, host: &Host, appliance: &Appliance, wanted: &Wanted) -> Result<ExitCode> {
        let (way, token_id) = (host.way(&self.place.endpoint)?, wanted.token_id());
        let current = Request::ProxmoxCurrent { token_id: token_id.clone(), way: way.clone() };
        match appliance.ask::<Option<bool>>(current).await? {
            Some(false) => {
                let keep = Request::ProxmoxKeep { name: String::new(), token_id, secret: None, way };
                appliance.ask::<bool>(keep).await?;
                say("The node's certificate is another one now; Steward accepts it.");
            }
            _ => tracing::debug!("joined already, and the certificate is the same"),
        }
        Ok(ExitCode::SUCCESS)
    }

    async fn join(&self, host: &Host, appliance: &Appliance) -> Result<ExitCode> {
        let version = host.version().await?;
        let wanted: Wanted = appliance.ask(Request::ProxmoxWanted { version: version.clone() }).await?;
        let found = host.found(&wanted.user).await?;
        let way = host.way(&self.place.endpoint)?;
        say(&format!("Proxmox VE {version} on this host. Steward's token: {}", wanted.token_id()));
        for note in plan::notes(&found, &wanted) {
            say(&note);
        }
        let steps = plan::join(&found, &wanted);
        if self.dry_run {
            return Ok(dry(&steps, "Steward would then keep the token and the certificate's CA."));
        }
        // Before anything is made: whatever happens from here on, purging the package finds it.
        Record::joined(&wanted, &found).write(&self.place.record)?;
        let secret = carry_out(host, &steps).await?;
        let name = match &self.name {
            Some(name) => name.clone(),
            None => host.name().await,
        };
        let fresh = secret.is_some();
        let keep =
            Request::ProxmoxKeep { name, token_id: wanted.token_id(), secret: secret.map(Carried), way: way.clone() };
        let changed: bool = appliance.ask(keep).await?;
        say(&match (changed, fresh) {
            (_, true) => format!("Steward keeps the token, sealed, and {}.", believes(&way)),
            (true, false) => format!("Steward {} from now on.", believes(&way)),
            (false, false) => "Steward has all it needs already.".to_owned(),
        });
        check(appliance, &wanted).await
    }
}

fn believes(way: &Way) -> &'static str {
    if way.ca.is_some() { "trusts the cluster's own CA" } else { "accepts just the certificate that this node shows" }
}

/// Asks Proxmox with the new token what it may do.
async fn check(appliance: &Appliance, wanted: &Wanted) -> Result<ExitCode> {
    match appliance.ask::<Probe>(Request::ProxmoxProbe { token_id: wanted.token_id() }).await {
        Ok(probe) if probe.missing.is_empty() => {
            say("It answers, and nothing is missing.");
            Ok(ExitCode::SUCCESS)
        }
        Ok(probe) => {
            say("It answers, but some rights are missing:");
            let mut commands: Vec<&str> = Vec::new();
            for right in &probe.missing {
                say(&format!("  {} on {}: {}", right.privilege, right.path, right.why));
                if !commands.contains(&right.command.as_str()) {
                    commands.push(&right.command);
                }
            }
            say(&format!("Run as root:\n  {}", commands.join("\n  ")));
            Ok(ExitCode::FAILURE)
        }
        Err(e) => Err(Error::unavailable(format!(
            "All is made and kept, but the API does not answer with it yet: {} Is pveproxy running, and does it listen \
             there (--endpoint)?",
            e.message()
        ))),
    }
}

fn dry(steps: &[Step], then: &str) -> ExitCode {
    if steps.is_empty() {
        say("Nothing is to be done on Proxmox.");
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
async fn carry_out(host: &Host, steps: &[Step]) -> Result<Option<Secret<String>>> {
    let mut secret = None;
    for step in steps {
        say(&format!("+ {}", step.shown()));
        let answer = host.run(&step.command).await?;
        if step.makes_token {
            secret = Some(host::token_value(&answer)?);
        }
    }
    Ok(secret)
}

impl Leave {
    async fn run(self, settings: Settings) -> Result<ExitCode> {
        let host = Host::find(&self.place.pve_dir)?;
        host.is_ready().await?;
        let appliance = Appliance::reach(settings).await?;
        let left = self.leave(&host, &appliance).await;
        appliance.close().await;
        left
    }

    async fn leave(&self, host: &Host, appliance: &Appliance) -> Result<ExitCode> {
        let wanted: Wanted = appliance.ask(Request::ProxmoxWanted { version: String::new() }).await?;
        let found = host.found(&wanted.user).await?;
        let (steps, kept) = plan::leave(&found, &wanted);
        if self.dry_run {
            let code = dry(&steps, "Steward would forget the connection first.");
            kept.iter().for_each(|line| say(line));
            return Ok(code);
        }
        // First, as it refuses while jobs are under way, and then nothing is taken from them.
        if appliance.ask::<bool>(Request::ProxmoxForget { token_id: wanted.token_id() }).await? {
            say("Steward has forgotten the connection. The machines go on.");
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

/// For messages: a path that is not UTF-8 is shown as well as it can be.
fn shown(path: &Path) -> String {
    path.display().to_string()
}
