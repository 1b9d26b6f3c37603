//! `Dropout`, which does nothing outside of training it was exported for.

use super::super::site::{Forward, Refusal, Site};
use super::super::tape::Tape;
use super::Rule;
#[cfg(test)]
use super::suite::Case;
use crate::onnx::tensor::{Data, Tensor};

pub(super) const RULES: &[Rule] = &[Rule {
    op: "Dropout",
    forward,
    backward: |_, _, dy, _| Ok(vec![Some(dy.clone())]),
    #[cfg(test)]
    cases: || {
        let case = || Case::of("Dropout", |case| case.varied("x", &[2, 3, 4]));
        vec![
            case(),
            case().number("ratio", 0.3),
            case().number("ratio", 0.3).mask("training", &[], &[false]),
            case().number("ratio", 0.0).mask("training", &[], &[true]),
            case().left_out().mask("training", &[], &[false]),
        ]
    },
}];

/// The values as they are. A file that asks for random zeros wherever it runs is refused: what it
/// computes would be another thing while it is trained.
fn forward(site: &Site<'_>, _: &mut Tape) -> Result<Forward, Refusal> {
    let given = site.inputs.get(2).is_some_and(Option::is_some);
    let trains = match site.constants.get(2).copied().flatten() {
        Some(Tensor { data: Data::Other { bytes, .. }, .. }) => bytes.iter().any(|&b| b != 0),
        Some(_) => false,
        None => given,
    };
    if trains && site.float(1)?.unwrap_or(0.5) != 0.0 {
        let reason = "it drops values at random wherever the file runs; export the model in \
                      evaluation mode";
        return Err(site.refuse(reason));
    }
    Ok(Forward { outputs: vec![site.input(0)?.clone()], ..Forward::default() })
}
