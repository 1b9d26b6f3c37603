//! What a probe says of everyone, as an artifact.

use std::collections::BTreeMap;

use ndarray::Array2;
use serde_json::Value as Json;

use crate::base::Target;

use super::super::artifacts::Predictions;
use super::super::data::Sample;
use super::super::probabilities::best;

/// Predictions of everyone in a sample, from scores in the order of [`Sample::everyone`].
/// Scores that give probabilities are their logarithms.
pub(crate) fn told(
    sample: &Sample,
    scores: Array2<f64>,
    no_probabilities: Option<&str>,
) -> Predictions {
    let dataset = &sample.data.dataset;
    let all_groups = dataset.groups();
    let everyone = sample.everyone();
    let items = || everyone.iter().map(|(index, _)| *index);
    let predicted = scores.rows().into_iter().map(|row| best(&row)).collect();
    let probabilities = match no_probabilities {
        Some(reason) => Err(reason.to_owned()),
        None => Ok(scores.mapv(f64::exp)),
    };
    let column = |(column, name): (usize, &String)| {
        let cells = items().map(|index| dataset.items()[index].cells[column].clone());
        (name.clone(), cells.collect())
    };
    Predictions {
        classes: dataset.classes().to_vec(),
        prior: sample.prior(),
        trained_on: sample.train.len(),
        ids: items().map(|index| dataset.items()[index].id.clone()).collect(),
        groups: items().map(|index| all_groups[index]).collect(),
        grouped: dataset.has_groups(),
        parts: everyone.iter().map(|(_, part)| *part).collect(),
        labels: items().map(|index| dataset.items()[index].label).collect(),
        predicted,
        target: Target::Classes,
        truths: Array2::default((0, 0)),
        scores,
        probabilities,
        selection: None,
        still_rising: None,
        facts: BTreeMap::<String, Json>::new(),
        columns: dataset.columns().iter().enumerate().map(column).collect(),
    }
}
