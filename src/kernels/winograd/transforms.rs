//! F(4×4, 3×3): the small matrices that take tiles to where convolution is a product, and back.
//!
//! Points 0, ±1, ±2, ∞: with tile `d`, kernel `g` and result `y`,
//! `y = Aᵀ ((G g Gᵀ) ⊙ (Bᵀ d B)) A` (Lavin and Gray, "Fast Algorithms for Convolutional Neural
//! Networks", 2016). The gradient of the kernel is the adjoint, `Gᵀ ((A dy Aᵀ) ⊙ (Bᵀ d B)) G`.

use crate::kernels::lanes::{Lanes, filled};

/// Values of a side of a result tile.
pub(super) const TILE: usize = 4;
/// Values of a side of a kernel.
pub(super) const KERNEL: usize = 3;
/// Values of a side of an input tile, and of a transformed one.
pub(super) const REACH: usize = TILE + KERNEL - 1;
/// Values of a transformed tile.
pub(super) const POINTS: usize = REACH * REACH;

/// A square of vectors.
pub(super) type Square<V, const N: usize> = [[V; N]; N];

/// Defines a transform of squares by what it makes of a line: it is used along both axes.
macro_rules! transform {
    ($(#[$doc:meta])* $name:ident, $from:expr => $to:expr, |$l:ident, $line:ident| $value:expr) => {
        $(#[$doc])*
        #[inline(always)]
        pub(super) fn $name<L: Lanes>($l: L, square: Square<L::V, $from>) -> Square<L::V, $to> {
            let zero = $l.splat(0.0);
            let rows = filled!([[zero; $to]; $from], |row| {
                let $line = square[row];
                $value
            });
            let columns = filled!([[zero; $to]; $to], |column| {
                let $line = filled!([zero; $from], |row| rows[row][column]);
                $value
            });
            filled!([[zero; $to]; $to], |row| filled!([zero; $to], |column| columns[column][row]))
        }
    };
}

transform!(
    /// `Bᵀ d B`
    of_input,
    REACH => REACH,
    |l, d| {
        let even = l.fma(l.splat(-4.0), d[2], d[4]);
        let odd = l.fma(l.splat(-4.0), d[1], d[3]);
        let (near, far) = (l.sub(d[4], d[2]), l.mul(l.splat(2.0), l.sub(d[3], d[1])));
        [
            l.fma(l.splat(4.0), d[0], l.fma(l.splat(-5.0), d[2], d[4])),
            l.add(even, odd),
            l.sub(even, odd),
            l.add(near, far),
            l.sub(near, far),
            l.fma(l.splat(4.0), d[1], l.fma(l.splat(-5.0), d[3], d[5])),
        ]
    }
);

transform!(
    /// `Aᵀ m A`
    to_result,
    REACH => TILE,
    |l, m| {
        let (s, d) = (l.add(m[1], m[2]), l.sub(m[1], m[2]));
        let (p, q) = (l.add(m[3], m[4]), l.sub(m[3], m[4]));
        [
            l.add(l.add(m[0], s), p),
            l.fma(l.splat(2.0), q, d),
            l.fma(l.splat(4.0), p, s),
            l.add(l.fma(l.splat(8.0), q, d), m[5]),
        ]
    }
);

transform!(
    /// `A dy Aᵀ`
    of_result,
    TILE => REACH,
    |l, y| {
        let (even, odd) = (l.add(y[0], y[2]), l.add(y[1], y[3]));
        let wide = l.fma(l.splat(4.0), y[2], y[0]);
        let far = l.mul(l.splat(2.0), l.fma(l.splat(4.0), y[3], y[1]));
        [y[0], l.add(even, odd), l.sub(even, odd), l.add(wide, far), l.sub(wide, far), y[3]]
    }
);

transform!(
    /// `G g Gᵀ`
    of_kernel,
    KERNEL => REACH,
    |l, g| {
        let (tiny, third) = (l.splat(1.0 / 24.0), l.splat(1.0 / 6.0));
        let sixth = l.splat(-1.0 / 6.0);
        let ends = l.mul(sixth, l.add(g[0], g[2]));
        let wide = l.fma(tiny, g[0], l.mul(third, g[2]));
        let (middle, near) = (l.mul(sixth, g[1]), l.mul(l.splat(1.0 / 12.0), g[1]));
        [
            l.mul(l.splat(0.25), g[0]),
            l.add(ends, middle),
            l.sub(ends, middle),
            l.add(wide, near),
            l.sub(wide, near),
            g[2],
        ]
    }
);

transform!(
    /// `Gᵀ m G`
    to_kernel,
    REACH => KERNEL,
    |l, m| {
        let (quarter, sixth) = (l.splat(0.25), l.splat(1.0 / 6.0));
        let (tiny, small) = (l.splat(1.0 / 24.0), l.splat(1.0 / 12.0));
        let (s, d) = (l.add(m[1], m[2]), l.sub(m[2], m[1]));
        let (p, q) = (l.add(m[3], m[4]), l.sub(m[3], m[4]));
        [
            l.sub(l.fma(quarter, m[0], l.mul(tiny, p)), l.mul(sixth, s)),
            l.fma(small, q, l.mul(sixth, d)),
            l.fma(sixth, l.sub(p, s), m[5]),
        ]
    }
);
