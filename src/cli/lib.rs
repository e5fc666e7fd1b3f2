//! The roof: reads flags and settings, builds everything, starts it, stops it; and the commands that speak to
//! a running appliance through its socket.

mod appliance;
mod console;
#[cfg(feature = "demo")]
mod demo;
mod doctor;
mod logging;
mod proxmox;
mod quiet;
mod remote;
mod say;
mod socket;

use base::files::BuiltIn;
use base::{Error, Result};
use clap::{CommandFactory, Parser, Subcommand, ValueEnum};
use config::{DEFAULT_FILE, Settings};
use say::{complain, say};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;

/// Virtual machines, accounts, servers and alerts of a household on one page, alongside Proxmox.
#[derive(Debug, Parser)]
#[command(name = "steward", version, arg_required_else_help = true)]
struct Arguments {
    /// The settings file.
    #[arg(
        long,
        global = true,
        help_heading = "Options on the appliance's own host",
        env = "STEWARD_CONFIG",
        value_name = "FILE"
    )]
    config: Option<PathBuf>,
    #[command(flatten)]
    overrides: Overrides,
    #[command(subcommand)]
    verb: TopCommand,
}

/// Flags are stronger than the environment and the file.
#[derive(Clone, Debug, Default, clap::Args)]
#[command(next_help_heading = "Options on the appliance's own host")]
struct Overrides {
    /// Where the pages are served, like 0.0.0.0:8443; may be given several times.
    #[arg(long, global = true, value_name = "ADDRESS:PORT")]
    listen: Vec<SocketAddr>,
    /// The folder of the store.
    #[arg(long, global = true, value_name = "FOLDER")]
    data_dir: Option<PathBuf>,
    /// The file with the appliance key; must lie outside the data folder.
    #[arg(long, global = true, value_name = "FILE")]
    key_file: Option<PathBuf>,
    /// The socket for commands on this host.
    #[arg(long, global = true, value_name = "FILE")]
    socket: Option<PathBuf>,
    /// Plugins that override and add to those in the binary.
    #[arg(long, global = true, value_name = "FOLDER")]
    plugins_dir: Option<PathBuf>,
    /// What is logged: error, warn, info, debug, or a tracing filter.
    #[arg(long, global = true, value_name = "FILTER")]
    log: Option<String>,
    /// Not a flag: what the program brings with it.
    #[arg(skip)]
    built_in: BuiltIn,
}

#[derive(Debug, Subcommand)]
enum TopCommand {
    /// Run the appliance (the package's unit does this).
    Serve,
    #[cfg(feature = "demo")]
    /// Try it out: a temporary store and a simulated Proxmox cluster, ready to sign in.
    Demo(demo::Demo),
    #[cfg(feature = "demo")]
    /// Run only the simulated Proxmox cluster.
    Sim(demo::Sim),
    /// Show the code that makes the first admin.
    SetupCode,
    /// Look after users.
    #[command(subcommand)]
    User(UserCommand),
    /// Look after plugins.
    #[command(subcommand)]
    Plugin(PluginCommand),
    /// Look after the audit log.
    #[command(subcommand)]
    Audit(AuditCommand),
    /// Join the Proxmox of this host, or leave it. Run as root on the node.
    #[command(subcommand)]
    Proxmox(proxmox::ProxmoxCommand),
    /// Check the settings, the key, the store, the plugins and Proxmox, and say what to do.
    Doctor,
    #[command(flatten)]
    Remote(remote::RemoteCommand),
    /// Print a completion script for a shell; names of machines and jobs are asked from the appliance.
    Completion { shell: clap_complete::Shell },
    /// Print the manual page, or write one for each command into a folder.
    #[command(hide = true)]
    Man {
        #[arg(long, value_name = "FOLDER")]
        all: Option<PathBuf>,
    },
    /// Print the reference of host functions for plugin authors (Markdown).
    #[command(hide = true)]
    PluginReference,
    /// Print the REST interface's OpenAPI document.
    #[command(hide = true)]
    Openapi,
}

