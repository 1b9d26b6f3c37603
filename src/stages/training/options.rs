//! How a network is trained, in the words of the file.

use std::collections::BTreeMap;
use std::ops::{Deref, DerefMut};

use serde_json::{Map, Value as Json, json};

use crate::autodiff::{Loss, Optimiser};
use crate::base::language::{
    Above0, Count, Fields, Fraction, Keys, Natural, Share, choice, defaults, keys,
};
use crate::base::{Found, Located, Place, Problem, Target};
use crate::data::{Augment, Reads};
use crate::onnx::graph::Port;
use crate::train::{Budget, Length, Mixing, Monitor, Schedule, Unfreeze};

use super::super::class_weights::ClassWeights;
use super::super::data::{OpenDataset, Sample};
use super::super::effort::{Effort, as_written, written};
use super::super::site::Site;
use super::protocol::Protocol;
use super::rates::Rates;

keys! {
    /// How a network is trained.
    pub struct Options {
        /// Passes over the training items at most; 20 if neither this nor `steps` is said.
        epochs: Option<Located<Count>> = None,
        /// Steps at most, instead of `epochs`; 0 keeps the weights as they start.
        steps: Option<Located<Natural>> = None,
        /// Items in a step; never more than there are training items.
        batch: Count = Count(32),
        /// Items that are computed at a time, if a whole batch needs too much memory. The
        /// gradients of the pieces are summed before weights move, which is the same to rounding;
        /// only normalisations that use the statistics of the batch use those of each piece, or
        /// running ones if a piece has fewer than 16 items.
        micro_batch: Option<Count> = None,
        /// Learning rates of the head to choose from, on val; or `range_test`.
        lr: Rates = Rates::from([3e-4, 1e-3, 3e-3].as_slice()),
        /// Whether a list of learning rates may grow: where a stage and its baseline in a `transfer`
        /// stage choose from the same list, and the best of either, in the mean over seeds, is the
        /// first or the last, both try a decade beyond that end, too, and so does whatever else is
        /// compared with them by the same list; twice at most. What a protocol fills in stays as it
        /// was published.
        extend_lr: bool = true,
        /// How weights follow gradients.
        optimizer: Optimiser = Optimiser::AdamW(defaults()),
        /// How the learning rate changes over the steps.
        schedule: Schedule = Schedule::Cosine(defaults()),
        /// What training makes small. If not said, `cross_entropy` of classes,
        /// `binary_cross_entropy` of several labels, `squared_error` of numbers, which are learnt in
        /// units of their standard deviation over the training items.
        loss: Loss = Loss::CrossEntropy,
        /// How much each class counts in the loss; of several labels, having each and not having it.
        class_weights: ClassWeights = ClassWeights::None,
        /// Share of each target that is spread evenly over the classes (Szegedy et al. 2016). The
        /// loss on val is that of the plain targets.
        label_smoothing: Located<Share> = nowhere(share(0.0)),
        /// Mixes each batch with itself in another order, inputs and targets alike, by shares from
        /// Beta(α, α) (Zhang et al. 2018): α, such as 0.1. Where layers are frozen, what comes out
        /// of them is mixed.
        mixup: Option<Above0> = None,
        /// Pulls the body to where it started instead of weight decay (Li et al. 2018).
        l2_sp: Option<L2Sp> = None,
        /// When layer groups begin to learn.
        unfreeze: Located<Unfreeze> = nowhere(Unfreeze::AtOnce),
        /// How many times smaller the learning rate of each layer group is than that of the one
        /// above it, such as 2.6; the head is at the top.
        decay_per_group: Option<Located<Above0>> = None,
        /// Factor on the learning rate of the lowest layer group, instead of `decay_per_group`:
        /// those between it and the head have rates at equal ratios.
        lowest_lr: Option<Located<Fraction>> = None,
        /// Where the head starts.
        head_init: Located<HeadInit> = nowhere(HeadInit::Random),
        /// What on val decides which weights are the best, and which learning rate.
        monitor: Monitor = Monitor::Loss,
        /// Evaluations on val without anything better after which training stops; there are twenty
        /// over the whole length, but not more than one an epoch. 0 never stops early. The best
        /// weights are kept in any case.
        patience: Natural = Natural(10),
        /// Largest norm of the gradient; longer ones are shortened.
        clip: Option<Above0> = None,
        /// Random changes of training images.
        augment: Option<Located<Augment>> = None,
        /// Training items; all of the split's if not said.
        train_size: Option<Located<Count>> = None,
        /// Share of the training items whose label is another in training: drawn for each seed, each
        /// other class being as likely. Labels of val and test stay true.
        label_noise: Located<Share> = nowhere(Share::ZERO),
        /// A published protocol, which fills in whatever is not said here. `check` tells what it
        /// fills in, and what of it is not done.
        protocol: Option<Located<Protocol>> = None,
    }
}

