//! Settings: from `/etc/steward/steward.toml`, the environment (`STEWARD_*`) and flags, each stronger than
//! the one before. Unknown keys are errors, so a typing mistake never passes as a default.
//! This crate reads settings and nothing else; what they mean is up to its users.

mod images;

pub use images::catalogue;

use base::files::BuiltIn;
use base::text::without_mark;
use base::{Error, Result};
use serde::{Deserialize, Deserializer, Serialize};
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

/// Where the package puts the file.
pub const DEFAULT_FILE: &str = "/etc/steward/steward.toml";

/// All settings with their defaults.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Settings {
    /// Where the page listens, over TLS.
    #[serde(deserialize_with = "addresses")]
    pub listen: Vec<SocketAddr>,
    /// The store and everything that belongs to it.
    pub data_dir: PathBuf,
    /// The appliance key, outside the data folder. A systemd credential `steward.key` is used before it.
    pub key_file: PathBuf,
    /// The socket for commands on this host.
    pub socket: PathBuf,
    /// Plugins here override and add to those in the binary.
    pub plugins_dir: Option<PathBuf>,
    /// Cloud images here add to those in the binary and replace them by id.
    pub images_file: Option<PathBuf>,
    /// A mirror of the publishers' servers, for a network without Internet access: the image at
    /// `https://host/path` is fetched from `<image_mirror>/host/path`.
    pub image_mirror: Option<String>,
    /// Own certificate (PEM chain) instead of the self-signed one; needs `tls_key`.
    pub tls_certificate: Option<PathBuf>,
    pub tls_key: Option<PathBuf>,
    /// More names that Steward is reached by. The host's own names and addresses and those of the certificate are known.
    #[serde(deserialize_with = "list")]
    pub hosts: Vec<String>,
    /// Origins (`https://host[:port]`) whose pages may call the REST API; none by default.
    pub cors_origins: Vec<String>,
    /// Whether browsers are told to speak TLS only with this host name (`Strict-Transport-Security`). They then refuse
    /// plain HTTP on every port of that name for two years, so without a word it is sent only where Steward listens on
    /// 443: elsewhere it shares the name with others.
    pub hsts: Option<bool>,
    /// Seconds between two polls of Proxmox, 1 to 3600. Proxmox itself measures every 10 s, its states are newer.
    pub poll_seconds: u64,
    /// Scripts that run at the same time, 1 to 64.
    pub workers: usize,
    /// Jobs that run at the same time on one node, 1 to 64.
    pub jobs_per_node: usize,
    /// What is logged, in tracing's filter words: `info`, `steward=debug`.
    pub log: String,
    /// Not for the file: what the program brings with it.
    #[serde(skip)]
    pub built_in: BuiltIn,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            listen: vec![SocketAddr::from(([0, 0, 0, 0], 8443))],
            data_dir: PathBuf::from("/var/lib/steward"),
            key_file: PathBuf::from("/etc/steward/appliance.key"),
            socket: PathBuf::from("/run/steward/steward.sock"),
            plugins_dir: Some(PathBuf::from("/etc/steward/plugins")),
            images_file: Some(PathBuf::from("/etc/steward/images.toml")),
            image_mirror: None,
            tls_certificate: None,
            tls_key: None,
            hosts: Vec::new(),
            cors_origins: Vec::new(),
            hsts: None,
            poll_seconds: 5,
            workers: 8,
            jobs_per_node: 4,
            log: "info".to_owned(),
            built_in: BuiltIn::default(),
        }
    }
}

impl Settings {
    /// Reads `file` (which must exist when `named` by the person) and then the environment.
    ///
    /// # Errors
    /// `Invalid` with the file or variable and what is wrong with it.
    pub fn load(file: &Path, named: bool, environment: impl Iterator<Item = (String, String)>) -> Result<Self> {
        let mut table = match std::fs::read_to_string(file) {
            Ok(text) => parse(without_mark(&text), file)?,
            Err(e) if e.kind() == std::io::ErrorKind::NotFound && !named => toml::Table::new(),
            Err(e) => return Err(Error::invalid(format!("Can't read the settings in {}: {e}", file.display()))),
        };
        let environment = from_environment(environment)?;
        let ours: Vec<String> = environment.keys().cloned().collect();
        table.extend(environment);
        let settings: Self = serde_path_to_error::deserialize(table).map_err(|e| {
            let (path, wrong) = (e.path().to_string(), e.inner().message());
            let key = path.split(['.', '[']).next().unwrap_or_default();
            let place = if ours.iter().any(|k| k == key) {
                format!("STEWARD_{}", key.to_uppercase())
            } else if path == "." {
                file.display().to_string()
            } else {
                format!("{path} in {}", file.display())
            };
            Error::invalid(format!("The settings are not valid: {place}: {wrong}"))
        })?;
        settings.check()?;
        Ok(settings)
    }

