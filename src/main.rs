//! The program: the roof and the files that are built in.

use alloc_metrics::MetricAlloc;
use std::alloc::System;
use zeroizing_alloc::ZeroAlloc;

/// Buffers of requests, JSON and TLS hold secrets too, and no type of ours can wipe those: here each is wiped when it
/// is freed. What each thread holds is counted, for the memory limit of scripts.
#[global_allocator]
static ALLOCATOR: MetricAlloc<ZeroAlloc<System>> = MetricAlloc::new(ZeroAlloc(System));

fn main() -> std::process::ExitCode {
    cli::main(embedded::FILES)
}
