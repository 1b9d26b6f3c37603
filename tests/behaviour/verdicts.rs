//! Verdicts on metrics that are no means, and studies that grow until their verdicts are decided.

use std::collections::BTreeMap;

use insta::assert_snapshot;

use crate::harness::{Backend, Study, pet, rows, text};

type Row = BTreeMap<String, String>;

const DATA: &str = "\
datasets:
  digits:
    csv: { path: digits.csv, header: false, label: last, shape: [8, 8] }
    split: { train: 200, val: 100, test: 300 }
stages:
  floor:
    majority: { dataset: digits }
  pixels:
    pixel_linear: { dataset: digits, c: 0.01 }
  fewer_pixels:
    pixel_linear: { dataset: digits, train_size: 130, c: 0.01 }
  scores:
    evaluate: { of: [floor, pixels, fewer_pixels], metrics: [accuracy, macro_f1, auroc] }
";

fn study(seeds: &str, verdict: &str) -> Study {
    let verdict =
        format!("  verdict:\n    transfer: {{ of: scores, baseline: pixels, {verdict} }}\n");
    Study::new(&format!("name: study\nseeds: {seeds}\n{DATA}{verdict}")).with_digits(600)
}

fn number(row: &Row, column: &str) -> f64 {
    row[column].parse().unwrap_or_else(|_| panic!("{column} of {row:?}"))
}

fn of_arm(study: &Study, arm: &str) -> Row {
    let found = rows(&study.latest(), "transfer").into_iter().find(|row| row["arm"] == arm);
    found.unwrap_or_else(|| panic!("there is no verdict on {arm}"))
}

/// The mean of a metric of a stage on test, over seeds.
fn score(study: &Study, stage: &str, metric: &str) -> f64 {
    let scores = rows(&study.latest(), "scores");
    let own = scores.iter().filter(|row| {
        row["stage"] == stage
            && row["metric"] == metric
            && row["split"] == "test"
            && row["class"].is_empty()
    });
    let values: Vec<f64> = own.map(|row| number(row, "value")).collect();
    values.iter().sum::<f64>() / values.len() as f64
}

#[test]
fn a_metric_that_is_no_mean_is_judged_by_resamples_of_seeds_and_items() {
    let study = study("5", "metric: macro_f1, resamples: 1000");
    study.run_with(&Backend::Embedded, &["--quiet"]).succeeds();
    let floor = of_arm(&study, "floor");
    assert_eq!((&*floor["test"], &*floor["verdict"]), ("two_way_bootstrap", "negative"));
    let found = of_arm(&study, "fewer_pixels");
    assert_eq!((&*found["test"], &*found["S"], &*found["N"]), ("two_way_bootstrap", "5", "300"));
    let difference =
        score(&study, "fewer_pixels", "macro_f1") - score(&study, "pixels", "macro_f1");
    assert!((number(&found, "delta") - difference).abs() < 1e-12);
    let left = 1.0 - number(&found, "m_scratch");
    assert!((number(&found, "relative") - difference / left).abs() < 1e-12);
    let sum = number(&found, "p_neg") + number(&found, "p_rope") + number(&found, "p_pos");
    assert!((sum - 1.0).abs() < 1e-9);
    // Beside it stand the resamples as they were drawn, which promise more.
    let tests = rows(&study.latest(), "tests");
    let drawn = tests.iter().find(|row| row["arm"] == "fewer_pixels" && row["test"] == "bootstrap");
    let drawn = drawn.expect("it was resampled");
    assert_eq!((&*drawn["metric"], &*drawn["scope"]), ("macro_f1", "arm"));
    assert!(number(drawn, "se") < number(&found, "se"));
    assert!((number(drawn, "estimate") - difference).abs() < 1e-12);
    // A test of means has nothing to say.
    assert!(tests.iter().all(|row| row["test"] != "two_way"));
}

