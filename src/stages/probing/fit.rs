//! The work of every probe: scale, choose, fit, say.

use std::sync::Arc;

use ndarray::{Array2, ArrayView1, Axis, concatenate};
use serde_json::{Value as Json, json};

use crate::base::{Seed, Target};
use crate::data::Open;
use crate::probe::{
    Calibrator, Choice, Family, Grid, Logistic, Named, Plan, Pool, ProbeError, Scaler, Selected,
    Settings, Targets, Unfit, Values, select,
};
use crate::train::Rows as _;

use super::super::artifacts::{ArrayRows, Chosen, Predictions, Selection, put_json};
use super::super::class_weights::ClassWeights;
use super::super::data::Sample;
use super::super::effort::{Effort, written};
use super::super::job::{Context, Cores, Failure, Job, Learning, Outputs, Speed};
use super::super::probabilities::best;
use super::super::targets::{log_odds, told_columns, told_labels};
use super::across::Elsewhere;
use super::bridge::Bridge;
use super::options::{Choosing, Positions};
use super::{FEATURES, told};

/// Fits one kind of probe on rows of numbers.
pub(crate) struct Fit {
    /// The word of the stage's kind.
    pub(crate) kind: &'static str,
    /// What features are called in the file, for messages; nothing if they are pixels.
    pub(crate) of: String,
    pub(crate) sample: Sample,
    pub(crate) family: Arc<dyn Family>,
    /// Everything that the family was told.
    pub(crate) settings: Json,
    pub(crate) values: Arc<dyn Values>,
    pub(crate) choosing: Choosing,
    /// Whether each class chooses for itself.
    pub(crate) per_class: bool,
    /// What decisions are weighed with; probabilities stay what they are.
    pub(crate) decide: ClassWeights,
    /// Whom it speaks of, if not of the items that it learns on.
    pub(crate) elsewhere: Option<Elsewhere>,
}

/// The port of features that a probe speaks of, if not of those it learns on.
pub(super) const TOLD: &str = "told";
/// The port of what it says of those it learns on, if it speaks of others.
pub(crate) const AT_HOME: &str = "at_home";

/// What a fit leaves.
pub(crate) struct Fitting {
    pub(crate) scaler: Scaler,
    pub(super) bridge: Option<Bridge>,
    pool: Pool,
    pub(crate) selected: Selected,
    /// What a reader should know of the items held out.
    notes: Vec<String>,
}

impl Job for Fit {
    fn kind(&self) -> &'static str {
        self.kind
    }

    /// 1: first. 2: solvers of our own.
    fn version(&self) -> u32 {
        3
    }

    fn parameters(&self) -> Result<Json, Failure> {
        let mut key = json!({
            "sample": self.sample.key()?,
            "family": self.settings,
            "values": self.values.key(),
            "choosing": self.choosing.key(),
            "per_class": self.per_class,
            "decide": self.decide,
        });
        if let Some(elsewhere) = &self.elsewhere {
            key["elsewhere"] = elsewhere.key()?;
        }
        Ok(key)
    }

    fn learns(&self) -> Option<Learning> {
        Some(Learning { items: self.trained_on(), batch: None })
    }

    fn cores(&self) -> Cores {
        Cores::Share
    }

    fn expected(&self, _speed: Speed) -> f64 {
        let fits = self.values.first().len() * self.choosing.rounds();
        1e-4 * (self.sample.train.len() * fits) as f64
    }

    fn run(&self, context: &Context<'_>) -> Result<Outputs, Failure> {
        let rows = ArrayRows::open(context.bytes(FEATURES)?)?;
        let fitting = self.on(&rows, context)?;
        let calibrator = self.calibrator(&fitting.pool, &fitting.selected)?;
        let own = fitting.of_learnt(everyone(&rows, &self.sample), context.cores);
        let mut told = self.predictions(&self.sample, &own, &fitting, calibrator.as_ref())?;
        let mut outputs = Outputs::default();
        if let Some(elsewhere) = &self.elsewhere {
            outputs = outputs.with(AT_HOME, told.save(context.store)?);
            let rows = ArrayRows::open(context.bytes(TOLD)?)?;
            let others = fitting.of_told(everyone(&rows, &elsewhere.sample), context.cores);
            told = self.predictions(&elsewhere.sample, &others, &fitting, calibrator.as_ref())?;
        }
        let Fitting { selected: Selected { fitted, choice, .. }, notes, .. } = fitting;
        told.selection = choice.as_ref().map(selection);
        let outputs = outputs.with("predictions", told.save(context.store)?);
        let mut outputs = outputs.fact("trained_on", self.trained_on());
        outputs.warnings.extend(notes.into_iter().chain(fitted.note()));
        let outputs = self.sample.with_flipped(outputs);
        Ok(match choice {
            Some(choice) => {
                let outputs = with_choice(outputs, &choice);
                let classes = self.sample.data.dataset.names().to_vec();
                let chosen = put_json(context.store, "selection", &Chosen { choice, classes })?;
                outputs.with("selection", chosen)
            }
            None => outputs,
        })
    }
}

