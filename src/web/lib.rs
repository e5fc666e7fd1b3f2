//! Floor 4, the web door: pages and forms for people, the REST API for programs, live events for both.
//!
//! It turns requests into typed calls of `app` with an `Actor`, and answers into HTML or JSON. It must not
//! know the store, keys, plugins or Proxmox' protocol, and holds no rule about who owns what: `routes` says
//! who may knock, the use case says what they may do. A noun's handlers are in the file of its name, its
//! HTML in `page/`, its JSON in `api/`.

pub mod api;
pub mod assets;
mod audit;
mod bulk;
pub mod certificate;
mod connections;
mod console;
mod cookies;
mod csrf;
mod drain;
mod flash;
mod forms;
mod guard;
mod guest;
mod guest_create;
mod guests;
mod hardware;
mod headers;
mod health;
mod hosts;
mod impact;
mod jobs;
pub mod kept;
pub mod limits;
pub mod metrics;
mod moving;
mod observe;
mod overview;
pub mod page;
mod plugins;
pub mod problem;
mod profile;
mod profiles;
mod quotas;
pub mod routes;
mod search;
pub mod server;
mod service;
mod session;
mod settings;
mod sharing;
mod sign;
mod snapshots;
pub mod software;
pub mod sse;
pub mod state;
mod templates;
mod upload;
mod users;
mod visit;

pub use api::openapi::text as openapi_json;
pub use routes::router;
pub use service::{Server, install_crypto};
pub use state::{Options, Web};
