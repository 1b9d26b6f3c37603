//! A table of images: where each lies, its label, and whatever else is known of it.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use ::csv::{ReaderBuilder, StringRecord};

use crate::base::language::{FilePath, OneOrMore, Pattern, Word, keys};

use crate::base::Target;

use super::super::dataset::{Dataset, OpenError, sort_classes};
use super::super::split::{Given, Part};
use super::findings::{Chosen, Findings, Task};
use super::gzip;
use super::images::{Images, group};

keys! {
    /// A table of JPEG and PNG images.
    pub struct Manifest {
        /// The table; gzipped if its name ends in `.gz`.
        path: FilePath,
        /// The folder that paths in the table are relative to; the table's own if not said.
        images: Option<FilePath> = None,
        /// The column with the path of the image.
        image: Word = Word("path".to_owned()),
        /// The column with the class; `label` if neither it nor `labels` is said.
        label: Option<Word> = None,
        /// What stands between several labels in the column `label`: `;` for `Edema;Effusion`.
        separator: Option<Word> = None,
        /// The word in the column `label` that says that an item has none of the labels, where there
        /// may be several: `No Finding`.
        none: Option<Word> = None,
        /// Columns of 0 and 1, one for each of several labels, in place of `label`.
        labels: Option<OneOrMore<Word>> = None,
        /// Columns of numbers to be predicted, in place of `label`; empty where one is not known.
        values: Option<OneOrMore<Word>> = None,
        /// The column with the group (a person, say).
        group: Option<Word> = None,
        /// Finds the group in an image's path instead: the part named `group`, as in
        /// `(?<group>patient\d+)/`. Images whose path does not match are an error.
        group_pattern: Option<Pattern> = None;
        .. task: Task
    }
}

impl Manifest {
    /// Reads the table; looks whether each image is there, but reads none.
    pub fn open(&self, beside: &Path, given: Option<&Given>) -> Result<Dataset, OpenError> {
        let part = match given {
            None => None,
            Some(Given::Column(column)) => Some(column),
            Some(given) => return Err(given.refused("a table of images", "{ column: NAME }")),
        };
        self.contradiction()?;
        let table = Table::read(self.path.resolve(beside))?;
        let folder = match &self.images {
            Some(folder) => folder.resolve(beside),
            None => match table.path.parent() {
                Some(beside) if beside != Path::new("") => beside.to_owned(),
                _ => PathBuf::from("."),
            },
        };
        let image = table.column(&self.image)?;
        let part = part.map(|column| table.column(column)).transpose()?;
        let group = self.group.as_ref().map(|column| table.column(column)).transpose()?;
        let ids = table.ids(image, &folder)?;
        let (mut labels, mut named) = self.labels(&table)?;
        named.extend([Some(image), part, group].into_iter().flatten());
        let further: Vec<usize> =
            (0..table.header.len()).filter(|column| !named.contains(column)).collect();
        let mut items = Vec::with_capacity(ids.len());
        for (row, id) in ids.iter().enumerate() {
            let mut item = labels.item(row, id.clone());
            item.group = self.group(&table, row, group, id)?;
            item.part = part.map(|column| table.part(row, column)).transpose()?;
            item.cells = table.cells(row, &further, item.cells);
            items.push(item);
        }
        let name = |&column: &usize| table.header[column].clone();
        let columns = further.iter().map(name).chain(labels.columns).collect();
        let paths = present(&table, &folder, &ids)?;
        let dataset = Dataset::new(labels.names, items, Box::new(Images::new(paths)));
        let dataset = dataset.with_target(labels.target);
        Ok(dataset.with_columns(columns).with_notes(labels.notes).without(&labels.dropped))
    }

    /// Refuses keys that say the same thing twice.
    fn contradiction(&self) -> Result<(), OpenError> {
        let both = |one: &str, other: &str| {
            Err(OpenError::new(format!("both `{one}` and `{other}` are said"))
                .help(format!("leave out `{one}` or `{other}`")))
        };
        match self {
            Self { labels: Some(_), label: Some(_), .. } => both("label", "labels"),
            Self { labels: Some(_), separator: Some(_), .. } => both("separator", "labels"),
            Self { values: Some(_), label: Some(_), .. } => both("label", "values"),
            Self { values: Some(_), labels: Some(_), .. } => both("labels", "values"),
            Self { values: Some(_), separator: Some(_), .. } => both("separator", "values"),
            Self { none: Some(none), separator: None, .. } => {
                Err(OpenError::new(format!("`none: {none}` is said, but no `separator`"))
                    .help("say what stands between several labels with `separator`"))
            }
            Self { group: Some(_), group_pattern: Some(_), .. } => both("group", "group_pattern"),
            _ => Ok(()),
        }
    }

