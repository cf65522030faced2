//! Bacula's own grammar (`src/lib/lex.c`, `src/lib/parse_conf.c`): resources with directives, `@file` for another file.
//! What is inside of a directive's own braces (a FileSet's Include, for example) is passed over.

use std::path::{Path, PathBuf};

use super::resource::Resource;
use super::{ReadError, read_text};

/// Files that include files that include files.
const MAX_DEPTH: usize = 20;

/// The resources of `text` and of the files that it includes.
pub(super) fn resources(text: &str, file: &Path) -> Result<Vec<Resource>, ReadError> {
    let mut input = Input {
        open: vec![Open::new(file, text)],
        ended: (file.to_owned(), 1),
    };
    let mut found = Vec::new();
    loop {
        input.skip_blank(true)?;
        if input.peek().is_none() {
            return Ok(found);
        }
        let kind = input.word(&['{'])?;
        input.expect('{', &format!("behind \"{}\" there must be a {{", short(&kind)))?;
        found.push(resource(&kind, &mut input)?);
    }
}

fn resource(kind: &str, input: &mut Input) -> Result<Resource, ReadError> {
    let mut resource = Resource::new(kind);
    loop {
        input.skip_blank(true)?;
        match input.peek() {
            None => return Err(input.fault(format!("the {} resource has no end: a }} is missing", short(kind)))),
            Some('}') => {
                input.next();
                return Ok(resource);
            }
            Some(_) => {}
        }
        let directive = input.word(&['=', '{'])?;
        match input.next() {
            Some('=') => {
                let values = input.values()?;
                resource.add(&directive, values);
            }
            Some('{') => input.pass_over_braces()?,
            _ => {
                let text = format!("behind \"{}\" there must be a =", short(&directive));
                return Err(input.fault(text));
            }
        }
    }
}

/// The beginning of what is quoted in a message; what is out of place may be a password.
fn short(text: &str) -> &str {
    let text = text.trim();
    text.split_whitespace()
        .next()
        .filter(|word| word.chars().all(char::is_alphabetic))
        .unwrap_or("this")
}

/// A file that is being read.
struct Open {
    file: PathBuf,
    text: Vec<char>,
    at: usize,
    line: usize,
}

impl Open {
    fn new(file: &Path, text: &str) -> Self {
        Self {
            file: file.to_owned(),
            text: text.chars().collect(),
            at: 0,
            line: 1,
        }
    }
}

/// Characters, of the innermost open file first.
struct Input {
    open: Vec<Open>,
    /// Where the outermost one ended.
    ended: (PathBuf, usize),
}

impl Input {
    fn peek(&mut self) -> Option<char> {
        loop {
            let top = self.open.last()?;
            if let Some(character) = top.text.get(top.at) {
                return Some(*character);
            }
            self.ended = (top.file.clone(), top.line);
            self.open.pop();
        }
    }

    fn next(&mut self) -> Option<char> {
        let character = self.peek()?;
        let top = self.open.last_mut()?;
        top.at += 1;
        top.line += usize::from(character == '\n');
        Some(character)
    }

    fn fault(&self, text: impl Into<String>) -> ReadError {
        let (file, line) = match self.open.last() {
            Some(top) => (top.file.clone(), top.line),
            None => self.ended.clone(),
        };
        ReadError::Grammar {
            file,
            line,
            text: text.into(),
        }
    }

    fn expect(&mut self, wanted: char, otherwise: &str) -> Result<(), ReadError> {
        if self.next() == Some(wanted) {
            Ok(())
        } else {
            Err(self.fault(otherwise))
        }
    }

    /// Passes over blanks and comments, with `lines` also over ends of lines and `;`; opens included files.
    fn skip_blank(&mut self, lines: bool) -> Result<(), ReadError> {
        while let Some(character) = self.peek() {
            match character {
                '#' => {
                    while self.peek().is_some_and(|c| c != '\n') {
                        self.next();
                    }
                }
                '\n' | ';' if !lines => return Ok(()),
                ';' => {
                    self.next();
                }
                '\\' if !lines => {
                    self.next();
                    // A backslash at the end of a line: it goes on.
                    if self.peek() == Some('\n') {
                        self.next();
                    }
                }
                '@' => self.include()?,
                _ if character.is_whitespace() => {
                    self.next();
                }
                _ => return Ok(()),
            }
        }
        Ok(())
    }

    fn include(&mut self) -> Result<(), ReadError> {
        self.next();
        let name = match self.peek() {
            Some('"') => self.quoted()?,
            _ => self.while_not(|c| c.is_whitespace() || "{};,\"#".contains(c)),
        };
        if name.starts_with('|') {
            let text = "this file includes what a command prints, and sdgroup runs no command of a configuration: give \
                        it the output of bdirjson or bsdjson";
            return Err(self.fault(text));
        }
        if self.open.len() >= MAX_DEPTH {
            return Err(self.fault("files include each other without end"));
        }
        let text = read_text(Path::new(&name))?;
        self.open.push(Open::new(Path::new(&name), &text));
        Ok(())
    }

    fn while_not(&mut self, end: impl Fn(char) -> bool) -> String {
        let mut text = String::new();
        while let Some(character) = self.peek().filter(|c| !end(*c)) {
            text.push(character);
            self.next();
        }
        text
    }

