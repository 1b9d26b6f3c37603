//! `runs`: what there is, the newest last.

use anyhow::Context as _;

use crate::console;
use crate::store::Store;
use crate::tables::{self, RunRow, RunningRecord};

use super::Exit;
use super::arguments::Common;
use super::resolve::known_pipeline;

/// Tells what scores and advice before training turned out to be worth in this store.
pub(super) fn scores(common: &Common) -> anyhow::Result<Exit> {
    let folder = common.store_folder();
    // Looking makes no store where there is none.
    let record = match folder.is_dir() {
        true => tables::running_record(&Store::open(&folder)?)?,
        false => RunningRecord::default(),
    };
    match common.json {
        true => console::out(&serde_json::to_string(&record)?),
        false => console::out(&console::render_record(&record)),
    }
    Ok(Exit::Good)
}

/// Lists the runs of a pipeline or of all.
pub(super) fn runs(pipeline: Option<&str>, common: &Common) -> anyhow::Result<Exit> {
    let results = &common.results;
    let (entries, notes) =
        tables::list(results).with_context(|| format!("list {}", results.display()))?;
    if let Some(pipeline) = pipeline {
        known_pipeline(&entries, pipeline, results)?;
    }
    let asked = entries.iter().filter(|run| pipeline.is_none_or(|name| run.pipeline == name));
    let rows: Vec<RunRow> = asked.map(tables::row).collect();
    for note in notes {
        console::err(&format!("note: {note}"));
    }
    if common.json {
        console::out(&serde_json::to_string(&rows)?);
    } else if rows.is_empty() {
        console::out(&format!("there are no runs in {}", results.display()));
    } else {
        console::out(&console::render_runs(&rows));
    }
    Ok(Exit::Good)
}

/// Lists the test parts with how often they have been looked at.
pub(super) fn looks(common: &Common) -> anyhow::Result<Exit> {
    let folder = common.store_folder();
    let looks = match folder.is_dir() {
        true => Store::open(&folder)?.looks()?,
        false => vec![],
    };
    if common.json {
        console::out(&serde_json::to_string(&looks)?);
    } else if looks.is_empty() {
        console::out(&format!("no test part has been looked at in {}", folder.display()));
    } else {
        console::out(&console::render_looks(&looks));
    }
    Ok(Exit::Good)
}
