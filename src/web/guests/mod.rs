//! Machines: lists, one machine and its tabs, making one; each with handlers (`mod.rs`), HTML (`page.rs`) and REST (`rest.rs`).

pub mod actions;
pub mod bulk;
pub mod console;
pub mod create;
pub mod figures;
pub mod hardware;
pub mod impact;
pub mod list;
pub mod moving;
pub mod one;
pub mod rest;
pub mod sharing;
pub mod snapshots;
pub mod software;
