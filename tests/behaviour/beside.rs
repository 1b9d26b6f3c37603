//! What stands beside a verdict: other tests with what they speak of, subgroups, changed items.

use std::collections::{BTreeMap, BTreeSet};

use insta::assert_snapshot;

use crate::harness::{Backend, Study, pet, rows, text};

/// Arms that compute in double precision and are far apart.
const PLAIN: &str = "\
name: study
seeds: 3
datasets:
  digits:
    csv: { path: digits.csv, header: false, label: last, shape: [8, 8] }
    split: { train: 200, val: 100, test: 300 }
stages:
  floor:
    majority: { dataset: digits }
  pixels:
    pixel_linear: { dataset: digits, c: 0.01 }
  few_pixels:
    pixel_linear: { dataset: digits, train_size: 20, c: 0.01 }
  scores:
    evaluate: { of: [floor, pixels, few_pixels], metrics: [accuracy, macro_f1] }
  verdict:
    transfer: { of: scores, baseline: pixels, metric: accuracy, also: [macro_f1], resamples: 200 }
";

type Row = BTreeMap<String, String>;

fn number(row: &Row, column: &str) -> f64 {
    row[column].parse().unwrap_or_else(|_| panic!("{column} of {row:?}"))
}

fn only<'a>(rows: &'a [Row], wanted: &[(&str, &str)]) -> &'a Row {
    let fits = |row: &&Row| wanted.iter().all(|(column, value)| row[*column] == *value);
    let found: Vec<&Row> = rows.iter().filter(fits).collect();
    assert_eq!(found.len(), 1, "{wanted:?}");
    found[0]
}

