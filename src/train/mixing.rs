//! What is fed to a step: inputs, targets and weights of a batch, smoothed and mixed if asked for.

use crate::autodiff::Loss;
use crate::base::{Seed, Stream};

use super::batches::Batches;
use super::examples::{Answers, Examples, Values};

/// How targets and inputs are softened.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Mixing {
    /// Share of each target that is spread evenly.
    pub label_smoothing: f64,
    /// α of the Beta distribution that mixed pairs take their shares from, if they are mixed.
    pub mixup: Option<f64>,
}

/// A batch, row by row.
pub(super) struct Fed {
    /// Values of each input of the part that learns.
    pub(super) sources: Vec<Values>,
    /// Items × classes.
    pub(super) targets: Vec<f32>,
    /// One for each item, or for each target.
    pub(super) weights: Vec<f32>,
    /// Items.
    pub(super) items: usize,
}

/// A batch mixed with itself in another order.
struct Pairs {
    /// The share that an item keeps.
    kept: f32,
    partners: Vec<usize>,
}

impl Pairs {
    /// a ← λ a + (1 − λ) b, row by row, where b is the row of the partner.
    fn mix(&self, values: &mut [f32], width: usize) {
        let before = values.to_vec();
        for (row, partner) in values.chunks_exact_mut(width.max(1)).zip(&self.partners) {
            let other = &before[partner * width..(partner + 1) * width];
            for (value, other) in row.iter_mut().zip(other) {
                *value = self.kept * *value + (1.0 - self.kept) * other;
            }
        }
    }
}

impl Mixing {
    /// What is fed for these items at this step.
    pub(super) fn feed(
        &self,
        examples: &Examples<'_>,
        items: &[usize],
        (loss, classes): (&Loss, usize),
        (seed, step): (Seed, usize),
        threads: usize,
    ) -> Fed {
        let epoch = step / Batches::per_epoch(examples.open.train().len(), items.len()).max(1);
        let source = |source| examples.gather_view(source, (items, items.len()), epoch, threads);
        let mut fed = Fed {
            sources: (0..examples.sources.len()).map(source).collect(),
            targets: self.targets(examples, items, loss, classes),
            weights: weights(&examples.answers, items),
            items: items.len(),
        };
        if let Some(alpha) = self.mixup {
            Self::pairs(alpha, items.len(), seed, step).apply(&mut fed, examples, classes);
        }
        fed
    }

    /// One row an item: 1 for its class and 0 for the others, less what is smoothed away. What is
    /// smoothed is spread over all classes, or, if each class is a question of its own, over yes
    /// and no.
    fn targets(
        &self,
        examples: &Examples<'_>,
        items: &[usize],
        loss: &Loss,
        classes: usize,
    ) -> Vec<f32> {
        let answers = if *loss == Loss::BinaryCrossEntropy { 2 } else { classes };
        let spread = (self.label_smoothing / answers as f64) as f32;
        let labels = match &examples.answers {
            Answers::Classes { labels, .. } => labels,
            Answers::Cells(cells) => {
                let kept = (1.0 - self.label_smoothing) as f32;
                let targets = items.iter().flat_map(|&item| cells.of(item).0);
                return targets.map(|target| kept * target + spread).collect();
            }
        };
        let mut targets = vec![spread; items.len() * classes];
        for (row, &item) in items.iter().enumerate() {
            targets[row * classes + labels[item]] = (1.0 - self.label_smoothing) as f32 + spread;
        }
        targets
    }

    /// Pairs of a step, from streams of its own.
    fn pairs(alpha: f64, items: usize, seed: Seed, step: usize) -> Pairs {
        let step = step.to_string();
        let mut partners: Vec<usize> = (0..items).collect();
        seed.stream("mixup pairs", &step).shuffle(&mut partners);
        Pairs { kept: beta(alpha, &mut seed.stream("mixup share", &step)) as f32, partners }
    }
}

