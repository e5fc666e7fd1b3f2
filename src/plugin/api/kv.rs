//! `kv::`: small values that a plugin keeps.

use super::{HostFunction, HostModule, ask, data};
use crate::error::throw;
use crate::host::Call;
use crate::limits::RESULT_BYTES;
use crate::run::Answer;
use rhai::{Dynamic, NativeCallContext};

pub(super) const MODULE: HostModule = HostModule {
    name: "kv",
    about: "Small values that the plugin keeps between runs. Every plugin has its own, at most 1,000 keys with \
            4 MiB together; none can reach another's.",
    functions: &[
        HostFunction {
            signature: "get(key) -> value",
            about: "The value of a key, or `()`.",
            example: r#"let seen = kv::get("last_seen");"#,
            register: |m| {
                set!(m, "get", |ctx: NativeCallContext<'_>, key: &str| ask(&ctx, Call::KvGet { key: key.to_owned() }));
            },
        },
        HostFunction {
            signature: "put(key, value)",
            about: "Keeps a value (data, at most 64 KiB as JSON) under a key.",
            example: r#"kv::put("last_seen", 42);"#,
            register: |m| set!(m, "put", put),
        },
        HostFunction {
            signature: "delete(key)",
            about: "Forgets a key.",
            example: r#"kv::delete("last_seen");"#,
            register: |m| {
                set!(m, "delete", |ctx: NativeCallContext<'_>, key: &str| {
                    ask(&ctx, Call::KvDelete { key: key.to_owned() })
                });
            },
        },
    ],
};

fn put(ctx: NativeCallContext<'_>, key: &str, value: Dynamic) -> Answer<Dynamic> {
    let value = data(&ctx, &value)?;
    if key.is_empty() || key.len() > 200 || value.to_string().len() > RESULT_BYTES {
        let message = "a key has 1 to 200 bytes and its value at most 64 KiB as JSON";
        return Err(throw("invalid", message, ctx.call_position()));
    }
    ask(&ctx, Call::KvPut { key: key.to_owned(), value })
}
