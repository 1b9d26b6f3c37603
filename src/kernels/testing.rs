//! Running a kernel by name, for tests. Every run is made on one thread and on several, which must
//! give the same bits.

use crate::base::Seed;

use super::{Attributes, Input, Kernel, Kind, Output, Serial, Threads, Values, kernels};

/// Two threads that share the work, the later half first.
pub(super) struct Several;

impl Threads for Several {
    fn each(&self, count: usize, work: &(dyn Fn(usize) + Sync)) {
        std::thread::scope(|scope| {
            scope.spawn(|| (count / 2..count).rev().for_each(work));
            (0..count / 2).rev().for_each(work);
        });
    }
}

/// Normally distributed values.
pub(super) fn draw(seed: u64, length: usize) -> Vec<f32> {
    let mut stream = Seed(seed).stream("kernels", "values");
    (0..length).map(|_| stream.normal() as f32).collect()
}

/// Whether two vectors agree up to rounding, relative to the largest value of the second.
pub(super) fn assert_near(made: &[f32], plain: &[f32]) {
    assert_eq!(made.len(), plain.len());
    let scale = plain.iter().fold(1e-6_f32, |most, value| most.max(value.abs()));
    for (index, (made, plain)) in made.iter().zip(plain).enumerate() {
        assert!((made - plain).abs() <= 2e-5 * scale, "at {index}: {made} for {plain}");
    }
}

/// A computed tensor; small numbers come as floats.
type Made = Vec<f32>;

/// Outputs of a kernel of floats.
pub(super) fn run(
    name: &str,
    numbers: &[(&'static str, f32)],
    lists: &[(&'static str, &[i64])],
    inputs: &[(&[usize], &[f32])],
) -> Vec<Made> {
    let input = |(dims, values): &(&[usize], &'_ [f32])| (dims.to_vec(), values.to_vec());
    let inputs: Vec<(Vec<usize>, Vec<f32>)> = inputs.iter().map(input).collect();
    let attributes = Attributes {
        lists: lists.iter().map(|(name, values)| (*name, values.to_vec())).collect(),
        numbers: numbers.iter().copied().collect(),
    };
    let kernel = kernels().find(|kernel| kernel.name == name).expect("the kernel is there");
    let serial = compute(kernel, &attributes, &inputs, &Serial);
    let several = compute(kernel, &attributes, &inputs, &Several);
    let bits = |made: &[Made]| -> Vec<Vec<u32>> {
        made.iter().map(|values| values.iter().map(|value| value.to_bits()).collect()).collect()
    };
    assert_eq!(bits(&serial), bits(&several), "{name} on two threads");
    serial
}

fn compute(
    kernel: &Kernel,
    attributes: &Attributes,
    inputs: &[(Vec<usize>, Vec<f32>)],
    threads: &dyn Threads,
) -> Vec<Made> {
    let bytes: Vec<Vec<u8>> =
        inputs.iter().map(|(_, values)| values.iter().map(|&v| v as u8).collect()).collect();
    let kinds = kernel.inputs.iter().chain(kernel.inputs.last().into_iter().cycle());
    let given: Vec<Input<'_>> = inputs
        .iter()
        .zip(&bytes)
        .zip(kinds)
        .map(|(((dims, floats), bytes), kind)| Input {
            dims: dims.clone(),
            values: match kind {
                Kind::F32 => Values::F32(floats),
                Kind::U8 => Values::U8(bytes),
            },
        })
        .collect();
    let dims: Vec<Vec<usize>> = inputs.iter().map(|(dims, _)| dims.clone()).collect();
    let shapes = (kernel.shapes)(attributes, &dims).expect("the inputs fit together");
    let lengths: Vec<usize> = shapes.iter().map(|dims| dims.iter().product()).collect();
    let mut floats: Vec<Vec<f32>> = lengths.iter().map(|&n| vec![f32::NAN; n]).collect();
    let mut bytes: Vec<Vec<u8>> = lengths.iter().map(|&n| vec![0xAA; n]).collect();
    let mut outputs: Vec<Output<'_>> = kernel
        .outputs
        .iter()
        .zip(&mut floats)
        .zip(&mut bytes)
        .map(|((kind, floats), bytes)| match kind {
            Kind::F32 => Output::F32(floats),
            Kind::U8 => Output::U8(bytes),
        })
        .collect();
    (kernel.compute)(attributes, &given, &mut outputs, threads);
    drop(outputs);
    let made = kernel.outputs.iter().zip(floats).zip(bytes);
    made.map(|((kind, floats), bytes)| match kind {
        Kind::F32 => floats,
        Kind::U8 => bytes.iter().map(|&byte| f32::from(byte)).collect(),
    })
    .collect()
}
