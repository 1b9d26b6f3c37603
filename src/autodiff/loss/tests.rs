use super::*;
use crate::autodiff::Dialect;
use crate::base::language::defaults;
use crate::onnx::proto;
use crate::onnx::runtime::{Backend, Tensor as Value, runtime};

const SCORES: [f32; 6] = [0.5, -1.25, 2.0, -0.75, 0.25, -3.0];
const TARGETS: [f32; 6] = [0.1, 0.0, 0.9, 0.25, 0.75, 0.0];
const SHARES: [f32; 2] = [0.25, 0.75];

fn all() -> [Loss; 4] {
    let delta = Above0::new(0.5).unwrap();
    [Loss::CrossEntropy, Loss::BinaryCrossEntropy, Loss::SquaredError, Loss::Huber(Huber { delta })]
}

/// Loss and gradient of `scores` (two items of three classes), by the emitted graph.
fn run(loss: &Loss, scores: &[f32], targets: &[f32], dialect: Dialect) -> (f32, Vec<f32>) {
    let mut tape = Tape::new(18, dialect);
    let s = tape.input("scores", &[2, 3]);
    let t = tape.input("targets", &[2, 3]);
    let share = tape.input("share", &[2, 1]);
    let (value, gradient) = loss.emit(&s, &t, &share, &mut tape);
    tape.output(&value, "loss");
    tape.output(&gradient, "gradient");
    let model = proto::encode(&tape.finish());
    let mut session = runtime().unwrap().load(&model, 1).unwrap();
    let tensor = |dims: &[usize], values: &[f32]| Value::f32(dims, values.to_vec()).unwrap();
    let inputs = [tensor(&[2, 3], scores), tensor(&[2, 3], targets), tensor(&[2, 1], &SHARES)];
    let outputs = session.run(&inputs.iter().collect::<Vec<_>>()).unwrap();
    (outputs[0].floats().unwrap()[0], outputs[1].floats().unwrap().to_vec())
}

fn assert_near(found: &[f32], expected: &[f64], what: &str) {
    for (found, expected) in found.iter().zip(expected) {
        let tolerance = 2e-6 * expected.abs().max(1.0);
        assert!((f64::from(*found) - expected).abs() < tolerance, "{what}: {found} {expected}");
    }
}

/// `cross_entropy`, `binary_cross_entropy_with_logits`, `mse_loss` and `huber_loss` of `PyTorch` in
/// f64, without reduction, averaged over classes, and weighted with the shares.
#[test]
fn losses_and_gradients_are_those_of_pytorch() {
    let expected = [
        (
            0.539_065_684_6,
            [
                0.019_205_046,
                0.007_681_685,
                -0.026_886_731,
                0.008_646_067,
                -0.029_319_71,
                0.020_673_643,
            ],
        ),
        (
            0.440_593_950_8,
            [
                0.043_538_278,
                0.018_558_345,
                -0.001_600_244,
                0.017_705_325,
                -0.046_955_875,
                0.011_856_468,
            ],
        ),
        (2.806_875, [0.066_666_667, -0.208_333_333, 0.183_333_333, -0.5, -0.25, -1.5]),
        (0.5525, [0.033_333_333, -0.041_666_667, 0.041_666_667, -0.125, -0.125, -0.125]),
    ];
    for dialect in [Dialect::Library, Dialect::Embedded] {
        for (loss, (value, gradient)) in all().iter().zip(expected) {
            let (found, slope) = run(loss, &SCORES, &TARGETS, dialect);
            assert_near(&[found], &[value], loss.word());
            assert_near(&slope, &gradient, loss.word());
        }
    }
}

#[test]
fn gradients_agree_with_finite_differences() {
    for dialect in [Dialect::Library, Dialect::Embedded] {
        for loss in all() {
            let (_, slope) = run(&loss, &SCORES, &TARGETS, dialect);
            for (index, slope) in slope.iter().enumerate() {
                let h = 1e-2_f32;
                let moved = |sign: f32| {
                    let mut scores = SCORES;
                    scores[index] += sign * h;
                    run(&loss, &scores, &TARGETS, dialect).0
                };
                let measured = (moved(1.0) - moved(-1.0)) / (2.0 * h);
                let word = loss.word();
                assert!((measured - slope).abs() < 1e-3, "{word} {index}: {measured} {slope}");
            }
        }
    }
}

