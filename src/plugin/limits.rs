//! What one run of a script may use. All limits are set explicitly, because Rhai's defaults are
//! "unlimited" for most and differ between debug and release builds for the rest.

use std::time::Duration;

/// Rhai operations in one run, callbacks included. About three make one turn of a small loop.
pub const OPERATIONS: u64 = 2_000_000;
/// Time that the script itself may take; time inside host functions does not count.
pub const SCRIPT_TIME: Duration = Duration::from_secs(2);
/// Time that a run may take with all its host calls. The host's calls have their own time-outs.
pub const WALL_TIME: Duration = Duration::from_secs(120);
/// How much memory a script may hold: what its thread allocated and did not free.
pub const MEMORY: isize = 192 << 20;
/// Calls into the host in one run (log lines are counted apart).
pub const HOST_CALLS: u32 = 500;
/// Log lines in one run; what is over is dropped with one line that says so.
pub const LOG_LINES: u32 = 200;
/// Bytes of one log line; cut after that.
pub const LOG_LINE_BYTES: usize = 2_000;
/// Bytes of all text in one value. 1,000 machines as Proxmox lists them have about 100 kB.
pub const STRING_BYTES: usize = 1 << 20;
/// Elements of all arrays in one value.
pub const ARRAY_ITEMS: usize = 50_000;
/// Entries of all maps in one value. 1,000 machines as Proxmox lists them have about 20,000.
pub const MAP_ENTRIES: usize = 200_000;
/// How deep data that leaves or enters a script may be nested.
pub const DATA_DEPTH: usize = 64;
/// Function calls inside each other.
pub const CALL_DEPTH: usize = 48;
/// Nesting of expressions, at the top level and in functions.
pub const EXPRESSION_DEPTH: usize = 64;
/// Variables that one function may have at a time.
pub const VARIABLES: usize = 256;
/// Functions in one plugin, with its tests and its closures.
pub const FUNCTIONS: usize = 700;
/// Bytes of one plugin file.
pub const FILE_BYTES: u64 = 256 << 10;
/// Files (`*.rhai`, `*.toml`) of one plugin, and their bytes together.
pub const FILES: usize = 100;
pub const PLUGIN_BYTES: u64 = 4 << 20;
/// Plugins in the folder.
pub const PLUGINS: usize = 200;
/// Keys that one plugin may keep in `kv`, and the bytes of their values together (as JSON).
pub const KV_KEYS: usize = 1_000;
pub const KV_BYTES: usize = 4 << 20;
/// Bytes of one step's result (as JSON) and of a job's result.
pub const RESULT_BYTES: usize = 64 << 10;
/// Longest `job.sleep` and longest time-out of `job.wait_until`.
pub const LONGEST_WAIT_SECONDS: i64 = 30 * 86_400;
/// Longest `ssh::run`, in seconds: shorter than `WALL_TIME`.
pub const SSH_SECONDS: u64 = 100;
/// Bytes of a command's input and of a file that is put or got over SSH.
pub const SSH_INPUT_BYTES: usize = 256 << 10;
/// Bytes of a file that is put by a guest agent: Proxmox takes 60 KiB of base64 in one call.
pub const AGENT_FILE_BYTES: usize = 44 << 10;
/// Bytes of stack that a script's thread needs. Values nested by a hostile script are dropped by
/// recursion; with `OPERATIONS` bounding the nesting, the deepest one found takes less than half of this.
pub const STACK_BYTES: usize = 256 << 20;
