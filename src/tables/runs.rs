//! The runs below a folder of results, and what each came to.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use serde::Serialize;

use crate::stats::Class;
use crate::store::{RUN_FILE, RunOutcome, RunRecord};

use super::read::read;
use super::summary::Word;

/// A run's folder.
#[derive(Clone, Debug)]
pub struct RunEntry {
    /// The folder's name.
    pub id: String,
    /// The name of the folder around it.
    pub pipeline: String,
    /// The folder.
    pub folder: PathBuf,
    /// Its record; nothing as long as it works, or if it was ended by force.
    pub record: Option<Box<RunRecord>>,
}

/// A run in one line.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct RunRow {
    /// Its id.
    pub run: String,
    /// Its pipeline.
    pub pipeline: String,
    /// When it began, RFC 3339; nothing if it left no record.
    pub started: Option<String>,
    /// How it ended.
    pub ended: Ended,
    /// Nodes whose result was there already.
    pub hits: usize,
    /// Nodes in all.
    pub nodes: usize,
    /// Repetitions.
    pub seeds: usize,
    /// Name and version of the runtime.
    pub runtime: String,
    /// The arm of its verdict that is furthest ahead.
    pub best: Option<BestArm>,
}

/// The arm that is furthest ahead of its baseline.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct BestArm {
    /// Its name.
    pub arm: String,
    /// Difference to its baseline; positive is better.
    pub delta: f64,
    /// The verdict on it.
    pub word: Word,
}

/// How a run ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Ended {
    /// Every node has a result.
    Done,
    /// A node failed.
    Failed,
    /// Someone interrupted.
    Interrupted,
    /// It left no record: it is at work, or was ended by force.
    Unfinished,
}

impl RunEntry {
    /// How it ended.
    pub fn ended(&self) -> Ended {
        let Some(record) = &self.record else { return Ended::Unfinished };
        let any = |outcome| record.nodes.iter().any(|node| node.outcome == outcome);
        if any(RunOutcome::Failed) {
            return Ended::Failed;
        }
        if any(RunOutcome::Cancelled) {
            return Ended::Interrupted;
        }
        if any(RunOutcome::Skipped) { Ended::Failed } else { Ended::Done }
    }

    /// When it began, for putting runs in order; ids of runs without a record begin with the time.
    fn order(&self) -> (String, String) {
        let started = self.record.as_ref().and_then(|record| {
            let time: jiff::Timestamp = record.started.parse().ok()?;
            Some(time.strftime("%Y%m%d-%H%M%S-%9f").to_string())
        });
        (started.unwrap_or_else(|| self.id.clone()), self.id.clone())
    }
}

/// Every run below a folder of results, the newest last, and what there is that is none.
pub fn list(results: &Path) -> io::Result<(Vec<RunEntry>, Vec<String>)> {
    let (mut runs, mut notes) = (Vec::new(), Vec::new());
    for folder in folders(results)? {
        let found = folders(&folder)?;
        if found.is_empty() {
            notes.push(format!("{} holds no runs", folder.display()));
        }
        for path in found {
            match entry(&folder, &path) {
                Ok(entry) => runs.push(entry),
                Err(note) => notes.push(note),
            }
        }
    }
    runs.sort_by_cached_key(RunEntry::order);
    Ok((runs, notes))
}

/// Folders in a folder, hidden ones and links left out.
fn folders(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    let listed = match fs::read_dir(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(found),
        listed => listed?,
    };
    for entry in listed {
        let entry = entry?;
        let hidden = entry.file_name().to_string_lossy().starts_with('.');
        if entry.file_type()?.is_dir() && !hidden {
            found.push(entry.path());
        }
    }
    found.sort();
    Ok(found)
}

fn entry(pipeline: &Path, folder: &Path) -> Result<RunEntry, String> {
    let name = |path: &Path| {
        path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default()
    };
    let record = match RunRecord::load(folder) {
        Ok(record) => Some(Box::new(record)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            if !folder.join("events.jsonl").is_file() {
                return Err(format!("{} is no run", folder.display()));
            }
            None
        }
        Err(error) => {
            return Err(format!("{} cannot be read: {error}", folder.join(RUN_FILE).display()));
        }
    };
    Ok(RunEntry { id: name(folder), pipeline: name(pipeline), folder: folder.to_owned(), record })
}

/// What a run came to. A table of verdicts that cannot be read is as good as none.
pub fn row(entry: &RunEntry) -> RunRow {
    let record = entry.record.as_deref().cloned().unwrap_or_default();
    let hits = record.nodes.iter().filter(|node| node.outcome == RunOutcome::Hit).count();
    RunRow {
        run: entry.id.clone(),
        pipeline: entry.pipeline.clone(),
        started: entry.record.as_ref().map(|record| record.started.clone()),
        ended: entry.ended(),
        hits,
        nodes: record.nodes.len(),
        seeds: record.seeds.len(),
        runtime: record.runtime,
        best: best(&entry.folder),
    }
}

fn best(folder: &Path) -> Option<BestArm> {
    let table = read(folder, "transfer").ok()??;
    let (arms, deltas) = (table.texts_of("arm")?, table.numbers_of("delta")?);
    let (words, scopes) = (table.texts_of("verdict")?, table.texts_of("scope")?);
    let rows = arms.into_iter().zip(deltas).zip(words).zip(scopes);
    let rows = rows.filter(|(_, scope)| scope.as_deref() == Some("arm"));
    let known = rows.filter_map(|(((arm, delta), word), _)| {
        Some(BestArm { arm: arm?, delta: delta?, word: word_of(&word?) })
    });
    known.max_by(|a, b| a.delta.total_cmp(&b.delta))
}

/// The word for a verdict as tables have it.
pub fn word_of(word: &str) -> Word {
    match serde_json::from_value(serde_json::json!(word)) {
        Ok(Class::Positive) => Word::Helps,
        Ok(Class::Neutral) => Word::Same,
        Ok(Class::Negative) => Word::Hurts,
        Ok(Class::Inconclusive) | Err(_) => Word::Open,
    }
}
