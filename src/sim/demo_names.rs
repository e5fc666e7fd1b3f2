//! Names of the demo's machines: first those that people know, then made-up ones that sound alike.

use super::load::{mix, unit};

/// Name, tags, cores, memory in MiB, disk in GiB.
pub type Entry = (&'static str, &'static str, u32, u32, u64);

pub const MACHINES: &[Entry] = &[
    ("web-01", "prod;web", 4, 4096, 32),
    ("db-main", "database;prod", 8, 16384, 200),
    ("jellyfin", "home;media", 4, 8192, 64),
    ("home-assistant", "home;iot", 2, 4096, 32),
    ("mail", "mail;prod", 4, 8192, 120),
    ("backup-box", "backup;infra", 2, 4096, 40),
    ("sonarr", "home;media", 2, 2048, 24),
    ("radarr", "home;media", 2, 2048, 24),
    ("nextcloud", "office;prod", 4, 8192, 250),
    ("gitea", "dev", 2, 4096, 80),
    ("ci-runner-01", "ci;dev", 8, 16384, 100),
    ("web-02", "prod;web", 4, 4096, 32),
    ("db-replica", "database;prod", 8, 16384, 200),
    ("win10-office", "desktop;office", 4, 8192, 80),
    ("monitoring", "infra", 4, 8192, 100),
    ("vpn-gw", "infra;network", 2, 1024, 10),
    ("paperless", "office", 2, 4096, 60),
    ("minecraft", "games;home", 4, 12288, 40),
    ("docker-01", "dev", 8, 16384, 120),
    ("k3s-node-1", "dev;k3s", 4, 8192, 60),
    ("k3s-node-2", "dev;k3s", 4, 8192, 60),
    ("k3s-node-3", "dev;k3s", 4, 8192, 60),
    ("immich", "home;media", 4, 8192, 300),
    ("valheim", "games;home", 4, 8192, 30),
    ("keycloak", "infra;prod", 2, 4096, 20),
    ("staging-web", "staging;web", 2, 2048, 32),
    ("staging-db", "database;staging", 4, 8192, 80),
    ("opnsense", "infra;network", 2, 2048, 16),
    ("syslog", "infra", 2, 4096, 200),
    ("ci-runner-02", "ci;dev", 8, 16384, 100),
    ("build-arm", "ci;dev", 8, 8192, 80),
    ("win10-anna", "desktop", 4, 8192, 80),
    ("steam-cache", "games;home", 2, 4096, 500),
    ("elastic-01", "logs;prod", 8, 32768, 400),
    ("wiki", "office", 2, 2048, 20),
    ("erp-test", "office;staging", 4, 16384, 120),
];

pub const CONTAINERS: &[Entry] = &[
    ("pihole", "dns;home", 1, 512, 4),
    ("nginx-proxy", "infra;web", 2, 1024, 8),
    ("unifi", "infra;network", 2, 2048, 16),
    ("prowlarr", "home;media", 1, 1024, 8),
    ("mqtt", "home;iot", 1, 256, 4),
    ("redis", "prod", 2, 2048, 8),
    ("dns-02", "dns;infra", 1, 512, 4),
    ("vaultwarden", "home;infra", 1, 512, 8),
];

/// Pools and the tag of their members.
pub const POOLS: &[(&str, &str)] = &[("production", "prod"), ("home", "home"), ("lab", "dev")];

/// What machines are for, beyond the list.
const KINDS: &[(&str, &str)] = &[
    ("web", "prod;web"),
    ("api", "prod"),
    ("worker", "prod"),
    ("db", "database;prod"),
    ("cache", "prod"),
    ("dev", "dev"),
    ("test", "staging"),
    ("build", "ci;dev"),
    ("k3s", "dev;k3s"),
    ("desk", "desktop"),
    ("shop", "prod;web"),
    ("search", "prod"),
];
const PLACES: &[&str] = &["ber", "ham", "muc", "vie", "zrh", "ams", "par"];

/// Machine number `i`, when the lists are used up.
pub fn generated(i: usize, key: u64) -> (String, String, u32, u32, u64) {
    let (kind, tags) = KINDS[(mix(key) % KINDS.len() as u64) as usize];
    let place = PLACES[(mix(key ^ 3) % PLACES.len() as u64) as usize];
    let step = (unit(mix(key ^ 5)) * 4.0) as u32;
    let (cores, memory) = (1 << step.min(3), 1024 << step);
    (format!("{kind}-{place}-{:03}", i % 1000), tags.to_owned(), cores, memory, 16 << step)
}
