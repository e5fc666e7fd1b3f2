//! The document that is made of what was found.

use super::Cell;
use super::play::Played;
use super::work::{GROUPS, Work};
use model::jobs::JobState;
use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::Path;

type Found = [(Work, Vec<Cell>)];

/// All that is not as it must be.
pub fn wrongs(found: &Found) -> Vec<String> {
    let mut all = Vec::new();
    for (work, cells) in found {
        for cell in cells {
            for (n, played) in cell.played.iter().flatten().enumerate() {
                let mut wrongs = played.wrongs.clone();
                if cell.must_pass && played.state != JobState::Succeeded && !played.said.contains("as root:") {
                    wrongs.push(format!("it must succeed by itself, but is {}", played.state.name()));
                }
                let good = played.state == JobState::Succeeded;
                if !good && !played.left.is_empty() && !admits(&played.said) {
                    wrongs.push(format!("left behind without a word: {:?}", played.left));
                }
                if !wrongs.is_empty() {
                    let said = &played.said;
                    all.push(format!(
                        "- {} / {} / {n}: {}\n    [{said}]",
                        work.title(),
                        cell.title,
                        wrongs.join("\n    ")
                    ));
                }
            }
        }
    }
    all
}

/// Does the text say that something stays behind and what to do?
fn admits(said: &str) -> bool {
    ["clean up by hand", "Proxmox reported success", "too late", "as root:", "It is off now", "stays"]
        .iter()
        .any(|words| said.contains(words))
}

/// The worst of several.
fn worst(played: &[Played]) -> &Played {
    let rank = |p: &Played| match p.state {
        JobState::Succeeded => usize::from(!p.left.is_empty()),
        JobState::Cancelled => 2 + usize::from(!p.left.is_empty()) + usize::from(p.helped),
        _ => 5 + usize::from(!p.left.is_empty()),
    };
    played.iter().max_by_key(|p| rank(p)).expect("a row has at least one trouble")
}

fn sign(cell: &Cell) -> &'static str {
    match &cell.played {
        Err(_) => "–",
        Ok(all) => match worst(all) {
            p if p.state == JobState::Succeeded && p.left.is_empty() => "done",
            p if p.state == JobState::Succeeded => "done, warned",
            p if !p.left.is_empty() => "**left**",
            p if p.state == JobState::Cancelled => "cancelled",
            _ => "failed",
        },
    }
}

const HEAD: &str = "# Faults\n\nWhat happens to each job when something goes wrong at Proxmox while it runs. The test\n`each_trouble_during_each_job_ends_in_the_right_state` (tests/it/faults) makes these tables: it runs every job on a\nsimulated cluster, switches the fault on at the stated moment, and compares the cluster's own state with what\nthe job says. Afterwards either everything that a good run changes is there, once, or nothing is. A job that did not succeed is\ntried again when the fault is over, and that must succeed.\n\n| word | what it means |\n|---|---|\n| done | it succeeded by itself; after a passing fault it must |\n| done, warned | it is done, but a part is not as requested, and the job's log says so |\n| failed | nothing has changed; the text under the table is what the person reads |\n| cancelled | the person cancelled it, and nothing has changed |\n| **left** | something had happened already, or nobody can know it yet; the text says so, and trying again when the fault is over puts it right |\n| – | does not apply, by what a good run of the job does: no task that could fail, no machine to lock, nothing asked of the system inside |\n\nOne row stands for several runs where the fault can come at several calls or tasks; the worst of them is shown.\n\n";

