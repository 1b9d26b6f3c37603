//! `direct`: a source's classifier as it is, whose classes stand for those of the target.

mod job;
mod mapping;

use std::sync::Arc;

use crate::base::language::{Count, Share, Word, keys};
use crate::base::{Located, Place, Problem, Target};
use crate::onnx::graph::Port;
use crate::onnx::{head, macs};

use super::super::data::OpenDataset;
use super::super::model::{BaseModel, ModelPart};
use super::super::names::{Name, Reference};
use super::super::preprocessing::Preprocessing;
use super::super::probing::{CLASSES, FEATURES, noisy, sample, told_noise};
use super::super::site::{
    Arm, Beside, ClassifierOffer, Input, NodeId, Offers, Runs, Setting, Site,
};
use super::super::targets::needs_one_of;
use super::pass::{Pass, pass_runs};
use super::{Kind, resolved};
use job::{Direct as Job, Settled};
use mapping::Mapping;

keys! {
    /// The classifier of a base model as it is: nothing is trained. Each class of the source stands
    /// for a class of the target, or for none; what the model says of an item is summed over the
    /// classes that stand for the same, and divided by their total. Where a stage of the file has made
    /// the model, and each of its classes is said to stand for one of the target's, scores on its own
    /// data set, and how much is lost between them, stand in the table `scores`.
    pub struct Direct {
        /// The base model, or a stage that makes one.
        model: Located<Reference>,
        /// The data set.
        dataset: Located<Name>,
        /// What classes of the source stand for: `by_name`, `learnt`, or classes of the target by
        /// those of the source, as in `{ tabby: cat, siamese: cat, 7: dog }`.
        map: Located<Mapping>,
        /// The layer with the scores or probabilities of the source's classes; the model's output if
        /// not said.
        layer: Option<Located<Word>> = None,
        /// Training items that a map is learnt from; all of the split's if not said.
        train_size: Option<Located<Count>> = None,
        /// Share of the training items whose label is another when a map is learnt: drawn for each
        /// seed, each other class being as likely.
        label_noise: Located<Share> = Located::new(Share::ZERO, Place::default()),
    }
}

/// The scores of a source's classes: which tensor, how many, and what they are called.
struct Head {
    tensor: String,
    classes: usize,
    names: Option<Vec<String>>,
    /// Whether what the model carries with it says how scores become probabilities.
    is_own: bool,
}

impl Kind for Direct {
    const WORD: &'static str = "direct";

    fn references(&self) -> Vec<&Located<Reference>> {
        vec![&self.model]
    }

    fn plan(&self, site: &mut Site) -> Option<Offers> {
        let base = site.model(&self.model);
        let data = site.dataset(&self.dataset);
        let (base, data) = (base?, data?);
        needs_one_of(CLASSES, Self::WORD, &data, self.dataset.place, site)?;
        let base = site.reading(&base, &data, self.dataset.place)?;
        let head = self.head(&base, site)?;
        let map = self.map.value.settled(&head, (&base, &data), self.map.place, site)?;
        self.nothing_to_learn_from(&map, site)?;
        if let Settled::Given(map) = &map {
            for class in map.missing() {
                let class = &data.dataset.classes()[class];
                let (stage, base) = (&site.stage, &base.name);
                site.note(format!("{stage}: no class of `{base}` stands for `{class}`"));
            }
        }
        Preprocessing::check(&base, &data, site);
        let part = base.graph.part(&base.graph.inputs, &[Port::named(&head.tensor)]);
        let macs = macs::forward_macs(&part, &base.seen, base.items());
        let scores = Self::scores(&base, &data, &head, macs, site)?;
        let runs = self.nodes(&base, &data, &head, &map, &scores, site)?;
        let beside = self.at_home(&head, &map, &data, site);
        let is_given = matches!(map, Settled::Given(_));
        let arm = Arm {
            kind: Self::WORD.to_owned(),
            source: Some(base.name.clone()),
            target: data.name.clone(),
            freeze: Some("all".to_owned()),
            setting: is_given.then_some(Setting::Transductive),
            label_noise: told_noise(self.label_noise.value),
            parameters: Some(part.parameters()),
            trained_parameters: Some(0),
            macs: Some(macs),
            ..Arm::default()
        };
        let classifier = ClassifierOffer { data, runs, arm, beside };
        Some(Offers { classifier: Some(classifier), ..Offers::default() })
    }
}

