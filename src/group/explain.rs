//! Why a job goes where it goes, or nowhere: every member with its numbers, its rank or the reason against it.

use std::fmt::{self, Write as _};
use std::sync::Arc;
use std::time::Duration;

use crate::config::model::PolicyName;
use crate::types::{Bytes, DirectorName, GroupName, StorageName};

use super::eligible::Ineligible;
use super::load::Full;
use super::pace::Pace;

/// How many members a line names before it says how many more there are: lines go into job logs.
const NAMED_MEMBERS: usize = 12;

/// A length of time for people: "8 s", "3 min 20 s", "2 h 5 min". Below ten seconds to the tenth.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Spoken(pub Duration);

impl fmt::Display for Spoken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let tenths = self.0.as_millis().saturating_add(50) / 100;
        if tenths < 100 && !tenths.is_multiple_of(10) {
            return write!(f, "{}.{} s", tenths / 10, tenths % 10);
        }
        let seconds = self.0.as_millis().saturating_add(500) / 1000;
        match (seconds / 3600, seconds / 60 % 60, seconds % 60) {
            (0, 0, s) => write!(f, "{s} s"),
            (0, m, 0) => write!(f, "{m} min"),
            (0, m, s) => write!(f, "{m} min {s} s"),
            (h, 0, _) => write!(f, "{h} h"),
            (h, m, _) => write!(f, "{h} h {m} min"),
        }
    }
}

/// One member, as it was judged.
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is true or not whatever the others are"
)]
#[derive(Debug, Clone, PartialEq)]
pub struct Judged {
    /// Which.
    pub storage: StorageName,
    /// The jobs it ran, the one to be placed not among them.
    pub running: u32,
    /// Those of them that read.
    pub reading: u32,
    /// How many it may run.
    pub limit: u32,
    /// It had as many jobs as it should have where others can have them.
    pub is_at_target: bool,
    /// It has the job's last full, and that counts.
    pub is_home: bool,
    /// It has the first part of the job, which is resumed.
    pub has_part: bool,
    /// The job is expected to write more than it has room for.
    pub lacks_room: bool,
    /// The room on it once its jobs have ended, as far as that is foreseen; none if it is not known.
    pub free: Option<Bytes>,
    /// How fast it was seen to be, if it was.
    pub pace: Option<Pace>,
    /// Its share where a policy weighs.
    pub weight: u32,
    /// How many jobs were placed elsewhere since its last one; none if it had no job yet.
    pub placed_ago: Option<u64>,
    /// How many jobs were placed since it had this job at this level; none if it never had, or that is not known.
    pub had_it_ago: Option<u64>,
    /// Its place in the order of preference, from 1; none if it was not eligible.
    pub rank: Option<usize>,
    /// What was against it.
    pub ineligible: Option<Ineligible>,
}

/// What keeps a job from every storage of its group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Obstacle {
    /// The group has as many jobs as it may.
    Group(GroupName, Full),
    /// The job's Director has as many jobs as it may.
    Director(DirectorName, Full),
}

impl fmt::Display for Obstacle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Group(group, full) => write!(f, "group {group} has {full}"),
            Self::Director(director, full) => write!(f, "Director {director} has {full}"),
        }
    }
}

/// Why a placement was made, or could not be. `Display` gives one line for the job's log.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Explanation {
    /// The group chosen from, with its policy; none where the job was bound to one storage.
    pub group: Option<(GroupName, PolicyName)>,
    /// The rule that the job fell under, if it fell under one.
    pub rule: Option<Arc<str>>,
    /// What the job is expected to write, from its own history.
    pub expected: Option<Bytes>,
    /// Where the job goes.
    pub chosen: Option<StorageName>,
    /// Where the group's shadow policy would have put it.
    pub shadow: Option<(PolicyName, StorageName)>,
    /// What keeps the job from every member.
    pub obstacle: Option<Obstacle>,
    /// Ejections were overlooked, since there was nothing else.
    pub pardoned: bool,
    /// Every member, in the order of the configuration.
    pub members: Vec<Judged>,
}

impl Explanation {
    /// What is against all members and against each, as sentences: "File4 is down (connection refused, for 3 min),
    /// File5 has 20 of 20 jobs".
    #[must_use]
    pub fn objections(&self) -> String {
        let mut text = self.obstacle.as_ref().map(ToString::to_string).unwrap_or_default();
        let mut objections = self
            .members
            .iter()
            .filter_map(|member| member.ineligible.as_ref().map(|why| (&member.storage, why)));
        for (storage, why) in objections.by_ref().take(NAMED_MEMBERS) {
            if !text.is_empty() {
                text.push_str(", ");
            }
            text.push_str(storage.as_str());
            text.push(' ');
            text.push_str(&why.predicate());
        }
        match objections.count() {
            0 => {}
            more => {
                text.push_str(", and ");
                text.push_str(&more.to_string());
                text.push_str(" more");
            }
        }
        text
    }

