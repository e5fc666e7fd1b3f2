//! Connections to Proxmox: adding one (accept the certificate, log in once or give a token), checking its
//! rights, limiting where it may act.

use crate::guests::sharing::drop_of_guest;
use crate::joining::MARK;
use crate::live::Live;
use crate::{Actor, App, host};
use arc_swap::ArcSwap;
use base::ids::ConnectionId;
use base::{Error, Result, Secret, random};
use model::connections::{Connection, Limits, Reach, SshAccess, Trust};
use model::events::EventKind;
use plugin::Run;
use remote::pve::{self, CertificateInfo, PveClient, PveError, PveErrorKind, Target};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::collections::HashMap;
use std::sync::Arc;
use store::{Read, Scan, Store, tables};

/// The plugin behind a connection when nothing else was chosen.
const PROXMOX: &str = "proxmox";

/// Connections with their clients, in memory.
pub struct Links(ArcSwap<HashMap<ConnectionId, Arc<Link>>>);

struct Link {
    /// Without its secrets: they are in the client, and in the store.
    row: Connection,
    /// None for a host that is reached by SSH.
    client: Option<PveClient>,
}

impl Links {
    pub(super) fn load(store: &Store) -> Result<Self> {
        let rows = store.read(|tx| tx.list(tables::CONNECTIONS, Scan::all(), usize::MAX))?;
        let mut map = HashMap::new();
        for (id, row) in rows {
            map.insert(id, Arc::new(Link::new(&row)?));
        }
        Ok(Self(ArcSwap::from_pointee(map)))
    }

    /// Tells the live state which connections there are: their reports are taken in only then.
    pub(super) fn announce(&self, live: &Live) {
        for (id, link) in self.0.load().iter() {
            live.set_connection(*id, &link.row.name, Reach::Unknown);
        }
    }

    fn change(&self, f: impl Fn(&mut HashMap<ConnectionId, Arc<Link>>)) {
        self.0.rcu(|old| {
            let mut map = HashMap::clone(old);
            f(&mut map);
            map
        });
    }
}

impl Link {
    fn new(row: &Connection) -> Result<Self> {
        if row.ssh.is_some() {
            return Ok(Self { row: row.without_secrets(), client: None });
        }
        let client = PveClient::new(Target {
            endpoints: row.endpoints.clone(),
            trust: wire_trust(&row.trust),
            token_id: row.token_id.clone(),
            token_secret: row.token_secret.clone(),
        })?;
        Ok(Self { row: row.without_secrets(), client: Some(client) })
    }

    fn client(&self) -> Result<&PveClient> {
        self.client.as_ref().ok_or_else(|| Error::conflict("This connection is by SSH; it has no Proxmox API."))
    }
}

/// A connection as the settings page shows it: no secret.
#[derive(Clone, Debug)]
pub struct ConnectionView {
    pub id: ConnectionId,
    pub name: String,
    pub plugin: String,
    pub endpoints: Vec<String>,
    /// Accepted certificates as Proxmox shows them; none when the cluster's own CA is trusted.
    pub fingerprints: Vec<String>,
    /// The CA that is trusted instead, as PEM.
    pub ca: Option<String>,
    pub token_id: String,
    /// For a host by SSH; then there is no address, certificate and token.
    pub ssh: Option<SshView>,
    pub limits: Limits,
    pub reach: Reach,
}

/// How Steward signs in to a host by SSH: no secret.
#[derive(Clone, Debug)]
pub struct SshView {
    /// `root@kvm1`, with the port when it is not 22.
    pub place: String,
    /// Accepted host keys, `SHA256:...`.
    pub host_keys: Vec<String>,
    /// Steward's own public key there.
    pub public: String,
}

impl SshView {
    fn of(access: &SshAccess) -> Self {
        let port = if access.port == 22 { String::new() } else { format!(":{}", access.port) };
        Self {
            place: format!("{}@{}{port}", access.user, access.host),
            host_keys: access.host_keys.clone(),
            public: access.public.clone(),
        }
    }
}

