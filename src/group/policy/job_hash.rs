//! `JobHash`: always the same storage for the same job, by a hash of the Director's and the Job's names (rendezvous
//! hashing, Thaler and Ravishankar 1996). Use it where a job's history is to stay together without anything being
//! remembered, or where several sdgroups are to choose alike without speaking to each other.
//!
//! A storage that goes takes only its own jobs with it: each moves to its second choice, and back when it returns. The
//! jobs are shared out by `Weight`.

use super::{Candidate, Dice, Policy};
use crate::group::request::PlacementRequest;
use crate::types::{DirectorName, JobResourceName};

/// By a hash of job and storage.
#[derive(Debug, Clone, Copy, Default)]
pub struct JobHash;

impl Policy for JobHash {
    fn rank(&self, request: &PlacementRequest, candidates: &mut [Candidate], _dice: &mut Dice) {
        let job = hash_of_job(&request.director, &request.job_resource);
        for candidate in candidates.iter_mut() {
            candidate.score = distance(mix(job ^ candidate.hash), candidate.weight);
        }
        candidates.sort_unstable_by_key(|it| (it.score, it.listed));
    }
}

/// The hash of a name (FNV-1a, 64 bits). It must never change: it decides where jobs have their volumes.
#[must_use]
pub fn hash_of(name: &[u8]) -> u64 {
    continued(0xcbf2_9ce4_8422_2325, name)
}

fn continued(hash: u64, bytes: &[u8]) -> u64 {
    bytes.iter().fold(hash, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3)
    })
}

/// A Director's name is the same in either case; bytes that no name holds part it from the job's.
fn hash_of_job(director: &DirectorName, job: &JobResourceName) -> u64 {
    let director = director.as_str().bytes().map(|byte| byte.to_ascii_lowercase());
    let hash = director.fold(hash_of(b""), |hash, byte| continued(hash, &[byte]));
    continued(continued(hash, &[0]), job.as_str().as_bytes())
}

/// Makes every bit depend on all bits (the finalizer of SplitMix64).
fn mix(mut bits: u64) -> u64 {
    bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    bits ^ (bits >> 31)
}

/// The waiting time of a draw whose rate is `weight`: the shortest of several is that of each with a chance in
/// proportion to its weight. As bits, whose order is that of the numbers, since none is negative.
#[allow(clippy::cast_precision_loss, reason = "53 of 64 random bits are random enough")]
fn distance(bits: u64, weight: u32) -> u64 {
    let upper = (bits >> 11) as f64 + 0.5;
    let unit = upper / (1_u64 << 53) as f64;
    (-unit.ln() / f64::from(weight.max(1))).to_bits()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hash_is_the_published_one() {
        for (text, hash) in [
            ("", 0xcbf2_9ce4_8422_2325),
            ("a", 0xaf63_dc4c_8601_ec8c),
            ("foobar", 0x8594_4171_f739_67e8),
        ] {
            assert_eq!(hash_of(text.as_bytes()), hash, "{text:?}");
        }
    }

    #[test]
    fn the_director_counts_without_case_and_the_job_with_it() {
        let hash = |director, job| {
            hash_of_job(
                &DirectorName::new(director).unwrap(),
                &JobResourceName::new(job).unwrap(),
            )
        };
        assert_eq!(hash("bacula-dir", "Nightly"), hash("Bacula-Dir", "Nightly"));
        assert_ne!(hash("bacula-dir", "Nightly"), hash("bacula-dir", "nightly"));
        assert_ne!(hash("ab", "c"), hash("a", "bc"));
    }
}
