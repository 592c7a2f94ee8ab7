//! What happened, as a sentence.
use alloy::primitives::Address;
use sunwork_client::{Unit, events::Progress};

/// `None` where another event says it better.
pub(super) fn sentence(progress: &Progress, name: impl Fn(Address) -> String, unit: &Unit) -> Option<String> {
    Some(match progress {
        Progress::StatusChanged { .. } => return None,
        Progress::Accepted { worker, reward, locked, .. } => {
            format!("{} accepts for {} and locks {}", name(*worker), unit.show(*reward), unit.show(*locked))
        }
        Progress::KeyPosted { .. } => "the client posts the session key".to_owned(),
        Progress::WorkerLeft { worker, slashed, .. } => {
            format!("{} leaves the work and loses {}", name(*worker), unit.show(*slashed))
        }
        Progress::Sealed { worker, round, .. } => {
            format!("{} seals its result; block {round} will draw the verifiers", name(*worker))
        }
        Progress::RoundOpened { vote_round, wanted, leaves, .. } if leaves.is_empty() => {
            format!("round {vote_round} of voting: {wanted} more verifiers look at leaves of the open result")
        }
        Progress::RoundOpened { vote_round, wanted, leaves, .. } => {
            format!("round {vote_round} of voting: {wanted} verifiers compute the leaves in dispute, {leaves:?}")
        }
        Progress::Disputed { by, leaf, bond } => {
            format!("{} disputes leaf {leaf} with a bond of {}", name(*by), unit.show(*bond))
        }
        Progress::Contributed { payer, amount, .. } => {
            format!("{} adds {} to the reward", name(*payer), unit.show(*amount))
        }
        Progress::ContributionRefunded { payer, amount } => {
            format!("{} gets {} of its addition back", name(*payer), unit.show(*amount))
        }
        Progress::Delivered { leaf, ok: true } => format!("the result of leaf {leaf} is delivered to the contract"),
        Progress::Delivered { leaf, ok: false } => format!("the contract failed on the result of leaf {leaf}"),
        Progress::DrawOpened { draw_seed, .. } => format!("the draw is open, seed {draw_seed}"),
        Progress::Claimed { verifier, displaced: None } => format!("{} claims a verifier's slot", name(*verifier)),
        Progress::Claimed { verifier, displaced: Some(other) } => {
            format!("{} claims a slot with a lower ticket than {}", name(*verifier), name(*other))
        }
        Progress::VerifierSealed { verifier } => {
            format!("{} has computed its leaves and seals its verdict", name(*verifier))
        }
        Progress::VerifierLeft { verifier, reason, slashed } => {
            format!("{} steps back (reason {reason}) and loses {}", name(*verifier), unit.show(*slashed))
        }
        Progress::Revealed { worker, leaves, .. } => {
            format!("{} reveals root and salt, and the digests of the {} sampled leaves", name(*worker), leaves.len())
        }
        Progress::Opened { verifier, dissent: 0 } => format!("{} opens its verdict: the same digests", name(*verifier)),
        Progress::Opened { verifier, dissent } => {
            format!("{} opens its verdict: {} other digests", name(*verifier), dissent.count_ones())
        }
        Progress::Ended { ending } => format!("the agreement has ended: {ending}"),
    })
}
