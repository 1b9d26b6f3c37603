//! One meter for a run: it looks at the counters whenever work begins or ends, and now and then
//! between, so that no counter begins again unseen.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::store::Energy;

use super::gpu::{self, Counter};
use super::load::Moment;
use super::powercap::Packages;

/// How often it looks while work goes on.
const PAUSE: Duration = Duration::from_secs(1);
/// A GPU's counter is renewed too seldom for less.
const LEAST_FOR_GPU: f64 = 1.0;
/// From this share of the cores on, others share the machine.
const OTHERS: f64 = 0.05;

/// What was measured, or why not.
pub type Reading = Result<Energy, String>;

/// Measures the energy of a run and of its nodes.
pub struct Meter {
    state: Arc<Mutex<State>>,
    began: Instant,
    load: Moment,
    /// Ends the thread that looks between, when it is dropped.
    _poll: Option<Sender<()>>,
}

/// One counter with what it told so far.
enum Gauge<C> {
    /// Nobody asked for it.
    Unasked,
    /// It is read.
    Read(C),
    /// It cannot be read.
    Broken(String),
}

struct State {
    packages: Gauge<Packages>,
    gpu: Gauge<(Box<dyn Counter>, u64)>,
    running: BTreeMap<u64, Running>,
    next: u64,
    /// Of the whole run.
    total: Running,
}

/// Work that is being measured.
#[derive(Clone, Debug, Default)]
struct Running {
    cores: usize,
    /// Microjoules of the processors and of the GPU.
    packages: f64,
    gpu: f64,
    /// Whether others worked beside it.
    beside: bool,
}

impl Meter {
    /// Looks at the counters of this machine; at the GPU's too if that computes.
    pub fn of_machine(with_gpu: bool) -> Self {
        let packages = match Packages::open(&super::counters()) {
            Ok(packages) => Gauge::Read(packages),
            Err(why) => Gauge::Broken(why),
        };
        let gpu = match with_gpu {
            false => Gauge::Unasked,
            true => match gpu::first() {
                Ok(counter) => gauge(counter),
                Err(why) => Gauge::Broken(why),
            },
        };
        Self::of(packages, gpu)
    }

    /// Looks at nothing.
    pub fn none() -> Self {
        Self::of(Gauge::Broken("nobody measured it".to_owned()), Gauge::Unasked)
    }

    fn of(packages: Gauge<Packages>, gpu: Gauge<(Box<dyn Counter>, u64)>) -> Self {
        let reads = matches!(packages, Gauge::Read(_)) || matches!(gpu, Gauge::Read(_));
        let (running, total) = (BTreeMap::new(), Running::default());
        let state = Arc::new(Mutex::new(State { packages, gpu, running, next: 0, total }));
        let poll = reads.then(|| look_between(Arc::clone(&state)));
        Self { state, began: Instant::now(), load: Moment::now(), _poll: poll }
    }

    /// Begins to measure work on so many cores.
    pub fn start(&self, cores: usize) -> Span<'_> {
        let mut state = lock(&self.state);
        state.advance();
        let id = state.next;
        state.next += 1;
        state.running.insert(id, Running { cores: cores.max(1), ..Running::default() });
        if state.running.len() > 1 {
            state.running.values_mut().for_each(|running| running.beside = true);
        }
        drop(state);
        Span { meter: self, id, began: Instant::now(), load: Moment::now() }
    }

    /// Whether there is a counter to look at.
    fn reads(&self) -> bool {
        let state = lock(&self.state);
        matches!(state.packages, Gauge::Read(_)) || matches!(state.gpu, Gauge::Read(_))
    }

    /// What the machine used since the meter began, whoever used it.
    pub fn whole(&self) -> Reading {
        let mut state = lock(&self.state);
        state.advance();
        let total = state.total.clone();
        state.reading(&total, self.began.elapsed().as_secs_f64(), self.load.others_since())
    }
}

/// How long a machine at rest is looked at.
const AT_REST: Duration = Duration::from_secs(10);

