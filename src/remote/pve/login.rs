//! Signing in with a password, once, to make the role and the token. The password is not kept.

use super::encode::cookie;
use super::endpoint::Endpoint;
use super::error::{PveError, PveErrorKind};
use super::value::as_bool;
use super::wire::{ANSWER_TIMEOUT, Ask, Auth, Miss, Wire};
use crate::tls::Trust;
use base::Secret;
use http::HeaderValue;
use serde_json::{Value, json};
use std::fmt;

/// A signed-in person's session at one node, good for two hours. Forget it when its work is done.
pub struct Ticket {
    wire: Wire,
    auth: Auth,
    /// `user@realm` as Proxmox names it.
    pub user: String,
}

impl fmt::Debug for Ticket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ticket")
            .field("endpoint", &self.wire.endpoint)
            .field("user", &self.user)
            .finish_non_exhaustive()
    }
}

impl Ticket {
    /// As `PveClient::call`, with the signed-in person's rights.
    pub async fn call(&self, method: &str, path: &str, params: &Value) -> Result<Value, PveError> {
        let ask = Ask::new(method, path, params)?;
        self.wire.exchange(&self.auth, &ask).await.map_err(|miss| match miss {
            Miss::Answered(e) if e.kind == PveErrorKind::Auth => {
                PveError { message: "The Proxmox session has ended. Sign in again.".to_owned(), ..e }
            }
            other => other.into_error(),
        })
    }
}

/// Signs in at `endpoint` as `user` (`root@pam`; `@pam` is added when there is no realm).
///
/// # Errors
/// `Auth` for a wrong name, password or code; with `errors["otp"]` when a code is needed and none was given.
pub async fn login(
    endpoint: &str,
    trust: &Trust,
    user: &str,
    password: &Secret<String>,
    otp: Option<&Secret<String>>,
) -> Result<Ticket, PveError> {
    let wire = Wire::new(endpoint.parse::<Endpoint>()?, trust, ANSWER_TIMEOUT)?;
    let user = if user.contains('@') { user.trim().to_owned() } else { format!("{}@pam", user.trim()) };
    let mut answer = ask(&wire, &json!({"username": user, "password": password.expose()})).await?;
    if answer.get("NeedTFA").and_then(as_bool) == Some(true) {
        // The ticket is only a challenge now; it comes back with the code in the password's place.
        let Some(code) = otp.map(|code| code.expose().trim()).filter(|c| !c.is_empty()) else {
            return Err(code_needed());
        };
        let challenge = text(&answer, "ticket")?;
        let second = json!({"username": user, "tfa-challenge": challenge, "password": format!("totp:{code}")});
        answer = ask(&wire, &second).await?;
    }
    let auth = Auth::Ticket {
        cookie: sensitive(&format!("PVEAuthCookie={}", cookie(&text(&answer, "ticket")?)))?,
        csrf: sensitive(&text(&answer, "CSRFPreventionToken")?)?,
    };
    let user = text(&answer, "username").unwrap_or(user);
    Ok(Ticket { wire, auth, user })
}

async fn ask(wire: &Wire, params: &Value) -> Result<Value, PveError> {
    let ask = Ask::new("POST", "/access/ticket", params)?;
    wire.exchange(&Auth::Nobody, &ask).await.map_err(|miss| {
        let e = miss.into_error();
        if e.kind == PveErrorKind::Auth {
            let message = "Proxmox does not accept this user name, password or code.".to_owned();
            return PveError { message, ..e };
        }
        e
    })
}

fn code_needed() -> PveError {
    let message = "This account has a second factor. Enter the 6-digit code too.";
    PveError::new(PveErrorKind::Auth, message).with_error("otp", "A code is needed.")
}

fn text(answer: &Value, key: &str) -> Result<String, PveError> {
    let found = answer.get(key).and_then(Value::as_str).map(str::to_owned);
    found.ok_or_else(|| PveError::new(PveErrorKind::Refused, "Proxmox's answer to the sign-in can't be read."))
}

fn sensitive(text: &str) -> Result<HeaderValue, PveError> {
    let mut value = HeaderValue::from_str(text)
        .map_err(|_| PveError::new(PveErrorKind::Refused, "Proxmox's answer to the sign-in can't be read."))?;
    value.set_sensitive(true);
    Ok(value)
}
