//! `fine_tune`: trains a base model with a new head, all of it or what is not frozen; or the same
//! architecture from random weights.

use std::sync::Arc;

use serde_json::{Value as Json, json};

use crate::base::language::{Above0, Read, Word, choice, keys, unexpected};
use crate::base::{Found, Located, Place, Problem, Seed, Value, Written, counted};
use crate::data::Reads;
use crate::onnx::control::Control;
use crate::onnx::footprint::Footprint;
use crate::onnx::graph::Graph;
use crate::onnx::head::TokenPool;
use crate::onnx::tune::Tune;
use crate::onnx::{head, macs, upgrade};

use super::super::data::OpenDataset;
use super::super::model::{BaseModel, Batch, ModelPart};
use super::super::names::{Name, Reference};
use super::super::preprocessing::Preprocessing;
use super::super::probing::{sample, told_noise};
use super::super::site::{Arm, ClassifierOffer, Offers, Site};
use super::super::training::{LSUV, Network, Plan, Recipe, Training, Transfer};
use super::surgery::{lowest_still, trained};
use super::tokens::Tokens;
use super::{Kind, resolved};

keys! {
    /// Trains a base model with a new head. The learning rate is chosen on val; the best
    /// weights are kept.
    pub struct FineTune {
        /// The base model, or a stage that makes one.
        model: Located<Reference>,
        /// The data set.
        dataset: Located<Name>,
        /// Where the weights start.
        init: Init = Init::Pretrained,
        /// How much of the base model's weights is taken over: `all`, a layer (everything it
        /// depends on), or a number of layer groups from the input on; the rest is drawn anew.
        /// What of it stays as it is is said by `freeze`.
        transfer_depth: Located<Depth> = Located::new(Depth::All, Place::default()),
        /// What stays as it is: `none`, `all` (only the head learns), a layer (everything it
        /// depends on), or a number of layer groups from the input on.
        freeze: Located<Depth> = Located::new(Depth::None, Place::default()),
        /// What of the rest learns.
        tune: Located<Tune> = Tune::by_default(),
        /// Factor on the learning rate of everything below the head.
        body_lr: Above0 = Above0::ONE,
        /// Where the new head is put on, if not before the last layer with weights of a classifier, or
        /// on the normalised output of an encoder. The model is cut off there.
        head: Option<Head> = None,
        /// What the new head reads of a sequence of tokens × features: `first` or `mean`. If not said,
        /// `mean` in models that read tokens.
        tokens: Option<Located<Tokens>> = None,
        ; .. training: Training
    }
}

choice! {
    /// Where weights start.
    pub enum Init {
        /// As the base model has them.
        "pretrained" => Pretrained,
        /// Drawn anew, as for training from scratch.
        "random" => Random,
        /// Drawn from a normal distribution with the mean and the variance of each of the base
        /// model's tensors (Raghu et al. 2019): the scale of its weights without what they know.
        /// Normalisations as from scratch.
        "meanvar" => MeanVar,
        /// The base model's, the values of each tensor in random order. Normalisations as from
        /// scratch.
        "permuted" => Permuted,
    }
}

impl Init {
    /// As it is written.
    pub(super) fn word(&self) -> &'static str {
        match (self, self.control()) {
            (_, Some(control)) => control.word(),
            (Self::Pretrained, None) => "pretrained",
            (_, None) => "random",
        }
    }

    /// What stays of the base model's weights where they are drawn, if anything.
    pub(super) fn control(&self) -> Option<Control> {
        match self {
            Self::Pretrained | Self::Random => None,
            Self::MeanVar => Some(Control::MeanVar),
            Self::Permuted => Some(Control::Permuted),
        }
    }
}

keys! {
    /// Where a new head is put on.
    pub struct Head {
        /// The layer it reads; maps are averaged over space first. Layers above are cut off.
        at: Located<Word>,
    }
}

/// A stretch of a body from the input on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Depth {
    /// Nothing.
    None,
    /// Everything but the head.
    All,
    /// Everything a layer depends on.
    Layer(String),
    /// This many layer groups from the input on.
    Groups(usize),
}

const DEPTH: &str = "`none`, `all`, a layer or a number of layer groups";

impl Read for Depth {
    fn read(written: &Written, found: &mut Found) -> Option<Self> {
        match &written.value {
            Value::Text(word) if word == "none" => Some(Self::None),
            Value::Text(word) if word == "all" => Some(Self::All),
            Value::Text(layer) if !layer.is_empty() => Some(Self::Layer(layer.clone())),
            Value::Integer(0) => Some(Self::None),
            Value::Integer(count) if *count > 0 => Some(Self::Groups(*count as usize)),
            _ => {
                found.add(unexpected(written, DEPTH));
                None
            }
        }
    }

