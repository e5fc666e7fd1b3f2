//! Who calls and what they may do: users, tokens, tickets, roles, ACLs, and the calls that manage them.

pub mod calls;
pub mod data;
pub mod permissions;
pub mod tickets;
pub mod who;
