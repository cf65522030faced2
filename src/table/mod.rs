//! Tables as operators have them, and tables for operators to read.

mod columns;
mod rows;

pub use columns::{Side, columns};
pub use rows::{Cells, Problem, rows};
