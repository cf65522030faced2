//! The `sdgroup` command: parses the command line, runs it, and turns the result into an exit code.

use std::process::ExitCode;

fn main() -> ExitCode {
    sdgroup::cli::main()
}
