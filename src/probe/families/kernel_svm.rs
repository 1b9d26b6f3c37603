//! Support vector machines on kernels along C: all fits share one matrix of what items have in
//! common.

use ndarray::{Array1, Array2, ArrayView2, Axis, concatenate};

use super::super::ProbeError;
use super::super::family::{Family, Fitted, Path, Prepared};
use super::super::gram::{Gram, Kernel};
use super::super::kernel_svm::{
    Among, Classifier, ClassifierPath, MOST_ITEMS, Regression, RegressionPath,
};
use super::super::newton::Stop;
use super::super::pool::{Pool, Targets};

/// What items of a pool are compared by, once its values are known.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum KernelShape {
    /// Their scalar product.
    Linear,
    /// exp(−γ distance²), γ = factor / (features × variance of all training values).
    Rbf {
        /// Factor on the usual γ.
        factor: f64,
    },
    /// (γ · scalar product + offset)^degree, γ as above.
    Polynomial {
        /// Factor on the usual γ.
        factor: f64,
        /// What is added.
        offset: f64,
        /// The power.
        degree: u32,
    },
}

impl KernelShape {
    fn of(self, train: &ArrayView2<'_, f64>) -> Kernel {
        let gamma = |factor| Kernel::gamma(factor, train);
        match self {
            Self::Linear => Kernel::Linear,
            Self::Rbf { factor } => Kernel::Rbf { gamma: gamma(factor) },
            Self::Polynomial { factor, offset, degree } => {
                Kernel::Polynomial { gamma: gamma(factor), offset, degree }
            }
        }
    }
}

/// Kernel machines: each two classes (as LIBSVM), each label by itself, values within a tube.
#[derive(Clone, Debug)]
pub struct KernelSvm {
    /// What items are compared by.
    pub kernel: KernelShape,
    /// What C is multiplied with for items of each class; 1 if nothing.
    pub weights: Option<Vec<f64>>,
    /// How far a value may be off at no cost, in standard deviations of the target.
    pub epsilon: f64,
}

impl Family for KernelSvm {
    fn setting(&self) -> Option<&'static str> {
        Some("c")
    }

    fn prepare<'a>(&'a self, pool: &'a Pool) -> Result<Box<dyn Prepared + 'a>, ProbeError> {
        let items = pool.features.nrows();
        if items > MOST_ITEMS {
            return Err(ProbeError::TooMany { items, most: MOST_ITEMS });
        }
        let kernel = self.kernel.of(&pool.features.slice(ndarray::s![..pool.train, ..]));
        let gram = Gram::new(&pool.features.view(), kernel, pool.threads);
        Ok(Box::new(Ready { pool, svm: self, gram }))
    }
}

struct Ready<'a> {
    pool: &'a Pool,
    svm: &'a KernelSvm,
    gram: Gram,
}

impl Prepared for Ready<'_> {
    fn path<'a>(&'a self, rows: &[usize]) -> Result<Box<dyn Path + 'a>, ProbeError> {
        let (gram, threads) = (&self.gram, self.pool.threads);
        Ok(match self.pool.targets.of(rows) {
            Targets::Classes { labels, classes } => {
                let even = vec![1.0; classes];
                let weights = self.svm.weights.as_ref().unwrap_or(&even);
                let path = ClassifierPath::new(gram, rows, &labels, weights, Among::Pairs, threads);
                Box::new(Classes { ready: self, path, last: None })
            }
            Targets::Labels(known) => {
                let known = known.mapv(|label| (!label.is_nan()).then_some(label > 0.5));
                let path = ClassifierPath::of_columns(gram, rows, &known.view(), threads);
                Box::new(Classes { ready: self, path, last: None })
            }
            Targets::Values(values) => {
                let mean = values.mean_axis(Axis(0)).unwrap_or_else(|| Array1::zeros(0));
                let spread = values.std_axis(Axis(0), 0.0).mapv(|s| if s > 0.0 { s } else { 1.0 });
                let values = (values - &mean) / &spread;
                let path = |column: usize| {
                    let targets = values.column(column).to_vec();
                    RegressionPath::new(gram, rows, &targets, self.svm.epsilon)
                };
                let paths = (0..values.ncols()).map(path).collect();
                Box::new(Values { ready: self, paths, units: Units { mean, spread }, last: vec![] })
            }
        })
    }
}

