//! Reads the tables with which an operator fills the ledger: CSV, text with tabs, and what bconsole's `sql` prints.
//!
//! The columns are found by their names (`volume` or `VolumeName`, `storage`, and if they are there `MediaType` and
//! `pool`), in any order and among others. Without such a first line the first column is the volume and the second
//! the storage. Every problem of a table is told at once, with its line; a table with a problem is not taken at all.

use std::collections::HashMap;

use super::ledger::Assignment;
use crate::table::{Cells, rows};
use crate::types::{MediaType, NameError, PoolName, StorageName, VolumeName};

pub use crate::table::Problem;

/// What a table's words mean here.
#[derive(Debug, Clone, Default)]
pub struct Rules {
    /// The configured storages.
    pub storages: Vec<StorageName>,
    /// Other words for them: a Director's Storage resources, or media types, if each storage has its own.
    pub names: HashMap<String, StorageName>,
    /// The column that tells the storage, if it is not the one called `storage`.
    pub storage_column: Option<String>,
}

/// Which cell is what.
struct Columns {
    volume: usize,
    storage: usize,
    media_type: Option<usize>,
    pool: Option<usize>,
}

const VOLUME: [&str; 4] = ["volume", "volumename", "volume_name", "volname"];
const STORAGE: [&str; 3] = ["storage", "storagename", "storage_name"];
const MEDIA_TYPE: [&str; 2] = ["mediatype", "media_type"];
const POOL: [&str; 3] = ["pool", "poolname", "pool_name"];

/// Reads a table.
///
/// # Errors
/// Every problem of the table, in the order of its lines.
pub fn read(table: &[u8], rules: &Rules) -> Result<Vec<Assignment>, Vec<Problem>> {
    let mut problems = Vec::new();
    let mut rows = rows(table, &mut problems).into_iter().peekable();
    let columns = match rows.peek().map(|first| Columns::of(first, rules)) {
        None => {
            let text = "the table has no line with a volume".into();
            problems.push(Problem { line: 1, text });
            return Err(problems);
        }
        Some(Header::Found(columns)) => {
            rows.next();
            columns
        }
        Some(Header::None) => Columns {
            volume: 0,
            storage: 1,
            media_type: None,
            pool: None,
        },
        Some(Header::Wrong(problem)) => {
            problems.push(problem);
            return Err(problems);
        }
    };
    let mut taken = Vec::new();
    let mut seen: HashMap<VolumeName, (u64, StorageName)> = HashMap::new();
    for row in rows {
        match assignment(&row, &columns, rules) {
            Ok(assignment) => match seen.get(&assignment.volume) {
                None => {
                    seen.insert(assignment.volume.clone(), (row.line, assignment.storage.clone()));
                    taken.push(assignment);
                }
                Some((_, storage)) if *storage == assignment.storage => {}
                Some((line, storage)) => problems.push(Problem {
                    line: row.line,
                    text: format!(
                        "volume \"{}\" is on {} here and on {storage} in line {line}; a volume has one storage",
                        assignment.volume, assignment.storage
                    ),
                }),
            },
            Err(text) => problems.push(Problem { line: row.line, text }),
        }
    }
    if problems.is_empty() {
        return Ok(taken);
    }
    problems.sort_by_key(|problem| problem.line);
    Err(problems)
}

/// What the first line is.
enum Header {
    Found(Columns),
    None,
    Wrong(Problem),
}

impl Columns {
    fn of(first: &Cells, rules: &Rules) -> Header {
        let cells: Vec<String> = first.cells.iter().map(|cell| cell.to_ascii_lowercase()).collect();
        let find = |names: &[&str]| cells.iter().position(|cell| names.contains(&cell.as_str()));
        let volume = find(&VOLUME);
        let storage = match &rules.storage_column {
            Some(column) => cells.iter().position(|cell| *cell == column.to_ascii_lowercase()),
            // What a query for Storage.Name is called in a catalog's answer.
            None => find(&STORAGE).or_else(|| volume.and_then(|_| find(&["name"]))),
        };
        let missing = |what: String| {
            let text = format!("the header has no column {what}; it has {}", first.cells.join(", "));
            Header::Wrong(Problem { line: first.line, text })
        };
        match (volume, storage, &rules.storage_column) {
            (Some(volume), Some(storage), _) => Header::Found(Self {
                volume,
                storage,
                media_type: find(&MEDIA_TYPE),
                pool: find(&POOL),
            }),
            (None, None, None) => Header::None,
            (None, _, _) => missing("\"volume\"".into()),
            (Some(_), None, Some(column)) => missing(format!("\"{column}\"")),
            (Some(_), None, None) => missing("\"storage\"".into()),
        }
    }
}

