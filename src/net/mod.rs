//! Sockets, without a word of Bacula: listening, dialling, options, deadlines.
