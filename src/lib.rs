//! Steward: virtual machines, accounts, servers and alerts of a household on one page.
//!
//! The modules are floors; `docs/ARCHITECTURE.md` draws them and `tests/floors.rs` keeps the drawing true.

pub mod app;
pub mod base;
pub mod cli;
pub mod config;
pub mod crypto;
pub mod jobs;
pub mod model;
pub mod plugin;
pub mod remote;
pub mod sim;
pub mod store;
pub mod web;
