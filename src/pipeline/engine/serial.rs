//! One node after the other.

use std::sync::Arc;

use super::{Engine, Work};

/// Runs nodes in their order, on all cores each.
#[derive(Clone, Copy, Debug)]
pub struct Serial {
    /// Cores there are.
    pub cores: usize,
}

impl Engine for Serial {
    fn run<W: Work>(&self, work: &Arc<W>) -> Vec<Arc<W::Outcome>> {
        let mut outcomes: Vec<Arc<W::Outcome>> = Vec::new();
        for (node, before) in work.before().into_iter().enumerate() {
            let before: Vec<_> = before.iter().map(|&index| Arc::clone(&outcomes[index])).collect();
            let outcome = work.look(node, &before).unwrap_or_else(|| {
                work.run(node, &before, work.cores(node).clamp(1, self.cores.max(1)))
            });
            outcomes.push(Arc::new(outcome));
        }
        outcomes
    }
}
