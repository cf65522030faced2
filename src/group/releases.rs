//! Which releases of Bacula the storages of a group are of. A Director and its storage have to be of one release, so a
//! group of several serves each Director with a part of its members only.

use std::fmt;

use crate::types::{Release, StorageName};

/// The releases of some storages, as far as they are known.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Releases(Vec<(Said, Vec<StorageName>)>);

/// What tells one release from another: 9.6 says several numbers, and those that we do not know stand for themselves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Said {
    Known(Release),
    Unknown(u32),
}

impl Said {
    fn of(version: u32) -> Self {
        Release::from_storage(version).map_or(Self::Unknown(version), Self::Known)
    }
}

impl fmt::Display for Said {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Known(release) => release.fmt(f),
            Self::Unknown(version) => write!(f, "unknown (its number is {version})"),
        }
    }
}

impl Releases {
    /// Of storages with the numbers in their `3000 OK Hello`.
    pub fn of<'a>(storages: impl IntoIterator<Item = (&'a StorageName, u32)>) -> Self {
        let mut all: Vec<(Said, Vec<StorageName>)> = Vec::new();
        for (storage, version) in storages {
            let said = Said::of(version);
            match all.iter_mut().find(|(known, _)| *known == said) {
                Some((_, named)) => named.push(storage.clone()),
                None => all.push((said, vec![storage.clone()])),
            }
        }
        Self(all)
    }

    /// How many there are.
    #[must_use]
    pub fn count(&self) -> usize {
        self.0.len()
    }

    /// What to say of it when there is more than one.
    #[must_use]
    pub fn warning(&self) -> Option<String> {
        (self.count() > 1).then(|| {
            format!("the storages are of different releases of Bacula, {self}: a Director gets those of its own")
        })
    }
}

impl fmt::Display for Releases {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, (said, storages)) in self.0.iter().enumerate() {
            let mark = if at == 0 { "" } else { "; " };
            let names: Vec<_> = storages.iter().map(StorageName::as_str).collect();
            write!(f, "{mark}{}: {said}", names.join(", "))?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn releases(rows: &[(&str, u32)]) -> Releases {
        let named: Vec<_> = rows
            .iter()
            .map(|(name, version)| (StorageName::new(name).unwrap(), *version))
            .collect();
        Releases::of(named.iter().map(|(name, version)| (name, *version)))
    }

    #[test]
    fn one_release_is_nothing_to_warn_of() {
        assert_eq!(releases(&[]).warning(), None);
        // Both are what 9.6 and its elders say.
        let one = releases(&[("File4", 305), ("File5", 306)]);
        assert_eq!((one.count(), one.warning()), (1, None));
    }

    #[test]
    fn several_are_named_with_their_storages() {
        let mixed = releases(&[("File4", 306), ("File5", 30008), ("File6", 306), ("File7", 40000)]);
        assert_eq!(mixed.count(), 3);
        assert_eq!(
            mixed.warning().unwrap(),
            "the storages are of different releases of Bacula, File4, File6: 9.6; File5: 15.0; File7: unknown (its \
             number is 40000): a Director gets those of its own"
        );
    }
}
