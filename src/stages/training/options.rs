//! How a network is trained, in the words of the file.

use crate::autodiff::Optimiser;
use crate::base::language::{Above0, Count, Natural, OneOrMore, defaults, keys};
use crate::base::{Located, Problem};
use crate::data::{Augment, InputRule};
use crate::train::{Budget, Length, Monitor, Schedule};

use super::super::class_weights::ClassWeights;
use super::super::site::Site;

keys! {
    /// How a network is trained.
    pub struct Training {
        /// Passes over the training items at most; 20 if neither this nor `steps` is said.
        epochs: Option<Located<Count>> = None,
        /// Steps at most, instead of `epochs`; 0 keeps the weights as they start.
        steps: Option<Located<Natural>> = None,
        /// Items in a step; never more than there are training items.
        batch: Count = Count(32),
        /// Learning rates of the head to choose from, on val.
        lr: OneOrMore<Above0> = OneOrMore(
            [3e-4, 1e-3, 3e-3].into_iter().filter_map(Above0::new).collect()
        ),
        /// How weights follow gradients.
        optimizer: Optimiser = Optimiser::AdamW(defaults()),
        /// How the learning rate changes over the steps.
        schedule: Schedule = Schedule::Cosine(defaults()),
        /// How much each class counts in the loss.
        class_weights: ClassWeights = ClassWeights::None,
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
    }
}

/// Epochs where nothing is said.
const EPOCHS: usize = 20;

impl Training {
    /// How long, and when to stop.
    pub(super) fn budget(&self) -> Budget {
        let length = match (&self.epochs, &self.steps) {
            (_, Some(steps)) => Length::Steps(steps.0),
            (Some(epochs), None) => Length::Epochs(epochs.0),
            (None, None) => Length::Epochs(EPOCHS),
        };
        Budget { length, patience: self.patience.0 }
    }

    /// The learning rates, ascending, each once.
    pub(super) fn rates(&self) -> Vec<f64> {
        let mut rates: Vec<f64> = self.lr.0.iter().map(|rate| rate.get()).collect();
        rates.sort_by(f64::total_cmp);
        rates.dedup();
        rates
    }

    /// Adds what contradicts itself.
    pub(in super::super) fn check(&self, site: &mut Site) -> Option<()> {
        if let (Some(_), Some(steps)) = (&self.epochs, &self.steps) {
            site.problem(
                Problem::at(steps.place, "both `epochs` and `steps` are given")
                    .help("keep one of them"),
            );
            return None;
        }
        Some(())
    }

    /// Adds what images of this rule cannot be changed by.
    pub(in super::super) fn check_images(&self, rule: &InputRule, site: &mut Site) -> Option<()> {
        let Some(augment) = &self.augment else { return Some(()) };
        let Some(cause) = augment.contradiction(rule) else { return Some(()) };
        let help = "leave `augment` out, or what does not fit";
        site.problem(Problem::at(augment.place, cause).help(help));
        None
    }
}
