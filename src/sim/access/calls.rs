//! Calls that manage users, roles, ACLs and tokens.

use super::data::{Acl, PRIVILEGES, Token, User};
use super::permissions::{has, has_any, require};
use crate::dispatch::Call;
use crate::error::ApiError;
use crate::formats;
use crate::http::answer::Answer;
use crate::schema::items;
use serde_json::{Value, json};
use std::collections::BTreeSet;

/// Roles that every cluster has and nobody may change.
fn built_in(role: &str) -> bool {
    role.starts_with("PVE") || matches!(role, "Administrator" | "NoAccess")
}

pub fn roles(call: &Call) -> Answer {
    let one = |(id, privs): (&String, &BTreeSet<String>)| {
        let privs: Vec<&str> = privs.iter().map(String::as_str).collect();
        json!({ "roleid": id, "privs": privs.join(","), "special": u8::from(built_in(id)) })
    };
    Ok(json!(call.world.read(|c| c.access.roles.iter().map(one).collect::<Vec<_>>())).into())
}

/// `GET /access/roles/{roleid}`: `{privilege: 1}`.
pub fn role(call: &Call) -> Answer {
    call.world.read(|c| {
        let id = call.arg("roleid");
        let privs = c.access.roles.get(id).ok_or_else(|| format!("role '{id}' does not exist"))?;
        Ok(Value::Object(privs.iter().map(|p| (p.clone(), json!(1))).collect()).into())
    })
}

fn privileges(text: &str) -> Result<BTreeSet<String>, ApiError> {
    let wanted = items(text);
    match wanted.iter().find(|p| !PRIVILEGES.contains(&p.as_str())) {
        Some(p) => Err(ApiError::param("privs", format!("invalid format - invalid privilege '{p}'\n"))),
        None => Ok(wanted.into_iter().collect()),
    }
}

pub fn role_add(call: &Call) -> Answer {
    let id = call.params.text("roleid");
    let privs = privileges(call.params.get("privs").unwrap_or_default())?;
    call.world.change(|c| {
        c.check_quorum()?;
        if c.access.roles.contains_key(&id) {
            return Err(ApiError::die(format!("role '{id}' already exists")));
        }
        if id.to_uppercase().starts_with("PVE") {
            return Err(ApiError::param(
                "roleid",
                format!("cannot use role ID starting with the (case-insensitive) 'PVE' namespace: '{id}'"),
            ));
        }
        c.access.roles.insert(id, privs);
        Ok(Value::Null.into())
    })
}

pub fn role_change(call: &Call) -> Answer {
    let id = call.arg("roleid").to_owned();
    let privs = privileges(call.params.get("privs").unwrap_or_default())?;
    let append = call.params.flag("append");
    call.world.change(|c| {
        c.check_quorum()?;
        let role = c.access.roles.get_mut(&id).ok_or_else(|| format!("role '{id}' does not exist"))?;
        if built_in(&id) {
            return Err(ApiError::die(format!("auto-generated role '{id}' cannot be modified")));
        }
        if !append {
            role.clear();
        }
        role.extend(privs);
        Ok(Value::Null.into())
    })
}

pub fn role_remove(call: &Call) -> Answer {
    let id = call.arg("roleid").to_owned();
    call.world.change(|c| {
        if built_in(&id) {
            return Err(ApiError::die(format!("auto-generated role '{id}' cannot be deleted")));
        }
        c.access.roles.remove(&id).ok_or_else(|| format!("role '{id}' does not exist"))?;
        c.access.acls.retain(|a| a.role != id);
        Ok(Value::Null.into())
    })
}

/// Everybody sees itself; others with Sys.Audit or User.Modify.
pub fn users(call: &Call) -> Answer {
    Ok(json!(call.world.read(|c| {
        let all = has_any(c, &call.who, "/access", &["User.Modify", "Sys.Audit"]);
        let seen = c.access.users.iter().filter(|(id, _)| all || **id == call.who.user);
        let one = |(id, u): (&String, &User)| {
            let realm = id.rsplit('@').next().unwrap_or_default();
            json!({ "userid": id, "enable": u8::from(u.enabled), "expire": 0, "comment": u.comment, "realm-type": realm })
        };
        seen.map(one).collect::<Vec<_>>()
    }))
    .into())
}

