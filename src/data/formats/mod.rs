//! Formats of data sets: one file each, one line here.

mod arrays;
mod csv;
mod findings;
mod gzip;
mod held;
mod idx;
mod image_folder;
mod images;
mod manifest;
mod npz;
#[cfg(test)]
mod suite;

use std::path::Path;

use crate::base::language::choice;

use super::dataset::{Dataset, OpenError};
use super::split::Given;

use csv::Csv;
use idx::Idx;
use image_folder::ImageFolder;
use manifest::Manifest;
use npz::Npz;

pub use image_folder::images_below;
pub use images::pixels_of;
pub use npz::{floats_of, unlabelled};

choice! {
    /// What a data set is read from.
    pub enum Format {
        /// A folder of JPEG and PNG images; the name of an image's folder is its class. Images of 16
        /// bits a channel are read at full depth, on the scale of 8 bits: from 0 to 255.
        "image_folder" => ImageFolder(ImageFolder),
        /// A table (CSV) of images, one a line: its path, its label, and whatever else is known of
        /// it. The first line names the columns; every column that is not named here is kept and
        /// stands in the table `items` of a run too.
        "manifest" => Manifest(Manifest),
        /// A NumPy archive with the arrays `train_images`, `train_labels` and the same of `val` and
        /// `test`, as MedMNIST has them. Images are N × height × width, perhaps × 1 or 3 channels,
        /// of bytes or floats; labels are whole numbers, one an item or one for each finding. With
        /// `inputs`, other arrays by name, which models read as they are: token ids, signals, rows of
        /// features.
        "npz" => Npz(Npz),
        /// Images and labels in the idx format of MNIST: a folder with the usual files, or one file
        /// of images and one of labels. Files are gzipped if their names end in `.gz`.
        "idx" => Idx(Idx),
        /// A table of numbers with a label column, perhaps gzipped.
        "csv" => Csv(Csv),
    }
}

/// The words for formats.
pub fn format_words() -> &'static [&'static str] {
    &["image_folder", "manifest", "npz", "idx", "csv"]
}

impl Format {
    /// Opens the data set: lists its items, reads no pixels. `beside` is the folder that paths of
    /// the file are relative to; `given` says where it keeps its own split.
    pub fn open(&self, beside: &Path, given: Option<&Given>) -> Result<Dataset, OpenError> {
        match self {
            Self::ImageFolder(folder) => folder.open(beside, given),
            Self::Manifest(manifest) => manifest.open(beside, given),
            Self::Npz(archive) => archive.open(beside, given),
            Self::Idx(files) => files.open(beside, given),
            Self::Csv(table) => table.open(beside, given),
        }
    }

    /// Whether items are images, which can be resized.
    pub fn is_images(&self) -> bool {
        match self {
            Self::Csv(_) => false,
            Self::Npz(archive) => archive.inputs.is_none(),
            _ => true,
        }
    }
}
