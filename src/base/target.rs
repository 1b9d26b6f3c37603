//! What is to be told of each item of a data set.

use serde::{Deserialize, Serialize};

/// What is to be told of each item.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Target {
    /// One class of several that exclude each other.
    #[default]
    Classes,
    /// Several labels, each of which an item has or has not.
    Labels,
    /// Numbers.
    Values,
}

impl Target {
    /// As it stands in metadata of models.
    pub fn word(self) -> &'static str {
        match self {
            Self::Classes => "classes",
            Self::Labels => "labels",
            Self::Values => "values",
        }
    }

    /// What [`Target::word`] has said; classes if it has said nothing.
    pub fn of_word(word: Option<&str>) -> Self {
        let known = [Self::Labels, Self::Values];
        known.into_iter().find(|target| word == Some(target.word())).unwrap_or_default()
    }

    /// What an item has, in words: reads after "items have".
    pub fn told(self) -> &'static str {
        match self {
            Self::Classes => "one class each",
            Self::Labels => "several labels each",
            Self::Values => "numbers to be predicted",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_target_is_known_again_by_its_word() {
        for target in [Target::Classes, Target::Labels, Target::Values] {
            assert_eq!(Target::of_word(Some(target.word())), target);
        }
        assert_eq!(Target::of_word(None), Target::Classes);
    }
}
