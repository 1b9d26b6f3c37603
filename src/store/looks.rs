//! The ledger of looks at test parts: what was ever scored on which test items, in a file that only
//! grows. Nothing of it enters a key.
//!
//! A test part is known by the contents of its items, whatever they are called and in whatever order
//! they stand. A look is a run that scores predictions there that were never scored there before; a
//! run whose results were all there already is none. An arm is what shares predictions with none
//! that was looked at before, so more seeds of an arm are no new arm.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::base::Digest;

use super::{Store, StoreError};

/// One run's look at one test part.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Look {
    /// Identity of the test items' contents.
    pub test: Digest,
    /// What the run called the data set.
    pub dataset: String,
    /// Test items.
    pub items: usize,
    /// The experiment.
    pub pipeline: String,
    /// The run's id.
    pub run: String,
    /// When, RFC 3339.
    pub time: String,
    /// What was scored: of runs in the ledger, arms with predictions that were new.
    pub arms: Vec<LookedArm>,
}

/// One arm that was scored.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LookedArm {
    /// What the run called it.
    pub name: String,
    /// The metrics that were told.
    pub metrics: Vec<String>,
    /// Identity of its predictions of the test items, one for each seed.
    pub predictions: Vec<Digest>,
}

/// All looks at one test part.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Looks {
    /// What the data set was called last.
    pub dataset: String,
    /// Identity of the test items' contents.
    pub test: String,
    /// Test items.
    pub items: usize,
    /// Runs that scored something new.
    pub looks: usize,
    /// Arms that were scored.
    pub arms: usize,
    /// Experiments, in the order of the alphabet.
    pub pipelines: BTreeSet<String>,
    /// When the first look was, RFC 3339.
    pub first: String,
    /// When the last look was.
    pub last: String,
    /// When each arm of the run that looks was first scored there, whatever it was called then;
    /// nothing where no run looks.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub since: BTreeMap<String, String>,
}

/// The journal that it is.
const LEDGER: &str = "looks";

impl Store {
    /// Notes a look, if anything of it is new; tells all looks at this test part.
    pub fn look(&self, look: &Look) -> Result<Looks, StoreError> {
        let known = self.journal(LEDGER).grow(|known| fresh(look, known).into_iter().collect())?;
        let test = look.test.to_string();
        let all = summed(&known).into_iter().find(|looks| looks.test == test).unwrap_or_default();
        Ok(Looks { dataset: look.dataset.clone(), since: since(look, &known), ..all })
    }

    /// All looks at each test part, in the order of the first.
    pub fn looks(&self) -> Result<Vec<Looks>, StoreError> {
        Ok(summed(&self.journal(LEDGER).read()?))
    }
}

/// The arms of a look that have predictions nobody has looked at; nothing if none has.
fn fresh(look: &Look, known: &[Look]) -> Option<Look> {
    let of_test = known.iter().filter(|entry| entry.test == look.test);
    let seen: BTreeSet<Digest> =
        of_test.flat_map(|entry| &entry.arms).flat_map(|arm| arm.predictions.clone()).collect();
    let is_new = |arm: &&LookedArm| arm.predictions.iter().any(|one| !seen.contains(one));
    let arms: Vec<LookedArm> = look.arms.iter().filter(is_new).cloned().collect();
    (!arms.is_empty()).then(|| Look { arms, ..look.clone() })
}

/// When each arm of a look was first scored on these items, of all that is known.
fn since(look: &Look, known: &[Look]) -> BTreeMap<String, String> {
    let of_test = || known.iter().filter(|entry| entry.test == look.test);
    let shares = |arm: &LookedArm, other: &LookedArm| {
        arm.predictions.iter().any(|one| other.predictions.contains(one))
    };
    let first = |arm: &LookedArm| {
        let entry = of_test().find(|entry| entry.arms.iter().any(|other| shares(arm, other)))?;
        Some((arm.name.clone(), entry.time.clone()))
    };
    look.arms.iter().filter_map(first).collect()
}

