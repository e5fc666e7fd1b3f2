//! The integration tests: one binary, its modules by subject.

#[cfg(test)]
mod api;
#[cfg(test)]
mod fakepve;
#[cfg(test)]
mod house;
#[cfg(test)]
mod live;
#[cfg(test)]
mod people;
#[cfg(test)]
mod proxmox;
#[cfg(test)]
mod routes;
#[cfg(test)]
mod simulated;
