//! A data set as stages use it: opened, with its splits.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};

use serde_json::{Value as Json, json};

use crate::base::{Digest, Seed, Target};
use crate::data::{
    Copies, Dataset, NamedArray, Numbers, Open, Split, SplitError, SplitRule, strata, subset,
};

use crate::store::RunTest;

use super::job::{Failure, Outputs};
use super::label_noise::Flipped;
use super::targets::means;

/// An open data set with the rule that splits it.
#[derive(Debug)]
pub struct OpenDataset {
    /// What the file calls it.
    pub name: String,
    /// The items.
    pub dataset: Dataset,
    /// Whether items are images, which can be resized.
    pub is_images: bool,
    rule: SplitRule,
    /// Copies that may not stand on two sides of a split.
    apart: Copies,
    drawn: Mutex<Vec<(Seed, Arc<Split>)>>,
    /// Items of each part at most.
    limit: Option<usize>,
    /// The data set whose images are shown, if its items show a task that images set by themselves.
    /// Of such a task a part may be the same for all images, as the edge of a picture is.
    shows: Option<String>,
}

impl OpenDataset {
    /// A data set and its rule.
    pub fn new(name: &str, dataset: Dataset, is_images: bool, rule: SplitRule) -> Self {
        Self {
            name: name.to_owned(),
            dataset,
            is_images,
            rule,
            apart: Copies::default(),
            drawn: Mutex::default(),
            limit: None,
            shows: None,
        }
    }

    /// The same with copies that may not stand on two sides of a split.
    #[must_use]
    pub fn apart(self, copies: Copies) -> Self {
        Self { apart: copies, drawn: Mutex::default(), ..self }
    }

    /// The same with at most `most` items in each part of each seed's split, in proportion of
    /// classes, and without all others: a small study to try things out on.
    pub fn limited(self, most: usize, seeds: &[Seed]) -> Result<Self, SplitError> {
        // What draws nothing takes the split of seed 0.
        let seeds: BTreeSet<Seed> = seeds.iter().copied().chain([Seed(0)]).collect();
        let strata = strata(&self.dataset);
        let cut = |items: &[usize], seed: Seed| subset(items, &strata, most.min(items.len()), seed);
        let mut drawn = Vec::new();
        for seed in seeds {
            let mut split = Split::clone(&*self.split(seed)?);
            split.train = cut(&split.train, seed)?;
            every_class(&self.dataset, &split.train, "--limit")?;
            split.val = cut(&split.val, seed)?;
            // The test part is the same for every seed.
            split.test = cut(&split.test, Seed(0))?;
            split.is_drawn = true;
            drawn.push((seed, split));
        }
        let parts = |split: &Split| [&split.train[..], &split.val, &split.test].concat();
        let kept: BTreeSet<usize> = drawn.iter().flat_map(|(_, split)| parts(split)).collect();
        let position: BTreeMap<usize, usize> =
            kept.iter().enumerate().map(|(new, &old)| (old, new)).collect();
        let renumber = |items: &mut Vec<usize>| items.iter_mut().for_each(|i| *i = position[i]);
        for (_, split) in &mut drawn {
            [&mut split.train, &mut split.val, &mut split.test].into_iter().for_each(renumber);
        }
        let drawn = drawn.into_iter().map(|(seed, split)| (seed, Arc::new(split))).collect();
        let dataset = self.dataset.only(&kept);
        Ok(Self { dataset, drawn: Mutex::new(drawn), limit: Some(most), ..self })
    }

