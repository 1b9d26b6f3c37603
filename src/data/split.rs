//! Who is trained on, who chooses, who is tested. The test part is the same for every seed;
//! what is drawn from the rest belongs to the seed. Groups never stand on two sides.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value as Json, json};
use thiserror::Error;

use crate::base::language::{Count, Fraction, Range, Read, Word, choice, keys, unexpected};
use crate::base::{Digest, Found, Hasher, Seed, Stream, Target, Value, Written};

use super::copies::{Copies, parted};
use super::dataset::{Dataset, OpenError};
use super::strata::{one_sided, strata, unlearnable};

/// A side of a split.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Part {
    /// Trained on.
    Train,
    /// Chooses between settings.
    Val,
    /// Looked at last.
    Test,
}

impl Part {
    /// As it is written.
    pub fn name(self) -> &'static str {
        match self {
            Self::Train => "train",
            Self::Val => "val",
            Self::Test => "test",
        }
    }

    /// From a folder's or a column's word; common spellings are understood.
    pub fn from_word(word: &str) -> Option<Self> {
        match word.to_lowercase().as_str() {
            "train" | "training" => Some(Self::Train),
            "val" | "valid" | "validation" | "dev" => Some(Self::Val),
            "test" | "testing" => Some(Self::Test),
            _ => None,
        }
    }
}

keys! {
    /// Who is trained on, who chooses, who is tested. Fractions are decimals, counts are whole
    /// numbers; fractions are of all items, or of those given for training where parts are given.
    pub struct SplitRule {
        /// Where the data set itself says who belongs where.
        given: Option<Given> = None,
        /// How many are trained on; drawn per seed. Everything left over if not said.
        train: Option<Amount> = None,
        /// How many choose; drawn per seed. 15 % of the training items if not said.
        val: Option<Amount> = None,
        /// How many are tested; the same for every seed.
        test: Option<Amount> = None,
        /// Whether each class is drawn in proportion; of several labels, the rarest that an item has;
        /// of numbers, tenths of the items by rank. A `train_size` of a stage that learns
        /// labels is drawn so in any case, from what the split gives it.
        stratify: bool = true,
        /// What happens to a group that stands on two sides of a given split.
        on_group_cross: OnGroupCross = OnGroupCross::Error,
    }
}

choice! {
    /// Where a data set itself says who belongs where.
    pub enum Given {
        /// In its folders `train`, `val` and `test`.
        "folders" => Folders,
        /// In a column that says `train`, `val` or `test`.
        "column" => Column(Word),
        /// In parts of its own: the arrays of an archive, the files of an idx folder.
        "parts" => Parts,
    }
}

impl Given {
    /// That a data set of this kind keeps its split elsewhere; `way` is what to write.
    pub(super) fn refused(&self, what: &str, way: &str) -> OpenError {
        let absent = match self {
            Self::Folders => "no folders",
            Self::Column(_) => "no columns",
            Self::Parts => "no parts of its own",
        };
        OpenError::new(format!("{what} has {absent}")).help(format!("write `given: {way}`"))
    }
}

choice! {
    /// What happens to a group that stands on two sides of a given split.
    pub enum OnGroupCross {
        /// The run is refused.
        "error" => Error,
        /// Its items are dropped from training.
        "drop_from_train" => DropFromTrain,
    }
}

/// How many items, or which.
#[derive(Clone, Copy, Debug, PartialEq, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Amount {
    /// This share.
    Fraction(Fraction),
    /// This many.
    Count(Count),
    /// These rows of the source.
    Rows(Range),
}

impl Read for Amount {
    fn read(written: &Written, found: &mut Found) -> Option<Self> {
        match &written.value {
            Value::Float(_) => Fraction::read(written, found).map(Self::Fraction),
            Value::Integer(_) => Count::read(written, found).map(Self::Count),
            Value::Map(entries) if entries.len() == 1 && *entries[0].key == "rows" => {
                Range::read(&entries[0].value, found).map(Self::Rows)
            }
            _ => {
                found.add(unexpected(written, AMOUNT));
                None
            }
        }
    }

