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
use super::super::data::{OpenDataset, Sample};
use super::super::job::{Context, Cores, Failure, Job, Outputs, Speed};
use super::super::probabilities::best;
use super::super::targets::{log_odds, told_columns, told_labels};
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
}

/// What a fit leaves.
pub(crate) struct Fitting {
    pub(crate) scaler: Scaler,
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
        2
    }

    fn parameters(&self) -> Result<Json, Failure> {
        Ok(json!({
            "sample": self.sample.key()?,
            "family": self.settings,
            "values": self.values.key(),
            "choosing": self.choosing.key(),
            "per_class": self.per_class,
            "decide": self.decide,
        }))
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
        let Fitting { scaler, pool, selected, notes } = self.on(&rows, context)?;
        let calibrator = self.calibrator(&pool, &selected)?;
        let Selected { fitted, choice, .. } = selected;
        let everyone: Vec<usize> = self.sample.everyone().iter().map(|(item, _)| *item).collect();
        let features = scaler.apply(matrix(&rows, &everyone));
        self.finite(&features, &everyone)?;
        let scores = fitted.scores(features.view());
        let calibrated = calibrator.map(|c| c.probabilities(&scores.view())).transpose();
        let calibrated = calibrated.map_err(|error| self.failure(&error))?;
        let mut told = self.weighed(self.told(scores, fitted.no_probabilities()));
        told.probabilities = calibrated.map_or(told.probabilities, Ok);
        told.selection = choice.as_ref().map(selection);
        let outputs = Outputs::default().with("predictions", told.save(context.store)?);
        let mut outputs = outputs.fact("trained_on", self.trained_on());
        outputs.warnings.extend(notes.into_iter().chain(fitted.note()));
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
        Self { kind, of, sample, family, settings, values, choosing, per_class, decide }
    }

    /// Scales, chooses, fits.
    pub(crate) fn on(&self, rows: &ArrayRows, context: &Context<'_>) -> Result<Fitting, Failure> {
        let (scaler, pool) = self.pool(rows, context.cores);
        let (selected, notes) = self.selected(&pool, context)?;
        Ok(Fitting { scaler, pool, selected, notes })
    }

    /// What makes probabilities of the scores, if they are not the probe's own.
    fn calibrator(&self, pool: &Pool, selected: &Selected) -> Result<Option<Calibrator>, Failure> {
        let has_own = selected.fitted.no_probabilities().is_none();
        let held = pool.targets.of(&selected.held);
        let how = self.choosing.probabilities.clone();
        let made = how.calibrator(has_own, &selected.held_scores, &held);
        made.map_err(|error| self.failure(&error))
    }

    /// Training items, then those of val, scaled as the training items ask for.
    fn pool(&self, rows: &ArrayRows, threads: usize) -> (Scaler, Pool) {
        let open = self.sample.open();
        let train = matrix(rows, open.train());
        let scaler = Scaler::fit(&self.choosing.normalize, &train.view());
        let val = matrix(rows, open.val());
        let features = concatenate(Axis(0), &[train.view(), val.view()]);
        let features = scaler.apply(features.expect("both have the features of one layer"));
        let targets = targets(&self.sample.data, open);
        let train = open.train().len();
        (scaler, Pool { features, targets, train, threads })
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
    fn told(&self, scores: Array2<f64>, no_probabilities: Option<&str>) -> Predictions {
        match (self.sample.data.dataset.target(), no_probabilities) {
            (Target::Classes, _) => told(&self.sample, scores, no_probabilities),
            (Target::Labels, None) => {
                let probabilities = scores.mapv(|score| score.exp().min(1.0));
                told_labels(&self.sample, probabilities.mapv(log_odds), probabilities)
            }
            (_, why) => {
                let why = why.unwrap_or("numbers have no probabilities").to_owned();
                Predictions { probabilities: Err(why), ..told_columns(&self.sample, scores) }
            }
        }
    }

    /// Decisions for which each class counts as it should. A classifier with probabilities p has
    /// learnt from items that count the same; deciding by p·w instead of p is what a cost of w for
    /// each item of a class asks for, and leaves the probabilities what they are. Distances have
    /// been learnt with the weights.
    fn weighed(&self, mut told: Predictions) -> Predictions {
        told.trained_on = self.trained_on();
        if self.decide == ClassWeights::None || told.probabilities.is_err() {
            return told;
        }
        let weights = self.decide.of(&self.sample);
        for mut row in told.scores.rows_mut() {
            row.iter_mut().zip(&weights).for_each(|(score, weight)| *score += weight.ln());
            let total = row.fold(0.0, |sum, score| sum + score.exp()).ln();
            row -= total;
        }
        told.predicted = told.scores.rows().into_iter().map(|row| best(&row)).collect();
        told
    }

    /// Refuses features that are no numbers, wherever they stand.
    fn finite(&self, features: &Array2<f64>, items: &[usize]) -> Result<(), Failure> {
        let bad = features.indexed_iter().find(|(_, value)| !value.is_finite());
        match bad {
            None => Ok(()),
            Some(((row, column), value)) => {
                Err(self.no_number(items[row], column, &value.to_string()))
            }
        }
    }

    fn no_number(&self, item: usize, column: usize, value: &str) -> Failure {
        let id = &self.sample.data.dataset.items()[item].id;
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
                Some(&item) => self.no_number(item, *column, value),
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
fn targets(data: &OpenDataset, open: Open<'_>) -> Targets {
    let dataset = &data.dataset;
    let items: Vec<usize> = open.all().collect();
    let values = || {
        let shape = (items.len(), dataset.names().len());
        Array2::from_shape_fn(shape, |(row, column)| {
            dataset.items()[items[row]].values[column].unwrap_or(f64::NAN)
        })
    };
    match dataset.target() {
        Target::Classes => Targets::Classes {
            labels: items.iter().map(|&item| dataset.items()[item].label).collect(),
            classes: data.classes(),
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
