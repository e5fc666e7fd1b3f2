//! Scripts run on threads with a large stack: a script can nest a value as deep as its operations
//! allow (a closure that holds a closure that holds ..), and Rust frees it by recursion. On a usual
//! stack of 2 MiB that would end the whole process. Stack is only reserved, not used, until needed.

use super::limits::STACK_BYTES;
use std::cell::Cell;

thread_local! {
    static LARGE: Cell<bool> = const { Cell::new(false) };
}

/// Says that this thread was made with a stack of at least [`STACK_BYTES`], so that scripts run on it
/// directly. For tokio: `builder.thread_stack_size(limits::STACK_BYTES).on_thread_start(stack::mark_thread)`.
pub fn mark_thread() {
    LARGE.with(|l| l.set(true));
}

/// Runs `f` on this thread when it is marked, else on a fresh large one (about 30 microseconds more).
pub(super) fn on_large<T: Send>(f: impl FnOnce() -> T + Send) -> Result<T, String> {
    if LARGE.with(Cell::get) {
        return Ok(f());
    }
    std::thread::scope(|scope| {
        let thread = std::thread::Builder::new().name("script".into()).stack_size(STACK_BYTES);
        let handle = thread
            .spawn_scoped(scope, || {
                mark_thread();
                f()
            })
            .map_err(|e| format!("no thread for the script: {e}"))?;
        handle.join().map_err(|_| "the script's thread panicked".to_owned())
    })
}
