//! Asking a storage how it is.
