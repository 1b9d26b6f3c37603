//! Energy of nodes and of the run, with carbon where the file says what electricity costs in it.

use crate::store::{Cost, Energy, RunEnergy, RunRecord};

use super::frame::Table;
use super::gather::NodeCost;

/// Joules of a kilowatt-hour.
const KILOWATT_HOUR: f64 = 3.6e6;
/// Watts that a core at work is guessed to use.
const GUESSED_WATTS: f64 = 10.0;
/// The source of numbers that nobody measured.
const ESTIMATED: &str = "estimated";

/// What a run used.
#[derive(Clone, Debug, PartialEq)]
pub struct EnergyTotal {
    /// Joules.
    pub joules: f64,
    /// Seconds they were measured for.
    pub seconds: f64,
    /// Their ratio.
    pub watts: f64,
    /// Grams of CO₂ equivalent.
    pub carbon_g: Option<f64>,
    /// Grams of CO₂ equivalent for each kilowatt-hour that this was judged by.
    pub carbon_g_per_kwh: Option<f64>,
    /// Of what.
    pub scope: String,
    /// Watts of the machine at rest before the run, if that was measured.
    pub idle_w: Option<f64>,
}

/// The energy of the run; nothing if it was not measured.
pub(super) fn total(run: &RunRecord) -> Option<EnergyTotal> {
    let RunEnergy { measured, seconds, carbon, idle_w, .. } = &run.energy;
    let energy = measured.as_ref()?;
    Some(EnergyTotal {
        joules: energy.joules,
        seconds: *seconds,
        watts: energy.joules / seconds.max(f64::MIN_POSITIVE),
        carbon_g: carbon.map(|intensity| grams(energy.joules, intensity)),
        carbon_g_per_kwh: *carbon,
        scope: energy.scope.clone(),
        idle_w: *idle_w,
    })
}

/// Grams of CO₂ equivalent at so many grams for each kilowatt-hour.
fn grams(joules: f64, intensity: f64) -> f64 {
    joules / KILOWATT_HOUR * intensity
}

/// What so many cores are guessed to have used in this time; nothing where cores are not known.
pub(super) fn guess(cores: usize, seconds: f64) -> Option<Energy> {
    let (scope, source) = ("its cores".to_owned(), ESTIMATED.to_owned());
    let joules = cores as f64 * seconds * GUESSED_WATTS;
    (cores > 0).then_some(Energy { joules, scope, source })
}

/// Measured, or guessed where the file allows that, or why there is nothing.
pub(super) fn of(cost: &Cost, allow_estimate: bool) -> Result<Energy, String> {
    let guessed = || guess(cost.cores, cost.seconds).filter(|_| allow_estimate);
    cost.energy.clone().or_else(guessed).ok_or_else(|| unmeasured(cost).unwrap_or_default())
}

/// Why it was not measured; nothing if it was.
fn unmeasured(cost: &Cost) -> Option<String> {
    let unknown = || "not measured by the version that did the work".to_owned();
    let is_unknown = cost.energy.is_none();
    is_unknown.then(|| cost.energy_reason.clone().unwrap_or_else(unknown))
}

/// Why no carbon is told; nothing if it is.
fn carbonless(energy: Option<&Energy>, factor: Option<f64>) -> Option<&'static str> {
    match (energy, factor) {
        (Some(_), Some(_)) => None,
        (None, _) => Some("its energy is not known"),
        (Some(_), None) => Some("the file names no `carbon` of a kilowatt-hour"),
    }
}

fn watts(cost: &Cost, energy: &Energy) -> Option<f64> {
    (cost.seconds > 0.0).then(|| energy.joules / cost.seconds)
}

/// Columns of the table of costs.
pub(super) fn columns(costs: &[NodeCost], run: &RunRecord) -> Table {
    let RunEnergy { carbon, allow_estimate, .. } = &run.energy;
    let all: Vec<(&Cost, Option<Energy>)> = costs
        .iter()
        .map(|node| &node.record.cost)
        .map(|cost| (cost, of(cost, *allow_estimate).ok()))
        .collect();
    let each = || all.iter().map(|(cost, energy)| (*cost, energy.as_ref()));
    let grams = |energy: Option<&Energy>| Some(grams(energy?.joules, (*carbon)?));
    let source = || costs.iter().map(|node| node.source.as_ref());
    Table::default()
        .number("energy_j", each().map(|(_, energy)| Some(energy?.joules)))
        .text("energy_scope", each().map(|(_, energy)| Some(energy?.scope.as_str())))
        .text("energy_source", each().map(|(_, energy)| Some(energy?.source.as_str())))
        .number("power_w_mean", each().map(|(cost, energy)| watts(cost, energy?)))
        .number("carbon_g", each().map(|(_, energy)| grams(energy)))
        .number(
            "carbon_g_per_kwh",
            each().map(|(_, energy)| (*carbon).filter(|_| energy.is_some())),
        )
        .text("carbon_reason", each().map(|(_, energy)| carbonless(energy, *carbon)))
        .text("energy_reason", each().map(|(cost, _)| unmeasured(cost)))
        .number("source_seconds", source().map(|source| Some(source.ok()?.seconds)))
        .number(
            "source_energy_j",
            source().map(|source| Some(source.ok()?.energy.as_ref().ok()?.joules)),
        )
        .text(
            "source_reason",
            source().map(|source| source.and_then(|spent| spent.energy.as_ref()).err().cloned()),
        )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn assert_close(actual: f64, expected: f64) {
        assert!((actual - expected).abs() < 5e-7, "{actual} is not {expected}");
    }

    #[test]
    fn joules_become_kilowatt_hours_and_grams() {
        assert_close(12_345.678 / KILOWATT_HOUR, 0.003_429_355);
        assert_close(grams(12_345.678, 475.0), 1.628_944);
        let mix = 0.25 * 995.0 + 0.35 * 816.0 + 0.26 * 743.0 + 0.14 * 29.0;
        assert_close(grams(KILOWATT_HOUR, mix), 731.59);
    }

    #[test]
    fn nothing_is_guessed_unless_that_is_allowed() {
        let cost = Cost { seconds: 2.0, cores: 3, ..Cost::default() };
        assert_eq!(of(&cost, false).unwrap_err(), "not measured by the version that did the work");
        let guessed = of(&cost, true).unwrap();
        assert_close(guessed.joules, 60.0);
        assert_eq!(guessed.source, "estimated");
        let energy = Energy { joules: 5.0, scope: "processors".into(), source: "powercap".into() };
        let cost = Cost { energy: Some(energy.clone()), ..cost };
        assert_close(watts(&cost, &energy).unwrap(), 2.5);
        assert_eq!((of(&cost, true), unmeasured(&cost)), (Ok(energy), None));
        assert_eq!(guess(0, 2.0), None);
        assert_eq!(carbonless(None, Some(475.0)), Some("its energy is not known"));
        assert_eq!(carbonless(Some(&guessed), Some(475.0)), None);
        assert!(carbonless(Some(&guessed), None).is_some_and(|told| told.contains("`carbon`")));
    }
}
