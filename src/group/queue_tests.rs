//! Waiting for a place.

use std::cell::Cell;
use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::clock::now;
use super::*;
use crate::config::model::{Model, PolicyName};

/// A directory with its one group, all of it in one process.
struct Site {
    directory: Arc<Directory>,
    group: Arc<Group>,
    cancel: CancellationToken,
}

impl Site {
    fn of(model: &Model) -> Self {
        let directory = Directory::seeded(model, 1);
        let group = directory.group(&rig::group_name()).expect("the rig's group");
        Self {
            directory,
            group,
            cancel: CancellationToken::new(),
        }
    }

    fn new() -> Self {
        Self::of(&rig::model(PolicyName::ListedOrder))
    }

    fn live(&self, at: usize) -> &StorageLive {
        &self.directory.storages()[at]
    }

    fn fill(&self) -> Vec<Placement> {
        std::iter::from_fn(|| {
            self.directory
                .place(&self.group, &rig::request("filler", 1), &Tried::new(), now())
                .ok()
        })
        .collect()
    }

    async fn wait(&self, director: &str, job_id: u32) -> Result<Placement, Refused> {
        let request = rig::request(director, job_id);
        self.directory
            .wait_for_place(&self.group, &request, &mut Tried::new(), &self.cancel, |_| {})
            .await
    }

    fn down(&self, at: usize) {
        let failure = ProbeFailure {
            layer: Layer::Connect,
            text: "connection refused".into(),
        };
        while self.live(at).view(now()).availability != Availability::Down {
            let _ = self.live(at).observe_probe(Err(failure.clone()), now());
        }
    }

    fn up(&self, at: usize) {
        let probed = Probed {
            storage_version: 306,
            space: None,
            took: Duration::ZERO,
        };
        while self.live(at).view(now()).availability != Availability::Up {
            let _ = self.live(at).observe_probe(Ok(probed), now());
        }
    }
}

/// Polls once: a future that waits must not be ready, and has joined the queue afterwards.
async fn begins_to_wait<F: Future>(future: &mut std::pin::Pin<&mut F>) {
    tokio::select! {
        biased;
        _ = future => panic!("it was to wait"),
        () = std::future::ready(()) => {}
    }
}

#[tokio::test(start_paused = true)]
async fn a_free_place_is_given_at_once_and_nothing_is_said_of_waiting() {
    let site = Site::new();
    let begun = now();
    let told = Cell::new(0);
    let request = rig::request("dir", 1);
    let placement = site
        .directory
        .wait_for_place(&site.group, &request, &mut Tried::new(), &site.cancel, |_| {
            told.set(told.get() + 1);
        })
        .await
        .expect("all is free");
    assert_eq!(placement.storage.name.as_str(), "File4");
    assert_eq!((told.get(), now()), (0, begun));
}

#[tokio::test(start_paused = true)]
async fn a_freed_slot_goes_to_the_one_that_waits() {
    let site = Site::new();
    let mut held = site.fill();
    let told = Cell::new(None);
    let request = rig::request("dir", 1);
    let mut tried = Tried::new();
    let waiting = site
        .directory
        .wait_for_place(&site.group, &request, &mut tried, &site.cancel, |waiting| {
            told.set(Some(waiting.to_string()));
        });
    let mut waiting = pin!(waiting);
    begins_to_wait(&mut waiting).await;
    assert_eq!(site.group.waiting(), 1);
    assert_eq!(
        told.take().expect("told once"),
        "no storage of group Files can take the job now, it waits up to 30 min: File4 has 2 of 2 jobs, File5 has \
         2 of 2 jobs, File6 has 2 of 2 jobs"
    );
    let freed = held.swap_remove(3);
    let name = freed.storage.name.clone();
    drop(freed);
    let newcomer = site
        .directory
        .place(&site.group, &rig::request("late", 2), &Tried::new(), now());
    assert!(newcomer.is_err(), "a new job does not overtake");
    assert_eq!(waiting.await.expect("the freed place").storage.name, name);
    assert_eq!(site.group.waiting(), 0);
    assert!(told.take().is_none());
}

