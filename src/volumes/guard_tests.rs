//! Tests of the guard: each rule by hand.

use super::*;

const FIND: &[u8] = b"CatReq JobId=1 FindMedia=1 pool_name=P media_type=File vol_type=1\n";
pub(super) const NO_MEDIA: &[u8] = b"1901 No Media. \n";

fn storage(name: &str) -> StorageName {
    StorageName::new(name).unwrap()
}

fn elsewhere() -> Place {
    Place::Elsewhere(storage("File4"))
}

fn answer(name: &str, bytes: u64, status: &str) -> MediaAnswer {
    let jobs = u64::from(bytes > 1);
    let line =
        format!("1000 OK VolName={name} VolJobs={jobs} VolBytes={bytes} VolStatus={status} EndFile=0 MediaId=1\n");
    MediaAnswer::parse(line.as_bytes()).unwrap().unwrap()
}

pub(super) fn find(index: u32) -> Vec<u8> {
    catalog::find_media_with_index(FIND, index).unwrap()
}

fn guard() -> Guard {
    let mut guard = Guard::new(storage("File5"), Strangers::TurnAway);
    assert_eq!(guard.on_request(FIND), FIND);
    guard
}

pub(super) const PASS: Verdict = Verdict::Pass { note: None };

fn asks(index: u32) -> Verdict {
    Verdict::AskAgain { request: find(index) }
}

/// A question about one volume.
fn named(volume: &str) -> Verdict {
    Verdict::AskAgain {
        request: format!("CatReq JobId=1 GetVolInfo VolName={volume} write=1\n").into_bytes(),
    }
}

fn moved(verdict: Verdict) -> String {
    match verdict {
        Verdict::Pass {
            note: Some(note @ Note::Moved { .. }),
        } => note.to_string(),
        other => panic!("{other:?}"),
    }
}

fn refusal(verdict: Verdict) -> (String, String) {
    match verdict {
        Verdict::Refuse { reason, line } => (reason, String::from_utf8(line).unwrap()),
        other => panic!("{other:?}"),
    }
}

#[test]
fn its_own_volume_and_a_new_one_pass() {
    assert_eq!(guard().on_answer(&answer("V", 900, "Append"), Place::Here), PASS);
    assert_eq!(guard().on_answer(&answer("V", 0, "Append"), Place::Nowhere), PASS);
    assert_eq!(guard().on_answer(&answer("V", 1, "Recycle"), Place::Nowhere), PASS);
}

#[test]
fn another_storages_volume_is_swallowed_and_the_index_runs_on() {
    let mut guard = guard();
    assert_eq!(guard.on_answer(&answer("A", 900, "Append"), elsewhere()), asks(2));
    assert_eq!(
        guard.on_answer(&answer("B", 0, "Append"), Place::Claimed(storage("File6"))),
        asks(3)
    );
    assert_eq!(guard.on_answer(&answer("C", 900, "Append"), Place::Here), PASS);
    // The storage's second request is the Director's fourth.
    assert_eq!(guard.on_request(&find(2)), find(4));
    assert_eq!(guard.on_answer(&answer("D", 900, "Append"), elsewhere()), asks(5));
    // A new search starts from 1.
    assert_eq!(guard.on_request(FIND), FIND);
    assert_eq!(guard.on_answer(&answer("A", 900, "Append"), elsewhere()), asks(2));
}

