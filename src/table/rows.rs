//! Tables as operators have them: CSV, text with tabs, semicolons or bars, and what bconsole's `sql` draws.

use std::fmt;

/// What is wrong with one line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// The line, counted from 1.
    pub line: u64,
    /// What is wrong with it, and what to do.
    pub text: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}: {}", self.line, self.text)
    }
}

/// One line's cells.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cells {
    /// The line, counted from 1.
    pub line: u64,
    /// Without the blanks around them.
    pub cells: Vec<String>,
}

/// The cells of each line that has any. What is not text is told in `problems`.
pub fn rows(table: &[u8], problems: &mut Vec<Problem>) -> Vec<Cells> {
    let table = table.strip_prefix(b"\xef\xbb\xbf").unwrap_or(table);
    let drawn = table
        .split(|&byte| byte == b'\n')
        .any(|line| line.trim_ascii_start().starts_with(b"+-"));
    if drawn {
        drawn_rows(table, problems)
    } else {
        plain_rows(table, problems)
    }
}

/// A table with a frame, as bconsole draws it. Lines without a bar are what stands around it.
fn drawn_rows(table: &[u8], problems: &mut Vec<Problem>) -> Vec<Cells> {
    let mut rows = Vec::new();
    for (line, text) in (1_u64..).zip(table.split(|&byte| byte == b'\n')) {
        let text = text.trim_ascii();
        let Some(inner) = text.strip_prefix(b"|") else { continue };
        let inner = inner.strip_suffix(b"|").unwrap_or(inner);
        push(line, inner.split(|&byte| byte == b'|'), &mut rows, problems);
    }
    rows
}

/// A table with one line a row and a character between the cells.
fn plain_rows(table: &[u8], problems: &mut Vec<Problem>) -> Vec<Cells> {
    let first = table
        .split(|&byte| byte == b'\n')
        .map(<[u8]>::trim_ascii)
        .find(|line| !line.is_empty() && !line.starts_with(b"#"))
        .unwrap_or_default();
    let delimiter = [b'\t', b',', b'|', b';']
        .into_iter()
        .find(|byte| first.contains(byte))
        .unwrap_or(b',');
    let mut reader = csv::ReaderBuilder::new()
        .has_headers(false)
        .flexible(true)
        .delimiter(delimiter)
        .comment(Some(b'#'))
        .from_reader(table);
    let mut rows = Vec::new();
    for record in reader.byte_records() {
        match record {
            Ok(record) => {
                let line = record.position().map_or(0, csv::Position::line);
                push(line, record.iter(), &mut rows, problems);
            }
            Err(error) => {
                let line = error.position().map_or(0, csv::Position::line);
                problems.push(Problem {
                    line,
                    text: format!("it cannot be read: {error}"),
                });
            }
        }
    }
    rows
}

fn push<'a>(line: u64, cells: impl Iterator<Item = &'a [u8]>, rows: &mut Vec<Cells>, problems: &mut Vec<Problem>) {
    let cells: Result<Vec<String>, _> = cells
        .map(|cell| std::str::from_utf8(cell).map(|cell| cell.trim().to_owned()))
        .collect();
    match cells {
        Ok(cells) if cells.iter().all(String::is_empty) => {}
        Ok(cells) => rows.push(Cells { line, cells }),
        Err(_) => problems.push(Problem {
            line,
            text: "it is not UTF-8 text".into(),
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_cells_come_out_of_every_form() {
        let forms = [
            "a,b\n1,\"two, three\"\n",
            "# a comment\na\tb\n1\ttwo, three\n",
            "\u{feff}a;b\r\n\r\n1;two, three\r\n",
            "Enter SQL query:\n+---+------------+\n| a | b          |\n+---+------------+\n| 1 | two, three |\n+---+---+\n",
        ];
        for form in forms {
            let mut problems = Vec::new();
            let rows = rows(form.as_bytes(), &mut problems);
            let cells: Vec<_> = rows.into_iter().map(|row| row.cells).collect();
            assert_eq!(cells, [["a", "b"], ["1", "two, three"]], "{form}");
            assert_eq!(problems, [], "{form}");
        }
    }

    #[test]
    fn what_is_no_text_is_told_with_its_line() {
        let mut problems = Vec::new();
        let found = rows(b"a,b\n\xff,c\nd,e\n", &mut problems);
        assert_eq!(found.len(), 2);
        assert_eq!(problems[0].to_string(), "line 2: it is not UTF-8 text");
    }
}
