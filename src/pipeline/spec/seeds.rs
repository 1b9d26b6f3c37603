//! How often everything is repeated: so many times, or until the verdicts are decided.

use serde::{Serialize, Serializer};
use serde_json::{Value as Json, json};

use crate::base::language::{Above0, Count, Natural, OneOrMore, Read, keys, unexpected};
use crate::base::{Found, Located, Problem, Value, Written};
use crate::stages::Reference;
use crate::stats::MIN_SEEDS;

/// Numbers of the repetitions.
#[derive(Clone, Debug, PartialEq)]
pub enum Seeds {
    /// These.
    Listed(Vec<u64>),
    /// As many as the verdicts need.
    Until(Located<UntilDecided>),
}

keys! {
    /// Repetitions are added while a verdict is open for want of them. The study is looked at up to
    /// five times, at numbers of seeds that are fixed by `first` and `most`, and each look may spend a
    /// share of the error of 5 %, so that all of them together make no more false claims than one.
    /// Nothing that was computed is computed again.
    pub struct UntilDecided {
        /// Seeds at the first look.
        first: Located<Count> = Located::new(Count(5), crate::base::Place::default()),
        /// Seeds at the last look.
        most: Located<Count>,
        /// Verdicts that have to be decided: arms, or `transfer` stages with all their arms. All of
        /// them if not said.
        of: Vec<Located<Reference>> = vec![],
        /// No seeds are added if the work that all results took, as `costs` tells it, would exceed so
        /// many hours. What a study comes to then depends on how fast the machine is.
        hours: Option<Above0> = None,
    }
}

const UNTIL: &str = "until_decided";
const WORDS: &str = "a whole number of at least 1, a list of numbers, or `until_decided`";

impl Seeds {
    /// So many, counted from 0.
    pub fn counted(count: usize) -> Self {
        Self::Listed((0..count as u64).collect())
    }
}

impl Serialize for Seeds {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Listed(seeds) => seeds.serialize(serializer),
            Self::Until(until) => json!({ UNTIL: until.value }).serialize(serializer),
        }
    }
}

impl Read for Seeds {
    fn read(written: &Written, found: &mut Found) -> Option<Self> {
        match &written.value {
            Value::List(_) => listed(written, found),
            Value::Map(_) => until(written, found),
            Value::Text(word) if word == UNTIL => {
                let message = "`until_decided` needs the key `most`";
                let help = "write `seeds: { until_decided: { most: 20 } }`";
                found.add(Problem::at(written.place, message).help(help));
                None
            }
            _ => Count::read(written, found).map(|count| Self::counted(count.0)),
        }
    }

    fn schema() -> Json {
        let until = UntilDecided::schema();
        let about = until["description"].clone();
        json!({
            "title": WORDS,
            "oneOf": [
                { "type": "integer", "minimum": 1 },
                { "type": "array", "items": { "type": "integer", "minimum": 0 }, "minItems": 1 },
                {
                    "type": "object",
                    "description": about,
                    "properties": { UNTIL: until },
                    "required": [UNTIL],
                    "additionalProperties": false,
                },
            ],
        })
    }
}

fn listed(written: &Written, found: &mut Found) -> Option<Seeds> {
    let numbers = OneOrMore::<Natural>::read(written, found)?;
    let seeds: Vec<u64> = numbers.0.iter().map(|number| number.0 as u64).collect();
    let mut once = std::collections::BTreeSet::new();
    if let Some(twice) = seeds.iter().find(|seed| !once.insert(**seed)) {
        let message = format!("the seed {twice} is listed twice");
        let help = "a repetition with the same seed is the same one; list each seed once";
        found.add(Problem::at(written.place, message).help(help));
        return None;
    }
    Some(Seeds::Listed(seeds))
}

fn until(written: &Written, found: &mut Found) -> Option<Seeds> {
    let entries = written.entries()?;
    let [only] = entries else {
        found.add(unexpected(written, WORDS));
        return None;
    };
    if *only.key != UNTIL {
        let problem = Problem::at(only.key.place, format!("seeds know no `{}`", *only.key));
        found.add(problem.or_else_one_of(&only.key, [UNTIL]));
        return None;
    }
    let until = Located::<UntilDecided>::read(&only.value, found)?;
    let (first, most) = (&until.first, &until.most);
    if first.0 < MIN_SEEDS {
        let message = format!("a first look at {} says nothing of how seeds differ", first.0);
        let help = format!("write `first: {MIN_SEEDS}` or more");
        found.add(Problem::at(first.place, message).help(help));
        return None;
    }
    if most.0 <= first.0 {
        let message = format!("there are {} at the first look already", first.0);
        let help = format!("write a larger `most`, or `seeds: {}`", first.0);
        found.add(Problem::at(most.place, message).help(help));
        return None;
    }
    Some(Seeds::Until(until))
}
