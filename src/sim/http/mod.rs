//! The door: TLS, HTTP/1 with the real proxy's strictness, form decoding and the answer's envelope.
//! Knows nothing of what the calls mean; `dispatch` is all it calls.

pub mod answer;
pub mod form;
pub mod multipart;
pub mod request;
pub mod server;
pub mod tls;