keys! {
    /// The penalty α/2 ‖w − w₀‖² + β/2 ‖v‖² on a body w and a head v. A body that starts from random
    /// weights is pulled to 0. Takes the place of the optimiser's weight decay.
    pub struct L2Sp {
        /// α: how strongly the body is pulled to where it started.
        alpha: Share,
        /// β: how strongly the head is pulled to 0.
        beta: Share = share(0.01),
    }
}

choice! {
    /// Where a new head starts.
    pub enum HeadInit {
        /// Small random weights.
        "random" => Random,
        /// Zeros: every class is equally likely.
        "zero" => Zero,
        /// A logistic regression on the features that the head reads, its strength chosen on val.
        "probe" => Probe,
    }
}

fn share(value: f64) -> Share {
    Share::new(value).expect("a default between 0 and 1")
}

fn nowhere<T>(value: T) -> Located<T> {
    Located::new(value, Place::default())
}

/// Options that came later: where they are as if not said, keys are those of before.
const LATER: [&str; 12] = [
    "augment",
    "micro_batch",
    "loss",
    "label_smoothing",
    "label_noise",
    "mixup",
    "l2_sp",
    "unfreeze",
    "decay_per_group",
    "lowest_lr",
    "head_init",
    "protocol",
];

/// Epochs where nothing is said.
const EPOCHS: usize = 20;

/// How a network is trained, and which of it the file says.
#[derive(Clone, Debug, PartialEq)]
pub struct Training {
    options: Options,
    /// Keys that the file says, with their places.
    said: BTreeMap<String, Place>,
}

impl Deref for Training {
    type Target = Options;

    fn deref(&self) -> &Options {
        &self.options
    }
}

impl DerefMut for Training {
    fn deref_mut(&mut self) -> &mut Options {
        &mut self.options
    }
}

impl serde::Serialize for Training {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.options.serialize(serializer)
    }
}

impl Keys for Training {
    fn read_keys(fields: &mut Fields<'_>, found: &mut Found) -> Option<Self> {
        let said = fields.written().map(|(key, place)| (key.to_owned(), place)).collect();
        Some(Self { options: Options::read_keys(fields, found)?, said })
    }

    fn describe(properties: &mut Map<String, Json>, required: &mut Vec<&'static str>) {
        Options::describe(properties, required);
    }
}

impl Training {
    /// Where a key is said, if it is.
    pub(super) fn said(&self, key: &str) -> Option<Place> {
        self.said.get(key).copied()
    }

    /// Where to point for a key: where it is said, or else the protocol that fills it in.
    pub(super) fn place(&self, key: &str) -> Place {
        self.said(key).or_else(|| self.said("protocol")).unwrap_or_default()
    }

    /// How long, and when to stop.
    pub(super) fn budget(&self) -> Budget {
        let length = match (&self.epochs, &self.steps) {
            (_, Some(steps)) => Length::Steps(steps.0),
            (Some(epochs), None) => Length::Epochs(epochs.0),
            (None, None) => Length::Epochs(EPOCHS),
        };
        Budget { length, patience: self.patience.0 }
    }

