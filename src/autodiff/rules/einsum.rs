//! `Einsum`: sums of products over named axes, of any number of operands.

use std::collections::BTreeMap;

use super::super::site::{Forward, Gradients, Refusal, Site};
use super::super::tape::{Tape, Var};
#[cfg(test)]
use super::suite::Case;
use super::{Rule, as_it_is};

pub(super) const RULES: &[Rule] = &[Rule {
    op: "Einsum",
    forward: as_it_is,
    backward,
    #[cfg(test)]
    cases: || [one_operand(), two_operands(), more_operands()].into_iter().flatten().collect(),
}];

#[cfg(test)]
fn case(equation: &'static str, shapes: &[&[usize]]) -> Case {
    let case = Case::of("Einsum", |case| case.with("equation", equation));
    let names = ["a", "b", "c"];
    shapes.iter().zip(names).fold(case, |case, (dims, name)| case.varied(name, dims))
}

#[cfg(test)]
fn one_operand() -> Vec<Case> {
    vec![
        case("ij->ji", &[&[2, 3]]),
        case("ijk->ik", &[&[2, 3, 4]]),
        case("ij->", &[&[2, 3]]).library_only("it does not sum to a number"),
        case("ba", &[&[2, 3]]),
        case("...ij->...ji", &[&[2, 3, 4]]),
    ]
}

#[cfg(test)]
fn two_operands() -> Vec<Case> {
    vec![
        case("ij,jk->ik", &[&[2, 3], &[3, 4]]),
        case("bij,bjk->bik", &[&[2, 3, 4], &[2, 4, 5]]),
        case("bhid,bhjd->bhij", &[&[2, 2, 3, 4], &[2, 2, 5, 4]]),
        case("bthd,hdm->btm", &[&[2, 3, 2, 4], &[2, 4, 5]]),
        case("i,j->ij", &[&[2], &[3]]),
        case("i,i->", &[&[4], &[4]]),
        case("ij,ij->ij", &[&[2, 3], &[2, 3]]),
        case("ij , jk", &[&[2, 3], &[3, 4]]),
        case("ijl,jk->ki", &[&[2, 3, 2], &[3, 4]]),
        case("...ij,jk->...ik", &[&[2, 2, 3], &[3, 4]]),
        case("...ij,...jk->...ik", &[&[2, 2, 3], &[2, 3, 4]]),
        case("...ij,...jk->...ik", &[&[2, 1, 2, 3], &[2, 3, 3, 4]])
            .library_only("what is behind an ellipsis is not broadcast"),
        case("...ij,...jk", &[&[2, 2, 3], &[2, 3, 4]])
            .library_only("a result without a name drops what is behind an ellipsis"),
    ]
}

#[cfg(test)]
fn more_operands() -> Vec<Case> {
    vec![
        case("ij,jk,kl->il", &[&[2, 3], &[3, 4], &[4, 2]]),
        case("bi,ij,bj->b", &[&[2, 3], &[3, 4], &[2, 4]]),
    ]
}

/// An axis by its letter; those behind an ellipsis are counted from the last.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Label {
    Hidden(std::cmp::Reverse<usize>),
    Letter(char),
}

/// The axes of each operand and of the result.
struct Equation {
    operands: Vec<Vec<Label>>,
    result: Vec<Label>,
}

impl Equation {
    fn of(site: &Site<'_>) -> Result<Self, Refusal> {
        let text: String =
            site.node.text("equation").unwrap_or_default().split_whitespace().collect();
        let (left, right) = match text.split_once("->") {
            Some((left, right)) => (left, Some(right)),
            None => (text.as_str(), None),
        };
        let terms: Vec<&str> = left.split(',').collect();
        if terms.len() != site.inputs.len() {
            return Err(site.refuse(format!("`{text}` is not about its inputs")));
        }
        let mut operands = Vec::new();
        for (position, term) in terms.into_iter().enumerate() {
            let rank = site.input(position)?.rank();
            let labels = labels(term, rank);
            if labels.len() != rank {
                return Err(site.refuse(format!("`{term}` does not name {rank} axes")));
            }
            let mut sorted = labels.clone();
            sorted.sort_unstable();
            sorted.dedup();
            if sorted.len() != rank {
                return Err(site.refuse(format!("`{term}` names an axis twice")));
            }
            operands.push(labels);
        }
        let result = match right {
            Some(right) => labels(right, site.output().len()),
            None => named_once(&operands),
        };
        if result.len() != site.output().len() {
            return Err(site.refuse(format!("`{text}` does not name the axes of its result")));
        }
        Ok(Self { operands, result })
    }
}

