//! `steward guests create`.

use super::super::say::say;
use super::actions::{self, Wait};
use super::client::Api;
use super::{Common, complete, find, table};
use base::amounts::{gibibytes, mebibytes};
use base::{Error, Result};
use clap_complete::engine::{ArgValueCandidates, ArgValueCompleter};
use model::guests::keys::{check_public_keys, is_private};
use serde_json::{Map, Value, json};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use web::guests::rest::Created;

#[derive(Debug, clap::Args)]
pub struct Create {
    /// Its host name, like web-01 or web-01.example.org.
    name: Option<String>,
    /// A file with the whole request as JSON, `-` for standard input; options given as well take precedence.
    #[arg(long, value_name = "FILE")]
    from: Option<PathBuf>,
    /// The node to make it on.
    #[arg(long, add = ArgValueCandidates::new(complete::nodes))]
    node: Option<String>,
    /// The connection's name or id, when several have a node of this name.
    #[arg(long)]
    connection: Option<String>,
    /// The template's name or number.
    #[arg(long, conflicts_with = "iso", add = ArgValueCompleter::new(complete::templates))]
    template: Option<String>,
    /// Share the template's disk instead of copying it: quick, but the template can't be deleted then.
    #[arg(long, requires = "template")]
    linked: bool,
    /// Start from an ISO image with a blank disk, like local:iso/name.iso.
    #[arg(long, value_name = "VOLUME")]
    iso: Option<String>,
    /// The system to install from it, like linux or windows11; left out: Linux.
    #[arg(long, requires = "iso")]
    system: Option<String>,
    /// A hardware profile's name or id; it says what is left out below. `steward profiles list` lists them.
    #[arg(long, add = ArgValueCandidates::new(complete::profiles))]
    profile: Option<String>,
    /// Left out: the profile's, else as the template has it.
    #[arg(long)]
    cores: Option<u32>,
    /// MiB, or with a unit: 2G.
    #[arg(long, value_parser = mebibytes)]
    memory: Option<u64>,
    /// GiB; a clone's disk only grows.
    #[arg(long, value_parser = gibibytes)]
    disk: Option<u64>,
    /// Where the disk goes; left out: where the template's disk is.
    #[arg(long)]
    storage: Option<String>,
    /// The network bridge.
    #[arg(long)]
    bridge: Option<String>,
    #[arg(long)]
    vlan: Option<u16>,
    /// `dhcp`, or an address with its prefix like 192.168.1.44/24.
    #[arg(long, value_name = "ADDRESS")]
    address: Option<String>,
    #[arg(long, requires = "address")]
    gateway: Option<String>,
    /// The user that cloud-init makes.
    #[arg(long)]
    user: Option<String>,
    /// A file with that user's password, for a template of Windows.
    #[arg(long, value_name = "FILE")]
    password_file: Option<PathBuf>,
    /// A file with public SSH keys; may be given several times.
    #[arg(long, value_name = "FILE")]
    ssh_key: Vec<PathBuf>,
    #[arg(long, value_name = "TAG")]
    tag: Vec<String>,
    #[arg(long)]
    description: Option<String>,
    /// Leave it switched off.
    #[arg(long)]
    no_start: bool,
    /// The same key gives the same machine while its job is open, however often this is sent.
    #[arg(long, value_name = "TEXT")]
    idempotency_key: Option<String>,
    #[command(flatten)]
    wait: Wait,
}

impl Create {
    pub async fn run(self, api: &mut Api, common: &Common) -> Result<ExitCode> {
        let body = self.body(api).await?;
        let made: Created = api.create("/guests", &body, self.idempotency_key.as_deref()).await?;
        if !common.json() {
            say(&format!("The machine's id is {}.", made.guest));
        } else if !self.wait.wait {
            table::json(&made);
            return Ok(ExitCode::SUCCESS);
        }
        actions::finish(api, common, &self.wait, vec![made.job]).await
    }

