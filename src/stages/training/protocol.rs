//! Published protocols by name: what each fills in, and what of it is not done.

use serde_json::json;

use crate::autodiff::{AdamW, Optimiser, Sgd};
use crate::base::language::{Above0, Count, Fraction, Natural, OneOrMore, Share, choice, defaults};
use crate::base::{Located, Place, Problem};
use crate::train::{Moment, Schedule, Unfreeze};

use super::super::effort::written;
use super::super::site::Site;
use super::options::{HeadInit, Options, Training};
use super::rates::Rates;

choice! {
    /// A published protocol.
    pub enum Protocol {
        /// The rule of Big Transfer (Kolesnikov et al. 2020): SGD at 0.003 in batches of 512; 500
        /// steps for less than 20,000 items, 10,000 for less than 500,000, else 20,000.
        "bit-hyperrule" => BitHyperrule,
        /// The script published with VTAB (Zhai et al. 2019): 1,000 steps of SGD at 0.01 in batches
        /// of 64.
        "vtab-1k" => Vtab1k,
        /// fastai's `fine_tune`: an epoch of the head alone, then everything at rates that fall to a
        /// hundredth at the input.
        "fastai" => Fastai,
        /// A linear probe first, then everything from there (Kumar et al. 2022).
        "lp-ft" => LpFt,
        /// The training of `MedMNIST` v2 (Yang et al. 2023): 100 epochs of Adam at 0.001.
        "medmnist" => Medmnist,
        /// The fine-tuning of Kornblith et al. (2019): 20,000 steps of Nesterov's SGD at seven rates.
        "kornblith" => Kornblith,
    }
}

/// One key with its value.
struct Setting {
    key: &'static str,
    set: fn(&mut Options, &Options),
}

/// What a protocol asks for.
struct Preset {
    options: Options,
    keys: Vec<&'static str>,
    /// Keys without which it is another protocol.
    core: &'static [&'static str],
    /// What of it is not done.
    left: Vec<&'static str>,
}

/// All keys that a protocol may fill in.
const SETTINGS: [Setting; 13] = [
    Setting { key: "epochs", set: |to, from| to.epochs.clone_from(&from.epochs) },
    Setting { key: "steps", set: |to, from| to.steps.clone_from(&from.steps) },
    Setting { key: "batch", set: |to, from| to.batch = from.batch },
    Setting { key: "lr", set: |to, from| to.lr.clone_from(&from.lr) },
    Setting { key: "optimizer", set: |to, from| to.optimizer.clone_from(&from.optimizer) },
    Setting { key: "schedule", set: |to, from| to.schedule.clone_from(&from.schedule) },
    Setting { key: "mixup", set: |to, from| to.mixup = from.mixup },
    Setting { key: "unfreeze", set: |to, from| to.unfreeze.clone_from(&from.unfreeze) },
    Setting {
        key: "decay_per_group",
        set: |to, from| to.decay_per_group.clone_from(&from.decay_per_group),
    },
    Setting { key: "lowest_lr", set: |to, from| to.lowest_lr.clone_from(&from.lowest_lr) },
    Setting { key: "head_init", set: |to, from| to.head_init.clone_from(&from.head_init) },
    Setting { key: "patience", set: |to, from| to.patience = from.patience },
    Setting { key: "clip", set: |to, from| to.clip = from.clip },
];

/// Keys that stand for each other: who says one has said the other.
const INSTEAD: [(&str, &str); 4] = [
    ("epochs", "steps"),
    ("steps", "epochs"),
    ("decay_per_group", "lowest_lr"),
    ("lowest_lr", "decay_per_group"),
];

impl Training {
    /// The training with what its protocol fills in, for this many training items. Tells what that
    /// is, and adds a problem where the file says the opposite of what makes up the protocol.
    pub(in super::super) fn settled(
        &self,
        items: usize,
        random: bool,
        site: &mut Site,
    ) -> Option<Self> {
        let Some(protocol) = &self.protocol else { return Some(self.clone()) };
        let preset = protocol.preset(items);
        let mut told = Told { word: protocol.word(), ..Told::default() };
        let mut settled = self.clone();
        let mut contradicted = false;
        for key in &preset.keys {
            match self.compared(key, &preset, random) {
                Compared::Same => {}
                Compared::Contradicted(place) => {
                    contradicted = true;
                    site.problem(told.contradiction(place, &preset.told(key)));
                }
                Compared::Kept(key) => told.kept.push(format!("`{key}`")),
                Compared::Held => told.held.push(format!("`{key}`")),
                Compared::Filled => {
                    preset.set(key, &mut settled);
                    told.filled.push(preset.told(key));
                }
            }
        }
        site.note(told.note(&preset.left));
        (!contradicted).then_some(settled)
    }

