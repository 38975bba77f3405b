//! The command `bulkhead`.

fn main() -> std::process::ExitCode {
    bulkhead::cli::run()
}
