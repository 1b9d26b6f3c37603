//! What a run would do, as text: a line for nodes that differ in their seed alone.

use crate::base::{counted, duration};
use crate::pipeline::forecast::{Change, Expected, Forecast, Most, State};

/// The forecast as lines of text, without a line break at its end.
pub fn forecast(forecast: &Forecast) -> String {
    let (nodes, hits) = (forecast.nodes.len(), forecast.hits());
    let head = format!("{} · {}: {hits} there already", forecast.pipeline, counted(nodes, "node"));
    let head = match nodes - hits {
        0 => format!("{head}, nothing to do"),
        rest => format!("{head}, {rest} to do · {}", time(forecast)),
    };
    let head = match forecast.further {
        0 => head,
        further => format!(
            "{head}\nup to {} more, where the best learning rate of a list is at its end",
            counted(further, "trial")
        ),
    };
    let head = match &forecast.most {
        None => head,
        Some(most) => format!("{head}\n{}", growth(most)),
    };
    let mut lines: Vec<Line> = Vec::new();
    for node in &forecast.nodes {
        let line = Line::of(node);
        match lines.iter_mut().find(|known| known.is_like(&line)) {
            Some(known) => known.add(&line),
            None => lines.push(line),
        }
    }
    let rows: Vec<[String; 4]> = lines.iter().map(Line::cells).collect();
    format!("{head}\n\n{}", super::summary::aligned(&rows))
}

/// What becomes of a study whose verdicts stay open.
fn growth(most: &Most) -> String {
    let looks: Vec<String> = most.looks.iter().map(usize::to_string).collect();
    let (last, earlier) = looks.split_last().map_or(("", &[][..]), |(last, rest)| (last, rest));
    let (nodes, time) = (counted(most.nodes, "node"), duration(most.seconds));
    format!(
        "until decided: looked at with {} and {last} seeds; up to {nodes}, about {time}",
        earlier.join(", ")
    )
}

/// "about 12 min on 2 cores".
pub fn time(forecast: &Forecast) -> String {
    let guess =
        if forecast.guessed { " (a first guess, nothing like it was measured here)" } else { "" };
    format!("about {} on {}{guess}", duration(forecast.seconds), counted(forecast.jobs, "core"))
}

/// Nodes that differ in their seed alone.
struct Line {
    name: String,
    state: State,
    nodes: usize,
    core_seconds: f64,
}

impl Line {
    fn of(node: &Expected) -> Self {
        let seed = node.seed.map(|seed| format!(" seed {seed}")).unwrap_or_default();
        let name = node.label.strip_suffix(&seed).unwrap_or(&node.label).to_owned();
        Self { name, state: node.state.clone(), nodes: 1, core_seconds: node.core_seconds }
    }

    fn is_like(&self, other: &Self) -> bool {
        self.name == other.name && self.state == other.state
    }

    fn add(&mut self, other: &Self) {
        self.nodes += other.nodes;
        self.core_seconds += other.core_seconds;
    }

    fn cells(&self) -> [String; 4] {
        let name = match self.nodes {
            1 => self.name.clone(),
            many => format!("{} × {many}", self.name),
        };
        let time = match self.state {
            State::Hit | State::Broken { .. } => String::new(),
            _ => duration(self.core_seconds),
        };
        let (word, why) = match &self.state {
            State::Hit => ("there", String::new()),
            State::Later => ("then", String::new()),
            State::Miss { changed } => ("do", reasons(changed)),
            State::Broken { message } => ("fails", message.clone()),
        };
        [word.to_owned(), name, time, why]
    }
}

/// Changes told in full; more are counted.
const TOLD: usize = 3;

fn reasons(changed: &[Change]) -> String {
    if changed.is_empty() {
        return "new".to_owned();
    }
    let told = |change: &Change| match (&change.before, &change.now) {
        (Some(before), Some(now)) => format!("{}: {before} → {now}", change.field),
        (None, Some(now)) => format!("{}: {now}, not said before", change.field),
        (Some(before), None) => format!("{}: {before} before", change.field),
        (None, None) => change.field.clone(),
    };
    let mut parts: Vec<String> = changed.iter().take(TOLD).map(told).collect();
    if changed.len() > TOLD {
        parts.push(format!("and {} more", changed.len() - TOLD));
    }
    parts.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn node(label: &str, seed: u64, state: State, core_seconds: f64) -> Expected {
        let label = format!("{label} seed {seed}");
        Expected {
            label,
            stage: String::new(),
            seed: Some(seed),
            after: vec![],
            state,
            core_seconds,
        }
    }

    #[test]
    fn nodes_that_differ_in_their_seed_alone_are_one_line() {
        let change = |before: &str, now: &str| Change {
            field: "training.epochs".to_owned(),
            before: Some(before.to_owned()),
            now: Some(now.to_owned()),
        };
        let changed = State::Miss { changed: vec![change("48", "96")] };
        let nodes = vec![
            node("probe", 0, State::Hit, 0.0),
            node("probe", 1, State::Hit, 0.0),
            node("tuned lr=0.01", 0, changed.clone(), 31.0),
            node("tuned lr=0.01", 1, changed, 32.0),
            node("tuned", 0, State::Later, 2.0),
            node("floor", 0, State::Miss { changed: vec![] }, 0.01),
        ];
        let told = Forecast {
            pipeline: "xray".to_owned(),
            nodes,
            jobs: 2,
            seconds: 32.6,
            guessed: false,
            further: 0,
            most: None,
        };
        assert_eq!(
            forecast(&told),
            "\
xray · 6 nodes: 2 there already, 4 to do · about 33 s on 2 cores

  there  probe × 2
  do     tuned lr=0.01 × 2  63 s  training.epochs: 48 → 96
  then   tuned              2 s
  do     floor              0 s   new"
        );
    }
}