    async fn body(&self, api: &mut Api) -> Result<Map<String, Value>> {
        let mut body = self.from.as_deref().map(read).transpose()?.unwrap_or_default();
        let mut put = |name: &str, value: Option<Value>| {
            if let Some(value) = value {
                body.insert(name.to_owned(), value);
            }
        };
        put("name", self.name.as_ref().map(|v| json!(v)));
        put("connection", self.connection.as_ref().map(|v| json!(v)));
        put("node", self.node.as_ref().map(|v| json!(v)));
        put("profile", self.profile.as_ref().map(|v| json!(v)));
        put("cores", self.cores.map(|v| json!(v)));
        put("memory", self.memory.map(|v| json!(v)));
        put("disk", self.disk.map(|v| json!(v)));
        put("storage", self.storage.as_ref().map(|v| json!(v)));
        put("bridge", self.bridge.as_ref().map(|v| json!(v)));
        put("vlan", self.vlan.map(|v| json!(v)));
        put("user", self.user.as_ref().map(|v| json!(v)));
        if let Some(path) = &self.password_file {
            let text = super::text_of(path)?;
            put("password", Some(json!(text.trim_end_matches(['\r', '\n']))));
        }
        put("description", self.description.as_ref().map(|v| json!(v)));
        put("tags", Some(json!(self.tag)).filter(|_| !self.tag.is_empty()));
        put("start", self.no_start.then_some(json!(false)));
        if self.gateway.is_some() && self.address.as_deref() == Some("dhcp") {
            return Err(Error::invalid(
                "--gateway is for an --address of the machine's own; DHCP tells it the router.",
            ));
        }
        put(
            "address",
            self.address.as_deref().map(|a| match a {
                "dhcp" => json!({ "mode": "dhcp" }),
                cidr => json!({ "mode": "static", "cidr": cidr, "gateway": self.gateway.clone().unwrap_or_default() }),
            }),
        );
        if !self.ssh_key.is_empty() {
            put("ssh_keys", Some(json!(keys(&self.ssh_key)?)));
        }
        if let Some(volid) = &self.iso {
            let mut source = json!({ "from": "iso", "volid": volid });
            if let Some(system) = &self.system {
                source["system"] = json!(system);
            }
            put("source", Some(source));
        }
        if let Some(wanted) = &self.template {
            let template = find::guest(api, wanted).await?;
            if !template.template {
                return Err(Error::conflict(format!("“{wanted}” is a machine, not a template.")));
            }
            put("source", Some(json!({ "from": "template", "vmid": template.vmid, "full": !self.linked })));
        }
        // A profile brings sizes, and perhaps the bridge; the appliance says what still lacks then.
        let by_profile = body.contains_key("profile");
        let lacking: Vec<&str> = [
            ("name", "NAME", false),
            ("node", "--node", false),
            ("source", "--template or --iso", false),
            ("cores", "--cores", by_profile),
            ("memory", "--memory", by_profile),
            ("disk", "--disk", by_profile),
            ("bridge", "--bridge", by_profile),
        ]
        .into_iter()
        .filter(|(field, _, brought)| !brought && !body.contains_key(*field))
        .map(|(_, option, _)| option)
        .collect();
        if lacking.is_empty() {
            return Ok(body);
        }
        Err(Error::invalid(format!("Still needed: {}.", lacking.join(", "))))
    }
}

fn read(path: &Path) -> Result<Map<String, Value>> {
    let text = super::text_of(path)?;
    serde_json::from_str(&text).map_err(|e| Error::invalid(format!("{}: {e}", path.display())))
}

/// Public keys only: a private one must never leave this computer.
fn keys(files: &[PathBuf]) -> Result<String> {
    let mut all = Vec::new();
    for path in files {
        let text = super::text_of(path)?;
        if is_private(&text) {
            let public = format!("{}.pub", path.display());
            return Err(Error::invalid(format!("{} is a private key. Give the public one: {public}", path.display())));
        }
        check_public_keys(&text).map_err(|why| Error::invalid(format!("{}: {why}", path.display())))?;
        all.push(text.trim().to_owned());
    }
    Ok(all.join("\n"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_private_key_does_not_leave_this_computer() {
        let folder = tempfile::tempdir().unwrap();
        let (private, public) = (folder.path().join("id"), folder.path().join("id.pub"));
        std::fs::write(&private, "-----BEGIN OPENSSH PRIVATE KEY-----").unwrap();
        std::fs::write(
            &public,
            "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIHxB8x6WmXgkqE0o4h9mT0dW6q2Jm0cJ3n2T3r4s5t6u me\n",
        )
        .unwrap();
        assert!(keys(&[public.clone(), private]).unwrap_err().message().ends_with("id.pub"));
        let cut = folder.path().join("cut.pub");
        std::fs::write(&cut, "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIHxB8x6W me\n").unwrap();
        assert!(keys(&[cut]).unwrap_err().message().contains("cut.pub: The key is damaged"));
        assert_eq!(
            keys(&[public]).unwrap(),
            "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIHxB8x6WmXgkqE0o4h9mT0dW6q2Jm0cJ3n2T3r4s5t6u me"
        );
    }
}
