//! What trainings had used at each look at val, in seconds and joules: by themselves, and with all
//! that was computed once before them, such as the frozen part.

use std::collections::BTreeSet;

use crate::curves::{Time, median, used_by};
use crate::stages::artifacts::TrialResult;
use crate::store::{Energy, Laps, Record, RunRecord, Spent};

use super::energy;
use super::frame::Table;
use super::gather::{Gathered, Trained};

/// Work that is done once before trainings and shared by them.
const DONE_BEFORE: [&str; 3] = ["pixels", "extract", "probe_head"];

/// How the work that trainings share is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Cache {
    /// As if it had been there already.
    Warm,
    /// As if the training had to do all of it by itself.
    Cold,
}

/// What one training had used at each of its looks.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Spending {
    looks: Vec<Spent>,
    /// What was done before it; or why that is not known.
    before: Result<Vec<Spent>, String>,
}

/// What work has used, where the record tells.
type Known = Result<Spending, String>;

impl Spending {
    /// Of each training that a node chose among, in their order.
    pub(super) fn of_trials(
        (run, records): (&RunRecord, &[Option<Record>]),
        chooser: usize,
        trials: &[TrialResult],
    ) -> Vec<Known> {
        let kind = |node: usize| records.get(node)?.as_ref()?.fields.get("kind")?.as_str();
        let reads = run.nodes[chooser].reads.iter().copied();
        let nodes: Vec<usize> = reads.filter(|&node| kind(node) == Some("trial")).collect();
        let of = |(index, trial): (usize, &TrialResult)| {
            let untold = || "not told by the version that did the run".to_owned();
            let node = *nodes.get(index).ok_or_else(untold)?;
            let record = records[node].as_ref().ok_or_else(untold)?;
            let looks = looks(record, trial.curve().len(), run.energy.allow_estimate)?;
            let mut shared = BTreeSet::new();
            before(node, &run.nodes, &kind, &mut shared);
            let before = shared.iter().map(|&node| {
                let record = records[node].as_ref().ok_or_else(untold)?;
                Ok(spent(record, run.energy.allow_estimate))
            });
            Ok(Self { looks, before: before.collect() })
        };
        trials.iter().enumerate().map(of).collect()
    }

    /// What it had used at each look.
    pub(super) fn at(&self, cache: Cache) -> Result<Vec<Spent>, String> {
        let before = match cache {
            Cache::Warm => &[][..],
            Cache::Cold => self.before.as_ref().map_err(Clone::clone)?,
        };
        Ok(self.looks.iter().map(|look| before.iter().fold(look.clone(), together)).collect())
    }
}

/// Both together.
fn together(one: Spent, other: &Spent) -> Spent {
    let energy = match (one.energy, &other.energy) {
        (Ok(one), Ok(other)) => one.and(other),
        (Err(reason), _) => Err(reason),
        (_, Err(reason)) => Err(reason.clone()),
    };
    Spent { seconds: one.seconds + other.seconds, energy }
}

/// What a node used when it was done.
fn spent(record: &Record, allow_estimate: bool) -> Spent {
    Spent { seconds: record.cost.seconds, energy: energy::of(&record.cost, allow_estimate) }
}

/// What a training had used at each of so many looks; guessed where the file allows that.
fn looks(record: &Record, count: usize, allow_estimate: bool) -> Result<Vec<Spent>, String> {
    let laps: Option<Laps> =
        record.facts.get(Laps::FACT).and_then(|laps| serde_json::from_value(laps.clone()).ok());
    let laps = laps.filter(|laps| laps.seconds.len() == count && laps.joules.len() == count);
    let laps = laps.ok_or("not counted by the version that did the work")?;
    let look = |(seconds, joules): (&f64, &Option<f64>)| {
        let counted = joules.map(|joules| Energy {
            joules,
            scope: laps.scope.clone().unwrap_or_default(),
            source: laps.source.clone().unwrap_or_default(),
        });
        let unknown = || laps.reason.clone().unwrap_or_else(|| "nobody measured it".to_owned());
        let energy = counted.ok_or_else(unknown);
        let cores = record.cost.cores;
        let energy = energy.or_else(|reason| {
            energy::guess(cores, *seconds).filter(|_| allow_estimate).ok_or(reason)
        });
        Spent { seconds: *seconds, energy }
    };
    Ok(laps.seconds.iter().zip(&laps.joules).map(look).collect())
}

