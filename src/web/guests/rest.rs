//! Machines for programs.

use crate::door::cache;
use crate::door::problem::Answer;
use crate::door::sign;
use crate::door::visit::{Id, Person};
use crate::jobs::rest::JobView;
use crate::rest::body::{JsonBodyWithText, QueryParams};
use crate::rest::openapi::{ListProblems, OneProblems, WriteProblems};
use crate::rest::{accepted, limit};
use app::guests::Once;
use app::live::GuestLive;
use axum::Json;
use base::ids::{ConnectionId, GuestId};
use base::{Error, Result, Timestamp};
use http::HeaderMap;
use model::access::GuestRight;
use model::guests::{GuestKind, GuestRequest};
use serde::{Deserialize, Serialize};
use std::cmp::Ordering;
use std::sync::Arc;
use utoipa::ToSchema;

#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct GuestListParams {
    /// Filter words as on the page: `tag:web status:running jelly -node:pve3`.
    #[serde(default)]
    q: String,
    /// name, status, node, cpu, memory, vmid or uptime; `-` in front for descending order.
    #[serde(default)]
    sort: String,
    /// 1 to 1000, 100 when left out.
    limit: Option<usize>,
    /// `next` of the page before.
    cursor: Option<String>,
}

/// A machine. Amounts are bytes, `cpu` is the share of all cores in use (0 to 1).
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct GuestView {
    pub id: GuestId,
    /// Proxmox's number; `null` until a new machine has one.
    pub vmid: Option<u32>,
    /// vm or container.
    pub kind: GuestKind,
    pub name: String,
    pub node: String,
    pub connection: ConnectionId,
    /// running, stopped, paused ... as Proxmox says, or creating.
    pub status: String,
    pub template: bool,
    /// The owner's login.
    pub owner: Option<String>,
    /// see, use or manage: what the person behind the token may do with it.
    pub right: GuestRight,
    pub cpu: f64,
    pub cores: f64,
    pub memory: u64,
    pub memory_max: u64,
    pub disk_max: u64,
    /// Seconds.
    pub uptime: u64,
    pub tags: Vec<String>,
    /// Proxmox's config lock.
    pub lock: Option<String>,
    /// When Proxmox told this.
    pub seen: Option<Timestamp>,
    /// Its host or node is not answering: `status` is then `unreachable`, and the rest is what was known last.
    pub stale: bool,
    /// The status that it had when it was last seen, if it is stale.
    pub last_status: Option<String>,
    pub created: Timestamp,
}

fn view(person: &Person, g: &GuestLive) -> GuestView {
    let (row, state) = (&g.row, &g.state);
    GuestView {
        id: row.id,
        vmid: row.vmid,
        kind: row.kind,
        name: state.name.clone(),
        node: state.node.clone(),
        connection: row.connection,
        status: state.status.clone(),
        template: state.template,
        owner: row.owner.and_then(|o| person.web.app.people().get(o)).map(|u| u.login.clone()),
        right: person.actor.person_right(row).unwrap_or(GuestRight::See),
        cpu: state.cpu,
        cores: state.maxcpu,
        memory: state.mem,
        memory_max: state.maxmem,
        disk_max: state.maxdisk,
        uptime: state.uptime,
        tags: state.tags.clone(),
        lock: state.lock.clone(),
        seen: g.at,
        stale: g.is_stale(),
        last_status: g.last_seen.clone(),
        created: row.created,
    }
}

#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct GuestPage {
    pub guests: Vec<GuestView>,
    /// All that fit, not only this page.
    pub total: usize,
    /// Send this as `cursor` to get the next page; `null` at the end.
    pub next: Option<String>,
}

/// Machines that the caller may see.
#[utoipa::path(get, path = "/api/v1/guests", tag = "guests", params(GuestListParams), responses((status = 200, body = GuestPage), ListProblems))]
pub async fn list(person: Person, headers: HeaderMap, QueryParams(look): QueryParams<GuestListParams>) -> Answer {
    let limit = limit(look.limit)?;
    let cursor = look.cursor.as_deref().unwrap_or_default();
    let address = format!("/api/v1/guests {limit} {cursor} {} {}", look.sort, look.q);
    cache::answer(&person, &headers, address, "application/json", move |person| {
        let mut all = person.web.app.guests().list(&person.actor, &look.q);
        sort(&mut all, &look.sort)?;
        let start = start(&all, look.cursor.as_deref())?;
        let end = all.len().min(start + limit);
        let shown = &all[start..end];
        let next = shown.last().filter(|_| end < all.len()).map(|last| format!("{end}.{}", last.row.id));
        let page = GuestPage { guests: shown.iter().map(|g| view(person, g)).collect(), total: all.len(), next };
        serde_json::to_vec(&page).map_err(Error::internal)
    })
    .await
}

