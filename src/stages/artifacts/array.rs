//! Arrays with one row an item, on disk as safetensors: written row by row, mapped when read, so
//! that memory does not grow with their number, and Python can read them too.

use std::io::Write as _;

use safetensors::{Dtype, SafeTensors};
use serde_json::json;

use crate::data::{InputRule, SampleSlice};
use crate::store::{ArtifactRef, BlobWriter, Mapped, Store};
use crate::train::Rows;

use super::super::job::Failure;

/// Name of the one tensor in the file.
const NAME: &str = "rows";
/// What its metadata call the widths of the parts that a row is put together of.
const BLOCKS: &str = "blocks";

/// Type of an array's values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Element {
    /// 0 to 255.
    U8,
    /// 32-bit floats.
    F32,
}

/// Writes an array row by row.
pub struct ArrayWriter<'a> {
    blob: BlobWriter<'a>,
    left: usize,
    row: usize,
}

impl<'a> ArrayWriter<'a> {
    /// Begins an array of `rows` rows of shape `item`.
    pub fn new(
        store: &'a Store,
        element: Element,
        rows: usize,
        item: &[usize],
    ) -> Result<Self, Failure> {
        Self::begin(store, element, rows, item, None)
    }

    /// Begins an array of floats whose rows are put together of parts of these widths.
    pub fn of_blocks(store: &'a Store, rows: usize, widths: &[usize]) -> Result<Self, Failure> {
        Self::begin(store, Element::F32, rows, &[widths.iter().sum()], Some(widths))
    }

    fn begin(
        store: &'a Store,
        element: Element,
        rows: usize,
        item: &[usize],
        widths: Option<&[usize]>,
    ) -> Result<Self, Failure> {
        let length: usize = item.iter().product();
        let (word, size) = match element {
            Element::U8 => ("U8", 1),
            Element::F32 => ("F32", 4),
        };
        let shape: Vec<usize> = std::iter::once(rows).chain(item.iter().copied()).collect();
        let mut header = json!({
            NAME: { "dtype": word, "shape": shape, "data_offsets": [0, rows * length * size] },
        });
        if let Some(widths) = widths {
            header["__metadata__"] = json!({ BLOCKS: json!(widths).to_string() });
        }
        let mut header = header.to_string();
        // Values begin at a multiple of eight bytes.
        header.push_str(&" ".repeat(header.len().next_multiple_of(8) - header.len()));
        let mut blob = store.writer()?;
        blob.write_all(&(header.len() as u64).to_le_bytes())?;
        blob.write_all(header.as_bytes())?;
        Ok(Self { blob, left: rows, row: length })
    }

    /// Adds whole rows of floats.
    pub fn floats(&mut self, rows: &[f32]) -> Result<(), Failure> {
        self.count(rows.len());
        Ok(self.blob.write_all(bytemuck::cast_slice(rows))?)
    }

    /// Adds whole rows of bytes.
    pub fn bytes(&mut self, rows: &[u8]) -> Result<(), Failure> {
        self.count(rows.len());
        Ok(self.blob.write_all(rows)?)
    }

    fn count(&mut self, values: usize) {
        self.left = self.left.saturating_sub(values / self.row.max(1));
    }

    /// Makes the array visible.
    pub fn finish(self) -> Result<ArtifactRef, Failure> {
        if self.left > 0 {
            return Err(Failure::new(format!("{} rows of an array are missing", self.left)));
        }
        Ok(self.blob.finish("array")?)
    }
}

/// An array on disk.
pub struct ArrayRows {
    map: Mapped,
    start: usize,
    element: Element,
    shape: Vec<usize>,
    blocks: Vec<usize>,
}

impl ArrayRows {
    /// Opens an array.
    pub fn open(map: Mapped) -> Result<Self, Failure> {
        let broken = |cause: String| Failure::new(format!("read an array: {cause}"));
        let (start, element, shape) = {
            let file = SafeTensors::deserialize(&map).map_err(|error| broken(error.to_string()))?;
            let view = file.tensor(NAME).map_err(|error| broken(error.to_string()))?;
            let element = match view.dtype() {
                Dtype::U8 => Element::U8,
                Dtype::F32 => Element::F32,
                other => return Err(broken(format!("values of type {other:?}"))),
            };
            (map.len() - view.data().len(), element, view.shape().to_vec())
        };
        let (_, header) =
            SafeTensors::read_metadata(&map).map_err(|error| broken(error.to_string()))?;
        let widths = header.metadata().as_ref().and_then(|texts| texts.get(BLOCKS));
        let blocks = match widths {
            Some(text) => serde_json::from_str(text).map_err(|error| broken(error.to_string()))?,
            None => vec![shape.iter().skip(1).product()],
        };
        Ok(Self { map, start, element, shape, blocks })
    }

