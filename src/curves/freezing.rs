//! What freezing costs at each depth: co-adaptation against specificity (Yosinski et al. 2014).

use ndarray::{Array2, Axis};
use serde::{Deserialize, Serialize};

use crate::stats::{LEVEL, NEUTRAL_MASS, TwoWay, holm, units};

/// The scores of an arm: for each seed, what each test item contributes, higher being better; none
/// for a seed that failed.
pub type SeedItems = Vec<Option<Vec<f64>>>;

/// Five arms at one depth, as far as they are there. A is the source, B the target.
#[derive(Clone, Debug, Default)]
pub struct SweepArm {
    /// `AnB`: the source's layers up to the depth, frozen.
    pub frozen: Option<SeedItems>,
    /// `AnB+`: the same, learning.
    pub tuned: Option<SeedItems>,
    /// `BnB`: the baseline's own layers up to the depth, frozen.
    pub self_frozen: Option<SeedItems>,
    /// `BnB+`: the same, learning.
    pub self_tuned: Option<SeedItems>,
}

/// A sweep over depths, ascending, of one source.
#[derive(Clone, Debug)]
pub struct Arms {
    /// `baseB`: the target from scratch.
    pub base: SeedItems,
    /// The arms at each depth.
    pub depths: Vec<SweepArm>,
    /// The group of each item, if items have groups.
    pub groups: Option<Vec<usize>>,
}

/// A difference of two of the arms.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EffectKind {
    /// `baseB - BnB`: what is lost when layers that learnt together are parted.
    Coadapt,
    /// `BnB - AnB`: what is lost as the source's layers are not the target's.
    Specificity,
    /// `baseB - AnB`: both together.
    Loss,
    /// `AnB+ - AnB`: what comes back when the source's layers learn too.
    Recovery,
    /// `AnB+ - BnB+`: what the source gives, beside longer training.
    Gain,
    /// `BnB+ - baseB`: what longer training alone gives.
    Retraining,
}

impl EffectKind {
    /// All of them, in the order of tables.
    pub const ALL: [Self; 6] = [
        Self::Coadapt,
        Self::Specificity,
        Self::Loss,
        Self::Recovery,
        Self::Gain,
        Self::Retraining,
    ];

    /// What is taken from what; or the arm that is not there.
    fn sides<'a>(
        self,
        base: &'a SeedItems,
        at: &'a SweepArm,
    ) -> Result<[&'a SeedItems; 2], &'static str> {
        let frozen = at.frozen.as_ref().ok_or("frozen");
        let tuned = at.tuned.as_ref().ok_or("tuned");
        let self_frozen = at.self_frozen.as_ref().ok_or("self_frozen");
        let self_tuned = at.self_tuned.as_ref().ok_or("self_tuned");
        Ok(match self {
            Self::Coadapt => [base, self_frozen?],
            Self::Specificity => [self_frozen?, frozen?],
            Self::Loss => [base, frozen?],
            Self::Recovery => [tuned?, frozen?],
            Self::Gain => [tuned?, self_tuned?],
            Self::Retraining => [self_tuned?, base],
        })
    }
}

/// One effect at one depth.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Effect {
    /// Which.
    pub kind: EffectKind,
    /// Position of the depth.
    pub depth: usize,
    /// The mean difference over seeds and items with its error; none where it cannot be told.
    pub two_way: Option<TwoWay>,
    /// Why not.
    pub reason: Option<String>,
    /// p of "no difference", corrected by Holm's method over the depths.
    pub p_holm: Option<f64>,
    /// p of "no more than the rope", two-sided as intervals are; at most 5 % where the 95 % interval
    /// lies above the rope.
    pub p_beyond: Option<f64>,
    /// The same, corrected over the depths.
    pub p_beyond_holm: Option<f64>,
}

impl Effect {
    /// Whether it is larger than the rope, corrected over the depths; none where it cannot be told.
    fn is_beyond(&self) -> Option<bool> {
        self.p_beyond_holm.map(|p| p <= LEVEL)
    }
}

/// What one depth shows. None where arms are missing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finding {
    /// Co-adaptation beyond the rope that goes away when all layers learn again.
    pub fragile: Option<bool>,
    /// Whether `BnB+` is shown to be within the rope of `baseB`; if not, it is only not shown to be
    /// outside, where `fragile` is true.
    pub recovered: Option<bool>,
    /// Specificity beyond the rope.
    pub specific: Option<bool>,
}

/// Frozen layers of the baseline are worse in the middle than at the depths beside it.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Dip {
    /// Position of the depth.
    pub depth: usize,
    /// The larger p of both differences, two-sided as intervals are, corrected over the middle depths.
    pub p_holm: f64,
}

/// What a sweep shows.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Sweep {
    /// Every effect at every depth, depth by depth.
    pub effects: Vec<Effect>,
    /// What each depth shows.
    pub findings: Vec<Finding>,
    /// The deepest dip that is shown.
    pub dip: Option<Dip>,
    /// Whether specificity grows with depth; none where it is not known at two depths.
    pub specificity_grows: Option<bool>,
}

