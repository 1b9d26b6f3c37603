//! Eight floats at once, on the widest instructions that the processor at hand has.
//!
//! A kernel is written once over [`Lanes`]; [`dispatch`] runs it with AVX2 and FMA where they are
//! there, and otherwise with plain arithmetic that the compiler vectorises for the baseline.

#[cfg(target_arch = "x86_64")]
use fearless_simd::{Avx2, Simd, SimdInto, f32x8, f64x4};
#[cfg(target_arch = "x86_64")]
use std::sync::LazyLock;

#[cfg(target_arch = "x86_64")]
static LEVEL: LazyLock<fearless_simd::Level> = LazyLock::new(fearless_simd::Level::new);

/// An array filled by index, without a closure: those are not always inlined, and what is not
/// inlined is not compiled for wide lanes.
macro_rules! filled {
    ([$start:expr; $count:expr], |$index:ident| $value:expr) => {{
        let mut values = [$start; $count];
        let mut $index = 0;
        while $index < $count {
            values[$index] = $value;
            $index += 1;
        }
        values
    }};
}

pub(crate) use filled;

/// Eight floats of an array.
pub(crate) const LANES: usize = 8;
/// Four doubles of an array.
pub(crate) const DOUBLES: usize = 4;

/// Arithmetic on eight floats.
pub(crate) trait Lanes: Copy {
    /// Eight floats in a register.
    type V: Copy;
    /// Four doubles in a register.
    type D: Copy;

    fn splat(self, value: f32) -> Self::V;
    fn load(self, from: &[f32; LANES]) -> Self::V;
    fn store(self, value: Self::V, into: &mut [f32; LANES]);
    fn add(self, a: Self::V, b: Self::V) -> Self::V;
    fn sub(self, a: Self::V, b: Self::V) -> Self::V;
    fn mul(self, a: Self::V, b: Self::V) -> Self::V;
    /// `a * b + c`
    fn fma(self, a: Self::V, b: Self::V, c: Self::V) -> Self::V;
    /// Rows become columns.
    fn transpose(self, rows: [Self::V; LANES]) -> [Self::V; LANES];
    /// Runs a task in a function of its own, where no other values claim registers.
    fn apart(self, task: impl Task);

    fn splat_doubles(self, value: f64) -> Self::D;
    fn load_doubles(self, from: &[f64; DOUBLES]) -> Self::D;
    fn store_doubles(self, value: Self::D, into: &mut [f64; DOUBLES]);
    /// `a * b + c`
    fn fma_doubles(self, a: Self::D, b: Self::D, c: Self::D) -> Self::D;
}

/// A kernel, to be run with whichever lanes there are. `run` must be `#[inline(always)]`, and so
/// must all it calls: only then is it compiled for them.
pub(crate) trait Task {
    fn run<L: Lanes>(self, lanes: L);
}

/// Runs a task with the best lanes of this processor.
pub(crate) fn dispatch(task: impl Task) {
    #[cfg(target_arch = "x86_64")]
    if let Some(avx2) = LEVEL.as_avx2() {
        return avx2.vectorize(
            #[inline(always)]
            || task.run(avx2),
        );
    }
    task.run(Plain);
}

/// Lanes of the baseline.
#[derive(Clone, Copy)]
pub(crate) struct Plain;

impl Lanes for Plain {
    type V = [f32; LANES];
    type D = [f64; DOUBLES];

    #[inline(always)]
    fn splat_doubles(self, value: f64) -> Self::D {
        [value; DOUBLES]
    }

    #[inline(always)]
    fn load_doubles(self, from: &[f64; DOUBLES]) -> Self::D {
        *from
    }

    #[inline(always)]
    fn store_doubles(self, value: Self::D, into: &mut [f64; DOUBLES]) {
        *into = value;
    }

    #[inline(always)]
    fn fma_doubles(self, a: Self::D, b: Self::D, c: Self::D) -> Self::D {
        std::array::from_fn(|i| a[i] * b[i] + c[i])
    }

    #[inline(always)]
    fn splat(self, value: f32) -> Self::V {
        [value; LANES]
    }

    #[inline(always)]
    fn load(self, from: &[f32; LANES]) -> Self::V {
        *from
    }

    #[inline(always)]
    fn store(self, value: Self::V, into: &mut [f32; LANES]) {
        *into = value;
    }

    #[inline(always)]
    fn add(self, a: Self::V, b: Self::V) -> Self::V {
        std::array::from_fn(|i| a[i] + b[i])
    }

