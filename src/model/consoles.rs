//! Consoles: the ways to see and control a machine directly.

use crate::providers::Feature;
use serde::{Deserialize, Serialize};

/// A way to see and control a machine directly.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema, strum::IntoStaticStr)]
#[serde(rename_all = "lowercase")]
#[strum(serialize_all = "lowercase")]
pub enum ConsoleKind {
    /// Its screen, keyboard and pointer.
    Vnc,
    /// Its serial line, or a container's terminal.
    Serial,
}

impl ConsoleKind {
    pub const ALL: [Self; 2] = [Self::Vnc, Self::Serial];

    /// As in addresses, in the REST API and for plugins.
    pub fn name(self) -> &'static str {
        self.into()
    }

    /// As a person says it.
    pub fn word(self) -> &'static str {
        match self {
            Self::Vnc => "Screen",
            Self::Serial => "Terminal",
        }
    }

    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|k| k.name() == text)
    }

    /// What a provider must offer for it.
    pub fn feature(self) -> Feature {
        match self {
            Self::Vnc => Feature::ConsoleVnc,
            Self::Serial => Feature::ConsoleSerial,
        }
    }
}

/// One kind that a machine has, or why it does not have it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ConsoleChoice {
    pub kind: ConsoleKind,
    /// A sentence; empty when it can be opened.
    #[serde(default)]
    pub why: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kind_is_written_by_its_name() {
        for kind in ConsoleKind::ALL {
            assert_eq!(serde_json::to_value(kind).unwrap(), kind.name());
            assert_eq!(ConsoleKind::parse(kind.name()), Some(kind));
        }
        assert_eq!(ConsoleKind::parse("VNC"), None);
    }
}
