//! Places that jobs of this process have, for another process to count, and places that jobs of another process have
//! here: storages and their limits are the same for both.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::types::{Bytes, DirectorName, GroupName, StorageName};

use super::directory::Directory;
use super::member::Run;
use super::request::Access;
use super::slot::Slot;

/// Whose and what kind of job has a place.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Place {
    /// Where.
    pub storage: StorageName,
    /// The group that it came by.
    pub group: GroupName,
    /// Whose job it is.
    pub director: DirectorName,
    /// Whether it writes or reads.
    pub access: Access,
}

impl Directory {
    /// The places that jobs of this process have, and how many have each.
    #[must_use]
    pub fn places(&self) -> BTreeMap<Place, usize> {
        let table = self.board().lock();
        let mut places = BTreeMap::new();
        for member in &table.members {
            for run in member.runs().iter().filter(|run| !run.is_foreign) {
                let director = run.director.and_then(|at| table.director_name(at));
                if let (Some(group), Some(director)) = (table.group_name(run.group), director) {
                    let place = Place {
                        storage: member.name.clone(),
                        group: group.clone(),
                        director: director.clone(),
                        access: run.access,
                    };
                    *places.entry(place).or_insert(0) += 1;
                }
            }
        }
        places
    }

    /// Returns once a place has been taken or given back since `seen`, which it brings up to date.
    pub async fn places_changed(&self, seen: &mut u64) {
        loop {
            let changed = {
                let table = self.board().lock();
                if *seen != table.changes {
                    *seen = table.changes;
                    return;
                }
                // Made under the lock, it misses nothing.
                Arc::clone(&table.changed).notified_owned()
            };
            changed.await;
        }
    }

    /// Counts a job of another process, whatever the limits are, until the slot is dropped. None where the storage is
    /// not in the configuration.
    #[must_use]
    pub fn hold(&self, place: &Place) -> Option<Slot> {
        let live = self.storage(&place.storage)?;
        let mut table = self.board().lock();
        table.numbers += 1;
        // Far from the numbers of placements, which tell who was chosen when.
        let number = u64::MAX - table.numbers;
        let group = table.group_at(&place.group).unwrap_or(usize::MAX);
        let director = table.director(&place.director);
        let mut run = Run::new(number, place.access, group, director, Bytes(0));
        run.is_foreign = true;
        table.count(&run);
        let moved = Arc::clone(&run.moved);
        table.members.get_mut(live.id.0)?.hold(run);
        drop(table);
        Some(Slot::new(live, number, moved))
    }
}
