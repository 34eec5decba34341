//! `head-end`: the server, and a command line over the same gRPC API.

use std::process::ExitCode;

fn main() -> ExitCode {
    dlms_head_end::cli::main()
}
