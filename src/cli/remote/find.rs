//! From what a person writes (a name, Proxmox' number, an id) to one machine.

use super::client::{Api, part, query};
use base::{Error, Result};
use serde_json::Value;

/// The most that one answer holds.
const PAGE: usize = 1_000;

/// All machines that fit `filter`, `most` at most.
///
/// # Errors
/// What the API refuses.
pub async fn guests(api: &mut Api, filter: &str, sort: &str, most: usize) -> Result<Vec<Value>> {
    let (mut all, mut cursor) = (Vec::new(), String::new());
    loop {
        let limit = PAGE.min(most - all.len()).to_string();
        let pairs = [("q", filter), ("sort", sort), ("limit", &limit), ("cursor", &cursor)];
        let page = api.get(&format!("/guests{}", query(&pairs))).await?;
        all.extend(page["guests"].as_array().cloned().unwrap_or_default());
        match page["next"].as_str() {
            Some(next) if all.len() < most => next.clone_into(&mut cursor),
            _ => return Ok(all),
        }
    }
}

/// The one machine that is meant.
///
/// # Errors
/// `NotFound`; `Conflict` when several have the name.
pub async fn guest(api: &mut Api, wanted: &str) -> Result<Value> {
    if uuid::Uuid::parse_str(wanted).is_ok() {
        return api.get(&format!("/guests/{}", part(wanted))).await;
    }
    // A bare word is looked for anywhere, so this brings the right one and some more.
    let found = guests(api, wanted, "", usize::MAX).await?;
    one(found, wanted)
}

fn one(found: Vec<Value>, wanted: &str) -> Result<Value> {
    let exact = |g: &Value| {
        g["name"].as_str().is_some_and(|n| n.eq_ignore_ascii_case(wanted))
            || g["vmid"].as_u64().is_some_and(|v| v.to_string() == wanted)
    };
    let mut exact: Vec<Value> = found.into_iter().filter(exact).collect();
    match exact.len() {
        1 => Ok(exact.swap_remove(0)),
        0 => Err(Error::not_found(format!("There is no machine “{wanted}” that you may see."))),
        n => {
            let ids = exact.iter().map(|g| {
                let text = |key: &str| g[key].as_str().unwrap_or_default().to_owned();
                format!("{} (number {}, on {})", text("id"), g["vmid"], text("node"))
            });
            let ids: Vec<String> = ids.collect();
            Err(Error::conflict(format!("{n} machines are called “{wanted}”. Say which, by id: {}.", ids.join(", "))))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_machine_is_meant_by_name_or_number_and_never_guessed() {
        let all = || {
            vec![
                json!({ "id": "a", "name": "web-1", "vmid": 100, "node": "pve1" }),
                json!({ "id": "b", "name": "web-10", "vmid": 101, "node": "pve1" }),
                json!({ "id": "c", "name": "db", "vmid": 1000, "node": "pve1" }),
                json!({ "id": "d", "name": "db", "vmid": 1001, "node": "pve2" }),
            ]
        };
        assert_eq!(one(all(), "WEB-1").unwrap()["id"], "a");
        assert_eq!(one(all(), "101").unwrap()["id"], "b");
        assert!(one(all(), "web").unwrap_err().message().contains("no machine"));
        let twice = one(all(), "db").unwrap_err();
        assert!(twice.message().contains("number 1001, on pve2"), "{}", twice.message());
    }
}
