//! Closed lists of words, for the OpenAPI document only: the model's own types know nothing of it. A test holds them
//! against the model.

use serde::Serialize;
use utoipa::ToSchema;

macro_rules! words {
    ($($(#[$doc:meta])* $name:ident { $($word:ident)* })*) => {$(
        $(#[$doc])*
        #[derive(Debug, Serialize, ToSchema)]
        #[serde(rename_all = "lowercase")]
        pub enum $name {
            $($word,)*
        }
    )*};
}

words! {
    /// `see`: figures, jobs, history. `use`: also power and console. `manage`: also change, delete and share.
    RightWord { See Use Manage }
    /// `read`: look. `operate`: also act on machines and jobs. `full`: everything that the person may do.
    ScopeWord { Read Operate Full }
    /// `vnc`: the screen. `serial`: the serial line, or a container's terminal.
    ConsoleWord { Vnc Serial }
    /// `qemu`: a virtual machine. `lxc`: a container.
    KindWord { Qemu Lxc }
    /// How much a hit matters, the worst first.
    WeightWord { Blocks Lost Cut Known }
}

/// The bytes of a file.
#[derive(Debug, Serialize, ToSchema)]
#[schema(value_type = String, format = Binary)]
pub struct FileBytes(Vec<u8>);

/// A value of an option; which of these says its `kind`.
#[derive(Debug, Serialize, ToSchema)]
#[serde(untagged)]
pub enum OptionValue {
    Text(String),
    Number(i64),
    Bool(bool),
    Several(Vec<String>),
}

#[cfg(test)]
mod tests {
    use crate::rest::openapi;
    use model::access::GuestRight;
    use model::consoles::ConsoleKind;
    use model::guests::{ActionKind, GuestKind};
    use model::impact::Weight;
    use model::sessions::Scope;
    use serde_json::{Value, json};

    #[test]
    fn the_document_has_the_words_of_the_model() {
        let document: Value = serde_json::from_str(openapi::text()).unwrap();
        let lists = [
            ("ActionKind", json!(ActionKind::ALL)),
            ("RightWord", json!(GuestRight::ALL)),
            ("ScopeWord", json!([Scope::Read, Scope::Operate, Scope::Full])),
            ("ConsoleWord", json!(ConsoleKind::ALL)),
            ("KindWord", json!([GuestKind::Qemu, GuestKind::Lxc])),
            ("WeightWord", json!([Weight::Blocks, Weight::Lost, Weight::Cut, Weight::Known])),
        ];
        for (name, words) in lists {
            assert_eq!(document["components"]["schemas"][name]["enum"], words, "{name}");
        }
        let schema = |name: &str| document["components"]["schemas"][name].clone();
        let upload = &document["paths"]["/api/v1/templates/upload"]["post"]["requestBody"]["content"];
        assert!(upload["application/octet-stream"]["schema"].is_object(), "{upload}");
        assert_eq!(
            (&schema("FileBytes")["type"], &schema("FileBytes")["format"]),
            (&json!("string"), &json!("binary"))
        );
        for (path, status) in [("/api/v1/guests/{id}/impact", "422"), ("/api/v1/jobs/{id}", "422")] {
            assert!(document["paths"][path]["get"]["responses"][status].is_object(), "{path} {status}");
        }
    }
}
