//! Software that Steward can install on a machine: what a recipe declares, what was requested, and what came of it.

pub mod failure;
pub mod recipe;

pub use recipe::{Needs, Recipe, RecipeInput};

use base::ids::{GuestId, JobId, UserId};
use base::{Secret, Secrets, Timestamp};
use minicbor::{Decode, Encode};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

/// Software to install: a recipe's name and its options' values.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SoftwareRequest {
    /// As in the list of software.
    pub recipe: String,
    /// By their keys; what is left out has its default.
    #[serde(default)]
    #[schema(value_type = Object)]
    pub options: serde_json::Map<String, Value>,
}

/// Passwords may be among the values: only the recipe knows which.
impl std::fmt::Debug for SoftwareRequest {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let keys: Vec<&String> = self.options.keys().collect();
        f.debug_struct("SoftwareRequest").field("recipe", &self.recipe).field("options", &keys).finish()
    }
}

/// The state of a recipe on a machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "lowercase")]
#[cbor(index_only)]
pub enum SoftwareState {
    /// Asked for; its job is made when the machine is ready for it.
    #[n(0)]
    Wanted,
    /// A job works on it.
    #[n(1)]
    Installing,
    #[n(2)]
    Installed,
    /// Gave up; its job can be tried again.
    #[n(3)]
    Failed,
    #[n(4)]
    Cancelled,
}

impl SoftwareState {
    pub fn name(self) -> &'static str {
        match self {
            Self::Wanted => "waiting",
            Self::Installing => "installing",
            Self::Installed => "installed",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
        }
    }
}

/// Where to find what was installed. `{address}` stands for the machine's current address.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Link {
    #[n(0)]
    pub title: String,
    #[n(1)]
    pub url: String,
}

/// One recipe on one machine, as stored (the row is sealed with the appliance key).
#[derive(Clone, Debug, Encode, Decode)]
pub struct Software {
    /// The plugin's name.
    #[n(0)]
    pub recipe: String,
    #[n(1)]
    pub title: String,
    #[n(2)]
    pub version: String,
    /// The options without secrets.
    #[cbor(n(3), with = "crate::json")]
    pub options: Value,
    /// Secret options until its job is made, which takes them. Not part of any view.
    #[n(4)]
    pub secrets: Secrets,
    #[n(5)]
    pub state: SoftwareState,
    #[n(6)]
    pub job: Option<JobId>,
    #[n(7)]
    pub links: Vec<Link>,
    #[n(8)]
    pub asked: Timestamp,
    /// Who asked, in words that outlive the user.
    #[n(9)]
    pub asked_by: String,
    #[n(10)]
    pub owner: Option<UserId>,
    #[n(11)]
    pub installed: Option<Timestamp>,
    /// Why it failed last.
    #[n(12)]
    pub error: Option<String>,
    /// Recipes of one machine are installed in rising order.
    #[n(13)]
    pub order: u32,
}

/// How Steward signs in to a machine, as stored (the row is sealed with the appliance key).
#[derive(Clone, Debug, Encode, Decode)]
pub struct GuestKey {
    #[n(0)]
    pub guest: GuestId,
    /// The user on the machine: root, or a user who may use sudo without a password.
    #[n(1)]
    pub user: String,
    /// Not part of any view.
    #[n(2)]
    pub private: Secret<String>,
    /// One line as in `authorized_keys`.
    #[n(3)]
    pub public: String,
    /// The host key that was seen first, `SHA256:...`; empty before the first sign-in.
    #[n(4)]
    pub host_keys: Vec<String>,
    /// A fixed address; without one the provider is asked.
    #[n(5)]
    pub address: Option<String>,
    #[n(6)]
    pub port: u16,
    #[n(7)]
    pub made: Timestamp,
}