impl Fit {
    /// What it may spend: fits of numbers that are there already, which are no trainings.
    pub(crate) fn effort(&self) -> Effort {
        let values = self.values.first();
        let effort = Effort::default().amount("fits", values.len() * self.choosing.rounds());
        let effort = match values.len() {
            0 | 1 => effort,
            _ => effort.kind("search_space", written(&self.values.key())),
        };
        let val = self.sample.split.val.len();
        effort
            .kind("selection", self.choosing.told(val))
            .amount("train_items", self.sample.train.len())
    }

    /// The same, with the passes that its features take.
    pub(crate) fn effort_on(&self, macs: Option<u64>) -> Effort {
        let items = self.sample.train.len() + self.sample.split.val.len();
        self.effort().network_macs(items as f64 * macs.unwrap_or(0) as f64)
    }

    /// Logistic regression, whatever the rows are.
    pub(crate) fn logistic(
        kind: &'static str,
        sample: Sample,
        c: &Grid,
        choosing: &Choosing,
    ) -> Self {
        let settings = exactness(c);
        let told = json!({ "tolerance": settings.tolerance });
        let family = Arc::new(Logistic { settings });
        Self::new(kind, sample, family, told, Arc::new(c.clone()), choosing)
    }

    /// A probe of which each class counts the same when it is decided, and all choose together.
    pub(crate) fn new(
        kind: &'static str,
        sample: Sample,
        family: Arc<dyn Family>,
        settings: Json,
        values: Arc<dyn Values>,
        choosing: &Choosing,
    ) -> Self {
        let choosing = choosing.clone();
        let (of, per_class, decide) = (String::new(), false, ClassWeights::None);
        let elsewhere = None;
        Self { kind, of, sample, family, settings, values, choosing, per_class, decide, elsewhere }
    }

    /// Scales, chooses, fits.
    pub(crate) fn on(&self, rows: &ArrayRows, context: &Context<'_>) -> Result<Fitting, Failure> {
        let threads = context.cores;
        let open = self.sample.open();
        let train = matrix(rows, open.train());
        let scaler = Scaler::of_parts(&self.choosing.normalize, &train.view(), &rows.blocks());
        let bridge = match &self.elsewhere {
            Some(elsewhere) => Some(self.bridge(elsewhere, rows, &scaler, context)?),
            None => None,
        };
        let val = matrix(rows, open.val());
        let features = concatenate(Axis(0), &[train.view(), val.view()]);
        let features = scaler.apply(features.expect("both have the features of one layer"));
        let features = match bridge.as_ref().and_then(|bridge| bridge.alignment.as_ref()) {
            Some(alignment) => alignment.of_source(features, threads),
            None => features,
        };
        let (targets, train) = (targets(&self.sample, open), open.train().len());
        let pool = Pool { features, targets, train, threads };
        let (selected, notes) = self.selected(&pool, context)?;
        Ok(Fitting { scaler, bridge, pool, selected, notes })
    }

