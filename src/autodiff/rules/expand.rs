//! Expand and Tile: the gradient is summed over what was repeated.

use super::super::site::{Forward, Gradients, Refusal, Site};
use super::super::tape::{Tape, Var, signed};
use super::Rule;
#[cfg(test)]
use super::suite::Case;

pub(super) const RULES: &[Rule] = &[
    Rule {
        op: "Expand",
        forward: expand,
        backward: expand_back,
        #[cfg(test)]
        cases: || {
            let of = |x: &'static [usize], shape: &'static [i64]| {
                Case::of("Expand", move |c| c.varied("x", x).integers("shape", shape))
            };
            vec![of(&[3, 1], &[2, 3, 4]), of(&[1, 3, 1], &[2, 1, 4]), of(&[2, 3], &[2, 3])]
        },
    },
    Rule {
        op: "Tile",
        forward: tile,
        backward: tile_back,
        #[cfg(test)]
        cases: || {
            let of = |repeats: &'static [i64]| {
                Case::of("Tile", move |c| c.varied("x", &[2, 3]).integers("repeats", repeats))
            };
            vec![of(&[2, 1]), of(&[1, 3]), of(&[2, 2]), of(&[1, 1])]
        },
    },
];

/// To the shape that was seen: whatever the model computes it from falls away.
fn expand(site: &Site<'_>, tape: &mut Tape) -> Result<Forward, Refusal> {
    let x = site.input(0)?.clone();
    let y = tape.expand(&x, site.output());
    Ok(Forward { outputs: vec![y], ..Forward::default() })
}

fn expand_back(
    site: &Site<'_>,
    _: &Forward,
    dy: &Var,
    tape: &mut Tape,
) -> Result<Gradients, Refusal> {
    let dims = site.input(0)?.dims().to_vec();
    Ok(vec![Some(tape.unbroadcast(dy, &dims)), None])
}

/// How often each axis is repeated.
fn repeats(site: &Site<'_>) -> Result<Vec<usize>, Refusal> {
    let dims = site.input(0)?.dims();
    if dims.contains(&0) {
        return Err(site.refuse("it repeats nothing"));
    }
    Ok(site.output().iter().zip(dims).map(|(after, before)| after / before).collect())
}

fn tile(site: &Site<'_>, tape: &mut Tape) -> Result<Forward, Refusal> {
    let x = site.input(0)?.clone();
    let times = tape.integers(&signed(&repeats(site)?));
    let y = tape.op("Tile", &[&x, &times], &[], site.output());
    Ok(Forward { outputs: vec![y], ..Forward::default() })
}

fn tile_back(
    site: &Site<'_>,
    _: &Forward,
    dy: &Var,
    tape: &mut Tape,
) -> Result<Gradients, Refusal> {
    let dims = site.input(0)?.dims().to_vec();
    let times = repeats(site)?;
    let split: Vec<usize> = times.iter().zip(&dims).flat_map(|(n, extent)| [*n, *extent]).collect();
    let dy = tape.reshape(dy, &split);
    let axes: Vec<usize> =
        (0..dims.len()).filter(|&axis| times[axis] > 1).map(|axis| 2 * axis).collect();
    let sum = tape.reduce_sum(&dy, &axes);
    Ok(vec![Some(tape.reshape(&sum, &dims)), None])
}
