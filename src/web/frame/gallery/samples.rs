//! A set of samples. One name is hostile on purpose.

use crate::door::assets::Assets;
use crate::frame::gallery::pages::*;
use crate::guests::create::drafts::DraftItem;
use base::ids::{ConnectionId, GuestId, JobId, SessionId, TokenId, UserId};
use base::{Secret, Timestamp};
use model::access::GuestRight;
use model::audit::{AuditEntry, AuditRecord};
use model::connections::{Limits, Reach};
use model::consoles::{ConsoleChoice, ConsoleKind};
use model::guests::settings::{MachineSettings, StartingProfile};
use model::guests::{ActionKind, GuestKind};
use model::impact::{Fact, GoingDisk, Impact, Program, SnapshotFact};
use model::jobs::{Job, JobKind, JobState, LogLevel, LogLine, Priority, Progress, Step, StepState, Wait};
use model::nodes::{Choices, Node};
use model::options::OptionSpec;
use model::plugins::{Hook, HookMode, Manifest, Origin, PluginInfo, ScriptError};
use model::prefs::{Prefs, Theme};
use model::providers::{Feature, Features};
use model::quotas::{Amounts, Quota};
use model::sessions::Scope;
use model::subject::Subject;
use model::users::{Role, User};
use std::collections::BTreeMap;

const NOW: i64 = 1_795_258_800;
pub const EVIL: &str = "<img src=x onerror=alert(1)>\"'";

pub fn ago(seconds: i64) -> Timestamp {
    Timestamp::from_secs(NOW - seconds)
}

pub fn page(path: &str) -> Page {
    Page {
        who: Some(Who { id: UserId::from_bytes([7; 16]), login: "mira".into(), name: "Mira Lind".into(), admin: true }),
        path: path.into(),
        after: 0,
        csrf: "sample-csrf".into(),
        now: ago(0),
        theme: Theme::System,
        health: Health { level: Level::Ok, text: "Proxmox 3 of 3 nodes".into() },
        open_jobs: 2,
        flash: Vec::new(),
        fragment: false,
        assets: Assets::default(),
    }
}

pub fn nobody() -> Page {
    Page { who: None, ..page("/sign-in") }
}

/// A repeatable wave between 0 and 1.
pub fn wave(seed: usize, n: usize, level: f32) -> Vec<f32> {
    let noise = |i: usize| ((i * 7919 + seed * 104_729) % 97) as f32 / 97.0 - 0.5;
    (0..n).map(|i| (level + (i as f32 / 5.0 + seed as f32).sin() * 0.1 + noise(i) * 0.12).clamp(0.01, 1.0)).collect()
}

