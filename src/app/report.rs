//! What a provider's `inventory` hook reports, read so that one odd value does not take a whole cluster away.

use base::{Error, Result};
use model::guests::GuestState;
use model::nodes::{Node, Reporter, Storage};
use serde::Deserialize as _;
use serde::de::DeserializeOwned;
use serde_json::Value;

/// A provider's `inventory` report.
#[derive(Clone, Debug)]
pub struct Report {
    pub guests: Vec<ReportedGuest>,
    pub nodes: Vec<Node>,
    pub storages: Vec<Storage>,
    /// Whether anything can be changed, where the list tells it.
    pub quorate: Option<bool>,
    /// What measures the machines, where that is a daemon that may be dead.
    pub reporter: Option<Reporter>,
    /// What could not be read.
    pub left_out: LeftOut,
}

/// Rows of a report that can't be read. The others count all the same.
#[derive(Clone, Debug, Default)]
pub struct LeftOut {
    /// A sentence for each, for people.
    pub sentences: Vec<String>,
    /// Numbers of the machines among them: they are there, whatever else is wrong.
    pub vmids: Vec<u32>,
    /// A machine among them has no number that can be read, so nobody knows which are missing.
    pub unnamed_guest: bool,
}

#[derive(Clone, Debug, serde::Deserialize)]
pub struct ReportedGuest {
    #[serde(deserialize_with = "model::lenient::id")]
    pub vmid: u32,
    pub kind: model::guests::GuestKind,
    #[serde(flatten)]
    pub state: GuestState,
}

impl Report {
    /// Reads what a provider gave. A row that can't be read is left out and told of, so that one odd value does not
    /// take a whole cluster away.
    ///
    /// # Errors
    /// `Unavailable` when it is no report at all.
    pub fn read(value: &Value) -> Result<Self> {
        let mut left_out = LeftOut::default();
        let list = |name: &str| value.get(name).and_then(Value::as_array).map(Vec::as_slice);
        let missing = || {
            Error::unavailable("The plugin for this connection gave a list that can't be read. See the Plugins page.")
        };
        let (guests, nodes) = (list("guests").ok_or_else(missing)?, list("nodes").ok_or_else(missing)?);
        let guests = guests.iter().filter_map(|row| left_out.read_guest(row)).collect();
        let nodes = nodes.iter().filter_map(|row| left_out.read("node", "name", row)).collect();
        let storages = list("storages").unwrap_or_default();
        let storages = storages.iter().filter_map(|row| left_out.read("storage", "name", row)).collect();
        let quorate = value.get("quorate").and_then(Value::as_bool);
        let reporter = value.get("reporter").and_then(|told| Reporter::deserialize(told).ok());
        Ok(Self { guests, nodes, storages, quorate, reporter, left_out })
    }
}

impl LeftOut {
    fn read_guest(&mut self, row: &Value) -> Option<ReportedGuest> {
        let read = self.read("machine", "vmid", row);
        if read.is_none() {
            match row.get("vmid").map(model::lenient::id) {
                Some(Ok(vmid)) => self.vmids.push(vmid),
                _ => self.unnamed_guest = true,
            }
        }
        read
    }

    fn read<T: DeserializeOwned>(&mut self, what: &str, name: &str, row: &Value) -> Option<T> {
        // The path costs time, so it is looked for only when there is a fault to tell of.
        if let Ok(read) = T::deserialize(row) {
            return Some(read);
        }
        let e = serde_path_to_error::deserialize::<_, T>(row).err()?;
        let name = match row.get(name) {
            Some(Value::String(name)) => format!(" {name}"),
            Some(Value::Number(number)) => format!(" {number}"),
            _ => String::new(),
        };
        let field = e.path().to_string();
        let field = if field == "." { String::new() } else { format!("“{field}”: ") };
        self.sentences.push(format!("The {what}{name} can't be read: {field}{}.", e.inner()));
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_row_that_can_not_be_read_takes_no_other_away() {
        let report = Report::read(&json!({
            "nodes": [{ "name": "pve1", "status": "online", "maxmem": "68719476736", "uptime": -3 }],
            "guests": [
                { "vmid": 100, "kind": "vm", "node": "pve1", "name": "a", "status": "running", "maxmem": "2147483648" },
                { "vmid": 101, "kind": "vm", "node": "pve1", "name": "b", "status": "running", "maxmem": "a lot" },
                { "vmid": [1], "kind": "vm", "node": "pve1", "name": "c", "status": "running" },
            ],
            "storages": [{ "node": "pve1", "name": "local", "status": "available", "content": [], "shared": false, "used": "x", "total": 1 }],
        }));
        let report = report.unwrap();
        assert_eq!((report.nodes[0].maxmem, report.nodes[0].uptime), (68_719_476_736, 0));
        assert_eq!(report.guests.iter().map(|g| (g.vmid, g.state.maxmem)).collect::<Vec<_>>(), [(100, 2_147_483_648)]);
        assert_eq!((report.left_out.vmids, report.left_out.unnamed_guest), (vec![101], true));
        let [first, _, last] = &report.left_out.sentences[..] else { panic!("{:?}", report.left_out.sentences) };
        assert!(first.contains("machine 101") && first.contains("a lot"), "{first}");
        assert!(last.contains("storage local") && last.contains("used"), "{last}");
        assert!(Report::read(&json!({ "nodes": [] })).is_err());
    }
}
