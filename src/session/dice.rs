//! Randomness for sessions, from the operating system.

/// 16 random bytes for a challenge.
pub(super) fn challenge_random() -> [u8; 16] {
    random()
}

/// 16 random bytes for a session key.
pub(super) fn key_random() -> [u8; 16] {
    random()
}

/// A number below `bound`, which is not 0. For spreading, not for secrets.
pub(super) fn below(bound: u32) -> u32 {
    let [a, b, c, d, ..] = random();
    u32::from_be_bytes([a, b, c, d]).checked_rem(bound).unwrap_or_default()
}

fn random() -> [u8; 16] {
    let mut bytes = [0; 16];
    // Without randomness every login could be replayed. The system call cannot fail once the system has booted;
    // if it does, ending the process is the only safe answer.
    if getrandom::fill(&mut bytes).is_err() {
        std::process::abort();
    }
    bytes
}
