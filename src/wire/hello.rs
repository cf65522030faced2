//! The first message of every connection: who calls and, from a Client, for which job. It is read before anything is
//! proved (Bacula `src/stored/hello.c`, `src/stored/dircmd.c`).

use super::line::{LineError, LineWriter, Scanner};
use crate::types::{DirectorName, JobName, PeerName};

/// The lengths that a storage accepts, in bytes.
pub const HELLO_BYTES: std::ops::RangeInclusive<usize> = 25..=500;

/// Why a first message is not a Hello.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum HelloError {
    /// Shorter or longer than any Hello.
    #[error("a first message of {0} bytes is not a Hello")]
    Length(usize),
    /// It does not read as one.
    #[error("the first message is not a Hello: {0}")]
    Line(#[from] LineError),
}

/// A first message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Hello {
    /// A Director.
    Director(DirectorHello),
    /// A Client (File Daemon), or a storage that calls another one in a copy job.
    Client(ClientHello),
    /// A storage that calls a Client (`SDCallsClient`). The Client answers with its own Hello.
    StorageCalling(StorageCalling),
    /// Another sdgroup. No daemon of Bacula's says this, nor takes it for a Hello.
    Peer(PeerHello),
}

/// What a Director says of itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DirectorHello {
    /// Its name. To be compared without case.
    pub name: DirectorName,
    /// Its number, see [`Release::from_director`](crate::types::Release::from_director). Very old Directors say
    /// none.
    pub version: Option<u32>,
    /// Its needs of TLS: that of certificates, and 100 times that of a pre-shared key. 9.6 says none.
    pub tls_psk: Option<u32>,
}

/// What a Client or a calling storage says of itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClientHello {
    /// The job that waits for it. To be compared byte by byte.
    pub job: JobName,
    /// Its number as a Client. 0 for the oldest form, which has none.
    pub fd_version: u32,
    /// Its number as a storage, if it is one.
    pub sd_version: Option<u32>,
    /// Its needs of TLS, as in [`DirectorHello::tls_psk`].
    pub tls_psk: Option<u32>,
}

/// What a storage says to a Client that it calls.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StorageCalling {
    /// The job that waits for it.
    pub job: JobName,
    /// The storage's number.
    pub sd_version: u32,
}

/// What an sdgroup says of itself to another one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PeerHello {
    /// Its name.
    pub name: PeerName,
    /// What it speaks from the login on.
    pub version: u32,
}

const PEER: &str = "Hello SD: sdgroup peer ";
const DIRECTOR: &str = "Hello SD: Bacula Director ";
const CLIENT: &str = "Hello Bacula SD: Start Job ";
const OLD_CLIENT: &str = "Hello Start Job ";
const STORAGE: &str = "Hello FD: Bacula Storage calling Start Job ";

impl Hello {
    /// Reads a first message.
    ///
    /// # Errors
    /// When it is none. A storage answers nothing then, and closes.
    pub fn parse(line: &[u8]) -> Result<Self, HelloError> {
        if !HELLO_BYTES.contains(&line.len()) {
            return Err(HelloError::Length(line.len()));
        }
        let mut scanner = Scanner::new(line);
        if scanner.accepts(CLIENT) {
            return Ok(Self::Client(ClientHello::scan(&mut scanner)?));
        }
        if scanner.accepts(STORAGE) {
            let job = scanner.name(JobName::new)?;
            scanner.literal(" ")?;
            return Ok(Self::StorageCalling(StorageCalling {
                job,
                sd_version: scanner.number()?,
            }));
        }
        if scanner.accepts(OLD_CLIENT) {
            let job = scanner.name(JobName::new)?;
            return Ok(Self::Client(ClientHello {
                job,
                fd_version: 0,
                sd_version: None,
                tls_psk: None,
            }));
        }
        if scanner.accepts(PEER) {
            let name = scanner.name(PeerName::new)?;
            scanner.literal(" calling ")?;
            return Ok(Self::Peer(PeerHello {
                name,
                version: scanner.number()?,
            }));
        }
        scanner.literal(DIRECTOR)?;
        Ok(Self::Director(DirectorHello::scan(&mut scanner)?))
    }

