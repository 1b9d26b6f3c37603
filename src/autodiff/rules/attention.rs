//! `Attention` (opset 23): softmax(scale · Q Kᵀ + mask) V, in its parts.

use super::super::site::{Forward, Gradients, Refusal, Site};
use super::super::tape::{Tape, Var, broadcast_dims};
use super::Rule;
#[cfg(test)]
use super::suite::Case;
use crate::onnx::tensor::Tensor;

pub(super) const RULES: &[Rule] = &[Rule {
    op: "Attention",
    forward,
    backward,
    #[cfg(test)]
    cases: || [without_mask(), with_mask()].into_iter().flatten().collect(),
}];

#[cfg(test)]
fn case(q: &'static [usize], k: &'static [usize], v: &'static [usize]) -> Case {
    Case::of("Attention", move |case| case.opset(23).varied("q", q).varied("k", k).varied("v", v))
}

#[cfg(test)]
fn without_mask() -> Vec<Case> {
    let heads = |case: Case, q: i64, kv: i64| case.with("q_num_heads", q).with("kv_num_heads", kv);
    vec![
        case(&[2, 2, 3, 4], &[2, 2, 5, 4], &[2, 2, 5, 4]),
        case(&[2, 2, 3, 4], &[2, 2, 5, 4], &[2, 2, 5, 3]).with("scale", 0.3_f32),
        heads(case(&[2, 3, 8], &[2, 5, 8], &[2, 5, 8]), 2, 2),
        heads(case(&[2, 3, 8], &[2, 5, 4], &[2, 5, 6]), 4, 2),
        case(&[1, 4, 3, 2], &[1, 2, 3, 2], &[1, 2, 3, 2]).with("is_causal", 1_i64),
        case(&[1, 2, 3, 4], &[1, 2, 3, 4], &[1, 2, 3, 4])
            .with("softcap", 0.5_f32)
            .library_only("it has no softcap"),
    ]
}

#[cfg(test)]
fn with_mask() -> Vec<Case> {
    let plain = || case(&[2, 2, 3, 4], &[2, 2, 5, 4], &[2, 2, 5, 4]);
    let pattern: Vec<bool> = (0..15).map(|index| index % 5 != 3).collect();
    vec![
        plain().varied("mask", &[3, 5]),
        plain().varied("mask", &[2, 1, 3, 5]),
        plain().varied("mask", &[3, 5]).with("is_causal", 1_i64),
        plain().mask("mask", &[3, 5], &pattern).library_only("it takes no truth values"),
    ]
}

/// What the rule takes: heads, and how the scores are made.
struct Settings {
    items: usize,
    query_heads: usize,
    key_heads: usize,
    scale: f32,
    softcap: f32,
    causal: bool,
    /// Whether inputs have three axes, with the heads of an item side by side in the last.
    side_by_side: bool,
}

fn settings(site: &Site<'_>) -> Result<Settings, Refusal> {
    let (q, k) = (site.input(0)?.dims().to_vec(), site.input(1)?.dims().to_vec());
    let given = |position: usize| site.inputs.get(position).is_some_and(Option::is_some);
    if given(4) || given(5) || given(6) {
        return Err(site.refuse("keys and values of earlier steps have no gradient rule"));
    }
    let side_by_side = q.len() == 3;
    let heads = |key: &str, dims: &[usize]| match side_by_side {
        true => site.node.int(key).and_then(|heads| usize::try_from(heads).ok()),
        false => dims.get(1).copied(),
    };
    let counts = (heads("q_num_heads", &q), heads("kv_num_heads", &k));
    let (Some(query_heads @ 1..), Some(key_heads @ 1..)) = counts else {
        return Err(site.refuse("its number of heads is not known"));
    };
    let depth = q[q.len() - 1] / if side_by_side { query_heads } else { 1 };
    let settings = Settings {
        items: q[0],
        query_heads,
        key_heads,
        scale: site.node.float("scale").unwrap_or(1.0 / (depth as f32).sqrt()),
        softcap: site.node.float("softcap").unwrap_or(0.0),
        causal: site.node.int("is_causal") == Some(1),
        side_by_side,
    };
    if settings.softcap != 0.0 && (given(3) || settings.causal) {
        // Versions of the operator disagree which of the two comes first.
        return Err(site.refuse("a softcap beside a mask has no gradient rule"));
    }
    Ok(settings)
}

impl Settings {
    /// Items × heads × rows × depth.
    fn split(&self, x: &Var, heads: usize, tape: &mut Tape) -> Var {
        if !self.side_by_side {
            return x.clone();
        }
        let (rows, width) = (x.dims()[1], x.dims()[2]);
        let apart = tape.reshape(x, &[self.items, rows, heads, width / heads]);
        tape.transpose(&apart, &[0, 2, 1, 3])
    }

    /// The way back, to the shape of an input or output.
    fn join(&self, x: &Var, tape: &mut Tape) -> Var {
        if !self.side_by_side {
            return x.clone();
        }
        let [items, heads, rows, depth] = x.dims() else { return x.clone() };
        let dims = [*items, *rows, heads * depth];
        let together = tape.transpose(x, &[0, 2, 1, 3]);
        tape.reshape(&together, &dims)
    }