type Sample = (&'static str, &'static str, &'static str, &'static str, f64, f64, &'static str);
const GUESTS: [Sample; 14] = [
    ("web-01", "running", "mira", "pve1", 0.62, 0.48, "web"),
    ("web-02", "running", "mira", "pve2", 0.58, 0.51, "web"),
    ("db-main", "running", "jon", "pve1", 0.34, 0.81, "db"),
    ("jellyfin", "running", "jon", "pve3", 0.93, 0.66, "media"),
    ("sonarr", "running", "jon", "pve3", 0.06, 0.22, "media"),
    ("win10-desk-4", "paused", "ada", "pve2", 0.0, 0.40, "office"),
    ("office-01", "running", "ada", "pve2", 0.12, 0.37, "office"),
    ("build-runner", "creating", "mira", "pve1", 0.0, 0.0, "ci"),
    ("backup-box", "stopped", "jon", "pve3", 0.0, 0.0, ""),
    ("mail", "running", "mira", "pve1", 0.09, 0.30, "mail"),
    ("home-assistant", "running", "jon", "pve2", 0.18, 0.44, "home"),
    ("steam-farm-2", "running", "ada", "pve3", 0.77, 0.58, "games"),
    ("old-nas", "missing", "jon", "pve3", 0.0, 0.0, "storage"),
    (EVIL, "io-error", "jon", "pve3", 0.0, 0.2, "x"),
];

pub fn guest(n: usize) -> machines::MachineRow {
    let (name, status, owner, node, cpu, mem, tag) = GUESTS[n % GUESTS.len()];
    let on = matches!(status, "running" | "paused" | "io-error");
    let name = if n < GUESTS.len() { name.to_owned() } else { format!("{}-{n}", name.replace(EVIL, "lab")) };
    let mut id = [0x11; 16];
    id[14..].copy_from_slice(&u16::try_from(n).unwrap_or(0).to_be_bytes());
    machines::MachineRow {
        id: GuestId::from_bytes(id),
        name,
        vmid: (status != "creating").then_some(100 + u32::try_from(n).unwrap_or(0)),
        kind: if n % 5 == 4 { GuestKind::Container } else { GuestKind::Vm },
        status: status.into(),
        template: false,
        owner: (n % 7 != 6).then(|| owner.to_owned()),
        node: node.into(),
        cpu: on.then_some(cpu),
        cores: 4.0,
        mem: on.then_some((mem * 8.0 * f64::from(1 << 30)) as u64),
        maxmem: 8 << 30,
        net: (status == "running").then_some(90_000 * (1 + n as u64 % 7)),
        disk: 32 << 30,
        uptime: if on { 86_400 * 12 + 3600 * n as u64 } else { 0 },
        tags: if tag.is_empty() {
            Vec::new()
        } else {
            if n.is_multiple_of(3) { vec![tag.to_owned(), "prod".to_owned()] } else { vec![tag.to_owned()] }
        },
        spark: if status == "running" { wave(n, 60, cpu as f32) } else { Vec::new() },
        job: (status == "creating").then(|| (JobId::from_bytes([3; 16]), "Create build-runner".into())),
        shown: true,
    }
}

pub fn machines(n: usize) -> machines::MachinesView {
    machines::MachinesView {
        rows: (0..n).map(guest).collect(),
        total: n,
        shown: n,
        page: 1,
        pages: 1,
        filter: String::new(),
        sort: "name".into(),
        hidden_columns: Vec::new(),
        away: Vec::new(),
        connections: 1,
    }
}

pub fn a_job(title: &str, state: JobState, done: u32, label: &str, age: i64) -> Job {
    let over = state.is_over();
    Job {
        id: JobId::from_bytes([u8::try_from(age % 251).unwrap_or(1); 16]),
        plugin: "proxmox".into(),
        kind: JobKind::Plugin { hook: "guest_create".into(), args: serde_json::Value::Null },
        title: title.into(),
        owner: None,
        asked_by: "mira".into(),
        priority: Priority::Normal,
        state,
        created: ago(age),
        started: (state != JobState::Queued).then(|| ago(age - 1)),
        finished: over.then(|| ago(age - 40)),
        attempts: if state == JobState::Failed { 3 } else { 0 },
        max_attempts: 3,
        not_before: ago(age),
        plugin_hash: None,
        subject: Subject::Plugins,
        lane: None,
        dedup: None,
        progress: Progress { done, total: 6, label: label.into() },
        wait: (state == JobState::Waiting).then(|| Wait::Task { id: "UPID:pve1:x".into() }),
        error: (state == JobState::Failed)
            .then(|| "Proxmox refused: storage local-lvm has no room (12 GiB wanted, 3 GiB free).".into()),
        cancel_asked: false,
        again: false,
        result: serde_json::Value::Null,
        connection: None,
    }
}

pub fn open_jobs() -> Vec<Job> {
    vec![
        a_job("Create build-runner", JobState::Waiting, 2, "clone the template", 48),
        a_job("Shut down office-01", JobState::Running, 0, "ask the guest", 4),
    ]
}

pub fn job_list() -> Vec<Job> {
    let mut list = open_jobs();
    list.push(a_job("Start sonarr", JobState::Queued, 0, "", 2));
    list.push(a_job(&format!("Create {EVIL}"), JobState::Failed, 3, "clone the template", 1900));
    list.push(a_job("Delete test-7", JobState::Succeeded, 6, "", 8000));
    list.push(a_job("Create test-7", JobState::Cancelled, 2, "cancelled by mira", 90_000));
    list
}

pub fn step(order: u32, name: &str, state: StepState, began: i64, ended: Option<i64>) -> Step {
    Step { name: name.into(), state, began: ago(began), ended: ended.map(ago), result: serde_json::Value::Null, order }
}

pub fn line(age: i64, level: LogLevel, text: &str) -> LogLine {
    LogLine { at: ago(age), level, text: text.into() }
}

pub fn job_view(state: JobState) -> job::JobView {
    let mut steps = vec![
        step(0, "Reserve a number", StepState::Done, 47, Some(47)),
        step(1, "Clone the disks", StepState::Done, 47, Some(46)),
        step(2, "wait:UPID:pve1:0001:0002:65F0:qmclone:104:steward@pve!a:", StepState::Done, 46, Some(12)),
        step(
            3,
            "Set hardware, network and access",
            if state == JobState::Failed { StepState::Failed } else { StepState::Done },
            12,
            Some(11),
        ),
        step(
            4,
            if state == JobState::Failed { "undo:Clone the disks" } else { "Enlarge the disk" },
            if state == JobState::Failed { StepState::Done } else { StepState::Begun },
            9,
            (state == JobState::Failed).then_some(4),
        ),
    ];
    if state == JobState::Failed {
        steps.push(step(5, "undo:Reserve a number", StepState::Done, 4, Some(4)));
    }
    let item = a_job("Create build-runner", state, 4, "grow the disk to 32 GiB", 48);
    job::JobView {
        cause: None,
        job: item,
        steps,
        log: vec![
            line(47, LogLevel::Info, "Number 104 is reserved."),
            line(46, LogLevel::Info, "Cloning debian-13 (9000) on pve1, full copy to local-lvm."),
            line(13, LogLevel::Info, "The clone is there, 2.1 GiB copied."),
            line(
                12,
                LogLevel::Warn,
                "The template has no guest agent; addresses can't be shown until it is installed.",
            ),
            line(9, LogLevel::Info, EVIL),
            line(8, LogLevel::Error, "Proxmox answered 500: storage local-lvm has no room."),
        ],
        machine: Some((GuestId::from_bytes([9; 16]), "build-runner".into())),
        can_act: true,
        edit: (state == JobState::Failed).then(|| "/machines/new".into()),
    }
}

pub fn node(name: &str, cpu: f64, mem: u64, disk: u64, machines: usize, seed: usize) -> overview::NodeCard {
    let node = Node {
        name: name.into(),
        status: "online".into(),
        cpu,
        maxcpu: 16.0,
        mem: mem << 30,
        maxmem: 64 << 30,
        disk: disk << 30,
        maxdisk: 500 << 30,
        uptime: 99_999,
    };
    overview::NodeCard { node, machines, spark: wave(seed, 60, cpu as f32) }
}

pub fn overview_view() -> overview::OverviewView {
    let mut down = node("pve4", 0.0, 0, 0, 4, 4);
    down.node.status = "offline".into();
    overview::OverviewView {
        needs: vec![
            overview::Attention {
                level: Level::Bad,
                word: "offline".into(),
                title: "Node pve4 does not answer".into(),
                detail: "4 machines live there; since 3 min".into(),
                action: Some(("/machines?q=node:pve4".into(), "Show them".into())),
            },
            overview::Attention {
                level: Level::Warn,
                word: "failed".into(),
                title: "Create shop-02 gave up after 3 tries".into(),
                detail: "Storage local-lvm has no room. What was made was undone.".into(),
                action: Some(("/jobs/1".into(), "See why".into())),
            },
        ],
        high: Vec::new(),
        jobs: open_jobs(),
        nodes: vec![
            node("pve1", 0.41, 40, 270, 14, 1),
            node("pve2", 0.22, 31, 185, 13, 2),
            node("pve3", 0.67, 50, 355, 11, 3),
            down,
        ],
        busiest: [3, 11, 0, 1, 2, 10].map(guest).to_vec(),
        running: 38,
        machines: 42,
        quota: quota(),
        connections: 1,
    }
}

/// What the built-in provider declares.
pub fn declared() -> (Vec<OptionSpec>, Vec<StartingProfile>) {
    #[derive(serde::Deserialize)]
    struct Declared {
        settings: Vec<OptionSpec>,
        profiles: Vec<StartingProfile>,
    }
    let all: Declared = toml::from_str(include_str!("../../../../plugins/proxmox/settings.toml")).unwrap();
    (all.settings, all.profiles)
}

pub fn settings() -> MachineSettings {
    MachineSettings::of(&declared().0, GuestKind::Vm)
}

pub fn head(n: usize, away: bool) -> machine::MachineHead {
    let row = guest(n);
    let state = model::guests::GuestState { status: row.status.clone(), ..Default::default() };
    machine::MachineHead {
        actions: ActionKind::power().map(|kind| (kind, kind.empty().refusal(row.kind, &state))).collect(),
        row,
        connection: "Home".into(),
        addresses: vec!["192.168.1.44".into(), "fe80::be24:11ff:fe2a:1".into()],
        maxdisk: 32 << 30,
        lock: None,
        told: Some(ago(240)),
        away: away.then(|| "Proxmox does not answer since 4 min: connection refused.".into()),
        last_seen: away.then(|| "running".into()),
        missing_since: None,
        can_use: true,
        can_manage: true,
        jobs: Vec::new(),
        features: Feature::ALL.to_vec(),
        settings: settings(),
        system: model::guests::System::Linux,
        profile: None,
    }
}

/// A machine with a screen and no serial line.
pub fn console_view(on: bool) -> console::ConsoleView {
    let choice = |kind, why: &str| ConsoleChoice { kind, why: why.into() };
    console::ConsoleView {
        choices: vec![choice(ConsoleKind::Vnc, ""), choice(ConsoleKind::Serial, "It has no serial port.")],
        refusal: None,
        on,
    }
}

pub fn audit_row(seq: u64, actor: &str, action: &str, subject: &str, detail: &str, ok: bool) -> AuditEntry {
    let record = AuditRecord {
        at: ago(i64::try_from(seq).unwrap_or(0) * 700),
        actor: actor.into(),
        actor_id: None,
        action: action.into(),
        subject: subject.into(),
        detail: detail.into(),
        address: Some("192.168.1.20".into()),
        ok,
        about: None,
    };
    AuditEntry { seq: 4200 - seq, record, hash: Vec::new() }
}

pub fn audit_rows() -> Vec<AuditEntry> {
    vec![
        audit_row(0, "mira", "guest.create", "build-runner", "from debian-13 on pve1: 2 cores, 4 GiB, 32 GiB", true),
        audit_row(1, "jon", "guest.power", "VM 103 jellyfin", "reboot", true),
        audit_row(2, EVIL, "user.login", EVIL, "wrong password", false),
        audit_row(3, "mira", "connection.limits", "Home", "nodes: pve1, pve2", true),
    ]
}

pub fn quota() -> quotas::QuotaItem {
    quotas::QuotaItem {
        used: Amounts { machines: 4, cores: 14, memory: 24_576, disk: 180 },
        quota: Quota { machines: Some(5), cores: Some(16), memory: Some(32_768), disk: None },
    }
}

pub fn user(n: u8, login: &str, name: &str, role: Role) -> users::UserItem {
    let user = User {
        id: UserId::from_bytes([n; 16]),
        login: login.into(),
        name: name.into(),
        email: Some(format!("{login}@home.example")),
        role,
        active: true,
        created: ago(9_000_000),
        last_login: Some(ago(3000)),
        password_set: Some(ago(8_000_000)),
    };
    users::UserItem { user, locked: false, quota: quota(), invited_until: None }
}

pub fn people() -> Vec<users::UserItem> {
    let mut list = vec![
        user(7, "mira", "Mira Lind", Role::Admin),
        user(8, "jon", "Jon", Role::User),
        user(9, "ada", EVIL, Role::User),
        user(10, "tom", "Tom", Role::User),
        user(11, "eve", "Eve", Role::User),
    ];
    list[2].locked = true;
    list[3].user.active = false;
    list[4].user.password_set = None;
    list[4].invited_until = Some(ago(-86_400));
    list
}

pub fn plugin(name: &str, error: bool) -> PluginInfo {
    let hook = |params, mode| Hook { params, mode };
    let hooks = BTreeMap::from([
        ("inventory".to_owned(), hook(0, HookMode::Effect)),
        ("guest_create".to_owned(), hook(2, HookMode::Job)),
        ("setup_plan".to_owned(), hook(1, HookMode::Pure)),
    ]);
    PluginInfo {
        name: name.into(),
        origin: if error { Origin::Folder } else { Origin::Embedded },
        hash: "8f2b6c1d0e".repeat(6),
        manifest: Some(Manifest {
            name: name.into(),
            version: "1.0.0".into(),
            about: "Machines on Proxmox VE 8 and 9.".into(),
            kind: model::plugins::PluginKind::Provider,
            api: 1,
            grants: vec!["pve".into(), "guests".into(), "log".into()],
            features: Features::default(),
            settings: Vec::new(),
            profiles: Vec::new(),
            uses: Vec::new(),
            software: None,
            hooks,
        }),
        error: error.then(|| ScriptError {
            file: "main.rhai".into(),
            line: 3,
            column: 9,
            message: "Expecting ';' to terminate this statement".into(),
        }),
        active: Some("8f2b6c1d0e".repeat(6)),
    }
}

pub fn source() -> Vec<plugins::SourceFile> {
    vec![plugins::SourceFile {
        name: "main.rhai".into(),
        text: "// What is there\nfn inventory() {\n    let x = <b>\n    pve::get(\"/cluster/resources\")\n}\n".into(),
    }]
}

pub fn connection(reach: Reach) -> settings::ConnectionItem {
    settings::ConnectionItem {
        id: ConnectionId::from_bytes([4; 16]),
        name: "Home".into(),
        endpoints: vec!["https://pve1.home.example:8006".into(), "https://pve2.home.example:8006".into()],
        fingerprints: vec!["AB:CD:EF".to_owned()],
        ca: None,
        token_id: "steward@pve!appliance".into(),
        refused: Vec::new(),
        ssh: None,
        limits: Limits {
            nodes: vec!["pve1".into()],
            vmid_min: Some(100),
            vmid_max: Some(899),
            bridges: vec!["vmbr0".into()],
            ..Limits::default()
        },
        left_out: Vec::new(),
        silent: None,
        reach,
        machines: 42,
        nodes: vec!["pve1".into(), "pve2".into(), "pve3".into()],
        storages: ["local-lvm", "nas"].map(|s| (s.to_owned(), s.to_owned())).into(),
        templates: vec![(9000, "debian-13".into()), (9001, EVIL.into())],
    }
}

fn draft(reached: create::CreateStep) -> DraftItem {
    let id = base::ids::DraftId::from_bytes([6; 16]);
    DraftItem { id, name: "media-box".into(), changed: ago(600), reached, job: None }
}

pub fn create_view(step: create::CreateStep) -> create::CreateView {
    create::CreateView {
        menu: menu(),
        warnings: Vec::new(),
        step,
        connections: vec![("c1".into(), "Home".into())],
        nodes: vec!["pve1".into(), "pve2".into()],
        templates: vec![
            create::TemplateItem {
                vmid: 9000,
                name: "debian-13".into(),
                node: "pve1".into(),
                disk: 3 << 30,
                windows: false,
                image: Some(("Debian 13 (trixie)".into(), "debian".into())),
            },
            create::TemplateItem {
                vmid: 9001,
                name: EVIL.into(),
                node: "pve2".into(),
                disk: 4 << 30,
                windows: true,
                image: None,
            },
        ],
        isos: vec![("local:iso/debian-13.iso".into(), "debian-13.iso on local".into())],
        choices: Choices {
            bridges: vec!["vmbr0".into(), "vmbr1".into()],
            storages: vec!["local-lvm".into(), "nas".into()],
            isos: Vec::new(),
        },
        quota: Some(quota()),
        profiles: super::profiles::choices(),
        profile: Some(super::profiles::one()),
        fixes: true,
        must_pick: false,
        features: Feature::ALL.to_vec(),
        settings: settings(),
        draft: (step != create::CreateStep::Source).then(|| draft(step)),
        unfinished: if step == create::CreateStep::Source {
            vec![draft(create::CreateStep::Network)]
        } else {
            Vec::new()
        },
        my_keys: "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIHxB8x6WmXgkqE0o4h9mT0dW6q2Jm0cJ3n2T3r4s5t6u mira@desk".into(),
    }
}

pub fn typed() -> Form {
    Form::from_pairs([
        ("name", "web-03"),
        ("from", "template"),
        ("template", "9000"),
        ("full", "on"),
        ("node", "pve1"),
        ("connection", "c1"),
        ("cores", "2"),
        ("memory", "4096"),
        ("disk", "32"),
        ("storage", ""),
        ("bridge", "vmbr0"),
        ("vlan", ""),
        ("mode", "dhcp"),
        ("user", "mira"),
        ("ssh_keys", "ssh-ed25519 AAAA"),
        ("tags", "web shop"),
        ("start", "off"),
        ("start", "on"),
    ])
}

pub fn profile_view(fresh: bool) -> profile::ProfileView {
    let session = |n: u8, device: &str, current| app::sessions::SessionView {
        kind: model::sessions::SessionKind::Browser,
        expires: ago(-90_000),
        id: SessionId::from_bytes([n; 16]),
        device: device.into(),
        address: "192.168.1.20".into(),
        created: ago(90_000),
        last_seen: ago(60),
        current,
    };
    profile::ProfileView {
        user: people().remove(0).user,
        prefs: Prefs {
            ssh_keys: "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIHxB8x6WmXgkqE0o4h9mT0dW6q2Jm0cJ3n2T3r4s5t6u mira@desk"
                .into(),
            ..Prefs::default()
        },
        sessions: vec![session(1, "Firefox on Linux", true), session(2, "Chrome on Android", false)],
        tokens: vec![app::tokens::TokenView {
            id: TokenId::from_bytes([5; 16]),
            name: "Home Assistant".into(),
            scope: Scope::Operate,
            created: ago(900_000),
            expires: None,
            last_used: Some(ago(20)),
        }],
        quota: quota(),
        new_token: fresh.then(|| Secret::new("stw_kQ3vT0s9Lr2mZx8Yb1Nc7Hd5Wf4Ga6Pj".to_owned())),
    }
}

/// Two recipes with an option of each kind.
pub fn menu() -> Vec<app::software::MenuItem> {
    let text = "title = 'Nginx'\ncategory = 'Web'\nabout = 'A web server with one site.'\nneeds = { memory = 64, disk = 1 }\n\
                [[options]]\nkey = 'port'\nlabel = 'Port'\nkind = 'number'\ndefault = 80\n\
                [[options]]\nkey = 'mode'\nlabel = 'What it serves'\nkind = 'choice'\nchoices = [['files', 'Files'], ['proxy', 'Another program']]\n\
                [[options]]\nkey = 'parts'\nlabel = 'Parts'\nkind = 'multi'\nchoices = [['a', 'One'], ['b', 'Two']]\ndefault = ['a']\n\
                [[options]]\nkey = 'word'\nlabel = 'Password'\nkind = 'password'\n";
    let item = |name: &str| {
        let recipe = toml::from_str(text).ok()?;
        Some(app::software::MenuItem { name: name.to_owned(), version: "1.0.0".into(), recipe })
    };
    ["software-nginx", "software-caddy"].into_iter().filter_map(item).collect()
}

/// What depends on a machine, with something of every weight.
pub fn impact_of(kind: ActionKind) -> Impact {
    let kept = |name: &str, days: i64| SnapshotFact { name: name.into(), taken: ago(days * 86_400), memory: false };
    let pages = vec![("Films".to_owned(), "http://192.168.1.44:8096".to_owned())];
    let facts = vec![
        Fact::Steward { sure: true },
        Fact::State { status: "running".into(), uptime: 1_036_800 },
        Fact::Software(vec![
            Program { title: "Jellyfin".into(), pages, waits: false },
            Program { title: EVIL.into(), pages: Vec::new(), waits: true },
        ]),
        Fact::People { owner: Some("eve".into()), shared: vec![("jon".into(), GuestRight::Use)], others: 0 },
        Fact::Disks {
            list: vec![GoingDisk { key: "scsi0".into(), storage: "local-lvm".into(), bytes: 32 << 30, unused: false }],
            bytes: 32 << 30,
        },
        Fact::Snapshots { list: (1..9).map(|n| kept(&format!("week-{n}"), n * 7)).collect(), now: ago(0) },
        Fact::HighAvailability("started".into()),
    ];
    Impact::of(kind, facts, vec!["Its devices can't be read right now. Proxmox does not answer.".into()])
}

pub fn bulk_view(action: &str) -> bulk::BulkView {
    let kind = ActionKind::parse(action).unwrap();
    bulk::BulkView {
        impact: kind.has_impact().then(|| {
            let running = vec![
                Fact::State { status: "running".into(), uptime: 7200 },
                Fact::Disks { list: Vec::new(), bytes: 40 << 30 },
            ];
            Impact::of_many(kind, vec![(GuestId::from_bytes([1; 16]), EVIL.into(), running)])
        }),
        kind,
        rows: (1..4).map(guest).collect(),
        refused: vec![(GuestId::from_bytes([9; 16]), EVIL.into(), "It is locked (backup).".into())],
        nodes: vec!["pve1".into(), "pve2".into()],
        tags: vec!["media".into(), "web".into()],
        people: vec!["eve".into(), "mira".into()],
        suggestion: "s-20261121".into(),
    }
}
