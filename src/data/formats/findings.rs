//! Several labels an item, of which one is made the task.

use std::collections::BTreeSet;

use crate::base::language::{Word, choice, keys};

use super::super::dataset::OpenError;

keys! {
    /// Which of several labels is told apart.
    pub struct Task {
        /// Where items have several labels: the one that is told apart, as in `Effusion`. The
        /// classes are `no Effusion` and `Effusion`; the other labels become further columns.
        finding: Option<Word> = None,
        /// What −1 (uncertain) stands for in the column of the finding; an error if not said.
        uncertain: Option<Unsure> = None,
        /// What an empty cell stands for in the column of the finding; an error if not said.
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
    }
}

/// Several labels an item.
pub(super) struct Findings {
    /// What they are called.
    pub(super) names: Vec<String>,
    /// Item by item, for each name 0, 1, −1 or nothing, as it is written.
    pub(super) cells: Vec<Vec<String>>,
}

/// One label an item, made from several.
pub(super) struct Chosen {
    pub(super) classes: Vec<String>,
    pub(super) labels: Vec<usize>,
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
    /// Refuses keys that mean nothing where items have one label.
    pub(super) fn nothing_to_choose(&self) -> Result<(), OpenError> {
        let named = [
            ("finding", self.finding.is_some()),
            ("uncertain", self.uncertain.is_some()),
            ("blank", self.blank.is_some()),
        ];
        match named.iter().find(|(_, is_said)| *is_said) {
            None => Ok(()),
            Some((key, _)) => {
                Err(OpenError::new(format!("`{key}` is said, but items have one label each"))
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
        let column = self.column(&findings)?;
        let name = findings.names[column].clone();
        let mut signs = Vec::with_capacity(findings.cells.len());
        for (row, cells) in findings.cells.iter().enumerate() {
            let cell = &cells[column];
            signs.push(Sign::read(cell).ok_or_else(|| {
                let message =
                    format!("{}, column `{name}`: `{cell}` is neither 0 nor 1", place(row));
                OpenError::new(message).help("columns of `labels` hold 0, 1 or −1 (uncertain)")
            })?);
        }
        let (meant, notes) = self.meant(&name, &signs)?;
        let dropped = (0..meant.len()).filter(|&row| meant[row].is_none()).collect();
        let without = |mut cells: Vec<String>| {
            cells.remove(column);
            cells
        };
        Ok(Chosen {
            classes: vec![format!("no {name}"), name],
            labels: meant.into_iter().map(Option::unwrap_or_default).collect(),
            dropped,
            notes,
            columns: without(findings.names),
            cells: findings.cells.into_iter().map(without).collect(),
        })
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
            "choose one with `finding`; there are, with how many items have them: {}",
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
        }
    }

    /// The class of items; nothing if they are left out.
    fn label(&self) -> Option<usize> {
        match self {
            Self::Negative => Some(0),
            Self::Positive => Some(1),
            Self::Drop => None,
        }
    }
}

const MOST_LISTED: usize = 30;

impl Chosen {
    /// Labels of which there is one an item already.
    pub(super) fn plain(classes: Vec<String>, labels: Vec<usize>) -> Self {
        let (dropped, notes, columns, cells) = Default::default();
        Self { classes, labels, dropped, notes, columns, cells }
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
        assert_eq!(chosen.classes, ["no Mass", "Mass"]);
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