fn sort(guests: &mut [Arc<GuestLive>], key: &str) -> Result<()> {
    let (key, falling) = key.strip_prefix('-').map_or((key, false), |k| (k, true));
    let order: fn(&GuestLive, &GuestLive) -> Ordering = match key {
        "" => return Ok(()),
        "name" => |a, b| a.state.name.cmp(&b.state.name),
        "status" => |a, b| a.state.status.cmp(&b.state.status),
        "node" => |a, b| a.state.node.cmp(&b.state.node),
        "cpu" => |a, b| a.state.cpu.total_cmp(&b.state.cpu),
        "memory" => |a, b| a.state.mem.cmp(&b.state.mem),
        "vmid" => |a, b| a.row.vmid.cmp(&b.row.vmid),
        "uptime" => |a, b| a.state.uptime.cmp(&b.state.uptime),
        _ => return Err(Error::field("sort", "Choose name, status, node, cpu, memory, vmid or uptime.")),
    };
    guests.sort_by(|a, b| if falling { order(b, a) } else { order(a, b) });
    Ok(())
}

/// A cursor is the place and the last machine before it. When the list moved meanwhile the machine counts,
/// when that one is gone the place.
fn start(all: &[Arc<GuestLive>], cursor: Option<&str>) -> Result<usize> {
    let Some(cursor) = cursor else { return Ok(0) };
    let parts =
        cursor.split_once('.').and_then(|(n, id)| Some((n.parse::<usize>().ok()?, id.parse::<GuestId>().ok()?)));
    let (place, last) = parts.ok_or_else(|| Error::field("cursor", "This is not a cursor of this list."))?;
    Ok(all.iter().position(|g| g.row.id == last).map_or(place.min(all.len()), |at| at + 1))
}

/// One machine.
#[utoipa::path(get, path = "/api/v1/guests/{id}", tag = "guests", params(("id" = String, Path)),
    responses((status = 200, body = GuestView), OneProblems))]
pub async fn show(person: Person, Id(id): Id<GuestId>) -> Answer<Json<GuestView>> {
    let guest = person.web.app.guests().get(&person.actor, id)?;
    Ok(Json(view(&person, &guest)))
}

#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct Created {
    /// The new machine's id; it can be read at once.
    pub guest: GuestId,
    pub job: JobView,
}

/// Requests a new machine. The job in `Location` makes it. With an `Idempotency-Key` the same request sent
/// twice gives the same machine while its job is open; another request with that key is refused.
#[utoipa::path(post, path = "/api/v1/guests", tag = "guests", request_body = GuestRequest,
    params(("Idempotency-Key" = Option<String>, Header, description = "1 to 200 characters of your choice")),
    responses((status = 202, description = "Accepted", body = Created, headers(("Location" = String, description = "The job"))), WriteProblems))]
pub async fn create(
    person: Person,
    headers: HeaderMap,
    JsonBodyWithText(request, whole): JsonBodyWithText<GuestRequest>,
) -> Answer {
    let once = match headers.get("idempotency-key") {
        Some(value) => {
            let key = value.to_str().ok().filter(|k| (1..=200).contains(&k.len()));
            let key = key.ok_or_else(|| Error::field("Idempotency-Key", "Use 1 to 200 plain characters."))?;
            // Keyed, as the body may hold a password.
            let mark = sign::mark(person.web.app.form_key().expose(), "idempotent request", whole.expose().as_bytes());
            Some(Once { key: key.to_owned(), mark: hex::encode(mark) })
        }
        None => None,
    };
    let (guest, job) = person.web.app.guests().request_create(&person.actor, request, once.as_ref()).await?;
    Ok(accepted(job.id, Created { guest: guest.id, job: JobView::from(job) }))
}