    /// What becomes of a key of a preset.
    fn compared<'a>(&self, key: &'a str, preset: &Preset, random: bool) -> Compared<'a> {
        let instead = INSTEAD.iter().find(|(one, _)| *one == key).map(|(_, other)| *other);
        let held = random && preset.only_for_pretrained(key);
        let said = self.said(key).map(|place| (key, place));
        match said.or_else(|| Some((instead?, self.said(instead?)?))) {
            Some(_) if json!(preset.options)[key] == json!(**self)[key] => Compared::Same,
            Some((_, place)) if preset.core.contains(&key) && !held => {
                Compared::Contradicted(place)
            }
            Some((said, _)) => Compared::Kept(said),
            None if held => Compared::Held,
            None => Compared::Filled,
        }
    }
}

/// What becomes of a key of a preset.
enum Compared<'a> {
    /// The file says the same.
    Same,
    /// The file says otherwise, which makes it another protocol.
    Contradicted(Place),
    /// The file says otherwise, by this key.
    Kept(&'a str),
    /// It would only hold random weights back.
    Held,
    /// It is filled in.
    Filled,
}

/// What a reader is told of a protocol.
#[derive(Default)]
struct Told {
    word: String,
    filled: Vec<String>,
    kept: Vec<String>,
    held: Vec<String>,
}

impl Told {
    fn contradiction(&self, place: Place, asked: &str) -> Problem {
        let word = &self.word;
        Problem::at(place, format!("`{word}` is made up by {asked}"))
            .help(format!("leave this out, or leave `protocol: {word}` out"))
    }

    fn note(&self, left: &[&str]) -> String {
        let mut note = vec![format!("protocol `{}` fills in {}", self.word, listed(&self.filled))];
        if !self.kept.is_empty() {
            note.push(format!("the file's own {} stays", listed(&self.kept)));
        }
        if !self.held.is_empty() {
            note.push(format!("random weights start without its {}", listed(&self.held)));
        }
        note.push(format!("not done: {}", left.join(", ")));
        note.join("; ")
    }
}

impl Preset {
    /// A key with its value, as it would be written.
    fn told(&self, key: &str) -> String {
        format!("`{key}: {}`", written(&json!(self.options)[key]))
    }

    fn set(&self, key: &str, options: &mut Options) {
        if let Some(setting) = SETTINGS.iter().find(|setting| setting.key == key) {
            (setting.set)(options, &self.options);
        }
    }

    /// What makes sense for weights that were learnt before, and would only hold random ones back.
    fn only_for_pretrained(&self, key: &str) -> bool {
        match key {
            "head_init" => self.options.head_init.value == HeadInit::Probe,
            key => ["unfreeze", "decay_per_group", "lowest_lr"].contains(&key),
        }
    }
}

fn listed(words: &[String]) -> String {
    if words.is_empty() { "nothing".to_owned() } else { words.join(", ") }
}

impl Protocol {
    /// The word it is written with.
    fn word(&self) -> String {
        written(&json!(self))
    }

    fn preset(&self, items: usize) -> Preset {
        let mut options: Options = defaults();
        // None of them stops early.
        options.patience = Natural(0);
        let mut preset = match self {
            Self::BitHyperrule => bit_hyperrule(options, items),
            Self::Vtab1k => vtab_1k(options),
            Self::Fastai => fastai(options),
            Self::LpFt => lp_ft(options),
            Self::Medmnist => medmnist(options),
            Self::Kornblith => kornblith(options),
        };
        preset.keys.push("patience");
        preset.left.push("its last weights (the best on val are kept)");
        preset
    }
}

