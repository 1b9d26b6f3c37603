//! "Did you mean": the nearest known word.

/// The candidate nearest to `word`, if it is near enough to be a slip of the fingers:
/// at most a third of the letters away (one at least), or the same but for case and dashes.
pub fn closest<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let plain = |text: &str| text.to_lowercase().replace('-', "_");
    let word = plain(word);
    candidates
        .into_iter()
        .map(|candidate| (strsim::damerau_levenshtein(&word, &plain(candidate)), candidate))
        .filter(|(distance, candidate)| {
            *distance <= (word.chars().count().max(candidate.chars().count()) / 3).max(1)
        })
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slips_are_recognised_and_strangers_are_not() {
        let words = ["fine_tune", "linear_probe", "svm", "extract"];
        assert_eq!(closest("fine-tune", words), Some("fine_tune"));
        assert_eq!(closest("linaer_probe", words), Some("linear_probe"));
        assert_eq!(closest("swm", words), Some("svm"));
        assert_eq!(closest("cluster", words), None);
    }
}