/// F1 of a class among the test items that have it, mean over seeds: what macro-F1 is there.
fn f1_within(study: &Study, stage: &str, class: &str) -> f64 {
    let items = rows(&study.latest(), "items");
    let of_seed = |seed: usize| {
        let own = items.iter().filter(|row| {
            row["stage"] == stage
                && row["label"] == class
                && row["split"] == "test"
                && (row["seed"].is_empty() || row["seed"] == seed.to_string())
        });
        let right: Vec<bool> = own.map(|row| row["correct"] == "true").collect();
        let hits = right.iter().filter(|right| **right).count() as f64;
        2.0 * hits / (right.len() as f64 + hits)
    };
    (0..5).map(of_seed).sum::<f64>() / 5.0
}

#[test]
fn subgroups_of_a_metric_that_is_no_mean_have_the_metric_within_them() {
    let study = study("5", "metric: macro_f1, resamples: 1000");
    study.run_with(&Backend::Embedded, &["--quiet"]).succeeds();
    let subgroups = rows(&study.latest(), "subgroups");
    assert_eq!(subgroups.len(), 20);
    assert!(subgroups.iter().all(|row| row["test"] == "two_way_bootstrap"));
    let found = subgroups.iter().find(|row| row["arm"] == "fewer_pixels" && row["value"] == "8");
    let found = found.expect("eights are tested");
    let expected = f1_within(&study, "fewer_pixels", "8") - f1_within(&study, "pixels", "8");
    assert!((number(found, "delta") - expected).abs() < 1e-12, "{found:?}");
    assert!(number(found, "ci_lo") < expected && expected < number(found, "ci_hi"));
    // Numbers are told of thirty items, and no claim is made.
    assert_eq!(found["reason"], "too_few_units");
    assert!(number(found, "q_bh_neg") <= number(found, "p_holm_neg"));
}

