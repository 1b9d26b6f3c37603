//! From a document to a sealed plan: every name resolved, every model looked at, every node there.
//! Does no work; whatever is wrong is told at once.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;

use crate::base::{Found, Limits, Located, Place, Problem, Problems, Seed};
use crate::data::{
    Copies, Dataset, FindAcross, FindCopies, OnBad, OnLeak, OpenError, Survey, odd_groups,
};
use crate::onnx::budget::Budget;
use crate::onnx::runtime::{Device, Runtime};
use crate::stages::{Input, Look, Node, NodeId, OpenDataset, Planned, Site, StageKind, full_name};
use crate::store::{RunLeaks, RunModel, RunSkipped, RunStage};
use crate::transferability::advisor::Outcome;

use super::extension::{self, Extensions, Group};
use super::growth::{self, Growth};
use super::models::open_model;
use super::settings::Origins;
use super::spec::{Combination, DatasetSpec, Document, EnergySpec, Seeds, Source, StageSpec};
use super::{budget, facts, leaks, models, only, sealed};

/// A sealed plan. Each node comes after those it reads, so there are no cycles.
pub struct Plan {
    /// The pipeline's name.
    pub name: String,
    /// Repetitions.
    pub seeds: Vec<Seed>,
    /// How they grow while verdicts are open, if they do.
    pub growth: Option<Growth>,
    /// The work.
    pub nodes: Vec<Node>,
    /// Arms whose lists of learning rates may grow together.
    pub(super) groups: Vec<Group>,
    /// By what they have grown so far.
    pub(super) extensions: Extensions,
    /// What a reader should know before any work.
    pub notes: Vec<String>,
    /// What it is about, for a reader: a line for each data set and each model that is trained.
    pub facts: Vec<String>,
    /// Base models of the file.
    pub models: Vec<RunModel>,
    /// Stages with what tables tell of them.
    pub stages: Vec<RunStage>,
    /// Items left out because they cannot be read.
    pub skipped: Vec<RunSkipped>,
    /// Copies among the items of data sets that are tested on.
    pub leaks: Vec<RunLeaks>,
    /// What may be wrong with data sets: the name of each and what may be wrong.
    pub warnings: Vec<(String, String)>,
    /// The data sets.
    pub datasets: Vec<Arc<OpenDataset>>,
    /// What is told of energy beside what the machine counts.
    pub energy: Option<EnergySpec>,
    /// Whether a GPU computes.
    pub on_gpu: bool,
    /// What a small device has, if the file says.
    pub budget: Option<Limits>,
}

/// What a plan is built from.
pub struct Request<'a> {
    /// The file.
    pub source: &'a Source,
    /// The folder that its paths are relative to.
    pub beside: &'a Path,
    /// `--set` of the command line.
    pub sets: &'a [(String, String)],
    /// `--seeds` of the command line.
    pub seeds: Option<usize>,
    /// Seeds of a later look at a study that grows.
    pub grown: Option<usize>,
    /// By what lists of learning rates have grown so far.
    pub extensions: Extensions,
    /// `--limit` of the command line: items of each part at most.
    pub limit: Option<usize>,
    /// `--only` of the command line: stages, with or without axes.
    pub only: &'a [String],
    /// Looks at models.
    pub look: Look,
    /// Finds items that cannot be read.
    pub survey: Survey,
    /// Finds copies among items.
    pub copies: FindCopies,
    /// Finds copies across data sets.
    pub across: FindAcross,
    /// What will compute; it is told the device of the file.
    pub runtime: &'a Runtime,
    /// What came of earlier advice.
    pub outcomes: Vec<Outcome>,
}

