//! What a model says of each item it was asked about.

use std::collections::BTreeMap;

use ndarray::{Array2, ArrayView1, ArrayView2};
use safetensors::tensor::TensorView;
use safetensors::{Dtype, SafeTensors};
use serde::{Deserialize, Serialize};
use serde_json::Value as Json;

use crate::base::Target;
use crate::data::Part;
use crate::stats::{Columns, Judged};
use crate::store::{ArtifactRef, Store};

use super::super::job::Failure;

/// How a setting was chosen on val.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Selection {
    /// The setting: `lr` or `c`.
    pub setting: String,
    /// What was chosen.
    pub chosen: f64,
    /// Every value with what it gave on val, lower being better; nothing where it failed.
    pub curve: Vec<(f64, Option<f64>)>,
}

impl Selection {
    /// Whether a value lies at an end of several that were tried, so that a better one may lie beyond.
    /// Fewer neighbours than one there are not.
    #[must_use]
    pub fn is_end(&self, value: f64) -> bool {
        let beyond = |side: fn(f64, f64) -> bool| self.curve.iter().any(|(v, _)| side(*v, value));
        let closed_below = self.setting == "k" && value <= 1.0;
        let at_low = !closed_below && !beyond(|other, value| other < value);
        self.curve.len() > 1 && (at_low || !beyond(|other, value| other > value))
    }
}

/// Predictions with all that is needed to judge them.
#[derive(Clone, Debug, PartialEq)]
pub struct Predictions {
    /// What is told of each item.
    pub target: Target,
    /// Names of the classes, labels or numbers.
    pub classes: Vec<String>,
    /// Share of each class or label among the training items, or the mean of each number.
    pub prior: Vec<f64>,
    /// Items trained on.
    pub trained_on: usize,
    /// What each item is called.
    pub ids: Vec<String>,
    /// The group of each item, as a number.
    pub groups: Vec<usize>,
    /// Whether groups hold several items.
    pub grouped: bool,
    /// The part each item stands in.
    pub parts: Vec<Part>,
    /// The class each item has; empty where there are none.
    pub labels: Vec<usize>,
    /// The class predicted for each item; empty where there are none.
    pub predicted: Vec<usize>,
    /// Items × labels or numbers: what is true, NaN where nobody knows; empty where there are classes.
    pub truths: Array2<f64>,
    /// Items × classes; higher is more likely. Log-odds of labels; numbers themselves, in their own
    /// unit.
    pub scores: Array2<f64>,
    /// Items × classes or labels; or why there are none.
    pub probabilities: Result<Array2<f64>, String>,
    /// How a setting was chosen.
    pub selection: Option<Selection>,
    /// How far the val score of the chosen training still rose at its end: last tenth of the
    /// steps less the tenth before; nothing if it stopped early or nothing was trained.
    pub still_rising: Option<f64>,
    /// Plain facts about how it came about.
    pub facts: BTreeMap<String, Json>,
    /// What else the data set says of each item: columns by name, one text an item.
    pub columns: Vec<(String, Vec<String>)>,
}

/// The part of a file that is no array.
#[derive(Serialize, Deserialize)]
struct Header {
    #[serde(default, skip_serializing_if = "is_of_classes")]
    target: Target,
    classes: Vec<String>,
    prior: Vec<f64>,
    trained_on: usize,
    ids: Vec<String>,
    grouped: bool,
    no_probabilities: Option<String>,
    selection: Option<Selection>,
    still_rising: Option<f64>,
    facts: BTreeMap<String, Json>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    columns: Vec<(String, Vec<String>)>,
}

/// With spaces between them; `?` for one that nobody knows.
fn numbers(row: &ArrayView1<'_, f64>) -> String {
    let number = |value: &f64| if value.is_nan() { "?".to_owned() } else { value.to_string() };
    row.iter().map(number).collect::<Vec<_>>().join(" ")
}

const HEADER: &str = "predictions";

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks for a reference")]
fn is_of_classes(target: &Target) -> bool {
    *target == Target::Classes
}

