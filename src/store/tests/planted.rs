//! A store with rows in every table, for the tests that go through all of them.

use super::maker::{VaultOf, job, record, user};
use crate::tables::*;
use crate::{Bytes, Json, Key, Keyspace, Name, Read as _, ReadTx, Scan, Store, Table, Value, WriteTx};
use base::ids::{ConnectionId, GuestId, InviteId, JobId, ScheduleId, SessionId, TokenId, UserId};
use base::{Result, Secret, Secrets, Timestamp};
use crypto::SealKey;
use model::access::{GuestGrant, GuestRight};
use model::connections::{Connection, Limits, PveAccess, Transport, Trust};
use model::guests::{Guest, GuestKind, GuestState};
use model::jobs::{JobState, LogLevel, LogLine, Step, StepState};
use model::lockout::Failures;
use model::prefs::Prefs;
use model::quotas::{Amounts, Claim, UserQuota};
use model::schedules::Schedule;
use model::sessions::{Scope, Session, SessionKind, Token};
use model::software::{GuestKey, Software, SoftwareState};
use model::subject::Subject;
use model::users::{Invite, User};
use serde_json::json;
use std::sync::Arc;

/// In every text that a person or a plugin could have typed.
pub const WORD: &str = "Plantedword";

/// How many rows each table gets.
pub const ROWS: usize = 3;

fn text(what: &str, n: usize) -> String {
    format!("{WORD}-{what}-{n}")
}

pub fn keyspace(user: UserId, n: u8) -> Keyspace {
    Keyspace::new(Arc::new(VaultOf(user, SealKey::from_bytes([100 + n; 64]))))
}

/// Writes `ROWS` rows into each table and returns the users, whose keyspaces are `keyspace(user, 0..)`.
pub fn plant(store: &Store) -> Vec<UserId> {
    let users: Vec<User> = (0..ROWS).map(planted_user).collect();
    let ids: Vec<UserId> = users.iter().map(|u| u.id).collect();
    for (n, user) in users.into_iter().enumerate() {
        store
            .write_blocking(move |tx| {
                plant_people(tx, n, &user)?;
                plant_machines(tx, n, &user)?;
                plant_jobs(tx, n)?;
                let prefs = Prefs { ssh_keys: text("ssh-ed25519", n), ..Prefs::default() };
                tx.own(&keyspace(user.id, n as u8)).put(PREFS, &(), &prefs)?;
                tx.put(SETTINGS, &Name::new(text("setting", n)), &Json(json!({ text("key", n): text("value", n) })))?;
                let key = (Name::new(text("plugin", n)), Name::new(text("kv", n)));
                tx.put(PLUGIN_KV, &key, &Json(json!(text("kept", n))))?;
                tx.audit(model::audit::AuditRecord { subject: text("subject", n), ..record(&text("action", n)) });
                tx.event(Subject::Users, Some(user.id));
                Ok(())
            })
            .unwrap();
    }
    ids
}

fn planted_user(n: usize) -> User {
    let email = format!("{}@home.example", text("mail", n));
    User { name: text("name", n), email: Some(email), ..user(&text("login", n)) }
}

fn plant_people(tx: &mut WriteTx, n: usize, user: &User) -> Result<()> {
    let (id, at) = (user.id, Timestamp::ZERO);
    tx.put(USERS, &id, user)?;
    tx.put(USER_LOGINS, &Name::new(&user.login), &id)?;
    tx.put(PASSWORD_SLOTS, &id, &Bytes::from(text("slot", n).into_bytes()))?;
    let session = Session {
        id: SessionId::new(),
        user: id,
        kind: SessionKind::Browser,
        created: at,
        last_seen: at,
        expires: at,
        address: text("address", n),
        device: text("Firefox", n),
        slot: vec![n as u8; 80],
        scope: None,
        token: None,
    };
    tx.put(USER_SESSIONS, &(id, session.id), &())?;
    tx.put(SESSIONS, &session.id, &session)?;
    let token = Token {
        id: TokenId::new(),
        user: id,
        name: text("token", n),
        scope: Scope::Read,
        created: at,
        expires: None,
        last_used: None,
        slot: vec![n as u8; 80],
    };
    tx.put(USER_TOKENS, &(id, token.id), &())?;
    tx.put(TOKENS, &token.id, &token)?;
    let invite = Invite { user: id, expires: at, secret_hash: text("hash", n).into_bytes(), reset: false };
    tx.put(INVITES, &InviteId::new(), &invite)?;
    tx.put(FAILURES, &Name::new(text("address", n)), &Failures { count: n as u32, last: at })
}

