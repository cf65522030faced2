//! The names of the policies. `policies!` is the one table of them: a line here, a file in `group::policy` and a part
//! of the page `deploy/docs/choosing-a-policy.md` are all that a new one takes.

use std::fmt;

/// Hands the table to the macro named in the brackets. What a policy does is told in its own file.
macro_rules! policies {
    ($take:ident) => {
        $take! {
            /// In the order of the file.
            ListedOrder,
            /// The member with the fewest jobs first.
            LeastUsed,
            /// Each in turn.
            RoundRobin,
            /// The member with the most room first.
            FreeSpace,
            /// Among the members with about the most room, the one with the fewest jobs first.
            FreeSpaceLeastUsed,
            /// The member first to which the same job went the longest ago.
            LastBackedUpTo,
            /// Each in turn, the more often the larger its Weight is.
            Weighted,
            /// The member first on which the job can expect the most bytes per second.
            Throughput,
            /// The less busy one of two that are drawn by lot.
            TwoChoices,
            /// Always the same member for the same job.
            JobHash,
        }
    };
}
pub(crate) use policies;

macro_rules! name_them {
    ($($(#[$doc:meta])* $name:ident,)*) => {
        /// How a group ranks its members. Where Bacula has a `StorageGroupPolicy` of the name, it means the same.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum PolicyName {
            $($(#[$doc])* $name,)*
        }

        impl PolicyName {
            /// Every policy there is.
            pub const ALL: &[Self] = &[$(Self::$name),*];

            /// Its name, as the documentation spells it.
            #[must_use]
            pub fn as_str(self) -> &'static str {
                match self {
                    $(Self::$name => stringify!($name),)*
                }
            }
        }
    };
}
policies!(name_them);

impl Default for PolicyName {
    /// Bacula's default, too.
    fn default() -> Self {
        Self::ListedOrder
    }
}

impl fmt::Display for PolicyName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A policy that does not exist.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("there is no such policy")]
pub struct UnknownPolicy;

impl std::str::FromStr for PolicyName {
    type Err = UnknownPolicy;

    /// Without regard to case, as Bacula reads its own.
    fn from_str(text: &str) -> Result<Self, UnknownPolicy> {
        Self::ALL
            .iter()
            .find(|policy| policy.as_str().eq_ignore_ascii_case(text))
            .copied()
            .ok_or(UnknownPolicy)
    }
}
