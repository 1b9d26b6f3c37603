//! What freezing costs at each depth.

use serde_json::json;

use crate::curves::{Effect, EffectKind, Finding};
use crate::stages::artifacts::{FreezeSweeps, SweepRow};
use crate::stats::LEVEL;
use crate::store::RunStage;

use super::super::build::text;
use super::super::frame::Table;
use super::{Found, common_name};

/// One effect with where it belongs.
struct Placed<'a> {
    found: &'a Found<FreezeSweeps>,
    sweep: &'a SweepRow,
    effect: &'a Effect,
}

impl<'a> Placed<'a> {
    fn arm(&self) -> Option<&'a RunStage> {
        self.found.arms.get(*self.sweep.frozen.get(self.effect.depth)?)
    }

    fn base(&self) -> Option<&'a RunStage> {
        self.found.arms.get(self.sweep.base)
    }

    fn interval(&self) -> Option<(f64, f64)> {
        Some(self.effect.two_way?.interval(1.0 - LEVEL))
    }

    /// What the depth shows of this effect.
    fn shows(&self) -> Option<&'static str> {
        let finding = self.sweep.findings.get(self.effect.depth)?;
        match self.effect.kind {
            EffectKind::Coadapt => coadaptation(finding, self.effect),
            EffectKind::Specificity => finding.specific?.then_some("specificity"),
            _ => None,
        }
    }
}

/// Co-adaptation in words, if it is shown.
fn coadaptation(finding: &Finding, effect: &Effect) -> Option<&'static str> {
    let beyond = effect.p_beyond_holm? <= LEVEL;
    match (beyond, finding.fragile, finding.recovered) {
        (false, ..) => None,
        (true, Some(true), Some(true)) => Some("fragile co-adaptation"),
        (true, Some(true), _) => {
            Some("fragile co-adaptation, as far as it is seen whether it comes back")
        }
        (true, Some(false), _) => Some("loss that does not come back when all layers learn"),
        (true, None, _) => Some("co-adaptation; whether it is fragile, only self_tuned can tell"),
    }
}

fn depth(arm: &RunStage) -> Option<String> {
    text(arm, "freeze")
}

fn frozen_name(found: &Found<FreezeSweeps>, sweep: &SweepRow) -> String {
    let arms: Vec<&RunStage> = sweep.frozen.iter().filter_map(|at| found.arms.get(*at)).collect();
    common_name(&arms)
}

/// One row for each effect at each depth.
pub(super) fn table(found: &[Found<FreezeSweeps>]) -> Table {
    let rows: Vec<Placed<'_>> = found
        .iter()
        .flat_map(|found| found.result.sweeps.iter().map(move |sweep| (found, sweep)))
        .flat_map(|(found, sweep)| {
            sweep.effects.iter().map(move |effect| Placed { found, sweep, effect })
        })
        .collect();
    let each = || rows.iter();
    let word = |kind: EffectKind| json!(kind).as_str().map(str::to_owned);
    let dips = |p: &Placed<'_>| {
        let is = p.sweep.dip.is_some_and(|(depth, _)| depth == p.effect.depth);
        (p.effect.kind == EffectKind::Coadapt).then_some(is)
    };
    let recovered = |p: &Placed<'_>| {
        let finding = p.sweep.findings.get(p.effect.depth)?;
        finding.recovered.filter(|_| p.effect.kind == EffectKind::Retraining)
    };
    Table::default()
        .text("stage", each().map(|p| Some(p.found.stage.name.as_str())))
        .text("sweep", each().map(|p| Some(frozen_name(p.found, p.sweep))))
        .text("baseline", each().map(|p| Some(p.base()?.name.as_str())))
        .text("source", each().map(|p| text(p.arm()?, "source")))
        .text("target", each().map(|p| text(p.arm()?, "target")))
        .text("metric", each().map(|p| Some(p.found.result.metric.as_str())))
        .whole("S", each().map(|p| Some(p.effect.two_way?.seeds as i64)))
        .number("base_score", each().map(|p| p.sweep.score))
        .text("depth", each().map(|p| depth(p.arm()?)))
        .text("effect", each().map(|p| word(p.effect.kind)))
        .number("estimate", each().map(|p| Some(p.effect.two_way?.mean)))
        .number("se", each().map(|p| Some(p.effect.two_way?.se)))
        .number("df", each().map(|p| Some(p.effect.two_way?.df)))
        .number("ci_lo", each().map(|p| Some(p.interval()?.0)))
        .number("ci_hi", each().map(|p| Some(p.interval()?.1)))
        .number("p", each().map(|p| Some(p.effect.two_way?.p)))
        .number("p_holm", each().map(|p| p.effect.p_holm))
        .number("p_beyond", each().map(|p| p.effect.p_beyond))
        .number("p_beyond_holm", each().map(|p| p.effect.p_beyond_holm))
        .number("eps", each().map(|p| Some(p.sweep.rope)))
        .text("shows", each().map(Placed::shows))
        .flag("within_rope", each().map(recovered))
        .flag("dip", each().map(dips))
        .text("reason", each().map(|p| p.effect.reason.clone()))
}

