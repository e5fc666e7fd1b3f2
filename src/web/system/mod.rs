//! The appliance itself: settings, health, figures, nodes.

pub mod health;
pub mod metrics;
pub mod nodes;
pub mod rest;
pub mod settings;
pub mod settings_page;
