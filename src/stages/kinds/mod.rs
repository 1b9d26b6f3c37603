//! The kinds of stages: one file each, one line here.

mod adapt_batch_norm;
mod advise;
mod cluster;
mod concat;
mod convergence;
mod direct;
mod evaluate;
mod extract;
mod fine_tune;
mod freeze_sweep;
mod front;
mod knn;
mod lda;
mod learning_curve;
mod linear_probe;
mod majority;
mod nearest_mean;
mod pass;
mod pixel_linear;
mod pixels;
mod pretrain;
mod ridge;
mod scored;
mod surgery;
mod svm;
mod tokens;
mod transfer;
mod transferability;
mod views;

use serde_json::{Value as Json, json};

use crate::base::language::Read;
use crate::base::{Found, Located, Written};

use super::names::Reference;
use super::site::{Offers, Site};

pub(super) use extract::resolved;
pub(super) use pass::{Pass, fitted, pass_runs};
pub(super) use transfer::always_majority;
pub(super) use views::Views;

/// A kind of work that a pipeline can ask for.
pub(super) trait Kind: Read {
    /// The word used in the file.
    const WORD: &'static str;

    /// The stages it refers to.
    fn references(&self) -> Vec<&Located<Reference>>;

    /// Adds its nodes; tells what it offers, or adds what is wrong.
    fn plan(&self, site: &mut Site) -> Option<Offers>;
}

/// Declares the closed set of kinds as an enum with one variant each.
macro_rules! stage_kinds {
    ($( $variant:ident => $kind:ty ),* $(,)?) => {
        /// A stage's work, checked.
        pub enum StageKind {
            $(
                #[doc = stringify!($kind)]
                $variant(Box<$kind>),
            )*
        }

        /// The words for kinds.
        pub const KIND_WORDS: &[&str] = &[$( <$kind as Kind>::WORD ),*];

        impl StageKind {
            /// Reads what stands under a kind's word; `None` for an unknown word, too.
            pub fn read(word: &str, written: &Written, found: &mut Found) -> Option<Self> {
                $(
                    if word == <$kind as Kind>::WORD {
                        return <$kind>::read(written, found).map(Box::new).map(Self::$variant);
                    }
                )*
                None
            }

            /// The word it is written with.
            pub fn word(&self) -> &'static str {
                match self {
                    $( Self::$variant(_) => <$kind as Kind>::WORD, )*
                }
            }

            /// The stages it refers to.
            pub fn references(&self) -> Vec<&Located<Reference>> {
                match self {
                    $( Self::$variant(kind) => kind.references(), )*
                }
            }

            /// Adds its nodes; tells what it offers, or adds what is wrong.
            pub fn plan(&self, site: &mut Site) -> Option<Offers> {
                match self {
                    $( Self::$variant(kind) => kind.plan(site), )*
                }
            }

            /// The schema of each kind's keys, by word.
            pub fn schemas() -> Vec<(&'static str, Json)> {
                vec![$( (<$kind as Kind>::WORD, <$kind>::schema()) ),*]
            }
        }
    };
}

stage_kinds! {
    Extract => extract::Extract,
    Pixels => pixels::Pixels,
    Concat => concat::Concat,
    Direct => direct::Direct,
    Cluster => cluster::Cluster,
    LinearProbe => linear_probe::LinearProbe,
    Svm => svm::Svm,
    Ridge => ridge::Ridge,
    Knn => knn::Knn,
    NearestMean => nearest_mean::NearestMean,
    Lda => lda::Lda,
    FineTune => fine_tune::FineTune,
    Pretrain => pretrain::Pretrain,
    AdaptBatchNorm => adapt_batch_norm::AdaptBatchNorm,
    Majority => majority::Majority,
    PixelLinear => pixel_linear::PixelLinear,
    Evaluate => evaluate::Evaluate,
    Transfer => transfer::Transfer,
    Transferability => transferability::Transferability,
    LearningCurve => learning_curve::LearningCurve,
    FreezeSweep => freeze_sweep::FreezeSweep,
    Convergence => convergence::Convergence,
    Advise => advise::Advise,
    Front => front::Front,
}

/// A schema that takes any one kind.
pub fn any_kind() -> Json {
    let kinds: Vec<Json> = StageKind::schemas()
        .into_iter()
        .map(|(word, schema)| json!({ "properties": { word: schema }, "required": [word] }))
        .collect();
    json!({ "oneOf": kinds })
}
