//! Arguments, subcommands, exit codes.

mod arguments;
mod check;
mod compare;
mod crash;
mod look;
mod model;
mod model_check;
mod operators;
mod pip;
mod plan;
mod predict;
mod reference;
mod resolve;
mod revision;
mod run;
mod runs;
mod runtime;
mod survey;
mod trials;

use std::ffi::OsString;
use std::process::ExitCode;

use clap::Parser as _;

use crate::console;

use arguments::{Arguments, Command};

/// How a command ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Exit {
    /// All done.
    Good,
    /// A stage failed.
    StageFailed,
    /// The pipeline or the arguments are wrong.
    Wrong,
    /// Someone interrupted.
    Interrupted,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(match exit {
            Exit::Good => 0,
            Exit::StageFailed => 1,
            Exit::Wrong => 2,
            Exit::Interrupted => 130,
        })
    }
}

/// Runs the program.
pub fn main(arguments: impl Iterator<Item = OsString>) -> ExitCode {
    let arguments = match Arguments::try_parse_from(arguments) {
        Ok(arguments) => arguments,
        Err(error) => {
            // Help and version are no mistakes; clap knows where each belongs.
            let _ = error.print();
            return if error.use_stderr() { Exit::Wrong.into() } else { Exit::Good.into() };
        }
    };
    if let (Some(_), Some(file)) = (&arguments.command, &arguments.file) {
        let file = file.display();
        console::err(&format!("error: `{file}` stands before a command, which takes its own file"));
        return Exit::Wrong.into();
    }
    crash::tell_crashes_in_words();
    start_logging(arguments.common.verbose);
    let ended = match &arguments.command {
        Some(Command::Run { file }) => run::run(file, &arguments.common),
        Some(Command::Check { file }) => check::check(file, &arguments.common),
        Some(Command::Plan { file }) => plan::plan(file, &arguments.common),
        Some(Command::Schema { operators: true, .. }) => Ok(operators::print()),
        Some(Command::Schema { reference, .. }) => Ok(reference::print(*reference)),
        Some(Command::Model { command }) => model::model(command, &arguments.common),
        Some(Command::Look { model, shapes, freed }) => {
            look::child(model, shapes, freed.as_deref())
        }
        Some(Command::Runtime { action }) => runtime::runtime(action.as_ref(), &arguments.common),
        Some(Command::Predict { model, images, output }) => {
            predict::predict(model, images, output.as_deref(), &arguments.common)
        }
        Some(Command::Runs { scores: true, .. }) => runs::scores(&arguments.common),
        Some(Command::Runs { looks: true, .. }) => runs::looks(&arguments.common),
        Some(Command::Runs { pipeline, .. }) => runs::runs(pipeline.as_deref(), &arguments.common),
        Some(Command::Compare { runs, pipeline, metric, output }) => {
            let (pipeline, metric) = (pipeline.as_deref(), metric.as_deref());
            let request = compare::Request { runs, pipeline, metric, output: output.as_deref() };
            compare::compare(&request, &arguments.common)
        }
        Some(Command::CheckGradients { model, asked }) => model_check::child(model, asked),
        Some(Command::TryLibrary { library }) => runtime::child(library),
        None => match &arguments.file {
            Some(file) => run::run(file, &arguments.common),
            None => {
                let _ = <Arguments as clap::CommandFactory>::command().print_help();
                return Exit::Wrong.into();
            }
        },
    };
    ended
        .unwrap_or_else(|error| {
            console::err(&format!("error: {error:#}"));
            Exit::Wrong
        })
        .into()
}

/// Logs go to standard error; `RUST_LOG` decides, else `-v`.
fn start_logging(verbose: u8) {
    use tracing_subscriber::EnvFilter;
    let level = match verbose {
        0 => "error",
        1 => "error,tl_run=info",
        2 => "error,tl_run=debug",
        _ => "debug",
    };
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(level));
    let started = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_target(false)
        .with_ansi(std::io::IsTerminal::is_terminal(&std::io::stderr()))
        .try_init();
    if started.is_err() {
        console::err("warning: logging was started before");
    }
}