    /// Whether `Strict-Transport-Security` is sent; see [`Settings::hsts`].
    pub fn sends_hsts(&self) -> bool {
        self.hsts.unwrap_or_else(|| self.listen.iter().any(|a| a.port() == 443))
    }

    /// Checks what types alone can't.
    ///
    /// # Errors
    /// `Invalid` with the name of the setting.
    pub fn check(&self) -> Result<()> {
        let problem = if self.listen.is_empty() {
            "listen needs at least one address, like \"0.0.0.0:8443\"."
        } else if !(1..=3600).contains(&self.poll_seconds) {
            "poll_seconds must be 1 to 3600."
        } else if !(1..=64).contains(&self.workers) || !(1..=64).contains(&self.jobs_per_node) {
            "workers and jobs_per_node must be 1 to 64."
        } else if self.tls_certificate.is_some() != self.tls_key.is_some() {
            "tls_certificate and tls_key go together: give both or none."
        } else if let Some(no_name) = self.hosts.iter().find(|h| !is_host(h)) {
            return Err(Error::invalid(format!(
                "The settings are not valid: hosts: “{no_name}” is not a host name or an IP address. Write one like \
                 \"steward.home.example\", without https:// and without a port."
            )));
        } else if self.cors_origins.iter().any(|o| !is_origin(o)) {
            "cors_origins takes origins like \"https://tools.example\", without a path."
        } else if self.image_mirror.as_deref().is_some_and(|m| !is_address(m)) {
            "image_mirror takes an address like \"https://mirror.example/images\"."
        } else if self.key_file.starts_with(&self.data_dir) {
            "key_file must not be inside data_dir: a copy of the data must not contain the key."
        } else {
            return Ok(());
        };
        Err(Error::invalid(format!("The settings are not valid: {problem}")))
    }

    pub fn store_file(&self) -> PathBuf {
        self.data_dir.join("steward.redb")
    }
}

fn is_origin(text: &str) -> bool {
    text.strip_prefix("https://")
        .or_else(|| text.strip_prefix("http://"))
        .is_some_and(|rest| !rest.is_empty() && !rest.contains('/'))
}

/// Without scheme, port or path.
fn is_host(text: &str) -> bool {
    let is_name = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '.' | '_');
    let bare = text.strip_prefix('[').and_then(|t| t.strip_suffix(']')).unwrap_or(text);
    bare.parse::<std::net::IpAddr>().is_ok() || (!text.is_empty() && text.chars().all(is_name))
}

fn is_address(text: &str) -> bool {
    let rest = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://"));
    let host = rest.and_then(|r| r.split('/').next()).unwrap_or_default();
    !host.is_empty() && !host.contains('@') && text.bytes().all(|b| b.is_ascii_graphic() && b != b'?' && b != b'#')
}

/// Addresses with a port, with what to write instead of what is none.
fn addresses<'de, D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Vec<SocketAddr>, D::Error> {
    let texts = list(deserializer)?;
    let parse = |text: &String| {
        text.trim().parse().map_err(|_| {
            serde::de::Error::custom(format!(
                "“{text}” is not an IP address with a port. Write \"0.0.0.0:8443\" for all IPv4 addresses of this \
                 host, \"[::]:8443\" for all, or one like \"192.168.1.5:8443\"."
            ))
        })
    };
    texts.iter().map(parse).collect()
}

/// One text needs no list.
fn list<'de, D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Vec<String>, D::Error> {
    Ok(match OneOrMany::deserialize(deserializer)? {
        OneOrMany::One(text) => vec![text],
        OneOrMany::Many(texts) => texts,
    })
}

#[derive(Deserialize)]
#[serde(untagged, expecting = "texts in quotes are meant, like [\"0.0.0.0:8443\"] for listen")]
enum OneOrMany {
    One(String),
    Many(Vec<String>),
}

fn parse(text: &str, file: &Path) -> Result<toml::Table> {
    text.parse().map_err(|e: toml::de::Error| {
        let line = e.span().map_or(1, |s| text[..s.start.min(text.len())].lines().count().max(1));
        Error::invalid(format!("{}, line {line}: {}", file.display(), e.message()))
    })
}

