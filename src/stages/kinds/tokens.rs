//! What becomes of a sequence of tokens × features: the first token, a mean, or all of them.

use std::sync::Arc;

use crate::base::language::{Word, choice, keys};
use crate::base::{Located, Place, Problem};
use crate::onnx::head::TokenPool;

use super::super::data::OpenDataset;
use super::super::feeding::{array_of, reads_tokens};
use super::super::model::BaseModel;
use super::super::site::Site;

choice! {
    /// What becomes of a sequence of tokens × features.
    pub enum Tokens {
        /// The features of the first token.
        "first" => First,
        /// The mean over tokens; over those that are marked, if the model reads a mask.
        "mean" => Mean(Mean),
        /// Every value of every token.
        "all" => All,
    }
}

keys! {
    /// A mean over tokens.
    pub struct Mean {
        /// The input of the model that marks with 1 the tokens that count; `attention_mask`, or else
        /// the one input whose name ends in `mask`, if not said.
        mask: Option<Located<Word>> = None,
    }
}

impl Tokens {
    /// How the layer of a model becomes a row of features: nothing if it is no sequence of tokens,
    /// or all of it is kept. Whatever reads tokens takes their mean if nothing is said.
    pub(super) fn pool(
        said: Option<&Located<Self>>,
        (base, tensor): (&BaseModel, &str),
        data: &Arc<OpenDataset>,
        place: Place,
        site: &mut Site,
    ) -> Result<Option<TokenPool>, ()> {
        let tokens = match base.seen.shape(&base.graph, tensor) {
            Some([_, tokens, _]) => *tokens,
            _ => return Ok(None),
        };
        let place = said.map_or(place, |said| said.place);
        match said.map(|said| &said.value) {
            None if !reads_tokens(base, tokens) => Ok(None),
            Some(Self::All) => Ok(None),
            Some(Self::First) => Ok(Some(TokenPool::First)),
            None => mean(None, tokens, base, data, place, site),
            Some(Self::Mean(Mean { mask })) => mean(mask.as_ref(), tokens, base, data, place, site),
        }
    }
}

fn mean(
    said: Option<&Located<Word>>,
    tokens: usize,
    base: &BaseModel,
    data: &Arc<OpenDataset>,
    place: Place,
    site: &mut Site,
) -> Result<Option<TokenPool>, ()> {
    let names: Vec<&str> = base.graph.inputs.iter().map(|port| port.name.as_str()).collect();
    let mask = match said {
        Some(word) => match names.iter().find(|name| **name == word.0) {
            Some(name) => Some(*name),
            None => {
                let message = format!("`{}` has no input `{}`", base.name, word.0);
                site.problem(Problem::at(word.place, message).or_else_one_of(&word.0, names));
                return Err(());
            }
        },
        None => usual_mask(&names),
    };
    let Some(mask) = mask else { return Ok(Some(TokenPool::Mean(None))) };
    let place = said.map_or(place, |word| word.place);
    let array = array_of(base, data, mask).ok_or_else(|| "it has no array".to_owned());
    if let Err(message) = array.and_then(|array| marked(array, tokens, data)) {
        let help = "a mask has a 1 for each token that counts, a 0 for all others, and at least one \
                    1 for each item; or take `tokens: first`";
        site.problem(Problem::at(place, format!("`{mask}` is no mask: {message}")).help(help));
        return Err(());
    }
    Ok(Some(TokenPool::Mean(Some(mask.to_owned()))))
}

/// The input that is a mask by its name.
fn usual_mask<'a>(names: &[&'a str]) -> Option<&'a str> {
    let exact = names.iter().find(|name| **name == "attention_mask");
    let masks: Vec<&&str> = names.iter().filter(|name| name.ends_with("mask")).collect();
    match (exact, &masks[..]) {
        (Some(name), _) => Some(*name),
        (None, [only]) => Some(**only),
        _ => None,
    }
}

/// Whether an array marks tokens of each item.
fn marked(
    array: &crate::data::NamedArray,
    tokens: usize,
    data: &OpenDataset,
) -> Result<(), String> {
    if array.item != [tokens] {
        return Err(format!("a row has the shape {:?}, and there are {tokens} tokens", array.item));
    }
    for item in data.dataset.items() {
        let row = array.row(item.row);
        let values = row.numbers();
        if let Some(odd) = values.iter().position(|value| ![0.0, 1.0].contains(value)) {
            let value = row.shown(odd);
            return Err(format!("item `{}` has the value {value} at {odd}", item.id));
        }
        if values.iter().all(|value| *value == 0.0) {
            return Err(format!("item `{}` has no token marked", item.id));
        }
    }
    Ok(())
}