/// Adds the nodes that a node's shared inputs were computed by. Where a model comes from is none of
/// them: what its training took is the source's.
fn before<'a>(
    node: usize,
    nodes: &[crate::store::RunNode],
    kind: &impl Fn(usize) -> Option<&'a str>,
    shared: &mut BTreeSet<usize>,
) {
    for &read in &nodes[node].reads {
        if kind(read).is_some_and(|kind| DONE_BEFORE.contains(&kind)) && shared.insert(read) {
            before(read, nodes, kind, shared);
        }
    }
}

/// What it took to reach a score: medians over seeds, each with the reason where there is none.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Reached {
    pub(super) seconds: Result<f64, String>,
    pub(super) energy: Result<Energy, String>,
}

/// What one training had used by then.
struct Seed {
    seconds: Result<Time, String>,
    energy: Result<(Time, Energy), String>,
}

impl Reached {
    /// By the chosen trainings of a stage.
    pub(super) fn of(stage: &str, level: f64, cache: Cache, gathered: &Gathered) -> Self {
        let own = gathered.trained.iter().filter(|trained| trained.stage.name == stage);
        let seeds: Vec<Seed> = own.filter_map(|own| Seed::of(own, level, cache)).collect();
        let seconds = seeds.iter().map(|seed| seed.seconds.clone()).collect::<Result<Vec<_>, _>>();
        Self { seconds: seconds.and_then(|times| middle(&times)), energy: Self::energy(seeds) }
    }

    fn energy(seeds: Vec<Seed>) -> Result<Energy, String> {
        let each: Vec<(Time, Energy)> =
            seeds.into_iter().map(|seed| seed.energy).collect::<Result<_, _>>()?;
        let times: Vec<Time> = each.iter().map(|(time, _)| *time).collect();
        let joules = middle(&times)?;
        let mut all = each.into_iter().map(|(_, energy)| energy);
        let first = all.next().ok_or("there is no curve")?;
        let told = all.try_fold(first, |one, other| one.and(&other))?;
        Ok(Energy { joules, ..told })
    }
}

fn middle(times: &[Time]) -> Result<f64, String> {
    let middle = median(times).ok_or("there is no curve")?;
    middle.known().ok_or_else(|| "not reached in half of the seeds".to_owned())
}

impl Seed {
    /// Nothing where the training has no curve.
    fn of(trained: &Trained, level: f64, cache: Cache) -> Option<Self> {
        let at = trained.trials.iter().position(|trial| trained.is_chosen(trial))?;
        let trial = &trained.trials[at];
        let time = trial.rise()?.reaches(level);
        let spent = trained.spending.get(at)?.clone().and_then(|spending| spending.at(cache));
        let spent = match spent {
            Ok(spent) => spent,
            Err(reason) => return Some(Self { seconds: Err(reason.clone()), energy: Err(reason) }),
        };
        let steps = trial.curve().iter().map(|point| point.step as f64);
        let looks: Vec<(f64, &Spent)> = steps.zip(&spent).collect();
        let by = |of: &dyn Fn(&Spent) -> Option<f64>| {
            let looks: Vec<(f64, Option<f64>)> =
                looks.iter().map(|(step, spent)| (*step, of(spent))).collect();
            match time {
                Time::At(step) => used_by(&looks, step).map(Time::At),
                Time::After(_) => looks.last()?.1.map(Time::After),
            }
        };
        let seconds = by(&|spent| Some(spent.seconds)).ok_or("there is no curve".to_owned());
        let joules = by(&|spent| Some(spent.energy.as_ref().ok()?.joules));
        let told = spent.iter().find_map(|spent| spent.energy.clone().ok());
        let unknown = || spent.iter().find_map(|spent| spent.energy.clone().err());
        let energy = joules.zip(told).ok_or_else(|| unknown().unwrap_or_default());
        Some(Self { seconds, energy })
    }
}

/// The columns of what it took, of arms or of their baselines.
pub(super) fn reached_columns(table: Table, side: &str, rows: &[[Reached; 2]]) -> Table {
    let each = || rows.iter();
    let reason = |of: fn(&Reached) -> Option<&String>| {
        each().map(move |both| both.iter().find_map(of).cloned())
    };
    let told = |of: fn(&Energy) -> &String| {
        each().map(move |[warm, cold]| {
            let energy = cold.energy.as_ref().or(warm.energy.as_ref());
            energy.ok().map(of).cloned()
        })
    };
    let name = |column: &str| format!("{side}{column}");
    let [warm, cold] = [0, 1];
    table
        .number(&name("seconds_warm"), each().map(|row| row[warm].seconds.clone().ok()))
        .number(&name("seconds_cold"), each().map(|row| row[cold].seconds.clone().ok()))
        .text(&name("seconds_reason"), reason(|reached| reached.seconds.as_ref().err()))
        .number(&name("joules_warm"), each().map(|row| joules(&row[warm].energy)))
        .number(&name("joules_cold"), each().map(|row| joules(&row[cold].energy)))
        .text(&name("joules_scope"), told(|energy| &energy.scope))
        .text(&name("joules_source"), told(|energy| &energy.source))
        .text(&name("joules_reason"), reason(|reached| reached.energy.as_ref().err()))
}

