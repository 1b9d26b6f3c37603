//! Sequential minimal optimisation with second-order choice of the pair and shrinking, as LIBSVM has
//! it (Fan, Chen and Lin 2005).
//!
//! Signed multipliers βᵢ ∈ [lower, upper] with Σ βᵢ = 0 minimise ½ β'Kβ − t'β. The residuals
//! r = t − Kβ tell what violates optimality: no βᵢ that could rise may have a larger one than any
//! that could fall.

use crate::probe::gram::Gram;
use crate::probe::newton::Stop;

/// What is minimised.
#[derive(Clone, Debug)]
pub(super) struct Task {
    pub(super) variables: Vec<Variable>,
    /// Violation of optimality that may be left.
    pub(super) tolerance: f64,
    /// Pairs at most.
    pub(super) most_steps: usize,
}

/// A signed multiplier.
#[derive(Clone, Copy, Debug)]
pub(super) struct Variable {
    /// Row of the kernel matrix.
    pub(super) item: usize,
    pub(super) target: f64,
    pub(super) lower: f64,
    pub(super) upper: f64,
    /// Where it starts; Σ of all is zero.
    pub(super) value: f64,
}

/// Where a fit for another cost starts.
#[derive(Clone, Debug)]
pub(super) struct Start {
    cost: f64,
    values: Vec<f64>,
    /// What the values are best multiplied by if no bound holds them.
    stretch: f64,
}

impl Start {
    /// The multipliers to start from: those that were found, times what makes the best of them
    /// within the new bounds.
    pub(super) fn of(start: Option<&Self>, cost: f64) -> impl Fn(usize) -> f64 {
        let factor = start.map(|start| start.stretch.min(cost / start.cost));
        move |at| start.zip(factor).map_or(0.0, |(start, factor)| start.values[at] * factor)
    }
}

/// What was found.
#[derive(Clone, Debug)]
pub(super) struct Solution {
    /// In the order of the variables.
    pub(super) values: Vec<f64>,
    pub(super) bias: f64,
    /// ½ β'Kβ − t'β
    pub(super) objective: f64,
    /// By how much optimality is still violated.
    pub(super) violation: f64,
    pub(super) steps: usize,
    pub(super) stop: Stop,
}

impl Solution {
    /// Where a fit for another cost than this one's starts.
    pub(super) fn start(&self, task: &Task, cost: f64) -> Start {
        let pairs = task.variables.iter().zip(&self.values);
        let product: f64 = pairs.map(|(variable, value)| variable.target * value).sum();
        let square = 2.0 * (self.objective + product);
        let stretch = if square > 0.0 { (product / square).max(1.0) } else { 1.0 };
        Start { cost, values: self.values.clone(), stretch }
    }
}

/// Steps between two looks for what can be left aside.
const LOOK: usize = 1000;
/// Curvature of a pair that has none.
const FLAT: f64 = 1e-12;

/// Variables, the active ones first. Columns of one table rather than a table of structs: the loops
/// over them are what takes the time.
struct Solver<'a> {
    gram: &'a Gram,
    task: &'a Task,
    active: usize,
    /// Which variable stands here.
    order: Vec<usize>,
    items: Vec<u32>,
    values: Vec<f64>,
    lower: Vec<f64>,
    upper: Vec<f64>,
    residuals: Vec<f64>,
    own: Vec<f64>,
    /// Kernel values of the pair.
    rows: [Vec<f32>; 2],
    restored: bool,
}

/// Solves a task.
pub(super) fn solve(gram: &Gram, task: &Task) -> Solution {
    let mut solver = Solver::new(gram, task);
    let look = LOOK.min(task.variables.len()).max(1);
    let (mut steps, mut left) = (0, look);
    let stop = loop {
        if steps >= task.most_steps {
            break Stop::Cap;
        }
        if left == 0 {
            left = look;
            solver.shrink();
        }
        left -= 1;
        let pair = solver.pair().or_else(|| {
            let whole = solver.active == solver.order.len();
            solver.restore();
            left = 1;
            if whole { None } else { solver.pair() }
        });
        let Some((rises, falls)) = pair else { break Stop::Converged };
        if !solver.step(rises, falls) {
            break Stop::Rounding;
        }
        steps += 1;
    };
    solver.restore();
    solver.solution(steps, stop)
}

impl<'a> Solver<'a> {
    fn new(gram: &'a Gram, task: &'a Task) -> Self {
        let of = |value: fn(&Variable) -> f64| task.variables.iter().map(value).collect::<Vec<_>>();
        let count = task.variables.len();
        let mut solver = Self {
            gram,
            task,
            active: 0,
            order: (0..count).collect(),
            items: task.variables.iter().map(|variable| variable.item as u32).collect(),
            values: of(|variable| variable.value),
            lower: of(|variable| variable.lower),
            upper: of(|variable| variable.upper),
            residuals: vec![0.0; count],
            own: task.variables.iter().map(|variable| gram.own(variable.item)).collect(),
            rows: [vec![0.0; count], vec![0.0; count]],
            restored: false,
        };
        solver.restore();
        solver
    }

