//! The program: the roof and the files that are built in.

/// Buffers of requests, JSON and TLS hold secrets too, and no type of ours can wipe those: here each is wiped when it
/// is freed.
#[global_allocator]
static ALLOCATOR: zeroizing_alloc::ZeroAlloc<std::alloc::System> = zeroizing_alloc::ZeroAlloc(std::alloc::System);

fn main() -> std::process::ExitCode {
    cli::main(embedded::FILES)
}
