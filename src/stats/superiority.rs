//! How often does one arm beat the other?

/// P(A > B) over paired runs: the share of differences above zero, ties counting half (Bouthillier
/// et al. 2021). In \[0, 1\]; `None` without differences or with a NaN among them.
#[must_use]
pub fn superiority(differences: &[f64]) -> Option<f64> {
    if differences.is_empty() || differences.iter().any(|difference| difference.is_nan()) {
        return None;
    }
    let wins = |&difference: &f64| match difference {
        d if d > 0.0 => 1.0,
        d if d < 0.0 => 0.0,
        _ => 0.5,
    };
    Some(differences.iter().map(wins).sum::<f64>() / differences.len() as f64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stats::testing::assert_close;

    #[test]
    fn ties_count_half() {
        assert_close(superiority(&[0.1, -0.2, 0.0, 0.3]).unwrap(), 0.625, 0.0);
    }

    #[test]
    fn always_and_never_are_the_ends() {
        assert_close(superiority(&[0.1, 0.2]).unwrap(), 1.0, 0.0);
        assert_close(superiority(&[-0.1, -0.2]).unwrap(), 0.0, 0.0);
    }

    #[test]
    fn nothing_and_nan_have_no_share() {
        assert_eq!(superiority(&[]), None);
        assert_eq!(superiority(&[0.1, f64::NAN]), None);
    }
}
