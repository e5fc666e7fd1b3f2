//! The Proxmox on this very host, for root: its command line tools and its certificates. Nothing here asks the
//! service, so nothing that the service says is trusted.

mod plan;

pub use plan::{CurrentAccess, Step, grant, join, leave, notes};

use base::{Error, Result, Secret};
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject as _;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sha2::{Digest as _, Sha256};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;
use tokio::process::Command;
use tokio::time::Instant;

/// Perl needs a second to start; a lock on the cluster's files is waited for up to 10 s there.
const LONGEST: Duration = Duration::from_secs(60);

/// How this node's API is reached and recognised.
#[derive(Clone, Debug, Serialize, Deserialize, PartialEq, Eq)]
pub struct NodeAddress {
    /// `https://127.0.0.1:8006`
    pub endpoint: String,
    /// The cluster's CA as PEM; it outlives the certificates of the nodes.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub ca: Option<String>,
    /// SHA-256 of the certificates that are accepted instead, as hex, where another CA signed the node's.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub pins: Vec<String>,
}

#[derive(Debug)]
pub struct LocalNode {
    folder: PathBuf,
}

/// The secret of a fresh token, from the answer of `pveum user token add`.
///
/// # Errors
/// `Unavailable` when it is not there.
pub fn token_value(answer: &str) -> Result<Secret<String>> {
    let value: Value = serde_json::from_str(answer).unwrap_or_default();
    let secret = value["value"].as_str().filter(|v| !v.is_empty()).map(str::to_owned);
    secret.map(Secret::new).ok_or_else(|| Error::unavailable("pveum created a token but did not print its secret."))
}

impl LocalNode {
    /// # Errors
    /// `NotFound` when there is no Proxmox here; `Forbidden` unless root asks.
    pub fn find(folder: &Path) -> Result<Self> {
        match std::fs::read_dir(folder.join("priv")) {
            Ok(_) => Ok(Self { folder: folder.to_owned() }),
            Err(e) if e.kind() == std::io::ErrorKind::PermissionDenied => {
                Err(Error::forbidden("Only root may do this. Try with sudo."))
            }
            Err(_) if program("pveum").is_some() => Err(Error::unavailable(format!(
                "{} is empty: the cluster's file system is not mounted. See: systemctl status pve-cluster",
                shown(folder)
            ))),
            Err(_) => Err(Error::not_found(
                "This host has no Proxmox. To connect to one elsewhere, use the page Settings, Connect Proxmox.",
            )),
        }
    }

    /// Runs one of Proxmox's own commands; gives what it printed.
    ///
    /// # Errors
    /// `Unavailable` with what it said on standard error.
    pub async fn run(&self, command: &[String]) -> Result<String> {
        let Some((program, words)) = command.split_first() else { return Ok(String::new()) };
        let running = Command::new(program)
            .args(words)
            // Their answers are read by us.
            .env("LC_ALL", "C")
            .stdin(Stdio::null())
            .kill_on_drop(true)
            .output();
        let name = command.iter().take(3).map(String::as_str).collect::<Vec<_>>().join(" ");
        let output = tokio::time::timeout(LONGEST, running)
            .await
            .map_err(|_| Error::unavailable(format!("{name} did not end within a minute.")))?
            .map_err(|e| Error::unavailable(format!("{program} can't be run: {e}.")))?;
        if output.status.success() {
            return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
        }
        let said = String::from_utf8_lossy(&output.stderr);
        let said = said.split_whitespace().collect::<Vec<_>>().join(" ");
        Err(Error::unavailable(format!("{name} failed: {said}")))
    }

    async fn json(&self, command: &str) -> Result<Value> {
        let words = command.split(' ').chain(["--output-format", "json"]).map(str::to_owned).collect::<Vec<_>>();
        let text = self.run(&words).await?;
        serde_json::from_str(&text)
            .map_err(|e| Error::unavailable(format!("The answer of “{command}” can't be read.")).with_cause(e))
    }

    /// # Errors
    /// `Unavailable` without quorum, or while a daemon is not up yet.
    pub async fn is_ready(&self) -> Result<()> {
        let status = self.json("pvesh get /cluster/status").await?;
        let quorate = |v: &Value| v["quorate"].as_u64() != Some(0) && v["quorate"] != "0";
        // A host without a cluster has no such entry.
        let lost = status.as_array().into_iter().flatten().any(|i| i["type"] == "cluster" && !quorate(i));
        if lost {
            return Err(Error::unavailable(
                "The cluster has no quorum: nothing can be changed on it now. Start more nodes, then try again.",
            ));
        }
        Ok(())
    }

    /// The same, for a host that may just be booting.
    pub async fn wait_until_ready(&self, patience: Duration) -> Result<()> {
        let until = Instant::now() + patience;
        loop {
            match self.is_ready().await {
                Err(e) if Instant::now() >= until => return Err(e),
                Err(e) => tracing::info!(error = e.chain(), "Proxmox is not ready yet"),
                Ok(()) => return Ok(()),
            }
            tokio::time::sleep(Duration::from_secs(5)).await;
        }
    }

    pub async fn version(&self) -> Result<String> {
        let version = self.json("pvesh get /version").await?;
        let text = version["version"].as_str().map(str::to_owned);
        text.ok_or_else(|| Error::unavailable("pvesh does not tell Proxmox's version."))
    }