    /// The line to send.
    #[must_use]
    pub fn to_line(&self) -> Vec<u8> {
        match self {
            Self::Director(hello) => hello.to_line(),
            Self::Client(hello) => hello.to_line(),
            Self::StorageCalling(hello) => hello.to_line(),
            Self::Peer(hello) => hello.to_line(),
        }
    }
}

impl DirectorHello {
    fn scan(scanner: &mut Scanner<'_>) -> Result<Self, LineError> {
        let name = scanner.name(DirectorName::new)?;
        scanner.literal(" calling")?;
        let version = optional_number(scanner)?;
        let tls_psk = scanner.accepts(" tlspsk=").then(|| scanner.number()).transpose()?;
        Ok(Self { name, version, tls_psk })
    }

    /// The line to send.
    #[must_use]
    pub fn to_line(&self) -> Vec<u8> {
        let line = LineWriter::new().raw(DIRECTOR).name(self.name.as_str()).raw(" calling");
        finish(line, [self.version, None], self.tls_psk)
    }
}

impl ClientHello {
    fn scan(scanner: &mut Scanner<'_>) -> Result<Self, LineError> {
        let job = scanner.name(JobName::new)?;
        scanner.literal(" ")?;
        let fd_version = scanner.number()?;
        let sd_version = optional_number(scanner)?;
        let tls_psk = scanner.accepts(" tlspsk=").then(|| scanner.number()).transpose()?;
        // Only a number above 0 makes the caller a storage.
        Ok(Self {
            job,
            fd_version,
            sd_version: sd_version.filter(|&number| number > 0),
            tls_psk,
        })
    }

    /// The line to send.
    #[must_use]
    pub fn to_line(&self) -> Vec<u8> {
        let line = LineWriter::new().raw(CLIENT).name(self.job.as_str());
        finish(line, [Some(self.fd_version), self.sd_version], self.tls_psk)
    }

    /// Whether the storage's first line to this caller tells its capabilities (`sdcaps`), as between daemons of 13.0
    /// and later. 213 and 214 are older than 12.
    #[must_use]
    pub fn exchanges_capabilities(&self) -> bool {
        self.fd_version >= 12 && !matches!(self.fd_version, 213 | 214)
    }

    /// Whether this caller waits for the storage's `3000 OK Hello`.
    #[must_use]
    pub fn awaits_admission(&self) -> bool {
        self.fd_version >= 9 || self.fd_version == 5
    }
}

impl StorageCalling {
    /// The line to send.
    #[must_use]
    pub fn to_line(&self) -> Vec<u8> {
        let line = LineWriter::new().raw(STORAGE).name(self.job.as_str());
        finish(line, [Some(self.sd_version), None], None)
    }
}

impl PeerHello {
    /// The line to send.
    #[must_use]
    pub fn to_line(&self) -> Vec<u8> {
        let line = LineWriter::new().raw(PEER).name(self.name.as_str()).raw(" calling");
        finish(line, [Some(self.version), None], None)
    }
}

fn optional_number(scanner: &mut Scanner<'_>) -> Result<Option<u32>, LineError> {
    let mut ahead = scanner.clone();
    ahead.literal(" ")?;
    if !ahead.rest().first().is_some_and(u8::is_ascii_digit) {
        return Ok(None);
    }
    let number = ahead.number()?;
    *scanner = ahead;
    Ok(Some(number))
}