/// Builds a plan, or tells everything that is wrong.
pub fn build(request: &Request<'_>) -> Result<Plan, Problems> {
    let mut found = Found::default();
    let document = super::spec::read(request.source, request.sets, &mut found);
    let Some(document) = document else {
        found.into_result(&request.source.name, &request.source.text)?;
        return Err(request.source.problem(Problem::anywhere("the file cannot be read")));
    };
    let mut builder = Builder::open(&document, request, found);
    builder.plan_stages(&document);
    let Builder { mut site, mut stages, mut warnings, growth, pairs, .. } = builder;
    let mut leaks = leaks::found(&document, &request.copies, &mut site, &mut warnings);
    leaks.extend(leaks::across(&document, &request.across, &mut site, &mut warnings));
    sealed::advise_first(&mut site, &mut stages);
    if let Seeds::Until(until) = &document.seeds {
        Growth::check(until, &stages, &mut site);
    }
    only::keep(request.only, &mut site, &mut stages);
    let growth = growth.map(|growth| growth.planned(&site));
    let budget = document.budget.as_ref().map(Budget::limits);
    if let Some(limits) = &budget {
        budget::note(limits, &mut site);
    }
    let facts = facts::of(&site);
    let skipped = skipped(&site);
    let models = models::recorded(&document, &site);
    choose_device(&document.device, request.runtime, &mut site);
    site.found.into_result(&request.source.name, &request.source.text)?;
    let extensions = request.extensions.clone();
    let groups = extension::groups(&pairs, &stages, &site.nodes, &extensions);
    let limit = request.limit.map(|most| {
        format!("at most {most} items of each part: good for trying out, not for conclusions")
    });
    Ok(Plan {
        name: document.name.0.clone(),
        seeds: site.seeds,
        growth,
        nodes: site.nodes,
        groups,
        notes: limit
            .into_iter()
            .chain(site.notes)
            .chain(extensions.notes().iter().cloned())
            .collect(),
        extensions,
        facts,
        models,
        stages,
        skipped,
        leaks,
        warnings,
        datasets: site.datasets.into_values().flatten().collect(),
        energy: document.energy.clone(),
        on_gpu: document.device.value == Device::Cuda,
        budget,
    })
}

fn skipped(site: &Site) -> Vec<RunSkipped> {
    let of_data = |data: &Arc<OpenDataset>| {
        let entry = |skipped: &crate::data::Skipped| RunSkipped {
            dataset: data.name.clone(),
            item: skipped.id.clone(),
            reason: skipped.reason.clone(),
        };
        data.dataset.skipped().iter().map(entry).collect::<Vec<_>>()
    };
    site.datasets.values().flatten().flat_map(of_data).collect()
}

/// Models were looked at on the processor, where the answers are the same; what follows computes on
/// the device of the file.
fn choose_device(device: &Located<Device>, runtime: &Runtime, site: &mut Site) {
    let Err(reason) = runtime.compute_on(&device.value) else { return };
    let help = "name a library that has CUDA by `--runtime PATH` (the Python package onnxruntime-gpu \
                holds one), or write `device: cpu`";
    site.problem(Problem::at(device.place, reason).help(help));
}

struct Builder {
    site: Site,
    origins: Origins,
    stages: Vec<RunStage>,
    warnings: Vec<(String, String)>,
    growth: Option<Growth>,
    /// Arms of verdicts with what they are compared with.
    pairs: Vec<[String; 2]>,
}

/// The repetitions of a document: those of the command line, of a look, or of the file.
fn seeds(document: &Document, request: &Request<'_>) -> (Vec<Seed>, Option<Growth>) {
    match (request.seeds, &document.seeds) {
        (Some(count), _) => (growth::numbers(count), None),
        (None, Seeds::Listed(seeds)) => (seeds.iter().map(|&seed| Seed(seed)).collect(), None),
        (None, Seeds::Until(until)) => {
            let count = request.grown.unwrap_or(until.first.0);
            (growth::numbers(count), Some(Growth::new(until)))
        }
    }
}

