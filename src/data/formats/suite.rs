//! What must hold for every format.

use std::fs;
use std::path::{Path, PathBuf};

use crate::base::language::Read;
use crate::base::{Entry, Found, Located, Origin, Place, Target, Value, Written};

use super::super::dataset::Dataset;
use super::{Format, format_words};

fn written(value: Value) -> Written {
    Written { value, place: Place::default(), origin: Origin::File }
}

fn map(pairs: Vec<(&str, Value)>) -> Value {
    let entry = |(key, value): (&str, Value)| Entry {
        key: Located::new(key.to_owned(), Place::default()),
        value: written(value),
    };
    Value::Map(pairs.into_iter().map(entry).collect())
}

fn text(text: &str) -> Value {
    Value::Text(text.to_owned())
}

fn words(words: [&str; 2]) -> Value {
    Value::List(words.into_iter().map(|word| written(text(word))).collect())
}

/// Four items of two classes in each format, and the one file to damage.
fn fixture(word: &str, folder: &Path) -> (Format, PathBuf) {
    let (keys, damage) = match word {
        "image_folder" => {
            for (index, class) in ["cat", "cat", "dog", "dog"].into_iter().enumerate() {
                let path = folder.join(format!("set/{class}/{index}.png"));
                fs::create_dir_all(path.parent().unwrap()).unwrap();
                let shade = |x: u32, y: u32| image::Luma([(x * 20 + y + index as u32) as u8]);
                image::GrayImage::from_fn(8, 8, shade).save(path).unwrap();
            }
            (vec![("path", text("set"))], folder.join("set/cat/1.png"))
        }
        "manifest" => {
            for index in 0..4 {
                let path = folder.join(format!("images/{index}.png"));
                fs::create_dir_all(path.parent().unwrap()).unwrap();
                let shade = |x: u32, y: u32| image::Luma([(x * 20 + y + index) as u8]);
                image::GrayImage::from_fn(8, 8, shade).save(path).unwrap();
            }
            let rows = "path,label,sex\n0.png,cat,f\n1.png,cat,m\n2.png,dog,f\n3.png,dog,m\n";
            crate::base::atomic::write(&folder.join("set.csv"), rows.as_bytes()).unwrap();
            let keys = vec![("path", text("set.csv")), ("images", text("images"))];
            (keys, folder.join("images/1.png"))
        }
        "npz" => {
            let path = folder.join("set.npz");
            super::npz::write_small(&path);
            (vec![("path", text("set.npz")), ("classes", words(["cat", "dog"]))], path)
        }
        "idx" => {
            let path = folder.join("images.idx");
            let mut images = vec![0, 0, 8, 3, 0, 0, 0, 4, 0, 0, 0, 2, 0, 0, 0, 2];
            images.extend(0..16);
            crate::base::atomic::write(&path, &images).unwrap();
            let labels = [0, 0, 8, 1, 0, 0, 0, 4, 0, 0, 1, 1];
            crate::base::atomic::write(&folder.join("labels.idx"), &labels).unwrap();
            let classes = ("classes", words(["cat", "dog"]));
            (vec![("images", text("images.idx")), ("labels", text("labels.idx")), classes], path)
        }
        "csv" => {
            let path = folder.join("set.csv");
            let rows = "a,b,label\n1,2,cat\n3,4,cat\n5,6,dog\n7,8,dog\n";
            crate::base::atomic::write(&path, rows.as_bytes()).unwrap();
            (vec![("path", text("set.csv")), ("label", text("label"))], path)
        }
        other => panic!("the format `{other}` has no fixture"),
    };
    let format = written(map(vec![(word, map(keys))]));
    (Format::read(&format, &mut Found::default()).unwrap(), damage)
}

/// What to write, instead of one class, in formats that hold something else.
fn asked(word: &str, target: Target) -> Option<Vec<(&'static str, Value)>> {
    let list = |key| (key, words(["l1", "l2"]));
    let all = ("finding", text("all"));
    let path = |name| ("path", text(name));
    let keys = match (word, target) {
        ("manifest" | "csv", Target::Labels) => vec![path("set.csv"), list("labels"), all],
        ("manifest" | "csv", _) => vec![path("set.csv"), list("values")],
        ("npz", Target::Labels) => vec![path("columns.npz"), list("classes"), all],
        ("npz", _) => vec![path("columns.npz"), list("values")],
        _ => return None,
    };
    Some(keys)
}