    /// Steps of one training on so many items.
    fn steps(&self, train: usize) -> usize {
        let batch = self.batch.0.min(train).max(1);
        self.budget().steps((train / batch).max(1))
    }

    /// Items that all trainings are shown at most, each as often as it is shown.
    pub(super) fn shown(&self, train: usize) -> usize {
        self.lr.tried().len() * self.steps(train) * self.batch.0.min(train)
    }

    /// What it may spend with this sample.
    pub(super) fn effort(&self, sample: &Sample) -> Effort {
        let train = sample.train.len();
        let batch = self.batch.0.min(train);
        let budget = self.budget();
        let val = sample.split.val.len();
        Effort::default()
            .amount("trials", self.lr.tried().len())
            .kind("search_space", format!("lr: {}", written(&self.lr.key())))
            .amount("steps", self.steps(train))
            .amount("batch", batch)
            .patience(budget.patience)
            .kind("selection", format!("{} on {val} val items", as_written(&self.monitor)))
            .amount("train_items", train)
            .kind("optimizer", as_written(&self.optimizer))
            .kind("schedule", as_written(&self.schedule))
            .kind("loss", as_written(&self.loss))
            .kind("class_weights", as_written(&self.class_weights))
            .kind("augment", as_written(&self.augment))
    }

    /// The same with the learning rates by which the list of the stage being planned has grown.
    pub(in super::super) fn extended(mut self, site: &Site) -> Self {
        if let Some(more) = site.extended.get(&site.stage).filter(|_| self.may_extend()) {
            self.lr = self.lr.with(more);
        }
        self
    }

    /// Whether the learning rates are a list that may grow at its ends.
    pub(super) fn may_extend(&self) -> bool {
        let is_published = self.protocol.is_some() && self.said("lr").is_none();
        self.extend_lr && !is_published && self.lr.listed().len() > 1
    }

    /// How targets and inputs are softened.
    pub(super) fn mixing(&self) -> Mixing {
        let mixup = self.mixup.map(Above0::get);
        Mixing { label_smoothing: self.label_smoothing.get(), mixup }
    }

    /// What of it belongs into a key. A protocol does by what it fills in.
    pub(super) fn key(&self) -> Json {
        let mut key = json!(self.options);
        let plain = json!(defaults::<Options>());
        key["lr"] = self.lr.key();
        if let Json::Object(fields) = &mut key {
            fields.remove("protocol");
            // Nor does what a list may grow to, but by the rates themselves.
            fields.remove("extend_lr");
            fields.retain(|name, value| {
                !LATER.contains(&name.as_str()) || plain.get(name) != Some(value)
            });
        }
        key
    }

    /// Adds what contradicts itself.
    pub(in super::super) fn check(&self, site: &mut Site) -> Option<()> {
        let problems = self.contradictions();
        let fine = problems.is_empty();
        for problem in problems {
            site.problem(problem);
        }
        fine.then_some(())
    }

    /// The same with a loss that fits what is to be told of the items of a data set; adds what of it
    /// does not.
    pub(in super::super) fn suited(&self, data: &OpenDataset, site: &mut Site) -> Option<Self> {
        let target = data.dataset.target();
        let mut suited = self.clone();
        if self.said("loss").is_none() {
            suited.loss = match target {
                Target::Classes => return Some(suited),
                Target::Labels => Loss::BinaryCrossEntropy,
                Target::Values => Loss::SquaredError,
            };
        }
        let problems = suited.misfits(target, &data.name);
        let fine = problems.is_empty();
        for problem in problems {
            site.problem(problem);
        }
        fine.then_some(suited)
    }

