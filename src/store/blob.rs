//! Bytes by digest.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::ops::Deref;
use std::path::{Path, PathBuf};

use memmap2::Mmap;
use tempfile::NamedTempFile;

use crate::base::{Hasher, atomic};

use super::{ArtifactRef, Store, StoreError};

/// A blob being written; nothing is visible until it is finished.
pub struct BlobWriter<'a> {
    store: &'a Store,
    file: BufWriter<NamedTempFile>,
    hasher: Hasher,
    length: u64,
}

impl Write for BlobWriter<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.file.write(bytes)?;
        self.hasher.update(&bytes[..written]);
        self.length += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

impl BlobWriter<'_> {
    /// Makes the blob visible under its digest.
    pub fn finish(self, kind: &str) -> Result<ArtifactRef, StoreError> {
        let digest = self.hasher.finish();
        let path = self.store.blob_path(digest);
        let refused = |cause: io::Error| StoreError::Io { path: path.clone(), cause };
        let file = self.file.into_inner().map_err(|error| refused(error.into_error()))?;
        if let Some(folder) = path.parent() {
            std::fs::create_dir_all(folder).map_err(refused)?;
        }
        atomic::commit(file, &path).map_err(refused)?;
        protect(&path).map_err(refused)?;
        self.store.seen().insert(digest);
        Ok(ArtifactRef { kind: kind.to_owned(), digest, length: self.length })
    }
}

/// A blob in memory, read from disk as it is used.
#[derive(Debug)]
pub struct Mapped(Option<Mmap>);

impl Deref for Mapped {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        self.0.as_deref().unwrap_or_default()
    }
}

impl Store {
    /// Begins a blob.
    pub fn writer(&self) -> Result<BlobWriter<'_>, StoreError> {
        let folder = self.root.join("tmp");
        let file = NamedTempFile::new_in(&folder)
            .map_err(|cause| StoreError::Io { path: folder.clone(), cause })?;
        let file = BufWriter::with_capacity(1 << 18, file);
        Ok(BlobWriter { store: self, file, hasher: Hasher::default(), length: 0 })
    }

    /// Stores bytes.
    pub fn put(&self, kind: &str, bytes: &[u8]) -> Result<ArtifactRef, StoreError> {
        let mut writer = self.writer()?;
        let path = self.root.join("tmp");
        writer.write_all(bytes).map_err(|cause| StoreError::Io { path, cause })?;
        writer.finish(kind)
    }

    /// Puts a blob under a name outside the store: linked where the file system allows it, else
    /// copied. Whatever had that name is replaced.
    pub fn export(&self, artifact: &ArtifactRef, to: &Path) -> Result<(), StoreError> {
        let refused = |cause| StoreError::Io { path: to.to_owned(), cause };
        if let Some(folder) = to.parent() {
            std::fs::create_dir_all(folder).map_err(refused)?;
        }
        let _ = std::fs::remove_file(to);
        let from = self.blob_path(artifact.digest);
        if std::fs::hard_link(&from, to).is_ok() {
            return Ok(());
        }
        std::fs::copy(&from, to).map(drop).map_err(refused)
    }

    /// The bytes of a blob, after it was compared with its digest.
    pub fn map(&self, artifact: &ArtifactRef) -> Result<Mapped, StoreError> {
        self.verify(artifact)?;
        let path: PathBuf = self.blob_path(artifact.digest);
        let refused = |cause| StoreError::Io { path: path.clone(), cause };
        let file = File::open(&path).map_err(refused)?;
        if artifact.length == 0 {
            return Ok(Mapped(None));
        }
        map_file(&file).map(|map| Mapped(Some(map))).map_err(refused)
    }
}

/// Nobody writes to a blob, not even through a link from a run's folder.
fn protect(path: &Path) -> io::Result<()> {
    let mut permissions = std::fs::metadata(path)?.permissions();
    permissions.set_readonly(true);
    std::fs::set_permissions(path, permissions)
}

#[expect(unsafe_code, reason = "mapping a file is unsafe because others could change it")]
fn map_file(file: &File) -> io::Result<Mmap> {
    // SAFETY: blobs are never written in place; they appear by renaming and their content is
    // their name. Whoever changes one by hand breaks the store, which verification tells.
    unsafe { Mmap::map(file) }
}
