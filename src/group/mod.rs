//! Which storage gets a job: members, policies, health, slots and the queue. No sockets.