#[test]
fn a_refusal_after_swallowing_says_why() {
    let mut guard = guard();
    guard.on_answer(&answer("Vol-0001", 900, "Append"), elsewhere());
    guard.on_answer(&answer("Vol-0002", 0, "Append"), Place::Claimed(storage("File6")));
    guard.on_answer(&answer("Vol-0003", 900, "Append"), Place::Nowhere);
    let Verdict::Pass { note: Some(note) } = guard.on_refusal(NO_MEDIA) else {
        panic!()
    };
    insta::assert_snapshot!(note.to_string(), @r#"no volume of File5's own: Vol-0001 is on File4, Vol-0002 is being written by File6, Vol-0003 is on a storage unknown to sdgroup; tell it with "sdgroup volumes assign VOLUME STORAGE"; let the pool make volumes (LabelFormat, a higher MaximumVolumes) or label more for File5"#);
}

#[test]
fn a_refusal_without_swallowing_is_the_directors_own() {
    assert_eq!(guard().on_refusal(NO_MEDIA), PASS);
}

#[test]
fn a_volume_that_comes_back_is_refused_if_it_lives_and_moves_if_it_was_purged() {
    let mut guard = guard();
    assert_eq!(guard.on_answer(&answer("V", 900, "Append"), elsewhere()), asks(2));
    let (reason, line) = refusal(guard.on_answer(&answer("V", 900, "Append"), elsewhere()));
    assert!(
        reason.contains("V is on File4") && line.starts_with("1901 No Media. "),
        "{reason} {line}"
    );

    guard.on_request(FIND);
    assert_eq!(guard.on_answer(&answer("V", 900, "Append"), elsewhere()), asks(2));
    let purged = answer("V", 1, "Recycle");
    assert!(guard.would_move(&purged));
    insta::assert_snapshot!(moved(guard.on_answer(&purged, elsewhere())), @r#"recycled volume "V" moves from File4 to File5; a stale file of that name stays on File4 and can be removed there"#);
}

#[test]
fn a_purged_volume_in_another_jobs_hands_does_not_move() {
    let mut guard = guard();
    let busy = || Place::Claimed(storage("File4"));
    assert_eq!(guard.on_answer(&answer("V", 900, "Append"), busy()), asks(2));
    refusal(guard.on_answer(&answer("V", 1, "Recycle"), busy()));
}

#[test]
fn a_dead_volume_stays_at_home_unless_nothing_else_is_left() {
    let mut guard = guard();
    let (first, last) = (answer("R1", 1, "Recycle"), answer("R2", 1, "Recycle"));
    assert!(!guard.would_move(&first));
    assert_eq!(guard.on_answer(&first, elsewhere()), named("R1"));
    assert_eq!(guard.on_answer(&first, elsewhere()), asks(2));
    assert_eq!(guard.on_answer(&last, elsewhere()), named("R2"));
    assert_eq!(guard.on_answer(&last, elsewhere()), asks(3));
    // Nothing else. The Director may have purged the last one for this search.
    assert_eq!(guard.on_refusal(NO_MEDIA), named("R2"));
    assert!(guard.would_move(&last) && !guard.would_move(&first));
    moved(guard.on_answer(&last, elsewhere()));
    // The storage has no use for it: the other one may go.
    assert_eq!(guard.on_request(&find(2)), find(4));
    assert_eq!(guard.on_refusal(NO_MEDIA), named("R1"));
    moved(guard.on_answer(&first, elsewhere()));
    assert_eq!(guard.on_request(&find(3)), find(5));
    assert!(matches!(
        guard.on_refusal(NO_MEDIA),
        Verdict::Pass {
            note: Some(Note::NoneOfItsOwn { .. })
        }
    ));
}

#[test]
fn its_own_volume_is_taken_before_a_dead_one_of_another_storage() {
    for own in [answer("Own", 1, "Recycle"), answer("New", 0, "Append")] {
        let mut guard = guard();
        let dead = answer("R", 1, "Recycle");
        guard.on_answer(&dead, elsewhere());
        assert_eq!(guard.on_answer(&dead, elsewhere()), asks(2));
        let place = if own.is_recycled() { Place::Here } else { Place::Nowhere };
        assert_eq!(guard.on_answer(&own, place), PASS);
    }
}

#[test]
fn a_dead_volume_that_its_storage_writes_again_does_not_move() {
    let mut guard = guard();
    let (first, last) = (answer("R1", 1, "Recycle"), answer("R2", 1, "Recycle"));
    for dead in [&first, &last] {
        guard.on_answer(dead, elsewhere());
        guard.on_answer(dead, elsewhere());
    }
    assert_eq!(guard.on_refusal(NO_MEDIA), named("R2"));
    assert_eq!(guard.on_answer(&last, Place::Claimed(storage("File4"))), named("R1"));
    let (reason, line) = refusal(guard.on_answer(&answer("R1", 900, "Append"), elsewhere()));
    assert!(reason.contains("R1 is on File4"), "{reason}");
    assert!(reason.contains("R2 is being written by File4"), "{reason}");
    assert!(line.starts_with("1901 No Media. "), "{line}");
}

#[test]
fn a_volume_that_may_not_be_recycled_was_purged_for_this_search_and_moves_at_once() {
    let line = b"1000 OK VolName=V VolJobs=0 VolBytes=1 VolStatus=Recycle EndFile=0 MediaId=1 Recycle=0\n";
    let purged = MediaAnswer::parse(line).unwrap().unwrap();
    let mut guard = guard();
    assert!(guard.would_move(&purged));
    moved(guard.on_answer(&purged, elsewhere()));
}

#[test]
fn of_a_pool_that_gives_up_what_it_purges_no_second_volume_is_purged_in_vain() {
    let mut guard = guard();
    assert_eq!(guard.on_answer(&answer("V9", 1, "Recycle"), elsewhere()), named("V9"));
    let gone = b"1998 Volume \"V9\" catalog status is Recycle, not in Pool.\n";
    assert_eq!(guard.on_refusal(gone), asks(2));
    moved(guard.on_answer(&answer("V8", 1, "Recycle"), elsewhere()));
    // Nor in the job's next search.
    guard.on_request(FIND);
    moved(guard.on_answer(&answer("V7", 1, "Recycle"), elsewhere()));
}

#[test]
fn the_page_about_pools_says_how_many_volumes_a_pool_can_gather() {
    let page = include_str!("../../deploy/docs/pools.md");
    assert!(page.contains(&format!("a pool gathers {MAX_GATHERED} of them at most")));
}

#[test]
fn volumes_of_another_pool_are_not_gathered_without_end() {
    let mut guard = guard();
    for n in 1..MAX_GATHERED {
        guard.gather();
        assert_eq!(
            guard.on_answer(&answer(&format!("V{n}"), 200, "Append"), elsewhere()),
            asks(n + 1)
        );
    }
    let dead = answer("Dead", 1, "Recycle");
    guard.gather();
    assert_eq!(guard.on_answer(&dead, elsewhere()), named("Dead"));
    assert_eq!(guard.on_answer(&dead, elsewhere()), named("Dead"));
    moved(guard.on_answer(&dead, elsewhere()));
    // The next search begins anew.
    guard.on_request(FIND);
    guard.gather();
    assert_eq!(guard.on_answer(&answer("V1", 200, "Append"), elsewhere()), asks(2));
}

#[test]
fn a_stranger_is_turned_away_or_passed_as_told() {
    let stranger = answer("S", 900, "Append");
    assert_eq!(guard().on_answer(&stranger, Place::Nowhere), asks(2));
    let mut alone = Guard::new(storage("File5"), Strangers::Pass);
    alone.on_request(FIND);
    assert!(matches!(
        alone.on_answer(&stranger, Place::Nowhere),
        Verdict::Pass {
            note: Some(Note::Stranger { .. })
        }
    ));
}

#[test]
fn repeats_are_bounded_over_a_search() {
    let mut guard = guard();
    for n in 0..MAX_REPEATS {
        let verdict = guard.on_answer(&answer(&format!("V{n}"), 900, "Append"), elsewhere());
        assert_eq!(verdict, asks(n + 2));
    }
    let (reason, _) = refusal(guard.on_answer(&answer("Last", 900, "Append"), elsewhere()));
    assert!(reason.contains("V4 is on File4 and 496 more"), "{reason}");
}

#[test]
fn a_write_to_a_volume_of_another_storage_is_refused_and_a_read_is_not() {
    let mut guard = Guard::new(storage("File5"), Strangers::TurnAway);
    let write = b"CatReq JobId=1 GetVolInfo VolName=V write=1\n";
    assert_eq!(guard.on_request(write), write);
    assert!(guard.judges());
    let held = answer("V", 900, "Append");
    assert_eq!(guard.on_answer(&held, Place::Here), PASS);
    assert_eq!(guard.on_answer(&held, Place::Nowhere), PASS);
    let (reason, line) = refusal(guard.on_answer(&held, elsewhere()));
    assert!(reason.contains("sdgroup volumes assign V File5"), "{reason}");
    assert_eq!(
        line,
        "1998 Volume \"V\" catalog status is Append, is on storage File4.\n"
    );
    guard.on_request(b"CatReq JobId=1 GetVolInfo VolName=V write=0\n");
    assert_eq!((guard.judges(), guard.on_answer(&held, elsewhere())), (false, PASS));
    assert_eq!(guard.on_refusal(b"1997 Volume \"V\" not in catalog.\n"), PASS);
}

#[test]
fn a_request_that_cannot_be_read_does_not_slip_by() {
    let mut guard = Guard::new(storage("File5"), Strangers::TurnAway);
    guard.on_request(b"CatReq JobId=1 FindMedia= pool_name=P media_type=F vol_type=1\n");
    refusal(guard.on_answer(&answer("V", 900, "Append"), elsewhere()));
}
