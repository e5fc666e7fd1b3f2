//! The integration tests: one binary, its modules by subject.

#[cfg(test)]
mod fakepve;
#[cfg(test)]
mod house;
#[cfg(test)]
mod proxmox;
#[cfg(test)]
mod routes;
