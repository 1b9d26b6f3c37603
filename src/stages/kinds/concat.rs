//! `concat`: features put side by side, such as those of a model and pixels.

use std::sync::Arc;

use serde_json::{Value as Json, json};

use crate::base::language::keys;
use crate::base::{Located, Problem};
use crate::train::Rows as _;

use super::super::artifacts::{ArrayRows, ArrayWriter};
use super::super::data::OpenDataset;
use super::super::job::{Context, Failure, Job, Outputs};
use super::super::names::Reference;
use super::super::probing::{Layer, layer};
use super::super::site::{FeaturesOffer, Input, Offers, Runs, Site};
use super::Kind;

keys! {
    /// Features of the same items side by side, as in `both.rows`: what a source knows as a further
    /// input of a probe. Whoever scales features scales each part by itself, and so that all parts
    /// weigh the same.
    pub struct Concat {
        /// The parts, as in `[codes.gap, raw.pixels]`.
        of: Located<Vec<Located<Reference>>>,
    }
}

/// What the features are called, and the port they come out of.
const ROWS: &str = "rows";

impl Kind for Concat {
    const WORD: &'static str = "concat";

    fn references(&self) -> Vec<&Located<Reference>> {
        self.of.value.iter().collect()
    }

    fn plan(&self, site: &mut Site) -> Option<Offers> {
        let parts: Vec<Option<Layer>> =
            self.of.value.iter().map(|part| layer(part, site)).collect();
        let parts: Vec<Layer> = parts.into_iter().collect::<Option<_>>()?;
        self.fits(&parts, site)?;
        let data = Arc::clone(&parts[0].offer.data);
        let differ = parts.iter().any(|part| part.offer.runs.differ());
        let runs = site.for_seeds(differ, |site, position, seed| {
            let input = |(index, part): (usize, &Layer)| {
                Input::new(&port(index), part.offer.runs.of(position), &part.port)
            };
            let inputs = parts.iter().enumerate().map(input).collect();
            let job = SideBySide { data: Arc::clone(&data), parts: parts.len() };
            Some(site.add("", seed, job, inputs))
        })?;
        let features = offered(data, runs, &parts);
        Some(Offers { features: Some(features), ..Offers::default() })
    }
}

impl Concat {
    /// Tells what cannot be put side by side.
    fn fits(&self, parts: &[Layer], site: &mut Site) -> Option<()> {
        let [first, others @ ..] = parts else {
            let help = "write them as in `of: [codes.gap, raw.pixels]`";
            let problem = Problem::at(self.of.place, "`concat` puts no features together");
            site.problem(problem.help(help));
            return None;
        };
        if others.is_empty() {
            let message = "`concat` puts features together, but only one part is named";
            let help = "name a second one, or read the features where they are";
            site.problem(Problem::at(self.of.place, message).help(help));
            return None;
        }
        let mut is_fine = true;
        for (index, (part, written)) in parts.iter().zip(&self.of.value).enumerate() {
            let (name, data) = (&written.value, &part.offer.data.name);
            let known = self.of.value[..index].iter().any(|other| other.value == written.value);
            let problem = if known {
                let message = format!("`{name}` stands here twice");
                Problem::at(written.place, message).help("name each part once")
            } else if *data != first.offer.data.name {
                let message = format!(
                    "`{name}` is of `{data}`, the first part of `{}`",
                    first.offer.data.name
                );
                let help = "features are put together item by item: name parts of one data set";
                Problem::at(written.place, message).help(help)
            } else {
                continue;
            };
            site.problem(problem);
            is_fine = false;
        }
        is_fine.then_some(())
    }
}

fn offered(data: Arc<OpenDataset>, runs: Runs, parts: &[Layer]) -> FeaturesOffer {
    let macs = parts.iter().filter_map(|part| part.offer.macs.get(&part.port)).sum();
    FeaturesOffer {
        data,
        runs,
        layers: [(ROWS.to_owned(), ROWS.to_owned())].into(),
        macs: [(ROWS.to_owned(), macs)].into(),
        base: together(parts.iter().filter_map(|part| part.offer.base.clone())),
        origin: together(parts.iter().map(|part| match &part.offer.origin {
            Some(origin) => format!("{origin}.{}", part.port),
            None => part.port.clone(),
        })),
        random: parts.iter().any(|part| part.offer.random),
        init: parts.iter().find_map(|part| part.offer.init),
        sizes: std::collections::BTreeMap::default(),
    }
}

/// Names joined, each once; nothing of none.
fn together(names: impl Iterator<Item = String>) -> Option<String> {
    let mut known: Vec<String> = Vec::new();
    for name in names {
        if !known.contains(&name) {
            known.push(name);
        }
    }
    (!known.is_empty()).then(|| known.join(" + "))
}

/// The port of a part.
fn port(index: usize) -> String {
    format!("part_{index}")
}

/// Writes the rows of several arrays side by side.
struct SideBySide {
    data: Arc<OpenDataset>,
    parts: usize,
}

impl Job for SideBySide {
    fn kind(&self) -> &'static str {
        "concat"
    }

    /// 1: first.
    fn version(&self) -> u32 {
        1
    }

    fn parameters(&self) -> Result<Json, Failure> {
        Ok(json!({ "dataset": self.data.fingerprint()?, "parts": self.parts }))
    }

    fn run(&self, context: &Context<'_>) -> Result<Outputs, Failure> {
        let open = |index| ArrayRows::open(context.bytes(&port(index))?);
        let parts: Vec<ArrayRows> = (0..self.parts).map(open).collect::<Result<_, _>>()?;
        let widths: Vec<usize> = parts.iter().flat_map(ArrayRows::blocks).collect();
        let count = self.data.dataset.items().len();
        let mut writer = ArrayWriter::of_blocks(context.store, count, &widths)?;
        let mut row = vec![0.0; widths.iter().sum()];
        for item in 0..count {
            context.go_on()?;
            let mut rest = &mut row[..];
            for part in &parts {
                let (own, others) = rest.split_at_mut(part.length());
                part.copy(item, own);
                rest = others;
            }
            writer.floats(&row)?;
        }
        Ok(Outputs::default().with(ROWS, writer.finish()?).fact("widths", widths))
    }
}
