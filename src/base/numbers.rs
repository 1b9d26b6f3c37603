//! Small sums that many rooms need.

/// The mean of at least one number; of none it is no number.
#[must_use]
pub fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len() as f64
}

/// The mean, if there is any number.
#[must_use]
pub fn mean_if_any(values: &[f64]) -> Option<f64> {
    (!values.is_empty()).then(|| mean(values))
}

/// Standard deviation (divisor n − 1), if there are two numbers.
#[must_use]
pub fn deviation(values: &[f64]) -> Option<f64> {
    let centre = mean_if_any(values).filter(|_| values.len() > 1)?;
    let square: f64 = values.iter().map(|value| (value - centre).powi(2)).sum();
    Some((square / (values.len() - 1) as f64).sqrt())
}

/// σ(x) = 1 / (1 + e⁻ˣ).
#[must_use]
pub fn sigmoid(x: f64) -> f64 {
    1.0 / (1.0 + (-x).exp())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_too_little_has_no_mean_or_deviation() {
        assert_eq!((mean_if_any(&[]), deviation(&[2.0])), (None, None));
        assert_eq!((mean_if_any(&[1.0, 3.0]), mean(&[1.0, 3.0])), (Some(2.0), 2.0));
        assert_eq!(deviation(&[1.0, 3.0]), Some(2_f64.sqrt()));
    }

    #[test]
    fn sigmoids_of_far_numbers_are_bounds() {
        let found = [-1e3, 0.0, 1e3].map(|x| sigmoid(x).to_string());
        assert_eq!(found, ["0", "0.5", "1"]);
    }
}
