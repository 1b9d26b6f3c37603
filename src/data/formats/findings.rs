//! Several labels an item: one of them made the task, or all of them.

use std::collections::BTreeSet;

use crate::base::language::{Word, choice, keys};
use crate::base::{Target, counted};

use super::super::dataset::{Item, OpenError};

keys! {
    /// Which of several labels is told apart.
    pub struct Task {
        /// Where items have several labels: the one that is told apart, as in `Effusion`, or `all`
        /// of them, each a question of its own. Of one, the classes are `no Effusion` and
        /// `Effusion`; the other labels become further columns.
        finding: Option<Word> = None,
        /// What −1 (uncertain) stands for in the column of the finding. If not said, an error for
        /// one finding; of `all`, such cells are `unknown`.
        uncertain: Option<Unsure> = None,
        /// What an empty cell stands for in the column of the finding. If not said, an error for
        /// one finding; of `all`, such cells are `unknown`.
        blank: Option<Unsure> = None,
    }
}

choice! {
    /// What a label that is neither 0 nor 1 stands for.
    pub enum Unsure {
        /// The item does not have it.
        "negative" => Negative,
        /// The item has it.
        "positive" => Positive,
        /// The item is left out.
        "drop" => Drop,
        /// Nobody knows: the cell is neither trained nor scored on. For `finding: all`.
        "unknown" => Unknown,
    }
}

/// The word for every finding, instead of the name of one.
const ALL: &str = "all";

/// Several labels an item.
pub(super) struct Findings {
    /// What they are called.
    pub(super) names: Vec<String>,
    /// Item by item, for each name 0, 1, −1 or nothing, as it is written.
    pub(super) cells: Vec<Vec<String>>,
}

/// What is to be told of each item.
#[derive(Default)]
pub(super) struct Chosen {
    pub(super) target: Target,
    /// Of classes, labels or numbers.
    pub(super) names: Vec<String>,
    /// The class of each item; empty if there are none.
    pub(super) labels: Vec<usize>,
    /// Labels or numbers of each item; empty if there are classes.
    pub(super) values: Vec<Vec<Option<f64>>>,
    /// Rows that are left out.
    pub(super) dropped: BTreeSet<usize>,
    pub(super) notes: Vec<String>,
    /// The labels that were not chosen.
    pub(super) columns: Vec<String>,
    /// Of each item.
    pub(super) cells: Vec<Vec<String>>,
}

/// What a cell says.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Sign {
    Absent,
    Present,
    Uncertain,
    Blank,
}

impl Sign {
    fn read(cell: &str) -> Option<Self> {
        let number: Option<f64> = cell.trim().parse().ok();
        match number {
            _ if cell.trim().is_empty() => Some(Self::Blank),
            Some(0.0) => Some(Self::Absent),
            Some(1.0) => Some(Self::Present),
            Some(-1.0) => Some(Self::Uncertain),
            Some(other) if other.is_nan() => Some(Self::Blank),
            _ => None,
        }
    }
}

impl Task {
    /// Refuses keys that mean nothing where items have one label, or numbers.
    pub(super) fn nothing_to_choose(&self, items_have: &str) -> Result<(), OpenError> {
        let named = [
            ("finding", self.finding.is_some()),
            ("uncertain", self.uncertain.is_some()),
            ("blank", self.blank.is_some()),
        ];
        match named.iter().find(|(_, is_said)| *is_said) {
            None => Ok(()),
            Some((key, _)) => {
                Err(OpenError::new(format!("`{key}` is said, but items have {items_have}"))
                    .help(format!("leave `{key}` out, or choose classes with `select`")))
            }
        }
    }

    /// Makes one label of several. `place` says where a row stands, for messages.
    pub(super) fn choose(
        &self,
        findings: Findings,
        place: impl Fn(usize) -> String,
    ) -> Result<Chosen, OpenError> {
        if self.finding.as_ref().is_some_and(|finding| finding.0 == ALL) {
            return self.all(findings, place);
        }
        let column = self.column(&findings)?;
        let name = findings.names[column].clone();
        let signs = findings.signs(column, &place)?;
        for (key, choice) in [("uncertain", &self.uncertain), ("blank", &self.blank)] {
            if *choice == Some(Unsure::Unknown) {
                let message =
                    format!("`{key}: unknown` is said, but `{name}` is all that is asked");
                return Err(OpenError::new(message)
                    .help(format!("write `{key}: drop`, or `finding: {ALL}`")));
            }
        }
        let (meant, notes) = self.meant(&name, &signs)?;
        let dropped = (0..meant.len()).filter(|&row| meant[row].is_none()).collect();
        let without = |mut cells: Vec<String>| {
            cells.remove(column);
            cells
        };
        Ok(Chosen {
            names: vec![format!("no {name}"), name],
            labels: meant.into_iter().map(Option::unwrap_or_default).collect(),
            dropped,
            notes,
            columns: without(findings.names),
            cells: findings.cells.into_iter().map(without).collect(),
            ..Chosen::default()
        })
    }

