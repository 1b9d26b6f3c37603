//! Work in progress: bytes that the holder of a key's lock leaves for whoever takes the work up after
//! a crash. Never part of a result; gone when the work is done.

use std::path::PathBuf;
use std::{fs, io};

use crate::base::{Digest, atomic};

use super::{Key, Store};

impl Store {
    fn draft_path(&self, key: Key) -> PathBuf {
        self.root.join("unfinished").join(key.to_string())
    }

    /// What was left of a key's unfinished work, if it is there and whole. To be asked by the
    /// holder of the key's lock.
    pub fn read_draft(&self, key: Key) -> Option<Vec<u8>> {
        let path = self.draft_path(key);
        let mut bytes = fs::read(&path).ok()?;
        let digest = Digest::of(b"").bytes().len();
        let whole = bytes.len() >= digest && {
            let (said, content) = bytes.split_at(digest);
            Digest::of(content).bytes() == said
        };
        if !whole {
            self.put_aside(&path);
            return None;
        }
        Some(bytes.split_off(digest))
    }

    /// Leaves bytes for whoever takes the work up, instead of those left before. A reader sees
    /// the old ones, the new ones, or none. To be called by the holder of the key's lock.
    pub fn write_draft(&self, key: Key, bytes: &[u8]) -> io::Result<()> {
        let whole = [Digest::of(bytes).bytes().as_slice(), bytes].concat();
        atomic::write(&self.draft_path(key), &whole)
    }

    /// Forgets what was left of unfinished work.
    pub(super) fn drop_draft(&self, key: Key) {
        let _ = fs::remove_file(self.draft_path(key));
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicBool;

    use super::super::Record;
    use super::*;

    #[test]
    fn a_draft_is_read_until_the_work_is_done() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path()).unwrap();
        let key = Key::of(&"work");
        assert_eq!(store.read_draft(key), None);
        store.write_draft(key, b"half").unwrap();
        store.write_draft(key, b"more than half").unwrap();
        assert_eq!(store.read_draft(key).unwrap(), b"more than half");
        assert!(store.peek(key).is_none(), "a draft is no result");
        store.lock(key, &AtomicBool::new(false)).unwrap().save(&Record::default()).unwrap();
        assert_eq!(store.read_draft(key), None);
    }

    #[test]
    fn a_damaged_draft_is_put_aside() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path()).unwrap();
        let key = Key::of(&"work");
        store.write_draft(key, b"half").unwrap();
        let path = store.draft_path(key);
        for damaged in [&fs::read(&path).unwrap()[..35], b"short", b""] {
            atomic::write(&path, damaged).unwrap();
            assert_eq!(store.read_draft(key), None);
            assert!(!path.exists());
        }
    }
}
