//! Sentences about the simulation's behaviour, asked over its real HTTPS door.

mod basics;
mod client;
mod failures;
mod lifecycle;
mod power;
mod rights;
mod running;
