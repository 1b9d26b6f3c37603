//! Each arm with itself: differences over seeds and items, and what may be said of them.

use std::collections::{BTreeMap, BTreeSet};

use ndarray::{Array2, ArrayView2};

use crate::base::numbers::mean_if_any;
use crate::stats::{
    Class, Columns, Comparison, Decider, Evidence, Judged, MIN_SEEDS, Measure, Predictions, TwoWay,
    judge, paired_interval, units,
};

use super::super::summary::reasons_in_words;
use super::opened::{Item, OpenedRun, Tested};
use super::{ArmComparison, Change, Scope};

/// The arms that both runs have, in the order of the reference.
pub(super) fn of(
    reference: &OpenedRun,
    run: &OpenedRun,
    metric: Measure,
    split: &str,
    seeds: &[u64],
) -> Vec<ArmComparison> {
    let others = run.arms(metric.name(), split);
    let names = reference.arms(metric.name(), split).into_iter();
    let pairs: Vec<Pair<'_>> = names
        .filter(|name| others.contains(name))
        .map(|arm| Pair::new(arm, reference, run, metric, split, seeds))
        .collect();
    // Arms are judged as one family: the more of them, the likelier one differs by chance.
    let comparisons: Vec<Comparison> = pairs.iter().map(|pair| pair.comparison(metric)).collect();
    let judged = pairs.iter().zip(judge(&comparisons));
    judged.map(|(pair, verdict)| pair.told(metric, &verdict.times(pair.scale))).collect()
}

/// One arm of both runs.
struct Pair<'a> {
    arm: String,
    reference: &'a OpenedRun,
    run: &'a OpenedRun,
    /// Scores of the seeds in which both have one.
    before: Vec<f64>,
    after: Vec<f64>,
    /// Run less reference, seeds × items, higher is better; none if the metric is no mean over
    /// items, or if items are not there for every seed.
    items: Option<Items>,
    /// How large the unit of the metric is: the spread of numbers that are predicted, 1 of all else.
    scale: f64,
}

struct Items {
    differences: Array2<f64>,
    groups: Option<Vec<usize>>,
    /// Whether the same class was predicted for every item in every seed.
    identical: bool,
}

impl<'a> Pair<'a> {
    fn new(
        arm: String,
        reference: &'a OpenedRun,
        run: &'a OpenedRun,
        metric: Measure,
        split: &str,
        seeds: &[u64],
    ) -> Self {
        let of = |seed: &u64| Tested {
            stage: arm.clone(),
            seed: i64::try_from(*seed).ok(),
            split: split.to_owned(),
        };
        let mut tested = Vec::new();
        let (mut before, mut after) = (vec![], vec![]);
        for of in seeds.iter().map(of) {
            let scores = (reference.score(metric.name(), &of), run.score(metric.name(), &of));
            if let (Some(first), Some(second)) = scores {
                before.push(first);
                after.push(second);
                tested.push(of);
            }
        }
        let items = items(reference, run, metric, &tested);
        let scale = tested.first().map_or(1.0, |of| scale(reference, metric, of));
        Self { arm, reference, run, before, after, items, scale }
    }

    fn units(&self) -> Option<Array2<f64>> {
        let items = self.items.as_ref()?;
        units(&(&items.differences / self.scale), items.groups.as_deref()).ok()
    }

    fn comparison(&self, metric: Measure) -> Comparison {
        let units = self.units();
        Comparison {
            family: String::new(),
            decider: Decider::TwoWay,
            evidence: units.as_ref().and_then(|units| TwoWay::of(units)).map(Evidence::from),
            look: None,
            eps: metric.rope(),
            seeds: self.before.len(),
            units: units.map_or(0, |units| units.ncols()),
            missing_seeds: 0,
            reasons: vec![],
            flags: vec![],
        }
    }

