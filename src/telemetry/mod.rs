//! What sdgroup tells: events, meters, logs.