impl Builder {
    fn open(document: &Document, request: &Request<'_>, found: Found) -> Self {
        let (seeds, growth) = seeds(document, request);
        let interim = growth.as_ref().and_then(|growth| growth.look(seeds.len()));
        let mut site = Site::new(seeds, found, Arc::clone(&request.look));
        site.outcomes.clone_from(&request.outcomes);
        site.interim = interim;
        site.extended = request.extensions.rates();
        if document.stages.entries.is_empty() && document.stages.broken.is_empty() {
            let help = "write `stages:` with at least one stage";
            site.problem(Problem::anywhere("the pipeline has no stages").help(help));
        }
        let mut warnings = Vec::new();
        for (name, spec) in &document.datasets.entries {
            let opened = open_dataset(name, spec, request, &mut site, &mut warnings);
            insert_once(&mut site, name, "data set", |site| &mut site.datasets, opened);
        }
        for (name, spec) in &document.models.entries {
            let opened = open_model(name, spec, request, &mut site);
            insert_once(&mut site, name, "model", |site| &mut site.models, opened);
        }
        site.datasets.extend(document.datasets.broken.iter().map(|name| (name.clone(), None)));
        site.models.extend(document.models.broken.iter().map(|name| (name.clone(), None)));
        site.stage_names = document.stages.entries.iter().map(|(name, _)| name.0.clone()).collect();
        site.stage_names.extend(document.stages.broken.iter().cloned());
        for (name, _) in &document.stages.entries {
            if site.models.contains_key(&name.0) {
                let message = format!("`{}` names both a model and a stage", name.0);
                site.problem(Problem::at(name.place, message).help("rename one of them"));
            }
        }
        Self {
            site,
            origins: Origins::of(document),
            stages: vec![],
            warnings,
            growth,
            pairs: vec![],
        }
    }

    fn plan_stages(&mut self, document: &Document) {
        let mut drafts = Vec::new();
        for (name, spec) in &document.stages.entries {
            drafts.push(self.draft(name, spec));
        }
        let Some(order) = self.order(&drafts) else { return };
        for index in order {
            let draft = &drafts[index];
            for variant in &draft.variants {
                self.plan_variant(draft, variant);
            }
        }
    }

    /// Reads every combination of a stage.
    fn draft<'a>(
        &mut self,
        name: &'a Located<crate::stages::Name>,
        spec: &'a StageSpec,
    ) -> Draft<'a> {
        let combinations = spec.combinations(&mut self.site.found);
        let read = |combination: Combination| Variant {
            kind: StageKind::read(&spec.word, &combination.body, &mut self.site.found),
            axes: combination.axes,
        };
        let variants = combinations.into_iter().map(read).collect();
        Draft { name, spec, variants }
    }

    /// An order in which each stage comes after those it refers to.
    fn order(&mut self, drafts: &[Draft<'_>]) -> Option<Vec<usize>> {
        let position: BTreeMap<&str, usize> = drafts
            .iter()
            .enumerate()
            .map(|(index, draft)| (draft.name.0.as_str(), index))
            .collect();
        let mut before: Vec<BTreeMap<usize, Place>> = drafts
            .iter()
            .map(|draft| {
                let named = draft.references();
                let known = named.into_iter().filter_map(|(stage, place)| {
                    position.get(stage.as_str()).map(|&index| (index, place))
                });
                known.collect()
            })
            .collect();
        let kinds: Vec<&str> = drafts.iter().map(|draft| draft.spec.word.value.as_str()).collect();
        let places: Vec<Place> = drafts.iter().map(|draft| draft.name.place).collect();
        sealed::first(&kinds, &places, &mut before);
        let mut order = Vec::new();
        let mut done = BTreeSet::new();
        while order.len() < drafts.len() {
            let ready = (0..drafts.len()).find(|index| {
                !done.contains(index) && before[*index].keys().all(|earlier| done.contains(earlier))
            });
            let Some(next) = ready else {
                self.tell_cycle(drafts, &before, &done);
                return None;
            };
            done.insert(next);
            order.push(next);
        }
        Some(order)
    }

    fn tell_cycle(
        &mut self,
        drafts: &[Draft<'_>],
        before: &[BTreeMap<usize, Place>],
        done: &BTreeSet<usize>,
    ) {
        // Going back from any stage that is left, one comes round sooner or later.
        let mut path: Vec<usize> = Vec::new();
        let mut at = (0..drafts.len()).find(|index| !done.contains(index)).unwrap_or_default();
        while !path.contains(&at) {
            path.push(at);
            let earlier = before[at].keys().find(|earlier| !done.contains(earlier));
            at = earlier.copied().unwrap_or(at);
        }
        let start = path.iter().position(|&index| index == at).unwrap_or_default();
        let mut round: Vec<&str> =
            path[start..].iter().map(|&index| drafts[index].name.0.as_str()).collect();
        round.push(round[0]);
        let place = before[at].iter().find(|(earlier, _)| !done.contains(earlier));
        let place = place.map_or(drafts[at].name.place, |(_, place)| *place);
        let message = format!("the stages need each other: {}", round.join(" ← "));
        self.site.problem(Problem::at(place, message).help("take one of these references away"));
    }

    fn plan_variant(&mut self, draft: &Draft<'_>, variant: &Variant) {
        let site = &mut self.site;
        site.stage = full_name(&draft.name.0, &variant.axes);
        site.place = draft.name.place;
        let first = site.nodes.len();
        let offers = variant.kind.as_ref().and_then(|kind| kind.plan(site));
        let mut needed = draft.needs(site);
        needed.extend(offers.iter().flat_map(|offers| sealed::before(offers, site)));
        for node in first..site.nodes.len() {
            let own = site.nodes[node].stage == site.stage;
            if own {
                site.nodes[node].inputs.extend(needed.iter().cloned());
            }
        }
        if let (Some(kind), Some(offers)) = (&variant.kind, &offers) {
            let mut stage = describe(&site.stage, draft, variant, kind, offers, site, first);
            let arm = offers.classifier.as_ref().map(|classifier| &classifier.arm);
            stage.setting = arm.and_then(|arm| self.origins.setting(arm, site));
            self.stages.push(stage);
            let name = |index: usize| offers.verdict_of.get(index).cloned().unwrap_or_default();
            let pairs = offers.pairs.iter().map(|&(arm, baseline)| [name(arm), name(baseline)]);
            self.pairs.extend(pairs);
        }
        site.planned.push(Planned {
            stage: draft.name.0.clone(),
            axes: variant.axes.clone(),
            offers,
        });
    }
}

/// A stage with all its combinations.
struct Draft<'a> {
    name: &'a Located<crate::stages::Name>,
    spec: &'a StageSpec,
    variants: Vec<Variant>,
}

