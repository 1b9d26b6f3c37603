//! Where pixels go: one affine map from the new image to the old one, so that several changes cost
//! one pass and one interpolation.

use crate::base::Stream;

/// A map from a pixel of the new image (column, row) to a place in the old one.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Warp {
    /// Column of the old image: `x[0] · column + x[1] · row + x[2]`.
    x: [f64; 3],
    /// Its row.
    y: [f64; 3],
    height: usize,
    width: usize,
}

/// Attempts to draw a window that lies in the image; the whole image if all fail.
const ATTEMPTS: usize = 10;

impl Warp {
    /// Nothing moves.
    pub(super) fn new(height: usize, width: usize) -> Self {
        Self { x: [1.0, 0.0, 0.0], y: [0.0, 1.0, 0.0], height, width }
    }

    /// Takes what lies this far down and to the right.
    pub(super) fn shift(&mut self, down: f64, right: f64) {
        self.before([1.0, 0.0, right], [0.0, 1.0, down]);
    }

    /// Mirrors along the vertical and the horizontal axis.
    pub(super) fn flip(&mut self, (vertical, horizontal): (bool, bool)) {
        let (last_row, last_column) = (self.height as f64 - 1.0, self.width as f64 - 1.0);
        let x = if horizontal { [-1.0, 0.0, last_column] } else { [1.0, 0.0, 0.0] };
        let y = if vertical { [0.0, -1.0, last_row] } else { [0.0, 1.0, 0.0] };
        self.before(x, y);
    }

    /// Turns by an angle (radians) about the middle.
    pub(super) fn rotate(&mut self, angle: f64) {
        let (sin, cos) = angle.sin_cos();
        let (cx, cy) = ((self.width as f64 - 1.0) / 2.0, (self.height as f64 - 1.0) / 2.0);
        self.before([cos, -sin, cx - cos * cx + sin * cy], [sin, cos, cy - sin * cx - cos * cy]);
    }

    /// Stretches a random window of at least this share of the area to the whole image.
    pub(super) fn window(&mut self, least: f64, stream: &mut Stream) {
        let (height, width) = (self.height as f64, self.width as f64);
        let widest = (4.0_f64 / 3.0).ln();
        for _ in 0..ATTEMPTS {
            let area = height * width * (least + (1.0 - least) * stream.uniform());
            let ratio = (widest * (2.0 * stream.uniform() - 1.0)).exp();
            let rows = (area / ratio).sqrt().round();
            let columns = (area * ratio).sqrt().round();
            if rows < 1.0 || columns < 1.0 || rows > height || columns > width {
                continue;
            }
            let top = stream.below((height - rows) as usize + 1) as f64;
            let left = stream.below((width - columns) as usize + 1) as f64;
            let (across, down) = (columns / width, rows / height);
            // Centres of pixels lie at halves.
            self.before(
                [across, 0.0, left + (across - 1.0) / 2.0],
                [0.0, down, top + (down - 1.0) / 2.0],
            );
            return;
        }
    }

    /// Puts a change between the new image and what has been decided so far.
    fn before(&mut self, x: [f64; 3], y: [f64; 3]) {
        let through = |row: [f64; 3]| {
            [
                row[0] * x[0] + row[1] * y[0],
                row[0] * x[1] + row[1] * y[1],
                row[0] * x[2] + row[1] * y[2] + row[2],
            ]
        };
        (self.x, self.y) = (through(self.x), through(self.y));
    }

    /// Whether every pixel comes from just one, so that nothing is interpolated.
    fn is_whole(&self) -> bool {
        self.x.iter().chain(&self.y).all(|value| value.fract() == 0.0)
    }

    /// The new image of an old one of (height, width, channels).
    pub(super) fn apply(&self, image: Vec<f32>, shape: (usize, usize, usize)) -> Vec<f32> {
        if *self == Self::new(self.height, self.width) {
            return image;
        }
        let mut new = vec![0.0; image.len()];
        match self.is_whole() {
            true => self.copied(&image, shape, &mut new),
            false => self.interpolated(&image, shape, &mut new),
        }
        new
    }

    fn at(&self, column: usize, row: usize) -> (f64, f64) {
        let (c, r) = (column as f64, row as f64);
        let place = |map: [f64; 3]| map[0] * c + map[1] * r + map[2];
        (place(self.x), place(self.y))
    }

