//! What surrogate tasks do to an image. Values keep their type; noise makes floats of them.

use crate::base::Stream;

use super::super::pixels::{Pixels, Samples};

/// The values of an image in another order: `from` tells for each row and column of the new image
/// where its value stood.
fn moved(
    pixels: &Pixels,
    (height, width): (usize, usize),
    from: impl Fn(usize, usize) -> (usize, usize),
) -> Pixels {
    let channels = pixels.channels;
    let places = (0..height * width).flat_map(|at| {
        let (row, column) = from(at / width, at % width);
        let first = (row * pixels.width + column) * channels;
        first..first + channels
    });
    let samples = match &pixels.samples {
        Samples::Bytes(values) => Samples::Bytes(places.map(|at| values[at]).collect()),
        Samples::Floats(values) => Samples::Floats(places.map(|at| values[at]).collect()),
    };
    Pixels { height, width, channels, samples }
}

/// Turned by so many quarters, against the clock.
pub(super) fn rotated(pixels: &Pixels, quarters: usize) -> Pixels {
    let (height, width) = (pixels.height, pixels.width);
    match quarters % 4 {
        0 => pixels.clone(),
        1 => moved(pixels, (width, height), |row, column| (column, width - 1 - row)),
        2 => moved(pixels, (height, width), |row, column| (height - 1 - row, width - 1 - column)),
        _ => moved(pixels, (width, height), |row, column| (height - 1 - column, row)),
    }
}

/// Its tiles in another order: `order` tells for each place, row by row, which tile lies there.
pub(super) fn shuffled(pixels: &Pixels, grid: usize, order: &[usize]) -> Pixels {
    let (rows, columns) = (pixels.height / grid, pixels.width / grid);
    moved(pixels, (pixels.height, pixels.width), |row, column| {
        let tile = order[row / rows * grid + column / columns];
        (tile / grid * rows + row % rows, tile % grid * columns + column % columns)
    })
}

/// With normal noise of so many standard deviations of its own values.
pub(super) fn noisy(pixels: Pixels, noise: f64, stream: &mut Stream) -> Pixels {
    let mut values = pixels.samples.into_floats();
    let count = values.len().max(1) as f64;
    let mean = values.iter().map(|value| f64::from(*value)).sum::<f64>() / count;
    let square: f64 = values.iter().map(|value| (f64::from(*value) - mean).powi(2)).sum();
    let deviation = noise * (square / count).sqrt();
    for value in &mut values {
        *value = (f64::from(*value) + deviation * stream.normal()) as f32;
    }
    Pixels { samples: Samples::Floats(values), ..pixels }
}

/// Averages over about equal cells of a grid: rows × columns × channels.
pub(super) fn averaged(pixels: &Pixels, side: usize) -> Vec<f32> {
    let values = pixels.samples.clone().into_floats();
    let (width, channels) = (pixels.width, pixels.channels);
    let cell =
        |index: usize, extent: usize| index * extent / side..((index + 1) * extent).div_ceil(side);
    let mut small = Vec::with_capacity(side * side * channels);
    for row in 0..side {
        for column in 0..side {
            for channel in 0..channels {
                let (ys, xs) = (cell(row, pixels.height), cell(column, width));
                let count = (ys.len() * xs.len()).max(1) as f64;
                let places = ys.flat_map(|y| xs.clone().map(move |x| y * width + x));
                let sum: f64 = places.map(|at| f64::from(values[at * channels + channel])).sum();
                small.push((sum / count) as f32);
            }
        }
    }
    small
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::Seed;

    fn image(height: usize, width: usize, values: &[u8]) -> Pixels {
        let channels = values.len() / (height * width);
        Pixels { height, width, channels, samples: Samples::Bytes(values.to_vec()) }
    }

    #[test]
    fn a_quarter_turn_goes_against_the_clock_and_four_are_none() {
        let pixels = image(2, 3, &[1, 2, 3, 4, 5, 6]);
        assert_eq!(rotated(&pixels, 1), image(3, 2, &[3, 6, 2, 5, 1, 4]));
        assert_eq!(rotated(&pixels, 2), image(2, 3, &[6, 5, 4, 3, 2, 1]));
        assert_eq!(rotated(&pixels, 3), image(3, 2, &[4, 1, 5, 2, 6, 3]));
        let round = (0..4).fold(pixels.clone(), |turned, _| rotated(&turned, 1));
        assert_eq!(round, pixels);
        // Channels stay together.
        assert_eq!(rotated(&image(1, 2, &[1, 2, 3, 4, 5, 6]), 2), image(1, 2, &[4, 5, 6, 1, 2, 3]));
    }

    #[test]
    fn tiles_lie_where_the_order_says() {
        let pixels = image(2, 4, &[1, 2, 3, 4, 5, 6, 7, 8]);
        assert_eq!(shuffled(&pixels, 2, &[3, 2, 0, 1]), image(2, 4, &[7, 8, 5, 6, 1, 2, 3, 4]));
        assert_eq!(shuffled(&pixels, 2, &[0, 1, 2, 3]), pixels);
    }

    #[test]
    fn noise_is_as_large_as_is_said_and_an_even_image_has_none() {
        let values: Vec<u8> = (0..200).map(|at| if at % 2 == 0 { 10 } else { 30 }).collect();
        let clean = image(10, 20, &values);
        let found = noisy(clean.clone(), 0.5, &mut Seed(0).stream("denoise", "a"));
        let (found, clean) = (found.samples.into_floats(), clean.samples.into_floats());
        let square: f64 =
            found.iter().zip(&clean).map(|(a, b)| f64::from(a - b).powi(2)).sum::<f64>() / 200.0;
        // A variance of 5² from 200 draws: within five standard errors of 10 % each.
        assert!((square / 25.0 - 1.0).abs() < 0.5, "{square}");
        let even = image(2, 2, &[7; 4]);
        let stays = noisy(even, 1.0, &mut Seed(0).stream("denoise", "b"));
        assert_eq!(stays.samples.into_floats(), [7.0; 4]);
    }

    #[test]
    fn small_versions_are_means_of_cells() {
        let pixels = image(2, 4, &[1, 2, 3, 4, 5, 6, 7, 8]);
        assert_eq!(averaged(&pixels, 1), [4.5]);
        assert_eq!(averaged(&pixels, 2), [1.5, 3.5, 5.5, 7.5]);
    }
}