/// Values of `PyTorch` for scores of 200, −200 and 30 with the second class as target.
#[test]
fn no_score_is_too_large() {
    let scores = [200.0, -200.0, 30.0, 200.0, -200.0, 30.0];
    let targets = [0.0, 1.0, 0.0, 0.0, 1.0, 0.0];
    let expected = [400.0, 143.333_333_333, 27_100.333_333_333, 71.708_333_333];
    // The embedded backend's own LogSoftmax does not stand this, which is why it has a dialect.
    let dialects = match runtime().unwrap().backend {
        Backend::Library => vec![Dialect::Library, Dialect::Embedded],
        Backend::Embedded => vec![Dialect::Embedded],
    };
    for dialect in dialects {
        for (loss, expected) in all().iter().zip(expected) {
            let (found, slope) = run(loss, &scores, &targets, dialect);
            assert_near(&[found], &[expected], loss.word());
            assert!(slope.iter().all(|value| value.is_finite()), "{}: {slope:?}", loss.word());
            let told = loss.of_label(&scores[..3], 1);
            assert_near(&[told as f32], &[expected], loss.word());
        }
    }
}

#[test]
fn the_loss_of_a_label_is_the_graphs() {
    let targets = [0.0, 0.0, 1.0, 0.0, 1.0, 0.0];
    for loss in all() {
        let found = run(&loss, &SCORES, &targets, Dialect::default()).0;
        let expected =
            0.25 * loss.of_label(&SCORES[..3], 2) + 0.75 * loss.of_label(&SCORES[3..], 1);
        assert_near(&[found], &[expected], loss.word());
    }
}

#[test]
fn huber_turns_linear_at_one_if_nothing_is_said() {
    let huber = Loss::Huber(defaults());
    let error = |score: f32| huber.of_label(&[score], 0);
    assert!((error(1.5) - 0.125).abs() < 1e-12 && (error(4.0) - 2.5).abs() < 1e-12);
}

/// Where scores have shares of their own, one of 0 is as if its score were not there.
#[test]
fn a_score_may_have_a_share_of_its_own() {
    let weights = [1.0, 0.0, 3.0, 2.0, 2.0, 0.0];
    for dialect in [Dialect::Library, Dialect::Embedded] {
        for loss in &all()[1..] {
            let mut tape = Tape::new(18, dialect);
            let [s, t] = ["scores", "targets"].map(|name| tape.input(name, &[2, 3]));
            let w = tape.input("weights", &[6]);
            let share = shares(&w, 3, &mut tape);
            let (value, gradient) = loss.emit(&s, &t, &share, &mut tape);
            tape.output(&value, "loss");
            tape.output(&gradient, "gradient");
            let mut session = runtime().unwrap().load(&proto::encode(&tape.finish()), 1).unwrap();
            let tensor =
                |dims: &[usize], values: &[f32]| Value::f32(dims, values.to_vec()).unwrap();
            let inputs =
                [tensor(&[2, 3], &SCORES), tensor(&[2, 3], &TARGETS), tensor(&[6], &weights)];
            let outputs = session.run(&inputs.iter().collect::<Vec<_>>()).unwrap();
            let of = |index: usize, moved: f64| {
                let score = f64::from(SCORES[index]) + moved;
                f64::from(weights[index]) / 8.0 * loss.of_score(score, f64::from(TARGETS[index]))
            };
            let expected: f64 = (0..6).map(|index| of(index, 0.0)).sum();
            assert_near(outputs[0].floats().unwrap(), &[expected], loss.word());
            for (index, slope) in outputs[1].floats().unwrap().iter().enumerate() {
                let measured = (of(index, 1e-4) - of(index, -1e-4)) / 2e-4;
                assert!((measured - f64::from(*slope)).abs() < 1e-5, "{} {index}", loss.word());
            }
        }
    }
}