    fn copied(
        &self,
        image: &[f32],
        (height, width, channels): (usize, usize, usize),
        new: &mut [f32],
    ) {
        let (rows, columns) = (height as i64, width as i64);
        for (index, pixel) in new.chunks_exact_mut(channels).enumerate() {
            let (x, y) = self.at(index % width, index / width);
            let (x, y) = (x as i64, y as i64);
            if (0..columns).contains(&x) && (0..rows).contains(&y) {
                let start = (y as usize * width + x as usize) * channels;
                pixel.copy_from_slice(&image[start..start + channels]);
            }
        }
    }

    /// Bilinear, with zeros around the image.
    fn interpolated(
        &self,
        image: &[f32],
        (height, width, channels): (usize, usize, usize),
        new: &mut [f32],
    ) {
        for (index, pixel) in new.chunks_exact_mut(channels).enumerate() {
            let (x, y) = self.at(index % width, index / width);
            let (x, y) = (on_the_edge(x, width), on_the_edge(y, height));
            let (left, top) = (x.floor(), y.floor());
            let (right_share, lower_share) = ((x - left) as f32, (y - top) as f32);
            let (left, top) = (left as i64, top as i64);
            let corners = [
                (left, top, (1.0 - right_share) * (1.0 - lower_share)),
                (left + 1, top, right_share * (1.0 - lower_share)),
                (left, top + 1, (1.0 - right_share) * lower_share),
                (left + 1, top + 1, right_share * lower_share),
            ];
            for (x, y, share) in corners {
                if x < 0 || y < 0 || x >= width as i64 || y >= height as i64 {
                    continue;
                }
                let start = (y as usize * width + x as usize) * channels;
                for (to, from) in pixel.iter_mut().zip(&image[start..start + channels]) {
                    *to += share * from;
                }
            }
        }
    }
}

/// A place on the outer half of the first or the last pixel is that pixel.
fn on_the_edge(place: f64, extent: usize) -> f64 {
    let last = extent as f64 - 1.0;
    if place >= -0.5 && place <= last + 0.5 { place.clamp(0.0, last) } else { place }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::Seed;

    fn ramp(length: usize) -> Vec<f32> {
        (0..length).map(|value| value as f32).collect()
    }

    #[test]
    fn changes_of_whole_pixels_copy_them() {
        let mut warp = Warp::new(2, 3);
        warp.flip((false, true));
        assert_eq!(warp.apply(ramp(6), (2, 3, 1)), [2.0, 1.0, 0.0, 5.0, 4.0, 3.0]);
        // Channels stay together.
        assert_eq!(warp.apply(ramp(12), (2, 3, 2))[..4], [4.0, 5.0, 2.0, 3.0]);
        let mut warp = Warp::new(2, 3);
        warp.shift(1.0, -1.0);
        assert_eq!(warp.apply(ramp(6), (2, 3, 1)), [0.0, 3.0, 4.0, 0.0, 0.0, 0.0]);
    }

    #[test]
    fn a_quarter_turn_is_a_transposition_and_a_flip() {
        let mut warp = Warp::new(3, 3);
        warp.rotate(std::f64::consts::FRAC_PI_2);
        let turned = warp.apply(ramp(9), (3, 3, 1));
        let expected = [2.0, 5.0, 8.0, 1.0, 4.0, 7.0, 0.0, 3.0, 6.0];
        let near = turned.iter().zip(expected).all(|(a, b): (&f32, f32)| (a - b).abs() < 1e-5);
        assert!(near, "{turned:?}");
    }

    #[test]
    fn a_window_holds_what_lies_in_it() {
        // Values are columns plus ten rows, so each pixel tells where it comes from.
        let image: Vec<f32> =
            (0..1024).map(|index| (index % 32) as f32 + 100.0 * (index / 32) as f32).collect();
        let mut stream = Seed(4).stream("test", "window");
        for _ in 0..20 {
            let mut warp = Warp::new(32, 32);
            warp.window(0.25, &mut stream);
            let (across, down) = (warp.x[0], warp.y[1]);
            assert!((0.24..=1.01).contains(&(across * down)), "{warp:?}");
            assert!((0.7..1.45).contains(&(across / down)), "{warp:?}");
            let window = warp.apply(image.clone(), (32, 32, 1));
            let inner = window[33];
            let (x, y) = warp.at(1, 1);
            assert!((f64::from(inner) - (x + 100.0 * y)).abs() < 1e-2, "{inner} {warp:?}");
        }
    }
}
