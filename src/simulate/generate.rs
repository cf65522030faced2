//! A history that never was, the same for the same seed: clients of very different sizes, each with a job that is full
//! once a week, on its own day, and incremental on the others; most start at the same minute, as schedules do.

use crate::group::policy::Dice;
use crate::types::{Bytes, ClientName, DirectorName, FileSetName, JobLevel, JobResourceName, JobType, NameError};

use super::history::Job;

/// The beginning of every such history: Monday, 2 November 2026, 00:00 UTC.
const BEGIN: f64 = 1_793_577_600.0;

/// When the night begins, in seconds after midnight.
const NIGHT: f64 = 22.0 * 3_600.0;

/// What is made.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Recipe {
    /// How many clients there are, each with one job.
    pub clients: u32,
    /// For how many days.
    pub days: u32,
    /// How large a full is in the middle: half are smaller, half are larger.
    pub median_full: Bytes,
    /// What chance begins with.
    pub seed: u64,
}

impl Default for Recipe {
    fn default() -> Self {
        Self {
            clients: 60,
            days: 28,
            median_full: Bytes(40_000_000_000),
            seed: 1,
        }
    }
}

/// Chance in the forms that are needed here.
struct Chance(Dice);

impl Chance {
    /// From 0 to 1.
    #[allow(clippy::cast_precision_loss, reason = "53 of 64 random bits are random enough")]
    fn unit(&mut self) -> f64 {
        (self.0.roll() >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// About normal: the sum of twelve dice less six.
    fn normal(&mut self) -> f64 {
        (0..12).map(|_| self.unit()).sum::<f64>() - 6.0
    }

    /// About `median`, and `spread` times more or less now and then.
    fn size(&mut self, median: f64, spread: f64) -> f64 {
        median * spread.powf(self.normal())
    }
}

/// To three digits: what a library's last bit makes of it is then of no consequence.
#[allow(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "bytes are whole numbers"
)]
fn rounded(bytes: f64) -> Bytes {
    let mut unit = 1.0;
    while bytes / unit >= 1000.0 {
        unit *= 10.0;
    }
    Bytes(((bytes / unit).round() * unit) as u64)
}

/// Makes the history of `recipe`.
///
/// # Errors
/// Never: the names are names.
pub fn generate(recipe: &Recipe) -> Result<Vec<Job>, NameError> {
    let mut chance = Chance(Dice::from_seed(recipe.seed));
    let (director, fileset) = (DirectorName::new("bacula-dir")?, FileSetName::new("All")?);
    #[allow(clippy::cast_precision_loss, reason = "a size that is drawn by lot")]
    let median = recipe.median_full.0 as f64;
    let mut jobs = Vec::new();
    for client in 0..recipe.clients {
        let full = chance.size(median, 2.5);
        let full_day = client % 7;
        // Four of five start with the night, the others when their owner thought best.
        let clock = if chance.unit() < 0.8 {
            NIGHT
        } else {
            (chance.unit() * 86_400.0).floor()
        };
        let changed = 0.01 + 0.05 * chance.unit();
        let (resource, name) = (
            JobResourceName::new(&format!("backup-{client:03}"))?,
            ClientName::new(&format!("client-{client:03}"))?,
        );
        for day in 0..recipe.days {
            let is_full = day == 0 || day % 7 == full_day;
            let bytes = if is_full {
                full * (1.0 + 0.002 * f64::from(day)) * (0.98 + 0.04 * chance.unit())
            } else {
                chance.size(full * changed, 1.8)
            };
            jobs.push(Job {
                start: BEGIN + f64::from(day) * 86_400.0 + clock + (chance.unit() * 60.0).floor(),
                director: director.clone(),
                resource: resource.clone(),
                client: name.clone(),
                fileset: fileset.clone(),
                job_type: JobType::Backup,
                level: if is_full { JobLevel::Full } else { JobLevel::Incremental },
                bytes: rounded(bytes),
            });
        }
    }
    jobs.sort_by(|one, next| one.start.total_cmp(&next.start));
    Ok(jobs)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_makes_the_same_history_and_another_one_another() {
        let recipe = Recipe::default();
        let jobs = generate(&recipe).unwrap();
        assert_eq!(jobs.len(), 60 * 28);
        assert_eq!(jobs, generate(&recipe).unwrap());
        let other = generate(&Recipe { seed: 2, ..recipe }).unwrap();
        assert_ne!(jobs, other);
        assert!(jobs.windows(2).all(|pair| pair[0].start <= pair[1].start));
        let fulls: Vec<_> = jobs.iter().filter(|job| job.level == JobLevel::Full).collect();
        // The first day all, then each on its day.
        assert_eq!(fulls.len(), 60 * 5 - 9);
        let larger = fulls.iter().filter(|job| job.bytes > recipe.median_full).count();
        assert!(
            (fulls.len() / 4..fulls.len() * 3 / 4).contains(&larger),
            "{larger} of {}",
            fulls.len()
        );
    }

    #[test]
    fn sizes_have_three_digits() {
        for (bytes, expected) in [
            (0.0, 0),
            (999.4, 999),
            (123_456.0, 123_000),
            (98_765_432_100.0, 98_800_000_000),
        ] {
            assert_eq!(rounded(bytes), Bytes(expected));
        }
    }
}