#[derive(Debug, Subcommand)]
enum UserCommand {
    /// List all users.
    List,
    /// Create a user and print the one-time link for their first password.
    Add {
        login: String,
        #[arg(long, default_value = "user")]
        role: RoleName,
        #[arg(long, default_value = "")]
        email: String,
    },
    /// Print a one-time link to set a new password. What was sealed under the old one is lost.
    Reset { login: String },
    /// Forget failed sign-ins.
    Unlock { login: String },
    /// Let somebody sign in again.
    Activate { login: String },
    /// End all sessions of a user and keep them from signing in.
    Deactivate { login: String },
    /// Change what somebody may do.
    Role { login: String, role: RoleName },
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum RoleName {
    User,
    Admin,
}

#[derive(Debug, Subcommand)]
enum PluginCommand {
    /// List the plugins of the running appliance with their errors.
    List,
    /// Load a plugin's folder and run its tests.rhai. Needs no running appliance.
    Check { folder: PathBuf },
}

#[derive(Debug, Subcommand)]
enum AuditCommand {
    /// Check the whole chain and name the first bad entry.
    Verify,
}

/// Runs the command line of a program that brings these files with it.
pub fn main(built_in: BuiltIn) -> ExitCode {
    // When a shell asks for completions, this answers and ends the process.
    clap_complete::CompleteEnv::with_factory(Arguments::command).complete();
    let mut arguments = Arguments::parse();
    arguments.overrides.built_in = built_in;
    match run(arguments) {
        Ok(code) => code,
        Err(e) => {
            complain(&format!("steward: {}", e.message()));
            for text in e.fields().values() {
                complain(&format!("  {text}"));
            }
            tracing::debug!(error = e.chain(), "failed");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: Arguments) -> Result<ExitCode> {
    match arguments.verb {
        #[cfg(feature = "demo")]
        TopCommand::Demo(demo) => return demo.run(&arguments.overrides),
        #[cfg(feature = "demo")]
        TopCommand::Sim(sim) => return sim.run(&arguments.overrides),
        TopCommand::Remote(verb) => return Ok(remote::main(verb)),
        TopCommand::Completion { shell } => return completion(shell),
        TopCommand::Man { all } => return man(all.as_deref()),
        TopCommand::PluginReference => {
            say(&plugin::docs::markdown());
            return Ok(ExitCode::SUCCESS);
        }
        TopCommand::Openapi => {
            say(web::openapi_json());
            return Ok(ExitCode::SUCCESS);
        }
        TopCommand::Plugin(PluginCommand::Check { folder }) => {
            let report = plugin::check::run(arguments.overrides.built_in.plugins, &folder);
            say(&report.to_string());
            return Ok(if report.failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE });
        }
        _ => {}
    }
    let settings = load(arguments.config.as_deref(), &arguments.overrides)?;
    match arguments.verb {
        TopCommand::Serve => appliance::serve(settings),
        TopCommand::Doctor => Ok(doctor::run(&settings)),
        TopCommand::Proxmox(verb) => verb.run(settings),
        verb => {
            let answer = socket::ask(&settings.socket, &request(verb)?)?;
            say(&answer);
            Ok(ExitCode::SUCCESS)
        }
    }
}

/// The script that lets a shell ask this program for what fits.
fn completion(shell: clap_complete::Shell) -> Result<ExitCode> {
    let name = shell.to_string();
    let shells = clap_complete::env::Shells::builtins();
    let found = shells.completer(&name).ok_or_else(|| Error::invalid(format!("There is no script for {name}.")))?;
    let mut script = Vec::new();
    found.write_registration("COMPLETE", "steward", "steward", "steward", &mut script).map_err(Error::internal)?;
    say(&String::from_utf8_lossy(&script));
    Ok(ExitCode::SUCCESS)
}

fn man(folder: Option<&std::path::Path>) -> Result<ExitCode> {
    // Pages about the help of each command would only be in the way.
    let mut command = Arguments::command().disable_help_subcommand(true);
    match folder {
        Some(folder) => {
            // Each command's full name, like steward-guests-start.
            command.build();
            clap_mangen::generate_to(command, folder).map_err(Error::internal)?;
        }
        None => {
            let mut page = Vec::new();
            clap_mangen::Man::new(command).render(&mut page).map_err(Error::internal)?;
            say(&String::from_utf8_lossy(&page));
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// What a verb asks of the running appliance.
fn request(verb: TopCommand) -> Result<console::Request> {
    use console::Request;
    Ok(match verb {
        TopCommand::SetupCode => Request::SetupCode,
        TopCommand::User(UserCommand::List) => Request::Users,
        TopCommand::User(UserCommand::Add { login, role, email }) => {
            Request::AddUser { login, email, admin: role.is_admin() }
        }
        TopCommand::User(UserCommand::Reset { login }) => Request::ResetUser { login },
        TopCommand::User(UserCommand::Unlock { login }) => Request::UnlockUser { login },
        TopCommand::User(UserCommand::Activate { login }) => Request::SetActive { login, active: true },
        TopCommand::User(UserCommand::Deactivate { login }) => Request::SetActive { login, active: false },
        TopCommand::User(UserCommand::Role { login, role }) => Request::SetRole { login, admin: role.is_admin() },
        TopCommand::Plugin(PluginCommand::List) => Request::Plugins,
        TopCommand::Audit(AuditCommand::Verify) => Request::VerifyAudit,
        other => return Err(Error::internal(format!("{other:?} needs no running appliance"))),
    })
}

impl RoleName {
    fn is_admin(self) -> bool {
        matches!(self, Self::Admin)
    }
}

fn load(file: Option<&std::path::Path>, flags: &Overrides) -> Result<Settings> {
    let path = file.unwrap_or_else(|| std::path::Path::new(DEFAULT_FILE));
    let mut settings = Settings::load(path, file.is_some(), std::env::vars())?;
    flags.apply(&mut settings);
    settings.check()?;
    Ok(settings)
}

impl Overrides {
    fn apply(&self, settings: &mut Settings) {
        let set = |target: &mut PathBuf, flag: &Option<PathBuf>| {
            if let Some(path) = flag {
                target.clone_from(path);
            }
        };
        settings.built_in = self.built_in;
        set(&mut settings.data_dir, &self.data_dir);
        set(&mut settings.key_file, &self.key_file);
        set(&mut settings.socket, &self.socket);
        if !self.listen.is_empty() {
            settings.listen.clone_from(&self.listen);
        }
        if self.plugins_dir.is_some() {
            settings.plugins_dir.clone_from(&self.plugins_dir);
        }
        if let Some(log) = &self.log {
            settings.log.clone_from(log);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_well_formed() {
        Arguments::command().debug_assert();
    }

    #[test]
    fn flags_are_stronger_than_the_file() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("s.toml");
        std::fs::write(&file, "listen = ['127.0.0.1:1']\nworkers = 2").unwrap();
        let flags = Overrides { listen: vec!["127.0.0.1:9".parse().unwrap()], ..Overrides::default() };
        let settings = load(Some(&file), &flags).unwrap();
        assert_eq!((settings.listen[0].port(), settings.workers), (9, 2));
    }
}
