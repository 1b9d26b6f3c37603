//! A table column by column; the one file that names polars.

use std::io::Cursor;

use polars::prelude::{
    Column, CsvWriter, DataFrame, DataType, IntoSeries, ListChunked, NamedFrom, ParquetReader,
    ParquetWriter, SerReader as _, SerWriter, Series,
};

/// Values of a column.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Values {
    /// Text.
    Text(Vec<Option<String>>),
    /// Whole numbers.
    Whole(Vec<Option<i64>>),
    /// Numbers.
    Number(Vec<Option<f64>>),
    /// Yes or no.
    Flag(Vec<Option<bool>>),
    /// Lists of numbers.
    Numbers(Vec<Option<Vec<f64>>>),
    /// Lists of texts.
    Texts(Vec<Vec<String>>),
}

/// A table.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Table {
    columns: Vec<(String, Values)>,
}

impl Table {
    /// Adds a column of texts.
    pub(super) fn text<T: Into<String>>(
        mut self,
        name: &str,
        values: impl Iterator<Item = Option<T>>,
    ) -> Self {
        let values = values.map(|value| value.map(Into::into)).collect();
        self.columns.push((name.to_owned(), Values::Text(values)));
        self
    }

    /// Adds a column of whole numbers.
    pub(super) fn whole(mut self, name: &str, values: impl Iterator<Item = Option<i64>>) -> Self {
        self.columns.push((name.to_owned(), Values::Whole(values.collect())));
        self
    }

    /// Adds a column of numbers.
    pub(super) fn number(mut self, name: &str, values: impl Iterator<Item = Option<f64>>) -> Self {
        self.columns.push((name.to_owned(), Values::Number(values.collect())));
        self
    }

    /// Adds a column of flags.
    pub(super) fn flag(mut self, name: &str, values: impl Iterator<Item = Option<bool>>) -> Self {
        self.columns.push((name.to_owned(), Values::Flag(values.collect())));
        self
    }

    /// Adds a column of lists of numbers.
    pub(super) fn numbers(
        mut self,
        name: &str,
        values: impl Iterator<Item = Option<Vec<f64>>>,
    ) -> Self {
        self.columns.push((name.to_owned(), Values::Numbers(values.collect())));
        self
    }

    /// Adds a column of lists of texts.
    pub(super) fn texts(mut self, name: &str, values: impl Iterator<Item = Vec<String>>) -> Self {
        self.columns.push((name.to_owned(), Values::Texts(values.collect())));
        self
    }

    /// Adds the columns of another table with as many rows.
    pub(super) fn also(mut self, other: Self) -> Self {
        self.columns.extend(other.columns);
        self
    }

    /// This name for a column, or `data.` before it while the table has such a column already.
    pub(super) fn free_name(&self, name: &str) -> String {
        match self.columns.iter().any(|(known, _)| known == name) {
            true => self.free_name(&format!("data.{name}")),
            false => name.to_owned(),
        }
    }

    /// The table as the bytes of a Parquet and of a CSV file.
    pub(super) fn files(&self) -> Result<(Vec<u8>, Vec<u8>), String> {
        let told = |error: polars::prelude::PolarsError| error.to_string();
        let mut parquet = Vec::new();
        let mut frame = self.frame(Values::nested).map_err(told)?;
        ParquetWriter::new(&mut parquet).finish(&mut frame).map_err(told)?;
        let mut csv = Vec::new();
        let mut frame = self.frame(Values::flat).map_err(told)?;
        CsvWriter::new(&mut csv).finish(&mut frame).map_err(told)?;
        Ok((parquet, csv))
    }

    /// Reads the bytes of a Parquet file; lists are left out.
    pub(super) fn from_parquet(bytes: Vec<u8>) -> Result<Self, String> {
        let told = |error: polars::prelude::PolarsError| error.to_string();
        let frame = ParquetReader::new(Cursor::new(bytes)).finish().map_err(told)?;
        let mut table = Self::default();
        for column in frame.columns() {
            if let Some(values) = Values::of(column.as_materialized_series()).map_err(told)? {
                table.columns.push((column.name().to_string(), values));
            }
        }
        Ok(table)
    }

