//! A folder of images: `[train|val|test/]CLASS/…/image.png`.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use crate::base::language::{FilePath, Pattern, choice, keys};

use super::super::dataset::{Dataset, Item, OpenError, sort_classes};
use super::super::split::{Given, Part};
use super::images::{Images, group};

keys! {
    /// A folder of JPEG and PNG images.
    pub struct ImageFolder {
        /// The folder.
        path: FilePath,
        /// Where the class of an image is found.
        labels: Labels = Labels::ParentDir,
        /// Finds the group (a person, say) in an image's file name: the part named `group`, as in
        /// `(?<group>p\d+)_.*`. Images whose name does not match are an error.
        group: Option<Pattern> = None,
    }
}

choice! {
    /// Where the class of an image is found.
    pub enum Labels {
        /// The name of the folder that holds the image.
        "parent_dir" => ParentDir,
    }
}

impl ImageFolder {
    /// Lists the images; reads none.
    pub fn open(&self, beside: &Path, given: Option<&Given>) -> Result<Dataset, OpenError> {
        let root = self.path.resolve(beside);
        if !root.is_dir() {
            return Err(OpenError::new(format!("there is no folder {}", root.display()))
                .help(FilePath::HELP));
        }
        let by_folder = match given {
            None => false,
            Some(Given::Folders) => true,
            Some(given) => return Err(given.refused("a folder of images", "folders")),
        };
        let files = images_below(&root).map_err(|cause| {
            OpenError::new(format!("the folder {} cannot be listed: {cause}", root.display()))
        })?;
        let mut found = Vec::new();
        for path in files {
            found.push(self.describe(&root, path, by_folder)?);
        }
        if found.is_empty() {
            let message = format!("there is no JPEG or PNG image below {}", root.display());
            return Err(OpenError::new(message).help("images lie in a folder for each class"));
        }
        let classes = sort_classes(found.iter().map(|image| image.class.clone()));
        let (items, paths) = found
            .into_iter()
            .enumerate()
            .map(|(row, image)| {
                let label = classes.iter().position(|class| *class == image.class);
                let label = label.unwrap_or_default();
                let (id, group, part) = (image.id, image.group, image.part);
                (Item { id, label, values: vec![], group, part, row, cells: vec![] }, image.path)
            })
            .unzip();
        Ok(Dataset::new(classes, items, Box::new(Images::new(paths))))
    }

    fn describe(&self, root: &Path, path: PathBuf, by_folder: bool) -> Result<Found, OpenError> {
        let relative = path.strip_prefix(root).unwrap_or(&path);
        let names: Vec<String> =
            relative.iter().map(|name| name.to_string_lossy().into_owned()).collect();
        let id = names.join("/");
        let [folders @ .., file] = &names[..] else {
            return Err(OpenError::new("an image has no name"));
        };
        let Some(class) = folders.last() else {
            return Err(OpenError::new(format!("the image `{id}` lies in no class folder"))
                .help("put each image into a folder named after its class"));
        };
        let part = match folders {
            [first, _, ..] if by_folder => Part::from_word(first),
            _ => None,
        };
        if by_folder && part.is_none() {
            return Err(OpenError::new(format!(
                "`{id}` lies in no folder `train`, `val` or `test`"
            ))
            .help("with `given: folders` images lie as in `train/CLASS/image.png`"));
        }
        let group = self.group.as_ref().map(|pattern| group(pattern, file, &id)).transpose()?;
        Ok(Found { id, class: class.clone(), part, group, path })
    }
}

struct Found {
    id: String,
    class: String,
    part: Option<Part>,
    group: Option<String>,
    path: PathBuf,
}

/// JPEG and PNG files below a folder, in the order of their paths.
pub fn images_below(folder: &Path) -> std::io::Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    list(folder, &mut BTreeSet::new(), &mut files)?;
    files.sort();
    Ok(files)
}

/// Images below a folder; folders that links lead to again are left out.
fn list(
    folder: &Path,
    seen: &mut BTreeSet<PathBuf>,
    files: &mut Vec<PathBuf>,
) -> std::io::Result<()> {
    if !seen.insert(folder.canonicalize()?) {
        return Ok(());
    }
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        let hidden = path.file_name().is_some_and(|name| name.to_string_lossy().starts_with('.'));
        if hidden {
            continue;
        }
        if path.is_dir() {
            list(&path, seen, files)?;
        } else if is_image(&path) {
            files.push(path);
        }
    }
    Ok(())
}

fn is_image(path: &Path) -> bool {
    let extension = path.extension().map(|ending| ending.to_string_lossy().to_lowercase());
    matches!(extension.as_deref(), Some("png" | "jpg" | "jpeg"))
}
