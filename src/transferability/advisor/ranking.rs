//! The order in which arms are advised, and the layer that a probe should read.

use serde::{Deserialize, Serialize};

use super::case::{Case, Likeness, Size};

/// How an arm uses a source.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Way {
    /// Not at all: the same network from random weights.
    Scratch,
    /// A probe on a layer, by its place among those that were looked at, the lowest being 0; nothing
    /// if it was not.
    Probe(Option<usize>),
    /// Tuned, with this share of its layer groups frozen.
    Tuned {
        /// From 0 to 1.
        frozen: f64,
        /// Whether what is tuned below the head is tuned gently: at a smaller rate than the head, or
        /// from a head that was fitted first.
        gentle: bool,
        /// Whether upper layers were cut off.
        cut: bool,
    },
    /// Something else, which is no transfer: pixels, the majority, random features.
    Other,
}

impl Way {
    /// The share of what it takes over that stays as it is.
    pub fn frozen(self) -> Option<f64> {
        match self {
            Self::Probe(_) => Some(1.0),
            Self::Tuned { frozen, .. } => Some(frozen),
            Self::Scratch | Self::Other => None,
        }
    }
}

/// An arm that could be advised.
#[derive(Clone, Debug, PartialEq)]
pub struct Candidate {
    /// How it uses its source.
    pub way: Way,
    /// The case of its source; nothing where it has none, or nothing is known of it.
    pub case: Option<Case>,
    /// How much its source is of use, for telling sources apart.
    pub similarity: f64,
    /// The layer of its source that is predicted to be the best, and how many there are.
    pub layer: Option<usize>,
    /// The number of layers of its source.
    pub layers: usize,
    /// Why it cannot be had, if it cannot.
    pub struck: Option<String>,
}

/// What is told of a candidate.
#[derive(Clone, Debug, PartialEq)]
pub struct Ranked {
    /// Its position among those that were given.
    pub candidate: usize,
    /// Whether it is advised at all.
    pub can: bool,
}

/// What an arm is to a row of the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Role {
    ThatLayer,
    OtherLayer,
    Gentle,
    Partly,
    Full,
    Cut,
    Scratch,
}

/// Arms in the order advised for a case. The first of each row are the textbook's, the rest lie
/// between them.
const fn row(case: Case) -> [Role; 7] {
    use Role::{Cut, Full, Gentle, OtherLayer, Partly, Scratch, ThatLayer};
    match (case.size, case.likeness) {
        (Size::Small, Likeness::Similar) => {
            [ThatLayer, Gentle, Partly, OtherLayer, Full, Cut, Scratch]
        }
        (Size::Small, Likeness::Partly) => {
            [ThatLayer, Partly, Gentle, OtherLayer, Full, Cut, Scratch]
        }
        (Size::Small, Likeness::Different) => {
            [ThatLayer, Cut, Full, Scratch, Gentle, Partly, OtherLayer]
        }
        (Size::Medium, Likeness::Different) => {
            [Gentle, Partly, Full, Scratch, ThatLayer, Cut, OtherLayer]
        }
        (Size::Medium, _) => [Gentle, Partly, Full, ThatLayer, OtherLayer, Cut, Scratch],
        (Size::Large, Likeness::Similar) => {
            [Gentle, Full, Partly, ThatLayer, OtherLayer, Cut, Scratch]
        }
        (Size::Large, Likeness::Partly) => {
            [Full, Gentle, Partly, Scratch, ThatLayer, OtherLayer, Cut]
        }
        (Size::Large, Likeness::Different) => {
            [Full, Scratch, Gentle, Partly, Cut, ThatLayer, OtherLayer]
        }
    }
}

