//! `steward login`, `logout`, `whoami`, `context`: which Stewards this computer knows, and its tokens there.

use super::super::say::{complain, say};
use super::client::{Api, address, part};
use super::contexts::{Context, Contexts};
use super::table::{self, Cell};
use super::tls::{self, Trust};
use super::{Common, complete, terminal};
use base::{Error, Kind, Result, Secret};
use clap::{Subcommand, ValueEnum};
use clap_complete::engine::ArgValueCandidates;
use serde_json::{Value, json};
use std::process::ExitCode;

#[derive(Debug, clap::Args)]
pub struct Login {
    /// The address of the pages, like `https://steward.lan:8443`.
    #[arg(value_name = "URL")]
    url: String,
    /// What to call it here; the host's name when left out.
    #[arg(long, short = 'c', value_name = "NAME")]
    context: Option<String>,
    /// Your login; asked for when left out.
    #[arg(long, value_name = "LOGIN", conflicts_with = "token_stdin")]
    user: Option<String>,
    /// Take an API token from standard input instead of asking for the password.
    #[arg(long)]
    token_stdin: bool,
    /// The certificate's SHA-256 fingerprint, so that nothing has to be asked.
    #[arg(long, value_name = "HEX")]
    fingerprint: Option<String>,
    /// What this computer may do: read, operate machines and jobs, or all that you may.
    #[arg(long, value_enum, default_value = "operate")]
    scope: ScopeName,
    /// How long its token is good.
    #[arg(long, default_value_t = 90, value_parser = clap::value_parser!(u32).range(1..=3650))]
    days: u32,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum ScopeName {
    Read,
    Operate,
    Full,
}

impl ScopeName {
    fn word(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Operate => "operate",
            Self::Full => "full",
        }
    }
}

impl Login {
    /// # Errors
    /// `Unavailable`; `Unauthenticated` for a certificate or password that is not right.
    pub async fn run(self) -> Result<ExitCode> {
        let url = address(&self.url)?;
        // Before anything is asked: a file that can't be read would lose the token.
        let mut contexts = Contexts::load()?;
        let trust = self.trust(&url).await?;
        let origin = url.origin().ascii_serialization();
        let (token, token_id) = if self.token_stdin {
            (terminal::piped()?, None)
        } else {
            let (token, id) = self.by_password(&url, &trust).await?;
            (token, Some(id))
        };
        let me = Api::with(url.clone(), trust.clone(), token.expose().clone()).get("/me").await?;
        let login = me["login"].as_str().unwrap_or_default().to_owned();
        let name = self.context.clone().unwrap_or_else(|| url.host_str().unwrap_or("steward").to_owned());
        let fingerprint = match &trust {
            Trust::Pin(pin) => Some(tls::colons(pin)),
            Trust::System => None,
        };
        let fresh =
            Context { url: origin.clone(), fingerprint, login: login.clone(), token_id, token: token.expose().clone() };
        let old = contexts.contexts.get(&name).cloned();
        contexts.put(&name, fresh);
        contexts.save()?;
        // The token that this one replaces would lie around for its whole time.
        if let Some(old) = old.filter(|o| o.token != *token.expose())
            && let Err(e) = take_back(old).await
        {
            tracing::debug!(error = e.chain(), "the token before could not be taken back");
        }
        say(&format!(
            "Signed in to {origin} as {} ({}), called “{name}” here.",
            table::plain(&login),
            me["scope"].as_str().unwrap_or_default(),
        ));
        Ok(ExitCode::SUCCESS)
    }

    /// The system's authorities vouch for the certificate, or the person accepts this very one.
    async fn trust(&self, url: &url::Url) -> Result<Trust> {
        let wanted = self.fingerprint.as_deref().map(tls::parse).transpose()?;
        let shown = tls::look(url).await?;
        if let Some(wanted) = wanted {
            return if wanted == shown.sha256 {
                Ok(Trust::Pin(wanted))
            } else {
                Err(Error::unauthenticated(format!(
                    "{} shows another certificate: {}. Nothing was sent.",
                    url.origin().ascii_serialization(),
                    tls::colons(&shown.sha256)
                )))
            };
        }
        if shown.vouched {
            return Ok(Trust::System);
        }
        complain(&format!(
            "{} shows a certificate that no authority known here vouches for:\n\n  For        {}\n  Signed by  {}\n  SHA-256    {}\n\nCompare the fingerprint with what “steward doctor” prints on its host.",
            url.origin().ascii_serialization(),
            table::plain(&shown.subject),
            table::plain(&shown.issuer),
            tls::colons(&shown.sha256),
        ));
        if !terminal::somebody() {
            return Err(Error::unauthenticated("Nobody is here to accept it. Give it with --fingerprint."));
        }
        if terminal::confirm("Is it the same?")? {
            Ok(Trust::Pin(shown.sha256))
        } else {
            Err(Error::unauthenticated("Not accepted. Nothing was sent."))
        }
    }

    /// Uses the password once, for a token of this computer.
    async fn by_password(&self, url: &url::Url, trust: &Trust) -> Result<(Secret<String>, String)> {
        let login = match &self.user {
            Some(login) => login.clone(),
            None => terminal::ask("Login: ")?,
        };
        let password = terminal::password(&format!("Password of {}: ", table::plain(&login)))?;
        let mut nobody = Api::with(url.clone(), trust.clone(), String::new());
        let asked = json!({ "login": login, "password": password.expose() });
        let session = nobody.post("/auth/token", Some(&asked)).await.map_err(|e| match e.kind() {
            // Without the advice to sign in, which is what was tried.
            Kind::Unauthenticated => {
                Error::unauthenticated(e.message().trim_end_matches(" To sign in again: steward login"))
            }
            _ => e,
        })?;
        let mut api = Api::with(url.clone(), trust.clone(), text(&session, "token")?);
        let wanted = json!({ "name": token_name(), "scope": self.scope.word(), "days": self.days });
        let made = api.post("/me/tokens", Some(&wanted)).await?;
        let ended = api.delete(&format!("/auth/token/{}", part(&text(&session, "id")?))).await;
        if let Err(e) = ended {
            tracing::debug!(error = e.chain(), "the short token ends by itself in 15 minutes");
        }
        Ok((Secret::new(text(&made, "token")?), text(&made, "id")?))
    }
}

