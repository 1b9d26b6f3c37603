//! The program; everything is in the library.

use std::process::ExitCode;

fn main() -> ExitCode {
    tl_run::cli::main(std::env::args_os())
}
