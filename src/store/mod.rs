//! What must outlive the process: the volume ledger's records.
