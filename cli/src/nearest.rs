//! "Did you mean": the valid name closest to a wrong one.

/// The candidate most similar to `name`, unless none is similar.
pub(crate) fn nearest<'a>(name: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    candidates
        .into_iter()
        .map(|candidate| (strsim::jaro_winkler(name, candidate), candidate))
        .filter(|(score, _)| *score > 0.7)
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .map(|(_, candidate)| candidate)
}

#[cfg(test)]
mod tests {
    use super::nearest;

    #[test]
    fn finds_the_misspelt_name_and_nothing_for_a_strange_one() {
        assert_eq!(nearest("dcos", ["files", "docs"]), Some("docs"));
        assert_eq!(nearest("zzz", ["files", "docs"]), None);
    }
}
