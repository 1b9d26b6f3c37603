//! Mistakes a user made, each with its place and a way out; all of them are told at once.

use std::fmt::{self, Write as _};

/// Where a value stands in the pipeline file: 1-based line and column, width in characters.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// Line, from 1.
    pub line: usize,
    /// Column in characters, from 1.
    pub column: usize,
    /// Width in characters; at least 1 when drawn.
    pub width: usize,
}

/// One mistake.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Problem {
    place: Option<Place>,
    message: String,
    label: String,
    help: Vec<String>,
    /// Follows from any other problem at the same place.
    follows: bool,
}

impl Problem {
    /// A mistake at a place: lowercase, no full stop, backticks round names.
    pub fn at(place: Place, message: impl Into<String>) -> Self {
        Self {
            place: Some(place),
            message: message.into(),
            label: String::new(),
            help: vec![],
            follows: false,
        }
    }

    /// A mistake that has no place in the file (an argument, say).
    pub fn anywhere(message: impl Into<String>) -> Self {
        Self {
            place: None,
            message: message.into(),
            label: String::new(),
            help: vec![],
            follows: false,
        }
    }

    /// Words beside the caret.
    #[must_use]
    pub fn label(mut self, label: impl Into<String>) -> Self {
        self.label = label.into();
        self
    }

    /// Not worth telling beside another problem at the same place, from which it follows.
    #[must_use]
    pub fn unless_another(mut self) -> Self {
        self.follows = true;
        self
    }

    /// A way out. Several are listed under each other.
    #[must_use]
    pub fn help(mut self, help: impl Into<String>) -> Self {
        self.help.push(help.into());
        self
    }

    /// `did you mean`, if a known word is near; else the list of known words.
    #[must_use]
    pub fn or_else_one_of<'a>(
        self,
        word: &str,
        known: impl IntoIterator<Item = &'a str> + Clone,
    ) -> Self {
        if let Some(near) = super::closest(word, known.clone()) {
            return self.help(format!("did you mean `{near}`?"));
        }
        let mut listed: Vec<String> = known.into_iter().map(|word| format!("`{word}`")).collect();
        let more = listed.len().saturating_sub(MOST_LISTED);
        listed.truncate(MOST_LISTED);
        match (listed.is_empty(), more) {
            (true, _) => self,
            (_, 0) => self.help(format!("there is: {}", listed.join(", "))),
            _ => self.help(format!("there is: {} and {more} more", listed.join(", "))),
        }
    }

    /// The message without its place.
    pub fn message(&self) -> &str {
        &self.message
    }

    fn draw(&self, name: &str, text: &str, out: &mut String) -> fmt::Result {
        writeln!(out, "error: {}", self.message)?;
        if let Some(place) = self.place {
            let number = place.line.to_string();
            let margin = " ".repeat(number.len());
            let line = text.lines().nth(place.line.saturating_sub(1)).unwrap_or_default();
            // A tab would move the caret away from what it points at.
            let line = line.replace('\t', " ");
            let indent = " ".repeat(place.column.saturating_sub(1));
            let room = line.chars().count().saturating_sub(place.column.saturating_sub(1));
            let caret = "^".repeat(place.width.clamp(1, room.max(1)));
            writeln!(out, "  {margin} {name}:{}:{}", place.line, place.column)?;
            writeln!(out, " {number} | {line}")?;
            writeln!(out, " {margin} | {}", format!("{indent}{caret} {}", self.label).trim_end())?;
        }
        self.help.iter().try_for_each(|help| writeln!(out, "  help: {help}"))
    }
}

const MOST_LISTED: usize = 12;

/// Problems while they are being collected.
#[derive(Debug, Default)]
pub struct Found {
    problems: Vec<Problem>,
}

impl Found {
    /// Adds one.
    pub fn add(&mut self, problem: Problem) {
        self.problems.push(problem);
    }

    /// The value, or `None` with its problem added.
    pub fn keep<T>(&mut self, result: Result<T, Problem>) -> Option<T> {
        result.map_err(|problem| self.add(problem)).ok()
    }

    /// Whether nothing is wrong so far.
    pub fn is_empty(&self) -> bool {
        self.problems.is_empty()
    }

    /// `Err` with everything found, each problem once and in the order of the file.
    pub fn into_result(mut self, name: &str, text: &str) -> Result<(), Problems> {
        if self.problems.is_empty() {
            return Ok(());
        }
        self.problems.sort();
        self.problems.dedup();
        // What the command line brought has no line, and so no neighbours.
        let has_line = |place: &Place| place.line > 0;
        let causes: Vec<Place> = self
            .problems
            .iter()
            .filter(|problem| !problem.follows)
            .filter_map(|problem| problem.place.filter(has_line))
            .collect();
        self.problems.retain(|problem| {
            !problem.follows || !problem.place.is_some_and(|place| causes.contains(&place))
        });
        Err(Problems { name: name.to_owned(), text: text.to_owned(), list: self.problems })
    }
}

/// Everything wrong with one file; never empty.
#[derive(Debug, Clone)]
pub struct Problems {
    name: String,
    text: String,
    list: Vec<Problem>,
}

impl Problems {
    /// One problem of a file.
    pub fn one(name: &str, text: &str, problem: Problem) -> Self {
        Self { name: name.to_owned(), text: text.to_owned(), list: vec![problem] }
    }

    /// How many there are.
    pub fn count(&self) -> usize {
        self.list.len()
    }

    /// The messages without places.
    pub fn messages(&self) -> impl Iterator<Item = &str> {
        self.list.iter().map(Problem::message)
    }
}

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, problem) in self.list.iter().enumerate() {
            let mut drawn = String::new();
            problem.draw(&self.name, &self.text, &mut drawn)?;
            write!(f, "{}{drawn}", if index > 0 { "\n" } else { "" })?;
        }
        Ok(())
    }
}

impl std::error::Error for Problems {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_problem_points_into_its_file_and_offers_a_way_out() {
        let text = "stages:\n  probe:\n    svm: { features: src_feats, c: 1.0 }\n";
        let mut found = Found::default();
        found.add(
            Problem::at(Place { line: 3, column: 22, width: 9 }, "no stage is called `src_feats`")
                .label("read here by `probe`")
                .or_else_one_of("src_feats", ["src_features", "probe"]),
        );
        let shown = found.into_result("pipelines/probe.yaml", text).unwrap_err().to_string();
        assert_eq!(
            shown,
            "error: no stage is called `src_feats`\n    pipelines/probe.yaml:3:22\n 3 |     svm: \
             { features: src_feats, c: 1.0 }\n   |                      ^^^^^^^^^ read here by \
             `probe`\n  help: did you mean `src_features`?\n"
        );
    }

    #[test]
    fn problems_are_told_once_and_in_the_order_of_the_file() {
        let at = |line| Problem::at(Place { line, column: 1, width: 1 }, format!("at {line}"));
        let mut found = Found::default();
        for problem in [at(3), at(1), at(3)] {
            found.add(problem);
        }
        let problems = found.into_result("f", "").unwrap_err();
        assert_eq!(problems.messages().collect::<Vec<_>>(), ["at 1", "at 3"]);
    }
}
