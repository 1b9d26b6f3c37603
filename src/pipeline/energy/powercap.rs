//! Energy of processor packages, as Linux's powercap tells it: `ZONE/name`, `ZONE/energy_uj`,
//! `ZONE/max_energy_range_uj`.
//!
//! Packages alone are counted: cores and uncore lie inside them, `psys` holds them, and the same
//! package may be listed by two drivers.

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// Reads a file of a zone.
pub(super) type ReadFile = fn(&Path) -> io::Result<String>;

/// Counters of all packages.
#[derive(Debug)]
pub(super) struct Packages {
    zones: Vec<Zone>,
    read: ReadFile,
}

#[derive(Debug)]
struct Zone {
    energy: PathBuf,
    /// What the counter goes up to before it begins again, in µJ.
    range: u64,
    /// What it was when it was last looked at, in µJ.
    last: u64,
}

impl Packages {
    /// Finds all packages below a folder; or tells why there is nothing to read.
    pub(super) fn open(folder: &Path) -> Result<Self, String> {
        Self::open_with(folder, |path| fs::read_to_string(path))
    }

    /// The same with another way to read files.
    pub(super) fn open_with(folder: &Path, read: ReadFile) -> Result<Self, String> {
        let listed = fs::read_dir(folder).map_err(|error| match error.kind() {
            io::ErrorKind::NotFound => "this system has no energy counters".to_owned(),
            _ => told(&error),
        })?;
        let mut paths: Vec<PathBuf> =
            listed.filter_map(Result::ok).map(|entry| entry.path()).collect();
        // Of two drivers for one package, the usual one.
        paths.sort_by_key(|path| (path.to_string_lossy().contains("mmio"), path.clone()));
        let (mut zones, mut names) = (Vec::new(), BTreeSet::new());
        for path in paths {
            let Ok(name) = read(&path.join("name")) else { continue };
            let name = name.trim().to_owned();
            if !name.starts_with("package-") || !names.insert(name) {
                continue;
            }
            let energy = path.join("energy_uj");
            let last = number(&energy, read)?;
            let range = number(&path.join("max_energy_range_uj"), read)?;
            zones.push(Zone { energy, range, last });
        }
        if zones.is_empty() {
            return Err("this system counts the energy of no processor package".to_owned());
        }
        Ok(Self { zones, read })
    }

    /// Microjoules since it was last asked, of all packages.
    pub(super) fn advance(&mut self) -> Result<u64, String> {
        let mut all = 0;
        for zone in &mut self.zones {
            let now = number(&zone.energy, self.read)?;
            all += since(zone.last, now, zone.range);
            zone.last = now;
        }
        Ok(all)
    }
}

/// What a counter went up by, that begins again at 0 after `range`.
fn since(last: u64, now: u64, range: u64) -> u64 {
    if now >= last { now - last } else { (now + range).saturating_sub(last) }
}

fn number(path: &Path, read: ReadFile) -> Result<u64, String> {
    let text = read(path).map_err(|error| told(&error))?;
    text.trim().parse().map_err(|_| format!("an energy counter says `{}`", text.trim()))
}

fn told(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::PermissionDenied => "permission: only root reads the counters".to_owned(),
        _ => format!("the energy counters cannot be read: {error}"),
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// A tree of zones: folder, name, counter and range.
    pub(crate) fn tree(zones: &[(&str, &str, u64, u64)]) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        for (zone, name, energy, range) in zones {
            set(folder.path(), zone, "name", &format!("{name}\n"));
            set(folder.path(), zone, "energy_uj", &format!("{energy}\n"));
            set(folder.path(), zone, "max_energy_range_uj", &format!("{range}\n"));
        }
        folder
    }

    pub(crate) fn set(folder: &Path, zone: &str, file: &str, text: &str) {
        let path = folder.join(zone).join(file);
        crate::base::atomic::write(&path, text.as_bytes()).unwrap();
    }

    const RANGE: u64 = 262_143_328_850;

    #[test]
    fn a_counter_that_begins_again_goes_on() {
        assert_eq!(since(262_143_000_000, 5_000_000, RANGE), 5_328_850);
        let folder = tree(&[("intel-rapl:0", "package-0", 262_143_000_000, RANGE)]);
        let mut packages = Packages::open(folder.path()).unwrap();
        assert_eq!(packages.advance().unwrap(), 0);
        set(folder.path(), "intel-rapl:0", "energy_uj", "5000000\n");
        assert_eq!(packages.advance().unwrap(), 5_328_850);
        assert_eq!(packages.advance().unwrap(), 0);
    }

    #[test]
    fn packages_alone_are_counted_each_once() {
        let zones = [
            ("intel-rapl:0", "package-0", 0, RANGE),
            ("intel-rapl:0:0", "core", 0, RANGE),
            ("intel-rapl:0:1", "dram", 0, RANGE),
            ("intel-rapl:1", "package-1", 0, RANGE),
            ("intel-rapl:2", "psys", 0, RANGE),
            ("intel-rapl-mmio:0", "package-0", 0, RANGE),
        ];
        let folder = tree(&zones);
        let mut packages = Packages::open(folder.path()).unwrap();
        for (index, (zone, ..)) in zones.iter().enumerate() {
            set(folder.path(), zone, "energy_uj", &10_u64.pow(index as u32).to_string());
        }
        assert_eq!(packages.advance().unwrap(), 1 + 1000);
    }

    #[test]
    fn what_cannot_be_read_is_told_and_is_not_zero() {
        let why = |folder: &Path| Packages::open(folder).unwrap_err();
        let folder = tree(&[("intel-rapl:0", "package-0", 1, RANGE)]);
        assert_eq!(why(&folder.path().join("none")), "this system has no energy counters");
        let refused =
            Packages::open_with(folder.path(), |path| match path.ends_with("energy_uj") {
                true => Err(io::ErrorKind::PermissionDenied.into()),
                false => fs::read_to_string(path),
            });
        assert_eq!(refused.unwrap_err(), "permission: only root reads the counters");
        set(folder.path(), "intel-rapl:0", "energy_uj", "much\n");
        assert_eq!(why(folder.path()), "an energy counter says `much`");
        let other = tree(&[("intel-rapl:0:0", "core", 1, RANGE)]);
        assert_eq!(why(other.path()), "this system counts the energy of no processor package");
    }

    #[test]
    fn a_counter_that_goes_away_is_told() {
        let folder = tree(&[("intel-rapl:0", "package-0", 1, RANGE)]);
        let mut packages = Packages::open(folder.path()).unwrap();
        fs::remove_file(folder.path().join("intel-rapl:0/energy_uj")).unwrap();
        assert!(packages.advance().unwrap_err().starts_with("the energy counters cannot be read"));
    }
}