fn sgd(nesterov: bool) -> Optimiser {
    Optimiser::Sgd(Sgd { nesterov, ..defaults() })
}

fn located<T>(value: T) -> Located<T> {
    Located::new(value, Place::default())
}

fn rates(rates: &[f64]) -> Rates {
    Rates::from(rates)
}

/// A tenth at each of these shares of the steps, after a linear rise.
fn tenths(at: &[f64], warmup: Option<f64>) -> Schedule {
    let at = OneOrMore(at.iter().map(|share| Moment::Share(*share)).collect());
    Schedule::stairs(at, warmup.map(Moment::Share))
}

/// Steps, warm-up and stairs by size: below 20,000 items 500 / 100 / 200, 300, 400; below 500,000
/// 10,000 / 500 / 3,000, 6,000, 9,000; else 20,000 / 500 / 6,000, 12,000, 18,000. Mixup from 20,000 on.
fn bit_hyperrule(mut options: Options, items: usize) -> Preset {
    let (count, warmup, stairs) = match items {
        ..20_000 => (500, 100.0, [0.4, 0.6, 0.8]),
        20_000..500_000 => (10_000, 500.0, [0.3, 0.6, 0.9]),
        _ => (20_000, 500.0, [0.3, 0.6, 0.9]),
    };
    options.steps = Some(located(Natural(count)));
    options.schedule = tenths(&stairs, Some(warmup / count as f64));
    options.batch = Count(512);
    options.lr = rates(&[3e-3]);
    options.optimizer = sgd(false);
    options.head_init = located(HeadInit::Zero);
    let mut keys = vec!["steps", "batch", "lr", "optimizer", "schedule", "head_init"];
    if items >= 20_000 {
        options.mixup = Above0::new(0.1);
        keys.push("mixup");
    }
    let left = vec![
        "its image sizes (160 cropped to 128, or 512 cropped to 480: say `size` of the model's `input`)",
        "its random crops and flips",
    ];
    Preset { options, keys, core: &["schedule", "head_init"], left }
}

fn vtab_1k(mut options: Options) -> Preset {
    options.steps = Some(located(Natural(1000)));
    options.schedule = tenths(&[0.3, 0.6, 0.9], Some(0.08));
    options.batch = Count(64);
    options.lr = rates(&[1e-2]);
    options.optimizer = sgd(false);
    let keys = vec!["steps", "batch", "lr", "optimizer", "schedule"];
    let left = vec![
        "its 800 training and 200 val items (say `train_size` and `split`)",
        "its last fit on all 1,000",
        "its image size (224: say `size` of the model's `input`)",
    ];
    Preset { options, keys, core: &["schedule"], left }
}

/// `fine_tune` of fastai: `fit_one_cycle(1, 2e-3, pct_start=0.99)` of the head, then
/// `fit_one_cycle(n, slice(1e-5, 1e-3), pct_start=0.3, div=5)`.
fn fastai(mut options: Options) -> Preset {
    options.batch = Count(64);
    options.lr = rates(&[1e-3]);
    options.optimizer = Optimiser::AdamW(AdamW {
        beta2: Share::new(0.99).expect("below 1"),
        epsilon: Above0::new(1e-5).expect("above 0"),
        ..defaults()
    });
    options.schedule = Schedule::one_cycle(0.3, 5.0);
    options.unfreeze = located(Unfreeze::head_first(1, 2.0, Schedule::one_cycle(0.99, 25.0)));
    options.lowest_lr = Fraction::new(0.01).map(located);
    let keys = vec!["batch", "lr", "optimizer", "schedule", "unfreeze", "lowest_lr"];
    let left = vec![
        "its cycle of the momentum",
        "its training of frozen normalisations",
        "its augmentation",
        "its two-layer head",
    ];
    Preset { options, keys, core: &["schedule", "unfreeze"], left }
}

fn lp_ft(mut options: Options) -> Preset {
    options.epochs = Some(located(Count(20)));
    options.schedule = Schedule::Cosine(defaults());
    options.batch = Count(64);
    options.lr = rates(&[3e-7, 1e-6, 3e-6, 1e-5, 3e-5, 1e-4, 3e-4, 1e-3, 3e-3, 1e-2]);
    options.optimizer = sgd(false);
    options.head_init = located(HeadInit::Probe);
    let keys = vec!["epochs", "batch", "lr", "optimizer", "schedule", "head_init"];
    Preset { options, keys, core: &["head_init"], left: vec!["its augmentation"] }
}

