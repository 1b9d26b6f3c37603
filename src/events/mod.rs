//! What happened, and who listens. Work reports by events; nobody prints here.

use serde::Serialize;

/// Something that happened in a run.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum Event {
    /// A run begins.
    RunStarted {
        /// The pipeline's name.
        pipeline: String,
        /// The run's id.
        run: String,
        /// Number of nodes.
        nodes: usize,
        /// The runtime that computes.
        runtime: String,
    },
    /// Something a reader should know before any work.
    Note {
        /// The note.
        text: String,
    },
    /// A verdict is open, and seeds are added: everything begins anew, and what is there is found.
    Grown {
        /// Seeds from now on.
        seeds: usize,
        /// Nodes from now on.
        nodes: usize,
        /// Why.
        text: String,
    },
    /// Lists of learning rates grow: everything begins anew, and what is there is found.
    Extended {
        /// Nodes from now on.
        nodes: usize,
        /// Which, and why.
        text: String,
    },
    /// A node begins to work.
    Started {
        /// Its number.
        node: usize,
        /// Its label.
        label: String,
    },
    /// A node got on.
    Progress {
        /// Its number.
        node: usize,
        /// Units done.
        done: usize,
        /// Units in all.
        total: usize,
        /// What it is at.
        note: String,
    },
    /// A node's result was there already.
    Hit {
        /// Its number.
        node: usize,
        /// Its label.
        label: String,
    },
    /// A node is done.
    Done {
        /// Its number.
        node: usize,
        /// Its label.
        label: String,
        /// Seconds it took.
        seconds: f64,
    },
    /// A node failed.
    Failed {
        /// Its number.
        node: usize,
        /// Its label.
        label: String,
        /// Why.
        message: String,
        /// A way out.
        help: Option<String>,
    },
    /// A node could not run.
    Skipped {
        /// Its number.
        node: usize,
        /// Its label.
        label: String,
        /// The node that failed before it.
        because: String,
    },
    /// A node was interrupted.
    Cancelled {
        /// Its number.
        node: usize,
        /// Its label.
        label: String,
    },
    /// Something a reader should know about a node's result.
    Warning {
        /// The node's label.
        label: String,
        /// The warning.
        text: String,
    },
    /// A run has ended.
    RunFinished {
        /// Nodes that worked.
        done: usize,
        /// Nodes whose result was there already.
        hits: usize,
        /// Nodes that failed.
        failed: usize,
        /// Nodes that could not run.
        skipped: usize,
        /// Nodes that were interrupted, or not begun.
        cancelled: usize,
        /// Seconds of the whole run.
        seconds: f64,
    },
}

/// Someone who listens.
pub trait Listener: Send + Sync {
    /// Hears of an event.
    fn hear(&self, event: &Event);
}

/// Passes each event to several listeners.
#[derive(Default)]
pub struct Everyone {
    listeners: Vec<Box<dyn Listener>>,
}

impl Everyone {
    /// Adds a listener.
    #[must_use]
    pub fn with(mut self, listener: impl Listener + 'static) -> Self {
        self.listeners.push(Box::new(listener));
        self
    }
}

impl Listener for Box<dyn Listener> {
    fn hear(&self, event: &Event) {
        self.as_ref().hear(event);
    }
}

impl Listener for Everyone {
    fn hear(&self, event: &Event) {
        for listener in &self.listeners {
            listener.hear(event);
        }
    }
}
