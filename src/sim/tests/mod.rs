//! Sentences about the simulation's behaviour, asked over its real HTTPS door.

mod basics;
mod client;
mod lifecycle;
