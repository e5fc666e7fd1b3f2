//! Being built.

pub mod assets;
pub mod page;
