//! Status and ending of an agreement: the numbers of `contracts/types/Status.sol`, where the diagram is.

use std::fmt;

macro_rules! numbered {
    ($(#[$meta:meta])* $name:ident { $($(#[$doc:meta])* $variant:ident = $text:literal),+ $(,)? }) => {
        $(#[$meta])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
        #[serde(rename_all = "snake_case")]
        #[repr(u8)]
        pub enum $name { $($(#[$doc])* $variant),+ }

        impl $name {
            /// All values, in the order of their numbers.
            pub const ALL: &'static [$name] = &[$($name::$variant),+];

            /// The value of a number on chain; `None` for a number that this build does not know.
            pub fn from_u8(number: u8) -> Option<Self> {
                Self::ALL.get(usize::from(number)).copied()
            }

            /// The name as the contracts spell it.
            pub const fn name(self) -> &'static str {
                match self { $(Self::$variant => stringify!($variant)),+ }
            }

            /// What it means, for people.
            pub const fn meaning(self) -> &'static str {
                match self { $(Self::$variant => $text),+ }
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result { f.write_str(self.name()) }
        }
    };
}

numbered! {
    /// Where an agreement stands.
    Status {
        /// Bought; a worker may accept.
        Open = "waits for a worker to accept",
        /// Accepted; the client's key is awaited.
        Keying = "waits for the client's session key",
        /// The worker computes.
        Working = "the worker computes",
        /// The worker sealed, or a further round of voting was opened; the beacon round is awaited.
        Sealed = "waits for the beacon round",
        /// The claim window is open.
        Drawing = "verifiers claim their slots",
        /// The drawn verifiers compute.
        Verifying = "the drawn verifiers compute",
        /// All sealed; the worker must open.
        Revealing = "waits for the worker to open its seal",
        /// The worker opened; the verifiers must.
        Opening = "waits for the verifiers to open their seals",
        /// Ended with a result.
        Settled = "settled",
        /// Ended without one.
        Cancelled = "cancelled",
        /// The result is open; it can be disputed with a bond (level 0: rejected by the client).
        Disputable = "the result is open and can be disputed",
    }
}

numbered! {
    /// How an agreement ended.
    Ending {
        /// Not yet.
        None = "not ended",
        /// The worker's result stands.
        Verified = "verified: the worker's result stands and is paid",
        /// Another digest than the worker's won on some leaf.
        Refuted = "refuted: another digest won on some leaf, the worker is slashed and the client refunded",
        /// No digest won on some disputed leaf: nobody is slashed for it; the worker gets half, or nothing where another digest
        /// has more than half of the odds.
        Undecided = "undecided: no digest won on a disputed leaf, the worker gets half, or nothing if most odds are against it",
        /// Nobody accepted.
        NoWorker = "no worker accepted in time; refunded",
        /// The client cancelled.
        ByClient = "cancelled by the client before anybody accepted; refunded",
        /// No key came.
        NoKey = "the client posted no session key in time; refunded",
        /// The last allowed worker aborted.
        Aborted = "the last of the allowed workers gave up; refunded",
        /// The last allowed worker vanished.
        WorkerVanished = "the last of the allowed workers vanished before its seal; refunded",
        /// No beacon proof came.
        NoBeacon = "nobody proved the beacon round in time; refunded",
        /// Too few claims.
        TooFewVerifiers = "too few verifiers claimed a slot; refunded",
        /// Too many verifiers left.
        VerifiersGone = "too many drawn verifiers declined or vanished; refunded",
        /// The worker did not reveal.
        WorkerSilent = "the worker sealed and did not reveal; it is slashed, the client refunded",
    }
}

numbered! {
    /// What a round of voting is for, and so what its verifiers compute.
    RoundKind {
        /// V verifiers, k leaves each, before the worker's reveal.
        First = "the first round: sampled leaves, before the result is open",
        /// The result is open and more verifiers with k leaves of their own look at it.
        Audit = "an audit: sampled leaves of the open result",
        /// V + 1 verifiers compute just the leaves in dispute.
        Leaves = "the leaves in dispute",
    }
}

impl Status {
    /// True when nothing more can happen.
    pub const fn is_final(self) -> bool {
        matches!(self, Self::Settled | Self::Cancelled)
    }

    /// True while a worker holds the agreement and has not sealed: it may abort, and can be replaced.
    pub const fn before_seal(self) -> bool {
        matches!(self, Self::Keying | Self::Working)
    }

    /// True while verifiers claim, compute or open: the states of a round of voting.
    pub const fn in_vote(self) -> bool {
        matches!(self, Self::Sealed | Self::Drawing | Self::Verifying | Self::Revealing | Self::Opening)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_those_of_the_contracts() {
        assert_eq!(Status::from_u8(0), Some(Status::Open));
        assert_eq!(Status::from_u8(9), Some(Status::Cancelled));
        assert_eq!(Status::from_u8(10), Some(Status::Disputable));
        assert_eq!(Status::from_u8(11), None);
        assert_eq!(RoundKind::from_u8(2), Some(RoundKind::Leaves));
        assert_eq!(Ending::from_u8(12), Some(Ending::WorkerSilent));
        assert_eq!(Ending::from_u8(13), None);
    }
}
