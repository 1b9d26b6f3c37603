//! Upsample (opsets 7 and 9) and Resize (opset 10) as the Resize of opset 18, and the Resize of
//! opset 11 without the inputs that said nothing.

use super::super::graph::{Attribute, Node};
use super::super::tensor::Tensor;
use super::{NoUpgrade, Raised, form};

impl Raised {
    pub(super) fn resize(&mut self, node: &mut Node) -> Result<(), NoUpgrade> {
        match (node.op.as_str(), self.opset) {
            ("Resize", 11..) => {
                // Opset 11 wanted all inputs, and took those without entries as left out.
                for position in 1..node.inputs.len() {
                    let constant = self.constants.get(&node.inputs[position]);
                    if constant.is_some_and(Tensor::is_empty) {
                        node.inputs[position].clear();
                    }
                }
                Ok(())
            }
            ("Upsample", ..7) => Err(form(node, self.opset, "its scales are of two axes alone")),
            ("Upsample", ..9) => {
                let Some(Attribute::Floats(scales)) = node.attributes.remove("scales") else {
                    return Err(form(node, self.opset, "it has no scales"));
                };
                let scales = Tensor::f32(&[scales.len()], scales);
                let scales = self.constant(node, "scales", scales);
                node.inputs.truncate(1);
                node.inputs.push(scales);
                self.by_scales(node, "floor")
            }
            ("Upsample", _) => self.by_scales(node, "floor"),
            _ => {
                let rounding = self.rounding(node)?;
                self.by_scales(node, rounding)
            }
        }
    }

    /// Before opset 11 entry i was taken from i / scale.
    fn by_scales(&mut self, node: &mut Node, rounding: &str) -> Result<(), NoUpgrade> {
        if node.inputs.len() != 2 {
            return Err(form(node, self.opset, "it has no scales"));
        }
        "Resize".clone_into(&mut node.op);
        node.inputs.insert(1, String::new());
        let mode = match node.text("mode").unwrap_or("nearest") {
            "bilinear" | "linear" => "linear",
            "nearest" => "nearest",
            _ => return Err(form(node, self.opset, "its interpolation is not known")),
        };
        node.attributes.insert("mode".to_owned(), mode.into());
        let coordinates = "coordinate_transformation_mode".to_owned();
        node.attributes.insert(coordinates, "asymmetric".into());
        if mode == "nearest" {
            node.attributes.insert("nearest_mode".to_owned(), rounding.into());
        }
        Ok(())
    }

    /// The Resize of opset 10 rounded down where it enlarged, and up where it reduced. So does
    /// ONNX Runtime; the specification did not say.
    fn rounding(&self, node: &Node) -> Result<&'static str, NoUpgrade> {
        if node.text("mode").is_some_and(|mode| mode != "nearest") {
            return Ok("floor");
        }
        let scales = node.input(1).and_then(|name| self.constants.get(name)?.floats());
        let Some(scales) = scales else {
            let reason = "whether it enlarges or reduces is known at run time only";
            return Err(form(node, self.opset, reason));
        };
        match (scales.iter().any(|s| *s < 1.0), scales.iter().any(|s| *s > 1.0)) {
            (false, _) => Ok("floor"),
            (true, false) => Ok("ceil"),
            _ => Err(form(node, self.opset, "it enlarges one axis and reduces another")),
        }
    }
}
