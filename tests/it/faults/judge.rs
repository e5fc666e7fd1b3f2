//! What changed in the cluster, found without the plugin: the simulation's own state before and after.

use serde_json::Value;
use sim::Sim;
use std::collections::{BTreeMap, BTreeSet};

/// Values that are made up anew for each machine or each time.
const RANDOM: [&str; 6] = ["vmgenid", "smbios1", "meta", "digest", "snaptime", "sshkeys"];

/// Every fact of the cluster that a job could change: by the machine (or `volume`) and its name.
pub type Facts = BTreeMap<(String, String), String>;

pub fn facts(cluster: &Sim) -> Facts {
    let picture = cluster.picture();
    let mut found = Facts::new();
    for (vmid, guest) in picture["guests"].as_object().unwrap() {
        let mut put = |name: String, value: String| _ = found.insert((vmid.clone(), name), value);
        let state = match &guest["run"] {
            Value::Null => "stopped",
            run if run["paused"] == true => "paused",
            _ => "running",
        };
        put("state".into(), state.into());
        put("node".into(), text(&guest["node"]));
        for (key, value) in guest["config"].as_object().unwrap() {
            if !RANDOM.contains(&key.as_str()) {
                put(key.clone(), plain(&text(value)));
            }
        }
        for (key, value) in guest["pending"].as_object().unwrap() {
            let value = value.get("Set").map_or_else(|| "taken away".to_owned(), |v| plain(&text(v)));
            put(format!("{key} (waiting)"), value);
        }
        for snapshot in guest["snapshots"].as_array().unwrap() {
            let broken = if snapshot["broken"] == true { " BROKEN" } else { "" };
            let kind = if snapshot["vmstate"] == true { "with memory" } else { "disks" };
            put(format!("snapshot {}", text(&snapshot["name"])), format!("{kind}{broken}"));
        }
    }
    for (key, volume) in picture["volumes"].as_object().unwrap() {
        found.insert(("volume".into(), key.clone()), volume["size"].to_string());
    }
    found
}

pub fn is_locked(cluster: &Sim, vmid: u32, lock: &str) -> bool {
    cluster.picture()["guests"][vmid.to_string()]["config"]["lock"] == lock
}

fn text(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

/// Without what is made up anew each time: hardware addresses and jobs' marks.
fn plain(value: &str) -> String {
    // The day of a template's notes: time is skipped here.
    let lines = value.lines().map(|line| line.split(" made by Steward on ").next().unwrap_or_default());
    let lines = lines.map(|line| if line.starts_with("steward-job: ") { "steward-job" } else { line });
    let is_mac = |part: &str| part.len() == 17 && part.matches(':').count() == 5;
    let item = |item: &str| {
        let (name, value) = item.split_once('=').unwrap_or(("", item));
        if is_mac(value) { format!("{name}=MAC") } else { item.to_owned() }
    };
    let lines = lines.map(|line| line.split(',').map(item).collect::<Vec<_>>().join(","));
    lines.collect::<Vec<_>>().join(" ")
}

/// The difference in words, with the same words for the same thing in every run: a new machine's number is N.
pub fn difference(before: &Facts, after: &Facts) -> Vec<String> {
    let machines = |facts: &Facts| facts.keys().map(|(m, _)| m.clone()).collect::<BTreeSet<_>>();
    let (old, now) = (machines(before), machines(after));
    let new: Vec<&String> = now.difference(&old).collect();
    let mut lines: Vec<String> = old.difference(&now).map(|m| format!("{m}: machine is gone")).collect();
    let keys: BTreeSet<_> = before.keys().chain(after.keys()).collect();
    for key in keys {
        let (was, is) = (before.get(key), after.get(key));
        if was == is || (was.is_some() && !now.contains(&key.0)) {
            continue;
        }
        let none = "(none)".to_owned();
        let (machine, name) = key;
        let (was, is) = (was.unwrap_or(&none), is.unwrap_or(&none));
        lines.push(match new.iter().position(|m| *m == machine) {
            Some(0) => format!("new machine: {name} = {is}"),
            Some(n) => format!("new machine {}: {name} = {is}", n + 1),
            None => format!("{machine} {name}: {was} → {is}"),
        });
    }
    for line in &mut lines {
        for (n, machine) in new.iter().enumerate() {
            let number = if n == 0 { "N".to_owned() } else { format!("N{}", n + 1) };
            *line = line.replace(&format!("-{machine}-"), &format!("-{number}-"));
            *line = line.replace(&format!(":{machine}/"), &format!(":{number}/"));
        }
    }
    lines.sort();
    lines
}

/// Tasks that run in the cluster now, by their types. A backup is none of Steward's.
pub fn tasks_under_way(cluster: &Sim) -> Vec<String> {
    tasks(cluster).into_iter().filter(|(kind, over)| !over && kind != "vzdump").map(|(kind, _)| kind).collect()
}

/// Types of all tasks since the cluster was put back, with whether they are over.
pub fn tasks(cluster: &Sim) -> Vec<(String, bool)> {
    let picture = cluster.picture();
    let all = picture["tasks"].as_array().unwrap().iter();
    all.map(|t| (text(&t["kind"]), !t["exit"].is_null())).collect()
}

/// What is wrong with a text for people.
pub fn faults_of(text: &str, secret: &str) -> Vec<String> {
    const INTERNALS: [&str; 15] = [
        "UPID:",
        ".rhai",
        "panick",
        "stack",
        "Error(",
        "Err(",
        "/api2",
        "PVEAPIToken",
        "steward-job",
        "Dynamic",
        "Function not found",
        "kind:",
        "#{",
        "\n",
        " line ",
    ];
    let mut found: Vec<String> =
        INTERNALS.iter().filter(|i| text.contains(**i)).map(|i| format!("the text has {i:?} in it")).collect();
    if text.contains(secret) {
        found.push("the text has the token in it".to_owned());
    }
    if text.chars().next().is_none_or(|c| !c.is_uppercase()) {
        found.push("the text does not begin like a sentence".to_owned());
    }
    if text.split_whitespace().count() < 4 {
        found.push("the text is too short to help".to_owned());
    }
    found
}
