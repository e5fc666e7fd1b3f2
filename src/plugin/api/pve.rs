//! `pve::`: Proxmox' REST API on the run's connection.

use super::{HostFunction, HostModule, ask, data_with_secrets};
use crate::host::{Call, Method};
use crate::run::Answer;
use crate::secret::SecretPlaces;
use rhai::{Dynamic, Map, NativeCallContext};
use serde_json::Value;

pub(super) const MODULE: HostModule = HostModule {
    name: "pve",
    about: "Proxmox' REST API on the connection of the run. Paths start with `/`, without `/api2/json`. The answer is \
            what stands under `data`. Errors are thrown as `#{kind, status, message, errors}`; `kind` is one of \
            `unreachable`, `auth`, `forbidden`, `invalid`, `locked`, `not_found`, `conflict`, `refused`, `timeout`, `internal`.",
    functions: &[
        HostFunction {
            signature: "get(path) -> value",
            about: "Reads a path.",
            example: r#"let nodes = pve::get("/nodes");"#,
            register: |m| {
                set!(m, "get", |ctx: NativeCallContext<'_>, path: &str| send(
                    &ctx,
                    Method::Get,
                    path,
                    Value::Null,
                    SecretPlaces::new()
                ));
            },
        },
        HostFunction {
            signature: "get(path, params) -> value",
            about: "Reads a path with query parameters.",
            example: r#"let guests = pve::get("/cluster/resources", #{type: "vm"});"#,
            register: |m| set!(m, "get", |ctx: NativeCallContext<'_>, p: &str, a: Map| with(&ctx, Method::Get, p, a)),
        },
        HostFunction {
            signature: "post(path, params) -> value",
            about: "Makes or starts something; the answer is often the task's id (UPID) for `job.wait_task`. A POST to a \
                    storage's `upload` with `filename`, `label` and `files` (names and texts) makes a CD image of them there. \
                    Secrets may be the values of `cipassword`, `input-data`, `content` and of `files`.",
            example: r#"let upid = pve::post(`/nodes/${node}/qemu/${vmid}/status/start`, #{});"#,
            register: |m| set!(m, "post", |ctx: NativeCallContext<'_>, p: &str, a: Map| with(&ctx, Method::Post, p, a)),
        },
        HostFunction {
            signature: "put(path, params) -> value",
            about: "Changes something.",
            example: r#"pve::put(`/nodes/${node}/qemu/${vmid}/config`, #{cores: 2});"#,
            register: |m| set!(m, "put", |ctx: NativeCallContext<'_>, p: &str, a: Map| with(&ctx, Method::Put, p, a)),
        },
        HostFunction {
            signature: "delete(path, params) -> value",
            about: "Removes something.",
            example: r#"let upid = pve::delete(`/nodes/${node}/qemu/${vmid}`, #{purge: 1});"#,
            register: |m| {
                set!(m, "delete", |ctx: NativeCallContext<'_>, p: &str, a: Map| with(&ctx, Method::Delete, p, a));
            },
        },
    ],
};

fn with(ctx: &NativeCallContext<'_>, method: Method, path: &str, params: Map) -> Answer<Dynamic> {
    let (params, secrets) = data_with_secrets(ctx, params.into())?;
    send(ctx, method, path, params, secrets)
}

fn send(
    ctx: &NativeCallContext<'_>,
    method: Method,
    path: &str,
    params: Value,
    secrets: SecretPlaces,
) -> Answer<Dynamic> {
    ask(ctx, Call::Pve { method, path: path.to_owned(), params, secrets })
}