/// How the person proves to Proxmox that Steward may come in.
#[derive(Debug)]
pub enum Credential {
    /// A token that they made.
    Token { id: String, secret: Secret<String> },
    /// Login and password, used once to make a role and a token, then forgotten.
    Login { user: String, password: Secret<String>, otp: Option<Secret<String>> },
}

/// A connection to add.
#[derive(Debug)]
pub struct NewConnection {
    pub name: String,
    /// `https://host:8006`; just a host name or address is completed.
    pub address: String,
    /// The fingerprint that the person accepted, as hex, with or without colons.
    pub fingerprint: String,
    pub credential: Credential,
    pub limits: Limits,
}

/// What an admin may change of a connection.
#[derive(Clone, Debug)]
pub struct ConnectionChange {
    pub name: String,
    /// Nodes of one cluster; the first that answers is used.
    pub addresses: Vec<String>,
    /// SHA-256 of each certificate that is accepted, as hex, with or without colons.
    pub fingerprints: Vec<String>,
    /// The cluster's own CA as PEM, to be trusted instead of single certificates.
    pub ca: Option<String>,
    pub limits: Limits,
}

/// What a token lacks.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct MissingRight {
    pub path: String,
    pub privilege: String,
    /// What does not work without it.
    pub why: String,
    /// What to run on a node as root.
    #[serde(default)]
    pub command: String,
}

/// What a look at a connection's rights found.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct Probe {
    pub version: String,
    #[serde(default)]
    pub missing: Vec<MissingRight>,
}

/// What the plugin wants to be made on Proxmox.
#[derive(Debug, Deserialize)]
pub(super) struct SetupPlan {
    pub role: String,
    pub privileges: Vec<String>,
    pub user: String,
    pub token: String,
}

pub struct Connections<'a>(pub(super) &'a App);

