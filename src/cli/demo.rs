//! `steward demo` and `steward sim`: everything that can be tried without a Proxmox host.

use super::appliance::{Running, block_on};
use super::say::say;
use super::{Overrides, logging};
use app::Actor;
use app::users::NewUser;
use base::ids::ConnectionId;
use base::{Error, Result, Secret, random};
use config::Settings;
use model::connections::{Connection, Limits, PveAccess, Transport, Trust};
use model::sessions::Scope;
use model::users::Role;
use serde_json::json;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// Try Steward out with a simulated Proxmox cluster.
#[derive(Debug, clap::Args)]
pub(super) struct Demo {
    /// Print one line of JSON with url, login, password and token when ready, and nothing else.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    cluster: Cluster,
}

/// Run only the simulated Proxmox cluster.
#[derive(Debug, clap::Args)]
pub(super) struct Sim {
    #[command(flatten)]
    cluster: Cluster,
    /// Print one line of JSON with url, fingerprint, CA, token and password when ready.
    #[arg(long)]
    json: bool,
    /// Without the role and user of a Steward, as a fresh Proxmox is.
    #[arg(long)]
    bare: bool,
}

#[derive(Clone, Copy, Debug, clap::Args)]
struct Cluster {
    /// Machines in the simulated cluster, 0 to 5000.
    #[arg(long, default_value_t = 42, value_parser = clap::value_parser!(u32).range(0..=5000))]
    guests: u32,
    /// Nodes of the simulated cluster.
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u8).range(1..=16))]
    nodes: u8,
    /// How long things take against a real Proxmox: 1 is real time, 0.1 ten times faster.
    #[arg(long, default_value_t = 0.3)]
    time_scale: f64,
    /// Another number gives another cluster.
    #[arg(long, default_value_t = 1)]
    seed: u64,
}

impl Cluster {
    async fn start(self, listen: SocketAddr, bare: bool) -> Result<sim::Sim> {
        sim::start(sim::Options {
            listen,
            nodes: usize::from(self.nodes),
            guests: self.guests as usize,
            time_scale: self.time_scale,
            seed: self.seed,
            bare,
            ..sim::Options::default()
        })
        .await
    }
}

const FIRST_LOGIN: &str = "mira";

impl Demo {
    pub(super) fn run(self, flags: &Overrides) -> Result<ExitCode> {
        logging::start(flags.log.as_deref().unwrap_or(if self.json { "warn" } else { "steward=warn" }))?;
        let scratch = Scratch::new()?;
        let settings = settings(flags, &scratch.0)?;
        block_on(async move {
            let cluster = self.cluster.start(SocketAddr::from(([127, 0, 0, 1], 0)), false).await?;
            // Without the Internet templates can be tried too: small stand-ins for the publishers' images.
            let images = sim::images::Images::serve(served()).await?;
            let mut settings = settings;
            settings.image_mirror.get_or_insert_with(|| images.url.clone());
            let running = Running::start(settings).await?;
            let (password, token) = self.furnish(&running, &cluster).await?;
            let address = running.addresses.first().ok_or_else(|| Error::internal("no address"))?;
            let url = format!("https://{address}");
            if self.json {
                let line = json!({ "url": url, "login": FIRST_LOGIN, "password": password.expose(), "token": token.expose(), "sim": cluster.url, "pid": std::process::id() });
                say(&line.to_string());
            } else {
                say(&format!(
                    "\nSteward is ready, with a simulated Proxmox cluster of {} nodes and {} machines.\n\n  Open      {url}\n  Login     {FIRST_LOGIN}\n  Password  {}\n\nThe browser warns about the certificate: it was created just now, for you alone.\nEverything is gone when you stop it with Ctrl-C.",
                    self.cluster.nodes,
                    self.cluster.guests,
                    password.expose(),
                ));
            }
            running.until_told_to_stop().await;
            cluster.stop().await;
            Ok(ExitCode::SUCCESS)
        })
    }

    /// Makes the people and the connection. A data folder from an earlier demo gets a new password.
    async fn furnish(&self, running: &Running, cluster: &sim::Sim) -> Result<(Secret<String>, Secret<String>)> {
        let app = &running.app;
        let password = Secret::new(random::code(4).to_lowercase());
        let cookie = match app.setup().code() {
            Some(code) => {
                app.setup()
                    .first_admin(code.expose(), FIRST_LOGIN, password.clone(), "steward demo", "127.0.0.1")
                    .await?
                    .cookie
            }
            None => {
                let console = Actor::host_console();
                let user = app.users().by_login(&console, FIRST_LOGIN)?.user;
                let link = app.users().reset_link(&console, user.id).await?;
                app.invites().accept(link.expose(), password.clone(), "steward demo", "127.0.0.1").await?.cookie
            }
        };
        let mira = app.sessions().authenticate(cookie.expose(), "127.0.0.1")?;
        let (_, token) = app.tokens().create(&mira, "demo", Scope::Full, Some(30)).await?;
        self.people(running, &mira).await?;
        for old in app.connections().list(&mira)? {
            app.connections().remove(&mira, old.id).await?;
        }
        app.connections().add_known(&mira, connection(cluster, app.now())).await?;
        app.inventory().look().await;
        self.owners(running, &mira).await?;
        app.sessions().sign_out(&mira).await?;
        Ok((password, token))
    }

