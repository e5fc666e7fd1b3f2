//! What depends on machines, shown before a question is asked.

use super::super::say::complain;
use super::client::{Api, query};
use super::{bulk, table, terminal};
use base::{Error, Result};
use model::guests::actions::Confirm;
use model::guests::{ActionKind, GuestAction};
use model::impact::Weight;
use serde_json::json;
use web::guests::bulk::rest::BulkView;
use web::guests::impact::rest::ImpactView;
use web::guests::rest::GuestView;

/// Shows what depends on the machines and asks; nothing is shown or asked with `yes`.
pub async fn sure(api: &mut Api, guests: &[GuestView], action: &GuestAction, question: &str, yes: bool) -> Result<()> {
    let confirm = action.spec().confirm;
    if yes || confirm == Confirm::Never || (confirm != Confirm::Required && !terminal::somebody()) {
        return Ok(());
    }
    let snapshot = if let GuestAction::Rollback(rollback) = action { rollback.name.as_str() } else { "" };
    let impact = match guests {
        [one] => Some(of(api, one, action.kind().name(), snapshot).await?),
        many => of_many(api, many, action).await?,
    };
    let asks = confirm != Confirm::WhenHit || impact.as_ref().is_some_and(|i| i.asks);
    impact.iter().flat_map(lines).for_each(|line| complain(&line));
    if !asks || terminal::confirm(question)? { Ok(()) } else { Err(Error::conflict("Nothing was changed.")) }
}

/// The words of the question, before what it is about.
pub fn words(kind: ActionKind) -> &'static str {
    match kind {
        ActionKind::Stop => "Stop at once, like pulling the plug:",
        ActionKind::Delete => "Delete for good",
        other => other.spec().label,
    }
}

pub async fn of(api: &mut Api, guest: &GuestView, action: &str, snapshot: &str) -> Result<ImpactView> {
    api.get(&format!("/guests/{}/impact{}", guest.id, query(&[("action", action), ("snapshot", snapshot)]))).await
}

/// Several at once, summed up.
async fn of_many(api: &mut Api, guests: &[GuestView], action: &GuestAction) -> Result<Option<ImpactView>> {
    let ids: Vec<_> = guests.iter().map(|g| g.id).collect();
    let body = json!({ "guests": ids, "action": action, "check": true });
    let check: BulkView = api.post("/guests/bulk", &body).await?;
    bulk::tell(&check);
    Ok(check.impact)
}

/// One line for each hit, its names indented.
pub fn lines(impact: &ImpactView) -> Vec<String> {
    let mut out = Vec::new();
    for hit in &impact.hits {
        let mark = match hit.weight {
            Weight::Blocks => "✗",
            Weight::Lost | Weight::Cut => "!",
            Weight::Known => "·",
        };
        out.push(format!(" {mark} {}", table::plain(&hit.text)));
        for item in &hit.items {
            let url = item.url.as_ref().map(|u| format!("  {}", table::plain(u))).unwrap_or_default();
            out.push(format!("     {}{url}", table::plain(&item.text)));
        }
        if hit.more > 0 {
            out.push(format!("     and {} more", hit.more));
        }
    }
    out.extend(impact.unknown.iter().map(|text| format!(" ? {}", table::plain(text))));
    if out.is_empty() {
        out.push(" Nothing else depends on it.".to_owned());
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use model::impact::{Hit, HitKind, Impact, Item};

    #[test]
    fn what_hangs_on_it_is_told_line_by_line() {
        let hit = |kind, weight, text: &str, item, more| Hit {
            kind,
            weight,
            text: text.to_owned(),
            brief: String::new(),
            items: vec![item],
            more,
        };
        let page = Item::url("Jellyfin\u{1b}[2J", "http://192.0.2.7:8096".to_owned());
        let impact = Impact {
            hits: vec![
                hit(HitKind::Linked, Weight::Blocks, "2 machines share its disks.", Item::new("web-01"), 1),
                hit(HitKind::Software, Weight::Cut, "1 program on it stops:", page, 0),
            ],
            unknown: vec!["Its disks are not known.".to_owned()],
        };
        let told = lines(&impact.into());
        assert_eq!(told[0], " ✗ 2 machines share its disks.");
        assert_eq!(told[2], "     and 1 more");
        assert!(told[4].ends_with("  http://192.0.2.7:8096") && !told[4].contains('\u{1b}'), "{told:?}");
        assert_eq!(told[5], " ? Its disks are not known.");
        assert_eq!(lines(&Impact::default().into()), [" Nothing else depends on it."]);
    }
}
