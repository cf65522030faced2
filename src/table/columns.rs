//! Text in columns.

use std::fmt::Write as _;

/// On which side of its column a cell stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    /// Words.
    Left,
    /// Numbers.
    Right,
}

/// Text in columns as wide as they need to be; `sides` says where cells stand, and the last of it goes for all further
/// columns.
#[must_use]
pub fn columns(rows: &[Vec<String>], sides: &[Side]) -> String {
    let count = rows.iter().map(Vec::len).max().unwrap_or(0);
    let width = |at: usize| {
        let cells = rows.iter().filter_map(|row| row.get(at));
        cells.map(|cell| visible(cell)).max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..count).map(width).collect();
    let side = |at: usize| sides.get(at).or(sides.last()).copied().unwrap_or(Side::Left);
    let mut text = String::new();
    for row in rows {
        let mut line = String::new();
        for (at, (cell, width)) in row.iter().zip(&widths).enumerate() {
            let gap = if at == 0 { "" } else { "  " };
            let blanks = width - visible(cell);
            let _ = match side(at) {
                Side::Left => write!(line, "{gap}{cell}{:blanks$}", ""),
                Side::Right => write!(line, "{gap}{:blanks$}{cell}", ""),
            };
        }
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text
}

/// How many characters of a cell are seen: what sets a terminal's colours is not.
fn visible(cell: &str) -> usize {
    let mut count = 0;
    let mut hidden = false;
    for character in cell.chars() {
        match character {
            '\u{1b}' => hidden = true,
            'm' if hidden => hidden = false,
            _ if hidden => {}
            _ => count += 1,
        }
    }
    count
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn colours_take_no_room() {
        let rows = [["a", "12"], ["\u{1b}[31mbcd\u{1b}[0m", "3"]].map(|row| row.map(str::to_owned).to_vec());
        let text = columns(&rows, &[Side::Left, Side::Right]);
        assert_eq!(text, "a    12\n\u{1b}[31mbcd\u{1b}[0m   3\n");
    }
}
