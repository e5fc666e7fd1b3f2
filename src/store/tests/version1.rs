//! Makes a store as version 1 made it. Never changed again: it uses nothing of today's encoding, only redb
//! and the key, so it goes on making what those versions left on people's disks.

use super::maker::raw_put;
use crate::Seal;
use base::ids::JobId;
use minicbor::Encode;
use std::path::Path;

/// What was put in.
pub struct Made {
    pub id: [u8; 16],
    /// Id, title, and whether the job is not over; by rising id.
    pub jobs: Vec<(JobId, String, bool)>,
}

/// The fields that a job had, with their numbers.
#[derive(Encode)]
struct Job1 {
    #[cbor(n(0), with = "minicbor::bytes")]
    id: [u8; 16],
    #[n(1)]
    plugin: &'static str,
    #[n(2)]
    hook: &'static str,
    #[n(3)]
    title: String,
    /// JSON as text.
    #[n(4)]
    args: &'static str,
    #[n(6)]
    asked_by: &'static str,
    /// 0 low, 1 normal, 2 high.
    #[n(7)]
    priority: u8,
    /// 0 queued, 1 running, 2 waiting, 3 undoing, 4 succeeded, 5 failed, 6 cancelled, 7 discarded.
    #[n(8)]
    state: u8,
    /// Milliseconds since 1970.
    #[n(9)]
    created: i64,
    #[n(12)]
    attempts: u32,
    #[n(13)]
    max_attempts: u32,
    #[n(14)]
    not_before: i64,
}

#[derive(Encode)]
struct Marker1 {
    #[cbor(n(0), with = "minicbor::bytes")]
    id: [u8; 16],
    #[n(1)]
    made: i64,
}

pub fn make(path: &Path, seal: &dyn Seal) -> Made {
    drop(redb::Database::create(path).unwrap());
    let id = [0x11; 16];
    let schema = 1_u32.to_be_bytes();
    let marker = minicbor::to_vec(Marker1 { id, made: 1_790_000_000_000 }).unwrap();
    let fingerprint = seal.seal(&[b"steward", b"key fingerprint"], b"")[..4].to_vec();
    let meta = [
        (vec![1], Some(schema.to_vec())),
        (vec![2], Some(fingerprint)),
        (vec![3], Some(seal.seal(&[b"meta", b"marker", &schema], &marker))),
    ];
    raw_put(path, "meta", &meta);
    let mut jobs: Vec<(JobId, String, bool)> = Vec::new();
    for state in 0..8_u8 {
        let id = JobId::new();
        let title = format!("Job in state {state}");
        let job = Job1 {
            id: *id.bytes(),
            plugin: "proxmox",
            hook: "guest_create",
            title: title.clone(),
            args: "{\"name\":\"web-01\"}",
            asked_by: "mira",
            priority: 1,
            state,
            created: 1_790_000_000_000,
            attempts: 0,
            max_attempts: 3,
            not_before: 0,
        };
        let mut row = vec![1];
        row.extend(seal.seal(&[b"jobs", id.bytes(), &[1]], &minicbor::to_vec(job).unwrap()));
        raw_put(path, "jobs", &[(id.bytes().to_vec(), Some(row))]);
        jobs.push((id, title, state < 4));
    }
    Made { id, jobs }
}
