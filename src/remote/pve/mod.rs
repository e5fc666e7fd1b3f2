//! The client for Proxmox VE's REST API (`/api2/json`, port 8006).
//!
//! Proxmox answers with its own small HTTP server (AnyEvent in Perl) and has habits that general
//! clients trip over. What is done about them here:
//!
//! - HTTP/1.1 only, no chunked requests, no body on GET and DELETE (their parameters go in the query);
//! - it closes idle connections after 5 s, so ours are dropped after 4 s, and a GET that meets a closing
//!   connection is sent once more; nothing else is ever sent twice;
//! - the text of an error is in the JSON body, in a plain body or only in the status line: all are read;
//! - 595 to 599 come from its proxy to another node: 595 did not reach the node, the others leave the
//!   outcome of a write unknown;
//! - certificates are self-signed: they are pinned, or checked against the cluster's own CA;
//! - at most [`PARALLEL`] requests run at once per connection, as Proxmox has three workers.
//!
//! Any node can answer for the whole cluster, so with several addresses the client stays with the one
//! that works and moves on when it does not.

mod access;
mod answer;
mod certificate;
mod client;
mod connect;
mod encode;
mod endpoint;
mod error;
mod identity;
mod iso;
mod login;
pub mod node;
mod policy;
mod socket;
mod task;
mod upload;
pub mod value;
mod watch;
mod wire;

#[cfg(test)]
mod tests;

pub use access::AccessPlan;
pub use certificate::fetch_certificate;
pub use client::{EndpointIndex, PARALLEL, PveClient, RefusedCertificate, Target};
pub use endpoint::Endpoint;
pub use error::{PveError, PveErrorKind};
pub use identity::identity_of_ca;
pub use login::{Ticket, login};
pub use policy::{LimitedClient, Machines};
pub use task::{TaskEnd, TaskLine, TaskStatus, Upid};
pub use upload::{CdImage, FileUpload};
pub use watch::{TaskPoll, TaskWatch};

pub use crate::tls::{CertificateInfo, Trust};
