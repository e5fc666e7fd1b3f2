//! The words: one sentence for each fact and what is about to be done.

use super::{Fact, GoingDisk, Hit, HitKind, Item, Program, SnapshotFact, Weight};
use crate::access::GuestRight;
use crate::guests::{ActionKind, ActionKind as A};
use base::Timestamp;
use base::amounts::{bytes as size, count, duration, seconds};
use base::ids::{GuestId, JobId};

/// `2026-11-12 14:00 UTC` and `9 days ago`
fn when(at: Timestamp, now: Timestamp) -> (String, String) {
    let exact = at.to_utc().format("%Y-%m-%d %H:%M UTC").to_string();
    (exact, format!("{} ago", duration(at.until(now))))
}

fn kept(snapshot: &SnapshotFact, now: Timestamp) -> Item {
    let memory = if snapshot.memory { ", with memory" } else { "" };
    let (exact, ago) = when(snapshot.taken, now);
    Item::new(format!("{} ({exact}, {ago}{memory})", snapshot.name))
}

fn machines(list: &[(GuestId, String)]) -> Vec<Item> {
    list.iter().map(|(id, name)| Item::guest(name.clone(), *id)).collect()
}

fn jobs(list: &[(JobId, String)]) -> Vec<Item> {
    list.iter().map(|(id, title)| Item::job(title.clone(), *id)).collect()
}

fn hit(kind: HitKind, weight: Weight, text: impl Into<String>, brief: impl Into<String>) -> Hit {
    Hit { kind, weight, text: text.into(), brief: brief.into(), items: Vec::new(), more: 0 }
}

impl Hit {
    fn with(self, items: Vec<Item>, more: usize) -> Self {
        Self { items, more, ..self }
    }
}

/// People who use the machine are cut off by it, temporarily or for good.
fn interrupts(action: ActionKind) -> bool {
    !matches!(action, A::Migrate | A::Template)
}

/// Whether devices, replication and machines with linked disks matter: only then the provider is asked for them.
pub fn needs_ties(action: ActionKind) -> bool {
    matches!(action, A::Suspend | A::Hibernate | A::Delete | A::Migrate | A::Template)
}

impl Fact {
    /// What it means for this action; `None` when it does not matter.
    pub fn hit(&self, action: ActionKind) -> Option<Hit> {
        if !action.has_impact() {
            return None;
        }
        match self {
            Self::Steward { sure } => Some(steward(*sure, action)),
            Self::Protected => (action == A::Delete).then(|| {
                let text =
                    "It is protected: it can't be deleted until “Protected” is switched off on its Hardware page.";
                hit(HitKind::Protection, Weight::Blocks, text, "protected")
            }),
            Self::Locked(lock) => Some(locked(lock, action)),
            Self::Linked { machines: list, more } => linked(list, *more, action),
            Self::Copies { machines: list, more } => (action == A::Delete && list.len() + more > 0).then(|| {
                let n = list.len() + more;
                let words = count(n, "machine was created from it and stays", "machines were created from it and stay");
                let text = format!("{words}: nothing changes for {}.", if n == 1 { "it" } else { "them" });
                hit(HitKind::Copies, Weight::Known, text, words).with(machines(list), *more)
            }),
            Self::Jobs { jobs: list, more, overtaken } => at_work(list, *more, *overtaken && action == A::Stop),
            Self::Making { jobs: list, more } => making(list, *more, action),
            Self::Devices(list) => devices(list, action),
            Self::State { status, uptime } => state(status, *uptime, action),
            Self::Software(list) => software(list, action),
            Self::People { owner, shared, others } => people(owner.as_deref(), shared, *others, action),
            Self::Consoles { own, names, others } => consoles(*own, names, *others, action),
            Self::Disks { list, bytes } => (action == A::Delete).then(|| disks(list, *bytes)),
            Self::Snapshots { list, now } => snapshots(list, *now, action),
            Self::Since { to, newer, now } => (action == A::Rollback).then(|| since(to, newer, *now)),
            Self::HighAvailability(state) => high_availability(state, action),
            Self::Replication(nodes) => replication(nodes, action),
        }
    }
}

