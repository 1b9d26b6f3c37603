//! Support vector machines, one class against the rest (plain hinge), by linfa-svm.

use linfa::Dataset;
use linfa::traits::Fit;
use ndarray::{Array2, ArrayView2};

use crate::base::language::{Above0, choice, keys};

use super::family::{Family, Fitted, Path, Prepared};
use super::pool::{Pool, Targets};
use super::{ProbeError, for_linfa};

choice! {
    /// What two items have in common.
    pub enum Kernel {
        /// Their scalar product.
        "linear" => Linear,
        /// exp(−γ distance²).
        "rbf" => Rbf(Rbf),
    }
}

keys! {
    /// exp(−γ distance²) with γ = factor / (features × variance of all training values).
    pub struct Rbf {
        /// Factor on the usual γ.
        gamma: Above0 = Above0::ONE,
    }
}

/// One machine for each class, along C.
#[derive(Clone, Debug)]
pub struct Svm {
    /// What two items have in common.
    pub kernel: Kernel,
    /// What C is multiplied with in each class.
    pub weights: Vec<f64>,
}

impl Family for Svm {
    fn setting(&self) -> Option<&'static str> {
        Some("c")
    }

    fn prepare<'a>(&'a self, pool: &'a Pool) -> Result<Box<dyn Prepared + 'a>, ProbeError> {
        Ok(Box::new(Ready { pool, svm: self }))
    }
}

struct Ready<'a> {
    pool: &'a Pool,
    svm: &'a Svm,
}

impl Prepared for Ready<'_> {
    fn path<'a>(&'a self, rows: &[usize]) -> Result<Box<dyn Path + 'a>, ProbeError> {
        let Targets::Classes { labels, classes } = self.pool.targets.of(rows) else {
            return Err(ProbeError::OtherTargets("these machines tell classes"));
        };
        let features = self.pool.rows(rows);
        Ok(Box::new(Along { ready: self, features, labels, classes, last: None }))
    }
}

struct Along<'a> {
    ready: &'a Ready<'a>,
    features: Array2<f64>,
    labels: Vec<usize>,
    classes: usize,
    last: Option<Model>,
}

impl Path for Along<'_> {
    fn fit(&mut self, value: f64) -> Result<(), ProbeError> {
        let costs: Vec<f64> = self.ready.svm.weights.iter().map(|weight| value * weight).collect();
        let data = (&self.features, &self.labels[..], self.classes);
        self.last = Some(Model::fit(data, &costs, &self.ready.svm.kernel)?);
        Ok(())
    }

    fn scores(&self, rows: &[usize]) -> Array2<f64> {
        let last = self.last.as_ref().expect("a fit was made");
        last.scores(self.ready.pool.rows(rows).view())
    }

    fn fitted(&self) -> Box<dyn Fitted> {
        Box::new(self.last.clone().expect("a fit was made"))
    }
}

/// Fitted machines, one for each class.
#[derive(Clone, Debug)]
struct Model {
    machines: Vec<Option<linfa_svm::Svm<f64, bool>>>,
}

/// Items at most: the kernel matrix is n × n.
const MOST_ITEMS: usize = 10_000;
/// Violation of the optimality conditions at which the solver stops, as in LIBSVM.
const TOLERANCE: f64 = 1e-3;

impl Model {
    /// Fits one machine for each class that is in training. `costs` are those of a violated margin
    /// in each class; a machine tells its class from the others, which there cost as much as their
    /// items do on average.
    fn fit(
        (features, labels, classes): (&Array2<f64>, &[usize], usize),
        costs: &[f64],
        kernel: &Kernel,
    ) -> Result<Self, ProbeError> {
        let items = labels.len();
        if items > MOST_ITEMS {
            return Err(ProbeError::TooMany { items, most: MOST_ITEMS });
        }
        let width = width(kernel, &features.view());
        let features = for_linfa(&features.view());
        let machine = |class: usize| -> Result<Option<linfa_svm::Svm<f64, bool>>, ProbeError> {
            if !labels.contains(&class) {
                return Ok(None);
            }
            let targets: ndarray_linfa::Array1<bool> =
                labels.iter().map(|label| *label == class).collect();
            let settings = linfa_svm::Svm::<f64, bool>::params()
                .pos_neg_weights(costs[class], of_others(class, labels, costs))
                .eps(TOLERANCE);
            let settings = match width {
                Some(width) => settings.gaussian_kernel(width),
                None => settings.linear_kernel(),
            };
            let fitted = settings.fit(&Dataset::new(features.clone(), targets));
            fitted.map(Some).map_err(|error| ProbeError::NoFit(error.to_string()))
        };
        let machines = (0..classes).map(machine).collect::<Result<_, _>>()?;
        Ok(Self { machines })
    }
}

/// Mean cost of the items of all other classes; where all cost the same, exactly that.
fn of_others(class: usize, labels: &[usize], costs: &[f64]) -> f64 {
    let own = costs[class];
    let others = labels.iter().filter(|label| **label != class);
    let (count, more) =
        others.fold((0, 0.0), |(count, more), &label| (count + 1, more + (costs[label] - own)));
    own + more / f64::from(count.max(1))
}

/// linfa's kernel is exp(−distance² / width).
fn width(kernel: &Kernel, features: &ArrayView2<'_, f64>) -> Option<f64> {
    match kernel {
        Kernel::Linear => None,
        Kernel::Rbf(rbf) => {
            let variance = features.var(0.0).max(f64::MIN_POSITIVE);
            Some(features.ncols() as f64 * variance / rbf.gamma.get())
        }
    }
}

impl Fitted for Model {
    /// Signed distances to each class's border, in units of its margin; a class that was not in
    /// training has −∞.
    fn scores(&self, features: ArrayView2<'_, f64>) -> Array2<f64> {
        let mut scores =
            Array2::from_elem((features.nrows(), self.machines.len()), f64::NEG_INFINITY);
        for (row, item) in features.rows().into_iter().enumerate() {
            let item: ndarray_linfa::Array1<f64> = item.iter().copied().collect();
            for (class, machine) in self.machines.iter().enumerate() {
                if let Some(machine) = machine {
                    scores[[row, class]] = machine.weighted_sum(&item) - machine.rho;
                }
            }
        }
        scores
    }

    fn no_probabilities(&self) -> Option<&'static str> {
        Some("a support vector machine gives distances, not probabilities")
    }
}
