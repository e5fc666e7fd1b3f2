//! The door itself: connections, who it is, forms, limits, errors as answers. It knows none of the nouns.

pub mod asks;
pub mod assets;
pub mod cache;
pub mod certificate;
pub mod connections;
pub mod cookies;
pub mod csrf;
pub mod drain;
pub mod flash;
pub mod forms;
pub mod guard;
pub mod headers;
pub mod hosts;
pub mod limits;
pub mod observe;
pub mod problem;
pub mod server;
pub mod service;
pub mod sign;
pub mod state;
pub mod upload;
pub mod visit;