    /// Queries (or scores) of heads that share a key head, one after the other as its rows.
    fn by_key_head(&self, x: &Var, tape: &mut Tape) -> Var {
        let (rows, width) = (x.dims()[2], x.dims()[3]);
        let shared = self.query_heads / self.key_heads;
        tape.reshape(x, &[self.items, self.key_heads, shared * rows, width])
    }

    /// The way back.
    fn by_query_head(&self, x: &Var, tape: &mut Tape) -> Var {
        let shared = self.query_heads / self.key_heads;
        let (rows, width) = (x.dims()[2] / shared, x.dims()[3]);
        tape.reshape(x, &[self.items, self.query_heads, rows, width])
    }
}

fn forward(site: &Site<'_>, tape: &mut Tape) -> Result<Forward, Refusal> {
    let set = settings(site)?;
    let query = set.split(site.input(0)?, set.query_heads, tape);
    let query = set.by_key_head(&query, tape);
    let key = set.split(site.input(1)?, set.key_heads, tape);
    let value = set.split(site.input(2)?, set.key_heads, tape);
    let turned = tape.turned(&key);
    let scores = tape.matmul(&query, &turned);
    let scores = tape.scale(&scores, set.scale);
    let mut scores = set.by_query_head(&scores, tape);
    let mut capped = None;
    if set.softcap != 0.0 {
        let share = tape.scale(&scores, 1.0 / set.softcap);
        let share = tape.unary("Tanh", &share);
        scores = tape.scale(&share, set.softcap);
        capped = Some(share);
    }
    scores = masked(site, &set, &scores, tape)?;
    let p = tape.softmax(&scores, 3);
    let rows = set.by_key_head(&p, tape);
    let y = tape.matmul(&rows, &value);
    let y = set.by_query_head(&y, tape);
    let y = set.join(&y, tape);
    let saved = [query, key, value, p].into_iter().chain(capped).collect();
    Ok(Forward { outputs: vec![y], saved, ..Forward::default() })
}

/// Scores with the masks added: −∞ where a truth mask says no, or where a key comes after the query.
fn masked(site: &Site<'_>, set: &Settings, scores: &Var, tape: &mut Tape) -> Result<Var, Refusal> {
    let mut scores = scores.clone();
    if site.inputs.get(3).is_some_and(Option::is_some) {
        let mask = site.input(3)?;
        if broadcast_dims(mask.dims(), scores.dims()) != scores.dims() {
            return Err(site.refuse("its mask has another shape than its scores"));
        }
        scores = if site.floats[3] {
            tape.add(&scores, mask)
        } else {
            let never = tape.number(f32::NEG_INFINITY);
            tape.choose(mask, &scores, &never)
        };
    }
    if set.causal {
        let (rows, columns) = (scores.dims()[2], scores.dims()[3]);
        let later = |at: usize| at % columns > at / columns;
        let value = |at| if later(at) { f32::NEG_INFINITY } else { 0.0 };
        let values = (0..rows * columns).map(value).collect();
        let mask = tape.constant(Tensor::f32(&[rows, columns], values));
        scores = tape.add(&scores, &mask);
    }
    Ok(scores)
}

/// With P the softmax: dV = Pᵀ dY, dS = P · (dY Vᵀ − Σ), dQ = scale · dS K, dK = scale · dSᵀ Q, and
/// the mask gets dS.
fn backward(
    site: &Site<'_>,
    forward: &Forward,
    dy: &Var,
    tape: &mut Tape,
) -> Result<Gradients, Refusal> {
    let set = settings(site)?;
    let [q, k, v, p, capped @ ..] = &forward.saved[..] else {
        return Err(site.refuse("its forward part is missing"));
    };
    let dy = set.split(dy, set.query_heads, tape);
    let dy = set.by_key_head(&dy, tape);
    let rows = set.by_key_head(p, tape);
    let dv = site.wants(2).then(|| {
        let turned = tape.turned(&rows);
        let dv = tape.matmul(&turned, &dy);
        set.join(&dv, tape)
    });
    let turned = tape.turned(v);
    let dp = tape.matmul(&dy, &turned);
    let mut ds = tape.softmax_gradient(&rows, &dp, 3);
    let mask = match site.wants(3) {
        true => {
            let full = set.by_query_head(&ds, tape);
            Some(tape.unbroadcast(&full, site.input(3)?.dims()))
        }
        false => None,
    };
    if let [capped] = capped {
        let capped = set.by_key_head(capped, tape);
        let flat = tape.one_minus_square(&capped);
        ds = tape.mul(&ds, &flat);
    }
    let ds = tape.scale(&ds, set.scale);
    let dq = site.wants(0).then(|| {
        let dq = tape.matmul(&ds, k);
        let dq = set.by_query_head(&dq, tape);
        set.join(&dq, tape)
    });
    let dk = site.wants(1).then(|| {
        let turned = tape.turned(&ds);
        let dk = tape.matmul(&turned, q);
        set.join(&dk, tape)
    });
    Ok(vec![dq, dk, dv, mask])
}
