//! Hardware profiles: admins keep them, everybody makes machines with them. What a profile fixes is checked here and
//! in `guests/profile.rs`, so that pages, the REST API and the command line can't differ.

use crate::{Actor, App};
use base::ids::{ConnectionId, ProfileId};
use base::{Error, Result, Timestamp};
use model::guests::settings::MachineSettings;
use model::guests::{GuestKind, GuestRequest, GuestSource, GuestSpec, GuestState};
use model::options::text_of;
use model::profiles::{DISKS, Profile, ProfileRequest, starting};
use model::subject::Subject;
use plugin::Plugins;
use serde::{Deserialize, Serialize};
use serde_json::json;
use std::collections::{BTreeMap, BTreeSet};
use store::{Json, Name, Read, Scan, Store, WriteTx, tables};

/// The name of the setting that says who must choose one. It is there as soon as the first profiles are.
const POLICY: &str = "profiles";

/// The pure hook of a provider that looks at several values together.
const TOGETHER: &str = "settings_check";

#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
struct Policy {
    /// Everyone except admins must choose a profile.
    required: bool,
}

pub struct HardwareProfiles<'a>(pub(super) &'a App);

/// Creates the initial profiles, once in a store's life: once deleted, they do not come back.
pub(super) fn first_start(store: &Store, plugins: &Plugins, now: Timestamp) -> Result<()> {
    if store.read(|tx| tx.get(tables::SETTINGS, &Name::new(POLICY)))?.is_some() {
        return Ok(());
    }
    let policy = Json(serde_json::to_value(Policy::default()).map_err(Error::internal)?);
    let all = starting(now, plugins.providers().iter().flat_map(|p| p.manifest().profiles.clone()));
    store.write_blocking(move |tx| {
        for profile in all {
            tx.put(tables::PROFILES, &profile.id, &profile)?;
        }
        tx.put(tables::SETTINGS, &Name::new(POLICY), &policy)
    })
}

fn gone() -> Error {
    Error::not_found("This profile does not exist.")
}

