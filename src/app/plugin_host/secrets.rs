//! Secrets on their way from a script's handles to a machine or to Proxmox, and out of what comes back.

use super::PluginHost;
use super::errors::{call_error, from_error};
use base::{Secret, Secrets, without_secrets};
use plugin::{CallError, CallErrorKind, Method, Run, SecretPlaces, SecretText};
use serde_json::{Value, json};

impl PluginHost {
    /// The secrets for these texts of a call.
    pub(super) fn secrets<'a>(
        &self,
        run: &Run,
        texts: impl IntoIterator<Item = &'a SecretText>,
    ) -> Result<(Secrets, Vec<Secret<String>>), CallError> {
        let texts: Vec<&SecretText> = texts.into_iter().filter(|text| text.names().next().is_some()).collect();
        let all = match run.job {
            _ if texts.is_empty() => Secrets::default(),
            Some(job) => self.app.jobs().secrets(job).map_err(from_error)?,
            None => self.secrets.clone(),
        };
        let hidden = texts.iter().flat_map(|text| text.hidden(&all)).collect();
        Ok((all, hidden))
    }
}

/// Parameters that may be a secret: what Proxmox hands on to a machine. No limit looks at them, so the check of the
/// limits has seen all that counts.
const SECRET_PARAMS: [&str; 3] = ["/cipassword", "/input-data", "/content"];

pub(super) fn fill_in(
    method: Method,
    params: &mut Value,
    places: &SecretPlaces,
    secrets: &Secrets,
) -> Result<(), CallError> {
    for (at, text) in places {
        let fits = SECRET_PARAMS.contains(&at.as_str());
        let place = params.pointer_mut(at).filter(|_| fits && matches!(method, Method::Post | Method::Put));
        let wrong =
            || call_error(CallErrorKind::Forbidden, format!("A secret can't be sent to Proxmox as “{}”.", &at[1..]));
        *place.ok_or_else(wrong)? = json!(text.resolve(secrets)?.expose());
    }
    Ok(())
}

/// The answer to a call that carried secrets. Scripts and logs get what a machine prints, and a program may print what
/// it was given (psql quotes the statement that failed): exactly those secrets are taken out of exactly this answer.
pub(super) fn without(answer: Result<Value, CallError>, hidden: &[Secret<String>]) -> Result<Value, CallError> {
    fn clean(value: Value, hidden: &[Secret<String>]) -> Value {
        match value {
            Value::String(text) => Value::String(without_secrets(&text, hidden)),
            Value::Array(list) => list.into_iter().map(|v| clean(v, hidden)).collect(),
            Value::Object(map) => map.into_iter().map(|(k, v)| (k, clean(v, hidden))).collect(),
            other => other,
        }
    }
    let text = |text: String| without_secrets(&text, hidden);
    match answer {
        answer if hidden.is_empty() => answer,
        Ok(value) => Ok(clean(value, hidden)),
        Err(e) => {
            let errors = e.errors.into_iter().map(|(name, why)| (name, text(why))).collect();
            Err(CallError { message: text(e.message), errors, ..e })
        }
    }
}
