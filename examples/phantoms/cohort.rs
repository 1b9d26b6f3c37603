//! Who is examined: patients one after another, each with one class and a few pictures.

use std::collections::VecDeque;

use clap::ValueEnum;
use image::GrayImage;

use crate::{
    anatomy::{Anatomy, Lungs},
    draws::Draws,
    findings::Finding,
    radiograph::Acquisition,
};

/// A data set.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Set {
    /// Pneumonia or not: small, the one to learn.
    Target,
    /// Nodule, effusion, diffuse disease, or clear: larger, to pretrain on.
    Source,
}

impl Set {
    pub(crate) fn usual_size(self) -> usize {
        match self {
            Self::Target => 1150,
            Self::Source => 8000,
        }
    }

    pub(crate) fn classes(self) -> impl Iterator<Item = Class> {
        self.mix().iter().map(|&(class, _)| class)
    }

    /// The share of patients in each class.
    fn mix(self) -> &'static [(Class, f64)] {
        match self {
            Self::Target => &[(Class::Normal, 0.53), (Class::Pneumonia, 0.47)],
            Self::Source => &[
                (Class::Clear, 0.25),
                (Class::Nodule, 0.25),
                (Class::Effusion, 0.25),
                (Class::Diffuse, 0.25),
            ],
        }
    }

    /// Part of the key to the draws; also keeps patient numbers of the two sets apart.
    fn first_patient(self) -> u64 {
        match self {
            Self::Target => 1,
            Self::Source => 5001,
        }
    }
}

/// What a patient's pictures are filed under.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Class {
    Normal,
    Pneumonia,
    Clear,
    Nodule,
    Effusion,
    Diffuse,
}

impl Class {
    pub(crate) fn folder(self) -> &'static str {
        match self {
            Self::Normal => "NORMAL",
            Self::Pneumonia => "PNEUMONIA",
            Self::Clear => "CLEAR",
            Self::Nodule => "NODULE",
            Self::Effusion => "EFFUSION",
            Self::Diffuse => "DIFFUSE",
        }
    }

    fn finding(self, draws: &mut Draws, lungs: &Lungs) -> Finding {
        match self {
            Self::Normal | Self::Clear => Finding::Nothing,
            Self::Pneumonia => Finding::pneumonia(draws, lungs),
            Self::Nodule => Finding::nodule(draws, lungs),
            Self::Effusion => Finding::effusion(draws, lungs),
            Self::Diffuse => Finding::diffuse(draws),
        }
    }
}

/// One picture of one patient.
#[derive(Debug)]
pub(crate) struct Exam {
    pub(crate) patient: u64,
    /// Counts the patient's pictures from 1.
    pub(crate) number: usize,
    pub(crate) class: Class,
    pub(crate) picture: GrayImage,
}

/// Endless exams, patient by patient.
#[derive(Debug)]
pub(crate) struct Cohort {
    set: Set,
    seed: u64,
    next_patient: u64,
    waiting: VecDeque<Exam>,
}

impl Cohort {
    pub(crate) fn new(set: Set, seed: u64) -> Self {
        Self { set, seed, next_patient: set.first_patient(), waiting: VecDeque::new() }
    }

    /// Everything drawn for one patient, in an order that must not change: it is part of
    /// what a seed means.
    fn examine(&self, patient: u64) -> VecDeque<Exam> {
        let mut draws = Draws::of_patient(self.seed, self.set.first_patient(), patient);
        let class = draws.weighted(self.set.mix());
        let pictures = draws.weighted(&[(1, 0.2), (2, 0.3), (3, 0.3), (4, 0.2)]);
        let anatomy = Anatomy::draw(&mut draws);
        let exposure = draws.within(-1.0..1.0);
        let finding = class.finding(&mut draws, anatomy.lungs());
        (1..=pictures)
            .map(|number| {
                let acquisition = Acquisition::draw(&mut draws, exposure);
                let picture = acquisition.take(&mut draws, &anatomy, &finding);
                Exam { patient, number, class, picture }
            })
            .collect()
    }
}

impl Iterator for Cohort {
    type Item = Exam;

    fn next(&mut self) -> Option<Exam> {
        if self.waiting.is_empty() {
            self.waiting = self.examine(self.next_patient);
            self.next_patient += 1;
        }
        self.waiting.pop_front()
    }
}
