//! What the sentences are made from: an agreement, the rules of its deployment, and who reads.

use alloy::primitives::Address;
use serde::Serialize;
use sunwork_protocol::status::RoundKind;

use super::words::{are, count, leaves};
use crate::agreements::{Purchase, Standing};

/// Deployment parameters that decide what happens after a deadline.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rules {
    /// Distinct workers that may try one agreement.
    pub max_attempts: u8,
    /// Verifiers that may leave before it is a dead end.
    pub max_strikes: u8,
    /// Part of its lock that vanishing costs, basis points.
    pub vanish_bps: u16,
    /// Paid for opening the draw, smallest token unit.
    pub seed_tip: u128,
}

/// What the reader is to the agreement: decides who is called "you".
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// Bought it.
    Client,
    /// Works on it.
    Worker,
    /// Holds a verifier's slot.
    Verifier,
    /// May post the client's session keys.
    KeyAgent,
    /// None of these.
    Stranger,
}

impl Role {
    /// The role of `account` in an agreement.
    pub fn of(account: Option<Address>, client: Address, standing: &Standing, key_agent: Option<Address>) -> Self {
        let Some(account) = account else { return Self::Stranger };
        if account == client {
            Self::Client
        } else if standing.worker == Some(account) {
            Self::Worker
        } else if standing.verifiers.iter().any(|slot| slot.verifier == account) {
            Self::Verifier
        } else if key_agent == Some(account) {
            Self::KeyAgent
        } else {
            Self::Stranger
        }
    }
}

/// What [`super::outlook()`] looks at.
#[derive(Clone, Copy, Debug)]
pub struct View<'a> {
    /// The purchase.
    pub purchase: &'a Purchase,
    /// Where it stands.
    pub standing: &'a Standing,
    /// Deployment parameters.
    pub rules: &'a Rules,
    /// The client's key agent.
    pub key_agent: Option<Address>,
    /// Who reads.
    pub viewer: Option<Address>,
    /// What the dispatcher owes the reader, smallest token unit.
    pub owed: u128,
    /// Leaves that were disputed with a bond; at level 0 the one that a rejection named.
    pub disputed: &'a [u32],
    /// Bond of a dispute, at level 0 of a rejection, with its unit; `None` when it is not the time for one.
    pub bond: Option<&'a str>,
    /// Time of the newest block, Unix seconds.
    pub now: u64,
}

impl View<'_> {
    /// What the reader is to the agreement.
    pub fn role(&self) -> Role {
        Role::of(self.viewer, self.purchase.client, self.standing, self.key_agent)
    }

    pub(super) fn the_worker(&self) -> String {
        match (self.role(), self.standing.worker) {
            (Role::Worker, _) => "you, the worker,".to_owned(),
            (_, Some(worker)) => format!("the worker {worker}"),
            (_, None) => "the worker".to_owned(),
        }
    }

    /// What comes back after a draw that was opened, whose tip is paid.
    pub(super) fn refund(&self) -> &'static str {
        if self.rules.seed_tip > 0 { "everything but the draw's tip is refunded" } else { "everything is refunded" }
    }

    pub(super) fn is_later_round(&self) -> bool {
        self.standing.vote_round != 0
    }

    /// "3 more verifiers".
    pub(super) fn more_verifiers(&self) -> String {
        count(self.standing.wanted.into(), "more verifier", "more verifiers")
    }

    /// Why more verifiers are asked than the first ones; `None` in the first round.
    pub(super) fn why_more(&self) -> Option<String> {
        let standing = self.standing;
        if !self.is_later_round() {
            return None;
        }
        let level_0 = self.purchase.terms.trust_level == 0;
        Some(match standing.round_kind {
            RoundKind::Leaves if standing.verifiers.iter().any(|slot| slot.dissent != 0) => format!(
                "verifiers disagree on {}: {} compute {}",
                leaves(&standing.disputed_leaves),
                self.more_verifiers(),
                if standing.disputed_leaves.len() == 1 { "it" } else { "them" }
            ),
            RoundKind::Leaves => format!(
                "{} disputed: {} compute {}",
                are(&standing.disputed_leaves),
                self.more_verifiers(),
                if standing.disputed_leaves.len() == 1 { "it" } else { "them" }
            ),
            _ if level_0 && self.role() == Role::Client => "you rejected the result, so it is verified".to_owned(),
            _ if level_0 => "the client rejected the result, so it is verified".to_owned(),
            _ => "late audit, drawn by lot after all agreed".to_owned(),
        })
    }

    pub(super) fn its(&self) -> &'static str {
        if self.role() == Role::Worker { "your" } else { "its" }
    }

    pub(super) fn loses(&self) -> &'static str {
        if self.role() == Role::Worker { "you lose" } else { "it loses" }
    }
}
