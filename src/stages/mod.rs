//! What a pipeline can ask for: the contract of work, what travels between stages, and one file
//! for each kind of stage.

mod advice;
pub mod artifacts;
mod class_weights;
mod data;
mod effort;
mod estimate;
mod feeding;
mod job;
mod kinds;
mod label_noise;
mod model;
mod names;
mod predictor;
mod preprocessing;
mod probabilities;
mod probing;
mod site;
mod surrogate;
mod targets;
mod training;

pub use data::{OpenDataset, Sample};
pub use feeding::is_fed;
pub use job::{Context, Cores, Failure, Given, Job, Learning, Outputs, Search, Speed};
pub use kinds::{KIND_WORDS, StageKind, any_kind};
pub use model::{BaseModel, Batch, Example, Source, Tells, carried_input, metadata};
pub use names::{Name, Reference, full_name};
pub use predictor::{Answer, Given as Asked, Items, Labelled, NoPredictor, Predictor};
pub use site::{
    AdviceOffer, Arm, Beside, ClassifierOffer, Estimated, EstimatesOffer, FeaturesOffer, Input,
    LayerOffer, Look, Looker, Manner, Node, NodeId, Offers, Planned, Runs, ScoredArm, ScoresOffer,
    Setting, Site,
};
