use super::*;
use crate::base::Seed;
use crate::kernels::testing::Several;

fn draw(name: &str, length: usize) -> Vec<f32> {
    let mut stream = Seed(3).stream("convolution", name);
    (0..length).map(|_| (2.0 * stream.uniform() - 1.0) as f32).collect()
}

/// Calls `visit` with the offsets of x, w and y of every multiplication.
fn each_product(shape: &Shape, mut visit: impl FnMut(usize, usize, usize)) {
    let [height, width] = shape.size;
    let [high, wide] = shape.result;
    let [rows, columns] = shape.kernel;
    let place = |axis: usize, position: usize, tap: usize| {
        (position * shape.strides[axis] + tap * shape.dilations[axis])
            .checked_sub(shape.before[axis])
            .filter(|&place| place < shape.size[axis])
    };
    for item in 0..shape.items {
        for output in 0..shape.outputs {
            for (i, j) in (0..high).flat_map(|i| (0..wide).map(move |j| (i, j))) {
                for input in 0..shape.inputs {
                    for (r, s) in (0..rows).flat_map(|r| (0..columns).map(move |s| (r, s))) {
                        let (Some(row), Some(column)) = (place(0, i, r), place(1, j, s)) else {
                            continue;
                        };
                        visit(
                            ((item * shape.inputs + input) * height + row) * width + column,
                            ((output * shape.inputs + input) * rows + r) * columns + s,
                            ((item * shape.outputs + output) * high + i) * wide + j,
                        );
                    }
                }
            }
        }
    }
}

/// ‖found − expected‖ / ‖expected‖
fn error(found: &[f32], expected: &[f64]) -> f64 {
    assert_eq!(found.len(), expected.len());
    let squares = |values: &mut dyn Iterator<Item = f64>| values.map(|v| v * v).sum::<f64>();
    let apart = squares(&mut found.iter().zip(expected).map(|(&f, &e)| f64::from(f) - e));
    (apart / squares(&mut expected.iter().copied())).sqrt()
}

/// Errors of the result and of both gradients.
fn errors(shape: &Shape) -> [f64; 3] {
    let taps = shape.kernel[0] * shape.kernel[1];
    let x = draw("x", shape.items * shape.inputs * shape.size[0] * shape.size[1]);
    let w = draw("w", shape.outputs * shape.inputs * taps);
    let bias = draw("bias", shape.outputs);
    let plane = shape.result[0] * shape.result[1];
    let dy = draw("dy", shape.items * shape.outputs * plane);
    let mut expected = [vec![0.0; dy.len()], vec![0.0; x.len()], vec![0.0; w.len()]];
    for (index, value) in expected[0].iter_mut().enumerate() {
        *value = f64::from(bias[index / plane % shape.outputs]);
    }
    each_product(shape, |at_x, at_w, at_y| {
        expected[0][at_y] += f64::from(x[at_x]) * f64::from(w[at_w]);
        expected[1][at_x] += f64::from(dy[at_y]) * f64::from(w[at_w]);
        expected[2][at_w] += f64::from(dy[at_y]) * f64::from(x[at_x]);
    });
    // What was there before must not show.
    let mut found = expected.each_ref().map(|values| vec![f32::NAN; values.len()]);
    let [y, dx, dw] = &mut found;
    forward(shape, &x, &w, Some(&bias), y, &Several);
    input_gradient(shape, &dy, &w, dx, &Several);
    weight_gradient(shape, &x, &dy, dw, &Several);
    std::array::from_fn(|index| error(&found[index], &expected[index]))
}

fn square(items: usize, inputs: usize, outputs: usize, size: [usize; 2], kernel: usize) -> Shape {
    Shape {
        items,
        inputs,
        outputs,
        size,
        kernel: [kernel; 2],
        strides: [1; 2],
        dilations: [1; 2],
        before: [kernel / 2; 2],
        result: size,
    }
}