fn finish(mut line: LineWriter, numbers: [Option<u32>; 2], tls_psk: Option<u32>) -> Vec<u8> {
    for number in numbers.into_iter().flatten() {
        line = line.raw(" ").number(number);
    }
    if let Some(number) = tls_psk {
        line = line.raw(" tlspsk=").number(number);
    }
    line.raw("\n").finish()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn reads_and_writes(line: &str) -> Hello {
        let hello = Hello::parse(line.as_bytes()).unwrap();
        assert_eq!(String::from_utf8(hello.to_line()).unwrap(), line);
        hello
    }

    #[test]
    fn the_hellos_of_all_releases() {
        let Hello::Director(director) = reads_and_writes("Hello SD: Bacula Director lab\x01dir calling 103\n") else {
            panic!("not a Director");
        };
        assert_eq!(
            (director.name.as_str(), director.version, director.tls_psk),
            ("lab dir", Some(103), None)
        );
        reads_and_writes("Hello SD: Bacula Director lab-dir calling 10002 tlspsk=100\n");
        reads_and_writes("Hello SD: Bacula Director lab-dir calling\n");
        let Hello::Client(client) = reads_and_writes("Hello Bacula SD: Start Job J.2026-11-23_00.20.37_03 214\n")
        else {
            panic!("not a Client");
        };
        assert_eq!((client.fd_version, client.sd_version), (214, None));
        reads_and_writes("Hello Bacula SD: Start Job J.2026-11-23_00.20.37_03 15 tlspsk=100\n");
        let Hello::Client(storage) = reads_and_writes("Hello Bacula SD: Start Job J.2026-11-23_00.20.37_03 214 306\n")
        else {
            panic!("not a Client");
        };
        assert_eq!(storage.sd_version, Some(306));
        reads_and_writes("Hello Bacula SD: Start Job J.2026-11-23_00.20.37_03 15 30008 tlspsk=100\n");
        reads_and_writes("Hello FD: Bacula Storage calling Start Job J.2026-11-23_00.20.37_03 306\n");
    }

    #[test]
    fn the_hello_of_another_sdgroup() {
        let Hello::Peer(peer) = reads_and_writes("Hello SD: sdgroup peer a.example.org calling 1\n") else {
            panic!("not a peer");
        };
        assert_eq!((peer.name.as_str(), peer.version), ("a.example.org", 1));
    }

    #[test]
    fn the_oldest_client_has_no_number() {
        let Ok(Hello::Client(client)) = Hello::parse(b"Hello Start Job J.2026-11-23_00.20.37_03\n") else {
            panic!("not a Client");
        };
        assert_eq!(
            (client.job.as_str(), client.fd_version),
            ("J.2026-11-23_00.20.37_03", 0)
        );
    }

    #[test]
    fn what_is_no_hello() {
        assert_eq!(Hello::parse(b"Hello\n"), Err(HelloError::Length(6)));
        assert_eq!(Hello::parse(&[b'x'; 501]), Err(HelloError::Length(501)));
        assert!(Hello::parse(b"Hello *UserAgent* calling 100\n").is_err());
        assert!(Hello::parse(b"Hello SD: Bacula Director  calling 103\n").is_err());
        assert!(Hello::parse(b"Hello SD: Bacula Director \xff\xfe calling 103\n").is_err());
    }

    proptest! {
        #[test]
        fn a_director_reads_back(name in "[A-Za-z][A-Za-z0-9 _.:-]{0,60}", version: Option<u32>, tls_psk: Option<u32>) {
            let hello = Hello::Director(DirectorHello { name: DirectorName::new(&name).unwrap(), version, tls_psk });
            prop_assert_eq!(Hello::parse(&hello.to_line()), Ok(hello));
        }

        #[test]
        fn a_client_reads_back(name in "[A-Za-z][A-Za-z0-9_.-]{0,100}", fd_version: u32, sd in proptest::option::of(1_u32..), tls_psk: Option<u32>) {
            let job = JobName::new(&name).unwrap();
            let hello = Hello::Client(ClientHello { job, fd_version, sd_version: sd, tls_psk });
            prop_assert_eq!(Hello::parse(&hello.to_line()), Ok(hello));
        }

        #[test]
        fn any_bytes_may_come_first(line in proptest::collection::vec(any::<u8>(), 0..200)) {
            for start in ["", DIRECTOR, CLIENT, STORAGE, PEER] {
                if let Ok(hello) = Hello::parse(&[start.as_bytes(), &line].concat()) {
                    prop_assert_eq!(Hello::parse(&hello.to_line()), Ok(hello));
                }
            }
        }
    }
}