fn text(value: &Value, key: &str) -> Result<String> {
    let found = value[key].as_str().map(str::to_owned);
    found.ok_or_else(|| Error::unavailable("What answers there is no Steward, or one of another version."))
}

/// So that it is known again on the profile page.
fn token_name() -> String {
    let host = nix::unistd::gethostname().map(|h| h.to_string_lossy().into_owned()).unwrap_or_default();
    let user = std::env::var("USER").unwrap_or_default();
    let name = if user.is_empty() { format!("steward on {host}") } else { format!("steward, {user} on {host}") };
    name.chars().take(60).collect()
}

/// Ends a context's own token. One that is refused already is as good as ended.
async fn take_back(context: Context) -> Result<()> {
    let id = context.token_id.clone();
    let mut api = Api::new(context)?;
    let id = match id {
        Some(id) => Some(id),
        None => current(&mut api).await?,
    };
    let Some(id) = id else { return Ok(()) };
    match api.delete(&format!("/me/tokens/{}", part(&id))).await {
        Err(e) if !matches!(e.kind(), Kind::Unauthenticated | Kind::NotFound) => Err(e),
        _ => Ok(()),
    }
}

/// The id of the token that is in use.
async fn current(api: &mut Api) -> Result<Option<String>> {
    let list = match api.get("/me/tokens").await {
        Err(e) if e.kind() == Kind::Unauthenticated => return Ok(None),
        other => other?,
    };
    let mine = list["tokens"].as_array().into_iter().flatten().find(|t| t["current"] == true);
    Ok(mine.and_then(|t| t["id"].as_str()).map(str::to_owned))
}

#[derive(Debug, clap::Args)]
pub struct Logout {
    /// Which; the current one when left out.
    #[arg(long, short = 'c', env = "STEWARD_CONTEXT", value_name = "NAME")]
    context: Option<String>,
    /// Only forget it here; its token stays good until its end. For a Steward that is gone for ever.
    #[arg(long)]
    local: bool,
}

impl Logout {
    /// # Errors
    /// `Unavailable` when the token can't be taken back now.
    pub async fn run(self) -> Result<ExitCode> {
        let mut contexts = Contexts::load()?;
        let (name, context) = contexts.choose(self.context.as_deref())?;
        if !self.local
            && let Err(e) = take_back(context.clone()).await
        {
            let why = format!("{} The token was not taken back; --local only forgets it here.", e.message());
            return Err(Error::new(e.kind(), why));
        }
        contexts.remove(&name);
        contexts.save()?;
        say(&format!("Signed out of {}.", context.url));
        Ok(ExitCode::SUCCESS)
    }
}

#[derive(Debug, clap::Args)]
pub struct Whoami {
    #[command(flatten)]
    common: Common,
}

impl Whoami {
    /// # Errors
    /// What the API refuses.
    pub async fn run(self) -> Result<ExitCode> {
        let (name, context) = Contexts::load()?.choose(self.common.context.as_deref())?;
        let url = context.url.clone();
        let me = Api::new(context)?.get("/me").await?;
        if self.common.json() {
            table::json(&me);
            return Ok(ExitCode::SUCCESS);
        }
        let text = |key: &str| Cell::text(me[key].as_str().unwrap_or_default());
        table::facts(&[
            ("Steward", Cell::text(format!("{url} (called {name})"))),
            ("Login", text("login")),
            ("Role", text("role")),
            ("May", text("scope")),
        ]);
        Ok(ExitCode::SUCCESS)
    }
}

#[derive(Debug, clap::Args)]
pub struct ContextArgs {
    #[command(subcommand)]
    verb: ContextVerb,
}

#[derive(Debug, Subcommand)]
enum ContextVerb {
    /// All Stewards that this computer is signed in to.
    List,
    /// Use this one from now on.
    Use {
        #[arg(value_name = "NAME", add = ArgValueCandidates::new(complete::contexts))]
        name: String,
    },
}

impl ContextArgs {
    /// # Errors
    /// `NotFound` for an unknown name.
    pub fn run(self) -> Result<ExitCode> {
        let mut contexts = Contexts::load()?;
        match self.verb {
            ContextVerb::List => {
                let current = contexts.choose(None).map(|(name, _)| name).ok();
                let row = |(name, c): (&String, &Context)| {
                    let mark = if Some(name) == current.as_ref() { "*" } else { "" };
                    vec![Cell::text(mark), Cell::text(name), Cell::text(&c.url), Cell::text(&c.login)]
                };
                let rows: Vec<Vec<Cell>> = contexts.contexts.iter().map(row).collect();
                table::print(&["", "name", "address", "login"], &rows, "This computer is signed in to no Steward.");
            }
            ContextVerb::Use { name } => {
                let (name, context) = contexts.choose(Some(&name))?;
                contexts.current = Some(name);
                contexts.save()?;
                say(&format!("{} is used from now on.", context.url));
            }
        }
        Ok(ExitCode::SUCCESS)
    }
}