    /// Residuals of what was left aside, and everything is active.
    fn restore(&mut self) {
        let count = self.order.len();
        let inactive = self.active..count;
        for at in inactive.clone() {
            self.residuals[at] = self.task.variables[self.order[at]].target;
        }
        if !inactive.is_empty() {
            for from in 0..count {
                if self.values[from].abs() > 0.0 {
                    let row = self.gram.values(self.items[from] as usize);
                    let value = self.values[from];
                    let items = &self.items[inactive.clone()];
                    for (residual, item) in self.residuals[inactive.clone()].iter_mut().zip(items) {
                        *residual -= value * f64::from(row[*item as usize]);
                    }
                }
            }
        }
        self.active = count;
    }

    fn can_rise(&self, at: usize) -> bool {
        self.values[at] < self.upper[at]
    }

    fn can_fall(&self, at: usize) -> bool {
        self.values[at] > self.lower[at]
    }

    /// Largest residual of what can rise, where it is, and the smallest of what can fall.
    fn ends(&self) -> (f64, Option<usize>, f64) {
        let (mut most, mut rises, mut least) = (f64::NEG_INFINITY, None, f64::INFINITY);
        for at in 0..self.active {
            let residual = self.residuals[at];
            if self.can_rise(at) && residual > most {
                (most, rises) = (residual, Some(at));
            }
            if self.can_fall(at) && residual < least {
                least = residual;
            }
        }
        (most, rises, least)
    }

    fn load(&mut self, which: usize, at: usize) {
        let row = self.gram.values(self.items[at] as usize);
        let into = self.rows[which][..self.active].iter_mut();
        for (into, item) in into.zip(&self.items[..self.active]) {
            *into = row[*item as usize];
        }
    }

    /// The pair that promises most; none if optimality is not violated by the tolerance.
    fn pair(&mut self) -> Option<(usize, usize)> {
        let (most, rises, least) = self.ends();
        let rises = rises?;
        if most - least < self.task.tolerance || least.is_infinite() {
            return None;
        }
        self.load(0, rises);
        let own = self.own[rises];
        let (mut best, mut falls) = (0.0, None);
        for at in 0..self.active {
            let difference = most - self.residuals[at];
            if difference > 0.0 && self.can_fall(at) {
                let curvature = own + self.own[at] - 2.0 * f64::from(self.rows[0][at]);
                let curvature = if curvature > 0.0 { curvature } else { FLAT };
                let gain = difference * difference / curvature;
                if gain >= best {
                    (best, falls) = (gain, Some(at));
                }
            }
        }
        falls.map(|falls| (rises, falls))
    }

    /// Moves a pair as far as it pays; whether that was any way.
    fn step(&mut self, rises: usize, falls: usize) -> bool {
        self.load(1, falls);
        let curvature = self.own[rises] + self.own[falls] - 2.0 * f64::from(self.rows[0][falls]);
        let curvature = if curvature > 0.0 { curvature } else { FLAT };
        let wished = (self.residuals[rises] - self.residuals[falls]) / curvature;
        let (above, below) =
            (self.upper[rises] - self.values[rises], self.values[falls] - self.lower[falls]);
        let length = wished.min(above).min(below);
        let before = (self.values[rises], self.values[falls]);
        // What reaches a bound is set to it, so that it is not missed by rounding.
        self.values[rises] = if length >= above { self.upper[rises] } else { before.0 + length };
        self.values[falls] = if length >= below { self.lower[falls] } else { before.1 - length };
        let [up, down] = &self.rows;
        let rows = up[..self.active].iter().zip(&down[..self.active]);
        for (residual, (up, down)) in self.residuals[..self.active].iter_mut().zip(rows) {
            *residual -= length * (f64::from(*up) - f64::from(*down));
        }
        length > 0.0 && before != (self.values[rises], self.values[falls])
    }

    /// Leaves aside what stands at a bound and is not likely to move.
    fn shrink(&mut self) {
        let (mut most, _, mut least) = self.ends();
        if !self.restored && most - least <= 10.0 * self.task.tolerance {
            self.restored = true;
            self.restore();
            (most, _, least) = self.ends();
        }
        let mut at = 0;
        while at < self.active {
            let stuck = (!self.can_rise(at) && self.residuals[at] > most)
                || (!self.can_fall(at) && self.residuals[at] < least);
            if stuck {
                self.active -= 1;
                self.swap(at, self.active);
            } else {
                at += 1;
            }
        }
    }

    fn swap(&mut self, a: usize, b: usize) {
        self.order.swap(a, b);
        self.items.swap(a, b);
        for values in
            [&mut self.values, &mut self.lower, &mut self.upper, &mut self.residuals, &mut self.own]
        {
            values.swap(a, b);
        }
    }

    fn solution(&self, steps: usize, stop: Stop) -> Solution {
        let (most, _, least) = self.ends();
        let free = (0..self.order.len()).filter(|at| self.can_rise(*at) && self.can_fall(*at));
        let (count, sum) = free.fold((0, 0.0), |(n, sum), at| (n + 1, sum + self.residuals[at]));
        let bias = match count {
            0 if most.is_finite() && least.is_finite() => f64::midpoint(most, least),
            0 if most.is_finite() => most,
            0 if least.is_finite() => least,
            0 => 0.0,
            count => sum / f64::from(count),
        };
        let mut values = vec![0.0; self.order.len()];
        let mut objective = 0.0;
        for (at, &variable) in self.order.iter().enumerate() {
            values[variable] = self.values[at];
            let target = self.task.variables[variable].target;
            objective -= 0.5 * self.values[at] * (self.residuals[at] + target);
        }
        let violation = if (most - least).is_finite() { (most - least).max(0.0) } else { 0.0 };
        Solution { values, bias, objective, violation, steps, stop }
    }
}