fn plant_machines(tx: &mut WriteTx, n: usize, user: &User) -> Result<()> {
    let connection = Connection {
        id: ConnectionId::new(),
        name: text("cluster", n),
        plugin: text("plugin", n),
        transport: Transport::Pve(PveAccess {
            endpoints: vec![text("endpoint", n)],
            trust: Trust::Ca(text("ca", n)),
            token_id: text("token", n),
            token_secret: Secret::new(text("secret", n)),
        }),
        limits: Limits::default(),
        created: Timestamp::ZERO,
        identity: None,
    };
    let guest = Guest {
        id: GuestId::new(),
        connection: connection.id,
        vmid: Some(100),
        kind: GuestKind::Vm,
        name: text("machine", n),
        owner: Some(user.id),
        created: Timestamp::ZERO,
        making: None,
        missing_since: None,
        last: Some(GuestState { name: text("machine", n), ..GuestState::default() }),
        profile: None,
    };
    let private = Secret::new(text("private", n));
    let (user_there, public) = (text("user", n), text("public", n));
    let key = GuestKey {
        guest: guest.id,
        user: user_there,
        private,
        public,
        host_keys: Vec::new(),
        address: None,
        port: 22,
        made: Timestamp::ZERO,
    };
    tx.put(GUEST_KEYS, &guest.id, &key)?;
    let software = Software {
        recipe: text("recipe", n),
        title: text("title", n),
        version: "1".to_owned(),
        options: json!({ text("option", n): text("value", n) }),
        secrets: planted_secrets(n),
        state: SoftwareState::Wanted,
        job: None,
        links: Vec::new(),
        asked: Timestamp::ZERO,
        asked_by: text("asker", n),
        owner: Some(user.id),
        installed: None,
        error: None,
        order: 0,
    };
    tx.put(SOFTWARE, &(guest.id, Name::new(text("recipe", n))), &software)?;
    let grant = GuestGrant { right: GuestRight::Use, by: text("sharer", n), at: Timestamp::ZERO };
    tx.put(GUEST_GRANTS, &(guest.id, user.id), &grant)?;
    let amounts = Amounts { machines: 1, ..Amounts::default() };
    let claim = Claim { job: JobId::new(), before: amounts, to: amounts, over: None };
    tx.put(QUOTA_CLAIMS, &guest.id, &claim)?;
    tx.put(USER_QUOTAS, &user.id, &UserQuota::default())?;
    tx.put(GUEST_VMIDS, &(connection.id, 100), &guest.id)?;
    tx.put(VMID_RESERVATIONS, &(connection.id, 101), &JobId::new())?;
    let mut profile = model::profiles::starting(Timestamp::ZERO, []).remove(0);
    profile.note = text("note", n);
    profile.values.insert("smbios_serial".to_owned(), text("serial", n));
    tx.put(PROFILES, &profile.id, &profile)?;
    tx.put(CONNECTIONS, &connection.id, &connection)?;
    tx.put(GUESTS, &guest.id, &guest)
}

fn planted_secrets(n: usize) -> Secrets {
    let mut all = Secrets::default();
    all.put(text("options", n), Secret::new(text("password", n)));
    all
}