impl Predictions {
    /// Stores them.
    pub fn save(&self, store: &Store) -> Result<ArtifactRef, Failure> {
        let broken =
            |error: &dyn std::fmt::Display| Failure::new(format!("write predictions: {error}"));
        let header = Header {
            target: self.target,
            classes: self.classes.clone(),
            prior: self.prior.clone(),
            trained_on: self.trained_on,
            ids: self.ids.clone(),
            grouped: self.grouped,
            no_probabilities: self.probabilities.as_ref().err().cloned(),
            selection: self.selection.clone(),
            still_rising: self.still_rising,
            facts: self.facts.clone(),
            columns: self.columns.clone(),
        };
        let header = serde_json::to_string(&header).map_err(|error| broken(&error))?;
        let numbers = |values: &[usize]| -> Vec<u8> {
            values.iter().flat_map(|value| (*value as u32).to_le_bytes()).collect()
        };
        let parts: Vec<usize> = self.parts.iter().map(|part| *part as usize).collect();
        let floats = |matrix: &Array2<f64>| -> Vec<u8> {
            matrix.iter().flat_map(|value| value.to_le_bytes()).collect()
        };
        let count = self.ids.len();
        let mut arrays = vec![
            ("groups", Dtype::U32, vec![count], numbers(&self.groups)),
            ("parts", Dtype::U32, vec![count], numbers(&parts)),
            ("labels", Dtype::U32, vec![self.labels.len()], numbers(&self.labels)),
            ("predicted", Dtype::U32, vec![self.predicted.len()], numbers(&self.predicted)),
            ("scores", Dtype::F64, vec![count, self.classes.len()], floats(&self.scores)),
        ];
        if self.target != Target::Classes {
            let dims = vec![count, self.classes.len()];
            arrays.push(("truths", Dtype::F64, dims, floats(&self.truths)));
        }
        if let Ok(matrix) = &self.probabilities {
            let dims = vec![count, self.classes.len()];
            arrays.push(("probabilities", Dtype::F64, dims, floats(matrix)));
        }
        let views: Result<Vec<_>, _> = arrays
            .iter()
            .map(|(name, kind, dims, bytes)| {
                TensorView::new(*kind, dims.clone(), bytes).map(|view| (*name, view))
            })
            .collect();
        let views = views.map_err(|error| broken(&error))?;
        let metadata = [(HEADER.to_owned(), header)].into();
        let bytes =
            safetensors::serialize(views, Some(metadata)).map_err(|error| broken(&error))?;
        Ok(store.put("predictions", &bytes)?)
    }

    /// Reads them.
    pub fn load(bytes: &[u8]) -> Result<Self, Failure> {
        let broken =
            |error: &dyn std::fmt::Display| Failure::new(format!("read predictions: {error}"));
        let (_, meta) = SafeTensors::read_metadata(bytes).map_err(|error| broken(&error))?;
        let header = meta.metadata().as_ref().and_then(|texts| texts.get(HEADER));
        let header = header.ok_or_else(|| broken(&"they have no header"))?;
        let header: Header = serde_json::from_str(header).map_err(|error| broken(&error))?;
        let file = SafeTensors::deserialize(bytes).map_err(|error| broken(&error))?;
        let data = |name: &str| file.tensor(name).map(|view| view.data().to_vec());
        let numbers = |name: &str| -> Result<Vec<usize>, Failure> {
            let bytes = data(name).map_err(|error| broken(&error))?;
            let read = |piece: &[u8]| u32::from_le_bytes([piece[0], piece[1], piece[2], piece[3]]);
            Ok(bytes.chunks_exact(4).map(|piece| read(piece) as usize).collect())
        };
        let matrix = |name: &str| -> Result<Array2<f64>, Failure> {
            let bytes = data(name).map_err(|error| broken(&error))?;
            let read = |piece: &[u8]| {
                let mut eight = [0; 8];
                eight.copy_from_slice(piece);
                f64::from_le_bytes(eight)
            };
            let values = bytes.chunks_exact(8).map(read).collect();
            Array2::from_shape_vec((header.ids.len(), header.classes.len()), values)
                .map_err(|error| broken(&error))
        };
        let parts = numbers("parts")?.into_iter().map(|number| match number {
            0 => Part::Train,
            1 => Part::Val,
            _ => Part::Test,
        });
        Ok(Self {
            parts: parts.collect(),
            groups: numbers("groups")?,
            labels: numbers("labels")?,
            predicted: numbers("predicted")?,
            truths: match header.target {
                Target::Classes => Array2::default((0, 0)),
                Target::Labels | Target::Values => matrix("truths")?,
            },
            scores: matrix("scores")?,
            probabilities: match &header.no_probabilities {
                Some(reason) => Err(reason.clone()),
                None => Ok(matrix("probabilities")?),
            },
            target: header.target,
            classes: header.classes,
            prior: header.prior,
            trained_on: header.trained_on,
            ids: header.ids,
            grouped: header.grouped,
            selection: header.selection,
            still_rising: header.still_rising,
            facts: header.facts,
            columns: header.columns,
        })
    }