fn joules(energy: &Result<Energy, String>) -> Option<f64> {
    energy.as_ref().ok().map(|energy| energy.joules)
}

/// A look with what had been used by then, warm and cold.
struct Row<'a> {
    trained: &'a Trained,
    trial: &'a TrialResult,
    step: usize,
    used: [Result<Spent, String>; 2],
}

impl Row<'_> {
    fn seconds(&self, cache: usize) -> Option<f64> {
        self.used[cache].as_ref().ok().map(|spent| spent.seconds)
    }

    fn energy(&self, cache: usize) -> Result<&Energy, &String> {
        self.used[cache].as_ref().and_then(|spent| spent.energy.as_ref())
    }

    fn told(&self, of: fn(&Energy) -> &String) -> Option<String> {
        self.energy(1).or(self.energy(0)).ok().map(of).cloned()
    }
}

/// One row for each look at val, as in the table of curves.
pub(super) fn table(trained: &[Trained]) -> Table {
    let rows: Vec<Row<'_>> = trained.iter().flat_map(rows).collect();
    let each = || rows.iter();
    Table::default()
        .text("stage", each().map(|row| Some(row.trained.stage.name.as_str())))
        .whole("seed", each().map(|row| row.trained.seed.map(super::build::whole)))
        .number("lr", each().map(|row| Some(row.trial.rate)))
        .flag("chosen", each().map(|row| Some(row.trained.is_chosen(row.trial))))
        .whole("step", each().map(|row| Some(row.step as i64)))
        .number("seconds_warm", each().map(|row| row.seconds(0)))
        .number("seconds_cold", each().map(|row| row.seconds(1)))
        .text("seconds_reason", each().map(|row| row.used.iter().find_map(|u| u.clone().err())))
        .number("joules_warm", each().map(|row| Some(row.energy(0).ok()?.joules)))
        .number("joules_cold", each().map(|row| Some(row.energy(1).ok()?.joules)))
        .text("joules_scope", each().map(|row| row.told(|energy| &energy.scope)))
        .text("joules_source", each().map(|row| row.told(|energy| &energy.source)))
        .text(
            "joules_reason",
            each().map(|row| row.energy(0).err().or(row.energy(1).err()).cloned()),
        )
}

/// All looks of all trainings of a node.
fn rows(trained: &Trained) -> Vec<Row<'_>> {
    let mut rows = Vec::new();
    for (trial, spending) in trained.trials.iter().zip(&trained.spending) {
        let used = [Cache::Warm, Cache::Cold]
            .map(|cache| spending.as_ref().map_err(Clone::clone).and_then(|one| one.at(cache)));
        for (at, point) in trial.curve().iter().enumerate() {
            let used = used.clone().map(|used| used.map(|looks| looks[at].clone()));
            rows.push(Row { trained, trial, step: point.step, used });
        }
    }
    rows
}

/// What the trainings took that made the models which a node's result stands on, of which nothing is
/// guessed; or why that is not known.
pub(super) fn of_source(
    (run, records): (&RunRecord, &[Option<Record>]),
    node: usize,
) -> Result<Spent, String> {
    let makes_model = |node: &usize| {
        let outputs = records[*node].as_ref().map(|record| record.outputs.values());
        outputs.is_some_and(|mut outputs| outputs.any(|artifact| artifact.kind == "model"))
    };
    let makers = ancestors(run, [node]);
    let makers: Vec<usize> = makers.into_iter().filter(makes_model).collect();
    let mut all = ancestors(run, makers.iter().copied());
    all.extend(makers);
    let spent = all.iter().map(|&node| {
        let record = records[node].as_ref().ok_or("a result of it is gone")?;
        Ok(spent(record, false))
    });
    let spent: Vec<Spent> = spent.collect::<Result<_, String>>()?;
    let sum = spent.into_iter().reduce(|one, other| together(one, &other));
    sum.ok_or_else(|| "no source was trained in this study".to_owned())
}