/// What a person reads of one sweep.
#[derive(Clone, Debug, PartialEq)]
pub struct FreezingTable {
    /// The frozen arms together.
    pub sweep: String,
    /// The arm from scratch.
    pub base: String,
    /// The metric.
    pub metric: String,
    /// Repetitions.
    pub seeds: usize,
    /// Mean score of the arm from scratch.
    pub score: Option<f64>,
    /// One row for each depth.
    pub rows: Vec<DepthRow>,
    /// What all depths show together.
    pub notes: Vec<String>,
}

/// One depth.
#[derive(Clone, Debug, PartialEq)]
pub struct DepthRow {
    /// What is frozen.
    pub depth: String,
    /// `baseB - AnB`, `baseB - BnB`, `BnB - AnB` and `AnB+ - BnB+`, or `AnB+ - AnB` where there is no
    /// selffer.
    pub effects: [Option<f64>; 4],
    /// What is shown.
    pub shows: String,
}

/// One table for each sweep.
pub(super) fn summaries(found: &Found<FreezeSweeps>) -> Vec<FreezingTable> {
    let summary = |sweep: &SweepRow| FreezingTable {
        sweep: frozen_name(found, sweep),
        base: found.arms.get(sweep.base).map(|arm| arm.name.clone()).unwrap_or_default(),
        metric: found.result.metric.clone(),
        seeds: sweep.seeds,
        score: sweep.score,
        rows: (0..sweep.frozen.len()).map(|depth| depth_row(found, sweep, depth)).collect(),
        notes: notes(found, sweep),
    };
    found.result.sweeps.iter().map(summary).collect()
}

fn depth_row(found: &Found<FreezeSweeps>, sweep: &SweepRow, at: usize) -> DepthRow {
    let own = || sweep.effects.iter().filter(move |effect| effect.depth == at);
    let mean = |kind: EffectKind| own().find(|effect| effect.kind == kind)?.two_way.map(|t| t.mean);
    let shows: Vec<&str> =
        own().filter_map(|effect| Placed { found, sweep, effect }.shows()).collect();
    let kinds = [EffectKind::Loss, EffectKind::Coadapt, EffectKind::Specificity, EffectKind::Gain];
    let arm = found.arms.get(sweep.frozen[at]);
    DepthRow {
        depth: arm.and_then(depth).unwrap_or_default(),
        effects: kinds.map(mean),
        shows: shows.join("; "),
    }
}

fn notes(found: &Found<FreezeSweeps>, sweep: &SweepRow) -> Vec<String> {
    let mut notes = Vec::new();
    let untold = sweep.effects.iter().find(|effect| effect.kind == EffectKind::Loss);
    if let Some(reason) = untold.and_then(|effect| effect.reason.as_ref()) {
        return vec![format!("nothing is told: {reason}")];
    }
    let missing = sweep
        .effects
        .iter()
        .find(|effect| effect.kind == EffectKind::Coadapt && effect.two_way.is_none());
    if missing.is_some() {
        notes
            .push("co-adaptation and specificity are told apart by `self_frozen` alone".to_owned());
    }
    if let Some((depth_at, _)) = sweep.dip {
        let arm = sweep.frozen.get(depth_at).and_then(|at| found.arms.get(*at));
        let depth = arm.and_then(depth).unwrap_or_default();
        notes.push(format!("the baseline's own layers dip at {depth}: the sign of co-adaptation"));
    }
    if sweep.specificity_grows == Some(true) {
        notes.push("specificity grows with depth".to_owned());
    }
    notes
}
