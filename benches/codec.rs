//! What it costs to cut packets out of what a socket gave, to tell what they are, and to read the messages of a
//! job's catalog dialogue. `cargo bench --bench codec`; with `-- --test` each runs once.

#![allow(missing_docs, clippy::unwrap_used)]

use std::hint::black_box;

use bytes::BytesMut;
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use sdgroup::wire::catalog::{self, MediaAnswer};
use sdgroup::wire::packet::{Frame, MAX_WIRE_BYTES, Outbox};
use sdgroup::wire::progress::Kind;

/// An attribute of a file as a storage sends it to the Director, uncompressed.
fn attribute() -> Vec<u8> {
    let mut message = b"UpdCat JobId=1 FileAttributes ".to_vec();
    message.extend_from_slice(&[0; 20]);
    message
        .extend_from_slice(b"1 3 /srv/data/some/folder/of/usual/length/file.txt\0P4A memN IGk B A A A BI BAA I BrA4bV");
    message
}

/// A packet whose payload is compressed for the communication line.
fn compressed(text: &[u8]) -> Vec<u8> {
    let block = lz4_flex::block::compress(text);
    let length = u32::try_from(block.len()).unwrap() | 1 << 30;
    [&length.to_be_bytes()[..], &block].concat()
}

/// A thousand packets in a row.
fn thousand(packet: &[u8]) -> Vec<u8> {
    packet.repeat(1000)
}

fn cut_all(stream: &[u8], each: impl Fn(&Frame)) {
    let mut buffer = BytesMut::from(stream);
    while let Some(frame) = Frame::take(&mut buffer, MAX_WIRE_BYTES).unwrap() {
        each(&frame);
    }
}

fn packets(criterion: &mut Criterion) {
    let mut plain = Outbox::default();
    plain.message(attribute());
    let plain = thousand(&plain.take());
    let packed = thousand(&compressed(&attribute()));
    let mut group = criterion.benchmark_group("packets");
    group.throughput(Throughput::Elements(1000));
    group.bench_function("cut", |bench| {
        bench.iter(|| cut_all(black_box(&plain), |frame| _ = black_box(frame)));
    });
    group.bench_function("cut and tell", |bench| {
        bench.iter(|| cut_all(black_box(&plain), |frame| _ = black_box(Kind::of(frame).unwrap())));
    });
    group.bench_function("cut and tell, compressed", |bench| {
        bench.iter(|| cut_all(black_box(&packed), |frame| _ = black_box(Kind::of(frame).unwrap())));
    });
    group.bench_function("write", |bench| {
        let message = attribute();
        let mut outbox = Outbox::default();
        bench.iter(|| {
            for _ in 0..1000 {
                outbox.message(black_box(&message));
            }
            black_box(outbox.take())
        });
    });
    group.finish();
}

fn dialogue(criterion: &mut Criterion) {
    let request = b"CatReq JobId=1 FindMedia=1 pool_name=Pool4 media_type=File4 vol_type=1\n";
    let answer =
        b"1000 OK VolName=dir-File4-0001 VolJobs=1 VolFiles=0 VolBlocks=1 VolBytes=3415 VolABytes=0 VolHoleBytes=0 \
        VolHoles=0 VolMounts=1 VolErrors=0 VolWrites=2 MaxVolBytes=0 VolCapacityBytes=0 VolStatus=Append Slot=0 \
        MaxVolJobs=0 MaxVolFiles=0 InChanger=0 VolReadTime=0 VolWriteTime=11 EndFile=0 EndBlock=3414 VolType=1 \
        LabelType=0 MediaId=1 ScratchPoolId=0 VolParts=0 VolCloudParts=0 LastPartBytes=0 Enabled=1 Recycle=1\n";
    let mut group = criterion.benchmark_group("catalog");
    group.bench_function("request", |bench| {
        bench.iter(|| catalog::parse(black_box(request)).unwrap());
    });
    group.bench_function("answer", |bench| {
        bench.iter(|| MediaAnswer::parse(black_box(answer)).unwrap());
    });
    group.finish();
}

criterion_group!(benches, packets, dialogue);
criterion_main!(benches);
