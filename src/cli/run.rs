//! `run`: from a file to its tables.

use std::collections::BTreeSet;
use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use anyhow::Context as _;

use crate::base::{Digest, Problems};
use crate::console::{self, Style};
use crate::events::{Event, Everyone, Listener};
use crate::onnx::runtime::Runtime;
use crate::pipeline::energy::{Meter, at_rest};
use crate::pipeline::engine::Parallel;
use crate::pipeline::execute::{Execution, Outcome};
use crate::pipeline::extension::Extensions;
use crate::pipeline::forecast;
use crate::pipeline::growth::Next;
use crate::pipeline::plan::Plan;
use crate::pipeline::spec::Source;
use crate::stages::OpenDataset;
use crate::store::{Key, RUN_FORMAT, RunEnergy, RunNode, RunOutcome, RunRecord, Store};
use crate::tables::{self, Summary, Tally};
use crate::train::Workshop;

use super::Exit;
use super::arguments::Common;
use super::check::{read, read_grown, runtime_note, start_runtime, tell};
use super::revision::revision;
use super::trials::{Worked, trials_first};

/// Runs a file.
pub(super) fn run(file: &Path, common: &Common) -> anyhow::Result<Exit> {
    let began = Instant::now();
    let runtime = start_runtime(common)?;
    tracing::info!("{} from {}", runtime.version(), runtime.origin);
    let store = Arc::new(Store::open(&common.store_folder())?);
    let (source, plan) = match read(file, common, runtime, Some(&store)) {
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
    let warnings = plan.warnings.iter().cloned();
    warnings.for_each(|(label, text)| listener.hear(&Event::Warning { label, text }));
    if let Some(text) = predicted(&plan, &store, runtime, common) {
        listener.hear(&Event::Note { text });
    }
    let stop = stop_on_interrupt()?;
    look_at_rest(&plan, &mut record, (&listener, &stop));
    let meter = Arc::new(Meter::of_machine(plan.on_gpu));
    let measured = Instant::now();
    let mut looks = Looks {
        file,
        common,
        runtime,
        store: &store,
        listener: &listener,
        stop: &stop,
        meter: &meter,
    };
    let Looked { datasets, outcomes } = match looks.take(plan, &mut record)? {
        Ok(looked) => looked,
        Err(problems) => {
            tell(&problems);
            return Ok(Exit::Wrong);
        }
    };
    record.energy.seconds = measured.elapsed().as_secs_f64();
    match meter.whole() {
        Ok(energy) => record.energy.measured = Some(energy),
        Err(reason) => record.energy.reason = Some(reason),
    }
    // Whoever was interrupted does not wait for files to be read, unless something was scored.
    if !stop.load(Ordering::Relaxed) || tables::is_scored(&record) {
        record.tests = datasets.iter().filter_map(|data| data.tested()).collect();
    }
    record.looks = tables::look(&record, &store)?;
    record.save(&folder).with_context(|| format!("write {}", folder.display()))?;
    let summary = tables::write(&record, &store, &folder)?;
    keep_models(&record, &outcomes, &store, &folder)?;
    listener.hear(&finished(&record.nodes, began));
    let exit = exit(&record.nodes, &stop);
    // What was cut short is no result to go by.
    if exit == Exit::Good && common.limit.is_none() && common.only.is_empty() {
        point_latest(&folder)?;
        summary.lines.keep(&store)?;
    }
    let text = console::render(&summary);
    if !common.json && !text.is_empty() {
        console::out(&format!("\n{text}\n"));
    }
    let record = recorded(&summary, &store)?;
    if !common.json && !record.is_empty() {
        console::out(&format!("so far, in this store:\n{record}\n"));
    }
    if !common.json {
        console::out(&format!("tables in {}", folder.display()));
    }
    Ok(exit)
}

/// Measures the machine before any work, if the file asks for that.
fn look_at_rest(
    plan: &Plan,
    record: &mut RunRecord,
    (listener, stop): (&Arc<dyn Listener>, &AtomicBool),
) {
    if !plan.energy.as_ref().is_some_and(|energy| energy.idle) {
        return;
    }
    listener.hear(&Event::Note { text: "looking at the machine at rest for 10 s".to_owned() });
    match at_rest(plan.on_gpu, stop) {
        Ok(watts) => record.energy.idle_w = Some(watts),
        Err(reason) => record.energy.idle_reason = Some(reason),
    }
}

/// How often the scores that this run judged were wrong so far.
fn recorded(summary: &Summary, store: &Store) -> anyhow::Result<String> {
    let judged = |tally: &Tally| {
        let lines = summary.lines.scores.iter().map(|(_, line)| line);
        lines.into_iter().any(|l| l.score == tally.score && l.question == tally.question)
    };
    if summary.lines.scores.is_empty() {
        return Ok(String::new());
    }
    let record = tables::running_record(store)?;
    let tallies: Vec<Tally> = record.scores.into_iter().filter(judged).collect();
    Ok(console::render_tallies(&tallies))
}

/// Looks at a study: once, or while it grows.
struct Looks<'a> {
    file: &'a Path,
    common: &'a Common,
    runtime: &'static Runtime,
    store: &'a Arc<Store>,
    listener: &'a Arc<dyn Listener>,
    stop: &'a Arc<AtomicBool>,
    meter: &'a Arc<Meter>,
}

