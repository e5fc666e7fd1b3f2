//! The certificate that the pages are served with, kept sealed in the store. Creating one is up to `web/door`;
//! here it is only stored.

use crate::App;
use base::{Result, Secret};
use serde_json::json;
use store::{Json, Name, Read, tables};

#[derive(Debug)]
pub struct Certificate<'a>(pub(super) &'a App);

fn row() -> Name {
    Name::new("certificate".to_owned())
}

impl Certificate<'_> {
    /// Chain and key as PEM, if there is one.
    pub fn get(&self) -> Result<Option<(String, Secret<String>)>> {
        let value = self.0.store().read(|tx| tx.get(tables::SETTINGS, &row()))?;
        let text = |name: &str| value.as_ref().and_then(|v| v.0[name].as_str()).map(str::to_owned);
        Ok(text("chain").zip(text("key").map(Secret::new)))
    }

    /// Replaces the stored certificate.
    pub async fn keep(&self, chain: &str, key: &Secret<String>) -> Result<()> {
        let value = json!({ "chain": chain, "key": key.expose() });
        self.0.store().write(move |tx| tx.put(tables::SETTINGS, &row(), &Json(value))).await
    }
}
