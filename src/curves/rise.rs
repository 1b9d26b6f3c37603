//! How a training rises over its steps (Taylor and Stone 2009).

use serde::{Deserialize, Serialize};

use super::censored::Time;

/// The score on val after some steps; higher is better.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Look {
    /// Steps done.
    pub step: f64,
    /// The score.
    pub score: f64,
}

/// The looks at one training, ascending in steps.
#[derive(Clone, Debug, PartialEq)]
pub struct Rise {
    looks: Vec<Look>,
}

/// What one training gained over another.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Gains {
    /// The score at the start, less that of the baseline.
    pub jumpstart: f64,
    /// Score a step until half of its own rise is done; none where it does not rise.
    pub slope: Option<f64>,
    /// The same of the baseline.
    pub slope_baseline: Option<f64>,
    /// Mean score of the last tenth of its looks.
    pub asymptote: f64,
    /// The same of the baseline.
    pub asymptote_baseline: f64,
    /// `(A - A_b) / A_b` of the areas below both curves, over the steps that both have; none where the
    /// baseline has none.
    pub area_ratio: Option<f64>,
    /// The same of the areas above what guessing gives.
    pub area_ratio_above: Option<f64>,
}

impl Rise {
    /// `None` unless there are two looks or more, and numbers at ascending steps.
    #[must_use]
    pub fn new(looks: Vec<Look>) -> Option<Self> {
        let ascends = looks.windows(2).all(|pair| pair[0].step < pair[1].step);
        let numbers = looks.iter().all(|look| look.score.is_finite());
        (looks.len() > 1 && ascends && numbers).then_some(Self { looks })
    }

    fn first(&self) -> Look {
        self.looks[0]
    }

    /// Its last step.
    #[must_use]
    pub fn end(&self) -> f64 {
        self.looks[self.looks.len() - 1].step
    }

    /// Mean score of the last looks, a tenth of them, at least one.
    #[must_use]
    pub fn asymptote(&self) -> f64 {
        self.mean_of_last(self.looks.len().div_ceil(10))
    }

    fn mean_of_last(&self, count: usize) -> f64 {
        let last = &self.looks[self.looks.len() - count..];
        last.iter().map(|look| look.score).sum::<f64>() / count as f64
    }

    /// The area between its curve and a level, up to a step, by trapezoids.
    #[must_use]
    pub fn area(&self, until: f64, level: f64) -> f64 {
        let mut area = 0.0;
        for pair in self.looks.windows(2).take_while(|pair| pair[0].step < until) {
            let width = pair[1].step - pair[0].step;
            let part = ((until - pair[0].step) / width).min(1.0);
            let there = pair[0].score + (pair[1].score - pair[0].score) * part;
            area += width * part * (f64::midpoint(pair[0].score, there) - level);
        }
        area
    }

    /// When it was first as high as this, by the line between looks; what it once had counts as kept.
    #[must_use]
    pub fn reaches(&self, level: f64) -> Time {
        let mut before = self.first();
        if before.score >= level {
            return Time::At(before.step);
        }
        for look in &self.looks[1..] {
            if look.score >= level {
                let part = (level - before.score) / (look.score - before.score);
                return Time::At(before.step + part * (look.step - before.step));
            }
            before = Look { step: look.step, score: before.score.max(look.score) };
        }
        Time::After(self.end())
    }

    /// Score a step until half of its own rise is done; none where it does not rise.
    #[must_use]
    pub fn slope(&self) -> Option<f64> {
        let half = (self.asymptote() - self.first().score) / 2.0;
        let steps = self.reaches(self.first().score + half).known()? - self.first().step;
        (half > 0.0 && steps > 0.0).then(|| half / steps)
    }

