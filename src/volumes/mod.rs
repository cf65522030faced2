//! Where volumes are: the ledger, the bootstrap's segments, the FindMedia guard.
