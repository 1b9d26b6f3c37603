//! How each operator is differentiated. One file per operator or family, one line here.

mod activation;
mod arithmetic;
mod batch_normalization;
mod concat;
mod conv;
mod dense;
mod depthwise;
mod gemm;
mod layout;
mod matmul;
mod pad;
mod pool;
mod reduce_mean;
mod slice;
mod softmax;
#[cfg(test)]
mod suite;

use super::site::{Forward, Gradients, Refusal, Site};
use super::tape::{Tape, Var};

/// How one operator is differentiated.
pub(crate) struct Rule {
    /// The operator, of ONNX's own domain.
    pub(crate) op: &'static str,
    /// Emits the operator itself, with whatever backward needs kept.
    pub(crate) forward: fn(&Site<'_>, &mut Tape) -> Result<Forward, Refusal>,
    /// Emits the gradients of its inputs, given those of its outputs.
    pub(crate) backward: fn(&Site<'_>, &Forward, &Var, &mut Tape) -> Result<Gradients, Refusal>,
    /// Graphs on which the gradient is compared with finite differences.
    #[cfg(test)]
    pub(crate) cases: fn() -> Vec<suite::Case>,
}

/// The rules, by family.
static RULES: [&[Rule]; 13] = [
    activation::RULES,
    arithmetic::RULES,
    batch_normalization::RULES,
    concat::RULES,
    conv::RULES,
    gemm::RULES,
    layout::RULES,
    matmul::RULES,
    pad::RULES,
    pool::RULES,
    reduce_mean::RULES,
    slice::RULES,
    softmax::RULES,
];

/// Every rule.
pub(crate) fn rules() -> impl Iterator<Item = &'static Rule> {
    RULES.iter().copied().flatten()
}

/// The rule of an operator.
pub(crate) fn rule(domain: &str, op: &str) -> Option<&'static Rule> {
    rules().find(|rule| domain.is_empty() && rule.op == op)
}

/// The operator as the model has it, nothing kept.
#[expect(clippy::unnecessary_wraps, reason = "every rule has the same signature")]
fn as_it_is(site: &Site<'_>, tape: &mut Tape) -> Result<Forward, Refusal> {
    Ok(site.copy(tape))
}