    /// Another data set made of views of these items, `views` of each, one after the other: an
    /// item's views stand in its part. With `train_size` so many items of each seed's train part,
    /// drawn without a look at labels.
    pub fn shown(
        &self,
        name: &str,
        dataset: Dataset,
        views: usize,
        train_size: Option<usize>,
        seeds: &[Seed],
    ) -> Result<Self, SplitError> {
        // What draws nothing takes the split of seed 0.
        let seeds: BTreeSet<Seed> = seeds.iter().copied().chain([Seed(0)]).collect();
        let all = |items: &[usize]| -> Vec<usize> {
            items.iter().flat_map(|item| item * views..(item + 1) * views).collect()
        };
        let mut drawn = Vec::new();
        for seed in seeds {
            let split = self.split(seed)?;
            let train = match train_size {
                None => split.train.clone(),
                Some(size) => {
                    let alike = vec![0; self.dataset.items().len()];
                    let size = self.limit.map_or(size, |most| size.min(most));
                    subset(&split.train, &alike, size, seed)?
                }
            };
            let shown = Split {
                train: all(&train),
                val: all(&split.val),
                test: all(&split.test),
                // Told of the images themselves already.
                notes: vec![],
                is_drawn: split.is_drawn || train_size.is_some(),
            };
            drawn.push((seed, Arc::new(shown)));
        }
        Ok(Self {
            name: name.to_owned(),
            dataset,
            is_images: true,
            rule: self.rule.clone(),
            apart: Copies::default(),
            drawn: Mutex::new(drawn),
            limit: None,
            shows: Some(self.name.clone()),
        })
    }

    /// The split of a seed; drawn once.
    pub fn split(&self, seed: Seed) -> Result<Arc<Split>, SplitError> {
        let mut drawn = self.drawn.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, split)) = drawn.iter().find(|(known, _)| *known == seed) {
            return Ok(Arc::clone(split));
        }
        let split = Arc::new(self.rule.draw_without(&self.apart, &self.dataset, seed)?);
        drawn.push((seed, Arc::clone(&split)));
        Ok(split)
    }

    /// Whether another seed gives another split, or another subset of this size.
    pub fn is_drawn(&self, train_size: Option<usize>) -> bool {
        let split = self.split(Seed(0));
        split.is_ok_and(|split| {
            split.is_drawn || train_size.is_some_and(|size| size < split.train.len())
        })
    }

    /// Who is tested, the same for every seed; nothing if an item cannot be read.
    pub fn tested(&self) -> Option<RunTest> {
        let test = &self.split(Seed(0)).ok()?.test;
        let contents = self.dataset.contents().ok()?;
        Some(RunTest {
            dataset: self.name.clone(),
            items: test.len(),
            digest: self.dataset.identity_of(test).ok()?.to_string(),
            contents: test.iter().map(|&index| contents[index].short()).collect(),
        })
    }

    /// What the file calls the data set that its items come from.
    pub fn origin(&self) -> &str {
        self.shows.as_deref().unwrap_or(&self.name)
    }

    /// Whether items are images, or one row of numbers each; if not, what they are.
    pub fn has_pixels(&self) -> Result<(), String> {
        let arrays = self.dataset.arrays();
        let alone = matches!(arrays, [NamedArray { numbers: Numbers::Floats(_), .. }]);
        if arrays.is_empty() || alone {
            return Ok(());
        }
        let names: Vec<String> = arrays.iter().map(|a| format!("`{}`", a.source)).collect();
        Err(format!("`{}` has arrays ({}), not images", self.name, names.join(", ")))
    }

    /// Number of classes; 0 where items have labels or numbers.
    pub fn classes(&self) -> usize {
        self.dataset.classes().len()
    }

    /// How many outputs a model of it has: one for each class, label or number.
    pub fn outputs(&self) -> usize {
        self.dataset.names().len()
    }

    /// Identity of the content.
    pub fn fingerprint(&self) -> Result<Digest, Failure> {
        Ok(self.dataset.fingerprint()?)
    }
}

/// What is trained on has items of every class; the amount to raise is named if not.
fn every_class(dataset: &Dataset, train: &[usize], amount: &str) -> Result<(), SplitError> {
    if let Some(message) = crate::data::unlearnable(dataset, train) {
        return Err(SplitError { message, help: format!("raise `{amount}`") });
    }
    let Some(class) = crate::data::missing_class(dataset, train) else { return Ok(()) };
    Err(SplitError {
        message: format!("no item of class `{class}` is among {} drawn", train.len()),
        help: format!("raise `{amount}`"),
    })
}

