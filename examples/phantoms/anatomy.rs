//! What a patient keeps from one picture to the next: the thorax without any disease.
//!
//! Brightness is radiographic: air is dark, bone and fluid are bright.

use crate::{
    draws::Draws,
    plane::{Point, bell, soft_step},
};

const TISSUE: f64 = 0.66;

/// A patient's thorax.
#[derive(Debug)]
pub(crate) struct Anatomy {
    lungs: Lungs,
    ribs: Ribs,
    heart: Heart,
    vessels: Vec<Vessel>,
    hila: [Hilum; 2],
    breast: Breast,
    clavicle_height: f64,
    wall: f64,
}

impl Anatomy {
    pub(crate) fn draw(draws: &mut Draws) -> Self {
        let lungs = Lungs::draw(draws);
        let heart = Heart::draw(draws, &lungs);
        let hila = [Hilum::draw(draws, -1.0), Hilum::draw(draws, 1.0)];
        let vessels = hila.iter().flat_map(|hilum| hilum.vessels(draws)).collect();
        Self {
            wall: lungs.width + draws.within(0.08..0.16),
            ribs: Ribs::draw(draws),
            breast: Breast::draw(draws),
            clavicle_height: lungs.top + draws.within(0.02..0.14),
            lungs,
            heart,
            vessels,
            hila,
        }
    }

    pub(crate) fn lungs(&self) -> &Lungs {
        &self.lungs
    }

    /// How much of the ray through `at` is aerated lung, from 0 to 1.
    pub(crate) fn air(&self, at: Point) -> f64 {
        self.lungs.cover(at) * (1.0 - self.heart.cover(at))
    }

    /// Brightness of the healthy thorax.
    pub(crate) fn brightness(&self, at: Point) -> f64 {
        let air = self.air(at);
        let body = self.body(at);
        let inside = TISSUE - 0.40 * air
            + self.spine(at)
            + air * self.lung_markings(at)
            + self.bones(at)
            + self.breast.brightness(at);
        0.04 + body * (inside - 0.04)
    }

    fn lung_markings(&self, at: Point) -> f64 {
        let vessels: f64 = self.vessels.iter().map(|vessel| vessel.brightness(at)).sum();
        let hila: f64 = self.hila.iter().map(|hilum| hilum.brightness(at)).sum();
        vessels.min(0.16) + hila
    }

    fn bones(&self, at: Point) -> f64 {
        let cage = soft_step(self.wall - 0.03 - at.x.abs(), 0.05) * soft_step(at.y + 0.85, 0.1);
        cage * self.ribs.brightness(at) + self.clavicles(at)
    }

    fn clavicles(&self, at: Point) -> f64 {
        let out = at.x.abs();
        let line = self.clavicle_height - 0.16 * (out - 0.1);
        let span = soft_step(out - 0.1, 0.04) * soft_step(0.72 - out, 0.06);
        0.10 * span * bell((at.y - line) / 0.035)
    }

    /// Vertebrae: a bright column with a slow beat.
    fn spine(&self, at: Point) -> f64 {
        let beat = 0.03 * (at.y * 24.0 + self.wall * 40.0).sin();
        (0.12 + beat) * bell(at.x / 0.09)
    }

    /// Trunk, shoulders, and neck against the air outside.
    fn body(&self, at: Point) -> f64 {
        let out = at.x.abs();
        let trunk = soft_step(self.wall - out, 0.05);
        let shoulders = soft_step(-0.42 - 0.55 * (out - 0.7) - at.y, 0.08);
        let above = soft_step(-0.62 - 0.22 * out - at.y, 0.08) * soft_step(out - 0.24, 0.06);
        trunk.max(shoulders) * (1.0 - above)
    }
}

/// Both lung fields, mirrored about the spine.
#[derive(Debug)]
pub(crate) struct Lungs {
    width: f64,
    top: f64,
    base: f64,
    inner: f64,
}

impl Lungs {
    fn draw(draws: &mut Draws) -> Self {
        Self {
            width: draws.within(0.66..0.78),
            top: draws.within(-0.78..-0.66),
            base: draws.within(0.36..0.56),
            inner: draws.within(0.12..0.18),
        }
    }

    /// 1 inside the lung fields, 0 outside, soft at the border.
    pub(crate) fn cover(&self, at: Point) -> f64 {
        let out = at.x.abs();
        let lateral = soft_step(self.outer(at.y) - out, 0.05);
        let medial = soft_step(out - self.inner - 0.05 * (at.y + 0.5).abs(), 0.05);
        let above = soft_step(at.y - self.top, 0.05);
        lateral * medial * above * soft_step(self.floor(at.x) - at.y, 0.04)
    }

    /// Height of the diaphragm: a dome that falls off into the costophrenic angle. The
    /// liver lifts the right one, which is on the left of the picture.
    pub(crate) fn floor(&self, x: f64) -> f64 {
        let lift = if x < 0.0 { 0.05 } else { 0.0 };
        let from_peak = (x.abs() - 0.34) / 0.36;
        self.base - lift + 0.20 * (from_peak * from_peak).min(1.4)
    }