impl Pairs {
    /// Mixes inputs and targets. An item counts as much as what it is made of does, so the loss is
    /// λ wᵢ l(yᵢ) + (1 − λ) wⱼ l(yⱼ) where it is linear in the targets.
    fn apply(&self, fed: &mut Fed, examples: &Examples<'_>, classes: usize) {
        for (values, rows) in fed.sources.iter_mut().zip(&examples.sources) {
            // Whoever plans refuses to mix whole numbers.
            if let Values::Floats(values) = values {
                self.mix(values, rows.length());
            }
        }
        let weighed = fed.weights.len() / fed.items.max(1);
        // Targets that share a weight.
        let width = classes / weighed.max(1);
        let rows = fed.targets.chunks_exact_mut(width).zip(&fed.weights);
        rows.for_each(|(row, weight)| row.iter_mut().for_each(|target| *target *= weight));
        self.mix(&mut fed.targets, classes);
        self.mix(&mut fed.weights, weighed);
        let rows = fed.targets.chunks_exact_mut(width).zip(&fed.weights);
        let known = rows.filter(|(_, weight)| **weight > 0.0);
        known.for_each(|(row, weight)| row.iter_mut().for_each(|target| *target /= weight));
    }
}

/// What items, or each of their targets, weigh in the loss.
fn weights(answers: &Answers<'_>, items: &[usize]) -> Vec<f32> {
    match answers {
        Answers::Classes { labels, weights } => {
            items.iter().map(|&item| weights[labels[item]] as f32).collect()
        }
        Answers::Cells(cells) => items.iter().flat_map(|&item| cells.of(item).1).copied().collect(),
    }
}

/// A draw from Beta(α, α): X / (X + Y) with X, Y from Gamma(α), in logarithms, since both may be
/// too small for a number.
fn beta(alpha: f64, stream: &mut Stream) -> f64 {
    let (x, y) = (ln_gamma_draw(alpha, stream), ln_gamma_draw(alpha, stream));
    1.0 / (1.0 + (y - x).exp())
}

