//! What hangs on machines, shown before a question is asked.

use super::super::say::complain;
use super::client::{Api, part, query};
use super::{table, terminal};
use base::{Error, Result};
use model::guests::actions::Confirm;
use model::guests::{ActionKind, GuestAction};
use serde_json::{Value, json};

/// Shows what hangs on the machines and asks; nothing is shown or asked with `yes`.
///
/// # Errors
/// `Conflict` when the answer is no; `Invalid` when nobody is there to give one that is needed; what the API refuses.
pub async fn sure(api: &mut Api, guests: &[&Value], action: &GuestAction, question: &str, yes: bool) -> Result<()> {
    let confirm = action.spec().confirm;
    if yes || confirm == Confirm::Never || (confirm != Confirm::Required && !terminal::somebody()) {
        return Ok(());
    }
    let snapshot = if let GuestAction::Rollback(rollback) = action { rollback.name.as_str() } else { "" };
    let impact = match guests {
        [one] => of(api, one, action.kind().name(), snapshot).await?,
        many => of_many(api, many, action).await?,
    };
    lines(&impact).iter().for_each(|line| complain(line));
    let asks = confirm != Confirm::WhenHit || impact["asks"] == true;
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

pub async fn of(api: &mut Api, guest: &Value, action: &str, snapshot: &str) -> Result<Value> {
    let id = part(guest["id"].as_str().unwrap_or_default());
    api.get(&format!("/guests/{id}/impact{}", query(&[("action", action), ("snapshot", snapshot)]))).await
}

/// Several at once, summed up.
async fn of_many(api: &mut Api, guests: &[&Value], action: &GuestAction) -> Result<Value> {
    let ids: Vec<&str> = guests.iter().filter_map(|g| g["id"].as_str()).collect();
    let check = api.post("/guests/bulk", Some(&json!({ "guests": ids, "action": action, "check": true }))).await?;
    for r in check["refused"].as_array().into_iter().flatten() {
        let text = |key: &str| table::plain(r[key].as_str().unwrap_or_default());
        complain(&format!("Not for {}: {}", text("name"), text("why")));
    }
    Ok(check["impact"].clone())
}

/// One line for each hit, its names indented.
pub fn lines(impact: &Value) -> Vec<String> {
    let mut out = Vec::new();
    for hit in impact["hits"].as_array().into_iter().flatten() {
        let mark = match hit["weight"].as_str() {
            Some("blocks") => "✗",
            Some("lost" | "cut") => "!",
            _ => "·",
        };
        out.push(format!(" {mark} {}", table::plain(hit["text"].as_str().unwrap_or_default())));
        for item in hit["items"].as_array().into_iter().flatten() {
            let url = item["url"].as_str().map(|u| format!("  {}", table::plain(u))).unwrap_or_default();
            out.push(format!("     {}{url}", table::plain(item["text"].as_str().unwrap_or_default())));
        }
        match hit["more"].as_u64() {
            None | Some(0) => {}
            Some(n) => out.push(format!("     and {n} more")),
        }
    }
    for text in impact["unknown"].as_array().into_iter().flatten().filter_map(Value::as_str) {
        out.push(format!(" ? {}", table::plain(text)));
    }
    if out.is_empty() {
        out.push(" Nothing else hangs on it.".to_owned());
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_hangs_on_it_is_told_line_by_line() {
        let impact = json!({ "unknown": ["Its disks are not known."], "hits": [
            { "weight": "blocks", "text": "2 machines share its disks.", "more": 1, "items": [{ "text": "web-01" }] },
            { "weight": "cut", "text": "1 program on it stops:", "more": 0,
              "items": [{ "text": "Jellyfin\u{1b}[2J", "url": "http://192.0.2.7:8096" }] },
        ]});
        let told = lines(&impact);
        assert_eq!(told[0], " ✗ 2 machines share its disks.");
        assert_eq!(told[2], "     and 1 more");
        assert!(told[4].ends_with("  http://192.0.2.7:8096") && !told[4].contains('\u{1b}'), "{told:?}");
        assert_eq!(told[5], " ? Its disks are not known.");
        assert_eq!(lines(&json!({ "hits": [] })), [" Nothing else hangs on it."]);
    }
}
