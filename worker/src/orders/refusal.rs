//! Why a signed order is not taken: each reason with what was found and what was expected. Pure.
use alloy::primitives::{Address, B256};
use sunwork_protocol::{
    energy::NotPositive,
    order::{CANCELLED, OrderError, SignedOrder},
    price,
    settlement::worker_lock,
    terms::{ComputeSpec, ComputeTerms, SpecError, TermsError},
};

use crate::{
    config::Limits,
    refusal::{self, Refusal},
};

/// Kind of work that this worker does: compute.
const KIND_COMPUTE: u8 = 0;

/// What the chain says that bears on an order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OrderFacts {
    /// The worker.
    pub me: Address,
    /// Time of the newest block, Unix seconds.
    pub now: u64,
    /// What the dispatcher counts: agreements made of it, or [`CANCELLED`].
    pub uses: u32,
    /// The nonce that the client's orders must carry.
    pub nonce: u64,
    /// Bit set of the classes that the worker is in.
    pub classes: u64,
    /// The worker's stake that is not locked, smallest unit.
    pub free_stake: u128,
    /// What keeps the worker from being positive in the energy ledger; asked for green work only.
    pub not_positive: Option<NotPositive>,
    /// Chain of the deployment.
    pub chain_id: u64,
    /// Whose orders these are.
    pub dispatcher: Address,
    /// The client is a contract: the dispatcher asks it whether it signed.
    pub client_has_code: bool,
}

/// The reason.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum OrderRefusal {
    /// Its own times, specification or signature.
    #[error(transparent)]
    Order(#[from] OrderError),
    /// Other work than this program does.
    #[error("the order is for work of kind {found}, this worker does kind {KIND_COMPUTE} (compute)")]
    Kind {
        /// Asked for.
        found: u8,
    },
    /// Its terms or specification cannot be read.
    #[error("the order cannot be read: {0}")]
    Unreadable(#[from] SpecError),
    /// Terms that the contracts refuse: a stranger signed them.
    #[error(transparent)]
    Terms(#[from] TermsError),
    /// The client cancelled it.
    #[error("the client cancelled the order {hash}")]
    Cancelled {
        /// The order.
        hash: B256,
    },
    /// The client cancelled all orders of its time.
    #[error(
        "the order carries nonce {found}, the nonce of client {client} is {expected}: the client cancelled all orders with another one"
    )]
    Nonce {
        /// The client.
        client: Address,
        /// The order's.
        found: u64,
        /// The client's.
        expected: u64,
    },
    /// All its agreements were made.
    #[error("the order {hash} is used up: {used} of {volume} agreements were made of it")]
    UsedUp {
        /// The order.
        hash: B256,
        /// Agreements made.
        used: u32,
        /// Agreements that could be made.
        volume: u32,
    },
    /// It, or its terms, name another worker.
    #[error("the order is for worker {expected}, this one is {me}")]
    AnotherWorker {
        /// Whom it names.
        expected: Address,
        /// Us.
        me: Address,
    },
    /// A pool has the say.
    #[error("the pool {pool} places the worker of this order, and an order brings no placement")]
    Pool {
        /// The pool.
        pool: Address,
    },
    /// Our own.
    #[error("the order is this worker's own: {me} cannot work for itself")]
    Own {
        /// Us.
        me: Address,
    },
    /// Another machine is asked for.
    #[error(
        "the order is for class {class_id} ({name}), which this worker has not joined; `sunwork-worker register --classes` joins it"
    )]
    Class {
        /// Asked for.
        class_id: u16,
        /// Its name.
        name: String,
    },
    /// Our own limits.
    #[error(transparent)]
    Work(#[from] Refusal),
    /// Too cheap yet, or at all.
    #[error(
        "the reward is {reward} now and {most} at most, the least one is {least} (smallest units; the price rises until {until})"
    )]
    Reward {
        /// Now.
        reward: u128,
        /// At the end of the accept window.
        most: u128,
        /// Ours.
        least: u128,
        /// When the price has risen, Unix seconds.
        until: u64,
    },
    /// Nobody could accept any more: the accept window counts from the order's start.
    #[error("the accept window of the order was over at {until}, it is {now} (Unix seconds)")]
    WindowOver {
        /// Its end.
        until: u64,
        /// Now.
        now: u64,
    },
    /// Too little stake.
    #[error(
        "the work locks {need} of stake, {free} is free (smallest units); stake more with `sunwork-worker register --stake`"
    )]
    Stake {
        /// What it locks.
        need: u128,
        /// What is free.
        free: u128,
    },
}

/// Looks at all that needs neither image nor inputs. Who passes can be taken, as far as the chain had it when `facts` were read:
/// the client's balance and allowance, and races, are left to the transaction's simulation.
///
/// # Errors
/// The first reason against it.
pub fn check(
    signed: &SignedOrder,
    class_name: impl Fn(u16) -> String,
    facts: &OrderFacts,
    limits: &Limits,
) -> Result<(ComputeTerms, ComputeSpec), OrderRefusal> {
    let order = &signed.order;
    let (me, now) = (facts.me, facts.now);
    let hash = order.hash(facts.chain_id, facts.dispatcher)?;
    signed.check(now)?;
    if !facts.client_has_code {
        signed.verify(facts.chain_id, facts.dispatcher)?;
    }
    if order.kind_id != KIND_COMPUTE {
        return Err(OrderRefusal::Kind { found: order.kind_id });
    }
    if facts.uses == CANCELLED {
        return Err(OrderRefusal::Cancelled { hash });
    }
    if order.nonce != facts.nonce {
        return Err(OrderRefusal::Nonce { client: order.client, found: order.nonce, expected: facts.nonce });
    }
    if facts.uses >= order.volume {
        return Err(OrderRefusal::UsedUp { hash, used: facts.uses, volume: order.volume });
    }
    let (terms, spec) = (ComputeTerms::unpack(&order.terms)?, ComputeSpec::decode(&signed.spec)?);
    terms.check()?;
    let named = Some(order.worker).filter(|worker| !worker.is_zero()).or_else(|| terms.named_worker());
    if let Some(expected) = named.filter(|named| *named != me) {
        return Err(OrderRefusal::AnotherWorker { expected, me });
    }
    if let Some(pool) = terms.pool() {
        return Err(OrderRefusal::Pool { pool });
    }
    if order.client == me {
        return Err(OrderRefusal::Own { me });
    }
    let name = class_name(terms.class_id);
    if facts.classes.checked_shr(terms.class_id.into()).unwrap_or(0) & 1 == 0 {
        return Err(OrderRefusal::Class { class_id: terms.class_id, name });
    }
    refusal::check(&terms, &spec, &name, limits)?;
    if terms.is_green_only()
        && let Some(standing) = facts.not_positive
    {
        return Err(Refusal::NotPositive { standing }.into());
    }
    let until = order.start_at.saturating_add(terms.accept_secs.into());
    if now > until {
        return Err(OrderRefusal::WindowOver { until, now });
    }
    let (reward, least) = (price::reward_of_offer(&terms, order.start_at, now), limits.min_reward);
    if reward < least {
        return Err(OrderRefusal::Reward { reward, most: terms.reward_max, least, until });
    }
    // The price rises until the transaction is mined.
    let need = worker_lock(terms.reward_max, terms.verifier_fee, terms.samples, terms.verifiers);
    if facts.free_stake < need {
        return Err(OrderRefusal::Stake { need, free: facts.free_stake });
    }
    Ok((terms, spec))
}

#[cfg(test)]
mod tests;
