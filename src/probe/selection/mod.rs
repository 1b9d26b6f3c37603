//! Choosing a probe's setting on items that it was not fitted on.

mod criterion;
mod values;

pub use criterion::Criterion;
pub use values::{Counts, Values};

use ndarray::{Array2, ArrayView2, Axis};
use serde::{Deserialize, Serialize};

use super::family::{Family, Fitted, Path, Prepared};
use super::pool::{Pool, Targets};
use super::{ProbeError, checked};

/// What each value gave on items held out; lower is better. Nothing where the fit failed.
pub type Curve = Vec<(f64, Option<f64>)>;

/// Who is fitted on and who judges.
#[derive(Clone, Debug)]
pub struct Plan {
    /// One round for each set of items held out.
    pub rounds: Vec<Round>,
    /// Items of the fit that is kept.
    pub last: Vec<usize>,
    /// What is compared.
    pub criterion: Criterion,
    /// Whether each column of scores has a value of its own.
    pub per_column: bool,
}

/// Items of the pool by their positions.
#[derive(Clone, Debug)]
pub enum Round {
    /// Some fit, others judge.
    Held {
        /// Fitted on.
        fit: Vec<usize>,
        /// Judged by.
        held: Vec<usize>,
    },
    /// Each is judged by the fit without it.
    LeftOut(
        /// Fitted on and judged by.
        Vec<usize>,
    ),
}

impl Round {
    fn fit(&self) -> &[usize] {
        match self {
            Self::Held { fit, .. } | Self::LeftOut(fit) => fit,
        }
    }

    fn held(&self) -> &[usize] {
        match self {
            Self::Held { held, .. } => held,
            Self::LeftOut(all) => all,
        }
    }
}

/// The value that was chosen.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Choice {
    /// What the setting is called.
    pub setting: String,
    /// The value; with one for each column, that which would be best for all together.
    pub value: f64,
    /// What it gave on items held out.
    pub seen: f64,
    /// What was compared.
    pub criterion: String,
    /// Every value with what it gave.
    pub curve: Curve,
    /// Whether it lies at an end of the values, so that a better one may lie beyond.
    pub at_edge: bool,
    /// The value of each column, if each has its own.
    pub by_column: Option<Vec<f64>>,
    /// Fits that ended at their limit of steps.
    pub capped: usize,
}

/// A fitted probe and how it was chosen.
pub struct Selected {
    /// The probe.
    pub fitted: Box<dyn Fitted>,
    /// How it was chosen; nothing if there was nothing to choose.
    pub choice: Option<Choice>,
    /// Items held out, by their positions, each once.
    pub held: Vec<usize>,
    /// What the chosen value said of them when they were.
    pub held_scores: Array2<f64>,
}

/// Fits every value, ascending, each from the one before, in every round; keeps the best (the
/// smallest of equals), fitted on the plan's last items. `stop` ends it early.
pub fn select(
    family: &dyn Family,
    values: &dyn Values,
    pool: &Pool,
    plan: &Plan,
    stop: &dyn Fn() -> bool,
) -> Result<Selected, ProbeError> {
    checked(pool, plan.rounds.iter().map(Round::fit).chain([&plan.last[..]]))?;
    let prepared = family.prepare(pool)?;
    let mut search = Search::new(prepared.as_ref(), pool, plan, stop)?;
    search.is_rough = family.is_rough();
    let mut due = values.first();
    while !due.is_empty() {
        for value in due {
            search.add(value)?;
        }
        due = values.next(&search.curve());
    }
    let (value, seen) = search.best()?;
    let by_column = plan.per_column.then(|| search.best_by_column(value));
    let fitted = search.last_fit(value, by_column.as_deref())?;
    let held = plan.rounds.iter().flat_map(|round| round.held().to_vec()).collect();
    let held_scores = search.held_scores(value, by_column.as_deref());
    let curve = search.curve();
    let is_end = |end: Option<&(f64, _)>| end.is_some_and(|end| end.0.total_cmp(&value).is_eq());
    let at_edge = curve.len() > 1
        && (is_end(curve.first()) && values.is_open_below() || is_end(curve.last()));
    let choice = family.setting().map(|setting| Choice {
        setting: setting.to_owned(),
        value,
        seen,
        criterion: search.criterion().name().to_owned(),
        curve,
        at_edge,
        by_column,
        capped: search.capped,
    });
    Ok(Selected { fitted, choice, held, held_scores })
}