/// With the result that pads, strides and dilations give it.
fn padded(mut shape: Shape, after: [usize; 2]) -> Shape {
    shape.result = std::array::from_fn(|axis| {
        let reach = (shape.kernel[axis] - 1) * shape.dilations[axis] + 1;
        (shape.size[axis] + shape.before[axis] + after[axis] - reach) / shape.strides[axis] + 1
    });
    shape
}

fn check(shape: &Shape, limit: f64) {
    let errors = errors(shape);
    assert!(errors.iter().all(|&error| error < limit), "{shape:?}: {errors:?}");
}

/// Sums over points lose a digit to plain ones.
const POINTS: f64 = 4e-6;

#[test]
fn three_by_three_at_stride_one() {
    for (items, inputs, outputs, size) in [
        (1, 8, 8, [3, 3]),
        (2, 16, 16, [8, 8]),
        (3, 15, 19, [7, 9]),
        (9, 13, 8, [7, 7]),
        (2, 40, 70, [14, 14]),
        (1, 8, 9, [17, 230]),
        (1, 9, 33, [30, 31]),
    ] {
        check(&square(items, inputs, outputs, size, 3), POINTS);
    }
}

#[test]
fn three_by_three_with_any_pads() {
    for (before, after) in [([0, 0], [0, 0]), ([1, 0], [2, 1]), ([2, 2], [2, 2]), ([0, 2], [1, 0])]
    {
        check(&padded(Shape { before, ..square(2, 8, 10, [9, 12], 3) }, after), POINTS);
    }
}

/// Plain sums.
const SUMS: f64 = 1e-6;

#[test]
fn one_by_one() {
    for (items, inputs, outputs, size) in [
        (1, 1, 1, [1, 1]),
        (3, 7, 9, [7, 7]),
        (2, 24, 40, [13, 13]),
        (2, 300, 130, [5, 20]),
        (1, 16, 6, [20, 31]),
        (9, 33, 17, [4, 4]),
    ] {
        check(&square(items, inputs, outputs, size, 1), SUMS);
        let strides = [2, 2];
        check(&padded(Shape { strides, ..square(items, inputs, outputs, size, 1) }, [0; 2]), SUMS);
    }
}

#[test]
fn any_stride_dilation_and_pads() {
    let base = square(2, 5, 20, [15, 12], 3);
    for strides in [[2, 2], [1, 2], [3, 1], [4, 5]] {
        for dilations in [[1, 1], [2, 1], [2, 3]] {
            for (before, after) in [([0, 0], [0, 0]), ([1, 1], [1, 1]), ([0, 3], [4, 1])] {
                let shape = Shape { strides, dilations, before, ..base.clone() };
                check(&padded(shape, after), SUMS);
            }
        }
    }
    for dilations in [[2, 2], [1, 3]] {
        check(&padded(Shape { dilations, ..base.clone() }, [1; 2]), SUMS);
    }
}

#[test]
fn kernels_of_any_size() {
    let stem = padded(Shape { strides: [2, 2], ..square(2, 3, 18, [29, 30], 7) }, [3; 2]);
    let patches = Shape { strides: [4, 4], before: [0; 2], ..square(2, 3, 33, [16, 16], 4) };
    let line = Shape { kernel: [1, 5], before: [0, 2], ..square(2, 4, 9, [1, 40], 1) };
    let few = square(2, 3, 20, [12, 12], 3);
    let wide = square(3, 70, 40, [18, 19], 5);
    let uncovered = Shape { strides: [3, 3], before: [0; 2], ..square(2, 3, 4, [8, 9], 2) };
    for shape in [stem, padded(patches, [0; 2]), line, few, wide, padded(uncovered, [0; 2])] {
        check(&shape, SUMS);
    }
}

#[test]
fn many_outputs_are_shared_out() {
    check(&square(6, 8, 300, [5, 6], 3), POINTS);
    check(&square(5, 270, 8, [6, 6], 3), POINTS);
}