pub fn user(call: &Call) -> Answer {
    call.world.read(|c| {
        let id = call.arg("userid");
        if *id != call.who.user && !has_any(c, &call.who, "/access", &["User.Modify", "Sys.Audit"]) {
            return Err(ApiError::denied_bare());
        }
        let found = c.access.users.get(id).ok_or_else(|| format!("no such user ('{id}')"))?;
        Ok(json!({ "enable": u8::from(found.enabled), "expire": 0, "comment": found.comment, "groups": [] }).into())
    })
}

pub fn user_add(call: &Call) -> Answer {
    let (p, id) = (&call.params, call.params.text("userid"));
    call.world.change(|c| {
        c.check_quorum()?;
        if c.access.users.contains_key(&id) {
            return Err(ApiError::die(format!("create user failed: user '{id}' already exists")));
        }
        let enabled = p.get("enable") != Some("0");
        let password = p.get("password").map(str::to_owned);
        c.access.users.insert(id, User { enabled, comment: p.text("comment"), password });
        Ok(Value::Null.into())
    })
}

pub fn user_remove(call: &Call) -> Answer {
    let id = call.arg("userid").to_owned();
    call.world.change(|c| {
        c.check_quorum()?;
        c.access.users.remove(&id).ok_or_else(|| format!("user '{id}' does not exist"))?;
        let own = format!("{id}!");
        c.access.tokens.retain(|t, _| !t.starts_with(&own));
        c.access.acls.retain(|a| a.subject != id && !a.subject.starts_with(&own));
        Ok(Value::Null.into())
    })
}

/// `GET /access/acl`: all with Sys.Audit or Permissions.Modify, else nothing.
pub fn acls(call: &Call) -> Answer {
    Ok(json!(call.world.read(|c| {
        let seen = |a: &&Acl| has_any(c, &call.who, &a.path, &["Sys.Audit", "Permissions.Modify"]);
        let one = |a: &Acl| json!({ "path": a.path, "type": a.kind, "ugid": a.subject, "roleid": a.role, "propagate": u8::from(a.propagate) });
        c.access.acls.iter().filter(seen).map(one).collect::<Vec<_>>()
    }))
    .into())
}

/// `PUT /access/acl`: gives or (with `delete=1`) takes roles on a path.
pub fn acl_change(call: &Call) -> Answer {
    let p = &call.params;
    let path = p.text("path");
    call.world.change(|c| {
        require(c, &call.who, &path, &["Permissions.Modify"])?;
        c.check_quorum()?;
        let subjects = [("user", p.list("users")), ("token", p.list("tokens")), ("group", p.list("groups"))];
        if subjects.iter().all(|(_, list)| list.is_empty()) {
            return Err(ApiError::param("users", "either 'users', 'groups' or 'tokens' is required."));
        }
        for role in p.list("roles") {
            if !c.access.roles.contains_key(&role) {
                return Err(ApiError::die(format!("role '{role}' does not exist")));
            }
            for (kind, subject) in subjects.iter().flat_map(|(k, all)| all.iter().map(move |s| (*k, s))) {
                known_subject(c, kind, subject)?;
                c.access
                    .acls
                    .retain(|a| !(a.path == path && a.kind == kind && a.subject == *subject && a.role == role));
                if !p.flag("delete") {
                    let propagate = p.get("propagate") != Some("0");
                    c.access.acls.push(Acl {
                        path: path.clone(),
                        kind: kind.into(),
                        subject: subject.clone(),
                        role: role.clone(),
                        propagate,
                    });
                }
            }
        }
        Ok(Value::Null.into())
    })
}

fn known_subject(c: &crate::state::Cluster, kind: &str, id: &str) -> Result<(), ApiError> {
    let there = match kind {
        "user" => c.access.users.contains_key(id),
        "token" => c.access.tokens.contains_key(id),
        _ => false,
    };
    if there { Ok(()) } else { Err(ApiError::die(format!("{kind} '{id}' does not exist"))) }
}

