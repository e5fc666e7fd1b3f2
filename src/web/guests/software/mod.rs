//! The software tab of a machine: install, remove, give Steward access.

pub mod page;
pub mod rest;

use crate::door::csrf::{Checked, Pairs};
use crate::door::forms::{again, finished, number, refused};
use crate::door::problem::Answer;
use crate::door::visit::Person;
use crate::frame::Form;
use crate::frame::parts::bytes;
use crate::frame::recipe::values;
use crate::guests::one::page::MachineHead;
use crate::guests::one::{find, head as plain_head};
use crate::guests::software::page::TabView;
use app::live::GuestLive;
use app::software::{LetIn, MenuItem};
use axum::extract::Path;
use base::{Error, Result};
use maud::Markup;
use model::guests::System;
use model::providers::Feature;
use model::software::{Needs, Recipe, SoftwareRequest};

fn place(guest: &GuestLive) -> String {
    format!("/machines/{}/software", guest.row.id)
}

/// The head with the system, by which the menu is chosen.
async fn head(person: &Person, guest: &GuestLive) -> Result<MachineHead> {
    let system = person.web.app.guests().system(guest).await;
    Ok(MachineHead { system, ..plain_head(person, guest)? })
}

/// Where the system is not known, Windows is only thought of when there is a way to a guest agent.
fn offered(recipe: &Recipe, head: &MachineHead) -> bool {
    let agent = head.system == System::Windows || head.has(Feature::Agent);
    recipe.fits(head.system) && (agent || !recipe.is_for_windows())
}

async fn view(person: &Person, guest: &GuestLive, head: &MachineHead) -> Result<TabView> {
    let software = person.web.app.software();
    let menu = software.menu(&person.actor);
    Ok(TabView {
        software: software.of_guest(&person.actor, guest.row.id).await?,
        menu: menu.into_iter().filter(|i| offered(&i.recipe, head)).collect(),
        key: software.key(&person.actor, guest.row.id)?,
        can_manage: head.can_manage,
    })
}

pub async fn show(person: Person, Path(text): Path<String>) -> Answer<Markup> {
    let guest = find(&person, &text)?;
    let head = head(&person, &guest).await?;
    let view = view(&person, &guest, &head).await?;
    Ok(page::tab(&person.page(), &head, &view, &Form::new()))
}

fn item(person: &Person, name: &str) -> Result<MenuItem> {
    let found = person.web.app.software().menu(&person.actor).into_iter().find(|i| i.name == name);
    found.ok_or_else(|| Error::not_found("There is no such recipe."))
}

pub async fn recipe(person: Person, Path((text, name)): Path<(String, String)>) -> Answer<Markup> {
    let (guest, item) = (find(&person, &text)?, item(&person, &name)?);
    let warnings = warnings([&item.recipe.needs], guest.state.maxmem >> 20, guest.state.maxdisk >> 30);
    Ok(page::recipe(&person.page(), &head(&person, &guest).await?, &item, &warnings, &Form::new()))
}

/// What a machine with this much memory (MiB) and disk (GiB) may lack for these recipes, in sentences. 0: not known.
pub fn warnings<'a>(needs: impl IntoIterator<Item = &'a Needs>, memory: u64, disk: u64) -> Vec<String> {
    let (most_memory, most_disk) = Needs::sum(needs);
    let mut out = Vec::new();
    if memory > 0 && memory < most_memory {
        let (want, have) = (bytes(most_memory << 20), bytes(memory << 20));
        out.push(format!("Together with the system this needs about {want} of memory; the machine has {have}."));
    }
    if disk > 0 && disk < most_disk {
        out.push(format!(
            "Together with the system this needs about {most_disk} GiB of disk; the machine has {disk} GiB."
        ));
    }
    out
}

pub async fn install(
    person: Person,
    Path((text, name)): Path<(String, String)>,
    Checked { form, .. }: Checked<Pairs>,
) -> Answer {
    let (guest, item) = (find(&person, &text)?, item(&person, &name)?);
    let form = Form::from_pairs(form);
    let request = SoftwareRequest { recipe: item.name.clone(), options: values(&form, &item) };
    match person.web.app.software().request_install(&person.actor, guest.row.id, request).await {
        Ok(asked) => match asked.job {
            Some(job) => Ok(finished(&person, &format!("/jobs/{job}"), "")),
            None => Ok(finished(&person, &place(&guest), "Queued: it begins when the machine is free.")),
        },
        Err(e) => {
            let head = head(&person, &guest).await?;
            let warnings = warnings([&item.recipe.needs], guest.state.maxmem >> 20, guest.state.maxdisk >> 30);
            again(&person, form, e, |p, form| page::recipe(p, &head, &item, &warnings, form))
        }
    }
}

pub async fn remove(
    person: Person,
    Path((text, name)): Path<(String, String)>,
    Checked { .. }: Checked<Pairs>,
) -> Answer {
    let guest = find(&person, &text)?;
    match person.web.app.software().remove(&person.actor, guest.row.id, &name).await {
        Ok(()) => Ok(finished(&person, &place(&guest), "Removed from the list.")),
        Err(e) => refused(&person, &place(&guest), e),
    }
}

pub async fn let_in(person: Person, Path(text): Path<String>, Checked { form, .. }: Checked<Pairs>) -> Answer {
    let guest = find(&person, &text)?;
    let mut form = Form::from_pairs(form);
    let password = Some(form.secret("password")).filter(|p| !p.expose().is_empty());
    let port = if form.value("port").is_empty() { Ok(22) } else { number(&form, "port") };
    let asked = match port {
        Ok(port) => {
            let wanted = LetIn {
                user: form.value("user").to_owned(),
                address: form.value("address").to_owned(),
                port,
                password,
            };
            person.web.app.software().let_in(&person.actor, guest.row.id, wanted).await
        }
        Err(e) => Err(e),
    };
    match asked {
        Ok(_) => Ok(finished(&person, &place(&guest), "Steward has a key for this machine.")),
        Err(e) => {
            let head = head(&person, &guest).await?;
            let view = view(&person, &guest, &head).await?;
            again(&person, form, e, |p, form| page::tab(p, &head, &view, form))
        }
    }
}

pub async fn forget(person: Person, Path(text): Path<String>, Checked { .. }: Checked<Pairs>) -> Answer {
    let guest = find(&person, &text)?;
    match person.web.app.software().forget_host_key(&person.actor, guest.row.id).await {
        Ok(()) => {
            Ok(finished(&person, &place(&guest), "The next host key that the machine presents will be accepted."))
        }
        Err(e) => refused(&person, &place(&guest), e),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_machine_lacks_is_said_in_figures() {
        let needs = Needs { memory: 2048, disk: 20, systems: Vec::new() };
        let said = warnings([&needs], 1024, 32);
        assert!(said.len() == 1 && said[0].contains("2.5") && said[0].contains("1\u{a0}GiB"), "{said:?}");
        assert!(warnings([&needs], 4096, 32).is_empty() && warnings([&needs], 0, 0).is_empty());
    }
}
