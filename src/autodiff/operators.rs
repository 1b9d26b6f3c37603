//! What becomes of each operator on the way from the loss to a parameter, for people.

use super::refusals::STOPS;
use super::rules::rules;
use crate::onnx::upgrade::operators as readable;

/// What a gradient meets at an operator.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Passage {
    /// It passes, by a rule that is checked against finite differences.
    Passes,
    /// It ends: what comes out are shapes, places or truth values.
    Stops,
    /// The model cannot be trained through it.
    Refused,
}

/// An operator of ONNX's own domain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Operator {
    /// Its name.
    pub name: String,
    /// What a gradient meets there.
    pub passage: Passage,
    /// Which forms are refused, or how it is read.
    pub note: &'static str,
}

/// What a rule does not take, or what is particular to it.
const NOTES: [(&str, &str); 19] = [
    ("AveragePool", "`count_include_pad`, `ceil_mode`, dilations, every `auto_pad`"),
    ("BatchNormalization", "statistics of the batch or running ones; refused in training mode"),
    ("Cast", "between floats; a cast to whole numbers or truth values stops gradients"),
    ("Clip", "0 at and beyond the bounds, which are constants"),
    ("Conv", "1 to 3 axes, groups, strides, dilations, every `auto_pad`; no negative pads"),
    ("ConvTranspose", "as `Conv`, and `output_padding`, `output_shape`"),
    ("Dropout", "off; refused where the file turns it on"),
    ("Gather", "sums in the order of the entries"),
    ("GlobalMaxPool", "to the first of the largest values"),
    ("MaxPool", "to the first of the largest values; `storage_order` 1 is refused"),
    ("Pad", "constant, edge, reflect, wrap; negative pads in constant mode alone"),
    ("Relu", "0 at 0"),
    ("Resize", "nearest, linear, cubic; all coordinates but `tf_crop_and_resize`; no antialiasing"),
    ("ScatterElements", "reductions `none` and `add`"),
    ("ScatterND", "reductions `none` and `add`"),
    ("Slice", "bounds and steps that follow from constants and shapes"),
    ("Split", "the gradients of all pieces"),
    ("TopK", "of the values, to the places they came from"),
    ("Upsample", "read as `Resize`"),
];

/// Every operator that models of opsets 6 to 23 are read with, in order of name.
pub fn operators() -> Vec<Operator> {
    let of_rules = rules().map(|rule| rule.op.to_owned());
    let mut names: Vec<String> = of_rules.chain(readable().map(str::to_owned)).collect();
    names.extend(STOPS.map(str::to_owned));
    names.sort_unstable();
    names.dedup();
    let has_rule = |name: &str| rules().any(|rule| rule.op == name);
    let operator = |name: String| {
        let passage = match name.as_str() {
            name if STOPS.contains(&name) || of_no_floats(name) => Passage::Stops,
            "Upsample" | "Scatter" | "Constant" => Passage::Passes,
            name if has_rule(name) => Passage::Passes,
            _ => Passage::Refused,
        };
        let note = NOTES.iter().find(|(noted, _)| *noted == name).map_or("", |(_, note)| note);
        Operator { name, passage, note }
    };
    names.into_iter().map(operator).collect()
}

/// Operators that never hand on floats.
fn of_no_floats(name: &str) -> bool {
    ["BitShift", "ConstantOfShape", "Xor"].contains(&name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_noted_has_a_rule() {
        let all = operators();
        for (name, _) in NOTES {
            let found = all.iter().find(|operator| operator.name == name);
            assert_eq!(found.map(|operator| operator.passage), Some(Passage::Passes), "{name}");
        }
    }

    #[test]
    fn every_rule_is_told() {
        let all = operators();
        for rule in rules() {
            let told = all.iter().find(|operator| operator.name == rule.op).unwrap();
            assert_eq!(told.passage, Passage::Passes, "{}", rule.op);
        }
    }
}
