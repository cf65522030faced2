//! CRAM-MD5 both ways, the core of every login: first the side that was called challenges, then the caller, with the
//! same key (Bacula `src/lib/cram-md5.c`).

use hmac::{Hmac, Mac as _};
use md5::{Digest as _, Md5};
use subtle::ConstantTimeEq as _;

use super::{HandshakeError, message, unexpected};
use crate::types::{Secret, SessionKey};
use crate::wire::base64;
use crate::wire::challenge::{Challenge, FAILED, PASSED};
use crate::wire::packet::{Outbox, Packet};
use crate::wire::starttls::Need;

/// What a Director and a storage prove to each other: the lower-case hexadecimal MD5 of the password. Bacula's
/// configuration parser turns every password into this, and nothing but this is ever used (`src/lib/parse_conf.c`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DirectorKey(Secret);

impl DirectorKey {
    /// The key of `password`.
    #[must_use]
    pub fn new(password: &Secret) -> Self {
        let mut text = String::with_capacity(32);
        for byte in Md5::digest(password.reveal().as_bytes()) {
            for nibble in [byte >> 4, byte & 15] {
                text.push(char::from_digit(u32::from(nibble), 16).unwrap_or('0'));
            }
        }
        Self(Secret::new(text))
    }

    pub(super) fn secret(&self) -> Secret {
        self.0.clone()
    }
}

/// The key of a data connection, in the form in which the machines hold keys.
pub(super) fn session_secret(key: &SessionKey) -> Secret {
    Secret::new(key.reveal().to_owned())
}

/// `None` never: HMAC takes a key of any length. If it did not, nobody would be let in.
fn digest(key: &Secret, challenge: &[u8]) -> Option<[u8; 16]> {
    let mut mac = Hmac::<Md5>::new_from_slice(key.reveal().as_bytes()).ok()?;
    mac.update(challenge);
    Some(mac.finalize().into_bytes().into())
}

/// The answer that `key` gives to `challenge`, in the form which the challenger asks for.
fn answer(key: &Secret, challenge: &Challenge) -> String {
    let form = if challenge.standard_base64 {
        base64::standard
    } else {
        base64::bacula
    };
    digest(key, &challenge.text)
        .map(|digest| form(&digest))
        .unwrap_or_default()
}

/// Whether `text` is the answer to `challenge`, in either form, with or without its NUL. Takes the same time for
/// every wrong answer of the right length.
fn is_answer(text: &[u8], key: &Secret, challenge: &Challenge) -> bool {
    let text = text.strip_suffix(&[0]).unwrap_or(text);
    let Some(digest) = digest(key, &challenge.text) else {
        return false;
    };
    let bacula = base64::bacula(&digest).as_bytes().ct_eq(text);
    let standard = base64::standard(&digest).as_bytes().ct_eq(text);
    (bacula | standard).into()
}

/// What both sides hold.
pub(super) struct Exchange {
    key: Secret,
    ours: Challenge,
    /// Their need of certificates, once their challenge has come.
    theirs: Need,
}

impl Exchange {
    /// `random` must never come twice; `certificate` is our need of TLS with certificates.
    pub(super) fn new(key: Secret, our_name: &str, random: [u8; 16], certificate: Need) -> Self {
        let ours = Challenge {
            ssl: certificate.number(),
            ..Challenge::mint(random, our_name)
        };
        Self {
            key,
            ours,
            theirs: Need::None,
        }
    }

    pub(super) fn key(&self) -> Secret {
        self.key.clone()
    }

    pub(super) fn their_certificate_need(&self) -> Need {
        self.theirs
    }

    pub(super) fn challenge(&self, outbox: &mut Outbox) {
        outbox.message(self.ours.to_line());
    }

