//! Taking the picture: pose, exposure, noise, and the grey levels of the detector.

use anyhow::Result;
use image::{
    ExtendedColorType, GrayImage, ImageEncoder, Luma,
    codecs::png::{CompressionType, FilterType, PngEncoder},
};

use crate::{anatomy::Anatomy, draws::Draws, findings::Finding, plane::Point};

/// Pixels along each side.
const SIDE: u32 = 48;
/// Grey levels are multiples of this, which keeps noise from filling the files.
const STEP: f64 = 6.0;

/// How one picture was taken. It differs between pictures of the same patient.
#[derive(Debug)]
pub(crate) struct Acquisition {
    turn: f64,
    shift: Point,
    zoom: f64,
    gain: f64,
    offset: f64,
    tilt: Point,
    noise: f64,
    /// Waxing and waning of the disease, around 1.
    severity: f64,
    /// How far the patient had breathed out: an even veil over both lungs, healthy or not, so
    /// that overall brightness tells a learner little.
    veil: f64,
}

impl Acquisition {
    /// `exposure` is the patient's own, from -1 to 1: a stout patient is always brighter.
    pub(crate) fn draw(draws: &mut Draws, exposure: f64) -> Self {
        Self {
            turn: draws.within(-0.07..0.07),
            shift: Point { x: draws.within(-0.06..0.06), y: draws.within(-0.06..0.06) },
            zoom: draws.within(0.95..1.05),
            gain: draws.within(0.80..1.15),
            offset: 0.05 * exposure + draws.within(-0.06..0.06),
            tilt: Point { x: draws.within(-0.04..0.04), y: draws.within(-0.04..0.04) },
            noise: draws.within(0.020..0.035),
            severity: draws.within(0.85..1.15),
            veil: draws.within(0.0..0.14),
        }
    }

    /// Takes the picture. `draws` gives the noise.
    pub(crate) fn take(
        &self,
        draws: &mut Draws,
        anatomy: &Anatomy,
        finding: &Finding,
    ) -> GrayImage {
        GrayImage::from_fn(SIDE, SIDE, |column, row| {
            let on_film = Point { x: along(column), y: along(row) };
            let at = self.in_patient(on_film);
            let disease = self.severity * finding.brightness(at, anatomy.lungs());
            let in_air = anatomy.air(at) * (disease + self.veil);
            let exposed = self.exposed(anatomy.brightness(at) + in_air, on_film);
            Luma([grey(exposed + self.noise * draws.normal())])
        })
    }

    fn in_patient(&self, on_film: Point) -> Point {
        let moved = Point { x: on_film.x - self.shift.x, y: on_film.y - self.shift.y };
        let turned = moved.turned(self.turn);
        Point { x: turned.x * self.zoom, y: turned.y * self.zoom }
    }

    fn exposed(&self, brightness: f64, on_film: Point) -> f64 {
        let uneven = self.tilt.x * on_film.x + self.tilt.y * on_film.y;
        0.5 + self.gain * (brightness - 0.5) + self.offset + uneven
    }
}

/// The middle of a pixel, from -1 to 1.
fn along(pixel: u32) -> f64 {
    (f64::from(pixel) + 0.5) / f64::from(SIDE) * 2.0 - 1.0
}

/// Brightness from 0 to 1 as a grey level; what lies beyond is clipped.
fn grey(brightness: f64) -> u8 {
    let level = (brightness.clamp(0.0, 1.0) * 255.0 / STEP).round() * STEP;
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "clamped to 0..=255 on this line"
    )]
    let level = level.min(255.0) as u8;
    level
}

/// The picture as the bytes of a PNG file.
pub(crate) fn png(picture: &GrayImage) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    PngEncoder::new_with_quality(&mut bytes, CompressionType::Best, FilterType::NoFilter)
        .write_image(picture, picture.width(), picture.height(), ExtendedColorType::L8)?;
    Ok(bytes)
}