    async fn people(&self, running: &Running, mira: &Actor) -> Result<()> {
        for (login, name) in [("jon", "Jon"), ("ada", "Ada")] {
            if running.app.people().by_login(login).is_none() {
                let new = NewUser { login: login.into(), name: name.into(), email: String::new(), role: Role::User };
                running.app.users().invite(mira, new).await?;
            }
        }
        Ok(())
    }

    /// Deals the machines out, so that owners can be seen.
    async fn owners(&self, running: &Running, mira: &Actor) -> Result<()> {
        let people = running.app.people().all();
        let guests = running.app.guests().list(mira, "-is:template");
        for (guest, owner) in guests.iter().take(60).zip(people.iter().cycle()) {
            if guest.row.owner.is_none() {
                running.app.guests().set_owner(mira, guest.row.id, Some(owner.id), None).await?;
            }
        }
        Ok(())
    }
}

fn connection(cluster: &sim::Sim, now: base::Timestamp) -> Connection {
    Connection {
        id: ConnectionId::new(),
        name: "Home".to_owned(),
        plugin: "proxmox".to_owned(),
        transport: Transport::Pve(PveAccess {
            endpoints: vec![cluster.url.clone()],
            trust: Trust::Fingerprints(vec![cluster.fingerprint.to_vec()]),
            token_id: cluster.token_id.clone(),
            token_secret: cluster.token_secret.clone(),
        }),
        limits: Limits::default(),
        created: now,
        identity: None,
    }
}

/// Stand-ins for the images of the built-in catalogue, at the addresses that a mirror would have.
fn served() -> Vec<sim::images::Served> {
    let path = |url: &str| url.split_once("://").map(|(_, rest)| format!("/{rest}")).unwrap_or_default();
    let images = config::catalogue(None).images.into_iter();
    let served = images.map(|(image, _)| sim::images::Served {
        path: path(&image.url),
        list: image.checksums.as_deref().map(path),
        algorithm: image.algorithm.name().to_owned(),
        gib: (image.disk - 1).max(1),
    });
    served.collect()
}

/// The demo reads no settings file: it should be the same everywhere.
fn settings(flags: &Overrides, scratch: &Path) -> Result<Settings> {
    let mut settings = Settings {
        listen: vec![SocketAddr::from(([127, 0, 0, 1], 8443))],
        data_dir: scratch.join("data"),
        key_file: scratch.join("appliance.key"),
        socket: scratch.join("steward.sock"),
        plugins_dir: None,
        images_file: None,
        poll_seconds: 5,
        ..Settings::default()
    };
    flags.apply(&mut settings);
    if flags.data_dir.is_some() && flags.key_file.is_none() {
        // The key must outlive the scratch folder when the data does.
        let beside = settings.data_dir.with_extension("key");
        settings.key_file = beside;
    }
    settings.check()?;
    Ok(settings)
}

/// A private folder that goes away with the demo.
struct Scratch(PathBuf);

impl Scratch {
    fn new() -> Result<Self> {
        use std::os::unix::fs::DirBuilderExt as _;
        let path = std::env::temp_dir().join(format!("steward-demo-{}", random::token::<9>()));
        let made = std::fs::DirBuilder::new().mode(0o700).create(&path);
        made.map_err(|e| Error::invalid(format!("No scratch folder can be created in {}: {e}", path.display())))?;
        Ok(Self(path))
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

impl Sim {
    pub(super) fn run(self, flags: &Overrides) -> Result<ExitCode> {
        logging::start(flags.log.as_deref().unwrap_or("warn"))?;
        let listen = flags.listen.first().copied().unwrap_or_else(|| SocketAddr::from(([127, 0, 0, 1], 8006)));
        block_on(async move {
            let cluster = self.cluster.start(listen, self.bare).await?;
            let fingerprint = app::connections::fingerprint_text(&cluster.fingerprint);
            let (token, password) = (cluster.token_secret.expose(), cluster.root_password.expose());
            if self.json {
                let line = json!({ "url": cluster.url, "fingerprint": fingerprint, "ca": cluster.ca_pem, "token_id": cluster.token_id, "token_secret": token, "root_password": password });
                say(&line.to_string());
            } else {
                say(&format!(
                    "A simulated Proxmox cluster answers.\n\n  Address      {}\n  Fingerprint  {fingerprint}\n  Token        {}={token}\n  Login        root@pam, password {password}",
                    cluster.url, cluster.token_id,
                ));
            }
            tokio::signal::ctrl_c().await.map_err(Error::internal)?;
            cluster.stop().await;
            Ok(ExitCode::SUCCESS)
        })
    }
}