fn medmnist(mut options: Options) -> Preset {
    options.epochs = Some(located(Count(100)));
    options.schedule = tenths(&[0.5, 0.75], None);
    options.batch = Count(128);
    options.lr = rates(&[1e-3]);
    let none = Share::new(0.0).expect("below 1");
    options.optimizer = Optimiser::AdamW(AdamW { weight_decay: none, ..defaults() });
    let keys = vec!["epochs", "batch", "lr", "optimizer", "schedule"];
    let left = vec!["its image sizes (28 or 224: say `size` of the model's `input`)"];
    Preset { options, keys, core: &["schedule"], left }
}

fn kornblith(mut options: Options) -> Preset {
    options.steps = Some(located(Natural(20_000)));
    options.schedule = Schedule::Cosine(defaults());
    options.batch = Count(256);
    let seven: Vec<f64> = (0..7).map(|k| 10_f64.powf(-4.0 + f64::from(k) / 2.0)).collect();
    options.lr = rates(&seven);
    options.optimizer = sgd(true);
    let keys = vec!["steps", "batch", "lr", "optimizer", "schedule"];
    let left = vec![
        "its grid of weight decays (none is applied: say `optimizer`)",
        "its pace of normalisation statistics (the model's own is kept)",
        "its random crops and flips",
    ];
    Preset { options, keys, core: &["schedule"], left }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rate(protocol: &Protocol, items: usize, step: usize) -> f64 {
        let options = protocol.preset(items).options;
        let total = options.steps.as_ref().map_or(0, |steps| steps.0);
        let Rates::Listed(rates) = &options.lr else { panic!("rates are listed") };
        rates[0].get() * options.schedule.factor(step, total)
    }

    #[test]
    fn the_rule_of_big_transfer_depends_on_the_number_of_items() {
        let steps = |items| Protocol::BitHyperrule.preset(items).options.steps.unwrap().0;
        assert_eq!(
            [100, 19_999, 20_000, 499_999, 500_000].map(steps),
            [500, 500, 10_000, 10_000, 20_000]
        );
        let mixup = |items| Protocol::BitHyperrule.preset(items).options.mixup.map(Above0::get);
        assert_eq!((mixup(19_999), mixup(20_000)), (None, Some(0.1)));
    }

    #[test]
    fn stairs_stand_where_they_were_published() {
        let near = |found: f64, expected: f64| {
            assert!((found - expected).abs() < 1e-12 * expected.max(1e-9), "{found} {expected}");
        };
        let bit = |items, step| rate(&Protocol::BitHyperrule, items, step);
        near(bit(100, 49), 1.5e-3);
        for (step, expected) in [(99, 3e-3), (199, 3e-3), (200, 3e-4), (300, 3e-5), (400, 3e-6)] {
            near(bit(100, step), expected);
        }
        for (step, expected) in [(500, 3e-3), (3000, 3e-4), (6000, 3e-5), (9000, 3e-6)] {
            near(bit(20_000, step), expected);
        }
        for (step, expected) in [(500, 3e-3), (6000, 3e-4), (12_000, 3e-5), (18_000, 3e-6)] {
            near(bit(500_000, step), expected);
        }
        let vtab = |step| rate(&Protocol::Vtab1k, 800, step);
        for (step, expected) in [(79, 1e-2), (299, 1e-2), (300, 1e-3), (600, 1e-4), (900, 1e-5)] {
            near(vtab(step), expected);
        }
    }

    #[test]
    fn the_rates_of_kornblith_are_half_a_decade_apart() {
        let Rates::Listed(rates) = Protocol::Kornblith.preset(1).options.lr else { panic!() };
        let logs: Vec<f64> = rates.iter().map(|rate| rate.get().log10()).collect();
        for (log, expected) in logs.iter().zip([-4.0, -3.5, -3.0, -2.5, -2.0, -1.5, -1.0]) {
            assert!((log - expected).abs() < 1e-9, "{logs:?}");
        }
    }
}
