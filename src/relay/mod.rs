//! Bulk bytes between two sockets, without a word of Bacula.
