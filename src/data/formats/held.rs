//! Arrays held in memory, which models read as they are.

use std::path::PathBuf;

use crate::base::{Digest, Hasher};

use super::super::dataset::{ReadError, Source};
use super::super::numbers::{NamedArray, NumberSlice, Numbers};
use super::super::pixels::{Pixels, Samples};

/// Arrays that models read as they are.
pub(super) struct Held {
    pub(super) path: PathBuf,
    pub(super) arrays: Vec<NamedArray>,
}

impl Held {
    fn error(&self, cause: String) -> ReadError {
        ReadError { path: self.path.clone(), cause }
    }
}

impl Source for Held {
    /// One array of floats, as a row of numbers.
    fn pixels(&self, row: usize) -> Result<Pixels, ReadError> {
        match &self.arrays[..] {
            [NamedArray { numbers: Numbers::Floats(_), .. }] => {}
            _ => {
                let names: Vec<&str> = self.arrays.iter().map(|a| a.source.as_str()).collect();
                let cause = format!("it holds arrays ({}), no images", names.join(", "));
                return Err(self.error(cause));
            }
        }
        self.readable(row)?;
        let NumberSlice::Floats(values) = self.arrays[0].row(row) else {
            return Err(self.error("it holds no floats".to_owned()));
        };
        let samples = Samples::Floats(values.to_vec());
        Ok(Pixels { height: 1, width: values.len(), channels: 1, samples })
    }

    fn digest(&self, row: usize) -> Result<Digest, ReadError> {
        let mut hasher = Hasher::default();
        for array in &self.arrays {
            hasher.text(&array.input);
            array.item.iter().for_each(|extent| hasher.update(&(*extent as u64).to_le_bytes()));
            match array.row(row) {
                NumberSlice::Floats(values) => {
                    hasher.text("floats");
                    hasher.update(bytemuck::cast_slice(values));
                }
                NumberSlice::Whole(values) => {
                    hasher.text("whole");
                    hasher.update(bytemuck::cast_slice(values));
                }
            }
        }
        Ok(hasher.finish())
    }

    fn readable(&self, row: usize) -> Result<(), ReadError> {
        for array in &self.arrays {
            let NumberSlice::Floats(values) = array.row(row) else { continue };
            if values.iter().any(|value| !value.is_finite()) {
                let cause = format!(
                    "row {row} of `{}` has values that are no finite numbers",
                    array.source
                );
                return Err(self.error(cause));
            }
        }
        Ok(())
    }

    fn arrays(&self) -> &[NamedArray] {
        &self.arrays
    }
}
