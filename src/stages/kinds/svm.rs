//! `svm`: support vector machines on features, one class against the rest.

use std::sync::Arc;

use serde_json::json;

use crate::base::language::{Above0, Count, choice, keys};
use crate::base::{Located, Problem, Target};
use crate::probe::{self, Cost, Family, Grid, KernelShape, KernelSvm};

use super::super::class_weights::ClassWeights;
use super::super::data::Sample;
use super::super::names::Reference;
use super::super::probing::{ANYTHING, Asked, Fit, Probing, fits_on_features, layer};
use super::super::site::{Offers, Site};
use super::Kind;

keys! {
    /// Support vector machines on frozen features, C chosen on items they were not fitted on. Linear
    /// ones tell each class from the rest.
    pub struct Svm {
        /// The features, as in `codes.block2`.
        features: Located<Reference>,
        /// What two items have in common.
        kernel: Kernel = Kernel::Linear,
        /// Cost of a violated margin: values to choose from.
        c: Grid = Grid::Listed([0.01, 0.1, 1.0, 10.0].into_iter().filter_map(Cost::new).collect()),
        /// What an item costs that lies within the margin or beyond, for linear machines;
        /// `squared_hinge` if not said.
        loss: Option<Loss> = None,
        /// Whether each class has a C of its own, for linear machines.
        per_class: bool = false,
        /// How much a violated margin costs in each class.
        class_weights: Located<ClassWeights> = ClassWeights::by_default(),
        /// How many times as much a violated margin costs for items of the class, or label, that is
        /// told from the rest as for those of the rest, for linear machines: 2 in the recipe of
        /// VISSL. What `class_weights` says is multiplied with it.
        positive_weight: Option<Located<Above0>> = None,
        ; .. probing: Probing
    }
}

choice! {
    /// What an item costs that lies within the margin or beyond it.
    pub enum Loss {
        /// How far it lies.
        "hinge" => Hinge,
        /// The square of how far it lies.
        "squared_hinge" => SquaredHinge,
    }
}

choice! {
    /// What two items have in common.
    pub enum Kernel {
        /// Their scalar product.
        "linear" => Linear,
        /// exp(−γ distance²).
        "rbf" => Rbf(Rbf),
        /// (γ · scalar product + offset)^degree.
        "polynomial" => Polynomial(Polynomial),
    }
}

keys! {
    /// exp(−γ distance²) with γ = factor / (features × variance of all training values).
    pub struct Rbf {
        /// Factor on the usual γ.
        gamma: Above0 = Above0::ONE,
    }
}

keys! {
    /// (γ · scalar product + offset)^degree with the usual γ times a factor.
    pub struct Polynomial {
        /// Factor on the usual γ.
        gamma: Above0 = Above0::ONE,
        /// What is added before the power is taken.
        offset: f64 = 1.0,
        /// The power.
        degree: Count = Count(3),
    }
}

impl Kind for Svm {
    const WORD: &'static str = "svm";

    fn references(&self) -> Vec<&Located<Reference>> {
        self.probing.references(&self.features)
    }

    fn plan(&self, site: &mut Site) -> Option<Offers> {
        if self.loss.is_some() && self.kernel != Kernel::Linear {
            let help = "leave `loss` out, or choose `kernel: linear`";
            let message = "only linear machines have a choice of `loss`";
            site.problem(Problem::at(self.features.place, message).help(help));
            return None;
        }
        self.has_a_rest(site)?;
        let mut settings = json!({
            "kernel": self.kernel, "loss": self.loss, "class_weights": self.class_weights,
        });
        if self.positive() > 1.0 || self.positive() < 1.0 {
            settings["positive_weight"] = json!(self.positive());
        }
        let job = |sample: Sample| {
            let (family, values) = (self.family(&sample), Arc::new(self.c.clone()));
            let settings = settings.clone();
            let fit = Fit::new(Self::WORD, sample, family, settings, values, &self.probing);
            Fit { per_class: self.per_class, ..fit }
        };
        let asked = Asked { probing: &self.probing, class_weights: Some(&self.class_weights) };
        let mut offers = fits_on_features(Self::WORD, ANYTHING, &self.features, asked, job, site)?;
        // A kernel machine keeps as many training items as turn out to matter.
        if let Some(classifier) =
            offers.classifier.as_mut().filter(|_| self.kernel != Kernel::Linear)
        {
            classifier.arm.size = None;
        }
        Some(offers)
    }
}

impl Svm {
    fn positive(&self) -> f64 {
        self.positive_weight.as_ref().map_or(1.0, |weight| weight.get())
    }

    /// Refuses a weight of what is told from the rest where nothing is.
    fn has_a_rest(&self, site: &mut Site) -> Option<()> {
        let Some(weight) = &self.positive_weight else { return Some(()) };
        let target = layer(&self.features, site)?.offer.data.dataset.target();
        let message = match (&self.kernel, target) {
            (Kernel::Linear, Target::Classes | Target::Labels) => return Some(()),
            (Kernel::Linear, Target::Values) => "numbers are not told from a rest",
            _ => "only linear machines tell each class from the rest",
        };
        site.problem(Problem::at(weight.place, message).help("leave `positive_weight` out"));
        None
    }

    fn family(&self, sample: &Sample) -> Arc<dyn Family> {
        let target = sample.data.dataset.target();
        let weights = (target == Target::Classes).then(|| self.class_weights.of(sample));
        match self.kernel {
            Kernel::Linear if target == Target::Values => kernel_svm(KernelShape::Linear, weights),
            Kernel::Linear => Arc::new(probe::LinearSvm {
                loss: match self.loss {
                    Some(Loss::Hinge) => probe::Loss::Plain,
                    Some(Loss::SquaredHinge) | None => probe::Loss::Squared,
                },
                weights,
                positive: self.positive(),
            }),
            Kernel::Rbf(Rbf { gamma }) => {
                kernel_svm(KernelShape::Rbf { factor: gamma.get() }, weights)
            }
            Kernel::Polynomial(Polynomial { gamma, offset, degree }) => {
                let (factor, degree) = (gamma.get(), degree.0 as u32);
                kernel_svm(KernelShape::Polynomial { factor, offset, degree }, weights)
            }
        }
    }
}

fn kernel_svm(kernel: KernelShape, weights: Option<Vec<f64>>) -> Arc<dyn Family> {
    Arc::new(KernelSvm { kernel, weights, epsilon: 0.1 })
}
