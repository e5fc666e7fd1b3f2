//! `steward guests`: machines.

use super::super::say::say;
use super::actions::{self, Wait};
use super::bulk::Bulk;
use super::client::Api;
use super::create::Create;
use super::find::{self, GuestArg};
use super::moving::{Copy, Migrate, Template};
use super::table::{self, Cell, Row, state};
use super::{Common, complete, impact, sharing};
use base::amounts::{bytes, percent, seconds};
use base::{Error, Result};
use clap::Subcommand;
use clap_complete::engine::ArgValueCompleter;
use model::guests::{ActionKind, GuestKind};
use std::process::ExitCode;
use web::guests::rest::GuestView;

#[derive(Debug, clap::Args)]
pub struct Guests {
    #[command(flatten)]
    common: Common,
    #[command(subcommand)]
    verb: GuestsCommand,
}

#[derive(Debug, Subcommand)]
enum GuestsCommand {
    /// All machines that you may see.
    List {
        /// Filter words as on the page: `tag:web status:running jelly -node:pve3`.
        #[arg(
            long,
            short,
            default_value = "",
            hide_default_value = true,
            value_name = "WORDS",
            allow_hyphen_values = true
        )]
        filter: String,
        /// name, status, node, cpu, memory, vmid or uptime; `-` in front for descending order.
        #[arg(long, default_value = "name", value_name = "KEY", allow_hyphen_values = true)]
        sort: String,
        /// At most so many.
        #[arg(long, value_name = "COUNT")]
        limit: Option<usize>,
    },
    /// One machine.
    Show(GuestArg),
    /// Create a machine from a template or an ISO image.
    Create(Box<Create>),
    /// Start machines.
    Start(Asking),
    /// Ask the systems inside to shut down.
    Shutdown(Asking),
    /// Switch machines off at once, like pulling the plug.
    Stop(Asking),
    /// Ask the systems inside to restart.
    Reboot(Asking),
    /// Restart machines at once, like their reset button.
    Reset(Asking),
    /// Freeze machines in memory.
    Suspend(Asking),
    /// Resume frozen machines.
    Resume(Asking),
    /// Write what is in memory to a disk and switch off; starting it resumes where it left off.
    Hibernate(Asking),
    /// Make a copy.
    Clone(Box<Copy>),
    /// Turn a stopped machine into a template, which can't be undone.
    Template(Template),
    /// Move a machine to another node of its cluster.
    Migrate(Migrate),
    /// Who may do what with a machine.
    Access(sharing::Access),
    /// Let somebody see, use or manage a machine.
    Share(sharing::Share),
    /// Take back what somebody may do.
    Unshare(sharing::Unshare),
    /// Hand a machine over to another owner.
    Give(sharing::Give),
    /// One thing for several machines: snapshot, tags, migrate, give, delete.
    Bulk(Bulk),
    /// Delete machines with their disks. One that runs is switched off first.
    Delete(Asking),
    /// What depends on a machine: what would be lost, who would be cut off. Nothing is changed.
    Impact {
        #[command(flatten)]
        guest: GuestArg,
        /// What would be done: stop, shutdown, reboot, suspend, hibernate, delete, migrate, rollback or template.
        #[arg(long, default_value = "stop")]
        action: String,
        /// The snapshot to go back to, for rollback.
        #[arg(long, default_value = "", hide_default_value = true, value_name = "NAME")]
        snapshot: String,
    },
}

/// What may cut people off: on a terminal it is shown what depends on the machines, and asked.
#[derive(Debug, clap::Args)]
struct Asking {
    /// Names, numbers or ids.
    #[arg(value_name = "MACHINE", required = true, add = ArgValueCompleter::new(complete::guests))]
    guests: Vec<String>,
    /// Ask nothing.
    #[arg(long, short)]
    yes: bool,
    #[command(flatten)]
    wait: Wait,
}

