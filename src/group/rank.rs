//! Putting the members that may take a job in order, and saying why.

use std::sync::Arc;
use std::time::Instant;

use crate::config::model::{Locality, PolicyName, RoomForJob};
use crate::types::{Bytes, JobLevel, JobType, State, StorageName};

use super::eligible::{Question, eligible, pardon};
use super::explain::{Explanation, Judged, Obstacle};
use super::group::Group;
use super::history::{Foretold, Keeps};
use super::live::StorageLive;
use super::member::{Member, MemberId, Run};
use super::place::{Choice, Taken};
use super::policy::{Candidate, Dice, Policy};
use super::request::{Access, PlacementRequest, Tried};
use super::table::Table;

/// A job that is judged, with what is the same for every member.
#[derive(Debug)]
pub(super) struct Case<'a> {
    pub(super) choice: &'a Choice,
    pub(super) request: &'a PlacementRequest,
    pub(super) question: Question<'a>,
    /// What keeps the job from every member.
    pub(super) obstacle: Option<Obstacle>,
    foretold: Foretold,
    /// The member to which the job belongs, where that counts.
    home: Option<Home<'a>>,
    /// What a member should have room for.
    wants: Option<Bytes>,
}

/// The member that is ranked first.
#[derive(Debug)]
struct Best {
    live: Arc<StorageLive>,
    turn: u64,
    /// What the group's shadow policy would choose.
    shadow: Option<(PolicyName, StorageName)>,
}

/// The one member to which a job belongs.
#[derive(Debug, Clone, Copy)]
pub(super) struct Home<'a> {
    pub(super) live: &'a Arc<StorageLive>,
    /// Why there.
    pub(super) keeps: Keeps,
}

/// What moves a member back behind others whatever the policy says.
#[derive(Debug, Clone, Copy)]
struct Setbacks {
    lacks_room: bool,
    is_away: bool,
    is_at_target: bool,
}

impl Setbacks {
    /// A job that does not fit is worse off than one away from home, and that worse than one on a busy storage.
    fn tier(self) -> u8 {
        u8::from(self.lacks_room) * 4 + u8::from(self.is_away) * 2 + u8::from(self.is_at_target)
    }
}

impl Case<'_> {
    fn setbacks(&self, member: &Member) -> Setbacks {
        let takes = self.wants.zip(member.room.takes(self.question.fresh));
        Setbacks {
            lacks_room: takes.is_some_and(|(wants, takes)| wants > takes),
            is_away: self.home.is_some_and(|home| home.live.id != member.id),
            is_at_target: member.load.is_at_target(&member.limits),
        }
    }

    /// Whether `member` has this of the job, and that counts.
    fn has(&self, member: &Member, keeps: Keeps) -> bool {
        self.home
            .is_some_and(|home| home.live.id == member.id && home.keeps == keeps)
    }
}

/// Whether a run of this level is based on a full.
fn is_based_on_a_full(request: &PlacementRequest) -> bool {
    request.job_type == JobType::Backup && matches!(request.level, JobLevel::Incremental | JobLevel::Differential)
}

/// Whether the job puts data on its storage.
fn writes(request: &PlacementRequest) -> bool {
    let is_virtual_full = request.job_type == JobType::Backup && request.level == JobLevel::VirtualFull;
    request.access == Access::Write || is_virtual_full
}

