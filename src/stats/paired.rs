//! A mean of paired differences over seeds alone.

use super::student;

/// The mean of differences with the interval that covers the true mean with probability `level`:
/// Student's t with n - 1 degrees of freedom. It says nothing of other items: these stand fixed.
///
/// `None` for fewer than two differences, and for some that are not finite.
#[must_use]
pub fn paired_interval(differences: &[f64], level: f64) -> Option<(f64, f64)> {
    if differences.len() < 2 || differences.iter().any(|difference| !difference.is_finite()) {
        return None;
    }
    let count = differences.len() as f64;
    let mean = differences.iter().sum::<f64>() / count;
    if differences.iter().all(|difference| difference - differences[0] == 0.0) {
        return Some((differences[0], differences[0]));
    }
    let square: f64 = differences.iter().map(|difference| (difference - mean).powi(2)).sum();
    let se = (square / (count - 1.0) / count).sqrt();
    let half = student::quantile(f64::midpoint(1.0, level.clamp(0.0, 1.0)), count - 1.0) * se;
    Some((mean - half, mean + half))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stats::testing::assert_close;

    #[test]
    fn the_interval_of_a_worked_example_comes_out() {
        // Mean 0.2, standard deviation 0.1, t(2) = 4.302652729749.
        let (low, high) = paired_interval(&[0.1, 0.2, 0.3], 0.95).unwrap();
        assert_close(low, -0.048_413_77, 1e-8);
        assert_close(high, 0.448_413_77, 1e-8);
    }

    #[test]
    fn equal_differences_have_no_spread_and_one_has_no_interval() {
        assert_eq!(paired_interval(&[0.1, 0.1, 0.1], 0.95), Some((0.1, 0.1)));
        assert_eq!(paired_interval(&[0.1], 0.95), None);
        assert_eq!(paired_interval(&[0.1, f64::NAN], 0.95), None);
    }
}
