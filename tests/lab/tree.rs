//! Things to back up: trees of files with known bytes, a checksum to compare them by, and a pipe that holds a job
//! open for as long as a test wants.

use md5::{Digest, Md5};
use rustix::fs::{CWD, FileType, Mode, OFlags, mknodat, open};
use std::fs::{self, File};
use std::io::{self, Write};
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// Bytes that look random, the same for the same seed (xorshift; nothing here needs secrecy).
pub(crate) struct Noise(u64);

impl Noise {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1)
    }

    pub(crate) fn bytes(&mut self, count: usize) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(count + 8);
        while bytes.len() < count {
            self.0 ^= self.0 << 13;
            self.0 ^= self.0 >> 7;
            self.0 ^= self.0 << 17;
            bytes.extend_from_slice(&self.0.to_le_bytes());
        }
        bytes.truncate(count);
        bytes
    }
}

/// Makes a tree of everything that a backup has to keep: text, noise, a large file, an empty one, folders (an empty
/// one too), hard links, symbolic links (a dangling one too), odd names and modes.
pub(crate) fn plant(folder: &Path, seed: u64) {
    let mut noise = Noise::new(seed);
    let write = |name: &str, bytes: &[u8]| fs::write(folder.join(name), bytes).expect("writing the tree");
    for part in ["docs", "noise", "empty folder", "deep/er/and/deeper"] {
        fs::create_dir_all(folder.join(part)).expect("a folder of the tree");
    }
    for number in 0..10 {
        write(
            &format!("docs/page-{number}.txt"),
            format!("page {number} of {seed}\n").repeat(200 + number).as_bytes(),
        );
        write(&format!("noise/{number}.bin"), &noise.bytes(7_001 * number));
    }
    write("noise/large.bin", &noise.bytes(3_000_000));
    write("empty", b"");
    write("deep/er/and/deeper/leaf", &noise.bytes(65_536));
    write("name with spaces, ünïcode and 'quotes'", b"odd name\n");
    write("secret", b"only for me\n");
    fs::set_permissions(folder.join("secret"), fs::Permissions::from_mode(0o600)).expect("a mode");
    fs::hard_link(folder.join("docs/page-1.txt"), folder.join("docs/page-1-again.txt")).expect("a hard link");
    symlink("docs/page-2.txt", folder.join("link")).expect("a symbolic link");
    symlink("nowhere/at/all", folder.join("dangling")).expect("a symbolic link");
}

/// Makes so many small files, a thousand in each folder.
pub(crate) fn strew(folder: &Path, files: u32) {
    for number in 0..files {
        let place = folder.join(format!("{:04}", number / 1000));
        if number % 1000 == 0 {
            fs::create_dir(&place).expect("a folder of the tree");
        }
        fs::write(place.join(number.to_string()), number.to_le_bytes()).expect("a small file");
    }
}

/// Fills a file with so many bytes of noise in which no two MiB are alike, so that a piece that is lost, doubled or
/// displaced shows.
pub(crate) fn pour(path: &Path, seed: u64, bytes: u64) {
    let piece = Noise::new(seed).bytes(1 << 20);
    let mut file = File::create(path).expect("a large file");
    for number in 0..=bytes >> 20 {
        file.write_all(&number.to_le_bytes()).expect("its bytes");
        file.write_all(&piece).expect("its bytes");
    }
    file.set_len(bytes).expect("its length");
}

/// One line per entry below `folder`, sorted: kind, mode, size, digest of the bytes or target of the link, number of
/// hard links, name. Equal texts mean equal trees.
pub(crate) fn checksum(folder: &Path) -> String {
    let mut lines = Vec::new();
    collect(folder, folder, &mut lines);
    lines.sort();
    lines.join("\n")
}

fn collect(root: &Path, folder: &Path, lines: &mut Vec<String>) {
    let entries = fs::read_dir(folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    for entry in entries.flatten() {
        let path = entry.path();
        let about = fs::symlink_metadata(&path).expect("an entry's metadata");
        let name = path.strip_prefix(root).unwrap_or(&path).display().to_string();
        let mode = about.mode() & 0o7777;
        if about.is_dir() {
            lines.push(format!("{name}: folder {mode:o}"));
            collect(root, &path, lines);
        } else if about.is_symlink() {
            lines.push(format!(
                "{name}: link to {}",
                fs::read_link(&path).unwrap_or_default().display()
            ));
        } else if about.is_file() {
            lines.push(format!(
                "{name}: file {mode:o} {} {} x{}",
                about.len(),
                digest(&path),
                about.nlink()
            ));
        } else {
            lines.push(format!("{name}: special {mode:o}"));
        }
    }
}

fn digest(path: &Path) -> String {
    let mut digest = Md5::new();
    io::copy(&mut File::open(path).expect("a file of the tree"), &mut digest).expect("its bytes");
    digest
        .finalize()
        .iter()
        .fold(String::new(), |text, byte| format!("{text}{byte:02x}"))
}

/// A named pipe that a job reads: the job goes on until the gate is dropped.
#[derive(Debug)]
pub(crate) struct Gate {
    path: PathBuf,
    writer: File,
}

impl Gate {
    /// Makes the pipe if it is not there, and holds it open. Both ends are opened, so that nobody has to wait.
    pub(crate) fn shut(path: &Path) -> Self {
        if !path.exists() {
            mknodat(CWD, path, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).expect("a named pipe");
        }
        let writer = open(path, OFlags::RDWR | OFlags::NONBLOCK | OFlags::CLOEXEC, Mode::empty()).expect("the pipe");
        Self {
            path: path.to_owned(),
            writer: File::from(writer),
        }
    }

    /// Sends `count` bytes through: when this returns, the Client has read all but the last 64 KiB of them.
    pub(crate) fn feed(&mut self, count: usize, within: Duration) {
        let begun = Instant::now();
        let bytes = Noise::new(count as u64).bytes(count);
        let mut rest = bytes.as_slice();
        while !rest.is_empty() {
            match self.writer.write(rest) {
                Ok(written) => rest = rest.get(written..).unwrap_or_default(),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    let path = self.path.display();
                    assert!(
                        begun.elapsed() < within,
                        "{path}: {} of {count} bytes left, nobody reads",
                        rest.len()
                    );
                    std::thread::sleep(Duration::from_millis(10));
                }
                Err(error) => panic!("{}: {error}", self.path.display()),
            }
        }
    }

    /// Sends a few bytes if there is room, so that a reader never starves for long.
    pub(crate) fn trickle(&mut self) {
        if let Err(error) = self.writer.write(&[b'.'; 1000]) {
            assert_eq!(
                error.kind(),
                io::ErrorKind::WouldBlock,
                "{}: {error}",
                self.path.display()
            );
        }
    }

    /// Lets the job come to its end.
    pub(crate) fn open(self) {
        drop(self);
    }
}
