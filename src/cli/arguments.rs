//! What can be said on the command line.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

use super::model::ModelCommand;

/// Does transfer learning help on your data, which kind, and how sure is that?
#[derive(Debug, Parser)]
#[command(version, about)]
pub(super) struct Arguments {
    #[command(subcommand)]
    pub(super) command: Option<Command>,
    /// The pipeline to run.
    pub(super) file: Option<PathBuf>,
    #[command(flatten)]
    pub(super) common: Common,
}

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Runs a pipeline; the same as `tl-run FILE`.
    Run {
        /// The pipeline.
        file: PathBuf,
    },
    /// Tells everything that is wrong with a pipeline, and does no work.
    Check {
        /// The pipeline.
        file: PathBuf,
    },
    /// Tells what a run would do: what is there already, what is to be done and why, and how long
    /// that would take.
    Plan {
        /// The pipeline.
        file: PathBuf,
    },
    /// Prints the JSON Schema of pipeline files, for editors.
    Schema {
        /// Prints the reference page instead, as Markdown.
        #[arg(long)]
        reference: bool,
        /// Prints a page about operators instead, as Markdown: which of them can be trained
        /// through.
        #[arg(long, conflicts_with = "reference")]
        operators: bool,
    },
    /// Tells what one's own model is.
    Model {
        #[command(subcommand)]
        command: ModelCommand,
    },
    /// Tells which ONNX Runtime computes and why, or gets one.
    Runtime {
        #[command(subcommand)]
        action: Option<RuntimeAction>,
    },
    /// Tells labels and probabilities of images, or of arrays, by a model that a run wrote, as CSV.
    Predict {
        /// The model, as a run leaves it in its folder `models`.
        model: PathBuf,
        /// Images, and folders of images; NumPy archives for a model that reads arrays.
        #[arg(required = true)]
        images: Vec<PathBuf>,
        /// Writes the table to a file instead.
        #[arg(long, value_name = "FILE")]
        output: Option<PathBuf>,
    },
    /// Lists the runs, the newest last.
    Runs {
        /// Those of this pipeline alone.
        pipeline: Option<String>,
        /// Tells instead how often scores and advice before training were wrong so far.
        #[arg(long, conflicts_with = "pipeline")]
        scores: bool,
        /// Lists what the test parts have been looked at instead, by all runs that share the store.
        #[arg(long, conflicts_with = "pipeline")]
        looks: bool,
    },
    /// Compares runs with the first that is named, arm by arm.
    Compare {
        /// `latest`, `latest~1`, `NAME/latest`, an id or its beginning, or the folder of a run.
        #[arg(required = true, num_args = 2.., value_name = "RUN")]
        runs: Vec<String>,
        /// The pipeline whose `latest` is meant.
        #[arg(long, value_name = "NAME")]
        pipeline: Option<String>,
        /// The metric, if not that of the verdict.
        #[arg(long, value_name = "METRIC")]
        metric: Option<String>,
        /// Writes the arms to a CSV file too.
        #[arg(long, value_name = "FILE")]
        output: Option<PathBuf>,
    },
    /// Tries a library in a process of its own, which may crash.
    #[command(hide = true, name = "try-library")]
    TryLibrary {
        /// The library.
        library: PathBuf,
    },
    /// Runs gradients of a model in a process of its own, which may crash.
    #[command(hide = true, name = "check-gradients")]
    CheckGradients {
        /// The model.
        model: PathBuf,
        /// What is asked, as JSON.
        asked: String,
    },
    /// Looks at a model in a process of its own, which may crash.
    #[command(hide = true, name = "look-at-model")]
    Look {
        /// The model.
        model: PathBuf,
        /// Shapes of its inputs, as JSON.
        shapes: String,
        /// The same model with its batch freed, to be compared.
        #[arg(long)]
        freed: Option<PathBuf>,
    },
}

#[derive(Debug, Subcommand)]
pub(super) enum RuntimeAction {
    /// Fetches ONNX Runtime into your own folder by pip.
    Install {
        /// Fetches it again.
        #[arg(long)]
        force: bool,
    },
    /// Copies a library of yours into your own folder, from where it computes.
    Use {
        /// The library or a folder that holds it; `embedded` takes away what is there.
        library: PathBuf,
    },
}

#[derive(Args, Clone, Debug)]
pub(super) struct Common {
    /// Replaces a var of the file.
    #[arg(long = "set", value_name = "NAME=VALUE", value_parser = pair, global = true)]
    pub(super) sets: Vec<(String, String)>,
    /// Repeats this many times instead of what the file says.
    #[arg(long, value_name = "N", value_parser = at_least_one, global = true)]
    pub(super) seeds: Option<usize>,
    /// Takes this many items of each part of each data set at most; with `--seeds 1` a quick trial.
    #[arg(long, value_name = "N", value_parser = at_least_one, global = true)]
    pub(super) limit: Option<usize>,
    /// Does this stage and what it needs, nothing else; may be said several times.
    #[arg(long, value_name = "STAGE", global = true)]
    pub(super) only: Vec<String>,
    /// Uses this many cores at most.
    #[arg(long, value_name = "N", value_parser = at_least_one, global = true)]
    pub(super) jobs: Option<usize>,
    /// Where results go.
    #[arg(long, value_name = "DIR", default_value = "results", global = true)]
    pub(super) results: PathBuf,
    /// Where intermediate results are kept; `.store` in the results if not said.
    #[arg(long, value_name = "DIR", global = true)]
    pub(super) store: Option<PathBuf>,
    /// The ONNX Runtime library to compute with, or `embedded`.
    #[arg(long, value_name = "PATH", global = true)]
    pub(super) runtime: Option<PathBuf>,
    /// Tells events as JSON, one a line.
    #[arg(long, conflicts_with = "quiet", global = true)]
    pub(super) json: bool,
    /// Tells failures and the result alone.
    #[arg(long, short, global = true)]
    pub(super) quiet: bool,
    /// Tells more; twice for even more. `RUST_LOG` chooses finely.
    #[arg(long, short, action = clap::ArgAction::Count, global = true)]
    pub(super) verbose: u8,
}

impl Common {
    /// The store's folder.
    pub(super) fn store_folder(&self) -> PathBuf {
        self.store.clone().unwrap_or_else(|| self.results.join(".store"))
    }

    /// Cores to use.
    pub(super) fn cores(&self) -> usize {
        let all = || std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        self.jobs.unwrap_or_else(all)
    }
}

fn pair(text: &str) -> Result<(String, String), String> {
    let (name, value) = text.split_once('=').ok_or("write NAME=VALUE")?;
    Ok((name.trim().to_owned(), value.to_owned()))
}

pub(super) fn at_least_one(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(0) | Err(_) => Err("a whole number of at least 1 is wanted".to_owned()),
        Ok(number) => Ok(number),
    }
}
