//! Every table of the store, with its key and its value.
//!
//! A new table is one line here, with its sentence. A changed meaning of an old one is a migration.
//! Ids are UUIDs of version 7, so tables by id are in the order in which things were made.

use super::audit::AuditHead;
use super::key::Name;
use super::table::{Bytes, Json, OwnedTable, Table};
use base::Secrets;
use base::ids::{ConnectionId, DraftId, GuestId, InviteId, JobId, ProfileId, ScheduleId, SessionId, TokenId, UserId};
use model::access::GuestGrant;
use model::audit::AuditEntry;
use model::connections::Connection;
use model::drafts::Draft;
use model::events::Event;
use model::guests::Guest;
use model::guests::forgotten::ForgottenGuest;
use model::jobs::{Job, LogLine, Step};
use model::lockout::Failures;
use model::prefs::Prefs;
use model::profiles::Profile;
use model::quotas::{Claim, UserQuota};
use model::schedules::Schedule;
use model::sessions::{Session, Token};
use model::software::{GuestKey, Software};
use model::templates::Template;
use model::users::{Invite, User};

/// What the store knows of itself; the keys are in `meta.rs`. Two rows are not sealed: the version and the
/// key's fingerprint, which must be readable with any key.
pub(super) const META: &str = "meta";
pub(super) const META_AUDIT: Table<u8, AuditHead> = Table::new(META);
pub(super) const META_COMMITS: Table<u8, u64> = Table::new(META);

/// People.
pub const USERS: Table<UserId, User> = Table::new("users");
/// Login to user.
pub const USER_LOGINS: Table<Name, UserId> = Table::new("user_logins");
/// The vault key, wrapped with the user's password. No row: no password was set yet.
pub const PASSWORD_SLOTS: Table<UserId, Bytes> = Table::new("password_slots");
/// Signed-in browsers and JWTs. Deleting the row revokes it.
pub const SESSIONS: Table<SessionId, Session> = Table::new("sessions");
/// A user's sessions.
pub const USER_SESSIONS: Table<(UserId, SessionId), ()> = Table::new("user_sessions");
/// API tokens.
pub const TOKENS: Table<TokenId, Token> = Table::new("tokens");
/// A user's API tokens.
pub const USER_TOKENS: Table<(UserId, TokenId), ()> = Table::new("user_tokens");
/// Invite and reset links that were not used yet.
pub const INVITES: Table<InviteId, Invite> = Table::new("invites");
/// Failed sign-ins by account or address (the caller says which in the name: `login:mira`, `address:...`).
pub const FAILURES: Table<Name, Failures> = Table::new("failures");

/// Machines, as far as Steward itself knows them.
pub const GUESTS: Table<GuestId, Guest> = Table::new("guests");
/// Machines shared with people who do not own them.
pub const GUEST_GRANTS: Table<(GuestId, UserId), GuestGrant> = Table::new("guest_grants");
/// What open jobs will have made of machines, for the quota of their owners.
pub const QUOTA_CLAIMS: Table<GuestId, Claim> = Table::new("quota_claims");
/// Quotas of people for whom an admin set their own.
pub const USER_QUOTAS: Table<UserId, UserQuota> = Table::new("user_quotas");
/// Proxmox's number on a connection to machine.
pub const GUEST_VMIDS: Table<(ConnectionId, u32), GuestId> = Table::new("guest_vmids");
/// Machine or template to the machines that were made from it by Steward.
pub const GUEST_COPIES: Table<(GuestId, GuestId), ()> = Table::new("guest_copies");
/// Machines of forgotten clusters, by the cluster's identity and their number there.
pub const FORGOTTEN_GUESTS: Table<(Name, u32), ForgottenGuest> = Table::new("forgotten_guests");
/// Connected Proxmox clusters, with their secrets.
pub const CONNECTIONS: Table<ConnectionId, Connection> = Table::new("connections");
/// Numbers that a job took for machines that Proxmox does not list yet.
pub const VMID_RESERVATIONS: Table<(ConnectionId, u32), JobId> = Table::new("vmid_reservations");

/// Templates that were made from cloud images, by their number.
pub const TEMPLATES: Table<(ConnectionId, u32), Template> = Table::new("templates");
/// How Steward signs in to a machine: the key made for it, the host key seen first.
pub const GUEST_KEYS: Table<GuestId, GuestKey> = Table::new("guest_keys");
/// What was asked to be installed on a machine, by recipe.
pub const SOFTWARE: Table<(GuestId, Name), Software> = Table::new("software");

/// Jobs, the ones that are over too.
pub const JOBS: Table<JobId, Job> = Table::new("jobs");
/// The jobs that are not over. Since version 2.
pub const OPEN_JOBS: Table<JobId, ()> = Table::new("open_jobs");
/// Jobs that are over and whose end is not worked off: the machine's row, its number, what was waiting for them.
pub const ENDED_JOBS: Table<JobId, ()> = Table::new("ended_jobs");
/// A machine's jobs.
pub const GUEST_JOBS: Table<(GuestId, JobId), ()> = Table::new("guest_jobs");
/// De-duplication key to the job that holds it.
pub const JOB_DEDUP: Table<Name, JobId> = Table::new("job_dedup");
/// The journal: a job's steps by name.
pub const STEPS: Table<(JobId, Name), Step> = Table::new("steps");
/// A job's log, lines counted from 0.
pub const JOB_LOG: Table<(JobId, u32), LogLine> = Table::new("job_log");
/// Secrets among a job's arguments, by their places there; gone when it can't be tried again.
pub const JOB_SECRETS: Table<JobId, Secrets> = Table::new("job_secrets");
/// Cron schedules.
pub const SCHEDULES: Table<ScheduleId, Schedule> = Table::new("schedules");

/// The last [`EVENTS_KEPT`] events by sequence number (1, 2, 3 ...). Written by `WriteTx::event` only.
pub const EVENTS: Table<u64, Event> = Table::new("events");
/// How many events are kept for pages that lost their connection.
pub const EVENTS_KEPT: u64 = 10_000;
/// The audit log by sequence number (1, 2, 3 ...). Written by `WriteTx::audit` only.
pub const AUDIT: Table<u64, AuditEntry> = Table::new("audit");

/// The appliance's settings by name.
pub const SETTINGS: Table<Name, Json> = Table::new("settings");
/// What plugins keep: plugin and key to value.
pub const PLUGIN_KV: Table<(Name, Name), Json> = Table::new("plugin_kv");

/// Hardware profiles for machines.
pub const PROFILES: Table<ProfileId, Profile> = Table::new("profiles");

/// What a person set for themselves.
pub const PREFS: OwnedTable<(), Prefs> = OwnedTable::new("prefs");

/// Wizards that a person has begun.
pub const DRAFTS: OwnedTable<DraftId, Draft> = OwnedTable::new("drafts");

/// The tables with users' rows, for erasing all that a user had.
pub(super) const OWNED: [&str; 2] = [PREFS.name(), DRAFTS.name()];