    fn schema() -> Json {
        let mut rows = Range::schema();
        rows["description"] =
            "Rows of the source, from the first up to but without the last.".into();
        let rows = json!({
            "type": "object",
            "properties": { "rows": rows },
            "required": ["rows"],
            "additionalProperties": false,
        });
        json!({ "title": AMOUNT, "oneOf": [Fraction::schema(), Count::schema(), rows] })
    }
}

const AMOUNT: &str = "a fraction (decimal), a count (whole number) or `{ rows: 500..1000 }`";

/// Why a data set cannot be split as asked.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[error("{message}")]
pub struct SplitError {
    /// What is wrong.
    pub message: String,
    /// A way out.
    pub help: String,
}

fn refuse<T>(message: impl Into<String>, help: impl Into<String>) -> Result<T, SplitError> {
    Err(SplitError { message: message.into(), help: help.into() })
}

/// The items of each part, by index, in ascending order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Split {
    /// Trained on.
    pub train: Vec<usize>,
    /// Choose between settings.
    pub val: Vec<usize>,
    /// Looked at last.
    pub test: Vec<usize>,
    /// What a reader should know about how it came about.
    pub notes: Vec<String>,
    /// Whether another seed gives another split.
    pub is_drawn: bool,
}

impl Split {
    /// The items of a part.
    pub fn part(&self, part: Part) -> &[usize] {
        match part {
            Part::Train => &self.train,
            Part::Val => &self.val,
            Part::Test => &self.test,
        }
    }

    /// Identity of who stands where.
    pub fn digest(&self, dataset: &Dataset) -> Digest {
        let mut hasher = Hasher::default();
        for part in [Part::Train, Part::Val, Part::Test] {
            hasher.text(part.name());
            self.part(part).iter().for_each(|&index| hasher.text(&dataset.items()[index].id));
        }
        hasher.finish()
    }
}

/// A given or drawn part below this many items cannot choose between anything.
const SMALLEST_VAL: usize = 50;
/// Share of the training items that choose where nothing else is said.
const DRAWN_VAL: f64 = 0.15;

impl SplitRule {
    /// The split of a seed.
    pub fn draw(&self, dataset: &Dataset, seed: Seed) -> Result<Split, SplitError> {
        self.draw_without(&Copies::default(), dataset, seed)
    }

    /// The split of a seed whose train and val parts hold no copies of test items, and whose train
    /// part holds none of val items.
    pub fn draw_without(
        &self,
        copies: &Copies,
        dataset: &Dataset,
        seed: Seed,
    ) -> Result<Split, SplitError> {
        self.contradiction(dataset)?;
        let mut split = Split::default();
        let mut pool = self.fixed(dataset, &mut split)?;
        self.part_groups(dataset, &mut pool, &mut split)?;
        let count = dataset.items().len();
        let Split { val, test, notes, .. } = &mut split;
        let others = ("test", "train or val");
        notes.extend(parted(copies, test, others, count, &mut [&mut pool, val]));
        self.draw_val(dataset, seed, &mut pool, &mut split)?;
        let Split { val, notes, .. } = &mut split;
        notes.extend(parted(copies, val, ("val", "train"), count, &mut [&mut pool]));
        split.train = self.draw_train(dataset, seed, pool, &mut split)?;
        split.train.sort_unstable();
        split.val.sort_unstable();
        split.test.sort_unstable();
        check(dataset, &split)?;
        split.notes.extend(one_sided(dataset, &split.train));
        Ok(split)
    }

    /// Refuses amounts that cannot be meant as they are written.
    fn contradiction(&self, dataset: &Dataset) -> Result<(), SplitError> {
        let parts = [("train", self.train), ("val", self.val), ("test", self.test)];
        let fraction = |(_, amount): &(_, Option<Amount>)| match amount {
            Some(Amount::Fraction(fraction)) => fraction.get(),
            _ => 0.0,
        };
        let whole: f64 = parts.iter().map(fraction).sum();
        if self.given.is_none() && whole > 1.0 + 1e-9 {
            return refuse(
                format!("the parts make {whole:.2} of the whole"),
                "fractions of train, val and test add up to 1 at most",
            );
        }
        let rows = |(part, amount): (&'static str, Option<Amount>)| match amount {
            Some(Amount::Rows(rows)) => Some((part, rows)),
            _ => None,
        };
        let named: Vec<(&str, Range)> = parts.into_iter().filter_map(rows).collect();
        for (index, (part, rows)) in named.iter().enumerate() {
            if rows.end > dataset.rows() {
                return refuse(
                    format!("{part} has rows up to {}, but there are {}", rows.end, dataset.rows()),
                    "rows are counted from 0, a header left out; the end is not part of them",
                );
            }
            // The rows of val are taken out of those of train, and may lie among them.
            let clash = |(other, taken): &&(&str, Range)| {
                (*part, *other) != ("train", "val")
                    && rows.start < taken.end
                    && taken.start < rows.end
            };
            if let Some((other, _)) = named[index + 1..].iter().find(clash) {
                return refuse(
                    format!("some rows stand both in {part} and in {other}"),
                    "give each part rows of its own",
                );
            }
        }
        Ok(())
    }