impl Table {
    /// What there is to judge of a job at `now`.
    pub(super) fn case<'a>(
        &self,
        choice: &'a Choice,
        request: &'a PlacementRequest,
        tried: &'a Tried,
        now: Instant,
    ) -> Case<'a> {
        let (access, group) = (request.access, choice.group());
        let rule = match choice {
            Choice::Of(group) => group.rule(request),
            Choice::Bound { .. } => None,
        };
        let allowed = |listed: usize| rule.is_none_or(|rule| rule.allows(listed));
        let is_bound = matches!(choice, Choice::Bound { .. });
        let members = choice.members().iter().enumerate();
        let members = members.filter(|(listed, _)| allowed(*listed));
        let members = members.filter_map(|(_, live)| self.member(live));
        let members = members.filter(|member| is_bound || !member.is_removed);
        let pardon = pardon(members, access, tried, now);
        let foretold = self.history.foretell(request);
        let may_choose = access == Access::Write && !is_bound;
        let (locality, room) = (group.locality(rule), group.room_for_job(rule));
        let home_at = |at: Option<MemberId>, keeps| {
            let live = self.home_among(choice.members(), at.filter(|_| may_choose)?, &allowed)?;
            Some(Home { live, keeps })
        };
        let full = foretold
            .home
            .filter(|_| locality != Locality::Off && is_based_on_a_full(request));
        let home = home_at(foretold.first_part, Keeps::FirstPart).or_else(|| home_at(full, Keeps::LastFull));
        let size = foretold.size.filter(|_| may_choose);
        Case {
            choice,
            request,
            question: Question {
                access,
                tried,
                now,
                is_bound,
                rule,
                home: home.filter(|_| locality == Locality::Require),
                needs: size.filter(|_| room == RoomForJob::Require),
                fresh: now.checked_sub(self.room_lasts),
                pardon,
            },
            obstacle: self.obstacle(choice, request),
            foretold,
            home,
            wants: size.filter(|_| room != RoomForJob::Ignore),
        }
    }

    /// The member to which a job belongs, if the job may go there at all. A sealed one is not gone back to: that is
    /// what it was sealed for.
    fn home_among<'a>(
        &self,
        members: &'a [Arc<StorageLive>],
        home: MemberId,
        allowed: &impl Fn(usize) -> bool,
    ) -> Option<&'a Arc<StorageLive>> {
        let listed = members.iter().position(|live| live.id == home)?;
        let live = members.get(listed)?;
        let is_closed = self
            .member(live)
            .is_none_or(|member| member.is_removed || member.tenure.state() == State::Sealed);
        (allowed(listed) && !is_closed).then_some(live)
    }

    fn obstacle(&self, choice: &Choice, request: &PlacementRequest) -> Option<Obstacle> {
        let group = choice.group();
        let of_group = self
            .groups
            .get(group.line)
            .and_then(|counted| counted.load.full(&counted.limits, request.access))
            .map(|full| Obstacle::Group(group.name().clone(), full));
        of_group.or_else(|| {
            let counted = self.directors.get(self.director(&request.director)?)?;
            let full = counted.load.full(&counted.limits, request.access)?;
            Some(Obstacle::Director(request.director.clone(), full))
        })
    }

    /// Ranks what may take the job, best first, into `ranked`, and returns the best.
    fn rank(&mut self, case: &Case<'_>) -> Option<Best> {
        self.ranked.clear();
        if case.obstacle.is_some() {
            return None;
        }
        let members = case.choice.members();
        let turns = members
            .iter()
            .filter_map(|live| self.member(live))
            .map(Member::own_turn);
        let latest = turns.max().unwrap_or(0);
        let runs = self.history.runs(case.request);
        for (listed, live) in members.iter().enumerate() {
            if let Some(member) = self.members.get(live.id.0)
                && eligible(member, listed, case.question).is_ok()
            {
                let left = member.room.left(case.question.fresh);
                self.ranked.push(Candidate {
                    listed,
                    tier: case.setbacks(member).tier(),
                    running: member.load.total(),
                    limit: member.limits.maximum.unwrap_or(u32::MAX),
                    weight: member.weight,
                    last_placed: member.last_placed,
                    last_backed_up: runs.map_or(0, |runs| runs.last_placed(member.id)),
                    turn: member.turn(latest),
                    free: left.map(|space| space.free.0),
                    pace: member.pacer.pace(case.question.now),
                    hash: member.hash,
                    score: 0,
                });
            }
        }
        let mut shadow = None;
        if let Choice::Of(group) = case.choice {
            shadow = self.shadow(group, case);
            let (_, policy) = group.policy(case.question.rule);
            by_tier(policy, case.request, &mut self.ranked, &mut self.dice);
        }
        let best = self.ranked.first()?;
        Some(Best {
            live: Arc::clone(members.get(best.listed)?),
            turn: best.turn,
            shadow,
        })
    }

    /// What the group's shadow policy would choose of `ranked`, which is not ranked yet. Its dice are a copy, so that
    /// the jobs go where they would go without it.
    fn shadow(&mut self, group: &Group, case: &Case<'_>) -> Option<(PolicyName, StorageName)> {
        let (name, policy) = group.shadow(case.question.rule)?;
        self.shadowed.clone_from(&self.ranked);
        by_tier(policy, case.request, &mut self.shadowed, &mut self.dice.clone());
        let best = self.shadowed.first()?;
        Some((name, group.members().get(best.listed)?.name().clone()))
    }

    /// Says what the last [`Table::rank`] of the same case saw.
    fn explain(&self, case: &Case<'_>, best: Option<&Best>) -> Arc<Explanation> {
        let Case { choice, question, .. } = case;
        let ago = |number: u64| (number > 0).then(|| self.placements.saturating_sub(number));
        let runs = self.history.runs(case.request);
        let listed = choice.members().iter().enumerate();
        let members = listed.filter_map(|(listed, live)| Some((listed, self.member(live)?)));
        let mut members: Vec<Judged> = members
            .map(|(listed, member)| {
                let setbacks = case.setbacks(member);
                Judged {
                    storage: member.name.clone(),
                    running: member.load.total(),
                    reading: member.load.reads,
                    limit: member.limits.maximum.unwrap_or(u32::MAX),
                    is_at_target: setbacks.is_at_target,
                    is_home: case.has(member, Keeps::LastFull),
                    has_part: case.has(member, Keeps::FirstPart),
                    lacks_room: setbacks.lacks_room,
                    free: member.room.left(question.fresh).map(|space| space.free),
                    pace: member.pacer.pace(question.now),
                    weight: member.weight,
                    placed_ago: ago(member.last_placed),
                    had_it_ago: runs.and_then(|runs| ago(runs.last_placed(member.id))),
                    rank: None,
                    ineligible: eligible(member, listed, *question).err(),
                }
            })
            .collect();
        for (rank, candidate) in self.ranked.iter().enumerate() {
            if let Some(judged) = members.get_mut(candidate.listed) {
                judged.rank = Some(rank + 1);
            }
        }
        Arc::new(Explanation {
            group: match choice {
                Choice::Of(group) => Some((group.name().clone(), group.policy(question.rule).0)),
                Choice::Bound { .. } => None,
            },
            rule: question.rule.map(|rule| Arc::clone(rule.name())),
            expected: case.foretold.size,
            chosen: best.map(|best| best.live.name().clone()),
            shadow: best.and_then(|best| best.shadow.clone()),
            obstacle: case.obstacle.clone(),
            pardoned: question.pardon,
            members,
        })
    }

    /// Ranks, and takes a place on the best.
    pub(super) fn take_best(&mut self, case: &Case<'_>) -> Option<Taken> {
        let best = self.rank(case)?;
        let (choice, request, now) = (case.choice, case.request, case.question.now);
        let explanation = self.explain(case, Some(&best));
        let Best { live, turn, .. } = best;
        self.placements += 1;
        let number = self.placements;
        let expected = if writes(request) {
            case.foretold.set_aside
        } else {
            Bytes(0)
        };
        let director = self.director(&request.director);
        let run = Run::new(number, request.access, choice.group().line, director, expected);
        self.count(&run);
        if writes(request) {
            let PlacementRequest {
                director,
                job_resource,
                level,
                ..
            } = request;
            self.history.placed(director, job_resource, *level, live.id, number);
        }
        let moved = Arc::clone(&run.moved);
        self.members.get_mut(live.id.0)?.take(run, turn, now);
        Some(Taken {
            live,
            number,
            moved,
            explanation,
        })
    }

    /// Where the job would go at `now`, and why; nothing comes of it.
    pub(super) fn would_take(&mut self, choice: &Choice, request: &PlacementRequest, now: Instant) -> Arc<Explanation> {
        self.settle(now);
        let nothing = Tried::new();
        let case = self.case(choice, request, &nothing, now);
        let dice = self.dice.clone();
        let best = self.rank(&case);
        self.dice = dice;
        self.explain(&case, best.as_ref())
    }

    /// Every member and what is against it.
    pub(super) fn objections(&mut self, case: &Case<'_>) -> Arc<Explanation> {
        self.ranked.clear();
        self.explain(case, None)
    }

    /// As [`Table::objections`], where the job was not judged yet.
    pub(super) fn why_not(
        &mut self,
        choice: &Choice,
        request: &PlacementRequest,
        tried: &Tried,
        now: Instant,
    ) -> Arc<Explanation> {
        let case = self.case(choice, request, tried, now);
        self.objections(&case)
    }
}

/// Ranks each tier by itself, the lowest first.
fn by_tier(policy: &dyn Policy, request: &PlacementRequest, ranked: &mut [Candidate], dice: &mut Dice) {
    let tier = |candidate: &Candidate| candidate.tier;
    if !ranked.is_sorted_by_key(tier) {
        ranked.sort_unstable_by_key(|candidate| (candidate.tier, candidate.listed));
    }
    for tier in ranked.chunk_by_mut(|one, next| one.tier == next.tier) {
        policy.rank(request, tier, dice);
    }
}
