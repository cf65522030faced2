//! Whether a member may take a job: the one place where the operator's wish, the probes, the traffic, the limit
//! and what the job has tried come together.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::explain::Spoken;
use super::health::Availability;
use super::history::Keeps;
use super::load::Full;
use super::member::Member;
use super::rank::Home;
use super::request::{Access, Trial, Tried};
use super::rule::Rule;
use super::state::{Decision, allows};
use crate::types::{Bytes, StorageName};

/// Why a member may not take a job.
#[derive(Debug, Clone, PartialEq)]
pub enum Ineligible {
    /// The configuration does not have it any more.
    Removed,
    /// It failed for this very job, because of this.
    Tried(Arc<str>),
    /// It has no device free for this job, in its words.
    Busy(Arc<str>),
    /// It will not run this job, because of this.
    Unfit(Arc<str>),
    /// It is of another release than the Director, and the two do not understand each other.
    Release {
        /// The number that it says.
        version: u32,
    },
    /// It is none of the storages that this rule leaves to the job.
    Rule(Arc<str>),
    /// The operator has put it in a state that forbids it.
    State(Arc<Decision>),
    /// Probes fail.
    Down {
        /// Why the last one did.
        why: Arc<str>,
        /// For how long they have.
        length: Duration,
    },
    /// Real jobs failed there a moment ago.
    Ejected {
        /// Why the last one did.
        why: Arc<str>,
        /// How long it is left alone yet.
        left: Duration,
    },
    /// The job waits for the storage to which it belongs.
    NotHome {
        /// Which that is.
        home: StorageName,
        /// Why.
        keeps: Keeps,
    },
    /// So large a share of its room is written, or will be by jobs that run.
    WaterMark {
        /// From 0.0 to 1.0.
        fill: f64,
    },
    /// The job would not fit.
    NoRoom {
        /// What it is expected to write.
        needs: Bytes,
        /// What there is room for.
        takes: Bytes,
    },
    /// It runs as many jobs as it may.
    Full(Full),
    /// It came back a while ago, and takes a few jobs at first.
    SlowStart {
        /// How many of them have not proved it yet.
        trials: usize,
    },
}

impl Ineligible {
    /// A word for metrics; one of a fixed set.
    #[must_use]
    pub fn label(&self) -> &'static str {
        match self {
            Self::Removed => "removed",
            Self::Tried(_) => "tried",
            Self::Busy(_) => "busy",
            Self::Unfit(_) => "unfit",
            Self::Release { .. } => "release",
            Self::Rule(_) => "rule",
            Self::State(decision) => decision.state.as_str(),
            Self::Down { .. } => "down",
            Self::Ejected { .. } => "ejected",
            Self::NotHome { .. } => "not_home",
            Self::WaterMark { .. } => "water_mark",
            Self::NoRoom { .. } => "no_room",
            Self::Full(_) => "full",
            Self::SlowStart { .. } => "slow_start",
        }
    }

    /// Whether it is well and has too much to do.
    #[must_use]
    pub fn is_busy(&self) -> bool {
        matches!(
            self,
            Self::Full(_) | Self::SlowStart { .. } | Self::Busy(_) | Self::WaterMark { .. } | Self::NoRoom { .. }
        )
    }

    /// The rest of a sentence that begins with the storage's name.
    #[must_use]
    pub fn predicate(&self) -> String {
        match self {
            Self::Removed => "is not in the configuration any more".to_owned(),
            Self::Tried(why) => format!("failed this job ({why})"),
            Self::Busy(why) => format!("is busy ({why})"),
            Self::Unfit(why) => format!("cannot run this job ({why})"),
            Self::Release { version } => format!("is of another release than the Director (it says {version})"),
            Self::Rule(rule) => format!("is not for jobs of {rule}"),
            Self::State(decision) => format!("is {decision}"),
            Self::Down { why, length } => format!("is down ({why}, for {})", Spoken(*length)),
            Self::Ejected { why, left } => format!("is left alone for another {} ({why})", Spoken(*left)),
            Self::NotHome { home, keeps } => match keeps {
                Keeps::FirstPart => format!("is not {home}, which has the first part"),
                Keeps::LastFull => format!("is not {home}, which has the last full"),
            },
            Self::WaterMark { fill } => format!("is {} full, or will be", percent(*fill)),
            Self::NoRoom { needs, takes } => format!("has room for {takes}, and {needs} are expected"),
            Self::Full(full) => format!("has {full}"),
            Self::SlowStart { trials: 1 } => "came back and takes one job at first".to_owned(),
            Self::SlowStart { trials } => format!("came back and takes {trials} jobs at first"),
        }
    }
}

