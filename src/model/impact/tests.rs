use super::*;

fn now() -> Timestamp {
    Timestamp::from_secs(1_795_000_000)
}

fn snapshot(name: &str, days: i64) -> SnapshotFact {
    SnapshotFact { name: name.into(), taken: Timestamp::from_secs(now().as_secs() - days * 86_400), memory: days == 3 }
}

fn texts(impact: &Impact) -> Vec<(&'static str, &str)> {
    impact.hits.iter().map(|h| (h.weight.name(), h.text.as_str())).collect()
}

fn machine(name: &str) -> (GuestId, String) {
    (GuestId::new(), name.to_owned())
}

#[test]
fn the_worst_comes_first() {
    let facts = vec![
        Fact::HighAvailability("started".into()),
        Fact::People { owner: Some("eve".into()), shared: Vec::new(), others: 0 },
        Fact::Disks { list: Vec::new(), bytes: 40 << 30 },
        Fact::State { status: "running".into(), uptime: 300_000 },
        Fact::Linked { machines: vec![machine("web-01")], more: 2 },
        Fact::Protected,
    ];
    let impact = Impact::of(ActionKind::Delete, facts, Vec::new());
    assert_eq!(
        texts(&impact),
        [
            ("blocks", "It is protected: it can't be deleted until “Protected” is switched off on its Hardware page."),
            ("blocks", "3 machines share its disks: it can't be deleted before those."),
            ("lost", "It has been running for 3 days and is stopped first, at once: what it has not saved is lost."),
            ("lost", "Its disks, 40 GiB in all, go with everything on them."),
            ("cut", "1 other person uses it, and loses it."),
            ("known", "High availability manages it; it is taken out of that too."),
        ]
    );
    assert!(impact.blocks() && impact.asks() && !impact.is_alone());
    assert_eq!((impact.hits[1].items.len(), impact.hits[1].more), (1, 2));
}

#[test]
fn nothing_but_the_machine_itself_asks_no_question() {
    let facts = || vec![Fact::State { status: "running".into(), uptime: 7300 }];
    let impact = Impact::of(ActionKind::Reboot, facts(), Vec::new());
    assert_eq!(texts(&impact), [("known", "It has been running for 2 h 1 min. It is asked to restart by itself.")]);
    assert!(!impact.asks() && impact.is_alone());
    // Your own console is no surprise, somebody else's is.
    let own = Fact::Consoles { own: 1, names: Vec::new(), others: 0 };
    assert!(!Impact::of(ActionKind::Stop, vec![own], Vec::new()).asks());
    let theirs = Fact::Consoles { own: 0, names: Vec::new(), others: 1 };
    assert!(Impact::of(ActionKind::Stop, vec![theirs], Vec::new()).asks());
    // People who only view a machine are not cut off by a reboot.
    let look = Fact::People { owner: None, shared: vec![("tom".into(), GuestRight::See)], others: 0 };
    assert!(!Impact::of(ActionKind::Reboot, vec![look], Vec::new()).asks());
}

#[test]
fn programs_are_named_with_where_people_open_them() {
    let pages = vec![("Films".to_owned(), "http://192.0.2.7:8096/".to_owned())];
    let programs = vec![
        Program { title: "Jellyfin".into(), pages, waits: false },
        Program { title: "Samba".into(), pages: Vec::new(), waits: true },
    ];
    let impact = Impact::of(ActionKind::Stop, vec![Fact::Software(programs)], Vec::new());
    assert_eq!(texts(&impact), [("cut", "2 programs on it stop:")]);
    let url = "http://192.0.2.7:8096/".to_owned();
    let items = [Item::url("Jellyfin: Films", url), Item::new("Samba, which waits to be installed")];
    assert_eq!(impact.hits[0].items, items);
    let one = vec![Fact::Software(vec![Program { title: "Samba".into(), pages: Vec::new(), waits: false }])];
    assert_eq!(texts(&Impact::of(ActionKind::Delete, one, Vec::new())), [("lost", "1 program on it goes away:")]);
}

#[test]
fn snapshots_are_told_with_their_date_and_matter_only_where_they_go() {
    let list = vec![snapshot("calm", 9), snapshot("before", 3)];
    let fact = || vec![Fact::Snapshots { list: list.clone(), now: now() }];
    let impact = Impact::of(ActionKind::Delete, fact(), Vec::new());
    assert_eq!(impact.hits[0].text, "2 snapshots of it go too:");
    assert_eq!(impact.hits[0].items[1].text, "before (2026-11-15 11:06 UTC, 3 days ago, with memory)");
    assert!(Impact::of(ActionKind::Template, fact(), Vec::new()).blocks());
    assert!(Impact::of(ActionKind::Stop, fact(), Vec::new()).hits.is_empty());
    let back = Fact::Since { to: snapshot("calm", 9), newer: vec![snapshot("before", 3)], now: now() };
    let impact = Impact::of(ActionKind::Rollback, vec![back], Vec::new());
    assert!(impact.hits[0].text.starts_with("What was written to its disks since 2026-11-09"), "{impact:?}");
    assert!(impact.hits[0].text.contains("1 snapshot taken since stays"), "{impact:?}");
}

