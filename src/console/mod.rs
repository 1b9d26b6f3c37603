//! What a person sees: progress while it runs, tables at its end. The only room that prints.

mod advice;
mod bars;
mod compare;
mod curves;
mod estimates;
mod forecast;
mod front;
mod lines;
mod model;
mod model_check;
mod record;
mod summary;

use std::io::{self, IsTerminal as _, Write as _};
use std::sync::Mutex;

use crate::events::{Event, Listener};

pub use bars::Counter;
pub use compare::{render_comparison, render_looks, render_runs};
pub use forecast::{forecast, time};
pub use model::{InspectedPort, Inspection, inspection};
pub use model_check::{Found, ModelCheck, NodeState, Obstacle, model_check};
pub use record::{render_record, render_tallies};
pub use summary::render;

/// How progress is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Style {
    /// Bars in a terminal, plain lines elsewhere.
    Person,
    /// One JSON object a line, on standard output.
    Json,
    /// Failures alone.
    Quiet,
}

/// Someone who shows events.
pub fn listener(style: Style) -> Box<dyn Listener> {
    match style {
        Style::Person if io::stderr().is_terminal() => Box::new(bars::Bars::default()),
        Style::Person => Box::new(lines::Lines::all()),
        Style::Json => Box::new(JsonLines::default()),
        Style::Quiet => Box::new(lines::Lines::failures()),
    }
}

/// One event a line.
#[derive(Default)]
struct JsonLines(Mutex<()>);

impl Listener for JsonLines {
    fn hear(&self, event: &Event) {
        let _whole_lines = self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        if let Ok(line) = serde_json::to_string(event) {
            out(&line);
        }
    }
}

/// Prints a line on standard output. Whoever closed it does not want it.
pub fn out(line: &str) {
    let _ = writeln!(io::stdout(), "{line}");
}

/// Prints a line on standard error.
pub fn err(line: &str) {
    let _ = writeln!(io::stderr(), "{line}");
}
