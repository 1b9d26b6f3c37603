//! Rows of every table, from what a run left.

use std::collections::BTreeMap;

use serde_json::{Map, Value as Json, json};

use crate::stages::artifacts::ArmRow;
use crate::stats::{Direction, Measure};
use crate::store::{RunLeak, RunLeaks, RunRecord, RunStage};
use crate::train::RangeStep;

use super::advice;
use super::advice_judged::{self, AdviceJudged};
use super::agreement;
use super::arms::{Advised, SCRATCH_LONG, control};
use super::audit;
use super::claims::word;
use super::curves;
use super::drift;
use super::energy;
use super::estimates;
use super::fits;
use super::frame::Table;
use super::front;
use super::gather::{Gathered, METHOD, NodeCost, Probed, Scored, Trained, Tried, Verdict};
use super::judged::{self, Judged};
use super::settings;
use super::spending;

/// What a data set says of an item in a column; nothing if it has no such column, or the cell is
/// empty.
fn cell(scored: &Scored, column: &str, item: usize) -> Option<String> {
    let (_, cells) = scored.items.columns.iter().find(|(name, _)| name == column)?;
    Some(cells[item].clone()).filter(|cell| !cell.is_empty())
}

fn skipped_table(run: &RunRecord) -> Table {
    let each = || run.skipped.iter();
    Table::default()
        .text("dataset", each().map(|skipped| Some(skipped.dataset.as_str())))
        .text("item", each().map(|skipped| Some(skipped.item.as_str())))
        .text("reason", each().map(|skipped| Some(skipped.reason.as_str())))
}

fn leak_table(run: &RunRecord) -> Table {
    let rows: Vec<(&RunLeaks, &RunLeak)> = run
        .leaks
        .iter()
        .flat_map(|leaks| leaks.pairs.iter().map(move |pair| (leaks, pair)))
        .collect();
    let each = || rows.iter();
    let kind = |pair: &RunLeak| if pair.distance.is_some() { "near" } else { "same" };
    Table::default()
        .text("dataset", each().map(|(leaks, _)| Some(leaks.dataset.as_str())))
        .text("learnt_on", each().map(|(leaks, _)| leaks.learnt_on.as_deref()))
        .text("kind", each().map(|(_, pair)| Some(kind(pair))))
        .text("part_a", each().map(|(_, pair)| pair.parts[0].clone()))
        .text("item_a", each().map(|(_, pair)| Some(pair.items[0].as_str())))
        .text("label_a", each().map(|(_, pair)| Some(pair.labels[0].as_str())))
        .text("part_b", each().map(|(_, pair)| pair.parts[1].clone()))
        .text("item_b", each().map(|(_, pair)| Some(pair.items[1].as_str())))
        .text("label_b", each().map(|(_, pair)| Some(pair.labels[1].as_str())))
        .whole("distance", each().map(|(_, pair)| pair.distance.map(i64::from)))
        .number("correlation", each().map(|(_, pair)| pair.correlation))
}

/// A fact about an arm, as the plan has it.
pub(super) fn arm_fact<'a>(stage: &'a RunStage, name: &str) -> Option<&'a Json> {
    stage.arm.as_ref()?.get(name).filter(|value| !value.is_null())
}

/// The same, if it is a word.
pub(super) fn text(stage: &RunStage, name: &str) -> Option<String> {
    arm_fact(stage, name)?.as_str().map(str::to_owned)
}

/// Which labels an arm has seen; those of the target's training items if nothing else is said.
fn setting(stage: &RunStage) -> String {
    text(stage, "setting").unwrap_or_else(|| "inductive".to_owned())
}

fn number(stage: &RunStage, name: &str) -> Option<f64> {
    arm_fact(stage, name)?.as_f64()
}

/// A difference as a share of what the baseline leaves to gain up to the metric's best value: 1, or
/// 0 of what is better the lower it is.
pub(super) fn relative(metric: &str, delta: f64, baseline: f64) -> Option<f64> {
    let left = match Measure::named(metric)?.direction() {
        Direction::HigherIsBetter => 1.0 - baseline,
        Direction::LowerIsBetter => baseline,
    };
    (left > 0.0).then_some(delta / left)
}

