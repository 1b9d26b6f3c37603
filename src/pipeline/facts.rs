//! What a plan is about, in lines for a reader: how large the data are and how they are parted, where
//! models get a new head, how much of them learns.

use std::collections::BTreeSet;

use crate::base::Seed;
use crate::stages::{Arm, OpenDataset, Planned, Site, full_name};

/// A line for each data set and each model that is trained.
pub(super) fn of(site: &Site) -> Vec<String> {
    let first = site.seeds.first().copied().unwrap_or(Seed(0));
    let data = site.datasets.values().flatten().filter_map(|data| of_data(data, first));
    data.chain(site.planned.iter().filter_map(of_stage)).collect()
}

fn of_data(data: &OpenDataset, seed: Seed) -> Option<String> {
    let split = data.split(seed).ok()?;
    let dataset = &data.dataset;
    let labels = dataset.labels();
    let classes: Vec<String> = dataset
        .classes()
        .iter()
        .enumerate()
        .map(|(class, name)| {
            format!("{name} {}", labels.iter().filter(|label| **label == class).count())
        })
        .collect();
    let groups = match dataset.has_groups() {
        true => {
            let groups: BTreeSet<usize> = dataset.groups().into_iter().collect();
            format!(" of {} groups", groups.len())
        }
        false => String::new(),
    };
    Some(format!(
        "{}: {} items{groups} ({}); train {}, val {}, test {}",
        data.name,
        dataset.items().len(),
        classes.join(", "),
        split.train.len(),
        split.val.len(),
        split.test.len()
    ))
}

fn of_stage(planned: &Planned) -> Option<String> {
    let Arm { head, parameters, trained_parameters, .. } =
        &planned.offers.as_ref()?.classifier.as_ref()?.arm;
    let head = head.as_ref().map(|tensor| format!("new head on `{tensor}`, "));
    Some(format!(
        "{}: {}{} of {} parameters learn",
        full_name(&planned.stage, &planned.axes),
        head.unwrap_or_default(),
        (*trained_parameters)?,
        (*parameters)?
    ))
}
