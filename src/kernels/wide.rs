//! Wide registers where the processor has them.

use std::sync::LazyLock;

use fearless_simd::{Level, dispatch};

static LEVEL: LazyLock<Level> = LazyLock::new(Level::new);

/// Runs `work` compiled for the widest registers of this processor. What `work` calls must be
/// inlined into it, and it must be itself: every function and the closure are marked
/// `#[inline(always)]`, or they stay narrow.
///
/// Sums are written with a fixed number of lanes and `mul_add`, so that every processor computes the
/// same bits.
#[inline]
pub(super) fn wide<R>(work: impl FnOnce() -> R) -> R {
    dispatch!(*LEVEL, _registers => work())
}