    fn schema() -> Json {
        json!({ "title": DEPTH, "type": ["string", "integer"] })
    }
}

impl Depth {
    /// As it is written.
    pub(super) fn word(&self) -> String {
        match self {
            Self::None => "none".to_owned(),
            Self::All => "all".to_owned(),
            Self::Layer(layer) => layer.clone(),
            Self::Groups(count) => count.to_string(),
        }
    }
}

impl serde::Serialize for Depth {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.word())
    }
}

/// How a sequence of tokens becomes what the head reads, if it is one.
struct Pooled(Option<TokenPool>);

impl Kind for FineTune {
    const WORD: &'static str = "fine_tune";

    fn references(&self) -> Vec<&Located<Reference>> {
        vec![&self.model]
    }

    fn plan(&self, site: &mut Site) -> Option<Offers> {
        let base = site.model(&self.model);
        let data = site.dataset(&self.dataset);
        self.training.check(site)?;
        let (base, data) = (base?, data?);
        let base = site.reading(&base, &data, self.dataset.place)?;
        let training = self.settled(&data, self.init != Init::Pretrained, site)?;
        training.check_items(&base.input, site)?;
        let head_at = self.head_at(&base, site)?;
        let tokens = self.pool(&base, &head_at, &data, site)?.0;
        let frozen = self.until(&self.freeze, &base, &head_at, site);
        let start = self.start(&base, &head_at, site);
        let body = self.raised(&base, site)?;
        let (frozen, start) = (frozen?.end, start?);
        let manner = self.manner(&training, &base, &head_at, frozen.as_deref());
        let tuning = self.tuning(&body, &base, &head_at, frozen.as_deref(), site)?;
        let until = lowest_still(&body, &head_at, frozen, &tuning);
        self.check_batch(&base, &head_at, until.as_deref(), site)?;
        let scaled = self.scaled(&start, &base, &data, &head_at, site)?.0;
        let recipe = |seed: Seed| {
            let model = match &scaled {
                Some(scaled) => ModelPart::of(scaled),
                None => start.part(&base, seed),
            };
            Recipe::Transfer(Box::new(Transfer {
                model,
                head_at: head_at.clone(),
                classes: data.outputs(),
                until: until.clone(),
                body_rate: self.body_lr.get(),
                head_init: training.head_init.value.clone(),
                tokens: tokens.clone(),
                tuning: tuning.clone(),
                is_scratch: start.is_scratch(),
            }))
        };
        let network = self.structure(&recipe(Seed(0)), &body, &base, site)?;
        training.check_mixing(&network.divided.suffix.inputs, site)?;
        if !start.is_scratch() {
            Preprocessing::check(&base, &data, site);
        }
        let plan = Plan {
            kind: Self::WORD,
            recipe: &recipe,
            data: Arc::clone(&data),
            training: &training,
            network: &network,
        };
        let runs = plan.add(site)?;
        let effort = plan.effort(site)?;
        let (parameters, trained_parameters) = network.parameters();
        let model = trained(&network, &base, &data, &runs, site);
        let arm = Arm {
            kind: Self::WORD.to_owned(),
            source: Some(base.name.clone()),
            target: data.name.clone(),
            freeze: Some(self.freeze.word()),
            tune: Some(self.tune.word().to_owned()),
            transfer_depth: start.depth(&self.transfer_depth),
            scratch_init: scaled.is_some().then(|| LSUV.to_owned()),
            untouched: start.untouched(&base, &head_at),
            head: Some(head_at.clone()),
            random: start.is_scratch(),
            init: Some(start.word().to_owned()),
            setting: None,
            train_on: None,
            adapt: None,
            label_noise: told_noise(self.training.label_noise.value),
            body_rate: Some(self.body_lr.get()),
            parameters: Some(parameters),
            trained_parameters: Some(trained_parameters),
            macs: Some(macs::forward_macs(&model.graph, &model.seen, base.items())),
            manner,
            effort,
            size: Some(Footprint::of(&model.graph, &model.seen, base.items())),
        };
        let classifier = ClassifierOffer { data, runs, arm, beside: None };
        Some(Offers { classifier: Some(classifier), model: Some(model), ..Offers::default() })
    }
}