fn plant_jobs(tx: &mut WriteTx, n: usize) -> Result<()> {
    let job = job(&text("title", n), JobState::Queued);
    let name = text("step", n);
    let step = Step {
        name: name.clone(),
        state: StepState::Done,
        began: Timestamp::ZERO,
        ended: None,
        result: json!(text("result", n)),
        order: 0,
    };
    tx.put(STEPS, &(job.id, Name::new(name)), &step)?;
    let line = LogLine { at: Timestamp::ZERO, level: LogLevel::Info, text: text("line", n) };
    tx.put(JOB_LOG, &(job.id, 0), &line)?;
    tx.put(OPEN_JOBS, &job.id, &())?;
    tx.put(ENDED_JOBS, &job.id, &())?;
    tx.put(JOB_SECRETS, &job.id, &planted_secrets(n))?;
    tx.put(GUEST_JOBS, &(GuestId::new(), job.id), &())?;
    tx.put(JOB_DEDUP, &Name::new(text("dedup", n)), &job.id)?;
    let schedule = Schedule {
        id: ScheduleId::new(),
        name: text("schedule", n),
        cron: "0 3 * * *".to_owned(),
        plugin: text("plugin", n),
        hook: text("hook", n),
        args: json!(text("args", n)),
        active: true,
        last: None,
        owner: None,
    };
    tx.put(SCHEDULES, &schedule.id, &schedule)?;
    tx.put(JOBS, &job.id, &job)
}

/// Reads one whole table and says in words what is in it.
pub type Reader = Box<dyn Fn(&ReadTx) -> Result<Vec<String>>>;

fn reader<K: Key + std::fmt::Debug + 'static, V: Value + std::fmt::Debug + 'static>(
    table: Table<K, V>,
) -> (&'static str, Reader) {
    let read = move |tx: &ReadTx| {
        let rows = tx.list(table, Scan::all(), 1000)?;
        Ok(rows.into_iter().map(|(k, v)| format!("{k:?} {v:?}")).collect())
    };
    (table.name(), Box::new(read))
}

/// All tables that the appliance key seals. The test that plants words sees to it that none is missing.
pub fn readers() -> Vec<(&'static str, Reader)> {
    vec![
        reader(USERS),
        reader(USER_LOGINS),
        reader(PASSWORD_SLOTS),
        reader(SESSIONS),
        reader(USER_SESSIONS),
        reader(TOKENS),
        reader(USER_TOKENS),
        reader(INVITES),
        reader(FAILURES),
        reader(GUESTS),
        reader(GUEST_GRANTS),
        reader(QUOTA_CLAIMS),
        reader(USER_QUOTAS),
        reader(GUEST_VMIDS),
        reader(PROFILES),
        reader(CONNECTIONS),
        reader(VMID_RESERVATIONS),
        reader(JOBS),
        reader(OPEN_JOBS),
        reader(ENDED_JOBS),
        reader(GUEST_JOBS),
        reader(JOB_DEDUP),
        reader(STEPS),
        reader(JOB_LOG),
        reader(JOB_SECRETS),
        reader(SOFTWARE),
        reader(GUEST_KEYS),
        reader(SCHEDULES),
        reader(EVENTS),
        reader(AUDIT),
        reader(SETTINGS),
        reader(PLUGIN_KV),
    ]
}

/// Everything in the store, in words; the first error otherwise.
pub fn read_all(store: &Store, users: &[UserId]) -> Result<Vec<String>> {
    store.read(|tx| {
        let mut out = Vec::new();
        for (name, read) in readers() {
            out.extend(read(tx)?.into_iter().map(|row| format!("{name}: {row}")));
        }
        for (n, user) in users.iter().enumerate() {
            out.push(format!("prefs: {:?}", tx.own(&keyspace(*user, n as u8)).get(PREFS, &())?));
        }
        Ok(out)
    })
}
