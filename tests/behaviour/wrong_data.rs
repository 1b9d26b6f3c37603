//! Data that a study cannot be made of: told before any work, with the place in the pipeline and a
//! way out.

use insta::assert_snapshot;

use crate::harness::{Study, Told};

/// A study of one data set, given as what stands under its name.
fn study(dataset: &str) -> Study {
    Study::new(&format!(
        "name: study\nseeds: 1\ndatasets:\n  data:\n{dataset}\nstages:\n  floor:\n    majority: {{ \
         dataset: data }}\n  scores:\n    evaluate: {{ of: [floor] }}\n"
    ))
}

/// 120 rows of two numbers, a species and a person.
fn table(species: impl Fn(usize) -> &'static str, person: impl Fn(usize) -> usize) -> String {
    let row = |number: usize| {
        format!("{number},{},{},p{}\n", number % 7, species(number), person(number))
    };
    format!("length,width,species,person\n{}", (0..120).map(row).collect::<String>())
}

/// The same with a part: the first 60 rows train, the rest test.
fn table_with_parts(table: &str) -> String {
    let mut lines = table.lines();
    let header = lines.next().unwrap_or_default();
    let part = |(number, line): (usize, &str)| {
        format!("{line},{}\n", if number < 60 { "train" } else { "test" })
    };
    format!("{header},part\n{}", lines.enumerate().map(part).collect::<String>())
}

fn alternating(number: usize) -> &'static str {
    if number.is_multiple_of(2) { "cat" } else { "dog" }
}

const CSV: &str = "    csv: { path: table.csv, label: species, group: person }";

/// What is said of a table.
fn refusal_of_table(dataset: &str, table: &str) -> Told {
    study(dataset).with_file("table.csv", table.as_bytes()).refusal()
}

