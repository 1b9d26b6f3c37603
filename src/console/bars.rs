//! Bars in a terminal: one for the run, one for each node at work.

use std::collections::BTreeMap;
use std::io::{self, IsTerminal as _};
use std::sync::{Mutex, MutexGuard, PoisonError};

use indicatif::{MultiProgress, ProgressBar, ProgressStyle};

use crate::events::{Event, Listener};

use super::lines::line;

/// Shows events as bars on standard error.
pub(super) struct Bars {
    screen: MultiProgress,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    run: Option<ProgressBar>,
    nodes: BTreeMap<usize, ProgressBar>,
}

impl Default for Bars {
    fn default() -> Self {
        Self { screen: MultiProgress::new(), state: Mutex::default() }
    }
}

fn style(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar())
}

impl Bars {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn start_run(&self, nodes: usize) {
        let bar = ProgressBar::new(nodes as u64)
            .with_style(style("{pos}/{len} {wide_bar} {elapsed_precise}"));
        self.state().run = Some(self.screen.add(bar));
    }

    fn start(&self, node: usize, label: &str) {
        let bar = ProgressBar::new(0).with_style(style("  {prefix:.bold} {msg}"));
        let bar = self.screen.add(bar).with_prefix(label.to_owned());
        bar.tick();
        self.state().nodes.insert(node, bar);
    }

    fn progress(&self, node: usize, done: usize, total: usize, note: &str) {
        let state = self.state();
        if let Some(bar) = state.nodes.get(&node) {
            let share = 100.0 * done as f64 / total.max(1) as f64;
            if note.is_empty() {
                bar.set_message(format!("{share:.0} %"));
            } else {
                bar.set_message(format!("{share:.0} % {note}"));
            }
        }
    }

    fn end(&self, node: usize) {
        let mut state = self.state();
        if let Some(bar) = state.nodes.remove(&node) {
            bar.finish_and_clear();
        }
        if let Some(run) = &state.run {
            run.inc(1);
        }
    }

    fn say(&self, event: &Event) {
        if let Some(line) = line(event, "") {
            // A terminal that is gone needs no line.
            let _ = self.screen.println(line.trim_start());
        }
    }
}

impl Listener for Bars {
    fn hear(&self, event: &Event) {
        match event {
            Event::RunStarted { nodes, .. } => {
                self.say(event);
                self.start_run(*nodes);
            }
            Event::Grown { nodes, .. } | Event::Extended { nodes, .. } => {
                if let Some(run) = self.state().run.take() {
                    run.finish_and_clear();
                }
                self.say(event);
                self.start_run(*nodes);
            }
            Event::Started { node, label } => self.start(*node, label),
            Event::Progress { node, done, total, note } => {
                self.progress(*node, *done, *total, note);
            }
            Event::Hit { node, .. } | Event::Done { node, .. } | Event::Cancelled { node, .. } => {
                self.end(*node);
            }
            Event::Failed { node, .. } | Event::Skipped { node, .. } => {
                self.end(*node);
                self.say(event);
            }
            Event::RunFinished { .. } => {
                let run = self.state().run.take();
                if let Some(run) = run {
                    run.finish_and_clear();
                }
                self.say(event);
            }
            Event::Note { .. } | Event::Warning { .. } => self.say(event),
        }
    }
}

/// How far a command got with many things: a bar in a terminal, now and then a line elsewhere.
pub struct Counter {
    total: usize,
    what: &'static str,
    quiet: bool,
    done: std::cell::Cell<usize>,
    bar: Option<ProgressBar>,
}

/// Fewer than this are done before anybody asks.
const WORTH_COUNTING: usize = 1000;

impl Counter {
    /// Counts up to `total`. A bar is only drawn where nothing else is written to the terminal:
    /// if standard output is `free` of results, or no terminal.
    pub fn new(total: usize, what: &'static str, quiet: bool, free: bool) -> Self {
        let free = free || !io::stdout().is_terminal();
        let drawn = io::stderr().is_terminal() && free && !quiet;
        let bar = drawn.then(|| {
            let look = style("{pos}/{len} {wide_bar} {elapsed_precise}");
            ProgressBar::new(total as u64).with_style(look)
        });
        Self { total, what, quiet, done: std::cell::Cell::new(0), bar }
    }

    /// One more is done.
    pub fn step(&self) {
        let done = self.done.get() + 1;
        self.done.set(done);
        match &self.bar {
            Some(bar) => bar.inc(1),
            None if self.quiet || self.total < WORTH_COUNTING => {}
            // A line for each tenth.
            None if done * 10 / self.total > (done - 1) * 10 / self.total => {
                super::err(&format!("{done} of {} {}s", self.total, self.what));
            }
            None => {}
        }
    }

    /// Prints a line on standard error, above the bar.
    pub fn say(&self, line: &str) {
        match &self.bar {
            Some(bar) => bar.suspend(|| super::err(line)),
            None => super::err(line),
        }
    }
}

impl Drop for Counter {
    fn drop(&mut self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}
