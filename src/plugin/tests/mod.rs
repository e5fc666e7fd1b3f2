//! Tests of the floor: hooks, durable jobs against a fake world, hostile scripts.

mod check;
mod durable;
mod hooks;
mod hostile;
mod jobs;
mod loading;
mod support;
