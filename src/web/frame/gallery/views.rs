//! Every page in the states worth looking at, made from the samples.

use crate::frame::gallery::pages::*;
use crate::frame::gallery::samples::*;
use base::ids::{GuestId, UserId};
use base::{Error, Secret};
use maud::html;
use model::access::GuestRight;
use model::connections::Reach;
use model::guests::ActionKind;
use model::guests::snapshots::{Snapshot, Snapshots};
use model::impact::Impact;
use model::jobs::JobState;
use model::quotas::{Allowance, Amounts, Quota, UserQuota};

/// Name and HTML of every page in the states worth looking at.
pub fn all() -> Vec<(&'static str, String)> {
    let mut list = work();
    list.extend(house());
    list.extend(super::templates::all());
    list.extend(super::profiles::all());
    list.extend(doors());
    list.into_iter().map(|(name, html)| (name, html.into_string())).collect()
}

fn work() -> Vec<(&'static str, maud::Markup)> {
    let empty_machines = machines::MachinesView { connections: 1, ..machines(0) };
    let mut away = machines(14);
    away.filter = "tag:media".into();
    away.rows.iter_mut().for_each(|r| r.shown = r.tags.iter().any(|t| t == "media"));
    away.away =
        vec![machines::Away { name: "Home".into(), since: ago(240), why: "The connection was refused.".into() }];
    let calm = overview::OverviewView { needs: Vec::new(), jobs: Vec::new(), ..overview_view() };
    let first = overview::OverviewView {
        needs: Vec::new(),
        high: Vec::new(),
        jobs: Vec::new(),
        nodes: Vec::new(),
        busiest: Vec::new(),
        running: 0,
        machines: 0,
        quota: quotas::QuotaItem { used: Amounts::default(), quota: Quota::default() },
        connections: 0,
    };
    let history = machine::HistoryView { jobs: job_list(), audit: audit_rows() };
    let jon = app::guests::sharing::GrantView {
        user: UserId::from_bytes([8; 16]),
        login: "jon".into(),
        name: "Jon".into(),
        right: GuestRight::Use,
        by: "mira".into(),
        at: ago(7200),
    };
    let access = sharing::AccessView {
        right: GuestRight::Manage,
        shared_with_me: false,
        grants: Some(vec![jon]),
        may_hand_over: true,
        people: vec![(UserId::from_bytes([8; 16]), "Jon (jon)".into())],
    };
    let guest_of = sharing::AccessView {
        right: GuestRight::Use,
        shared_with_me: true,
        grants: None,
        may_hand_over: false,
        people: Vec::new(),
    };
    let unknown = Form::new()
        .set("form", "share")
        .set("login", "eva")
        .fail(&Error::field("login", "There is nobody with this login."));
    let list = |state: &str, jobs| jobs::JobsView { jobs, state: state.into(), open: 3, failed: 1, more: false };
    let troubled = Page {
        health: Health { level: Level::Bad, text: "Proxmox does not answer".into() },
        flash: vec![Flash { level: Level::Ok, text: "3 machines are asked to start.".into() }],
        ..page("/machines")
    };
    vec![
        ("overview", overview::overview(&page("/"), &overview_view())),
        ("overview-calm", overview::overview(&page("/"), &calm)),
        ("overview-first", overview::overview(&page("/"), &first)),
        ("machines", machines::machines(&page("/machines"), &machines(14))),
        ("machines-away", machines::machines(&troubled, &away)),
        ("machines-empty", machines::machines(&page("/machines"), &empty_machines)),
        (
            "machines-bulk-delete",
            bulk::bulk(
                &page("/machines/bulk"),
                &bulk_view("delete"),
                &Form::new().fail(&Error::field("confirm", "Type how many machines are deleted: 3.")),
            ),
        ),
        ("snapshot", snapshot()),
        ("machines-bulk-tags", bulk::bulk(&page("/machines/bulk"), &bulk_view("tags"), &Form::new())),
        ("machines-bulk-move", bulk::bulk(&page("/machines/bulk"), &bulk_view("migrate"), &Form::new())),
        ("machines-bulk-give", bulk::bulk(&page("/machines/bulk"), &bulk_view("give"), &Form::new())),
        ("machines-bulk-snapshot", bulk::bulk(&page("/machines/bulk"), &bulk_view("snapshot"), &Form::new())),
        ("machines-1000", machines::machines(&page("/machines"), &machines(1000))),
        ("machine", machine::machine(&page("/machines/1"), &head(3, false))),
        ("machine-away", machine::machine(&page("/machines/1"), &head(8, true))),
        ("machine-console", console::console(&page("/machines/1/console"), &head(3, false), &console_view(true))),
        ("machine-console-off", console::console(&page("/machines/1/console"), &head(8, false), &console_view(false))),
        ("machine-history", machine::history(&page("/machines/1"), &head(3, false), &history)),
        ("machine-access", sharing::access(&page("/machines/1"), &head(3, false), &access, &unknown)),
        ("machine-shared", sharing::access(&page("/machines/1"), &head(3, false), &guest_of, &Form::new())),
        (
            "machine-danger",
            machine::danger(
                &page("/machines/1"),
                &head(3, false),
                &impact_of(ActionKind::Delete),
                &Form::new().set("confirm", "jelly").fail(&Error::field("confirm", "This is not its name.")),
            ),
        ),
        (
            "machine-sure",
            impact::power(
                &page("/machines/1/power"),
                &head(3, false),
                ActionKind::Stop,
                None,
                &impact_of(ActionKind::Stop),
            ),
        ),
        (
            "machine-sure-refused",
            impact::power(
                &page("/machines/1/power"),
                &head(8, false),
                ActionKind::Hibernate,
                Some("It is stopped now."),
                &Impact::default(),
            ),
        ),
        ("jobs", jobs::jobs(&page("/jobs"), &list("", job_list()))),
        ("jobs-empty", jobs::jobs(&page("/jobs"), &list("failed", Vec::new()))),
        ("job", job::job(&page("/jobs/1"), &job_view(JobState::Running))),
        ("job-failed", job::job(&page("/jobs/1"), &job_view(JobState::Failed))),
        (
            "create-source",
            create::create(
                &page("/machines/new"),
                &create_view(create::CreateStep::Source),
                &typed().replace("name", "-x").fail(&Error::field("name", model::guests::HOST_NAME)),
            ),
        ),
        ("create-size", create::create(&page("/machines/new"), &create_view(create::CreateStep::Size), &typed())),
        ("create-network", create::create(&page("/machines/new"), &create_view(create::CreateStep::Network), &typed())),
        ("create-access", create::create(&page("/machines/new"), &create_view(create::CreateStep::Access), &typed())),
        ("create-review", create::create(&page("/machines/new"), &create_view(create::CreateStep::Review), &typed())),
    ]
}