impl FineTune {
    /// The training with what its protocol fills in.
    fn settled(&self, data: &Arc<OpenDataset>, random: bool, site: &mut Site) -> Option<Training> {
        let seed = site.seeds.first().copied();
        let sample = sample(site, data, self.training.train_size.as_ref(), seed)?;
        let training = self.training.settled(sample.train.len(), random, site)?;
        let training = training.suited(data, site)?;
        training.check(site)?;
        Some(training.extended(site))
    }

    fn head_at(&self, base: &BaseModel, site: &mut Site) -> Option<String> {
        if let Some(head) = &self.head {
            return resolved(base, head.at.place, &head.at.0, site);
        }
        let output = base.output.as_deref();
        let found = match base.input {
            Reads::Image(_) => head::find(&base.graph, &base.seen, output),
            Reads::AsItIs => head::find_of_tokens(&base.graph, &base.seen, output),
        };
        match found {
            Ok(tensor) => Some(tensor),
            Err(error) => {
                let message = format!("no head is found in `{}`: {error}", base.name);
                site.problem(
                    Problem::at(self.model.place, message)
                        .help("say where the new head reads with `head: { at: LAYER }`")
                        .help("or choose an output with `output:` of the model"),
                );
                None
            }
        }
    }

    /// What the head reads of a sequence.
    fn pool(
        &self,
        base: &BaseModel,
        head_at: &str,
        data: &Arc<OpenDataset>,
        site: &mut Site,
    ) -> Option<Pooled> {
        let said = self.tokens.as_ref();
        if let Some(said) = said.filter(|said| said.value == Tokens::All) {
            let message = "a head reads one row of features an item, not those of all tokens";
            let help = "take `tokens: first` or `tokens: mean`";
            site.problem(Problem::at(said.place, message).help(help));
            return None;
        }
        let place = self.head.as_ref().map_or(self.model.place, |head| head.at.place);
        let pool = Tokens::pool(said, (base, head_at), data, place, site).ok()?;
        if let Some(said) = said.filter(|_| pool.is_none()) {
            let message = format!("`tokens` is said, but `{head_at}` is no sequence of tokens");
            site.problem(Problem::at(said.place, message).help("leave `tokens` out"));
            return None;
        }
        Some(Pooled(pool))
    }

    /// A body that takes a fixed number of items at a time cannot learn in batches of another size.
    fn check_batch(
        &self,
        base: &BaseModel,
        head_at: &str,
        until: Option<&str>,
        site: &mut Site,
    ) -> Option<()> {
        let Batch::Fixed { items, because } = &base.batch else { return Some(()) };
        if until == Some(head_at) {
            return Some(());
        }
        let message = format!(
            "`{}` takes {} at a time and cannot be given more, so its body cannot be trained: \
             {because}",
            base.name,
            counted(*items, "item")
        );
        site.problem(
            Problem::at(self.freeze_or_model(), message)
                .help("train the head alone with `freeze: all`")
                .help("or export the model with a free batch axis"),
        );
        None
    }

    /// Where `freeze` is written, or else the model.
    fn freeze_or_model(&self) -> Place {
        match self.freeze.place == Place::default() {
            true => self.model.place,
            false => self.freeze.place,
        }
    }

    /// The body at the operator set that can be trained.
    fn raised(&self, base: &BaseModel, site: &mut Site) -> Option<Graph> {
        match upgrade::upgrade(base.graph.clone()) {
            Ok(body) => Some(body),
            Err(error) => {
                let message = format!("`{}` cannot be trained: {error}", base.name);
                site.problem(Problem::at(self.model.place, message));
                None
            }
        }
    }

    /// The network's structure, and every node that stands in the way of training it.
    fn structure(
        &self,
        recipe: &Recipe,
        body: &Graph,
        base: &BaseModel,
        site: &mut Site,
    ) -> Option<Network> {
        let Recipe::Transfer(transfer) = recipe else { return None };
        let told = |message: String| Problem::at(self.model.place, message);
        let network = match transfer.assemble(body, Seed(0)) {
            Ok(network) => network,
            Err(error) => {
                site.problem(told(format!("`{}` gets no new head: {error}", base.name)));
                return None;
            }
        };
        let trained = network.divided.trained.iter().map(|p| p.name.clone()).collect();
        let refused = crate::autodiff::refusals(&network.divided.suffix, &base.seen, &trained);
        for refusal in &refused {
            site.problem(
                told(format!("`{}` cannot be trained through {refusal}", base.name))
                    .help(format!("freeze the model up to a layer after `{}`", refusal.node)),
            );
        }
        if trained.is_empty() {
            site.problem(told(format!("nothing of `{}` would learn", base.name)));
        }
        (refused.is_empty() && !trained.is_empty()).then_some(network)
    }
}
