//! What a storage says when it does not do what it was told to, in its own words: a Director knows these and shows
//! them (Bacula `src/stored/dircmd.c`, `src/stored/job.c`, `src/stored/reserve.c`).

use super::line::LineWriter;

/// A refusal. Free texts are cut to one line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Refusal {
    /// 3915: a job is not taken. The Director shows the whole line in the job's log; this closes the connection.
    Job {
        /// Why, for a person.
        reason: String,
    },
    /// 3924: no such device, or none that is fit or free. This closes the connection.
    Device {
        /// The device's name.
        device: String,
    },
    /// 3913: a `use storage` that does not read as one. This closes the connection.
    Use {
        /// What came.
        found: String,
    },
    /// 3904: a bootstrap is not taken. This closes the connection.
    Bootstrap,
    /// 3904: no job of that name is here.
    NotFound {
        /// The job's name.
        job: String,
    },
    /// 3999: a login has failed.
    NoGo,
    /// 3999: something else cannot be done.
    Failed {
        /// Why, for a person.
        reason: String,
    },
    /// 3900: a command that is not known. This closes the connection.
    Invalid {
        /// The command. A storage would repeat it through a format string; what is repeated here is text only.
        command: String,
    },
    /// A command that cannot be read, or that nothing comes of, with the code that storages have for the case.
    Coded {
        /// Four digits.
        code: u16,
        /// Why, for a person.
        reason: String,
    },
    /// 3902: a `client address=` that is not taken. This closes the connection.
    Client,
    /// 2902: a `storage address=` that is not taken. This closes the connection.
    Storage,
    /// 3997: a Director that may only look has sent another command than `status`. This closes the connection.
    Monitor,
}

impl Refusal {
    /// The line to send.
    #[must_use]
    pub fn to_line(&self) -> Vec<u8> {
        let line = LineWriter::new();
        let line = match self {
            Self::Job { reason } => line.raw("3915 Bad Job command. stat=-1 CMD: ").raw(one_line(reason)),
            Self::Device { device } => line
                .raw("3924 Device \"")
                .raw(one_line(device))
                .raw("\" not in SD Device resources or no matching Media Type or is disabled."),
            Self::Use { found } => line.raw("3913 Bad use command: ").raw(one_line(found)),
            Self::Bootstrap => line.raw("3904 Error bootstrap"),
            Self::NotFound { job } => line.raw("3904 Job ").raw(one_line(job)).raw(" not found."),
            Self::NoGo => line.raw("3999 No go"),
            Self::Failed { reason } => line.raw("3999 ").raw(one_line(reason)),
            Self::Invalid { command } => line.raw("3900 Invalid command: ").raw(one_line(command)),
            Self::Coded { code, reason } => line.number(*code).raw(" ").raw(one_line(reason)),
            Self::Client => line.raw("3902 Bad client cmd"),
            Self::Storage => line.raw("2902 Bad storage"),
            Self::Monitor => line.raw("3997 Invalid command for a Director with Monitor directive enabled."),
        };
        line.raw("\n").finish()
    }
}

/// The longest free text in a refusal, in bytes.
const MAX_TEXT_BYTES: usize = 1000;

fn one_line(text: &str) -> String {
    let mut line = String::new();
    for c in text.trim_end().chars().map(|c| if c.is_control() { ' ' } else { c }) {
        if line.len() + c.len_utf8() > MAX_TEXT_BYTES {
            break;
        }
        line.push(c);
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_is_one_line_whatever_its_text() {
        let refusal = Refusal::Job {
            reason: "no storage\nis left\n".to_owned(),
        };
        assert_eq!(
            refusal.to_line(),
            b"3915 Bad Job command. stat=-1 CMD: no storage is left\n"
        );
        let refusal = Refusal::Invalid {
            command: "ä".repeat(2000),
        };
        let line = String::from_utf8(refusal.to_line()).unwrap();
        assert_eq!(line.len(), "3900 Invalid command: ".len() + MAX_TEXT_BYTES + 1);
    }

    #[test]
    fn the_words_are_a_storages() {
        assert_eq!(Refusal::NoGo.to_line(), b"3999 No go\n");
        assert_eq!(
            Refusal::NotFound { job: "J.1".to_owned() }.to_line(),
            b"3904 Job J.1 not found.\n"
        );
        assert_eq!(
            Refusal::Device {
                device: "FileDev4".to_owned()
            }
            .to_line(),
            b"3924 Device \"FileDev4\" not in SD Device resources or no matching Media Type or is disabled.\n"
        );
    }
}
