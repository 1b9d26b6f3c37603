//! Data sets: where items, labels, groups and pixels come from. [`Dataset`] is what everyone else
//! sees; pixels are read when they are asked for, so memory does not grow with their number.

mod augment;
mod copies;
mod dataset;
mod formats;
mod groups;
mod input;
mod numbers;
mod open;
mod pixels;
mod reads;
mod select;
mod split;
mod strata;
mod surrogate;
mod survey;

pub use augment::{Augment, View};
pub use copies::{Copies, FindAcross, FindCopies, Near, OnLeak, Pair, Taken};
pub use dataset::{Dataset, Item, OpenError, ReadError, Skipped};
pub use formats::{Format, floats_of, format_words, images_below, pixels_of, unlabelled};
pub use groups::{OddGroups, odd_groups};
pub use input::{ChannelOrder, Fit, InputRule, Layout, SampleSlice, Size, Values};
pub use numbers::{NamedArray, NumberSlice, Numbers};
pub use open::Open;
pub use pixels::{Pixels, Samples};
pub use reads::Reads;
pub use select::Select;
pub(crate) use split::missing_class;
pub use split::{Amount, Given, OnGroupCross, Part, Split, SplitError, SplitRule, subset};
pub use strata::strata;
pub(crate) use strata::unlearnable;
pub use surrogate::{Denoise, Images, Jigsaw, Objective};
pub use survey::{OnBad, Survey, Unreadable};
