//! Tests of the whole store, by theme.

mod audit;
mod basics;
mod disk_full;
mod flips;
mod group;
mod kill;
pub(super) mod maker;
mod opening;
mod planted;
mod sealed;
mod version1;
