//! Messages to a verified peer: pure state machines for every login that the protocol knows.