/// `STEWARD_DATA_DIR=/x` is the key `data_dir`. Lists are separated by commas.
fn from_environment(variables: impl Iterator<Item = (String, String)>) -> Result<BTreeMap<String, toml::Value>> {
    // Read elsewhere: which file to read, and the passphrases that command-line verbs take.
    const NOT_SETTINGS: [&str; 5] =
        ["STEWARD_CONFIG", "STEWARD_PASSWORD", "STEWARD_WEB", "STEWARD_CONTEXT", "STEWARD_CLI_FILE"];
    let mut out = BTreeMap::new();
    for (name, text) in variables {
        let Some(key) = name.strip_prefix("STEWARD_") else { continue };
        if NOT_SETTINGS.contains(&name.as_str()) {
            continue;
        }
        let value = match key {
            "LISTEN" | "HOSTS" | "CORS_ORIGINS" => {
                toml::Value::Array(text.split(',').map(|s| toml::Value::String(s.trim().to_owned())).collect())
            }
            "HSTS" => match text.as_str() {
                "true" | "on" | "1" => toml::Value::Boolean(true),
                "false" | "off" | "0" => toml::Value::Boolean(false),
                _ => return Err(Error::invalid(format!("{name} must be true or false."))),
            },
            "POLL_SECONDS" | "WORKERS" | "JOBS_PER_NODE" => {
                let number = text.parse().map_err(|_| Error::invalid(format!("{name} must be a whole number.")))?;
                toml::Value::Integer(number)
            }
            "DATA_DIR" | "KEY_FILE" | "SOCKET" | "PLUGINS_DIR" | "IMAGES_FILE" | "IMAGE_MIRROR" | "TLS_CERTIFICATE"
            | "TLS_KEY" | "LOG" => toml::Value::String(text),
            _ => return Err(Error::invalid(format!("{name} is not a setting that Steward knows."))),
        };
        out.insert(key.to_lowercase(), value);
    }
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn load(text: &str, environment: &[(&str, &str)]) -> Result<Settings> {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("steward.toml");
        std::fs::write(&file, text).unwrap();
        Settings::load(&file, true, environment.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())))
    }

    #[test]
    fn the_environment_is_stronger_than_the_file() {
        let s = load("workers = 3\npoll_seconds = 20", &[("STEWARD_WORKERS", "5"), ("HOME", "/x")]).unwrap();
        assert_eq!((s.workers, s.poll_seconds), (5, 20));
        let s = load("", &[("STEWARD_LISTEN", "127.0.0.1:1, [::1]:2")]).unwrap();
        assert_eq!(s.listen.len(), 2);
    }

    #[test]
    fn unknown_keys_are_errors_wherever_they_come_from() {
        assert!(load("wrokers = 3", &[]).unwrap_err().message().contains("wrokers"));
        assert!(load("", &[("STEWARD_WROKERS", "3")]).unwrap_err().message().contains("STEWARD_WROKERS"));
    }

    #[test]
    fn a_mistake_names_its_line() {
        assert!(load("workers = 3\nlisten = [", &[]).unwrap_err().message().contains("line 2"));
    }

    #[test]
    fn a_wrong_value_names_where_it_stands_and_what_to_write() {
        for (text, environment) in
            [("listen = ':8443'", None), ("listen = ['0.0.0.0:1', '8443']", None), ("", Some(":8443"))]
        {
            let environment: Vec<_> = environment.map(|v| ("STEWARD_LISTEN", v)).into_iter().collect();
            let e = load(text, &environment).unwrap_err();
            assert!(e.message().contains("0.0.0.0:8443"), "{text}: {}", e.message());
            let place = if environment.is_empty() { "steward.toml" } else { "STEWARD_LISTEN" };
            assert!(e.message().contains(place) && e.message().to_lowercase().contains("listen"), "{}", e.message());
        }
        let e = load("workers = 'many'", &[]).unwrap_err();
        assert!(e.message().contains("workers in ") && e.message().contains("steward.toml"), "{}", e.message());
        assert_eq!(load("listen = '127.0.0.1:8443'", &[]).unwrap().listen.len(), 1, "one address needs no list");
    }

    #[test]
    fn hsts_is_sent_where_the_name_is_ours_alone() {
        assert!(!Settings::default().sends_hsts(), "8443 shares the name with Proxmox on 8006");
        assert!(load("listen = '0.0.0.0:443'", &[]).unwrap().sends_hsts());
        assert!(!load("listen = '0.0.0.0:443'", &[("STEWARD_HSTS", "false")]).unwrap().sends_hsts());
        assert!(load("hsts = true", &[]).unwrap().sends_hsts());
    }

    #[test]
    fn a_host_is_a_name_or_an_address_and_nothing_else() {
        let s = load("hosts = 'steward.home.example'", &[]).unwrap();
        assert_eq!(s.hosts, ["steward.home.example"]);
        assert_eq!(load("", &[("STEWARD_HOSTS", "a.example, 192.0.2.1, 2001:db8::1")]).unwrap().hosts.len(), 3);
        for wrong in ["https://steward.example", "steward.example:8443", "a b", "", "*"] {
            let e = load(&format!("hosts = ['{wrong}']"), &[]).unwrap_err();
            assert!(e.message().contains("hosts") && e.message().contains("without a port"), "{}", e.message());
        }
    }

    #[test]
    fn the_key_may_not_lie_beside_the_data() {
        assert!(load("data_dir = '/srv/s'\nkey_file = '/srv/s/k'", &[]).is_err());
    }
}
