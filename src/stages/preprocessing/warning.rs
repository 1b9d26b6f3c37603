//! When another rule fits so much better that a person should know.

use crate::data::InputRule;

use super::rules::range;

/// The warning of a model with normalisations. The right rule is at most 2.1 times as far as the
/// nearest other on the real models this was measured on, with data of another kind, and 3.7 times
/// where the nearest is far itself.
pub(super) fn further(declared: f64, others: &[f64], rules: &[InputRule]) -> Option<String> {
    let (near, rule) = others
        .iter()
        .zip(rules)
        .filter(|(distance, _)| distance.is_finite())
        .min_by(|a, b| a.0.total_cmp(b.0))?;
    let times = declared / near;
    let is_clear = (times >= 3.0 && *near <= 0.3) || times >= 5.0;
    is_clear.then(|| {
        format!(
            "values as declared are {} away from what its BatchNormalization layers saw \
             in training, and {} with another rule; if the model was trained so, write \
             `input: {}`",
            shown(declared),
            shown(*near),
            rule.written()
        )
    })
}

/// A distance with two digits that tell something; others differ between processors.
fn shown(distance: f64) -> String {
    if distance < 1.0 {
        return format!("{distance:.2}");
    }
    if distance < 10.0 {
        return format!("{distance:.1}");
    }
    let unit = 10_f64.powf(distance.log10().floor() - 1.0);
    format!("{:.0}", (distance / unit).round() * unit)
}

/// The warning of a model without normalisations.
pub(super) fn surer(
    declared_rule: &InputRule,
    declared: f64,
    others: &[f64],
    rules: &[InputRule],
) -> Option<String> {
    let limit = range(declared_rule);
    let best = |is_meant: &dyn Fn(&InputRule) -> bool| {
        let meant = others.iter().zip(rules).filter(|(_, rule)| is_meant(rule));
        meant.filter(|(share, _)| share.is_finite()).max_by(|a, b| a.0.total_cmp(b.0))
    };
    let times_255 = |rule: &InputRule| (range(rule) / limit - 255.0).abs() < 1.0;
    if declared < 0.003
        && let Some((share, rule)) = best(&times_255)
        && *share >= 0.02
    {
        return Some(format!(
            "with values as declared the model says nearly the same of every item, but not with \
             values 255 times as large; if the model was trained so, write `input: {}`",
            rule.written()
        ));
    }
    let (share, rule) = best(&|rule| range(rule) <= 1.5 * limit)?;
    (*share >= 0.6 && *share >= 2.0 * declared).then(|| {
        format!(
            "the model is far surer of its classes with another rule ({share:.2} of all there is to \
             know, {declared:.2} as declared); if the model was trained so, write `input: {}`",
            rule.written()
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::language::Above0;
    use crate::data::{Size, Values};

    fn rule(scale: f64, mean: f64) -> InputRule {
        InputRule {
            scale: Above0::new(scale).unwrap(),
            mean: Values(vec![mean]),
            ..InputRule::plain(Size { height: 2, width: 2 }, 3)
        }
    }

    #[test]
    fn a_warning_needs_a_rule_that_is_clearly_nearer() {
        let rules = [rule(255.0, 0.0), rule(1.0, 0.0)];
        assert_eq!(further(0.3, &[0.2, 0.15], &rules), None);
        assert_eq!(further(2.0, &[0.6, 9.0], &rules), None);
        assert!(further(0.9, &[0.2, 9.0], &rules).unwrap().contains("{ size: 2, channels: 3 }"));
        assert!(further(50.0, &[f64::NAN, 9.0], &rules).unwrap().contains("scale: 1 }"));
        assert_eq!(further(f64::NAN, &[0.1, 0.1], &rules), None);
    }

    #[test]
    fn distances_have_two_digits() {
        let told = [0.234, 0.999_9, 3.46, 28.2, 2077.53].map(shown);
        assert_eq!(told, ["0.23", "1.00", "3.5", "28", "2100"]);
    }

    #[test]
    fn larger_values_never_look_better_by_being_larger() {
        let declared = rule(255.0, 0.0);
        let rules = [rule(1.0, 0.0), rule(127.5, 1.0)];
        assert_eq!(surer(&declared, 0.2, &[0.9, 0.3], &rules), None);
        assert!(surer(&declared, 0.001, &[0.1, 0.001], &rules).unwrap().contains("255 times"));
        let large = rule(1.0, 0.0);
        assert!(surer(&large, 0.2, &[0.9], &[rule(255.0, 0.0)]).unwrap().contains("far surer"));
    }
}