    fn told(&self, metric: Measure, verdict: &crate::stats::Verdict) -> ArmComparison {
        let sign = metric.direction().sign();
        let by_seed: Vec<f64> =
            self.before.iter().zip(&self.after).map(|(b, a)| (a - b) * sign).collect();
        let (scope, interval) = match (&self.items, verdict.numbers) {
            (Some(_), numbers) => {
                (Scope::SeedsAndItems, numbers.map(|numbers| (numbers.ci_lo, numbers.ci_hi)))
            }
            (None, _) => (Scope::Seeds, paired_interval(&by_seed, 0.95)),
        };
        let (word, remark) = match scope {
            Scope::SeedsAndItems => self.judged(verdict),
            Scope::Seeds => over_seeds(&by_seed, interval, metric.rope() * self.scale),
        };
        let count = |groups: &Vec<usize>| groups.iter().collect::<BTreeSet<_>>().len();
        ArmComparison {
            arm: self.arm.clone(),
            before: mean_if_any(&self.before),
            after: mean_if_any(&self.after),
            delta: mean_if_any(&by_seed),
            interval,
            scope,
            seeds: self.before.len(),
            items: self.items.as_ref().map(|items| items.differences.ncols()),
            groups: self.items.as_ref().and_then(|items| items.groups.as_ref().map(count)),
            word,
            remark,
            verdict_before: self.reference.verdict(&self.arm),
            verdict_after: self.run.verdict(&self.arm),
        }
    }

    fn judged(&self, verdict: &crate::stats::Verdict) -> (Change, String) {
        if self.items.as_ref().is_some_and(|items| items.identical) {
            return (Change::Same, "the same predictions".to_owned());
        }
        let word = match verdict.class {
            Class::Positive => Change::Better,
            Class::Neutral => Change::Same,
            Class::Negative => Change::Worse,
            Class::Inconclusive => Change::Open,
        };
        let remark = match (verdict.reason(), verdict.numbers) {
            _ if word != Change::Open => String::new(),
            (Some(reason), _) => reasons_in_words(&reason),
            (None, Some(numbers)) => {
                format!("as it is, differences from {:.3} on are seen", numbers.mde80)
            }
            (None, None) => String::new(),
        };
        (word, remark)
    }
}

/// What an interval over seeds alone allows to be said.
fn over_seeds(by_seed: &[f64], interval: Option<(f64, f64)>, rope: f64) -> (Change, String) {
    if !by_seed.is_empty() && by_seed.iter().all(|difference| *difference == 0.0) {
        return (Change::Same, "the same scores".to_owned());
    }
    match interval {
        Some(_) if by_seed.len() < MIN_SEEDS => {
            (Change::Open, format!("fewer than {MIN_SEEDS} seeds"))
        }
        None => (Change::Open, format!("fewer than {MIN_SEEDS} seeds")),
        Some((low, _)) if low > rope => (Change::Better, String::new()),
        Some((_, high)) if high < -rope => (Change::Worse, String::new()),
        Some((low, high)) if low >= -rope && high <= rope => (Change::Same, String::new()),
        Some(_) => (Change::Open, String::new()),
    }
}

/// Differences item by item, where both runs have all items of these seeds and the metric is a mean
/// over them.
fn items(
    reference: &OpenedRun,
    run: &OpenedRun,
    metric: Measure,
    seeds: &[Tested],
) -> Option<Items> {
    let mut rows = Vec::new();
    let mut groups = None;
    let mut identical = true;
    for of in seeds {
        let (before, after) = (reference.items(of)?, run.items(of)?);
        let after = in_order_of(before, after)?;
        identical &= before.iter().zip(&after).all(|(a, b)| a.predicted == b.predicted);
        let classes = classes(before, &after);
        let first = per_item(metric, before.iter(), &classes)?;
        let second = per_item(metric, after.into_iter(), &classes)?;
        rows.push(first.iter().zip(&second).map(|(a, b)| b - a).collect::<Vec<f64>>());
        groups = groups.or_else(|| grouping(before));
    }
    let width = rows.first()?.len();
    let flat: Vec<f64> = rows.iter().flatten().copied().collect();
    let differences = Array2::from_shape_vec((rows.len(), width), flat).ok()?;
    Some(Items { differences, groups, identical })
}