/// One value that was tried.
struct Tried {
    value: f64,
    /// What it gave; nothing where the fit failed.
    seen: Option<f64>,
    /// What it gave in each column.
    columns: Vec<Option<f64>>,
    /// Scores of each round's held items.
    scores: Vec<Array2<f64>>,
}

struct Search<'a> {
    prepared: &'a dyn Prepared,
    pool: &'a Pool,
    plan: &'a Plan,
    stop: &'a dyn Fn() -> bool,
    paths: Vec<Box<dyn Path + 'a>>,
    /// What is true of each round's held items.
    held: Vec<Targets>,
    tried: Vec<Tried>,
    /// The best fit so far, if it is already the one to keep.
    kept: Option<(f64, Box<dyn Fitted>)>,
    is_log_p: bool,
    /// Whether probabilities are too rough to choose by.
    is_rough: bool,
    error: Option<ProbeError>,
    capped: usize,
}

impl<'a> Search<'a> {
    fn new(
        prepared: &'a dyn Prepared,
        pool: &'a Pool,
        plan: &'a Plan,
        stop: &'a dyn Fn() -> bool,
    ) -> Result<Self, ProbeError> {
        let paths = plan.rounds.iter().map(|round| prepared.path(round.fit()));
        let paths = paths.collect::<Result<_, _>>()?;
        let held = plan.rounds.iter().map(|round| pool.targets.of(round.held())).collect();
        let (tried, kept, error) = (vec![], None, None);
        Ok(Self {
            prepared,
            pool,
            plan,
            stop,
            paths,
            held,
            tried,
            kept,
            is_log_p: false,
            is_rough: false,
            error,
            capped: 0,
        })
    }

    fn criterion(&self) -> Criterion {
        self.plan.criterion.resolved(&self.pool.targets, self.is_log_p && !self.is_rough)
    }

    fn add(&mut self, value: f64) -> Result<(), ProbeError> {
        if (self.stop)() {
            return Err(ProbeError::NoFit("interrupted".to_owned()));
        }
        match self.scores(value) {
            Ok(scores) => self.judge(value, scores),
            // One value may fail to converge; the data itself being wrong is another matter.
            Err(error @ ProbeError::NoFit(_)) => {
                self.error = Some(error);
                self.tried.push(Tried { value, seen: None, columns: vec![], scores: vec![] });
            }
            Err(error) => return Err(error),
        }
        Ok(())
    }

    /// Fits a value in every round.
    fn scores(&mut self, value: f64) -> Result<Vec<Array2<f64>>, ProbeError> {
        let mut all = Vec::with_capacity(self.paths.len());
        for (path, round) in self.paths.iter_mut().zip(&self.plan.rounds) {
            path.fit(value)?;
            self.capped += usize::from(path.is_capped());
            all.push(match round {
                Round::Held { held, .. } => path.scores(held),
                Round::LeftOut(_) => path.left_out().ok_or(ProbeError::NothingLeftOut)?,
            });
        }
        Ok(all)
    }

    fn judge(&mut self, value: f64, scores: Vec<Array2<f64>>) {
        if self.tried.is_empty() {
            let fitted = self.paths.first().map(|path| path.fitted());
            self.is_log_p = fitted.is_some_and(|fitted| fitted.no_probabilities().is_none());
        }
        let criterion = self.criterion();
        let rounds = || scores.iter().zip(&self.held);
        let each = rounds().map(|(scores, held)| criterion.of(scores, held, self.is_log_p));
        let seen = mean(each.map(Some)).unwrap_or(0.0);
        let columns = match self.plan.per_column {
            false => vec![],
            true => {
                let all: Vec<_> = rounds()
                    .map(|(scores, held)| criterion.by_column(scores, held, self.is_log_p))
                    .collect();
                let column = |column: usize| mean(all.iter().map(|round| round[column]));
                (0..self.pool.targets.columns()).map(column).collect()
            }
        };
        let tried = Tried { value, seen: Some(seen), columns, scores };
        let is_best = better(&tried, self.best().ok());
        self.tried.push(tried);
        let is_last = self.paths.len() == 1 && self.plan.rounds[0].fit() == self.plan.last;
        if is_best && is_last && !self.plan.per_column {
            self.kept = Some((value, self.paths[0].fitted()));
        }
    }

