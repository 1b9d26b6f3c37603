//! Sums over items and positions, one for each channel: the gradient of a bias.

use super::parts::Parts;
use super::wide::wide;
use super::{Attributes, Input, Kernel, Kind, Output, Threads};

pub(super) const KERNELS: &[Kernel] = &[Kernel {
    name: "ChannelSum",
    inputs: &[Kind::F32],
    repeats: false,
    outputs: &[Kind::F32],
    lists: &[],
    numbers: &[],
    shapes: |_, inputs| match inputs[0].get(1) {
        Some(&channels) => Ok(vec![vec![channels]]),
        None => Err("there is no channel axis".to_owned()),
    },
    compute: channel_sum,
}];

/// Elements in a piece of work.
const PIECE: usize = 1 << 16;
const LANES: usize = 16;

fn channel_sum(
    _: &Attributes,
    inputs: &[Input<'_>],
    outputs: &mut [Output<'_>],
    threads: &dyn Threads,
) {
    let dims = &inputs[0].dims;
    let (items, channels) = (dims[0], dims[1]);
    let plane: usize = dims[2..].iter().product();
    let x = inputs[0].floats();
    let group = (PIECE / (items * plane).max(1)).max(1);
    let parts = Parts::new(outputs[0].floats(), group);
    threads.each(parts.len(), &|index| {
        for (offset, sum) in parts.take(index).iter_mut().enumerate() {
            let channel = index * group + offset;
            let planes = (0..items).map(|item| {
                let start = (item * channels + channel) * plane;
                wide(
                    #[inline(always)]
                    || total(&x[start..start + plane]),
                )
            });
            *sum = planes.sum::<f64>() as f32;
        }
    });
}

#[inline(always)]
fn total(values: &[f32]) -> f64 {
    let mut lanes = [0.0_f32; LANES];
    let blocks = values.chunks_exact(LANES);
    let rest = blocks.remainder();
    for block in blocks {
        for lane in 0..LANES {
            lanes[lane] += block[lane];
        }
    }
    for (lane, value) in lanes.iter_mut().zip(rest) {
        *lane += value;
    }
    lanes.iter().map(|&lane| f64::from(lane)).sum()
}

#[cfg(test)]
mod tests {
    use super::super::testing::{assert_near, draw, run};

    #[test]
    fn each_channel_is_summed_over_items_and_positions() {
        for [items, channels, plane] in [[3, 5, 49], [2, 3, 70_001], [4, 7, 1]] {
            let x = draw(1, items * channels * plane);
            let mut plain = vec![0.0_f64; channels];
            for (at, value) in x.iter().enumerate() {
                plain[at / plane % channels] += f64::from(*value);
            }
            let made = run("ChannelSum", &[], &[], &[(&[items, channels, plane], &x)]);
            assert_near(&made[0], &plain.iter().map(|&sum| sum as f32).collect::<Vec<_>>());
        }
    }
}
