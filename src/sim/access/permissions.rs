//! What a caller may do on a path (pve-access-control: `roles` and `permissions` in AccessControl.pm
//! and RPCEnvironment.pm): going down the path a deeper entry replaces the roles from above, pools lend
//! their roles to their members, a token with privilege separation has what both it and its user have.

use super::data::AccessData;
use super::who::Who;
use crate::error::ApiError;
use crate::state::Cluster;
use crate::world::World;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};

/// Role name to whether it goes on to paths below.
type Roles<'a> = BTreeMap<&'a str, bool>;

/// Roles of one subject on a path, by the entries of its own kind only.
fn roles<'a>(access: &'a AccessData, kind: &str, subject: &str, path: &str) -> Roles<'a> {
    let mut found = Roles::new();
    for step in steps(path) {
        let here = access.acls.iter().filter(|a| a.path == step && a.kind == kind && a.subject == subject);
        let here: Roles<'a> =
            here.filter(|a| a.propagate || step == path).map(|a| (a.role.as_str(), a.propagate)).collect();
        if !here.is_empty() {
            found = here;
        }
    }
    if found.contains_key("NoAccess") { Roles::new() } else { found }
}

/// `/vms/100` gives `/`, `/vms`, `/vms/100`.
fn steps(path: &str) -> Vec<&str> {
    let mut out = vec!["/"];
    let ends = path.char_indices().skip(1).filter(|(_, c)| *c == '/').map(|(i, _)| i);
    out.extend(ends.map(|i| &path[..i]));
    if path != "/" {
        out.push(path);
    }
    out
}

/// Privileges of one subject on a path with their propagate flag.
fn privileges(c: &Cluster, kind: &str, subject: &str, path: &str) -> BTreeMap<String, bool> {
    let mut found = roles(&c.access, kind, subject, path);
    let pool = path.strip_prefix("/vms/").and_then(|id| id.parse().ok()).and_then(|id| c.pool_of(id)).or_else(|| {
        let storage = path.strip_prefix("/storage/")?;
        c.pools.iter().find(|(_, p)| p.storages.iter().any(|s| s == storage)).map(|(name, _)| name.as_str())
    });
    if let Some(pool) = pool {
        for (role, _) in roles(&c.access, kind, subject, &format!("/pool/{pool}")) {
            found.entry(role).or_insert(false);
        }
    }
    let mut out = BTreeMap::new();
    for (role, propagate) in found {
        for privilege in c.access.roles.get(role).into_iter().flatten() {
            *out.entry(privilege.clone()).or_insert(false) |= propagate;
        }
    }
    out
}

/// All privileges of the caller on a path.
pub fn on_path(c: &Cluster, who: &Who, path: &str) -> BTreeMap<String, bool> {
    let of_user = || match who.user.as_str() {
        "root@pam" => super::data::PRIVILEGES.iter().map(|p| ((*p).to_owned(), true)).collect(),
        user => privileges(c, "user", user, path),
    };
    let Some(_) = &who.token else { return of_user() };
    let id = who.id();
    if c.access.tokens.get(&id).is_some_and(|t| !t.privsep) {
        return of_user();
    }
    let user = of_user();
    privileges(c, "token", &id, path).into_iter().filter(|(p, _)| user.contains_key(p)).collect()
}

/// Whether the caller has one privilege on a path.
pub fn has(c: &Cluster, who: &Who, path: &str, privilege: &str) -> bool {
    who.is_root() || on_path(c, who, path).contains_key(privilege)
}

pub fn has_any(c: &Cluster, who: &Who, path: &str, wanted: &[&str]) -> bool {
    if who.is_root() {
        return true;
    }
    let got = on_path(c, who, path);
    wanted.iter().any(|p| got.contains_key(*p))
}

/// All of them, or 403 naming path and privileges.
pub fn require(c: &Cluster, who: &Who, path: &str, wanted: &[&str]) -> Result<(), ApiError> {
    if who.is_root() {
        return Ok(());
    }
    let got = on_path(c, who, path);
    if wanted.iter().all(|p| got.contains_key(*p)) { Ok(()) } else { Err(ApiError::denied(path, wanted, ",")) }
}

/// One of them, or 403.
pub fn require_any(c: &Cluster, who: &Who, path: &str, wanted: &[&str]) -> Result<(), ApiError> {
    if has_any(c, who, path, wanted) { Ok(()) } else { Err(ApiError::denied(path, wanted, "|")) }
}

/// `GET /access/permissions`: privileges by path, for the usual roots and every path an ACL names.
pub fn table(c: &Cluster, who: &Who, only: Option<&str>) -> Value {
    const ROOTS: &[&str] =
        &["/", "/access", "/access/groups", "/mapping", "/nodes", "/pool", "/sdn", "/storage", "/vms"];
    let mut paths: BTreeSet<&str> =
        ROOTS.iter().copied().chain(c.access.acls.iter().map(|a| a.path.as_str())).collect();
    if let Some(path) = only {
        paths = BTreeSet::from([path]);
    }
    let mut out = serde_json::Map::new();
    for path in paths {
        let got = on_path(c, who, path);
        if !got.is_empty() {
            out.insert(path.to_owned(), got.into_iter().map(|(p, on)| (p, json!(u8::from(on)))).collect());
        }
    }
    Value::Object(out)
}

/// The `cap` part of a ticket: what the user may do somewhere, by area.
pub fn capabilities(world: &World, who: &Who) -> Value {
    world.read(|c| {
        let area = |path: &str, prefix: &[&str]| {
            let got = on_path(c, who, path).into_keys().filter(|p| prefix.iter().any(|x| p.starts_with(x)));
            got.map(|p| (p, json!(1))).collect::<serde_json::Map<_, _>>()
        };
        json!({
            "vms": area("/vms", &["VM."]), "nodes": area("/nodes", &["Sys."]), "storage": area("/storage", &["Datastore."]),
            "dc": area("/", &["Sys.Audit", "SDN."]), "access": area("/access", &["User.", "Group."]),
            "sdn": area("/sdn", &["SDN."]), "mapping": area("/mapping", &["Mapping."]),
        })
    })
}