/// A user manages its own tokens; a token is not its user, so it needs User.Modify even for "its own".
fn may_manage(call: &Call) -> Result<(), ApiError> {
    let own = call.who.token.is_none() && call.who.user == call.arg("userid");
    let allowed = own || call.world.read(|c| has(c, &call.who, "/access/users", "User.Modify"));
    if allowed { Ok(()) } else { Err(ApiError::denied_bare()) }
}

fn full_id(call: &Call) -> String {
    format!("{}!{}", call.arg("userid"), call.arg("tokenid"))
}

fn info(token: &Token) -> Value {
    json!({ "privsep": u8::from(token.privsep), "expire": token.expire, "comment": token.comment })
}

pub fn tokens(call: &Call) -> Answer {
    may_manage(call)?;
    Ok(json!(call.world.read(|c| {
        let own = format!("{}!", call.arg("userid"));
        let mine = c.access.tokens.iter().filter_map(|(id, t)| id.strip_prefix(&own).map(|name| (name, t)));
        mine.map(|(name, t)| {
            let mut out = info(t);
            out["tokenid"] = json!(name);
            out
        })
        .collect::<Vec<_>>()
    }))
    .into())
}

pub fn token(call: &Call) -> Answer {
    may_manage(call)?;
    let id = full_id(call);
    call.world.read(|c| {
        let found = c.access.tokens.get(&id).ok_or_else(|| no_such_token(call))?;
        Ok(info(found).into())
    })
}

fn no_such_token(call: &Call) -> ApiError {
    ApiError::die(format!("no such token '{}' for user '{}'", call.arg("tokenid"), call.arg("userid")))
}

/// `POST`: the value is shown once.
pub fn token_add(call: &Call) -> Answer {
    may_manage(call)?;
    if let Err(text) = formats::token_id(call.arg("tokenid")) {
        return Err(ApiError::param("tokenid", text));
    }
    let (id, p) = (full_id(call), &call.params);
    call.world.change(|c| {
        c.check_quorum()?;
        if !c.access.users.contains_key(call.arg("userid")) {
            return Err(ApiError::die(format!("no such user ('{}')", call.arg("userid"))));
        }
        if c.access.tokens.contains_key(&id) {
            return Err(ApiError::param("tokenid", "Token already exists."));
        }
        let secret = uuid::Uuid::new_v4().to_string();
        let token = Token {
            secret: secret.clone(),
            privsep: p.get("privsep") != Some("0"),
            expire: p.int("expire").unwrap_or(0),
            comment: p.text("comment"),
        };
        let out = json!({ "full-tokenid": id, "info": info(&token), "value": secret });
        c.access.tokens.insert(id, token);
        Ok(out.into())
    })
}

/// `PUT`: changes it; with `regenerate=1` a new value.
pub fn token_change(call: &Call) -> Answer {
    may_manage(call)?;
    let (id, p) = (full_id(call), &call.params);
    call.world.change(|c| {
        c.check_quorum()?;
        let token = c.access.tokens.get_mut(&id).ok_or_else(|| no_such_token(call))?;
        if let Some(v) = p.get("privsep") {
            token.privsep = v == "1";
        }
        if let Some(v) = p.int("expire") {
            token.expire = v;
        }
        if let Some(v) = p.get("comment") {
            v.clone_into(&mut token.comment);
        }
        let mut out = info(token);
        if p.flag("regenerate") {
            token.secret = uuid::Uuid::new_v4().to_string();
            out["value"] = json!(token.secret);
            out["full-tokenid"] = json!(id);
        }
        Ok(out.into())
    })
}

pub fn token_remove(call: &Call) -> Answer {
    may_manage(call)?;
    let id = full_id(call);
    call.world.change(|c| {
        c.check_quorum()?;
        c.access.tokens.remove(&id).ok_or_else(|| no_such_token(call))?;
        c.access.acls.retain(|a| a.subject != id);
        Ok(Value::Null.into())
    })
}
