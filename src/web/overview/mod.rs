//! The first page: is anything wrong, what is happening, what is running.

pub mod page;

use crate::door::problem::Answer;
use crate::door::visit::Person;
use crate::frame::Level;
use crate::frame::parts::{FULL, HIGH};
use crate::guests::list::Rows;
use crate::overview::page::{Attention, NodeCard, OverviewView};
use crate::quotas;
use app::live::{LiveView, NodeLive, UNREACHABLE};
use base::{Result, excerpt};
use maud::Markup;
use model::connections::Reach;
use model::jobs::JobState;
use model::nodes::Node;
use std::fmt;

/// Machines in the list of the busiest.
const BUSIEST: usize = 5;
/// The processor's load is that of so many minutes.
const BUSY_MINUTES: usize = 5;
/// Failed jobs shown; the rest is on the jobs page.
const FAILED: usize = 5;

pub async fn show(person: Person) -> Answer<Markup> {
    let app = &person.web.app;
    let snapshot = app.live().snapshot();
    let guests = app.guests().list(&person.actor, "");
    let machines: Vec<_> = guests.iter().filter(|g| !g.state.template).cloned().collect();
    let running: Vec<_> = machines.iter().filter(|g| g.state.status == "running").cloned().collect();
    let mut busiest = running.clone();
    busiest.sort_by(|a, b| b.state.cpu.total_cmp(&a.state.cpu));
    busiest.truncate(BUSIEST);
    let view = OverviewView {
        needs: needs(&person, &snapshot)?,
        high: loads(&snapshot).filter(|load| load.share > HIGH).map(|load| load.to_string()).collect(),
        jobs: app.jobs().open(&person.actor)?,
        nodes: nodes(&snapshot),
        busiest: Rows::of(&person)?.all(&busiest),
        running: running.len(),
        machines: machines.len(),
        connections: snapshot.connections.len(),
        quota: quotas::mine(&person)?,
    };
    Ok(page::overview(&person.page(), &view))
}

fn nodes(snapshot: &LiveView) -> Vec<NodeCard> {
    let card = |n: &NodeLive| {
        let status = if n.stale { UNREACHABLE.to_owned() } else { n.node.status.clone() };
        NodeCard { node: Node { status, ..n.node.clone() }, machines: n.guests, spark: n.spark.to_vec() }
    };
    snapshot.nodes.iter().map(card).collect()
}

/// The worst first.
fn needs(person: &Person, snapshot: &LiveView) -> Result<Vec<Attention>> {
    let mut needs: Vec<Attention> = snapshot.connections.iter().filter_map(|c| connection(person, c)).collect();
    needs.extend(snapshot.connections.iter().flat_map(silent));
    needs.extend(snapshot.nodes.iter().filter(|n| !n.stale && n.node.is_off()).map(|n| Attention {
        level: Level::Bad,
        word: "offline".to_owned(),
        title: format!("Node {} is {}", n.node.name, n.node.status),
        detail: "Its machines can't be reached until it is back.".to_owned(),
        action: Some((format!("/machines?q=node:{}", n.node.name), "See its machines".to_owned())),
    }));
    needs.extend(loads(snapshot).filter(|load| load.share > FULL).map(|load| Attention {
        level: Level::Warn,
        word: "full".to_owned(),
        title: load.to_string(),
        detail: "What runs there may become slow or stop.".to_owned(),
        action: Some((format!("/machines?q=node:{}", load.node), "See its machines".to_owned())),
    }));
    let failed = person.web.app.jobs().page(&person.actor, &[JobState::Failed], None, FAILED)?;
    needs.extend(failed.jobs.into_iter().map(|job| Attention {
        level: Level::Warn,
        word: "failed".to_owned(),
        title: job.title,
        detail: excerpt::listed(job.error.as_deref().unwrap_or_default()),
        action: Some((format!("/jobs/{}", job.id), "View the job".to_owned())),
    }));
    if person.actor.is_admin() {
        needs.extend(plugins(person)?);
        needs.extend(files(person));
    }
    Ok(needs)
}

/// How much of one thing of a node is used.
struct Load<'a> {
    node: &'a str,
    what: &'static str,
    share: f64,
}

impl fmt::Display for Load<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} of node {} is at {:.0} %", self.what, self.node, self.share * 100.0)
    }
}

fn loads(snapshot: &LiveView) -> impl Iterator<Item = Load<'_>> {
    #[expect(clippy::cast_precision_loss, reason = "a share")]
    let share = |used: u64, of: u64| if of == 0 { 0.0 } else { used as f64 / of as f64 };
    let online = snapshot.nodes.iter().filter(|n| !n.stale && n.node.status == "online");
    online.flat_map(move |live| {
        // A busy moment is nothing to worry about: the last minutes count.
        let minutes = live.spark.len().min(BUSY_MINUTES);
        let cpu = live.spark.iter().rev().take(minutes).map(|share| f64::from(*share)).sum::<f64>();
        let cpu = if minutes == 0 { live.node.cpu } else { cpu / f64::from(u16::try_from(minutes).unwrap_or(1)) };
        let n = &live.node;
        let of = [("The processor", cpu), ("Memory", share(n.mem, n.maxmem)), ("The disk", share(n.disk, n.maxdisk))];
        of.into_iter().map(|(what, share)| Load { node: &n.name, what, share })
    })
}