    /// Every finding, each a question of its own.
    fn all(
        &self,
        findings: Findings,
        place: impl Fn(usize) -> String,
    ) -> Result<Chosen, OpenError> {
        let rows = findings.cells.len();
        let mut values = vec![Vec::with_capacity(findings.names.len()); rows];
        let mut dropped = BTreeSet::new();
        let (mut uncertain, mut blank) = (0, 0);
        for column in 0..findings.names.len() {
            for (row, sign) in findings.signs(column, &place)?.into_iter().enumerate() {
                let (value, is_dropped) = match sign {
                    Sign::Absent => (Some(0.0), false),
                    Sign::Present => (Some(1.0), false),
                    Sign::Uncertain => {
                        uncertain += 1;
                        Unsure::cell(self.uncertain.as_ref())
                    }
                    Sign::Blank => {
                        blank += 1;
                        Unsure::cell(self.blank.as_ref())
                    }
                };
                values[row].push(value);
                if is_dropped {
                    dropped.insert(row);
                }
            }
        }
        let counts =
            [(uncertain, &self.uncertain, "−1 (uncertain)"), (blank, &self.blank, "empty")];
        let told = counts.into_iter().filter(|(count, ..)| *count > 0);
        let notes = told.map(|(count, choice, words)| {
            let fate = choice.as_ref().unwrap_or(&Unsure::Unknown).fate_of_cells();
            format!("{} {words}; {fate}", counted_are(count))
        });
        let notes = notes.collect();
        let chosen = Chosen {
            target: Target::Labels,
            names: findings.names,
            values,
            dropped,
            notes,
            ..Chosen::default()
        };
        chosen.without_strangers()
    }

    /// The column of the finding.
    fn column(&self, findings: &Findings) -> Result<usize, OpenError> {
        let message = match &self.finding {
            None => "items have several labels, and stages tell one apart".to_owned(),
            Some(finding) => {
                let column = findings.names.iter().position(|name| *name == finding.0);
                if let Some(column) = column {
                    return Ok(column);
                }
                format!("there is no finding `{finding}`")
            }
        };
        let present = |column: usize| {
            let is_present =
                |cells: &&Vec<String>| Sign::read(&cells[column]) == Some(Sign::Present);
            findings.cells.iter().filter(is_present).count()
        };
        let names = findings.names.iter().enumerate().take(MOST_LISTED);
        let mut listed: Vec<String> =
            names.map(|(column, name)| format!("`{name}` ({})", present(column))).collect();
        if findings.names.len() > MOST_LISTED {
            listed.push(format!("{} more", findings.names.len() - MOST_LISTED));
        }
        Err(OpenError::new(message).help(format!(
            "choose one with `finding`, or `finding: all`; there are, with how many items have them: \
             {}",
            listed.join(", ")
        )))
    }

    /// The label of each row, nothing for those left out, and notes on what was taken for granted.
    fn meant(
        &self,
        name: &str,
        signs: &[Sign],
    ) -> Result<(Vec<Option<usize>>, Vec<String>), OpenError> {
        let unclear = [
            (Sign::Uncertain, &self.uncertain, "uncertain", "−1 (uncertain)"),
            (Sign::Blank, &self.blank, "blank", "empty"),
        ];
        let (mut open, mut ways, mut notes) = (vec![], vec![], vec![]);
        for (sign, choice, key, words) in unclear {
            let count = signs.iter().filter(|found| **found == sign).count();
            match choice {
                _ if count == 0 => {}
                None => {
                    open.push(format!("{words} for {count} of {} items", signs.len()));
                    ways.push(format!("`{key}: negative`, `{key}: positive` or `{key}: drop`"));
                }
                Some(choice) => {
                    let fate = choice.fate();
                    notes.push(format!("`{name}` is {words} for {count} items; they {fate}"));
                }
            }
        }
        if !open.is_empty() {
            let help = format!("say what that means: {}", ways.join("; and "));
            return Err(OpenError::new(format!("`{name}` is {}", open.join(" and "))).help(help));
        }
        let label = |sign: &Sign| match sign {
            Sign::Absent => Some(0),
            Sign::Present => Some(1),
            Sign::Uncertain => self.uncertain.as_ref().and_then(Unsure::label),
            Sign::Blank => self.blank.as_ref().and_then(Unsure::label),
        };
        Ok((signs.iter().map(label).collect(), notes))
    }
}

