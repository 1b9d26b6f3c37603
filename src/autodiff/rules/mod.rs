//! How each operator is differentiated. One file per operator or family, one line here.

mod activation;
mod arithmetic;
mod attention;
mod batch_normalization;
mod channel_normalization;
mod choice;
mod concat;
mod conv;
mod conv_transpose;
mod cumsum;
mod dense;
mod depth_space;
mod depthwise;
mod dropout;
mod einsum;
mod elementary;
mod expand;
mod gather;
mod gelu;
mod gemm;
mod global_pool;
mod layer_normalization;
mod layout;
mod lp_normalization;
mod lp_pool;
mod lrn;
mod matmul;
mod pad;
mod pool;
mod pow;
mod rectifier;
mod reduce;
mod resize;
mod rms_normalization;
mod scatter;
mod slice;
mod softmax;
mod split;
mod squashing;
mod standard;
#[cfg(test)]
mod suite;
mod topk;
mod trilu;
mod variadic;

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
static RULES: &[&[Rule]] = &[
    activation::RULES,
    arithmetic::RULES,
    attention::RULES,
    batch_normalization::RULES,
    channel_normalization::RULES,
    choice::RULES,
    concat::RULES,
    conv::RULES,
    conv_transpose::RULES,
    cumsum::RULES,
    depth_space::RULES,
    dropout::RULES,
    einsum::RULES,
    elementary::RULES,
    expand::RULES,
    gather::RULES,
    gelu::RULES,
    gemm::RULES,
    global_pool::RULES,
    layer_normalization::RULES,
    layout::RULES,
    lp_normalization::RULES,
    lp_pool::RULES,
    lrn::RULES,
    matmul::RULES,
    pad::RULES,
    pool::RULES,
    pow::RULES,
    rectifier::RULES,
    reduce::RULES,
    resize::RULES,
    rms_normalization::RULES,
    scatter::RULES,
    slice::RULES,
    softmax::RULES,
    split::RULES,
    squashing::RULES,
    topk::RULES,
    trilu::RULES,
    variadic::RULES,
];

/// Operators with several outputs whose rule takes the gradients of all of them
/// ([`Site::gradient`]). Of any other only the first output may lead to the loss.
pub(crate) const SEVERAL: [&str; 1] = ["Split"];

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
