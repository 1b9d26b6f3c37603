//! Pixels of a data set at a model's size, decoded once and kept: what trains from the input on
//! reads them in every epoch.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

use serde_json::{Value as Json, json};

use crate::data::{Fit, InputRule, Samples};
use crate::store::ArtifactRef;

use super::super::artifacts::{ArrayWriter, Element};
use super::super::data::OpenDataset;
use super::super::job::{Context, Cores, Failure, Job, Outputs, Speed};
use super::super::kinds::fitted;
use super::super::site::{NodeId, Site};

/// Decodes and fits every item.
#[derive(Clone, Debug)]
pub(in super::super) struct Pixelate {
    data: Arc<OpenDataset>,
    rule: InputRule,
}

/// Items a worker decodes before it hands them over.
const PIECE: usize = 64;

impl Pixelate {
    /// The node for a data set and a model's size; stages share it.
    pub(in super::super) fn shared(
        data: &Arc<OpenDataset>,
        rule: &InputRule,
        site: &mut Site,
    ) -> NodeId {
        let [channels, height, width] = rule.extents();
        // What makes a difference to the pixels stands in the label, by which the node is found.
        let fit = match rule.fit {
            Fit::Stretch => "",
            Fit::Cover => ", cut to fit",
        };
        let label = format!("pixels of {} at {height}×{width}×{channels}{fit}", data.name);
        let job = Self { data: Arc::clone(data), rule: rule.clone() };
        site.shared(&label, None, job, vec![])
    }

    fn piece(&self, first: usize, context: &Context<'_>) -> Result<Samples, Failure> {
        let count = self.data.dataset.items().len();
        let mut piece = Samples::Bytes(Vec::new());
        for index in first..(first + PIECE).min(count) {
            context.go_on()?;
            piece.extend(fitted(&self.data, index, &self.rule)?.samples);
        }
        Ok(piece)
    }
}

impl Job for Pixelate {
    fn kind(&self) -> &'static str {
        "pixels"
    }

    /// 1: first.
    fn version(&self) -> u32 {
        1
    }

    fn parameters(&self) -> Result<Json, Failure> {
        Ok(json!({
            "dataset": self.data.fingerprint()?,
            "size": self.rule.size,
            "channels": self.rule.channels,
            "fit": self.rule.fit,
        }))
    }

    fn cores(&self) -> Cores {
        Cores::All
    }

    fn expected(&self, _speed: Speed) -> f64 {
        self.data.dataset.items().len() as f64 * Speed::DECODE
    }

    /// Bytes if every item has bytes; else floats, even where only one item has them.
    fn run(&self, context: &Context<'_>) -> Result<Outputs, Failure> {
        let rows = match self.written(Element::U8, context)? {
            Some(rows) => rows,
            None => self
                .written(Element::F32, context)?
                .ok_or_else(|| Failure::new("write pixels: floats hold every value"))?,
        };
        let count = self.data.dataset.items().len();
        Ok(Outputs::default().with("rows", rows).fact("items", count))
    }
}

impl Pixelate {
    /// All items as values of this type; nothing if some do not fit into it.
    fn written(
        &self,
        element: Element,
        context: &Context<'_>,
    ) -> Result<Option<ArtifactRef>, Failure> {
        let pieces = self.data.dataset.items().len().div_ceil(PIECE);
        let next = AtomicUsize::new(0);
        let (sender, receiver) = sync_channel(context.cores * 2);
        std::thread::scope(|scope| {
            for _ in 0..context.cores.clamp(1, pieces.max(1)) {
                let (sender, next) = (sender.clone(), &next);
                scope.spawn(move || self.work(next, &sender, context));
            }
            drop(sender);
            self.collect(receiver, (pieces, element), context)
        })
    }

    /// Decodes whichever piece is due until none is left, or one fails.
    fn work(
        &self,
        next: &AtomicUsize,
        sender: &SyncSender<(usize, Result<Samples, Failure>)>,
        context: &Context<'_>,
    ) {
        let count = self.data.dataset.items().len();
        loop {
            let number = next.fetch_add(1, Ordering::Relaxed);
            if number * PIECE >= count {
                return;
            }
            let piece = self.piece(number * PIECE, context);
            let failed = piece.is_err();
            if sender.send((number, piece)).is_err() || failed {
                return;
            }
        }
    }

    /// Writes pieces in order as they come, unless one does not fit. Takes the receiver, so that workers stop sending once
    /// it has failed.
    fn collect(
        &self,
        receiver: Receiver<(usize, Result<Samples, Failure>)>,
        (pieces, element): (usize, Element),
        context: &Context<'_>,
    ) -> Result<Option<ArtifactRef>, Failure> {
        let count = self.data.dataset.items().len();
        let [channels, height, width] = self.rule.extents();
        let mut writer =
            ArrayWriter::new(context.store, element, count, &[height, width, channels])?;
        let mut waiting = BTreeMap::new();
        let mut due = 0;
        for (number, piece) in receiver {
            waiting.insert(number, piece?);
            while let Some(piece) = waiting.remove(&due) {
                match (element, piece) {
                    (Element::U8, Samples::Bytes(values)) => writer.bytes(&values)?,
                    (Element::U8, Samples::Floats(_)) => return Ok(None),
                    (Element::F32, piece) => writer.floats(&piece.into_floats())?,
                }
                due += 1;
                (context.progress)(due, pieces, "");
            }
        }
        context.go_on()?;
        writer.finish().map(Some)
    }
}
