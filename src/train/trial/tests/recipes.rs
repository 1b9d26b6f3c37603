//! Accumulation, unfreezing, penalties and checkpoints.

use std::sync::Mutex;
use std::time::Duration;

use super::*;
use crate::autodiff::Sgd;
use crate::base::language::Share;
use crate::onnx::freeze::groups;
use crate::train::range_test::range_test;
use crate::train::stepping::Stepping;

/// A training of the halves; what is not said is as in a plain one.
struct Ask {
    architecture: Architecture,
    optimiser: Optimiser,
    batch: usize,
    piece: usize,
    steps: usize,
    unfreeze: Unfreeze,
    pull: Option<f32>,
    mixing: Mixing,
    class_weights: [f64; 2],
    rate: f64,
    clip: Option<f32>,
}

impl Default for Ask {
    fn default() -> Self {
        Self {
            architecture: residual(),
            optimiser: Optimiser::AdamW(defaults()),
            batch: 16,
            piece: 16,
            steps: 10,
            unfreeze: Unfreeze::AtOnce,
            pull: None,
            mixing: Mixing::default(),
            class_weights: [1.0, 1.0],
            rate: 3e-3,
            clip: Some(0.5),
        }
    }
}

/// What steps have left: weights, optimiser state and statistics, with their layouts.
struct Left {
    moving: Vec<Vec<f32>>,
    prepared: Arc<Prepared>,
}

impl Ask {
    /// Layer groups below the head, from the top: what lies how deep.
    fn depth(graph: &Graph, name: &str) -> usize {
        let read = graph.nodes.last().and_then(|node| node.input(0)).unwrap();
        let groups = groups(graph, read);
        let learns_above = |end: &str| {
            let above = divide(graph, Some(end)).trained;
            above.iter().any(|parameter| parameter.name == name)
        };
        groups.iter().filter(|group| !learns_above(&group.end)).count()
    }

    fn phases(&self, workshop: &Workshop, graph: &Graph) -> Vec<Arc<Prepared>> {
        let divided = divide(graph, None);
        let cohort = |name: &str| self.unfreeze.cohort(Self::depth(graph, name));
        let cohorts = divided.trained.iter().map(|p| cohort(&p.name) + 1).max().unwrap();
        let course = Course::new(&Schedule::Constant, &self.unfreeze, cohorts, 6, self.steps);
        let pull = self.pull.map(|pull| move |_: &str| pull);
        let phase = |phase: usize| {
            let terms = Terms {
                pull: pull.as_ref().map(|pull| pull as &dyn Fn(&str) -> f32),
                cohort: &cohort,
                learning: course.learning(phase),
                summed: self.piece < self.batch,
                ..Terms::default()
            };
            let preparation = Preparation {
                divided: &divided,
                items: &[vec![1, 8, 8]],
                batch: self.piece,
                rate: &|_| 1.0,
                optimiser: &self.optimiser,
                clip: self.clip,
                terms: &terms,
            };
            workshop.prepare(Digest::of(&[phase as u8]), &preparation).unwrap()
        };
        (0..course.phases()).map(phase).collect()
    }

    fn settings(&self) -> Settings<'_> {
        Settings {
            rate: self.rate,
            schedule: &Schedule::Constant,
            unfreeze: &self.unfreeze,
            optimiser: &self.optimiser,
            loss: &Loss::CrossEntropy,
            mixing: self.mixing,
            batch: self.batch,
            budget: Budget { length: Length::Steps(self.steps), patience: 0 },
            monitor: &Monitor::Loss,
            seed: Seed(1),
            threads: 1,
        }
    }

    /// All steps, without looks.
    fn left(&self) -> Left {
        self.with(|workshop, phases, examples, settings, start| {
            let mut stepping = Stepping::new(workshop, phases, settings, &start).unwrap();
            let prepared = Arc::clone(phases.last().unwrap());
            let mut moving = moving(&prepared, settings.optimiser, start).unwrap();
            let course = settings.course(examples, prepared.weights.cohort_count());
            let mut batches = Batches::new(examples.open.train(), settings.batch, settings.seed);
            for step in 0..self.steps {
                let at = (step, &course, self.rate as f32);
                stepping.step(examples, batches.next(), at, &mut moving).unwrap();
            }
            Left { moving: moving.iter().map(plain).collect(), prepared }
        })
    }

    /// A whole training.
    fn trained(&self, draft: &dyn Draft, watch: Watch<'_>) -> Result<Trained, TrainError> {
        self.with(|workshop, phases, examples, settings, start| {
            train(workshop, phases, examples, settings, start, draft, watch)
        })
    }

    fn with<T>(
        &self,
        go: impl FnOnce(&Workshop, &[Arc<Prepared>], &Examples<'_>, &Settings<'_>, Start) -> T,
    ) -> T {
        let graph = network(&self.architecture, 1);
        let (halves, labels) = Halves::new(160);
        let (items, val): (Vec<usize>, Vec<usize>) = ((0..100).collect(), (100..160).collect());
        let workshop = Workshop::new(runtime().unwrap());
        let phases = self.phases(&workshop, &graph);
        let examples = Examples {
            sources: vec![&halves],
            answers: Answers::Classes { labels: &labels, weights: &self.class_weights },
            open: Open::made_up(&items, &val),
        };
        let weights = phases[0].weights.gather(&graph);
        let start = Start {
            anchor: vec![0.0; weights.len()],
            weights,
            statistics: phases[0].statistics.gather(&graph),
        };
        go(&workshop, &phases, &examples, &self.settings(), start)
    }
}

