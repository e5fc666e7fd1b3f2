//! `kv::`: a plugin's own small store.

use super::PluginHost;
use super::errors::{call_error, from_error};
use base::{Error, Result as BaseResult};
use plugin::limits::{KV_BYTES, KV_KEYS, RESULT_BYTES};
use plugin::{CallError, CallErrorKind, Run};
use serde_json::Value;
use store::{Json, Name, Read as _, Scan, WriteTx, tables};

impl PluginHost {
    pub(super) fn kv_get(&self, run: &Run, key: &str) -> Result<Value, CallError> {
        let key = kv_key(run, key);
        let value = self.app.store().read(|tx| tx.get(tables::PLUGIN_KV, &key)).map_err(from_error)?;
        Ok(value.map_or(Value::Null, |v| v.0))
    }

    pub(super) fn kv_put(&self, run: &Run, key: &str, value: Value) -> Result<Value, CallError> {
        if key.is_empty() || key.len() > 200 || value.to_string().len() > RESULT_BYTES {
            return Err(call_error(CallErrorKind::Invalid, "A key has 1 to 200 bytes and its value at most 64 KiB."));
        }
        let key = kv_key(run, key);
        self.app.store().write_blocking(move |tx| put(tx, &key, value)).map_err(from_error)?;
        Ok(Value::Null)
    }

    pub(super) fn kv_delete(&self, run: &Run, key: &str) -> Result<Value, CallError> {
        let key = kv_key(run, key);
        self.app.store().write_blocking(move |tx| tx.delete(tables::PLUGIN_KV, &key)).map_err(from_error)?;
        Ok(Value::Null)
    }
}

fn put(tx: &mut WriteTx, key: &(Name, Name), value: Value) -> BaseResult<()> {
    tx.put(tables::PLUGIN_KV, key, &Json(value))?;
    let kept = tx.list(tables::PLUGIN_KV, Scan::prefix(&key.0), usize::MAX)?;
    let bytes: usize = kept.iter().map(|(_, value)| value.0.to_string().len()).sum();
    if kept.len() > KV_KEYS || bytes > KV_BYTES {
        let most = KV_BYTES >> 20;
        return Err(Error::invalid(format!(
            "A plugin keeps at most {KV_KEYS} keys with {most} MiB together. Delete some first."
        )));
    }
    Ok(())
}

/// The plugin's name is part of the key: no plugin reads another's.
fn kv_key(run: &Run, key: &str) -> (Name, Name) {
    (Name::new(run.plugin.clone()), Name::new(key.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use base::Timestamp;
    use base::time::ManualClock;
    use std::sync::Arc;
    use store::Store;

    #[test]
    fn a_plugin_keeps_so_much_and_another_one_is_not_counted() {
        let folder = tempfile::tempdir().unwrap();
        let seal = crate::keys::ApplianceSeal::new(crypto::SealKey::generate());
        let clock = Arc::new(ManualClock::at(Timestamp::ZERO));
        let store = Store::open(&folder.path().join("steward.redb"), Arc::new(seal), clock).unwrap();
        let keep = |plugin: &'static str, key: String, value: Value| {
            store.write_blocking(move |tx| put(tx, &(plugin.into(), Name::new(key)), value))
        };
        let large = Value::String("x".repeat(RESULT_BYTES - 2));
        let (first, mut all) = (Json(large.clone()), 0..KV_BYTES / RESULT_BYTES);
        let fill = move |tx: &mut WriteTx| {
            all.try_for_each(|n| tx.put(tables::PLUGIN_KV, &("a".into(), Name::new(n.to_string())), &first))
        };
        store.write_blocking(fill).unwrap();
        let said = keep("a", "one more".to_owned(), Value::Null).unwrap_err();
        assert!(said.message().contains("1000 keys with 4 MiB"), "{said}");
        keep("a", "0".to_owned(), Value::Null).unwrap();
        keep("a", "one more".to_owned(), Value::Null).unwrap();
        keep("b", "0".to_owned(), large).unwrap();
    }
}
