//! Energy of nodes and of the run, with carbon where the file says what electricity costs in it.

use crate::store::{Cost, RunEnergy, RunRecord};

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
    /// Of what.
    pub scope: String,
}

/// The energy of the run; nothing if it was not measured.
pub(super) fn total(run: &RunRecord) -> Option<EnergyTotal> {
    let RunEnergy { measured, seconds, carbon, .. } = &run.energy;
    let energy = measured.as_ref()?;
    Some(EnergyTotal {
        joules: energy.joules,
        seconds: *seconds,
        watts: energy.joules / seconds.max(f64::MIN_POSITIVE),
        carbon_g: carbon.map(|intensity| grams(energy.joules, intensity)),
        scope: energy.scope.clone(),
    })
}

/// Grams of CO₂ equivalent at so many grams for each kilowatt-hour.
fn grams(joules: f64, intensity: f64) -> f64 {
    joules / KILOWATT_HOUR * intensity
}

/// What is told of one node.
struct Told {
    joules: Option<f64>,
    scope: Option<String>,
    source: Option<String>,
    watts: Option<f64>,
    reason: Option<String>,
}

/// Measured, or guessed where the file allows that, or why there is nothing.
fn told(cost: &Cost, allow_estimate: bool) -> Told {
    let watts = |joules: f64| (cost.seconds > 0.0).then(|| joules / cost.seconds);
    if let Some(energy) = &cost.energy {
        return Told {
            joules: Some(energy.joules),
            scope: Some(energy.scope.clone()),
            source: Some(energy.source.clone()),
            watts: watts(energy.joules),
            reason: None,
        };
    }
    let unknown = || "not measured by the version that did the work".to_owned();
    let reason = Some(cost.energy_reason.clone().unwrap_or_else(unknown));
    let joules = cost.cores as f64 * cost.seconds * GUESSED_WATTS;
    match allow_estimate && cost.cores > 0 {
        true => Told {
            joules: Some(joules),
            scope: Some("its cores".to_owned()),
            source: Some(ESTIMATED.to_owned()),
            watts: watts(joules),
            reason,
        },
        false => Told { joules: None, scope: None, source: None, watts: None, reason },
    }
}

/// Columns of the table of costs.
pub(super) fn columns(costs: &[NodeCost], run: &RunRecord) -> Table {
    let RunEnergy { carbon, allow_estimate, .. } = &run.energy;
    let all: Vec<Told> =
        costs.iter().map(|cost| told(&cost.record.cost, *allow_estimate)).collect();
    let each = || all.iter();
    let carbon = |told: &Told| Some(grams(told.joules?, (*carbon)?));
    Table::default()
        .number("energy_j", each().map(|told| told.joules))
        .text("energy_scope", each().map(|told| told.scope.clone()))
        .text("energy_source", each().map(|told| told.source.clone()))
        .number("power_w_mean", each().map(|told| told.watts))
        .number("carbon_g", each().map(carbon))
        .text("energy_reason", each().map(|told| told.reason.clone()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::Energy;

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
        let (plain, guessed) = (told(&cost, false), told(&cost, true));
        assert!(plain.joules.is_none() && plain.source.is_none() && plain.reason.is_some());
        assert_close(guessed.joules.unwrap(), 60.0);
        assert_eq!(guessed.source.as_deref(), Some("estimated"));
        let energy = Energy { joules: 5.0, scope: "processors".into(), source: "powercap".into() };
        let measured = told(&Cost { energy: Some(energy), ..cost }, true);
        assert_close(measured.watts.unwrap(), 2.5);
        assert_eq!((measured.source.as_deref(), measured.reason), (Some("powercap"), None));
    }
}