impl Direct {
    /// Where the scores are.
    fn head(&self, base: &BaseModel, site: &mut Site) -> Option<Head> {
        let place = self.layer.as_ref().map_or(self.model.place, |layer| layer.place);
        let output = head::choose_output(&base.graph, base.output.as_deref());
        let tensor = match (&self.layer, &output) {
            (Some(layer), _) => resolved(base, layer.place, &layer.0, site)?,
            (None, Ok(output)) => output.clone(),
            (None, Err(error)) => {
                let message = format!("`{}` has no scores to be taken: {error}", base.name);
                let help = "say `layer`, or choose an output with `output:` of the model";
                site.problem(Problem::at(place, message).help(help));
                return None;
            }
        };
        let is_own = output.is_ok_and(|output| output == tensor);
        let told = |message: String| {
            Problem::at(place, message).help("name a layer with one row of scores an item")
        };
        let classes = match base.seen.shape(&base.graph, &tensor) {
            Some([_, axes @ ..]) if axes.iter().filter(|extent| **extent > 1).count() == 1 => {
                axes.iter().product()
            }
            shape => {
                let shape = shape.unwrap_or_default();
                let message = format!(
                    "`{tensor}` of `{}` has the shape {shape:?}, not one row of scores an item",
                    base.name
                );
                site.problem(told(message));
                return None;
            }
        };
        let tells = base.tells.as_ref().filter(|_| is_own);
        if let Some(tells) = tells.filter(|tells| tells.target != Target::Classes) {
            let what = tells.target.what();
            let message =
                format!("`{}` tells {what}, and has no classes that exclude each other", base.name);
            site.problem(told(message));
            return None;
        }
        let names = tells.map(|tells| tells.names.clone()).filter(|names| names.len() == classes);
        Some(Head { tensor, classes, names, is_own })
    }

    /// Training items are no use where nothing is learnt from them.
    fn nothing_to_learn_from(&self, map: &Settled, site: &mut Site) -> Option<()> {
        if matches!(map, Settled::Learnt) {
            return Some(());
        }
        let size = self.train_size.as_ref().map(|size| ("train_size", size.place));
        let noise =
            (self.label_noise.get() > 0.0).then_some(("label_noise", self.label_noise.place));
        let asked: Vec<_> = size.into_iter().chain(noise).collect();
        for (key, place) in &asked {
            let message = format!("`{key}` is said, but nothing is learnt from training items");
            site.problem(Problem::at(*place, message).help("leave it out, or write `map: learnt`"));
        }
        asked.is_empty().then_some(())
    }

    /// What the model says of the data set that it comes from, where the task there is the same.
    fn at_home(
        &self,
        head: &Head,
        map: &Settled,
        data: &OpenDataset,
        site: &mut Site,
    ) -> Option<(Beside, Runs)> {
        let Settled::Given(map) = map else { return None };
        let is_same_task = map.missing().is_empty()
            && map.classes().len() == data.classes()
            && map.classes().iter().all(Option::is_some);
        // Models of files do not say what they come from.
        if !is_same_task || !head.is_own || site.models.contains_key(&self.model.stage) {
            return None;
        }
        let source = site.one(&self.model)?.offers?.classifier?;
        (source.data.name != data.name).then_some((Beside::OF_SOURCE, source.runs))
    }

    /// A pass that keeps the scores; the same as an `extract` of that layer makes.
    fn scores(
        base: &Arc<BaseModel>,
        data: &Arc<OpenDataset>,
        head: &Head,
        macs: u64,
        site: &mut Site,
    ) -> Option<Runs> {
        let job = Pass {
            data: Arc::clone(data),
            model: ModelPart::of(base),
            tensors: vec![head.tensor.clone()],
            spatial: Some(1),
            pools: vec![None],
            macs,
            views: None,
        };
        pass_runs(&job, site, |site, seed, inputs| site.add("scores", seed, job.clone(), inputs))
    }

    fn nodes(
        &self,
        base: &Arc<BaseModel>,
        data: &Arc<OpenDataset>,
        head: &Head,
        map: &Settled,
        scores: &Runs,
        site: &mut Site,
    ) -> Option<Runs> {
        let size = self.train_size.as_ref();
        let differ = scores.differ()
            || self.label_noise.get() > 0.0
            || data.is_drawn(size.map(|size| size.0));
        site.for_seeds(differ, |site, position, seed| -> Option<NodeId> {
            let sample = sample(site, data, size, seed)?;
            let sample = noisy(site, sample, &self.label_noise, seed)?;
            let model = head.is_own.then(|| ModelPart::of(base));
            let of_model = model.as_ref().and_then(|model| model.input(position));
            let features = Input::new(FEATURES, scores.of(position), &head.tensor);
            let inputs = std::iter::once(features).chain(of_model).collect();
            let job = Job { sample, model, map: map.clone(), names: head.names.clone() };
            Some(site.add("", seed, job, inputs))
        })
    }
}