fn snapshot() -> maud::Markup {
    let one =
        Snapshot { name: "before-upgrade".into(), description: EVIL.into(), time: ago(7200), ..Snapshot::default() };
    let all = Snapshots { snapshots: vec![one.clone()], parent: Some(one.name.clone()), refusal: None };
    snapshots::one(&page("/machines/1/snapshots/before-upgrade"), &head(8, false), &all, &one, &html! {}, &Form::new())
}

fn house() -> Vec<(&'static str, maud::Markup)> {
    let invite = users::LinkView {
        login: "eve".into(),
        name: "Eve".into(),
        link: Secret::new("https://steward.home.example/invite/0199aabb.kQ3vT0s9Lr2mZx8Yb1Nc7Hd5Wf4Ga6Pj".to_owned()),
        expires: ago(-259_200),
        reset: false,
    };
    let one = |n: usize| users::UserView {
        item: people().remove(n),
        sessions: 2,
        tokens: 1,
        own: UserQuota { cores: Allowance::AtMost(16), ..UserQuota::default() },
        usual: quota().quota,
        shared: vec![(GuestId::from_bytes([3; 16]), "jelly".into(), GuestRight::Use)],
    };
    let everybody = users::UsersView { list: people(), usual: quota().quota };
    let log = audit::AuditView {
        rows: audit_rows(),
        filter: String::new(),
        next: Some(4100),
        first_page: true,
        entries: 4200,
        first_bad: None,
    };
    let torn = audit::AuditView { first_bad: Some(17), rows: Vec::new(), next: None, first_page: false, ..log.clone() };
    let about = [
        ("Version", "0.1.0"),
        ("Running since", "3 days"),
        ("Memory", "38 MiB"),
        ("Store", "12 MiB in /var/lib/steward/steward.redb"),
        ("Audit head", "8f2b6c1d"),
    ];
    let some = settings::SettingsView {
        connections: vec![
            connection(Reach::Here { since: ago(90_000) }),
            settings::ConnectionItem {
                name: "Lab".into(),
                ..connection(Reach::Away { since: ago(240), why: "The connection was refused.".into() })
            },
        ],
        about: about.map(|(a, b)| (a.to_owned(), b.to_owned())).to_vec(),
    };
    let none = settings::SettingsView { connections: Vec::new(), ..some.clone() };
    let cert = connections::CertificateView {
        fingerprint: ["A1", "B2", "C3", "D4"].repeat(8).join(":"),
        subject: "CN=pve1.home.example".into(),
        issuer: "CN=Proxmox Virtual Environment".into(),
        not_after: ago(-40_000_000),
        names: vec!["pve1".into(), "192.168.1.10".into()],
    };
    let setup = "role add Steward --privs \"VM.Audit VM.Clone\"\nuser add steward@pve\nuser token add steward@pve appliance-1a2b3c4d".to_owned();
    let given =
        Form::from_pairs([("address", "pve1.home.example"), ("name", "Home"), ("fingerprint", "A1"), ("way", "login")]);
    let missing = connections::ConnectionView {
        item: connection(Reach::Here { since: ago(90_000) }),
        rights: connections::Rights::Known {
            version: "9.0.10".into(),
            missing: vec![connections::MissingRight {
                path: "/storage/nas".into(),
                privilege: "Datastore.AllocateSpace".into(),
                why: "Disks can't be made there.".into(),
            }],
            commands: "acl modify /storage/nas --roles Steward --users steward@pve".into(),
        },
        by_hand: Some(connections::ByHand::default()),
        bridges: vec!["vmbr0".into(), "vmbr1".into()],
        impact: Impact::of_connection(vec![(GuestId::from_bytes([3; 16]), EVIL.into())], &[("eve".to_owned(), 2)]),
    };
    let connect = |step: &connections::ConnectStep, form: &Form| {
        connections::connect(&page("/settings/connections/new"), step, form)
    };
    vec![
        (
            "plugins",
            plugins::plugins(
                &page("/plugins"),
                &plugins::PluginsView {
                    plugins: vec![plugin("proxmox", false), plugin("my-lab", true)],
                    folder: Some("/etc/steward/plugins".into()),
                },
            ),
        ),
        (
            "plugin",
            plugins::plugin(
                &page("/plugins/proxmox"),
                &plugins::PluginView { info: plugin("proxmox", false), files: source() },
            ),
        ),
        (
            "plugin-broken",
            plugins::plugin(
                &page("/plugins/my-lab"),
                &plugins::PluginView { info: plugin("my-lab", true), files: source() },
            ),
        ),
        ("users", users::users(&page("/users"), &everybody, &Form::new())),
        ("user", users::user(&page("/users/9"), &one(1), &Form::new())),
        ("user-locked", users::user(&page("/users/9"), &one(2), &Form::new())),
        ("user-new", users::new_user(&page("/users/new"), &Form::new())),
        ("user-link", users::link(&page("/users/new"), &invite)),
        ("audit", audit::audit(&page("/audit"), &log)),
        ("audit-torn", audit::audit(&page("/audit"), &torn)),
        ("settings", settings::settings(&page("/settings"), &some)),
        ("settings-first", settings::settings(&page("/settings"), &none)),
        ("connect-address", connect(&connections::ConnectStep::Address, &Form::new())),
        ("connect-trust", connect(&connections::ConnectStep::Trust(cert), &given)),
        (
            "connect-access",
            connect(
                &connections::ConnectStep::Access(connections::ByHand {
                    commands: setup,
                    token_id: "steward@pve!appliance-1a2b3c4d".into(),
                }),
                &given.clone().fail(&Error::invalid("Proxmox refused this login: wrong user or password.")),
            ),
        ),
        ("connection", connections::connection(&page("/settings/connections/4"), &missing, &Form::new())),
        ("profile", profile::profile(&page("/profile"), &profile_view(false), &Form::new())),
        (
            "profile-token",
            profile::profile(
                &page("/profile"),
                &profile_view(true),
                &Form::new().fail(&Error::field("current", "This is not your password.")),
            ),
        ),
        (
            "error",
            error::error(
                &page("/x"),
                &error::ErrorView {
                    job: None,
                    status: 404,
                    message: "There is no machine with this address, or it is not yours.".into(),
                    request_id: Some("0199aabbcc".into()),
                },
            ),
        ),
    ]
}

fn doors() -> Vec<(&'static str, maud::Markup)> {
    let view = |reset| sign_in::InviteView {
        action: "/invite/abc".into(),
        login: "eve".into(),
        name: EVIL.into(),
        expires: ago(-80_000),
        reset,
    };
    vec![
        ("sign-in", sign_in::sign_in(&nobody(), &Form::new())),
        (
            "sign-in-wrong",
            sign_in::sign_in(
                &nobody(),
                &Form::new()
                    .set("login", "mira")
                    .set("next", "/jobs")
                    .fail(&Error::unauthenticated("Login or password is wrong. Try again in 4 s.")),
            ),
        ),
        ("setup", sign_in::setup(&nobody(), &Form::new())),
        ("invite", sign_in::invite(&nobody(), &view(false), &Form::new())),
        ("reset", sign_in::invite(&nobody(), &view(true), &Form::new())),
        (
            "error-nobody",
            error::error(
                &nobody(),
                &error::ErrorView {
                    job: None,
                    status: 500,
                    message: "Something went wrong inside Steward.".into(),
                    request_id: None,
                },
            ),
        ),
    ]
}
