//! The configuration file, compiled to a checked model, or every problem at once.

pub mod model;

pub use model::Model;
