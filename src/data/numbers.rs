//! Arrays as a source has them: what a model reads of an item as it is, by the name of its input.

/// Values of one input of a model, item after item.
#[derive(Clone, Debug, PartialEq)]
pub struct NamedArray {
    /// The input that it is for; empty if the source has one array and says no name.
    pub input: String,
    /// What the source calls it, for messages.
    pub source: String,
    /// Shape of one item.
    pub item: Vec<usize>,
    /// The values.
    pub numbers: Numbers,
    /// Whether the source says which type its values have; a table of text does not.
    pub is_typed: bool,
}

/// Values of an array.
#[derive(Clone, Debug, PartialEq)]
pub enum Numbers {
    /// Floats.
    Floats(Vec<f32>),
    /// Whole numbers, such as token ids.
    Whole(Vec<i64>),
}

/// Borrowed values of one item.
#[derive(Clone, Copy, Debug)]
pub enum NumberSlice<'a> {
    /// Floats.
    Floats(&'a [f32]),
    /// Whole numbers.
    Whole(&'a [i64]),
}

impl Numbers {
    /// How many there are.
    pub fn len(&self) -> usize {
        match self {
            Self::Floats(values) => values.len(),
            Self::Whole(values) => values.len(),
        }
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Adds values of the same type; `false` if they are of the other.
    #[must_use]
    pub(super) fn extend(&mut self, more: Self) -> bool {
        match (self, more) {
            (Self::Floats(values), Self::Floats(more)) => values.extend(more),
            (Self::Whole(values), Self::Whole(more)) => values.extend(more),
            _ => return false,
        }
        true
    }
}

impl NamedArray {
    /// Number of values of an item.
    pub fn length(&self) -> usize {
        self.item.iter().product()
    }

    /// Number of items.
    pub fn rows(&self) -> usize {
        self.numbers.len() / self.length().max(1)
    }

    /// The values of a row of the source.
    pub fn row(&self, row: usize) -> NumberSlice<'_> {
        let range = row * self.length()..(row + 1) * self.length();
        match &self.numbers {
            Numbers::Floats(values) => NumberSlice::Floats(&values[range]),
            Numbers::Whole(values) => NumberSlice::Whole(&values[range]),
        }
    }
}

impl NumberSlice<'_> {
    /// The values as floats.
    pub fn numbers(&self) -> Vec<f64> {
        match self {
            Self::Floats(values) => values.iter().map(|value| f64::from(*value)).collect(),
            Self::Whole(values) => values.iter().map(|value| *value as f64).collect(),
        }
    }

    /// A value as text.
    pub fn shown(&self, position: usize) -> String {
        match self {
            Self::Floats(values) => values[position].to_string(),
            Self::Whole(values) => values[position].to_string(),
        }
    }
}
