//! Connections for programs.

use crate::door::problem::Answer;
use crate::door::visit::{Id, Person};
use crate::rest::body::JsonBody;
use crate::rest::openapi::{ListProblems, WriteProblems};
use app::connections::ConnectionView as Found;
use app::connections::access::NewAccess;
use axum::Json;
use base::ids::ConnectionId;
use model::connections::{Limits, Reach};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct ConnectionView {
    pub id: String,
    pub name: String,
    pub plugin: String,
    pub endpoints: Vec<String>,
    pub token_id: String,
    #[serde(flatten)]
    pub limits: Limits,
    pub reach: Reach,
    /// SHA-256 of each certificate that is accepted; none where the cluster's own CA is trusted.
    #[serde(default)]
    pub fingerprints: Vec<String>,
    /// Certificates that its addresses presented last and that are not accepted.
    #[serde(default)]
    pub refused: Vec<RefusedView>,
}

#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct RefusedView {
    /// `host:port`
    pub endpoint: String,
    /// SHA-256, as Proxmox shows it.
    pub fingerprint: String,
}

impl From<Found> for ConnectionView {
    fn from(c: Found) -> Self {
        let refused = c.refused.into_iter();
        let refused =
            refused.map(|r| RefusedView { fingerprint: r.certificate.fingerprint(), endpoint: r.endpoint }).collect();
        Self {
            id: c.id.to_string(),
            name: c.name,
            plugin: c.plugin,
            endpoints: c.endpoints,
            token_id: c.token_id,
            limits: c.limits,
            reach: c.reach,
            fingerprints: c.fingerprints,
            refused,
        }
    }
}

#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct ConnectionList {
    pub connections: Vec<ConnectionView>,
}

/// All connections to Proxmox, without their secrets.
#[utoipa::path(get, path = "/api/v1/connections", tag = "system", responses((status = 200, body = ConnectionList), ListProblems))]
pub async fn list(person: Person) -> Answer<Json<ConnectionList>> {
    let found = person.web.app.connections().list(&person.actor)?;
    Ok(Json(ConnectionList { connections: found.into_iter().map(Into::into).collect() }))
}

/// Gives a connection another token: one that the caller made, or one that Steward makes with a login that is used once
/// and not kept.
#[utoipa::path(post, path = "/api/v1/connections/{id}/token", tag = "system", params(("id" = String, Path)),
    request_body = NewAccess, responses((status = 200, body = ConnectionView), WriteProblems))]
pub async fn renew(
    person: Person,
    Id(connection): Id<ConnectionId>,
    JsonBody(access): JsonBody<NewAccess>,
) -> Answer<Json<ConnectionView>> {
    let app = &person.web.app;
    app.connections().renew(&person.actor, connection, access).await?;
    app.inventory().look_first(connection, super::FIRST_LOOK).await;
    Ok(Json(app.connections().get(&person.actor, connection)?.into()))
}

#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct AcceptPost {
    /// SHA-256 as hex, with or without colons: one of `refused`, after it was compared.
    pub fingerprint: String,
}

/// Accepts a certificate that one of the connection's addresses presents.
#[utoipa::path(post, path = "/api/v1/connections/{id}/certificate", tag = "system", params(("id" = String, Path)),
    request_body = AcceptPost, responses((status = 200, body = ConnectionView), WriteProblems))]
pub async fn accept(
    person: Person,
    Id(connection): Id<ConnectionId>,
    JsonBody(body): JsonBody<AcceptPost>,
) -> Answer<Json<ConnectionView>> {
    let app = &person.web.app;
    app.connections().accept_certificate(&person.actor, connection, &body.fingerprint).await?;
    app.inventory().look_first(connection, super::FIRST_LOOK).await;
    Ok(Json(app.connections().get(&person.actor, connection)?.into()))
}
