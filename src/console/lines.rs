//! Plain lines: for pipes and log files.

use std::sync::Mutex;

use crate::events::{Event, Listener};

use super::err;

/// Shows events as lines on standard error.
pub(super) struct Lines {
    all: bool,
    ended: Mutex<(usize, usize)>,
}

impl Lines {
    /// Everything but progress within a node.
    pub(super) fn all() -> Self {
        Self { all: true, ended: Mutex::default() }
    }

    /// Failures alone.
    pub(super) fn failures() -> Self {
        Self { all: false, ended: Mutex::default() }
    }

    /// "[3/40]" after one more node has ended.
    fn count(&self, event: &Event) -> String {
        let mut ended = self.ended.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        match event {
            Event::RunStarted { nodes, .. } => ended.1 = *nodes,
            Event::Grown { nodes, .. } | Event::Extended { nodes, .. } => *ended = (0, *nodes),
            Event::Hit { .. }
            | Event::Done { .. }
            | Event::Failed { .. }
            | Event::Skipped { .. }
            | Event::Cancelled { .. } => ended.0 += 1,
            _ => {}
        }
        format!("[{}/{}]", ended.0, ended.1)
    }
}

impl Listener for Lines {
    fn hear(&self, event: &Event) {
        let count = self.count(event);
        let is_bad = matches!(event, Event::Failed { .. });
        if !self.all && !is_bad {
            return;
        }
        if let Some(line) = line(event, &count) {
            err(&line);
        }
    }
}

/// An event in words; `None` for what is not worth a line.
pub(super) fn line(event: &Event, count: &str) -> Option<String> {
    Some(match event {
        Event::RunStarted { pipeline, run, nodes, runtime } => {
            format!("{pipeline} · run {run} · {nodes} nodes · {runtime}")
        }
        Event::Note { text } => format!("note: {text}"),
        Event::Grown { seeds, nodes, text } => {
            format!("{text}, {seeds} in all · {nodes} nodes")
        }
        Event::Extended { nodes, text } => format!("{text} · {nodes} nodes"),
        Event::Warning { label, text } => format!("warning: {label}: {text}"),
        Event::Done { label, seconds, .. } => format!("{count} {label} · {seconds:.1} s"),
        Event::Failed { label, message, help, .. } => {
            let help = help.as_ref().map(|help| format!("\n  help: {help}")).unwrap_or_default();
            format!("{count} error: `{label}` failed to {message}{help}")
        }
        Event::Skipped { label, because, .. } => {
            format!("{count} skipped `{label}`, because `{because}` failed")
        }
        Event::RunFinished { done, hits, failed, skipped, cancelled, seconds } => {
            let mut parts = vec![format!("{done} done"), format!("{hits} were there already")];
            let bad = [(failed, "failed"), (skipped, "skipped"), (cancelled, "not done")];
            parts
                .extend(bad.iter().filter(|(n, _)| **n > 0).map(|(n, word)| format!("{n} {word}")));
            format!("{} · {seconds:.1} s", parts.join(", "))
        }
        Event::Started { .. }
        | Event::Progress { .. }
        | Event::Hit { .. }
        | Event::Cancelled { .. } => return None,
    })
}
