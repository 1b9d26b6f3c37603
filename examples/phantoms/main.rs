//! Draws phantom chest radiographs: small grey pictures made from a seed, free of any
//! real patient, with one folder per class.
//!
//! `target` is the small data set the example pipelines learn: pneumonia or not.
//! `source` is a larger, related task on other patients. It is there to pretrain a base
//! model whose transfer ought to help.
//!
//! ```text
//! cargo run --release --example phantoms -- --set target --out data/phantoms
//! ```

mod anatomy;
mod cohort;
mod draws;
mod findings;
mod plane;
mod radiograph;

use std::{
    fs,
    io::{self, Write},
    path::{Path, PathBuf},
};

use anyhow::{Context, Result, ensure};
use clap::Parser;

use crate::cohort::{Cohort, Exam, Set};

/// Draw phantom chest radiographs, one folder per class.
#[derive(Debug, Parser)]
struct Arguments {
    /// Which data set to draw.
    #[arg(long, value_enum)]
    set: Set,
    /// Folder to fill; made if missing, refused unless empty.
    #[arg(long)]
    out: PathBuf,
    /// The same seed draws the same pictures.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// How many pictures to draw [default: 1150 for target, 4000 for source].
    #[arg(long)]
    images: Option<usize>,
}

fn main() -> Result<()> {
    let arguments = Arguments::parse();
    let images = arguments.images.unwrap_or(arguments.set.usual_size());
    claim(&arguments.out)?;
    for class in arguments.set.classes() {
        let folder = arguments.out.join(class.folder());
        fs::create_dir_all(&folder).with_context(|| format!("make {}", folder.display()))?;
    }
    for exam in Cohort::new(arguments.set, arguments.seed).take(images) {
        write(&exam, &arguments.out)?;
    }
    writeln!(io::stdout(), "drew {images} images in {}", arguments.out.display())?;
    Ok(())
}

/// Takes a folder that is missing or empty, so that two sets never mix.
fn claim(folder: &Path) -> Result<()> {
    fs::create_dir_all(folder).with_context(|| format!("make {}", folder.display()))?;
    let mut entries =
        fs::read_dir(folder).with_context(|| format!("look into {}", folder.display()))?;
    ensure!(
        entries.next().is_none(),
        "{} is not empty; give a new folder, or clear it first",
        folder.display()
    );
    Ok(())
}

/// Writes `<folder>/<CLASS>/p<patient>_<number>.png`.
fn write(exam: &Exam, folder: &Path) -> Result<()> {
    let name = format!("p{:04}_{:02}.png", exam.patient, exam.number);
    let path = folder.join(exam.class.folder()).join(name);
    let png = radiograph::png(&exam.picture).context("encode a picture")?;
    write_whole(&path, &png).with_context(|| format!("write {}", path.display()))
}

/// Fails rather than replace a file.
fn write_whole(path: &Path, bytes: &[u8]) -> io::Result<()> {
    fs::File::create_new(path)?.write_all(bytes)
}