struct Variant {
    axes: Vec<(String, String)>,
    kind: Option<StageKind>,
}

impl Draft<'_> {
    fn references(&self) -> Vec<(String, Place)> {
        let of_kinds = self.variants.iter().filter_map(|variant| variant.kind.as_ref());
        let mut named: Vec<(String, Place)> = of_kinds
            .flat_map(StageKind::references)
            .map(|reference| (reference.stage.clone(), reference.place))
            .collect();
        named.extend(self.spec.needs.iter().map(|r| (r.stage.clone(), r.place)));
        named
    }

    /// Inputs that only say what comes first.
    fn needs(&self, site: &mut Site) -> Vec<Input> {
        let mut inputs = Vec::new();
        for reference in &self.spec.needs {
            for planned in site.matching(reference).unwrap_or_default() {
                let name = full_name(&planned.stage, &planned.axes);
                let nodes: Vec<usize> =
                    (0..site.nodes.len()).filter(|&node| site.nodes[node].stage == name).collect();
                inputs.extend(nodes.into_iter().map(|node| Input::order(NodeId(node))));
            }
        }
        inputs
    }
}

/// What tables tell of a stage.
fn describe(
    name: &str,
    draft: &Draft<'_>,
    variant: &Variant,
    kind: &StageKind,
    offers: &crate::stages::Offers,
    site: &Site,
    first: usize,
) -> RunStage {
    let arm = offers.classifier.as_ref().map(|classifier| serde_json::json!(classifier.arm));
    let runs = |runs: &crate::stages::Runs| runs.all().iter().map(|node| node.0).collect();
    let last = site.nodes.len().checked_sub(1).filter(|_| site.nodes.len() > first);
    RunStage {
        name: name.to_owned(),
        stage: draft.name.0.clone(),
        axes: variant.axes.clone(),
        kind: kind.word().to_owned(),
        arm,
        setting: None,
        nodes: match (&offers.classifier, &offers.features) {
            (Some(classifier), _) => runs(&classifier.runs),
            (None, Some(features)) => runs(&features.runs),
            (None, None) => last.into_iter().collect(),
        },
        scored: offers
            .scores
            .iter()
            .flat_map(|scores| &scores.arms)
            .map(|arm| (arm.name(), arm.runs.all().iter().map(|node| node.0).collect()))
            .collect(),
        compared: offers.verdict_of.clone(),
        estimated: offers.estimates.iter().flat_map(sealed::recorded).collect(),
        advised: offers.advice.as_ref().map(sealed::advised),
    }
}

