//! What an arm may spend on training and on choosing, for a reader who asks whether its baseline had
//! as much.

use serde::Serialize;
use serde_json::{Value as Json, json};

/// One thing that two arms may have spent differently.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Aspect {
    /// What: `trials`, `fits`, `search_space`, `steps`.
    pub name: &'static str,
    /// How much, or which, in words.
    pub told: String,
    /// How much, where more may be an advantage.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub size: Option<f64>,
}

/// Everything an arm spends that others may spend too.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[serde(transparent)]
pub struct Effort(pub Vec<Aspect>);

impl Effort {
    /// Nothing is trained or chosen.
    pub fn is_none(&self) -> bool {
        self.0.is_empty()
    }

    /// With so much of something.
    #[must_use]
    pub fn amount(mut self, name: &'static str, amount: usize) -> Self {
        let (told, size) = (amount.to_string(), Some(amount as f64));
        self.0.push(Aspect { name, told, size });
        self
    }

    /// With so many multiply–accumulates of a network until the arm is there, of all that is tried:
    /// three times a forward pass of what learns, in every step, and a forward pass of what is frozen
    /// below it, once an item. Nothing where no network is seen.
    #[must_use]
    pub fn network_macs(mut self, macs: f64) -> Self {
        if macs > 0.0 {
            let told = format!("{macs:.2e}");
            self.0.push(Aspect { name: "network_macs", told, size: Some(macs) });
        }
        self
    }

    /// With something that is neither more nor less.
    #[must_use]
    pub fn kind(mut self, name: &'static str, told: String) -> Self {
        self.0.push(Aspect { name, told, size: None });
        self
    }

    /// With so many looks on val without anything better after which training stops; 0 for never.
    #[must_use]
    pub fn patience(mut self, looks: usize) -> Self {
        let (told, size) = match looks {
            0 => ("never stops early".to_owned(), f64::MAX),
            looks => (looks.to_string(), looks as f64),
        };
        self.0.push(Aspect { name: "patience", told, size: Some(size) });
        self
    }
}

/// A value as it would be written in a file.
pub(super) fn written(value: &Json) -> String {
    match value {
        Json::Object(pairs) => {
            let said = pairs.iter().filter(|(_, value)| !value.is_null());
            let pairs: Vec<String> =
                said.map(|(key, value)| format!("{key}: {}", written(value))).collect();
            format!("{{ {} }}", pairs.join(", "))
        }
        Json::Array(items) => {
            let items: Vec<String> = items.iter().map(written).collect();
            format!("[{}]", items.join(", "))
        }
        Json::String(text) => text.clone(),
        Json::Null => "none".to_owned(),
        other => other.to_string(),
    }
}

/// A value of the language as it would be written.
pub(super) fn as_written(value: &impl Serialize) -> String {
    written(&json!(value))
}
