//! The work of every probe: scale, choose, fit, say.

use std::sync::Arc;

use ndarray::{Array2, ArrayView1, Axis, concatenate};
use serde_json::{Value as Json, json};

use crate::base::Seed;
use crate::probe::{
    Choice, Family, Grid, Logistic, Pool, ProbeError, Scaler, Selected, Targets, Values, select,
};
use crate::train::Rows as _;

use super::super::artifacts::{ArrayRows, Predictions, Selection};
use super::super::class_weights::ClassWeights;
use super::super::data::Sample;
use super::super::job::{Context, Cores, Failure, Job, Outputs, Speed};
use super::super::probabilities::best;
use super::options::{Choosing, Positions};
use super::{FEATURES, told};

/// Fits one kind of probe on rows of numbers.
pub(crate) struct Fit {
    /// The word of the stage's kind.
    pub(crate) kind: &'static str,
    /// Raised when the same settings give other bytes.
    pub(crate) version: u32,
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

impl Job for Fit {
    fn kind(&self) -> &'static str {
        self.kind
    }

    fn version(&self) -> u32 {
        self.version
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
        let (scaler, Selected { fitted, choice, .. }) = self.on(&rows, context)?;
        let everyone: Vec<usize> = self.sample.everyone().iter().map(|(item, _)| *item).collect();
        let scores = fitted.scores(scaler.apply(matrix(&rows, &everyone)).view());
        let mut told = self.weighed(told(&self.sample, scores, fitted.no_probabilities()));
        told.selection = choice.as_ref().map(selection);
        let outputs = Outputs::default().with("predictions", told.save(context.store)?);
        let outputs = outputs.fact("trained_on", self.trained_on());
        Ok(match choice {
            Some(choice) => with_choice(outputs, &choice),
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
        Self {
            kind,
            version: 2,
            sample,
            family: Arc::new(Logistic),
            settings: Json::Null,
            values: Arc::new(c.clone()),
            choosing: choosing.clone(),
            per_class: false,
            decide: ClassWeights::None,
        }
    }

    /// Scales, chooses, fits.
    pub(crate) fn on(
        &self,
        rows: &ArrayRows,
        context: &Context<'_>,
    ) -> Result<(Scaler, Selected), Failure> {
        let (scaler, pool) = self.pool(rows, context.cores);
        Ok((scaler, self.selected(&pool, context)?))
    }

    /// Training items, then those of val, scaled as the training items ask for.
    fn pool(&self, rows: &ArrayRows, threads: usize) -> (Scaler, Pool) {
        let labels = self.sample.data.dataset.labels();
        let train = matrix(rows, &self.sample.train);
        let scaler = Scaler::fit(&self.choosing.normalize, &train.view());
        let val = matrix(rows, &self.sample.split.val);
        let features = concatenate(Axis(0), &[train.view(), val.view()]);
        let features = scaler.apply(features.expect("both have the features of one layer"));
        let items = self.sample.train.iter().chain(&self.sample.split.val);
        let targets = Targets::Classes {
            labels: items.map(|&item| labels[item]).collect(),
            classes: self.sample.data.classes(),
        };
        (scaler, Pool { features, targets, threads })
    }

    fn selected(&self, pool: &Pool, context: &Context<'_>) -> Result<Selected, Failure> {
        let positions =
            Positions { train: self.sample.train.len(), val: self.sample.split.val.len() };
        let all_groups = self.sample.data.dataset.groups();
        let groups: Vec<usize> = self.sample.train.iter().map(|&item| all_groups[item]).collect();
        let plan = self.choosing.plan(pool, &positions, &groups, Seed(0));
        let mut plan = plan.map_err(|error| self.failure(&error))?;
        plan.per_column = self.per_class;
        let stop = || context.stopped();
        let selected = select(self.family.as_ref(), self.values.as_ref(), pool, &plan, &stop);
        context.go_on()?;
        selected.map_err(|error| self.failure(&error))
    }

    fn trained_on(&self) -> usize {
        let more = if self.choosing.refits_on_val() { self.sample.split.val.len() } else { 0 };
        self.sample.train.len() + more
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

    fn failure(&self, error: &ProbeError) -> Failure {
        match error {
            ProbeError::NotFinite { row, column, value } => {
                let items = &self.sample.data.dataset.items();
                let mut all = self.sample.train.iter().chain(&self.sample.split.val);
                let id = all.nth(*row).map_or("", |&index| items[index].id.as_str());
                Failure::with_help(
                    format!("fit: feature {column} of `{id}` is {value}"),
                    "check the model's input rule, or choose another layer",
                )
            }
            other => Failure::new(format!("fit: {other}")),
        }
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
