//! Resize: every entry of an axis is a weighted sum of entries before, and so is the gradient.
//!
//! Nearest, linear and cubic interpolation of n axes are n maps of one axis each; their matrices
//! follow from extents and settings alone. Coordinates as the ONNX specification defines them.

use super::super::along::Along;
use super::super::site::{Forward, Gradients, Refusal, Site};
use super::super::tape::{Tape, Var};
#[cfg(test)]
use super::suite::Case;
use super::{Rule, as_it_is};

pub(super) const RULES: &[Rule] = &[Rule {
    op: "Resize",
    forward,
    backward,
    #[cfg(test)]
    cases,
}];

fn forward(site: &Site<'_>, tape: &mut Tape) -> Result<Forward, Refusal> {
    maps(site)?;
    as_it_is(site, tape)
}

fn backward(site: &Site<'_>, _: &Forward, dy: &Var, tape: &mut Tape) -> Result<Gradients, Refusal> {
    let mut dx = dy.clone();
    for (axis, map) in maps(site)?.iter().enumerate() {
        dx = map.transposed(&dx, axis, tape);
    }
    Ok(vec![Some(dx), None, None, None])
}

/// The map of each axis.
fn maps(site: &Site<'_>) -> Result<Vec<Along>, Refusal> {
    let way = Way::of(site)?;
    let (from, to) = (site.input(0)?.dims(), site.output());
    let scales = scales(site)?;
    let map = |axis: usize| way.map(from[axis], to[axis], scales[axis]);
    (0..from.len()).map(|axis| map(axis).map_err(|reason| site.refuse(reason))).collect()
}

/// The scale of each axis: as given, or as sizes make it.
fn scales(site: &Site<'_>) -> Result<Vec<f32>, Refusal> {
    let (from, to) = (site.input(0)?.dims(), site.output());
    let by_size: Vec<f32> = from.iter().zip(to).map(|(n, m)| *m as f32 / *n as f32).collect();
    let Some(Some(name)) = site.inputs.get(2) else { return Ok(by_size) };
    if name.dims() == [0] {
        return Ok(by_size);
    }
    let given = site.constants[2].and_then(|constant| constant.floats());
    let given = given.ok_or_else(|| site.refuse("its scales are computed at run time"))?;
    let axes = match site.node.ints("axes") {
        Some(axes) => {
            axes.iter().map(|axis| site.axis(*axis, from.len())).collect::<Result<_, _>>()?
        }
        None => (0..from.len()).collect::<Vec<_>>(),
    };
    let mut scales = vec![1.0; from.len()];
    for (axis, scale) in axes.into_iter().zip(given) {
        scales[axis] = *scale;
    }
    Ok(scales)
}

/// How new entries are made of old ones.
struct Way<'a> {
    mode: &'a str,
    coordinates: &'a str,
    rounding: &'a str,
    sharpness: f32,
    exclude_outside: bool,
}

impl<'a> Way<'a> {
    fn of(site: &Site<'a>) -> Result<Self, Refusal> {
        let text = |key, default| site.node.text(key).unwrap_or(default);
        let way = Self {
            mode: text("mode", "nearest"),
            coordinates: text("coordinate_transformation_mode", "half_pixel"),
            rounding: text("nearest_mode", "round_prefer_floor"),
            sharpness: site.node.float("cubic_coeff_a").unwrap_or(-0.75),
            exclude_outside: site.node.int("exclude_outside").unwrap_or(0) != 0,
        };
        if site.node.int("antialias").unwrap_or(0) != 0 {
            return Err(site.refuse("antialiasing has no gradient rule"));
        }
        if text("keep_aspect_ratio_policy", "stretch") != "stretch" {
            return Err(site.refuse("sizes that keep the aspect ratio have no gradient rule"));
        }
        Ok(way)
    }

    fn map(&self, from: usize, to: usize, scale: f32) -> Result<Along, String> {
        // An axis that stays may still be moved by a scale near 1; exactly 1 leaves it.
        if from == to && scale.to_bits() == 1.0_f32.to_bits() {
            return Ok(Along { from, rows: (0..to).map(|at| vec![(at, 1.0)]).collect() });
        }
        let row = |at: usize| {
            let x = self.coordinate(at as f32, from as f32, to as f32, scale)?;
            match self.mode {
                "nearest" => Ok(vec![(self.nearest(x, from)?, 1.0)]),
                "linear" => Ok(linear(x, from)),
                "cubic" => Ok(self.cubic(x, from)),
                mode => Err(format!("interpolation `{mode}` has no gradient rule")),
            }
        };
        Ok(Along { from, rows: (0..to).map(row).collect::<Result<_, String>>()? })
    }

    /// Where a new entry lies among the old ones.
    fn coordinate(&self, at: f32, from: f32, to: f32, scale: f32) -> Result<f32, String> {
        Ok(match self.coordinates {
            "asymmetric" => at / scale,
            "half_pixel" => (at + 0.5) / scale - 0.5,
            "pytorch_half_pixel" if to > 1.0 => (at + 0.5) / scale - 0.5,
            "align_corners" if to > 1.0 => at * (from - 1.0) / (to - 1.0),
            "pytorch_half_pixel" | "align_corners" => 0.0,
            "tf_half_pixel_for_nn" => (at + 0.5) / scale,
            "half_pixel_symmetric" => {
                let offset = from / 2.0 * (1.0 - to / (scale * from));
                offset + (at + 0.5) / scale - 0.5
            }
            other => return Err(format!("coordinates `{other}` have no gradient rule")),
        })
    }