#[test]
fn a_stop_overtakes_and_everything_else_waits_for_a_job() {
    let fact = || Fact::Jobs { jobs: vec![(JobId::new(), "Shut down web".into())], more: 0, overtaken: true };
    assert!(!Impact::of(ActionKind::Stop, vec![fact()], Vec::new()).blocks());
    assert!(Impact::of(ActionKind::Delete, vec![fact()], Vec::new()).blocks());
    assert!(Impact::of(ActionKind::Delete, vec![Fact::Locked("backup".into())], Vec::new()).blocks());
    let hibernated = Impact::of(ActionKind::Delete, vec![Fact::Locked("suspended".into())], Vec::new());
    assert!(!hibernated.blocks() && hibernated.hits[0].weight == Weight::Lost);
}

#[test]
fn steward_itself_is_said_first_of_what_weighs_the_same() {
    let facts = vec![
        Fact::Software(vec![Program { title: "Samba".into(), pages: Vec::new(), waits: false }]),
        Fact::Steward { sure: true },
    ];
    let impact = Impact::of(ActionKind::Shutdown, facts, Vec::new());
    let text = "Steward itself runs here: this page will go away, and nobody can start the machine from here.";
    assert_eq!(impact.hits[0].text, text);
    let guessed = Impact::of(ActionKind::Stop, vec![Fact::Steward { sure: false }], Vec::new());
    assert!(guessed.hits[0].text.starts_with("It has the same name as the computer that Steward runs on."));
}

#[test]
fn several_machines_are_summed_up_by_kind() {
    let running = |name: &str, gib: u64| {
        let facts = vec![
            Fact::State { status: "running".into(), uptime: 7200 },
            Fact::Disks { list: Vec::new(), bytes: gib << 30 },
        ];
        (GuestId::new(), name.to_owned(), facts)
    };
    let mut each = vec![running("a", 10), running("b", 30)];
    each.push((GuestId::new(), "c".into(), vec![Fact::Locked("backup".into())]));
    let impact = Impact::of_many(ActionKind::Delete, each);
    assert_eq!(
        texts(&impact),
        [
            ("blocks", "1 of them is locked."),
            ("lost", "2 of them are on now and stopped first, at once: what is not saved is lost."),
            ("lost", "Their disks, 40 GiB in all, go with everything on them."),
        ]
    );
    assert_eq!(impact.hits[1].items[0].text, "a: running for 2 h");
}

#[test]
fn a_long_list_is_cut_and_the_rest_counted() {
    let machines = (0..50).map(|n| machine(&format!("m{n}"))).collect();
    let impact = Impact::of(ActionKind::Delete, vec![Fact::Linked { machines, more: 3 }], Vec::new());
    assert_eq!((impact.hits[0].items.len(), impact.hits[0].more), (NAMED, 23));
    assert!(impact.hits[0].text.starts_with("53 machines"), "{impact:?}");
}

#[test]
fn every_fact_has_words_for_every_kind_or_does_not_matter() {
    let facts = [
        Fact::Steward { sure: true },
        Fact::Protected,
        Fact::Locked("backup".into()),
        Fact::Linked { machines: vec![machine("a")], more: 0 },
        Fact::Copies { machines: vec![machine("a")], more: 0 },
        Fact::Jobs { jobs: Vec::new(), more: 1, overtaken: false },
        Fact::Making { jobs: Vec::new(), more: 1 },
        Fact::Devices(vec!["hostpci0".into()]),
        Fact::State { status: "paused".into(), uptime: 0 },
        Fact::Software(vec![Program { title: "Samba".into(), pages: Vec::new(), waits: false }]),
        Fact::People { owner: Some("eve".into()), shared: vec![("tom".into(), GuestRight::Manage)], others: 1 },
        Fact::Consoles { own: 1, names: vec!["eve".into()], others: 1 },
        Fact::Disks { list: Vec::new(), bytes: 0 },
        Fact::Snapshots { list: vec![snapshot("calm", 9)], now: now() },
        Fact::Since { to: snapshot("calm", 9), newer: Vec::new(), now: now() },
        Fact::HighAvailability("started".into()),
        Fact::Replication(vec!["pve2".into()]),
    ];
    for kind in ActionKind::ALL.iter().copied() {
        for fact in &facts {
            let Some(hit) = fact.hit(kind) else { continue };
            let tie = matches!(fact, Fact::Devices(_) | Fact::Linked { .. } | Fact::Replication(_));
            assert!(!tie || needs_ties(kind), "{kind:?} is not asked for {fact:?}");
            assert!(hit.text.ends_with(['.', ':']) && !hit.text.contains("  "), "{kind:?} {fact:?}: {}", hit.text);
            assert!(!hit.brief.is_empty() && !hit.brief.ends_with('.'), "{kind:?} {fact:?}: {}", hit.brief);
            let many = Impact::of_many(kind, vec![(GuestId::new(), "a".into(), vec![fact.clone()])]);
            assert!(many.hits[0].text.ends_with('.'), "{:?}", many.hits[0]);
        }
    }
}