/// Watts of a machine that does nothing for 10 seconds, or until someone asks to stop; or why they are
/// not known.
pub fn at_rest(with_gpu: bool, stop: &AtomicBool) -> Result<f64, String> {
    let meter = Meter::of_machine(with_gpu);
    while meter.reads() && meter.began.elapsed() < AT_REST && !stop.load(Ordering::Relaxed) {
        std::thread::sleep(PAUSE / 10);
    }
    let seconds = meter.began.elapsed().as_secs_f64();
    let used = meter.whole()?;
    match seconds < AT_REST.as_secs_f64() {
        true => Err("interrupted".to_owned()),
        false => Ok(used.joules / seconds),
    }
}

/// Work that is being measured, until it is finished or dropped.
pub struct Span<'a> {
    meter: &'a Meter,
    id: u64,
    began: Instant,
    load: Moment,
}

impl Span<'_> {
    /// What it used.
    pub fn finish(self) -> Reading {
        self.so_far()
    }

    /// What it has used so far.
    pub fn so_far(&self) -> Reading {
        let mut state = lock(&self.meter.state);
        state.advance();
        let own = state.running.get(&self.id).cloned().unwrap_or_default();
        state.reading(&own, self.began.elapsed().as_secs_f64(), self.load.others_since())
    }
}

impl Drop for Span<'_> {
    fn drop(&mut self) {
        let mut state = lock(&self.meter.state);
        state.advance();
        state.running.remove(&self.id);
    }
}

impl State {
    /// Looks at the counters and gives each running work its share by cores.
    fn advance(&mut self) {
        let packages = match &mut self.packages {
            Gauge::Read(packages) => packages.advance(),
            _ => Ok(0),
        };
        let gpu = match &mut self.gpu {
            Gauge::Read((counter, last)) => counter.millijoules().map(|now| {
                let more = now.saturating_sub(*last) * 1000;
                *last = now;
                more
            }),
            _ => Ok(0),
        };
        if let Err(why) = &packages {
            self.packages = Gauge::Broken(why.clone());
        }
        if let Err(why) = &gpu {
            self.gpu = Gauge::Broken(why.clone());
        }
        let (packages, gpu) = (packages.unwrap_or(0) as f64, gpu.unwrap_or(0) as f64);
        self.total.packages += packages;
        self.total.gpu += gpu;
        let cores: usize = self.running.values().map(|running| running.cores).sum();
        for running in self.running.values_mut() {
            let share = running.cores as f64 / cores.max(1) as f64;
            running.packages += share * packages;
            running.gpu += share * gpu;
        }
    }

    fn reading(&self, of: &Running, seconds: f64, others: Option<f64>) -> Reading {
        let mut parts = Vec::new();
        let mut why = Vec::new();
        let mut joules = 0.0;
        match &self.packages {
            Gauge::Read(_) => {
                joules += of.packages / 1e6;
                parts.push(("processors", "powercap"));
            }
            Gauge::Broken(reason) => why.push(reason.clone()),
            Gauge::Unasked => {}
        }
        match &self.gpu {
            Gauge::Read(_) if seconds < LEAST_FOR_GPU => {
                return Err("too short for the GPU's counter".to_owned());
            }
            Gauge::Read(_) => {
                joules += of.gpu / 1e6;
                parts.push(("GPU", "nvml"));
            }
            Gauge::Broken(reason) => why.push(reason.clone()),
            Gauge::Unasked => {}
        }
        if parts.is_empty() {
            return Err(why.join("; "));
        }
        let mut scope = joined(parts.iter().map(|(part, _)| *part), " and ");
        if of.beside {
            scope.push_str(", shared by cores");
        }
        if others.is_some_and(|others| others > OTHERS) {
            scope.push_str(", shared machine");
        }
        let source = joined(parts.iter().map(|(_, source)| *source), "+");
        Ok(Energy { joules, scope, source })
    }
}

fn joined<'a>(words: impl Iterator<Item = &'a str>, between: &str) -> String {
    words.collect::<Vec<_>>().join(between)
}

fn gauge(counter: Box<dyn Counter>) -> Gauge<(Box<dyn Counter>, u64)> {
    match counter.millijoules() {
        Ok(now) => Gauge::Read((counter, now)),
        Err(why) => Gauge::Broken(why),
    }
}