    /// What does not fit items that have no classes.
    fn misfits(&self, target: Target, data: &str) -> Vec<Problem> {
        let mut problems = Vec::new();
        let fitting: &[&str] = match (target, &self.loss) {
            (Target::Classes, _) => return problems,
            (Target::Labels, Loss::BinaryCrossEntropy)
            | (Target::Values, Loss::SquaredError | Loss::Huber(_)) => &[],
            (Target::Labels, _) => &["binary_cross_entropy"],
            (Target::Values, _) => &["squared_error", "huber"],
        };
        let items = format!("items of `{data}` have {}", target.told());
        let mut refuse = |key: &str, message: String, help: String| {
            problems.push(Problem::at(self.place(key), message).help(help));
        };
        if !fitting.is_empty() {
            let fitting: Vec<String> = fitting.iter().map(|word| format!("`{word}`")).collect();
            let message = format!("{items}, which `{}` does not fit", self.loss.word());
            refuse("loss", message, format!("leave `loss` out, or take {}", fitting.join(" or ")));
        }
        if self.monitor != Monitor::Loss {
            let message = format!("{items}, so there is no balanced accuracy to monitor");
            refuse("monitor", message, "leave `monitor` out".to_owned());
        }
        if self.head_init.value == HeadInit::Probe {
            let message = format!("{items}, but a probe tells classes apart");
            let help = "start the head at `zero` or `random`".to_owned();
            refuse("head_init", message, help);
        }
        if target == Target::Values && self.class_weights != ClassWeights::None {
            let message = format!("{items}, so there are no classes that could have weights");
            refuse("class_weights", message, "leave `class_weights` out".to_owned());
        }
        problems
    }

    fn contradictions(&self) -> Vec<Problem> {
        let mut problems = Vec::new();
        if let (Some(_), Some(steps)) = (&self.epochs, &self.steps) {
            problems.push(
                Problem::at(steps.place, "both `epochs` and `steps` are given")
                    .help("keep one of them"),
            );
        }
        if let (Some(_), Some(lowest)) = (&self.decay_per_group, &self.lowest_lr) {
            problems.push(
                Problem::at(lowest.place, "both `decay_per_group` and `lowest_lr` are given")
                    .help("keep one of them"),
            );
        }
        let loss = self.loss.word();
        let is_entropy = matches!(self.loss, Loss::CrossEntropy | Loss::BinaryCrossEntropy);
        if self.label_smoothing.get() > 0.0 && !is_entropy {
            let message = format!("`{loss}` has no probabilities that labels could be smoothed to");
            problems.push(
                Problem::at(self.place("label_smoothing"), message)
                    .help("leave `label_smoothing` out, or take a cross-entropy as `loss`"),
            );
        }
        if self.head_init.value == HeadInit::Probe && self.loss != Loss::CrossEntropy {
            let message = format!("a probe is fitted by `cross_entropy`, not by `{loss}`");
            problems.push(
                Problem::at(self.place("head_init"), message)
                    .help("start the head at `zero` or `random`, or leave `loss` out"),
            );
        }
        problems
    }

    /// Adds what items of this kind cannot be changed by.
    pub(in super::super) fn check_items(&self, reads: &Reads, site: &mut Site) -> Option<()> {
        let Some(augment) = &self.augment else { return Some(()) };
        let cause = match reads {
            Reads::Image(rule) => match augment.contradiction(rule) {
                Some(cause) => cause,
                None => return Some(()),
            },
            Reads::AsItIs => {
                "the model reads arrays as they are, and `augment` changes images".into()
            }
        };
        let help = "leave `augment` out, or what does not fit";
        site.problem(Problem::at(augment.place, cause).help(help));
        None
    }

    /// Adds that token ids cannot be mixed, if they would be.
    pub(in super::super) fn check_mixing(&self, read: &[Port], site: &mut Site) -> Option<()> {
        let whole = read.iter().find(|port| !port.is_float());
        let (Some(port), Some(_)) = (whole, &self.mixup) else { return Some(()) };
        let message = format!(
            "`mixup` mixes values, and `{}` holds whole numbers, such as token ids",
            port.name
        );
        site.problem(Problem::at(self.place("mixup"), message).help("leave `mixup` out"));
        None
    }
}
