//! Times of what has not always happened by the end.

use serde::{Deserialize, Serialize};

/// When something happened, or until when it had not.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Time {
    /// It happened then.
    At(f64),
    /// It had not happened by then, when nobody looked any more.
    After(f64),
}

impl Time {
    /// When it happened; none if it did not.
    #[must_use]
    pub fn known(self) -> Option<f64> {
        match self {
            Self::At(time) => Some(time),
            Self::After(_) => None,
        }
    }

    /// When it happened; infinite if it did not.
    #[must_use]
    pub fn or_never(self) -> f64 {
        self.known().unwrap_or(f64::INFINITY)
    }

    fn end(self) -> f64 {
        match self {
            Self::At(time) | Self::After(time) => time,
        }
    }
}

/// The time by which it had happened to half of them (Kaplan and Meier 1958), counting those that were
/// looked at for less long as long as they were; the middle between two times where exactly half are
/// left between them. If it never comes to half, the longest that anyone was looked at. None of
/// nobody.
#[must_use]
pub fn median(times: &[Time]) -> Option<Time> {
    let mut happened: Vec<f64> = times.iter().filter_map(|time| time.known()).collect();
    happened.sort_by(f64::total_cmp);
    happened.dedup();
    let mut left = 1.0;
    let mut half = None;
    for &now in &happened {
        if let Some(before) = half {
            return Some(Time::At(f64::midpoint(before, now)));
        }
        let at_risk = times.iter().filter(|time| time.end() >= now).count() as f64;
        let here = times.iter().filter(|time| **time == Time::At(now)).count() as f64;
        left *= 1.0 - here / at_risk;
        match left {
            left if (left - 0.5_f64).abs() < 1e-9 => half = Some(now),
            left if left < 0.5 => return Some(Time::At(now)),
            _ => {}
        }
    }
    let last = times.iter().map(|time| time.end()).reduce(f64::max)?;
    Some(half.map_or(Time::After(last), Time::At))
}

#[cfg(test)]
mod tests {
    use super::*;
    use Time::{After, At};

    #[test]
    fn without_censoring_it_is_the_middle() {
        assert_eq!(median(&[At(5.0), At(1.0), At(3.0)]), Some(At(3.0)));
        assert_eq!(median(&[At(5.0), At(1.0), At(3.0), At(4.0)]), Some(At(3.5)));
        assert_eq!(median(&[At(2.0), At(2.0)]), Some(At(2.0)));
        assert_eq!(median(&[]), None);
    }

    #[test]
    fn what_never_happened_counts_as_late() {
        assert_eq!(median(&[At(1.0), After(9.0), At(3.0)]), Some(At(3.0)));
        assert_eq!(median(&[At(1.0), After(9.0), After(7.0)]), Some(After(9.0)));
        assert_eq!(median(&[At(1.0), After(9.0)]), Some(At(1.0)));
        assert_eq!(median(&[After(4.0)]), Some(After(4.0)));
    }

    #[test]
    fn those_who_left_early_are_counted_until_then() {
        // Left: 3/4 after 2; the one censored at 3 leaves two at risk, of which one goes at 5: 3/8.
        let times = [At(2.0), After(3.0), At(5.0), After(8.0)];
        assert_eq!(median(&times), Some(At(5.0)));
    }
}
