//! The roof: everything is in the library, so tests and benchmarks reach it too.

fn main() -> std::process::ExitCode {
    steward::cli::main()
}