/// What the last look left.
struct Looked {
    datasets: Vec<Arc<OpenDataset>>,
    outcomes: Vec<Arc<Outcome>>,
}

impl Looks<'_> {
    /// Does the work of a plan, and of those that follow while verdicts are open. What is told of the
    /// nodes in `record` is what became of them in the whole run.
    fn take(
        &mut self,
        mut plan: Plan,
        record: &mut RunRecord,
    ) -> anyhow::Result<Result<Looked, Problems>> {
        let (mut made, mut grown) = (BTreeSet::new(), None);
        loop {
            let (growth, datasets, seeds) =
                (plan.growth.clone(), plan.datasets.clone(), plan.seeds.len());
            let told = plan.extensions().notes().len();
            let Worked { nodes, outcomes, longer } = self.work(plan);
            record.nodes = nodes;
            record.nodes.iter_mut().for_each(|node| keep_made(node, &mut made));
            if let Some(extensions) = longer {
                plan = match self.lengthened(told, grown, extensions) {
                    Ok(plan) => plan,
                    Err(problems) => return Ok(Err(problems)),
                };
                redescribe(record, &plan);
                continue;
            }
            let looked = Looked { datasets, outcomes };
            let Some(growth) = growth.filter(|_| self.may_grow(&record.nodes)) else {
                return Ok(Ok(looked));
            };
            match growth.next(&record.stages, seeds, &looked.outcomes, self.store) {
                Next::Stop { text } => {
                    self.listener.hear(&Event::Note { text: text.clone() });
                    record.notes.push(text);
                    return Ok(Ok(looked));
                }
                Next::Grow { seeds, text } => {
                    grown = Some(seeds);
                    plan = match self.plan(grown, Extensions::default()) {
                        Ok(plan) => plan,
                        Err(problems) => return Ok(Err(problems)),
                    };
                    let nodes = plan.nodes.len();
                    self.listener.hear(&Event::Grown { seeds, nodes, text });
                    redescribe(record, &plan);
                }
            }
        }
    }

    /// The plan for so many seeds with learning rates that have grown this far.
    fn plan(&self, seeds: Option<usize>, extensions: Extensions) -> Result<Plan, Problems> {
        let grown = (seeds, extensions);
        let read = read_grown(self.file, self.common, self.runtime, Some(self.store), grown);
        read.map(|(_, plan)| plan)
    }

    /// The same, told to whoever listens; so many notes on lists that have grown were told before.
    fn lengthened(
        &self,
        told: usize,
        seeds: Option<usize>,
        extensions: Extensions,
    ) -> Result<Plan, Problems> {
        let plan = self.plan(seeds, extensions)?;
        let text = plan.extensions().notes().get(told..).unwrap_or_default().join("; ");
        self.listener.hear(&Event::Extended { nodes: plan.nodes.len(), text });
        Ok(plan)
    }

    /// Does the work of a plan, or of its trials alone if these let lists of learning rates grow.
    fn work(&self, plan: Plan) -> Worked {
        let execution = Execution::new(
            plan,
            Arc::clone(self.store),
            Workshop::new(self.runtime),
            Arc::clone(self.listener),
            Arc::clone(self.stop),
            self.common.cores(),
        );
        let execution = Arc::new(execution.metered(Arc::clone(self.meter)));
        let engine = Parallel { cores: self.common.cores() };
        trials_first(&execution, engine, self.store, self.stop)
    }

    /// Whether there is anything to go by: what failed or was interrupted is mended first.
    fn may_grow(&self, nodes: &[RunNode]) -> bool {
        !self.stop.load(Ordering::Relaxed)
            && nodes.iter().all(|node| node.outcome != RunOutcome::Cancelled)
    }
}

/// What an earlier look of this run made was not there already.
fn keep_made(node: &mut RunNode, made: &mut BTreeSet<Key>) {
    let Some(key) = node.key else { return };
    match node.outcome {
        RunOutcome::Done => {
            made.insert(key);
        }
        RunOutcome::Hit if made.contains(&key) => node.outcome = RunOutcome::Done,
        _ => {}
    }
}

/// What a plan says of the run.
fn redescribe(record: &mut RunRecord, plan: &Plan) {
    record.seeds = plan.seeds.iter().map(|seed| seed.0).collect();
    record.notes.clone_from(&plan.notes);
    record.skipped.clone_from(&plan.skipped);
    record.stages.clone_from(&plan.stages);
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
        leaks: plan.leaks.clone(),
        models: plan.models.clone(),
        stages: plan.stages.clone(),
        nodes: vec![],
        tests: vec![],
        energy: RunEnergy {
            carbon: plan.energy.as_ref().and_then(|energy| Some(energy.carbon?.get())),
            allow_estimate: plan.energy.as_ref().is_some_and(|energy| energy.allow_estimate),
            ..RunEnergy::default()
        },
        looks: vec![],
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
    // A name of its own, since another run may be at this point too.
    let fresh = parent.join(format!(".latest.{}", name.display()));
    let _ = fs::remove_file(&fresh);
    #[cfg(unix)]
    std::os::unix::fs::symlink(name, &fresh).context("point `latest` to this run")?;
    #[cfg(not(unix))]
    crate::base::atomic::write(&fresh, name.as_encoded_bytes())
        .context("point `latest` to this run")?;
    fs::rename(&fresh, &link).context("point `latest` to this run")
}
