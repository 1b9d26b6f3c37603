//! Surrogate tasks of a data set: its images, without its labels, and its splits.

use std::sync::Arc;

use serde_json::json;

use crate::base::{Digest, Place, Problem};
use crate::data::{Images, InputRule, Objective, Pixels, ReadError};

use super::data::OpenDataset;
use super::site::Site;

/// The images of a data set at a network's size. Whoever has these has no labels.
struct Fitted {
    data: Arc<OpenDataset>,
    rule: InputRule,
}

impl Images for Fitted {
    fn count(&self) -> usize {
        self.data.dataset.items().len()
    }

    fn id(&self, index: usize) -> &str {
        &self.data.dataset.items()[index].id
    }

    fn group(&self, index: usize) -> Option<&str> {
        self.data.dataset.items()[index].group.as_deref()
    }

    fn pixels(&self, index: usize) -> Result<Pixels, ReadError> {
        let pixels = self.data.dataset.pixels(index)?;
        let refused = |cause| ReadError { path: self.id(index).into(), cause };
        self.rule.fitted(pixels).map_err(refused)
    }

    fn digest(&self, index: usize) -> Result<Digest, ReadError> {
        Ok(self.data.dataset.contents()?[index])
    }
}

/// The data set that a surrogate task makes of another, for the seeds of the study; adds what is
/// wrong.
pub(super) fn surrogate(
    objective: &Objective,
    data: &Arc<OpenDataset>,
    rule: &InputRule,
    train_size: Option<usize>,
    place: Place,
    site: &mut Site,
) -> Option<Arc<OpenDataset>> {
    let told = objective.told()?;
    let [_, height, width] = rule.extents();
    if let Some((misfit, help)) = objective.misfit(height, width) {
        site.problem(Problem::at(place, misfit).help(help));
        return None;
    }
    let images = Arc::new(Fitted { data: Arc::clone(data), rule: rule.clone() });
    // What values become later is no part of the images.
    let stamp = json!([rule.extents(), rule.fit]).to_string();
    let made = objective.of(images, &stamp);
    let made = site.found.keep(made.map_err(|error| Problem::at(place, error.to_string())))?;
    let name = format!("{} ({told})", data.name);
    let seeds = site.seeds.clone();
    let made = data.shown(&name, made, objective.views(), train_size, &seeds);
    let refused = |error: crate::data::SplitError| {
        let message = format!("data set `{}`: {}", data.name, error.message);
        Problem::at(place, message).help(error.help)
    };
    site.found.keep(made.map_err(refused)).map(Arc::new)
}
