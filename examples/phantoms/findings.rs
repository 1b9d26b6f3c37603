//! What is wrong with a patient, if anything: brightness added over the lungs.

use crate::{
    anatomy::Lungs,
    draws::Draws,
    plane::{Point, bell, soft_step},
};

/// Everything found in one patient.
#[derive(Debug)]
pub(crate) enum Finding {
    Nothing,
    Pneumonia(Vec<Opacity>),
    Nodule(Nodule),
    Effusion(Effusion),
    Diffuse(Reticulum),
}

impl Finding {
    pub(crate) fn pneumonia(draws: &mut Draws, lungs: &Lungs) -> Self {
        let count = draws.weighted(&[(1, 0.5), (2, 0.35), (3, 0.15)]);
        Self::Pneumonia((0..count).map(|_| Opacity::draw(draws, lungs)).collect())
    }

    pub(crate) fn nodule(draws: &mut Draws, lungs: &Lungs) -> Self {
        Self::Nodule(Nodule::draw(draws, lungs))
    }

    pub(crate) fn effusion(draws: &mut Draws, lungs: &Lungs) -> Self {
        Self::Effusion(Effusion::draw(draws, lungs))
    }

    pub(crate) fn diffuse(draws: &mut Draws) -> Self {
        Self::Diffuse(Reticulum::draw(draws))
    }

    /// Brightness it adds at a place, before the share of lung there is taken into account.
    pub(crate) fn brightness(&self, at: Point, lungs: &Lungs) -> f64 {
        match self {
            Self::Nothing => 0.0,
            Self::Pneumonia(opacities) => {
                // Overlapping opacities saturate: fluid cannot fill the same air twice.
                opacities.iter().map(|opacity| opacity.brightness(at)).sum::<f64>().min(0.4)
            }
            Self::Nodule(nodule) => nodule.brightness(at),
            Self::Effusion(effusion) => effusion.brightness(at, lungs),
            Self::Diffuse(reticulum) => reticulum.brightness(at),
        }
    }
}

/// A soft, uneven cloud: a core and two satellites.
#[derive(Debug)]
pub(crate) struct Opacity {
    puffs: [(Point, f64); 3],
    strength: f64,
}

impl Opacity {
    fn draw(draws: &mut Draws, lungs: &Lungs) -> Self {
        let side = draws.side();
        let core = lungs.place(draws, side, [0.15, 0.95]);
        let size = draws.within(0.09..0.17);
        let mut satellite = || {
            let away = Point { x: size * draws.within(0.5..1.2), y: 0.0 };
            let away = away.turned(draws.within(0.0..std::f64::consts::TAU));
            let at = Point { x: core.x + away.x, y: core.y + away.y };
            (at, size * draws.within(0.5..0.8))
        };
        let puffs = [(core, size), satellite(), satellite()];
        Self { puffs, strength: draws.within(0.15..0.26) }
    }

    fn brightness(&self, at: Point) -> f64 {
        let clear: f64 = self
            .puffs
            .iter()
            .map(|&(centre, size)| 1.0 - bell(at.distance(centre) / size))
            .product();
        self.strength * (1.0 - clear)
    }
}

/// A small disc with a sharp border.
#[derive(Debug)]
pub(crate) struct Nodule {
    centre: Point,
    radius: f64,
    strength: f64,
}

impl Nodule {
    fn draw(draws: &mut Draws, lungs: &Lungs) -> Self {
        let side = draws.side();
        Self {
            centre: lungs.place(draws, side, [0.1, 0.95]),
            radius: draws.within(0.07..0.15),
            strength: draws.within(0.12..0.24),
        }
    }

    fn brightness(&self, at: Point) -> f64 {
        self.strength * soft_step(self.radius - at.distance(self.centre), 0.05)
    }
}

/// Fluid at the base of one lung. It climbs the outer wall and blunts the angle.
#[derive(Debug)]
pub(crate) struct Effusion {
    side: f64,
    depth: f64,
    climb: f64,
    strength: f64,
}

impl Effusion {
    fn draw(draws: &mut Draws, _lungs: &Lungs) -> Self {
        Self {
            side: draws.side(),
            depth: draws.within(0.08..0.34),
            climb: draws.within(0.1..0.4),
            strength: draws.within(0.16..0.32),
        }
    }

    fn brightness(&self, at: Point, lungs: &Lungs) -> f64 {
        if at.x * self.side < 0.0 {
            return 0.0;
        }
        let outwards = (at.x.abs() - 0.3).max(0.0) / 0.4;
        let surface =
            lungs.floor(0.34 * self.side) - self.depth + 0.1 - self.climb * outwards * outwards;
        self.strength * soft_step(at.y - surface, 0.08)
    }
}

/// A net of fine lines all over the lungs: waves in four directions, folded into ridges.
#[derive(Debug)]
pub(crate) struct Reticulum {
    waves: [Wave; 4],
    strength: f64,
}

#[derive(Debug)]
struct Wave {
    direction: f64,
    frequency: f64,
    phase: f64,
}

impl Reticulum {
    fn draw(draws: &mut Draws) -> Self {
        let waves = [0.3, 1.1, 1.9, 2.7].map(|direction| Wave {
            direction: direction + draws.within(-0.3..0.3),
            frequency: draws.within(18.0..32.0),
            phase: draws.within(0.0..std::f64::consts::TAU),
        });
        Self { waves, strength: draws.within(0.07..0.14) }
    }

    fn brightness(&self, at: Point) -> f64 {
        let sum: f64 = self
            .waves
            .iter()
            .map(|wave| (wave.frequency * at.turned(wave.direction).x + wave.phase).sin())
            .sum();
        self.strength * (1.0 - sum.abs()).max(-1.0)
    }
}