#[tokio::test(start_paused = true)]
async fn its_place_is_told_when_it_has_halved_and_not_twice_a_minute() {
    let site = Site::new();
    let mut held = site.fill();
    let mut others: Vec<_> = (1..=8).map(|job_id| Box::pin(site.wait("dir", job_id))).collect();
    for other in &mut others {
        begins_to_wait(&mut other.as_mut()).await;
    }
    let told = std::cell::RefCell::new(Vec::new());
    let begun = now();
    let (request, mut tried) = (rig::request("dir", 9), Tried::new());
    let on_wait = |waiting: &Waiting| {
        told.borrow_mut()
            .push(((now() - begun).as_secs(), waiting.ahead, waiting.condition));
    };
    let wait = site
        .directory
        .wait_for_place(&site.group, &request, &mut tried, &site.cancel, on_wait);
    let mut wait = pin!(wait);
    begins_to_wait(&mut wait).await;
    // A job ends every 25 s, and the next gets its place.
    for _ in 0..6 {
        for _ in 0..25 {
            tokio::time::advance(Duration::from_secs(1)).await;
            begins_to_wait(&mut wait).await;
        }
        held.pop();
        held.insert(0, others.remove(0).await.expect("its turn"));
    }
    (0..3).for_each(|at| site.down(at));
    for _ in 0..59 {
        tokio::time::advance(Duration::from_secs(1)).await;
        begins_to_wait(&mut wait).await;
    }
    assert_eq!(
        *told.borrow(),
        [
            (0, 8, Condition::Busy),
            (120, 4, Condition::Busy),
            (180, 2, Condition::Down),
        ]
    );
}

#[tokio::test(start_paused = true)]
async fn a_wait_that_goes_on_says_how_long_it_has() {
    let mut model = rig::model(PolicyName::ListedOrder);
    let mut config = (*model.groups[0]).clone();
    config.down_wait = Duration::from_secs(600);
    model.groups = vec![Arc::new(config)];
    let site = Site::of(&model);
    let held = site.fill();
    let mut ahead = pin!(site.wait("dir", 1));
    begins_to_wait(&mut ahead).await;
    let told = Cell::new(None);
    let (request, mut tried) = (rig::request("dir", 2), Tried::new());
    let on_wait = |waiting: &Waiting| told.set((!waiting.is_first()).then(|| waiting.to_string()));
    let wait = site
        .directory
        .wait_for_place(&site.group, &request, &mut tried, &site.cancel, on_wait);
    let mut wait = pin!(wait);
    begins_to_wait(&mut wait).await;
    (0..3).for_each(|at| site.down(at));
    begins_to_wait(&mut wait).await;
    tokio::time::advance(Duration::from_secs(59)).await;
    begins_to_wait(&mut wait).await;
    assert!(told.take().is_none(), "a minute is not over");
    tokio::time::advance(Duration::from_secs(1)).await;
    begins_to_wait(&mut wait).await;
    let line = told.take().expect("it waits for something else, and a minute is over");
    assert!(
        line.starts_with(
            "no storage of group Files can take the job now, it waits up to 9 min more (it has for 1 min) behind \
             another: File4 is down"
        ),
        "{line}"
    );
    drop(held);
}

#[tokio::test(start_paused = true)]
async fn the_more_urgent_job_by_a_rule_is_served_first() {
    let mut model = rig::model(PolicyName::ListedOrder);
    let mut config = (*model.groups[0]).clone();
    let mut rule = rig::rule();
    rule.directors = vec![crate::types::Glob::new("urgent")];
    rule.priority = Some(1);
    config.rules = vec![rule];
    model.groups = vec![Arc::new(config)];
    let site = Site::of(&model);
    let mut held = site.fill();
    let mut usual = pin!(site.wait("dir", 1));
    let mut urgent = pin!(site.wait("urgent", 2));
    begins_to_wait(&mut usual).await;
    begins_to_wait(&mut urgent).await;
    held.pop();
    let placed = urgent.await.expect("it came later and goes first");
    drop(placed);
    assert!(usual.await.is_ok());
}

#[tokio::test(start_paused = true)]
async fn directors_take_turns_and_each_keeps_its_order() {
    let site = Arc::new(Site::new());
    let mut held = site.fill();
    let (done, mut order) = mpsc::unbounded_channel();
    for (job_id, director) in (1..).zip(["a", "a", "a", "b", "b", "c"]) {
        let (site, done) = (Arc::clone(&site), done.clone());
        let queued = site.group.waiting();
        let group = Arc::clone(&site.group);
        tokio::spawn(async move {
            let placement = site.wait(director, job_id).await.expect("its turn comes");
            done.send(format!("{director}{job_id}")).expect("the test listens");
            placement
        });
        while group.waiting() == queued {
            tokio::task::yield_now().await;
        }
    }
    // Each that is served ends at once, and so its place goes on to the next.
    held.pop();
    let mut served = Vec::new();
    while served.len() < 6 {
        served.push(order.recv().await.expect("one is served"));
    }
    assert_eq!(served, ["a1", "b4", "c6", "a2", "b5", "a3"]);
}

#[tokio::test(start_paused = true)]
async fn down_is_refused_after_the_down_wait_with_every_reason() {
    let site = Site::new();
    let begun = now();
    (0..3).for_each(|at| site.down(at));
    let refused = site.wait("dir", 1).await.expect_err("nothing is well");
    assert_eq!((refused.reason, refused.label()), (RefusedReason::Down, "down"));
    assert_eq!(now() - begun, Duration::from_secs(60));
    assert_eq!(
        refused.to_string(),
        "no storage of group Files can take the job after 1 min: File4 is down (connection refused, for 1 min), \
         File5 is down (connection refused, for 1 min), File6 is down (connection refused, for 1 min)"
    );
    assert_eq!(site.group.waiting(), 0);
}

