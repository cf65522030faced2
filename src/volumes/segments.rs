//! A bootstrap cut into stretches, each of which one storage can read.

use std::collections::HashMap;
use std::hash::BuildHasher;

use bytes::{Bytes, BytesMut};

use crate::types::{StorageName, VolumeName};
use crate::wire::bootstrap::{Bootstrap, Group};

/// How many volumes a text names before it says how many more there are.
const NAMED: usize = 5;

/// Consecutive groups of a bootstrap whose volumes one storage holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Segment {
    /// The storage.
    pub storage: StorageName,
    /// The groups, in the bootstrap's order; at least one.
    pub groups: Vec<Group>,
}

impl Segment {
    /// Their text as it came.
    #[must_use]
    pub fn text(&self) -> Bytes {
        match &self.groups[..] {
            [only] => only.text().clone(),
            several => {
                let mut text = BytesMut::with_capacity(several.iter().map(|group| group.text().len()).sum());
                for group in several {
                    text.extend_from_slice(group.text());
                }
                text.freeze()
            }
        }
    }
}

/// Why a bootstrap cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unplaceable {
    /// The bootstrap names no volume.
    #[error("the bootstrap names no volume")]
    Empty,
    /// Nobody is known to hold these volumes.
    #[error("no storage is known to hold {}; tell sdgroup with \"sdgroup volumes assign VOLUME STORAGE\" or \
             \"sdgroup volumes import\"", listed(volumes.iter().map(|volume| format!("volume \"{volume}\""))))]
    Unknown {
        /// The volumes, each once, in the bootstrap's order.
        volumes: Vec<VolumeName>,
    },
    /// One group names volumes of several storages, and a group cannot be cut.
    #[error("one group of the bootstrap names volumes of several storages ({}); give each volume a group of its own",
            listed(volumes.iter().map(|(volume, storage)| format!("\"{volume}\" is on {storage}"))))]
    Split {
        /// The group's volumes and where they are.
        volumes: Vec<(VolumeName, StorageName)>,
    },
}

impl Unplaceable {
    /// The volumes that it is about.
    #[must_use]
    pub fn volumes(&self) -> Vec<VolumeName> {
        match self {
            Self::Empty => Vec::new(),
            Self::Unknown { volumes } => volumes.clone(),
            Self::Split { volumes } => volumes.iter().map(|(volume, _)| volume.clone()).collect(),
        }
    }
}

/// The first few of `parts`, and how many more there are.
pub(super) fn listed(parts: impl Iterator<Item = String>) -> String {
    let parts: Vec<String> = parts.collect();
    let shown = parts.iter().take(NAMED).cloned().collect::<Vec<_>>().join(", ");
    match parts.len().saturating_sub(NAMED) {
        0 => shown,
        more => format!("{shown} and {more} more"),
    }
}

/// The volumes of the segments on one storage, as the beginning of a sentence: `volume "A", volume "B" are`.
#[must_use]
pub fn volumes_on(segments: &[Segment], storage: &StorageName) -> String {
    let mut volumes: Vec<&VolumeName> = Vec::new();
    let there = segments.iter().filter(|segment| segment.storage == *storage);
    for volume in there.flat_map(|segment| &segment.groups).flat_map(Group::volumes) {
        if !volumes.contains(&volume) {
            volumes.push(volume);
        }
    }
    let verb = if volumes.len() == 1 { "is" } else { "are" };
    let named = volumes.iter().map(|volume| format!("volume \"{volume}\""));
    format!("{} {verb}", listed(named))
}

/// Where the volumes of the segments are: `volume "A" is on File4, volume "B" is on File5`.
#[must_use]
pub fn places(segments: &[Segment]) -> String {
    let mut storages: Vec<&StorageName> = Vec::new();
    for segment in segments {
        if !storages.contains(&&segment.storage) {
            storages.push(&segment.storage);
        }
    }
    let place = |storage: &&StorageName| format!("{} on {storage}", volumes_on(segments, storage));
    storages.iter().map(place).collect::<Vec<_>>().join(", ")
}

/// Cuts `bootstrap` into stretches, in its own order, by who holds the volumes.
///
/// # Errors
/// When it has no volume, when a volume's holder is not in `holders` (all such volumes are named), or when one group
/// needs several storages.
pub fn plan<S: BuildHasher>(
    bootstrap: &Bootstrap,
    holders: &HashMap<VolumeName, StorageName, S>,
) -> Result<Vec<Segment>, Unplaceable> {
    let mut unknown = bootstrap.volumes();
    if unknown.is_empty() {
        return Err(Unplaceable::Empty);
    }
    unknown.retain(|volume| !holders.contains_key(volume));
    if !unknown.is_empty() {
        return Err(Unplaceable::Unknown { volumes: unknown });
    }
    let mut segments: Vec<Segment> = Vec::new();
    for group in bootstrap.groups() {
        let storage = holder_of(group, holders)?;
        match segments.last_mut() {
            Some(last) if last.storage == storage => last.groups.push(group.clone()),
            _ => segments.push(Segment {
                storage,
                groups: vec![group.clone()],
            }),
        }
    }
    Ok(segments)
}