/// The items of the other run, in the order of the first.
fn in_order_of<'a>(first: &[Item], other: &'a [Item]) -> Option<Vec<&'a Item>> {
    let by_id: BTreeMap<&str, &Item> = other.iter().map(|item| (item.id.as_str(), item)).collect();
    first.iter().map(|item| by_id.get(item.id.as_str()).copied()).collect()
}

fn classes(before: &[Item], after: &[&Item]) -> Vec<String> {
    let all = before.iter().chain(after.iter().copied());
    let words: BTreeSet<&String> = all.flat_map(|item| [&item.label, &item.predicted]).collect();
    words.into_iter().cloned().collect()
}

/// What each item contributes, higher is better; none for a metric that needs more than the class
/// that was predicted.
fn per_item<'a>(
    metric: Measure,
    items: impl Iterator<Item = &'a Item>,
    classes: &[String],
) -> Option<Vec<f64>> {
    let metric = match metric {
        Measure::Class(metric) => metric,
        Measure::Column(_) => return judged(items, |judged| metric.per_item(judged)?.ok())?,
    };
    let number = |word: &String| classes.binary_search(word).ok();
    let (labels, predicted): (Vec<usize>, Vec<usize>) = items
        .map(|item| Some((number(&item.label)?, number(&item.predicted)?)))
        .collect::<Option<Vec<_>>>()?
        .into_iter()
        .unzip();
    // Of two classes at least, as metrics ask for; one that nobody has changes nothing.
    let count = classes.len().max(2);
    let scores = Array2::from_shape_fn((labels.len(), count), |(item, class)| {
        f64::from(u8::from(predicted[item] == class))
    });
    let none: Result<ArrayView2<'_, f64>, &str> = Err("tables of items are compared by class");
    let view = Predictions::new(&labels, &predicted, scores.view(), none, count).ok()?;
    metric.per_item(&view)?.ok()
}

/// How large the unit of a metric is for the items of the reference.
fn scale(reference: &OpenedRun, metric: Measure, of: &Tested) -> f64 {
    let Measure::Column(_) = metric else { return 1.0 };
    let items = reference.items(of).unwrap_or_default();
    judged(items.iter(), |judged| metric.scale(judged)).unwrap_or(1.0)
}

/// Numbers as the table of items has them, judged; nothing where it has something else.
fn judged<'a, T>(
    items: impl Iterator<Item = &'a Item>,
    judge: impl Fn(&Judged<'_>) -> T,
) -> Option<T> {
    let numbers = |words: &str| -> Option<Vec<f64>> {
        let number = |word| if word == "?" { Some(f64::NAN) } else { str::parse(word).ok() };
        words.split(' ').map(number).collect()
    };
    let (mut truths, mut told) = (vec![], vec![]);
    for item in items {
        truths.push(numbers(&item.label)?);
        told.push(numbers(&item.predicted)?);
    }
    let matrix = |rows: &[Vec<f64>]| {
        let width = rows.first()?.len();
        Array2::from_shape_vec((rows.len(), width), rows.concat()).ok()
    };
    let (truths, told) = (matrix(&truths)?, matrix(&told)?);
    let columns = Columns::values(truths.view(), told.view()).ok()?;
    Some(judge(&Judged::Columns(columns)))
}

/// Group numbers without gaps; none where items have none.
fn grouping(items: &[Item]) -> Option<Vec<usize>> {
    let mut numbers = BTreeMap::new();
    items
        .iter()
        .map(|item| {
            let next = numbers.len();
            Some(*numbers.entry(item.group?).or_insert(next))
        })
        .collect()
}