    /// A kind or a directive: all up to one of `ends`, which is left.
    fn word(&mut self, ends: &[char]) -> Result<String, ReadError> {
        let word = self.while_not(|c| ends.contains(&c) || "}\"#;".contains(c));
        let word = word.trim();
        if word.is_empty() {
            return Err(self.fault("a name of a resource or directive is missing"));
        }
        Ok(word.to_owned())
    }

    /// What stands behind the first quotation mark, which is next, up to the second.
    fn quoted(&mut self) -> Result<String, ReadError> {
        let begun = self.fault("a text has no end: a \" is missing");
        self.next();
        let mut text = String::new();
        loop {
            match self.next() {
                None => return Err(begun),
                Some('"') => return Ok(text),
                // It goes on in the next line, without the end of this one.
                Some('\n') => {}
                Some('\\') => text.extend(self.next()),
                Some(character) => text.push(character),
            }
        }
    }

    /// The values of a directive, parted by commas, up to the end of the line.
    fn values(&mut self) -> Result<Vec<String>, ReadError> {
        let mut values = Vec::new();
        loop {
            self.skip_blank(false)?;
            let mut value = String::new();
            while let Some(character) = self.peek().filter(|c| !"\n;,}#".contains(*c)) {
                if character == '"' {
                    value.push_str(&self.quoted()?);
                } else {
                    value.push_str(&self.while_not(|c| "\n;,}#\"".contains(c)));
                    value.truncate(value.trim_end().len());
                }
                self.skip_blank(false)?;
            }
            values.push(value);
            if self.peek() != Some(',') {
                return Ok(values);
            }
            self.next();
            self.skip_blank(true)?;
        }
    }

    /// Passes over all up to the brace that closes the one which was just read.
    fn pass_over_braces(&mut self) -> Result<(), ReadError> {
        let begun = self.fault("a { has no }");
        let mut depth = 1;
        while depth > 0 {
            match self.peek() {
                None => return Err(begun),
                Some('"') => {
                    self.quoted()?;
                    continue;
                }
                Some('#') => {
                    self.while_not(|c| c == '\n');
                    continue;
                }
                Some('{') => depth += 1,
                Some('}') => depth -= 1,
                Some(_) => {}
            }
            self.next();
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Vec<Resource>, ReadError> {
        resources(text, Path::new("x.conf"))
    }

    #[test]
    fn the_grammar_is_bacula_s() {
        let text = "# a comment { \"\nStorage { Name = File4; SD Port = 9104  # why\n Pass_word = \"a\\\"b#c\\\\\" \n\
                    Media Type = My File Type\n  Device = \"One\",\n Two\n}\n\
                    FileSet {\n Name = X\n Include { Options { sig = MD5 } # }\n File = \"a}b\"\n }\n Enabled = yes }\n\
                    Messages { append = \"/x\" = all, !skipped\n}";
        let read = read(text).unwrap();
        let [storage, fileset, _] = read.as_slice() else {
            panic!("{read:?}")
        };
        assert_eq!(storage.text("name"), Some("File4"));
        assert_eq!(storage.text("sdport"), Some("9104"));
        assert_eq!(storage.text("password"), Some("a\"b#c\\"));
        assert_eq!(storage.text("mediatype"), Some("My File Type"));
        assert_eq!(storage.texts("device"), ["One", "Two"]);
        assert_eq!((fileset.text("name"), fileset.flag("enabled")), (Some("X"), Some(true)));
    }

    #[test]
    fn a_file_is_included_where_it_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let (password, pool) = (folder.path().join("password"), folder.path().join("pool.conf"));
        std::fs::write(&password, "hunter2\n").unwrap();
        std::fs::write(&pool, "Pool {\n Name = P\n}\n").unwrap();
        let text = format!(
            "Storage {{\n Password = @{}\n Name = A\n}}\n@\"{}\"\nJob {{ Name = J }}",
            password.display(),
            pool.display()
        );
        let read = read(&text).unwrap();
        let names: Vec<_> = read.iter().filter_map(|resource| resource.text("name")).collect();
        assert_eq!(names, ["A", "P", "J"]);
        assert_eq!(read[0].text("password"), Some("hunter2"));
    }

    #[test]
    fn a_fault_has_its_place_and_shows_no_value() {
        let folder = tempfile::tempdir().unwrap();
        let own = folder.path().join("self.conf");
        std::fs::write(&own, format!("@{}\n", own.display())).unwrap();
        for (text, wanted) in [
            (
                "Storage {\n Password = hunter2",
                "x.conf:2: the Storage resource has no end",
            ),
            ("Storage {\n Password = \"hunter2\n}\n", "x.conf:2: a text has no end"),
            ("\nhunter2\n", "x.conf:3: behind \"this\" there must be a {"),
            ("Storage {\n hunter2 }", "x.conf:2: behind \"this\" there must be a ="),
            ("FileSet { Include { \n", "x.conf:1: a { has no }"),
            ("@|\"sh -c x\"", "runs no command"),
            ("@/nowhere/at/all", "cannot read /nowhere/at/all"),
            (&format!("@{}", own.display()), "without end"),
        ] {
            let error = read(text).unwrap_err().to_string();
            assert!(error.contains(wanted) && !error.contains("hunter2"), "{text}: {error}");
        }
    }
}
