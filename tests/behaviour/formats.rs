//! The formats that people have: what is read of them, and what is said of wrong ones.

use std::io::Cursor;
use std::path::Path;

use insta::assert_snapshot;
use ndarray::{Array3, Array4, ArrayD, IxDyn, array};
use ndarray_npy::{NpzWriter, WritableElement};

use crate::harness::{Study, Told, material, rows};

/// A study of one data set, given as what stands under its name.
pub(crate) fn study(dataset: &str) -> Study {
    Study::new(&format!(
        "name: study\nseeds: 1\ndatasets:\n  data:\n{dataset}\nstages:\n  floor:\n    majority: {{ \
         dataset: data }}\n  scores:\n    evaluate: {{ of: [floor], metrics: [accuracy] }}\n"
    ))
}

/// What `check` says of real data; its path stands in no message.
fn check_of(format: &str, path: &Path, more: &str) -> Told {
    let dataset = format!("    {format}: {{ path: {} }}\n    {more}", path.display());
    study(&dataset).check()
}

#[test]
fn the_parts_of_a_real_archive_are_used_as_given() {
    let Some(material) = material() else { return };
    let path = material.join("pneumoniamnist/pneumoniamnist_reconstructed.npz");
    assert_snapshot!(check_of("npz", &path, "split: { given: parts }").facts(), @"
      data: 5856 items (0 1583, 1 4273); train 4708, val 524, test 624
    note: data: 29 pairs of copies on one side of the test part; see the table `leaks`
    ");
}

#[test]
fn an_archive_without_val_has_one_drawn_from_train() {
    let Some(material) = material() else { return };
    let path = material.join("usps/usps.npz");
    assert_snapshot!(check_of("npz", &path, "split: { given: parts }").facts(), @"
      data: 9298 items (0 1553, 1 1269, 2 929, 3 824, 4 852, 5 716, 6 834, 7 792, 8 708, 9 821); train 6197, val 1094, test 2007
    note: data: val was drawn: 15 % of the training items
    note: data: 22 pairs of copies on one side of the test part; see the table `leaks`
    ");
    // Without its own split all arrays are one pool, of which any part can be taken.
    let drawn = "select: { classes: 3..=4, rows: 0..9000 }\n    split: { test: 0.25 }";
    assert_snapshot!(check_of("npz", &path, drawn).facts(), @"
      data: 1635 items (3 804, 4 831); train 1042, val 184, test 409
    note: data: val was drawn: 15 % of the training items
    ");
}

#[test]
fn the_parts_of_real_idx_folders_are_used_as_given() {
    let Some(material) = material() else { return };
    let given = "split: { given: parts }";
    assert_snapshot!(check_of("idx", &material.join("mnist"), given).facts(), @"
      data: 70000 items (0 6903, 1 7877, 2 6990, 3 7141, 4 6824, 5 6313, 6 6876, 7 7293, 8 6825, 9 6958); train 51000, val 9000, test 10000
    note: data: val was drawn: 15 % of the training items
    note: data: 36 pairs of copies on one side of the test part; see the table `leaks`
    ");
    let some = "select: { classes: [0, 9], rows: 50000..70000 }\n    split: { given: parts }";
    assert_snapshot!(check_of("idx", &material.join("fashion_mnist"), some).facts(), @"
      data: 4044 items (0 2023, 9 2021); train 1737, val 307, test 2000
    note: data: val was drawn: 15 % of the training items
    note: data: 1 pair of copies on one side of the test part; see the table `leaks`
    ");
}

#[test]
fn a_real_idx_file_gives_named_classes_and_rows_by_number() {
    let Some(material) = material() else { return };
    let files = material.join("fashion_mnist");
    let dataset = format!(
        "    idx:\n      images: {0}/t10k-images-idx3-ubyte.gz\n      labels: \
         {0}/t10k-labels-idx1-ubyte.gz\n      classes: [top, trouser, pullover, dress, coat, \
         sandal, shirt, sneaker, bag, boot]\n    select: {{ classes: [shirt, top] }}\n    split: \
         {{ test: 0.5 }}",
        files.display()
    );
    assert_snapshot!(study(&dataset).check().facts(), @"
      data: 2000 items (top 1000, shirt 1000); train 850, val 150, test 1000
    note: data: val was drawn: 15 % of the training items
    ");
}

/// The chest radiographs, whose persons stand on several sides of their given split.
fn radiographs(material: &Path, more: &str) -> Study {
    let pattern = r"(?<group>person\d+|(NORMAL2-)?IM-\d+)";
    let path = material.join("chest_xray_224");
    let path = path.display();
    study(&format!(
        "    image_folder: {{ path: {path}, group: '{pattern}' }}\n    split: {{ given: \
         folders{more} }}"
    ))
}

#[test]
fn persons_of_real_radiographs_that_are_tested_too_are_refused() {
    let Some(material) = material() else { return };
    let told = radiographs(&material, "").check();
    assert_eq!(told.code, Some(2), "{told}");
    assert_snapshot!(told.problems(), @"
    error: data set `data`: 170 groups stand both in test and in train or val (person1, person10, person100, …): what is learnt of them would be tested on them
      help: write `on_group_cross: drop_from_train` to drop their training items, or draw the split
    ");
}

#[test]
fn persons_of_real_radiographs_can_be_dropped_from_training_so_that_none_stands_on_two_sides() {
    let Some(material) = material() else { return };
    let study = radiographs(&material, ", on_group_cross: drop_from_train");
    study.replace(
        "evaluate: { of: [floor], metrics: [accuracy] }",
        "evaluate: { of: [floor], metrics: [accuracy] }\n  of_train:\n    evaluate: { of: [floor], \
         split: train }\n  of_val:\n    evaluate: { of: [floor], split: val }",
    );
    assert_snapshot!(study.check().facts(), @"
      data: 5856 items of 3118 groups (NORMAL 1583, PNEUMONIA 4273); train 4059, val 716, test 624
    note: data: the given val part has 16 items, too few to choose by; they are trained on and a larger one is drawn
    note: data: 457 items of 170 groups that are also in test were dropped from train or val
    note: data: val was drawn: 15 % of the training items
    note: data: 28 pairs of copies on one side of the test part; see the table `leaks`
    ");
    study.run().succeeds();
    let items = rows(&study.latest(), "items");
    let persons = |part: &str| -> std::collections::BTreeSet<String> {
        let pattern = regex::Regex::new(r"person\d+|(NORMAL2-)?IM-\d+").unwrap();
        let of_part = items.iter().filter(|row| row["split"] == part);
        of_part.map(|row| pattern.find(&row["item"]).unwrap().as_str().to_owned()).collect()
    };
    let [train, val, test] = ["train", "val", "test"].map(persons);
    assert!(!train.is_empty() && !val.is_empty() && !test.is_empty());
    assert!(train.is_disjoint(&val) && train.is_disjoint(&test) && val.is_disjoint(&test));
}

pub(crate) type Writer = NpzWriter<Cursor<Vec<u8>>>;

/// The bytes of an archive.
pub(crate) fn archive(fill: impl Fn(&mut Writer)) -> Vec<u8> {
    let mut writer = NpzWriter::new(Cursor::new(vec![]));
    fill(&mut writer);
    writer.finish().unwrap().into_inner()
}

/// Noise from a multiplicative hash.
pub(crate) fn noise(number: usize) -> u8 {
    ((number as u32 + 1).wrapping_mul(2_654_435_761) >> 24) as u8
}

fn grey(count: usize) -> Array3<u8> {
    Array3::from_shape_fn((count, 4, 4), |(n, y, x)| noise(n * 16 + y * 4 + x))
}

pub(crate) fn add<T: WritableElement>(
    writer: &mut Writer,
    name: &str,
    shape: &[usize],
    value: impl Fn(usize) -> T,
) {
    let values = (0..shape.iter().product()).map(value).collect();
    writer.add_array(name, &ArrayD::from_shape_vec(IxDyn(shape), values).unwrap()).unwrap();
}

const NPZ: &str = "    npz: { path: set.npz }\n    split: { test: 0.25 }";

fn refusal_of_archive(dataset: &str, archive: &[u8]) -> Told {
    study(dataset).with_file("set.npz", archive).refusal()
}

#[test]
fn labels_of_any_integer_type_and_colour_images_of_floats_are_read() {
    fn check<T: WritableElement>(label: impl Fn(usize) -> T) {
        let bytes = archive(|writer| {
            add(writer, "train_images", &[40, 4, 4, 3], |index| f64::from(noise(index)));
            add(writer, "train_labels", &[40, 1], &label);
        });
        let study = study(NPZ).with_file("set.npz", &bytes);
        study.check().succeeds().says("data: 40 items (0 20, 1 20)");
        study.replace("majority: { dataset: data }", "pixel_linear: { dataset: data, c: 1 }");
        study.run().succeeds();
    }
    check(|index| (index % 2) as u8);
    check(|index| (index % 2) as i8);
    check(|index| (index % 2) as u16);
    check(|index| (index % 2) as i16);
    check(|index| (index % 2) as u32);
    check(|index| (index % 2) as i32);
    check(|index| (index % 2) as u64);
    check(|index| (index % 2) as i64);
    check(|index| index % 2 == 1);
}

#[test]
fn bytes_beside_floats_give_what_floats_alone_give() {
    let told = |as_floats: bool| {
        let bytes = archive(|writer| {
            let shape = [150, 4, 4];
            match as_floats {
                true => add(writer, "train_images", &shape, |index| f32::from(noise(index))),
                false => add(writer, "train_images", &shape, noise),
            }
            add(writer, "train_labels", &[150], |index| (index % 2) as u8);
            add(writer, "test_images", &[50, 4, 4], |index| f32::from(noise(index + 9999)));
            add(writer, "test_labels", &[50], |index| (index % 2) as u8);
        });
        let study = study("    npz: { path: set.npz }\n    split: { given: parts }");
        let study = study.with_file("set.npz", &bytes);
        study.replace(
            "majority: { dataset: data }",
            "pixel_linear: { dataset: data, size: 4, c: 1 }",
        );
        study.run().succeeds();
        let items = rows(&study.latest(), "items");
        items.iter().map(|row| row["probabilities"].clone()).collect::<Vec<_>>()
    };
    let (mixed, floats) = (told(false), told(true));
    assert_eq!((mixed.len(), &mixed), (50, &floats));
}

#[test]
fn an_archive_that_is_not_there_or_none_is_told() {
    let there = study(NPZ).refusal().to_string();
    assert_snapshot!(there, @"
    exit code 2
    --- standard error
    error: data set `data`: read set.npz: No such file or directory (os error 2)
        study.yaml:5:5
     5 |     npz: { path: set.npz }
       |     ^^^
      help: paths in the file are relative to it, those of `--set` to the current folder

    1 problem
    ");
    assert_snapshot!(refusal_of_archive(NPZ, b"images, labels"), @"
    exit code 2
    --- standard error
    error: data set `data`: set.npz is no whole NumPy archive: zip file error: invalid Zip archive: Could not find EOCD
        study.yaml:5:5
     5 |     npz: { path: set.npz }
       |     ^^^
      help: write it with `numpy.savez` or `numpy.savez_compressed`

    1 problem
    ");
}

#[test]
fn an_archive_of_other_arrays_is_told_with_those_it_has() {
    let bytes = archive(|writer| add(writer, "x", &[4, 2], |_| 1.0_f32));
    assert_snapshot!(refusal_of_archive(NPZ, &bytes), @"
    exit code 2
    --- standard error
    error: data set `data`: set.npz has no array `train_images`
        study.yaml:5:5
     5 |     npz: { path: set.npz }
       |     ^^^
      help: it has `x`; it needs `train_images`, `train_labels`, and perhaps the same of `val` and `test`

    1 problem
    ");
    let bytes = archive(|writer| writer.add_array("train_images", &grey(4)).unwrap());
    assert_snapshot!(refusal_of_archive(NPZ, &bytes), @"
    exit code 2
    --- standard error
    error: data set `data`: set.npz has `train_images`, but no `train_labels`
        study.yaml:5:5
     5 |     npz: { path: set.npz }
       |     ^^^
      help: images and labels go together

    1 problem
    ");
}

#[test]
fn arrays_of_wrong_types_and_shapes_are_told_by_name() {
    let told = |fill: &dyn Fn(&mut Writer)| refusal_of_archive(NPZ, &archive(fill)).problems();
    let floats = told(&|writer| {
        writer.add_array("train_images", &grey(4)).unwrap();
        add(writer, "train_labels", &[4], |index| index as f32);
    });
    assert_snapshot!(floats, @"
    error: data set `data`: set.npz: the array `train_labels` does not hold whole numbers
      help: save labels as integers, the number of the class of each image; or name numbers to be predicted with `values`
    ");
    let shorts = told(&|writer| {
        add(writer, "train_images", &[4, 2, 2], |_| 1_i16);
        add(writer, "train_labels", &[4], |index| index as u8);
    });
    assert_snapshot!(shorts, @"
    error: data set `data`: set.npz: the array `train_images` has values of a type that is not read
      help: save images as `uint8`, `float32` or `float64`
    ");
    let volumes = told(&|writer| {
        writer.add_array("train_images", &Array4::<u8>::zeros((4, 5, 5, 5))).unwrap();
        add(writer, "train_labels", &[4], |index| index as u8);
    });
    assert_snapshot!(volumes, @"
    error: data set `data`: set.npz: the images of `train_images` are 5 × 5 × 5
      help: images are height × width, or height × width × channels with 1 or 3
    ");
    let fewer = told(&|writer| {
        writer.add_array("train_images", &grey(4)).unwrap();
        add(writer, "train_labels", &[5], |index| index as u8);
    });
    assert_snapshot!(fewer, @"
    error: data set `data`: set.npz: `train_images` has 4 images, but `train_labels` has labels for 5
      help: each image has its labels at the same place; write both anew
    ");
    let sizes = told(&|writer| {
        writer.add_array("train_images", &grey(4)).unwrap();
        writer.add_array("train_labels", &array![0_u8, 1, 0, 1]).unwrap();
        writer.add_array("test_images", &Array3::<u8>::zeros((2, 5, 5))).unwrap();
        writer.add_array("test_labels", &array![0_u8, 1]).unwrap();
    });
    assert_snapshot!(sizes, @"
    error: data set `data`: set.npz: `train_images` and `test_images`, or their labels, differ in shape
      help: all images of a data set have one size and one number of channels
    ");
}

#[test]
fn a_damaged_array_is_told_by_name() {
    let mut bytes = archive(|writer| {
        writer.add_array("train_images", &grey(400)).unwrap();
        add(writer, "train_labels", &[400], |index| (index % 2) as u8);
    });
    bytes[3000] ^= 1;
    assert_snapshot!(refusal_of_archive(NPZ, &bytes), @"
    exit code 2
    --- standard error
    error: data set `data`: set.npz: the array `train_images` cannot be read: error reading npy file in npz archive: I/O error: Invalid checksum
        study.yaml:5:5
     5 |     npz: { path: set.npz }
       |     ^^^
      help: the archive may be damaged; fetch or write it again

    1 problem
    ");
}

#[test]
fn a_label_without_a_name_is_told_with_its_row() {
    let bytes = archive(|writer| {
        writer.add_array("train_images", &grey(4)).unwrap();
        writer.add_array("train_labels", &array![0_u8, 1, 2, 1]).unwrap();
    });
    let dataset = "    npz: { path: set.npz, classes: [cat, dog] }\n    split: { test: 0.25 }";
    assert_snapshot!(refusal_of_archive(dataset, &bytes), @"
    exit code 2
    --- standard error
    error: data set `data`: set.npz: `train_labels`, row 2: the label 2 has no name
        study.yaml:5:5
     5 |     npz: { path: set.npz, classes: [cat, dog] }
       |     ^^^
      help: `classes` names labels 0 to 1

    1 problem
    ");
}

#[test]
fn several_labels_an_item_of_an_archive_ask_for_a_finding() {
    let bytes = archive(|writer| {
        writer.add_array("train_images", &grey(40)).unwrap();
        add(writer, "train_labels", &[40, 3], |index| u8::from(index % 3 < index / 3 % 4));
    });
    let npz =
        "    npz: { path: set.npz, classes: [edema, mass, nodule] }\n    split: { test: 0.25 }";
    assert_snapshot!(refusal_of_archive(npz, &bytes), @"
    exit code 2
    --- standard error
    error: data set `data`: set.npz: items have several labels, and stages tell one apart
        study.yaml:5:5
     5 |     npz: { path: set.npz, classes: [edema, mass, nodule] }
       |     ^^^
      help: choose one with `finding`, or `finding: all`; there are, with how many items have them: `edema` (30), `mass` (20), `nodule` (10)

    1 problem
    ");
    let study = study(npz).with_file("set.npz", &bytes);
    study.replace("nodule] }", "nodule], finding: mass }");
    assert_snapshot!(study.check().facts(), @"
      data: 40 items (no mass 20, mass 20); train 25, val 5, test 10
    note: data: val was drawn: 15 % of the training items
    note: data: 7 pairs of copies on one side of the test part; see the table `leaks`
    ");
    study.run().succeeds();
    let items = rows(&study.latest(), "items");
    let first = &items[0];
    assert_eq!(first["item"], "train/0");
    assert_eq!([&first["edema"], &first["nodule"]], ["0", "0"]);
    assert!(!first.contains_key("mass"), "the finding is the label");
}

#[test]
fn all_labels_of_an_archive_are_learnt_at_once() {
    let bytes = archive(|writer| {
        writer.add_array("train_images", &grey(40)).unwrap();
        // −1 is told nowhere.
        add(writer, "train_labels", &[40, 3], |index| match index {
            7 => -1,
            _ => i8::from(index % 3 < index / 3 % 4),
        });
    });
    let npz = "    npz: { path: set.npz, classes: [edema, mass, nodule], finding: all }\n    \
               split: { test: 0.25 }";
    let study = study(npz).with_file("set.npz", &bytes);
    study.replace(", metrics: [accuracy]", "");
    assert_snapshot!(study.check().facts(), @"
      data: 40 items (3 labels each: edema 30; mass 19, unknown 1; nodule 10); train 25, val 5, test 10
    note: data: 1 cell is −1 (uncertain); they are neither trained nor scored on
    note: data: val was drawn: 15 % of the training items
    note: data: 4 pairs of copies on one side of the test part; see the table `leaks`
    ");
    study.run().succeeds();
    let scores = rows(&study.latest(), "scores");
    let of_all = scores.iter().filter(|row| row["class"].is_empty());
    let metrics: Vec<&str> = of_all.map(|row| row["metric"].as_str()).collect();
    assert_eq!(metrics, ["auroc", "average_precision", "log_loss", "brier", "labels"]);
    let of_mass = scores.iter().filter(|row| row["class"] == "mass");
    let metrics: Vec<&str> = of_mass.map(|row| row["metric"].as_str()).collect();
    assert_eq!(metrics, ["auroc", "average_precision", "log_loss", "brier"]);
}

#[test]
fn numbers_of_an_archive_are_named() {
    let bytes = archive(|writer| {
        writer.add_array("train_images", &grey(40)).unwrap();
        add(writer, "train_labels", &[40, 2], |index| match index {
            4 => f32::NAN,
            _ => index as f32 / 8.0,
        });
    });
    let npz = "    npz: { path: set.npz, values: [age, dose] }\n    split: { test: 0.25 }";
    let right = study(npz).with_file("set.npz", &bytes);
    right.replace("[accuracy]", "[mae]");
    assert_snapshot!(right.check().facts(), @"
      data: 40 items (2 numbers each: age from 0 to 9.75, mean 4.9872, unknown 1; dose from 0.125 to 9.875, mean 5.0000); train 25, val 5, test 10
    note: data: 1 cell is empty; they are neither trained nor scored on
    note: data: val was drawn: 15 % of the training items
    note: data: 7 pairs of copies on one side of the test part; see the table `leaks`
    ");
    right.run().succeeds();
    let told = |npz: &str| {
        let dataset = format!("    npz: {{ path: set.npz{npz} }}\n    split: {{ test: 0.25 }}");
        study(&dataset).with_file("set.npz", &bytes).refusal().problems()
    };
    assert_snapshot!(told(""), @"
    error: data set `data`: set.npz: the array `train_labels` does not hold whole numbers
      help: save labels as integers, the number of the class of each image; or name numbers to be predicted with `values`
    ");
    assert_snapshot!(told(", values: age"), @"
    error: data set `data`: set.npz: an item has 2 labels, but `values` names 1
      help: name each number, in the order of the columns
    ");
    assert_snapshot!(told(", values: [age, dose], classes: [a, b]"), @"
    error: data set `data`: both `classes` and `values` are said
      help: labels are classes or numbers; leave out `classes` or `values`
    ");
}

#[test]
fn a_split_that_a_format_cannot_give_is_told_with_what_to_write() {
    let told = |format: &str, given: &str| {
        let dataset = format!("    {format}\n    split: {{ given: {given} }}");
        let bytes = archive(|writer| {
            writer.add_array("train_images", &grey(4)).unwrap();
            writer.add_array("train_labels", &array![0_u8, 1, 0, 1]).unwrap();
        });
        let study = study(&dataset).with_file("set.npz", &bytes).with_pets();
        let study = study.with_file("set.csv", b"path,label\npets/x.png,cat\n");
        study.refusal().problems()
    };
    let all = [
        told("npz: { path: set.npz }", "folders"),
        told("idx: { path: pets }", "{ column: part }"),
        told("idx: { images: a, labels: b }", "parts"),
        told("image_folder: { path: pets }", "parts"),
        told("manifest: { path: set.csv }", "folders"),
        told("csv: { path: set.csv, label: label }", "parts"),
    ];
    assert_snapshot!(all.join("\n"), @"
    error: data set `data`: an archive of arrays has no folders
      help: write `given: parts`
    error: data set `data`: a folder of idx files has no columns
      help: write `given: parts`
    error: data set `data`: one file of images has no split of its own
      help: draw the split: `split: { test: 0.2 }`
    error: data set `data`: a folder of images has no parts of its own
      help: write `given: folders`
    error: data set `data`: a table of images has no folders
      help: write `given: { column: NAME }`
    error: data set `data`: a table has no parts of its own
      help: write `given: { column: NAME }`
    ");
}

/// An idx file of bytes with these extents.
fn idx(extents: &[u32], values: impl Iterator<Item = u8>) -> Vec<u8> {
    let mut bytes = vec![0, 0, 8, extents.len() as u8];
    bytes.extend(extents.iter().flat_map(|extent| extent.to_be_bytes()));
    bytes.extend(values);
    bytes
}

fn with_idx(study: Study, part: &str, items: u32) -> Study {
    let images = idx(&[items, 4, 4], (0..items as usize * 16).map(noise));
    let labels = idx(&[items], (0..items).map(|item| (item % 2) as u8));
    study
        .with_file(&format!("set/{part}-images-idx3-ubyte"), &images)
        .with_file(&format!("set/{part}-labels-idx1-ubyte"), &labels)
}

#[test]
fn wrong_idx_files_are_told() {
    let idx_study = || study("    idx: { path: set }\n    split: { given: parts }");
    let told = |study: Study| study.refusal().problems();
    let whole = || with_idx(with_idx(idx_study(), "train", 100), "t10k", 20);
    whole().run().succeeds();
    let cut = idx(&[100, 4, 4], (0..1599).map(noise));
    let all = [
        told(idx_study().with_file("set/readme", b"")),
        told(whole().with_file("set/train-images-idx3-ubyte", &cut)),
        told(whole().with_file("set/train-images-idx3-ubyte", &idx(&[100], (0..100).map(noise)))),
        told(
            whole()
                .with_file("set/train-images-idx3-ubyte", &idx(&[99, 4, 4], (0..1584).map(noise))),
        ),
        told(with_idx(idx_study(), "train", 100).with_file("set/t10k-labels-idx1-ubyte.gz", b"x")),
        told(with_idx(idx_study(), "train", 100)),
        told(study("    idx: { images: set }\n    split: { test: 0.2 }")),
    ];
    assert_snapshot!(all.join("\n"), @"
    error: data set `data`: there is no `train-images-idx3-ubyte` in set
      help: name files of other names with `images` and `labels`; paths in the file are relative to it
    error: data set `data`: set/train-images-idx3-ubyte should hold 100 × 4 × 4 values, but holds 1599
      help: it may be cut off; fetch it again
    error: data set `data`: set/train-images-idx3-ubyte is no idx file of images: it begins with 00 00 08 01, not with 00 00 08 03
      help: images are bytes with three extents, labels bytes with one
    error: data set `data`: set: `train-images-idx3-ubyte` has 99 images, but `train-labels-idx1-ubyte` has labels for 100
      help: each image has its labels at the same place; write both anew
    error: data set `data`: there is no `t10k-images-idx3-ubyte` in set
      help: images and labels go together
    error: data set `data`: the test part of the split is empty
      help: change the fractions, the rows or `select`
    error: data set `data`: idx needs a folder, or one file of each kind
      help: write `path: FOLDER`, or `images: FILE` and `labels: FILE`
    ");
}
