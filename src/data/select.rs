//! A part of a data set: some rows, some classes.

use std::collections::BTreeSet;

use crate::base::language::{OneOrMore, Range, Word, keys};

use crate::base::Target;

use super::dataset::{Dataset, Item, OpenError};

keys! {
    /// Takes a part of a data set.
    pub struct Select {
        /// Rows of the source, from the first up to but without the last: `500..1000`.
        rows: Option<Range> = None,
        /// Classes by name; numbers that follow each other may be written `5..=9`.
        classes: Option<OneOrMore<Word>> = None,
    }
}

impl Select {
    /// The part; refused if a class is unknown or nothing is left.
    pub fn apply(&self, dataset: Dataset) -> Result<Dataset, OpenError> {
        let rows = self.rows;
        let keep = |item: &Item| rows.is_none_or(|rows| rows.contains(item.row));
        let kept = match &self.classes {
            None => dataset.keep_items(keep),
            Some(_) if dataset.target() != Target::Classes => {
                let message = format!(
                    "items have {}, of which no class can be taken",
                    dataset.target().told()
                );
                return Err(OpenError::new(message).help("leave `classes` out"));
            }
            Some(words) => {
                let classes = chosen(words, dataset.classes())?;
                dataset.keep(keep, &classes)
            }
        };
        if kept.items().is_empty() {
            return Err(OpenError::new("`select` leaves no item of the data set"));
        }
        Ok(kept)
    }
}

fn chosen(words: &OneOrMore<Word>, classes: &[String]) -> Result<BTreeSet<usize>, OpenError> {
    let mut chosen = BTreeSet::new();
    for word in &words.0 {
        for name in spelled_out(&word.0)? {
            let index = classes.iter().position(|class| *class == name);
            chosen.insert(index.ok_or_else(|| unknown(&name, classes))?);
        }
    }
    Ok(chosen)
}

/// `5..=9` as `5`, `6`, `7`, `8`, `9`; any other word as itself.
fn spelled_out(word: &str) -> Result<Vec<String>, OpenError> {
    if let Some((first, last)) = word.split_once("..=")
        && let (Ok(first), Ok(last)) = (first.trim().parse::<i64>(), last.trim().parse::<i64>())
    {
        return Ok((first..=last).map(|number| number.to_string()).collect());
    }
    match word.split_once("..") {
        // Half of the readers would count the last class in, the other half would not.
        Some((first, last)) if first.parse::<i64>().is_ok() && last.parse::<i64>().is_ok() => {
            let help = format!("write `{first}..={last}` to take class {last} too");
            Err(OpenError::new(format!("`{word}` leaves open whether class {last} is taken"))
                .help(help))
        }
        _ => Ok(vec![word.to_owned()]),
    }
}

fn unknown(name: &str, classes: &[String]) -> OpenError {
    let known: Vec<String> = classes.iter().take(20).map(|class| format!("`{class}`")).collect();
    OpenError::new(format!("there is no class `{name}`"))
        .help(format!("the classes are {}", known.join(", ")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_of_classes_must_say_whether_its_end_is_in() {
        assert_eq!(spelled_out("5..=7").unwrap(), ["5", "6", "7"]);
        assert_eq!(spelled_out("left..right").unwrap(), ["left..right"]);
        assert!(spelled_out("5..9").unwrap_err().help.unwrap().contains("5..=9"));
    }
}
