//! `DepthToSpace` and `SpaceToDepth`: blocks of channels become blocks of positions, and back; the
//! gradient goes the other way.

use super::super::site::{Forward, Gradients, Refusal, Site};
use super::super::tape::{Dialect, Tape, Var};
#[cfg(test)]
use super::suite::Case;
use super::{Rule, as_it_is};

pub(super) const RULES: &[Rule] = &[
    Rule {
        op: "DepthToSpace",
        forward: to_space,
        backward: to_space_back,
        #[cfg(test)]
        cases: || {
            let of = |mode: &'static str| {
                Case::of("DepthToSpace", move |c| {
                    c.varied("x", &[2, 8, 2, 3]).with("blocksize", 2_i64).with("mode", mode)
                })
            };
            vec![of("DCR"), of("CRD")]
        },
    },
    Rule {
        op: "SpaceToDepth",
        forward: to_depth,
        backward: to_depth_back,
        #[cfg(test)]
        cases: || {
            vec![Case::of("SpaceToDepth", |c| {
                c.varied("x", &[2, 3, 4, 6]).with("blocksize", 2_i64)
            })]
        },
    },
];

/// Blocks before channels (`DCR`) or channels before blocks (`CRD`) on the channel axis.
#[derive(Clone, Copy)]
struct Blocks {
    size: usize,
    blocks_first: bool,
}

impl Blocks {
    fn of(site: &Site<'_>) -> Result<Self, Refusal> {
        if site.input(0)?.rank() != 4 {
            return Err(site.refuse("its input is not items × channels × height × width"));
        }
        let size = site.node.int("blocksize").unwrap_or(1).max(1) as usize;
        let blocks_first = site.node.text("mode").unwrap_or("DCR") != "CRD";
        Ok(Self { size, blocks_first })
    }

    /// N × C·b² × H × W to N × C × H·b × W·b.
    fn spread(self, x: &Var, tape: &mut Tape) -> Var {
        let (items, height, width) = (x.dims()[0], x.dims()[2], x.dims()[3]);
        let size = self.size;
        let channels = x.dims()[1] / (size * size);
        let (split, order) = match self.blocks_first {
            true => ([items, size, size, channels, height, width], [0, 3, 4, 1, 5, 2]),
            false => ([items, channels, size, size, height, width], [0, 1, 4, 2, 5, 3]),
        };
        let split = tape.reshape(x, &split);
        let turned = tape.transpose(&split, &order);
        tape.reshape(&turned, &[items, channels, height * size, width * size])
    }

    /// N × C × H·b × W·b to N × C·b² × H × W.
    fn gather(self, x: &Var, tape: &mut Tape) -> Var {
        let (items, channels, size) = (x.dims()[0], x.dims()[1], self.size);
        let (height, width) = (x.dims()[2] / size, x.dims()[3] / size);
        let split = tape.reshape(x, &[items, channels, height, size, width, size]);
        let order = if self.blocks_first { [0, 3, 5, 1, 2, 4] } else { [0, 1, 3, 5, 2, 4] };
        let turned = tape.transpose(&split, &order);
        tape.reshape(&turned, &[items, channels * size * size, height, width])
    }
}

fn to_space(site: &Site<'_>, tape: &mut Tape) -> Result<Forward, Refusal> {
    let blocks = Blocks::of(site)?;
    if tape.dialect() != Dialect::Embedded {
        return as_it_is(site, tape);
    }
    let y = blocks.spread(&site.input(0)?.clone(), tape);
    Ok(Forward { outputs: vec![y], ..Forward::default() })
}

fn to_space_back(
    site: &Site<'_>,
    _: &Forward,
    dy: &Var,
    tape: &mut Tape,
) -> Result<Gradients, Refusal> {
    Ok(vec![Some(Blocks::of(site)?.gather(dy, tape))])
}

fn to_depth(site: &Site<'_>, tape: &mut Tape) -> Result<Forward, Refusal> {
    let blocks = Blocks::of(site)?;
    if tape.dialect() != Dialect::Embedded {
        return as_it_is(site, tape);
    }
    let y = blocks.gather(&site.input(0)?.clone(), tape);
    Ok(Forward { outputs: vec![y], ..Forward::default() })
}

fn to_depth_back(
    site: &Site<'_>,
    _: &Forward,
    dy: &Var,
    tape: &mut Tape,
) -> Result<Gradients, Refusal> {
    Ok(vec![Some(Blocks::of(site)?.spread(dy, tape))])
}
