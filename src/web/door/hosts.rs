//! The names that this service is reached by. A request under another one is refused: the links that are given away
//! carry the name of the request, and a page of somebody else's name that leads here must not become one of ours.

use http::uri::Authority;
use std::collections::HashSet;
use std::net::IpAddr;

/// What a person writes into the settings to allow a name.
const SETTING: &str = "hosts";

/// Names of the settings and of the certificate; those of the host itself are looked up, because they come and go.
#[derive(Clone, Debug, Default)]
pub struct Hosts {
    named: HashSet<String>,
    /// `example.org` for a certificate's `*.example.org`.
    below: HashSet<String>,
}

impl Hosts {
    pub fn new(names: impl IntoIterator<Item = String>) -> Self {
        let mut hosts = Self::default();
        for name in names {
            match name.strip_prefix("*.") {
                Some(parent) => hosts.below.insert(normal(parent)),
                None => hosts.named.insert(normal(&name)),
            };
        }
        hosts
    }

    /// # Errors
    /// A sentence that says which setting allows it.
    pub fn check(&self, host: &Authority) -> Result<(), String> {
        let name = normal(host.host());
        let is_below = || name.split_once('.').is_some_and(|(_, parent)| self.below.contains(parent));
        let is_own = || own().iter().any(|own| normal(own) == name);
        if !host.as_str().contains('@') && (self.named.contains(&name) || is_below() || is_own()) {
            return Ok(());
        }
        Err(format!(
            "Steward is not known by the name “{name}”. If that name is right, add it to `{SETTING}` in \
             /etc/steward/steward.toml and restart Steward."
        ))
    }
}

/// Lower case, without brackets or the dot at the end; an IP address in its usual form.
fn normal(name: &str) -> String {
    let name = name.trim_start_matches('[').trim_end_matches(']').trim_end_matches('.').to_ascii_lowercase();
    name.parse::<IpAddr>().map_or(name, |address| address.to_canonical().to_string())
}

/// What this host is called, as far as it knows itself: its names, loopback, and the addresses of its cards.
pub fn own() -> Vec<String> {
    let mut names = Vec::new();
    if let Ok(Ok(host)) = nix::unistd::gethostname().map(std::ffi::OsString::into_string) {
        names.extend(aliases(&host, &std::fs::read_to_string("/etc/hosts").unwrap_or_default()));
        names.insert(0, host);
    }
    names.extend(["localhost".to_owned(), "127.0.0.1".to_owned(), "::1".to_owned()]);
    for card in nix::ifaddrs::getifaddrs().into_iter().flatten() {
        let address = card.address.as_ref();
        let v4 = address.and_then(|a| a.as_sockaddr_in()).map(|a| a.ip().to_string());
        let v6 = address.and_then(|a| a.as_sockaddr_in6()).map(|a| a.ip()).filter(|a| !a.is_unicast_link_local());
        names.extend(v4.or_else(|| v6.map(|a| a.to_string())));
    }
    let mut seen = HashSet::new();
    names.retain(|name| seen.insert(name.clone()));
    names
}

/// The names that stand beside the host's own in `/etc/hosts`, usually the one with its domain; and the one that mDNS
/// gives it.
fn aliases(host: &str, hosts_file: &str) -> Vec<String> {
    let lines = hosts_file.lines().map(|line| line.split('#').next().unwrap_or_default());
    let names = lines.map(|line| line.split_whitespace().skip(1).collect::<Vec<_>>());
    let beside = names.filter(|names| names.contains(&host)).flatten();
    let mut found: Vec<String> = beside.filter(|name| *name != host).map(str::to_owned).collect();
    if !host.contains('.') {
        found.push(format!("{host}.local"));
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_known_names_are_answered_to_and_the_sentence_names_the_setting() {
        let names = ["Steward.Home.Example.", "*.lab.example", "203.0.113.9", "2001:db8::5"];
        let hosts = Hosts::new(names.map(str::to_owned));
        let check = |text: &str| hosts.check(&text.parse().unwrap());
        for good in [
            "steward.home.example",
            "STEWARD.home.example.:8443",
            "one.lab.example",
            "203.0.113.9:8443",
            "[2001:DB8:0::5]:8443",
            "localhost:1",
            "127.0.0.1",
            "[::1]",
            "[::ffff:127.0.0.1]",
        ] {
            assert_eq!(check(good), Ok(()), "{good}");
        }
        for bad in [
            "evil.example",
            "steward.home.example.evil.example",
            "xsteward.home.example",
            "a.b.lab.example",
            "lab.example",
            "203.0.113.10",
            "evil@steward.home.example",
            "localhost@evil.example",
        ] {
            let said = check(bad).unwrap_err();
            assert!(said.contains("`hosts`") && said.contains("steward.toml"), "{bad}: {said}");
        }
    }

    #[test]
    fn the_host_knows_its_name_with_its_domain() {
        let file =
            "127.0.0.1 localhost\n192.0.2.7  pve1.home.example pve1 # the node\n192.0.2.8 pve2.home.example pve2";
        assert_eq!(aliases("pve1", file), ["pve1.home.example", "pve1.local"]);
        assert_eq!(aliases("pve1.home.example", file), ["pve1"]);
        let own = own();
        assert!(own.contains(&"localhost".to_owned()) && own.contains(&"127.0.0.1".to_owned()), "{own:?}");
        assert_eq!(own.iter().collect::<HashSet<_>>().len(), own.len(), "{own:?}");
    }
}
