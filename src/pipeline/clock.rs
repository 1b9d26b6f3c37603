//! What work costs: seconds, processor time, memory and energy.

use std::time::{Duration, Instant};

use crate::store::{Cost, Spent};

use super::energy::{Meter, Span};

/// Measures what work costs.
pub(super) struct Clock<'a> {
    cores: usize,
    energy: Span<'a>,
    wall: Instant,
    /// Of this thread; tells nothing if others worked too.
    cpu: Option<Duration>,
}

impl<'a> Clock<'a> {
    /// Begins to measure work on so many cores.
    pub(super) fn start(cores: usize, meter: &'a Meter) -> Self {
        let energy = meter.start(cores);
        Self { cores, energy, wall: Instant::now(), cpu: (cores == 1).then(thread_cpu) }
    }

    /// What it has come to so far.
    pub(super) fn so_far(&self) -> Spent {
        Spent { seconds: self.wall.elapsed().as_secs_f64(), energy: self.energy.so_far() }
    }

    /// What it cost in the end.
    pub(super) fn stop(self) -> Cost {
        let cpu = self.cpu.map(|before| thread_cpu().saturating_sub(before).as_secs_f64());
        let seconds = self.wall.elapsed().as_secs_f64();
        let (energy, energy_reason) = match self.energy.finish() {
            Ok(energy) => (Some(energy), None),
            Err(reason) => (None, Some(reason)),
        };
        Cost {
            seconds,
            cpu_seconds: cpu,
            peak_bytes: peak_bytes(),
            cores: self.cores,
            expected: None,
            energy,
            energy_reason,
        }
    }
}

fn thread_cpu() -> Duration {
    let now = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    Duration::new(now.tv_sec as u64, now.tv_nsec as u32)
}

/// Largest memory of the process so far; `None` where the system does not tell.
fn peak_bytes() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find(|line| line.starts_with("VmHWM:"))?;
    let kilobytes: u64 = line.split_whitespace().nth(1)?.parse().ok()?;
    Some(kilobytes * 1024)
}

/// What it cost with what earlier runs had used on it, which did not keep their processor time.
pub(super) fn with_earlier(cost: Cost, earlier: Spent) -> Cost {
    let unknown = cost.energy_reason.unwrap_or_default();
    let own = cost.energy.ok_or(unknown);
    let energy = own.and_then(|own| earlier.energy.and_then(|earlier| earlier.and(&own)));
    let (energy, energy_reason) = match energy {
        Ok(energy) => (Some(energy), None),
        Err(reason) => (None, Some(reason)),
    };
    let seconds = cost.seconds + earlier.seconds;
    Cost { seconds, cpu_seconds: None, energy, energy_reason, ..cost }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::Energy;

    #[test]
    fn work_that_was_taken_up_cost_what_both_runs_used() {
        let energy =
            |joules| Energy { joules, scope: "processors".into(), source: "powercap".into() };
        let own = Cost {
            seconds: 2.0,
            cpu_seconds: Some(1.0),
            energy: Some(energy(8.0)),
            ..Cost::default()
        };
        let all = with_earlier(own.clone(), Spent { seconds: 0.5, energy: Ok(energy(3.0)) });
        assert_eq!((all.seconds, all.cpu_seconds, all.energy), (2.5, None, Some(energy(11.0))));
        let unknown = Spent { seconds: 0.5, energy: Err("permission".to_owned()) };
        let all = with_earlier(own, unknown);
        assert_eq!((all.energy, all.energy_reason.as_deref()), (None, Some("permission")));
    }
}
