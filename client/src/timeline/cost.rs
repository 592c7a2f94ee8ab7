//! What an agreement costs so far, and what can still come back.

use serde::Serialize;
use sunwork_protocol::settlement::{SettleInput, Vote, settle, verifier_lock, worker_lock};
use sunwork_protocol::status::{Ending, RoundKind, Status};

use super::view::View;
use crate::settlement::TxCost;

/// Money of an agreement that may still be under way. Amounts in the smallest token unit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct CostSoFar {
    /// What the client put in: it cannot cost more.
    #[serde(serialize_with = "decimal")]
    pub cap: u128,
    /// Paid to others so far.
    #[serde(serialize_with = "decimal")]
    pub paid: u128,
    /// Still held by the contract.
    #[serde(serialize_with = "decimal")]
    pub escrow: u128,
    /// Of that, what comes back at least if the result is verified.
    #[serde(serialize_with = "decimal")]
    pub back_if_verified: u128,
    /// What comes back if it comes to nothing.
    #[serde(serialize_with = "decimal")]
    pub back_if_cancelled: u128,
    /// Gas that the reader's wallet has paid for it, wei.
    #[serde(serialize_with = "decimal")]
    pub own_gas_wei: u128,
    /// In how many transactions.
    pub own_transactions: usize,
}

fn decimal<S: serde::Serializer>(amount: &u128, s: S) -> Result<S::Ok, S::Error> {
    s.collect_str(amount)
}

/// What it costs so far and what can still come back. `escrow` is what the contract holds, `paid` what others got.
pub fn cost_so_far(view: &View<'_>, escrow: u128, paid: u128, transactions: &[TxCost]) -> CostSoFar {
    let (terms, standing) = (&view.purchase.terms, view.standing);
    // Of an open offer the view tells the present price, which rises until somebody accepts.
    let reward = if standing.status == Status::Open { standing.reward.max(terms.reward_max) } else { standing.reward };
    // Level 0 draws only after a rejection, the other levels always.
    let verifies = terms.trust_level != 0 || standing.vote_round != 0;
    let before_draw = standing.vote_round == 0
        && matches!(standing.status, Status::Open | Status::Keying | Status::Working | Status::Sealed);
    let tip = if before_draw && verifies { view.rules.seed_tip } else { 0 };
    let back_if_verified = back_if_verified(view, escrow.saturating_sub(tip), reward, verifies);
    let own = transactions.iter().filter(|cost| Some(cost.sender) == view.viewer);
    CostSoFar {
        cap: view.purchase.budget,
        paid,
        escrow,
        back_if_verified,
        back_if_cancelled: escrow,
        own_gas_wei: own.clone().map(|cost| u128::from(cost.gas).saturating_mul(cost.gas_price_wei)).sum(),
        own_transactions: own.count(),
    }
}

/// What comes back if all verifiers, of this round and those before, agree with the worker: the settlement of the contracts,
/// foretold.
fn back_if_verified(view: &View<'_>, escrow: u128, reward: u128, verifies: bool) -> u128 {
    let (terms, standing) = (&view.purchase.terms, view.standing);
    // Fees of rounds about leaves are nobody's reserve: they come out of what the losers lose.
    let earlier = standing.verifiers.iter().filter(|slot| slot.vote_round < standing.vote_round).count();
    let voters = if verifies { earlier + usize::from(standing.wanted) } else { 0 };
    let reserved = match standing.round_kind {
        RoundKind::Leaves => earlier.min(voters),
        RoundKind::First | RoundKind::Audit => voters,
    };
    let input = SettleInput {
        ending: Ending::Verified,
        doubted: false,
        escrow,
        reward,
        verifier_fee: terms.verifier_fee,
        worker_lock: worker_lock(reward, terms.verifier_fee, terms.samples.max(1), terms.verifiers.max(1)),
        verifier_lock: verifier_lock(terms.reward_max, terms.verifier_fee, terms.verifiers.max(1)),
        votes: vec![Vote::Honest; voters],
        reserved,
        bond: 0,
        disputes_won: 0,
        disputes_lost: 0,
    };
    settle(&input).map_or(0, |out| out.refund)
}