/// A data set as one seed sees it: who trains, who chooses, who is tested.
#[derive(Clone, Debug)]
pub struct Sample {
    /// The data set.
    pub data: Arc<OpenDataset>,
    /// The seed's split.
    pub split: Arc<Split>,
    /// Items trained on: all of the split's, or a subset of them.
    pub train: Vec<usize>,
    /// Labels of theirs that training is told wrongly.
    pub flipped: Flipped,
}

impl Sample {
    /// The sample of a seed, with `train_size` training items if that is said.
    pub fn draw(
        data: &Arc<OpenDataset>,
        train_size: Option<usize>,
        seed: Seed,
    ) -> Result<Self, SplitError> {
        let split = data.split(seed)?;
        let train = match train_size {
            None => split.train.clone(),
            Some(size) => {
                let size = data.limit.map_or(size, |most| size.min(most));
                subset(&split.train, &strata(&data.dataset), size, seed)?
            }
        };
        if data.shows.is_none() {
            every_class(&data.dataset, &train, "train_size")?;
        }
        Ok(Self { data: Arc::clone(data), split, train, flipped: Flipped::default() })
    }

    /// The same with another class told of a share of the training items; never of others.
    pub fn with_label_noise(mut self, share: f64, seed: Seed) -> Result<Self, SplitError> {
        self.flipped = Flipped::draw(&self, share, seed);
        let labels = self.labels();
        let told: BTreeSet<usize> = self.train.iter().map(|&item| labels[item]).collect();
        match (0..self.data.classes()).find(|class| !told.contains(class)) {
            None => Ok(self),
            Some(class) => Err(SplitError {
                message: format!(
                    "no training item is told to be `{}` once {} labels are others",
                    self.data.dataset.classes()[class],
                    self.flipped.count()
                ),
                help: "train on more items, or lower `label_noise`".to_owned(),
            }),
        }
    }

    /// Results with how many labels were told wrongly, if any were.
    pub(super) fn with_flipped(&self, outputs: Outputs) -> Outputs {
        match self.flipped.count() {
            0 => outputs,
            count => outputs.fact("flipped", count),
        }
    }

    /// The class of each item as training is told it: the true one but for those flipped.
    pub fn labels(&self) -> Vec<usize> {
        let told = |(index, label): (usize, usize)| self.flipped.of(index).unwrap_or(label);
        self.data.dataset.labels().into_iter().enumerate().map(told).collect()
    }

    /// The items that may teach and choose.
    pub fn open(&self) -> Open<'_> {
        self.split.open(&self.train)
    }

    /// Identity of content and membership, for keys.
    pub fn key(&self) -> Result<Json, Failure> {
        let trained: Vec<&str> =
            self.train.iter().map(|&i| self.data.dataset.items()[i].id.as_str()).collect();
        let mut key = json!({
            "dataset": self.data.fingerprint()?,
            "split": self.split.digest(&self.data.dataset),
            "train": Digest::of_json(&trained),
        });
        if !self.flipped.is_empty() {
            key["flipped"] = json!(self.flipped.digest(self));
        }
        Ok(key)
    }

    /// Share of each class among the training items, as training is told; or of those that have each label; or the mean
    /// of each number.
    pub fn prior(&self) -> Vec<f64> {
        if self.data.dataset.target() != Target::Classes {
            return means(self);
        }
        let labels = self.labels();
        let mut counts = vec![0.0; self.data.classes()];
        for &index in &self.train {
            counts[labels[index]] += 1.0;
        }
        counts.iter().map(|count| count / self.train.len() as f64).collect()
    }

    /// The items of all parts with the part each stands in: train, val, test.
    pub fn everyone(&self) -> Vec<(usize, crate::data::Part)> {
        use crate::data::Part;
        let part = |items: &[usize], part: Part| -> Vec<(usize, Part)> {
            items.iter().map(|&index| (index, part)).collect()
        };
        [
            part(&self.train, Part::Train),
            part(&self.split.val, Part::Val),
            part(&self.split.test, Part::Test),
        ]
        .concat()
    }
}
