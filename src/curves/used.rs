//! What a training had used by a step.

/// What had been used at steps that ascend, by the line between two of them: `None` where one of
/// them is not known, or the step lies beyond all of them.
#[must_use]
pub fn used_by(looks: &[(f64, Option<f64>)], step: f64) -> Option<f64> {
    let after = looks.iter().position(|(at, _)| *at >= step)?;
    let (to, there) = (looks[after].0, looks[after].1?);
    if to.total_cmp(&step).is_eq() {
        return Some(there);
    }
    let (from, here) = looks.get(after.checked_sub(1)?)?;
    Some((*here)? + (there - (*here)?) * (step - from) / (to - from))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::curves::{Look, Rise, Time};

    /// Looks at these steps, a second and ten joules apart after two seconds of preparation.
    fn clock(steps: &[f64]) -> Vec<(f64, Option<f64>)> {
        let used = |(look, step): (usize, &f64)| (*step, Some(2.0 + look as f64));
        steps.iter().enumerate().map(used).collect()
    }

    #[test]
    fn between_looks_it_is_the_line() {
        let looks = clock(&[0.0, 1.0, 5.0]);
        for (step, seconds) in [(0.0, 2.0), (0.5, 2.5), (1.0, 3.0), (4.0, 3.75), (5.0, 4.0)] {
            assert_eq!(used_by(&looks, step), Some(seconds), "at {step}");
        }
        assert_eq!(used_by(&looks, 5.1), None);
        assert_eq!(used_by(&[(1.0, Some(1.0))], 0.5), None);
    }

    #[test]
    fn what_is_not_known_is_not_drawn_through() {
        let looks = [(0.0, None), (2.0, Some(3.0)), (4.0, Some(9.0)), (6.0, None)];
        assert_eq!(used_by(&looks, 1.0), None);
        assert_eq!(used_by(&looks, 2.0), Some(3.0));
        assert_eq!(used_by(&looks, 3.0), Some(6.0));
        assert_eq!(used_by(&looks, 4.5), None);
    }

    #[test]
    fn the_printed_curves_reach_the_printed_threshold_after_these_seconds() {
        // Scratch takes a second for each step, transfer two; both are prepared for half a second.
        let rise = |scores: &[f64]| {
            let look = |(at, &score): (usize, &f64)| Look { step: (at + 1) as f64, score };
            Rise::new(scores.iter().enumerate().map(look).collect()).unwrap()
        };
        let scratch = rise(&[0.20, 0.50, 0.65, 0.72, 0.76, 0.78, 0.79, 0.80, 0.80, 0.80]);
        let transfer = rise(&[0.55, 0.70, 0.76, 0.79, 0.80, 0.81, 0.81, 0.81, 0.81, 0.81]);
        let seconds = |rise: &Rise, each: f64| {
            let looks: Vec<_> = (1..=10).map(|at| (f64::from(at), f64::from(at))).collect();
            let looks: Vec<_> = looks.iter().map(|(s, n)| (*s, Some(0.5 + each * n))).collect();
            match rise.reaches(0.76 - 1e-12) {
                Time::At(step) => used_by(&looks, step).unwrap(),
                Time::After(_) => f64::INFINITY,
            }
        };
        assert!((seconds(&scratch, 1.0) - 5.5).abs() < 1e-8);
        assert!((seconds(&transfer, 2.0) - 6.5).abs() < 1e-8);
    }
}