impl Unsure {
    /// What becomes of items, in words.
    fn fate(&self) -> &'static str {
        match self {
            Self::Negative => "count as negative",
            Self::Positive => "count as positive",
            Self::Drop => "are left out",
            Self::Unknown => "are not known",
        }
    }

    /// What becomes of cells, in words.
    fn fate_of_cells(&self) -> &'static str {
        match self {
            Self::Drop => "items with such a cell are left out",
            Self::Unknown => "they are neither trained nor scored on",
            Self::Negative => "they count as negative",
            Self::Positive => "they count as positive",
        }
    }

    /// The value of a cell, and whether its item is left out.
    fn cell(choice: Option<&Self>) -> (Option<f64>, bool) {
        match choice {
            Some(Self::Negative) => (Some(0.0), false),
            Some(Self::Positive) => (Some(1.0), false),
            Some(Self::Drop) => (None, true),
            Some(Self::Unknown) | None => (None, false),
        }
    }

    /// The class of items; nothing if they are left out.
    fn label(&self) -> Option<usize> {
        match self {
            Self::Negative => Some(0),
            Self::Positive => Some(1),
            Self::Drop | Self::Unknown => None,
        }
    }
}

/// "1 cell is", "3 cells are".
fn counted_are(count: usize) -> String {
    format!("{} {}", counted(count, "cell"), if count == 1 { "is" } else { "are" })
}

const MOST_LISTED: usize = 30;

impl Chosen {
    /// Labels of which there is one an item already.
    pub(super) fn plain(names: Vec<String>, labels: Vec<usize>) -> Self {
        Self { names, labels, ..Self::default() }
    }

    /// Numbers to be predicted: a column for each name, empty where a number is not known. `place`
    /// says where a row stands, for messages.
    pub(super) fn numbers(
        names: Vec<String>,
        cells: Vec<Vec<String>>,
        place: impl Fn(usize) -> String,
    ) -> Result<Self, OpenError> {
        let mut values = Vec::with_capacity(cells.len());
        let mut blank = 0;
        for (row, cells) in cells.into_iter().enumerate() {
            let mut numbers = Vec::with_capacity(cells.len());
            for (name, cell) in names.iter().zip(cells) {
                let number = number(cell.trim()).map_err(|()| {
                    let message = format!("{}, column `{name}`: `{cell}` is no number", place(row));
                    OpenError::new(message)
                        .help("columns of `values` hold finite numbers, or nothing if not known")
                })?;
                blank += usize::from(number.is_none());
                numbers.push(number);
            }
            values.push(numbers);
        }
        let fate = Unsure::Unknown.fate_of_cells();
        let notes = (blank > 0).then(|| format!("{} empty; {fate}", counted_are(blank)));
        let notes = notes.into_iter().collect();
        Self { target: Target::Values, names, values, notes, ..Self::default() }.without_strangers()
    }

    /// Leaves out items of which nothing is known.
    fn without_strangers(mut self) -> Result<Self, OpenError> {
        let known = |cells: &Vec<Option<f64>>| cells.iter().any(Option::is_some);
        let strangers: BTreeSet<usize> = (0..self.values.len())
            .filter(|&row| !known(&self.values[row]) && !self.dropped.contains(&row))
            .collect();
        if !strangers.is_empty() {
            let items = counted(strangers.len(), "item");
            self.notes.push(format!("{items} of which nothing is known: left out"));
        }
        self.dropped.extend(strangers);
        if self.dropped.len() == self.values.len() {
            return Err(OpenError::new("nothing is known of any item")
                .help("name other columns, or say what empty and uncertain cells stand for"));
        }
        Ok(self)
    }

    /// An item with what is to be told of it.
    pub(super) fn item(&mut self, row: usize, id: String) -> Item {
        Item {
            id,
            label: self.labels.get(row).copied().unwrap_or_default(),
            values: self.values.get_mut(row).map(std::mem::take).unwrap_or_default(),
            group: None,
            part: None,
            row,
            cells: self.cells.get_mut(row).map(std::mem::take).unwrap_or_default(),
        }
    }
}

/// A number, or nothing for an empty cell and for `nan`.
fn number(cell: &str) -> Result<Option<f64>, ()> {
    if cell.is_empty() {
        return Ok(None);
    }
    match cell.parse::<f64>() {
        Ok(number) if number.is_nan() => Ok(None),
        Ok(number) if number.is_finite() => Ok(Some(number)),
        _ => Err(()),
    }
}

