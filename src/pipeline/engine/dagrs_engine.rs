//! dagrs, in one file. Its failures lose their cause and it has no limit on what runs at once, so
//! here every node sends exactly one outcome along every edge, failed or not, and takes cores from
//! a common stock once its inputs have come.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use dagrs::async_trait::async_trait;
use dagrs::{
    Action, Content, DefaultNode, EnvVar, Graph, InChannels, Node as _, NodeId, NodeTable,
    OutChannels, Output,
};
use tokio::sync::Semaphore;

use super::{Engine, Work};

/// Runs independent nodes at the same time; what they use never exceeds the cores.
#[derive(Clone, Copy, Debug)]
pub struct Parallel {
    /// Cores there are.
    pub cores: usize,
}

/// Outcomes by node, as they come in.
type Collected<O> = Arc<Mutex<BTreeMap<usize, Arc<O>>>>;

impl Engine for Parallel {
    fn run<W: Work>(&self, work: &Arc<W>) -> Vec<Arc<W::Outcome>> {
        let before = work.before();
        if before.is_empty() {
            return vec![];
        }
        let collected: Collected<W::Outcome> = Arc::default();
        let stock = Arc::new(Semaphore::new(self.cores.max(1)));
        let mut table = NodeTable::new();
        let mut graph = Graph::new();
        let mut ids: Vec<NodeId> = Vec::new();
        for (node, before) in before.iter().enumerate() {
            let step = Step {
                work: Arc::clone(work),
                node,
                before: before.iter().map(|&index| ids[index]).collect(),
                collected: Arc::clone(&collected),
                stock: Arc::clone(&stock),
                most: self.cores.max(1),
            };
            let step = DefaultNode::with_action(node.to_string(), step, &mut table);
            ids.push(step.id());
            graph.add_node(step).expect("each node is added once");
        }
        for (node, before) in before.iter().enumerate() {
            for &index in before {
                graph.add_edge(ids[index], vec![ids[node]]).expect("both nodes were added");
            }
        }
        graph.set_env(EnvVar::new(table));
        // Two workers are plenty: they only pass results on, work has threads of its own.
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .max_blocking_threads(before.len().max(self.cores) + 4)
            .build()
            .expect("the system gives threads");
        let report = runtime.block_on(graph.async_start());
        let mut collected = collected.lock().unwrap_or_else(PoisonError::into_inner);
        let missing = || panic!("a node ended without an outcome: {report:?}");
        (0..before.len()).map(|node| collected.remove(&node).unwrap_or_else(missing)).collect()
    }
}

/// One node as dagrs sees it.
struct Step<W: Work> {
    work: Arc<W>,
    node: usize,
    before: Vec<NodeId>,
    collected: Collected<W::Outcome>,
    stock: Arc<Semaphore>,
    most: usize,
}

#[async_trait]
impl<W: Work> Action for Step<W> {
    async fn run(
        &self,
        inputs: &mut InChannels,
        outputs: &mut OutChannels,
        _: Arc<EnvVar>,
    ) -> Output {
        let mut before: Vec<Arc<W::Outcome>> = Vec::new();
        for id in &self.before {
            let content = inputs.recv_from(id).await;
            let outcome = content.ok().and_then(Content::into_inner::<Arc<W::Outcome>>);
            let outcome = outcome.expect("every node sends its outcome along every edge");
            before.push(Arc::clone(&outcome));
        }
        let outcome = Arc::new(self.outcome(before).await);
        self.collected
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(self.node, Arc::clone(&outcome));
        outputs.broadcast(Content::new(outcome)).await;
        Output::empty()
    }
}

impl<W: Work> Step<W> {
    async fn outcome(&self, before: Vec<Arc<W::Outcome>>) -> W::Outcome {
        let (work, node, given) = (Arc::clone(&self.work), self.node, before.clone());
        let look = tokio::task::spawn_blocking(move || work.look(node, &given));
        if let Some(outcome) = look.await.expect("work never panics") {
            return outcome;
        }
        let cores = self.work.cores(self.node).clamp(1, self.most);
        let permits = Arc::clone(&self.stock).acquire_many_owned(cores as u32).await;
        let permits = permits.expect("the stock is never closed");
        let work = Arc::clone(&self.work);
        let done = tokio::task::spawn_blocking(move || work.run(node, &before, cores)).await;
        drop(permits);
        done.expect("work never panics")
    }
}