    /// The label of each row, and the columns that say it.
    fn labels(&self, table: &Table) -> Result<(Chosen, Vec<usize>), OpenError> {
        if let Some(values) = &self.values {
            self.task.nothing_to_choose(Target::Values.told())?;
            let (columns, Findings { names, cells }) = table.columns(values)?;
            return Ok((Chosen::numbers(names, cells, |row| table.line(row))?, columns));
        }
        if let Some(labels) = &self.labels {
            let (columns, findings) = table.columns(labels)?;
            return Ok((self.task.choose(findings, |row| table.line(row))?, columns));
        }
        let column = match &self.label {
            Some(label) => table.column(label)?,
            None => table.column(&Word("label".to_owned()))?,
        };
        for row in 0..table.rows.len() {
            if table.cell(row, column).is_empty() {
                let place = table.place(row, column);
                return Err(OpenError::new(format!("{place}: the label is empty"))
                    .help("give each image a label, or remove its line"));
            }
        }
        let chosen = match &self.separator {
            Some(separator) => {
                let findings = table.findings(column, &separator.0, self.none.as_ref())?;
                self.task.choose(findings, |row| table.line(row))?
            }
            None => {
                self.task.nothing_to_choose("one label each")?;
                table.classes(column)
            }
        };
        Ok((chosen, vec![column]))
    }

    fn group(
        &self,
        table: &Table,
        row: usize,
        column: Option<usize>,
        id: &str,
    ) -> Result<Option<String>, OpenError> {
        if let Some(pattern) = &self.group_pattern {
            return group(pattern, id, id).map(Some);
        }
        let Some(column) = column else { return Ok(None) };
        match table.cell(row, column) {
            "" => {
                let place = table.place(row, column);
                Err(OpenError::new(format!("{place}: the group is empty"))
                    .help("give images that belong to nobody else a group of their own"))
            }
            group => Ok(Some(group.to_owned())),
        }
    }
}

/// The table as it is written.
struct Table {
    path: PathBuf,
    header: Vec<String>,
    /// Each with its line.
    rows: Vec<(u64, StringRecord)>,
}

impl Table {
    fn read(path: PathBuf) -> Result<Self, OpenError> {
        let text = gzip::text(&path).map_err(|cause| {
            OpenError::new(format!("read {}: {cause}", path.display())).help(FilePath::HELP)
        })?;
        let mut reader = ReaderBuilder::new().from_reader(text.as_bytes());
        let broken = |error: ::csv::Error| {
            OpenError::new(format!("{} is no table: {error}", path.display()))
        };
        let header: Vec<String> =
            reader.headers().map_err(broken)?.iter().map(|name| name.trim().to_owned()).collect();
        let mut rows = Vec::new();
        for record in reader.records() {
            let record = record.map_err(broken)?;
            rows.push((record.position().map_or(0, ::csv::Position::line), record));
        }
        if rows.is_empty() {
            return Err(OpenError::new(format!("{} has no rows", path.display())));
        }
        let mut once = BTreeSet::new();
        match header.iter().find(|name| !once.insert(name.as_str())) {
            Some(twice) => {
                let message = format!("{} has two columns `{twice}`", path.display());
                Err(OpenError::new(message).help("rename one of them"))
            }
            None => Ok(Self { path, header, rows }),
        }
    }

    fn column(&self, name: &Word) -> Result<usize, OpenError> {
        let found = self.header.iter().position(|known| *known == name.0);
        found.ok_or_else(|| {
            let known: Vec<String> =
                self.header.iter().take(40).map(|name| format!("`{name}`")).collect();
            OpenError::new(format!("{} has no column `{name}`", self.path.display()))
                .help(format!("the columns are {}", known.join(", ")))
        })
    }

    fn cell(&self, row: usize, column: usize) -> &str {
        self.rows[row].1[column].trim()
    }

    /// What these columns say of a row, and its findings that were not chosen.
    fn cells(&self, row: usize, columns: &[usize], findings: Vec<String>) -> Vec<String> {
        columns.iter().map(|&column| self.cell(row, column).to_owned()).chain(findings).collect()
    }

    /// Columns by name, and what they say.
    fn columns(&self, names: &OneOrMore<Word>) -> Result<(Vec<usize>, Findings), OpenError> {
        let columns: Vec<usize> =
            names.0.iter().map(|name| self.column(name)).collect::<Result<_, _>>()?;
        let row = |row| columns.iter().map(|&column| self.cell(row, column).to_owned()).collect();
        let cells = (0..self.rows.len()).map(row).collect();
        let names = columns.iter().map(|&column| self.header[column].clone()).collect();
        Ok((columns, Findings { names, cells }))
    }

    fn line(&self, row: usize) -> String {
        format!("{}:{}", self.path.display(), self.rows[row].0)
    }

    fn place(&self, row: usize, column: usize) -> String {
        format!("{}, column `{}`", self.line(row), self.header[column])
    }

