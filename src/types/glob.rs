//! Patterns of names: `*` is any text, also none, and `?` one character.

use std::fmt;

/// A pattern of names.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Glob {
    text: String,
    parts: Vec<Part>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Part {
    Any,
    One,
    Letter(char),
}

impl Glob {
    /// The pattern that `text` writes. Every text is one.
    #[must_use]
    pub fn new(text: &str) -> Self {
        let mut parts: Vec<Part> = Vec::with_capacity(text.len());
        for letter in text.chars() {
            match letter {
                // Of two patterns that mean the same one is written: a star comes once, and after marks.
                '*' if parts.last() == Some(&Part::Any) => {}
                '*' => parts.push(Part::Any),
                '?' if parts.last() == Some(&Part::Any) => {
                    parts.pop();
                    parts.extend([Part::One, Part::Any]);
                }
                '?' => parts.push(Part::One),
                letter => parts.push(Part::Letter(letter)),
            }
        }
        Self {
            text: text.to_owned(),
            parts,
        }
    }

    /// As it was written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Whether `name` fits, with regard to case.
    #[must_use]
    pub fn matches(&self, name: &str) -> bool {
        fits(&self.parts, name.chars(), |part, letter| match part {
            Part::Any | Part::One => true,
            Part::Letter(own) => own == letter,
        })
    }

    /// Whether `name` fits, without regard to the case of ASCII letters.
    #[must_use]
    pub fn matches_in_any_case(&self, name: &str) -> bool {
        fits(&self.parts, name.chars(), |part, letter| match part {
            Part::Any | Part::One => true,
            Part::Letter(own) => own.eq_ignore_ascii_case(&letter),
        })
    }

    /// Whether everything that fits `other` certainly fits this one.
    #[must_use]
    pub fn covers(&self, other: &Self) -> bool {
        fits(&self.parts, other.parts.iter().copied(), |part, theirs| match part {
            Part::Any => true,
            Part::One => theirs != Part::Any,
            Part::Letter(_) => part == theirs,
        })
    }
}

/// Whether the items fit the parts one by one, any number of them for [`Part::Any`] (the usual search that goes back to
/// the last star: no more than items times parts steps).
fn fits<T: Copy>(parts: &[Part], items: impl Iterator<Item = T> + Clone, one: impl Fn(Part, T) -> bool) -> bool {
    let (mut rest, mut left) = (items, parts);
    let mut star: Option<(_, &[Part])> = None;
    loop {
        let mut ahead = rest.clone();
        let item = ahead.next();
        match (left.split_first(), item) {
            (Some((Part::Any, after)), _) => {
                star = Some((rest.clone(), after));
                left = after;
            }
            (Some((part, after)), Some(item)) if one(*part, item) => (rest, left) = (ahead, after),
            (None, None) => return true,
            _ => {
                // One item more for the last star.
                let Some((from, after)) = &mut star else { return false };
                if from.next().is_none() {
                    return false;
                }
                (rest, left) = (from.clone(), after);
            }
        }
    }
}

impl fmt::Display for Glob {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl fmt::Debug for Glob {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.text)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn names_fit_or_not() {
        let table = [
            ("Nightly", "Nightly", true),
            ("Nightly", "nightly", false),
            ("Night*", "Night", true),
            ("*ly", "Nightly", true),
            ("*-db-*", "prod-db-7", true),
            ("*-db-*", "prod-dbx7", false),
            ("db??", "db07", true),
            ("db??", "db7", false),
            ("*", "", true),
            ("", "", true),
            ("", "a", false),
            ("a*b*c", "a-b-b-c", true),
            ("a*b*c", "a-b-b-d", false),
            ("?ü*", "xü", true),
        ];
        for (glob, name, expected) in table {
            assert_eq!(Glob::new(glob).matches(name), expected, "{glob} and {name}");
        }
        assert!(Glob::new("Prod-*").matches_in_any_case("pROD-dir"));
    }

    #[test]
    fn one_pattern_covers_another() {
        let table = [
            ("*", "anything*", true),
            ("Night*", "Nightly", true),
            ("Night*", "N*", false),
            ("*a*", "*ba*", true),
            ("*ba*", "*a*", false),
            ("?*", "*?", true),
            ("*?", "?*", true),
            ("??", "a?", true),
            ("a?", "??", false),
            ("?", "*", false),
            ("a*a", "a", false),
        ];
        for (glob, other, expected) in table {
            assert_eq!(
                Glob::new(glob).covers(&Glob::new(other)),
                expected,
                "{glob} and {other}"
            );
        }
    }

    fn naive(pattern: &[char], name: &[char]) -> bool {
        match (pattern.split_first(), name.split_first()) {
            (Some(('*', after)), rest) => naive(after, name) || rest.is_some_and(|(_, name)| naive(pattern, name)),
            (Some((letter, after)), Some((found, name))) => (*letter == '?' || letter == found) && naive(after, name),
            (None, None) => true,
            _ => false,
        }
    }

    proptest! {
        #[test]
        fn it_agrees_with_the_definition(pattern in "[ab*?]{0,8}", name in "[ab]{0,10}") {
            let letters = |text: &str| text.chars().collect::<Vec<_>>();
            prop_assert_eq!(Glob::new(&pattern).matches(&name), naive(&letters(&pattern), &letters(&name)));
        }

        #[test]
        fn what_is_covered_fits(one in "[ab*?]{0,5}", other in "[ab*?]{0,5}", name in "[abc]{0,6}") {
            let (one, other) = (Glob::new(&one), Glob::new(&other));
            if one.covers(&other) && other.matches(&name) {
                prop_assert!(one.matches(&name), "{} {} {}", one, other, name);
            }
        }
    }
}