impl Connections<'_> {
    /// All connections, by name.
    ///
    /// # Errors
    /// `Forbidden` unless an admin asks.
    pub fn list(&self, actor: &Actor) -> Result<Vec<ConnectionView>> {
        actor.require_admin()?;
        let mut out: Vec<_> = self.0.0.links.0.load().values().map(|l| self.view(&l.row)).collect();
        out.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(out)
    }

    /// One connection.
    ///
    /// # Errors
    /// `Forbidden`, `NotFound`.
    pub fn get(&self, actor: &Actor, id: ConnectionId) -> Result<ConnectionView> {
        actor.require_admin()?;
        Ok(self.view(&self.find(id)?.row))
    }

    fn view(&self, row: &Connection) -> ConnectionView {
        let (fingerprints, ca) = match &row.trust {
            Trust::Fingerprints(all) => (all.iter().map(|f| fingerprint_text(f)).collect(), None),
            Trust::Ca(pem) => (Vec::new(), Some(pem.clone())),
        };
        let reach = self.0.live().snapshot().connection(row.id).map_or(Reach::Unknown, |c| c.reach.clone());
        ConnectionView {
            id: row.id,
            name: row.name.clone(),
            plugin: row.plugin.clone(),
            endpoints: row.endpoints.clone(),
            fingerprints,
            ca,
            token_id: row.token_id.clone(),
            ssh: row.ssh.as_ref().map(SshView::of),
            limits: row.limits.clone(),
            reach,
        }
    }

    fn find(&self, id: ConnectionId) -> Result<Arc<Link>> {
        self.0
            .0
            .links
            .0
            .load()
            .get(&id)
            .cloned()
            .ok_or_else(|| Error::not_found("This connection does not exist (any more)."))
    }

    pub(super) fn ids(&self) -> Vec<ConnectionId> {
        self.0.0.links.0.load().keys().copied().collect()
    }

    pub(super) fn name(&self, id: ConnectionId) -> Option<String> {
        self.0.0.links.0.load().get(&id).map(|l| l.row.name.clone())
    }

    pub(super) fn plugin_of(&self, id: ConnectionId) -> Result<String> {
        Ok(self.find(id)?.row.plugin.clone())
    }

    pub(super) fn token_id(&self, id: ConnectionId) -> Result<String> {
        Ok(self.find(id)?.row.token_id.clone())
    }

    pub(super) fn limits(&self, id: ConnectionId) -> Result<Limits> {
        Ok(self.find(id)?.row.limits.clone())
    }

    pub(super) fn link(&self, id: ConnectionId) -> Result<(PveClient, Limits)> {
        let link = self.find(id)?;
        Ok((link.client()?.clone(), link.row.limits.clone()))
    }

    /// The client of a connection, for waiting on its tasks.
    ///
    /// # Errors
    /// `NotFound`.
    pub fn client(&self, id: ConnectionId) -> Result<PveClient> {
        Ok(self.find(id)?.client()?.clone())
    }

    /// How to sign in to the host of a connection by SSH; without the key.
    pub(super) fn ssh_access(&self, id: ConnectionId) -> Result<SshAccess> {
        let link = self.find(id)?;
        link.row.ssh.clone().ok_or_else(|| Error::conflict("This connection is not by SSH."))
    }

    /// The key for it, read for one sign-in.
    pub(super) fn ssh_key(&self, id: ConnectionId) -> Result<Secret<String>> {
        Ok(self.row(id)?.ssh.map(|ssh| ssh.private).unwrap_or_default())
    }

    /// Keeps the host key that was seen first.
    pub(super) async fn pin_ssh(&self, id: ConnectionId, fingerprint: String) -> Result<()> {
        let mut row = self.row(id)?;
        match &mut row.ssh {
            Some(ssh) if ssh.host_keys.is_empty() => ssh.host_keys = vec![fingerprint],
            _ => return Ok(()),
        }
        let link = Arc::new(Link::new(&row)?);
        self.0.store().write(move |tx| tx.put(tables::CONNECTIONS, &id, &row)).await?;
        self.0.0.links.change(|map| {
            map.insert(id, Arc::clone(&link));
        });
        Ok(())
    }

    /// Accepts these keys of the host from now on.
    pub(super) async fn set_host_keys(&self, actor: &Actor, id: ConnectionId, host_keys: Vec<String>) -> Result<()> {
        let mut row = self.row(id)?;
        let ssh = row.ssh.as_mut().ok_or_else(|| Error::conflict("This connection is not by SSH."))?;
        ssh.host_keys = host_keys;
        self.store(actor, Link::new(&row)?, row, "connection.host_keys").await.map(|_| ())
    }

    /// The certificate that the address shows now, for the person to compare and accept.
    ///
    /// # Errors
    /// `Forbidden`; `Invalid` on `address`.
    pub async fn certificate(&self, actor: &Actor, address: &str) -> Result<(String, CertificateInfo)> {
        actor.require_full_admin()?;
        let endpoint = endpoint(address)?;
        let info = pve::fetch_certificate(&endpoint).await.map_err(|e| Error::field("address", e.message))?;
        Ok((endpoint, info))
    }

    /// Adds a connection: proves the credential (or makes a token with the login), checks that it answers, and
    /// stores it. A password is used once and forgotten.
    ///
    /// # Errors
    /// `Forbidden`; `Invalid` beside the field that is wrong.
    pub async fn add(&self, actor: &Actor, new: NewConnection) -> Result<ConnectionId> {
        actor.require_full_admin()?;
        let endpoint = endpoint(&new.address)?;
        let name = check_name(&new.name)?;
        let fingerprint = parse_fingerprint(&new.fingerprint)?;
        let trust = Trust::Fingerprints(vec![fingerprint]);
        let (token_id, token_secret) = match new.credential {
            Credential::Token { id, secret } => (id.trim().to_owned(), secret),
            Credential::Login { user, password, otp } => {
                self.make_token(&endpoint, &trust, &user, &password, otp.as_ref()).await?
            }
        };
        let row = Connection {
            id: ConnectionId::new(),
            name,
            plugin: PROXMOX.to_owned(),
            endpoints: vec![endpoint],
            trust,
            token_id,
            token_secret,
            limits: new.limits,
            created: self.0.now(),
            ssh: None,
        };
        let link = Link::new(&row)?;
        let version = link.client()?.call("GET", "/version", &Value::Null).await.map_err(token_error)?;
        tracing::info!(connection = link.row.name, version = %version["version"], "connection answers");
        self.store(actor, link, row, "connection.add").await
    }

    async fn store(&self, actor: &Actor, link: Link, row: Connection, action: &str) -> Result<ConnectionId> {
        let place = row.ssh.as_ref().map_or_else(|| row.endpoints.join(", "), |ssh| SshView::of(ssh).place);
        let record = actor.record(self.0.now(), action, &row.name, place);
        self.0
            .store()
            .write(move |tx| {
                tx.put(tables::CONNECTIONS, &row.id, &row)?;
                tx.event(EventKind::Connection, None);
                tx.audit(record);
                Ok(())
            })
            .await?;
        let (id, link) = (link.row.id, Arc::new(link));
        self.0.0.links.change(|map| {
            map.insert(id, Arc::clone(&link));
        });
        let before = self.0.live().snapshot().connection(id).map_or(Reach::Unknown, |c| c.reach.clone());
        self.0.live().set_connection(id, &link.row.name, before);
        self.0.inventory().look_soon();
        Ok(id)
    }

    /// The stored row, with its secrets.
    pub(super) fn row(&self, id: ConnectionId) -> Result<Connection> {
        let row = self.0.store().read(|tx| tx.get(tables::CONNECTIONS, &id))?;
        row.ok_or_else(|| Error::not_found("This connection does not exist (any more)."))
    }

    /// Changes what the machine itself knows of a connection.
    pub(super) async fn change_known(&self, actor: &Actor, row: Connection) -> Result<()> {
        self.store(actor, Link::new(&row)?, row, "connection.change").await.map(|_| ())
    }

    /// Adds a connection whose details the machine itself knows (the demo, the package on a Proxmox host).
    ///
    /// # Errors
    /// What the store says.
    pub async fn add_known(&self, actor: &Actor, row: Connection) -> Result<ConnectionId> {
        self.store(actor, Link::new(&row)?, row, "connection.add").await
    }

    /// Changes name, addresses, accepted certificates and limits.
    ///
    /// # Errors
    /// `Forbidden`; `NotFound`; `Invalid` on a field.
    pub async fn change(&self, actor: &Actor, id: ConnectionId, change: ConnectionChange) -> Result<()> {
        actor.require_full_admin()?;
        let old = self.row(id)?;
        let ConnectionChange { name, addresses, fingerprints, ca, limits } = change;
        let name = check_name(&name)?;
        if limits.vmid_min.is_some_and(|v| v < 100) {
            return Err(Error::field("vmid_min", "Proxmox' numbers start at 100."));
        }
        if let (Some(low), Some(high)) = (limits.vmid_min, limits.vmid_max)
            && low > high
        {
            return Err(Error::field("vmid_max", "The last number must not be below the first."));
        }
        if old.ssh.is_some() {
            let row = Connection { name, limits, ..old };
            return self.store(actor, Link::new(&row)?, row, "connection.change").await.map(|_| ());
        }
        let in_field = |e: Error| Error::field("addresses", e.fields().values().cloned().collect::<Vec<_>>().join(" "));
        let endpoints = addresses.iter().map(|a| endpoint(a).map_err(in_field)).collect::<Result<Vec<_>>>()?;
        if endpoints.is_empty() || endpoints.len() > 16 {
            return Err(Error::field("addresses", "Give 1 to 16 addresses, one a line."));
        }
        let trust = match ca {
            Some(pem) => Trust::Ca(pem.trim().replace('\r', "")),
            None => Trust::Fingerprints(parse_pins(&fingerprints)?),
        };
        let row = Connection { name, endpoints, trust, limits, ..old };
        let by_ca = matches!(row.trust, Trust::Ca(_));
        let link = Link::new(&row).map_err(|e| if by_ca { Error::field("ca", e.message()) } else { e })?;
        self.store(actor, link, row, "connection.change").await.map(|_| ())
    }

    /// Forgets a connection. Its machines disappear from the pages; nothing is changed on Proxmox.
    ///
    /// # Errors
    /// `Forbidden`; `NotFound`; `Conflict` while jobs of it are open.
    pub async fn remove(&self, actor: &Actor, id: ConnectionId) -> Result<()> {
        actor.require_full_admin()?;
        let link = self.find(id)?;
        if self.0.jobs().open_on_connection(id)? {
            return Err(Error::conflict("Jobs of this connection are still open. Wait for them or cancel them first."));
        }
        if let Some(access) = &link.row.ssh {
            self.0.hosts().leave(id, access).await;
        }
        let rows = self.0.live().rows_of(id);
        let record =
            actor.record(self.0.now(), "connection.remove", &link.row.name, format!("{} machines", rows.len()));
        let gone: Vec<_> = rows.iter().map(|g| g.id).collect();
        self.0
            .store()
            .write(move |tx| {
                tx.delete(tables::CONNECTIONS, &id)?;
                for row in &rows {
                    tx.delete(tables::GUESTS, &row.id)?;
                    drop_of_guest(tx, row.id)?;
                    if let Some(vmid) = row.vmid {
                        tx.delete(tables::GUEST_VMIDS, &(id, vmid))?;
                    }
                }
                tx.event(EventKind::Connection, None);
                tx.audit(record);
                Ok(())
            })
            .await?;
        self.0.0.links.change(|map| {
            map.remove(&id);
        });
        self.0.live().remove_connection(id);
        self.0.live().remove_rows(&gone);
        self.0.grants().reload(self.0.store(), &gone)
    }

    /// Asks Proxmox what the token may do and compares it with what Steward needs.
    ///
    /// # Errors
    /// `Forbidden`; `NotFound`; `Unavailable` when it does not answer.
    pub async fn probe(&self, actor: &Actor, id: ConnectionId) -> Result<Probe> {
        actor.require_admin()?;
        let value = host::call(self.0, id, "probe", Vec::new()).await?;
        let mut probe: Probe = serde_json::from_value(value).map_err(|e| {
            Error::unavailable("The plugin gave an answer that can't be read. See the Plugins page.").with_cause(e)
        })?;
        // A plugin does not know with which token it asks.
        let token_id = self.find(id)?.row.token_id.clone();
        for right in &mut probe.missing {
            right.command = right.command.replace("{token}", &token_id);
        }
        Ok(probe)
    }

    /// Logs in once, makes role, user and token, and forgets the password. Each part may be there already.
    async fn make_token(
        &self,
        endpoint: &str,
        trust: &Trust,
        user: &str,
        password: &Secret<String>,
        otp: Option<&Secret<String>>,
    ) -> Result<(String, Secret<String>)> {
        let user = if user.contains('@') { user.trim().to_owned() } else { format!("{}@pam", user.trim()) };
        let ticket = pve::login(endpoint, &wire_trust(trust), &user, password, otp)
            .await
            .map_err(|e| Error::field("password", e.message))?;
        let wrong = |e: PveError| Error::field("user", format!("Proxmox refused: {}", e.message));
        let version = ticket.call("GET", "/version", &Value::Null).await.map_err(wrong)?;
        let plan = self.setup_plan(version["version"].as_str().unwrap_or_default()).await?;
        let privileges =
            known_privileges(&ticket.call("GET", "/access/roles", &Value::Null).await.map_err(wrong)?, &plan);
        let role = json!({ "roleid": plan.role, "privs": privileges });
        if let Err(e) = ticket.call("POST", "/access/roles", &role).await {
            if !e.message.contains("already exists") {
                return Err(wrong(e));
            }
            let path = format!("/access/roles/{}", plan.role);
            ticket.call("PUT", &path, &json!({ "privs": privileges })).await.map_err(wrong)?;
        }
        let made = ticket.call("POST", "/access/users", &json!({ "userid": plan.user, "comment": MARK })).await;
        if let Err(e) = made
            && !e.message.contains("already exists")
        {
            return Err(wrong(e));
        }
        let acl = json!({ "path": "/", "users": plan.user, "roles": plan.role, "propagate": true });
        ticket.call("PUT", "/access/acl", &acl).await.map_err(wrong)?;
        let token = self.free_token_name(&plan);
        let path = format!("/access/users/{}/token/{token}", plan.user);
        // The secret of a token that is there already can't be read again, so it is made anew. The name carries
        // this appliance's mark, so it is nobody else's.
        if let Err(e) = ticket.call("DELETE", &path, &Value::Null).await {
            tracing::debug!(status = e.status, "no earlier token to remove");
        }
        let made = ticket.call("POST", &path, &json!({ "privsep": false, "comment": MARK })).await.map_err(wrong)?;
        let secret = made["value"].as_str().ok_or_else(|| Error::field("user", "Proxmox made no token."))?;
        Ok((format!("{}!{token}", plan.user), Secret::new(secret.to_owned())))
    }

    /// The plan's token name, or one with a tail while a connection of ours uses that already: it may be one to
    /// the same cluster, and remaking its token would cut it off.
    fn free_token_name(&self, plan: &SetupPlan) -> String {
        let links = self.0.0.links.0.load();
        let taken = |name: &str| links.values().any(|l| l.row.token_id == format!("{}!{name}", plan.user));
        let mut name = plan.token.clone();
        while taken(&name) {
            name = format!("{}-{}", plan.token, hex::encode(random::bytes::<2>()));
        }
        name
    }

    /// Commands that make role, user and token by hand, for a node's shell as root.
    ///
    /// # Errors
    /// `Forbidden`; `Unavailable` when the plugin is not usable.
    pub async fn setup_commands(&self, actor: &Actor) -> Result<String> {
        actor.require_admin()?;
        // Empty: privileges that every version knows.
        let SetupPlan { role, privileges, user, token } = self.setup_plan("").await?;
        Ok([
            format!("pveum role add {role} -privs \"{}\"", privileges.join(",")),
            format!("pveum user add {user} -comment \"{MARK}\""),
            format!("pveum acl modify / -user {user} -role {role}"),
            format!("pveum user token add {user} {token} -privsep 0"),
        ]
        .join("\n"))
    }

    /// What the plugin wants on a Proxmox of this version; the token's name carries this appliance's mark.
    pub(super) async fn setup_plan(&self, version: &str) -> Result<SetupPlan> {
        let plugin = self.0.plugin_set().get(PROXMOX).ok_or_else(|| {
            Error::unavailable("The plugin “proxmox” is not usable right now. The Plugins page says why.")
        })?;
        let run = Run {
            plugin: PROXMOX.to_owned(),
            hook: "setup_plan".to_owned(),
            connection: None,
            job: None,
            guest: None,
            actor: "Steward".to_owned(),
            secrets: Default::default(),
        };
        let (host, version) = (self.0.plugin_host(), json!(version));
        let value = tokio::task::spawn_blocking(move || plugin.call(&host, "setup_plan", vec![version], run))
            .await
            .map_err(Error::internal)?
            .map_err(|e| Error::unavailable(e.message.clone()).with_cause(e))?;
        let mut plan: SetupPlan = serde_json::from_value(value).map_err(Error::internal)?;
        plan.token = format!("{}-{}", plan.token, self.0.0.keys.mark);
        Ok(plan)
    }
}