fn steward(sure: bool, action: ActionKind) -> Hit {
    let (weight, after) = match action {
        A::Delete => (Weight::Lost, "this page goes away for good, with all that Steward knows"),
        A::Rollback => (Weight::Lost, "this page goes away, and Steward forgets what it did since then"),
        A::Reboot | A::Reset => (Weight::Cut, "this page goes away until it is back"),
        A::Migrate => (Weight::Cut, "this page may stand still while it moves"),
        A::Template => (Weight::Lost, "this page goes away for good: a template can't be started"),
        _ => (Weight::Cut, "this page will go away, and nobody can start the machine from here"),
    };
    let text = match sure {
        true => format!("Steward itself runs here: {after}."),
        false => format!("It has the same name as the computer that Steward runs on. If it is that computer: {after}."),
    };
    hit(
        HitKind::Steward,
        weight,
        text,
        if sure { "Steward itself runs here" } else { "named like Steward's own machine" },
    )
}

fn locked(lock: &str, action: ActionKind) -> Hit {
    match (lock, action) {
        ("suspended", A::Delete | A::Rollback) => {
            hit(HitKind::Lock, Weight::Lost, "It is hibernated: what was in its memory is lost too.", "hibernated")
        }
        ("suspended", _) => hit(HitKind::Lock, Weight::Blocks, "It is hibernated. Start it first.", "hibernated"),
        _ => {
            let text = format!("It is locked ({lock}): this has to wait until that is done.");
            hit(HitKind::Lock, Weight::Blocks, text, format!("locked ({lock})"))
        }
    }
}

fn linked(list: &[(GuestId, String)], more: usize, action: ActionKind) -> Option<Hit> {
    let n = list.len() + more;
    if n == 0 {
        return None;
    }
    let share = count(n, "machine shares its disks", "machines share its disks");
    let (weight, text) = match action {
        A::Delete => {
            let those = if n == 1 { "that one" } else { "those" };
            (Weight::Blocks, format!("{share}: it can't be deleted before {those}."))
        }
        A::Migrate => (Weight::Known, format!("{share}: disks that only its node has can't move then.")),
        _ => return None,
    };
    Some(hit(HitKind::Linked, weight, text, share).with(machines(list), more))
}

fn at_work(list: &[(JobId, String)], more: usize, overtaken: bool) -> Option<Hit> {
    let n = list.len() + more;
    let (weight, text) = match (n, overtaken) {
        (0, _) => return None,
        (_, true) => (Weight::Known, "This replaces the power action that is still pending.".to_owned()),
        (1, _) => (Weight::Blocks, "A job is working on it now. Wait until it is done, or cancel it.".to_owned()),
        _ => (Weight::Blocks, format!("{n} jobs are working on it. Wait until they are done, or cancel them.")),
    };
    Some(hit(HitKind::Jobs, weight, text, count(n, "job", "jobs")).with(jobs(list), more))
}

fn making(list: &[(JobId, String)], more: usize, action: ActionKind) -> Option<Hit> {
    let n = list.len() + more;
    if n == 0 || !matches!(action, A::Delete | A::Migrate) {
        return None;
    }
    let words = count(n, "machine is being created from it now", "machines are being created from it now");
    let text = format!("{words}. That fails if this machine goes away in the meantime.");
    Some(hit(HitKind::Jobs, Weight::Cut, text, words).with(jobs(list), more))
}

fn devices(list: &[String], action: ActionKind) -> Option<Hit> {
    if list.is_empty() {
        return None;
    }
    let (weight, text) = match action {
        A::Migrate => (Weight::Blocks, "It uses devices of its node, which can't move along."),
        A::Hibernate | A::Suspend => (Weight::Known, "It uses devices of its node; with those this often fails."),
        A::Delete => (Weight::Known, "Devices of its node become free again."),
        A::Template => (Weight::Known, "Machines created from it will need the same devices of the node."),
        _ => return None,
    };
    let items = list.iter().map(Item::new).collect();
    Some(
        hit(HitKind::Devices, weight, text, count(list.len(), "device of its node", "devices of its node"))
            .with(items, 0),
    )
}

