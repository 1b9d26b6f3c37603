//! Two moons and shifted ones, after the NT-Benchmark: what moves the inputs is seen by distances
//! between domains, and the more, the further it moves them; what changes labels alone is not.

use ndarray::{Array2, array};

use super::{Items, score};
use crate::base::Seed;
use crate::stats::Page;

/// Points of both moons.
const POINTS: usize = 600;

/// Two interleaved half circles with noise of .1 and their classes, around the middle.
fn moons(seed: u64) -> (Array2<f64>, Vec<usize>) {
    let mut stream = Seed(seed).stream("test", "moons");
    let labels: Vec<usize> = (0..POINTS).map(|point| point % 2).collect();
    let mut points = Array2::zeros((POINTS, 2));
    for (mut point, &label) in points.rows_mut().into_iter().zip(&labels) {
        let angle = std::f64::consts::PI * stream.uniform();
        let (x, y) = match label {
            0 => (angle.cos(), angle.sin()),
            _ => (1.0 - angle.cos(), 0.5 - angle.sin()),
        };
        point[0] = x - 0.5 + 0.1 * stream.normal();
        point[1] = y - 0.25 + 0.1 * stream.normal();
    }
    (points, labels)
}

/// PAD and MMD² of a source to moons that are the target, with their nulls.
fn distances(source: &Array2<f64>) -> [(f64, f64); 2] {
    let (target, labels) = moons(1);
    let items = Items::new(target.view(), &labels).unwrap().with_other(source.view()).unwrap();
    ["proxy_a", "mmd"].map(|name| {
        let number = score(name).unwrap().numbers(&items).unwrap().remove(0);
        (number.value, number.null.unwrap())
    })
}

/// A share from 0 to 1 of one of the benchmark's shifts.
fn shifted(shift: &str, share: f64, seed: u64) -> Array2<f64> {
    let (points, _) = moons(seed);
    let linear = |matrix: Array2<f64>| points.dot(&matrix.t());
    let turned = |degrees: f64| {
        let (sin, cos) = degrees.to_radians().sin_cos();
        array![[cos, -sin], [sin, cos]]
    };
    match shift {
        "translation" => &points + 2.0 * share,
        "scale" => &points * (1.0 + 0.5 * share),
        "rotation" => linear(turned(45.0 * share)),
        "shear" => linear(array![[1.0, 1.5 * share], [0.0, 1.0]]),
        "combination" => linear(turned(45.0 * share)) * (1.0 + 0.5 * share) + 2.0 * share,
        "salt and pepper" => {
            let mut stream = Seed(seed).stream("test", "salt and pepper");
            points.mapv(|value| match stream.uniform() < 0.3 * share {
                true => 3.0 * (2.0 * stream.uniform() - 1.0),
                false => value,
            })
        }
        "extra cluster" => {
            let mut stream = Seed(seed).stream("test", "extra cluster");
            let mut points = points.clone();
            let extra = (0.3 * share * POINTS as f64) as usize;
            for mut point in points.rows_mut().into_iter().take(extra) {
                point[0] = 3.0 + 0.2 * stream.normal();
                point[1] = 3.0 + 0.2 * stream.normal();
            }
            points
        }
        other => panic!("no shift is called {other}"),
    }
}

/// By chance, the two distances of four sources of five grades rise as much as they do.
fn trends(shift: &str) -> [f64; 2] {
    let grades = [0.0, 0.25, 0.5, 0.75, 1.0];
    let row = |seed: u64| grades.map(|share| distances(&shifted(shift, share, seed)));
    let rows: Vec<[[(f64, f64); 2]; 5]> = (2..6).map(row).collect();
    [0, 1].map(|distance| {
        let values = |row: &[[(f64, f64); 2]; 5]| row.iter().map(|at| at[distance].0).collect();
        let rows: Vec<Vec<f64>> = rows.iter().map(values).collect();
        Page::of(&grades, &rows).unwrap().p_rises
    })
}

/// A trend by chance is less likely than one in a thousand.
const SIGNIFICANT: f64 = 0.001;

#[test]
fn both_distances_grow_with_what_moves_the_middle_or_the_spread() {
    for shift in ["translation", "combination"] {
        let [proxy_a, mmd] = trends(shift);
        assert!(proxy_a < SIGNIFICANT && mmd < SIGNIFICANT, "{shift}: {proxy_a} {mmd}");
    }
}

/// A linear classifier of domains is blind to what leaves the means alone; kernels are not.
#[test]
fn kernels_see_shifts_that_leave_the_middle_alone() {
    for shift in ["scale", "rotation", "shear", "salt and pepper", "extra cluster"] {
        let [_, mmd] = trends(shift);
        assert!(mmd < SIGNIFICANT, "{shift}: {mmd}");
    }
}

#[test]
fn other_labels_on_the_same_points_are_no_distance() {
    let (points, _) = moons(7);
    let [proxy_a, mmd] = distances(&points);
    assert!(proxy_a.0 < proxy_a.1 + 0.25 && mmd.0 < mmd.1 + 0.01, "{proxy_a:?} {mmd:?}");
}
