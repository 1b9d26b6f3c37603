//! What a finished piece of work left.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::Value as Json;

use crate::base::Digest;

/// Identity of a piece of work: the digest of everything that can change what it makes.
///
/// | in the key | not in the key |
/// |---|---|
/// | kind of work and its version | names of stages, comments, order of keys |
/// | checked parameters | where a data set or model lies |
/// | digests of inputs, files, relative paths in a data set | resources, times, retries |
/// | the seed, if it draws | |
/// | name and version of the runtime, if it computes with it | |
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Key(Digest);

impl Key {
    /// The key of these fields.
    pub fn of(fields: &impl Serialize) -> Self {
        Self(Digest::of_json(fields))
    }

    /// The first digits, for messages.
    pub fn short(&self) -> String {
        self.0.short()
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A blob with what it holds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ArtifactRef {
    /// What it holds.
    pub kind: String,
    /// Its content.
    pub digest: Digest,
    /// Its length in bytes.
    pub length: u64,
}

/// What a piece of work cost.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Cost {
    /// Wall-clock seconds.
    pub seconds: f64,
    /// Processor seconds of the thread that did the work; `None` where several threads did.
    pub cpu_seconds: Option<f64>,
    /// Largest memory of the process so far, in bytes.
    pub peak_bytes: Option<u64>,
    /// Cores it might use; 0 where an earlier version did not tell.
    #[serde(default)]
    pub cores: usize,
    /// Seconds on one core that it was thought to take.
    #[serde(default)]
    pub expected: Option<f64>,
    /// Energy, where it was measured.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub energy: Option<Energy>,
    /// Why it was not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub energy_reason: Option<String>,
}

/// Energy that was measured.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Energy {
    /// Joules.
    pub joules: f64,
    /// Of what: `processors`, `GPU` or both; `shared by cores` where other work went on beside it and
    /// each got its share, `shared machine` where other programs used more than 5 % of the cores.
    pub scope: String,
    /// What told it.
    pub source: String,
}

impl Energy {
    /// Both together; or why they make no sum.
    pub fn and(&self, other: &Self) -> Result<Self, String> {
        if self.source != other.source {
            let (own, others) = (&self.source, &other.source);
            return Err(format!("counted in different ways: {own} and {others}"));
        }
        let scope = Self::scope_of_both(&self.scope, &other.scope);
        Ok(Self { joules: self.joules + other.joules, scope, source: self.source.clone() })
    }

    /// What two scopes say, each part once.
    pub fn scope_of_both(one: &str, other: &str) -> String {
        let mut parts: Vec<&str> = one.split(", ").collect();
        for part in other.split(", ") {
            if !parts.contains(&part) {
                parts.push(part);
            }
        }
        parts.join(", ")
    }
}

/// What work has used so far.
#[derive(Clone, Debug, PartialEq)]
pub struct Spent {
    /// Wall-clock seconds.
    pub seconds: f64,
    /// Energy; or why it is not known.
    pub energy: Result<Energy, String>,
}

/// What a training had used at each of its looks at val, since it began; what an interrupted run had
/// used by the look that a later one went on from is part of it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Laps {
    /// Wall-clock seconds.
    pub seconds: Vec<f64>,
    /// Joules; none at looks at which they were not known.
    pub joules: Vec<Option<f64>>,
    /// Of what, as [`Energy`] tells it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scope: Option<String>,
    /// What told it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<String>,
    /// Why joules are not known where they are not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

impl Laps {
    /// The fact of a record that holds them. They are in no artifact, as they are never the same
    /// twice.
    pub const FACT: &str = "laps";
}

/// What a finished piece of work left.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Record {
    /// The fields that were hashed to the key, to explain a miss.
    pub fields: Json,
    /// Artifacts by port.
    pub outputs: BTreeMap<String, ArtifactRef>,
    /// Plain facts about the work: counts, choices, flags.
    pub facts: BTreeMap<String, Json>,
    /// What a reader should know.
    pub warnings: Vec<String>,
    /// What it cost when it was done.
    pub cost: Cost,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn energy(joules: f64, scope: &str, source: &str) -> Energy {
        Energy { joules, scope: scope.to_owned(), source: source.to_owned() }
    }

    #[test]
    fn energy_of_one_source_makes_a_sum_and_keeps_what_either_says() {
        let own = energy(2.0, "processors, shared by cores", "powercap");
        let all = own.and(&energy(0.5, "processors, shared machine", "powercap"));
        let scope = "processors, shared by cores, shared machine";
        assert_eq!(all, Ok(energy(2.5, scope, "powercap")));
        let other = energy(1.0, "its cores", "estimated");
        assert_eq!(
            own.and(&other).unwrap_err(),
            "counted in different ways: powercap and estimated"
        );
    }
}
