//! `pve::`: Proxmox's REST API on the run's connection.

use super::{HostFunction, HostModule, ask, data_with_secrets};
use crate::error::throw;
use crate::host::{Call, CdUpload, Method};
use crate::run::Answer;
use crate::secret::{SecretPlaces, text_of};
use rhai::{Dynamic, Map, NativeCallContext};
use serde_json::Value;

pub(super) const MODULE: HostModule = HostModule {
    name: "pve",
    about: "Proxmox's REST API on the connection of the run. Paths start with `/`, without `/api2/json`. The answer \
            is the content of `data`. Errors are thrown as `#{kind, status, message, errors}`; `kind` is one of \
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
            example: r#"let images = pve::get(path + "/content", #{content: "iso"});"#,
            register: |m| set!(m, "get", |ctx: NativeCallContext<'_>, p: &str, a: Map| with(&ctx, Method::Get, p, a)),
        },
        HostFunction {
            signature: "post(path, params) -> value",
            about: "Makes or starts something; the answer is often the task's id for `job.wait_task`. Secrets may be the \
                    values of `cipassword`, `input-data` and `content`.",
            example: r#"let upid = pve::post(path + "/status/start", #{});"#,
            register: |m| set!(m, "post", |ctx: NativeCallContext<'_>, p: &str, a: Map| with(&ctx, Method::Post, p, a)),
        },
        HostFunction {
            signature: "put(path, params) -> value",
            about: "Changes something.",
            example: r#"pve::put(path + "/config", #{cores: 2});"#,
            register: |m| set!(m, "put", |ctx: NativeCallContext<'_>, p: &str, a: Map| with(&ctx, Method::Put, p, a)),
        },
        HostFunction {
            signature: "delete(path, params) -> value",
            about: "Removes something.",
            example: r#"let upid = pve::delete(path, #{purge: 1});"#,
            register: |m| {
                set!(m, "delete", |ctx: NativeCallContext<'_>, p: &str, a: Map| with(&ctx, Method::Delete, p, a));
            },
        },
        HostFunction {
            signature: "upload_cd(node, storage, cd) -> task",
            about: "Puts a CD image on a storage, replacing one of the same name: `cd` is `#{filename, label, files}`, `files` a \
                    map of names and texts, which may contain secrets. The answer is the id of the task that puts it in its place.",
            example: r#"let task = pve::upload_cd(node, "local", #{filename: "answers.iso", label: "ANSWERS", files: #{"a.txt": text}});"#,
            register: |m| {
                set!(m, "upload_cd", |ctx: NativeCallContext<'_>, n: &str, s: &str, cd: Map| upload_cd(
                    &ctx, n, s, &cd
                ));
            },
        },
    ],
};

fn upload_cd(ctx: &NativeCallContext<'_>, node: &str, storage: &str, cd: &Map) -> Answer<Dynamic> {
    let text = |key: &str| cd.get(key).and_then(|v| v.clone().into_string().ok());
    let files = cd.get("files").and_then(|v| v.read_lock::<Map>()).and_then(|files| {
        let all = files.iter().map(|(name, text)| Some((name.to_string(), text_of(text)?)));
        all.collect::<Option<Vec<_>>>()
    });
    let (Some(filename), Some(label), Some(files)) = (text("filename"), text("label"), files) else {
        let message = "pve::upload_cd takes #{filename, label, files}, with a text for each file";
        return Err(throw("invalid", message, ctx.call_position()));
    };
    let (node, storage) = (node.to_owned(), storage.to_owned());
    ask(ctx, Call::UploadCd(CdUpload { node, storage, filename, label, files }))
}

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
