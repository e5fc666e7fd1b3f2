//! Key slots: a user's vault key, wrapped so that a password or a random secret opens it.

pub mod password;
pub mod secret;