/// The labels of one term, for a tensor of this rank.
fn labels(term: &str, rank: usize) -> Vec<Label> {
    let letters = |text: &str| text.chars().map(Label::Letter).collect::<Vec<_>>();
    let Some((before, after)) = term.split_once("...") else { return letters(term) };
    let hidden = rank.saturating_sub(before.chars().count() + after.chars().count());
    let hidden = (0..hidden).rev().map(|place| Label::Hidden(std::cmp::Reverse(place)));
    letters(before).into_iter().chain(hidden).chain(letters(after)).collect()
}

/// The result of an equation that does not name it: what is behind the ellipsis, then all letters
/// that stand but once, in alphabetical order.
fn named_once(operands: &[Vec<Label>]) -> Vec<Label> {
    let mut counts: BTreeMap<Label, usize> = BTreeMap::new();
    for label in operands.iter().flatten() {
        *counts.entry(*label).or_default() += 1;
    }
    let stays = |(label, count): &(Label, usize)| matches!(label, Label::Hidden(_)) || *count == 1;
    counts.into_iter().filter(stays).map(|(label, _)| label).collect()
}

/// A tensor with the labels of its axes.
#[derive(Clone)]
struct Labelled {
    var: Var,
    labels: Vec<Label>,
}

impl Labelled {
    fn extent(&self, label: Label) -> Option<usize> {
        let axis = self.labels.iter().position(|known| *known == label)?;
        Some(self.var.dims()[axis])
    }

    fn extents(&self, labels: &[Label]) -> Vec<usize> {
        labels.iter().filter_map(|label| self.extent(*label)).collect()
    }

    fn has(&self, label: Label) -> bool {
        self.labels.contains(&label)
    }

    /// Its axes in this order, all of them.
    fn ordered(&self, order: &[Label], tape: &mut Tape) -> Var {
        let axis = |label: &Label| self.labels.iter().position(|known| known == label);
        tape.transpose(&self.var, &order.iter().filter_map(axis).collect::<Vec<_>>())
    }

    /// Summed over axes that are not in `kept`.
    fn summed(&self, kept: impl Fn(Label) -> bool, tape: &mut Tape) -> Self {
        let axes: Vec<usize> =
            (0..self.labels.len()).filter(|&axis| !kept(self.labels[axis])).collect();
        let summed = tape.reduce_sum(&self.var, &axes);
        let labels: Vec<Label> = self.labels.iter().copied().filter(|l| kept(*l)).collect();
        let var = tape.reshape(&summed, &self.extents(&labels));
        Self { var, labels }
    }
}

/// The operand without axes of extent 1 that are broadcast against longer ones.
fn unstretched(
    var: &Var,
    labels: &[Label],
    full: &BTreeMap<Label, usize>,
    tape: &mut Tape,
) -> Labelled {
    let whole = |(label, extent): &(&Label, &usize)| full.get(label) == Some(extent);
    let (labels, dims): (Vec<Label>, Vec<usize>) =
        labels.iter().zip(var.dims()).filter(whole).unzip();
    Labelled { var: tape.reshape(var, &dims), labels }
}

