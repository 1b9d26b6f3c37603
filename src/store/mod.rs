//! Content-addressed results that survive a crash: blobs by digest, records by key.
//!
//! Layout below the root: `v1/blobs`, `v1/records`, `v1/locks`, `v1/tmp`, `v1/quarantine`, and
//! `v1/unfinished` for work that a later run can go on with, which is never a result; and
//! `v1/journals` for what runs have in common. Blobs are written first, the record last; a record
//! that exists implies its blobs. Knows nothing of what the bytes mean.

mod blob;
mod draft;
mod journal;
mod lock;
mod looks;
mod record;
mod run;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::time::{Duration, SystemTime};
use std::{fs, io};

use thiserror::Error;

use crate::base::Digest;

pub use blob::{BlobWriter, Mapped};
pub use journal::{Journal, Line};
pub use lock::KeyLock;
pub use looks::{Look, LookedArm, Looks};
pub use record::{ArtifactRef, Cost, Energy, Key, Laps, Record, Spent};
pub use run::{
    MOST_LEAKS, RUN_FILE, RUN_FORMAT, RunAdvised, RunEnergy, RunEstimated, RunLeak, RunLeaks,
    RunModel, RunNode, RunOutcome, RunRecord, RunSetting, RunSkipped, RunStage, RunTest,
};

/// What can go wrong in the store.
#[derive(Debug, Error)]
pub enum StoreError {
    /// The file system refused.
    #[error("the store at {} refused: {cause}", path.display())]
    Io {
        /// What was touched.
        path: PathBuf,
        /// Why it refused; part of the message, and so no source of its own.
        cause: io::Error,
    },
    /// A blob is missing, cut off or changed; it has been put aside.
    #[error("blob {0} is damaged and has been put aside")]
    Damaged(Digest),
    /// The work was interrupted while waiting.
    #[error("interrupted")]
    Interrupted,
}

/// The store.
#[derive(Debug)]
pub struct Store {
    root: PathBuf,
    verified: Mutex<BTreeSet<Digest>>,
}

/// Blobs up to this length are checked against their digest whenever they are looked up; larger
/// ones once a run, when they are first read.
const SMALL: u64 = 1 << 20;

/// Temporary files older than this were left by a crash.
const STALE: Duration = Duration::from_hours(24);

/// Unfinished work that nobody has gone on with for so long will not be missed.
const FORGOTTEN: Duration = Duration::from_hours(24 * 30);

impl Store {
    /// Opens a store, making its folders.
    pub fn open(root: &Path) -> Result<Self, StoreError> {
        let root = root.join("v1");
        for folder in ["blobs", "records", "locks", "tmp", "quarantine", "unfinished"] {
            let path = root.join(folder);
            fs::create_dir_all(&path).map_err(|cause| StoreError::Io { path, cause })?;
        }
        let store = Self { root, verified: Mutex::default() };
        store.sweep();
        Ok(store)
    }

    /// Removes what a crash left; failure to do so harms nobody.
    fn sweep(&self) {
        for (folder, stale) in [("tmp", STALE), ("unfinished", FORGOTTEN)] {
            let Ok(entries) = fs::read_dir(self.root.join(folder)) else { continue };
            let now = SystemTime::now();
            for entry in entries.filter_map(Result::ok) {
                let written = entry.metadata().and_then(|meta| meta.modified());
                let age = written.ok().and_then(|written| now.duration_since(written).ok());
                if age.is_some_and(|age| age > stale) {
                    let _ = fs::remove_file(entry.path());
                }
            }
        }
    }

    fn blob_path(&self, digest: Digest) -> PathBuf {
        sharded(&self.root.join("blobs"), &digest.to_string())
    }

    fn record_path(&self, key: Key) -> PathBuf {
        sharded(&self.root.join("records"), &format!("{key}.json"))
    }

    fn lock_path(&self, key: Key) -> PathBuf {
        self.root.join("locks").join(format!("{key}.lock"))
    }

    /// What a key left, if it is there and whole. A damaged entry is put aside and told as a miss;
    /// `damaged` hears of it.
    pub fn lookup(&self, key: Key, damaged: &mut dyn FnMut(String)) -> Option<Record> {
        let path = self.record_path(key);
        let text = fs::read(&path).ok()?;
        let record: Record = match serde_json::from_slice(&text) {
            Ok(record) => record,
            Err(_) => {
                damaged(format!("the record of {} was unreadable", key.short()));
                self.put_aside(&path);
                return None;
            }
        };
        for artifact in record.outputs.values() {
            if !self.is_whole(artifact) {
                damaged(format!("blob {} was damaged or missing", artifact.digest.short()));
                self.put_aside(&self.blob_path(artifact.digest));
                self.put_aside(&path);
                return None;
            }
        }
        Some(record)
    }

    /// What a key left, if it is there and whole; touches nothing, whatever it finds.
    pub fn peek(&self, key: Key) -> Option<Record> {
        let text = fs::read(self.record_path(key)).ok()?;
        let record: Record = serde_json::from_slice(&text).ok()?;
        record.outputs.values().all(|artifact| self.is_whole(artifact)).then_some(record)
    }

