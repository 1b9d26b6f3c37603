//! `predict`: labels and probabilities of images, or numbers, by a model that a run wrote.

use std::io::Write as _;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use tempfile::NamedTempFile;

use crate::base::{Target, atomic, counted};
use crate::console;
use crate::data::images_below;
use crate::stages::{Answer, NoPredictor, Predictor};

use super::Exit;
use super::arguments::Common;
use super::check::start_runtime;

/// Predicts images, as CSV.
pub(super) fn predict(
    model: &Path,
    images: &[PathBuf],
    output: Option<&Path>,
    common: &Common,
) -> anyhow::Result<Exit> {
    let predictor = open(model)?;
    let images = listed(images)?;
    let runtime = start_runtime(common)?;
    let mut table = match output {
        None => Table::Out,
        Some(path) => Table::file(path)?,
    };
    table.line(&header(&predictor))?;
    let counter = console::Counter::new(images.len(), "image", common.quiet, output.is_some());
    let mut unread = 0;
    predictor.answer(runtime, &images, common.cores(), |index, answer| {
        match told(&images[index], answer, predictor.classes()) {
            Ok(cells) => table.line(&cells)?,
            Err(why) => {
                unread += 1;
                counter.say(&format!("error: {why}"));
            }
        }
        counter.step();
        anyhow::Ok(())
    })?;
    drop(counter);
    table.finish()?;
    if unread > 0 {
        let all = counted(images.len(), "image");
        console::err(&format!("{unread} of {all} could not be read"));
        return Ok(Exit::StageFailed);
    }
    Ok(Exit::Good)
}

fn open(path: &Path) -> anyhow::Result<Predictor> {
    let shown = path.display();
    let bytes = std::fs::read(path).with_context(|| format!("read {shown}"))?;
    Predictor::new(bytes).map_err(|error| match error {
        NoPredictor::Unreadable(_) => anyhow::anyhow!("read {shown}: {error}"),
        NoPredictor::Bare { .. } => anyhow::anyhow!(
            "{shown} cannot predict: {error}\n  help: models that `tl-run` trained carry it, as \
             in results/NAME/latest/models; name this one under `models` of a pipeline to train \
             a head for it"
        ),
    })
}

/// Every image that is meant: files as they are named, folders by what lies below them.
fn listed(named: &[PathBuf]) -> anyhow::Result<Vec<PathBuf>> {
    let mut images = Vec::new();
    for path in named {
        if !path.is_dir() {
            images.push(path.clone());
            continue;
        }
        let below = images_below(path).with_context(|| format!("list {}", path.display()))?;
        if below.is_empty() {
            anyhow::bail!("there is no JPEG or PNG image below {}", path.display());
        }
        images.extend(below);
    }
    Ok(images)
}

fn header(predictor: &Predictor) -> Vec<String> {
    let names = predictor.classes().iter();
    let probabilities = |class: &String| format!("p_{class}");
    let file = std::iter::once("file".to_owned());
    match predictor.target() {
        Target::Classes => {
            file.chain(["label".to_owned()]).chain(names.map(probabilities)).collect()
        }
        Target::Labels => file.chain(names.map(probabilities)).collect(),
        Target::Values => file.chain(names.cloned()).collect(),
    }
}

fn told(image: &Path, answer: Answer, classes: &[String]) -> Result<Vec<String>, String> {
    let answer = answer?;
    let mut cells = vec![image.display().to_string()];
    cells.extend(answer.label.map(|label| classes[label].clone()));
    // A loss that gives no probabilities leaves their cells empty.
    match answer.probabilities {
        Some(probabilities) => cells.extend(probabilities.iter().map(ToString::to_string)),
        None => cells.extend(classes.iter().map(|_| String::new())),
    }
    Ok(cells)
}

/// Where lines go: at once to standard output, or into a file that appears whole.
enum Table {
    Out,
    File(Box<csv::Writer<NamedTempFile>>, PathBuf),
}

impl Table {
    fn file(path: &Path) -> anyhow::Result<Self> {
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
        let file = NamedTempFile::new_in(folder.unwrap_or(Path::new(".")));
        let file = file.with_context(|| format!("write {}", path.display()))?;
        Ok(Self::File(Box::new(csv::Writer::from_writer(file)), path.to_owned()))
    }

    fn line(&mut self, cells: &[String]) -> anyhow::Result<()> {
        match self {
            Self::Out => {
                let mut line = csv::Writer::from_writer(vec![]);
                line.write_record(cells)?;
                console::out(String::from_utf8_lossy(&line.into_inner()?).trim_end());
                Ok(())
            }
            Self::File(writer, path) => {
                writer.write_record(cells).with_context(|| format!("write {}", path.display()))
            }
        }
    }

    fn finish(self) -> anyhow::Result<()> {
        let Self::File(writer, path) = self else { return Ok(()) };
        let told = || format!("write {}", path.display());
        let mut file =
            writer.into_inner().map_err(csv::IntoInnerError::into_error).with_context(told)?;
        file.flush().with_context(told)?;
        atomic::commit(file, &path).with_context(told)
    }
}