fn state(status: &str, uptime: u64, action: ActionKind) -> Option<Hit> {
    if matches!(status, "stopped" | "unknown" | "") {
        return None;
    }
    let runs = match (status, uptime) {
        ("running", 0) => "It runs".to_owned(),
        ("running", up) => format!("It has been running for {}", seconds(up)),
        (other, _) => format!("It is {other}"),
    };
    let brief = match (status, uptime) {
        ("running", 1..) => format!("running for {}", seconds(uptime)),
        (other, _) => other.to_owned(),
    };
    let (weight, text) = match action {
        A::Delete | A::Rollback => {
            (Weight::Lost, format!("{runs} and is stopped first, at once: what it has not saved is lost."))
        }
        A::Stop => (Weight::Lost, format!("{runs}. This is like pulling the plug: what it has not saved is lost.")),
        A::Reset => (Weight::Lost, format!("{runs}. This is like its reset button: what it has not saved is lost.")),
        A::Shutdown => (Weight::Known, format!("{runs}. It is asked to shut down by itself.")),
        A::Reboot => (Weight::Known, format!("{runs}. It is asked to restart by itself.")),
        A::Suspend => (Weight::Known, format!("{runs}. It stands still until it is resumed, and keeps its memory.")),
        A::Hibernate => {
            (Weight::Known, format!("{runs}. Its memory is saved to disk; starting it resumes where it left off."))
        }
        A::Template => (Weight::Blocks, format!("{runs}. Shut it down first.")),
        _ => return None,
    };
    Some(hit(HitKind::State, weight, text, brief))
}

fn software(list: &[Program], action: ActionKind) -> Option<Hit> {
    if list.is_empty() {
        return None;
    }
    let item = |p: &Program| -> Vec<Item> {
        if p.waits {
            return vec![Item::new(format!("{}, which waits to be installed", p.title))];
        }
        if p.pages.is_empty() {
            return vec![Item::new(p.title.clone())];
        }
        let page = |(title, url): &(String, String)| {
            let name = if *title == p.title { title.clone() } else { format!("{}: {title}", p.title) };
            Item::url(name, url.clone())
        };
        p.pages.iter().map(page).collect()
    };
    let items = list.iter().flat_map(item).collect();
    let names: Vec<&str> = list.iter().map(|p| p.title.as_str()).collect();
    let one = list.len() == 1;
    let n = count(list.len(), "program", "programs");
    let s = if one { "s" } else { "" };
    let (weight, text) = match action {
        A::Delete => (Weight::Lost, format!("{n} on it go{} away:", if one { "es" } else { "" })),
        A::Template => (Weight::Cut, format!("{n} on it can't be used any more:")),
        A::Migrate => (Weight::Known, format!("{n} on it move{s} with it:")),
        A::Rollback => {
            (Weight::Cut, format!("{n} on it stop{s} in the meantime, and may be older or missing afterwards:"))
        }
        A::Reboot | A::Reset => (Weight::Cut, format!("{n} on it stop{s} until it is back:")),
        _ => (Weight::Cut, format!("{n} on it stop{s}:")),
    };
    Some(hit(HitKind::Software, weight, text, names.join(", ")).with(items, 0))
}

fn people(owner: Option<&str>, shared: &[(String, GuestRight)], others: usize, action: ActionKind) -> Option<Hit> {
    let n = usize::from(owner.is_some()) + shared.len() + others;
    if n == 0 {
        return None;
    }
    let may = |(login, right): &(String, GuestRight)| {
        let words = match right {
            GuestRight::See => "looks at it",
            GuestRight::Use => "uses it",
            GuestRight::Manage => "manages it",
        };
        Item::new(format!("{login} {words}"))
    };
    let items: Vec<Item> =
        owner.map(|o| Item::new(format!("{o} owns it"))).into_iter().chain(shared.iter().map(may)).collect();
    let only_look = owner.is_none() && others == 0 && shared.iter().all(|(_, right)| *right == GuestRight::See);
    let who = match only_look {
        true => count(n, "other person sees", "other people see"),
        false => count(n, "other person uses", "other people use"),
    };
    let (weight, text) = match action {
        A::Delete => (Weight::Cut, format!("{who} it, and lose{} it.", if n == 1 { "s" } else { "" })),
        _ if interrupts(action) && !only_look => (Weight::Cut, format!("{who} it.")),
        _ => (Weight::Known, format!("{who} it.")),
    };
    let brief = match items.as_slice() {
        [first] if others == 0 => first.text.clone(),
        _ => count(n, "other person", "other people"),
    };
    Some(hit(HitKind::People, weight, text, brief).with(items, others))
}