/// Four items with two labels or numbers each, of which the first of item 2 is not known.
fn of_columns(word: &str, target: Target, folder: &Path) -> Option<Dataset> {
    fixture(word, folder);
    let keys = asked(word, target)?;
    let table = match word {
        "manifest" => {
            "path,l1,l2\nimages/0.png,1,0\nimages/1.png,0,1\nimages/2.png,,1\nimages/3.png,1,1\n"
        }
        _ => "a,l1,l2\n1,1,0\n3,0,1\n5,,1\n7,1,1\n",
    };
    match word {
        "npz" => super::npz::write_columns(&folder.join("columns.npz"), target == Target::Values),
        _ => crate::base::atomic::write(&folder.join("set.csv"), table.as_bytes()).unwrap(),
    }
    let format = written(map(vec![(word, map(keys))]));
    let format = Format::read(&format, &mut Found::default()).unwrap();
    Some(format.open(folder, None).unwrap())
}

#[test]
fn labels_and_numbers_are_found_and_what_is_not_known_stays_unknown() {
    let mut told = vec![];
    for word in format_words() {
        for target in [Target::Labels, Target::Values] {
            let folder = tempfile::tempdir().unwrap();
            let Some(dataset) = of_columns(word, target, folder.path()) else { continue };
            assert_eq!(dataset.target(), target);
            assert_eq!(dataset.names(), ["l1", "l2"]);
            assert!(dataset.classes().is_empty());
            let values: Vec<_> = dataset.items().iter().map(|item| item.values.clone()).collect();
            let known = |a: f64, b: f64| vec![Some(a), Some(b)];
            let expected =
                [known(1.0, 0.0), known(0.0, 1.0), vec![None, Some(1.0)], known(1.0, 1.0)];
            assert_eq!(values, expected, "{word}");
            read_all(&dataset).unwrap();
            told.push(*word);
        }
    }
    assert_eq!(told, ["manifest", "manifest", "npz", "npz", "csv", "csv"]);
}

#[test]
fn labels_and_numbers_are_part_of_the_fingerprint() {
    for word in ["manifest", "csv"] {
        let folder = tempfile::tempdir().unwrap();
        let print =
            |target| of_columns(word, target, folder.path()).unwrap().fingerprint().unwrap();
        let (labels, values) = (print(Target::Labels), print(Target::Values));
        assert_ne!(labels, values);
        assert_eq!(print(Target::Labels), labels);
    }
}

fn each(check: impl Fn(&Format, &Path, &Path)) {
    for word in format_words() {
        let folder = tempfile::tempdir().unwrap();
        let (format, damage) = fixture(word, folder.path());
        check(&format, folder.path(), &damage);
    }
}

fn read_all(dataset: &Dataset) -> Result<(), String> {
    (0..dataset.items().len())
        .try_for_each(|index| dataset.pixels(index).map(drop).map_err(|error| error.to_string()))
}

#[test]
fn labels_and_classes_are_found() {
    each(|format, beside, _| {
        let dataset = format.open(beside, None).unwrap();
        assert_eq!(dataset.classes(), ["cat", "dog"]);
        assert_eq!(dataset.labels(), [0, 0, 1, 1]);
        read_all(&dataset).unwrap();
    });
}

#[test]
fn the_same_content_has_the_same_fingerprint_wherever_it_lies() {
    for word in format_words() {
        let fingerprint = || {
            let folder = tempfile::tempdir().unwrap();
            let (format, _) = fixture(word, folder.path());
            format.open(folder.path(), None).unwrap().fingerprint().unwrap()
        };
        assert_eq!(fingerprint(), fingerprint());
    }
}

#[test]
fn changed_content_has_another_fingerprint() {
    each(|format, beside, damage| {
        let before = format.open(beside, None).unwrap().fingerprint().unwrap();
        let mut bytes = fs::read(damage).unwrap();
        let middle = bytes.len() / 2;
        // Stays a digit in text and a byte in an image.
        bytes[middle] = if bytes[middle] == b'5' { b'9' } else { b'5' };
        crate::base::atomic::write(damage, &bytes).unwrap();
        let after = format.open(beside, None).map(|dataset| dataset.fingerprint().unwrap());
        assert_ne!(after.ok(), Some(before));
    });
}

#[test]
fn a_truncated_file_is_an_error_that_names_it() {
    each(|format, beside, damage| {
        let bytes = fs::read(damage).unwrap();
        crate::base::atomic::write(damage, &bytes[..bytes.len() - 7]).unwrap();
        let told = match format.open(beside, None) {
            Err(error) => error.to_string(),
            Ok(dataset) => read_all(&dataset).unwrap_err(),
        };
        assert!(told.contains(damage.file_name().unwrap().to_str().unwrap()), "{told}");
    });
}
