//! Images that cannot be read, left out if that is asked for; and images of another depth.

use insta::assert_snapshot;

use crate::formats::study;
use crate::harness::{Study, pet, rows, text};

const FOLDER: &str =
    "    image_folder: { path: pets }\n    split: { train: 0.6, val: 0.2, test: 0.2 }";

#[test]
fn images_that_cannot_be_read_are_skipped_before_the_split_if_that_is_asked_for() {
    let study = study(&format!("{FOLDER}\n    on_bad: skip")).with_pets();
    let whole = std::fs::read(study.path(&pet(7))).unwrap();
    study.write(&pet(7), &whole[..whole.len() / 2]);
    study.write(&pet(12), b"");
    assert_snapshot!(study.check().facts(), @"
      data: 58 items (cat 29, dog 29); train 34, val 12, test 12
    note: data: 2 of 60 items cannot be read and are left out, the first `cat/animal12_12.png`: The image format could not be determined
    ");
    study.run().succeeds().says("note: data: 2 of 60 items cannot be read");
    let skipped = rows(&study.latest(), "skipped");
    let listed: Vec<String> = skipped
        .iter()
        .map(|row| format!("{} {}: {}", row["dataset"], row["item"], row["reason"]))
        .collect();
    assert_snapshot!(listed.join("\n"), @"
    data cat/animal12_12.png: The image format could not be determined
    data dog/animal7_07.png: unexpected end of file
    ");
    let run = text(&study.latest(), "run.json");
    assert!(run.contains("\"item\": \"cat/animal12_12.png\""), "{run}");
    // What was left out is no part of the data set: without those files all results are there.
    std::fs::remove_file(study.path(&pet(7))).unwrap();
    std::fs::remove_file(study.path(&pet(12))).unwrap();
    study.replace("\n    on_bad: skip", "");
    let (done, hits) = study.run().succeeds().done_and_hits();
    assert_eq!((done, hits), (0, 2));
    assert!(rows(&study.latest(), "skipped").is_empty());
}

#[test]
fn an_image_repaired_after_it_was_skipped_is_seen() {
    let study = study(&format!("{FOLDER}\n    on_bad: skip")).with_pets();
    let whole = std::fs::read(study.path(&pet(7))).unwrap();
    study.write(&pet(7), b"gone");
    study.run().succeeds().says("1 of 60 items cannot be read");
    assert_eq!(rows(&study.latest(), "skipped").len(), 1);
    study.run().succeeds();
    assert_eq!(rows(&study.latest(), "skipped").len(), 1, "what is remembered says the same");
    study.write(&pet(7), &whole);
    study.run().succeeds().never_says("cannot be read");
    assert!(rows(&study.latest(), "skipped").is_empty());
}

#[test]
fn a_data_set_of_which_nothing_can_be_read_is_refused() {
    let study = study(&format!("{FOLDER}\n    on_bad: skip"));
    let study = study.with_file("pets/cat/a.png", b"").with_file("pets/dog/b.png", b"");
    assert_snapshot!(study.refusal(), @"
    exit code 2
    --- standard error
    error: data set `data`: no item can be read; `cat/a.png`: The image format could not be determined
        study.yaml:5:5
     5 |     image_folder: { path: pets }
       |     ^^^^^^^^^^^^
      help: JPEG and PNG images are read

    1 problem
    ");
}

#[test]
fn images_of_8_and_16_bits_in_one_data_set_give_what_8_bits_alone_give() {
    let pixels = || {
        let study = study(FOLDER).with_pets();
        study.replace(
            "majority: { dataset: data }",
            "pixel_linear: { dataset: data, size: 8, c: 0.1 }",
        );
        study
    };
    let told = |study: &Study| {
        study.run().succeeds();
        let items = rows(&study.latest(), "items");
        items.iter().map(|row| row["probabilities"].clone()).collect::<Vec<_>>()
    };
    let shallow = pixels();
    let mixed = pixels();
    for number in 30..60 {
        let path = mixed.path(&pet(number));
        let grey = image::open(&path).unwrap().into_luma8();
        let deep = |x, y| image::Luma([u16::from(grey.get_pixel(x, y).0[0]) * 257]);
        image::ImageBuffer::from_fn(8, 8, deep).save(&path).unwrap();
    }
    assert_eq!(told(&mixed), told(&shallow));
}
