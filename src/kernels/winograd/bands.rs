//! Between planes of channels and bands of pixels that hold eight channels each.

use crate::kernels::lanes::{LANES, Lanes, filled};

/// Eight channels of one pixel.
pub(super) type Pixel = [f32; LANES];

/// An image of planes, one for each channel.
#[derive(Clone, Copy)]
pub(super) struct Image<'a> {
    pub(super) values: &'a [f32],
    pub(super) channels: usize,
    /// Height and width of a plane.
    pub(super) size: [usize; 2],
}

/// A band's place on an image: a band reaches beyond it where the image is padded.
#[derive(Clone, Copy)]
pub(super) struct Band {
    /// The image's row that is the band's first, once `above` is taken off.
    pub(super) row: usize,
    /// Rows added above the image.
    pub(super) above: usize,
    /// Columns added before the image.
    pub(super) left: usize,
    /// Height and width of the band.
    pub(super) size: [usize; 2],
}

/// The first eight values.
#[inline(always)]
pub(super) fn eight<L: Lanes>(lanes: L, values: &[f32]) -> L::V {
    match values.first_chunk() {
        Some(values) => lanes.load(values),
        None => lanes.splat(0.0),
    }
}

/// Puts eight channels from `channel` on into a band, with 0 around the image and in channels
/// beyond its last.
#[inline(always)]
pub(super) fn gather<L: Lanes>(
    lanes: L,
    image: Image<'_>,
    channel: usize,
    band: Band,
    into: &mut [Pixel],
) {
    let [height, width] = image.size;
    let present = image.channels.saturating_sub(channel).min(LANES);
    for (row, into) in into.chunks_exact_mut(band.size[1]).take(band.size[0]).enumerate() {
        let inside = (band.row + row).checked_sub(band.above).filter(|&row| row < height);
        let Some(row) = inside.filter(|_| present > 0) else {
            into.fill([0.0; LANES]);
            continue;
        };
        into[..band.left].fill([0.0; LANES]);
        into[band.left + width..].fill([0.0; LANES]);
        let rows = filled!([image.values; LANES], |lane| {
            let lane = channel + lane.min(present - 1);
            &image.values[(lane * height + row) * width..]
        });
        interleave(lanes, rows, &mut into[band.left..band.left + width]);
        if present < LANES {
            for pixel in &mut into[band.left..band.left + width] {
                pixel[present..].fill(0.0);
            }
        }
    }
}

/// Rows of channels as pixels. What follows the rows is not looked at.
#[inline(always)]
fn interleave<L: Lanes>(lanes: L, rows: [&[f32]; LANES], into: &mut [Pixel]) {
    let width = into.len();
    if width < LANES {
        let mut ends = [[0.0; LANES]; LANES];
        for (end, row) in ends.iter_mut().zip(&rows) {
            match row.first_chunk() {
                Some(row) => *end = *row,
                None => end[..row.len()].copy_from_slice(row),
            }
        }
        let eight = filled!([lanes.splat(0.0); LANES], |lane| lanes.load(&ends[lane]));
        let turned = lanes.transpose(eight);
        for (column, pixel) in into.iter_mut().enumerate() {
            lanes.store(turned[column], pixel);
        }
        return;
    }
    let mut first = 0;
    while first < width {
        // The last eight overlap the ones before.
        let at = first.min(width - LANES);
        let zero = lanes.splat(0.0);
        let eight = filled!([zero; LANES], |lane| eight(lanes, &rows[lane][at..]));
        let turned = lanes.transpose(eight);
        if let Some(into) = into[at..].first_chunk_mut::<LANES>() {
            for (lane, pixel) in into.iter_mut().enumerate() {
                lanes.store(turned[lane], pixel);
            }
        }
        first += LANES;
    }
}

/// Puts a band of eight channels into planes of `size`, from `row` of each on, plus each channel's
/// bias. `planes` begins with the band's first channel; channels beyond its end are left out.
#[inline(always)]
pub(super) fn scatter<L: Lanes>(
    lanes: L,
    band: &[Pixel],
    band_width: usize,
    row: usize,
    size: [usize; 2],
    bias: Pixel,
    planes: &mut [f32],
) {
    let [height, width] = size;
    for (row, pixels) in (row..height).zip(band.chunks_exact(band_width)) {
        let first = row * width;
        if width < LANES {
            for (plane, (lane, bias)) in
                planes.chunks_exact_mut(height * width).zip(bias.iter().enumerate())
            {
                for (value, pixel) in plane[first..first + width].iter_mut().zip(pixels) {
                    *value = pixel[lane] + bias;
                }
            }
            continue;
        }
        let mut column = 0;
        while column < width {
            let at = column.min(width - LANES);
            let eight = &pixels[at..at + LANES];
            let turned = filled!([lanes.splat(0.0); LANES], |lane| lanes.load(&eight[lane]));
            let turned = lanes.transpose(turned);
            let channels = planes.chunks_exact_mut(height * width);
            for (lane, plane) in channels.take(LANES).enumerate() {
                if let Some(into) = plane[first + at..].first_chunk_mut() {
                    lanes.store(lanes.add(turned[lane], lanes.splat(bias[lane])), into);
                }
            }
            column += LANES;
        }
    }
}
