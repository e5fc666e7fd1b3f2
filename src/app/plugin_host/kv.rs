//! `kv::`: a plugin's own small store.

use super::PluginHost;
use super::errors::{call_error, from_error};
use plugin::{CallError, CallErrorKind, Run};
use serde_json::Value;
use store::{Json, Name, Read as _, tables};

/// At most this many bytes of JSON under one key.
const LIMIT: usize = 64 * 1024;

impl PluginHost {
    pub(super) fn kv_get(&self, run: &Run, key: &str) -> Result<Value, CallError> {
        let key = kv_key(run, key);
        let value = self.app.store().read(|tx| tx.get(tables::PLUGIN_KV, &key)).map_err(from_error)?;
        Ok(value.map_or(Value::Null, |v| v.0))
    }

    pub(super) fn kv_put(&self, run: &Run, key: &str, value: Value) -> Result<Value, CallError> {
        if key.is_empty() || key.len() > 200 || value.to_string().len() > LIMIT {
            return Err(call_error(CallErrorKind::Invalid, "A key has 1 to 200 bytes and its value at most 64 KiB."));
        }
        let key = kv_key(run, key);
        self.app.store().write_blocking(move |tx| tx.put(tables::PLUGIN_KV, &key, &Json(value))).map_err(from_error)?;
        Ok(Value::Null)
    }

    pub(super) fn kv_delete(&self, run: &Run, key: &str) -> Result<Value, CallError> {
        let key = kv_key(run, key);
        self.app.store().write_blocking(move |tx| tx.delete(tables::PLUGIN_KV, &key)).map_err(from_error)?;
        Ok(Value::Null)
    }
}

/// The plugin's name is part of the key: no plugin reads another's.
fn kv_key(run: &Run, key: &str) -> (Name, Name) {
    (Name::new(run.plugin.clone()), Name::new(key.to_owned()))
}
