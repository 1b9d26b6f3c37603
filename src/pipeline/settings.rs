//! From where to where an arm transfers: domains, tasks and labels of its source and its target, as
//! far as the file says or the plan shows.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::stages::{Arm, OpenDataset, Site, full_name};
use crate::store::RunSetting;

use super::spec::Document;

/// Domain and task of something, in the file's words.
#[derive(Clone, Debug, Default, PartialEq)]
struct Origin {
    domain: Option<String>,
    task: Option<String>,
    /// Whether it was learnt from labels; nothing if nobody says.
    labels: Option<bool>,
    /// The data set, if it is one of the file's.
    dataset: Option<String>,
}

/// What the file says of its data sets and models.
pub(super) struct Origins {
    datasets: BTreeMap<String, Origin>,
    models: BTreeMap<String, Origin>,
}

impl Origins {
    pub(super) fn of(document: &Document) -> Self {
        let text = |word: &Option<crate::base::language::Word>| word.as_ref().map(|w| w.0.clone());
        let datasets = document.datasets.entries.iter().map(|(name, spec)| {
            let (domain, task) = (text(&spec.domain), text(&spec.task));
            let dataset = Some(name.0.clone());
            (name.0.clone(), Origin { domain, task, labels: Some(true), dataset })
        });
        let models = document.models.entries.iter().filter_map(|(name, spec)| {
            let source = spec.source.as_ref()?;
            let (domain, task) = (text(&source.domain), text(&source.task));
            let labels = Some(source.labels);
            Some((name.0.clone(), Origin { domain, task, labels, dataset: None }))
        });
        Self { datasets: datasets.collect(), models: models.collect() }
    }

    /// The setting of an arm; nothing for one that transfers nothing.
    pub(super) fn setting(&self, arm: &Arm, site: &Site) -> Option<RunSetting> {
        let name = arm.source.as_ref().filter(|_| !arm.random)?;
        let source = self.source(name, site);
        let target = self.datasets.get(&arm.target).cloned().unwrap_or_default();
        let is_one = source.dataset.is_some() && source.dataset == target.dataset;
        let same = |a: &Option<String>, b: &Option<String>| match (a, b) {
            _ if is_one => Some(true),
            (Some(a), Some(b)) => Some(a == b),
            _ => None,
        };
        Some(RunSetting {
            same_domain: same(&source.domain, &target.domain),
            same_task: same(&source.task, &target.task),
            source_labels: source.labels,
            target_labels: arm.setting.is_none(),
            other_features: other_features(&source, &target, site),
        })
    }

    /// What a model has learnt: as the file says, or from the data set of the stage that makes it.
    fn source(&self, name: &str, site: &Site) -> Origin {
        if let Some(known) = self.models.get(name) {
            return known.clone();
        }
        let made = site.planned.iter().find(|p| full_name(&p.stage, &p.axes) == name);
        let classifier = made.and_then(|planned| planned.offers.as_ref()?.classifier.as_ref());
        let data = classifier.and_then(|classifier| self.datasets.get(&classifier.data.name));
        data.cloned().unwrap_or_default()
    }
}

/// Whether the first items of two data sets differ in what they are made of.
fn other_features(source: &Origin, target: &Origin, site: &Site) -> Option<bool> {
    let open = |origin: &Origin| site.datasets.get(origin.dataset.as_ref()?)?.clone();
    let form = |data: &Arc<OpenDataset>| match data.has_pixels() {
        Ok(()) => Some(data.dataset.pixels(0).ok()?.channels),
        Err(_) => Some(0),
    };
    Some(form(&open(source)?)? != form(&open(target)?)?)
}
