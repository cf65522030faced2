//! What the operator probably meant.

/// Below this likeness (0.0 to 1.0) two words are strangers.
const LIKE: f64 = 0.6;

/// `text` without case, blanks, `_` and `-`: the form in which Bacula compares keywords.
pub(crate) fn folded(text: &str) -> String {
    text.chars()
        .filter(|c| !matches!(c, ' ' | '\t' | '_' | '-'))
        .flat_map(char::to_lowercase)
        .collect()
}

/// The candidate that is most like `written`, if any is like it.
pub fn nearest<'c>(written: &str, candidates: impl IntoIterator<Item = &'c str>) -> Option<&'c str> {
    let written = folded(written);
    candidates
        .into_iter()
        .map(|candidate| {
            (
                strsim::normalized_damerau_levenshtein(&written, &folded(candidate)),
                candidate,
            )
        })
        .filter(|(likeness, _)| *likeness >= LIKE)
        .reduce(|best, next| if next.0 > best.0 { next } else { best })
        .map(|(_, candidate)| candidate)
}

/// An advice for a name that does not exist among `candidates`.
pub fn did_you_mean<'c>(written: &str, candidates: impl IntoIterator<Item = &'c str>) -> String {
    let candidates: Vec<&str> = candidates.into_iter().collect();
    match nearest(written, candidates.iter().copied()) {
        Some(name) => format!("did you mean \"{name}\"?"),
        None if candidates.is_empty() => "there is none yet".to_owned(),
        None => format!("there are: {}", candidates.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_most_like_name_is_meant() {
        let names = ["File4", "File5", "Tape1"];
        assert_eq!(nearest("file 4", names), Some("File4"));
        assert_eq!(nearest("Tap1", names), Some("Tape1"));
        assert_eq!(nearest("Cloud", names), None);
        assert_eq!(did_you_mean("Cloud", names), "there are: File4, File5, Tape1");
        assert_eq!(did_you_mean("Cloud", []), "there is none yet");
    }
}