    /// The path of each image below the folder; refused if one stands there twice.
    fn ids(&self, column: usize, folder: &Path) -> Result<Vec<String>, OpenError> {
        let mut lines: BTreeMap<String, u64> = BTreeMap::new();
        let mut ids = Vec::with_capacity(self.rows.len());
        let absolute = std::path::absolute(folder).unwrap_or_else(|_| folder.to_owned());
        for row in 0..self.rows.len() {
            let place = self.place(row, column);
            let written = self.cell(row, column).replace('\\', "/");
            if written.is_empty() {
                return Err(OpenError::new(format!("{place}: the path is empty"))
                    .help("give each line an image, or remove it"));
            }
            let path = Path::new(&written);
            let inside = path.strip_prefix(&absolute).unwrap_or(path);
            if inside.is_absolute() {
                return Err(OpenError::new(format!(
                    "{place}: `{written}` lies outside the folder"
                ))
                .help("name the folder that all images lie in as `images`"));
            }
            // `./a.png` and `a.png` are one image.
            let names: Vec<_> = inside.components().map(std::path::Component::as_os_str).collect();
            let names = names.iter().map(|name| name.to_string_lossy()).filter(|name| name != ".");
            let id = names.collect::<Vec<_>>().join("/");
            if let Some(before) = lines.insert(id.clone(), self.rows[row].0) {
                let message = format!("{place}: `{id}` stands in line {before} already");
                return Err(OpenError::new(message).help(
                    "each image stands in one line; several labels are read with `separator`",
                ));
            }
            ids.push(id);
        }
        Ok(ids)
    }

    fn part(&self, row: usize, column: usize) -> Result<Part, OpenError> {
        let word = self.cell(row, column);
        Part::from_word(word).ok_or_else(|| {
            let place = self.place(row, column);
            OpenError::new(format!("{place}: `{word}` is not `train`, `val` or `test`"))
                .help("say of each image where it belongs, or draw the split")
        })
    }

    /// One label an item.
    fn classes(&self, column: usize) -> Chosen {
        let cells = || (0..self.rows.len()).map(|row| self.cell(row, column));
        let unique: BTreeSet<&str> = cells().collect();
        let classes = sort_classes(unique.into_iter().map(str::to_owned));
        let numbers: BTreeMap<&str, usize> =
            classes.iter().enumerate().map(|(number, class)| (class.as_str(), number)).collect();
        let labels = cells().map(|cell| numbers[cell]).collect();
        Chosen::plain(classes, labels)
    }

    /// Several labels an item, with this between them; `none` is no label.
    fn findings(
        &self,
        column: usize,
        separator: &str,
        none: Option<&Word>,
    ) -> Result<Findings, OpenError> {
        let mut of_rows: Vec<BTreeSet<&str>> = Vec::with_capacity(self.rows.len());
        for row in 0..self.rows.len() {
            let pieces = self.cell(row, column).split(separator).map(str::trim);
            let found: BTreeSet<&str> = pieces.filter(|piece| !piece.is_empty()).collect();
            if found.is_empty() {
                let place = self.place(row, column);
                return Err(OpenError::new(format!("{place}: the label is empty")));
            }
            let is_label = |word: &&str| none.is_none_or(|none| none.0 != *word);
            of_rows.push(found.into_iter().filter(is_label).collect());
        }
        let names: BTreeSet<&str> = of_rows.iter().flatten().copied().collect();
        let cells = of_rows.iter().map(|found| {
            let cell = |name: &&str| if found.contains(name) { "1" } else { "0" }.to_owned();
            names.iter().map(cell).collect()
        });
        let cells = cells.collect();
        Ok(Findings { names: names.into_iter().map(str::to_owned).collect(), cells })
    }
}

/// Where each image lies; those that are not there are told at once.
fn present(table: &Table, folder: &Path, ids: &[String]) -> Result<Vec<PathBuf>, OpenError> {
    let paths: Vec<PathBuf> = ids.iter().map(|id| folder.join(id)).collect();
    let missing: Vec<usize> = (0..paths.len()).filter(|&row| !paths[row].is_file()).collect();
    if missing.is_empty() {
        return Ok(paths);
    }
    let some = missing.iter().take(MOST_LISTED);
    let mut listed: Vec<String> =
        some.map(|&row| format!("`{}` (line {})", ids[row], table.rows[row].0)).collect();
    if missing.len() > MOST_LISTED {
        listed.push("…".to_owned());
    }
    Err(OpenError::new(format!(
        "{} of {} images of {} are not there: {}",
        missing.len(),
        paths.len(),
        table.path.display(),
        listed.join(", ")
    ))
    .help(format!(
        "they are looked for below {}; name another folder with `images`, or remove the lines",
        folder.display()
    )))
}

const MOST_LISTED: usize = 5;
