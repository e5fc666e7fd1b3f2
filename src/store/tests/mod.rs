//! Tests of the whole store, by theme.

mod basics;
mod maker;
