//! Gemm: y = α A' B' + β C, where ' transposes if asked to.

use super::super::site::{Forward, Gradients, Refusal, Site};
use super::super::tape::{Tape, Var};
#[cfg(test)]
use super::suite::Case;
use super::{Rule, as_it_is};

pub(super) const RULES: &[Rule] = &[Rule {
    op: "Gemm",
    forward: as_it_is,
    backward,
    #[cfg(test)]
    cases: || {
        let shapes = |a: &'static [usize], b: &'static [usize], c: &'static [usize]| {
            move |case: Case| case.varied("a", a).varied("b", b).varied("c", c)
        };
        vec![
            Case::of("Gemm", shapes(&[3, 4], &[4, 5], &[5])),
            Case::of("Gemm", |case| shapes(&[3, 4], &[5, 4], &[1, 5])(case).with("transB", 1_i64)),
            Case::of("Gemm", |case| {
                shapes(&[4, 3], &[5, 4], &[3, 1])(case)
                    .with("transA", 1_i64)
                    .with("transB", 1_i64)
                    .with("alpha", 0.5_f32)
                    .with("beta", 2.0_f32)
            }),
            Case::of("Gemm", |case| {
                case.varied("a", &[4, 3]).varied("b", &[4, 5]).with("transA", 1_i64)
            }),
            Case::of("Gemm", shapes(&[3, 4], &[4, 5], &[3, 5])),
            Case::of("Gemm", |case| shapes(&[3, 4], &[4, 5], &[1])(case).with("beta", 0.5_f32)),
            Case::of("Gemm", |case| {
                case.varied("a", &[3, 4]).varied("b", &[4, 5]).number("c", 1.5)
            }),
        ]
    },
}];

fn backward(site: &Site<'_>, _: &Forward, dy: &Var, tape: &mut Tape) -> Result<Gradients, Refusal> {
    let (a, b) = (site.input(0)?.clone(), site.input(1)?.clone());
    let flag = |key| site.node.int(key).unwrap_or(0) != 0;
    let (turned_a, turned_b) = (flag("transA"), flag("transB"));
    let alpha = site.node.float("alpha").unwrap_or(1.0);
    let product = |x: &Var, turn_x: bool, y: &Var, turn_y: bool, tape: &mut Tape| {
        let rows = x.dims()[usize::from(turn_x)];
        let columns = y.dims()[usize::from(!turn_y)];
        let settings = [
            ("transA", i64::from(turn_x).into()),
            ("transB", i64::from(turn_y).into()),
            ("alpha", alpha.into()),
        ];
        tape.op("Gemm", &[x, y], &settings, &[rows, columns])
    };
    // d(A') = dy B'ᵀ and d(B') = A'ᵀ dy, turned back where the operand was turned.
    let da = site.wants(0).then(|| match turned_a {
        false => product(dy, false, &b, !turned_b, tape),
        true => product(&b, turned_b, dy, true, tape),
    });
    let db = site.wants(1).then(|| match turned_b {
        false => product(&a, !turned_a, dy, false, tape),
        true => product(dy, true, &a, turned_a, tape),
    });
    let mut gradients = vec![da, db];
    if site.inputs.len() > 2 {
        let dc = match site.wants(2) {
            true => {
                let dims = site.input(2)?.dims().to_vec();
                let summed = tape.unbroadcast(dy, &dims);
                Some(tape.scale(&summed, site.node.float("beta").unwrap_or(1.0)))
            }
            false => None,
        };
        gradients.push(dc);
    }
    Ok(gradients)
}