pub fn document(found: &Found) -> String {
    let mut text = HEAD.to_owned();
    for (title, works) in GROUPS {
        let here: Vec<&(Work, Vec<Cell>)> = found.iter().filter(|(w, _)| works.contains(w)).collect();
        let Some((_, first)) = here.first() else { continue };
        _ = writeln!(text, "## {title}\n");
        let names: Vec<&str> = here.iter().map(|(w, _)| w.title()).collect();
        _ = writeln!(text, "| fault | {} |\n|---|{}", names.join(" | "), "---|".repeat(names.len()));
        for (n, cell) in first.iter().enumerate() {
            let signs: Vec<&str> = here.iter().map(|(_, cells)| sign(&cells[n])).collect();
            _ = writeln!(text, "| {} | {} |", cell.title, signs.join(" | "));
        }
        text.push('\n');
        for (work, cells) in here {
            let told: Vec<String> = cells.iter().filter_map(told).collect();
            if !told.is_empty() {
                _ = writeln!(
                    text,
                    "### {}\n\n| fault | end | what the person reads |\n|---|---|---|\n{}\n",
                    capital(work.title()),
                    told.join("\n")
                );
            }
        }
    }
    format!("{}\n", text.trim_end())
}

fn capital(text: &str) -> String {
    let mut chars = text.chars();
    chars.next().map(|c| c.to_uppercase().chain(chars).collect()).unwrap_or_default()
}

/// The row of a cell that did not simply succeed.
fn told(cell: &Cell) -> Option<String> {
    let p = worst(cell.played.as_ref().ok()?);
    let end = match p.state {
        JobState::Succeeded if p.left.is_empty() => return None,
        JobState::Succeeded => "done, with a warning".to_owned(),
        JobState::Failed if p.helped => "failed; tried again after the commands: succeeded".to_owned(),
        JobState::Cancelled if p.helped => "cancelled, once the task was ended in Proxmox".to_owned(),
        state => state.name().to_owned(),
    };
    let end = match &p.waited {
        Some(words) => format!("waits (“{}”) until the person cancels; then {end}", steady(words)),
        None => end,
    };
    let end = if p.left.is_empty() { end } else { format!("{end}; stays behind: {}", short(&p.left)) };
    Some(format!("| {} | {end} | {} |", cell.title, steady(&p.said)))
}

/// What stays behind, without what goes with a machine or disk that is named already.
fn short(left: &[String]) -> String {
    let new = left.iter().any(|l| l.starts_with("new machine: "));
    let of_machines = left.iter().any(|l| !l.starts_with("volume "));
    let named = |l: &&String| !(l.starts_with("new machine") || (of_machines && l.starts_with("volume ")));
    let state = left.iter().find(|l| new && left.len() == 1 && l.contains(": state = "));
    let machine = if new && state.is_none() { Some("the new machine".to_owned()) } else { state.cloned() };
    machine.into_iter().chain(left.iter().filter(named).cloned()).collect::<Vec<_>>().join("; ")
}

/// Without what differs from run to run.
fn steady(said: &str) -> String {
    let mut out = String::new();
    let mut rest = said;
    while let Some(at) = rest.find("127.0.0.1:") {
        out.push_str(&rest[..at]);
        out.push_str("pve1:8006");
        rest = rest[at + 10..].trim_start_matches(|c: char| c.is_ascii_digit());
    }
    out.push_str(rest);
    out.replace('|', "/")
}

/// The document names the same jobs and faults. How each ended is judged by rules; where the moment of a fault decides
/// between two right ends, the document shows the one of the run that wrote it.
pub fn compare(wanted: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/FAULTS.md");
    if std::env::var_os("UPDATE_DOCS").is_some() {
        std::fs::write(path, wanted).unwrap();
        return;
    }
    let present = std::fs::read_to_string(&path).unwrap_or_default();
    let (has, wants) = (names(&present), names(wanted));
    let lacks: Vec<_> = wants.difference(&has).chain(has.difference(&wants)).collect();
    assert!(
        lacks.is_empty(),
        "docs/FAULTS.md is of other jobs or faults: {lacks:?}\nRun: UPDATE_DOCS=1 cargo test --test it faults::"
    );
}

/// Headings, first columns and the jobs in the heads of the tables.
fn names(document: &str) -> BTreeSet<String> {
    let lines = document.lines();
    let head = |l: &str| l.starts_with('#') || l.starts_with("| fault |");
    let name = |l: &str| if head(l) { l.to_owned() } else { l.split('|').nth(1).unwrap_or_default().trim().to_owned() };
    lines.map(name).filter(|n| !n.is_empty()).collect()
}