#[tokio::test(start_paused = true)]
async fn busy_and_down_have_clocks_of_their_own() {
    let site = Site::new();
    let held = site.fill();
    let begun = now();
    let mut waiting = pin!(site.wait("dir", 1));
    begins_to_wait(&mut waiting).await;
    tokio::time::advance(Duration::from_secs(100)).await;
    begins_to_wait(&mut waiting).await;
    (0..3).for_each(|at| site.down(at));
    begins_to_wait(&mut waiting).await;
    tokio::time::advance(Duration::from_secs(50)).await;
    begins_to_wait(&mut waiting).await;
    site.up(1);
    let refused = waiting.await.expect_err("File5 stays full");
    assert_eq!(refused.reason, RefusedReason::Busy);
    assert_eq!(
        now() - begun,
        Duration::from_secs(50 + 1800),
        "the down time does not count as busy time"
    );
    drop(held);
}

#[tokio::test(start_paused = true)]
async fn a_good_probe_serves_the_queue() {
    let site = Site::new();
    (0..3).for_each(|at| site.down(at));
    let mut waiting = pin!(site.wait("dir", 1));
    begins_to_wait(&mut waiting).await;
    tokio::time::advance(Duration::from_secs(20)).await;
    site.up(2);
    let begun = now();
    assert_eq!(waiting.await.expect("File6 is back").storage.name.as_str(), "File6");
    assert_eq!(now(), begun);
}

#[tokio::test(start_paused = true)]
async fn an_ejection_that_ends_by_itself_serves_the_queue() {
    let site = Site::new();
    for at in 0..3 {
        let _ = site
            .live(at)
            .observe_failure(Cause::new("reset", "connection reset"), now());
    }
    let begun = now();
    let placement = site.wait("dir", 1).await.expect("ten seconds are less than a minute");
    assert_eq!(now() - begun, Duration::from_secs(10));
    drop(placement);
}

#[tokio::test(start_paused = true)]
async fn when_all_are_ejected_those_that_probes_see_up_are_tried() {
    let site = Site::new();
    site.up(1);
    for at in 0..3 {
        let _ = site
            .live(at)
            .observe_failure(Cause::new("reset", "connection reset"), now());
    }
    let begun = now();
    let placement = site.wait("dir", 1).await.expect("File5 may work");
    assert_eq!(now(), begun);
    assert_eq!(
        placement.explanation.to_string(),
        "File5 by ListedOrder (0 of 2 jobs; File4: ejected for 10 s, connection reset; File6: ejected for 10 s, \
         connection reset; all are ejected)"
    );
}

/// Tries storages until none is left, and says when which was tried.
async fn attempts(site: &Site, trial_of: impl Fn(&str) -> Trial) -> (Vec<(u64, String)>, Refused) {
    let begun = now();
    let request = rig::request("dir", 1);
    let mut tried = Tried::new();
    let mut attempts = Vec::new();
    loop {
        let wait = site
            .directory
            .wait_for_place(&site.group, &request, &mut tried, &site.cancel, |_| {});
        match wait.await {
            Ok(placement) => {
                let name = placement.storage.name.clone();
                attempts.push(((now() - begun).as_secs(), name.to_string()));
                tried.add(name.clone(), trial_of(name.as_str()), "3924 no device");
            }
            Err(refused) => return (attempts, refused),
        }
    }
}

#[tokio::test(start_paused = true)]
async fn storages_that_will_never_take_the_job_are_tried_once_and_nobody_waits_for_them() {
    let (attempts, refused) = attempts(&Site::new(), |_| Trial::Unfit).await;
    assert_eq!(attempts.len(), 3);
    assert_eq!((refused.reason, refused.waited), (RefusedReason::Unfit, Duration::ZERO));
    let text = refused.to_string();
    assert!(text.contains("File4 cannot run this job (3924 no device)"), "{text}");
}

#[tokio::test(start_paused = true)]
async fn devices_that_are_busy_are_waited_for_as_places_are() {
    let trial_of = |name: &str| if name == "File5" { Trial::Busy } else { Trial::Unfit };
    let (attempts, refused) = attempts(&Site::new(), trial_of).await;
    assert_eq!(refused.reason, RefusedReason::Busy);
    assert_eq!(refused.waited, Duration::from_secs(1800), "the rig's BusyWait");
    assert!(attempts.iter().skip(3).all(|(_, name)| name == "File5"), "{attempts:?}");
    assert!(attempts.len() > 6, "{attempts:?}");
}

