//! A job's control connection: a storage that tells its Director of a million files.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::path::Path;
use std::sync::Arc;

use sdgroup::config::{self, MachineSecrets, Model};
use sdgroup::group::Directory;
use sdgroup::relay::PipePool;
use sdgroup::session::history::Recorder;
use sdgroup::session::{self, Context, Current, States};
use sdgroup::store::{MemoryStore, Store};
use sdgroup::volumes::Ledger;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::site::director::Job;
use crate::site::storage::{Wanted, listen, serve};
use crate::site::{attributes, proxy};
use crate::{NOISE, counting};

/// Blocks of packets.
const FEW: usize = 200;
const MANY: usize = 8_000;

/// In one block.
const PACKETS: usize = 256;

/// sdgroup in this process, in front of one storage, with a job in it; the Director's end of its control connection
/// and the storage's.
async fn couple() -> (TcpStream, TcpStream) {
    let (listener, storage) = listen([127, 0, 0, 1]);
    let (data, _nobody) = mpsc::unbounded_channel();
    let (control, mut job) = mpsc::unbounded_channel();
    let control = Some(control);
    tokio::spawn(serve(listener, Wanted { data, control }));

    let text = proxy::configuration(&[storage], 9103, Path::new("/nonexistent"));
    let loaded = config::compile(&text, Path::new("sdgroup.toml"), &MachineSecrets::new()).unwrap();
    let directory = Directory::new(&loaded.model);
    let store: Arc<dyn Store> = Arc::new(MemoryStore::new());
    // What is left with the recorder is written by nobody.
    let (recorder, _records) = Recorder::new();
    let context = Context::new(
        Arc::new(loaded.model),
        directory,
        Ledger::new(Arc::clone(&store)),
        States::new(store),
        recorder,
        PipePool::default(),
    );
    let (listener, address) = listen([127, 0, 0, 1]);
    let stop = CancellationToken::new();
    let served = |model: &Model| model.groups.first().cloned();
    tokio::spawn(session::serve(Current::new(context), listener, served, stop));

    let Job { channel, .. } = Job::begin(address, 1).await.unwrap();
    let (director, unread) = channel.into_parts();
    assert!(unread.is_empty());
    let ends = [director.into_tcp().unwrap(), job.recv().await.unwrap()];
    let [director, storage] = ends.map(|end| {
        let end = end.into_std().unwrap();
        end.set_nonblocking(false).unwrap();
        end
    });
    (director, storage)
}

/// Sends so many blocks through the couple and tells how many allocations that took.
fn allocations(director: &TcpStream, storage: &TcpStream, block: &[u8], blocks: usize) -> usize {
    let mut buffer = vec![0; block.len()];
    let count = counting();
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let mut to = storage;
            for _ in 0..blocks {
                to.write_all(block).unwrap();
            }
        });
        let mut from = director;
        for _ in 0..blocks {
            from.read_exact(&mut buffer).unwrap();
            assert!(buffer == block);
        }
    });
    count()
}

pub(crate) fn packets() {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .unwrap();
    let (director, storage) = runtime.block_on(couple());
    let block = attributes(PACKETS);
    // Buffers grow to their size once.
    allocations(&director, &storage, &block, FEW);
    let few = allocations(&director, &storage, &block, FEW);
    let many = allocations(&director, &storage, &block, MANY);
    assert!(
        many <= few + NOISE,
        "{few} allocations for {} packets, {many} for {}",
        FEW * PACKETS,
        MANY * PACKETS
    );
}
