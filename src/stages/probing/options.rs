//! How a probe's setting is chosen, as the file says it.

use serde_json::{Value as Json, json};

use crate::base::language::{Count, Share, choice, keys};
use crate::base::{Located, Place, Problem, Seed, Target};
use crate::probe::{Criterion, Normalise, Plan, Pool, Probabilities, ProbeError, Round};

use super::super::data::OpenDataset;
use super::super::effort::as_written;

keys! {
    /// How a probe is chosen and what it sees.
    pub struct Choosing {
        /// How features are scaled; learnt from the training items alone.
        normalize: Normalise = Normalise::Standard,
        /// Which items judge the values.
        select: Located<Select> = Located::new(Select::Val, Place::default()),
        /// What is compared on them.
        by: Located<Criterion> = Located::new(Criterion::Auto, Place::default()),
        /// Where probabilities come from.
        probabilities: Probabilities = Probabilities::Auto,
        /// What the probe that is kept was fitted on.
        refit: Refit = Refit::Train,
        /// Training items; all of the split's if not said.
        train_size: Option<Located<Count>> = None,
        /// Share of the training items whose label is another when the probe is fitted: drawn for
        /// each seed, each other class being as likely. Labels of val and test stay true.
        label_noise: Located<Share> = Located::new(Share::ZERO, Place::default()),
    }
}

choice! {
    /// Which items judge the values of a setting.
    pub enum Select {
        /// The val part.
        "val" => Val,
        /// Parts of the training items in turn, each by a fit on the others. Groups stay together,
        /// and each fold has its share of every class.
        "folds" => Folds(Folds),
        /// Each training item by a fit without it, in closed form; for `ridge` and `knn`.
        "leave_one_out" => LeaveOneOut,
    }
}

keys! {
    /// Parts of the training items.
    pub struct Folds {
        /// How many.
        count: Count = Count(5),
    }
}

choice! {
    /// Items that the probe which is kept is fitted on, once its setting is chosen.
    pub enum Refit {
        /// The train part: what every other arm of a verdict sees.
        "train" => Train,
        /// The train and the val part; for probes that are compared with each other only.
        "train+val" => TrainAndVal,
    }
}

/// Positions in a pool that holds the training items first, then those of val.
pub(super) struct Positions {
    pub(super) train: usize,
    pub(super) val: usize,
}

impl Choosing {
    /// Everything that can change the fit and is not said by the sample.
    pub(super) fn key(&self) -> Json {
        json!({
            "normalize": self.normalize,
            "select": self.select,
            "by": self.by,
            "refit": self.refit,
            "probabilities": self.probabilities,
        })
    }

    /// What cannot be compared on items that have this.
    pub(super) fn misfit(&self, target: Target) -> Option<Problem> {
        let of_numbers = self.by.value == Criterion::SquaredError;
        let fits = self.by.value == Criterion::Auto || of_numbers == (target == Target::Values);
        let help = match target {
            Target::Values => "leave `by` out: numbers are compared by `squared_error`",
            _ => "leave `by` out, or choose what is compared of classes and labels",
        };
        let message =
            format!("`{}` does not fit items that have {}", self.by.name(), target.told());
        (!fits).then(|| Problem::at(self.by.place, message).help(help))
    }

    /// What cannot be done with probes that have no closed form for items left out.
    pub(super) fn needs_closed_form(&self) -> Option<Problem> {
        let asks = *self.select == Select::LeaveOneOut;
        let message = "this kind of probe has no closed form for items left out one by one";
        let help = "write `select: val` or `select: { folds: { count: 5 } }`";
        asks.then(|| Problem::at(self.select.place, message).help(help))
    }

    /// What cannot be done with items of which several belong together.
    pub(super) fn parts_groups(&self, data: &OpenDataset) -> Option<Problem> {
        let asks = *self.select == Select::LeaveOneOut && data.dataset.has_groups();
        let message = format!(
            "an item of `{}` that is left out alone is judged by a fit on others of its group",
            data.name
        );
        let help = "write `select: { folds: { count: 5 } }`, which keeps groups together, or \
                    `select: val`";
        asks.then(|| Problem::at(self.select.place, message).help(help))
    }

    /// Fits of one value.
    pub(super) fn rounds(&self) -> usize {
        match &self.select.value {
            Select::Val | Select::LeaveOneOut => 1,
            Select::Folds(folds) => folds.count.0,
        }
    }

    /// Who judges, and what, for a reader.
    pub(super) fn told(&self, val: usize) -> String {
        let by = as_written(&self.by.value);
        match &self.select.value {
            Select::Val => format!("{by} on {val} val items"),
            select => format!("{by} by {}", as_written(select)),
        }
    }

    /// Whether the fit that is kept sees the val part.
    pub(super) fn refits_on_val(&self) -> bool {
        self.refit == Refit::TrainAndVal
    }

    /// Who is fitted on and who judges, and what a reader should know of it. `groups` are those of the training items.
    pub(super) fn plan(
        &self,
        pool: &Pool,
        positions: &Positions,
        groups: Option<&[usize]>,
        seed: Seed,
    ) -> Result<(Plan, Vec<String>), ProbeError> {
        let train: Vec<usize> = (0..positions.train).collect();
        let val: Vec<usize> = (positions.train..positions.train + positions.val).collect();
        let mut notes = vec![];
        let rounds = match &self.select.value {
            Select::Val => vec![Round::Held { fit: train.clone(), held: val.clone() }],
            Select::LeaveOneOut => vec![Round::LeftOut(train.clone())],
            Select::Folds(asked) => {
                let folds = pool.targets.of(&train).folds(groups, asked.count.0, seed)?;
                notes.extend(folds.notes().iter().cloned());
                let round = |fold| {
                    let (fit, held) = folds.parts(fold);
                    Round::Held { fit, held }
                };
                (0..folds.count()).map(round).collect()
            }
        };
        let last = match self.refit {
            Refit::Train => train,
            Refit::TrainAndVal => [train, val].concat(),
        };
        let criterion = self.by.value.clone();
        Ok((Plan { rounds, last, criterion, per_column: false }, notes))
    }
}
