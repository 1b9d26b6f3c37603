//! `schema --operators`: which operators models can be trained through; made from the rules.

use std::fmt::Write as _;

use crate::autodiff::{Passage, operators};
use crate::console;

use super::Exit;

/// Prints the page.
pub(super) fn print() -> Exit {
    console::out(page().trim_end());
    Exit::Good
}

/// The page, as Markdown.
fn page() -> String {
    let mut page = String::from(
        "# Operators\n\nMade by `tl-run schema --operators` from the rules of gradients; do not \
         edit.\n\nModels of opsets 6 to 17 are rewritten to opset 18 before they are trained, \
         exactly; later ones stay as they are. Whatever runs can be a source of features; what is \
         trained needs a gradient:\n\n- **passes**: a rule is known, and is compared with \
         finite differences in all its forms, on both backends where both have the operator;\n\
         - **stops**: what comes out are shapes, places or truth values;\n- **refused**: the node \
         is named before any work; freeze the model up to a layer after it.\n\nAn operator that \
         is not listed, or of a domain other than ONNX's own, is refused too.\n\n\
         | operator | gradient | |\n|---|---|---|\n",
    );
    for operator in operators() {
        let state = match operator.passage {
            Passage::Passes => "passes",
            Passage::Stops => "stops",
            Passage::Refused => "refused",
        };
        let _ = writeln!(page, "| `{}` | {state} | {} |", operator.name, operator.note);
    }
    page
}