struct Classes<'a> {
    ready: &'a Ready<'a>,
    path: ClassifierPath<'a>,
    last: Option<Classifier>,
}

impl Classes<'_> {
    fn last(&self) -> &Classifier {
        self.last.as_ref().expect("a fit was made")
    }
}

impl Path for Classes<'_> {
    fn fit(&mut self, value: f64) -> Result<(), ProbeError> {
        self.last = Some(self.path.fit(value));
        Ok(())
    }

    fn scores(&self, rows: &[usize]) -> Array2<f64> {
        self.last().scores_within(&self.ready.gram, rows)
    }

    fn fitted(&self) -> Box<dyn Fitted> {
        let support = self.last().support();
        let machines = self.last().clone().among(&support);
        Box::new(Model { items: Support::of(self.ready, &support), said: Said::Classes(machines) })
    }

    fn is_capped(&self) -> bool {
        self.last().stop() == Stop::Cap
    }
}

/// What standardised values stand for.
#[derive(Clone, Debug)]
struct Units {
    mean: Array1<f64>,
    spread: Array1<f64>,
}

struct Values<'a> {
    ready: &'a Ready<'a>,
    paths: Vec<RegressionPath<'a>>,
    units: Units,
    last: Vec<Regression>,
}

impl Path for Values<'_> {
    fn fit(&mut self, value: f64) -> Result<(), ProbeError> {
        self.last = self.paths.iter_mut().map(|path| path.fit(value)).collect();
        Ok(())
    }

    fn scores(&self, rows: &[usize]) -> Array2<f64> {
        let value = |(row, column): (usize, usize)| {
            let machine: &Regression = &self.last[column];
            machine.of_row(&self.ready.gram, rows[row])
        };
        let values = Array2::from_shape_fn((rows.len(), self.last.len()), value);
        values * &self.units.spread + &self.units.mean
    }

    fn fitted(&self) -> Box<dyn Fitted> {
        let mut support: Vec<usize> =
            self.last.iter().flat_map(|machine| machine.items.iter().copied()).collect();
        support.sort_unstable();
        support.dedup();
        let machines = self.last.iter().map(|machine| machine.clone().among(&support)).collect();
        let said = Said::Values(machines, self.units.clone());
        Box::new(Model { items: Support::of(self.ready, &support), said })
    }

    fn is_capped(&self) -> bool {
        self.last.iter().any(|machine| machine.stop == Stop::Cap)
    }
}

/// Items that machines are sums over.
struct Support {
    /// Items × features.
    features: Array2<f64>,
    kernel: Kernel,
    threads: usize,
}

impl Support {
    fn of(ready: &Ready<'_>, items: &[usize]) -> Self {
        let (kernel, threads) = (ready.gram.kernel(), ready.pool.threads);
        Self { features: ready.pool.rows(items), kernel, threads }
    }
}

enum Said {
    Classes(Classifier),
    Values(Vec<Regression>, Units),
}

struct Model {
    items: Support,
    said: Said,
}

/// Items that are compared with the support at a time, so that memory stays small.
const BLOCK: usize = 512;

impl Fitted for Model {
    fn scores(&self, features: ArrayView2<'_, f64>) -> Array2<f64> {
        let Support { features: support, kernel, threads } = &self.items;
        let block = |block: ArrayView2<'_, f64>| {
            let values = kernel.between(&block, &support.view(), *threads);
            match &self.said {
                Said::Classes(machines) => machines.scores(&values.view()),
                Said::Values(machines, units) => {
                    let shape = (block.nrows(), machines.len());
                    let value = |(row, column): (usize, usize)| {
                        let machine: &Regression = &machines[column];
                        machine.value(|item| values[[row, item]])
                    };
                    Array2::from_shape_fn(shape, value) * &units.spread + &units.mean
                }
            }
        };
        let blocks: Vec<Array2<f64>> =
            features.axis_chunks_iter(Axis(0), BLOCK).map(block).collect();
        let views: Vec<ArrayView2<'_, f64>> = blocks.iter().map(|block| block.view()).collect();
        concatenate(Axis(0), &views).unwrap_or_default()
    }

    fn no_probabilities(&self) -> Option<&'static str> {
        Some(match &self.said {
            Said::Classes(_) => "it gives comparisons of classes, not probabilities",
            Said::Values(..) => "it gives values, not probabilities",
        })
    }
}