    /// Judges the peer's answer to our challenge and says so.
    fn judge(&self, packet: &Packet, outbox: &mut Outbox) -> Result<(), HandshakeError> {
        let text = message(packet, "the answer to our challenge")?;
        if is_answer(text, &self.key, &self.ours) {
            outbox.message(PASSED);
            return Ok(());
        }
        outbox.message(FAILED);
        // A peer that says why it leaves has not guessed a password.
        match unexpected("the answer to our challenge", text) {
            HandshakeError::Unexpected { .. } => Err(HandshakeError::WrongAnswer),
            told => Err(told),
        }
    }

    /// Answers the peer's challenge.
    fn answer(&mut self, packet: &Packet, outbox: &mut Outbox) -> Result<(), HandshakeError> {
        let expected = "a challenge";
        let text = message(packet, expected)?;
        let Ok(theirs) = Challenge::parse(text) else {
            outbox.message(FAILED);
            return Err(unexpected(expected, text));
        };
        if theirs.text == self.ours.text {
            outbox.message(FAILED);
            return Err(HandshakeError::Reflected);
        }
        self.theirs = Need::from_number(theirs.ssl);
        outbox.message_with_nul(answer(&self.key, &theirs));
        Ok(())
    }

    /// Reads the peer's verdict on our answer, which is right only to the letter.
    fn verdict(packet: &Packet) -> Result<(), HandshakeError> {
        let expected = "the verdict on our answer";
        let text = message(packet, expected)?;
        if text == PASSED {
            Ok(())
        } else {
            Err(unexpected(expected, text))
        }
    }
}

/// What the side that was called waits for: it challenges, then is challenged.
pub(super) enum CalledExpects {
    Answer,
    Challenge,
    Verdict,
}

impl CalledExpects {
    /// What it waits for next; `None` when both sides have proved the key.
    pub(super) fn on_packet(
        self,
        exchange: &mut Exchange,
        packet: &Packet,
        outbox: &mut Outbox,
    ) -> Result<Option<Self>, HandshakeError> {
        match self {
            Self::Answer => {
                exchange.judge(packet, outbox)?;
                Ok(Some(Self::Challenge))
            }
            Self::Challenge => {
                exchange.answer(packet, outbox)?;
                Ok(Some(Self::Verdict))
            }
            Self::Verdict => {
                Exchange::verdict(packet)?;
                Ok(None)
            }
        }
    }
}

/// What the side that calls waits for: it is challenged, then challenges.
pub(super) enum CallerExpects {
    Challenge,
    Verdict,
    Answer,
}

