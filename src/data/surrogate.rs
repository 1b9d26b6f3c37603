//! Tasks that images set by themselves: which way up they are, how their tiles were shuffled, what
//! they were before noise was added. Made of images alone, so that no label can play a part.

mod permutations;
mod views;

use std::sync::Arc;

use crate::base::language::{Above0, Count, choice, keys};
use crate::base::{Digest, Hasher, Seed, Target};

use super::dataset::{Dataset, Item, ReadError, Source};
use super::pixels::Pixels;
use permutations::far_apart;
use views::{averaged, noisy, rotated, shuffled};

/// Images without labels: all that a surrogate task is made of.
pub trait Images: Send + Sync {
    /// How many there are.
    fn count(&self) -> usize;

    /// What an image is called.
    fn id(&self, index: usize) -> &str;

    /// Whatever it shares with others (a person, say).
    fn group(&self, index: usize) -> Option<&str>;

    /// Its pixels, all images of one size.
    fn pixels(&self, index: usize) -> Result<Pixels, ReadError>;

    /// The digest of its content.
    fn digest(&self, index: usize) -> Result<Digest, ReadError>;
}

choice! {
    /// What a network is trained to tell.
    pub enum Objective {
        /// The labels of the data set.
        "supervised" => Supervised,
        /// By how many quarter turns an image was rotated (Gidaris et al. 2018): each image is shown
        /// in all four ways. Needs square images; labels are not read.
        "rotation" => Rotation,
        /// In which order the tiles of an image were put together again (after Noroozi & Favaro
        /// 2016): one of several permutations that lie far apart. Labels are not read.
        "jigsaw" => Jigsaw(Jigsaw),
        /// What a small version of an image looked like before noise was added to the image:
        /// squared error of a linear decoder. Labels are not read; images are, to know what they
        /// look like.
        "denoise" => Denoise(Denoise),
    }
}

keys! {
    /// Shuffled tiles.
    pub struct Jigsaw {
        /// Tiles along each side.
        grid: Count = Count(2),
        /// How many permutations are told apart: chosen one after the other, each as far as can be
        /// from those before, by the number of tiles that lie elsewhere.
        permutations: Count = Count(12),
        /// How often each image is shown, each time in another order.
        views: Count = Count(4),
    }
}

keys! {
    /// Added noise.
    pub struct Denoise {
        /// Standard deviation of the noise, in standard deviations of the image's own values.
        noise: Above0 = Above0::ONE,
        /// Rows and columns of the small version.
        size: Count = Count(8),
        /// How often each image is shown, each time with other noise.
        views: Count = Count(4),
    }
}

/// A permutation of nine tiles can still be listed; one of sixteen cannot.
const MOST_TILES: usize = 9;

impl Jigsaw {
    /// Why images of this height and width cannot be put together so, and the way out.
    fn misfit(&self, height: usize, width: usize) -> Option<(String, String)> {
        let (grid, permutations, views) = (self.grid.0, self.permutations.0, self.views.0);
        let tiles = grid * grid;
        let orders: usize = (1..=tiles.min(MOST_TILES)).product();
        let told = |message: String, help: String| Some((message, help));
        if grid < 2 || tiles > MOST_TILES {
            let message = format!("{grid}×{grid} tiles: 2×2 and 3×3 can be shuffled");
            return told(message, "write `grid: 2` or `grid: 3`".to_owned());
        }
        if !height.is_multiple_of(grid) || !width.is_multiple_of(grid) {
            let message = format!("{height}×{width} pixels are no {grid}×{grid} tiles of one size");
            let help = format!("choose a `size` of the input that is a multiple of {grid}");
            return told(message, format!("{help}, or another `grid`"));
        }
        if permutations < 2 || permutations > orders {
            let message = format!("{tiles} tiles have 2 to {orders} permutations to tell apart");
            return told(message, format!("write `permutations: {}`", orders.min(12)));
        }
        if views > permutations {
            let message = format!(
                "{views} views of an image cannot all differ in {permutations} permutations"
            );
            return told(message, format!("write `views: {permutations}` or less"));
        }
        None
    }
}

impl Objective {
    /// What it is called beside the data set; nothing where labels are told.
    pub fn told(&self) -> Option<String> {
        match self {
            Self::Supervised => None,
            Self::Rotation => Some("rotation".to_owned()),
            Self::Jigsaw(Jigsaw { grid, permutations, views }) => Some(format!(
                "jigsaw of {0}×{0} tiles, {1} permutations, {2} views",
                grid.0, permutations.0, views.0
            )),
            Self::Denoise(Denoise { noise, size, views }) => {
                Some(format!("denoise {} to {2}×{2}, {1} views", noise.get(), views.0, size.0))
            }
        }
    }

    /// How often each image is shown.
    pub fn views(&self) -> usize {
        match self {
            Self::Supervised => 1,
            Self::Rotation => 4,
            Self::Jigsaw(jigsaw) => jigsaw.views.0,
            Self::Denoise(denoise) => denoise.views.0,
        }
    }