    /// Settles the test part (and a given val), and returns who is left to train and choose.
    fn fixed(&self, dataset: &Dataset, split: &mut Split) -> Result<Vec<usize>, SplitError> {
        let everyone: Vec<usize> = (0..dataset.items().len()).collect();
        if self.given.is_some() {
            return Self::as_given(dataset, split);
        }
        match (self.test, self.train) {
            (None, _) => refuse(
                "the split has no test part",
                "add `test: 0.2`, or `given` if the data set has a test part of its own",
            ),
            (Some(Amount::Rows(rows)), train) => {
                let row = |index: &usize| dataset.items()[*index].row;
                split.test = everyone.iter().copied().filter(|i| rows.contains(row(i))).collect();
                let trained = |index: &usize| match train {
                    Some(Amount::Rows(rows)) => rows.contains(row(index)),
                    _ => true,
                };
                let rest = everyone.into_iter().filter(|i| !rows.contains(row(i)) && trained(i));
                Ok(rest.collect())
            }
            (Some(amount), _) => {
                let count = amount.of(everyone.len());
                // The same for all seeds, so the stream has a seed of its own.
                let mut stream = Seed(u64::MAX).stream("split", "test");
                let (test, rest) = self.take(dataset, everyone, count, &mut stream);
                split.test = test;
                Ok(rest)
            }
        }
    }

    fn as_given(dataset: &Dataset, split: &mut Split) -> Result<Vec<usize>, SplitError> {
        let mut pool = Vec::new();
        for (index, item) in dataset.items().iter().enumerate() {
            match item.part {
                Some(Part::Train) => pool.push(index),
                Some(Part::Val) => split.val.push(index),
                Some(Part::Test) => split.test.push(index),
                None => {
                    return refuse(
                        format!("the data set does not say where `{}` belongs", item.id),
                        "each item needs `train`, `val` or `test`",
                    );
                }
            }
        }
        if split.val.len() < SMALLEST_VAL {
            if !split.val.is_empty() {
                split.notes.push(format!(
                    "the given val part has {} items, too few to choose by; they are trained on \
                     and a larger one is drawn",
                    split.val.len()
                ));
            }
            pool.append(&mut split.val);
            pool.sort_unstable();
        }
        Ok(pool)
    }

    /// No group of the test part may be trained on or choose, none that chooses be trained on.
    fn part_groups(
        &self,
        dataset: &Dataset,
        pool: &mut Vec<usize>,
        split: &mut Split,
    ) -> Result<(), SplitError> {
        let Split { val, test, notes, .. } = split;
        self.part_from(dataset, test, ("test", "train or val"), &mut [pool, val], notes)?;
        self.part_from(dataset, val, ("val", "train"), &mut [pool], notes)
    }

