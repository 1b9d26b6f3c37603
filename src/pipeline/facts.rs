//! What a plan is about, in lines for a reader: how large the data are and how they are parted, where
//! models get a new head, how much of them learns.

use std::collections::BTreeSet;

use crate::base::{Seed, Target, counted};
use crate::data::Dataset;
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
    let asked = match dataset.target() {
        Target::Classes => classes(dataset),
        Target::Labels => labels(dataset),
        Target::Values => values(dataset),
    };
    let groups = match dataset.has_groups() {
        true => {
            let groups: BTreeSet<usize> = dataset.groups().into_iter().collect();
            format!(" of {} groups", groups.len())
        }
        false => String::new(),
    };
    Some(format!(
        "{}: {} items{groups} ({asked}); train {}, val {}, test {}",
        data.name,
        dataset.items().len(),
        split.train.len(),
        split.val.len(),
        split.test.len()
    ))
}

/// How many items are of each class.
fn classes(dataset: &Dataset) -> String {
    let labels = dataset.labels();
    let count = |class: usize| labels.iter().filter(|label| **label == class).count();
    let names = dataset.classes().iter().enumerate();
    names.map(|(class, name)| format!("{name} {}", count(class))).collect::<Vec<_>>().join(", ")
}

/// How many items have each label, and of how many that is not known.
fn labels(dataset: &Dataset) -> String {
    let told = dataset.names().iter().enumerate().map(|(label, name)| {
        let cells = || dataset.items().iter().map(|item| item.values[label]);
        let has = cells().filter(|cell| *cell == Some(1.0)).count();
        match cells().filter(Option::is_none).count() {
            0 => format!("{name} {has}"),
            unknown => format!("{name} {has}, unknown {unknown}"),
        }
    });
    let told: Vec<String> = told.collect();
    format!("{} each: {}", counted(told.len(), "label"), told.join("; "))
}

/// Range and mean of each number, and of how many items it is not known.
fn values(dataset: &Dataset) -> String {
    let told = dataset.names().iter().enumerate().map(|(column, name)| {
        let cells = || dataset.items().iter().map(|item| item.values[column]);
        let known: Vec<f64> = cells().flatten().collect();
        let mean = known.iter().sum::<f64>() / known.len().max(1) as f64;
        let (least, most) = known
            .iter()
            .fold((f64::INFINITY, f64::NEG_INFINITY), |(a, b), x| (a.min(*x), b.max(*x)));
        let unknown = match cells().count() - known.len() {
            0 => String::new(),
            unknown => format!(", unknown {unknown}"),
        };
        format!("{name} from {least} to {most}, mean {mean:.4}{unknown}")
    });
    let told: Vec<String> = told.collect();
    format!("{} each: {}", counted(told.len(), "number"), told.join("; "))
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