    /// The items of one part.
    #[must_use]
    pub fn of(&self, part: Part) -> Self {
        let kept: Vec<usize> =
            (0..self.ids.len()).filter(|&index| self.parts[index] == part).collect();
        self.rows(&kept)
    }

    /// One label or number alone, of the items of which it is known. Nothing where there are classes.
    #[must_use]
    pub fn column(&self, column: usize) -> Option<Self> {
        if self.target == Target::Classes || column >= self.classes.len() {
            return None;
        }
        let known = |item: &usize| !self.truths[[*item, column]].is_nan();
        let kept: Vec<usize> = (0..self.ids.len()).filter(known).collect();
        let alone = |matrix: &Array2<f64>| matrix.select(ndarray::Axis(1), &[column]);
        let rows = self.rows(&kept);
        Some(Self {
            classes: vec![self.classes[column].clone()],
            prior: vec![self.prior[column]],
            truths: alone(&rows.truths),
            scores: alone(&rows.scores),
            probabilities: rows.probabilities.as_ref().map(alone).map_err(Clone::clone),
            ..rows
        })
    }

    /// Some items.
    fn rows(&self, kept: &[usize]) -> Self {
        let numbers = |values: &[usize]| {
            kept.iter().filter_map(|&index| values.get(index).copied()).collect()
        };
        let column = |(name, cells): &(String, Vec<String>)| {
            (name.clone(), kept.iter().map(|&index| cells[index].clone()).collect())
        };
        let rows = |matrix: &Array2<f64>| matrix.select(ndarray::Axis(0), kept);
        let truths = match self.target {
            Target::Classes => self.truths.clone(),
            Target::Labels | Target::Values => rows(&self.truths),
        };
        Self {
            ids: kept.iter().map(|&index| self.ids[index].clone()).collect(),
            groups: numbers(&self.groups),
            parts: kept.iter().map(|&index| self.parts[index]).collect(),
            labels: numbers(&self.labels),
            predicted: numbers(&self.predicted),
            truths,
            scores: rows(&self.scores),
            probabilities: self.probabilities.as_ref().map(rows).map_err(Clone::clone),
            target: self.target,
            classes: self.classes.clone(),
            prior: self.prior.clone(),
            trained_on: self.trained_on,
            grouped: self.grouped,
            selection: self.selection.clone(),
            still_rising: self.still_rising,
            facts: self.facts.clone(),
            columns: self.columns.iter().map(column).collect(),
        }
    }

    /// What is true of an item, in words: its class, its labels with `|` between them (`?` before one
    /// of which nobody knows), or its numbers with a space between them.
    pub fn label(&self, item: usize) -> Option<String> {
        match self.target {
            Target::Classes => Some(self.classes[*self.labels.get(item)?].clone()),
            Target::Labels => {
                let label = |(name, truth): (&String, &f64)| match truth {
                    truth if truth.is_nan() => Some(format!("?{name}")),
                    truth => (*truth > 0.5).then(|| name.clone()),
                };
                let row = self.truths.row(item);
                let labels: Vec<String> = self.classes.iter().zip(row).filter_map(label).collect();
                Some(labels.join("|"))
            }
            Target::Values => Some(numbers(&self.truths.row(item))),
        }
    }

    /// What is told of an item, in words: its class, or its numbers. Nothing of several labels, which
    /// have probabilities alone.
    pub fn told(&self, item: usize) -> Option<String> {
        match self.target {
            Target::Classes => Some(self.classes[*self.predicted.get(item)?].clone()),
            Target::Labels => None,
            Target::Values => Some(numbers(&self.scores.row(item))),
        }
    }

