//! The daemons that sdgroup stands between, simulated: what they say, in which order, and what they insist on, is
//! that of 9.6.7. They wait for nothing that is not needed: the penalties and retries of real daemons are left out.

pub(crate) mod catalog;
pub(crate) mod client;
pub(crate) mod director;
pub(crate) mod storage;