    /// What the probe says of everyone in a sample, from features as it knows them.
    fn predictions(
        &self,
        sample: &Sample,
        features: &Array2<f64>,
        fitting: &Fitting,
        calibrator: Option<&Calibrator>,
    ) -> Result<Predictions, Failure> {
        let items: Vec<usize> = sample.everyone().iter().map(|(item, _)| *item).collect();
        self.finite(features, &items, sample)?;
        let fitted = &fitting.selected.fitted;
        // Another data set may have the same classes in another order.
        let order = self.elsewhere.as_ref().map(|elsewhere| &elsewhere.order);
        let order = order.filter(|_| sample.data.name != self.sample.data.name);
        let own = |scores: Array2<f64>| match order {
            Some(order) => scores.select(Axis(1), order),
            None => scores,
        };
        let scores = fitted.scores(features.view());
        let calibrated = calibrator.map(|c| c.probabilities(&scores.view())).transpose();
        let calibrated = calibrated.map_err(|error| self.failure(&error))?;
        let told = self.told(sample, own(scores), fitted.no_probabilities());
        let mut told = self.weighed(told, order);
        told.probabilities = calibrated.map_or(told.probabilities, |all| Ok(own(all)));
        Ok(told)
    }

    /// What makes probabilities of the scores, if they are not the probe's own.
    fn calibrator(&self, pool: &Pool, selected: &Selected) -> Result<Option<Calibrator>, Failure> {
        let has_own = selected.fitted.no_probabilities().is_none();
        let held = pool.targets.of(&selected.held);
        let how = self.choosing.probabilities.clone();
        let made = how.calibrator(has_own, &selected.held_scores, &held);
        made.map_err(|error| self.failure(&error))
    }

    fn plan(&self, pool: &Pool) -> Result<(Plan, Vec<String>), Failure> {
        let open = self.sample.open();
        let positions = Positions { train: open.train().len(), val: open.val().len() };
        let dataset = &self.sample.data.dataset;
        let all = dataset.groups();
        let groups: Vec<usize> = open.train().iter().map(|&item| all[item]).collect();
        let groups = dataset.has_groups().then_some(&groups[..]);
        let plan = self.choosing.plan(pool, &positions, groups, Seed(0));
        let (mut plan, notes) = plan.map_err(|error| self.failure(&error))?;
        plan.per_column = self.per_class;
        Ok((plan, notes))
    }

    fn selected(
        &self,
        pool: &Pool,
        context: &Context<'_>,
    ) -> Result<(Selected, Vec<String>), Failure> {
        let (plan, notes) = self.plan(pool)?;
        let stop = || context.stopped();
        let selected = select(self.family.as_ref(), self.values.as_ref(), pool, &plan, &stop);
        context.go_on()?;
        Ok((selected.map_err(|error| self.failure(&error))?, notes))
    }

    fn trained_on(&self) -> usize {
        let more = if self.choosing.refits_on_val() { self.sample.split.val.len() } else { 0 };
        self.sample.train.len() + more
    }

    /// Predictions of everyone from scores, which are logarithms of probabilities if nothing is said
    /// against it.
    fn told(
        &self,
        sample: &Sample,
        scores: Array2<f64>,
        no_probabilities: Option<&str>,
    ) -> Predictions {
        match (self.sample.data.dataset.target(), no_probabilities) {
            (Target::Classes, _) => told(sample, scores, no_probabilities),
            (Target::Labels, None) => {
                let probabilities = scores.mapv(|score| score.exp().min(1.0));
                told_labels(sample, probabilities.mapv(log_odds), probabilities)
            }
            (_, why) => {
                let why = why.unwrap_or("numbers have no probabilities").to_owned();
                Predictions { probabilities: Err(why), ..told_columns(sample, scores) }
            }
        }
    }

    /// Decisions for which each class counts as it should. A classifier with probabilities p has
    /// learnt from items that count the same; deciding by p·w instead of p is what a cost of w for
    /// each item of a class asks for, and leaves the probabilities what they are. Distances have
    /// been learnt with the weights.
    fn weighed(&self, mut told: Predictions, order: Option<&Vec<usize>>) -> Predictions {
        told.trained_on = self.trained_on();
        if self.decide == ClassWeights::None || told.probabilities.is_err() {
            return told;
        }
        let weights = self.decide.of(&self.sample);
        let weights = match order {
            Some(order) => order.iter().map(|&class| weights[class]).collect(),
            None => weights,
        };
        for mut row in told.scores.rows_mut() {
            row.iter_mut().zip(&weights).for_each(|(score, weight)| *score += weight.ln());
            let total = row.fold(0.0, |sum, score| sum + score.exp()).ln();
            row -= total;
        }
        told.predicted = told.scores.rows().into_iter().map(|row| best(&row)).collect();
        told
    }