fn lock(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A thread that looks until the sender is dropped.
fn look_between(state: Arc<Mutex<State>>) -> Sender<()> {
    let (sender, receiver) = channel();
    std::thread::spawn(move || {
        while receiver.recv_timeout(PAUSE) == Err(RecvTimeoutError::Timeout) {
            lock(&state).advance();
        }
    });
    sender
}

#[cfg(test)]
mod tests {
    use std::path::Path;
    use std::sync::atomic::AtomicU64;

    use super::super::powercap::tests::{set, tree};
    use super::*;

    fn meter(folder: &Path) -> Meter {
        Meter::of(Gauge::Read(Packages::open(folder).unwrap()), Gauge::Unasked)
    }

    fn stand(folder: &Path, microjoules: u64) {
        set(folder, "intel-rapl:0", "energy_uj", &microjoules.to_string());
    }

    fn joules(reading: &Reading) -> f64 {
        reading.as_ref().unwrap().joules
    }

    #[test]
    fn work_alone_has_all_and_work_beside_others_its_share_by_cores() {
        let folder = tree(&[("intel-rapl:0", "package-0", 0, 1 << 40)]);
        let meter = meter(folder.path());
        stand(folder.path(), 1_000_000);
        let one = meter.start(1);
        stand(folder.path(), 3_000_000);
        let two = meter.start(3);
        stand(folder.path(), 11_000_000);
        let one = one.finish();
        stand(folder.path(), 12_000_000);
        let two = two.finish();
        assert!((joules(&one) - (2.0 + 2.0)).abs() < 1e-9, "{one:?}");
        assert!((joules(&two) - (6.0 + 1.0)).abs() < 1e-9, "{two:?}");
        for reading in [&one, &two] {
            let energy = reading.as_ref().unwrap();
            assert!(energy.scope.starts_with("processors, shared by cores"), "{energy:?}");
            assert_eq!(energy.source, "powercap");
        }
        stand(folder.path(), 20_000_000);
        assert!((joules(&meter.whole()) - 20.0).abs() < 1e-9);
    }

    #[test]
    fn work_after_other_work_is_alone() {
        let folder = tree(&[("intel-rapl:0", "package-0", 0, 1 << 40)]);
        let meter = meter(folder.path());
        drop(meter.start(1));
        let span = meter.start(1);
        stand(folder.path(), 500_000);
        let energy = span.finish().unwrap();
        assert!((energy.joules - 0.5).abs() < 1e-12 && !energy.scope.contains("by cores"));
    }

    #[test]
    fn a_counter_that_breaks_leaves_a_reason_and_no_number() {
        let folder = tree(&[("intel-rapl:0", "package-0", 0, 1 << 40)]);
        let meter = meter(folder.path());
        let span = meter.start(1);
        std::fs::remove_dir_all(folder.path().join("intel-rapl:0")).unwrap();
        let told = span.finish().unwrap_err();
        assert!(told.starts_with("the energy counters cannot be read"), "{told}");
        assert!(meter.whole().is_err());
        assert_eq!(Meter::none().start(2).finish().unwrap_err(), "nobody measured it");
    }

    struct Fake(Arc<AtomicU64>);

    impl Counter for Fake {
        fn millijoules(&self) -> Result<u64, String> {
            match self.0.load(Ordering::SeqCst) {
                u64::MAX => Err("gone".to_owned()),
                value => Ok(value),
            }
        }
    }

    #[test]
    fn a_gpu_is_added_unless_work_was_too_short_to_tell() {
        let counter = Arc::new(AtomicU64::new(7000));
        let folder = tree(&[("intel-rapl:0", "package-0", 0, 1 << 40)]);
        let gpu = gauge(Box::new(Fake(Arc::clone(&counter))));
        let mut meter = Meter::of(Gauge::Read(Packages::open(folder.path()).unwrap()), gpu);
        let short = meter.start(1);
        assert_eq!(short.finish().unwrap_err(), "too short for the GPU's counter");
        // A meter that began long ago.
        meter.began = Instant::now().checked_sub(Duration::from_secs(5)).unwrap();
        stand(folder.path(), 2_000_000);
        counter.store(9500, Ordering::SeqCst);
        let whole = meter.whole().unwrap();
        assert!((whole.joules - 4.5).abs() < 1e-9, "{whole:?}");
        assert!(whole.scope.starts_with("processors and GPU"), "{whole:?}");
        assert_eq!(whole.source, "powercap+nvml");
        counter.store(u64::MAX, Ordering::SeqCst);
        let without = meter.whole().unwrap();
        assert!(!without.scope.contains("GPU"), "{without:?}");
        assert_eq!(without.source, "powercap");
    }
}
