//! Copies of test items among the items that are learnt from, and groups that keep nobody together.

use insta::assert_snapshot;

use crate::formats::study;
use crate::harness::{Study, material, pet, rows, text};

/// The part of each pet: every third is tested.
fn part(number: u32) -> &'static str {
    if number.is_multiple_of(3) { "test" } else { "train" }
}

/// Pets of a given split with copies: 2 is tested in colour, too, 4 a bit lighter under the other
/// class, and 7 is there twice.
fn copied(more: &str) -> Study {
    let row = |number: u32| {
        let kind = if number.is_multiple_of(2) { "cat" } else { "dog" };
        format!("{},{kind},{}\n", pet(number), part(number))
    };
    let rows = (0..60).map(row).collect::<String>();
    let table = format!(
        "path,label,part\n{rows}colour.png,cat,test\nlighter.png,dog,test\ntwice.png,dog,train\n"
    );
    let split = "    split: { given: { column: part }, val: 0.25 }";
    let study = study(&format!("    manifest: {{ path: set.csv }}\n{split}{more}"));
    let study = study.with_pets().with_file("set.csv", table.as_bytes());
    let open = |number| image::open(study.path(&pet(number))).unwrap();
    open(2).to_rgb8().save(study.path("colour.png")).unwrap();
    let mut lighter = open(4).to_luma8();
    lighter.pixels_mut().for_each(|pixel| pixel.0[0] += 9);
    lighter.save(study.path("lighter.png")).unwrap();
    open(7).to_luma8().save(study.path("twice.png")).unwrap();
    study
}

/// The table of copies, a line each.
fn table(study: &Study) -> String {
    let told = |row: &std::collections::BTreeMap<String, String>| {
        let side = |side: &str| {
            let of = |column: &str| row[&format!("{column}_{side}")].clone();
            format!("{} {} ({})", of("part"), of("item"), of("label"))
        };
        format!("{}: {} = {}", row["kind"], side("a"), side("b"))
    };
    rows(&study.latest(), "leaks").iter().map(told).collect::<Vec<_>>().join("\n")
}

