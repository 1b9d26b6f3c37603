//! Amounts with units: bytes and large numbers.

use serde::{Serialize, Serializer};
use serde_json::{Value as Json, json};

use super::super::{Found, Value, Written};
use super::{Read, unexpected};

/// A number of bytes above 0; written `256 KiB`, `1.5 MB` or as a plain number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Bytes(pub u64);

/// A whole number above 0; written `12 M`, `1.5 G` or as a plain number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Amount(pub u64);

const BYTES: [(&str, u64); 7] = [
    ("GiB", 1 << 30),
    ("MiB", 1 << 20),
    ("KiB", 1 << 10),
    ("GB", 1_000_000_000),
    ("MB", 1_000_000),
    ("kB", 1_000),
    ("B", 1),
];

const AMOUNTS: [(&str, u64); 3] = [("G", 1_000_000_000), ("M", 1_000_000), ("k", 1_000)];

/// A number with one of these units behind it, or a plain one.
fn amount(written: &Written, units: &[(&str, u64)]) -> Option<u64> {
    let number = match &written.value {
        Value::Integer(value) => *value as f64,
        Value::Float(value) => *value,
        Value::Text(text) => {
            let (digits, factor) = units
                .iter()
                .find_map(|(unit, factor)| Some((text.strip_suffix(unit)?, *factor)))?;
            digits.trim().parse::<f64>().ok()? * factor as f64
        }
        _ => return None,
    };
    let rounded = number.round();
    // Beyond 2^53 not every whole number is one of these.
    (rounded >= 1.0 && rounded <= (1_u64 << 53) as f64).then_some(rounded as u64)
}

const OF_BYTES: &str = "a size, as in `256 KiB`, `1.5 MB` or a number of bytes";
const OF_AMOUNTS: &str = "a number above 0, as in `12 M` or `1.5 G`";

impl Read for Bytes {
    fn read(written: &Written, found: &mut Found) -> Option<Self> {
        let read = amount(written, &BYTES).map(Self);
        if read.is_none() {
            found.add(unexpected(written, OF_BYTES));
        }
        read
    }

    fn schema() -> Json {
        json!({ "title": OF_BYTES, "type": ["string", "number"] })
    }
}

impl Read for Amount {
    fn read(written: &Written, found: &mut Found) -> Option<Self> {
        let read = amount(written, &AMOUNTS).map(Self);
        if read.is_none() {
            found.add(unexpected(written, OF_AMOUNTS));
        }
        read
    }

    fn schema() -> Json {
        json!({ "title": OF_AMOUNTS, "type": ["string", "number"] })
    }
}

/// As it would be written: in the largest unit of a power of 1024 that divides it.
impl Serialize for Bytes {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let divides = |(_, factor): &&(&str, u64)| self.0.is_multiple_of(*factor);
        match BYTES[..3].iter().find(divides) {
            Some((unit, factor)) => {
                serializer.serialize_str(&format!("{} {unit}", self.0 / factor))
            }
            None => serializer.serialize_u64(self.0),
        }
    }
}

/// "1.25 MiB", "80.0 KiB", "512 bytes".
pub fn bytes(count: u64) -> String {
    match count {
        0..1_024 => format!("{count} bytes"),
        1_024..1_048_576 => format!("{:.1} KiB", count as f64 / 1_024.0),
        1_048_576..1_073_741_824 => format!("{:.2} MiB", count as f64 / 1_048_576.0),
        _ => format!("{:.2} GiB", count as f64 / 1_073_741_824.0),
    }
}

/// "1234", "12.3 k", "41.0 M", "1.8 G".
pub fn short(count: u64) -> String {
    let (value, unit) = match count {
        0..10_000 => return count.to_string(),
        10_000..1_000_000 => (count as f64 / 1e3, "k"),
        1_000_000..1_000_000_000 => (count as f64 / 1e6, "M"),
        _ => (count as f64 / 1e9, "G"),
    };
    format!("{value:.1} {unit}")
}

#[cfg(test)]
mod tests {
    use super::super::super::{Origin, Place};
    use super::*;

    fn read<T: Read>(value: Value) -> Option<T> {
        let written = Written { value, place: Place::default(), origin: Origin::File };
        T::read(&written, &mut Found::default())
    }

    fn text<T: Read>(text: &str) -> Option<T> {
        read(Value::Text(text.to_owned()))
    }

    #[test]
    fn sizes_have_units_of_1000_and_of_1024() {
        let found = ["1 MiB", "256KiB", "64 kB", "1.5 MB", "12 B"].map(text::<Bytes>);
        let expected = [1_048_576, 262_144, 64_000, 1_500_000, 12].map(|count| Some(Bytes(count)));
        assert_eq!(found, expected);
        assert_eq!(read(Value::Integer(4096)), Some(Bytes(4096)));
        for wrong in ["1 mib", "MiB", "-1 kB", "0 B", "much", "1 M"] {
            assert_eq!(text::<Bytes>(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn large_numbers_have_letters() {
        assert_eq!(text("12.5 M"), Some(Amount(12_500_000)));
        assert_eq!(text("2G"), Some(Amount(2_000_000_000)));
        assert_eq!(read(Value::Float(1e7)), Some(Amount(10_000_000)));
        assert_eq!(read::<Amount>(Value::Integer(0)), None);
        assert_eq!(text::<Amount>("12 MiB"), None);
    }

    #[test]
    fn sizes_are_told_as_they_would_be_written() {
        assert_eq!(
            json!([Bytes(1 << 20), Bytes(3 << 18), Bytes(1000)]),
            json!(["1 MiB", "768 KiB", 1000])
        );
        let told = [512, 81_920, 1_310_720].map(bytes);
        assert_eq!(told, ["512 bytes", "80.0 KiB", "1.25 MiB"]);
    }
}