impl Arms {
    /// All effects with their intervals over seeds and items; `rope` is half the width of what is no
    /// difference.
    #[must_use]
    pub fn sweep(&self, rope: f64) -> Sweep {
        let mut effects: Vec<Effect> = (0..self.depths.len())
            .flat_map(|depth| EffectKind::ALL.map(|kind| self.effect(kind, depth, rope)))
            .collect();
        for kind in EffectKind::ALL {
            correct(&mut effects, kind);
        }
        let at = |kind, depth| effects.iter().find(|e| e.kind == kind && e.depth == depth);
        let findings = (0..self.depths.len()).map(|depth| Finding {
            fragile: fragile(
                at(EffectKind::Coadapt, depth),
                at(EffectKind::Retraining, depth),
                rope,
            ),
            recovered: at(EffectKind::Retraining, depth)
                .and_then(|effect| Some(effect.two_way?.masses(rope).within >= NEUTRAL_MASS)),
            specific: at(EffectKind::Specificity, depth).and_then(Effect::is_beyond),
        });
        let findings = findings.collect();
        let specificity: Vec<f64> = (0..self.depths.len())
            .filter_map(|depth| Some(at(EffectKind::Specificity, depth)?.two_way?.mean))
            .collect();
        let specificity_grows = grows_with_depth(&specificity, rope);
        Sweep { dip: self.dip(), effects, findings, specificity_grows }
    }

    fn effect(&self, kind: EffectKind, depth: usize, rope: f64) -> Effect {
        let sides = kind.sides(&self.base, &self.depths[depth]);
        let missing = |arm: &str| format!("there is no arm `{arm}` at this depth");
        let told = sides.map_err(missing).and_then(|[one, other]| {
            self.two_way(one, other).ok_or_else(|| "fewer than 2 seeds have both arms".to_owned())
        });
        let two_way = told.as_ref().ok().copied();
        let p_beyond = two_way.map(|found| (2.0 * (1.0 - found.probability_above(rope))).min(1.0));
        let reason = told.err();
        Effect { kind, depth, two_way, reason, p_holm: None, p_beyond, p_beyond_holm: None }
    }

    fn two_way(&self, one: &SeedItems, other: &SeedItems) -> Option<TwoWay> {
        let rows: Vec<Vec<f64>> = one
            .iter()
            .zip(other)
            .filter_map(|(a, b)| Some((a.as_ref()?, b.as_ref()?)))
            .map(|(a, b)| a.iter().zip(b).map(|(a, b)| a - b).collect())
            .collect();
        let mut differences = Array2::zeros((rows.len(), rows.first()?.len()));
        for (mut row, values) in differences.axis_iter_mut(Axis(0)).zip(&rows) {
            row.iter_mut().zip(values).for_each(|(cell, value)| *cell = *value);
        }
        TwoWay::of(&units(&differences, self.groups.as_deref()).ok()?)
    }

    /// The depth at which `BnB` lies below both of its neighbours, each shown alone.
    fn dip(&self) -> Option<Dip> {
        let own = |depth: usize| self.depths.get(depth)?.self_frozen.as_ref();
        let middle: Vec<usize> = (1..self.depths.len().saturating_sub(1)).collect();
        let p = |&depth: &usize| {
            let lower = |beside: usize| {
                let found = self.two_way(own(beside)?, own(depth)?)?;
                Some((2.0 * (1.0 - found.probability_above(0.0))).min(1.0))
            };
            Some(lower(depth - 1)?.max(lower(depth + 1)?))
        };
        let p: Vec<f64> = middle.iter().map(|depth| p(depth).unwrap_or(f64::NAN)).collect();
        let shown = middle.into_iter().zip(holm(&p)).filter(|(_, p)| *p <= LEVEL);
        let deepest = shown.min_by(|one, other| one.1.total_cmp(&other.1));
        deepest.map(|(depth, p_holm)| Dip { depth, p_holm })
    }
}

/// Corrects one kind of effect over the depths.
fn correct(effects: &mut [Effect], kind: EffectKind) {
    let own: Vec<usize> = (0..effects.len()).filter(|&at| effects[at].kind == kind).collect();
    let corrected = |of: fn(&Effect) -> Option<f64>| {
        let p: Vec<f64> = own.iter().map(|&at| of(&effects[at]).unwrap_or(f64::NAN)).collect();
        holm(&p).into_iter().map(|p| Some(p).filter(|p| !p.is_nan())).collect::<Vec<_>>()
    };
    let plain = corrected(|effect| effect.two_way.map(|found| found.p));
    let beyond = corrected(|effect| effect.p_beyond);
    for ((&at, plain), beyond) in own.iter().zip(plain).zip(beyond) {
        effects[at].p_holm = plain;
        effects[at].p_beyond_holm = beyond;
    }
}

/// Co-adaptation beyond the rope, where `BnB+` is not shown to be below the rope.
fn fragile(coadapt: Option<&Effect>, retraining: Option<&Effect>, rope: f64) -> Option<bool> {
    let beyond = coadapt?.is_beyond()?;
    let (_, high) = retraining?.two_way?.interval(1.0 - LEVEL);
    Some(beyond && high >= -rope)
}