#[test]
fn copies_of_test_items_are_told_before_any_work() {
    let study = copied("");
    let told = study.check().succeeds();
    let warned: Vec<&str> = told.err.lines().filter(|line| !line.contains("library")).collect();
    assert_snapshot!(warned.join("\n"), @"
    note: data: 1 pair of copies on one side of the test part; see the table `leaks`
    warning: data: 1 test item equal and 1 more nearly equal to items of train or val (the first `pets/cat/animal2_02.png` and `colour.png`): what is learnt is tested on itself; write `on_leak: drop_from_train` to leave these out
    warning: data: 1 pair of copies with different labels, the first `pets/cat/animal4_04.png` and `lighter.png`
    ");
    study.run().succeeds().says("! data: copies of 2 test items are in train or val");
    assert_snapshot!(table(&study), @"
    same: train pets/cat/animal2_02.png (cat) = test colour.png (cat)
    near: train pets/cat/animal4_04.png (cat) = test lighter.png (dog)
    same: val pets/dog/animal7_07.png (dog) = train twice.png (dog)
    ");
    let run = text(&study.latest(), "run.json");
    assert!(run.contains("\"leaks\": [") && run.contains("\"same\": 1"), "{run}");
    // What was found is remembered by content: names of files are none.
    let first = study.latest();
    let told = study.run().succeeds().says("copies of 2 test items are in");
    assert_eq!(told.done_and_hits(), (0, 2));
    assert_eq!(text(&first, "leaks.csv"), text(&study.latest(), "leaks.csv"));
}

#[test]
fn copies_of_test_items_are_refused_if_that_is_asked_for() {
    assert_snapshot!(copied("\n    on_leak: fail").refusal(), @"
    exit code 2
    --- standard error
    error: data set `data`: 1 test item equal and 1 more nearly equal to items of train or val (the first `pets/cat/animal2_02.png` and `colour.png`): what is learnt is tested on itself
        study.yaml:7:14
     7 |     on_leak: fail
       |              ^^^^
      help: write `on_leak: drop_from_train` to leave their copies out of train and val, or mend the data set

    1 problem
    ");
    copied("\n    on_leak: ignore").run().succeeds().never_says("test item");
}

#[test]
fn copies_of_test_items_are_left_out_of_train_if_that_is_asked_for() {
    let study = copied("\n    on_leak: drop_from_train");
    let whole = copied("");
    whole.run().succeeds();
    let told = study.run().succeeds().never_says("! data");
    assert_eq!(told.done_and_hits().0, 2);
    assert_snapshot!(table(&study), @"
    same:  pets/cat/animal2_02.png (cat) = test colour.png (cat)
    near:  pets/cat/animal4_04.png (cat) = test lighter.png (dog)
    same: val pets/dog/animal7_07.png (dog) =  twice.png (dog)
    ");
    let trained = |study: &Study| rows(&study.latest(), "scores")[0]["n_train"].clone();
    assert_eq!([trained(&whole), trained(&study)], ["31", "28"]);
}

/// A split that is drawn for each seed.
const DRAWN: &str = "split: { train: 0.4, val: 0.2, test: 0.4 }\n    on_leak: drop_from_train";

#[test]
fn no_copy_stands_on_two_sides_of_any_drawn_split() {
    let study = copied("");
    study.replace("split: { given: { column: part }, val: 0.25 }", DRAWN);
    study.replace("seeds: 1", "seeds: 4");
    study.run().succeeds().never_says("! data");
    let leaks = rows(&study.latest(), "leaks");
    assert_eq!(leaks.len(), 3);
    let on_two_sides = |row: &&std::collections::BTreeMap<String, String>| {
        let parts = [&row["part_a"], &row["part_b"]];
        !parts.iter().any(|part| part.is_empty()) && parts[0] != parts[1]
    };
    assert_eq!(leaks.iter().filter(on_two_sides).count(), 0, "{leaks:?}");
}

#[test]
fn equal_rows_of_a_table_are_copies_and_alike_rows_are_not() {
    let data = "    csv: { path: digits.csv, header: false, label: last, shape: [8, 8] }\n    split: \
                { test: { rows: 0..100 } }";
    let study = study(data).with_digits(300);
    study.run().succeeds().never_says("cop");
    let digits = text(&study.path(""), "digits.csv");
    let lines: Vec<&str> = digits.lines().collect();
    let again = format!("{digits}{}\n{}\n", lines[5], lines[6]);
    study.write("digits.csv", again.as_bytes());
    study.run().succeeds().says("warning: data: 2 test items equal to items of train or val");
    assert_snapshot!(table(&study), @"
    same: test 5 (5) = train 300 (5)
    same: test 6 (6) = train 301 (6)
    ");
}

/// A network that learns kinds of some pets, for others: `data` has the first 20, half of them tested,
/// and `source` the 40 that follow.
fn two_sets(more: &str) -> Study {
    let pipeline = format!(
        "\
name: study
seeds: 2
datasets:
  source:
    manifest: {{ path: source.csv }}
    split: {{ train: 20, val: 10, test: 10 }}
  data:
    manifest: {{ path: set.csv }}
    split: {{ given: {{ column: part }}, val: 0.25 }}{more}
stages:
  net:
    pretrain:
      dataset: source
      architecture: {{ plain_cnn: {{ channels: 4, dense: 8 }} }}
      input: {{ size: 8, channels: 1 }}
      steps: 4
      lr: 1e-2
  codes:
    extract: {{ model: net, dataset: data, layers: dense1 }}
  probe:
    linear_probe: {{ features: codes, c: 1 }}
  floor:
    majority: {{ dataset: data }}
  scores:
    evaluate: {{ of: [probe, floor], metrics: [accuracy] }}
"
    );
    let row = |number: u32| {
        let kind = if number.is_multiple_of(2) { "cat" } else { "dog" };
        format!("{},{kind},{}\n", pet(number), ["train", "test"][number as usize / 2 % 2])
    };
    let table = |numbers: std::ops::Range<u32>| {
        format!("path,label,part\n{}", numbers.map(row).collect::<String>())
    };
    let study = Study::new(&pipeline).with_pets();
    study.write("set.csv", table(0..20).as_bytes());
    study.write("source.csv", table(20..60).as_bytes());
    study
}

/// The same where the source learns from tested items, too, one of them in another size; and from one
/// that is tested nowhere. One that both test is learnt from nowhere.
fn learnt_before(more: &str) -> Study {
    let study = two_sets(more);
    let given = "split: { given: { column: part }, val: 0.25 }";
    study.replace("split: { train: 20, val: 10, test: 10 }", given);
    let open = |number| image::open(study.path(&pet(number))).unwrap().to_luma8();
    let sized = |side: u32| {
        image::imageops::resize(&open(6), side, side, image::imageops::FilterType::Triangle)
    };
    let [tested, larger] = [sized(32), sized(64)];
    tested.save(study.path(&pet(6))).unwrap();
    larger.save(study.path("larger.png")).unwrap();
    open(3).save(study.path("as_it_is.png")).unwrap();
    open(4).save(study.path("beside.png")).unwrap();
    let more = "as_it_is.png,dog,train\nlarger.png,cat,train\nbeside.png,cat,train\n";
    let unlearnt = format!("{},dog,test\n", pet(7));
    let table = text(&study.path(""), "source.csv");
    study.write("source.csv", format!("{table}{more}{unlearnt}").as_bytes());
    study
}

#[test]
fn copies_of_test_items_in_what_a_model_was_trained_on_are_told() {
    two_sets("").check().succeeds().never_says("cop").never_says("test item");
    let study = learnt_before("");
    let told = study.check().succeeds();
    let warned: Vec<&str> = told.err.lines().filter(|line| line.contains("data: ")).collect();
    assert_snapshot!(warned.join("\n"), @"warning: data: 1 test item equal and 1 more nearly equal to items of `source` that `net` learns from (the first `as_it_is.png` and `pets/dog/animal3_03.png`): what is learnt is tested on itself; leave these out of one of both data sets, see the table `leaks`");
    study.run().succeeds().says("! data: copies of 2 test items are learnt from in `source`");
    assert_snapshot!(table(&study), @"
    same: train as_it_is.png (dog) = test pets/dog/animal3_03.png (dog)
    near: train larger.png (cat) = test pets/cat/animal6_06.png (cat)
    ");
    let leaks = rows(&study.latest(), "leaks");
    assert!(leaks.iter().all(|row| row["dataset"] == "data" && row["learnt_on"] == "source"));
    // What was found is remembered, and nothing is learnt of the source where weights are drawn.
    study.run().succeeds().says("copies of 2 test items");
    study.replace("layers: dense1 }", "layers: dense1, init: random }");
    study.check().succeeds().never_says("test item");
}

#[test]
fn copies_in_what_a_model_was_trained_on_are_refused_or_ignored_if_that_is_asked_for() {
    assert_snapshot!(learnt_before("\n    on_leak: fail").refusal(), @"
    exit code 2
    --- standard error
    error: data set `data`: 1 test item equal and 1 more nearly equal to items of `source` that `net` learns from (the first `as_it_is.png` and `pets/dog/animal3_03.png`): what is learnt is tested on itself
         study.yaml:10:14
     10 |     on_leak: fail
        |              ^^^^
      help: leave these items out of one of both data sets; with `on_leak: warn` the table `leaks` of a run lists them

    1 problem
    ");
    learnt_before("\n    on_leak: ignore").check().succeeds().never_says("test item");
    let message = "warning: data: 1 test item equal and 1 more nearly equal to items of `source`";
    let dropped = learnt_before("\n    on_leak: drop_from_train");
    dropped.check().succeeds().says(message);
    // Who learns without labels sees the images all the same.
    let unlabelled = learnt_before("");
    unlabelled.replace("      steps: 4", "      objective: rotation\n      steps: 4");
    unlabelled.check().succeeds().says(message);
}

#[test]
fn near_copies_in_real_digits_are_those_that_a_look_at_all_pairs_finds() {
    let Some(material) = material() else { return };
    let archives = std::fs::read_dir(material.join("usps")).unwrap();
    let mut archives = archives.map(|file| file.unwrap().path());
    let archive = archives.find(|path| path.extension().is_some_and(|end| end == "npz")).unwrap();
    let npz = format!("    npz: {{ path: {} }}\n    split: {{ given: parts }}", archive.display());
    let told = study(&npz).check().succeeds();
    // By NumPy and Pillow, of all 9,298 × 9,297 / 2 pairs none is equal and 16 nearly equal pairs lie
    // across the given parts, with 15 of the test items.
    told.says("data: 15 test items nearly equal to items of train or val");
}

#[test]
fn disjoint_rows_of_one_file_are_no_copies_and_equal_rows_are() {
    let csv = "csv: { path: digits.csv, header: false, label: last, shape: [8, 8] }";
    let study = two_sets("");
    let pipeline = study.pipeline();
    let (head, tail) = (pipeline.find("  source:").unwrap(), pipeline.find("stages:").unwrap());
    let sets = format!(
        "  source:\n    {csv}\n    select: {{ rows: 0..150 }}\n    split: {{ train: 80, val: 40, \
         test: 30 }}\n  data:\n    {csv}\n    select: {{ rows: 150..300 }}\n    split: {{ train: \
         70, val: 40, test: 40 }}\n"
    );
    let study = Study::new(&format!("{}{sets}{}", &pipeline[..head], &pipeline[tail..]));
    let study = study.with_digits(300);
    study.check().succeeds().never_says("test item");
    study.replace("150..300", "100..300");
    study.check().succeeds().says("test items equal to items of `source` that `net` learns from");
}

/// What is said of pets with these groups.
fn grouped(split: &str, group: impl Fn(u32) -> String) -> crate::harness::Told {
    let row = |number: u32| {
        let kind = if number.is_multiple_of(2) { "cat" } else { "dog" };
        format!("{},{kind},{},{}\n", pet(number), part(number), group(number))
    };
    let rows = (0..60).map(row).collect::<String>();
    let table = format!("path,label,part,person\n{rows}");
    let data = format!("    manifest: {{ path: set.csv, group: person }}\n    split: {split}");
    study(&data).with_pets().with_file("set.csv", table.as_bytes()).check()
}

#[test]
fn groups_that_look_invented_are_told() {
    let drawn = "{ train: 0.4, val: 0.2, test: 0.4 }";
    let warned = |told: crate::harness::Told| told.succeeds().err;
    let pairs = warned(grouped(drawn, |number| format!("p{}", number % 30)));
    assert!(!pairs.contains("group"), "{pairs}");
    assert_snapshot!(warned(grouped(drawn, |number| number.to_string())), @"warning: data: the groups count the rows: each of the 60 items has its own; if items do share persons, say what tells these; if not, leave the groups out");
    assert_snapshot!(warned(grouped(drawn, |number| format!("x{number}"))), @"warning: data: each of the 60 items is in a group of its own; if items do share persons, say what tells these; if not, leave the groups out");
    let given = "{ given: { column: part }, val: 0.25 }";
    let parts = grouped(given, |number| part(number).to_owned());
    assert_snapshot!(parts.problems(), @"
    error: data set `data`: the groups are the parts `train`, `val` and `test`, so they keep nobody together
      help: say a column or a pattern that tells persons apart, or leave the groups out
    ");
    assert_snapshot!(grouped(drawn, |_| "p1".to_owned()).problems(), @"
    error: data set `data`: all 60 items are of one group, `p1`
      help: say a column or a pattern that tells persons apart, or leave the groups out
    ");
    let kind = |number: u32| if number.is_multiple_of(2) { "tabby" } else { "hound" };
    assert_snapshot!(grouped(drawn, |number| kind(number).to_owned()).problems(), @"
    error: data set `data`: the groups are the classes: every item of `tabby` is of one class, and no other group is
      help: say a column or a pattern that tells persons apart, or leave the groups out
    ");
}
