//! Tables of images: what is read of them, and what is said of wrong ones.

use insta::assert_snapshot;

use crate::formats::study;
use crate::harness::{Study, pet, rows};

/// A manifest of the pets: two of each animal, one in five tested.
fn manifest(label: impl Fn(u32) -> String) -> String {
    let row = |number: u32| {
        let part = if number % 30 < 24 { "train" } else { "test" };
        let sex = if number.is_multiple_of(3) { "f" } else { "m" };
        let path = pet(number);
        format!("{path},{},a{},{sex},{part},{}\n", label(number), number % 30, number * 2)
    };
    format!("path,label,animal,sex,part,item\n{}", (0..60).map(row).collect::<String>())
}

fn kind(number: u32) -> String {
    if number.is_multiple_of(2) { "cat" } else { "dog" }.to_owned()
}

const MANIFEST: &str = "    manifest: { path: set.csv, group: animal }\n    split: { given: { column: \
                        part } }";

fn with_manifest(dataset: &str, text: &str) -> Study {
    study(dataset).with_pets().with_file("set.csv", text.as_bytes())
}

#[test]
fn a_manifest_gives_labels_groups_and_parts_and_keeps_its_further_columns() {
    let study = with_manifest(MANIFEST, &manifest(kind));
    assert_snapshot!(study.check().facts(), @"
      data: 60 items of 30 groups (cat 30, dog 30); train 42, val 6, test 12
    note: data: val was drawn: 15 % of the training items
    ");
    study.run().succeeds();
    let items = rows(&study.latest(), "items");
    assert_eq!(items.len(), 12);
    // A column that is called as one of the table's own is kept beside it.
    let told = ["item", "label", "sex", "data.item"].map(|column| items[0][column].as_str());
    assert_eq!(told, ["pets/cat/animal24_24.png", "cat", "f", "48"]);
}

#[test]
fn a_changed_cell_of_a_manifest_is_another_data_set() {
    let study = with_manifest(MANIFEST, &manifest(kind));
    let (done, _) = study.run().succeeds().done_and_hits();
    assert_eq!(study.run().succeeds().done_and_hits(), (0, done));
    study.write("set.csv", manifest(kind).replace(",f,", ",x,").as_bytes());
    assert_eq!(study.run().succeeds().done_and_hits(), (done, 0));
    assert_eq!(rows(&study.latest(), "items")[0]["sex"], "x");
}

#[test]
fn a_manifest_elsewhere_finds_images_by_its_folder_and_groups_by_a_pattern() {
    let pattern = r"'(?<group>animal\d+)_'";
    let dataset = format!(
        "    manifest: {{ path: lists/set.csv, images: pets, group_pattern: {pattern} }}\n    \
         select: {{ rows: 0..40 }}\n    split: {{ test: 0.25 }}"
    );
    let text = manifest(kind).replace("pets/", "./");
    let study = study(&dataset).with_pets().with_file("lists/set.csv", text.as_bytes());
    assert_snapshot!(study.check().facts(), @"
      data: 40 items of 30 groups (cat 20, dog 20); train 25, val 5, test 10
    note: data: val was drawn: 15 % of the training items
    ");
}

#[test]
fn absolute_paths_below_the_folder_of_images_name_the_same_items() {
    let study = with_manifest(MANIFEST, &manifest(kind));
    let (done, _) = study.run().succeeds().done_and_hits();
    let absolute = format!("{}/", study.path("pets").canonicalize().unwrap().display());
    study.write("set.csv", manifest(kind).replace("pets/", &absolute).as_bytes());
    assert_eq!(study.run().succeeds().done_and_hits(), (0, done));
}

fn refusal_of_manifest(dataset: &str, text: &str) -> String {
    with_manifest(dataset, text).refusal().problems()
}

#[test]
fn images_of_a_manifest_that_are_not_there_are_told_all_at_once() {
    let text = manifest(kind).replace("pets/dog", "pets/wolf");
    assert_snapshot!(with_manifest(MANIFEST, &text).refusal(), @"
    exit code 2
    --- standard error
    error: data set `data`: 30 of 60 images of set.csv are not there: `pets/wolf/animal1_01.png` (line 3), `pets/wolf/animal3_03.png` (line 5), `pets/wolf/animal5_05.png` (line 7), `pets/wolf/animal7_07.png` (line 9), `pets/wolf/animal9_09.png` (line 11), …
        study.yaml:5:5
     5 |     manifest: { path: set.csv, group: animal }
       |     ^^^^^^^^
      help: they are looked for below .; name another folder with `images`, or remove the lines

    1 problem
    ");
}

#[test]
fn wrong_manifests_are_told_with_line_and_column() {
    let good = manifest(kind);
    let first = good.lines().nth(1).unwrap();
    let told = |text: &str| refusal_of_manifest(MANIFEST, text);
    let all = [
        told(&format!("{good}{first}\n")),
        told(&good.replacen(",cat,", ",,", 1)),
        told(&good.replacen(",a2,", ",,", 1)),
        told(&good.replacen(",train,", ",trian,", 1)),
        told(&good.replacen("pets/dog", "/pets/dog", 1)),
        told(&good.replacen(",label,", ",class,", 1)),
        told(&good.replacen(",sex,", ",item,", 1)),
        told("path,label,animal,sex,part,item\n"),
    ];
    assert_snapshot!(all.join("\n"), @"
    error: data set `data`: set.csv:62, column `path`: `pets/cat/animal0_00.png` stands in line 2 already
      help: each image stands in one line; several labels are read with `separator`
    error: data set `data`: set.csv:2, column `label`: the label is empty
      help: give each image a label, or remove its line
    error: data set `data`: set.csv:4, column `animal`: the group is empty
      help: give images that belong to nobody else a group of their own
    error: data set `data`: set.csv:2, column `part`: `trian` is not `train`, `val` or `test`
      help: say of each image where it belongs, or draw the split
    error: data set `data`: set.csv:3, column `path`: `/pets/dog/animal1_01.png` lies outside the folder
      help: name the folder that all images lie in as `images`
    error: data set `data`: set.csv has no column `label`
      help: the columns are `path`, `class`, `animal`, `sex`, `part`, `item`
    error: data set `data`: set.csv has two columns `item`
      help: rename one of them
    error: data set `data`: set.csv has no rows
    ");
}

#[test]
fn keys_of_a_manifest_that_contradict_each_other_are_told() {
    let told = |keys: &str| {
        let dataset =
            format!("    manifest: {{ path: set.csv, {keys} }}\n    split: {{ test: 0.2 }}");
        refusal_of_manifest(&dataset, &manifest(kind))
    };
    let all = [
        told("label: label, labels: [sex]"),
        told("separator: '|', labels: [sex]"),
        told("group: animal, group_pattern: '(?<group>a)'"),
        told("finding: cat"),
        told("uncertain: drop"),
    ];
    assert_snapshot!(all.join("\n"), @"
    error: data set `data`: both `label` and `labels` are said
      help: leave out `label` or `labels`
    error: data set `data`: both `separator` and `labels` are said
      help: leave out `separator` or `labels`
    error: data set `data`: both `group` and `group_pattern` are said
      help: leave out `group` or `group_pattern`
    error: data set `data`: `finding` is said, but items have one label each
      help: leave `finding` out, or choose classes with `select`
    error: data set `data`: `uncertain` is said, but items have one label each
      help: leave `uncertain` out, or choose classes with `select`
    ");
}

/// Findings as NIH `ChestX-ray14` writes them.
fn findings(number: u32) -> String {
    match number % 4 {
        0 => "No Finding",
        1 => "Effusion",
        2 => "Cardiomegaly|Effusion",
        _ => "Cardiomegaly | Mass",
    }
    .to_owned()
}

#[test]
fn several_labels_in_one_column_ask_for_a_finding_and_keep_the_others() {
    let several = MANIFEST.replace("group: animal", "group: animal, separator: '|'");
    assert_snapshot!(refusal_of_manifest(&several, &manifest(findings)), @"
    error: data set `data`: items have several labels, and stages tell one apart
      help: choose one with `finding`, or `finding: all`; there are, with how many items have them: `Cardiomegaly` (30), `Effusion` (30), `Mass` (15), `No Finding` (15)
    ");
    let unknown = several.replace("'|'", "'|', finding: Oedema");
    assert_snapshot!(refusal_of_manifest(&unknown, &manifest(findings)), @"
    error: data set `data`: there is no finding `Oedema`
      help: choose one with `finding`, or `finding: all`; there are, with how many items have them: `Cardiomegaly` (30), `Effusion` (30), `Mass` (15), `No Finding` (15)
    ");
    let chosen = several.replace("'|'", "'|', finding: Effusion");
    let study = with_manifest(&chosen, &manifest(findings));
    assert_snapshot!(study.check().facts(), @"
      data: 60 items of 30 groups (no Effusion 30, Effusion 30); train 42, val 6, test 12
    note: data: val was drawn: 15 % of the training items
    ");
    study.run().succeeds();
    let items = rows(&study.latest(), "items");
    let row = items.iter().find(|row| row["item"] == pet(26)).unwrap();
    let told =
        ["label", "Cardiomegaly", "Mass", "No Finding", "sex"].map(|name| row[name].as_str());
    assert_eq!(told, ["Effusion", "1", "0", "0", "m"]);
}

/// Findings as `CheXpert` writes them: a column each, 1, 0, −1 or nothing.
fn chexpert() -> String {
    let cell = |number: u32| ["1.0", "0.0", "-1.0", ""][number as usize % 4];
    let row = |number: u32| format!("{},{},{}\n", pet(number), cell(number), cell(number / 4));
    format!("path,Edema,Pneumonia\n{}", (0..60).map(row).collect::<String>())
}

#[test]
fn cells_that_are_uncertain_or_empty_are_told_and_decided_by_the_user() {
    let dataset = "    manifest: { path: set.csv, labels: [Edema, Pneumonia], finding: Edema }\n    \
                   split: { test: 0.25 }";
    assert_snapshot!(refusal_of_manifest(dataset, &chexpert()), @"
    error: data set `data`: `Edema` is −1 (uncertain) for 15 of 60 items and empty for 15 of 60 items
      help: say what that means: `uncertain: negative`, `uncertain: positive` or `uncertain: drop`; and `blank: negative`, `blank: positive` or `blank: drop`
    ");
    let decided =
        dataset.replace("finding: Edema", "finding: Edema, uncertain: drop, blank: negative");
    let study = with_manifest(&decided, &chexpert());
    assert_snapshot!(study.check().facts(), @"
      data: 45 items (no Edema 30, Edema 15); train 29, val 5, test 11
    note: data: `Edema` is −1 (uncertain) for 15 items; they are left out
    note: data: `Edema` is empty for 15 items; they count as negative
    note: data: val was drawn: 15 % of the training items
    ");
    study.run().succeeds();
    let items = rows(&study.latest(), "items");
    let row = items.iter().find(|row| row["Pneumonia"] == "-1.0");
    assert!(row.is_some(), "columns that are not chosen are kept as they are written");
    let strange = chexpert().replacen(",1.0,", ",2,", 1);
    assert_snapshot!(refusal_of_manifest(&decided, &strange), @"
    error: data set `data`: set.csv:2, column `Edema`: `2` is neither 0 nor 1
      help: columns of `labels` hold 0, 1 or −1 (uncertain)
    ");
}

#[test]
fn all_labels_of_one_column_are_read_at_once_without_the_word_for_none() {
    let all = MANIFEST.replace("group: animal", "group: animal, separator: '|', finding: all");
    let check = |dataset: &str| {
        let study = with_manifest(dataset, &manifest(findings));
        study.replace(", metrics: [accuracy]", "");
        study.check().facts()
    };
    assert_snapshot!(check(&all), @"
      data: 60 items of 30 groups (4 labels each: Cardiomegaly 30; Effusion 30; Mass 15; No Finding 15); train 42, val 6, test 12
    note: data: val was drawn: 15 % of the training items
    ");
    assert_snapshot!(check(&all.replace("'|'", "'|', none: No Finding")), @"
      data: 60 items of 30 groups (3 labels each: Cardiomegaly 30; Effusion 30; Mass 15); train 42, val 6, test 12
    note: data: val was drawn: 15 % of the training items
    ");
    let alone = MANIFEST.replace("group: animal", "group: animal, none: No Finding");
    assert_snapshot!(refusal_of_manifest(&alone, &manifest(findings)), @"
    error: data set `data`: `none: No Finding` is said, but no `separator`
      help: say what stands between several labels with `separator`
    ");
}

#[test]
fn cells_of_all_labels_are_not_known_unless_the_user_decides() {
    let dataset = "    manifest: { path: set.csv, labels: [Edema, Pneumonia], finding: all }\n    \
                   split: { test: 0.25 }";
    let check = |more: &str| {
        let dataset = dataset.replace("finding: all", &format!("finding: all{more}"));
        let study = with_manifest(&dataset, &chexpert());
        study.replace(", metrics: [accuracy]", "");
        study.check().facts()
    };
    assert_snapshot!(check(""), @"
      data: 46 items (2 labels each: Edema 15, unknown 16; Pneumonia 16, unknown 14); train 29, val 5, test 12
    note: data: 31 cells are −1 (uncertain); they are neither trained nor scored on
    note: data: 27 cells are empty; they are neither trained nor scored on
    note: data: 14 items of which nothing is known: left out
    note: data: val was drawn: 15 % of the training items
    ");
    assert_snapshot!(check(", uncertain: positive, blank: negative"), @"
      data: 60 items (2 labels each: Edema 30; Pneumonia 32); train 38, val 7, test 15
    note: data: 31 cells are −1 (uncertain); they count as positive
    note: data: 27 cells are empty; they count as negative
    note: data: val was drawn: 15 % of the training items
    ");
    assert_snapshot!(check(", uncertain: drop, blank: unknown"), @"
      data: 30 items (2 labels each: Edema 11, unknown 8; Pneumonia 12, unknown 6); train 19, val 3, test 8
    note: data: 31 cells are −1 (uncertain); items with such a cell are left out
    note: data: 27 cells are empty; they are neither trained nor scored on
    note: data: 3 items of which nothing is known: left out
    note: data: val was drawn: 15 % of the training items
    ");
    let one = dataset.replace("finding: all", "finding: Edema, uncertain: unknown, blank: drop");
    assert_snapshot!(refusal_of_manifest(&one, &chexpert()), @"
    error: data set `data`: `uncertain: unknown` is said, but `Edema` is all that is asked
      help: write `uncertain: drop`, or `finding: all`
    ");
}

#[test]
fn numbers_of_a_manifest_are_read_by_their_columns() {
    let dataset = MANIFEST.replace("group: animal", "group: animal, values: item");
    let study = with_manifest(&dataset, &manifest(kind));
    study.replace("[accuracy]", "[r2]");
    assert_snapshot!(study.check().facts(), @"
      data: 60 items of 30 groups (1 number each: item from 0 to 118, mean 59.0000); train 42, val 6, test 12
    note: data: val was drawn: 15 % of the training items
    ");
    let both = dataset.replace("values: item", "values: item, labels: [sex]");
    assert_snapshot!(refusal_of_manifest(&both, &manifest(kind)), @"
    error: data set `data`: both `labels` and `values` are said
      help: leave out `labels` or `values`
    ");
    let words = dataset.replace("values: item", "values: [item, sex]");
    assert_snapshot!(refusal_of_manifest(&words, &manifest(kind)), @"
    error: data set `data`: set.csv:2, column `sex`: `f` is no number
      help: columns of `values` hold finite numbers, or nothing if not known
    ");
}
