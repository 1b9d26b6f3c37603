//! Benjamini and Hochberg's step-up correction for screening many claims.

/// Adjusted p-values (Benjamini and Hochberg 1995), in the order given: among the claims whose
/// adjusted value is at most q, a share of at most q is expected to be false.
///
/// ```text
/// q_(i) = min_{j >= i} min(1, m p_(j) / j)      p_(1) <= ... <= p_(m)
/// ```
///
/// NaN marks a claim that could not be tested: it stays NaN and does not count in m. Weaker than
/// [`holm`](super::holm), which bounds the probability of any false claim at all.
#[must_use]
pub fn benjamini_hochberg(p: &[f64]) -> Vec<f64> {
    let mut tested: Vec<usize> = (0..p.len()).filter(|&claim| !p[claim].is_nan()).collect();
    tested.sort_by(|&a, &b| p[a].total_cmp(&p[b]));
    let mut adjusted = vec![f64::NAN; p.len()];
    let mut smallest: f64 = 1.0;
    for (rank, &claim) in tested.iter().enumerate().rev() {
        smallest = smallest.min(tested.len() as f64 * p[claim] / (rank + 1) as f64);
        adjusted[claim] = smallest;
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
        assert_all_close(
            &benjamini_hochberg(&[0.01, 0.04, 0.03, 0.005]),
            &[0.02, 0.04, 0.04, 0.02],
        );
    }

    #[test]
    fn ten_claims_never_exceed_a_harder_one() {
        let p = [0.001, 0.008, 0.039, 0.041, 0.042, 0.06, 0.074, 0.205, 0.212, 0.216];
        let expected =
            [0.01, 0.04, 0.084, 0.084, 0.084, 0.1, 0.105_714_285_71, 0.216, 0.216, 0.216];
        assert_all_close(&benjamini_hochberg(&p), &expected);
    }

    #[test]
    fn a_claim_that_was_not_tested_does_not_count() {
        let adjusted = benjamini_hochberg(&[0.02, f64::NAN, 0.04]);
        assert_close(adjusted[0], 0.04, PRINTED);
        assert!(adjusted[1].is_nan());
        assert!(benjamini_hochberg(&[]).is_empty());
    }
}