impl Guests {
    pub async fn run(self) -> Result<ExitCode> {
        let Self { common, verb } = self;
        let mut api = common.api()?;
        match verb {
            GuestsCommand::List { filter, sort, limit } => list(&mut api, &common, &filter, &sort, limit).await,
            GuestsCommand::Show(one) => show(&mut api, &common, &one.guest).await,
            GuestsCommand::Create(create) => create.run(&mut api, &common).await,
            GuestsCommand::Start(asking) => act(&mut api, &common, asking, ActionKind::Start).await,
            GuestsCommand::Shutdown(asking) => act(&mut api, &common, asking, ActionKind::Shutdown).await,
            GuestsCommand::Stop(asking) => act(&mut api, &common, asking, ActionKind::Stop).await,
            GuestsCommand::Reboot(asking) => act(&mut api, &common, asking, ActionKind::Reboot).await,
            GuestsCommand::Reset(asking) => act(&mut api, &common, asking, ActionKind::Reset).await,
            GuestsCommand::Suspend(asking) => act(&mut api, &common, asking, ActionKind::Suspend).await,
            GuestsCommand::Resume(asking) => act(&mut api, &common, asking, ActionKind::Resume).await,
            GuestsCommand::Hibernate(asking) => act(&mut api, &common, asking, ActionKind::Hibernate).await,
            GuestsCommand::Delete(asking) => act(&mut api, &common, asking, ActionKind::Delete).await,
            GuestsCommand::Clone(copy) => copy.run(&mut api, &common).await,
            GuestsCommand::Template(template) => template.run(&mut api, &common).await,
            GuestsCommand::Migrate(migrate) => migrate.run(&mut api, &common).await,
            GuestsCommand::Access(access) => access.run(&mut api, &common).await,
            GuestsCommand::Share(share) => share.run(&mut api, &common).await,
            GuestsCommand::Unshare(unshare) => unshare.run(&mut api).await,
            GuestsCommand::Give(give) => give.run(&mut api).await,
            GuestsCommand::Bulk(bulk) => bulk.run(&mut api, &common).await,
            GuestsCommand::Impact { guest, action, snapshot } => {
                let found = find::guest(&mut api, &guest.guest).await?;
                let impact = impact::of(&mut api, &found, &action, &snapshot).await?;
                if !common.prints(&impact) {
                    impact::lines(&impact).iter().for_each(|line| say(line));
                }
                Ok(ExitCode::SUCCESS)
            }
        }
    }
}

fn shown(g: &GuestView) -> &str {
    if g.template && g.status == "stopped" { "template" } else { &g.status }
}

impl Row for GuestView {
    const HEADS: &'static [&'static str] =
        &["no.", "name", "state", "node", "cpu", "cores", "memory", "disk", "up", "owner", "tags"];

    fn cells(&self) -> Vec<Cell> {
        let running = self.status == "running";
        vec![
            Cell::maybe(self.vmid).right(),
            Cell::text(&self.name),
            state(shown(self)),
            Cell::text(&self.node),
            Cell::maybe(running.then(|| percent(self.cpu))).right(),
            Cell::number(self.cores),
            Cell::number(bytes(self.memory_max)),
            Cell::number(bytes(self.disk_max)),
            Cell::maybe(running.then(|| seconds(self.uptime))).right(),
            Cell::maybe(self.owner.as_ref()),
            Cell::text(self.tags.join(" ")),
        ]
    }
}

async fn list(api: &mut Api, common: &Common, filter: &str, sort: &str, limit: Option<usize>) -> Result<ExitCode> {
    if limit == Some(0) {
        return Err(Error::invalid("--limit must be 1 or more."));
    }
    let guests = find::guests(api, filter, sort, limit.unwrap_or(usize::MAX)).await?;
    let nothing = if filter.is_empty() { "There is no machine that you may see." } else { "No machine matches." };
    table::list(common, &guests, nothing);
    Ok(ExitCode::SUCCESS)
}

async fn show(api: &mut Api, common: &Common, wanted: &str) -> Result<ExitCode> {
    let g = find::guest(api, wanted).await?;
    if common.prints(&g) {
        return Ok(ExitCode::SUCCESS);
    }
    let mut facts = vec![
        ("Name", Cell::text(&g.name)),
        ("Id", Cell::text(g.id)),
        ("Number", Cell::maybe(g.vmid)),
        ("Kind", Cell::text(if g.kind == GuestKind::Container { "container" } else { "virtual machine" })),
        ("State", state(shown(&g))),
        ("Node", Cell::text(&g.node)),
        ("Owner", Cell::maybe(g.owner.as_ref())),
        ("Cores", Cell::text(format!("{}, {} in use", g.cores, percent(g.cpu)))),
        ("Memory", Cell::text(format!("{} of {}", bytes(g.memory), bytes(g.memory_max)))),
        ("Disk", Cell::text(bytes(g.disk_max))),
        ("Up", Cell::maybe((g.uptime > 0).then(|| seconds(g.uptime)))),
        ("Tags", Cell::text(g.tags.join(" "))),
        ("Lock", Cell::maybe(g.lock.as_ref())),
    ];
    if g.stale {
        let note = "Its host is not answering; this is the last known state.";
        facts.push(("Note", Cell::text(note).tone(table::Tone::Bad)));
    }
    facts.retain(|(_, cell)| !cell.is_empty());
    table::facts(&facts);
    Ok(ExitCode::SUCCESS)
}

/// The same for each machine. All names are looked up before anything is asked for: a typing mistake stops the whole.
async fn act(api: &mut Api, common: &Common, asking: Asking, kind: ActionKind) -> Result<ExitCode> {
    let mut guests = Vec::new();
    for name in &asking.guests {
        guests.push(find::guest(api, name).await?);
    }
    let names: Vec<String> = guests.iter().map(|g| table::plain(&g.name)).collect();
    let question = format!("{} {}?", impact::words(kind), names.join(", "));
    let action = kind.empty();
    impact::sure(api, &guests, &action, &question, asking.yes).await?;
    let mut jobs = Vec::new();
    for guest in &guests {
        jobs.push(api.act(guest, action.clone()).await?);
    }
    actions::finish(api, common, &asking.wait, jobs).await
}
