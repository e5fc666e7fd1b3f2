//! The pages about hardware profiles, in the states worth looking at.

use crate::frame::Form;
use crate::frame::gallery::samples::{self, EVIL, ago, head, page};
use crate::hardware_profiles::page as profiles;
use crate::hardware_profiles::page::{EditView, ProfileChoice, ProfileItem, ProfilesView};
use app::guests::profile::ApplyPlan;
use base::{Error, Timestamp};
use maud::Markup;
use model::guests::actions::DiskGrowth;
use model::guests::hardware::Planned;
use model::profiles::{MoreDisk, Profile, starting};

/// One that fixes something, with a note and more than sizes.
pub fn one() -> Profile {
    Profile {
        note: EVIL.into(),
        locked: vec!["memory".into(), "vlan".into()],
        disks: vec![MoreDisk { gib: 100, storage: Some("nas".into()), ..MoreDisk::default() }],
        changed: ago(7200),
        by: "mira".into(),
        ..starting(Timestamp::ZERO, samples::declared().1).remove(3)
    }
}

pub fn choices() -> Vec<ProfileChoice> {
    let refused = "Machines there can't have what it sets: Firmware.";
    let choice = |profile: Profile, refusal: Option<&str>| ProfileChoice {
        summary: profile.summary(&samples::settings()),
        refusal: refusal.map(str::to_owned),
        profile,
    };
    let sizes = starting(ago(90_000), []).into_iter().map(|p| choice(p, None));
    sizes.chain([choice(one(), Some(refused))]).collect()
}

fn plan(refused: bool) -> ApplyPlan {
    let change = |key: &str, from: &str, to: &str, live: bool| Planned {
        key: key.into(),
        from: from.into(),
        to: to.into(),
        live,
        why: String::new(),
        refused: (refused && key == "cores").then(|| "The node has 8 threads.".to_owned()),
    };
    ApplyPlan {
        digest: "d".into(),
        running: true,
        changes: vec![
            change("cores", "2", "16", false),
            change("vlan", "", "20", true),
            change("smbios_serial", "", EVIL, false),
            change("agent", "1", "0", false),
        ],
        grow: Some((DiskGrowth { disk: "scsi0".into(), gib: 64 }, 32)),
        add: one().disks,
        disks_live: true,
        stays: vec![("firmware".into(), "The system inside would not start.".into())],
    }
}

pub fn all() -> Vec<(&'static str, Markup)> {
    let settings = samples::settings().for_profiles();
    let item = |profile: Profile| ProfileItem {
        summary: profile.summary(&settings),
        fixed: profile.locked.clone(),
        profile,
        machines: 3,
    };
    let list = ProfilesView {
        items: starting(ago(90_000), []).into_iter().chain([one()]).map(item).collect(),
        required: true,
        limited: vec![(EVIL.into(), EVIL.into())],
    };
    let empty = ProfilesView { items: Vec::new(), required: false, limited: Vec::new() };
    let view = EditView {
        id: Some(one().id),
        name: one().name,
        used_by: (1..=11).map(|n| format!("web-{n:02}")).chain([EVIL.to_owned()]).collect(),
        storages: vec!["local-lvm".into()],
        bridges: vec!["vmbr0".into(), "vmbr1".into()],
        settings: settings.clone(),
        limited: Vec::new(),
    };
    let wrong =
        Error::field("cores", "Give a whole number from 1 to 128.").with_field("disks.0.gib", "Choose 1 to 65536 GiB.");
    let here = "/settings/profiles";
    let machine = head(1, false);
    vec![
        ("profiles", profiles::list(&page(here), &list, &Form::new())),
        ("profiles-none", profiles::list(&page(here), &empty, &Form::new())),
        (
            "profile-new",
            profiles::edit(&page(here), &EditView { settings: settings.clone(), ..EditView::default() }, &Form::new()),
        ),
        ("profile-edit", profiles::edit(&page(here), &view, &profiles::filled(&one()))),
        ("profile-wrong", profiles::edit(&page(here), &view, &profiles::filled(&one()).fail(&wrong))),
        ("profile-apply", profiles::apply(&page("/machines"), &machine, &choices(), Some(EVIL), &Form::new())),
        ("profile-apply-none", profiles::apply(&page("/machines"), &machine, &[], None, &Form::new())),
        (
            "profile-preview",
            profiles::preview(&page("/machines"), &machine, &settings, &one(), &plan(false), &Form::new()),
        ),
        (
            "profile-refused",
            profiles::preview(&page("/machines"), &machine, &settings, &one(), &plan(true), &Form::new()),
        ),
    ]
}
