//! Functions of one number, as polynomials: the same bits on every processor, in code that is
//! compiled for wide registers where its caller is.

/// eˣ, to about one unit in the last place. Below −87 and above 88 it stays as it is there: neither
/// 0 nor infinite. The reduction and the polynomial are those of Cephes (Moshier 1992).
#[inline(always)]
pub(super) fn exp(x: f32) -> f32 {
    /// 1.5 · 2²³ + 127: added, it rounds to whole numbers and leaves an exponent in the last bits.
    const ROUND: f32 = 12_583_039.0;
    const LN2_HIGH: f32 = 0.693_359_4;
    const LN2_LOW: f32 = -2.121_944_4e-4;
    let x = if x < -87.0 { -87.0 } else { x };
    let x = if x > 88.0 { 88.0 } else { x };
    let shifted = x.mul_add(std::f32::consts::LOG2_E, ROUND);
    let whole = shifted - ROUND;
    let rest = (-whole).mul_add(LN2_LOW, (-whole).mul_add(LN2_HIGH, x));
    let sum = polynomial(
        rest,
        [1.987_569_1e-4, 1.398_199_9e-3, 8.333_452e-3, 4.166_579_6e-2, 1.666_666_5e-1, 0.5],
    );
    let fraction = (rest * rest).mul_add(sum, rest) + 1.0;
    fraction * f32::from_bits(shifted.to_bits() << 23)
}

/// The error function, 2/√π ∫₀ˣ e^(−t²) dt, to about two units in the last place: near 0 an odd
/// polynomial, elsewhere 1 − e^p(|x|).
#[inline(always)]
pub(super) fn erf(x: f32) -> f32 {
    const NEAR: f32 = 0.927_734_4;
    const ONE_FROM: f32 = 4.0;
    let size = x.abs();
    let square = x * x;
    let near = polynomial(
        square,
        [
            -5.967_617e-4,
            4.991_194e-3,
            -2.676_813_5e-2,
            1.128_199_2e-1,
            -3.761_253_4e-1,
            1.283_791_7e-1,
        ],
    );
    let near = near.mul_add(x, x);
    let far = if size > ONE_FROM { ONE_FROM } else { size };
    let exponent = polynomial(
        far,
        [
            -1.728_534_7e-5,
            3.831_971_3e-4,
            -3.883_964_4e-3,
            2.425_462_2e-2,
            -1.067_778_8e-1,
            -6.348_467e-1,
            -1.287_175_1e-1,
        ],
    );
    let exponent = exponent.mul_add(far, -far);
    let far = (1.0 - exp(exponent)).copysign(x);
    if size > NEAR { far } else { near }
}

/// A polynomial by its coefficients, the highest power first.
#[inline(always)]
fn polynomial<const COUNT: usize>(x: f32, coefficients: [f32; COUNT]) -> f32 {
    let mut sum = coefficients[0];
    for coefficient in &coefficients[1..] {
        sum = sum.mul_add(x, *coefficient);
    }
    sum
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The series of erf, in double precision; good for |x| ≤ 4.
    fn series(x: f64) -> f64 {
        let (mut term, mut sum) = (x, x);
        for n in 1..120 {
            let n = f64::from(n);
            term *= -x * x / n;
            sum += term / (2.0 * n + 1.0);
        }
        sum * std::f64::consts::FRAC_2_SQRT_PI
    }

    #[test]
    fn powers_of_e_are_right_to_the_last_places() {
        for step in -8700..8800 {
            let x = step as f32 * 0.01;
            let right = f64::from(x).exp();
            let off = (f64::from(exp(x)) - right).abs() / right;
            assert!(off < 2e-7, "e^{x}: off by {off}");
        }
        assert!(exp(f32::NAN).is_nan());
        assert!(exp(-200.0) < 2e-38 && exp(200.0) > 1e38);
    }

    #[test]
    fn the_error_function_is_its_series() {
        for step in -400..=400 {
            let x = step as f32 * 0.01;
            let right = series(f64::from(x));
            let off = (f64::from(erf(x)) - right).abs();
            assert!(off <= 3e-7 * right.abs(), "erf {x}: {} for {right}", erf(x));
        }
        assert_eq!([erf(9.0), erf(-9.0)].map(f32::to_bits), [1.0_f32, -1.0].map(f32::to_bits));
        assert!(erf(f32::NAN).is_nan());
    }
}
