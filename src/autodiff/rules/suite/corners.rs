//! Values at which a slope is ours to choose, or at which a careless formula overflows.

use super::{Case, feed, tape_of};
use crate::autodiff::tape::Dialect;
use crate::onnx::proto;
use crate::onnx::runtime::{Backend, runtime};
use crate::onnx::tensor::elements;

/// The dialect of the backend that runs the tests, and the library's where it can be run too.
fn dialects() -> Vec<Dialect> {
    match runtime().unwrap().backend {
        Backend::Embedded => vec![Dialect::Embedded],
        Backend::Library => vec![Dialect::Library, Dialect::Embedded],
    }
}

/// Outputs, then the gradient of each varied input where that of every output element is 1.
fn passed(case: &Case, dialect: Dialect) -> Vec<Vec<f32>> {
    let (graph, y_dims) = tape_of(case, true, dialect);
    let dims = case.varied.iter().map(|(_, tensor)| tensor.dims.clone());
    let mut fed: Vec<(Vec<usize>, Vec<f32>)> = dims.zip(case.values()).collect();
    fed.extend(y_dims.iter().map(|dims| (dims.clone(), vec![1.0; elements(dims)])));
    feed(&mut runtime().unwrap().load(&proto::encode(&graph), 1).unwrap(), &fed)
}

fn assert_passes(case: &Case, expected: &[&[f32]]) {
    for dialect in dialects() {
        let found = passed(case, dialect);
        let close = |(a, b): (&f32, &f32)| (a - b).abs() <= 1e-5 * b.abs().max(1.0);
        let same = found.iter().flatten().zip(expected.iter().copied().flatten()).all(close);
        assert!(same, "{} {dialect:?}: {found:?}, not {expected:?}", case.node.op);
    }
}

#[test]
fn equal_values_share_the_gradient_of_an_extreme() {
    let largest = Case::of("ReduceMax", |case| case.exact("x", &[2, 3], &[1., 3., 3., 2., 0., 1.]))
        .integers("axes", &[1]);
    assert_passes(&largest, &[&[3.0, 2.0], &[0.0, 0.5, 0.5, 1.0, 0.0, 0.0]]);
    let larger = Case::of("Max", |case| case.exact("a", &[3], &[1.0, 2.0, 3.0])).exact(
        "b",
        &[3],
        &[2.0, 2.0, 2.0],
    );
    assert_passes(&larger, &[&[2.0, 2.0, 3.0], &[0.0, 0.5, 1.0], &[1.0, 0.5, 0.0]]);
}

#[test]
fn kinks_have_the_slope_of_pytorch() {
    let zero = |op| Case::of(op, |case| case.exact("x", &[1], &[0.0]));
    assert_passes(&zero("Relu"), &[&[0.0], &[0.0]]);
    assert_passes(&zero("LeakyRelu").with("alpha", 0.25_f32), &[&[0.0], &[0.25]]);
    assert_passes(&zero("Abs"), &[&[0.0], &[0.0]]);
}

#[test]
fn a_power_has_a_gradient_at_zero() {
    let square = Case::of("Pow", |case| case.exact("x", &[2], &[0.0, -3.0])).number("n", 2.0);
    assert_passes(&square, &[&[0.0, 9.0], &[0.0, -6.0]]);
    let any = Case::of("Pow", |case| case.exact("x", &[3], &[0.0, 0.0, 2.0])).exact(
        "n",
        &[3],
        &[2.0, 0.0, 0.0],
    );
    let ln = 2.0_f32.ln();
    assert_passes(&any, &[&[0.0, 1.0, 1.0], &[0.0, 0.0, 0.0], &[0.0, 0.0, ln]]);
}

#[test]
fn a_norm_of_zeros_has_no_slope() {
    let norm = Case::of("ReduceL2", |case| case.exact("x", &[2, 2], &[0.0, 0.0, 3.0, 4.0]))
        .integers("axes", &[1])
        .with("keepdims", 0_i64);
    assert_passes(&norm, &[&[0.0, 5.0], &[0.0, 0.0, 0.6, 0.8]]);
}

#[test]
fn exponentials_of_large_values_do_not_overflow() {
    let x = |op| Case::of(op, |case| case.exact("x", &[1, 3], &[1000.0, 0.0, -1000.0]));
    assert_passes(&x("Softmax"), &[&[1.0, 0.0, 0.0], &[0.0, 0.0, 0.0]]);
    assert_passes(&x("LogSoftmax"), &[&[0.0, -1000.0, -2000.0], &[-2.0, 1.0, 1.0]]);
    let sum = x("ReduceLogSumExp").integers("axes", &[1]);
    assert_passes(&sum, &[&[1000.0], &[1.0, 0.0, 0.0]]);
    assert_passes(&x("Softplus"), &[&[1000.0, 2.0_f32.ln(), 0.0], &[1.0, 0.5, 0.0]]);
    assert_passes(&x("Mish"), &[&[1000.0, 0.0, 0.0], &[1.0, 0.6, 0.0]]);
}