#[test]
fn a_subgroup_in_which_a_metric_has_no_value_says_why() {
    let row = |number: u32| {
        let site = if number < 120 { "north" } else { "south" };
        let kind = if number.is_multiple_of(2) { "cat" } else { "dog" };
        format!("{},{kind},{site}\n", pet(number))
    };
    let manifest = format!("path,label,site\n{}", (0..240).map(row).collect::<String>());
    let study = Study::new(
        "\
name: study
seeds: 5
datasets:
  pets:
    manifest: { path: set.csv }
    split: { train: 0.2, val: 0.1, test: 0.7 }
stages:
  floor:
    majority: { dataset: pets }
  pixels:
    pixel_linear: { dataset: pets, size: 8, c: 0.1 }
  scores:
    evaluate: { of: [floor, pixels], metrics: [auroc] }
  verdict:
    transfer: { of: scores, baseline: pixels, metric: auroc, resamples: 1000 }
",
    )
    .with_file("set.csv", manifest.as_bytes());
    for number in 0..240 {
        study.draw_pet(number, 0);
    }
    study.run_with(&Backend::Embedded, &["--quiet"]).succeeds();
    let told = rows(&study.latest(), "subgroups");
    let told = told.iter().map(|row| {
        let columns = ["column", "value", "verdict", "reason"].map(|column| &*row[column]);
        format!("{} {}", columns.join(" "), if row["delta"].is_empty() { "–" } else { "Δ" })
    });
    assert_snapshot!(told.collect::<Vec<_>>().join("\n"), @"
    label cat inconclusive only one class occurs among the labels –
    label dog inconclusive only one class occurs among the labels –
    site north negative  Δ
    site south negative  Δ
    ");
}

#[test]
fn a_difference_of_a_metric_that_is_no_mean_is_split_by_the_twin() {
    let study = Study::new(
        "\
name: study
seeds: 5
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
    evaluate: { of: [frozen, random_frozen, scratch], metrics: [macro_f1] }
  verdict:
    transfer: { of: scores, baseline: scratch, metric: macro_f1, resamples: 1000 }
",
    )
    .with_digits(300);
    study.run_with(&Backend::Embedded, &["--quiet"]).succeeds();
    let tests = rows(&study.latest(), "tests");
    let part = |test: &str| {
        let own = tests.iter().find(|row| row["arm"] == "frozen" && row["test"] == test);
        own.unwrap_or_else(|| panic!("there is no {test}")).clone()
    };
    let (protocol, source) = (part("protocol"), part("source"));
    assert_eq!((&*protocol["metric"], &*protocol["scope"]), ("macro_f1", "arm"));
    let whole = number(&of_arm(&study, "frozen"), "delta");
    let sum = number(&protocol, "estimate") + number(&source, "estimate");
    assert!((sum - whole).abs() < 1e-12, "{sum}, not {whole}");
    // The twin is compared with scratch too, by the same resamples, and that is the protocol effect.
    let twin = of_arm(&study, "random_frozen");
    let columns = [("estimate", "delta"), ("se", "se"), ("ci_lo", "ci_lo"), ("p_neg", "p_neg")];
    for (of_part, of_twin) in columns {
        assert_eq!(protocol[of_part], twin[of_twin], "{of_part}");
    }
}

#[test]
fn no_difference_may_be_a_share_of_what_the_baseline_has_gained() {
    for (metric, sign) in [("accuracy", 1.0), ("log_loss", -1.0)] {
        let asked = format!("metric: {metric}, relative_rope: 0.1, resamples: 0");
        let study = study("3", &asked);
        study.run_with(&Backend::Embedded, &["--quiet"]).succeeds();
        for arm in ["floor", "fewer_pixels"] {
            let found = of_arm(&study, arm);
            let gained = (number(&found, "m_scratch") - number(&found, "m_majority")) * sign;
            assert!((number(&found, "eps") - 0.1 * gained).abs() < 1e-12, "{found:?}");
        }
    }
    let both = study("3", "metric: accuracy, rope: 0.02, relative_rope: 0.1");
    assert_snapshot!(both.refusal().problems(), @"
    error: both `rope` and `relative_rope` are given
      help: keep one of them
    ");
}

#[test]
fn fewer_than_five_seeds_are_no_sample_to_draw_from() {
    let study = study("4", "metric: auroc, resamples: 1000");
    let told = study.run_with(&Backend::Embedded, &["--quiet"]).succeeds().to_string();
    assert!(told.contains("fewer than 5 seeds, which a metric that is no mean over items needs"));
    let found = of_arm(&study, "floor");
    assert_eq!(found["reason"], "too_few_seeds_to_draw");
    assert_eq!((&*found["p_neg"], &*found["verdict"]), ("", "inconclusive"));
    // What is told without drawing seeds is about these very models.
    let tests = rows(&study.latest(), "tests");
    assert!(tests.iter().any(|row| row["test"] == "bca" && row["scope"] == "pair"));
}

#[test]
fn a_verdict_by_resamples_wants_enough_of_them() {
    let study = study("5", "metric: ece, resamples: 200");
    assert_snapshot!(study.refusal().problems(), @"
    error: `ece` is no mean over items: it is judged by resamples, and 200 are too few
      help: write `resamples: 1000` or more, or leave it out
    ");
}

/// Growing, with arms of which one is near its baseline.
fn growing() -> Study {
    let until = "{ until_decided: { first: 3, most: 6 } }";
    let study = study(until, "metric: accuracy, resamples: 0");
    study.replace("train_size: 130", "train_size: 100");
    study
}

#[test]
fn seeds_are_added_while_a_verdict_is_open_and_nothing_is_done_twice() {
    let study = growing();
    let told = study.run().succeeds().to_string();
    let grown: Vec<&str> = told.lines().filter(|line| line.contains("open")).collect();
    assert_snapshot!(grown.join("\n"), @"a verdict is open: 2 more seeds, 5 in all · 32 nodes");
    let found = of_arm(&study, "fewer_pixels");
    let look = ["S", "look", "looks", "alpha", "alpha_spent"].map(|column| &*found[column]);
    assert_snapshot!(look.join(" "), @"5 3 4 0.008333333333333333 0.041666666666666664");
    let floor = of_arm(&study, "floor");
    assert_eq!((&*floor["verdict"], &*floor["S"]), ("negative", &*found["S"]));
    // Every node is in the record once, made by this run.
    let costs = rows(&study.latest(), "costs");
    assert!(costs.iter().all(|row| row["outcome"] == "done"));
    let seeds = costs.iter().filter(|row| row["stage"] == "fewer_pixels").count();
    assert_eq!(seeds.to_string(), found["S"]);
    // Again, it comes to the same without any work.
    let before = text(&study.latest(), "transfer.csv");
    let again = study.run().succeeds().to_string();
    assert!(again.contains("0 done"), "{again}");
    assert_eq!(text(&study.latest(), "transfer.csv"), before);
}

#[test]
fn a_growing_study_comes_to_the_same_whatever_was_there_and_however_many_jobs() {
    let tables = |study: &Study| {
        ["transfer.csv", "scores.csv", "tests.csv"].map(|name| text(&study.latest(), name))
    };
    let alone = growing();
    alone.run_with(&Backend::Embedded, &["--quiet", "--jobs", "1"]).succeeds();
    let resumed = growing();
    // As if it had been cut short in the middle of the second look.
    resumed.run_with(&Backend::Embedded, &["--quiet", "--seeds", "4"]).succeeds();
    resumed.run_with(&Backend::Embedded, &["--quiet", "--jobs", "2"]).succeeds();
    assert_eq!(tables(&alone), tables(&resumed));
}

#[test]
fn only_verdicts_that_matter_keep_a_study_growing() {
    let study = study(
        "{ until_decided: { first: 3, most: 6, of: [floor] } }",
        "metric: accuracy, resamples: 0",
    );
    let told = study.run().succeeds().to_string();
    assert!(told.contains("every verdict is decided with 3 seeds"), "{told}");
    assert_eq!(of_arm(&study, "fewer_pixels")["S"], "3");
}

#[test]
fn more_seeds_are_not_tried_where_they_would_not_decide() {
    // Fewer than 50 test items carry no verdict.
    let study = growing();
    study.replace("test: 300", "test: 45");
    let told = study.run().succeeds().to_string();
    assert!(told.contains("more seeds would not decide it"), "{told}");
    assert!(told.contains("`floor` (too_few_units)"), "{told}");
    assert_eq!(of_arm(&study, "floor")["S"], "3");
}

#[test]
fn without_a_verdict_there_is_nothing_by_which_seeds_could_be_added() {
    let study = growing();
    let told = study.run_with(&Backend::Embedded, &["--only", "scores"]).succeeds().to_string();
    assert!(told.contains("there is no verdict by which seeds could be added"), "{told}");
}

#[test]
fn no_seeds_are_added_beyond_the_hours_that_are_given() {
    let study = growing();
    study.replace("most: 6 }", "most: 6, hours: 1e-9 }");
    let told = study.run().succeeds().to_string();
    assert!(told.contains("hours of work, and 0.000000001 are the most"), "{told}");
    assert_eq!(of_arm(&study, "floor")["S"], "3");
}

#[test]
fn a_check_and_a_plan_tell_what_a_growing_study_may_come_to() {
    let study = growing();
    let told = study.check().to_string();
    assert!(told.contains("3 to 6 seeds, 20 to 38 nodes"), "{told}");
    let fixed = study.told(&["check", "study.yaml", "--runtime", "embedded", "--seeds", "6"]);
    assert!(fixed.to_string().contains("6 seeds, 38 nodes"), "{fixed}");
    let plan = study.told(&["plan", "study.yaml", "--runtime", "embedded"]).to_string();
    assert!(
        plan.contains("until decided: looked at with 3, 4, 5 and 6 seeds; up to 38 nodes"),
        "{plan}"
    );
}

/// Two arms of one source, of which one may spend more than the baseline.
const ARMS: &str = "\
name: study
seeds: 3
datasets:
  digits:
    csv: { path: digits.csv, header: false, label: last, shape: [8, 8] }
    split: { train: 100, val: 60, test: 80 }
stages:
  source:
    pretrain:
      dataset: digits
      architecture: { plain_cnn: { channels: 4, dense: 8 } }
      input: { size: 8, channels: 1, scale: 16 }
      steps: 30
      lr: 3e-2
  frozen:
    fine_tune: { model: source, dataset: digits, freeze: all, steps: 20, lr: 3e-2 }
  tuned:
    fine_tune: { model: source, dataset: digits, steps: 40, lr: [1e-2, 3e-2] }
  scratch:
    fine_tune: { model: source, init: random, dataset: digits, steps: 20, lr: 3e-2 }
  scores:
    evaluate: { of: [frozen, tuned, scratch], metrics: [accuracy] }
  on_val:
    evaluate: { of: [frozen, tuned], split: val, metrics: [accuracy] }
  verdict:
    transfer: { of: scores, baseline: scratch, metric: accuracy, resamples: 0 }
";

fn assert_arms_are_audited_and_methods_compared(backend: &Backend) {
    let study = Study::new(ARMS).with_digits(300);
    let told = study.run_with(backend, &["--quiet"]).succeeds().to_string();
    let less = "the baseline had less: trials 1 instead of 2, steps 20 instead of 40";
    let line = |arm: &str| told.lines().find(|line| line.contains(arm)).unwrap_or_default();
    assert!(line("tuned").contains(less) && !line("frozen").contains("had less"), "{told}");
    let audit = rows(&study.latest(), "audit");
    let of_tuned = audit.iter().filter(|row| row["arm"] == "tuned");
    let differ = of_tuned.filter(|row| row["same"] == "false").map(|row| {
        let told = ["aspect", "of_arm", "of_baseline", "less"].map(|column| &*row[column]);
        told.join(" | ")
    });
    let expected = [
        "trials | 2 | 1 | baseline",
        "search_space | lr: [0.01, 0.03] | lr: [0.03] | ",
        "steps | 40 | 20 | baseline",
        "network_macs | 2.22e7 | 5.56e6 | baseline",
    ];
    assert_eq!(differ.collect::<Vec<_>>(), expected);
    // What is frozen is computed once an item, and has no way back.
    let of_frozen = audit.iter().filter(|row| row["arm"] == "frozen" && row["same"] == "false");
    let of_frozen: Vec<String> =
        of_frozen.map(|row| format!("{} {}", row["aspect"], row["less"])).collect();
    assert_eq!(of_frozen, ["network_macs arm"]);
    assert!(of_arm(&study, "tuned")["flags"].contains("baseline_had_less"));

    let method = of_arm(&study, "best of frozen, tuned");
    assert_eq!(["scope", "baseline", "S"].map(|it| &*method[it]), ["method", "scratch", "3"]);
    assert_eq!(of_arm(&study, "frozen")["scope"], "arm");
    // In each seed, the test accuracy of the arm that is best on val.
    let scores = rows(&study.latest(), "scores");
    let of = |stage: &str, split: &str, seed: usize| -> f64 {
        let fits = |row: &&Row| {
            row["stage"] == stage && row["split"] == split && row["seed"] == seed.to_string()
        };
        let found = scores.iter().find(fits);
        number(found.unwrap_or_else(|| panic!("{stage} on {split}")), "value")
    };
    let best = |seed: usize| {
        let is_tuned = of("tuned", "val", seed) > of("frozen", "val", seed);
        of(if is_tuned { "tuned" } else { "frozen" }, "test", seed)
    };
    let expected = (0..3).map(best).sum::<f64>() / 3.0;
    assert!((number(&method, "m_transfer") - expected).abs() < 1e-12);
    // The summary has a line of it, with how often each was chosen.
    let tuned = (0..3).filter(|&seed| of("tuned", "val", seed) > of("frozen", "val", seed)).count();
    let found = line("best of 2 on val");
    assert!(found.contains(&format!("tuned {tuned}×")) == (tuned > 0), "{told}");
    assert!(found.contains(&format!("frozen {}×", 3 - tuned)) == (tuned < 3), "{told}");
}

#[test]
fn methods_of_several_sizes_are_told_apart() {
    let sized = |stage: &str, keys: &str| {
        let of = "train_size: \"${matrix.n}\"";
        format!("  {stage}:\n    fine_tune: {{ model: source, dataset: digits, {of}, {keys} }}\n")
            + "    matrix: { n: [40, 80] }\n"
    };
    let (head, rest) = ARMS.split_once("  frozen:\n").expect("an arm");
    let (_, tail) = rest.split_once("  scores:\n").expect("scores");
    let arms = sized("frozen", "freeze: all, steps: 10, lr: 3e-2")
        + &sized("tuned", "steps: 10, lr: 3e-2")
        + &sized("scratch", "init: random, steps: 10, lr: 3e-2");
    let study = Study::new(&format!("{head}{arms}  scores:\n{tail}")).with_digits(300);
    let told = study.run_with(&Backend::Embedded, &["--quiet"]).succeeds().to_string();
    let methods = told.lines().filter_map(|line| line.trim().strip_prefix("best of 2 "));
    let names: Vec<&str> = methods.filter_map(|line| line.split("  ").next()).collect();
    assert_eq!(names, ["on val, n=40", "on val, n=80"], "{told}");
}

#[test]
fn fits_of_a_probe_are_told_beside_trainings_and_compared_with_fits_alone() {
    let study = Study::new(&ARMS.replace(
        "  scratch:\n",
        "  codes: { extract: { model: source, dataset: digits, layers: dense1 } }
  probe: { linear_probe: { features: codes.dense1, c: [0.01, 0.1, 1] } }
  few: { linear_probe: { features: codes.dense1, c: 1 } }
  scratch:\n",
    ));
    study.replace("of: [frozen, tuned, scratch]", "of: [probe, few, scratch]");
    study.replace("of: [frozen, tuned], split: val", "of: [probe], split: val");
    let told = study.with_digits(300);
    let differing = |study: &Study| {
        let audit = rows(&study.latest(), "audit");
        let of_probe = audit.iter().filter(|row| row["arm"] == "probe" && row["same"] != "true");
        let line = |row: &Row| {
            ["aspect", "of_arm", "of_baseline", "less"].map(|column| &*row[column]).join(" | ")
        };
        of_probe.map(|row| line(row).trim_end().to_owned()).collect::<Vec<_>>().join("\n")
    };
    told.run_with(&Backend::Embedded, &["--quiet"]).succeeds().never_says("had less");
    assert_snapshot!(differing(&told), @"
    fits | 3 |  |
    search_space | [[0.01, 0.1, 1.0], [], [0.01, 0.1, 1.0]] | lr: [0.03] |
    selection | auto on 60 val items | loss on 60 val items |
    network_macs | 4.51e5 | 5.56e6 | arm
    trials |  | 1 |
    steps |  | 20 |
    batch |  | 32 |
    patience |  | 10 |
    ");
    told.replace("baseline: scratch", "baseline: few");
    let said = told.run_with(&Backend::Embedded, &["--quiet"]).succeeds().to_string();
    assert!(said.contains("the baseline had less: fits 1 instead of 3"), "{said}");
}

#[test]
fn arms_are_audited_and_methods_compared_on_the_embedded_backend() {
    assert_arms_are_audited_and_methods_compared(&Backend::Embedded);
}

#[test]
fn arms_are_audited_and_methods_compared_on_the_library() {
    if let Some(library) = Backend::library() {
        assert_arms_are_audited_and_methods_compared(&library);
    }
}

#[test]
fn what_a_growing_study_cannot_be_is_told_with_its_place() {
    let told = |from: &str, to: &str| {
        let study = growing();
        study.replace(from, to);
        study.refusal().problems()
    };
    assert_snapshot!(told("first: 3", "first: 2"), @"
    error: a first look at 2 says nothing of how seeds differ
      help: write `first: 3` or more
    ");
    assert_snapshot!(told("most: 6", "most: 3"), @"
    error: there are 3 at the first look already
      help: write a larger `most`, or `seeds: 3`
    ");
    assert_snapshot!(told("most: 6", "most: 6, of: [floors]"), @"
    error: no verdict is about `floors`
      help: did you mean `floor`?
    ");
    assert_snapshot!(told("until_decided", "until"), @"
    error: seeds know no `until`
      help: there is: `until_decided`
    ");
    let study = growing();
    let text = study.pipeline();
    let without = text.split("  verdict:").next().unwrap_or_default().to_owned();
    study.write("study.yaml", without.as_bytes());
    assert_snapshot!(study.refusal().problems(), @"
    error: no stage gives a verdict that could be decided
      help: write `seeds: 3`, or add a `transfer` stage
    ");
}