    /// Number of rows.
    pub fn rows(&self) -> usize {
        self.shape.first().copied().unwrap_or_default()
    }

    /// Shape of a row.
    pub fn item(&self) -> &[usize] {
        self.shape.get(1..).unwrap_or_default()
    }

    /// Widths of the parts that a row is put together of; one if it is of one piece.
    pub fn blocks(&self) -> Vec<usize> {
        self.blocks.clone()
    }

    /// Type of its values.
    pub fn element(&self) -> Element {
        self.element
    }

    fn values(&self) -> usize {
        self.item().iter().product()
    }

    /// A row as it is kept.
    pub(super) fn samples(&self, row: usize) -> SampleSlice<'_> {
        let length = self.values();
        let data = &self.map[self.start..];
        match self.element {
            Element::U8 => SampleSlice::Bytes(&data[row * length..(row + 1) * length]),
            Element::F32 => {
                let bytes = &data[row * length * 4..(row + 1) * length * 4];
                SampleSlice::Floats(bytemuck::cast_slice(bytes))
            }
        }
    }

    /// A row as floats.
    pub fn floats(&self, row: usize) -> Vec<f32> {
        match self.samples(row) {
            SampleSlice::Floats(values) => values.to_vec(),
            SampleSlice::Bytes(values) => values.iter().map(|value| f32::from(*value)).collect(),
        }
    }
}

impl Rows for ArrayRows {
    fn length(&self) -> usize {
        self.values()
    }

    fn copy(&self, row: usize, into: &mut [f32]) {
        match self.samples(row) {
            SampleSlice::Floats(values) => into.copy_from_slice(values),
            SampleSlice::Bytes(values) => {
                for (to, from) in into.iter_mut().zip(values) {
                    *to = f32::from(*from);
                }
            }
        }
    }
}

/// Fitted pixels on disk, normalised as they are read.
pub struct PixelRows {
    /// The pixels.
    pub rows: ArrayRows,
    /// What the model wants.
    pub rule: InputRule,
}

impl Rows for PixelRows {
    fn length(&self) -> usize {
        self.rule.length()
    }

    fn copy(&self, row: usize, into: &mut [f32]) {
        self.rule.normalise(self.rows.samples(row), into);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[expect(clippy::float_cmp, reason = "values are copied, not computed")]
    fn rows_come_back_as_they_were_written() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path()).unwrap();
        let mut writer = ArrayWriter::new(&store, Element::F32, 3, &[2, 1]).unwrap();
        writer.floats(&[1.0, 2.0]).unwrap();
        writer.floats(&[3.0, 4.0, 5.0, 6.0]).unwrap();
        let artifact = writer.finish().unwrap();
        let rows = ArrayRows::open(store.map(&artifact).unwrap()).unwrap();
        assert_eq!((rows.rows(), rows.item()), (3, [2, 1].as_slice()));
        let mut row = [0.0; 2];
        rows.copy(2, &mut row);
        assert_eq!(row, [5.0, 6.0]);
    }

    #[test]
    fn the_parts_of_a_row_are_known_again() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path()).unwrap();
        let mut writer = ArrayWriter::of_blocks(&store, 2, &[1, 3]).unwrap();
        writer.floats(&[0.0; 8]).unwrap();
        let rows = ArrayRows::open(store.map(&writer.finish().unwrap()).unwrap()).unwrap();
        assert_eq!((rows.blocks(), rows.item()), (vec![1, 3], [4].as_slice()));
        let mut writer = ArrayWriter::new(&store, Element::U8, 1, &[2, 3]).unwrap();
        writer.bytes(&[0; 6]).unwrap();
        let rows = ArrayRows::open(store.map(&writer.finish().unwrap()).unwrap()).unwrap();
        assert_eq!(rows.blocks(), [6]);
    }

    #[test]
    fn an_array_with_missing_rows_never_becomes_visible() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path()).unwrap();
        let mut writer = ArrayWriter::new(&store, Element::U8, 3, &[2]).unwrap();
        writer.bytes(&[1, 2]).unwrap();
        assert!(writer.finish().is_err());
    }
}