    /// No group of some items may be among others.
    fn part_from(
        &self,
        dataset: &Dataset,
        items: &[usize],
        (part, others): (&str, &str),
        pools: &mut [&mut Vec<usize>],
        notes: &mut Vec<String>,
    ) -> Result<(), SplitError> {
        let groups = dataset.groups();
        let kept: BTreeSet<usize> = items.iter().map(|&index| groups[index]).collect();
        let crosses = |index: &usize| kept.contains(&groups[*index]);
        let everyone = pools.iter().flat_map(|pool| pool.iter().copied());
        let crossing: Vec<usize> = everyone.filter(|index| crosses(index)).collect();
        if crossing.is_empty() {
            return Ok(());
        }
        let names: BTreeSet<&str> =
            crossing.iter().filter_map(|&index| dataset.items()[index].group.as_deref()).collect();
        let some: Vec<&str> = names.iter().take(3).copied().collect();
        if self.on_group_cross == OnGroupCross::Error {
            return refuse(
                format!(
                    "{} groups stand both in {part} and in {others} ({}, …): what is learnt of \
                     them would be tested on them",
                    names.len(),
                    some.join(", ")
                ),
                "write `on_group_cross: drop_from_train` to drop their training items, or draw \
                 the split",
            );
        }
        for pool in pools {
            pool.retain(|index| !crosses(index));
        }
        notes.push(format!(
            "{} items of {} groups that are also in {part} were dropped from {others}",
            crossing.len(),
            names.len()
        ));
        Ok(())
    }

    fn draw_val(
        &self,
        dataset: &Dataset,
        seed: Seed,
        pool: &mut Vec<usize>,
        split: &mut Split,
    ) -> Result<(), SplitError> {
        if !split.val.is_empty() {
            return Ok(());
        }
        let from_all = self.given.is_none() && !matches!(self.test, Some(Amount::Rows(_)));
        let whole = if from_all { dataset.items().len() } else { pool.len() };
        let count = match self.val {
            Some(Amount::Rows(rows)) => {
                let chosen = |index: &usize| rows.contains(dataset.items()[*index].row);
                split.val = pool.iter().copied().filter(chosen).collect();
                pool.retain(|index| !chosen(index));
                let Split { val, notes, .. } = split;
                return self.part_from(dataset, val, ("val", "train"), &mut [pool], notes);
            }
            Some(amount) => amount.of(whole),
            None => {
                split.notes.push("val was drawn: 15 % of the training items".to_owned());
                (DRAWN_VAL * pool.len() as f64).round() as usize
            }
        };
        let mut stream = seed.stream("split", "val");
        let (val, rest) = self.take(dataset, std::mem::take(pool), count, &mut stream);
        split.val = val;
        *pool = rest;
        split.is_drawn = true;
        Ok(())
    }

    fn draw_train(
        &self,
        dataset: &Dataset,
        seed: Seed,
        pool: Vec<usize>,
        split: &mut Split,
    ) -> Result<Vec<usize>, SplitError> {
        let count = match self.train {
            None | Some(Amount::Rows(_)) => return Ok(pool),
            // 0.6 + 0.2 + 0.2 may round to one item more than there is.
            Some(Amount::Fraction(fraction)) if self.given.is_none() => {
                Amount::Fraction(fraction).of(dataset.items().len()).min(pool.len())
            }
            Some(amount) => amount.of(pool.len()),
        };
        if count == pool.len() {
            return Ok(pool);
        }
        split.is_drawn = true;
        let alike = || vec![0; dataset.items().len()];
        let strata = if self.stratify { strata(dataset) } else { alike() };
        subset(&pool, &strata, count, seed)
    }

    /// About `count` of the pool, whole groups, in proportion of classes; and the rest.
    fn take(
        &self,
        dataset: &Dataset,
        pool: Vec<usize>,
        count: usize,
        stream: &mut Stream,
    ) -> (Vec<usize>, Vec<usize>) {
        let (groups, of) = (dataset.groups(), strata(dataset));
        let mut members: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
        for &index in &pool {
            members.entry(groups[index]).or_default().push(index);
        }
        let mut by_stratum: BTreeMap<usize, Vec<Vec<usize>>> = BTreeMap::new();
        for group in members.into_values() {
            let stratum = if self.stratify { of_group(&of, dataset.target(), &group) } else { 0 };
            by_stratum.entry(stratum).or_default().push(group);
        }
        let size = |stratum: &Vec<Vec<usize>>| stratum.iter().map(Vec::len).sum();
        let sizes: Vec<usize> = by_stratum.values().map(size).collect();
        let mut taken = Vec::new();
        for (groups, target) in by_stratum.values_mut().zip(proportional(&sizes, count)) {
            stream.shuffle(groups);
            let mut so_far = 0;
            for group in groups.iter() {
                // Take a whole group if that comes nearer to the target than leaving it.
                if target.abs_diff(so_far + group.len()) < target.abs_diff(so_far) {
                    so_far += group.len();
                    taken.extend(group);
                }
            }
        }
        let chosen: BTreeSet<usize> = taken.iter().copied().collect();
        let rest = pool.into_iter().filter(|index| !chosen.contains(index)).collect();
        (taken, rest)
    }
}

