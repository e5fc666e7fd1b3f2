//! The software tab of a machine: install, remove, give Steward access.

pub mod page;
pub mod rest;

use crate::door::csrf::Checked;
use crate::door::forms::{finished, press, submit};
use crate::door::problem::Answer;
use crate::door::visit::Person;
use crate::frame::parts::bytes;
use crate::frame::recipe::values;
use crate::frame::{Form, Page};
use crate::guests::one::page::MachineHead;
use crate::guests::one::{Machine, find, head as plain_head};
use crate::guests::software::page::TabView;
use app::live::GuestLive;
use app::software::MenuItem;
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

pub async fn show(person: Person, Machine(guest): Machine) -> Answer<Markup> {
    Ok(draw(&person, &guest, &person.page(), &Form::new()).await?)
}

async fn draw(person: &Person, guest: &GuestLive, p: &Page, form: &Form) -> Result<Markup> {
    let head = head(person, guest).await?;
    let view = view(person, guest, &head).await?;
    Ok(page::tab(p, &head, &view, form))
}

fn item(person: &Person, name: &str) -> Result<MenuItem> {
    let found = person.web.app.software().menu(&person.actor).into_iter().find(|i| i.name == name);
    found.ok_or_else(|| Error::not_found("There is no such recipe."))
}

pub async fn recipe(person: Person, Path((text, name)): Path<(String, String)>) -> Answer<Markup> {
    let (guest, item) = (find(&person, &text)?, item(&person, &name)?);
    Ok(draw_recipe(&person, &guest, &item, &person.page(), &Form::new()).await?)
}

async fn draw_recipe(person: &Person, guest: &GuestLive, item: &MenuItem, p: &Page, form: &Form) -> Result<Markup> {
    let warnings = warnings([&item.recipe.needs], guest.state.maxmem >> 20, guest.state.maxdisk >> 30);
    Ok(page::recipe(p, &head(person, guest).await?, item, &warnings, form))
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
    Checked { form, .. }: Checked,
) -> Answer {
    let (guest, item) = (find(&person, &text)?, item(&person, &name)?);
    let request = SoftwareRequest { recipe: item.name.clone(), options: values(&form, &item) };
    let asked = async {
        let asked = person.web.app.software().request_install(&person.actor, guest.row.id, request).await?;
        Ok(match asked.job {
            Some(job) => finished(&person, &format!("/jobs/{job}"), ""),
            None => finished(&person, &place(&guest), "Queued: it begins when the machine is free."),
        })
    };
    submit(&person, &form, asked, async |p, form| draw_recipe(&person, &guest, &item, &p, &form).await).await
}

pub async fn remove(person: Person, Path((text, name)): Path<(String, String)>, _: Checked) -> Answer {
    let guest = find(&person, &text)?;
    let removed = async {
        person.web.app.software().remove(&person.actor, guest.row.id, &name).await?;
        Ok(finished(&person, &place(&guest), "Removed from the list."))
    };
    press(&person, &place(&guest), removed).await
}

pub async fn let_in(person: Person, Machine(guest): Machine, Checked { form, .. }: Checked) -> Answer {
    let let_in = async {
        // A field that stays empty is left out: the port then is the usual one.
        let empty = ["port", "password"].into_iter().filter(|field| form.value(field).is_empty());
        let wanted = empty.fold(form.node(), |node, field| node.without(field)).read()?;
        person.web.app.software().let_in(&person.actor, guest.row.id, wanted).await?;
        Ok(finished(&person, &place(&guest), "Steward has a key for this machine."))
    };
    submit(&person, &form, let_in, async |p, form| draw(&person, &guest, &p, &form).await).await
}

pub async fn forget(person: Person, Machine(guest): Machine, _: Checked) -> Answer {
    let forgotten = async {
        person.web.app.software().forget_host_key(&person.actor, guest.row.id).await?;
        Ok(finished(&person, &place(&guest), "The next host key that the machine presents will be accepted."))
    };
    press(&person, &place(&guest), forgotten).await
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