fn furthest(one: &[f32], other: &[f32]) -> f32 {
    assert_eq!(one.len(), other.len());
    one.iter().zip(other).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max)
}

fn plain_cnn() -> Architecture {
    Architecture::PlainCnn(defaults())
}

#[test]
fn a_batch_in_pieces_is_one_big_batch() {
    let sgd = || Optimiser::Sgd(Sgd { weight_decay: Share::new(0.01).unwrap(), ..defaults() });
    for mixup in [None, Some(0.4)] {
        let ask = |piece| Ask {
            architecture: plain_cnn(),
            optimiser: sgd(),
            piece,
            class_weights: [1.0, 3.0],
            mixing: Mixing { mixup, label_smoothing: 0.1 },
            pull: Some(0.05),
            rate: 1e-2,
            ..Ask::default()
        };
        let whole = ask(16).left().moving;
        // The last of the pieces is filled up with items that must not count.
        for piece in [8, 6, 5, 1] {
            let pieces = ask(piece).left().moving;
            for (one, other) in whole.iter().zip(&pieces) {
                let distance = furthest(one, other);
                assert!(distance < 1e-5, "pieces of {piece} are {distance} off");
            }
        }
        let start = ask(16).with(|_, _, _, _, start| start.weights);
        assert!(furthest(&whole[0], &start) > 1e-3, "nothing was learnt");
    }
}

/// Weights, state and statistics by cohort: those of cohort 0 and those after it.
fn moved(left: &Left, start: &Start, cohort: usize) -> (bool, bool) {
    let (mut weights, mut state) = (false, false);
    let mut at = 0;
    for slot in left.prepared.weights.slots() {
        let range = at..at + slot.len();
        at = range.end;
        if slot.cohort != cohort {
            continue;
        }
        weights |= left.moving[0][range.clone()] != start.weights[range.clone()];
        let mut states = left.moving[1..3].iter().flat_map(|state| &state[range.clone()]);
        state |= states.any(|value| *value != 0.0);
    }
    (weights, state)
}

/// An epoch is six steps of 16 out of 100 items.
#[test]
fn a_group_that_is_not_unfrozen_yet_is_left_bit_for_bit() {
    let ask = |steps| Ask { steps, unfreeze: Unfreeze::Gradual(defaults()), ..Ask::default() };
    let cohorts = ask(1).left().prepared.weights.cohort_count();
    assert!(cohorts >= 4, "{cohorts} cohorts say little");
    for epochs in 1..=2 {
        let ask = ask(6 * epochs);
        let left = ask.left();
        let start = ask.with(|_, _, _, _, start| start);
        for cohort in 0..cohorts {
            let expected = (cohort < epochs, cohort < epochs);
            assert_eq!(moved(&left, &start, cohort), expected, "{cohort} after {epochs}");
        }
        // Statistics of normalisations below the groups that learn stay too.
        let still = left.moving[3]
            .iter()
            .zip(&start.statistics)
            .filter(|(a, b)| a.to_bits() == b.to_bits());
        let still = still.count();
        assert!(still > 0, "some statistics lie below");
        assert_eq!(still == start.statistics.len(), epochs == 1, "{still}");
    }
}

