//! Which run is meant: `latest`, `latest~1`, `NAME/latest`, an id or its beginning, or a folder.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};

use crate::base::closest;
use crate::store::RUN_FILE;
use crate::tables::{self, Ended, RunEntry};

/// Finds runs below a folder of results.
pub(super) struct Runs<'a> {
    results: &'a Path,
    pipeline: Option<&'a str>,
    all: Vec<RunEntry>,
}

impl<'a> Runs<'a> {
    /// Lists the runs; those of one pipeline if it is named.
    pub(super) fn list(results: &'a Path, pipeline: Option<&'a str>) -> anyhow::Result<Self> {
        let (all, _) =
            tables::list(results).with_context(|| format!("list {}", results.display()))?;
        Ok(Self { results, pipeline, all })
    }

    /// The folder of the run that is meant.
    pub(super) fn folder(&self, word: &str) -> anyhow::Result<PathBuf> {
        let path = Path::new(word);
        if path.join(RUN_FILE).is_file() {
            return Ok(path.to_owned());
        }
        let (pipeline, name) = match word.rsplit_once('/') {
            Some((pipeline, name)) => (Some(pipeline), name),
            None => (self.pipeline, word),
        };
        if let Some(pipeline) = pipeline {
            known_pipeline(&self.all, pipeline, self.results)?;
        }
        match back(name) {
            Some(back) => self.latest(pipeline, back),
            None => self.by_id(pipeline, name),
        }
    }

    /// The newest complete run, or one so many before it.
    fn latest(&self, pipeline: Option<&str>, back: usize) -> anyhow::Result<PathBuf> {
        let names = pipelines(&self.all);
        let pipeline = match (pipeline, &names[..]) {
            (Some(pipeline), _) => pipeline,
            (None, [only]) => only.as_str(),
            (None, []) => bail!("there are no runs in {}", self.results.display()),
            (None, _) => bail!(
                "`latest` of which pipeline?\n  help: there is: {}; write `NAME/latest` or name \
                 one with --pipeline",
                ticked(&names)
            ),
        };
        let complete = |run: &&RunEntry| run.pipeline == pipeline && run.ended() == Ended::Done;
        let runs: Vec<&RunEntry> = self.all.iter().filter(complete).collect();
        match runs.len().checked_sub(back + 1).map(|index| runs[index]) {
            Some(run) => Ok(run.folder.clone()),
            None => bail!(
                "`{pipeline}` has {}, which is too few for `latest~{back}`",
                crate::base::counted(runs.len(), "complete run")
            ),
        }
    }

    fn by_id(&self, pipeline: Option<&str>, word: &str) -> anyhow::Result<PathBuf> {
        let of = |run: &&RunEntry| pipeline.is_none_or(|name| run.pipeline == name);
        let runs: Vec<&RunEntry> = self.all.iter().filter(of).collect();
        let exact = runs.iter().filter(|run| run.id == word);
        let begin = runs.iter().filter(|run| run.id.starts_with(word) && !word.is_empty());
        let found: Vec<&&RunEntry> = match exact.clone().count() {
            0 => begin.collect(),
            _ => exact.collect(),
        };
        match found[..] {
            [only] => Ok(only.folder.clone()),
            [] => {
                let ids = runs.iter().map(|run| run.id.as_str());
                let known: Vec<&str> = ids.chain(["latest"]).collect();
                bail!(
                    "there is no run `{word}` in {}{}",
                    self.results.display(),
                    near(word, &known)
                )
            }
            _ => {
                let names: Vec<String> =
                    found.iter().map(|run| format!("{}/{}", run.pipeline, run.id)).collect();
                bail!("`{word}` could be {} runs: {}", found.len(), ticked(&names))
            }
        }
    }
}

/// How many runs before the newest a word means, if it is `latest` or `latest~N`.
fn back(word: &str) -> Option<usize> {
    match word.strip_prefix("latest")? {
        "" => Some(0),
        rest => rest.strip_prefix('~')?.parse().ok(),
    }
}

/// Names of pipelines that have runs.
fn pipelines(runs: &[RunEntry]) -> Vec<String> {
    let mut names: Vec<String> = runs.iter().map(|run| run.pipeline.clone()).collect();
    names.sort();
    names.dedup();
    names
}

/// Refuses a pipeline that has no runs.
pub(super) fn known_pipeline(runs: &[RunEntry], name: &str, results: &Path) -> anyhow::Result<()> {
    let known = pipelines(runs);
    if known.iter().any(|pipeline| pipeline == name) {
        return Ok(());
    }
    let words: Vec<&str> = known.iter().map(String::as_str).collect();
    bail!("no pipeline `{name}` has runs in {}{}", results.display(), near(name, &words))
}

/// A way out: the nearest known word, or where to find them all.
fn near(word: &str, known: &[&str]) -> String {
    match closest(word, known.iter().copied()) {
        Some(near) => format!("\n  help: did you mean `{near}`?"),
        None => "\n  help: `tl-run runs` lists what there is".to_owned(),
    }
}

fn ticked(words: &[String]) -> String {
    words.iter().map(|word| format!("`{word}`")).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn latest_may_go_back() {
        assert_eq!(back("latest"), Some(0));
        assert_eq!(back("latest~12"), Some(12));
        assert_eq!(back("latest~"), None);
        assert_eq!(back("later"), None);
    }
}
