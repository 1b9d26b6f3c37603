//! Tables of a run read back from its folder: as Parquet, or as CSV where that is all there is.

use std::fs;
use std::io;
use std::path::Path;

use super::TableError;
use super::frame::{Table, Values};

/// Reads a table of a run; nothing if the run has none of that name.
pub(super) fn read(folder: &Path, name: &str) -> Result<Option<Table>, TableError> {
    let parquet = folder.join(format!("{name}.parquet"));
    let csv = folder.join(format!("{name}.csv"));
    let broken = |path: &Path, cause: String| TableError::Read { path: path.to_owned(), cause };
    if let Some(bytes) = bytes_of(&parquet).map_err(|error| broken(&parquet, error.to_string()))? {
        return Table::from_parquet(bytes).map(Some).map_err(|cause| broken(&parquet, cause));
    }
    if let Some(bytes) = bytes_of(&csv).map_err(|error| broken(&csv, error.to_string()))? {
        return from_csv(&bytes).map(Some).map_err(|error| broken(&csv, error.to_string()));
    }
    Ok(None)
}

fn bytes_of(path: &Path) -> io::Result<Option<Vec<u8>>> {
    match fs::read(path) {
        Ok(bytes) => Ok(Some(bytes)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// Every column as text; an empty cell is missing.
fn from_csv(bytes: &[u8]) -> csv::Result<Table> {
    let mut reader = csv::Reader::from_reader(bytes);
    let names: Vec<String> = reader.headers()?.iter().map(str::to_owned).collect();
    let mut columns: Vec<Vec<Option<String>>> = vec![vec![]; names.len()];
    for row in reader.records() {
        let row = row?;
        for (column, cell) in columns.iter_mut().zip(&row) {
            column.push((!cell.is_empty()).then(|| cell.to_owned()));
        }
    }
    let table = names.iter().zip(columns);
    Ok(table.fold(Table::default(), |table, (name, column)| table.text(name, column.into_iter())))
}

impl Table {
    /// A column as texts; none if there is no such column.
    pub(super) fn texts_of(&self, name: &str) -> Option<Vec<Option<String>>> {
        Some(match self.column(name)? {
            Values::Text(values) => values.clone(),
            Values::Whole(values) => values.iter().map(|v| v.map(|v| v.to_string())).collect(),
            Values::Number(values) => values.iter().map(|v| v.map(|v| v.to_string())).collect(),
            _ => return None,
        })
    }

    /// A column as whole numbers.
    pub(super) fn wholes_of(&self, name: &str) -> Option<Vec<Option<i64>>> {
        Some(match self.column(name)? {
            Values::Whole(values) => values.clone(),
            Values::Text(values) => values.iter().map(|v| v.as_ref()?.parse().ok()).collect(),
            _ => return None,
        })
    }

    /// A column as numbers.
    pub(super) fn numbers_of(&self, name: &str) -> Option<Vec<Option<f64>>> {
        Some(match self.column(name)? {
            Values::Number(values) => values.clone(),
            Values::Whole(values) => values.iter().map(|v| v.map(|v| v as f64)).collect(),
            Values::Text(values) => values.iter().map(|v| v.as_ref()?.parse().ok()).collect(),
            _ => return None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[expect(clippy::float_cmp, reason = "numbers are written with all their digits")]
    fn what_was_written_is_read_back_from_either_form() {
        let folder = tempfile::tempdir().unwrap();
        let table = Table::default()
            .text("stage", [Some("probe"), None].into_iter())
            .whole("seed", [Some(1), None].into_iter())
            .number("value", [Some(0.1 + 0.2), None].into_iter())
            .numbers("probabilities", [Some(vec![0.25, 0.75]), None].into_iter());
        let (parquet, csv) = table.files().unwrap();
        for (name, bytes) in [("t.parquet", parquet), ("t.csv", csv)] {
            let path = folder.path().join(name);
            crate::base::atomic::write(&path, &bytes).unwrap();
            let read = read(folder.path(), "t").unwrap().unwrap();
            assert_eq!(read.texts_of("stage").unwrap(), [Some("probe".to_owned()), None]);
            assert_eq!(read.wholes_of("seed").unwrap(), [Some(1), None]);
            assert_eq!(read.numbers_of("value").unwrap()[0].unwrap(), 0.1 + 0.2);
            assert_eq!(read.numbers_of("other"), None);
            fs::remove_file(path).unwrap();
        }
        assert!(read(folder.path(), "t").unwrap().is_none());
    }

    #[test]
    fn a_damaged_table_is_told_with_its_path() {
        let folder = tempfile::tempdir().unwrap();
        crate::base::atomic::write(&folder.path().join("t.parquet"), b"PAR1").unwrap();
        let error = read(folder.path(), "t").unwrap_err();
        assert!(error.to_string().contains("t.parquet"), "{error}");
    }
}