/// One line as an assignment, or what is wrong with it.
fn assignment(row: &Cells, columns: &Columns, rules: &Rules) -> Result<Assignment, String> {
    let cell = |at: usize| row.cells.get(at).map(String::as_str).filter(|cell| !cell.is_empty());
    let volume = cell(columns.volume).ok_or("it names no volume")?;
    let volume = VolumeName::new(volume).map_err(|error| format!("{volume:?} is no volume: {error}"))?;
    let storage = cell(columns.storage).ok_or_else(|| format!("volume \"{volume}\" has no storage"))?;
    let told = |at: Option<usize>| at.and_then(cell);
    let wrong = |what: &str, error: NameError| format!("the {what} of volume \"{volume}\" is none: {error}");
    Ok(Assignment {
        storage: find_storage(storage, rules)?,
        media_type: told(columns.media_type)
            .map(MediaType::new)
            .transpose()
            .map_err(|error| wrong("media type", error))?,
        pool: told(columns.pool)
            .map(PoolName::new)
            .transpose()
            .map_err(|error| wrong("pool", error))?,
        volume,
    })
}

/// The storage that `word` means, or a text that names the storages that come near.
fn find_storage(word: &str, rules: &Rules) -> Result<StorageName, String> {
    let own = rules.storages.iter().find(|storage| storage.as_str() == word);
    if let Some(storage) = own.or_else(|| rules.names.get(word)) {
        return Ok(storage.clone());
    }
    let mut words: Vec<&str> = rules
        .storages
        .iter()
        .map(StorageName::as_str)
        .chain(rules.names.keys().map(String::as_str))
        .collect();
    words.sort_unstable();
    let lower = word.to_lowercase();
    let nearest = words
        .iter()
        .map(|known| (strsim::damerau_levenshtein(&known.to_lowercase(), &lower), *known))
        .min();
    // Two letters of a short name are another name.
    let near = (lower.chars().count() / 3).clamp(1, 3);
    Err(match nearest {
        Some((distance, known)) if distance <= near => {
            format!("no storage is called \"{word}\"; did you mean \"{known}\"?")
        }
        _ => format!("no storage is called \"{word}\"; there are {}", words.join(", ")),
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn rules() -> Rules {
        let storage = |name: &str| StorageName::new(name).unwrap();
        Rules {
            storages: ["File4", "File5", "File6"].map(storage).to_vec(),
            names: HashMap::from([("Bacula-SD-5".to_owned(), storage("File5"))]),
            storage_column: None,
        }
    }

    fn pairs(table: &str) -> Vec<(String, String)> {
        let taken = read(table.as_bytes(), &rules()).unwrap();
        taken
            .iter()
            .map(|one| (one.volume.to_string(), one.storage.to_string()))
            .collect()
    }

    fn problems(table: &[u8]) -> Vec<String> {
        read(table, &rules())
            .unwrap_err()
            .iter()
            .map(ToString::to_string)
            .collect()
    }

    fn pair(volume: &str, storage: &str) -> (String, String) {
        (volume.into(), storage.into())
    }

    #[test]
    fn columns_are_found_by_name_in_any_order() {
        let table = "MediaType,Storage,Pool,VolumeName\nFile,File4,Default,Vol-0001\n\"File\",File6,,\"Vol, 2\"\n";
        assert_eq!(pairs(table), [pair("Vol-0001", "File4"), pair("Vol, 2", "File6")]);
        let taken = read(table.as_bytes(), &rules()).unwrap();
        assert_eq!(taken[0].media_type.as_ref().map(MediaType::as_str), Some("File"));
        assert_eq!(taken[0].pool.as_ref().map(PoolName::as_str), Some("Default"));
        assert_eq!(taken[1].pool, None);
    }

    #[test]
    fn without_a_header_the_first_column_is_the_volume() {
        assert_eq!(
            pairs("# mine\nV1, File4\n\nV2,File5,more\n"),
            [pair("V1", "File4"), pair("V2", "File5")]
        );
        assert_eq!(
            pairs("V1\tFile4\r\nV 2\tFile5\r\n"),
            [pair("V1", "File4"), pair("V 2", "File5")]
        );
        assert_eq!(
            pairs("V1|File4\nV2|Bacula-SD-5"),
            [pair("V1", "File4"), pair("V2", "File5")]
        );
        assert_eq!(pairs("\u{feff}volume;storage\nV1;File4\n"), [pair("V1", "File4")]);
    }

    #[test]
    fn what_bconsole_prints_is_a_table() {
        let printed = "Enter SQL query: SELECT VolumeName, Storage.Name FROM Media JOIN Storage USING (StorageId);\n\
            +------------+-------+\n| VolumeName | Name  |\n+------------+-------+\n| Vol-0001   | File4 |\n\
            | Vol-0002   | Bacula-SD-5 |\n+------------+-------+\nEnter SQL query: \n";
        assert_eq!(pairs(printed), [pair("Vol-0001", "File4"), pair("Vol-0002", "File5")]);
    }

    #[test]
    fn another_column_may_tell_the_storage() {
        let mut rules = rules();
        rules.storage_column = Some("MediaType".into());
        rules.names.insert("Media6".into(), StorageName::new("File6").unwrap());
        let taken = read(b"volume,storage,mediatype\nV1,Group,Media6\n", &rules).unwrap();
        assert_eq!((taken.len(), taken[0].storage.as_str()), (1, "File6"));
        rules.storage_column = Some("Slot".into());
        let wrong = read(b"volume,storage\nV1,File4\n", &rules).unwrap_err();
        assert_eq!(
            wrong[0].to_string(),
            "line 1: the header has no column \"Slot\"; it has volume, storage"
        );
    }

    #[test]
    fn every_problem_is_told_at_once() {
        let table = b"volume,storage\nV1,file4\nV2,File5\n,File5\nV3\nV2,File6\nV4,Elsewhere\nV\xff,File4\nV2,File5\n";
        assert_eq!(
            problems(table),
            [
                "line 2: no storage is called \"file4\"; did you mean \"File4\"?",
                "line 4: it names no volume",
                "line 5: volume \"V3\" has no storage",
                "line 6: volume \"V2\" is on File6 here and on File5 in line 3; a volume has one storage",
                "line 7: no storage is called \"Elsewhere\"; there are Bacula-SD-5, File4, File5, File6",
                "line 8: it is not UTF-8 text",
            ]
        );
    }

    #[test]
    fn a_header_without_its_other_column_and_an_empty_table_are_told() {
        assert_eq!(
            problems(b"volume,place\nV1,File4\n"),
            ["line 1: the header has no column \"storage\"; it has volume, place"]
        );
        assert_eq!(
            problems(b"name,storage\nV1,File4\n"),
            ["line 1: the header has no column \"volume\"; it has name, storage"]
        );
        assert_eq!(problems(b"\n\n"), ["line 1: the table has no line with a volume"]);
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(volumes in prop::collection::btree_set("[A-Za-z0-9 ,\"._|-]{0,9}[A-Za-z0-9]", 1..20)) {
            let mut writer = csv::Writer::from_writer(Vec::new());
            writer.write_record(["volume", "storage"]).unwrap();
            for volume in &volumes {
                writer.write_record([volume.as_str(), "File4"]).unwrap();
            }
            let table = writer.into_inner().unwrap();
            let taken = read(&table, &rules()).unwrap();
            let names: Vec<_> = taken.iter().map(|one| one.volume.as_str()).collect();
            let expected: std::collections::BTreeSet<_> = volumes.iter().map(|volume| volume.trim()).collect();
            prop_assert_eq!(names.iter().copied().collect::<std::collections::BTreeSet<_>>(), expected);
        }

        #[test]
        fn no_bytes_make_the_reader_fail_in_another_way_than_by_problems(table in prop::collection::vec(any::<u8>(), 0..300)) {
            match read(&table, &rules()) {
                Ok(_) => {}
                Err(problems) => prop_assert!(!problems.is_empty()),
            }
        }
    }
}
