//! The git revision of the folder that a run is started in, read from git's own files.

use std::fs;
use std::path::{Path, PathBuf};

/// The commit that is checked out here or in the nearest folder above; nothing outside a repository.
pub(super) fn revision(here: &Path) -> Option<String> {
    let git = here.ancestors().find_map(|folder| git_folder(&folder.join(".git")))?;
    let head = fs::read_to_string(git.join("HEAD")).ok()?;
    let head = head.trim();
    let Some(name) = head.strip_prefix("ref: ") else { return Some(head.to_owned()) };
    // A worktree has a HEAD of its own and shares its branches.
    let common = fs::read_to_string(git.join("commondir"));
    let shared = common.map_or_else(|_| git.clone(), |folder| git.join(folder.trim()));
    let loose = [&git, &shared].into_iter().find_map(|at| fs::read_to_string(at.join(name)).ok());
    loose.map(|text| text.trim().to_owned()).or_else(|| packed(&shared, name))
}

/// `.git` is a folder, or a file that names it.
fn git_folder(git: &Path) -> Option<PathBuf> {
    if git.is_dir() {
        return Some(git.to_owned());
    }
    let text = fs::read_to_string(git).ok()?;
    let named = text.trim().strip_prefix("gitdir: ")?;
    Some(git.parent()?.join(named))
}

fn packed(git: &Path, name: &str) -> Option<String> {
    let text = fs::read_to_string(git.join("packed-refs")).ok()?;
    let mut lines = text.lines().filter_map(|line| line.split_once(' '));
    lines.find(|(_, packed)| *packed == name).map(|(commit, _)| commit.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn repository(files: &[(&str, &str)]) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        for (name, text) in files {
            let path = folder.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            crate::base::atomic::write(&path, text.as_bytes()).unwrap();
        }
        folder
    }

    fn revision_in(files: &[(&str, &str)], folder: &str) -> Option<String> {
        let repository = repository(files);
        let here = repository.path().join(folder);
        fs::create_dir_all(&here).unwrap();
        revision(&here)
    }

    #[test]
    fn a_branch_is_followed_from_a_folder_below() {
        let files = [(".git/HEAD", "ref: refs/heads/main\n"), (".git/refs/heads/main", "1a2b\n")];
        assert_eq!(revision_in(&files, "studies/one").as_deref(), Some("1a2b"));
    }

    #[test]
    fn a_commit_without_a_branch_is_itself() {
        assert_eq!(revision_in(&[(".git/HEAD", "3c4d\n")], "").as_deref(), Some("3c4d"));
    }

    #[test]
    fn a_packed_branch_is_found() {
        let packed = "# pack-refs with: peeled\n5e6f refs/heads/other\n7a8b refs/heads/main\n";
        let files = [(".git/HEAD", "ref: refs/heads/main\n"), (".git/packed-refs", packed)];
        assert_eq!(revision_in(&files, "").as_deref(), Some("7a8b"));
    }

    #[test]
    fn a_worktree_shares_the_branches_of_its_repository() {
        let files = [
            ("tree/.git", "gitdir: ../main/.git/worktrees/tree\n"),
            ("main/.git/worktrees/tree/HEAD", "ref: refs/heads/side\n"),
            ("main/.git/worktrees/tree/commondir", "../..\n"),
            ("main/.git/refs/heads/side", "9c0d\n"),
        ];
        assert_eq!(revision_in(&files, "tree").as_deref(), Some("9c0d"));
    }
}
