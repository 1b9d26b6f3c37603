//! Holm's step-down correction for several claims at once.

/// Adjusted p-values (Holm 1979), in the order given; a claim holds at family-wise level α if its
/// adjusted value is at most α.
///
/// ```text
/// p̃_(i) = max_{j <= i} min(1, (m - j + 1) p_(j))      p_(1) <= ... <= p_(m)
/// ```
///
/// NaN marks a claim that could not be tested: it stays NaN and does not count in m.
#[must_use]
pub fn holm(p: &[f64]) -> Vec<f64> {
    let mut tested: Vec<usize> = (0..p.len()).filter(|&claim| !p[claim].is_nan()).collect();
    tested.sort_by(|&a, &b| p[a].total_cmp(&p[b]));
    let mut adjusted = vec![f64::NAN; p.len()];
    let mut largest: f64 = 0.0;
    for (rank, &claim) in tested.iter().enumerate() {
        largest = largest.max((tested.len() - rank) as f64 * p[claim]).min(1.0);
        adjusted[claim] = largest;
    }
    adjusted
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stats::testing::{PRINTED, assert_close};

    fn assert_all_close(actual: &[f64], expected: &[f64]) {
        assert_eq!(actual.len(), expected.len());
        for (&actual, &expected) in actual.iter().zip(expected) {
            assert_close(actual, expected, PRINTED);
        }
    }

    #[test]
    fn four_claims_are_adjusted_in_their_own_order() {
        assert_all_close(&holm(&[0.01, 0.04, 0.03, 0.005]), &[0.03, 0.06, 0.06, 0.02]);
    }

    #[test]
    fn ten_claims_never_fall_below_an_easier_one() {
        let p = [0.001, 0.008, 0.039, 0.041, 0.042, 0.06, 0.074, 0.205, 0.212, 0.216];
        let (fourth, last) = (0.312, 0.615);
        let expected = [0.01, 0.072, fourth, fourth, fourth, fourth, fourth, last, last, last];
        // 4 x .074 = .296 is raised to the 8 x .039 = .312 before it.
        assert_all_close(&holm(&p), &expected);
    }

    #[test]
    fn a_claim_that_was_not_tested_does_not_count() {
        let adjusted = holm(&[0.02, f64::NAN, 0.04]);
        assert_close(adjusted[0], 0.04, PRINTED);
        assert!(adjusted[1].is_nan());
        assert_close(adjusted[2], 0.04, PRINTED);
    }

    #[test]
    fn nothing_exceeds_one_and_no_claims_give_none() {
        assert_all_close(&holm(&[0.9, 0.8]), &[1.0, 1.0]);
        assert!(holm(&[]).is_empty());
    }
}
