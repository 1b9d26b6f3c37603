use super::super::testing::{assert_near, draw, run};

struct Case {
    input: [usize; 2],
    kernel: [usize; 2],
    strides: [usize; 2],
    dilations: [usize; 2],
    before: [usize; 2],
    after: [usize; 2],
}

const ITEMS: usize = 2;
const CHANNELS: usize = 3;

impl Case {
    fn output(&self) -> [usize; 2] {
        [0, 1].map(|axis| {
            let reach = (self.kernel[axis] - 1) * self.dilations[axis] + 1;
            let all = self.input[axis] + self.before[axis] + self.after[axis];
            (all - reach) / self.strides[axis] + 1
        })
    }

    /// Calls `meet` with plane, input place, tap of all channels and output place.
    fn each(&self, mut meet: impl FnMut(usize, usize, usize)) {
        let output = self.output();
        for plane in 0..ITEMS * CHANNELS {
            for row in 0..output[0] {
                for column in 0..output[1] {
                    for tap in 0..self.kernel[0] * self.kernel[1] {
                        let at = |axis: usize, place: usize, tap: usize| {
                            (place * self.strides[axis] + tap * self.dilations[axis])
                                .checked_sub(self.before[axis])
                                .filter(|at| *at < self.input[axis])
                        };
                        let (y, x) =
                            (at(0, row, tap / self.kernel[1]), at(1, column, tap % self.kernel[1]));
                        let (Some(y), Some(x)) = (y, x) else { continue };
                        let from = (plane * self.input[0] + y) * self.input[1] + x;
                        let to = (plane * output[0] + row) * output[1] + column;
                        let taps = self.kernel[0] * self.kernel[1];
                        meet(from, plane % CHANNELS * taps + tap, to);
                    }
                }
            }
        }
    }
}

fn cases() -> Vec<Case> {
    let plain = |input, kernel: usize, stride, pad| Case {
        input,
        kernel: [kernel; 2],
        strides: [stride; 2],
        dilations: [1; 2],
        before: [pad; 2],
        after: [pad; 2],
    };
    vec![
        plain([7, 7], 3, 1, 1),
        plain([14, 13], 3, 2, 1),
        plain([40, 37], 3, 1, 1),
        plain([9, 9], 5, 1, 2),
        plain([11, 10], 5, 3, 0),
        plain([5, 6], 1, 1, 0),
        plain([8, 8], 2, 2, 0),
        Case { after: [0, 2], before: [0, 0], ..plain([12, 12], 3, 2, 0) },
        Case { dilations: [2, 3], ..plain([12, 13], 3, 1, 2) },
        Case { dilations: [2, 2], ..plain([12, 13], 3, 2, 2) },
        Case { kernel: [1, 4], strides: [1, 2], ..plain([1, 13], 1, 1, 0) },
    ]
}

#[test]
fn forward_and_gradients_agree_with_sums_over_all_taps() {
    for case in cases() {
        let signed = |values: [usize; 2]| values.map(|value| value as i64);
        let output = case.output();
        let taps = case.kernel[0] * case.kernel[1];
        let (from, to) = (case.input[0] * case.input[1], output[0] * output[1]);
        let x = draw(1, ITEMS * CHANNELS * from);
        let w = draw(2, CHANNELS * taps);
        let dy = draw(3, ITEMS * CHANNELS * to);
        let (mut y, mut dx) = (vec![0.0; dy.len()], vec![0.0; x.len()]);
        let mut dw = vec![0.0; w.len()];
        case.each(|from, tap, to| {
            y[to] += x[from] * w[tap];
            dx[from] += dy[to] * w[tap];
            dw[tap] += dy[to] * x[from];
        });
        let (kernel, strides) = (signed(case.kernel), signed(case.strides));
        let (dilations, before) = (signed(case.dilations), signed(case.before));
        let own = [
            ("kernel", &kernel[..]),
            ("strides", &strides[..]),
            ("dilations", &dilations[..]),
            ("before", &before[..]),
        ];
        let (wide, narrow) = (signed(output), signed(case.input));
        let x_dims = [ITEMS, CHANNELS, case.input[0], case.input[1]];
        let y_dims = [ITEMS, CHANNELS, output[0], output[1]];
        let w_dims = [CHANNELS, 1, case.kernel[0], case.kernel[1]];
        let (x, w, dy) = ((&x_dims[..], &x[..]), (&w_dims[..], &w[..]), (&y_dims[..], &dy[..]));
        let call = |name, extra: Option<(&'static str, &[i64])>, inputs: &[_]| {
            let lists: Vec<_> = own.into_iter().chain(extra).collect();
            run(name, &[], &lists, inputs)
        };
        assert_near(&call("Depthwise", Some(("output", &wide)), &[x, w])[0], &y);
        let alone = call("DepthwiseInputGradient", Some(("input", &narrow)), &[dy, w]);
        assert_near(&alone[0], &dx);
        assert_near(&call("DepthwiseWeightGradient", None, &[dy, x])[0], &dw);
        let both = call("DepthwiseGradients", None, &[dy, x, w]);
        assert_near(&both[0], &dx);
        assert_near(&both[1], &dw);
    }
}