    /// The policy that ranked the members; none where the job was bound to one storage.
    #[must_use]
    pub fn policy(&self) -> Option<PolicyName> {
        self.group.as_ref().map(|(_, policy)| *policy)
    }

    /// Every member with all its numbers.
    #[must_use]
    pub fn in_full(&self) -> String {
        let mut text = String::new();
        if let Some(obstacle) = &self.obstacle {
            let _ = write!(text, "{obstacle}; ");
        }
        if let Some(expected) = self.expected {
            let _ = write!(text, "{expected} are expected; ");
        }
        for (at, member) in self.members.iter().enumerate() {
            let _ = write!(text, "{}{}", if at == 0 { "" } else { "; " }, InFull(member));
        }
        if let Some((policy, storage)) = &self.shadow {
            let _ = write!(text, "; {policy} would take {storage}");
        }
        if self.pardoned {
            text.push_str("; all are ejected");
        }
        text
    }

    fn others(&self) -> impl Iterator<Item = &Judged> {
        self.members
            .iter()
            .filter(|member| Some(&member.storage) != self.chosen.as_ref())
    }
}

/// A member with all its numbers.
struct InFull<'a>(&'a Judged);

impl fmt::Display for InFull<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let member = self.0;
        write!(f, "{}: ", member.storage)?;
        if let Some(rank) = member.rank {
            write!(f, "rank {rank}, ")?;
        }
        if let Some(why) = &member.ineligible {
            write!(f, "{why}, ")?;
        }
        write!(f, "{} jobs", Jobs(member))?;
        if member.reading > 0 {
            write!(f, " ({} read)", member.reading)?;
        }
        if let Some(free) = member.free {
            write!(f, ", {free} free")?;
        }
        if let Some(pace) = member.pace {
            write!(f, ", {}/s at most, {}/s a job", Bytes(pace.most), Bytes(pace.of_one))?;
        }
        if member.weight != 1 {
            write!(f, ", weight {}", member.weight)?;
        }
        match member.placed_ago {
            Some(ago) => write!(f, ", chosen {ago} jobs ago")?,
            None => f.write_str(", never chosen")?,
        }
        if let Some(ago) = member.had_it_ago {
            write!(f, ", had it {ago} jobs ago")?;
        }
        let marks = [
            (member.is_home, "has its last full"),
            (member.has_part, "has its first part"),
            (member.lacks_room, "lacks room"),
            (member.is_at_target, "at its target"),
        ];
        for (_, mark) in marks.iter().filter(|(is, _)| *is) {
            write!(f, ", {mark}")?;
        }
        Ok(())
    }
}

/// `3 of 20`, or `3` where there is no limit.
struct Jobs<'a>(&'a Judged);

impl fmt::Display for Jobs<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.limit {
            u32::MAX => self.0.running.fmt(f),
            limit => write!(f, "{} of {limit}", self.0.running),
        }
    }
}

impl Explanation {
    /// What is to be known of a member that could be chosen, beside its number of jobs.
    fn marks(&self, member: &Judged) -> String {
        let by_room = matches!(
            self.group,
            Some((_, PolicyName::FreeSpace | PolicyName::FreeSpaceLeastUsed))
        );
        let mut marks = String::new();
        if let Some(free) = member.free.filter(|_| by_room || member.lacks_room) {
            let _ = write!(marks, ", {free} free");
        }
        if let Some(expected) = self.expected.filter(|_| member.lacks_room) {
            let _ = write!(marks, " for {expected}");
        }
        if member.is_home {
            marks.push_str(", has its last full");
        }
        if member.has_part {
            marks.push_str(", has its first part");
        }
        if member.is_at_target {
            marks.push_str(", at its target");
        }
        marks
    }
}