impl fmt::Display for Ineligible {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Removed => f.write_str("not in the configuration any more"),
            Self::Tried(why) => write!(f, "tried, {why}"),
            Self::Busy(why) => write!(f, "busy, {why}"),
            Self::Unfit(why) => write!(f, "unfit, {why}"),
            Self::Release { version } => write!(f, "another release, {version}"),
            Self::Rule(rule) => write!(f, "not for {rule}"),
            Self::State(decision) => decision.fmt(f),
            Self::Down { why, .. } => write!(f, "down, {why}"),
            Self::Ejected { why, left } => write!(f, "ejected for {}, {why}", Spoken(*left)),
            Self::NotHome { .. } => f.write_str("not its home"),
            Self::WaterMark { fill } => write!(f, "{} full", percent(*fill)),
            Self::NoRoom { needs, takes } => write!(f, "room for {takes} of {needs}"),
            Self::Full(full) => write!(f, "full, {full}"),
            Self::SlowStart { trials } => write!(f, "slow start, {trials} on trial"),
        }
    }
}

fn percent(share: f64) -> String {
    format!("{:.0}%", share * 100.0)
}

/// For whom and when a member is judged.
#[derive(Debug, Clone, Copy)]
pub(super) struct Question<'a> {
    pub(super) access: Access,
    pub(super) tried: &'a Tried,
    pub(super) now: Instant,
    /// The job may go to this storage alone, since its volumes are there.
    pub(super) is_bound: bool,
    /// The rule that the job falls under, where it may choose.
    pub(super) rule: Option<&'a Rule>,
    /// The one storage for the job, where it waits for that; jobs that read have none.
    pub(super) home: Option<Home<'a>>,
    /// What a storage must have room for.
    pub(super) needs: Option<Bytes>,
    /// What storages told of their room before is not believed any more.
    pub(super) fresh: Option<Instant>,
    /// Ejections are overlooked where probes see the storage up, see [`pardon`].
    pub(super) pardon: bool,
}

/// Whether `member`, at this place of the list, may take the job, or the first reason why not, the most lasting reason
/// first.
pub(super) fn eligible(member: &Member, listed: usize, question: Question<'_>) -> Result<(), Ineligible> {
    if let Some(rule) = question.rule.filter(|rule| !rule.allows(listed)) {
        return Err(Ineligible::Rule(Arc::clone(rule.name())));
    }
    if member.is_removed && !question.is_bound {
        return Err(Ineligible::Removed);
    }
    if let Some(Home { live, keeps }) = question.home.filter(|home| home.live.id != member.id) {
        let home = live.name().clone();
        return Err(Ineligible::NotHome { home, keeps });
    }
    if let Some(why) = barred(member, question.access, question.tried, question.now) {
        return Err(why);
    }
    let overlooked = question.pardon && member.health.availability() == Availability::Up;
    if let Some(ejected) = member.ejection.active(question.now).filter(|_| !overlooked) {
        return Err(Ineligible::Ejected {
            why: Arc::clone(&ejected.cause.text),
            left: ejected.until.saturating_duration_since(question.now),
        });
    }
    if question.access == Access::Write {
        if let Some(fill) = member.room.closed() {
            return Err(Ineligible::WaterMark { fill });
        }
        if let Some((needs, takes)) = question.needs.zip(member.room.takes(question.fresh))
            && needs > takes
        {
            return Err(Ineligible::NoRoom { needs, takes });
        }
    }
    if let Some(full) = member.load.full(&member.limits, question.access) {
        return Err(Ineligible::Full(full));
    }
    if let Some(trials) = member.slow_start.full() {
        return Err(Ineligible::SlowStart { trials });
    }
    Ok(())
}

/// What keeps the job from `member` whatever comes of ejections, limits and room.
fn barred(member: &Member, access: Access, tried: &Tried, now: Instant) -> Option<Ineligible> {
    if let Some((trial, why)) = tried.trial(&member.name) {
        let why = Arc::clone(why);
        return Some(match trial {
            Trial::Failed => Ineligible::Tried(why),
            Trial::Busy => Ineligible::Busy(why),
            Trial::Unfit => Ineligible::Unfit(why),
        });
    }
    let version = member.gauges().storage_version();
    if let Some(version) = version.filter(|version| tried.excludes(*version)) {
        return Some(Ineligible::Release { version });
    }
    let decision = member.tenure.decision();
    if let Some(decision) = decision.filter(|decision| !allows(decision.state, access)) {
        return Some(Ineligible::State(Arc::clone(decision)));
    }
    let health = &member.health;
    (health.availability() == Availability::Down).then(|| Ineligible::Down {
        why: health
            .failure()
            .map_or_else(|| Arc::from("was not answering"), |failure| Arc::clone(&failure.text)),
        length: now.saturating_duration_since(health.since()),
    })
}

