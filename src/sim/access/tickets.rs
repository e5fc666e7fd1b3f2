//! Tickets: `POST /access/ticket`, the cookie `PVEAuthCookie`, the CSRF token. They live in memory only.

use super::who::Who;
use crate::dispatch::Call;
use crate::error::ApiError;
use crate::http::answer::Answer;
use crate::world::{World, lock};
use base::random;
use serde_json::json;

/// Seconds a ticket is good (2 hours and 5 minutes of grace).
const LIFETIME: i64 = 2 * 3600 + 300;

#[derive(Debug, Clone)]
pub struct Ticket {
    pub user: String,
    pub csrf: String,
    /// Unix seconds.
    pub until: i64,
}

/// Checks a cookie's ticket, and the CSRF token when `csrf` is given (for all but GET).
pub fn check(world: &World, ticket: &str, csrf: Option<&str>) -> Result<Who, ApiError> {
    let known = lock(&world.tickets).get(ticket).filter(|t| t.until > world.seconds()).cloned();
    let Some(known) = known else { return Err(ApiError::unauthenticated("invalid PVE ticket")) };
    if csrf.is_some_and(|c| c != known.csrf) {
        return Err(ApiError::unauthenticated("Permission denied - invalid csrf token"));
    }
    Ok(Who { user: known.user, token: None })
}

/// `POST /access/ticket`. A wrong password is a 401 with the JSON error, three seconds late.
pub fn login(call: &Call) -> Answer {
    let world = &call.world;
    let mut user = call.params.text("username");
    if let (false, Some(realm)) = (user.contains('@'), call.params.get("realm")) {
        user = format!("{user}@{realm}");
    }
    let password = call.params.text("password");
    if !good_password(world, &user, &password) {
        return Err(ApiError { delay: 3.0, ..ApiError::new(401, "authentication failure") });
    }
    let now = world.seconds();
    let ticket = format!("PVE:{user}:{now:08X}::{}", random::token::<48>());
    let csrf = format!("{now:08X}:{}", random::token::<32>());
    let cap = super::permissions::capabilities(world, &Who { user: user.clone(), token: None });
    let mut tickets = lock(&world.tickets);
    tickets.retain(|_, t| t.until > now);
    tickets.insert(ticket.clone(), Ticket { user: user.clone(), csrf: csrf.clone(), until: now + LIFETIME });
    drop(tickets);
    let name = world.read(|c| (c.nodes.len() > 1).then(|| c.name.clone()));
    let mut out = json!({ "ticket": ticket, "CSRFPreventionToken": csrf, "username": user, "cap": cap });
    if let Some(name) = name {
        out["clustername"] = json!(name);
    }
    Ok(out.into())
}

/// The password, or a ticket that is still good (that is how tickets are renewed).
fn good_password(world: &World, user: &str, password: &str) -> bool {
    if lock(&world.tickets).get(password).is_some_and(|t| t.user == user && t.until > world.seconds()) {
        return true;
    }
    if user == "root@pam" {
        return world.root_password.matches(password.as_bytes());
    }
    let stored = world.read(|c| c.access.users.get(user).filter(|u| u.enabled).and_then(|u| u.password.clone()));
    stored.is_some_and(|p| subtle::ConstantTimeEq::ct_eq(p.as_bytes(), password.as_bytes()).into())
}
