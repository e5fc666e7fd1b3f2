//! The program: the roof and the files that are built in.

fn main() -> std::process::ExitCode {
    cli::main(embedded::FILES)
}
