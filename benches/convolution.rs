//! How long do convolutions of our own take? Reads a layer a line (`items inputs outputs side
//! kernel stride pad`), answers with milliseconds of processor time for the result, the gradient of
//! the input and that of the weights. `benches/peers/convolution.py` asks, and puts peers beside it.

#![expect(clippy::unwrap_used, reason = "a bench that cannot be set up has nothing to say")]
#![allow(clippy::print_stdout, reason = "the answer")]

use std::io::BufRead;
use std::time::Duration;

use tl_run::kernels::Serial;
use tl_run::kernels::convolution::{Shape, forward, input_gradient, weight_gradient};

/// Time that this thread has run.
fn now() -> Duration {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
}

/// The least of some runs, in milliseconds.
fn least(mut run: impl FnMut()) -> f64 {
    let times = (0..5).map(|_| {
        let start = now();
        run();
        now().saturating_sub(start).as_secs_f64() * 1e3
    });
    times.fold(f64::INFINITY, f64::min)
}

fn main() {
    for line in std::io::stdin().lock().lines() {
        let line = line.unwrap();
        let numbers: Vec<usize> = line.split(' ').map(|word| word.parse().unwrap()).collect();
        let [items, inputs, outputs, side, kernel, stride, pad] = numbers[..] else { return };
        let shape = Shape {
            items,
            inputs,
            outputs,
            size: [side; 2],
            kernel: [kernel; 2],
            strides: [stride; 2],
            dilations: [1; 2],
            before: [pad; 2],
            result: [(side + 2 * pad - kernel) / stride + 1; 2],
        };
        let values = |length| vec![0.5_f32; length];
        let (mut x, mut w) =
            (values(items * inputs * side * side), values(outputs * inputs * kernel * kernel));
        let [high, wide] = shape.result;
        let mut y = values(items * outputs * high * wide);
        let result = least(|| forward(&shape, &x, &w, None, &mut y, &Serial));
        let of_weights = least(|| weight_gradient(&shape, &x, &y, &mut w, &Serial));
        let of_input = least(|| input_gradient(&shape, &y, &w, &mut x, &Serial));
        println!("{result:.3} {of_input:.3} {of_weights:.3}");
    }
}
