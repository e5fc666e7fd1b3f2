//! The caller: a user by ticket, or a token of one.

use super::tickets;
use crate::error::ApiError;
use crate::http::form::percent_decode;
use crate::http::request::Decoded;
use crate::world::World;
use subtle::ConstantTimeEq as _;

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Who {
    pub user: String,
    /// The token's own name, without the user.
    pub token: Option<String>,
}

impl Who {
    /// The cluster acting by itself.
    pub fn root() -> Self {
        Self { user: "root@pam".into(), token: None }
    }

    /// `user@realm` or `user@realm!token`.
    pub fn id(&self) -> String {
        self.token.as_ref().map_or_else(|| self.user.clone(), |t| format!("{}!{t}", self.user))
    }

    /// Only the literal login; a token of root is not root.
    pub fn is_root(&self) -> bool {
        self.user == "root@pam" && self.token.is_none()
    }
}

/// Finds out who calls. A cookie beats a token header: with a cookie the token is never looked at.
pub fn identify(world: &World, request: &Decoded) -> Result<Who, ApiError> {
    if let Some(ticket) = request.cookie.as_deref().and_then(ticket_cookie) {
        let csrf = (request.method != "GET").then(|| request.csrf.clone().unwrap_or_default());
        return tickets::check(world, &ticket, csrf.as_deref());
    }
    let header = request.authorization.as_deref().unwrap_or_default();
    let Some(token) = header.strip_prefix("PVEAPIToken") else { return Err(ApiError::unauthenticated("No ticket")) };
    by_token(world, token.trim_start_matches(['=', ' ']))
        .ok_or_else(|| ApiError::unauthenticated("Authentication failed!"))
}

fn by_token(world: &World, text: &str) -> Option<Who> {
    let (id, secret) = text.split_once('=')?;
    let (user, name) = id.split_once('!')?;
    let now = world.seconds();
    world.read(|c| {
        let token = c.access.tokens.get(id)?;
        let right = bool::from(token.secret.as_bytes().ct_eq(secret.as_bytes()));
        let good = right && (token.expire == 0 || token.expire > now) && c.access.users.get(user)?.enabled;
        good.then(|| Who { user: user.to_owned(), token: Some(name.to_owned()) })
    })
}

fn ticket_cookie(header: &str) -> Option<String> {
    let named = header.split(';').find_map(|part| part.trim().strip_prefix("PVEAuthCookie="))?;
    Some(percent_decode(named))
}