    /// Why images of this height and width have no such task, and the way out, if they have none.
    pub fn misfit(&self, height: usize, width: usize) -> Option<(String, String)> {
        match self {
            Self::Supervised => None,
            Self::Rotation => (height != width).then(|| {
                let turned = "show by their sides that they were turned";
                let message = format!("images of {height}×{width} pixels {turned}");
                (message, "choose a square `size` of the input, or another objective".to_owned())
            }),
            Self::Jigsaw(jigsaw) => jigsaw.misfit(height, width),
            Self::Denoise(Denoise { size, .. }) => (size.0 > height.min(width)).then(|| {
                let message = format!("{height}×{width} pixels have no version of {0}×{0}", size.0);
                (message, format!("write `size: {}` or less", height.min(width)))
            }),
        }
    }

    /// The task as a data set of its own: [`Objective::views`] items for each image, one after the
    /// other. `stamp` says how the images came to their size. `misfit` must have had no objection.
    pub fn of(&self, images: Arc<dyn Images>, stamp: &str) -> Result<Dataset, ReadError> {
        let task = Task::new(self);
        let names = task.names(images.as_ref())?;
        let views = self.views();
        let mut items = Vec::with_capacity(images.count() * views);
        for image in 0..images.count() {
            let (label, values) = match &task {
                Task::Denoise { size, .. } => (0, averaged(&images.pixels(image)?, *size)),
                _ => (0, vec![]),
            };
            let group = images.group(image).unwrap_or(images.id(image)).to_owned();
            for view in 0..views {
                let label = task.label(images.id(image), view).unwrap_or(label);
                items.push(Item {
                    id: format!("{}#{view}", images.id(image)),
                    label,
                    values: values.iter().map(|value| Some(f64::from(*value))).collect(),
                    group: Some(group.clone()),
                    part: None,
                    row: image * views + view,
                    cells: vec![],
                });
            }
        }
        let target = match task {
            Task::Denoise { .. } => Target::Values,
            _ => Target::Classes,
        };
        let told = self.told().unwrap_or_default();
        let source = Shown { images, task, views, stamp: format!("{told}; {stamp}") };
        Ok(Dataset::new(names, items, Box::new(source)).with_target(target))
    }
}

/// What is done to images.
enum Task {
    Rotation,
    Jigsaw { grid: usize, permutations: Vec<Vec<usize>> },
    Denoise { noise: f64, size: usize },
}

/// Choices of a task are the same for all repetitions, so that one task is learnt.
const SEED: Seed = Seed(0);

impl Task {
    fn new(objective: &Objective) -> Self {
        match objective {
            Objective::Supervised | Objective::Rotation => Self::Rotation,
            Objective::Jigsaw(Jigsaw { grid, permutations, .. }) => Self::Jigsaw {
                grid: grid.0,
                permutations: far_apart(grid.0 * grid.0, permutations.0, SEED),
            },
            Objective::Denoise(Denoise { noise, size, .. }) => {
                Self::Denoise { noise: noise.get(), size: size.0 }
            }
        }
    }

    /// Names of what is told apart, or of the numbers that are told.
    fn names(&self, images: &dyn Images) -> Result<Vec<String>, ReadError> {
        Ok(match self {
            Self::Rotation => ["0°", "90°", "180°", "270°"].map(str::to_owned).to_vec(),
            Self::Jigsaw { permutations, .. } => {
                let digits = |order: &Vec<usize>| order.iter().map(ToString::to_string).collect();
                permutations.iter().map(digits).collect()
            }
            Self::Denoise { size, .. } => {
                let channels = match images.count() {
                    0 => 1,
                    _ => images.pixels(0)?.channels,
                };
                let cell = |at: usize| {
                    let (row, rest) = (at / (size * channels), at % (size * channels));
                    format!("row {row} column {} channel {}", rest / channels, rest % channels)
                };
                (0..size * size * channels).map(cell).collect()
            }
        })
    }

    /// What is right about a view; nothing where numbers are.
    fn label(&self, id: &str, view: usize) -> Option<usize> {
        match self {
            Self::Rotation => Some(view),
            // Views follow each other from a place that is drawn, so that no two are alike.
            Self::Jigsaw { permutations, .. } => {
                let first = SEED.stream("jigsaw", id).below(permutations.len());
                Some((first + view) % permutations.len())
            }
            Self::Denoise { .. } => None,
        }
    }

    fn shown(&self, pixels: Pixels, id: &str, view: usize) -> Pixels {
        match self {
            Self::Rotation => rotated(&pixels, view),
            Self::Jigsaw { grid, permutations } => {
                let label = self.label(id, view).unwrap_or_default();
                shuffled(&pixels, *grid, &permutations[label])
            }
            Self::Denoise { noise, .. } => {
                noisy(pixels, *noise, &mut SEED.stream("denoise", &format!("{id}#{view}")))
            }
        }
    }
}

/// Images as the task shows them.
struct Shown {
    images: Arc<dyn Images>,
    task: Task,
    views: usize,
    stamp: String,
}

impl Source for Shown {
    fn pixels(&self, row: usize) -> Result<Pixels, ReadError> {
        let (image, view) = (row / self.views, row % self.views);
        Ok(self.task.shown(self.images.pixels(image)?, self.images.id(image), view))
    }