/// The layer that a probe should read, of layers in the order of their depth with the error of each
/// (lower is better): the last where the source is similar, the best where it is so in part or data
/// are many, the best of the lower half where it is different.
pub fn predicted_layer(case: Case, errors: &[Option<f64>]) -> Option<usize> {
    let last = errors.len().checked_sub(1)?;
    let best = |until: usize| {
        let known = (0..=until).filter_map(|layer| Some((layer, errors[layer]?)));
        // Of equals the higher one, which is what the model was made for.
        known.min_by(|a, b| a.1.total_cmp(&b.1).then(b.0.cmp(&a.0))).map(|(layer, _)| layer)
    };
    match (case.size, case.likeness) {
        (Size::Small, Likeness::Similar) => Some(last),
        (Size::Small, Likeness::Different) => best(last / 2),
        _ => best(last),
    }
}

/// All candidates, the one that is advised first. Those that cannot be had come last, before them
/// what is no transfer.
pub fn rank(candidates: &[Candidate]) -> Vec<Ranked> {
    // Scratch stands where the source of most use has it.
    let known = candidates.iter().filter(|candidate| candidate.case.is_some());
    let nearest = known.max_by(|a, b| a.similarity.total_cmp(&b.similarity));
    let row_of_scratch = nearest.and_then(|candidate| candidate.case);
    let key = |index: usize| {
        let candidate = &candidates[index];
        let place = place(candidate, row_of_scratch);
        let group = match (&candidate.struck, place) {
            (Some(_), _) => 2,
            (None, None) => 1,
            (None, Some(_)) => 0,
        };
        let (place, within) = place.unwrap_or_default();
        (group, place, within, -candidate.similarity)
    };
    let mut order: Vec<usize> = (0..candidates.len()).collect();
    order.sort_by(|&a, &b| {
        let (a, b) = (key(a), key(b));
        a.0.cmp(&b.0).then(a.1.cmp(&b.1)).then(a.2.total_cmp(&b.2)).then(a.3.total_cmp(&b.3))
    });
    let ranked = |index: usize| Ranked {
        candidate: index,
        can: candidates[index].struck.is_none()
            && place(&candidates[index], row_of_scratch).is_some(),
    };
    order.into_iter().map(ranked).collect()
}

/// Where an arm stands in the row of its case, and among those that stand there with it.
fn place(candidate: &Candidate, row_of_scratch: Option<Case>) -> Option<(usize, f64)> {
    let (role, within) = role(candidate)?;
    let case = match role {
        Role::Scratch => row_of_scratch?,
        _ => candidate.case?,
    };
    Some((row(case).iter().position(|other| *other == role)?, within))
}

