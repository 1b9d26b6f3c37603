use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use proptest::prelude::*;

use super::*;

/// Work whose outcome tells which nodes it depends on; nodes in `failing` fail, and so does
/// whatever comes after them.
struct Traced {
    before: Vec<Vec<usize>>,
    failing: Vec<usize>,
    cores: Vec<usize>,
    in_use: AtomicUsize,
    most_in_use: AtomicUsize,
}

impl Traced {
    fn new(before: Vec<Vec<usize>>, failing: Vec<usize>) -> Self {
        let cores = (0..before.len()).map(|node| 1 + node % 3).collect();
        Self {
            before,
            failing,
            cores,
            in_use: AtomicUsize::new(0),
            most_in_use: AtomicUsize::new(0),
        }
    }
}

type Trace = Result<Vec<usize>, usize>;

impl Work for Traced {
    type Outcome = Trace;

    fn before(&self) -> Vec<Vec<usize>> {
        self.before.clone()
    }

    fn look(&self, node: usize, _: &[Arc<Trace>]) -> Option<Trace> {
        // Every seventh node was there already.
        (node % 7 == 6).then(|| Ok(vec![node]))
    }

    fn cores(&self, node: usize) -> usize {
        self.cores[node]
    }

    fn run(&self, node: usize, before: &[Arc<Trace>], cores: usize) -> Trace {
        let now = self.in_use.fetch_add(cores, Ordering::SeqCst) + cores;
        self.most_in_use.fetch_max(now, Ordering::SeqCst);
        std::thread::sleep(Duration::from_micros(50));
        self.in_use.fetch_sub(cores, Ordering::SeqCst);
        if self.failing.contains(&node) {
            return Err(node);
        }
        let mut seen = vec![node];
        for outcome in before {
            match outcome.as_ref() {
                Ok(nodes) => seen.extend(nodes),
                Err(cause) => return Err(*cause),
            }
        }
        seen.sort_unstable();
        seen.dedup();
        Ok(seen)
    }
}

fn outcomes(engine: &impl Engine, work: Traced) -> Vec<Trace> {
    engine.run(&Arc::new(work)).iter().map(|outcome| (**outcome).clone()).collect()
}

#[test]
fn a_failed_node_reaches_its_children_with_its_cause_and_spares_the_rest() {
    // 0 fails; 1 and 3 depend on it; 2 does not.
    let before = vec![vec![], vec![0], vec![], vec![1, 2]];
    let told = outcomes(&Parallel { cores: 2 }, Traced::new(before, vec![0]));
    assert_eq!(told, [Err(0), Err(0), Ok(vec![2]), Err(0)]);
}

#[test]
fn a_graph_without_nodes_is_done_at_once() {
    assert!(outcomes(&Parallel { cores: 2 }, Traced::new(vec![], vec![])).is_empty());
}

#[test]
fn a_wide_graph_never_uses_more_than_its_cores() {
    let mut before: Vec<Vec<usize>> = (0..200).map(|_| vec![]).collect();
    before.push((0..200).collect());
    let work = Arc::new(Traced::new(before, vec![]));
    let told = Parallel { cores: 3 }.run(&work);
    assert_eq!(told.len(), 201);
    assert!(work.most_in_use.load(Ordering::SeqCst) <= 3);
}

/// Graphs in which each node reads some of those before it.
fn graphs() -> impl Strategy<Value = (Vec<Vec<usize>>, Vec<usize>)> {
    (1_usize..25).prop_flat_map(|count| {
        let node =
            |index: usize| proptest::collection::btree_set(0..index.max(1), 0..=index.min(4));
        let nodes: Vec<_> = (0..count).map(node).collect();
        let nodes = nodes.prop_map(|sets| {
            sets.into_iter()
                .enumerate()
                .map(|(index, set)| set.into_iter().filter(|&before| before < index).collect())
                .collect()
        });
        (nodes, proptest::collection::vec(0..count, 0..3))
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]

    #[test]
    fn both_engines_give_the_same_outcomes((before, failing) in graphs()) {
        let traced = || Traced::new(before.clone(), failing.clone());
        let serial = outcomes(&Serial { cores: 3 }, traced());
        let parallel = outcomes(&Parallel { cores: 3 }, traced());
        prop_assert_eq!(serial, parallel);
    }
}
