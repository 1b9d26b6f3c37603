//! Products and solutions agree with exact ones, for any number of columns and threads.

use ndarray::{Array2, s};

use super::super::packed::Packed;
use super::{LANES, Layout, Narrow, Triangle};

/// Values that look random.
fn made(rows: usize, columns: usize) -> Array2<f64> {
    Array2::from_shape_fn((rows, columns), |(i, j)| ((i * 37 + j * 101 + i * j) % 23) as f64 - 11.0)
}

fn laid_out(layout: Layout, values: &Array2<f64>) -> Vec<[f32; LANES]> {
    let mut columns = layout.zeros();
    for ((feature, column), value) in values.indexed_iter() {
        let (eight, lane) = layout.at(feature, column);
        columns[eight][lane] = *value as f32;
    }
    columns
}

fn is_near(layout: Layout, told: &[[f32; LANES]], unit: f64, expected: &Array2<f64>) -> bool {
    let most = expected.iter().fold(0.0_f64, |most, value| most.max(value.abs()));
    expected.indexed_iter().all(|((feature, column), expected)| {
        let (eight, lane) = layout.at(feature, column);
        (unit * f64::from(told[eight][lane]) - expected).abs() <= 1e-5 * most
    })
}

#[test]
fn a_round_is_two_products_with_what_the_link_makes_between() {
    // Scaled so that squares would overflow, and so that they would vanish.
    for scale in [1.0, 1e30, 1e-30] {
        for (items, width) in [(1, 1), (7, 17), (100, 40), (37, 150)] {
            let features = made(items, width) * scale;
            let packed = Packed::new(&features.view(), false, 1);
            let narrow = Narrow::new(&packed, 2);
            for columns in 1..=13 {
                let layout = Layout::new(columns, width);
                let weights = made(width, columns) / 16.0;
                let mut scores = features.dot(&weights);
                for ((item, column), score) in scores.indexed_iter_mut() {
                    *score *= (item + column) as f64;
                }
                let expected = features.t().dot(&scores);
                let round = |threads| {
                    narrow.round(layout, &laid_out(layout, &weights), threads, |item, scores| {
                        assert_eq!(scores.len(), columns);
                        for (column, score) in scores.iter_mut().enumerate() {
                            *score *= (item + column) as f64;
                        }
                    })
                };
                let told = round(1);
                assert!(is_near(layout, &told, narrow.unit(), &expected), "{items} {columns}");
                assert_eq!(told, round(3));
            }
        }
    }
}

#[test]
fn rows_of_narrow_features_times_their_unit_are_those_given() {
    let features = made(3, 5) * 1e-30;
    let narrow = Narrow::new(&Packed::new(&features.view(), false, 1), 1);
    let near = |told: f32, value: f64| {
        (f64::from(told) * narrow.unit().sqrt() - value).abs() <= 1e-6 * value.abs()
    };
    for (item, row) in features.rows().into_iter().enumerate() {
        let told = narrow.row(item);
        assert!(told.iter().zip(row).all(|(told, value)| near(*told, *value)));
        assert!(told[5..].iter().all(|rest| rest.to_bits() == 0));
    }
}

#[test]
fn a_triangle_solves_its_matrix_on_any_number_of_threads() {
    for (size, columns) in [(1, 1), (16, 2), (17, 7), (50, 5), (90, 13)] {
        let mut lower = made(size, size) / (32.0 * size as f64);
        lower.diag_mut().fill(1.0);
        for i in 0..size {
            lower.slice_mut(s![i, i + 1..]).fill(0.0);
        }
        lower *= 1e12;
        let matrix = lower.dot(&lower.t());
        let known = made(size, columns);
        let layout = Layout::new(columns, size);
        let right = laid_out(layout, &(matrix.dot(&known) * 1e-24));
        // What stands above the diagonal means nothing.
        for i in 0..size {
            lower.slice_mut(s![i, i + 1..]).fill(f64::NAN);
        }
        let triangle = Triangle::new(&lower.view());
        let solved = [1, 3].map(|threads| {
            let mut columns = right.clone();
            triangle.solve(layout, &mut columns, threads);
            columns
        });
        assert_eq!(solved[0], solved[1]);
        let unit = 1e24 * triangle.factor();
        assert!(is_near(layout, &solved[0], unit, &known), "{size} {columns}");
    }
}