fn consoles(own: usize, names: &[String], others: usize, action: ActionKind) -> Option<Hit> {
    let n = own + names.len() + others;
    if n == 0 || action == A::Template {
        return None;
    }
    let mine = match own {
        0 => None,
        1 => Some(Item::new("yours")),
        _ => Some(Item::new(format!("{own} of yours"))),
    };
    let items: Vec<Item> = mine.into_iter().chain(names.iter().map(|name| Item::new(format!("{name}'s")))).collect();
    let open = count(n, "console is open", "consoles are open");
    // Your own console is no surprise.
    let weight = if names.len() + others > 0 { Weight::Cut } else { Weight::Known };
    let text = match action {
        A::Reboot | A::Reset => format!("{open} on it; the screen goes dark for a while."),
        _ => format!("{open} on it and {}.", if n == 1 { "closes" } else { "close" }),
    };
    Some(hit(HitKind::Consoles, weight, text, open).with(items, others))
}

fn disks(list: &[GoingDisk], bytes: u64) -> Hit {
    let item = |d: &GoingDisk| {
        let room = if d.bytes > 0 { format!(", {}", size(d.bytes)) } else { String::new() };
        let on = if d.storage.is_empty() { String::new() } else { format!(" on {}", d.storage) };
        let unused = if d.unused { " (not used now)" } else { "" };
        Item::new(format!("{}{on}{room}{unused}", d.key))
    };
    let in_all = if bytes > 0 { format!(", {} in all", size(bytes)) } else { String::new() };
    let text = format!("Its disks{in_all}, go with everything on them.");
    let text = if in_all.is_empty() { "Its disks go with everything on them.".to_owned() } else { text };
    let brief = if bytes > 0 { format!("disks of {}", size(bytes)) } else { "disks".to_owned() };
    hit(HitKind::Disks, Weight::Lost, text, brief).with(list.iter().map(item).collect(), 0)
}

fn snapshots(list: &[SnapshotFact], now: Timestamp, action: ActionKind) -> Option<Hit> {
    if list.is_empty() {
        return None;
    }
    let words = count(list.len(), "snapshot", "snapshots");
    let (weight, text) = match action {
        A::Delete => (Weight::Lost, format!("{words} of it go{} too:", if list.len() == 1 { "es" } else { "" })),
        A::Template => (
            Weight::Blocks,
            format!(
                "It has {words}, which a template can't have. Delete {} first:",
                if list.len() == 1 { "it" } else { "them" }
            ),
        ),
        _ => return None,
    };
    let items = list.iter().map(|s| kept(s, now)).collect();
    Some(hit(HitKind::Snapshots, weight, text, words).with(items, 0))
}

fn since(to: &SnapshotFact, newer: &[SnapshotFact], now: Timestamp) -> Hit {
    let (exact, ago) = when(to.taken, now);
    let text = format!(
        "What was written to its disks since {exact} ({ago}) is lost, and so are changes to its hardware and options."
    );
    let later = newer.iter().map(|s| kept(s, now)).collect::<Vec<_>>();
    let text = match later.len() {
        0 => text,
        n => format!(
            "{text} {} since stay{}, but on some storages (ZFS) have to be deleted first:",
            count(n, "snapshot taken", "snapshots taken"),
            if n == 1 { "s" } else { "" }
        ),
    };
    hit(HitKind::Since, Weight::Lost, text, format!("everything since {exact}")).with(later, 0)
}