impl CallerExpects {
    /// What it waits for next; `None` when both sides have proved the key.
    pub(super) fn on_packet(
        self,
        exchange: &mut Exchange,
        packet: &Packet,
        outbox: &mut Outbox,
    ) -> Result<Option<Self>, HandshakeError> {
        match self {
            Self::Challenge => {
                exchange.answer(packet, outbox)?;
                Ok(Some(Self::Verdict))
            }
            Self::Verdict => {
                Exchange::verdict(packet)?;
                exchange.challenge(outbox);
                Ok(Some(Self::Answer))
            }
            Self::Answer => {
                exchange.judge(packet, outbox)?;
                Ok(None)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn challenge(text: &str, standard_base64: bool) -> Challenge {
        Challenge {
            text: text.as_bytes().to_vec(),
            ssl: 0,
            standard_base64,
        }
    }

    /// Made with Bacula's own routines; the first and the last were seen between real daemons.
    #[test]
    fn answers_are_as_baculas() {
        let director = |password: &str| DirectorKey::new(&Secret::new(password.to_owned())).secret();
        let vectors = [
            (
                director("sdpw"),
                "<103973265.1795389597@t-sd>",
                "b/+EBFsogkcXezZIG9/4JB",
                "bfKEBFsogkcXezZIGdb4JQ",
            ),
            (
                director("secret"),
                "<1.2@probe>",
                "8A1/64+oT6Rgv6/6P4ZN3A",
                "8A1/6YWoT6Rgvaf6PIZN3A",
            ),
            (
                director(""),
                "<0.0@x>",
                "8n+fLz+Wt4+Ba3+kZ++igA",
                "8n6fLzGWt4WBa3mkZeqigA",
            ),
            (
                Secret::new("HABA-MPLP-LDPI-BIIH-BEAH-FLHK-DAEA-FMPM".to_owned()),
                "<1043935524.1795389598@t-sd>",
                "GD/FH/EyC++HH+wviglDKA",
                "GDvFHvEyCeKHHuwviglDKA",
            ),
        ];
        for (key, text, bacula, standard) in vectors {
            assert_eq!(answer(&key, &challenge(text, false)), bacula);
            assert_eq!(answer(&key, &challenge(text, true)), standard);
            for given in [bacula.to_owned(), standard.to_owned(), format!("{bacula}\0")] {
                assert!(is_answer(given.as_bytes(), &key, &challenge(text, false)));
            }
            for given in ["", "\0", &bacula[1..], &format!("{bacula}\0\0"), &bacula.to_lowercase()] {
                assert!(!is_answer(given.as_bytes(), &key, &challenge(text, false)), "{given:?}");
            }
        }
    }

    /// The challenges and answers of a transcript between the two, in order.
    fn answers(transcript: &str, between: [&str; 2]) -> Vec<(Challenge, String)> {
        let mut answers = Vec::new();
        let mut waiting: Option<Challenge> = None;
        for line in transcript.lines() {
            let words: Vec<&str> = line.split_whitespace().collect();
            let [_, _, direction, _, words @ ..] = &words[..] else {
                continue;
            };
            let [one, other] = between;
            if **direction != *format!("{one}>{other}") && **direction != *format!("{other}>{one}") {
                continue;
            }
            let text = words.join(" ");
            if text.starts_with("auth cram-md5") {
                waiting = Some(Challenge::parse(text.replace("\\n", "\n").as_bytes()).unwrap());
            } else if let Some(challenge) = waiting.take() {
                answers.push((challenge, text.trim_end_matches("\\x00").to_owned()));
            }
        }
        answers
    }

    #[test]
    fn real_daemons_answer_as_we_would() {
        for transcript in [
            include_str!("../../tests/transcripts/9.6.7/backup-attributes-sent.txt"),
            include_str!("../../tests/transcripts/9.6.7/restore.txt"),
            include_str!("../../tests/transcripts/9.6.7/copy.txt"),
            include_str!("../../tests/transcripts/15.0.3-tls-off/backup.txt"),
            include_str!("../../tests/transcripts/15.0.3-tls-off/copy.txt"),
        ] {
            let password = |text: &str| DirectorKey::new(&Secret::new(text.to_owned())).secret();
            let job_key = transcript.lines().rev().find_map(|line| {
                let (_, rest) = line
                    .split_once("3000 OK Job ")
                    .filter(|(before, _)| before.contains("SD"))?;
                let key = rest.split_once("Authorization=")?.1.trim_end_matches("\\n");
                (key.len() > 30).then(|| Secret::new(key.to_owned()))
            });
            let job_key = job_key.unwrap();
            let mut checked = 0;
            for (between, key) in [
                (["DIR", "SD4"], password("pw-sd4")),
                (["DIR", "SD5"], password("pw-sd5")),
                (["DIR", "FD"], password("pw-fd")),
                (["FD", "SD4"], job_key.clone()),
                (["FD", "SD5"], job_key.clone()),
                (["SD", "SD4"], job_key),
            ] {
                for (challenge, given) in answers(transcript, between) {
                    assert_eq!(answer(&key, &challenge), given, "{between:?}");
                    assert!(is_answer(given.as_bytes(), &key, &challenge));
                    checked += 1;
                }
            }
            assert!(checked >= 6, "only {checked} answers in the transcript");
            assert_eq!(checked % 2, 0, "both sides answer");
        }
    }

    #[test]
    fn a_directors_key_is_the_passwords_digest() {
        let key = DirectorKey::new(&Secret::new("sdpw".to_owned()));
        assert_eq!(key.secret().reveal(), "17b0e77943e0f8025737818a726756ed");
        assert!(!format!("{key:?}").contains("17b0"));
    }
}
