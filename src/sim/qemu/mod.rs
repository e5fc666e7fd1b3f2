//! Virtual machines: what `/nodes/{node}/qemu` does. Each file is one group of calls; `drives` and
//! `keys` hold what they share (disks and the configuration's keys).

pub mod agent;
pub mod clone;
pub mod cloudinit;
pub mod config;
pub mod create;
pub mod drives;
pub mod hotplug;
pub mod keys;
pub mod migrate;
pub mod power;
pub mod remove;
pub mod resize;
pub mod snapshots;
pub mod status;
pub mod template;
pub mod windows;
