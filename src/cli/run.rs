//! `run`: from a file to its tables.

use std::collections::BTreeSet;
use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use anyhow::Context as _;

use crate::base::Digest;
use crate::console::{self, Style};
use crate::events::{Event, Everyone, Listener};
use crate::onnx::runtime::Runtime;
use crate::pipeline::engine::{Engine as _, Parallel};
use crate::pipeline::execute::{Execution, Outcome};
use crate::pipeline::forecast;
use crate::pipeline::plan::Plan;
use crate::pipeline::spec::Source;
use crate::store::{RUN_FORMAT, RunNode, RunOutcome, RunRecord, Store};
use crate::tables;
use crate::train::Workshop;

use super::Exit;
use super::arguments::Common;
use super::check::{read, runtime_note, start_runtime, tell};
use super::revision::revision;

/// Runs a file.
pub(super) fn run(file: &Path, common: &Common) -> anyhow::Result<Exit> {
    let began = Instant::now();
    let runtime = start_runtime(common)?;
    tracing::info!("{} from {}", runtime.version(), runtime.origin);
    let store = Arc::new(Store::open(&common.store_folder())?);
    let (source, plan) = match read(file, common, runtime, Some(Arc::clone(&store))) {
        Ok(read) => read,
        Err(problems) => {
            tell(&problems);
            return Ok(Exit::Wrong);
        }
    };
    let mut record = describe(&source, &plan, common, runtime.version());
    let folder = common.results.join(&record.pipeline).join(&record.run);
    fs::create_dir_all(&folder).with_context(|| format!("make {}", folder.display()))?;
    let listener = listeners(common, &folder)?;
    listener.hear(&Event::RunStarted {
        pipeline: record.pipeline.clone(),
        run: record.run.clone(),
        nodes: plan.nodes.len(),
        runtime: runtime.version().to_owned(),
    });
    let notes = runtime_note(runtime, common).into_iter().chain(plan.notes.clone());
    notes.for_each(|text| listener.hear(&Event::Note { text }));
    if let Some(text) = predicted(&plan, &store, runtime, common) {
        listener.hear(&Event::Note { text });
    }
    let stop = stop_on_interrupt()?;
    let datasets = plan.datasets.clone();
    let execution = Arc::new(Execution::new(
        plan,
        Arc::clone(&store),
        Workshop::new(runtime),
        Arc::clone(&listener),
        Arc::clone(&stop),
        common.cores(),
    ));
    let outcomes = Parallel { cores: common.cores() }.run(&execution);
    record.nodes = execution.run_nodes(&outcomes);
    // Whoever was interrupted does not wait for files to be read.
    if !stop.load(Ordering::Relaxed) {
        record.tests = datasets.iter().filter_map(|data| data.tested()).collect();
    }
    record.save(&folder).with_context(|| format!("write {}", folder.display()))?;
    let summary = tables::write(&record, &store, &folder)?;
    keep_models(&record, &outcomes, &store, &folder)?;
    listener.hear(&finished(&record.nodes, began));
    let exit = exit(&record.nodes, &stop);
    // What was cut short is no result to go by.
    if exit == Exit::Good && common.limit.is_none() && common.only.is_empty() {
        point_latest(&folder)?;
    }
    let text = console::render(&summary);
    if !common.json && !text.is_empty() {
        console::out(&format!("\n{text}\n"));
    }
    if !common.json {
        console::out(&format!("tables in {}", folder.display()));
    }
    Ok(exit)
}

/// Runs thought to be over sooner than this begin without a word.
const SOON: f64 = 10.0;

/// How long the run will take, if that is long.
fn predicted(plan: &Plan, store: &Store, runtime: &Runtime, common: &Common) -> Option<String> {
    let forecast = forecast::of(plan, store, runtime, common.cores());
    let (all, hits) = (forecast.nodes.len(), forecast.hits());
    let told = || format!("{} of {all} nodes to do, {}", all - hits, console::time(&forecast));
    (forecast.seconds > SOON).then(told)
}