impl Findings {
    /// What a column says of each item.
    fn signs(
        &self,
        column: usize,
        place: &impl Fn(usize) -> String,
    ) -> Result<Vec<Sign>, OpenError> {
        let name = &self.names[column];
        let sign = |(row, cells): (usize, &Vec<String>)| {
            let cell = &cells[column];
            Sign::read(cell).ok_or_else(|| {
                let message =
                    format!("{}, column `{name}`: `{cell}` is neither 0 nor 1", place(row));
                OpenError::new(message).help("columns of `labels` hold 0, 1 or −1 (uncertain)")
            })
        };
        self.cells.iter().enumerate().map(sign).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn task(finding: Option<&str>, uncertain: Option<Unsure>, blank: Option<Unsure>) -> Task {
        Task { finding: finding.map(|name| Word(name.to_owned())), uncertain, blank }
    }

    fn chosen(task: &Task) -> Result<Chosen, OpenError> {
        let rows = [["1", "0"], ["0.0", "1"], ["-1", "0"], ["", "1.0"]];
        let cells = rows.iter().map(|row| row.map(str::to_owned).to_vec()).collect();
        let names = vec!["Edema".to_owned(), "Mass".to_owned()];
        task.choose(Findings { names, cells }, |row| format!("row {row}"))
    }

    #[test]
    fn one_finding_becomes_two_classes_and_the_others_stay() {
        let chosen = chosen(&task(Some("Mass"), None, None)).ok().unwrap();
        assert_eq!(chosen.names, ["no Mass", "Mass"]);
        assert_eq!(chosen.labels, [0, 1, 0, 1]);
        assert_eq!(chosen.columns, ["Edema"]);
        assert_eq!(chosen.cells.concat(), ["1", "0.0", "-1", ""]);
        assert!(chosen.dropped.is_empty() && chosen.notes.is_empty());
    }

    #[test]
    fn without_a_choice_the_findings_are_listed_with_counts() {
        let help = chosen(&task(None, None, None)).err().unwrap().help.unwrap();
        assert!(help.ends_with("`Edema` (1), `Mass` (2)"), "{help}");
    }

    #[test]
    fn all_findings_keep_what_is_not_known_unless_it_is_decided() {
        let all = chosen(&task(Some("all"), None, None)).ok().unwrap();
        assert_eq!(all.target, Target::Labels);
        assert_eq!(all.names, ["Edema", "Mass"]);
        let edema: Vec<Option<f64>> = all.values.iter().map(|row| row[0]).collect();
        assert_eq!(edema, [Some(1.0), Some(0.0), None, None]);
        assert_eq!(
            all.notes,
            [
                "1 cell is −1 (uncertain); they are neither trained nor scored on",
                "1 cell is empty; they are neither trained nor scored on"
            ]
        );
        let decided = task(Some("all"), Some(Unsure::Positive), Some(Unsure::Drop));
        let decided = chosen(&decided).ok().unwrap();
        assert_eq!(decided.values[2][0], Some(1.0));
        assert_eq!(decided.dropped, BTreeSet::from([3]));
        let one = chosen(&task(Some("Edema"), Some(Unsure::Unknown), None)).err().unwrap();
        assert_eq!(one.help.unwrap(), "write `uncertain: drop`, or `finding: all`");
    }

    #[test]
    fn numbers_may_be_missing_but_not_of_a_whole_item() {
        let cells = |cells: [&str; 4]| cells.map(|cell| vec![cell.to_owned()]).to_vec();
        let read = |all| Chosen::numbers(vec!["age".to_owned()], cells(all), |row| row.to_string());
        let some = read(["1.5", "", "-2e1", "nan"]).ok().unwrap();
        assert_eq!(some.values.concat(), [Some(1.5), None, Some(-20.0), None]);
        assert_eq!(some.dropped, BTreeSet::from([1, 3]));
        let refused = read(["1", "inf", "2", "3"]).err().unwrap();
        assert_eq!(refused.message, "1, column `age`: `inf` is no number");
        assert!(read([""; 4]).is_err());
    }

    #[test]
    fn uncertain_and_empty_cells_are_told_apart_and_decided_by_the_user() {
        let refused = chosen(&task(Some("Edema"), None, None)).err().unwrap();
        assert_eq!(
            refused.message,
            "`Edema` is −1 (uncertain) for 1 of 4 items and empty for 1 of 4 items"
        );
        let decided = task(Some("Edema"), Some(Unsure::Positive), Some(Unsure::Drop));
        let chosen = chosen(&decided).ok().unwrap();
        assert_eq!(chosen.labels[..3], [1, 0, 1]);
        assert_eq!(chosen.dropped, BTreeSet::from([3]));
        assert_eq!(chosen.notes.len(), 2);
    }
}
