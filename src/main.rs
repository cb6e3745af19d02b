//! The `lakeward` binary; everything is in the library.

use std::process::ExitCode;

/// Columns come and go in large pieces, which the system's allocator hands back to the kernel each time and
/// has zeroed again.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    lakeward::cli::main()
}