    fn digest(&self, row: usize) -> Result<Digest, ReadError> {
        let mut hasher = Hasher::default();
        hasher.text(&self.stamp);
        hasher.update(self.images.digest(row / self.views)?.bytes());
        hasher.update(&(row % self.views).to_le_bytes());
        Ok(hasher.finish())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::language::defaults;
    use crate::data::Samples;

    /// Three grey images of 4×4 pixels; the second shares its group.
    struct Three;

    impl Images for Three {
        fn count(&self) -> usize {
            3
        }

        fn id(&self, index: usize) -> &str {
            ["a", "b", "c"][index]
        }

        fn group(&self, index: usize) -> Option<&str> {
            (index == 1).then_some("person")
        }

        fn pixels(&self, index: usize) -> Result<Pixels, ReadError> {
            let samples = Samples::Bytes((0..16).map(|at| at + 20 * index as u8).collect());
            Ok(Pixels { height: 4, width: 4, channels: 1, samples })
        }

        fn digest(&self, index: usize) -> Result<Digest, ReadError> {
            Ok(Digest::of(&[index as u8]))
        }
    }

    #[test]
    fn every_image_is_shown_in_four_rotations_of_one_group() {
        let dataset = Objective::Rotation.of(Arc::new(Three), "").unwrap();
        assert_eq!(dataset.classes(), ["0°", "90°", "180°", "270°"]);
        assert_eq!(dataset.labels(), [0, 1, 2, 3, 0, 1, 2, 3, 0, 1, 2, 3]);
        assert_eq!(dataset.groups(), [0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2]);
        assert_eq!(dataset.items()[5].id, "b#1");
        assert_eq!(dataset.pixels(8).unwrap(), Three.pixels(2).unwrap());
        assert_ne!(dataset.pixels(9).unwrap(), Three.pixels(2).unwrap());
    }

    #[test]
    fn views_of_a_jigsaw_are_all_different_and_named_by_their_order() {
        let dataset = Objective::Jigsaw(defaults()).of(Arc::new(Three), "").unwrap();
        assert_eq!(dataset.classes().len(), 12);
        for image in 0..3 {
            let labels: std::collections::BTreeSet<usize> =
                dataset.labels()[4 * image..4 * image + 4].iter().copied().collect();
            assert_eq!(labels.len(), 4);
        }
        // The name tells which tile lies where: its first digit is the tile at the upper left.
        let label = dataset.labels()[0];
        let first: usize = dataset.classes()[label][..1].parse().unwrap();
        let corner = [0, 2, 8, 10][first];
        let Samples::Bytes(values) = dataset.pixels(0).unwrap().samples else { panic!() };
        assert_eq!(values[0], corner);
    }

    #[test]
    fn what_is_to_be_told_of_a_noisy_image_is_the_clean_one_made_small() {
        let denoise = Denoise { size: Count(2), ..defaults() };
        let dataset = Objective::Denoise(denoise).of(Arc::new(Three), "").unwrap();
        assert_eq!(dataset.target(), Target::Values);
        assert_eq!(dataset.names()[3], "row 1 column 1 channel 0");
        let values: Vec<f64> = dataset.items()[0].values.iter().flatten().copied().collect();
        assert_eq!(values, [2.5, 4.5, 10.5, 12.5]);
        assert_ne!(dataset.pixels(0).unwrap(), dataset.pixels(1).unwrap());
        assert_eq!(dataset.pixels(1).unwrap(), dataset.pixels(1).unwrap());
    }

    #[test]
    fn tasks_that_images_do_not_have_are_told() {
        let jigsaw = |grid, permutations| {
            let (grid, permutations) = (Count(grid), Count(permutations));
            Objective::Jigsaw(Jigsaw { grid, permutations, ..defaults() })
        };
        assert_eq!(Objective::Rotation.misfit(8, 8), None);
        assert!(Objective::Rotation.misfit(8, 9).is_some());
        assert_eq!(jigsaw(2, 24).misfit(8, 8), None);
        for (wrong, height) in [
            (jigsaw(1, 2), 8),
            (jigsaw(4, 4), 8),
            (jigsaw(3, 9), 8),
            (jigsaw(2, 25), 8),
            (jigsaw(2, 3), 8),
        ] {
            assert!(wrong.misfit(height, height).is_some(), "{wrong:?}");
        }
        assert!(Objective::Denoise(defaults()).misfit(7, 9).is_some());
    }

    #[test]
    fn another_task_or_another_size_is_another_content() {
        let print = |objective: Objective, stamp: &str| {
            objective.of(Arc::new(Three), stamp).unwrap().fingerprint().unwrap()
        };
        let jigsaw = || Objective::Jigsaw(defaults());
        assert_eq!(print(jigsaw(), "4"), print(jigsaw(), "4"));
        assert_ne!(print(jigsaw(), "4"), print(jigsaw(), "8"));
        assert_ne!(print(Objective::Rotation, "4"), print(jigsaw(), "4"));
    }
}
