//! `learning_curve`: the error over the number of training items, and the size at which an arm is
//! overtaken by its baseline.

use std::collections::BTreeMap;

use serde_json::{Value as Json, json};

use crate::base::language::{Natural, Word, keys};
use crate::base::{Located, Problem, Target};
use crate::curves::{Crossing, Draws, SizeCurve, SizedErrors};
use crate::stats::Measure;

use super::super::artifacts::{
    CrossingRow, CurveRow, LawRow, LearningCurves, SizeRow, Span, put_json,
};
use super::super::job::{Context, Failure, Job, Outputs};
use super::super::names::{Reference, full_name};
use super::super::site::{Offers, ScoredArm, Site};
use super::Kind;
use super::scored::{self, Predicted};

keys! {
    /// Fits `err(n) = a + b n^-c` to the errors of each scored stage over the sizes that its
    /// combinations were trained on, and tells at which size each curve crosses that of a baseline.
    pub struct LearningCurve {
        /// The `evaluate` stage. Stages whose matrix has an axis of sizes (the `train_size` of each
        /// combination) become curves; others are left out.
        of: Located<Reference>,
        /// The curve that others are compared with: the same architecture from random weights.
        baseline: Located<Reference>,
        /// The metric whose error is fitted: itself if lower is better, else 1 less it. If not said,
        /// `balanced_accuracy` of classes, `log_loss` of several labels, `mse` of numbers.
        metric: Option<Located<Word>> = None,
        /// Draws of seeds, with a fit each, for the intervals; 0 for none. Fewer than 5 seeds have no
        /// intervals.
        resamples: Natural = Natural(1000),
    }
}

/// The combinations of a stage that differ in their size alone.
struct Curve {
    stage: String,
    /// What they share.
    axes: Vec<(String, String)>,
    /// Items trained on with positions of the arms, ascending.
    arms: Vec<(usize, usize)>,
}

impl Curve {
    fn name(&self) -> String {
        full_name(&self.stage, &self.axes)
    }
}

/// A curve needs this many sizes.
const SIZES: usize = 3;

impl Kind for LearningCurve {
    const WORD: &'static str = "learning_curve";

    fn references(&self) -> Vec<&Located<Reference>> {
        vec![&self.of, &self.baseline]
    }

    fn plan(&self, site: &mut Site) -> Option<Offers> {
        let scores = scored::scores(&self.of, site)?;
        let arms = &scores.arms;
        let measure = scored::measure(self.metric.as_ref(), self.of.place, arms, |_| true, site);
        let meant = scored::named(&self.baseline, arms, &self.of, site)?;
        let (curves, left_out) = curves(arms, site);
        let baselines: Vec<usize> = (0..curves.len())
            .filter(|&at| curves[at].arms.iter().all(|(_, arm)| meant.contains(arm)))
            .collect();
        self.check(&curves, &baselines, site)?;
        let pairs = self.pairs(&curves, &baselines, arms, site)?;
        if !left_out.is_empty() {
            site.note(format!(
                "{}: no axis of {} is the number of items trained on, so it is no curve",
                site.stage,
                left_out.join(", ")
            ));
        }
        let measure = measure?;
        let job = Fits {
            metric: measure.name(),
            target: arms[0].data.dataset.target(),
            seeds: site.seeds.len(),
            targets: scored::targets(arms),
            curves: curves.iter().map(|curve| curve.arms.clone()).collect(),
            pairs,
            resamples: self.resamples.0,
        };
        let inputs = scored::inputs(arms.iter().map(|arm| &arm.runs), "items", job.seeds);
        site.add("", None, job, inputs);
        let verdict_of = arms.iter().map(ScoredArm::name).collect();
        Some(Offers { verdict_of, ..Offers::default() })
    }
}

impl LearningCurve {
    /// Tells what is no curve.
    fn check(&self, curves: &[Curve], baselines: &[usize], site: &mut Site) -> Option<()> {
        if baselines.is_empty() {
            let message = format!(
                "`{}` is no learning curve: no axis of its matrix is the number of items that it is \
                 trained on",
                self.baseline.value
            );
            let help = "write `train_size: \"${matrix.n}\"` and `matrix: { n: [25, 50, 100, 200, \
                        400] }`";
            site.problem(Problem::at(self.baseline.place, message).help(help));
            return None;
        }
        let short: Vec<&Curve> = curves.iter().filter(|curve| curve.arms.len() < SIZES).collect();
        for curve in &short {
            let message = format!(
                "`{}` is trained on {} sizes, but a curve needs {SIZES}",
                curve.name(),
                curve.arms.len()
            );
            let help = "give it more sizes; 5 or more tell what is left at infinitely many items";
            site.problem(Problem::at(self.of.place, message).help(help));
        }
        short.is_empty().then_some(())
    }

