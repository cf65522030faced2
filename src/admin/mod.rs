//! The operator's HTTP: metrics and liveness.