/// Whether a number grows from the first depth to the last by more than the rope, and nowhere falls by
/// more; none of fewer than two.
fn grows_with_depth(means: &[f64], rope: f64) -> Option<bool> {
    let (first, last) = (means.first()?, means.last()?);
    let falls = means.windows(2).any(|pair| pair[1] < pair[0] - rope);
    (means.len() > 1).then_some(last - first > rope && !falls)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::Seed;

    /// Five seeds of 400 items, a share of which is right; the same items are hard for all arms.
    fn arm(share: f64, name: &str) -> SeedItems {
        let hardness: Vec<f64> = {
            let mut stream = Seed(9).stream("items", "hardness");
            (0..400).map(|_| stream.uniform()).collect()
        };
        let seed = |seed: u64| {
            let mut stream = Seed(seed).stream("test", name);
            let right = |hard: &f64| {
                let noisy = 0.9 * hard + 0.1 * stream.uniform();
                f64::from(u8::from(noisy < share))
            };
            Some(hardness.iter().map(right).collect())
        };
        (0..5).map(seed).collect()
    }

    fn sweep(own: [f64; 3], source: [f64; 3]) -> Arms {
        let depth = |at: usize| SweepArm {
            frozen: Some(arm(source[at], &format!("frozen {at}"))),
            tuned: Some(arm(0.92, &format!("tuned {at}"))),
            self_frozen: Some(arm(own[at], &format!("self frozen {at}"))),
            self_tuned: Some(arm(0.90, &format!("self tuned {at}"))),
        };
        Arms { base: arm(0.90, "base"), depths: (0..3).map(depth).collect(), groups: None }
    }

    #[test]
    fn coadaptation_is_a_dip_and_specificity_grows() {
        let found = sweep([0.90, 0.78, 0.89], [0.89, 0.70, 0.55]).sweep(0.01);
        let fragile: Vec<_> = found.findings.iter().map(|finding| finding.fragile).collect();
        assert_eq!(fragile, [Some(false), Some(true), Some(false)]);
        let specific: Vec<_> = found.findings.iter().map(|finding| finding.specific).collect();
        assert_eq!(specific, [Some(false), Some(true), Some(true)]);
        assert_eq!(found.dip.map(|dip| dip.depth), Some(1));
        assert_eq!(found.specificity_grows, Some(true));
    }

    #[test]
    fn the_loss_is_coadaptation_and_specificity_together() {
        let found = sweep([0.88, 0.80, 0.86], [0.85, 0.70, 0.60]).sweep(0.01);
        let mean = |kind, depth| {
            let is = |effect: &&Effect| effect.kind == kind && effect.depth == depth;
            found.effects.iter().find(is).unwrap().two_way.unwrap().mean
        };
        for depth in 0..3 {
            let parts = mean(EffectKind::Coadapt, depth) + mean(EffectKind::Specificity, depth);
            assert!((mean(EffectKind::Loss, depth) - parts).abs() < 1e-12);
        }
    }

    #[test]
    fn alike_arms_show_nothing() {
        let found = sweep([0.90; 3], [0.90; 3]).sweep(0.01);
        assert!(
            found.findings.iter().all(|f| f.fragile == Some(false) && f.specific == Some(false))
        );
        assert_eq!((found.dip, found.specificity_grows), (None, Some(false)));
    }

    #[test]
    fn coadaptation_that_does_not_come_back_is_not_fragile() {
        let mut arms = sweep([0.90, 0.78, 0.89], [0.89, 0.70, 0.55]);
        arms.depths[1].self_tuned = Some(arm(0.70, "never recovers"));
        assert_eq!(arms.sweep(0.01).findings[1].fragile, Some(false));
    }

    #[test]
    fn without_the_selffer_the_loss_is_told_and_the_rest_has_a_reason() {
        let mut arms = sweep([0.90; 3], [0.85, 0.70, 0.60]);
        for depth in &mut arms.depths {
            (depth.self_frozen, depth.self_tuned) = (None, None);
        }
        let found = arms.sweep(0.01);
        let told = |kind| {
            let own = found.effects.iter().filter(move |effect| effect.kind == kind);
            own.map(|effect| effect.reason.clone()).collect::<Vec<_>>()
        };
        assert_eq!(told(EffectKind::Loss), [None, None, None]);
        let missing = Some("there is no arm `self_frozen` at this depth".to_owned());
        assert_eq!(told(EffectKind::Coadapt), [missing.clone(), missing.clone(), missing]);
        assert!(found.findings.iter().all(|finding| finding.fragile.is_none()));
        assert_eq!((found.dip, found.specificity_grows), (None, None));
    }

    #[test]
    fn p_is_corrected_over_the_depths_of_one_effect() {
        let found = sweep([0.90, 0.78, 0.89], [0.89, 0.70, 0.55]).sweep(0.01);
        for effect in &found.effects {
            let (plain, corrected) = (effect.two_way.unwrap().p, effect.p_holm.unwrap());
            assert!(corrected >= plain && effect.p_beyond_holm >= effect.p_beyond);
        }
    }
}