/// What a step of Adam does does not depend on how many steps others have learnt for before: its
/// first step goes as far as the learning rate, whenever it is.
#[test]
fn a_group_that_begins_later_begins_with_its_own_first_step() {
    let adam = crate::autodiff::AdamW { weight_decay: Share::new(0.0).unwrap(), ..defaults() };
    let ask = Ask {
        steps: 7,
        unfreeze: Unfreeze::Gradual(defaults()),
        optimiser: Optimiser::AdamW(adam),
        ..Ask::default()
    };
    let left = ask.left();
    let start = ask.with(|_, _, _, _, start| start);
    let mut at = 0;
    let mut steps = vec![];
    for slot in left.prepared.weights.slots() {
        let range = at..at + slot.len();
        at = range.end;
        if slot.cohort == 1 {
            let pairs = left.moving[0][range.clone()].iter().zip(&start.weights[range]);
            steps.extend(pairs.map(|(new, old)| (new - old).abs()));
        }
    }
    let far = steps.iter().copied().fold(0.0, f32::max);
    assert!((far - 3e-3).abs() < 3e-5, "the first step went {far}");
}

#[test]
fn weights_are_pulled_to_their_anchor() {
    let ask = |pull| Ask {
        optimiser: Optimiser::Sgd(Sgd { momentum: Share::new(0.0).unwrap(), ..defaults() }),
        steps: 1,
        pull,
        rate: 1e-2,
        clip: None,
        ..Ask::default()
    };
    let (free, pulled) = (ask(None).left(), ask(Some(0.5)).left());
    let start = ask(None).with(|_, _, _, _, start| start.weights);
    // w₁ = w₀ − η (g + κ (w₀ − a)) with a = 0.
    let expected: Vec<f32> =
        free.moving[0].iter().zip(&start).map(|(w, start)| w - 1e-2 * 0.5 * start).collect();
    let distance = furthest(&pulled.moving[0], &expected);
    assert!(distance < 1e-6, "{distance}");
    assert!(furthest(&pulled.moving[0], &free.moving[0]) > 1e-4, "nothing was pulled");
}

/// Keeps everything that is written.
#[derive(Default)]
struct Kept {
    read: Option<Vec<u8>>,
    written: Mutex<Vec<Vec<u8>>>,
}

impl Draft for Kept {
    fn read(&self) -> Option<Vec<u8>> {
        self.read.clone()
    }

    fn write(&self, bytes: &[u8]) {
        self.written.lock().unwrap().push(bytes.to_vec());
    }

    fn patience(&self) -> Duration {
        Duration::ZERO
    }
}

#[test]
fn a_training_taken_up_from_any_checkpoint_ends_in_the_same_bits() {
    let ask = Ask {
        steps: 30,
        unfreeze: Unfreeze::Gradual(defaults()),
        mixing: Mixing { mixup: Some(0.2), label_smoothing: 0.1 },
        ..Ask::default()
    };
    let kept = Kept::default();
    let whole = ask.trained(&kept, &|_, _, _| true).unwrap();
    let written = kept.written.into_inner().unwrap();
    assert!(!written.is_empty(), "nothing was kept");
    for bytes in written.into_iter().step_by(5) {
        let steps = Mutex::new(vec![]);
        let draft = Kept { read: Some(bytes), ..Kept::default() };
        let watch = |step: usize, _: usize, _: &str| {
            steps.lock().unwrap().push(step);
            true
        };
        let again = ask.trained(&draft, &watch).unwrap();
        assert!(steps.lock().unwrap()[0] > 1, "it began anew");
        let bits = |weights: &[f32]| weights.iter().map(|w| w.to_bits()).collect::<Vec<_>>();
        assert_eq!(bits(&again.weights), bits(&whole.weights));
        assert_eq!(bits(&again.statistics), bits(&whole.statistics));
        assert_eq!(again.curve, whole.curve);
        assert_eq!((again.best, again.stopped_at), (whole.best, whole.stopped_at));
    }
}

#[test]
fn a_draft_that_is_no_checkpoint_is_not_taken_up() {
    let ask = Ask { steps: 2, ..Ask::default() };
    let draft = Kept { read: Some(b"no checkpoint".to_vec()), ..Kept::default() };
    assert_eq!(ask.trained(&draft, &|_, _, _| true).unwrap().curve[0].step, 0);
}

#[test]
fn a_range_test_finds_a_rate_that_learns() {
    let ask = Ask { steps: 100, ..Ask::default() };
    let found = ask.with(|workshop, phases, examples, settings, start| {
        let prepared = phases.last().unwrap();
        range_test(workshop, prepared, examples, settings, start, &|_, _, _| true).unwrap()
    });
    assert!(found.curve.len() > 50 && found.curve[0].rate < 1.1e-7);
    let rate = found.rate.unwrap();
    assert!((1e-5..1.0).contains(&rate), "{rate}");
    let learnt = Ask { rate, steps: 40, ..Ask::default() }.trained(&NoDraft, &|_, _, _| true);
    assert!(learnt.unwrap().best.val_loss < 0.5);
}