/// Whether ejections are to be overlooked: when all that could serve the job is ejected, and probes see some of
/// it up. If all are banned, none is; a storage that may work is better than a refusal that is certain.
pub(super) fn pardon<'a>(
    members: impl Iterator<Item = &'a Member>,
    access: Access,
    tried: &Tried,
    now: Instant,
) -> bool {
    let mut some_up = false;
    for member in members {
        if barred(member, access, tried, now).is_some() {
            continue;
        }
        if member.ejection.active(now).is_none() {
            return false;
        }
        some_up |= member.health.availability() == Availability::Up;
    }
    some_up
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::group::State;
    use crate::group::rig::{decide, eject, member, probe};
    use crate::group::slow_start::SlowStart;

    fn verdict(member: &Member, access: Access, tried: &Tried, pardon: bool, now: Instant) -> String {
        let question = Question {
            is_bound: false,
            access,
            tried,
            now,
            rule: None,
            home: None,
            needs: None,
            fresh: None,
            pardon,
        };
        eligible(member, 0, question).map_or_else(|why| why.to_string(), |()| "eligible".to_owned())
    }

    #[test]
    fn each_axis_alone_closes_the_door_and_says_so() {
        let now = Instant::now();
        let later = now + Duration::from_secs(4);
        let nothing = Tried::new();
        let judge = |member: &Member| verdict(member, Access::Write, &nothing, false, later);

        assert_eq!(judge(&member("File4", now)), "eligible", "unknown counts as eligible");

        let mut down = member("File4", now);
        probe(&mut down, false, now);
        assert_eq!(judge(&down), "down, connection refused");

        let mut ejected = member("File4", now);
        eject(&mut ejected, now);
        assert_eq!(judge(&ejected), "ejected for 6 s, connection reset");
        assert_eq!(
            verdict(&ejected, Access::Write, &nothing, true, later),
            "ejected for 6 s, connection reset",
            "no pardon without a probe that sees it up"
        );
        probe(&mut ejected, true, now);
        assert_eq!(verdict(&ejected, Access::Write, &nothing, true, later), "eligible");

        let mut full = member("File4", now);
        full.load.writes = 2;
        assert_eq!(judge(&full), "full, 2 of 2 jobs");

        let mut reading = member("File4", now);
        (reading.limits.maximum_read, reading.load.reads) = (Some(1), 1);
        assert_eq!(judge(&reading), "eligible");
        assert_eq!(
            verdict(&reading, Access::Read, &nothing, false, later),
            "full, 1 of 1 reading jobs"
        );

        let mut back = member("File4", now);
        back.slow_start = SlowStart::new(3);
        back.slow_start.close();
        back.slow_start.placed(1, now);
        assert_eq!(judge(&back), "slow start, 1 on trial");

        let mut sealed = member("File4", now);
        decide(&mut sealed, State::Sealed);
        assert_eq!(judge(&sealed), "sealed by ann (new disks)");
        assert_eq!(verdict(&sealed, Access::Read, &nothing, false, later), "eligible");
        decide(&mut sealed, State::Maintenance);
        assert_eq!(
            verdict(&sealed, Access::Read, &nothing, false, later),
            "maintenance by ann (new disks)"
        );

        let mut probed = member("File4", now);
        probe(&mut probed, true, now);
        probed.gauges().probed(
            crate::group::Probed {
                storage_version: 306,
                space: None,
                took: Duration::ZERO,
            },
            now,
        );
        let verdict_among = |versions| verdict(&probed, Access::Write, &Tried::among(versions), false, later);
        assert_eq!(verdict_among(&[30008]), "another release, 306");
        assert_eq!(verdict_among(&[305, 306]), "eligible");
        assert_eq!(verdict_among(&[]), "eligible");

        let mut tried = Tried::new();
        tried.add(full.name.clone(), Trial::Failed, "login refused");
        assert_eq!(
            verdict(&full, Access::Write, &tried, false, later),
            "tried, login refused"
        );
    }

    #[test]
    fn down_wins_over_a_pardon() {
        let now = Instant::now();
        let mut both = member("File4", now);
        eject(&mut both, now);
        probe(&mut both, false, now);
        assert_eq!(
            verdict(&both, Access::Write, &Tried::new(), true, now),
            "down, connection refused"
        );
    }

    #[test]
    fn all_ejected_are_pardoned_only_when_a_probe_sees_one_up() {
        let now = Instant::now();
        let nothing = Tried::new();
        let mut members = [member("File4", now), member("File5", now), member("File6", now)];
        let judge = |members: &[Member], tried: &Tried| pardon(members.iter(), Access::Write, tried, now);

        assert!(!judge(&members, &nothing), "nobody is ejected");
        eject(&mut members[0], now);
        eject(&mut members[1], now);
        assert!(!judge(&members, &nothing), "one is not ejected");
        eject(&mut members[2], now);
        assert!(!judge(&members, &nothing), "no probe has seen one up");
        probe(&mut members[1], true, now);
        assert!(judge(&members, &nothing));

        let mut tried = Tried::new();
        tried.add(members[1].name.clone(), Trial::Failed, "refused");
        assert!(!judge(&members, &tried), "the only one that is up has been tried");

        decide(&mut members[2], State::Sealed);
        assert!(judge(&members, &nothing), "a sealed one is no alternative");
        let mut unsuited = [member("File4", now), member("File5", now)];
        eject(&mut unsuited[0], now);
        probe(&mut unsuited[0], true, now);
        assert!(!judge(&unsuited, &nothing));
        probe(&mut unsuited[1], false, now);
        assert!(judge(&unsuited, &nothing), "a down one is no alternative");
    }
}
