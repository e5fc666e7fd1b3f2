//! Floor 4, the web door: pages and forms for people, the REST API for programs, live events for both.
//!
//! It turns requests into typed calls of `app` with an `Actor`, and answers into HTML or JSON. It must not
//! know the store, keys, plugins or Proxmox's protocol, and holds no rule about who owns what: `routes` says
//! who may knock, the use case says what they may do. A noun has a room: its
//! handlers in `mod.rs`, its HTML in `page.rs`, its JSON in `rest.rs`. What all rooms share is in `door` (requests),
//! `frame` (pages) and `rest` (JSON).

pub mod account;
mod audit;
pub mod connections;
pub mod door;
pub mod frame;
pub mod guests;
pub mod hardware_profiles;
pub mod jobs;
mod overview;
mod plugins;
pub mod quotas;
pub mod rest;
pub mod routes;
mod search;
pub mod sign_in;
pub mod sse;
pub mod system;
pub mod templates;
mod users;

pub use door::service::{Server, install_crypto};
pub use door::state::{Options, Web};
pub use rest::openapi::text as openapi_json;
pub use routes::router;