/// As the client wants it. A stored pin always has 32 bytes; another would never match, so it is left out.
fn wire_trust(trust: &Trust) -> pve::Trust {
    match trust {
        Trust::Fingerprints(all) => {
            pve::Trust::Fingerprints(all.iter().filter_map(|f| f.as_slice().try_into().ok()).collect())
        }
        Trust::Ca(pem) => pve::Trust::Ca(pem.clone()),
    }
}

/// The wanted privileges that this Proxmox knows: an unknown name would make the whole role fail.
fn known_privileges(roles: &Value, plan: &SetupPlan) -> String {
    let all = roles.as_array().and_then(|roles| roles.iter().find(|r| r["roleid"] == "Administrator"));
    let known = all.and_then(|r| r["privs"].as_str()).unwrap_or_default();
    let known: Vec<&str> = known.split(',').collect();
    let wanted = plan.privileges.iter().map(String::as_str);
    wanted.filter(|p| known.is_empty() || known.contains(p)).collect::<Vec<_>>().join(",")
}

fn token_error(e: PveError) -> Error {
    let field = match e.kind {
        PveErrorKind::Auth | PveErrorKind::Forbidden => "token_secret",
        _ => "address",
    };
    Error::field(field, e.message)
}

/// `pve1` and `https://pve1:8006/` both become `https://pve1:8006`.
fn endpoint(address: &str) -> Result<String> {
    let wrong =
        || Error::field("address", "Give the host's name or address, like pve1.lan or https://192.168.1.10:8006.");
    let text = address.trim();
    let text = if text.contains("://") { text.to_owned() } else { format!("https://{text}") };
    let url = url::Url::parse(&text).map_err(|_| wrong())?;
    let host = url.host_str().filter(|h| !h.is_empty()).ok_or_else(wrong)?;
    if url.scheme() != "https" || !url.username().is_empty() {
        return Err(wrong());
    }
    // `Url` hides 443 as https' default; Proxmox' own is 8006.
    let port = url.port().unwrap_or(if text.ends_with(":443") { 443 } else { 8006 });
    Ok(format!("https://{host}:{port}"))
}

