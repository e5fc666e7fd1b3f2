//! From what a person writes (a name, Proxmox's number, an id) to one machine.

use super::client::{Api, part, query};
use super::complete;
use base::{Error, Result};
use clap_complete::engine::ArgValueCompleter;
use web::guests::rest::{GuestPage, GuestView};

/// The machine that a command is about.
#[derive(Debug, clap::Args)]
pub struct GuestArg {
    /// The machine's name, number or id.
    #[arg(value_name = "MACHINE", add = ArgValueCompleter::new(complete::guests))]
    pub guest: String,
}

impl GuestArg {
    /// `/guests/ID/PART`
    pub async fn path(&self, api: &mut Api, part: &str) -> Result<String> {
        Ok(format!("{}/{part}", path(api, &self.guest).await?))
    }
}

/// The most that one answer holds.
const PAGE: usize = 1_000;

/// All machines that fit `filter`, `most` at most.
pub async fn guests(api: &mut Api, filter: &str, sort: &str, most: usize) -> Result<Vec<GuestView>> {
    let (mut all, mut cursor) = (Vec::new(), String::new());
    loop {
        let limit = PAGE.min(most - all.len()).to_string();
        let pairs = [("q", filter), ("sort", sort), ("limit", &limit), ("cursor", &cursor)];
        let page: GuestPage = api.get(&format!("/guests{}", query(&pairs))).await?;
        all.extend(page.guests);
        match page.next {
            Some(next) if all.len() < most => cursor = next,
            _ => return Ok(all),
        }
    }
}

/// The one machine that is meant; `Conflict` when several have the name.
pub async fn guest(api: &mut Api, wanted: &str) -> Result<GuestView> {
    if uuid::Uuid::parse_str(wanted).is_ok() {
        return api.get(&format!("/guests/{}", part(wanted))).await;
    }
    // A bare word is looked for anywhere, so this brings the right one and some more.
    let found = guests(api, wanted, "", usize::MAX).await?;
    one(found, wanted)
}

/// `/guests/ID` of the one machine that is meant.
pub async fn path(api: &mut Api, wanted: &str) -> Result<String> {
    Ok(format!("/guests/{}", guest(api, wanted).await?.id))
}

fn one(found: Vec<GuestView>, wanted: &str) -> Result<GuestView> {
    let fits = |g: &GuestView| {
        g.name.eq_ignore_ascii_case(wanted) || g.vmid.is_some_and(|number| number.to_string() == wanted)
    };
    let mut exact: Vec<GuestView> = found.into_iter().filter(fits).collect();
    match exact.len() {
        1 => Ok(exact.swap_remove(0)),
        0 => Err(Error::not_found(format!("There is no machine “{wanted}” that you may see."))),
        n => {
            let number = |g: &GuestView| g.vmid.map_or_else(|| "none".to_owned(), |v| v.to_string());
            let ids = exact.iter().map(|g| format!("{} (number {}, on {})", g.id, number(g), g.node));
            let ids: Vec<String> = ids.collect();
            Err(Error::conflict(format!("{n} machines are called “{wanted}”. Give the id of one: {}.", ids.join(", "))))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn guest(name: &str, vmid: u32, node: &str) -> GuestView {
        serde_json::from_value(json!({
            "id": "0198f3a0000070008000000000000000", "vmid": vmid, "kind": "vm", "name": name, "node": node,
            "connection": "0198f3a0000070008000000000000000", "status": "running", "template": false, "owner": null,
            "right": "manage", "cpu": 0.1, "cores": 1.0, "memory": 1, "memory_max": 2, "disk_max": 3, "uptime": 4,
            "tags": [], "lock": null, "seen": null, "stale": false, "created": "2026-01-01T00:00:00Z",
        }))
        .unwrap()
    }

    #[test]
    fn a_machine_is_meant_by_name_or_number_and_never_guessed() {
        let all = || {
            vec![
                guest("web-1", 100, "pve1"),
                guest("web-10", 101, "pve1"),
                guest("db", 1000, "pve1"),
                guest("db", 1001, "pve2"),
            ]
        };
        assert_eq!(one(all(), "WEB-1").unwrap().vmid, Some(100));
        assert_eq!(one(all(), "101").unwrap().name, "web-10");
        assert!(one(all(), "web").unwrap_err().message().contains("no machine"));
        let twice = one(all(), "db").unwrap_err();
        assert!(twice.message().contains("number 1001, on pve2"), "{}", twice.message());
    }
}