fn high_availability(state: &str, action: ActionKind) -> Option<Hit> {
    let text = match action {
        A::Delete => "High availability manages it; it is taken out of that too.".to_owned(),
        A::Stop | A::Shutdown | A::Migrate => {
            format!("High availability manages it ({state}): the cluster carries this out in its own time.")
        }
        A::Template => "High availability manages it, which makes no sense for a template.".to_owned(),
        _ => return None,
    };
    Some(hit(HitKind::Watch, Weight::Known, text, format!("high availability ({state})")))
}

fn replication(nodes: &[String], action: ActionKind) -> Option<Hit> {
    if nodes.is_empty() {
        return None;
    }
    let to = nodes.join(", ");
    let text = match action {
        A::Delete => format!("It is replicated to {to}; that ends."),
        A::Migrate => format!("It is replicated to {to}; moving it there is quick."),
        _ => return None,
    };
    Some(hit(HitKind::Watch, Weight::Known, text, format!("replicated to {to}")))
}

/// Forgetting a connection with these machines.
pub(super) fn of_connection(list: Vec<(GuestId, String)>, owners: &[(String, usize)]) -> Vec<Hit> {
    let mut hits = Vec::new();
    if !list.is_empty() {
        let forgets = count(list.len(), "machine", "machines");
        let text = format!(
            "Steward forgets {forgets}, including owners, sharing and installed programs. The machines themselves are not touched."
        );
        hits.push(hit(HitKind::Machines, Weight::Lost, text, forgets).with(machines(&list), 0));
    }
    if !owners.is_empty() {
        let who = count(owners.len(), "person loses", "people lose");
        let items = owners.iter().map(|(login, n)| Item::new(format!("{login}: {}", count(*n, "machine", "machines"))));
        let text = format!("{who} access to their machines:");
        hits.push(hit(HitKind::People, Weight::Cut, text, who).with(items.collect(), 0));
    }
    hits
}

/// The sentence for several machines, `n` of which it concerns.
pub(super) fn of_many(kind: HitKind, action: ActionKind, n: usize, bytes: u64) -> String {
    let of_them = |one: &str, many: &str| count(n, one, many);
    match kind {
        HitKind::Steward => "Steward itself runs on one of them: this page goes away.".to_owned(),
        HitKind::Protection => format!("{} protected and can't be deleted.", of_them("of them is", "of them are")),
        HitKind::Linked => {
            format!("{} disks with other machines.", of_them("of them shares its", "of them share their"))
        }
        HitKind::Jobs => format!("{} a job running now.", of_them("of them has", "of them have")),
        HitKind::Lock => format!("{} locked.", of_them("of them is", "of them are")),
        HitKind::Devices => format!("{} devices of a node.", of_them("of them uses", "of them use")),
        HitKind::State => {
            let end = match action {
                A::Delete | A::Rollback => " and stopped first, at once: what is not saved is lost",
                A::Stop => ". This is like pulling the plug: what is not saved is lost",
                A::Reset => ". This is like the reset button: what is not saved is lost",
                _ => "",
            };
            format!("{}{end}.", of_them("of them is on now", "of them are on now"))
        }
        HitKind::Software => {
            let end = if interrupts(action) { "programs that stop" } else { "programs on it" };
            format!("{} {end}.", of_them("of them has", "of them have"))
        }
        HitKind::People => format!("{} other people too.", of_them("of them belongs to", "of them belong to")),
        HitKind::Consoles => format!("{} an open console.", of_them("of them has", "of them have")),
        HitKind::Disks => format!("Their disks, {} in all, go with everything on them.", size(bytes)),
        HitKind::Snapshots => format!("{} snapshots.", of_them("of them has", "of them have")),
        HitKind::Since => "Anything written since then is lost.".to_owned(),
        HitKind::Watch => {
            format!("{} managed by high availability or replicated.", of_them("of them is", "of them are"))
        }
        HitKind::Copies => format!("Machines were created from {}; those stay.", of_them("of them", "of them")),
        HitKind::Machines => format!("{n} machines."),
    }
}