    /// Every record that can be read, in no order; whether its blobs are whole is not looked at.
    pub fn records(&self) -> Vec<Record> {
        let files = |folder: &Path| -> Vec<PathBuf> {
            let entries = fs::read_dir(folder).into_iter().flatten();
            entries.filter_map(Result::ok).map(|entry| entry.path()).collect()
        };
        let shards = files(&self.root.join("records"));
        let paths = shards.iter().flat_map(|shard| files(shard));
        paths.filter_map(|path| serde_json::from_slice(&fs::read(path).ok()?).ok()).collect()
    }

    /// Whether a blob is there with its length; small ones are compared with their digest too.
    fn is_whole(&self, artifact: &ArtifactRef) -> bool {
        let length = fs::metadata(self.blob_path(artifact.digest)).map(|meta| meta.len());
        match length {
            Ok(length) if length == artifact.length => length > SMALL || self.has_digest(artifact),
            _ => false,
        }
    }

    /// Whether a blob has its digest; computed once a run.
    fn has_digest(&self, artifact: &ArtifactRef) -> bool {
        if self.seen().contains(&artifact.digest) {
            return true;
        }
        let digest = Digest::of_file(&self.blob_path(artifact.digest));
        let has = digest.is_ok_and(|digest| digest == artifact.digest);
        if has {
            self.seen().insert(artifact.digest);
        }
        has
    }

    /// Compares a blob with its digest, once a run. A damaged one is put aside.
    pub fn verify(&self, artifact: &ArtifactRef) -> Result<(), StoreError> {
        if self.has_digest(artifact) {
            return Ok(());
        }
        self.put_aside(&self.blob_path(artifact.digest));
        Err(StoreError::Damaged(artifact.digest))
    }

    fn seen(&self) -> std::sync::MutexGuard<'_, BTreeSet<Digest>> {
        self.verified.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    /// Moves a damaged file out of the way, where it can be looked at.
    fn put_aside(&self, path: &Path) {
        let name = path.file_name().unwrap_or_default();
        let _ = fs::rename(path, self.root.join("quarantine").join(name));
    }
}

/// `ab/abcdef…`: no folder grows too large.
fn sharded(folder: &Path, name: &str) -> PathBuf {
    folder.join(name.get(..2).unwrap_or("xx")).join(name)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::sync::atomic::AtomicBool;

    use super::*;

    struct Room {
        _folder: tempfile::TempDir,
        store: Store,
    }

    fn room() -> Room {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path()).unwrap();
        Room { _folder: folder, store }
    }

    fn saved(store: &Store, bytes: &[u8]) -> (Key, ArtifactRef) {
        let artifact = store.put("text", bytes).unwrap();
        let key = Key::of(&"fields");
        let outputs = BTreeMap::from([("out".to_owned(), artifact.clone())]);
        let record = Record { outputs, ..Record::default() };
        store.lock(key, &AtomicBool::new(false)).unwrap().save(&record).unwrap();
        (key, artifact)
    }

    fn lookup(store: &Store, key: Key) -> (Option<Record>, Vec<String>) {
        let mut told = Vec::new();
        let found = store.lookup(key, &mut |damage| told.push(damage));
        (found, told)
    }

    #[test]
    fn what_was_saved_is_found_by_its_key() {
        let room = room();
        let (key, artifact) = saved(&room.store, b"hello");
        let (found, told) = lookup(&room.store, key);
        assert_eq!(found.unwrap().outputs["out"], artifact);
        assert!(told.is_empty());
        assert_eq!(&*room.store.map(&artifact).unwrap(), b"hello");
    }

    #[test]
    fn a_short_blob_is_a_miss_and_is_told() {
        let room = room();
        let (key, artifact) = saved(&room.store, b"hello");
        let file = fs::OpenOptions::new().write(true).open(room.store.blob_path(artifact.digest));
        file.unwrap().set_len(2).unwrap();
        let (found, told) = lookup(&room.store, key);
        assert!(found.is_none());
        assert_eq!(told.len(), 1);
        assert!(lookup(&room.store, key).0.is_none());
    }

    #[test]
    fn a_changed_byte_is_a_miss() {
        let room = room();
        let (key, artifact) = saved(&room.store, b"hello");
        fs::remove_file(room.store.blob_path(artifact.digest)).unwrap();
        crate::base::atomic::write(&room.store.blob_path(artifact.digest), b"hellO").unwrap();
        // A new run: nothing is verified yet.
        let again = Store::open(room.store.root.parent().unwrap()).unwrap();
        assert!(lookup(&again, key).0.is_none());
    }

    #[test]
    fn a_torn_record_is_a_miss() {
        let room = room();
        let (key, _) = saved(&room.store, b"hello");
        crate::base::atomic::write(&room.store.record_path(key), b"{\"outputs\": {").unwrap();
        let (found, told) = lookup(&room.store, key);
        assert!(found.is_none());
        assert_eq!(told.len(), 1);
    }

    #[test]
    fn the_second_to_lock_a_key_waits_for_the_first() {
        let room = room();
        let key = Key::of(&"one");
        let held = room.store.lock(key, &AtomicBool::new(false)).unwrap();
        let stop = AtomicBool::new(true);
        let refused = room.store.lock(key, &stop).err().unwrap();
        assert!(matches!(refused, StoreError::Interrupted));
        drop(held);
        assert!(room.store.lock(key, &stop).is_ok());
    }
}