fn connection(person: &Person, c: &app::live::ConnectionLive) -> Option<Attention> {
    let action = || {
        let admin = person.actor.is_admin();
        admin.then(|| (format!("/settings/connections/{}", c.id), "View the connection".to_owned()))
    };
    match &c.reach {
        Reach::Away { why, .. } => Some(Attention {
            level: Level::Bad,
            word: "away".to_owned(),
            title: format!("{} does not answer", c.name),
            detail: why.clone(),
            action: action(),
        }),
        _ if !c.quorate => Some(Attention {
            level: Level::Bad,
            word: "lost quorum".to_owned(),
            title: format!("{} has lost quorum", c.name),
            detail: "Nothing can be changed there until more of its nodes see each other.".to_owned(),
            action: action(),
        }),
        _ if !c.left_out.is_empty() => Some(Attention {
            level: Level::Warn,
            word: "left out".to_owned(),
            title: format!("{} tells something that can't be read", c.name),
            detail: c.left_out.first().cloned().unwrap_or_default(),
            action: action(),
        }),
        _ => None,
    }
}

/// Nodes of which nothing new is told.
fn silent(c: &app::live::ConnectionLive) -> Vec<Attention> {
    let Some((reporter, nodes)) = &c.silent else { return Vec::new() };
    let one = |node: &String| Attention {
        level: Level::Warn,
        word: "silent".to_owned(),
        title: format!("{} on {node} does not report", reporter.name),
        detail: format!(
            "What is shown of that node and its machines may be old. Run there as root: {}",
            reporter.command
        ),
        action: Some((format!("/machines?q=node:{node}"), "See its machines".to_owned())),
    };
    nodes.iter().map(one).collect()
}

/// What others on the host can reach, for those who look after it.
fn files(person: &Person) -> Vec<Attention> {
    let exposed = app::health::exposed(person.web.app.settings());
    let told = exposed.into_iter().map(|detail| Attention {
        level: Level::Warn,
        word: "files".to_owned(),
        title: "Steward's files are not private".to_owned(),
        detail,
        action: None,
    });
    told.collect()
}

fn plugins(person: &Person) -> Result<Vec<Attention>> {
    let list = person.web.app.plugins().list(&person.actor)?;
    let broken = list.into_iter().filter_map(|p| Some((p.error?, p.name)));
    let needs = broken.map(|(error, name)| Attention {
        level: Level::Warn,
        word: "plugin".to_owned(),
        title: format!("The plugin {name} is not usable"),
        detail: error.to_string(),
        action: Some((format!("/plugins/{name}"), "Show where".to_owned())),
    });
    Ok(needs.collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use base::ids::ConnectionId;

    fn node(name: &str, status: &str, mem: u64, spark: &[f32]) -> NodeLive {
        let node = Node { name: name.into(), status: status.into(), cpu: 1.0, mem, maxmem: 100, ..Node::default() };
        NodeLive { connection: ConnectionId::from_bytes([4; 16]), node, guests: 3, spark: spark.into(), stale: false }
    }

    #[test]
    fn full_nodes_need_attention_and_a_busy_moment_does_not() {
        let mut snapshot = LiveView::default();
        snapshot.nodes.extend([
            node("pve1", "online", 96, &[0.99, 0.2, 0.2, 0.2, 0.2, 0.2]),
            node("pve2", "online", 80, &[0.2, 0.97, 0.97, 0.97, 0.97, 0.97]),
            node("pve3", "offline", 99, &[0.99]),
            NodeLive { stale: true, ..node("pve4", "online", 99, &[0.99]) },
        ]);
        let over = |limit: f64| -> Vec<String> {
            loads(&snapshot).filter(|load| load.share > limit).map(|load| load.to_string()).collect()
        };
        assert_eq!(over(FULL), ["Memory of node pve1 is at 96 %", "The processor of node pve2 is at 97 %"]);
        let shown: Vec<String> = nodes(&snapshot).into_iter().map(|card| card.node.status).collect();
        assert_eq!(shown, ["online", "online", "offline", "unreachable"], "nothing is green that does not answer");
        assert_eq!(
            nodes(&snapshot).iter().filter(|c| c.node.is_here()).count(),
            2,
            "and only those that answer are counted"
        );
        assert_eq!(over(HIGH).len(), 3, "memory of pve2 is high: {:?}", over(HIGH));
    }
}