impl fmt::Display for Explanation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some(chosen) = &self.chosen else {
            return match &self.group {
                Some((group, _)) => write!(f, "no storage of group {group}: {}", self.objections()),
                None => f.write_str(&self.objections()),
            };
        };
        write!(f, "{chosen}")?;
        match &self.group {
            Some((_, policy)) => write!(f, " by {policy}")?,
            None => f.write_str(", which it is bound to")?,
        }
        if let Some(rule) = &self.rule {
            write!(f, " under {rule}")?;
        }
        f.write_str(" (")?;
        if let Some(member) = self.members.iter().find(|member| member.storage == *chosen) {
            write!(f, "{} jobs{}", Jobs(member), self.marks(member))?;
        }
        let mut others = self.others();
        for member in others.by_ref().take(NAMED_MEMBERS) {
            write!(f, "; {}: ", member.storage)?;
            match &member.ineligible {
                Some(why) => write!(f, "{why}")?,
                None => write!(f, "{}{}", Jobs(member), self.marks(member))?,
            }
        }
        match others.count() {
            0 => {}
            more => write!(f, "; and {more} more")?,
        }
        if self.pardoned {
            f.write_str("; all are ejected")?;
        }
        f.write_str(")")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::group::Kind;

    fn judged(storage: &str, running: u32, ineligible: Option<Ineligible>) -> Judged {
        Judged {
            storage: StorageName::new(storage).expect("a name"),
            running,
            reading: 0,
            limit: 20,
            is_at_target: false,
            is_home: false,
            has_part: false,
            lacks_room: false,
            free: None,
            pace: None,
            weight: 1,
            placed_ago: None,
            had_it_ago: None,
            rank: None,
            ineligible,
        }
    }

    fn full() -> Ineligible {
        Ineligible::Full(Full {
            running: 20,
            limit: 20,
            kind: Kind::All,
        })
    }

    fn explanation(chosen: Option<&str>) -> Explanation {
        Explanation {
            group: Some((GroupName::new("Files").expect("a name"), PolicyName::LeastUsed)),
            rule: None,
            expected: None,
            chosen: chosen.map(|name| StorageName::new(name).expect("a name")),
            shadow: None,
            obstacle: None,
            pardoned: false,
            members: vec![
                judged("File4", 3, None),
                judged("File5", 1, None),
                judged(
                    "File6",
                    0,
                    Some(Ineligible::Down {
                        why: "connection refused".into(),
                        length: Duration::from_secs(180),
                    }),
                ),
            ],
        }
    }

    #[test]
    fn a_placement_in_one_line() {
        assert_eq!(
            explanation(Some("File5")).to_string(),
            "File5 by LeastUsed (1 of 20 jobs; File4: 3 of 20; File6: down, connection refused)"
        );
        let mut bound = explanation(Some("File5"));
        bound.group = None;
        bound.members.retain(|member| member.storage.as_str() == "File5");
        assert_eq!(bound.to_string(), "File5, which it is bound to (1 of 20 jobs)");
    }

    #[test]
    fn all_that_was_weighed() {
        let mut full = explanation(Some("File5"));
        full.expected = Some(Bytes(7_000_000_000));
        full.shadow = Some((PolicyName::FreeSpace, StorageName::new("File4").expect("a name")));
        full.members[0] = Judged {
            rank: Some(2),
            reading: 1,
            is_at_target: true,
            is_home: true,
            free: Some(Bytes(1_500_000_000_000)),
            pace: Some(Pace {
                most: 400_000_000,
                total: 200_000_000,
                of_one: 100_000_000,
                is_current: true,
            }),
            weight: 3,
            placed_ago: Some(0),
            had_it_ago: Some(12),
            ..full.members[0].clone()
        };
        full.members[1] = Judged {
            rank: Some(1),
            limit: u32::MAX,
            ..full.members[1].clone()
        };
        assert_eq!(
            full.in_full(),
            "7 GB are expected; File4: rank 2, 3 of 20 jobs (1 read), 1.5 TB free, 400 MB/s at most, 100 MB/s a job, \
             weight 3, chosen 0 jobs ago, had it 12 jobs ago, has its last full, at its target; File5: rank 1, 1 jobs, \
             never chosen; File6: down, connection refused, 0 of 20 jobs, never chosen; FreeSpace would take File4"
        );
    }

    #[test]
    fn objections_in_one_line() {
        let mut none = explanation(None);
        for member in none.members.iter_mut().take(2) {
            member.ineligible = Some(full());
        }
        assert_eq!(
            none.to_string(),
            "no storage of group Files: File4 has 20 of 20 jobs, File5 has 20 of 20 jobs, File6 is down (connection \
             refused, for 3 min)"
        );
    }

    #[test]
    fn what_is_against_all_comes_first() {
        let mut none = explanation(None);
        let full = Full {
            running: 9,
            limit: 9,
            kind: Kind::Write,
        };
        none.obstacle = Some(Obstacle::Director(DirectorName::new("dir").expect("a name"), full));
        assert_eq!(
            none.objections(),
            "Director dir has 9 of 9 writing jobs, File6 is down (connection refused, for 3 min)"
        );
    }

    #[test]
    fn a_large_group_is_cut_short() {
        let mut large = explanation(Some("File0"));
        large.members = (0..300).map(|at| judged(&format!("File{at}"), 0, None)).collect();
        let line = large.to_string();
        assert!(line.len() < 400, "{line}");
        assert!(line.ends_with("File12: 0 of 20; and 287 more)"), "{line}");
        large.chosen = None;
        for member in &mut large.members {
            member.ineligible = Some(full());
        }
        assert!(
            large.to_string().ends_with("File11 has 20 of 20 jobs, and 288 more"),
            "{large}"
        );
    }

    #[test]
    fn lengths_are_spoken() {
        let table = [
            (0, "0 s"),
            (40, "0 s"),
            (1_500, "1.5 s"),
            (8_000, "8 s"),
            (9_990, "10 s"),
            (60_000, "1 min"),
            (200_000, "3 min 20 s"),
            (7_500_000, "2 h 5 min"),
            (7_200_000, "2 h"),
        ];
        for (millis, expected) in table {
            assert_eq!(Spoken(Duration::from_millis(millis)).to_string(), expected);
        }
    }
}
