//! `steward login`, `logout`, `whoami`, `context`: which Stewards this computer knows, and its tokens there.

use super::super::say::{complain, say};
use super::client::{Api, address, part};
use super::contexts::{Context, Contexts};
use super::table::{self, Cell};
use super::tls;
use super::{Common, complete, terminal};
use base::{Error, Kind, Result, Secret};
use clap::{Subcommand, ValueEnum};
use clap_complete::engine::ArgValueCandidates;
use remote::tls::{Trust, colons};
use serde_json::json;
use std::process::ExitCode;
use web::account::rest::Me;
use web::account::tokens::{ApiTokenList, FreshToken};
use web::sign_in::rest::AccessTokenView;

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
    /// The certificate's SHA-256 fingerprint, so that no question is asked.
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
        let me: Me = Api::with(url.clone(), trust.clone(), token.clone()).get("/me").await?;
        let name = self.context.clone().unwrap_or_else(|| url.host_str().unwrap_or("steward").to_owned());
        let fingerprint = match &trust {
            Trust::Fingerprints(pins) => pins.first().map(colons),
            Trust::System | Trust::Ca(_) => None,
        };
        let fresh = Context {
            url: origin.clone(),
            fingerprint,
            login: me.login.clone(),
            token_id,
            token: token.expose().clone(),
        };
        let old = contexts.contexts.get(&name).cloned();
        contexts.put(&name, fresh);
        contexts.save()?;
        // The token that this one replaces would lie around for its whole time.
        if let Some(old) = old.filter(|o| o.token != *token.expose())
            && let Err(e) = take_back(old).await
        {
            tracing::debug!(error = e.chain(), "the previous token could not be revoked");
        }
        say(&format!(
            "Signed in to {origin} as {} ({}), called “{name}” here.",
            table::plain(&me.login),
            me.scope.name(),
        ));
        Ok(ExitCode::SUCCESS)
    }

    /// The system's authorities vouch for the certificate, or the person accepts this very one.
    async fn trust(&self, url: &url::Url) -> Result<Trust> {
        let wanted = self.fingerprint.as_deref().map(tls::parse).transpose()?;
        let (shown, vouched) = tls::look(url).await?;
        if let Some(wanted) = wanted {
            return if wanted == shown.sha256 {
                Ok(Trust::Fingerprints(vec![wanted]))
            } else {
                Err(Error::unauthenticated(format!(
                    "{} presents a different certificate: {}. Nothing was sent.",
                    url.origin().ascii_serialization(),
                    shown.fingerprint()
                )))
            };
        }
        if vouched {
            return Ok(Trust::System);
        }
        complain(&format!(
            "{} presents a certificate that no authority known here vouches for:\n\n  For        {}\n  Signed by  {}\n  SHA-256    {}\n\nCompare the fingerprint with what “steward doctor” prints on its host.",
            url.origin().ascii_serialization(),
            table::plain(&shown.subject),
            table::plain(&shown.issuer),
            shown.fingerprint(),
        ));
        if !terminal::somebody() {
            return Err(Error::unauthenticated("Nobody is at the terminal to accept it. Give it with --fingerprint."));
        }
        if terminal::confirm("Is it the same?")? {
            Ok(Trust::Fingerprints(vec![shown.sha256]))
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
        let mut nobody = Api::with(url.clone(), trust.clone(), Secret::default());
        let asked = json!({ "login": login, "password": password.expose() });
        let session: AccessTokenView = nobody.post("/auth/token", &asked).await.map_err(|e| match e.kind() {
            // Without the advice to sign in, which is what was tried.
            Kind::Unauthenticated => {
                Error::unauthenticated(e.message().trim_end_matches(" To sign in again: steward login"))
            }
            _ => e,
        })?;
        let mut api = Api::with(url.clone(), trust.clone(), Secret::new(session.token));
        let wanted = json!({ "name": token_name(), "scope": self.scope.word(), "days": self.days });
        let made: FreshToken = api.post("/me/tokens", &wanted).await?;
        if let Err(e) = api.delete::<()>(&format!("/auth/token/{}", session.id)).await {
            tracing::debug!(error = e.chain(), "the short token ends by itself in 15 minutes");
        }
        Ok((Secret::new(made.token), made.about.about.id.to_string()))
    }
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
    match api.delete::<()>(&format!("/me/tokens/{}", part(&id))).await {
        Err(e) if !matches!(e.kind(), Kind::Unauthenticated | Kind::NotFound) => Err(e),
        _ => Ok(()),
    }
}

/// The id of the token that is in use.
async fn current(api: &mut Api) -> Result<Option<String>> {
    let list: ApiTokenList = match api.get("/me/tokens").await {
        Err(e) if e.kind() == Kind::Unauthenticated => return Ok(None),
        other => other?,
    };
    Ok(list.tokens.into_iter().find(|t| t.current).map(|t| t.about.id.to_string()))
}

#[derive(Debug, clap::Args)]
pub struct Logout {
    /// Which; the current one when left out.
    #[arg(long, short = 'c', env = "STEWARD_CONTEXT", value_name = "NAME")]
    context: Option<String>,
    /// Only forget it here; its token stays valid until it expires. For a Steward that is gone for ever.
    #[arg(long)]
    local: bool,
}

impl Logout {
    pub async fn run(self) -> Result<ExitCode> {
        let mut contexts = Contexts::load()?;
        let (name, context) = contexts.choose(self.context.as_deref())?;
        if !self.local
            && let Err(e) = take_back(context.clone()).await
        {
            let why = format!("{} The token was not revoked; --local only forgets it here.", e.message());
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
    pub async fn run(self) -> Result<ExitCode> {
        let (name, context) = Contexts::load()?.choose(self.common.context.as_deref())?;
        let url = context.url.clone();
        let me: Me = Api::new(context)?.get("/me").await?;
        if !self.common.prints(&me) {
            table::facts(&[
                ("Steward", Cell::text(format!("{url} (called {name})"))),
                ("Login", Cell::text(&me.login)),
                ("Role", Cell::text(me.role.name())),
                ("May", Cell::text(me.scope.name())),
            ]);
        }
        Ok(ExitCode::SUCCESS)
    }
}

#[derive(Debug, clap::Args)]
pub struct ContextArgs {
    #[command(subcommand)]
    verb: ContextCommand,
}

#[derive(Debug, Subcommand)]
enum ContextCommand {
    /// All Stewards that this computer is signed in to.
    List,
    /// Use this one from now on.
    Use {
        #[arg(value_name = "NAME", add = ArgValueCandidates::new(complete::contexts))]
        name: String,
    },
}

impl ContextArgs {
    pub fn run(self) -> Result<ExitCode> {
        let mut contexts = Contexts::load()?;
        match self.verb {
            ContextCommand::List => {
                let current = contexts.choose(None).map(|(name, _)| name).ok();
                let row = |(name, c): (&String, &Context)| {
                    let mark = if Some(name) == current.as_ref() { "*" } else { "" };
                    vec![Cell::text(mark), Cell::text(name), Cell::text(&c.url), Cell::text(&c.login)]
                };
                let rows: Vec<Vec<Cell>> = contexts.contexts.iter().map(row).collect();
                table::print(&["", "name", "address", "login"], &rows, "This computer is signed in to no Steward.");
            }
            ContextCommand::Use { name } => {
                let (name, context) = contexts.choose(Some(&name))?;
                contexts.current = Some(name);
                contexts.save()?;
                say(&format!("{} is used from now on.", context.url));
            }
        }
        Ok(ExitCode::SUCCESS)
    }
}
