//! Putting the members that may take a job in order, and saying why.

use std::sync::Arc;
use std::time::Instant;

use super::eligible::{Question, eligible, pardon};
use super::explain::{Explanation, Judged, Obstacle};
use super::live::StorageLive;
use super::member::{Member, Run};
use super::place::{Choice, Taken};
use super::policy::{Candidate, Dice, Policy};
use super::request::{PlacementRequest, Tried};
use super::table::Table;

/// A job that is judged, with what is the same for every member.
#[derive(Debug)]
pub(super) struct Case<'a> {
    pub(super) choice: &'a Choice,
    pub(super) request: &'a PlacementRequest,
    pub(super) question: Question<'a>,
    /// What keeps the job from every member.
    pub(super) obstacle: Option<Obstacle>,
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
        let access = request.access;
        let rule = match choice {
            Choice::Of(group) => group.rule(request),
            Choice::Bound { .. } => None,
        };
        let members = choice.members().iter().enumerate();
        let members = members
            .filter(|(listed, _)| rule.is_none_or(|rule| rule.allows(*listed)))
            .filter_map(|(_, live)| self.member(live));
        Case {
            choice,
            request,
            question: Question {
                access,
                tried,
                now,
                rule,
                pardon: pardon(members, access, tried, now),
            },
            obstacle: self.obstacle(choice, request),
        }
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

    /// Ranks what may take the job, best first, into `ranked`, and returns the best with its turn.
    fn rank(&mut self, case: &Case<'_>) -> Option<(Arc<StorageLive>, u64)> {
        self.ranked.clear();
        if case.obstacle.is_some() {
            return None;
        }
        let members = case.choice.members();
        let fresh = case.question.now.checked_sub(self.room_lasts);
        let turns = members
            .iter()
            .filter_map(|live| self.member(live))
            .map(Member::own_turn);
        let latest = turns.max().unwrap_or(0);
        for (listed, live) in members.iter().enumerate() {
            if let Some(member) = self.members.get(live.id.0)
                && eligible(member, listed, case.question).is_ok()
            {
                self.ranked.push(Candidate {
                    listed,
                    tier: u8::from(member.load.is_at_target(&member.limits)),
                    running: member.load.total(),
                    limit: member.limits.maximum.unwrap_or(u32::MAX),
                    weight: member.weight,
                    last_placed: member.last_placed,
                    turn: member.turn(latest),
                    free: member.free(fresh),
                    hash: member.hash,
                    score: 0,
                });
            }
        }
        if let Choice::Of(group) = case.choice {
            let (_, policy) = group.policy(case.question.rule);
            by_tier(policy, case.request, &mut self.ranked, &mut self.dice);
        }
        let best = self.ranked.first()?;
        Some((Arc::clone(members.get(best.listed)?), best.turn))
    }

    /// Says what the last [`Table::rank`] of the same case saw.
    fn explain(&self, case: &Case<'_>, chosen: Option<&StorageLive>) -> Arc<Explanation> {
        let Case { choice, question, .. } = case;
        let mut members: Vec<Judged> = choice
            .members()
            .iter()
            .enumerate()
            .filter_map(|(listed, live)| Some((listed, self.member(live)?)))
            .map(|(listed, member)| Judged {
                storage: member.name.clone(),
                running: member.load.total(),
                limit: member.limits.maximum.unwrap_or(u32::MAX),
                is_at_target: member.load.is_at_target(&member.limits),
                rank: None,
                ineligible: eligible(member, listed, *question).err(),
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
            chosen: chosen.map(|live| live.name().clone()),
            obstacle: case.obstacle.clone(),
            pardoned: question.pardon,
            members,
        })
    }

    /// Ranks, and takes a place on the best.
    pub(super) fn take_best(
        &mut self,
        choice: &Choice,
        request: &PlacementRequest,
        tried: &Tried,
        now: Instant,
    ) -> Option<Taken> {
        let case = self.case(choice, request, tried, now);
        let (live, turn) = self.rank(&case)?;
        let explanation = self.explain(&case, Some(&live));
        self.placements += 1;
        let number = self.placements;
        let run = Run {
            number,
            access: request.access,
            group: choice.group().line,
            director: self.director(&request.director),
        };
        self.count(&run);
        self.members.get_mut(live.id.0)?.take(run, turn, now);
        Some(Taken {
            live,
            number,
            explanation,
        })
    }

    /// Every member and what is against it.
    pub(super) fn why_not(
        &mut self,
        choice: &Choice,
        request: &PlacementRequest,
        tried: &Tried,
        now: Instant,
    ) -> Arc<Explanation> {
        self.ranked.clear();
        let case = self.case(choice, request, tried, now);
        self.explain(&case, None)
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
