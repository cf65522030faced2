//! Reading: what a bootstrap names, from the volumes to the Client (Bacula `src/stored/read.c`, `match_bsr.c`).

use std::collections::BTreeSet;

use sdgroup::types::{Severity, VolumeName};
use sdgroup::wire::bootstrap::Group;
use sdgroup::wire::packet::Signal;

use super::ask::get_volume;
use super::session::{Control, JobError};
use super::volume::Block;
use super::{Point, volume::Volume};
use crate::harness::wire::Wire;

const BATCH_BYTES: usize = 64 * 1024;

/// One group of a bootstrap.
#[derive(Debug, Clone, Default)]
pub(super) struct Wanted {
    volumes: Vec<VolumeName>,
    sd_ids: Vec<u64>,
    sd_times: Vec<u64>,
    addresses: Vec<(u64, u64)>,
    files: Vec<(u64, u64)>,
}

impl Wanted {
    pub(super) fn of(group: &Group) -> Self {
        let mut wanted = Self {
            volumes: group.volumes().to_vec(),
            ..Self::default()
        };
        for line in group.lines() {
            let line = String::from_utf8_lossy(line).trim().to_owned();
            let Some((keyword, value)) = line.split_once('=') else {
                continue;
            };
            let number = || value.parse().expect("a number in a bootstrap");
            match keyword.to_ascii_lowercase().as_str() {
                "volsessionid" => wanted.sd_ids.push(number()),
                "volsessiontime" => wanted.sd_times.push(number()),
                "voladdr" => wanted.addresses.push(range(value)),
                "fileindex" => wanted.files.push(range(value)),
                _ => {}
            }
        }
        wanted
    }

    fn wants(&self, volume: &VolumeName, block: &Block) -> bool {
        let one = |all: &[u64], value: u64| all.is_empty() || all.contains(&value);
        let within = |all: &[(u64, u64)], value: u64| {
            all.is_empty() || all.iter().any(|(from, to)| (*from..=*to).contains(&value))
        };
        self.volumes.contains(volume)
            && one(&self.sd_ids, u64::from(block.sd_id))
            && one(&self.sd_times, u64::from(block.sd_time))
            && within(&self.addresses, block.address)
            && within(&self.files, u64::from(block.record.file_index))
    }
}

fn range(value: &str) -> (u64, u64) {
    let number = |text: &str| text.parse().expect("a number in a bootstrap");
    match value.split_once('-') {
        Some((from, to)) => (number(from), number(to)),
        None => (number(value), number(value)),
    }
}

impl Control<'_> {
    /// Everything that the bootstrap names, volume by volume.
    pub(super) async fn read(&mut self, client: &mut Wire) -> Result<(), JobError> {
        self.core.pass(Point::ReadData).await;
        let mut volumes: Vec<VolumeName> = Vec::new();
        for volume in self.wanted.iter().flat_map(|wanted| &wanted.volumes) {
            if !volumes.contains(volume) {
                volumes.push(volume.clone());
            }
        }
        if volumes.is_empty() || self.device.is_none() {
            client.send("3000 error\n").await?;
            return Err(JobError::Failed("nothing to read, or no device".to_owned()));
        }
        let mut begun = false;
        let mut seen = BTreeSet::new();
        for name in &volumes {
            let volume = match self.open(name).await {
                Ok(volume) => volume,
                Err(error) => {
                    if !begun {
                        client.send("3000 error\n").await?;
                    }
                    return Err(error);
                }
            };
            if !begun {
                client.send("3000 OK data\n").await?;
                begun = true;
            }
            for block in volume.blocks() {
                if !self.wanted.iter().any(|wanted| wanted.wants(name, block)) {
                    continue;
                }
                let (index, stream, length) = (block.record.file_index, block.record.stream, block.record.bytes.len());
                seen.insert((block.sd_id, block.sd_time, index));
                self.bytes += length as u64;
                client.put(format!(
                    "rechdr {} {} {index} {stream} {length}",
                    block.sd_id, block.sd_time
                ));
                client.put(&block.record.bytes);
                if client.unsent() > BATCH_BYTES {
                    client.flush().await?;
                }
            }
            self.update(name.as_str(), false).await?;
        }
        self.files = seen.len() as u64;
        client.signal(Signal::Eod).await?;
        Ok(())
    }

    async fn open(&mut self, name: &VolumeName) -> Result<Volume, JobError> {
        if self.ask(&get_volume(name.as_str(), false)).await?.is_none() {
            return Err(JobError::Failed(format!("volume {name} is not in the catalog")));
        }
        let volume = self.core.state().volumes.get(name.as_str()).cloned();
        if let Some(volume) = volume {
            self.note(Severity::Info, &format!("Ready to read from volume \"{name}\""));
            return Ok(volume);
        }
        // A real one would wait for an operator for hours.
        let mut state = self.core.state();
        state.missing.push(name.to_string());
        state.operator_calls += 1;
        Err(JobError::Failed(format!("volume {name} is not here")))
    }
}