impl HardwareProfiles<'_> {
    /// All profiles by size and name. Everybody signed in may see them: the create form needs them.
    pub fn list(&self, _: &Actor) -> Result<Vec<Profile>> {
        let all = self.0.store().read(|tx| tx.list(tables::PROFILES, Scan::all(), usize::MAX))?;
        let mut all: Vec<Profile> = all.into_iter().map(|(_, p)| p).collect();
        let size = |p: &Profile| (p.number("cores").unwrap_or(0), p.number("memory").unwrap_or(0));
        all.sort_by(|a, b| {
            size(a).cmp(&size(b)).then_with(|| a.values.len().cmp(&b.values.len())).then_with(|| a.name.cmp(&b.name))
        });
        Ok(all)
    }

    /// One profile.
    pub fn get(&self, _: &Actor, id: ProfileId) -> Result<Profile> {
        self.known(id)?.ok_or_else(gone)
    }

    pub(crate) fn known(&self, id: ProfileId) -> Result<Option<Profile>> {
        self.0.store().read(|tx| tx.get(tables::PROFILES, &id))
    }

    /// The profile of that id or name; case does not matter.
    ///
    /// # Errors
    /// `Invalid` on `profile` when there is none.
    pub fn find(&self, actor: &Actor, text: &str) -> Result<Profile> {
        let text = text.trim();
        let id = text.parse::<ProfileId>().ok();
        let mine = |p: &Profile| Some(p.id) == id || p.name.to_lowercase() == text.to_lowercase();
        let found = self.list(actor)?.into_iter().find(mine);
        found.ok_or_else(|| Error::field("profile", format!("There is no profile “{text}”. Choose one from the list.")))
    }

    /// Names of all storages for disks and all bridges that may be used anywhere, for the form of a profile. A node
    /// that does not answer leaves its bridges out.
    pub async fn places(&self, actor: &Actor) -> Result<(Vec<String>, Vec<String>)> {
        actor.require_admin()?;
        let snapshot = self.0.live().snapshot();
        let (mut storages, mut bridges) = (BTreeSet::new(), BTreeSet::new());
        for c in &snapshot.connections {
            let limits = self.0.connections().limits(c.id)?;
            let disks = c.storages.iter().filter(|s| s.content.iter().any(|k| k == "images"));
            storages.extend(disks.map(|s| s.name.clone()).filter(|s| limits.allows_storage(s)));
            let told = self.0.nodes().bridges(actor, c.id).await?;
            bridges.extend(told.into_iter().filter(|b| limits.allows_bridge(b)));
        }
        Ok((storages.into_iter().collect(), bridges.into_iter().collect()))
    }

    /// Names of the machines that have it, as far as the actor may see them.
    pub fn used_by(&self, actor: &Actor, id: ProfileId) -> Vec<String> {
        let snapshot = self.0.live().snapshot();
        let mine = snapshot.guests.iter().filter(|g| g.row.profile == Some(id) && actor.guest_right(&g.row).is_some());
        mine.map(|g| g.state.name.clone()).collect()
    }

    /// Makes a profile, or changes the one with this id.
    pub async fn put(&self, actor: &Actor, id: Option<ProfileId>, request: ProfileRequest) -> Result<Profile> {
        actor.require_full_admin()?;
        let settings = self.settings();
        let (request, mut wrong) = request.read(&settings);
        wrong.extend(self.wrong_together(&request.values).await?);
        Error::of_fields(wrong)?;
        let now = self.0.now();
        let word = if id.is_some() { "profile.change" } else { "profile.create" };
        let profile = Profile {
            id: id.unwrap_or_else(ProfileId::new),
            name: request.name,
            note: request.note,
            values: request.values,
            locked: request.locked.into_iter().collect(),
            disks: request.disks,
            created: now,
            changed: now,
            by: actor.login().to_owned(),
        };
        let fixed =
            if profile.locked.is_empty() { String::new() } else { format!("; fixed: {}", profile.locked.join(", ")) };
        let record = actor.record(now, word, &profile.name, format!("{}{fixed}", profile.summary(&settings)));
        self.0
            .store()
            .write(move |tx| {
                let old = tx.get(tables::PROFILES, &profile.id)?;
                if id.is_some() && old.is_none() {
                    return Err(gone());
                }
                check_name(tx, &profile)?;
                let profile = Profile { created: old.map_or(now, |o| o.created), ..profile };
                tx.put(tables::PROFILES, &profile.id, &profile)?;
                tx.event(Subject::Profiles, None);
                tx.audit(record);
                Ok(profile)
            })
            .await
    }

    /// Deletes a profile; machines made with it stay as they are, and what it fixed is free. `name` is what the
    /// person typed to confirm.
    ///
    /// # Errors
    /// `Forbidden`, `NotFound`; `Invalid` on `name`.
    pub async fn remove(&self, actor: &Actor, id: ProfileId, name: &str) -> Result<()> {
        actor.require_full_admin()?;
        let profile = self.get(actor, id)?;
        if name.trim() != profile.name {
            return Err(Error::field("confirm", "Type the profile's name exactly as shown to delete it."));
        }
        let used = self.used_by(actor, id).len();
        let record = actor.record(self.0.now(), "profile.delete", &profile.name, format!("used by {used} machines"));
        self.0
            .store()
            .write(move |tx| {
                if !tx.delete(tables::PROFILES, &id)? {
                    return Err(gone());
                }
                tx.event(Subject::Profiles, None);
                tx.audit(record);
                Ok(())
            })
            .await
    }

    /// Must everyone except admins choose a profile?
    pub fn required(&self) -> Result<bool> {
        let policy = self.0.store().read(|tx| tx.get(tables::SETTINGS, &Name::new(POLICY)))?;
        let policy = policy.map(|Json(v)| serde_json::from_value::<Policy>(v)).transpose().map_err(Error::internal)?;
        Ok(policy.unwrap_or_default().required)
    }

    /// Must this actor?
    pub fn required_of(&self, actor: &Actor) -> Result<bool> {
        Ok(!actor.is_admin() && self.required()?)
    }

    /// Sets whether everyone except admins must choose one.
    pub async fn set_required(&self, actor: &Actor, required: bool) -> Result<()> {
        actor.require_full_admin()?;
        let words = if required { "must be chosen" } else { "may be chosen" };
        let record = actor.record(self.0.now(), "profile.policy", "everybody", words);
        let policy = Json(serde_json::to_value(Policy { required }).map_err(Error::internal)?);
        self.0
            .store()
            .write(move |tx| {
                tx.put(tables::SETTINGS, &Name::new(POLICY), &policy)?;
                tx.event(Subject::Profiles, None);
                tx.audit(record);
                Ok(())
            })
            .await
    }

    /// What a profile can hold: what any of the providers declares.
    pub fn settings(&self) -> MachineSettings {
        let all = self.0.plugin_set().providers();
        let all = all.iter().map(|p| MachineSettings::of(&p.manifest().settings, GuestKind::Vm).for_profiles());
        let mut all: Vec<MachineSettings> = all.collect();
        // Labels are those of the provider with the most features.
        all.sort_by_key(|s| std::cmp::Reverse(s.iter().count()));
        MachineSettings::union(all)
    }

    /// What providers say about values that are each valid on their own.
    async fn wrong_together(&self, values: &BTreeMap<String, String>) -> Result<Vec<(String, String)>> {
        let mut wrong = Vec::new();
        for plugin in self.0.plugin_set().providers() {
            if plugin.manifest().hooks.contains_key(TOGETHER) {
                let mine = MachineSettings::of(&plugin.manifest().settings, GuestKind::Vm);
                let mine: BTreeMap<_, _> = values.iter().filter(|(key, _)| mine.find(key).is_some()).collect();
                let args = vec![json!(mine)];
                let told = tokio::task::spawn_blocking(move || plugin.call_pure(TOGETHER, args)).await;
                let told = told.map_err(Error::internal)?;
                let told = told.map_err(|e| Error::unavailable(e.message.clone()).with_cause(e))?;
                wrong.extend(serde_json::from_value::<BTreeMap<String, String>>(told).map_err(Error::internal)?);
            }
        }
        Ok(wrong)
    }

    /// Why this profile can't be used on a connection: machines there can't have all that it sets.
    pub fn refusal(&self, connection: ConnectionId, profile: &Profile) -> Option<String> {
        let there = self.0.guests().settings_of(connection, GuestKind::Vm).for_profiles();
        let lacks = |(key, value): &(&str, &str)| match there.find(key) {
            Some(spec) => *key != DISKS && spec.read_text(value).is_err(),
            None => true,
        };
        let all = self.settings();
        let set = profile.values.iter().map(|(key, value)| (key.as_str(), value.as_str()));
        let set = set.chain(profile.sets(DISKS).then_some((DISKS, "")));
        let lacks: Vec<&str> = set.filter(lacks).map(|(key, _)| all.label(key)).collect();
        (!lacks.is_empty()).then(|| {
            let (name, lacks) = (&profile.name, lacks.join(", "));
            format!("Machines there can't have what “{name}” sets: {lacks}. Choose another profile.")
        })
    }

    /// What the provider gets for a request: sizes that it leaves out are the profile's, else the template's; the
    /// profile's other values and its disks come with it.
    pub(crate) fn spec(&self, actor: &Actor, connection: ConnectionId, request: &GuestRequest) -> Result<GuestSpec> {
        let profile = request.profile.as_deref().map(|text| self.find(actor, text)).transpose()?;
        let template = self.template(connection, &request.source);
        let least = template.as_ref().map_or(0, least_disk);
        let mine = |key: &str| profile.as_ref().and_then(|p| p.number(key));
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "cores of a template, clamped")]
        let cores = template.as_ref().map(|t| t.maxcpu.clamp(1.0, 8192.0).ceil() as u32);
        let cores = request.cores.or_else(|| mine("cores").and_then(|n| n.try_into().ok())).or(cores);
        let memory = template.as_ref().map(|t| t.maxmem >> 20).filter(|m| *m > 0);
        let memory = request.memory.or_else(|| mine("memory")).or(memory);
        let asked = request.disk.or_else(|| profile.as_ref()?.disk_for(least));
        let disk = asked.or((least > 0).then_some(least));
        let text = |given: &Option<String>, key: &str| {
            given.clone().or_else(|| profile.as_ref()?.value(key).map(str::to_owned))
        };
        let bridge = text(&request.bridge, "bridge");
        let lacks = [
            (cores.is_none(), "cores"),
            (memory.is_none(), "memory"),
            (disk.is_none(), "disk"),
            (bridge.is_none(), "bridge"),
        ];
        let lacks = lacks.into_iter().filter(|(lacks, _)| *lacks);
        Error::of_fields(lacks.map(|(_, name)| (name, "This is required: no profile sets it.")))?;
        let settings = self.0.guests().settings_of(connection, GuestKind::Vm);
        let mut source = request.source.clone();
        if let GuestSource::Iso { system, .. } = &mut source
            && system.is_empty()
        {
            *system = settings.find("system").map(|s| text_of(&s.default)).unwrap_or_default();
        }
        let spec = GuestSpec {
            name: request.name.clone(),
            node: request.node.clone(),
            source,
            cores: cores.unwrap_or_default(),
            memory: memory.unwrap_or_default(),
            disk: disk.unwrap_or_default(),
            keep_disk: asked.is_none(),
            storage: text(&request.storage, "storage").filter(|s| !s.is_empty()),
            bridge: bridge.unwrap_or_default(),
            vlan: request.vlan.or_else(|| profile.as_ref()?.vlan()).filter(|v| *v != 0),
            address: request.address.clone(),
            user: request.user.clone(),
            windows: false,
            ssh_keys: request.ssh_keys.clone(),
            tags: request.tags.clone(),
            description: request.description.clone(),
            start: request.start,
            profile: profile.as_ref().map(|p| p.id),
            hardware: profile.as_ref().map(Profile::hardware).unwrap_or_default(),
            disks: profile.as_ref().map(|p| p.disks.clone()).unwrap_or_default(),
        };
        spec.check(&settings)?;
        match &profile {
            Some(profile) => self.fit(actor, connection, profile, &spec, least)?,
            None if self.required_of(actor)? => {
                return Err(Error::field("profile", "Choose a profile: an admin requires one for every machine."));
            }
            None => {}
        }
        Ok(spec)
    }

    /// What the live picture knows about the template that a machine is made from.
    fn template(&self, connection: ConnectionId, source: &GuestSource) -> Option<GuestState> {
        let GuestSource::Template { vmid, .. } = source else { return None };
        let snapshot = self.0.live().snapshot();
        let mut here = snapshot.guests.iter().filter(|g| g.row.connection == connection && g.state.template);
        here.find(|g| g.row.vmid == Some(*vmid)).map(|g| g.state.clone())
    }

    /// Whether a machine with this profile may look like this. `least`: GiB of its template's disk.
    fn fit(
        &self,
        actor: &Actor,
        connection: ConnectionId,
        profile: &Profile,
        spec: &GuestSpec,
        least: u64,
    ) -> Result<()> {
        if let Some(why) = self.refusal(connection, profile) {
            return Err(Error::field("profile", why));
        }
        let mut wrong = if actor.is_admin() { Vec::new() } else { profile.overstepped(spec, least) };
        if let Some(least) = profile.number("memory_min").filter(|n| *n > spec.memory) {
            wrong.push(("memory", format!("The profile “{}” requires at least {least} MiB.", profile.name)));
        }
        let limits = self.0.connections().limits(connection)?;
        let more = profile.disks.iter().filter_map(|d| d.storage.as_deref());
        if let Some(storage) = more.into_iter().find(|s| !limits.allows_storage(s)) {
            let text = format!("“{}” puts a disk on {storage}, where Steward may not put disks.", profile.name);
            wrong.push(("profile", text));
        }
        Error::of_fields(wrong)
    }
}

/// GiB of a template's disk, broken ones as whole ones.
pub fn least_disk(state: &GuestState) -> u64 {
    state.maxdisk.div_ceil(1 << 30)
}

fn check_name(tx: &WriteTx, profile: &Profile) -> Result<()> {
    let all = tx.list(tables::PROFILES, Scan::all(), usize::MAX)?;
    let same = |(id, other): &(ProfileId, Profile)| {
        *id != profile.id && other.name.to_lowercase() == profile.name.to_lowercase()
    };
    if all.iter().any(same) {
        return Err(Error::field("name", "There is a profile with this name already. Choose another."));
    }
    Ok(())
}