fn summed(entries: &[Look]) -> Vec<Looks> {
    let mut order: Vec<Digest> = Vec::new();
    let mut by_test: BTreeMap<Digest, (Looks, BTreeSet<Digest>)> = BTreeMap::new();
    for entry in entries {
        if !order.contains(&entry.test) {
            order.push(entry.test);
        }
        let (looks, seen) = by_test.entry(entry.test).or_default();
        if looks.looks == 0 {
            looks.first.clone_from(&entry.time);
        }
        looks.last.clone_from(&entry.time);
        looks.dataset.clone_from(&entry.dataset);
        looks.test = entry.test.to_string();
        looks.items = entry.items;
        looks.looks += 1;
        looks.pipelines.insert(entry.pipeline.clone());
        for arm in &entry.arms {
            let is_known = arm.predictions.iter().any(|one| seen.contains(one));
            looks.arms += usize::from(!is_known);
            seen.extend(&arm.predictions);
        }
    }
    order.iter().filter_map(|test| by_test.remove(test)).map(|(looks, _)| looks).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn look(run: &str, arms: &[(&str, &[&str])]) -> Look {
        let arm = |(name, predictions): &(&str, &[&str])| LookedArm {
            name: (*name).to_owned(),
            metrics: vec!["accuracy".to_owned()],
            predictions: predictions.iter().map(|text| Digest::of(text.as_bytes())).collect(),
        };
        Look {
            test: Digest::of(b"test"),
            dataset: "data".to_owned(),
            items: 100,
            pipeline: "study".to_owned(),
            run: run.to_owned(),
            time: format!("2026-01-01T00:00:0{run}Z"),
            arms: arms.iter().map(arm).collect(),
        }
    }

    fn noted(store: &Store, run: &str, arms: &[(&str, &[&str])]) -> (usize, usize) {
        let looks = store.look(&look(run, arms)).unwrap();
        (looks.looks, looks.arms)
    }

    #[test]
    fn what_is_scored_again_is_no_look_and_more_seeds_are_no_arm() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path()).unwrap();
        assert!(store.looks().unwrap().is_empty());
        assert_eq!(noted(&store, "1", &[("a", &["a0", "a1"]), ("b", &["b"])]), (1, 2));
        assert_eq!(noted(&store, "2", &[("a", &["a0", "a1"]), ("b", &["b"])]), (1, 2));
        assert_eq!(noted(&store, "3", &[("a", &["a0", "a1", "a2"])]), (2, 2));
        assert_eq!(noted(&store, "4", &[("a", &["a2", "a3"]), ("c", &["c"])]), (3, 3));
        let all = store.looks().unwrap();
        assert_eq!((all.len(), all[0].first.as_str()), (1, "2026-01-01T00:00:01Z"));
        assert_eq!(all[0].last, "2026-01-01T00:00:04Z");
    }

    #[test]
    fn an_arm_is_known_since_it_was_first_scored_whatever_it_is_called() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path()).unwrap();
        noted(&store, "1", &[("a", &["a0"])]);
        noted(&store, "2", &[("a", &["a0", "a1"]), ("b", &["b"])]);
        let looks = store.look(&look("3", &[("c", &["c"]), ("was_a", &["a1", "a0"])])).unwrap();
        let since: Vec<(&str, &str)> =
            looks.since.iter().map(|(arm, time)| (arm.as_str(), &time[17..])).collect();
        assert_eq!(since, [("c", "03Z"), ("was_a", "01Z")]);
        assert!(store.looks().unwrap()[0].since.is_empty());
    }

    #[test]
    fn a_line_that_was_cut_off_spoils_no_other() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path()).unwrap();
        noted(&store, "1", &[("a", &["a"])]);
        let path = store.journal(LEDGER).path().to_owned();
        let whole = std::fs::read(&path).unwrap();
        let torn = [&whole[..], &whole[..whole.len() / 2]].concat();
        crate::base::atomic::write(&path, &torn).unwrap();
        assert_eq!(noted(&store, "2", &[("b", &["b"])]), (2, 2));
        assert_eq!(noted(&store, "3", &[("a", &["a"]), ("b", &["b"])]), (2, 2));
    }

    #[test]
    fn many_at_once_lose_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let note = |number: usize| {
            let store = Store::open(folder.path()).unwrap();
            let name = format!("arm{number}");
            noted(&store, "1", &[(&name, &[&name])]);
        };
        std::thread::scope(|scope| {
            for number in 0..8 {
                scope.spawn(move || note(number));
            }
        });
        let all = Store::open(folder.path()).unwrap().looks().unwrap();
        assert_eq!((all[0].looks, all[0].arms), (8, 8));
    }
}
