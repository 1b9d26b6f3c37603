//! `compare`: runs beside a reference, the first that is named.

use std::path::Path;

use anyhow::Context as _;

use crate::base::{atomic, closest};
use crate::console;
use crate::tables::{ArmComparison, CompareError, OpenedRun, RunComparison, compare as compared};

use super::Exit;
use super::arguments::Common;
use super::resolve::Runs;

/// What is compared and how.
pub(super) struct Request<'a> {
    /// The reference, then the others.
    pub(super) runs: &'a [String],
    /// The pipeline whose `latest` is meant.
    pub(super) pipeline: Option<&'a str>,
    /// The metric, if not the verdict's.
    pub(super) metric: Option<&'a str>,
    /// A file for the table.
    pub(super) output: Option<&'a Path>,
}

/// Compares runs.
pub(super) fn compare(request: &Request<'_>, common: &Common) -> anyhow::Result<Exit> {
    let known = Runs::list(&common.results, request.pipeline)?;
    let open = |word: &String| anyhow::Ok(OpenedRun::open(&known.folder(word)?)?);
    let opened: Vec<OpenedRun> = request.runs.iter().map(open).collect::<Result<_, _>>()?;
    let Some((reference, others)) = opened.split_first() else { return Ok(Exit::Wrong) };
    let against = |run: &OpenedRun| compared(reference, run, request.metric).map_err(told);
    let found: Vec<RunComparison> = others.iter().map(against).collect::<Result<_, _>>()?;
    for note in found.iter().flat_map(|one| &one.notes) {
        console::err(&format!("note: {note}"));
    }
    if common.json {
        console::out(&serde_json::to_string(&found)?);
    } else {
        let texts: Vec<String> = found.iter().map(console::render_comparison).collect();
        console::out(&texts.join("\n\n"));
    }
    if let Some(path) = request.output {
        let bytes = csv_of(&found).context("put the table together")?;
        atomic::write(path, &bytes).with_context(|| format!("write {}", path.display()))?;
    }
    Ok(Exit::Good)
}

/// With a way out.
fn told(error: CompareError) -> anyhow::Error {
    let help = match &error {
        CompareError::Table(_) => return error.into(),
        CompareError::Tests(_) => {
            "compare runs of one data set and one split, or run the older pipeline again".to_owned()
        }
        CompareError::Metric { message, known } => {
            let word = message.split('`').nth(1).unwrap_or_default();
            match closest(word, known.iter().map(String::as_str)) {
                Some(near) if near != word => format!("did you mean `{near}`?"),
                _ => format!("there is: {}", known.join(", ")),
            }
        }
    };
    anyhow::anyhow!("{error}\n  help: {help}")
}

fn csv_of(found: &[RunComparison]) -> anyhow::Result<Vec<u8>> {
    let mut writer = csv::Writer::from_writer(vec![]);
    writer.write_record([
        "reference",
        "run",
        "metric",
        "arm",
        "before",
        "after",
        "delta",
        "ci_lo",
        "ci_hi",
        "scope",
        "seeds",
        "items",
        "groups",
        "change",
        "remark",
        "verdict_before",
        "verdict_after",
    ])?;
    for one in found {
        for arm in &one.arms {
            writer.write_record(cells(one, arm)?)?;
        }
    }
    Ok(writer.into_inner()?)
}

fn cells(one: &RunComparison, arm: &ArmComparison) -> anyhow::Result<Vec<String>> {
    let number = |value: Option<f64>| value.map(|value| value.to_string()).unwrap_or_default();
    let count = |value: Option<usize>| value.map(|value| value.to_string()).unwrap_or_default();
    let word = |value: serde_json::Value| value.as_str().unwrap_or_default().to_owned();
    Ok(vec![
        one.reference.clone(),
        one.run.clone(),
        one.metric.clone(),
        arm.arm.clone(),
        number(arm.before),
        number(arm.after),
        number(arm.delta),
        number(arm.interval.map(|(low, _)| low)),
        number(arm.interval.map(|(_, high)| high)),
        word(serde_json::to_value(arm.scope)?),
        arm.seeds.to_string(),
        count(arm.items),
        count(arm.groups),
        word(serde_json::to_value(arm.word)?),
        arm.remark.clone(),
        arm.verdict_before.clone().unwrap_or_default(),
        arm.verdict_after.clone().unwrap_or_default(),
    ])
}
