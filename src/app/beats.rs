//! Whether the daemon that measures the machines of a node still does. Its figures are kept when it dies, so a list looks
//! as ever: what shows it is a clock that stands still. Pure: fed with time.

use base::Timestamp;
use model::nodes::Node;
use std::collections::HashMap;
use std::time::Duration;

/// Figures are renewed every ten seconds; a busy node may leave some rounds out.
const PATIENCE: Duration = Duration::from_secs(60);

/// The node's uptime as it was told last, and since when it has not changed.
#[derive(Debug, Default)]
pub struct Beats(HashMap<String, (u64, Timestamp)>);

impl Beats {
    pub fn see(&mut self, nodes: &[Node], at: Timestamp) {
        self.0.retain(|name, _| nodes.iter().any(|n| n.name == *name));
        for node in nodes {
            let beat = self.0.entry(node.name.clone()).or_insert((node.uptime, at));
            // A clock that was put back must not make it older than it is.
            if beat.0 != node.uptime || at < beat.1 {
                *beat = (node.uptime, at);
            }
        }
    }

    /// Names of the nodes of which nothing new is told. Who may not see a node's uptime can't tell.
    pub fn silent(&self, nodes: &[Node], at: Timestamp) -> Vec<String> {
        let stands_still = |node: &Node| {
            let beat = self.0.get(&node.name).filter(|(uptime, _)| *uptime > 0);
            beat.is_some_and(|(_, since)| since.until(at) >= PATIENCE)
        };
        let silent = nodes.iter().filter(|n| n.status == "unknown" || (!n.is_off() && stands_still(n)));
        silent.map(|n| n.name.clone()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn node(name: &str, status: &str, uptime: u64) -> Node {
        Node { name: name.into(), status: status.into(), uptime, ..Node::default() }
    }

    #[test]
    fn a_node_whose_clock_stands_still_does_not_report() {
        let mut beats = Beats::default();
        for second in (0..=120).step_by(5) {
            let at = Timestamp::from_secs(second);
            let nodes = [
                node("well", "online", 1_000 + second as u64 / 10 * 10),
                node("dead", "online", 1_000),
                node("hidden", "online", 0),
                node("off", "offline", 0),
            ];
            beats.see(&nodes, at);
            let expected: &[&str] = if second < 60 { &[] } else { &["dead"] };
            assert_eq!(beats.silent(&nodes, at), expected, "{second}");
        }
        // Later it is not known at all; and it is back at once.
        let at = Timestamp::from_secs(400);
        assert_eq!(beats.silent(&[node("dead", "unknown", 0)], at), ["dead"]);
        beats.see(&[node("dead", "online", 1_400)], at);
        assert!(beats.silent(&[node("dead", "online", 1_400)], at).is_empty());
    }
}
