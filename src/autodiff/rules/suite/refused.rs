//! What rules do not take is refused with the node's name, before a step is built.

use super::Case;
use crate::autodiff::refusals::refusals;
use crate::onnx::observe::Observation;

/// What is told about one node whose outputs have this shape.
fn told(op: &str, output: &[usize], describe: impl Fn(Case) -> Case) -> String {
    let case = Case::of(op, describe);
    let mut seen = Observation::default();
    for (name, tensor) in &case.varied {
        seen.shapes.insert(name.clone(), tensor.dims.clone());
    }
    for name in case.node.writes() {
        seen.shapes.insert(name.to_owned(), output.to_vec());
    }
    let wanted = case.varied.iter().map(|(name, _)| name.clone()).collect();
    let told = refusals(&case.graph(), &seen, &wanted);
    told.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
}

#[test]
fn an_operator_without_a_rule_is_refused() {
    let told = told("Hardmax", &[2, 3], |case| case.varied("x", &[2, 3]));
    assert_eq!(told, "`Hardmax` (Hardmax): no gradient is known for this operator");
}

#[test]
fn a_diagonal_is_refused() {
    let told =
        told("Einsum", &[2, 3], |case| case.varied("x", &[2, 3, 3]).with("equation", "bii->bi"));
    assert_eq!(told, "`Einsum` (Einsum): `bii` names an axis twice");
}

#[test]
fn a_file_in_training_mode_is_refused() {
    let dropout = told("Dropout", &[2, 3], |case| {
        case.varied("x", &[2, 3]).number("ratio", 0.5).mask("training", &[], &[true])
    });
    assert_eq!(
        dropout,
        "`Dropout` (Dropout): it drops values at random wherever the file runs; export the model \
         in evaluation mode"
    );
    let norm = told("BatchNormalization", &[2, 3], |case| {
        let case = case.varied("x", &[2, 3]).varied("scale", &[3]).varied("bias", &[3]);
        let case = case.constant("mean", &[3], &[0.0; 3]).constant("variance", &[3], &[1.0; 3]);
        case.with("training_mode", 1_i64)
    });
    assert_eq!(
        norm,
        "`BatchNormalization` (BatchNormalization): it uses the statistics of each batch wherever \
         the file runs; export the model in evaluation mode"
    );
}

#[test]
fn attention_that_remembers_is_refused() {
    let told = told("Attention", &[1, 2, 3, 4], |case| {
        let case = case.varied("q", &[1, 2, 3, 4]).varied("k", &[1, 2, 3, 4]);
        let case = case.varied("v", &[1, 2, 3, 4]).left_out();
        case.varied("past_k", &[1, 2, 2, 4]).varied("past_v", &[1, 2, 2, 4])
    });
    assert_eq!(
        told,
        "`Attention` (Attention): keys and values of earlier steps have no gradient rule"
    );
}

#[test]
fn bounds_that_the_model_computes_are_refused() {
    let told = told("Clip", &[2, 3], |case| case.varied("x", &[2, 3]).varied("least", &[]));
    assert_eq!(told, "`Clip` (Clip): input 1 is computed at run time");
}
