//! What training reads: rows of arrays that lie somewhere, with labels.

/// Rows of equal shape.
pub trait Rows: Send + Sync {
    /// Number of values in a row.
    fn length(&self) -> usize;

    /// Writes a row's values.
    fn copy(&self, row: usize, into: &mut [f32]);
}

/// Labelled examples; item `i` is row `i` of each source.
pub struct Examples<'a> {
    /// One source for each input of the part that learns.
    pub sources: Vec<&'a dyn Rows>,
    /// The class of each item.
    pub labels: &'a [usize],
    /// Items trained on.
    pub train: &'a [usize],
    /// Items that choose.
    pub val: &'a [usize],
    /// Weight of each class in the loss.
    pub class_weights: &'a [f64],
}

impl Examples<'_> {
    /// One source's values for these items, one after the other; missing rows of a batch repeat
    /// the last item.
    pub(super) fn gather(&self, source: usize, items: &[usize], batch: usize) -> Vec<f32> {
        let rows = self.sources[source];
        let length = rows.length();
        let mut values = vec![0.0; batch * length];
        for (slot, row) in values.chunks_exact_mut(length.max(1)).enumerate() {
            rows.copy(items[slot.min(items.len() - 1)], row);
        }
        values
    }
}