/// The gradient of an operand is the sum of products of the result's gradient with all other
/// operands, over all axes that the operand lacks; along axes that it alone has, it is constant.
fn backward(site: &Site<'_>, _: &Forward, dy: &Var, tape: &mut Tape) -> Result<Gradients, Refusal> {
    let equation = Equation::of(site)?;
    let mut full: BTreeMap<Label, usize> = BTreeMap::new();
    let mut operands = Vec::new();
    for (position, labels) in equation.operands.iter().enumerate() {
        let var = site.input(position)?;
        for (label, &extent) in labels.iter().zip(var.dims()) {
            let known = full.entry(*label).or_insert(extent);
            *known = extent.max(*known);
        }
        operands.push((var.clone(), labels));
    }
    let operands: Vec<Labelled> =
        operands.iter().map(|(var, labels)| unstretched(var, labels, &full, tape)).collect();
    let dy = Labelled { var: dy.clone(), labels: equation.result };
    let mut gradients = Vec::new();
    for (position, operand) in operands.iter().enumerate() {
        gradients.push(match site.wants(position) {
            true => {
                let gradient = gradient_of(position, &operands, &dy, tape);
                let gradient = lifted(&gradient, operand, tape);
                Some(tape.reshape(&gradient, site.input(position)?.dims()))
            }
            false => None,
        });
    }
    Ok(gradients)
}

fn gradient_of(position: usize, operands: &[Labelled], dy: &Labelled, tape: &mut Tape) -> Labelled {
    let others: Vec<&Labelled> =
        operands.iter().enumerate().filter(|(at, _)| *at != position).map(|(_, o)| o).collect();
    let mut product = dy.clone();
    for (index, other) in others.iter().enumerate() {
        let later = &others[index + 1..];
        let needed =
            |label| operands[position].has(label) || later.iter().any(|later| later.has(label));
        product = contracted(&product, other, needed, tape);
    }
    product.summed(|label| operands[position].has(label), tape)
}

/// Σ a · b over all axes that are not needed later: one matrix product over the axes of both.
fn contracted(
    a: &Labelled,
    b: &Labelled,
    needed: impl Fn(Label) -> bool,
    tape: &mut Tape,
) -> Labelled {
    let a = a.summed(|label| needed(label) || b.has(label), tape);
    let b = b.summed(|label| needed(label) || a.has(label), tape);
    let pick = |from: &Labelled, keep: &dyn Fn(Label) -> bool| -> Vec<Label> {
        from.labels.iter().copied().filter(|label| keep(*label)).collect()
    };
    let shared = pick(&a, &|label| b.has(label) && needed(label));
    let summed = pick(&a, &|label| b.has(label) && !needed(label));
    let rows = pick(&a, &|label| !b.has(label));
    let columns = pick(&b, &|label| !a.has(label));
    let size = |from: &Labelled, labels: &[Label]| from.extents(labels).iter().product::<usize>();
    let (batch, inner) = (size(&a, &shared), size(&a, &summed));
    let (m, n) = (size(&a, &rows), size(&b, &columns));
    let left = a.ordered(&[&shared[..], &rows, &summed].concat(), tape);
    let right = b.ordered(&[&shared[..], &summed, &columns].concat(), tape);
    let left = tape.reshape(&left, &[batch, m, inner]);
    let right = tape.reshape(&right, &[batch, inner, n]);
    let product = match inner {
        1 => tape.mul(&left, &right),
        _ => tape.matmul(&left, &right),
    };
    let dims = [a.extents(&shared), a.extents(&rows), b.extents(&columns)].concat();
    let labels = [shared, rows, columns].concat();
    Labelled { var: tape.reshape(&product, &dims), labels }
}

/// A gradient with the axes of its operand: in their order, repeated along those it lacks.
fn lifted(gradient: &Labelled, operand: &Labelled, tape: &mut Tape) -> Var {
    let order: Vec<Label> =
        operand.labels.iter().copied().filter(|label| gradient.has(*label)).collect();
    let ordered = gradient.ordered(&order, tape);
    let dims: Vec<usize> =
        operand.labels.iter().map(|label| gradient.extent(*label).unwrap_or(1)).collect();
    let shaped = tape.reshape(&ordered, &dims);
    tape.expand(&shaped, operand.var.dims())
}
