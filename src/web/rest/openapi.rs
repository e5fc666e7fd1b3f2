//! The OpenAPI 3.1 document, made from the descriptions of the route table's handlers.

use crate::routes;
use axum::response::{IntoResponse, Response};
use base::ids::JobId;
use http::header;
use model::guests::ActionKind;
use serde::Serialize;
use serde_json::Value;
use std::collections::BTreeMap;
use std::sync::OnceLock;
use utoipa::openapi::security::{Http, HttpAuthScheme, SecurityScheme};
use utoipa::openapi::{ContentBuilder, OpenApi as OpenApiDocument, Ref, RefOr, Response as Described, ResponseBuilder};
use utoipa::{IntoResponses, Modify, OpenApi, ToSchema};

#[derive(Debug, OpenApi)]
#[openapi(
    info(
        title = "Steward",
        description = "Machines, jobs and the audit log of one Steward appliance. Errors are \
                       `application/problem+json` (RFC 9457); `errors` holds a sentence per field.",
        license(name = "Apache-2.0", identifier = "Apache-2.0")
    ),
    components(schemas(ProblemDocument, ActionKind)),
    modifiers(&Bearer),
    security(("bearer" = [])),
    tags(
        (name = "auth", description = "Short tokens (JWT, 15 minutes) from a login or an API token."),
        (name = "guests", description = "Virtual machines and containers."),
        (name = "jobs", description = "What is being done, and how it ended."),
        (name = "templates", description = "Templates, and the cloud images that they are made from."),
        (name = "profiles", description = "Hardware profiles: named sizes and hardware for machines."),
        (name = "software", description = "What Steward can install on machines, and what it did."),
        (name = "system", description = "Nodes, connections, plugins, the audit log.")
    )
)]
pub struct Api;

struct Bearer;

impl Modify for Bearer {
    fn modify(&self, api: &mut utoipa::openapi::OpenApi) {
        let mut scheme = Http::new(HttpAuthScheme::Bearer);
        scheme.description =
            Some("An API token (`stw_…`, made on the profile page) or a JWT from `POST /auth/token`.".into());
        let components = api.components.get_or_insert_with(Default::default);
        components.add_security_scheme("bearer", SecurityScheme::Http(scheme));
    }
}

/// The document of RFC 9457 as this API sends it.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Problem)]
pub struct ProblemDocument {
    /// Always `about:blank`: `title` and `status` say what kind it is.
    pub r#type: String,
    pub title: String,
    pub status: u16,
    /// A sentence for the person.
    pub detail: String,
    /// Sentences by field.
    pub errors: Option<BTreeMap<String, String>>,
    /// The job that tells the rest: of a machine that it failed to create, or that it deleted.
    #[schema(value_type = Option<String>)]
    pub job: Option<JobId>,
    /// The request's id, to find it in the log.
    pub instance: Option<String>,
}

/// The bytes of a file.
#[derive(Debug, Serialize, ToSchema)]
#[schema(value_type = String, format = Binary)]
pub struct FileBytes(Vec<u8>);

fn problems(list: &[(u16, &str)]) -> BTreeMap<String, RefOr<Described>> {
    let one = |text: &str| {
        let content = ContentBuilder::new().schema(Some(Ref::from_schema_name("Problem"))).build();
        ResponseBuilder::new().description(text).content("application/problem+json", content).build()
    };
    list.iter().map(|(status, text)| (status.to_string(), RefOr::T(one(text)))).collect()
}

const ALWAYS: [(u16, &str); 4] = [
    (401, "No token, or one that is not valid."),
    (403, "The token's scope or the person's role does not allow it."),
    (429, "Too many requests; `Retry-After` says when to try again."),
    (500, "An internal error; Steward's log says more."),
];

/// What a list can answer instead.
#[derive(Debug)]
pub struct ListProblems;

impl IntoResponses for ListProblems {
    fn responses() -> BTreeMap<String, RefOr<Described>> {
        problems(&[&ALWAYS[..], &[(422, "A parameter is not valid.")]].concat())
    }
}

/// What reading one thing can answer instead.
#[derive(Debug)]
pub struct OneProblems;

impl IntoResponses for OneProblems {
    fn responses() -> BTreeMap<String, RefOr<Described>> {
        problems(&[&ALWAYS[..], &[(404, "It does not exist, or not for this caller.")]].concat())
    }
}

/// The same where there are parameters besides.
#[derive(Debug)]
pub struct FoundProblems;

impl IntoResponses for FoundProblems {
    fn responses() -> BTreeMap<String, RefOr<Described>> {
        let more = [(404, "It does not exist, or not for this caller."), (422, "A parameter is not valid.")];
        problems(&[&ALWAYS[..], &more].concat())
    }
}

/// What a change can answer instead.
#[derive(Debug)]
pub struct WriteProblems;

impl IntoResponses for WriteProblems {
    fn responses() -> BTreeMap<String, RefOr<Described>> {
        let more = [
            (404, "It does not exist, or not for this caller."),
            (409, "It conflicts with the current state."),
            (413, "The body is too large."),
            (415, "The body is not `application/json`."),
            (422, "The input is not valid; `errors` names the fields."),
            (503, "The host of the machine is not answering."),
            (507, "The appliance's disk is full."),
        ];
        problems(&[&ALWAYS[..], &more].concat())
    }
}

/// This document.
#[utoipa::path(get, path = "/api/v1/openapi.json", tag = "system", security(()),
    responses((status = 200, description = "OpenAPI 3.1", content_type = "application/json")))]
pub async fn document() -> Response {
    ([(header::CONTENT_TYPE, "application/json")], text()).into_response()
}

