//! How much of the machine others use, as Linux's `/proc/stat` tells.

use std::time::{Duration, Instant};

/// Ticks of `/proc/stat` in a second; on Linux always the same for whoever reads it.
const TICKS: f64 = 100.0;

/// A moment: processor time of everybody, and of this process.
pub(super) struct Moment {
    at: Instant,
    busy: Option<f64>,
    own: Duration,
}

impl Moment {
    /// Now.
    pub(super) fn now() -> Self {
        let stat = std::fs::read_to_string("/proc/stat").ok();
        Self { at: Instant::now(), busy: stat.as_deref().and_then(busy), own: own() }
    }

    /// Share of all cores that others used since; nothing where the system does not tell.
    pub(super) fn others_since(&self) -> Option<f64> {
        let now = Self::now();
        let all = now.busy? - self.busy?;
        let own = now.own.saturating_sub(self.own).as_secs_f64();
        let cores = std::thread::available_parallelism().ok()?.get() as f64;
        let time = now.at.duration_since(self.at).as_secs_f64() * cores;
        (time > 0.0).then(|| ((all - own) / time).max(0.0))
    }
}

/// Seconds that all cores were busy since the system was started: user, nice, system, irq, softirq
/// and steal.
fn busy(stat: &str) -> Option<f64> {
    let line = stat.lines().find(|line| line.starts_with("cpu "))?;
    let ticks: Vec<f64> = line.split_whitespace().skip(1).filter_map(|n| n.parse().ok()).collect();
    let busy = [0, 1, 2, 5, 6, 7].map(|at| ticks.get(at).copied().unwrap_or_default());
    (ticks.len() >= 4).then(|| busy.iter().sum::<f64>() / TICKS)
}

fn own() -> Duration {
    let now = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
    Duration::new(now.tv_sec as u64, now.tv_nsec as u32)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn busy_time_leaves_out_idling_and_waiting() {
        let stat = "cpu  100 20 30 4000 500 6 7 8 0 0\ncpu0 1 2 3 4 5 6 7 8 0 0\n";
        assert!((busy(stat).unwrap() - 1.71).abs() < 1e-12);
        assert_eq!(busy("intr 5\n"), None);
        assert_eq!(busy("cpu  1 2\n"), None);
    }
}
