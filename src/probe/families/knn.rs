//! k nearest neighbours along k: one search serves every k.

use std::cell::RefCell;
use std::sync::Arc;

use ndarray::{Array2, ArrayView2};

use super::super::ProbeError;
use super::super::family::{Family, Fitted, Path, Prepared};
use super::super::knn::{Distance, Nearest, Neighbours, Votes};
use super::super::pool::{Pool, Targets};

/// What neighbours are and how they vote.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Neighbourhood {
    /// How far items are from each other.
    pub distance: Distance,
    /// What each neighbour counts.
    pub votes: Votes,
    /// The largest k that will be asked for.
    pub most: usize,
}

/// k nearest neighbours.
#[derive(Clone, Copy, Debug)]
pub struct Knn(pub Neighbourhood);

impl Family for Knn {
    fn setting(&self) -> Option<&'static str> {
        Some("k")
    }

    fn is_rough(&self) -> bool {
        true
    }

    fn prepare<'a>(&'a self, pool: &'a Pool) -> Result<Box<dyn Prepared + 'a>, ProbeError> {
        Ok(Box::new(Ready { pool, how: self.0 }))
    }
}

struct Ready<'a> {
    pool: &'a Pool,
    how: Neighbourhood,
}

impl Prepared for Ready<'_> {
    fn path<'a>(&'a self, rows: &[usize]) -> Result<Box<dyn Path + 'a>, ProbeError> {
        let targets = self.pool.targets.of(rows);
        if let Targets::Labels(known) = &targets
            && known.iter().any(|label| label.is_nan())
        {
            let why = "`knn` needs every label of every training item";
            return Err(ProbeError::OtherTargets(why));
        }
        let training = Training {
            neighbours: Neighbours::new(self.pool.rows(rows), self.how.distance)?,
            targets,
            how: self.how,
            threads: self.pool.threads,
        };
        let training = Arc::new(training);
        Ok(Box::new(Along { pool: self.pool, training, k: 1, found: RefCell::default() }))
    }
}

/// Training items with what they say.
struct Training {
    neighbours: Neighbours<'static>,
    targets: Targets,
    how: Neighbourhood,
    threads: usize,
}

impl Training {
    /// What the k nearest say: logarithms of shares, or means of values.
    fn said(&self, nearest: &Nearest, k: usize) -> Result<Array2<f64>, ProbeError> {
        let votes = self.how.votes;
        Ok(match &self.targets {
            Targets::Classes { labels, classes } => {
                let voted = nearest.vote(labels, *classes, k, votes)?;
                let mut shares = voted.probabilities;
                // Of classes with as many votes that of the nearest item is said first.
                for (mut row, winner) in shares.rows_mut().into_iter().zip(voted.predicted) {
                    row[winner] *= 1.0 + 1e-9;
                }
                shares.mapv(ln)
            }
            Targets::Labels(known) => nearest.mean(known.view(), k, votes)?.mapv(ln),
            Targets::Values(values) => nearest.mean(values.view(), k, votes)?,
        })
    }
}

/// The logarithm of a share; of none, of next to none, so that scores are finite.
fn ln(share: f64) -> f64 {
    share.max(f64::MIN_POSITIVE).ln()
}

/// Items of the pool with their neighbours.
type Found = Option<(Vec<usize>, Nearest)>;

struct Along<'a> {
    pool: &'a Pool,
    training: Arc<Training>,
    k: usize,
    /// The last search, for items and for k up to the largest.
    found: RefCell<Found>,
}

impl Path for Along<'_> {
    fn fit(&mut self, value: f64) -> Result<(), ProbeError> {
        self.k = value as usize;
        Ok(())
    }

    fn scores(&self, rows: &[usize]) -> Array2<f64> {
        let mut found = self.found.borrow_mut();
        if found.as_ref().is_none_or(|(known, _)| known != rows) {
            let (most, threads) = (self.training.how.most, self.training.threads);
            let items = self.pool.rows(rows);
            let nearest = self.training.neighbours.nearest(items.view(), most, threads);
            *found = nearest.ok().map(|nearest| (rows.to_vec(), nearest));
        }
        let (_, nearest) = found.as_ref().expect("the pool's features were checked");
        self.training.said(nearest, self.k).expect("k and targets were checked")
    }

    fn left_out(&self) -> Option<Array2<f64>> {
        let nearest = self.training.neighbours.leave_one_out(self.k, self.training.threads);
        self.training.said(&nearest.ok()?, self.k).ok()
    }

    fn fitted(&self) -> Box<dyn Fitted> {
        Box::new(Model { training: Arc::clone(&self.training), k: self.k })
    }
}

struct Model {
    training: Arc<Training>,
    k: usize,
}

impl Fitted for Model {
    fn scores(&self, features: ArrayView2<'_, f64>) -> Array2<f64> {
        let nearest = self.training.neighbours.nearest(features, self.k, self.training.threads);
        let said = nearest.map_err(ProbeError::from).and_then(|n| self.training.said(&n, self.k));
        said.expect("items have the features of training")
    }

    fn no_probabilities(&self) -> Option<&'static str> {
        match self.training.targets {
            Targets::Values(_) => Some("it gives values, not probabilities"),
            Targets::Classes { .. } | Targets::Labels(_) => None,
        }
    }
}