    /// Each curve with the baseline's that agrees with it.
    fn pairs(
        &self,
        curves: &[Curve],
        baselines: &[usize],
        arms: &[ScoredArm],
        site: &mut Site,
    ) -> Option<Vec<(usize, usize)>> {
        let candidates: Vec<(String, Vec<(String, String)>)> = baselines
            .iter()
            .map(|&at| (curves[at].stage.clone(), curves[at].axes.clone()))
            .collect();
        let mut pairs = Some(Vec::new());
        for (at, curve) in curves.iter().enumerate().filter(|(at, _)| !baselines.contains(at)) {
            let own = (curve.stage.as_str(), &curve.axes[..]);
            let found = scored::only_agreeing(own, &candidates, &self.baseline, site);
            let found = found.map(|found| baselines[found]);
            let data = |curve: &Curve| &arms[curve.arms[0].1].data.name;
            if let Some(other) = found.map(|found| &curves[found])
                && data(other) != data(curve)
            {
                let message = format!(
                    "`{}` is tested on `{}`, but its baseline on `{}`",
                    curve.name(),
                    data(curve),
                    data(other)
                );
                site.problem(Problem::at(self.baseline.place, message));
                pairs = None;
            }
            pairs = pairs.zip(found).map(|(mut pairs, found)| {
                pairs.push((at, found));
                pairs
            });
        }
        pairs
    }
}

/// The curves among scored arms, and the stages that are none.
fn curves(arms: &[ScoredArm], site: &Site) -> (Vec<Curve>, Vec<String>) {
    let mut stages: Vec<&str> = Vec::new();
    for arm in arms {
        if !stages.contains(&arm.stage.as_str()) {
            stages.push(&arm.stage);
        }
    }
    let (mut curves, mut left_out) = (Vec::new(), Vec::new());
    for stage in stages {
        let own: Vec<usize> = (0..arms.len()).filter(|&at| arms[at].stage == stage).collect();
        let sizes: Option<Vec<usize>> =
            own.iter().map(|&at| Some(scored::learning(&arms[at], site)?.items)).collect();
        let axis = sizes.as_ref().and_then(|sizes| size_axis(&own, sizes, arms));
        let (Some(sizes), Some(axis)) = (sizes, axis) else {
            left_out.push(format!("`{stage}`"));
            continue;
        };
        let mut grouped: Vec<Curve> = Vec::new();
        for (&at, &size) in own.iter().zip(&sizes) {
            let mut axes = arms[at].axes.clone();
            axes.remove(axis);
            match grouped.iter_mut().find(|curve| curve.axes == axes) {
                Some(curve) => curve.arms.push((size, at)),
                None => {
                    let (stage, arms) = (stage.to_owned(), vec![(size, at)]);
                    grouped.push(Curve { stage, axes, arms });
                }
            }
        }
        for curve in &mut grouped {
            curve.arms.sort_unstable();
        }
        curves.extend(grouped);
    }
    (curves, left_out)
}

/// Position of the axis along which the number of items trained on differs, and along which alone:
/// each value of it has one size, and each another one.
fn size_axis(own: &[usize], sizes: &[usize], arms: &[ScoredArm]) -> Option<usize> {
    let count = arms[*own.first()?].axes.len();
    (0..count).find(|&axis| {
        let mut size_of: BTreeMap<&str, usize> = BTreeMap::new();
        let is_one = own.iter().zip(sizes).all(|(&at, &size)| {
            *size_of.entry(arms[at].axes[axis].1.as_str()).or_insert(size) == size
        });
        let mut distinct: Vec<usize> = size_of.values().copied().collect();
        distinct.sort_unstable();
        distinct.dedup();
        is_one && distinct.len() > 1 && distinct.len() == size_of.len()
    })
}

/// The fits of all curves.
struct Fits {
    metric: &'static str,
    target: Target,
    seeds: usize,
    targets: Vec<usize>,
    /// Items trained on, of the first seed, with positions of the arms, ascending.
    curves: Vec<Vec<(usize, usize)>>,
    /// Each curve with its baseline's.
    pairs: Vec<(usize, usize)>,
    resamples: usize,
}

