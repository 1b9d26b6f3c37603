//! Formats of data sets: one file each, one line here.

mod csv;
mod image_folder;
#[cfg(test)]
mod suite;

use std::path::Path;

use crate::base::language::choice;

use super::dataset::{Dataset, OpenError};
use super::split::Given;

use csv::Csv;
use image_folder::ImageFolder;
pub use image_folder::{images_below, pixels_of};

choice! {
    /// What a data set is read from.
    pub enum Format {
        /// A folder of images; the name of an image's folder is its class.
        "image_folder" => ImageFolder(ImageFolder),
        /// A table of numbers with a label column, perhaps gzipped.
        "csv" => Csv(Csv),
    }
}

/// The words for formats.
pub fn format_words() -> &'static [&'static str] {
    &["image_folder", "csv"]
}

impl Format {
    /// Opens the data set: lists its items, reads no pixels. `beside` is the folder that paths of
    /// the file are relative to; `given` says where it keeps its own split.
    pub fn open(&self, beside: &Path, given: Option<&Given>) -> Result<Dataset, OpenError> {
        match self {
            Self::ImageFolder(folder) => folder.open(beside, given),
            Self::Csv(table) => table.open(beside, given),
        }
    }

    /// Whether items are images, whose sizes may differ from each other.
    pub fn is_images(&self) -> bool {
        matches!(self, Self::ImageFolder(_))
    }
}