    fn nearest(&self, x: f32, from: usize) -> Result<usize, String> {
        let whole = x.trunc();
        let rounded = match self.rounding {
            // Half of the way exactly, which rounding would take away from zero.
            "round_prefer_floor" if x.to_bits() == (whole + 0.5).to_bits() => whole,
            "round_prefer_floor" | "round_prefer_ceil" => x.round(),
            "floor" => x.floor(),
            "ceil" => x.ceil(),
            other => return Err(format!("rounding `{other}` has no gradient rule")),
        };
        Ok(clamped(rounded as i64, from))
    }

    /// Four neighbours, weighted as by Keys (1981).
    fn cubic(&self, x: f32, from: usize) -> Vec<(usize, f32)> {
        let a = self.sharpness;
        let near = |s: f32| ((a + 2.0) * s - (a + 3.0)) * s * s + 1.0;
        let far = |s: f32| ((a * s - 5.0 * a) * s + 8.0 * a) * s - 4.0 * a;
        let (whole, s) = (x.floor(), x - x.floor());
        let weights = [far(s + 1.0), near(s), near(1.0 - s), far(2.0 - s)];
        let places = (-1..3).map(|step| whole as i64 + step);
        let taps: Vec<(i64, f32)> = places.zip(weights).collect();
        if !self.exclude_outside {
            return taps.iter().map(|&(place, weight)| (clamped(place, from), weight)).collect();
        }
        let inside = |&&(place, _): &&(i64, f32)| (0..from as i64).contains(&place);
        let sum: f32 = taps.iter().filter(inside).map(|(_, weight)| weight).sum();
        taps.iter().filter(inside).map(|&(place, weight)| (place as usize, weight / sum)).collect()
    }
}

/// Two neighbours, weighted by nearness; beyond the border its own value.
fn linear(x: f32, from: usize) -> Vec<(usize, f32)> {
    let x = x.clamp(0.0, (from - 1) as f32);
    let (whole, part) = (x.floor(), x - x.floor());
    let low = whole as usize;
    if part == 0.0 || low + 1 >= from {
        return vec![(low, 1.0)];
    }
    vec![(low, 1.0 - part), (low + 1, part)]
}

fn clamped(place: i64, extent: usize) -> usize {
    place.clamp(0, extent as i64 - 1) as usize
}

#[cfg(test)]
fn cases() -> Vec<Case> {
    let by_scale = |x: &'static [usize], scales: &'static [f32], more: fn(Case) -> Case| {
        let scaled = move |c: Case| c.varied("x", x).left_out();
        Case::of("Resize", move |c| more(scaled(c).constant("scales", &[scales.len()], scales)))
    };
    let by_size = |x: &'static [usize], sizes: &'static [i64], more: fn(Case) -> Case| {
        let sized = move |c: Case| c.varied("x", x).left_out().left_out();
        Case::of("Resize", move |c| more(sized(c).integers("sizes", sizes)))
    };
    let here: &[usize] = &[2, 3, 4, 3];
    let coordinates = "coordinate_transformation_mode";
    let mut cases = vec![
        by_scale(here, &[1.0, 1.0, 2.0, 3.0], |c| {
            c.with("coordinate_transformation_mode", "asymmetric").with("nearest_mode", "floor")
        }),
        by_scale(here, &[1.0, 1.0, 2.0, 2.0], |c| c),
        by_scale(here, &[1.0, 1.0, 2.0, 2.0], |c| c.with("mode", "linear")),
        by_size(here, &[2, 3, 7, 5], |c| c.with("mode", "linear")),
        by_size(here, &[2, 3, 2, 2], |c| c.with("mode", "linear")),
        by_size(here, &[2, 3, 7, 5], |c| c.with("nearest_mode", "round_prefer_ceil")),
        by_size(here, &[2, 3, 3, 2], |c| {
            c.with("nearest_mode", "ceil").with("coordinate_transformation_mode", "asymmetric")
        }),
        by_scale(here, &[1.0, 1.0, 1.6, 1.7], |c| c.with("mode", "linear")),
        by_scale(&[1, 2, 5], &[1.0, 1.0, 2.0], |c| c.with("mode", "linear")),
        by_scale(&[1, 2, 2, 3, 2], &[1.0, 1.0, 2.0, 2.0, 2.0], |c| c.with("mode", "linear")),
        by_size(here, &[2, 3, 7, 5], |c| c.with("mode", "cubic")),
        by_size(here, &[2, 3, 7, 5], |c| c.with("mode", "cubic").with("exclude_outside", 1_i64)),
    ];
    for name in ["asymmetric", "align_corners", "pytorch_half_pixel", "half_pixel_symmetric"] {
        let case = by_size(here, &[2, 3, 7, 5], |c| c.with("mode", "linear"));
        cases.push(case.with(coordinates, name));
    }
    let some_axes = Case::of("Resize", |c| {
        let c = c.varied("x", here).left_out().constant("scales", &[2], &[2.0, 2.0]);
        c.with("axes", vec![2_i64, 3]).with("mode", "linear")
    });
    cases.push(some_axes);
    cases
}