    fn curve(&self) -> Curve {
        let mut curve: Curve = self.tried.iter().map(|tried| (tried.value, tried.seen)).collect();
        curve.sort_by(|a, b| a.0.total_cmp(&b.0));
        curve
    }

    /// The best value and what it gave.
    fn best(&self) -> Result<(f64, f64), ProbeError> {
        let mut best = None;
        for tried in &self.tried {
            if better(tried, best) {
                best = tried.seen.map(|seen| (tried.value, seen));
            }
        }
        let none = || ProbeError::NoFit("the grid is empty".to_owned());
        best.ok_or_else(|| self.error.clone().unwrap_or_else(none))
    }

    /// The best value of each column; `common` where a column cannot be judged.
    fn best_by_column(&self, common: f64) -> Vec<f64> {
        let best = |column: usize| {
            let seen = self
                .tried
                .iter()
                .filter_map(|tried| Some((tried.value, (*tried.columns.get(column)?)?)));
            let best = seen.min_by(|a, b| a.1.total_cmp(&b.1).then(a.0.total_cmp(&b.0)));
            best.map_or(common, |best| best.0)
        };
        (0..self.pool.targets.columns()).map(best).collect()
    }

    /// The fit that is kept.
    fn last_fit(
        &mut self,
        value: f64,
        by_column: Option<&[f64]>,
    ) -> Result<Box<dyn Fitted>, ProbeError> {
        if let Some((_, fitted)) = self.kept.take_if(|kept| kept.0.total_cmp(&value).is_eq()) {
            return Ok(fitted);
        }
        let mut path = self.prepared.path(&self.plan.last)?;
        let Some(values) = by_column else {
            path.fit(value)?;
            self.capped += usize::from(path.is_capped());
            return Ok(path.fitted());
        };
        let mut distinct = values.to_vec();
        distinct.sort_by(f64::total_cmp);
        distinct.dedup();
        let mut parts = Vec::with_capacity(distinct.len());
        for value in distinct {
            path.fit(value)?;
            self.capped += usize::from(path.is_capped());
            let own = (0..values.len()).filter(|&c| values[c].total_cmp(&value).is_eq());
            parts.push((path.fitted(), own.collect()));
        }
        Ok(Box::new(Patched { parts }))
    }

    /// What the chosen values said of the held items.
    fn held_scores(&self, value: f64, by_column: Option<&[f64]>) -> Array2<f64> {
        let of = |value: f64| {
            let tried = self.tried.iter().find(|tried| tried.value.total_cmp(&value).is_eq());
            let views: Vec<ArrayView2<'_, f64>> = tried
                .map(|t| t.scores.iter().map(|scores| scores.view()).collect())
                .unwrap_or_default();
            ndarray::concatenate(Axis(0), &views).unwrap_or_default()
        };
        let mut scores = of(value);
        for (column, &own) in by_column.unwrap_or_default().iter().enumerate() {
            if own.total_cmp(&value).is_ne() {
                scores.column_mut(column).assign(&of(own).column(column));
            }
        }
        scores
    }
}

/// Whether what was tried is better than the best so far; of equals, the smaller value.
fn better(tried: &Tried, best: Option<(f64, f64)>) -> bool {
    match (tried.seen, best) {
        (None, _) => false,
        (Some(_), None) => true,
        (Some(seen), Some((value, least))) => {
            seen < least || (seen <= least && tried.value < value)
        }
    }
}

fn mean(values: impl Iterator<Item = Option<f64>>) -> Option<f64> {
    let there: Vec<f64> = values.flatten().collect();
    (!there.is_empty()).then(|| there.iter().sum::<f64>() / there.len() as f64)
}

/// A probe whose columns were fitted at values of their own.
struct Patched {
    /// Fits with the columns taken from each.
    parts: Vec<(Box<dyn Fitted>, Vec<usize>)>,
}

impl Fitted for Patched {
    fn scores(&self, features: ArrayView2<'_, f64>) -> Array2<f64> {
        let columns = self.parts.iter().map(|(_, own)| own.len()).sum();
        let mut all = Array2::zeros((features.nrows(), columns));
        for (fitted, own) in &self.parts {
            let scores = fitted.scores(features);
            for &column in own {
                all.column_mut(column).assign(&scores.column(column));
            }
        }
        all
    }

    fn no_probabilities(&self) -> Option<&'static str> {
        self.parts.first().and_then(|(fitted, _)| fitted.no_probabilities())
    }
}