    /// What it gained over a baseline, where guessing gives `guessed`.
    #[must_use]
    pub fn over(&self, baseline: &Self, guessed: f64) -> Gains {
        let until = self.end().min(baseline.end());
        let ratio = |level: f64| {
            let (own, other) = (self.area(until, level), baseline.area(until, level));
            (other > 0.0).then(|| (own - other) / other)
        };
        Gains {
            jumpstart: self.first().score - baseline.first().score,
            slope: self.slope(),
            slope_baseline: baseline.slope(),
            asymptote: self.asymptote(),
            asymptote_baseline: baseline.asymptote(),
            area_ratio: ratio(0.0),
            area_ratio_above: ratio(guessed),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rise(scores: &[f64]) -> Rise {
        let look = |(at, &score): (usize, &f64)| Look { step: (at + 1) as f64, score };
        Rise::new(scores.iter().enumerate().map(look).collect()).unwrap()
    }

    fn scratch() -> Rise {
        rise(&[0.20, 0.50, 0.65, 0.72, 0.76, 0.78, 0.79, 0.80, 0.80, 0.80])
    }

    fn transfer() -> Rise {
        rise(&[0.55, 0.70, 0.76, 0.79, 0.80, 0.81, 0.81, 0.81, 0.81, 0.81])
    }

    fn assert_close(found: f64, expected: f64) {
        assert!((found - expected).abs() < 1e-8, "{found} is not {expected}");
    }

    #[test]
    fn the_printed_curves_give_the_printed_gains() {
        let (scratch, transfer) = (scratch(), transfer());
        assert_close(scratch.area(10.0, 0.0), 6.30);
        assert_close(transfer.area(10.0, 0.0), 6.97);
        let gains = transfer.over(&scratch, 0.2);
        assert_close(gains.area_ratio.unwrap(), 0.106_349_21);
        assert_close(gains.jumpstart, 0.35);
        assert_close(transfer.mean_of_last(3) - scratch.mean_of_last(3), 0.01);
        let level = 0.95 * scratch.mean_of_last(3);
        assert_close(level, 0.76);
        assert_close(scratch.reaches(level - 1e-12).known().unwrap().round(), 5.0);
        assert_close(transfer.reaches(level - 1e-12).known().unwrap().round(), 3.0);
        assert_close(gains.area_ratio_above.unwrap(), 0.67 / (6.30 - 9.0 * 0.2));
    }

    #[test]
    fn areas_end_where_the_shorter_training_ends() {
        let short = Rise::new(vec![Look { step: 1.0, score: 0.5 }, Look { step: 3.5, score: 0.5 }]);
        assert_close(scratch().area(3.5, 0.0), 0.35 + 0.575 + 0.5 * (0.65 + 0.685) / 2.0);
        let gains = short.unwrap().over(&scratch(), 0.0);
        assert_close(gains.area_ratio.unwrap(), 1.25 / (0.925 + 0.333_75) - 1.0);
    }

    #[test]
    fn a_level_is_reached_between_looks_and_what_was_once_reached_is_kept() {
        let wavy = rise(&[0.2, 0.6, 0.4, 0.7]);
        assert_eq!(wavy.reaches(0.1), Time::At(1.0));
        assert_close(wavy.reaches(0.4).known().unwrap(), 1.5);
        assert_close(wavy.reaches(0.65).known().unwrap(), 3.5);
        assert_eq!(wavy.reaches(0.8), Time::After(4.0));
    }

    #[test]
    fn the_slope_is_that_of_the_first_half_of_the_rise() {
        // From 0.2 to 0.8: half is 0.5, reached after one step.
        assert_close(scratch().slope().unwrap(), 0.3);
        assert_eq!(rise(&[0.5, 0.4, 0.3]).slope(), None);
        assert_eq!(rise(&[0.5, 0.5]).slope(), None);
    }

    #[test]
    fn looks_that_do_not_ascend_or_are_no_numbers_are_refused() {
        let look = |step, score| Look { step, score };
        assert!(Rise::new(vec![look(0.0, 0.1)]).is_none());
        assert!(Rise::new(vec![look(1.0, 0.1), look(1.0, 0.2)]).is_none());
        assert!(Rise::new(vec![look(0.0, 0.1), look(1.0, f64::NAN)]).is_none());
    }
}