fn insert_once<T>(
    site: &mut Site,
    name: &Located<crate::stages::Name>,
    what: &str,
    table: impl Fn(&mut Site) -> &mut BTreeMap<String, T>,
    value: T,
) {
    if table(site).insert(name.0.clone(), value).is_some() {
        let message = format!("two {what}s are called `{}`", name.0);
        site.problem(Problem::at(name.place, message));
    }
}

/// A data set as it is used: opened, a part of it taken, without items that cannot be read if that is
/// asked for.
fn read_dataset(
    name: &str,
    spec: &DatasetSpec,
    request: &Request<'_>,
    site: &mut Site,
) -> Option<Dataset> {
    let told = |place: Place, error: OpenError| {
        let problem = Problem::at(place, format!("data set `{name}`: {}", error.message));
        match error.help {
            Some(help) => problem.help(help),
            None => problem,
        }
    };
    let given = spec.split.given.as_ref();
    let opened = spec.format.open(request.beside, given);
    let opened = site.found.keep(opened.map_err(|error| told(spec.format.place, error)))?;
    let selected = match &spec.select {
        None => Ok(opened),
        Some(select) => select.apply(opened).map_err(|error| told(select.place, error)),
    };
    let selected = site.found.keep(selected)?;
    match spec.on_bad {
        OnBad::Fail => Some(selected),
        OnBad::Skip => {
            let unreadable = (request.survey)(&selected);
            let read = selected.skipping(&unreadable);
            site.found.keep(read.map_err(|error| told(spec.format.place, error)))
        }
    }
}

fn open_dataset(
    name: &Located<crate::stages::Name>,
    spec: &DatasetSpec,
    request: &Request<'_>,
    site: &mut Site,
    warnings: &mut Vec<(String, String)>,
) -> Option<Arc<OpenDataset>> {
    let selected = read_dataset(&name.0, spec, request, site)?;
    if let Some(odd) = odd_groups(&selected) {
        if odd.is_fatal {
            let message = format!("data set `{}`: {}", name.0, odd.message);
            site.problem(Problem::at(spec.format.place, message).help(odd.help));
            return None;
        }
        warnings.push((name.0.clone(), format!("{}; {}", odd.message, odd.help)));
    }
    for note in selected.notes() {
        site.note(format!("{}: {note}", name.0));
    }
    if let [only] = selected.classes() {
        let place = spec.select.as_ref().map_or(spec.format.place, |select| select.place);
        let message = format!("data set `{}`: all items are of one class, `{only}`", name.0);
        let problem = Problem::at(place, message).help("at least two classes can be told apart");
        site.alike.insert(name.0.clone(), problem);
    }
    let are_images = spec.format.is_images();
    let apart = match spec.on_leak.value {
        OnLeak::DropFromTrain => (request.copies)(&selected, are_images),
        OnLeak::Warn | OnLeak::Fail | OnLeak::Ignore => Copies::default(),
    };
    let data = OpenDataset::new(&name.0, selected, are_images, spec.split.value.clone());
    let data = data.apart(apart);
    // Every seed has to have a split, or the stages that use it would each tell the same.
    let refused = |error: crate::data::SplitError| {
        let message = format!("data set `{}`: {}", name.0, error.message);
        Problem::at(spec.split.place, message).help(error.help)
    };
    let split = data.split(site.seeds.first().copied().unwrap_or(Seed(0)));
    site.found.keep(split.map_err(refused))?;
    let Some(most) = request.limit else { return Some(Arc::new(data)) };
    let limited = data.limited(most, &site.seeds).map_err(refused);
    site.found.keep(limited).map(Arc::new)
}
