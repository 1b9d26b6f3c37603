//! Pad: the gradient of what was added falls away, or goes back to the entries it was copied from.

use super::super::along::Along;
use super::super::site::{Forward, Gradients, Refusal, Site};
use super::super::tape::{Part, Tape, Var};
use super::Rule;
#[cfg(test)]
use super::suite::Case;

pub(super) const RULES: &[Rule] = &[Rule {
    op: "Pad",
    forward,
    backward,
    #[cfg(test)]
    cases,
}];

/// Negative pads become a slice before the padding proper: the embedded backend cannot have them.
fn forward(site: &Site<'_>, tape: &mut Tape) -> Result<Forward, Refusal> {
    let amounts = Amounts::of(site)?;
    let x = site.input(0)?.clone();
    let kept = tape.slice(&x, &amounts.axes(), &amounts.kept(x.dims()));
    if amounts.before.iter().chain(&amounts.after).all(|&amount| amount <= 0) {
        return Ok(Forward { outputs: vec![kept], ..Forward::default() });
    }
    let grown = |list: &[i64]| list.iter().map(|&amount| amount.max(0)).collect::<Vec<_>>();
    let pads = [grown(&amounts.before), grown(&amounts.after)].concat();
    let pads = tape.integers(&pads);
    let value = site.inputs.get(2).cloned().flatten();
    let inputs: Vec<&Var> = [&kept, &pads].into_iter().chain(&value).collect();
    let settings = [("mode", amounts.mode.into())];
    let y = tape.op("Pad", &inputs, &settings, site.output());
    Ok(Forward { outputs: vec![y], ..Forward::default() })
}

fn backward(site: &Site<'_>, _: &Forward, dy: &Var, tape: &mut Tape) -> Result<Gradients, Refusal> {
    if site.wants(2) {
        return Err(site.refuse("the value that is padded with has no gradient rule"));
    }
    let amounts = Amounts::of(site)?;
    let dims = site.input(0)?.dims().to_vec();
    let axes = amounts.axes();
    if amounts.mode != "constant" {
        let mut dx = dy.clone();
        for &axis in &axes {
            dx = amounts.map(axis, dims[axis]).transposed(&dx, axis, tape);
        }
        return Ok(vec![Some(dx), None, None, None]);
    }
    let kept = amounts.kept(&dims);
    let inner = |&axis: &usize| Part::run(amounts.before[axis].max(0) as usize, kept[axis].count);
    let parts: Vec<Part> = axes.iter().map(inner).collect();
    let middle = tape.slice(dy, &axes, &parts);
    let cut = |list: &[i64]| list.iter().map(|&n| (-n).max(0) as usize).collect::<Vec<_>>();
    let dx = tape.pad(&middle, &cut(&amounts.before), &cut(&amounts.after));
    Ok(vec![Some(dx), None, None, None])
}

/// What is added to each axis, or cut off where negative.
struct Amounts<'a> {
    mode: &'a str,
    before: Vec<i64>,
    after: Vec<i64>,
}

impl<'a> Amounts<'a> {
    fn of(site: &Site<'a>) -> Result<Self, Refusal> {
        let mode = site.node.text("mode").unwrap_or("constant");
        if !["constant", "edge", "reflect", "wrap"].contains(&mode) {
            return Err(site.refuse(format!("padding in mode `{mode}` has no gradient rule")));
        }
        let rank = site.input(0)?.rank();
        let pads = site.integers(1)?.unwrap_or_default();
        let axes = match site.integers(3)? {
            Some(axes) => axes.iter().map(|axis| site.axis(*axis, rank)).collect(),
            None => Ok((0..rank).collect::<Vec<_>>()),
        }?;
        if pads.len() != 2 * axes.len() {
            return Err(site.refuse("its pads and its axes differ in number"));
        }
        let mut amounts = Self { mode, before: vec![0; rank], after: vec![0; rank] };
        for (index, &axis) in axes.iter().enumerate() {
            amounts.before[axis] = pads[index];
            amounts.after[axis] = pads[axes.len() + index];
        }
        if mode != "constant" && pads.iter().any(|&pad| pad < 0) {
            return Err(site.refuse(format!("negative padding in mode `{mode}` has no rule")));
        }
        Ok(amounts)
    }

    fn axes(&self) -> Vec<usize> {
        (0..self.before.len()).collect()
    }

    /// What negative amounts leave of each axis.
    fn kept(&self, dims: &[usize]) -> Vec<Part> {
        let part = |(axis, extent): (usize, &usize)| {
            let first = (-self.before[axis]).max(0) as usize;
            let cut = first + (-self.after[axis]).max(0) as usize;
            Part::run(first, extent.saturating_sub(cut))
        };
        dims.iter().enumerate().map(part).collect()
    }

    /// Which entry each entry of a padded axis is a copy of.
    fn map(&self, axis: usize, extent: usize) -> Along {
        let (count, before) = (extent as i64, self.before[axis]);
        let source = |at: i64| match self.mode {
            "edge" => at.clamp(0, count - 1),
            "wrap" => at.rem_euclid(count),
            _ => {
                let period = (2 * (count - 1)).max(1);
                let folded = at.rem_euclid(period);
                if folded < count { folded } else { period - folded }
            }
        };
        let row = |at: i64| vec![(source(at - before) as usize, 1.0)];
        Along { from: extent, rows: (0..count + before + self.after[axis]).map(row).collect() }
    }
}

#[cfg(test)]
fn cases() -> Vec<Case> {
    let of = |pads: &'static [i64], more: fn(Case) -> Case| {
        Case::of("Pad", move |c| more(c.varied("x", &[2, 3, 4]).integers("pads", pads)))
    };
    vec![
        of(&[0, 0, 1, 0, 2, 0], |c| c),
        of(&[1, 0, 0, 0, 0, 1], |c| c.number("value", 0.5)),
        of(&[0, 1, 1, 0, 2, 3], |c| c.with("mode", "edge")),
        of(&[0, 1, 2, 0, 2, 3], |c| c.with("mode", "reflect")),
        of(&[0, -1, 1, 0, 0, -2], |c| c.aborts_when_embedded("negative pads end the process")),
        Case::of("Pad", |c| {
            let c = c.varied("x", &[2, 3, 4]).integers("pads", &[1, 0, 2, 1]).left_out();
            c.integers("axes", &[-1, 1])
        }),
        Case::of("Pad", |c| {
            c.varied("x", &[2, 3, 4])
                .integers("pads", &[0, 1, 3, 0, 2, 0])
                .with("mode", "wrap")
                .opset(19)
                .library_only("this mode is not known there")
        }),
    ]
}