    /// Whether the class of an item is told right; nothing where there are none.
    pub fn is_right(&self, item: usize) -> Option<bool> {
        Some(self.labels.get(item)? == self.predicted.get(item)?)
    }

    /// As metrics want them, whatever is predicted.
    pub fn judged(&self) -> Result<Judged<'_>, Failure> {
        let truths = self.truths.view();
        let columns = match (self.target, &self.probabilities) {
            (Target::Classes, _) => return self.view().map(Judged::Classes),
            (Target::Labels, Ok(matrix)) => Columns::labels(truths, matrix.view()),
            (Target::Labels, Err(reason)) => return Err(Failure::new(reason.clone())),
            (Target::Values, _) => Columns::values(truths, self.scores.view()),
        };
        let columns = columns.map_err(|error| Failure::new(format!("judge predictions: {error}")));
        columns.map(Judged::Columns)
    }

    /// As metrics of classes want them.
    pub fn view(&self) -> Result<crate::stats::Predictions<'_>, Failure> {
        let probabilities: Result<ArrayView2<'_, f64>, &str> = match &self.probabilities {
            Ok(matrix) => Ok(matrix.view()),
            Err(reason) => Err(reason),
        };
        crate::stats::Predictions::new(
            &self.labels,
            &self.predicted,
            self.scores.view(),
            probabilities,
            self.classes.len(),
        )
        .map_err(|error| Failure::new(format!("judge predictions: {error}")))
    }
}

#[cfg(test)]
mod tests {
    use ndarray::array;

    use super::*;

    fn predictions() -> Predictions {
        Predictions {
            target: Target::Classes,
            truths: Array2::default((0, 0)),
            classes: vec!["a".into(), "b".into()],
            prior: vec![0.25, 0.75],
            trained_on: 8,
            ids: vec!["x".into(), "y".into(), "z".into()],
            groups: vec![0, 0, 1],
            grouped: true,
            parts: vec![Part::Test, Part::Val, Part::Test],
            labels: vec![0, 1, 1],
            predicted: vec![0, 1, 0],
            scores: array![[0.9, 0.1], [0.2, 0.8], [0.6, 0.4]],
            probabilities: Ok(array![[0.9, 0.1], [0.2, 0.8], [0.6, 0.4]]),
            selection: None,
            still_rising: Some(0.01),
            facts: BTreeMap::new(),
            columns: vec![("sex".into(), vec!["f".into(), "m".into(), String::new()])],
        }
    }

    #[test]
    fn predictions_come_back_as_they_were_stored() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path()).unwrap();
        for probabilities in [predictions().probabilities, Err("a distance".into())] {
            let before = Predictions { probabilities, ..predictions() };
            let artifact = before.save(&store).unwrap();
            assert_eq!(Predictions::load(&store.map(&artifact).unwrap()).unwrap(), before);
            // The same predictions are the same bytes.
            assert_eq!(before.save(&store).unwrap(), artifact);
        }
    }

    /// The same items with two labels each, one of which nobody can have.
    fn labels() -> Predictions {
        Predictions {
            target: Target::Labels,
            labels: vec![],
            predicted: vec![],
            truths: array![[1.0, 0.0], [0.0, 1.0], [0.0, 0.5]],
            ..predictions()
        }
    }

    #[test]
    fn labels_come_back_as_they_were_stored() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path()).unwrap();
        let before = labels();
        let artifact = before.save(&store).unwrap();
        let after = Predictions::load(&store.map(&artifact).unwrap()).unwrap();
        assert_eq!(after, before);
        let test = after.of(Part::Test);
        assert_eq!(test.truths, array![[1.0, 0.0], [0.0, 0.5]]);
        assert!(test.labels.is_empty() && test.predicted.is_empty());
        let refused = test.judged().err().map(|error| error.to_string());
        assert_eq!(refused.as_deref(), Some("judge predictions: column 1 of item 1 is 0.5"));
    }

    #[test]
    fn a_part_keeps_its_items_alone() {
        let test = predictions().of(Part::Test);
        assert_eq!(test.ids, ["x", "z"]);
        assert_eq!(test.labels, [0, 1]);
        assert_eq!(test.columns, [("sex".to_owned(), vec!["f".to_owned(), String::new()])]);
        assert_eq!(test.scores, array![[0.9, 0.1], [0.6, 0.4]]);
    }
}