    #[inline(always)]
    fn sub(self, a: Self::V, b: Self::V) -> Self::V {
        std::array::from_fn(|i| a[i] - b[i])
    }

    #[inline(always)]
    fn mul(self, a: Self::V, b: Self::V) -> Self::V {
        std::array::from_fn(|i| a[i] * b[i])
    }

    #[inline(always)]
    fn fma(self, a: Self::V, b: Self::V, c: Self::V) -> Self::V {
        std::array::from_fn(|i| a[i] * b[i] + c[i])
    }

    #[inline(always)]
    fn transpose(self, rows: [Self::V; LANES]) -> [Self::V; LANES] {
        std::array::from_fn(|i| std::array::from_fn(|j| rows[j][i]))
    }

    #[inline(never)]
    fn apart(self, task: impl Task) {
        task.run(self);
    }
}

#[cfg(target_arch = "x86_64")]
impl Lanes for Avx2 {
    type V = f32x8<Self>;
    type D = f64x4<Self>;

    #[inline(always)]
    fn splat_doubles(self, value: f64) -> Self::D {
        self.splat_f64x4(value)
    }

    #[inline(always)]
    fn load_doubles(self, from: &[f64; DOUBLES]) -> Self::D {
        (*from).simd_into(self)
    }

    #[inline(always)]
    fn store_doubles(self, value: Self::D, into: &mut [f64; DOUBLES]) {
        *into = value.into();
    }

    #[inline(always)]
    fn fma_doubles(self, a: Self::D, b: Self::D, c: Self::D) -> Self::D {
        self.mul_add_f64x4(a, b, c)
    }

    #[inline(always)]
    fn splat(self, value: f32) -> Self::V {
        self.splat_f32x8(value)
    }

    #[inline(always)]
    fn load(self, from: &[f32; LANES]) -> Self::V {
        (*from).simd_into(self)
    }

    #[inline(always)]
    fn store(self, value: Self::V, into: &mut [f32; LANES]) {
        *into = value.into();
    }

    #[inline(always)]
    fn add(self, a: Self::V, b: Self::V) -> Self::V {
        self.add_f32x8(a, b)
    }

    #[inline(always)]
    fn sub(self, a: Self::V, b: Self::V) -> Self::V {
        self.sub_f32x8(a, b)
    }

    #[inline(always)]
    fn mul(self, a: Self::V, b: Self::V) -> Self::V {
        self.mul_f32x8(a, b)
    }

    #[inline(always)]
    fn fma(self, a: Self::V, b: Self::V, c: Self::V) -> Self::V {
        self.mul_add_f32x8(a, b, c)
    }

    #[inline(always)]
    fn apart(self, task: impl Task) {
        self.vectorize(
            #[inline(always)]
            || task.run(self),
        );
    }

    /// Each round shuffles all rows like two halves of a deck.
    #[inline(always)]
    fn transpose(self, rows: [Self::V; LANES]) -> [Self::V; LANES] {
        let mut rows = rows;
        for _ in 0..3 {
            rows = [
                self.zip_low_f32x8(rows[0], rows[4]),
                self.zip_high_f32x8(rows[0], rows[4]),
                self.zip_low_f32x8(rows[1], rows[5]),
                self.zip_high_f32x8(rows[1], rows[5]),
                self.zip_low_f32x8(rows[2], rows[6]),
                self.zip_high_f32x8(rows[2], rows[6]),
                self.zip_low_f32x8(rows[3], rows[7]),
                self.zip_high_f32x8(rows[3], rows[7]),
            ];
        }
        rows
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Transposed<'a>(&'a [[f32; LANES]; LANES], &'a mut [[f32; LANES]; LANES]);

    impl Task for Transposed<'_> {
        #[inline(always)]
        fn run<L: Lanes>(self, lanes: L) {
            let turned = lanes.transpose(self.0.each_ref().map(|row| lanes.load(row)));
            for (row, into) in turned.into_iter().zip(self.1) {
                lanes.store(row, into);
            }
        }
    }

    #[test]
    fn rows_become_columns_with_any_lanes() {
        let square = std::array::from_fn(|i| std::array::from_fn(|j| (8 * i + j) as f32));
        let expected: [[f32; LANES]; LANES] =
            std::array::from_fn(|i| std::array::from_fn(|j| (8 * j + i) as f32));
        let mut turned = [[0.0; LANES]; LANES];
        dispatch(Transposed(&square, &mut turned));
        assert_eq!(turned, expected);
        Transposed(&square, &mut turned).run(Plain);
        assert_eq!(turned, expected);
    }
}