    /// Half width at a height: an elliptic apex that widens to the base.
    fn outer(&self, y: f64) -> f64 {
        let down = ((y - self.top) / (self.base - self.top)).clamp(0.0, 1.0);
        let apex = (1.0 - down / 0.6).max(0.0);
        let reach = (1.0 - apex * apex).sqrt() * (0.86 + 0.14 * down);
        self.inner + 0.06 + (self.width - self.inner - 0.06) * reach
    }

    /// A place well inside a lung on the given side, with `y` from the given part of the
    /// height (0 the apex, 1 the base).
    pub(crate) fn place(&self, draws: &mut Draws, side: f64, part: [f64; 2]) -> Point {
        let height = self.base - self.top;
        loop {
            let at = Point {
                x: side * draws.within(self.inner..self.width),
                y: self.top + height * draws.within(part[0]..part[1]),
            };
            if self.cover(at) > 0.9 {
                return at;
            }
        }
    }
}

/// Curved bands, repeated at an even spacing: posterior ribs fall outwards, the fainter
/// anterior ones fall inwards.
#[derive(Debug)]
struct Ribs {
    spacing: f64,
    phase: f64,
    slope: f64,
    strength: f64,
}

impl Ribs {
    fn draw(draws: &mut Draws) -> Self {
        Self {
            spacing: draws.within(0.19..0.25),
            phase: draws.unit(),
            slope: draws.within(0.10..0.35),
            strength: draws.within(0.08..0.15),
        }
    }

    fn brightness(&self, at: Point) -> f64 {
        let out = at.x.abs();
        let posterior = at.y - self.slope * out - 0.45 * out * out;
        let anterior = at.y + 0.5 * (out - 0.1);
        self.strength * (self.band(posterior, 0.0) + 0.45 * self.band(anterior, 0.37))
    }

    fn band(&self, height: f64, shift: f64) -> f64 {
        let turns = height / self.spacing + self.phase + shift;
        let wave = (turns * std::f64::consts::TAU).cos();
        ((wave + 0.1) / 1.1).max(0.0)
    }
}

/// The heart's shadow, an ellipse left of the midline (right in the picture).
#[derive(Debug)]
struct Heart {
    centre: Point,
    across: f64,
    down: f64,
}

impl Heart {
    fn draw(draws: &mut Draws, lungs: &Lungs) -> Self {
        let across = draws.within(0.25..0.38);
        let centre = Point { x: draws.within(0.08..0.16), y: lungs.base - draws.within(0.10..0.2) };
        Self { centre, across, down: across * draws.within(0.9..1.1) }
    }

    fn cover(&self, at: Point) -> f64 {
        let x = (at.x - self.centre.x) / self.across;
        let y = (at.y - self.centre.y) / self.down;
        soft_step(1.0 - x.hypot(y), 0.13)
    }
}

/// The root of a lung: bright, blurred, and easily taken for disease.
#[derive(Debug)]
struct Hilum {
    centre: Point,
    size: f64,
    strength: f64,
}

impl Hilum {
    fn draw(draws: &mut Draws, side: f64) -> Self {
        Self {
            centre: Point { x: side * draws.within(0.19..0.27), y: draws.within(-0.22..-0.02) },
            size: draws.within(0.06..0.10),
            strength: draws.within(0.06..0.18),
        }
    }

    fn brightness(&self, at: Point) -> f64 {
        self.strength * bell(at.distance(self.centre) / self.size)
    }

    /// Six vessels that fan out from here.
    fn vessels(&self, draws: &mut Draws) -> Vec<Vessel> {
        let side = self.centre.x.signum();
        [-1.2, -0.75, -0.2, 0.3, 0.8, 1.2]
            .into_iter()
            .map(|angle| Vessel::draw(draws, self.centre, side, angle))
            .collect()
    }
}

/// A vessel: a line that thins and fades outwards.
#[derive(Debug)]
struct Vessel {
    start: Point,
    end: Point,
    strength: f64,
}

impl Vessel {
    fn draw(draws: &mut Draws, start: Point, side: f64, angle: f64) -> Self {
        let angle = angle + draws.within(-0.2..0.2);
        let length = draws.within(0.22..0.45);
        let end =
            Point { x: start.x + side * length * angle.cos(), y: start.y + length * angle.sin() };
        Self { start, end, strength: draws.within(0.04..0.12) }
    }

    fn brightness(&self, at: Point) -> f64 {
        let reach = self.start.distance(self.end);
        let fade = (1.0 - at.distance(self.start) / (1.25 * reach)).max(0.0);
        let width = 0.018 + 0.02 * fade;
        self.strength * fade.sqrt() * bell(at.distance_to_segment(self.start, self.end) / width)
    }
}

/// Soft tissue over the lower lungs. It brightens them without being disease, so overall
/// brightness alone tells a learner little.
#[derive(Debug)]
struct Breast {
    centre: Point,
    size: f64,
    strength: f64,
}

impl Breast {
    fn draw(draws: &mut Draws) -> Self {
        let strength = if draws.chance(0.5) { draws.within(0.04..0.12) } else { 0.0 };
        Self {
            centre: Point { x: draws.within(0.38..0.52), y: draws.within(0.15..0.35) },
            size: draws.within(0.30..0.42),
            strength,
        }
    }

    fn brightness(&self, at: Point) -> f64 {
        let mirrored = Point { x: at.x.abs(), y: at.y };
        self.strength * soft_step(1.0 - mirrored.distance(self.centre) / self.size, 0.25)
    }
}
