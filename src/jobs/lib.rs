//! Floor 4, the back door: runs the jobs that the use cases asked for, and what happens by the clock.
//!
//! A job is one run of a plugin's durable function. The runner claims it, plays the function against the
//! journal, and writes what became of it; a suspended job holds no thread. This floor must not know HTTP or
//! pages: it reads rows, calls `app`, and writes rows.

pub mod background;
mod journal;
mod outcome;
mod queue;
mod runner;
mod waits;

pub use runner::run;