    /// The values of a column, if there is one of that name.
    pub(super) fn column(&self, name: &str) -> Option<&Values> {
        self.columns.iter().find(|(known, _)| known == name).map(|(_, values)| values)
    }

    fn frame(
        &self,
        series: fn(&Values, &str) -> Series,
    ) -> Result<DataFrame, polars::prelude::PolarsError> {
        let columns: Vec<Column> =
            self.columns.iter().map(|(name, values)| series(values, name).into()).collect();
        let height = columns.first().map_or(0, Column::len);
        DataFrame::new(height, columns)
    }
}

impl Values {
    /// The values of a series; none for types that are not read.
    fn of(series: &Series) -> Result<Option<Self>, polars::prelude::PolarsError> {
        Ok(Some(match series.dtype() {
            DataType::String => {
                Self::Text(series.str()?.iter().map(|value| value.map(str::to_owned)).collect())
            }
            DataType::Int64 => Self::Whole(series.i64()?.iter().collect()),
            DataType::Float64 => Self::Number(series.f64()?.iter().collect()),
            DataType::Boolean => Self::Flag(series.bool()?.iter().collect()),
            _ => return Ok(None),
        }))
    }

    fn nested(&self, name: &str) -> Series {
        let name: polars::prelude::PlSmallStr = name.into();
        match self {
            Self::Text(values) => Series::new(name, values),
            Self::Whole(values) => Series::new(name, values),
            Self::Number(values) => Series::new(name, values),
            Self::Flag(values) => Series::new(name, values),
            Self::Numbers(lists) => {
                let series = |list: &Option<Vec<f64>>| {
                    list.as_ref().map(|list| Series::new("".into(), list))
                };
                let mut chunked: ListChunked = lists.iter().map(series).collect();
                chunked.rename(name);
                chunked.into_series()
            }
            Self::Texts(lists) => {
                let series = |list: &Vec<String>| Some(Series::new("".into(), list));
                let mut chunked: ListChunked = lists.iter().map(series).collect();
                chunked.rename(name);
                chunked.into_series()
            }
        }
    }

    /// Lists as text, values joined by a semicolon: CSV has no lists.
    fn flat(&self, name: &str) -> Series {
        match self {
            Self::Numbers(lists) => {
                let joined = |list: &Option<Vec<f64>>| {
                    let texts = list.as_ref()?.iter().map(ToString::to_string);
                    Some(texts.collect::<Vec<_>>().join(";"))
                };
                Self::Text(lists.iter().map(joined).collect()).nested(name)
            }
            Self::Texts(lists) => {
                Self::Text(lists.iter().map(|list| Some(list.join(";"))).collect()).nested(name)
            }
            other => other.nested(name),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_is_written_as_parquet_and_csv() {
        let table = Table::default()
            .text("stage", [Some("probe"), None].into_iter())
            .whole("seed", [Some(1), None].into_iter())
            .number("value", [Some(0.5), None].into_iter())
            .flag("correct", [Some(true), None].into_iter())
            .numbers("probabilities", [Some(vec![0.25, 0.75]), None].into_iter())
            .texts("flags", [vec!["a".to_owned(), "b".to_owned()], vec![]].into_iter());
        let (parquet, csv) = table.files().unwrap();
        assert_eq!(&parquet[..4], b"PAR1");
        let csv = String::from_utf8(csv).unwrap();
        let lines: Vec<&str> = csv.lines().collect();
        // What is missing is left out; a list without values is a text without letters.
        assert_eq!(
            lines,
            [
                "stage,seed,value,correct,probabilities,flags",
                "probe,1,0.5,true,0.25;0.75,a;b",
                ",,,,,\"\"",
            ]
        );
    }

    #[test]
    fn a_table_without_rows_keeps_its_columns() {
        let table = Table::default().text::<String>("stage", std::iter::empty());
        assert_eq!(table.files().unwrap().1, b"stage\n");
    }
}
