//! A model as it lies on disk: one file, or one file and the weights beside it (external data).

use std::fs::File;
use std::io::{Read as _, Seek as _, SeekFrom};
use std::path::{Component, Path};

use thiserror::Error;

use crate::base::{Digest, Hasher};

use super::graph::Graph;
use super::proto::{self, Elsewhere, ParseError};

/// A model that was read.
#[derive(Debug)]
pub struct Opened {
    /// The bytes of its own file.
    pub bytes: Vec<u8>,
    /// What it is known by: its own bytes, and those of weights that lie elsewhere.
    pub digest: Digest,
    /// The model.
    pub graph: Graph,
}

/// Why a model cannot be read.
#[derive(Debug, Error)]
pub enum OpenError {
    /// The file itself.
    #[error(transparent)]
    Read(#[from] std::io::Error),
    /// What is in it.
    #[error(transparent)]
    Parse(#[from] ParseError),
}

/// Reads a model and the weights beside it.
pub fn open(path: &Path) -> Result<Opened, OpenError> {
    let bytes = std::fs::read(path)?;
    let folder = path.parent().unwrap_or(Path::new(""));
    let mut hasher = Hasher::default();
    hasher.update(&bytes);
    let mut is_alone = true;
    let graph = proto::decode_with(&bytes, &mut |place| {
        let fetched = fetch(folder, place)?;
        hasher.update(&fetched);
        is_alone = false;
        Ok(fetched)
    })?;
    let digest = if is_alone { Digest::of(&bytes) } else { hasher.finish() };
    Ok(Opened { bytes, digest, graph })
}

/// The bytes at a place in a file of the folder.
fn fetch(folder: &Path, place: &Elsewhere) -> Result<Vec<u8>, String> {
    let Elsewhere { location, offset, length } = place;
    let inside = |part| matches!(part, Component::Normal(_) | Component::CurDir);
    if location.is_empty() || !Path::new(location).components().all(inside) {
        return Err(format!("`{location}`, which is not a file in the model's own folder"));
    }
    let file = folder.join(location);
    let absent = |error: std::io::Error| match error.kind() {
        std::io::ErrorKind::NotFound => {
            format!("`{location}`, which is not beside the model; put it there")
        }
        _ => format!("`{location}`, which cannot be read: {error}"),
    };
    let mut opened = File::open(&file).map_err(absent)?;
    let size = opened.metadata().map_err(absent)?.len();
    let end = length.map_or(Some(size.max(*offset)), |length| offset.checked_add(length));
    if end.is_none_or(|end| end > size) {
        let broken = format!("`{location}`, which ends before them ({size} bytes)");
        return Err(format!("{broken}; get both files again, from the same place"));
    }
    opened.seek(SeekFrom::Start(*offset)).map_err(absent)?;
    let mut bytes = Vec::new();
    opened.take(length.unwrap_or(u64::MAX)).read_to_end(&mut bytes).map_err(absent)?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(location: &str, offset: u64, length: Option<u64>) -> Elsewhere {
        Elsewhere { location: location.to_owned(), offset, length }
    }

    #[test]
    fn bytes_are_fetched_from_the_models_own_folder_alone() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("model.onnx.data");
        crate::base::atomic::write(&file, &[1, 2, 3, 4, 5]).unwrap();
        let fetch =
            |location, offset, length| fetch(folder.path(), &place(location, offset, length));
        assert_eq!(fetch("model.onnx.data", 1, Some(3)), Ok(vec![2, 3, 4]));
        assert_eq!(fetch("./model.onnx.data", 3, None), Ok(vec![4, 5]));
        for outside in ["../model.onnx.data", "/etc/hostname", "a/../../b", ""] {
            let told = fetch(outside, 0, None).unwrap_err();
            assert!(told.contains("not a file in the model's own folder"), "{told}");
        }
        let told = fetch("other.data", 0, None).unwrap_err();
        assert_eq!(told, "`other.data`, which is not beside the model; put it there");
        for (offset, length) in [(3, 3), (6, 0), (u64::MAX, 1)] {
            let told = fetch("model.onnx.data", offset, Some(length)).unwrap_err();
            assert!(told.contains("which ends before them (5 bytes)"), "{told}");
        }
    }
}
