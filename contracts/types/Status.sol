// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity ^0.8.37;

/// @notice Where an agreement stands. `WorkAgreement._setStatus` is the one place that changes it.
///
///   Open ──accept──▶ Keying ──postKey──▶ Working ──seal──▶ Sealed ──openDraw──▶ Drawing ◀─────────┐
///    │                                      │               ▲ or claim            │ (by time)     │ decline,
///    │ ◀──────────abort, vanish─────────────┤               │                     ▼               │ vanish
///    │                                      │               │                 Verifying ──────────┘
///    │                             submit,  │               │ further round       │ last seal
///    ▼                             level 0  │               │ (dissent, audit,    ▼
/// Cancelled ◀── every dead end before the   │               │  dispute)        Revealing (first round only)
///               worker's reveal (rule R0)   │               │                     │ reveal
///                                           ▼               │                     ▼
/// Settled ◀── nobody disputes ───────── Disputable ─────────┴──────────────── Opening
///    ▲                                      ▲                                     │
///    └──────────────────────────────────────┴── last opening, or its deadline ────┘
///
/// A unanimous `settleAll` goes from Revealing to Settled at once. Public work skips Keying; a window for disputes of zero seconds
/// skips Disputable. A further round that cannot be held (an audit or a dispute without verifiers) ends in Disputable too, where
/// the window is still open. Only Drawing changes by time alone: its window closes, and the next call sees Verifying.
/// Every state but Settled and Cancelled has a deadline after which anybody's `expire` moves it on.
/// A new agreement is Open by having written nothing at all: buying costs no storage in the clone.
enum Status {
    Open,
    Keying,
    Working,
    Sealed,
    Drawing,
    Verifying,
    Revealing,
    Opening,
    Settled,
    Cancelled,
    /// The result is open; it can be disputed with a bond (level 0: rejected by the client).
    Disputable
}

/// @notice How an agreement ended, and why.
enum Ending {
    None,
    /// Settled: the worker's result stands and is paid.
    Verified,
    /// Settled: another digest won on some leaf; the worker is slashed and the client refunded.
    Refuted,
    /// Settled: no digest won on some disputed leaf; nobody is slashed for it, the worker gets half, or nothing where most
    /// of the odds stand against it.
    Undecided,
    /// Cancelled: no worker accepted in time.
    NoWorker,
    /// Cancelled by the client before anybody accepted.
    ByClient,
    /// Cancelled: the client posted no key.
    NoKey,
    /// Cancelled: the last of the allowed workers aborted.
    Aborted,
    /// Cancelled: the last of the allowed workers vanished before its seal.
    WorkerVanished,
    /// Cancelled: nobody proved the beacon round in time.
    NoBeacon,
    /// Cancelled: too few verifiers claimed a slot in all widening steps.
    TooFewVerifiers,
    /// Cancelled: too many drawn verifiers declined or vanished.
    VerifiersGone,
    /// Cancelled: the worker sealed and did not reveal.
    WorkerSilent
}
