//! Learning curves and where they cross.

use serde_json::json;

use crate::curves::Standing;
use crate::stages::artifacts::{
    ArmRow, CrossingRow, CurveRow, LawRow, LearningCurves, SizeRow, Span,
};
use crate::stats::Class;
use crate::store::RunStage;

use super::super::build::text;
use super::super::frame::Table;
use super::super::gather::Verdict;
use super::{Found, common_name, with_span};

/// Fewer training items than this vary much between draws (a decision of this program).
const FEW: f64 = 300.0;
/// Share of draws that should agree on how an arm stands below the crossing.
const AGREED: f64 = 0.95;

/// One curve with its arms.
struct Placed<'a> {
    found: &'a Found<LearningCurves>,
    row: &'a CurveRow,
}

impl<'a> Placed<'a> {
    fn all(found: &'a [Found<LearningCurves>]) -> Vec<Self> {
        let of = |found: &'a Found<LearningCurves>| {
            found.result.curves.iter().map(move |row| Self { found, row })
        };
        found.iter().flat_map(of).collect()
    }

    fn arm(&self, size: &SizeRow) -> Option<&'a RunStage> {
        self.found.arms.get(size.arm)
    }

    fn first(&self) -> Option<&'a RunStage> {
        self.arm(self.row.sizes.first()?)
    }

    fn name(&self) -> String {
        let arms: Vec<&RunStage> =
            self.row.sizes.iter().filter_map(|size| self.arm(size)).collect();
        common_name(&arms)
    }

    fn baseline(&self) -> Option<String> {
        let at = self.row.crossing.as_ref()?.baseline;
        let row = self.found.result.curves.get(at)?;
        Some(Self { found: self.found, row }.name())
    }

    fn law(&self) -> Option<&'a LawRow> {
        self.row.law.as_ref()
    }

    fn crossing(&self) -> Option<&'a CrossingRow> {
        self.row.crossing.as_ref()
    }

    fn ends(&self) -> Option<(f64, f64)> {
        Some((self.row.sizes.first()?.n, self.row.sizes.last()?.n))
    }

    fn flags(&self) -> Vec<String> {
        let mut flags = Vec::new();
        let mut mark = |is: bool, word: &str| {
            if is {
                flags.push(word.to_owned());
            }
        };
        mark(self.law().is_some_and(|law| law.at_bound), "exponent_at_bound");
        mark(self.law().is_some() && self.law().is_some_and(|law| law.a.is_none()), "no_interval");
        let Some(crossing) = self.crossing() else { return flags };
        mark(crossing.below.is_some() && crossing.at.is_empty(), "none_in_range");
        mark(crossing.extrapolated, "extrapolated");
        mark(crossing.at.len() > 1, "crosses_again");
        mark(crossing.agreement.is_some_and(|share| share < AGREED), "draws_disagree");
        flags
    }
}

