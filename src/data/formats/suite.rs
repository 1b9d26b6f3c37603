//! What must hold for every format.

use std::fs;
use std::path::{Path, PathBuf};

use crate::base::language::Read;
use crate::base::{Entry, Found, Located, Origin, Place, Value, Written};

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
