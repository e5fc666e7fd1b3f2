//! Consoles for programs: a ticket, with which the websocket is opened.

use crate::door::forms::id;
use crate::door::problem::Answer;
use crate::door::visit::Person;
use crate::rest::body::JsonBody;
use crate::rest::openapi::WriteProblems;
use axum::Json;
use axum::extract::Path;
use axum::response::IntoResponse as _;
use base::Timestamp;
use base::ids::GuestId;
use http::StatusCode;
use model::consoles::ConsoleKind;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ConsoleAsked {
    /// vnc (the screen) or serial (the serial line, or a container's terminal).
    kind: ConsoleKind,
}

#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct ConsoleTicketView {
    /// Open this address as a websocket, with the same token, before `expires`. It works once. The first
    /// frame is text: `{"open":{"kind":..,"password":..}}` or `{"error":".."}`. Then binary frames both ways:
    /// RFB for vnc (with VNC authentication by `password`), bare terminal bytes for serial; a text frame
    /// `{"columns":80,"rows":24}` gives a terminal its size.
    pub websocket: String,
    pub kind: ConsoleKind,
    pub expires: Timestamp,
}

/// Asks for a console.
#[utoipa::path(post, path = "/api/v1/guests/{id}/console", tag = "guests", params(("id" = String, Path)), request_body = ConsoleAsked,
    responses((status = 201, description = "A ticket for 30 seconds", body = ConsoleTicketView), WriteProblems))]
pub async fn create(person: Person, Path(text): Path<String>, JsonBody(asked): JsonBody<ConsoleAsked>) -> Answer {
    let guest = id::<GuestId>(&text)?;
    let ticket = person.web.app.consoles().ticket(&person.actor, guest, asked.kind).await?;
    let origin = person.origin.replacen("http", "ws", 1);
    let websocket = format!("{origin}/machines/{guest}/console/ws?ticket={}", ticket.text.expose());
    let view = ConsoleTicketView { websocket, kind: ticket.kind, expires: ticket.expires };
    Ok((StatusCode::CREATED, Json(view)).into_response())
}
