//! The `lakeward` binary; everything is in the library.

use std::process::ExitCode;

fn main() -> ExitCode {
    lakeward::cli::main()
}
