//! Formats of data sets: one file each, one line here.

mod arrays;
mod csv;
mod findings;
mod gzip;
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

choice! {
    /// What a data set is read from.
    pub enum Format {
        /// A folder of images; the name of an image's folder is its class.
        "image_folder" => ImageFolder(ImageFolder),
        /// A table of images: paths with labels, and whatever else is known of them.
        "manifest" => Manifest(Manifest),
        /// A NumPy archive of images and labels, as MedMNIST has them.
        "npz" => Npz(Npz),
        /// Images and labels in the idx format of MNIST.
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
        !matches!(self, Self::Csv(_))
    }
}
