//! Changes of values that leave pixels where they are.

use crate::base::Stream;

/// Values times a factor.
pub(super) fn brightness(image: &mut [f32], factor: f32) {
    for value in image {
        *value *= factor;
    }
}

/// Distances from the mean times a factor.
pub(super) fn contrast(image: &mut [f32], factor: f32) {
    let sum: f64 = image.iter().map(|value| f64::from(*value)).sum();
    let mean = (sum / image.len().max(1) as f64) as f32;
    for value in image {
        *value = mean + factor * (*value - mean);
    }
}

/// Values plus normal noise.
pub(super) fn noise(image: &mut [f32], deviation: f64, stream: &mut Stream) {
    for value in image {
        *value += (deviation * stream.normal()) as f32;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::Seed;

    #[test]
    #[expect(clippy::float_cmp, reason = "these sums are exact")]
    fn contrast_keeps_the_mean() {
        let mut image = [0.0, 2.0, 4.0, 6.0];
        contrast(&mut image, 0.5);
        assert_eq!(image, [1.5, 2.5, 3.5, 4.5]);
        brightness(&mut image, 2.0);
        assert_eq!(image, [3.0, 5.0, 7.0, 9.0]);
    }

    #[test]
    fn noise_has_its_deviation() {
        let mut image = vec![1.0; 10_000];
        noise(&mut image, 0.5, &mut Seed(0).stream("test", "noise"));
        let square: f64 = image.iter().map(|v| f64::from(v - 1.0).powi(2)).sum();
        // Five standard errors of a variance of 10,000 draws.
        assert!((square / 1e4 / 0.25 - 1.0).abs() < 0.071, "{square}");
    }
}