/// What a row speaks of.
fn scope(arm: &RunStage) -> &'static str {
    if arm.kind == METHOD { METHOD } else { "arm" }
}

/// The flags of a verdict, and whether its baseline had less to spend.
fn flags(arm: &RunStage, baseline: &RunStage, row: &ArmRow) -> Vec<String> {
    let had_less = audit::baseline_had_less(arm, baseline).map(|_| "baseline_had_less".to_owned());
    row.verdict.flags.iter().cloned().chain(had_less).collect()
}

pub(super) fn whole(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

fn axes(stage: &RunStage) -> Option<String> {
    let axes: Vec<String> =
        stage.axes.iter().map(|(axis, value)| format!("{axis}={value}")).collect();
    (!axes.is_empty()).then(|| axes.join(","))
}

impl Gathered {
    /// All tables by name.
    pub(super) fn tables(
        &self,
        run: &RunRecord,
        (judged, advised): (&[Judged], &[AdviceJudged]),
    ) -> Vec<(&'static str, Table)> {
        let tables = vec![
            ("scores", self.score_table()),
            ("confusion", self.confusion_table()),
            ("items", self.item_table()),
            ("transfer", self.transfer_table(run)),
            ("convergence", self.convergence_table()),
            ("skipped", skipped_table(run)),
            ("costs", self.cost_table(run)),
        ];
        // Not every study has probes or range tests: there is no table without them.
        let probed = (!self.probed.is_empty()).then(|| ("selection", self.selection_table()));
        let tested = self.trained.iter().any(|trained| !trained.range.is_empty());
        let range = tested.then(|| ("lr_range", self.range_table()));
        let moved = self.trained.iter().any(|trained| !trained.drift.is_empty());
        let drift = moved.then(|| ("drift", drift::table(&self.trained)));
        let spent = !self.trained.is_empty();
        let spent = spent.then(|| ("convergence_costs", spending::table(&self.trained)));
        let front = (!self.fronts.is_empty()).then(|| ("front", front::table(&self.fronts, run)));
        let beside = super::beside::tables(&self.verdicts, run);
        let leaks = (!run.leaks.is_empty()).then(|| ("leaks", leak_table(run)));
        let looks = (!run.looks.is_empty()).then(|| ("looks", super::looks::table(run)));
        let audit = audit::table(&self.verdicts, run).map(|table| ("audit", table));
        // Nor scores before training, and less often what they were worth.
        let scored = !self.estimated.is_empty();
        let scored = scored.then(|| ("transferability", estimates::table(&self.estimated)));
        let agreed = agreement::agreements(&self.estimated);
        let agreed = (!agreed.is_empty()).then(|| ("agreement", agreement::table(&agreed)));
        let judged = (!judged.is_empty()).then(|| ("judged", judged::table(judged)));
        let advice = (!self.advice.is_empty()).then(|| ("advice", advice::table(&self.advice)));
        let advised =
            (!advised.is_empty()).then(|| ("advice_judged", advice_judged::table(advised)));
        let graded = settings::graded(&self.verdicts, &self.estimated);
        let graded = (!graded.is_empty()).then(|| ("graded", settings::table(&graded)));
        tables
            .into_iter()
            .chain(beside)
            .chain(audit)
            .chain(probed)
            .chain(range)
            .chain(drift)
            .chain(spent)
            .chain(leaks)
            .chain(looks)
            .chain(scored)
            .chain(agreed)
            .chain(judged)
            .chain(graded)
            .chain(advice)
            .chain(advised)
            .chain(curves::tables(self))
            .chain(front)
            .collect()
    }

    fn score_table(&self) -> Table {
        let rows: Vec<(&Scored, &crate::stages::artifacts::Score)> = self
            .scores
            .iter()
            .flat_map(|scored| scored.evaluation.scores.iter().map(move |score| (scored, score)))
            .collect();
        let each = || rows.iter();
        Table::default()
            .text("stage", each().map(|(s, _)| Some(s.stage.name.as_str())))
            .text("name", each().map(|(s, _)| Some(s.stage.stage.as_str())))
            .text("axes", each().map(|(s, _)| axes(&s.stage)))
            .text("kind", each().map(|(s, _)| Some(s.stage.kind.as_str())))
            .text("control", each().map(|(s, _)| control(&s.stage)))
            .text("source", each().map(|(s, _)| text(&s.stage, "source")))
            .text("target", each().map(|(s, _)| text(&s.stage, "target")))
            .text("setting", each().map(|(s, _)| Some(setting(&s.stage))))
            .text("train_on", each().map(|(s, _)| text(&s.stage, "train_on")))
            .text("adapt", each().map(|(s, _)| text(&s.stage, "adapt")))
            .number("label_noise", each().map(|(s, _)| number(&s.stage, "label_noise")))
            .whole("seed", each().map(|(s, _)| s.seed.map(whole)))
            .text("split", each().map(|(s, _)| Some(s.evaluation.part.as_str())))
            .whole("n_train", each().map(|(s, _)| Some(s.items.trained_on as i64)))
            .whole("n_items", each().map(|(s, _)| Some(s.evaluation.items as i64)))
            .text("metric", each().map(|(_, score)| Some(score.metric.as_str())))
            .text("class", each().map(|(_, score)| score.class.clone()))
            .number("value", each().map(|(_, score)| score.value))
            .text("reason", each().map(|(_, score)| score.reason.clone()))
    }

    fn confusion_table(&self) -> Table {
        let rows: Vec<(&Scored, &crate::stages::artifacts::ClassScore)> = self
            .scores
            .iter()
            .flat_map(|scored| scored.evaluation.confusion.iter().map(move |cell| (scored, cell)))
            .collect();
        let each = || rows.iter();
        Table::default()
            .text("stage", each().map(|(s, _)| Some(s.stage.name.as_str())))
            .whole("seed", each().map(|(s, _)| s.seed.map(whole)))
            .text("split", each().map(|(s, _)| Some(s.evaluation.part.as_str())))
            .text("truth", each().map(|(_, cell)| Some(cell.truth.as_str())))
            .text("predicted", each().map(|(_, cell)| Some(cell.predicted.as_str())))
            .whole("count", each().map(|(_, cell)| Some(cell.count as i64)))
    }

    fn item_table(&self) -> Table {
        let rows: Vec<(&Scored, usize)> = self
            .scores
            .iter()
            .flat_map(|scored| (0..scored.items.ids.len()).map(move |item| (scored, item)))
            .collect();
        let each = || rows.iter();
        let probabilities = |s: &Scored, i: usize| {
            s.items.probabilities.as_ref().ok().map(|matrix| matrix.row(i).to_vec())
        };
        let group = |s: &Scored, i: usize| s.items.grouped.then(|| s.items.groups[i] as i64);
        let table = Table::default()
            .text("stage", each().map(|(s, _)| Some(s.stage.name.as_str())))
            .whole("seed", each().map(|(s, _)| s.seed.map(whole)))
            .text("split", each().map(|(s, _)| Some(s.evaluation.part.as_str())))
            .text("item", each().map(|(s, i)| Some(s.items.ids[*i].as_str())))
            .whole("group", each().map(|(s, i)| group(s, *i)))
            .text("label", each().map(|(s, i)| s.items.label(*i)))
            .text("predicted", each().map(|(s, i)| s.items.told(*i)))
            .flag("correct", each().map(|(s, i)| s.items.is_right(*i)))
            .numbers("probabilities", each().map(|(s, i)| probabilities(s, *i)));
        self.further_columns().into_iter().fold(table, |table, name| {
            let cell = |(scored, item): &(&Scored, usize)| cell(scored, &name, *item);
            let fresh = table.free_name(&name);
            table.text(&fresh, each().map(cell))
        })
    }

    /// Names of what data sets say of their items beside label and group, each once.
    fn further_columns(&self) -> Vec<String> {
        let mut names: Vec<String> = vec![];
        for (name, _) in self.scores.iter().flat_map(|scored| &scored.items.columns) {
            if !names.contains(name) {
                names.push(name.clone());
            }
        }
        names
    }

    fn transfer_table(&self, run: &RunRecord) -> Table {
        let rows: Vec<(&Verdict, &RunStage, &RunStage, &ArmRow)> = self
            .verdicts
            .iter()
            .flat_map(|v| {
                let all = v.rows.iter().chain(&v.methods);
                all.map(move |(arm, base, row)| (v, arm, base, row))
            })
            .collect();
        let each = || rows.iter().copied();
        let numbers = |row: &ArmRow| row.verdict.numbers;
        let judged: Vec<&crate::stats::Verdict> = each().map(|(.., row)| &row.verdict).collect();
        let advised = |verdict: &Verdict, row: &ArmRow| {
            (self.advised(verdict, row)? == Advised::Add).then_some(SCRATCH_LONG)
        };
        let share = |(v, _, _, row): (&Verdict, &RunStage, &RunStage, &ArmRow)| {
            relative(&v.metric, numbers(row)?.delta, row.numbers.m_scratch?)
        };
        let table = Table::default()
            .text("pair_id", each().map(|(v, arm, base, _)| Some(v.pair_id(run, arm, base))))
            .text("source", each().map(|(_, arm, ..)| text(arm, "source")))
            .text("target", each().map(|(_, arm, ..)| text(arm, "target")))
            .text("setting", each().map(|(_, arm, ..)| settings::setting(arm)))
            .text("setting_kind", each().map(|(_, arm, ..)| settings::kind(arm)))
            .flag("same_domain", each().map(|(_, arm, ..)| arm.setting.as_ref()?.same_domain))
            .flag("same_task", each().map(|(_, arm, ..)| arm.setting.as_ref()?.same_task))
            .text("shift_kind", each().map(|(_, arm, ..)| settings::shift(arm, &self.estimated)))
            .text("train_on", each().map(|(_, arm, ..)| text(arm, "train_on")))
            .text("adapt", each().map(|(_, arm, ..)| text(arm, "adapt")))
            .number("label_noise", each().map(|(_, arm, ..)| number(arm, "label_noise")))
            .whole("n_train", each().map(|(.., row)| row.numbers.n_train.map(|n| n as i64)))
            .text("arm", each().map(|(_, arm, ..)| Some(arm.name.as_str())))
            .text("baseline", each().map(|(_, _, base, _)| Some(base.name.as_str())))
            .text("freeze_depth", each().map(|(_, arm, ..)| text(arm, "freeze")))
            .text("transfer_depth", each().map(|(_, arm, ..)| text(arm, "transfer_depth")))
            .text("init", each().map(|(_, arm, ..)| text(arm, "init")))
            .text("control", each().map(|(_, arm, base, _)| self.control(arm, base)))
            .number(
                "lr_body",
                each()
                    .map(|(_, arm, _, row)| Some(row.numbers.lr_head? * number(arm, "body_rate")?)),
            )
            .number("lr_head", each().map(|(.., row)| row.numbers.lr_head))
            .number("c", each().map(|(.., row)| row.numbers.c))
            .text("metric", each().map(|(v, ..)| Some(v.metric.as_str())))
            .whole("S", each().map(|(.., row)| Some(row.verdict.seeds as i64)))
            .whole("N", each().map(|(.., row)| Some(row.numbers.items as i64)))
            .whole("units", each().map(|(.., row)| Some(row.verdict.units as i64)))
            .number("m_transfer", each().map(|(.., row)| row.numbers.m_transfer))
            .number("m_scratch", each().map(|(.., row)| row.numbers.m_scratch))
            .number("sd_scratch", each().map(|(.., row)| row.numbers.sd_scratch))
            .number("m_majority", each().map(|(.., row)| row.numbers.m_majority))
            .number("delta", each().map(|(.., row)| numbers(row).map(|n| n.delta)))
            .number("relative", each().map(share))
            .number("se", each().map(|(.., row)| numbers(row).map(|n| n.se)))
            .number("df", each().map(|(.., row)| numbers(row).map(|n| n.df)))
            .intervals(&judged)
            .claims(&judged)
            .text("advised", each().map(|(v, .., row)| advised(v, row)))
            .whole("n01", each().map(|(.., row)| row.numbers.n01.map(|n| n as i64)))
            .whole("n10", each().map(|(.., row)| row.numbers.n10.map(|n| n as i64)))
            .number("mcnemar_p", each().map(|(.., row)| row.numbers.mcnemar_p))
            .number("p_gt", each().map(|(.., row)| row.numbers.p_gt))
            .number("mde80", each().map(|(.., row)| numbers(row).map(|n| n.mde80)))
            .number("eps", each().map(|(.., row)| Some(row.verdict.eps)))
            .text("scope", each().map(|(_, arm, ..)| Some(scope(arm))))
            .text("test", each().map(|(.., row)| word(&row.verdict.decider)))
            .texts("flags", each().map(|(_, arm, base, row)| flags(arm, base, row)));
        // Where there was one look, there is nothing to say of it.
        if each().all(|(.., row)| row.verdict.look.is_none()) {
            return table;
        }
        let look = |row: &ArmRow| row.verdict.look;
        table
            .whole("look", each().map(|(.., row)| look(row).map(|look| look.number as i64)))
            .whole("looks", each().map(|(.., row)| look(row).map(|look| look.of as i64)))
            .number("alpha", each().map(|(.., row)| look(row).map(|look| look.level)))
            .number("alpha_spent", each().map(|(.., row)| look(row).map(|look| look.spent)))
    }

    fn convergence_table(&self) -> Table {
        let mut rows = Vec::new();
        for trained in &self.trained {
            for trial in &trained.trials {
                rows.extend(trial.curve().iter().map(|point| (trained, trial, point)));
            }
        }
        let each = || rows.iter();
        let table = Table::default()
            .text("stage", each().map(|(t, ..)| Some(t.stage.name.as_str())))
            .whole("seed", each().map(|(t, ..)| t.seed.map(whole)))
            .number("lr", each().map(|(_, trial, _)| Some(trial.rate)))
            .flag("chosen", each().map(|(t, trial, _)| Some(t.is_chosen(trial))))
            .whole("step", each().map(|(.., p)| Some(p.step as i64)))
            .number("train_loss", each().map(|(.., p)| p.train_loss))
            .number("val_loss", each().map(|(.., p)| Some(p.val_loss)))
            .number("val_accuracy", each().map(|(.., p)| p.val_accuracy))
            .number("val_balanced_accuracy", each().map(|(.., p)| p.val_balanced_accuracy))
            .number("rate", each().map(|(.., p)| Some(p.rate)));
        // Where there are classes alone, there is no such column.
        match each().any(|(.., p)| p.val_score.is_some()) {
            true => table.number("val_score", each().map(|(.., p)| p.val_score)),
            false => table,
        }
    }

    /// What every value gave on items held out, then the value of each class that has its own.
    fn selection_table(&self) -> Table {
        let rows: Vec<Tried<'_>> = self.probed.iter().flat_map(Probed::tried).collect();
        let each = || rows.iter();
        let choice = |tried: &Tried<'_>| tried.probed.chosen.choice.clone();
        let at_edge = |tried: &Tried<'_>| tried.is_chosen && choice(tried).at_edge;
        Table::default()
            .text("stage", each().map(|t| Some(t.probed.stage.name.as_str())))
            .whole("seed", each().map(|t| t.probed.seed.map(whole)))
            .text("setting", each().map(|t| Some(choice(t).setting)))
            .text("class", each().map(|t| t.class))
            .number("value", each().map(|t| Some(t.value)))
            .text("criterion", each().map(|t| Some(choice(t).criterion)))
            .number("held_out", each().map(|t| t.held_out))
            .flag("chosen", each().map(|t| Some(t.is_chosen)))
            .flag("at_edge", each().map(|t| Some(at_edge(t))))
    }

    fn range_table<'a>(&'a self) -> Table {
        let steps = |trained: &'a Trained| trained.range.iter().map(move |step| (trained, step));
        let rows: Vec<(&Trained, &RangeStep)> = self.trained.iter().flat_map(steps).collect();
        let each = || rows.iter();
        Table::default()
            .text("stage", each().map(|(t, _)| Some(t.stage.name.as_str())))
            .whole("seed", each().map(|(t, _)| t.seed.map(whole)))
            .whole("step", each().map(|(_, step)| Some(step.step as i64)))
            .number("lr", each().map(|(_, step)| Some(step.rate)))
            .number("loss", each().map(|(_, step)| Some(step.loss)))
            .number("smoothed", each().map(|(_, step)| Some(step.smoothed)))
    }

    fn cost_table(&self, run: &RunRecord) -> Table {
        let each = || self.costs.iter();
        let stage = |cost: &NodeCost, name: &str| {
            cost.stage.as_ref().and_then(|stage| number(stage, name)).map(|value| value as i64)
        };
        let proved = |cost: &NodeCost| cost.record.facts.get("frozen_tensors_identical")?.as_i64();
        let outcome = |cost: &NodeCost| word(&cost.node.outcome);
        let table = Table::default()
            .text("node", each().map(|c| Some(c.node.label.as_str())))
            .text("stage", each().map(|c| Some(c.node.stage.as_str())))
            .whole("seed", each().map(|c| c.node.seed.map(whole)))
            .text("outcome", each().map(outcome))
            .number("seconds", each().map(|c| Some(c.record.cost.seconds)))
            .number("cpu_seconds", each().map(|c| c.record.cost.cpu_seconds))
            .text(
                "cpu_reason",
                each().map(|c| {
                    let cost = &c.record.cost;
                    let why = match cost.cores {
                        1 => "an interrupted run did a part of it",
                        _ => "several threads worked on it",
                    };
                    cost.cpu_seconds.is_none().then_some(why)
                }),
            )
            .whole("peak_bytes", each().map(|c| c.record.cost.peak_bytes.map(whole)))
            .whole("macs", each().map(|c| stage(c, "macs")))
            .whole("parameters", each().map(|c| stage(c, "parameters")))
            .whole("trained_parameters", each().map(|c| stage(c, "trained_parameters")));
        let stages: Vec<Option<&RunStage>> = each().map(|c| c.stage.as_ref()).collect();
        fits::columns(table, &stages, run.budget.as_ref())
            .text("tune", each().map(|c| c.stage.as_ref().and_then(|stage| text(stage, "tune"))))
            .text("init", each().map(|c| c.stage.as_ref().and_then(|stage| text(stage, "init"))))
            .text("control", each().map(|c| c.stage.as_ref().and_then(control)))
            .text(
                "scratch_init",
                each().map(|c| c.stage.as_ref().and_then(|stage| text(stage, "scratch_init"))),
            )
            .whole("frozen_tensors_proved", each().map(proved))
            .also(energy::columns(&self.costs, run))
    }

    /// Means over seeds by stage and metric, nested as DVC's metrics commands read them.
    pub(super) fn metrics(&self) -> Json {
        let mut stages = Map::new();
        for ((stage, part, metric), values) in self.means() {
            let stage = stages.entry(stage).or_insert_with(|| json!({}));
            let parts = stage.as_object_mut().map(|map| map.entry(part).or_insert(json!({})));
            if let Some(Json::Object(metrics)) = parts {
                metrics.insert(metric, json!(values.iter().sum::<f64>() / values.len() as f64));
            }
        }
        Json::Object(stages)
    }

    fn means(&self) -> BTreeMap<(String, String, String), Vec<f64>> {
        let mut means: BTreeMap<(String, String, String), Vec<f64>> = BTreeMap::new();
        for scored in &self.scores {
            for score in scored.evaluation.scores.iter().filter(|score| score.class.is_none()) {
                let Some(value) = score.value else { continue };
                let part = scored.evaluation.part.clone();
                let key = (scored.stage.name.clone(), part, score.metric.clone());
                means.entry(key).or_default().push(value);
            }
        }
        means
    }
}