/// The logarithm of a draw from Gamma(shape, 1) (Marsaglia & Tsang 2000); below a shape of 1, of a
/// draw for shape + 1 times U^(1/shape).
fn ln_gamma_draw(shape: f64, stream: &mut Stream) -> f64 {
    if shape < 1.0 {
        let uniform = 1.0 - stream.uniform();
        return ln_gamma_draw(shape + 1.0, stream) + uniform.ln() / shape;
    }
    let d = shape - 1.0 / 3.0;
    let c = 1.0 / (9.0 * d).sqrt();
    loop {
        let normal = stream.normal();
        let cube = (1.0 + c * normal).powi(3);
        if cube <= 0.0 {
            continue;
        }
        let uniform = 1.0 - stream.uniform();
        if uniform.ln() < 0.5 * normal * normal + d - d * cube + d * cube.ln() {
            return (d * cube).ln();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::Target;
    use crate::data::Open;
    use crate::train::{Cells, Rows};

    struct Numbers;

    impl Rows for Numbers {
        fn length(&self) -> usize {
            2
        }

        fn copy(&self, row: usize, into: &mut [f32]) {
            into.copy_from_slice(&[row as f32, 10.0 * row as f32]);
        }
    }

    fn fed(mixing: Mixing, loss: &Loss) -> Fed {
        let examples = Examples {
            sources: vec![&Numbers],
            answers: Answers::Classes { labels: &[0, 1, 2, 0], weights: &[1.0, 2.0, 4.0] },
            open: Open::made_up(&[], &[]),
        };
        mixing.feed(&examples, &[0, 1, 2, 3], (loss, 3), (Seed(5), 7), 1)
    }

    #[test]
    fn targets_are_smoothed_over_classes_or_over_yes_and_no() {
        let smooth = Mixing { label_smoothing: 0.3, mixup: None };
        let row = |loss: &Loss| fed(smooth, loss).targets[..3].to_vec();
        assert_eq!(row(&Loss::CrossEntropy), [0.7 + 0.1, 0.1, 0.1]);
        assert_eq!(row(&Loss::BinaryCrossEntropy), [0.7 + 0.15, 0.15, 0.15]);
        assert_eq!(fed(Mixing::default(), &Loss::CrossEntropy).targets[3..6], [0.0, 1.0, 0.0]);
    }

    #[test]
    fn inputs_targets_and_weights_are_mixed_alike() {
        let plain = fed(Mixing::default(), &Loss::CrossEntropy);
        let mixing = Mixing { mixup: Some(0.4), ..Mixing::default() };
        let mixed = fed(mixing, &Loss::CrossEntropy);
        let pairs = Mixing::pairs(0.4, 4, Seed(5), 7);
        assert_eq!(pairs.partners.iter().collect::<std::collections::BTreeSet<_>>().len(), 4);
        let (kept, given) = (pairs.kept, 1.0 - pairs.kept);
        for (item, &other) in pairs.partners.iter().enumerate() {
            let near = |found: f32, expected: f32| assert!((found - expected).abs() < 1e-5);
            let weight = kept * plain.weights[item] + given * plain.weights[other];
            near(mixed.weights[item], weight);
            let Values::Floats(values) = &mixed.sources[0] else { panic!("they are floats") };
            near(values[2 * item], kept * item as f32 + given * other as f32);
            for class in 0..3 {
                let part = |row: usize| plain.weights[row] * plain.targets[row * 3 + class];
                let expected = (kept * part(item) + given * part(other)) / weight;
                near(mixed.targets[item * 3 + class], expected);
            }
        }
    }

    #[test]
    fn what_is_not_known_of_one_of_a_pair_is_that_of_the_other() {
        let cells = Cells {
            target: Target::Labels,
            width: 2,
            targets: vec![1.0, 0.0, 1.0, 0.0, 0.0, 1.0, 1.0, 1.0],
            weights: vec![1.0, 0.0, 2.0, 1.0, 0.0, 0.0, 1.0, 3.0],
        };
        let answers = Answers::Cells(&cells);
        let examples = Examples { sources: vec![&Numbers], answers, open: Open::made_up(&[], &[]) };
        let fed = |mixup| {
            let mixing = Mixing { mixup, label_smoothing: 0.0 };
            let target = (&Loss::BinaryCrossEntropy, 2);
            mixing.feed(&examples, &[0, 1, 2, 3], target, (Seed(5), 7), 1)
        };
        let (plain, mixed) = (fed(None), fed(Some(0.4)));
        assert_eq!((&plain.targets, &plain.weights), (&cells.targets, &cells.weights));
        let pairs = Mixing::pairs(0.4, 4, Seed(5), 7);
        for (item, &other) in pairs.partners.iter().enumerate() {
            for column in 0..2 {
                let (here, there) = (2 * item + column, 2 * other + column);
                let (kept, given) =
                    (pairs.kept * plain.weights[here], (1.0 - pairs.kept) * plain.weights[there]);
                assert!((mixed.weights[here] - kept - given).abs() < 1e-6);
                let sum = kept * plain.targets[here] + given * plain.targets[there];
                let expected = if kept + given > 0.0 { sum / (kept + given) } else { 0.0 };
                assert!((mixed.targets[here] - expected).abs() < 1e-6, "{item} {column}");
            }
        }
    }

    /// Beta(α, α) has mean ½ and variance 1 / (4 (2α + 1)).
    #[test]
    fn shares_have_the_moments_of_a_beta_distribution() {
        for alpha in [0.1, 0.4, 1.0, 3.0] {
            let mut stream = Seed(1).stream("beta", "moments");
            let draws: Vec<f64> = (0..20_000).map(|_| beta(alpha, &mut stream)).collect();
            assert!(draws.iter().all(|draw| (0.0..=1.0).contains(draw)));
            let mean = draws.iter().sum::<f64>() / 20_000.0;
            let variance = draws.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / 20_000.0;
            assert!((mean - 0.5).abs() < 0.01, "{alpha}: {mean}");
            assert!((variance - 0.25 / (2.0 * alpha + 1.0)).abs() < 0.01, "{alpha}: {variance}");
        }
    }
}
