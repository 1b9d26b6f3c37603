//! What rules do not take is refused with the node's name, before a step is built.

use super::Case;
use crate::autodiff::refusals::refusals;

fn refusal(case: &Case) -> String {
    let (graph, seen) = (case.graph_of_one_input(), case.observed());
    let wanted = case.varied.iter().map(|(name, _)| name.clone()).collect();
    let told = refusals(&graph, &seen, &wanted);
    told.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
}

fn of(op: &str, describe: impl Fn(Case) -> Case) -> String {
    refusal(&Case::of(op, describe))
}

#[test]
fn an_operator_without_a_rule_is_refused() {
    let told = of("Hardmax", |case| case.varied("x", &[2, 3]));
    assert_eq!(told, "`Hardmax` (Hardmax): no gradient is known for this operator");
}

#[test]
fn a_diagonal_is_refused() {
    let told = of("Einsum", |case| case.varied("x", &[2, 3, 3]).with("equation", "bii->bi"));
    assert_eq!(told, "`Einsum` (Einsum): `bii` names an axis twice");
}

#[test]
fn a_file_in_training_mode_is_refused() {
    let told = of("Dropout", |case| {
        case.varied("x", &[2, 3]).number("ratio", 0.5).mask("training", &[], &[true])
    });
    assert_eq!(
        told,
        "`Dropout` (Dropout): it drops values at random wherever the file runs; export the model \
         in evaluation mode"
    );
}

#[test]
fn attention_that_remembers_is_refused() {
    let told = of("Attention", |case| {
        let case = case.opset(23).varied("q", &[1, 2, 3, 4]).varied("k", &[1, 2, 3, 4]);
        let case = case.varied("v", &[1, 2, 3, 4]).left_out();
        let case = case.varied("past_k", &[1, 2, 2, 4]).varied("past_v", &[1, 2, 2, 4]);
        case.outputs(&["y", "present_k", "present_v"], 3)
    });
    assert_eq!(
        told,
        "`Attention` (Attention): keys and values of earlier steps have no gradient rule"
    );
}