/// One row for each size of each curve.
pub(super) fn curve_table(found: &[Found<LearningCurves>]) -> Table {
    let curves = Placed::all(found);
    let rows: Vec<(&Placed<'_>, &SizeRow)> =
        curves.iter().flat_map(|c| c.row.sizes.iter().map(move |size| (c, size))).collect();
    let each = || rows.iter();
    let arm = |(curve, size): &(&Placed<'_>, &SizeRow)| Some(curve.arm(size)?.name.clone());
    Table::default()
        .text("stage", each().map(|(c, _)| Some(c.found.stage.name.as_str())))
        .text("curve", each().map(|(c, _)| Some(c.name())))
        .text("arm", each().map(arm))
        .text("source", each().map(|(c, size)| text(c.arm(size)?, "source")))
        .text("target", each().map(|(c, size)| text(c.arm(size)?, "target")))
        .text("error", each().map(|(c, _)| Some(c.found.result.error.as_str())))
        .number("n", each().map(|(_, size)| Some(size.n)))
        .whole("S", each().map(|(_, size)| Some(size.seeds as i64)))
        .number("mean", each().map(|(_, size)| size.error))
        .number("sd", each().map(|(_, size)| size.deviation))
        .number("fitted", each().map(|(_, size)| size.fitted))
        .number("effective_n", each().map(|(_, size)| size.effective))
        .number("transferred_n", each().map(|(_, size)| Some(size.effective? - size.n)))
        .number("multiplier", each().map(|(_, size)| Some(size.effective? / size.n)))
}

/// One row for each curve.
pub(super) fn crossover_table(found: &[Found<LearningCurves>]) -> Table {
    let rows = Placed::all(found);
    let each = || rows.iter();
    let law = |of: fn(&LawRow) -> f64| rows.iter().map(move |c| c.law().map(of));
    let spans = |of: fn(&LawRow) -> Option<Span>| -> Vec<Option<Span>> {
        rows.iter().map(|c| of(c.law()?)).collect()
    };
    let standing = |standing: Option<Standing>| json!(standing).as_str().map(str::to_owned);
    let seeds = |c: &Placed<'_>| c.row.sizes.iter().map(|size| size.seeds).min();
    let table = Table::default()
        .text("stage", each().map(|c| Some(c.found.stage.name.as_str())))
        .text("arm", each().map(|c| Some(c.name())))
        .text("baseline", each().map(Placed::baseline))
        .text("source", each().map(|c| text(c.first()?, "source")))
        .text("target", each().map(|c| text(c.first()?, "target")))
        .text("error", each().map(|c| Some(c.found.result.error.as_str())))
        .whole("S", each().map(|c| Some(seeds(c)? as i64)))
        .whole("sizes", each().map(|c| Some(c.row.sizes.len() as i64)))
        .number("n_min", each().map(|c| Some(c.ends()?.0)))
        .number("n_max", each().map(|c| Some(c.ends()?.1)))
        .number("a", law(|law| law.law.a));
    let table = with_span(table, "a", &spans(|law| law.a)).number("b", law(|law| law.law.b));
    let table = with_span(table, "b", &spans(|law| law.b)).number("c", law(|law| law.law.c));
    let table = with_span(table, "c", &spans(|law| law.c))
        .number("n_star", each().map(|c| c.crossing()?.at.first().copied()));
    let crossings: Vec<Option<Span>> = rows.iter().map(|c| c.crossing()?.interval).collect();
    with_span(table, "n_star", &crossings)
        .text("below", each().map(|c| standing(c.crossing()?.below)))
        .text("above", each().map(|c| standing(c.crossing()?.above)))
        .number("agreement", each().map(|c| c.crossing()?.agreement))
        .number("second_crossing", each().map(|c| c.crossing()?.at.get(1).copied()))
        .texts("flags", each().map(Placed::flags))
        .text("reason", each().map(|c| c.row.reason.clone()))
}

/// What a person reads of one stage.
#[derive(Clone, Debug, PartialEq)]
pub struct CurveTable {
    /// What the errors are.
    pub error: String,
    /// Repetitions.
    pub seeds: usize,
    /// The curves that others are compared with, each with its law in words.
    pub baselines: Vec<(String, String)>,
    /// Each other curve with what holds.
    pub rows: Vec<(String, String)>,
    /// What a reader should know.
    pub note: Option<String>,
}

/// The summary of a stage; the verdicts of the run tell which sizes are settled.
pub(super) fn summary(found: &Found<LearningCurves>, verdicts: &[Verdict]) -> CurveTable {
    let curves: Vec<Placed<'_>> =
        found.result.curves.iter().map(|row| Placed { found, row }).collect();
    let (rows, baselines): (Vec<&Placed<'_>>, Vec<&Placed<'_>>) =
        curves.iter().partition(|curve| curve.crossing().is_some());
    let sizes = found.result.curves.iter().flat_map(|row| &row.sizes);
    let law = |curve: &&Placed<'_>| {
        let told = curve
            .law()
            .map(|law| format!("{:.3} + {:.3} n^-{:.2}", law.law.a, law.law.b, law.law.c));
        (curve.name(), told.or_else(|| curve.row.reason.clone()).unwrap_or_default())
    };
    CurveTable {
        error: found.result.error.clone(),
        seeds: sizes.map(|size| size.seeds).max().unwrap_or_default(),
        baselines: baselines.iter().map(law).collect(),
        rows: rows.iter().map(|curve| (curve.name(), curve.told(verdicts))).collect(),
        note: few(&found.result),
    }
}

/// A word on sizes that are small, with how much seeds differ there and beyond.
fn few(found: &LearningCurves) -> Option<String> {
    let sizes = || found.curves.iter().flat_map(|row| &row.sizes);
    let largest = |small: bool| {
        let own = sizes().filter(|size| (size.n < FEW) == small);
        own.filter_map(|size| size.deviation).reduce(f64::max)
    };
    let mut small: Vec<f64> = sizes().map(|size| size.n).filter(|n| *n < FEW).collect();
    small.sort_by(f64::total_cmp);
    small.dedup();
    let (first, last) = (small.first()?, small.last()?);
    let range = if first < last { format!("{first} to {last}") } else { first.to_string() };
    let spread =
        largest(true).map(|spread| format!(": they differ by up to {spread:.3} (sd) there"));
    let beyond = largest(false).map(|spread| format!(", {spread:.3} beyond"));
    Some(format!(
        "n = {range} is fewer than {FEW} items, where seeds say little alone{}{}",
        spread.unwrap_or_default(),
        beyond.unwrap_or_default()
    ))
}

impl Placed<'_> {
    /// Where it stands to its baseline, in words.
    fn told(&self, verdicts: &[Verdict]) -> String {
        let parts = [self.stands(), self.doubt(), self.settled(verdicts)];
        parts.into_iter().flatten().collect::<Vec<_>>().join("; ")
    }

    fn stands(&self) -> Option<String> {
        let crossing = self.crossing()?;
        let (Some(below), Some(above)) = (crossing.below, crossing.above) else {
            let none = || "its baseline has no power law".to_owned();
            return Some(self.row.reason.clone().unwrap_or_else(none));
        };
        let (least, most) = self.ends()?;
        let Some(at) = crossing.at.first() else {
            return Some(format!("{} at all sizes looked at, {least} to {most}", word(below)));
        };
        let interval = crossing.interval.map(|span| {
            let low = span.lo.map_or_else(|| format!("below {least}"), |lo| format!("{lo:.0}"));
            let high =
                span.hi.map_or_else(|| format!("beyond {}", 4.0 * most), |hi| format!("{hi:.0}"));
            format!(" [{low}, {high}]")
        });
        let beyond = if crossing.extrapolated { " (extrapolated)" } else { "" };
        let interval = interval.unwrap_or_default();
        Some(format!("{} below n* = {at:.0}{interval}{beyond}, {} above", word(below), word(above)))
    }

    fn doubt(&self) -> Option<String> {
        let agreement = self.crossing()?.agreement.filter(|share| *share < AGREED)?;
        Some(format!("so in {:.0} % of draws of seeds", 100.0 * agreement))
    }

    /// The smallest size whose verdict is neither negative nor open, where there are verdicts.
    fn settled(&self, verdicts: &[Verdict]) -> Option<String> {
        let class = |size: &&SizeRow| -> Option<Class> {
            let name = &self.arm(size)?.name;
            let rows = verdicts.iter().flat_map(|verdict| &verdict.rows);
            let own = rows.filter(|(arm, ..): &&(RunStage, RunStage, ArmRow)| arm.name == *name);
            own.map(|(.., row)| row.verdict.class).next()
        };
        let known: Vec<(f64, Class)> =
            self.row.sizes.iter().filter_map(|size| Some((size.n, class(&size)?))).collect();
        let is_good = |class: Class| matches!(class, Class::Positive | Class::Neutral);
        let first = known.iter().find(|(_, class)| is_good(*class));
        (!known.is_empty()).then(|| match first {
            Some((n, _)) => format!("smallest n whose verdict is neither negative nor open: {n}"),
            None => "at no n is the verdict other than negative or open".to_owned(),
        })
    }
}

fn word(standing: Standing) -> &'static str {
    match standing {
        Standing::Ahead => "ahead",
        Standing::Level => "level",
        Standing::Behind => "behind",
    }
}
