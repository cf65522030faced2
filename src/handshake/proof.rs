//! Witnesses of a login: values that only a machine of this module can make, and only when the peer has proved its
//! key. What must not be done for a stranger takes one as an argument.

/// A Director has proved its password to us.
#[derive(Debug)]
pub struct DirectorProof(());

/// A storage has proved the password, or a job's key, to us.
#[derive(Debug)]
pub struct StorageProof(());

/// A Client, or a calling storage, has proved a job's key to us.
#[derive(Debug)]
pub struct ClientProof(());

/// Another sdgroup has proved the password that all peers share.
#[derive(Debug)]
pub struct PeerProof(());

impl PeerProof {
    pub(in crate::handshake) fn witness() -> Self {
        Self(())
    }
}

impl DirectorProof {
    pub(in crate::handshake) fn witness() -> Self {
        Self(())
    }
}

impl StorageProof {
    pub(in crate::handshake) fn witness() -> Self {
        Self(())
    }
}

impl ClientProof {
    pub(in crate::handshake) fn witness() -> Self {
        Self(())
    }
}
