//! The pages about templates, in the states worth looking at.

use crate::frame::Form;
use crate::frame::gallery::samples::{EVIL, ago, impact_of, page};
use crate::templates::page as templates;
use crate::templates::page::{ImageItem, Made, NewView, TemplateItem, TemplateView, TemplatesView};
use base::Error;
use base::ids::{ConnectionId, GuestId, JobId};
use config::catalogue;
use model::guests::ActionKind;
use model::images::ImageOrigin;
use model::impact::Impact;
use model::templates::{Policy, TemplateChoices};

fn template(n: u8, name: &str, made: bool, superseded: bool, newer: bool) -> TemplateItem {
    TemplateItem {
        id: GuestId::from_bytes([n; 16]),
        vmid: Some(9000 + u32::from(n)),
        name: name.into(),
        connection: ConnectionId::from_bytes([1; 16]),
        node: "pve1".into(),
        disk: 4 << 30,
        made: made.then(|| Made {
            title: "Debian 13 (trixie)".into(),
            user: "debian".into(),
            built: ago(864_000),
            algorithm: "sha512".into(),
            digest: "4f2a".repeat(32),
            of_catalogue: true,
        }),
        superseded,
        newer,
    }
}

fn images() -> Vec<ImageItem> {
    let items = catalogue(None).images.into_iter().enumerate().map(|(n, (image, _))| ImageItem {
        origin: if n == 2 { ImageOrigin::File { replaces: true } } else { ImageOrigin::BuiltIn },
        looked: (n < 4).then(|| ago(3600)),
        trouble: (n == 3).then(|| "download.fedoraproject.org did not answer within 30 seconds.".into()),
        built: (n < 2).then(|| ago(864_000)),
        newer: n == 1,
        building: (n == 2).then(|| JobId::from_bytes([7; 16])),
        image,
    });
    items.collect()
}

fn view() -> TemplatesView {
    TemplatesView {
        images: images(),
        templates: vec![
            template(1, "debian-13-20261121", true, false, false),
            template(2, "debian-13-20261001", true, true, false),
            template(3, "ubuntu-24-04-20261001", true, false, true),
            template(4, EVIL, false, false, false),
        ],
        problems: vec!["/etc/steward/images.toml, line 5: Invalid type. None of its images are used.".into()],
        file: Some("/etc/steward/images.toml".into()),
        policy: Policy::default(),
        connected: true,
    }
}

fn new_view(own: bool, images: bool) -> NewView {
    NewView {
        image: if own { None } else { catalogue(None).images.into_iter().next().map(|(image, _)| image) },
        connection: None,
        settings: super::samples::settings(),
        nodes: vec![("c/pve1".into(), "pve1".into()), ("c/pve2".into(), "pve2".into())],
        node: "c/pve1".into(),
        choices: TemplateChoices {
            bridges: vec!["vmbr0".into()],
            storages: vec!["local-lvm".into(), "nas".into()],
            images: if images { vec!["local".into()] } else { Vec::new() },
            commands: if images {
                Vec::new()
            } else {
                vec!["pvesm set local --content iso,vztmpl,backup,import".into()]
            },
        },
        trouble: None,
    }
}

/// Name and page.
pub fn all() -> Vec<(&'static str, maud::Markup)> {
    let first = TemplatesView { templates: Vec::new(), problems: Vec::new(), ..view() };
    let free = TemplateView {
        item: template(3, "ubuntu-24-04-20261001", true, false, true),
        impact: Impact::default(),
        uses: Ok(Vec::new()),
    };
    let used = TemplateView {
        item: template(1, "debian-13-20261121", true, false, false),
        impact: Impact::default(),
        uses: Ok(vec![(GuestId::from_bytes([5; 16]), EVIL.into())]),
    };
    let unknown = TemplateView {
        item: template(4, EVIL, false, false, false),
        impact: impact_of(ActionKind::Delete),
        uses: Err("Proxmox at pve1 does not answer: connection refused.".into()),
    };
    let wrong =
        Form::new().set("checksum", "12").fail(&Error::field("checksum", "A sha256 checksum has 64 hex digits."));
    let away = NewView { trouble: Some("Proxmox does not answer.".into()), ..new_view(false, true) };
    vec![
        ("templates", templates::templates(&page("/templates"), &view(), &Form::new())),
        ("templates-first", templates::templates(&page("/templates"), &first, &Form::new())),
        ("template-new", templates::new(&page("/templates/new"), &new_view(false, true), &Form::new())),
        ("template-new-own", templates::new(&page("/templates/new"), &new_view(true, true), &wrong)),
        ("template-new-no-storage", templates::new(&page("/templates/new"), &new_view(false, false), &Form::new())),
        ("template-new-away", templates::new(&page("/templates/new"), &away, &Form::new())),
        (
            "template-upload",
            templates::upload(
                &page("/templates/upload"),
                &new_view(true, true),
                &Form::new().fail(&Error::field("file", "This file is not a qcow2 image.")),
            ),
        ),
        (
            "template-upload-no-storage",
            templates::upload(&page("/templates/upload"), &new_view(true, false), &Form::new()),
        ),
        ("template", templates::template(&page("/templates/3"), &free, &Form::new())),
        ("template-used", templates::template(&page("/templates/1"), &used, &Form::new())),
        ("template-elsewhere", templates::template(&page("/templates/4"), &unknown, &Form::new())),
    ]
}
