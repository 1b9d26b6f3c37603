//! Points in the picture plane, and soft edges.

/// A place in the picture plane. Both axes run from -1 to 1 across the picture; `y` grows
/// downwards. In the patient's own frame the spine is at `x = 0`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Point {
    pub(crate) x: f64,
    pub(crate) y: f64,
}

impl Point {
    pub(crate) fn distance(self, other: Self) -> f64 {
        (self.x - other.x).hypot(self.y - other.y)
    }

    /// Turns about the origin; positive angles (radians) turn clockwise on screen.
    pub(crate) fn turned(self, angle: f64) -> Self {
        let (sine, cosine) = angle.sin_cos();
        Self { x: cosine * self.x - sine * self.y, y: sine * self.x + cosine * self.y }
    }

    /// Distance to the nearest point of the segment from `start` to `end`.
    pub(crate) fn distance_to_segment(self, start: Self, end: Self) -> f64 {
        let (run, rise) = (end.x - start.x, end.y - start.y);
        let along = ((self.x - start.x) * run + (self.y - start.y) * rise)
            / (run * run + rise * rise).max(f64::EPSILON);
        let along = along.clamp(0.0, 1.0);
        self.distance(Self { x: start.x + along * run, y: start.y + along * rise })
    }
}

/// 0 well below zero, 1 well above, one half at zero; `width` is half the transition.
pub(crate) fn soft_step(value: f64, width: f64) -> f64 {
    let t = (value / width).clamp(-1.0, 1.0).mul_add(0.5, 0.5);
    t * t * (3.0 - 2.0 * t)
}

/// A bell of height 1: exp(-d² / 2).
pub(crate) fn bell(distance: f64) -> f64 {
    (-0.5 * distance * distance).exp()
}