impl Job for Fits {
    fn kind(&self) -> &'static str {
        "learning_curve"
    }

    /// 1: first.
    fn version(&self) -> u32 {
        1
    }

    fn parameters(&self) -> Result<Json, Failure> {
        Ok(json!({
            "metric": self.metric,
            "of": self.target,
            "seeds": self.seeds,
            "targets": self.targets,
            "curves": self.curves,
            "pairs": self.pairs,
            "resamples": self.resamples,
        }))
    }

    fn run(&self, context: &Context<'_>) -> Result<Outputs, Failure> {
        let measure = Measure::find(self.metric, self.target)
            .ok_or_else(|| Failure::new(format!("no metric is called `{}`", self.metric)))?;
        let predicted = Predicted::load(&self.targets, self.seeds, context)?;
        let draws = Draws::of(self.seeds, self.resamples, "learning curve");
        let mut fitted = Vec::new();
        for (done, arms) in self.curves.iter().enumerate() {
            context.go_on()?;
            (context.progress)(done, self.curves.len(), "fit");
            let sizes = arms.iter().map(|&at| self.errors(at, measure, &predicted));
            let sizes = sizes.collect::<Result<Vec<_>, Failure>>()?;
            fitted.push((SizeCurve::new(sizes.clone(), &draws), sizes));
        }
        let curves = (0..fitted.len()).map(|curve| self.row(curve, &fitted)).collect();
        let curves = LearningCurves { error: scored::error_name(measure), curves };
        Ok(Outputs::default().with("curves", put_json(context.store, "curves", &curves)?))
    }
}

impl Fits {
    /// The errors of an arm, seed by seed, at the size that it was really trained on.
    fn errors(
        &self,
        (planned, arm): (usize, usize),
        measure: Measure,
        predicted: &Predicted,
    ) -> Result<SizedErrors, Failure> {
        let error = |seed: usize| -> Result<Option<f64>, Failure> {
            let Some(predictions) = predicted.of(arm, seed) else { return Ok(None) };
            let value = measure.value(&predictions.judged()?).value();
            Ok(value.map(|value| scored::error(measure, value)))
        };
        let by_seed = (0..self.seeds).map(error).collect::<Result<_, Failure>>()?;
        let n = predicted.trained_on(arm).unwrap_or(planned as f64);
        Ok(SizedErrors { n, by_seed })
    }

    fn row(&self, curve: usize, fitted: &[(SizeCurve, Vec<SizedErrors>)]) -> CurveRow {
        let (own, sizes) = &fitted[curve];
        let baseline = self.pairs.iter().find(|(arm, _)| *arm == curve).map(|(_, base)| *base);
        let law = own.law.as_ref().ok();
        let size = |(&(_, arm), size): (&(usize, usize), &SizedErrors)| {
            let known: Vec<f64> = size.by_seed.iter().flatten().copied().collect();
            let (mean, deviation) = mean_and_deviation(&known);
            SizeRow {
                arm,
                n: size.n,
                seeds: known.len(),
                error: mean,
                deviation,
                fitted: law.map(|law| law.at(size.n)),
                effective: baseline.and_then(|base| own.effective(&fitted[base].0, size.n)),
            }
        };
        CurveRow {
            sizes: self.curves[curve].iter().zip(sizes).map(size).collect(),
            law: law.map(|law| LawRow {
                law: *law,
                a: own.interval(|law| law.a).map(Span::of),
                b: own.interval(|law| law.b).map(Span::of),
                c: own.interval(|law| law.c).map(Span::of),
                at_bound: law.is_at_bound(),
            }),
            reason: own.law.as_ref().err().map(ToString::to_string),
            crossing: baseline.map(|base| crossing(own, base, fitted)),
        }
    }
}

fn crossing(
    own: &SizeCurve,
    baseline: usize,
    fitted: &[(SizeCurve, Vec<SizedErrors>)],
) -> CrossingRow {
    let against = own.against(&fitted[baseline].0);
    let crossing = against.as_ref().map(|against| &against.crossing);
    CrossingRow {
        baseline,
        at: crossing.map(|crossing| crossing.at.clone()).unwrap_or_default(),
        below: crossing.map(|crossing| crossing.below),
        above: crossing.map(Crossing::above),
        interval: against.as_ref().and_then(|against| against.interval).map(Span::above_0),
        agreement: against.as_ref().and_then(|against| against.agreement),
        extrapolated: against.is_some_and(|against| against.extrapolated),
    }
}

fn mean_and_deviation(values: &[f64]) -> (Option<f64>, Option<f64>) {
    let count = values.len() as f64;
    let mean = (!values.is_empty()).then(|| values.iter().sum::<f64>() / count);
    let spread = mean.filter(|_| values.len() > 1).map(|mean| {
        let square: f64 = values.iter().map(|value| (value - mean).powi(2)).sum();
        (square / (count - 1.0)).sqrt()
    });
    (mean, spread)
}
