//! How much memory a script holds: what its thread allocated and did not free. A run never leaves its thread, so
//! neither its neighbours nor the rest of the process count. The program's allocator does the counting (src/main.rs);
//! in a program without it nothing is counted.

/// Bytes; below zero for a thread that freed what others had allocated.
pub(super) fn held() -> isize {
    alloc_metrics::thread_metrics().allocated_bytes
}

#[cfg(test)]
#[global_allocator]
static ALLOCATOR: alloc_metrics::MetricAlloc<std::alloc::System> = alloc_metrics::MetricAlloc::new(std::alloc::System);