/// What an arm is to its case, and how far it is from the middle of that role.
fn role(candidate: &Candidate) -> Option<(Role, f64)> {
    let predicted = candidate.layer;
    let last = candidate.layers.checked_sub(1);
    let probe = |layer: Option<usize>| match (layer, predicted) {
        (Some(layer), Some(predicted)) if layer == predicted => (Role::ThatLayer, 0.0),
        (Some(layer), Some(predicted)) => (Role::OtherLayer, layer.abs_diff(predicted) as f64),
        _ => (Role::OtherLayer, f64::MAX),
    };
    Some(match candidate.way {
        Way::Scratch => (Role::Scratch, 0.0),
        Way::Probe(layer) => probe(layer),
        Way::Tuned { cut: true, .. } => (Role::Cut, 0.0),
        // A head alone that learns is a probe on the last layer.
        Way::Tuned { frozen, .. } if frozen >= 1.0 => {
            let (role, far) = probe(last);
            (role, far + 0.5)
        }
        Way::Tuned { gentle: true, frozen, .. } => (Role::Gentle, frozen),
        Way::Tuned { frozen, .. } if frozen > 0.0 => (Role::Partly, (frozen - 0.5).abs()),
        Way::Tuned { .. } => (Role::Full, 0.0),
        Way::Other => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tuned(frozen: f64, gentle: bool) -> Way {
        Way::Tuned { frozen, gentle, cut: false }
    }

    fn order(size: Size, likeness: Likeness, layer: usize, ways: &[Way]) -> Vec<usize> {
        let case = Case { size, likeness };
        let candidate = |way: &Way| Candidate {
            way: *way,
            case: (*way != Way::Scratch).then_some(case),
            similarity: 0.5,
            layer: Some(layer),
            layers: 3,
            struck: None,
        };
        let candidates: Vec<Candidate> = ways.iter().map(candidate).collect();
        rank(&candidates).into_iter().map(|ranked| ranked.candidate).collect()
    }

    const LAST: Way = Way::Probe(Some(2));
    const FIRST: Way = Way::Probe(Some(0));

    #[test]
    fn each_case_begins_with_what_the_textbook_says() {
        let ways =
            [Way::Scratch, tuned(0.0, false), tuned(0.5, false), tuned(0.0, true), FIRST, LAST];
        let order = |size, likeness, layer| order(size, likeness, layer, &ways);
        // Probe on the last layer; then gentle tuning.
        assert_eq!(order(Size::Small, Likeness::Similar, 2), [5, 3, 2, 4, 1, 0]);
        // A probe on an earlier layer; then the lower half frozen.
        assert_eq!(order(Size::Small, Likeness::Partly, 0), [4, 2, 3, 5, 1, 0]);
        assert_eq!(order(Size::Small, Likeness::Different, 0), [4, 1, 0, 3, 2, 5]);
        assert_eq!(order(Size::Medium, Likeness::Similar, 2), [3, 2, 1, 5, 4, 0]);
        assert_eq!(order(Size::Large, Likeness::Similar, 2), [3, 1, 2, 5, 4, 0]);
        // Tuned and scratch, both at full budget.
        assert_eq!(order(Size::Large, Likeness::Different, 2), [1, 0, 3, 2, 5, 4]);
    }

    #[test]
    fn what_is_no_transfer_and_what_does_not_fit_come_last() {
        let case = Case { size: Size::Small, likeness: Likeness::Similar };
        let candidate = |way, struck: Option<&str>| Candidate {
            way,
            case: Some(case),
            similarity: 0.7,
            layer: Some(2),
            layers: 3,
            struck: struck.map(str::to_owned),
        };
        let candidates = [
            candidate(LAST, Some("too large")),
            candidate(Way::Other, None),
            candidate(tuned(0.0, false), None),
        ];
        let ranked = rank(&candidates);
        let order: Vec<(usize, bool)> = ranked.iter().map(|r| (r.candidate, r.can)).collect();
        assert_eq!(order, [(2, true), (1, false), (0, false)]);
    }

    #[test]
    fn of_two_sources_the_one_of_more_use_comes_first() {
        let case = Case { size: Size::Small, likeness: Likeness::Similar };
        let candidate = |similarity| Candidate {
            way: LAST,
            case: Some(case),
            similarity,
            layer: Some(2),
            layers: 3,
            struck: None,
        };
        let ranked = rank(&[candidate(0.7), candidate(0.9)]);
        assert_eq!(ranked[0].candidate, 1);
    }

    #[test]
    fn a_head_alone_that_learns_is_a_probe_on_the_last_layer() {
        assert_eq!(
            order(Size::Small, Likeness::Similar, 2, &[tuned(1.0, false), LAST, FIRST]),
            [1, 0, 2]
        );
    }

    #[test]
    fn the_layer_is_the_last_the_best_or_the_best_of_the_lower_half() {
        let errors = [Some(0.3), Some(0.2), Some(0.1), Some(0.1), Some(0.4)];
        let layer = |size, likeness| predicted_layer(Case { size, likeness }, &errors);
        assert_eq!(layer(Size::Small, Likeness::Similar), Some(4));
        assert_eq!(layer(Size::Small, Likeness::Partly), Some(3));
        assert_eq!(layer(Size::Small, Likeness::Different), Some(2));
        assert_eq!(layer(Size::Large, Likeness::Different), Some(3));
        let case = Case { size: Size::Small, likeness: Likeness::Partly };
        assert_eq!(predicted_layer(case, &[]), None);
        assert_eq!(predicted_layer(case, &[None, None]), None);
    }
}
