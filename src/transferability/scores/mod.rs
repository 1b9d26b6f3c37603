//! Scores of features or source probabilities against labels: one file each.

mod cka;
mod gbc;
mod h_score;
mod leep;
mod log_me;
mod mixture;
mod n_leep;
mod nce;
mod neighbours;
mod parc;
mod sfda;
mod trans_rate;

pub(super) use cka::Cka;
pub(super) use gbc::Gbc;
pub(super) use h_score::HScore;
pub(super) use leep::Leep;
pub(super) use log_me::LogMe;
pub(super) use n_leep::NLeep;
pub(super) use nce::Nce;
pub(super) use neighbours::Neighbours;
pub(super) use parc::Parc;
pub(super) use sfda::Sfda;
pub(super) use trans_rate::TransRate;

use ndarray::{Array2, ArrayView2};

use super::items::{Items, Refusal};

/// Means of the classes: classes × features.
fn class_means(features: ArrayView2<'_, f64>, items: &Items<'_>) -> Array2<f64> {
    let mut means = Array2::zeros((items.classes, features.ncols()));
    for (row, &label) in features.rows().into_iter().zip(&items.labels) {
        let mut mean = means.row_mut(label);
        mean += &row;
    }
    for (mut mean, count) in means.rows_mut().into_iter().zip(items.counts()) {
        mean /= count as f64;
    }
    means
}

/// Refuses what is no number any more after squares were summed.
fn squares(sums: &Array2<f64>) -> Result<(), Refusal> {
    if sums.iter().all(|value| value.is_finite()) { Ok(()) } else { Err(Refusal::TooLarge) }
}