/// SHA-256 as Proxmox shows it: `AA:BB:...`.
pub fn fingerprint_text(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("{b:02X}")).collect::<Vec<_>>().join(":")
}

fn parse_pins(lines: &[String]) -> Result<Vec<Vec<u8>>> {
    let pins = lines.iter().map(|f| parse_fingerprint(f)).collect::<Result<Vec<_>>>();
    let wrong = |text| Error::field("fingerprints", text);
    let pins = pins.map_err(|_| wrong("Each line is one SHA-256 fingerprint: 32 pairs of hex digits."))?;
    if pins.is_empty() {
        return Err(wrong("Without an accepted certificate nothing could be trusted."));
    }
    Ok(pins)
}

fn parse_fingerprint(text: &str) -> Result<Vec<u8>> {
    let hex: String = text.chars().filter(char::is_ascii_hexdigit).collect();
    hex::decode(hex)
        .ok()
        .filter(|b| b.len() == 32)
        .ok_or_else(|| Error::field("fingerprint", "A fingerprint is 32 pairs of hex digits (SHA-256)."))
}

/// A connection's name, without blanks at its ends.
///
/// # Errors
/// `Invalid` on `name`.
pub(super) fn check_name(name: &str) -> Result<String> {
    let name = name.trim().to_owned();
    if name.is_empty() || name.chars().count() > 60 {
        return Err(Error::field("name", "Give the connection a name of 1 to 60 characters."));
    }
    Ok(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_completed() {
        assert_eq!(endpoint(" pve1 ").unwrap(), "https://pve1:8006");
        assert_eq!(endpoint("https://192.168.1.10/").unwrap(), "https://192.168.1.10:8006");
        assert_eq!(endpoint("https://[::1]:444").unwrap(), "https://[::1]:444");
        for bad in ["", "http://pve1", "https://u@pve1", "https://"] {
            assert!(endpoint(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn only_privileges_that_this_proxmox_knows_are_asked_for() {
        let plan = SetupPlan {
            role: "Steward".into(),
            privileges: vec!["VM.Audit".into(), "VM.Monitor".into()],
            user: String::new(),
            token: String::new(),
        };
        let roles = json!([{ "roleid": "Administrator", "privs": "VM.Audit,VM.Clone" }]);
        assert_eq!(known_privileges(&roles, &plan), "VM.Audit");
    }

    #[test]
    fn fingerprints_are_read_with_and_without_colons() {
        let text = fingerprint_text(&[0xab; 32]);
        assert_eq!(parse_fingerprint(&text).unwrap(), vec![0xab; 32]);
        assert_eq!(parse_fingerprint(&text.replace(':', "")).unwrap(), vec![0xab; 32]);
        assert!(parse_fingerprint("AA:BB").is_err());
    }
}