fn describe(source: &Source, plan: &Plan, common: &Common, runtime: &str) -> RunRecord {
    let now = jiff::Timestamp::now();
    let unique = Digest::of(format!("{now} {}", std::process::id()).as_bytes()).short();
    // With microseconds, so that ids sort by time.
    let stamp = now.strftime("%Y%m%d-%H%M%S-%6f").to_string();
    RunRecord {
        format: RUN_FORMAT,
        pipeline: plan.name.clone(),
        run: format!("{stamp}-{}", &unique[..4]),
        started: now.to_string(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        runtime: runtime.to_owned(),
        jobs: common.cores(),
        host: host(),
        revision: revision(&std::env::current_dir().unwrap_or_default()),
        text: source.text.clone(),
        sets: common.sets.clone(),
        limit: common.limit,
        only: common.only.clone(),
        seeds: plan.seeds.iter().map(|seed| seed.0).collect(),
        notes: plan.notes.clone(),
        skipped: plan.skipped.clone(),
        stages: plan.stages.clone(),
        nodes: vec![],
        tests: vec![],
        budget: plan.budget,
    }
}

fn host() -> String {
    let cores = std::thread::available_parallelism().map_or(0, std::num::NonZero::get);
    format!("{} {}, {cores} cores", std::env::consts::OS, std::env::consts::ARCH)
}

/// Whoever shows events, and the file that keeps them.
fn listeners(common: &Common, folder: &Path) -> anyhow::Result<Arc<dyn Listener>> {
    let style = match (common.json, common.quiet) {
        (true, _) => Style::Json,
        (_, true) => Style::Quiet,
        _ => Style::Person,
    };
    let kept = EventFile::create(&folder.join("events.jsonl"))?;
    Ok(Arc::new(Everyone::default().with(console::listener(style)).with(kept)))
}

/// Events as they come, one a line.
struct EventFile(Mutex<fs::File>);

impl EventFile {
    fn create(path: &Path) -> anyhow::Result<Self> {
        let file = fs::File::options().create_new(true).append(true).open(path);
        Ok(Self(Mutex::new(file.with_context(|| format!("make {}", path.display()))?)))
    }
}

impl Listener for EventFile {
    fn hear(&self, event: &Event) {
        if matches!(event, Event::Progress { .. }) {
            return;
        }
        if let Ok(line) = serde_json::to_string(event) {
            let mut file = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            // A full disk will be told by whoever writes results.
            let _ = writeln!(file, "{line}");
        }
    }
}

/// The first interrupt asks work to stop, the second ends the program.
fn stop_on_interrupt() -> anyhow::Result<Arc<AtomicBool>> {
    let stop = Arc::new(AtomicBool::new(false));
    let asked = Arc::clone(&stop);
    ctrlc::set_handler(move || {
        if asked.swap(true, Ordering::SeqCst) {
            end_now();
        }
        console::err("stopping; what is done is kept. Interrupt again to stop at once");
    })
    .context("listen for interrupts")?;
    Ok(stop)
}

#[expect(clippy::exit, reason = "the user asked twice; results are written whole or not at all")]
fn end_now() {
    std::process::exit(130);
}

/// Puts the models that stages wrote into the run's folder, under the stage's name.
fn keep_models(
    record: &RunRecord,
    outcomes: &[Arc<Outcome>],
    store: &Store,
    folder: &Path,
) -> anyhow::Result<()> {
    let mut taken = BTreeSet::new();
    for stage in &record.stages {
        for &node in &stage.nodes {
            let Outcome::Done { record: result, .. } = outcomes[node].as_ref() else { continue };
            let Some(model) = result.outputs.get("model") else { continue };
            let seed = record.nodes[node].seed.map(|seed| format!("-seed{seed}"));
            let mut name = format!("{}{}", file_name(&stage.name), seed.unwrap_or_default());
            // Names that differ in such characters alone must not end in one file.
            while !taken.insert(name.clone()) {
                name.push('_');
            }
            let name = format!("{name}.onnx");
            store
                .export(model, &folder.join("models").join(name))
                .context("put a model into the run's folder")?;
        }
    }
    Ok(())
}

/// A stage's name as a file name: `tuned[freeze=block1/relu2]` has characters that files avoid.
fn file_name(stage: &str) -> String {
    let plain = |letter: char| match letter {
        '[' | ']' | '/' | '\\' | ':' | ' ' => '_',
        other => other,
    };
    stage.chars().map(plain).collect::<String>().trim_end_matches('_').to_owned()
}

fn finished(nodes: &[RunNode], began: Instant) -> Event {
    let count = |outcome: RunOutcome| nodes.iter().filter(|node| node.outcome == outcome).count();
    Event::RunFinished {
        done: count(RunOutcome::Done),
        hits: count(RunOutcome::Hit),
        failed: count(RunOutcome::Failed),
        skipped: count(RunOutcome::Skipped),
        cancelled: count(RunOutcome::Cancelled),
        seconds: began.elapsed().as_secs_f64(),
    }
}

fn exit(nodes: &[RunNode], stop: &AtomicBool) -> Exit {
    let any = |outcome: RunOutcome| nodes.iter().any(|node| node.outcome == outcome);
    if stop.load(Ordering::Relaxed) && any(RunOutcome::Cancelled) {
        return Exit::Interrupted;
    }
    if any(RunOutcome::Failed) || any(RunOutcome::Skipped) {
        return Exit::StageFailed;
    }
    Exit::Good
}

/// Lets `latest` name the newest complete run.
fn point_latest(folder: &Path) -> anyhow::Result<()> {
    let (Some(parent), Some(name)) = (folder.parent(), folder.file_name()) else { return Ok(()) };
    let link: PathBuf = parent.join("latest");
    let fresh = parent.join(".latest.new");
    let _ = fs::remove_file(&fresh);
    #[cfg(unix)]
    std::os::unix::fs::symlink(name, &fresh).context("point `latest` to this run")?;
    #[cfg(not(unix))]
    crate::base::atomic::write(&fresh, name.as_encoded_bytes())
        .context("point `latest` to this run")?;
    fs::rename(&fresh, &link).context("point `latest` to this run")
}
