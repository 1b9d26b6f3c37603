//! Eight floats at once, on the widest instructions that the processor at hand has.
//!
//! A kernel is written once over [`Lanes`]; [`dispatch`] runs it with AVX2 and FMA where they are
//! there, and otherwise with plain arithmetic that the compiler vectorises for the baseline.

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

/// Arithmetic on eight floats.
pub(crate) trait Lanes: Copy {
    /// Eight floats in a register.
    type V: Copy;

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
}

/// A kernel, to be run with whichever lanes there are. `run` must be `#[inline(always)]`, and so
/// must all it calls: only then is it compiled for them.
pub(crate) trait Task {
    fn run<L: Lanes>(self, lanes: L);
}

/// Runs a task with the best lanes of this processor.
pub(crate) fn dispatch(task: impl Task) {
    #[cfg(target_arch = "x86_64")]
    if let Some(v3) = pulp::x86::V3::try_new() {
        return v3.vectorize(avx2::On(task, v3));
    }
    task.run(Plain);
}

/// Lanes of the baseline.
#[derive(Clone, Copy)]
pub(crate) struct Plain;

impl Lanes for Plain {
    type V = [f32; LANES];

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
mod avx2 {
    use std::arch::x86_64::__m256;

    use pulp::x86::V3;

    use super::{LANES, Lanes, Task};

    /// The lower and the upper pair of each half.
    const LOW: i32 = 0b01_00_01_00;
    const HIGH: i32 = 0b11_10_11_10;

    /// A task on AVX2 and FMA.
    pub(super) struct On<T>(pub(super) T, pub(super) V3);

    impl<T: Task> pulp::NullaryFnOnce for On<T> {
        type Output = ();

        #[inline(always)]
        fn call(self) {
            self.0.run(self.1);
        }
    }

    impl Lanes for V3 {
        type V = __m256;

        #[inline(always)]
        fn splat(self, value: f32) -> __m256 {
            self.avx._mm256_set1_ps(value)
        }

        #[inline(always)]
        fn load(self, from: &[f32; LANES]) -> __m256 {
            bytemuck::cast(*from)
        }

        #[inline(always)]
        fn store(self, value: __m256, into: &mut [f32; LANES]) {
            *into = bytemuck::cast(value);
        }

        #[inline(always)]
        fn add(self, a: __m256, b: __m256) -> __m256 {
            self.avx._mm256_add_ps(a, b)
        }

        #[inline(always)]
        fn sub(self, a: __m256, b: __m256) -> __m256 {
            self.avx._mm256_sub_ps(a, b)
        }

        #[inline(always)]
        fn mul(self, a: __m256, b: __m256) -> __m256 {
            self.avx._mm256_mul_ps(a, b)
        }

        #[inline(always)]
        fn fma(self, a: __m256, b: __m256, c: __m256) -> __m256 {
            self.fma._mm256_fmadd_ps(a, b, c)
        }

        #[inline(always)]
        fn apart(self, task: impl Task) {
            self.vectorize(On(task, self));
        }

        #[inline(always)]
        fn transpose(self, rows: [__m256; LANES]) -> [__m256; LANES] {
            let [a, b, c, d, e, f, g, h] = rows;
            let s = self.avx;
            let (ab0, ab1) = (s._mm256_unpacklo_ps(a, b), s._mm256_unpackhi_ps(a, b));
            let (cd0, cd1) = (s._mm256_unpacklo_ps(c, d), s._mm256_unpackhi_ps(c, d));
            let (ef0, ef1) = (s._mm256_unpacklo_ps(e, f), s._mm256_unpackhi_ps(e, f));
            let (gh0, gh1) = (s._mm256_unpacklo_ps(g, h), s._mm256_unpackhi_ps(g, h));
            let abcd = [
                s._mm256_shuffle_ps::<LOW>(ab0, cd0),
                s._mm256_shuffle_ps::<HIGH>(ab0, cd0),
                s._mm256_shuffle_ps::<LOW>(ab1, cd1),
                s._mm256_shuffle_ps::<HIGH>(ab1, cd1),
            ];
            let efgh = [
                s._mm256_shuffle_ps::<LOW>(ef0, gh0),
                s._mm256_shuffle_ps::<HIGH>(ef0, gh0),
                s._mm256_shuffle_ps::<LOW>(ef1, gh1),
                s._mm256_shuffle_ps::<HIGH>(ef1, gh1),
            ];
            [
                s._mm256_permute2f128_ps::<0x20>(abcd[0], efgh[0]),
                s._mm256_permute2f128_ps::<0x20>(abcd[1], efgh[1]),
                s._mm256_permute2f128_ps::<0x20>(abcd[2], efgh[2]),
                s._mm256_permute2f128_ps::<0x20>(abcd[3], efgh[3]),
                s._mm256_permute2f128_ps::<0x31>(abcd[0], efgh[0]),
                s._mm256_permute2f128_ps::<0x31>(abcd[1], efgh[1]),
                s._mm256_permute2f128_ps::<0x31>(abcd[2], efgh[2]),
                s._mm256_permute2f128_ps::<0x31>(abcd[3], efgh[3]),
            ]
        }
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