    /// Refuses features that are no numbers, wherever they stand.
    pub(super) fn finite(
        &self,
        features: &Array2<f64>,
        items: &[usize],
        sample: &Sample,
    ) -> Result<(), Failure> {
        let bad = features.indexed_iter().find(|(_, value)| !value.is_finite());
        match bad {
            None => Ok(()),
            Some(((row, column), value)) => {
                Err(self.no_number(sample, items[row], column, &value.to_string()))
            }
        }
    }

    fn no_number(&self, sample: &Sample, item: usize, column: usize, value: &str) -> Failure {
        let id = &sample.data.dataset.items()[item].id;
        let of = if self.of.is_empty() { String::new() } else { format!(" in `{}`", self.of) };
        Failure::with_help(
            format!("fit: feature {column} of `{id}`{of} is {value}"),
            "check the model's input rule, or choose another layer",
        )
    }

    fn failure(&self, error: &ProbeError) -> Failure {
        let mut all = self.sample.train.iter().chain(&self.sample.split.val);
        match error {
            ProbeError::Unfit(Unfit::NotFinite { row, column, value }) => match all.nth(*row) {
                Some(&item) => self.no_number(&self.sample, item, *column, value),
                None => Failure::new(format!("fit: {error}")),
            },
            ProbeError::TooMany { .. } => Failure::with_help(
                format!("fit: {error}"),
                "say `train_size` to draw that many, or choose a linear kernel",
            ),
            other => Failure::new(format!("fit: {other}")),
        }
    }
}

/// What is to be said of the training items, then of those of val.
fn targets(sample: &Sample, open: Open<'_>) -> Targets {
    let (dataset, labels) = (&sample.data.dataset, sample.labels());
    let items: Vec<usize> = open.all().collect();
    let values = || {
        let shape = (items.len(), dataset.names().len());
        Array2::from_shape_fn(shape, |(row, column)| {
            dataset.items()[items[row]].values[column].unwrap_or(f64::NAN)
        })
    };
    match dataset.target() {
        Target::Classes => Targets::Classes {
            labels: items.iter().map(|&item| labels[item]).collect(),
            classes: sample.data.classes(),
        },
        Target::Labels => Targets::Labels(values()),
        Target::Values => Targets::Values(values()),
    }
}

/// How exact a fit is: a recipe's grid stands for its exactness, too.
fn exactness(c: &Grid) -> Settings {
    match c {
        Grid::Named(Named::Dinov2) => Settings { tolerance: 1e-12, ..Settings::default() },
        _ => Settings::default(),
    }
}

/// Features of everyone in a sample.
fn everyone(rows: &ArrayRows, sample: &Sample) -> Array2<f64> {
    let items: Vec<usize> = sample.everyone().iter().map(|(item, _)| *item).collect();
    matrix(rows, &items)
}

/// Rows of an array as a matrix.
pub(crate) fn matrix(rows: &ArrayRows, items: &[usize]) -> Array2<f64> {
    let mut row = vec![0.0_f32; rows.length()];
    let mut matrix = Array2::zeros((items.len(), row.len()));
    for (mut target, &item) in matrix.rows_mut().into_iter().zip(items) {
        rows.copy(item, &mut row);
        target.assign(&ArrayView1::from(&row).mapv(f64::from));
    }
    matrix
}

fn selection(choice: &Choice) -> Selection {
    let (setting, chosen, curve) = (choice.setting.clone(), choice.value, choice.curve.clone());
    Selection { setting, chosen, curve }
}

/// What was chosen, and what a reader should know of it.
fn with_choice(outputs: Outputs, choice: &Choice) -> Outputs {
    let setting = &choice.setting;
    let mut outputs = outputs.fact(setting, choice.value).fact("val", choice.seen);
    if let Some(values) = &choice.by_column {
        outputs = outputs.fact(&format!("{setting}_by_class"), values.clone());
    }
    if choice.at_edge {
        outputs = outputs.fact("grid_edge", true);
    }
    let failed = choice.curve.iter().filter(|(_, value)| value.is_none()).count();
    if failed > 0 {
        outputs.warnings.push(format!("{failed} values of `{setting}` could not be fitted"));
    }
    if choice.capped > 0 {
        let fits = choice.capped;
        outputs.warnings.push(format!("{fits} fits ended at their limit of steps"));
        outputs = outputs.fact("capped", fits);
    }
    outputs
}