#[tokio::test(start_paused = true)]
async fn what_failed_is_tried_again_after_a_while_and_the_waits_of_all_rounds_add_up() {
    let site = Site::new();
    let begun = now();
    let request = rig::request("dir", 1);
    let mut tried = Tried::new();
    let mut attempts = Vec::new();
    let refused = loop {
        let wait = site
            .directory
            .wait_for_place(&site.group, &request, &mut tried, &site.cancel, |_| {});
        match wait.await {
            Ok(placement) => {
                attempts.push((now() - begun).as_secs());
                tried.add(placement.storage.name.clone(), Trial::Failed, "login refused");
            }
            Err(refused) => break refused,
        }
    };
    let rounds = [0, 10, 20, 30, 40, 50, 60].map(|second| [second; 3]).concat();
    assert_eq!(attempts, rounds);
    assert_eq!(refused.waited, Duration::from_secs(60));
    assert_eq!(refused.reason, RefusedReason::Down);
    assert!(
        refused.to_string().contains("File4 failed this job (login refused)"),
        "{refused}"
    );
}

#[tokio::test(start_paused = true)]
async fn a_cancelled_wait_ends_and_leaves_nothing_behind() {
    let site = Site::new();
    let held = site.fill();
    let refused = {
        let mut waiting = pin!(site.wait("dir", 1));
        begins_to_wait(&mut waiting).await;
        tokio::time::advance(Duration::from_secs(3)).await;
        site.cancel.cancel();
        waiting.await.expect_err("cancelled")
    };
    assert_eq!(
        (refused.reason, refused.waited),
        (RefusedReason::Cancelled, Duration::from_secs(3))
    );
    assert_eq!(site.group.waiting(), 0);
    drop(held);
    assert!((0..3).all(|at| site.live(at).view(now()).running == 0));
}

#[tokio::test(start_paused = true)]
async fn a_place_that_nobody_collects_goes_to_the_next() {
    let site = Site::new();
    let mut held = site.fill();
    let mut second = pin!(site.wait("dir", 2));
    {
        let mut first = pin!(site.wait("dir", 1));
        begins_to_wait(&mut first).await;
        begins_to_wait(&mut second).await;
        held.pop();
        begins_to_wait(&mut second).await;
    }
    assert!(second.await.is_ok(), "the first went away with its place not collected");
    assert_eq!(site.group.waiting(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_full_queue_refuses_at_once() {
    let mut model = rig::model(PolicyName::ListedOrder);
    let mut config = (*model.groups[0]).clone();
    config.maximum_queued_jobs = 1;
    model.groups = vec![Arc::new(config)];
    let site = Site::of(&model);
    let held = site.fill();
    let begun = now();
    let mut first = pin!(site.wait("dir", 1));
    begins_to_wait(&mut first).await;
    let refused = site.wait("dir", 2).await.expect_err("one may wait");
    assert_eq!((refused.reason, now()), (RefusedReason::QueueFull, begun));
    assert!(
        refused
            .to_string()
            .contains("and its queue is full (1 wait): File4 has 2 of 2 jobs"),
        "{refused}"
    );
    drop(held);
    assert!(first.await.is_ok());
}

#[tokio::test(start_paused = true)]
async fn a_read_waits_for_its_own_member_and_holds_up_nobody() {
    let site = Site::new();
    let mut held = site.fill();
    let mut request = rig::request("dir", 1);
    request.access = Access::Read;
    let name = rig::storage_name("File5");
    let mut tried = Tried::new();
    let read = site
        .directory
        .wait_for_place_on(&site.group, &name, &request, &mut tried, &site.cancel, |_| {});
    let mut read = pin!(read);
    let mut write = pin!(site.wait("dir", 2));
    begins_to_wait(&mut read).await;
    begins_to_wait(&mut write).await;
    let at = held.iter().position(|it| it.storage.name.as_str() == "File6");
    held.swap_remove(at.expect("File6 is full"));
    let written = write.await.expect("the place on File6 is of no use to the read");
    assert_eq!(written.storage.name.as_str(), "File6");
    site.live(1).decide(rig::decision(State::Sealed), None, now());
    let at = held.iter().position(|it| it.storage.name == name);
    held.swap_remove(at.expect("File5 is full"));
    assert_eq!(read.await.expect("sealed storages serve reads").storage.name, name);
}

#[tokio::test(start_paused = true)]
async fn an_unknown_storage_is_refused_at_once() {
    let site = Site::new();
    let name = rig::storage_name("File9");
    let request = rig::request("dir", 1);
    let refused = site
        .directory
        .wait_for_place_on(&site.group, &name, &request, &mut Tried::new(), &site.cancel, |_| {})
        .await
        .expect_err("no such storage");
    assert_eq!(
        (refused.label(), refused.to_string().as_str()),
        (
            "unknown",
            "there is no storage or group File9 in the configuration of sdgroup"
        )
    );
}
