//! How far weights came from where they started, layer group by layer group.

use std::collections::BTreeSet;

use crate::onnx::freeze::groups;
use crate::onnx::graph::Graph;
use crate::onnx::parameters::{Parameter, parameters};
use crate::onnx::tensor::{Data, Tensor};

use super::super::artifacts::Drift;

/// The drift ‖w − w₀‖ of each layer group from the input on, the head's at the end. Both graphs have
/// the same nodes; running statistics do not count.
pub(super) fn drifts(start: &Graph, end: &Graph) -> Vec<Drift> {
    let Some(read) = end.nodes.last().and_then(|node| node.input(0)) else { return vec![] };
    let all = parameters(end).into_iter().filter(|parameter| parameter.role.is_trained());
    let mut left: Vec<Parameter> = all.collect();
    let mut found = Vec::new();
    for group in groups(end, read) {
        let below: BTreeSet<usize> = end.ancestors([group.end.as_str()]).into_iter().collect();
        let (here, above) = left.into_iter().partition(|one| below.contains(&one.node));
        left = above;
        found.push(drift(group.end, &here, (start, end)));
    }
    found.push(drift("head".to_owned(), &left, (start, end)));
    found.retain(|drift| drift.parameters > 0);
    found
}

fn drift(layer: String, group: &[Parameter], (start, end): (&Graph, &Graph)) -> Drift {
    let (mut parameters, mut from, mut moved) = (0, 0.0, 0.0);
    for parameter in group {
        let values = |graph: &Graph| graph.initializers.get(&parameter.name).and_then(floats);
        let (Some(before), Some(after)) = (values(start), values(end)) else { continue };
        parameters += before.len();
        from += before.iter().map(|value| value * value).sum::<f64>();
        moved += before.iter().zip(&after).map(|(a, b)| (b - a) * (b - a)).sum::<f64>();
    }
    let first = group.first().map_or_else(String::new, |parameter| parameter.name.clone());
    Drift { layer, first, parameters, start: from.sqrt(), moved: moved.sqrt() }
}

fn floats(tensor: &Tensor) -> Option<Vec<f64>> {
    match &tensor.data {
        Data::F32(values) => Some(values.iter().map(|value| f64::from(*value)).collect()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::language::defaults;
    use crate::onnx::architecture::Architecture;

    #[test]
    fn each_group_has_moved_by_the_norm_of_its_change() {
        let mut start = Architecture::PlainCnn(defaults()).build([1, 8, 8], 2).unwrap();
        for tensor in start.initializers.values_mut() {
            if let Data::F32(values) = &mut tensor.data {
                values.fill(2.0);
            }
        }
        let mut end = start.clone();
        let still = drifts(&start, &end);
        let head = &still[still.len() - 1];
        assert_eq!((head.layer.as_str(), head.parameters), ("head", 32 * 2 + 2));
        assert!(still.iter().all(|drift| drift.moved.abs() < 1e-12), "{still:?}");
        let weight = end.nodes[0].input(1).unwrap().to_owned();
        if let Data::F32(values) = &mut end.initializers.get_mut(&weight).unwrap().data {
            values[0] = 5.0;
            values[1] = -2.0;
        }
        let found = drifts(&start, &end);
        assert!((found[0].moved - 5.0).abs() < 1e-12, "{found:?}");
        let norm = 2.0 * (found[0].parameters as f64).sqrt();
        assert!((found[0].start - norm).abs() < 1e-12, "{found:?}");
        assert_eq!(found[1..], still[1..]);
        let parameters: usize = found.iter().map(|drift| drift.parameters).sum();
        assert_eq!(parameters, start.parameters());
    }
}
