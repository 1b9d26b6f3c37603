//! `convergence`: how trainings rise over their steps: a higher start, a steeper rise, a higher end.

use serde_json::{Value as Json, json};

use crate::base::language::{Natural, OneOrMore, keys};
use crate::base::numbers::mean_if_any;
use crate::base::{Located, Problem, Target};
use crate::curves::{Draws, Gains, Rise, Time, median, percentiles};
use crate::stats::paired_interval;

use super::super::artifacts::{
    Mean, Predictions, RisingRow, Risings, Span, TimesRow, TrialResult, put_json,
};
use super::super::job::{Context, Failure, Given, Job, Outputs};
use super::super::names::{Reference, full_name};
use super::super::site::{Offers, Runs, Site};
use super::Kind;
use super::scored;

keys! {
    /// Compares how trainings rise on val over their steps with a baseline (Taylor and Stone 2009):
    /// score at the start, slope, score at the end, area below the curve, and the time until a share of
    /// the baseline's end is reached: in steps, items, seconds and joules. Seconds and joules are those
    /// of the training that was chosen, `warm` as if what trainings share had been there already, such
    /// as the frozen part, and `cold` with all of that. Scores are balanced accuracy of classes, mean area under the ROC
    /// curve of several labels, explained variance of numbers.
    pub struct Convergence {
        /// Stages that train; the name of a stage with a matrix means all its combinations.
        of: OneOrMore<Located<Reference>>,
        /// The stage that they are compared with: the same architecture from random weights. With a
        /// matrix, each arm is compared with the combination that shares its axes.
        baseline: Located<Reference>,
        /// Draws of seeds for the intervals of times; 0 for none. Fewer than 5 seeds have no such
        /// intervals.
        resamples: Natural = Natural(1000),
    }
}

/// A stage that trains.
struct Trained {
    stage: String,
    axes: Vec<(String, String)>,
    runs: Runs,
    batch: usize,
    data: String,
    target: Target,
    outputs: usize,
}

impl Kind for Convergence {
    const WORD: &'static str = "convergence";

    fn references(&self) -> Vec<&Located<Reference>> {
        self.of.0.iter().chain([&self.baseline]).collect()
    }

    fn plan(&self, site: &mut Site) -> Option<Offers> {
        let baselines = trained(&self.baseline, site);
        let of: Vec<Option<Vec<Trained>>> =
            self.of.0.iter().map(|reference| trained(reference, site)).collect();
        let (mut arms, of) = (baselines?, of.into_iter().collect::<Option<Vec<_>>>()?);
        let candidates: Vec<(String, Vec<(String, String)>)> =
            arms.iter().map(|arm| (arm.stage.clone(), arm.axes.clone())).collect();
        let mut pairs = Vec::new();
        for (arm, written) in of
            .into_iter()
            .zip(&self.of.0)
            .flat_map(|(arms, written)| arms.into_iter().map(move |arm| (arm, written)))
        {
            if arms.iter().any(|known| (&known.stage, &known.axes) == (&arm.stage, &arm.axes)) {
                let message = format!("`{}` is named twice", full_name(&arm.stage, &arm.axes));
                let help = "name each stage once, and the baseline as `baseline` alone";
                site.problem(Problem::at(written.place, message).help(help));
                return None;
            }
            let own = (arm.stage.as_str(), &arm.axes[..]);
            let base = scored::only_agreeing(own, &candidates, &self.baseline, site)?;
            alike(&arm, &arms[base], written, site)?;
            pairs.push((arms.len(), base));
            arms.push(arm);
        }
        let seeds = site.seeds.len();
        let mut inputs = scored::inputs(arms.iter().map(|arm| &arm.runs), "predictions", seeds);
        for mut input in scored::inputs(arms.iter().map(|arm| &arm.runs), "trials", seeds) {
            input.port = trials_port(&input.port);
            inputs.push(input);
        }
        let (target, outputs) = (arms[0].target, arms[0].outputs);
        let job = Rising {
            target,
            outputs,
            seeds,
            batches: arms.iter().map(|arm| arm.batch).collect(),
            pairs,
            resamples: self.resamples.0,
        };
        site.add("", None, job, inputs);
        let verdict_of = arms.iter().map(|arm| full_name(&arm.stage, &arm.axes)).collect();
        Some(Offers { verdict_of, ..Offers::default() })
    }
}

