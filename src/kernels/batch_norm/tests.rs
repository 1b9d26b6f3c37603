use super::super::testing::{assert_near, draw, run};

const EPSILON: f32 = 1e-3;

/// The formulas in double precision, element by element; `statistics` are given or computed.
struct Plain {
    y: Vec<f32>,
    mean: Vec<f32>,
    variance: Vec<f32>,
    dx: Vec<f32>,
    dscale: Vec<f32>,
    dbias: Vec<f32>,
}

#[derive(Clone, Copy)]
struct Given<'a> {
    dims: [usize; 3],
    x: &'a [f32],
    scale: &'a [f32],
    bias: &'a [f32],
    dy: &'a [f32],
    high: Option<f32>,
    statistics: Option<(&'a [f32], &'a [f32])>,
}

fn plain(given: Given<'_>) -> Plain {
    let [items, channels, plane] = given.dims;
    let length = items * channels * plane;
    let empty = || vec![0.0; channels];
    let mut made = Plain {
        y: vec![0.0; length],
        mean: empty(),
        variance: empty(),
        dx: vec![0.0; length],
        dscale: empty(),
        dbias: empty(),
    };
    let count = (items * plane) as f64;
    for c in 0..channels {
        let places: Vec<usize> = (0..items)
            .flat_map(|item| (0..plane).map(move |p| (item * channels + c) * plane + p))
            .collect();
        let total = |f: &dyn Fn(usize) -> f64| places.iter().map(|&at| f(at)).sum::<f64>();
        let x = |at: usize| f64::from(given.x[at]);
        let (mean, variance) = match given.statistics {
            Some((mean, variance)) => (f64::from(mean[c]), f64::from(variance[c])),
            None => {
                let mean = total(&x) / count;
                (mean, total(&|at| (x(at) - mean).powi(2)) / count)
            }
        };
        let deviation = (variance + f64::from(EPSILON)).sqrt();
        let a = f64::from(given.scale[c]) / deviation;
        let before = |at: usize| (x(at) - mean) * a + f64::from(given.bias[c]);
        let passes = |at: usize| {
            given.high.is_none_or(|high| before(at) > 0.0 && before(at) < f64::from(high))
        };
        let g = |at: usize| if passes(at) { f64::from(given.dy[at]) } else { 0.0 };
        let (sum, along) = (total(&g), total(&|at| g(at) * (x(at) - mean)));
        (made.mean[c], made.variance[c]) = (mean as f32, variance as f32);
        (made.dbias[c], made.dscale[c]) = (sum as f32, (along / deviation) as f32);
        let own = f64::from(u8::from(given.statistics.is_none()));
        for &at in &places {
            let y = before(at);
            made.y[at] = given.high.map_or(y, |high| y.clamp(0.0, f64::from(high))) as f32;
            let pull = own * (sum + (x(at) - mean) * along / (deviation * deviation)) / count;
            made.dx[at] = (a * (g(at) - pull)) as f32;
        }
    }
    made
}

fn check(dims: [usize; 3], high: Option<f32>, frozen: bool) {
    let [items, channels, plane] = dims;
    let x: Vec<f32> = draw(1, items * channels * plane).iter().map(|x| 2.0 * x + 5.0).collect();
    let (scale, bias) = (draw(2, channels), draw(3, channels));
    let dy = draw(4, x.len());
    let mean = vec![4.5; channels];
    let variance = vec![3.0; channels];
    let statistics = frozen.then_some((&mean[..], &variance[..]));
    let given = Given { dims, x: &x, scale: &scale, bias: &bias, dy: &dy, high, statistics };
    let plain = plain(given);
    let numbers = [
        ("epsilon", EPSILON),
        ("cuts", f32::from(u8::from(high.is_some()))),
        ("high", high.unwrap_or(0.0)),
    ];
    let per_channel = [channels];
    let large = |values| -> (&[usize], &[f32]) { (&dims[..], values) };
    let small = |values| -> (&[usize], &[f32]) { (&per_channel[..], values) };
    let parameters = [small(&scale), small(&bias)];
    let (name, back, statistics) = match frozen {
        true => ("Normalise", "NormaliseGradients", [small(&mean), small(&variance)]),
        false => (
            "BatchNormalise",
            "BatchNormaliseGradients",
            [small(&plain.mean), small(&plain.variance)],
        ),
    };
    let mut inputs = vec![large(&x), parameters[0], parameters[1]];
    if frozen {
        inputs.extend(statistics);
    }
    let made = run(name, &numbers, &[], &inputs);
    assert_near(&made[0], &plain.y);
    if !frozen {
        assert_near(&made[1], &plain.mean);
        assert_near(&made[2], &plain.variance);
    }
    let inputs =
        [large(&dy), large(&x), parameters[0], parameters[1], statistics[0], statistics[1]];
    let made = run(back, &numbers, &[], &inputs);
    assert_near(&made[0], &plain.dx);
    assert_near(&made[1], &plain.dscale);
    assert_near(&made[2], &plain.dbias);
}

#[test]
fn forward_and_gradients_follow_the_formulas() {
    for dims in [[4, 3, 5], [5, 70, 49], [3, 2, 12_345]] {
        for high in [None, Some(f32::INFINITY), Some(0.7)] {
            check(dims, high, false);
            check(dims, high, true);
        }
    }
}
