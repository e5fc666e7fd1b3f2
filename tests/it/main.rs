//! The integration tests: one binary, its modules by subject.

#[cfg(test)]
mod api;
#[cfg(test)]
mod appliance;
#[cfg(test)]
mod behalf;
#[cfg(test)]
mod bulk;
#[cfg(test)]
mod calls;
#[cfg(test)]
mod cli;
#[cfg(test)]
mod clusters;
#[cfg(test)]
mod connections;
#[cfg(test)]
mod console;
#[cfg(test)]
mod crash;
#[cfg(test)]
mod create_job;
#[cfg(test)]
mod dying;
#[cfg(test)]
mod everyday;
#[cfg(test)]
mod fakepve;
#[cfg(test)]
mod faults;
#[cfg(test)]
mod house;
#[cfg(test)]
mod impact;
#[cfg(test)]
mod isolation;
#[cfg(test)]
mod join;
#[cfg(test)]
mod libvirt;
#[cfg(test)]
mod live;
#[cfg(test)]
mod machine;
#[cfg(test)]
mod people;
#[cfg(test)]
mod profiles;
#[cfg(test)]
mod proxmox;
#[cfg(test)]
mod quotas;
#[cfg(test)]
mod routes;
#[cfg(test)]
mod secrets;
#[cfg(test)]
mod server;
#[cfg(test)]
mod sharing;
#[cfg(test)]
mod simulated;
#[cfg(test)]
mod software;
#[cfg(test)]
mod templates;
#[cfg(test)]
mod windows;
#[cfg(test)]
mod wizard;