#[test]
fn every_test_beside_a_verdict_says_what_it_speaks_of() {
    let study = Study::new(PLAIN).with_digits(600);
    study.run_with(&Backend::Embedded, &["--quiet"]).succeeds();
    let tests = rows(&study.latest(), "tests");
    let told = tests.iter().filter(|row| row["arm"] == "floor");
    let told = told.map(|row| format!("{} {} {}", row["test"], row["metric"], row["scope"]));
    assert_snapshot!(told.collect::<Vec<_>>().join("\n"), @"
    two_way accuracy arm
    paired_t accuracy seeds
    superiority accuracy seeds
    mcnemar accuracy pair
    lost_items accuracy pair
    bootstrap accuracy pair
    bca accuracy pair
    bootstrap macro_f1 pair
    bca macro_f1 pair
    ");
    let verdicts = rows(&study.latest(), "transfer");
    for verdict in &verdicts {
        let arm = verdict["arm"].as_str();
        let of = |test| only(&tests, &[("arm", arm), ("test", test), ("metric", "accuracy")]);
        for column in ["pair_id", "se", "ci_lo", "ci_hi", "p"] {
            assert_eq!(of("two_way")[column], verdict[column]);
        }
        assert_eq!(of("two_way")["estimate"], verdict["delta"]);
        assert_eq!(of("mcnemar")["p"], verdict["mcnemar_p"]);
        let resampled = of("bootstrap");
        assert!((number(resampled, "estimate") - number(verdict, "delta")).abs() < 1e-12);
        assert!(number(resampled, "ci_lo") < number(resampled, "estimate"));
        assert!(number(resampled, "p_holm") >= number(resampled, "p"));
        assert!(number(resampled, "q_bh") <= number(resampled, "p_holm"));
    }
}

#[test]
fn subgroups_share_out_all_test_items_and_small_ones_are_not_judged() {
    let study = Study::new(PLAIN).with_digits(600);
    study.run_with(&Backend::Embedded, &["--quiet"]).succeeds();
    let subgroups = rows(&study.latest(), "subgroups");
    let floor: Vec<&Row> = subgroups.iter().filter(|row| row["arm"] == "floor").collect();
    assert_eq!(floor.len(), 10);
    assert!((floor.iter().map(|row| number(row, "N")).sum::<f64>() - 300.0).abs() < 0.5);
    let told: BTreeSet<String> = floor
        .iter()
        .map(|row| format!("{} {} {}", row["column"], row["verdict"], row["reason"]))
        .collect();
    assert_eq!(told, BTreeSet::from(["label inconclusive too_few_units".to_owned()]));
    // The mean of the subgroups, each by its items, is the difference on the whole.
    let whole = rows(&study.latest(), "transfer");
    let whole = number(only(&whole, &[("arm", "floor")]), "delta");
    let sum: f64 = floor.iter().map(|row| number(row, "N") * number(row, "delta")).sum();
    assert!((sum / 300.0 - whole).abs() < 1e-9);
}

#[test]
fn changed_items_are_those_that_the_test_of_them_counts() {
    let study = Study::new(PLAIN).with_digits(600);
    study.run_with(&Backend::Embedded, &["--quiet"]).succeeds();
    let (changed, tests) = (rows(&study.latest(), "changed_items"), rows(&study.latest(), "tests"));
    for arm in ["floor", "few_pixels"] {
        let count =
            |fate| changed.iter().filter(|row| row["arm"] == arm && row["fate"] == fate).count();
        let note = &only(&tests, &[("arm", arm), ("test", "lost_items")])["note"];
        assert_eq!(*note, format!("{} gained, {} lost", count("gained"), count("lost")));
        assert!(count("lost") > 0);
    }
    // An item that is lost was wrong in most seeds of the arm and right in all of the baseline.
    let lost = changed.iter().find(|row| row["fate"] == "lost").unwrap();
    let items = rows(&study.latest(), "items");
    let right = |stage: &str| {
        let own = items.iter().filter(|row| row["stage"] == stage && row["item"] == lost["item"]);
        own.filter(|row| row["split"] == "test" && row["correct"] == "true").count()
    };
    assert_eq!(right("pixels"), 3);
    assert!(right(&lost["arm"]) <= 1);
}

#[test]
fn a_column_of_the_data_makes_subgroups() {
    let row = |number: u32| {
        let kind = if number.is_multiple_of(2) { "cat" } else { "dog" };
        let site = if number < 20 { "north" } else { "south" };
        format!("{},{kind},{site},{number}\n", pet(number))
    };
    let manifest = format!("path,label,site,age\n{}", (0..60).map(row).collect::<String>());
    let study = Study::new(
        "\
name: study
seeds: 3
datasets:
  pets:
    manifest: { path: set.csv }
    split: { train: 0.4, val: 0.2, test: 0.4 }
stages:
  floor:
    majority: { dataset: pets }
  pixels:
    pixel_linear: { dataset: pets, size: 8, c: 0.1 }
  scores:
    evaluate: { of: [floor, pixels], metrics: [accuracy] }
  verdict:
    transfer: { of: scores, baseline: pixels, metric: accuracy, resamples: 100 }
",
    )
    .with_pets()
    .with_file("set.csv", manifest.as_bytes());
    study.run_with(&Backend::Embedded, &["--quiet"]).succeeds();
    let found: Vec<String> = rows(&study.latest(), "subgroups")
        .iter()
        .map(|row| format!("{}={}", row["column"], row["value"]))
        .collect();
    // An age of its own for every item is no grouping.
    assert_eq!(found, ["label=cat", "label=dog", "site=north", "site=south"]);
    // Two classes have areas, whose test is of the first seed's models.
    let tests = rows(&study.latest(), "tests");
    assert_eq!(only(&tests, &[("test", "delong")])["scope"], "pair");
}

#[test]
fn who_is_hurt_by_an_arm_that_is_open_on_the_whole_is_told_beside_it() {
    // Pixels tell the animals of the north, and call those of the south by each other's names.
    let row = |number: u32| {
        let site = if number < 192 { "north" } else { "south" };
        let is_cat = number.is_multiple_of(2) == (site == "north");
        let part = if number < 60 { "train" } else { "test" };
        format!("{},{},{site},{part}\n", pet(number), if is_cat { "cat" } else { "dog" })
    };
    let manifest = format!("path,label,site,part\n{}", (0..300).map(row).collect::<String>());
    let study = Study::new(
        "\
name: study
seeds: 3
datasets:
  pets:
    manifest: { path: set.csv }
    split: { given: { column: part } }
stages:
  floor:
    majority: { dataset: pets }
  pixels:
    pixel_linear: { dataset: pets, size: 8, c: 0.1 }
  scores:
    evaluate: { of: [floor, pixels], metrics: [accuracy] }
  verdict:
    transfer: { of: scores, baseline: pixels, metric: accuracy, resamples: 100 }
",
    )
    .with_file("set.csv", manifest.as_bytes());
    for number in 0..300 {
        study.draw_pet(number, 0);
    }
    let told = study.run_with(&Backend::Embedded, &["--quiet"]).succeeds().to_string();
    let line = told.lines().find(|line| line.contains("floor")).unwrap();
    assert!(line.contains("? cannot tell yet") && line.contains("site=north"), "{line}");
    assert!(!line.contains("site=south"), "{line}");
    let subgroups = rows(&study.latest(), "subgroups");
    let verdict =
        |site| only(&subgroups, &[("column", "site"), ("value", site)])["verdict"].clone();
    assert_eq!([verdict("north"), verdict("south")], ["negative", "positive"]);
}

/// An arm, its twin and scratch.
fn with_twin() -> Study {
    Study::new(
        "\
name: study
seeds: 3
datasets:
  digits:
    csv: { path: digits.csv, header: false, label: last, shape: [8, 8] }
    split: { train: 100, val: 50, test: 60 }
stages:
  source:
    pretrain:
      dataset: digits
      architecture: { plain_cnn: { channels: 4, dense: 8 } }
      input: { size: 8, channels: 1, scale: 16 }
      steps: 30
      lr: 3e-2
  frozen:
    fine_tune: { model: source, dataset: digits, freeze: all, steps: 10, lr: 3e-2 }
  random_frozen:
    fine_tune: { model: source, init: random, dataset: digits, freeze: all, steps: 10, lr: 3e-2 }
  scratch:
    fine_tune: { model: source, init: random, dataset: digits, steps: 10, lr: 3e-2 }
  scores:
    evaluate: { of: [frozen, random_frozen, scratch], metrics: [accuracy] }
  verdict:
    transfer: { of: scores, baseline: scratch, metric: accuracy, resamples: 0 }
",
    )
    .with_digits(300)
}

#[test]
fn an_arm_whose_twin_diverged_is_split_all_the_same() {
    let study = with_twin();
    let text = study
        .pipeline()
        .replace("freeze: all, steps: 10, lr: 3e-2", "freeze: block1, steps: 10, lr: 1e12");
    study.write("study.yaml", text.as_bytes());
    let told = study.run_with(&Backend::Embedded, &["--quiet"]).fails();
    let tests = rows(&told.folder(&study), "tests");
    let estimate = |test| number(only(&tests, &[("arm", "frozen"), ("test", test)]), "estimate");
    // Both count as the majority class, so that nothing is left to the source.
    assert!(estimate("source").abs() < 1e-12);
    assert!((estimate("protocol") - estimate("two_way")).abs() < 1e-12);
    let verdicts = rows(&told.folder(&study), "transfer");
    for arm in ["frozen", "random_frozen"] {
        let row = only(&verdicts, &[("arm", arm), ("scope", "arm")]);
        assert!(row["flags"].contains("diverged"), "{row:?}");
    }
}

#[test]
fn an_arm_with_a_twin_is_split_into_protocol_and_source() {
    let study = with_twin();
    study.run_with(&Backend::Embedded, &["--quiet"]).succeeds();
    let tests = rows(&study.latest(), "tests");
    let estimate = |test| number(only(&tests, &[("arm", "frozen"), ("test", test)]), "estimate");
    let sum = estimate("protocol") + estimate("source");
    assert!((sum - estimate("two_way")).abs() < 1e-12);
    // The twin is compared with scratch too, and that is the protocol effect.
    let twin = only(&tests, &[("arm", "random_frozen"), ("test", "two_way")]);
    assert!((number(twin, "estimate") - estimate("protocol")).abs() < 1e-12);
    // An arm without a twin is not split, and nothing was resampled.
    let of_twin = tests.iter().filter(|row| row["arm"] == "random_frozen");
    let of_twin: Vec<&str> = of_twin.map(|row| row["test"].as_str()).collect();
    assert_eq!(of_twin, ["two_way", "paired_t", "superiority", "mcnemar", "lost_items"]);
}

#[test]
fn arms_that_predict_numbers_are_compared_in_their_unit() {
    let row = |number: u32| format!("{},{}\n", pet(number), 100 * (number % 2) + number);
    let manifest = format!("path,size\n{}", (0..60).map(row).collect::<String>());
    let study = Study::new(
        "\
name: study
seeds: 3
datasets:
  pets:
    manifest: { path: set.csv, values: size }
    split: { train: 0.5, val: 0.2, test: 0.3 }
stages:
  net:
    pretrain:
      dataset: pets
      architecture: { plain_cnn: { channels: 4, dense: 8 } }
      input: { size: 8, channels: 1, scale: 255 }
      steps: 30
      lr: 1e-2
  floor:
    majority: { dataset: pets }
  scores:
    evaluate: { of: [net, floor], metrics: [mse] }
  verdict:
    transfer: { of: scores, baseline: floor, resamples: 100 }
",
    )
    .with_pets()
    .with_file("set.csv", manifest.as_bytes());
    study.run_with(&Backend::Embedded, &["--quiet"]).succeeds();
    let tests = rows(&study.latest(), "tests");
    let told = tests.iter().map(|row| format!("{} {}", row["test"], row["metric"]));
    let expected = ["two_way mse", "paired_t mse", "superiority mse", "bootstrap mse", "bca mse"];
    assert_eq!(told.collect::<Vec<_>>(), expected);
    let verdict = &rows(&study.latest(), "transfer")[0];
    let delta = number(verdict, "delta");
    for test in ["two_way", "paired_t", "bootstrap"] {
        let estimate = number(only(&tests, &[("test", test)]), "estimate");
        assert!((estimate - delta).abs() < 1e-9 * delta.abs(), "{test}: {estimate}, not {delta}");
    }
    // Numbers are not right or wrong.
    assert!(rows(&study.latest(), "changed_items").is_empty());
}

#[test]
fn any_number_of_jobs_gives_the_same_tables_beside() {
    let tables = |jobs: &str| {
        let study = Study::new(PLAIN).with_digits(600);
        study.run_with(&Backend::Embedded, &["--quiet", "--jobs", jobs]).succeeds();
        ["tests", "subgroups", "changed_items"]
            .map(|name| text(&study.latest(), &format!("{name}.csv")))
    };
    assert_eq!(tables("1"), tables("3"));
}

#[test]
fn an_unknown_further_metric_is_told_with_the_one_that_was_meant() {
    let study = Study::new(&PLAIN.replace("also: [macro_f1]", "also: [makro_f1]"));
    assert_snapshot!(study.with_digits(600).refusal(), @"
    exit code 2
    --- standard error
    error: no metric is called `makro_f1`
         study.yaml:17:72
     17 |     transfer: { of: scores, baseline: pixels, metric: accuracy, also: [makro_f1], resamples: 200 }
        |                                                                        ^^^^^^^^
      help: did you mean `macro_f1`?

    1 problem
    ");
}
