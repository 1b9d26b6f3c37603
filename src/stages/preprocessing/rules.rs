//! The rules that a declared one is compared with.

use crate::base::language::Above0;
use crate::data::{ChannelOrder, InputRule, Pixels, Samples, Values};

/// The usual rules, and the usual slips from the declared one, that are other rules.
pub(super) fn others(declared: &InputRule, pixels: &[Pixels]) -> Vec<InputRule> {
    let with = |scale: f64, mean: &[f64], std: &[f64]| {
        Above0::new(scale).map(|scale| InputRule {
            scale,
            mean: Values(mean.to_vec()),
            std: Values(std.to_vec()),
            ..declared.clone()
        })
    };
    let (mean, std) = (&declared.mean.0[..], &declared.std.0[..]);
    let scale = declared.scale.get();
    let mut rules = vec![with(scale * 255.0, mean, std), with(scale / 255.0, mean, std)];
    let are_bytes = pixels.iter().all(|item| matches!(item.samples, Samples::Bytes(_)));
    if are_bytes {
        rules.push(with(255.0, &[0.0], &[1.0]));
        rules.push(with(1.0, &[0.0], &[1.0]));
        rules.push(with(127.5, &[1.0], &[1.0]));
    }
    if are_bytes && declared.channels.0 == 3 {
        let (mut mean, mut std) = ([0.485, 0.456, 0.406], [0.229, 0.224, 0.225]);
        let mut means = [123.0, 117.0, 104.0];
        if declared.order == ChannelOrder::Bgr {
            for list in [&mut mean, &mut std, &mut means] {
                list.reverse();
            }
        }
        rules.push(with(255.0, &mean, &std));
        rules.push(with(1.0, &means, &[1.0]));
    }
    let mut others: Vec<InputRule> = Vec::new();
    for rule in rules.into_iter().flatten() {
        if !others.iter().chain([declared]).any(|known| is_same(&rule, known)) {
            others.push(rule);
        }
    }
    if pixels.iter().any(is_coloured) {
        others.push(swapped(declared));
    }
    others
}

/// Red and blue the other way round, with what is taken from each and what each is divided by.
pub(super) fn swapped(rule: &InputRule) -> InputRule {
    let back = |values: &Values| Values(values.0.iter().rev().copied().collect());
    InputRule { mean: back(&rule.mean), std: back(&rule.std), ..reordered(rule) }
}

/// Red and blue the other way round, but for what is taken from each: as where the numbers are those
/// of the model and the order is not.
pub(super) fn reordered(rule: &InputRule) -> InputRule {
    let order = match rule.order {
        ChannelOrder::Rgb => ChannelOrder::Bgr,
        ChannelOrder::Bgr => ChannelOrder::Rgb,
    };
    InputRule { order, ..rule.clone() }
}

/// Whether the channels of a pixel differ anywhere.
fn is_coloured(item: &Pixels) -> bool {
    item.channels == 3
        && match &item.samples {
            Samples::Bytes(values) => values.chunks_exact(3).any(|p| p[0] != p[1] || p[1] != p[2]),
            Samples::Floats(values) => {
                values.chunks_exact(3).any(|p| (p[0] - p[1]).abs() + (p[1] - p[2]).abs() > 0.0)
            }
        }
}

/// What a rule makes of 0 and of 255 in each channel.
fn ends(rule: &InputRule) -> Vec<(f64, f64)> {
    let at = |values: &Values, channel: usize| {
        values.0.get(channel).or(values.0.first()).copied().unwrap_or_default()
    };
    let end = |value: f64, channel: usize| {
        (value / rule.scale.get() - at(&rule.mean, channel)) / at(&rule.std, channel)
    };
    (0..rule.channels.0).map(|channel| (end(0.0, channel), end(255.0, channel))).collect()
}

/// Whether two rules with one order of channels differ by less than a twentieth of the range.
fn is_same(one: &InputRule, other: &InputRule) -> bool {
    ends(one).iter().zip(ends(other)).all(|(one, other)| {
        let near = (one.1 - one.0).abs() / 20.0;
        (one.0 - other.0).abs() <= near && (one.1 - other.1).abs() <= near
    })
}

/// How large inputs are: the range of a rule, averaged over channels.
pub(super) fn range(rule: &InputRule) -> f64 {
    let ends = ends(rule);
    ends.iter().map(|(low, high)| (high - low).abs()).sum::<f64>() / ends.len() as f64
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::Size;

    fn rule(scale: f64, mean: f64) -> InputRule {
        InputRule {
            scale: Above0::new(scale).unwrap(),
            mean: Values(vec![mean]),
            ..InputRule::plain(Size { height: 2, width: 2 }, 3)
        }
    }

    fn pixels(values: [u8; 12]) -> Vec<Pixels> {
        vec![Pixels { height: 2, width: 2, channels: 3, samples: Samples::Bytes(values.to_vec()) }]
    }

    #[test]
    fn rules_that_do_the_same_are_not_compared() {
        let halves = rule(127.5, 1.0);
        let told: Vec<String> =
            others(&halves, &pixels([9; 12])).iter().map(InputRule::written).collect();
        assert_eq!(
            told,
            [
                "{ size: 2, channels: 3, scale: 32512.5, mean: 1 }",
                "{ size: 2, channels: 3, scale: 0.5, mean: 1 }",
                "{ size: 2, channels: 3 }",
                "{ size: 2, channels: 3, scale: 1 }",
                "{ size: 2, channels: 3, mean: [0.485, 0.456, 0.406], std: [0.229, 0.224, 0.225] }",
                "{ size: 2, channels: 3, scale: 1, mean: [123, 117, 104] }",
            ]
        );
        assert_eq!(others(&rule(255.0, 0.0), &pixels([9; 12])).len(), 5);
    }

    #[test]
    fn red_and_blue_are_swapped_only_where_there_is_colour() {
        let mut coloured = [9; 12];
        coloured[4] = 8;
        let orders = |pixels: &[Pixels]| {
            let rules = others(&rule(1.0, 0.0), pixels);
            rules.iter().filter(|rule| rule.order == ChannelOrder::Bgr).count()
        };
        assert_eq!((orders(&pixels([9; 12])), orders(&pixels(coloured))), (0, 1));
    }
}
