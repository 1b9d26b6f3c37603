//! The right to produce a key.

use std::fs::{File, TryLockError};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use crate::base::atomic;

use super::{Key, Record, Store, StoreError};

/// Held while a key is being produced; only its holder can save the record. Let go on drop, and
/// by the system if the process dies.
#[derive(Debug)]
pub struct KeyLock<'a> {
    store: &'a Store,
    key: Key,
    _file: File,
}

/// How often a waiting process looks again.
const PAUSE: Duration = Duration::from_millis(50);

impl Store {
    /// Waits for the right to produce a key. Whoever had to wait should look the key up again.
    pub fn lock(&self, key: Key, stop: &AtomicBool) -> Result<KeyLock<'_>, StoreError> {
        let path = self.lock_path(key);
        let refused = |cause| StoreError::Io { path: path.clone(), cause };
        let file = File::options().create(true).append(true).open(&path).map_err(refused)?;
        loop {
            match file.try_lock() {
                Ok(()) => return Ok(KeyLock { store: self, key, _file: file }),
                Err(TryLockError::Error(cause)) => return Err(refused(cause)),
                Err(TryLockError::WouldBlock) if stop.load(Ordering::Relaxed) => {
                    return Err(StoreError::Interrupted);
                }
                Err(TryLockError::WouldBlock) => std::thread::sleep(PAUSE),
            }
        }
    }
}

impl KeyLock<'_> {
    /// Makes the work's result known. Its blobs must be in the store already.
    pub fn save(self, record: &Record) -> Result<(), StoreError> {
        let path = self.store.record_path(self.key);
        let text = serde_json::to_vec_pretty(record)
            .map_err(|error| StoreError::Io { path: path.clone(), cause: error.into() })?;
        atomic::write(&path, &text).map_err(|cause| StoreError::Io { path, cause })?;
        self.store.drop_draft(self.key);
        Ok(())
    }
}