/// Tells an arm whose val items are not its baseline's.
fn alike(
    arm: &Trained,
    baseline: &Trained,
    written: &Located<Reference>,
    site: &mut Site,
) -> Option<()> {
    if arm.data == baseline.data {
        return Some(());
    }
    let message = format!(
        "`{}` is trained on `{}`, but its baseline on `{}`",
        full_name(&arm.stage, &arm.axes),
        arm.data,
        baseline.data
    );
    let help = "compare trainings on the same data set";
    site.problem(Problem::at(written.place, message).help(help));
    None
}

/// The stages that a reference names, which must train in steps.
fn trained(reference: &Located<Reference>, site: &mut Site) -> Option<Vec<Trained>> {
    let mut found = Some(Vec::new());
    for planned in site.matching(reference)? {
        let Some(offers) = &planned.offers else {
            found = None;
            continue;
        };
        let learning = offers.classifier.as_ref().and_then(|classifier| {
            let job = &site.nodes[classifier.runs.of(0).0].job;
            job.learns()?.batch.map(|batch| (classifier, batch))
        });
        let Some((classifier, batch)) = learning else {
            let message = format!("`{}` does not train in steps", reference.value);
            let help = "name `fine_tune` or `pretrain` stages";
            site.problem(Problem::at(reference.place, message).help(help));
            return None;
        };
        let trained = Trained {
            stage: planned.stage.clone(),
            axes: planned.axes.clone(),
            runs: classifier.runs.clone(),
            batch,
            data: classifier.data.name.clone(),
            target: classifier.data.dataset.target(),
            outputs: classifier.data.outputs(),
        };
        if let Some(found) = &mut found {
            found.push(trained);
        }
    }
    found
}

fn trials_port(arm: &str) -> String {
    format!("trials_of_{arm}")
}

/// How all arms rise.
struct Rising {
    target: Target,
    /// Classes, labels or numbers.
    outputs: usize,
    seeds: usize,
    /// Items in a step of each arm.
    batches: Vec<usize>,
    /// Each arm with its baseline.
    pairs: Vec<(usize, usize)>,
    resamples: usize,
}

/// Shares of the baseline's asymptote that are to be reached.
const SHARES: [f64; 3] = [0.9, 0.95, 0.99];

impl Job for Rising {
    fn kind(&self) -> &'static str {
        "convergence"
    }

    /// 1: first.
    fn version(&self) -> u32 {
        1
    }

    fn parameters(&self) -> Result<Json, Failure> {
        Ok(json!({
            "of": self.target,
            "outputs": self.outputs,
            "seeds": self.seeds,
            "batches": self.batches,
            "pairs": self.pairs,
            "resamples": self.resamples,
        }))
    }

    fn run(&self, context: &Context<'_>) -> Result<Outputs, Failure> {
        let arm = |arm: usize| (0..self.seeds).map(|seed| rise(arm, seed, context)).collect();
        let rises = (0..self.batches.len()).map(arm).collect::<Result<Vec<Vec<_>>, Failure>>()?;
        let draws = Draws::of(self.seeds, self.resamples, "convergence");
        let row = |&(arm, base): &(usize, usize)| self.row((arm, base), &rises, &draws);
        let score = match self.target {
            Target::Classes => "balanced_accuracy",
            Target::Labels => "auroc",
            Target::Values => "r2",
        };
        let rows = self.pairs.iter().map(row).collect();
        let risings = Risings { score: score.to_owned(), rows };
        Ok(Outputs::default().with("risings", put_json(context.store, "risings", &risings)?))
    }
}

/// The curve of the training that was chosen; nothing where there is none, or too little of one.
fn rise(arm: usize, seed: usize, context: &Context<'_>) -> Result<Option<Rise>, Failure> {
    let port = scored::port(arm, seed);
    let trials = trials_port(&port);
    if !matches!(context.inputs.get(&trials), Some(Given::Artifact(_))) {
        return Ok(None);
    }
    let chosen = Predictions::load(&context.bytes(&port)?)?.selection.map(|s| s.chosen);
    let trials: Vec<TrialResult> = super::super::artifacts::get_json(context, &trials)?;
    let is_chosen =
        |trial: &&TrialResult| chosen.is_some_and(|rate| rate.total_cmp(&trial.rate).is_eq());
    Ok(trials.iter().find(is_chosen).and_then(TrialResult::rise))
}

impl Rising {
    /// What guessing scores.
    fn guessed(&self) -> f64 {
        match self.target {
            Target::Classes => 1.0 / self.outputs.max(1) as f64,
            Target::Labels => 0.5,
            Target::Values => 0.0,
        }
    }