    /// The cluster's name, else the node's: what people call it.
    pub async fn name(&self) -> String {
        let status = self.json("pvesh get /cluster/status").await.unwrap_or_default();
        let named = |kind: &str| {
            let fits = |i: &&Value| i["type"] == kind && (kind == "cluster" || i["local"].as_u64() == Some(1));
            let found = status.as_array().into_iter().flatten().find(fits);
            found.and_then(|i| i["name"].as_str()).map(str::to_owned)
        };
        named("cluster").or_else(|| named("node")).unwrap_or_else(|| "Proxmox".to_owned())
    }

    /// Roles, entries, and what `user` has.
    pub async fn access(&self, user: &str) -> Result<CurrentAccess> {
        let mut found = CurrentAccess::default();
        let text = |v: &Value, key: &str| v[key].as_str().unwrap_or_default().to_owned();
        for role in self.json("pveum role list").await?.as_array().into_iter().flatten() {
            let privileges = text(role, "privs");
            let privileges = privileges.split([',', ' ']).filter(|p| !p.is_empty()).map(str::to_owned);
            found.roles.insert(text(role, "roleid"), privileges.collect());
        }
        for entry in self.json("pveum acl list").await?.as_array().into_iter().flatten() {
            found.entries.push((text(entry, "path"), text(entry, "ugid"), text(entry, "roleid")));
        }
        let users = self.json("pveum user list").await?;
        found.user = users.as_array().into_iter().flatten().find(|u| u["userid"] == user).map(|u| text(u, "comment"));
        if found.user.is_some() {
            let tokens = self.json(&format!("pveum user token list {user}")).await?;
            found.tokens = tokens.as_array().into_iter().flatten().map(|t| text(t, "tokenid")).collect();
        }
        Ok(found)
    }

    /// How the node is recognised: by the cluster's CA, which outlives its certificates; or, where a custom
    /// certificate is installed (ACME for instance), only by those that the node may present.
    ///
    /// # Errors
    /// `Unavailable` when a file can't be read.
    pub fn address(&self, endpoint: &str) -> Result<NodeAddress> {
        let wrong =
            |path: &Path, e: &dyn std::fmt::Display| Error::unavailable(format!("{} can't be read: {e}", shown(path)));
        let own = self.folder.join("local/pveproxy-ssl.pem");
        if !own.exists() {
            let path = self.folder.join("pve-root-ca.pem");
            let pem = std::fs::read_to_string(&path).map_err(|e| wrong(&path, &e))?;
            return Ok(NodeAddress { endpoint: endpoint.to_owned(), ca: Some(pem), pins: Vec::new() });
        }
        let mut pins = Vec::new();
        // The other one too: it is shown again when the custom one is removed.
        for path in [own, self.folder.join("local/pve-ssl.pem")] {
            if let Ok(pem) = std::fs::read(&path) {
                let leaf = CertificateDer::pem_slice_iter(&pem).next();
                let leaf = leaf.ok_or_else(|| wrong(&path, &"no certificate in it"))?.map_err(|e| wrong(&path, &e))?;
                pins.push(hex::encode(Sha256::digest(&leaf)));
            }
        }
        Ok(NodeAddress { endpoint: endpoint.to_owned(), ca: None, pins })
    }
}

/// For messages: a path that is not UTF-8 is shown as well as it can be.
fn shown(path: &Path) -> String {
    path.display().to_string()
}

/// A program's path, as the shell finds it.
fn program(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path).map(|folder| folder.join(name)).find(|file| file.is_file())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_without_proxmox_is_told_from_one_that_is_not_up_yet() {
        let folder = tempfile::tempdir().unwrap();
        let e = LocalNode::find(&folder.path().join("nothing")).unwrap_err();
        assert_eq!(e.kind(), base::Kind::NotFound, "{}", e.message());
        std::fs::create_dir(folder.path().join("priv")).unwrap();
        assert!(LocalNode::find(folder.path()).is_ok());
    }

    #[test]
    fn an_own_certificate_is_pinned_and_else_the_ca_counts() {
        let folder = tempfile::tempdir().unwrap();
        let host = LocalNode { folder: folder.path().to_owned() };
        assert!(host.address("https://127.0.0.1:8006").unwrap_err().message().contains("pve-root-ca.pem"));
        std::fs::write(folder.path().join("pve-root-ca.pem"), "the CA").unwrap();
        assert_eq!(host.address("https://127.0.0.1:8006").unwrap().ca.as_deref(), Some("the CA"));
        std::fs::create_dir(folder.path().join("local")).unwrap();
        let key = rcgen::KeyPair::generate().unwrap();
        let cert = rcgen::CertificateParams::new(vec!["pve1.example".to_owned()]).unwrap().self_signed(&key).unwrap();
        std::fs::write(folder.path().join("local/pveproxy-ssl.pem"), cert.pem()).unwrap();
        let address = host.address("https://127.0.0.1:8006").unwrap();
        assert_eq!((address.ca, address.pins), (None, vec![hex::encode(Sha256::digest(cert.der()))]));
    }

    #[test]
    fn the_secret_is_taken_from_the_answer_and_its_lack_is_said() {
        let answer = r#"{"full-tokenid":"steward@pve!a","info":{"privsep":"0"},"value":"1-2-3"}"#;
        assert_eq!(token_value(answer).unwrap().expose(), "1-2-3");
        assert!(token_value("").is_err() && token_value("{}").is_err());
    }
}