/// The document as JSON; the same every time.
pub fn text() -> &'static str {
    static TEXT: OnceLock<String> = OnceLock::new();
    TEXT.get_or_init(|| {
        let described = routes::table().into_iter().filter_map(|route| Some(route.described?()));
        let whole = described.fold(Api::openapi(), OpenApiDocument::merge_from);
        let mut whole = serde_json::to_value(whole).unwrap_or_default();
        bodies_without_path(&mut whole);
        whole.to_string()
    })
}

/// What an address says is not asked for in the body again: such a body is described without it.
fn bodies_without_path(whole: &mut Value) {
    let schemas = whole["components"]["schemas"].clone();
    for (path, operations) in whole["paths"].as_object_mut().into_iter().flatten() {
        let names: Vec<&str> = path.split('{').skip(1).filter_map(|part| part.split('}').next()).collect();
        for operation in operations.as_object_mut().into_iter().flat_map(|all| all.values_mut()) {
            let schema = operation.pointer_mut("/requestBody/content/application~1json/schema");
            if let Some(schema) = schema
                && let Some(other) = without(&schemas, schema, &names)
            {
                *schema = other;
            }
        }
    }
}

/// The schema without these properties; `None` when it has none of them.
fn without(schemas: &Value, schema: &Value, names: &[&str]) -> Option<Value> {
    if let Some(name) = schema["$ref"].as_str().and_then(|place| place.rsplit('/').next()) {
        return without(schemas, &schemas[name], names);
    }
    let mut other = schema.clone();
    let mut found = false;
    for key in ["oneOf", "allOf"] {
        for part in other.get_mut(key).and_then(Value::as_array_mut).into_iter().flatten() {
            if let Some(new) = without(schemas, part, names) {
                (*part, found) = (new, true);
            }
        }
    }
    if let Some(properties) = other.get_mut("properties").and_then(Value::as_object_mut) {
        let before = properties.len();
        properties.retain(|name, _| !names.contains(&name.as_str()));
        found |= properties.len() < before;
    }
    if let Some(required) = other.get_mut("required").and_then(Value::as_array_mut) {
        required.retain(|name| name.as_str().is_none_or(|name| !names.contains(&name)));
    }
    found.then_some(other)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::routes::{Access, Door};

    fn value() -> Value {
        serde_json::from_str(text()).unwrap()
    }

    /// The document joins schemas by name: of two types with the same name one would be described wrongly.
    #[test]
    fn no_name_stands_for_two_schemas() {
        let mut known = BTreeMap::new();
        for described in routes::table().into_iter().filter_map(|route| route.described) {
            let document = serde_json::to_value(described()).unwrap();
            for (name, schema) in document["components"]["schemas"].as_object().into_iter().flatten() {
                let first = known.entry(name.clone()).or_insert_with(|| schema.clone());
                assert_eq!(first, schema, "{name}");
            }
        }
        assert!(known.len() > 50, "{}", known.len());
    }

    #[test]
    fn every_operation_says_which_errors_it_has() {
        for route in routes::table().iter().filter(|r| r.info.door == Door::Api) {
            if route.info.access == Access::Public && route.info.path.ends_with("openapi.json") {
                continue;
            }
            let operation = &value()["paths"][route.info.path][route.info.method.as_str().to_lowercase()];
            let responses = operation["responses"].as_object().unwrap();
            for status in ["401", "403", "429", "500"] {
                let problem = &responses[status]["content"]["application/problem+json"];
                assert!(problem.is_object(), "{} {} says nothing of {status}", route.info.method, route.info.path);
            }
        }
    }

    #[test]
    fn the_document_is_of_version_3_1_and_asks_for_a_token() {
        let value = value();
        assert!(value["openapi"].as_str().unwrap().starts_with("3.1"));
        assert_eq!(value["components"]["securitySchemes"]["bearer"]["scheme"], "bearer");
        assert!(value["components"]["schemas"]["Problem"].is_object());
    }

    #[test]
    fn what_the_address_says_is_not_asked_for_in_the_body() {
        let whole = value();
        let body = |method: &str, path: &str| {
            let body = whole["paths"][path][method]["requestBody"]["content"]["application/json"]["schema"].clone();
            (!body.is_null()).then(|| body.to_string())
        };
        let note = body("patch", "/api/v1/guests/{id}/snapshots/{name}").unwrap();
        assert!(note.contains("description") && !note.contains("\"name\""), "{note}");
        let disk = body("post", "/api/v1/guests/{id}/disks/{disk}").unwrap();
        assert!(disk.contains("\"gib\"") && !disk.contains("\"disk\":"), "{disk}");
        assert!(body("post", "/api/v1/guests/{id}/snapshots").unwrap().contains("TakeSnapshot"), "as it was");
        assert_eq!(body("delete", "/api/v1/guests/{id}/snapshots/{name}"), None);
        assert!(whole["components"]["schemas"]["EditSnapshot"]["properties"]["name"].is_object());
    }

    #[test]
    fn closed_lists_of_words_and_the_bytes_of_files_are_described() {
        let value = value();
        let schema = |name: &str| value["components"]["schemas"][name].clone();
        for name in ["GuestRight", "Scope", "ConsoleKind", "GuestKind", "JobState"] {
            assert!(schema(name)["enum"].is_array(), "{name}");
        }
        let upload = &value["paths"]["/api/v1/templates/upload"]["post"]["requestBody"]["content"];
        assert!(upload["application/octet-stream"]["schema"].is_object(), "{upload}");
        assert_eq!(schema("FileBytes")["format"], "binary");
        for path in ["/api/v1/guests/{id}/impact", "/api/v1/jobs/{id}"] {
            assert!(value["paths"][path]["get"]["responses"]["422"].is_object(), "{path}");
        }
    }
}