#[test]
fn a_label_column_that_is_not_there_is_told_with_the_columns_that_are() {
    let dataset =
        "    csv: { path: table.csv, label: specis, group: person }\n    split: { test: 0.2 }";
    assert_snapshot!(refusal_of_table(dataset, &table(alternating, |row| row)), @"
    exit code 2
    --- standard error
    error: data set `data`: there is no column `specis`
        study.yaml:5:5
     5 |     csv: { path: table.csv, label: specis, group: person }
       |     ^^^
      help: the columns are length, width, species, person

    1 problem
    ");
}

#[test]
fn a_named_column_without_a_header_is_told_with_what_to_write_instead() {
    let dataset =
        "    csv: { path: table.csv, header: false, label: species }\n    split: { test: 0.2 }";
    assert_snapshot!(refusal_of_table(dataset, &table(alternating, |row| row)), @"
    exit code 2
    --- standard error
    error: data set `data`: the column `species` has no number, and there is no header
        study.yaml:5:5
     5 |     csv: { path: table.csv, header: false, label: species }
       |     ^^^
      help: write its number from 0, or `header: true`

    1 problem
    ");
}

#[test]
fn a_cell_that_is_no_number_is_told_with_its_line() {
    let dataset = "    csv: { path: table.csv, label: species }\n    split: { test: 0.2 }";
    let table = "length,width,species\n1,2,cat\n3,wide,dog\n";
    assert_snapshot!(refusal_of_table(dataset, table), @"
    exit code 2
    --- standard error
    error: data set `data`: table.csv:3, column 1: `wide` is no number
        study.yaml:5:5
     5 |     csv: { path: table.csv, label: species }
       |     ^^^
      help: every column but label, group and split must hold finite numbers

    1 problem
    ");
}

#[test]
fn a_row_that_is_cut_off_is_told_with_its_line() {
    let dataset = "    csv: { path: table.csv, label: species }\n    split: { test: 0.2 }";
    let table = "length,width,species\n1,2,cat\n3,dog\n";
    assert_snapshot!(refusal_of_table(dataset, table), @"
    exit code 2
    --- standard error
    error: data set `data`: table.csv is no table: CSV error: record 2 (line: 3, byte: 29): found record with 2 fields, but the previous record has 3 fields
        study.yaml:5:5
     5 |     csv: { path: table.csv, label: species }
       |     ^^^

    1 problem
    ");
}

#[test]
fn a_shape_that_does_not_fit_the_rows_is_told_with_their_length() {
    let dataset = "    csv: { path: digits.csv, header: false, label: last, shape: [8, 9] }\n    \
                   split: { test: 0.2 }";
    assert_snapshot!(study(dataset).with_digits(100).refusal(), @"
    exit code 2
    --- standard error
    error: data set `data`: a row has 64 values, which are no [8, 9]
        study.yaml:5:5
     5 |     csv: { path: digits.csv, header: false, label: last, shape: [8, 9] }
       |     ^^^
      help: a column may be left that is no pixel

    1 problem
    ");
}

#[test]
fn a_table_that_is_not_there_is_told_with_a_way_out() {
    let told = study("    csv: { path: data/table.csv, label: last }\n    split: { test: 0.2 }");
    assert_snapshot!(told.refusal(), @"
    exit code 2
    --- standard error
    error: data set `data`: read data/table.csv: No such file or directory (os error 2)
        study.yaml:5:5
     5 |     csv: { path: data/table.csv, label: last }
       |     ^^^
      help: paths in the file are relative to it, those of `--set` to the current folder

    1 problem
    ");
}

#[test]
fn a_folder_of_images_that_is_not_there_is_told_with_a_way_out() {
    let told = study("    image_folder: { path: data/pets }\n    split: { test: 0.2 }");
    assert_snapshot!(told.refusal(), @"
    exit code 2
    --- standard error
    error: data set `data`: there is no folder data/pets
        study.yaml:5:5
     5 |     image_folder: { path: data/pets }
       |     ^^^^^^^^^^^^
      help: paths in the file are relative to it, those of `--set` to the current folder

    1 problem
    ");
}

#[test]
fn a_folder_without_images_is_told_with_how_they_should_lie() {
    let study = study("    image_folder: { path: pets }\n    split: { test: 0.2 }");
    let study = study.with_file("pets/cat/notes.txt", b"none yet");
    assert_snapshot!(study.refusal(), @"
    exit code 2
    --- standard error
    error: data set `data`: there is no JPEG or PNG image below pets
        study.yaml:5:5
     5 |     image_folder: { path: pets }
       |     ^^^^^^^^^^^^
      help: images lie in a folder for each class

    1 problem
    ");
}

#[test]
fn an_image_in_no_class_folder_is_told() {
    let study = study("    image_folder: { path: pets }\n    split: { test: 0.2 }").with_pets();
    let study = study.with_file("pets/stray.png", b"");
    assert_snapshot!(study.refusal(), @"
    exit code 2
    --- standard error
    error: data set `data`: the image `stray.png` lies in no class folder
        study.yaml:5:5
     5 |     image_folder: { path: pets }
       |     ^^^^^^^^^^^^
      help: put each image into a folder named after its class

    1 problem
    ");
}

#[test]
fn images_without_the_group_that_is_asked_for_are_told() {
    let dataset = "    image_folder: { path: pets, group: \"(?<group>person\\\\d+)_.*\" }\n    \
                   split: { test: 0.2 }";
    assert_snapshot!(study(dataset).with_pets().refusal(), @r#"
    exit code 2
    --- standard error
    error: data set `data`: the pattern `(?<group>person\d+)_.*` finds no group in `cat/animal0_00.png`
        study.yaml:5:5
     5 |     image_folder: { path: pets, group: "(?<group>person\\d+)_.*" }
       |     ^^^^^^^^^^^^
      help: every image needs its group, or those of one person may stand on two sides

    1 problem
    "#);
}

#[test]
fn given_folders_that_are_not_there_are_told() {
    let study = study("    image_folder: { path: pets }\n    split: { given: folders }");
    assert_snapshot!(study.with_pets().refusal(), @"
    exit code 2
    --- standard error
    error: data set `data`: `cat/animal0_00.png` lies in no folder `train`, `val` or `test`
        study.yaml:5:5
     5 |     image_folder: { path: pets }
       |     ^^^^^^^^^^^^
      help: with `given: folders` images lie as in `train/CLASS/image.png`

    1 problem
    ");
}

#[test]
fn a_split_without_a_test_part_is_refused() {
    let dataset = format!("{CSV}\n    split: {{ train: 0.8, val: 0.2 }}");
    assert_snapshot!(refusal_of_table(&dataset, &table(alternating, |row| row)), @"
    exit code 2
    --- standard error
    error: data set `data`: the split has no test part
        study.yaml:6:12
     6 |     split: { train: 0.8, val: 0.2 }
       |            ^^
      help: add `test: 0.2`, or `given` if the data set has a test part of its own

    1 problem
    ");
}

#[test]
fn a_part_without_items_is_refused() {
    let dataset =
        format!("{CSV}\n    split: {{ train: {{ rows: 0..60 }}, test: {{ rows: 200..300 }} }}");
    assert_snapshot!(refusal_of_table(&dataset, &table(alternating, |row| row)), @"
    exit code 2
    --- standard error
    error: data set `data`: test has rows up to 300, but there are 120
        study.yaml:6:12
     6 |     split: { train: { rows: 0..60 }, test: { rows: 200..300 } }
       |            ^^
      help: rows are counted from 0, a header left out; the end is not part of them

    1 problem
    ");
}

#[test]
fn more_training_items_than_there_are_cannot_be_asked_for() {
    let dataset = format!("{CSV}\n    split: {{ train: 5000, val: 20, test: 20 }}");
    assert_snapshot!(refusal_of_table(&dataset, &table(alternating, |row| row)), @"
    exit code 2
    --- standard error
    error: data set `data`: 5000 training items are asked for, but there are 80
        study.yaml:6:12
     6 |     split: { train: 5000, val: 20, test: 20 }
       |            ^^
      help: ask for at most 80

    1 problem
    ");
}

#[test]
fn fractions_that_make_more_than_the_whole_are_refused() {
    let dataset = format!("{CSV}\n    split: {{ train: 0.8, val: 0.4, test: 0.5 }}");
    assert_snapshot!(refusal_of_table(&dataset, &table(alternating, |row| row)), @"
    exit code 2
    --- standard error
    error: data set `data`: the parts make 1.70 of the whole
        study.yaml:6:12
     6 |     split: { train: 0.8, val: 0.4, test: 0.5 }
       |            ^^
      help: fractions of train, val and test add up to 1 at most

    1 problem
    ");
}

#[test]
fn rows_that_both_train_and_test_are_refused() {
    let dataset =
        format!("{CSV}\n    split: {{ train: {{ rows: 0..80 }}, test: {{ rows: 60..120 }} }}");
    assert_snapshot!(refusal_of_table(&dataset, &table(alternating, |row| row)), @"
    exit code 2
    --- standard error
    error: data set `data`: some rows stand both in train and in test
        study.yaml:6:12
     6 |     split: { train: { rows: 0..80 }, test: { rows: 60..120 } }
       |            ^^
      help: give each part rows of its own

    1 problem
    ");
}

#[test]
fn rows_beyond_the_end_of_the_table_are_refused() {
    let dataset =
        format!("{CSV}\n    split: {{ train: {{ rows: 0..60 }}, test: {{ rows: 60..1200 }} }}");
    assert_snapshot!(refusal_of_table(&dataset, &table(alternating, |row| row)), @"
    exit code 2
    --- standard error
    error: data set `data`: test has rows up to 1200, but there are 120
        study.yaml:6:12
     6 |     split: { train: { rows: 0..60 }, test: { rows: 60..1200 } }
       |            ^^
      help: rows are counted from 0, a header left out; the end is not part of them

    1 problem
    ");
}

#[test]
fn a_class_that_is_tested_but_never_trained_on_is_refused() {
    let dataset = format!("{CSV}\n    split: {{ given: {{ column: part }} }}");
    let species = |row: usize| if row < 60 || row.is_multiple_of(2) { "cat" } else { "dog" };
    assert_snapshot!(refusal_of_table(&dataset, &table_with_parts(&table(species, |row| row))), @"
    exit code 2
    --- standard error
    error: data set `data`: no item of class `dog` is in train, so it cannot be learnt
        study.yaml:6:12
     6 |     split: { given: { column: part } }
       |            ^^
      help: take more training items, or drop the class with `select: { classes: … }`

    1 problem
    ");
}

#[test]
fn a_group_on_both_sides_of_a_given_split_is_refused_with_two_ways_out() {
    let dataset = format!("{CSV}\n    split: {{ given: {{ column: part }} }}");
    let told = refusal_of_table(&dataset, &table_with_parts(&table(alternating, |row| row % 50)));
    assert_snapshot!(told, @"
    exit code 2
    --- standard error
    error: data set `data`: 50 groups stand both in test and in train or val (p0, p1, p10, …): what is learnt of them would be tested on them
        study.yaml:6:12
     6 |     split: { given: { column: part } }
       |            ^^
      help: write `on_group_cross: drop_from_train` to drop their training items, or draw the split

    1 problem
    ");
}

#[test]
fn a_group_on_both_sides_can_be_dropped_from_training() {
    let split = "split: { given: { column: part }, on_group_cross: drop_from_train }";
    let study = study(&format!("{CSV}\n    {split}"));
    // Persons 60 to 89 are trained on and, for the first 10 of them, tested too.
    let person = |row: usize| if row < 60 { row + 30 } else { row + 20 };
    let study =
        study.with_file("table.csv", table_with_parts(&table(alternating, person)).as_bytes());
    assert_snapshot!(study.check(), @"
    exit code 0
    --- standard output
    study.yaml: nothing is wrong · 2 stages, 1 seed, 2 nodes
      data: 120 items of 110 groups (cat 60, dog 60); train 42, val 8, test 60
    --- standard error
    note: data: 10 items of 10 groups that are also in test were dropped from train or val
    note: data: val was drawn: 15 % of the training items
    ");
    study.run().succeeds();
}

#[test]
fn a_class_that_is_selected_but_not_there_is_told_with_those_that_are() {
    let dataset =
        format!("{CSV}\n    select: {{ classes: [cat, dgo] }}\n    split: {{ test: 0.2 }}");
    assert_snapshot!(refusal_of_table(&dataset, &table(alternating, |row| row)), @"
    exit code 2
    --- standard error
    error: data set `data`: there is no class `dgo`
        study.yaml:6:13
     6 |     select: { classes: [cat, dgo] }
       |             ^^
      help: the classes are `cat`, `dog`

    1 problem
    ");
}

#[test]
fn a_range_of_classes_without_a_clear_end_is_told_with_what_to_write_instead() {
    let dataset = "    csv: { path: digits.csv, header: false, label: last }\n    select: { \
                   classes: 5..9 }\n    split: { test: 0.2 }";
    assert_snapshot!(study(dataset).with_digits(100).refusal(), @"
    exit code 2
    --- standard error
    error: data set `data`: `5..9` leaves open whether class 9 is taken
        study.yaml:6:13
     6 |     select: { classes: 5..9 }
       |             ^^
      help: write `5..=9` to take class 9 too

    1 problem
    ");
}

#[test]
fn a_selection_that_leaves_nothing_is_refused() {
    let dataset = format!("{CSV}\n    select: {{ rows: 500..600 }}\n    split: {{ test: 0.2 }}");
    assert_snapshot!(refusal_of_table(&dataset, &table(alternating, |row| row)), @"
    exit code 2
    --- standard error
    error: data set `data`: `select` leaves no item of the data set
        study.yaml:6:13
     6 |     select: { rows: 500..600 }
       |             ^^

    1 problem
    ");
}

#[test]
fn a_data_set_of_one_class_is_refused() {
    let dataset = format!("{CSV}\n    select: {{ classes: cat }}\n    split: {{ test: 0.2 }}");
    assert_snapshot!(refusal_of_table(&dataset, &table(alternating, |row| row)), @"
    exit code 2
    --- standard error
    error: data set `data`: all items are of one class, `cat`
        study.yaml:6:13
     6 |     select: { classes: cat }
       |             ^^
      help: at least two classes can be told apart

    1 problem
    ");
}

#[test]
fn a_training_subset_larger_than_the_training_part_is_refused() {
    let dataset = format!("{CSV}\n    split: {{ train: 60, val: 30, test: 30 }}");
    let study = study(&dataset).with_file("table.csv", table(alternating, |row| row).as_bytes());
    study.replace("dataset: data }", "dataset: data, train_size: 61 }");
    assert_snapshot!(study.refusal(), @"
    exit code 2
    --- standard error
    error: data set `data`: 61 training items are asked for, but there are 60
        study.yaml:9:44
     9 |     majority: { dataset: data, train_size: 61 }
       |                                            ^^
      help: ask for at most 60

    1 problem
    ");
}

#[test]
fn a_training_subset_too_small_for_every_class_is_refused() {
    let dataset = format!("{CSV}\n    split: {{ train: 60, val: 30, test: 30 }}");
    let study = study(&dataset).with_file("table.csv", table(alternating, |row| row).as_bytes());
    study.replace("dataset: data }", "dataset: data, train_size: 1 }");
    assert_snapshot!(study.refusal(), @"
    exit code 2
    --- standard error
    error: data set `data`: no item of class `dog` is among 1 drawn
        study.yaml:9:44
     9 |     majority: { dataset: data, train_size: 1 }
       |                                            ^
      help: raise `train_size`

    1 problem
    ");
}