impl Amount {
    fn of(self, whole: usize) -> usize {
        match self {
            Self::Fraction(fraction) => (fraction.get() * whole as f64).round() as usize,
            Self::Count(count) => count.0,
            Self::Rows(rows) => rows.end - rows.start,
        }
    }
}

/// The stratum of a group: the one that most of its items are in, the lowest of equals. Of several
/// labels, that of the rarest that any of them has.
fn of_group(strata: &[usize], target: Target, group: &[usize]) -> usize {
    if target == Target::Labels {
        return group.iter().map(|&index| strata[index]).min().unwrap_or_default();
    }
    let mut counts: BTreeMap<usize, usize> = BTreeMap::new();
    for &index in group {
        *counts.entry(strata[index]).or_default() += 1;
    }
    let most = counts.values().max().copied().unwrap_or_default();
    counts.into_iter().find(|(_, count)| *count == most).map_or(0, |(label, _)| label)
}

/// `count` seats in proportion to `sizes`, by highest averages (Sainte-Laguë): a larger count
/// never takes a seat away from anyone, so subsets of growing size are nested.
fn proportional(sizes: &[usize], count: usize) -> Vec<usize> {
    let mut seats = vec![0; sizes.len()];
    for _ in 0..count.min(sizes.iter().sum()) {
        let quotient = |index: &usize| sizes[*index] as f64 / (2 * seats[*index] + 1) as f64;
        let open = (0..sizes.len()).filter(|&index| seats[index] < sizes[index]);
        let best = open.max_by(|a, b| quotient(a).total_cmp(&quotient(b)).then(b.cmp(a)));
        if let Some(best) = best {
            seats[best] += 1;
        }
    }
    seats
}

/// `count` of the training items in proportion of strata, drawn by the seed. A larger subset of
/// the same seed holds every smaller one.
pub fn subset(
    train: &[usize],
    strata: &[usize],
    count: usize,
    seed: Seed,
) -> Result<Vec<usize>, SplitError> {
    if count > train.len() {
        return refuse(
            format!("{count} training items are asked for, but there are {}", train.len()),
            format!("ask for at most {}", train.len()),
        );
    }
    let mut by_class: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
    for &index in train {
        by_class.entry(strata[index]).or_default().push(index);
    }
    let sizes: Vec<usize> = by_class.values().map(Vec::len).collect();
    let mut drawn = Vec::new();
    for ((class, members), seats) in by_class.iter_mut().zip(proportional(&sizes, count)) {
        seed.stream("train subset", &class.to_string()).shuffle(members);
        drawn.extend_from_slice(&members[..seats]);
    }
    drawn.sort_unstable();
    Ok(drawn)
}

/// A split that cannot be worked with is refused before any work.
fn check(dataset: &Dataset, split: &Split) -> Result<(), SplitError> {
    for part in [Part::Train, Part::Val, Part::Test] {
        if split.part(part).is_empty() {
            let message = format!("the {} part of the split is empty", part.name());
            return refuse(message, "change the fractions, the rows or `select`");
        }
    }
    if let Some(why) = unlearnable(dataset, &split.train) {
        return refuse(why, "take more training items, or ask for something else");
    }
    missing_class(dataset, &split.train).map_or(Ok(()), |class| {
        refuse(
            format!("no item of class `{class}` is in train, so it cannot be learnt"),
            "take more training items, or drop the class with `select: { classes: … }`",
        )
    })
}

/// A class that none of these items has.
pub(crate) fn missing_class<'a>(dataset: &'a Dataset, items: &[usize]) -> Option<&'a str> {
    let present: BTreeSet<usize> = items.iter().map(|&i| dataset.items()[i].label).collect();
    let absent = (0..dataset.classes().len()).find(|class| !present.contains(class));
    absent.map(|class| dataset.classes()[class].as_str())
}

#[cfg(test)]
mod tests;
