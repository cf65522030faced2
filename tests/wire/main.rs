//! The wire's parsers against what real daemons said, and against bytes that nobody would say.

#[cfg(test)]
#[allow(
    unreachable_pub,
    clippy::indexing_slicing,
    clippy::must_use_candidate,
    clippy::missing_panics_doc,
    reason = "a library to the fuzz targets, whose assertions are its purpose"
)]
#[path = "../fuzz/src/lib.rs"]
mod bodies;

#[cfg(test)]
mod any_bytes;
#[cfg(test)]
mod transcript;
#[cfg(test)]
mod transcripts;