/// All nodes that came before these.
fn ancestors(run: &RunRecord, of: impl IntoIterator<Item = usize>) -> BTreeSet<usize> {
    let mut found = BTreeSet::new();
    let mut open: Vec<usize> = of.into_iter().collect();
    while let Some(node) = open.pop() {
        let reads = run.nodes.get(node).map_or(&[][..], |node| &node.reads);
        open.extend(reads.iter().copied().filter(|&read| found.insert(read)));
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stages::artifacts::Outcome;
    use crate::train::Point;

    fn energy(joules: f64, source: &str) -> Energy {
        Energy { joules, scope: "processors".to_owned(), source: source.to_owned() }
    }

    /// A training looked at after 0, 10 and 20 steps, a second and ten joules apart, after work that
    /// took half a second and four joules.
    fn trained(scores: [f64; 3], source: &str) -> Trained {
        let point = |(look, score): (usize, &f64)| Point {
            step: 10 * look,
            train_loss: None,
            val_loss: 0.0,
            val_accuracy: None,
            val_balanced_accuracy: Some(*score),
            val_score: None,
            rate: 0.1,
        };
        let curve: Vec<Point> = scores.iter().enumerate().map(point).collect();
        let outcome = Outcome::Trained { best: curve[0], stopped_at: 20, total: 20, curve };
        let look = |look: u32| Spent {
            seconds: 1.0 + f64::from(look),
            energy: Ok(energy(10.0 * (1.0 + f64::from(look)), source)),
        };
        let before = Ok(vec![Spent { seconds: 0.5, energy: Ok(energy(4.0, source)) }]);
        Trained {
            stage: crate::store::RunStage { name: "tuned".to_owned(), ..Default::default() },
            seed: None,
            chosen: Some(0.1),
            trials: vec![TrialResult { rate: 0.1, outcome }],
            spending: vec![Ok(Spending { looks: (0..3).map(look).collect(), before })],
            drift: vec![],
            range: vec![],
        }
    }

    fn reached(trained: Vec<Trained>, cache: Cache) -> Reached {
        let gathered = Gathered { trained, ..Gathered::default() };
        Reached::of("tuned", 0.5, cache, &gathered)
    }

    #[test]
    fn a_level_is_reached_after_the_middle_of_what_seeds_took() {
        let seeds = || {
            let early = trained([0.0, 1.0, 1.0], "powercap");
            vec![early, trained([0.0, 0.0, 1.0], "powercap")]
        };
        // Half way between looks: after 1.5 and 2.5 seconds.
        let warm = reached(seeds(), Cache::Warm);
        assert_eq!(warm, Reached { seconds: Ok(2.0), energy: Ok(energy(20.0, "powercap")) });
        let cold = reached(seeds(), Cache::Cold);
        assert_eq!(cold, Reached { seconds: Ok(2.5), energy: Ok(energy(24.0, "powercap")) });
    }

    #[test]
    fn what_most_seeds_never_reach_has_no_time() {
        let never = || trained([0.0, 0.1, 0.2], "powercap");
        let early = trained([0.0, 1.0, 1.0], "powercap");
        let found = reached(vec![early, never(), never()], Cache::Warm);
        assert_eq!(found.seconds.unwrap_err(), "not reached in half of the seeds");
        assert_eq!(found.energy.unwrap_err(), "not reached in half of the seeds");
        assert_eq!(reached(vec![], Cache::Warm).seconds.unwrap_err(), "there is no curve");
    }

    #[test]
    fn guesses_and_measured_joules_make_no_middle_and_no_sum() {
        let seeds = ["powercap", "estimated"].map(|source| trained([0.0, 1.0, 1.0], source));
        let found = reached(seeds.to_vec(), Cache::Warm);
        assert_eq!(found.seconds, Ok(1.5));
        let told = "counted in different ways: powercap and estimated";
        assert_eq!(found.energy.unwrap_err(), told);
        let mut mixed = trained([0.0, 1.0, 1.0], "powercap");
        if let Ok(spending) = &mut mixed.spending[0] {
            spending.before =
                Ok(vec![Spent { seconds: 0.5, energy: Err("permission".to_owned()) }]);
        }
        let cold = reached(vec![mixed], Cache::Cold);
        assert_eq!((cold.seconds, cold.energy.unwrap_err().as_str()), (Ok(2.0), "permission"));
    }
}
