//! Linear support vector machines, each column against the rest:
//! J(w, b) = ½ ‖w‖² + Σᵢ Cᵢ max(0, 1 − yᵢ (w·xᵢ + b)), plain or squared.
//!
//! The squared hinge is solved by Newton's method, all columns side by side; the plain one, which
//! has no second derivatives, by dual coordinate descent (Hsieh et al. 2008), each column by itself.

mod hinge;
mod targets;

pub use targets::Targets;

use ndarray::{Array1, Array2, ArrayView2};

use super::newton::{Link, Path, Stop};
use super::threads;
use hinge::{Column, Hinge, Reached};

/// What an item costs that lies within the margin or beyond.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Loss {
    /// The square of how far.
    #[default]
    Squared,
    /// How far.
    Plain,
}

/// Whether the penalty is on the bias too.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Bias {
    /// It is not.
    #[default]
    Free,
    /// It is: a feature that is one for all items is appended, as liblinear does.
    Penalised,
}

/// What is minimised, and when it is good enough.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Settings {
    /// Plain or squared.
    pub loss: Loss,
    /// Free or penalised.
    pub bias: Bias,
    /// What C is multiplied by for items of the class and for the rest.
    pub weights: (f64, f64),
    /// Squared: ‖∇J‖₂ as a share of what it is at zero, times the smaller of both classes' shares
    /// of the items, as liblinear; besides, what J can still fall by must be about a thousandth of
    /// this, as a share of J. Plain: the largest violation of the optimality conditions.
    pub tolerance: f64,
    /// Rounds over the features at most.
    pub most_rounds: usize,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            loss: Loss::Squared,
            bias: Bias::Free,
            weights: (1.0, 1.0),
            tolerance: 1e-4,
            most_rounds: 1000,
        }
    }
}

/// Machines for one cost.
#[derive(Clone, Debug)]
pub struct Fitted {
    /// Features × columns.
    pub weights: Array2<f64>,
    /// One for each column; −∞ for one without items in its class.
    pub biases: Array1<f64>,
    /// J of each column.
    pub objectives: Vec<f64>,
    /// How far J of each column may lie above its minimum.
    pub gaps: Vec<f64>,
    /// Rounds over the features, of each column.
    pub rounds: Vec<usize>,
    /// Why each column stopped.
    pub stops: Vec<Stop>,
}

impl Fitted {
    /// w·x + b for items × columns.
    pub fn scores(&self, features: &ArrayView2<'_, f64>) -> Array2<f64> {
        features.dot(&self.weights) + &self.biases
    }
}

/// One training set, and what earlier fits of it taught. Fits go fastest in ascending order of cost.
#[derive(Debug)]
pub struct SvmPath {
    kind: Kind,
    /// Columns with no items in their class, and those where all are.
    one_sided: Vec<Option<f64>>,
}

#[derive(Debug)]
enum Kind {
    Squared(Box<Path>),
    Plain { hinge: Hinge, columns: Vec<Column>, settings: Settings, threads: usize },
}

impl SvmPath {
    /// `features` are items × features, all of them finite.
    pub fn new(
        features: &ArrayView2<'_, f64>,
        targets: &Targets<'_>,
        settings: Settings,
        threads: usize,
    ) -> Self {
        let weights = vec![settings.weights; targets.columns()];
        Self::weighted(features, targets, &weights, settings, threads)
    }

    /// The same with weights of its own for each column, whatever the settings say.
    pub fn weighted(
        features: &ArrayView2<'_, f64>,
        targets: &Targets<'_>,
        weights: &[(f64, f64)],
        settings: Settings,
        threads: usize,
    ) -> Self {
        let columns = targets.columns();
        let signed = targets.signed(weights);
        let counts = targets.counts();
        let one_sided = counts.iter().map(|counts| match counts {
            (0, _) => Some(f64::NEG_INFINITY),
            (_, 0) => Some(f64::INFINITY),
            _ => None,
        });
        let one_sided = one_sided.collect();
        let penalised = settings.bias == Bias::Penalised;
        let kind = match settings.loss {
            Loss::Squared => {
                let link = Link::SquaredHinge(signed);
                let mut path = Path::new(features, columns, link, penalised, threads);
                path.ask(settings.tolerance, settings.most_rounds);
                let share = |(yes, no): &(usize, usize)| {
                    (*yes).min(*no).max(1) as f64 / (yes + no).max(1) as f64
                };
                path.measure_from_start(&counts.iter().map(share).collect::<Vec<_>>());
                Kind::Squared(Box::new(path))
            }
            Loss::Plain => {
                let column = |at: usize| {
                    Column::new(signed.iter().skip(at).step_by(columns).copied().collect())
                };
                let columns = (0..columns).map(column).collect();
                Kind::Plain { hinge: Hinge::new(features, penalised), columns, settings, threads }
            }
        };
        Self { kind, one_sided }
    }

    /// Fits for a cost above zero.
    pub fn fit(&mut self, cost: f64) -> Fitted {
        let mut fitted = match &mut self.kind {
            Kind::Squared(path) => {
                let reached = path.fit(cost);
                let columns = reached.stops.len();
                Fitted {
                    weights: reached.weights,
                    biases: reached.biases,
                    objectives: reached.objectives,
                    gaps: reached.gaps,
                    rounds: vec![reached.rounds; columns],
                    stops: reached.stops,
                }
            }
            Kind::Plain { hinge, columns, settings, threads } => {
                let hinge = &*hinge;
                let work = |_: usize, column: &mut Column| hinge.fit(column, cost, settings);
                plain(hinge.width(), &threads::each_part(*threads, columns, work))
            }
        };
        // Where nothing is known of one side, nothing can be told by features.
        for (column, bias) in self.one_sided.iter().enumerate() {
            if let Some(bias) = bias {
                fitted.weights.column_mut(column).fill(0.0);
                fitted.biases[column] = *bias;
                fitted.objectives[column] = 0.0;
                fitted.gaps[column] = 0.0;
                fitted.stops[column] = Stop::Converged;
            }
        }
        fitted
    }
}

fn plain(width: usize, columns: &[Reached]) -> Fitted {
    let of = |value: fn(&Reached) -> f64| columns.iter().map(value).collect::<Vec<f64>>();
    Fitted {
        weights: Array2::from_shape_fn((width, columns.len()), |(feature, column)| {
            columns[column].weights[feature]
        }),
        biases: Array1::from(of(|reached| reached.bias)),
        objectives: of(|reached| reached.objective),
        gaps: of(|reached| reached.gap),
        rounds: columns.iter().map(|reached| reached.rounds).collect(),
        stops: columns.iter().map(|reached| reached.stop).collect(),
    }
}

#[cfg(test)]
mod tests;