    fn row(
        &self,
        (arm, baseline): (usize, usize),
        rises: &[Vec<Option<Rise>>],
        draws: &Draws,
    ) -> RisingRow {
        let both = rises[arm].iter().zip(&rises[baseline]);
        let both: Vec<(&Rise, &Rise)> =
            both.filter_map(|(arm, base)| Some((arm.as_ref()?, base.as_ref()?))).collect();
        let gains: Vec<Gains> =
            both.iter().map(|(arm, base)| arm.over(base, self.guessed())).collect();
        let mean = |of: fn(&Gains) -> Option<f64>| mean(gains.iter().map(of).collect());
        let ends: Vec<f64> = both.iter().map(|(arm, base)| arm.end().min(base.end())).collect();
        let asymptote = mean(|gains| Some(gains.asymptote_baseline)).mean;
        let times = asymptote.filter(|asymptote| *asymptote > 0.0).map(|asymptote| {
            SHARES
                .map(|share| self.times((arm, baseline), (share, asymptote), rises, draws))
                .to_vec()
        });
        RisingRow {
            arm,
            baseline,
            seeds: both.len(),
            horizon: mean_if_any(&ends),
            jumpstart: mean(|gains| Some(gains.jumpstart)),
            slope: mean(|gains| gains.slope),
            slope_baseline: mean(|gains| gains.slope_baseline),
            asymptote: mean(|gains| Some(gains.asymptote)),
            asymptotic_gain: mean(|gains| Some(gains.asymptote - gains.asymptote_baseline)),
            area_ratio: mean(|gains| gains.area_ratio),
            area_ratio_above: mean(|gains| gains.area_ratio_above),
            times: times.unwrap_or_default(),
        }
    }

    fn times(
        &self,
        (arm, baseline): (usize, usize),
        (share, asymptote): (f64, f64),
        rises: &[Vec<Option<Rise>>],
        draws: &Draws,
    ) -> TimesRow {
        let level = share * asymptote;
        let times = |arm: usize| -> Vec<Option<Time>> {
            rises[arm].iter().map(|rise| Some(rise.as_ref()?.reaches(level))).collect()
        };
        let (own, base) = (times(arm), times(baseline));
        let all: Vec<usize> = (0..self.seeds).collect();
        let of = |times: &[Option<Time>], draw: &[usize]| {
            median(&draw.iter().filter_map(|&seed| times[seed]).collect::<Vec<_>>())
        };
        let interval = |times: &[Option<Time>]| {
            draws.interval(|draw| of(times, draw).map(Time::or_never)).map(Span::of)
        };
        let faster = |draw: &[usize]| speed_up(of(&own, draw)?, of(&base, draw)?);
        let drawn: Vec<f64> = draws.each.iter().filter_map(|draw| faster(draw)).collect();
        // Draws in which neither is known leave too little to speak of.
        let enough = 2 * drawn.len() > draws.each.len();
        let items =
            |arm: usize, time: Option<Time>| Some(time?.known()? * self.batches[arm] as f64);
        let (own_median, base_median) = (of(&own, &all), of(&base, &all));
        TimesRow {
            share,
            level,
            arm: own_median,
            arm_interval: interval(&own),
            baseline: base_median,
            baseline_interval: interval(&base),
            arm_items: items(arm, own_median),
            baseline_items: items(baseline, base_median),
            speed_up: faster(&all).filter(|ratio| ratio.is_finite() && *ratio > 0.0),
            speed_up_interval: percentiles(drawn).filter(|_| enough).map(Span::above_0),
        }
    }
}

/// Steps of the baseline over those of the arm: infinite where the arm starts there or the baseline
/// never comes there, 0 the other way round; none where neither tells.
fn speed_up(arm: Time, baseline: Time) -> Option<f64> {
    match (arm.known(), baseline.known()) {
        (None, None) => None,
        (None, Some(_)) => Some(0.0),
        (Some(_), None) => Some(f64::INFINITY),
        (Some(arm), Some(baseline)) if arm > 0.0 => Some(baseline / arm),
        (Some(_), Some(baseline)) => (baseline > 0.0).then_some(f64::INFINITY),
    }
}

/// A mean with Student's interval over seeds; none where it is not known in some seed.
fn mean(values: Vec<Option<f64>>) -> Mean {
    let known: Option<Vec<f64>> = values.into_iter().collect();
    let Some(known) = known.filter(|known| !known.is_empty()) else { return Mean::default() };
    Mean {
        mean: Some(known.iter().sum::<f64>() / known.len() as f64),
        interval: paired_interval(&known, 0.95),
    }
}
