//! The life of the process: start, signals, drain.