/// The one storage that holds all volumes of a group.
fn holder_of<S: BuildHasher>(
    group: &Group,
    holders: &HashMap<VolumeName, StorageName, S>,
) -> Result<StorageName, Unplaceable> {
    let known = |volume: &VolumeName| holders.get(volume).map(|storage| (volume.clone(), storage.clone()));
    let volumes: Vec<_> = group.volumes().iter().filter_map(known).collect();
    match volumes.first() {
        Some((_, first)) if volumes.iter().all(|(_, storage)| storage == first) => Ok(first.clone()),
        Some(_) => Err(Unplaceable::Split { volumes }),
        None => Err(Unplaceable::Empty),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn bootstrap(text: &str) -> Bootstrap {
        Bootstrap::parse(Bytes::copy_from_slice(text.as_bytes())).unwrap()
    }

    fn holders(pairs: &[(&str, &str)]) -> HashMap<VolumeName, StorageName> {
        let pair =
            |(volume, storage): &(&str, &str)| (VolumeName::new(volume).unwrap(), StorageName::new(storage).unwrap());
        pairs.iter().map(pair).collect()
    }

    #[test]
    fn one_member_gets_the_whole_text() {
        let text = "Storage=\"S\"\nVolume=\"A\"\nFileIndex=1\nStorage=\"S\"\nVolume=\"B\"\nFileIndex=2\n";
        let segments = plan(&bootstrap(text), &holders(&[("A", "File4"), ("B", "File4")])).unwrap();
        assert_eq!(segments.len(), 1);
        assert_eq!(
            (segments[0].storage.as_str(), &segments[0].text()[..]),
            ("File4", text.as_bytes())
        );
    }

    #[test]
    fn stretches_keep_the_order_of_the_bootstrap() {
        let text = "Volume=A\nVolume=B\nVolume=C\nVolume=A\n";
        let segments = plan(
            &bootstrap(text),
            &holders(&[("A", "File4"), ("B", "File4"), ("C", "File5")]),
        )
        .unwrap();
        let seen: Vec<_> = segments
            .iter()
            .map(|segment| (segment.storage.as_str(), segment.text()))
            .collect();
        assert_eq!(
            seen,
            [
                ("File4", Bytes::from_static(b"Volume=A\nVolume=B\n")),
                ("File5", Bytes::from_static(b"Volume=C\n")),
                ("File4", Bytes::from_static(b"Volume=A\n")),
            ]
        );
    }

    #[test]
    fn places_are_told_by_storage() {
        let text = "Volume=A\nVolume=B\nVolume=C\nVolume=A\n";
        let known = holders(&[("A", "File4"), ("B", "File4"), ("C", "File5")]);
        let segments = plan(&bootstrap(text), &known).unwrap();
        assert_eq!(
            places(&segments),
            "volume \"A\", volume \"B\" are on File4, volume \"C\" is on File5"
        );
    }

    #[test]
    fn what_nobody_holds_is_named_all_at_once() {
        let error = plan(
            &bootstrap("Volume=A\nVolume=B\nVolume=C\nVolume=A\n"),
            &holders(&[("B", "File4")]),
        );
        let error = error.unwrap_err();
        assert_eq!(
            error.volumes().iter().map(VolumeName::as_str).collect::<Vec<_>>(),
            ["A", "C"]
        );
        let text = error.to_string();
        assert!(
            text.starts_with("no storage is known to hold volume \"A\", volume \"C\"; tell"),
            "{text}"
        );
        let many = (0..8).map(|n| format!("Volume=V{n}\n")).collect::<Vec<_>>().concat();
        let text = plan(&bootstrap(&many), &HashMap::new()).unwrap_err().to_string();
        assert!(text.contains("volume \"V4\" and 3 more;"), "{text}");
    }

    #[test]
    fn a_group_across_storages_is_an_error_that_says_so() {
        let error = plan(&bootstrap("Volume=A|B\n"), &holders(&[("A", "File4"), ("B", "File5")])).unwrap_err();
        assert!(
            error.to_string().contains("(\"A\" is on File4, \"B\" is on File5)"),
            "{error}"
        );
        assert_eq!(
            plan(&bootstrap("# nothing\n"), &HashMap::new()),
            Err(Unplaceable::Empty)
        );
    }

    proptest! {
        #[test]
        fn segments_joined_are_the_bootstrap(picks in prop::collection::vec((0..6_u8, 0..3_u8), 1..30)) {
            let mut known = HashMap::new();
            for (volume, storage) in &picks {
                known.entry(VolumeName::new(&format!("V{volume}")).unwrap())
                    .or_insert_with(|| StorageName::new(&format!("File{storage}")).unwrap());
            }
            let lines: Vec<_> =
                picks.iter().map(|(volume, _)| format!("Volume=V{volume}\nFileIndex=1\n")).collect();
            let text = lines.concat();
            let segments = plan(&bootstrap(&text), &known).unwrap();
            let joined: Vec<u8> = segments.iter().flat_map(|segment| segment.text().to_vec()).collect();
            prop_assert_eq!(joined, text.as_bytes());
            for pair in segments.windows(2) {
                prop_assert_ne!(&pair[0].storage, &pair[1].storage);
            }
            for segment in &segments {
                for volume in segment.groups.iter().flat_map(Group::volumes) {
                    prop_assert_eq!(&known[volume], &segment.storage);
                }
            }
        }
    }
}
