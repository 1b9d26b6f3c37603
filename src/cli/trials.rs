//! Doing the work of a plan: its trials first, where these may let lists of learning rates grow.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::pipeline::engine::{Engine as _, Parallel};
use crate::pipeline::execute::{Execution, Outcome};
use crate::pipeline::extension::{self, Extensions, Then};
use crate::store::{RunNode, Store};

/// What the work of a plan left.
pub(super) struct Worked {
    pub(super) nodes: Vec<RunNode>,
    pub(super) outcomes: Vec<Arc<Outcome>>,
    /// With what another plan takes its place.
    pub(super) longer: Option<Extensions>,
}

/// Does the work of a plan, or of as much of it as is to be done before lists grow.
pub(super) fn trials_first(
    execution: &Arc<Execution>,
    engine: Parallel,
    store: &Store,
    stop: &AtomicBool,
) -> Worked {
    let (mut outcomes, mut held) = (Vec::<Arc<Outcome>>::new(), BTreeSet::new());
    let longer = loop {
        let result = |node: usize| match outcomes.get(node)?.as_ref() {
            Outcome::Done { record, .. } => extension::result(record, store),
            _ => None,
        };
        match execution.plan().next(&result) {
            _ if stop.load(Ordering::Relaxed) => break None,
            Then::Extend(longer) => break Some(longer),
            // What does not let go of any node waits for something that has failed.
            Then::Hold(nodes) if nodes != held => {
                held.clone_from(&nodes);
                execution.hold(nodes);
                outcomes = engine.run(execution);
            }
            Then::Hold(_) | Then::Go => break None,
        }
    };
    if longer.is_none() {
        execution.hold(BTreeSet::new());
        outcomes = engine.run(execution);
    }
    Worked { nodes: execution.run_nodes(&outcomes), outcomes, longer }
}
