//! Offers signed without a transaction (EIP-712): whoever accepts one buys for the client and accepts in one transaction of its
//! own. The money comes from the client's allowance when that happens, so the client pays no gas.

use alloy::primitives::{Address, B256, keccak256};
use alloy::providers::DynProvider;
use alloy::rpc::types::Filter;
use alloy::signers::SignerSync;
use alloy::sol_types::{SolCall, SolEvent};
use rand::RngCore;
use serde::Serialize;
use sunwork_edge::tx::{Receipt, TxError};
use sunwork_protocol::abi::ISignedOrders::{self, ISignedOrdersInstance};
use sunwork_protocol::order::{CANCELLED, Order, OrderError, SignedOrder};
use sunwork_protocol::terms::SpecError;
use thiserror::Error;

use crate::buy::{NotSealed, tx_class};
use crate::chain::{Doing, ReadError};
use crate::class::{Classified, ErrorClass};
use crate::client::{Client, NoSigner};
use crate::plan::Plan;
use crate::preflight::KIND_COMPUTE;

/// An offer that could not be made, read or ended.
#[derive(Debug, Error)]
pub enum OfferError {
    /// No key.
    #[error(transparent)]
    NoSigner(#[from] NoSigner),
    /// Confidential work that is not encrypted yet.
    #[error(transparent)]
    NotSealed(#[from] NotSealed),
    /// The terms do not fit their format.
    #[error(transparent)]
    Terms(#[from] SpecError),
    /// Times, volume, specification.
    #[error(transparent)]
    Order(#[from] OrderError),
    /// Longer than its price can rise.
    #[error(
        "the offer is to be good for {found} s, but nobody can accept after its accept window of {max} s; give a longer accept window \
         or a shorter life"
    )]
    TooLong {
        /// Seconds asked for.
        found: u64,
        /// The accept window, seconds.
        max: u64,
    },
    /// The signer failed.
    #[error("signing the offer failed: {0}")]
    Signing(#[from] alloy::signers::Error),
    /// The chain.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// The transaction.
    #[error(transparent)]
    Tx(#[from] TxError),
}

impl Classified for OfferError {
    fn class(&self) -> ErrorClass {
        match self {
            Self::Read(error) => error.class(),
            Self::Tx(error) => tx_class(error),
            _ => ErrorClass::Stop,
        }
    }
}

/// How an offer stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum OfferState {
    /// It can be accepted.
    Open,
    /// All its agreements were made.
    UsedUp,
    /// Its last second is past.
    Expired,
    /// The client cancelled it.
    Cancelled,
}

impl OfferState {
    /// From what the dispatcher counts.
    pub const fn of(order: &Order, uses: u32, nonce: u64, now: u64) -> Self {
        if uses == CANCELLED || order.nonce != nonce {
            Self::Cancelled
        } else if uses >= order.volume {
            Self::UsedUp
        } else if now > order.expiry {
            Self::Expired
        } else {
            Self::Open
        }
    }

    /// For people.
    pub const fn words(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::UsedUp => "used up",
            Self::Expired => "expired",
            Self::Cancelled => "cancelled",
        }
    }
}

/// An offer with its state.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Offer {
    /// What it is known by.
    pub hash: B256,
    /// The offer.
    pub signed: SignedOrder,
    /// Agreements made of it; what it made before it was cancelled is not counted any more.
    pub uses: u32,
    /// Whether it can be accepted.
    pub state: OfferState,
}

impl Offer {
    /// Agreements that can still be made of it.
    pub const fn left(&self) -> u32 {
        match self.state {
            OfferState::Open => self.signed.order.volume.saturating_sub(self.uses),
            _ => 0,
        }
    }
}

/// An order for `plan`, to be signed. Pure.
///
/// # Errors
/// When the plan is confidential and not sealed, or its terms do not fit, or it would outlive its accept window: the price rises
/// from `now` on, and at the end of that window nobody can accept any more.
pub fn order_for(
    plan: &Plan,
    client: Address,
    volume: u32,
    life_secs: u64,
    now: u64,
    nonce: u64,
    salt: B256,
) -> Result<Order, OfferError> {
    NotSealed::check(plan)?;
    let max = u64::from(plan.terms.accept_secs);
    if life_secs > max {
        return Err(OfferError::TooLong { found: life_secs, max });
    }
    if volume == 0 {
        return Err(OrderError::NoVolume.into());
    }
    Ok(Order {
        client,
        kind_id: KIND_COMPUTE,
        terms: plan.terms.pack()?.into(),
        spec_hash: keccak256(plan.spec.encode()),
        start_at: now,
        expiry: now.saturating_add(life_secs),
        volume,
        salt,
        worker: plan.terms.named_worker().unwrap_or_default(),
        nonce,
    })
}

impl Client {
    /// The dispatcher's bindings for signed orders.
    pub fn orders(&self) -> ISignedOrdersInstance<DynProvider> {
        ISignedOrdersInstance::new(self.deployment().dispatcher, self.rpc().provider().clone())
    }

    /// Signs an offer of `plan` for `volume` agreements, good for `life_secs` from the newest block on. Its files must be
    /// uploaded before, and the dispatcher must be allowed to take the budget of each agreement when it is made. All
    /// agreements of one confidential offer share their session key.
    ///
    /// # Errors
    /// See [`OfferError`].
    pub async fn sign_offer(&self, plan: &Plan, volume: u32, life_secs: u64) -> Result<SignedOrder, OfferError> {
        let signer = self.signer()?;
        let client = signer.address();
        let nonce = self.orders().orderNonceOf(client).call().await.doing(|| "reading the order nonce".into())?;
        let (_, now) = self.rpc().latest().await.doing(|| "reading the latest block".into())?;
        let mut salt = B256::ZERO;
        rand::rng().fill_bytes(salt.as_mut_slice());
        let order = order_for(plan, client, volume, life_secs, now, nonce, salt)?;
        let hash = order.hash(self.deployment().chain_id, self.deployment().dispatcher)?;
        let signature = signer.sign_hash_sync(&hash)?;
        Ok(order.signed(plan.spec.encode().into(), &signature))
    }

    /// How a signed offer stands.
    ///
    /// # Errors
    /// When the chain cannot be read, or the order has a time that none can have.
    pub async fn offer(&self, signed: SignedOrder) -> Result<Offer, OfferError> {
        let (chain_id, dispatcher) = (self.deployment().chain_id, self.deployment().dispatcher);
        let hash = signed.order.hash(chain_id, dispatcher)?;
        let client = signed.order.client;
        let uses = self.orders().orderUses(client, hash).call().await;
        let uses = uses.doing(|| format!("reading the uses of offer {hash}"))?;
        let nonce = self.orders().orderNonceOf(client).call().await.doing(|| "reading the order nonce".into())?;
        let (_, now) = self.rpc().latest().await.doing(|| "reading the latest block".into())?;
        let state = OfferState::of(&signed.order, uses, nonce, now);
        Ok(Offer { hash, signed, uses, state })
    }

    /// The agreements made of an offer, oldest first.
    ///
    /// # Errors
    /// When the chain cannot be read.
    pub async fn agreements_of_offer(&self, hash: B256) -> Result<Vec<Address>, ReadError> {
        let filter = Filter::new()
            .address(self.deployment().dispatcher)
            .event_signature(ISignedOrders::OrderUsed::SIGNATURE_HASH)
            .topic1(hash);
        let logs = self.logs_since_deployment(&filter).await?;
        let used = logs.iter().filter_map(|log| ISignedOrders::OrderUsed::decode_log_data(log.data()).ok());
        Ok(used.map(|event| event.agreement).collect())
    }

    /// Ends an offer of the wallet for good, whether the chain has seen it or not; agreements made of it go on.
    ///
    /// # Errors
    /// See [`OfferError`].
    pub async fn cancel_offer(&self, hash: B256) -> Result<Receipt, OfferError> {
        let calldata = ISignedOrders::cancelOrderCall { orderHash: hash }.abi_encode();
        Ok(self.transactions()?.send("cancelOrder", self.deployment().dispatcher, calldata.into()).await?)
    }

    /// Ends all offers that the wallet has signed so far.
    ///
    /// # Errors
    /// See [`OfferError`].
    pub async fn cancel_all_offers(&self) -> Result<Receipt, OfferError> {
        let calldata = ISignedOrders::cancelAllOrdersCall {}.abi_encode();
        Ok(self.transactions()?.send("cancelAllOrders", self.deployment().dispatcher, calldata.into()).await?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::job::{JobBuilder, Taker};
    use alloy::primitives::{Bytes, hex};
    use alloy::signers::local::PrivateKeySigner;
    use serde_json::Value;
    use sunwork_protocol::terms::{ComputeSpec, ComputeTerms};

    const CLIENT: Address = Address::repeat_byte(0xc1);

    fn plan(public: bool, taker: Taker) -> Plan {
        let job = JobBuilder::new("ab".repeat(32)).platform("linux/amd64").reward(5, 10).public(public).taker(taker);
        Plan::make(&job.build().unwrap(), &["linux/amd64+docker".into()]).unwrap()
    }

    fn order(plan: &Plan, volume: u32, life_secs: u64) -> Result<Order, OfferError> {
        order_for(plan, CLIENT, volume, life_secs, 1_790_000_000, 3, B256::repeat_byte(9))
    }

    #[test]
    fn an_order_holds_what_the_plan_says() {
        let worker = Address::repeat_byte(0x77);
        let plan = plan(true, Taker::Worker(worker));
        let order = order(&plan, 4, 600).unwrap();
        assert_eq!((order.client, order.volume, order.nonce, order.worker), (CLIENT, 4, 3, worker));
        assert_eq!((order.start_at, order.expiry), (1_790_000_000, 1_790_000_600));
        assert_eq!(ComputeTerms::unpack(&order.terms).as_ref(), Ok(&plan.terms));
        let key = PrivateKeySigner::random();
        let order = Order { client: key.address(), ..order };
        let dispatcher = Address::repeat_byte(2);
        let signature = key.sign_hash_sync(&order.hash(31_337, dispatcher).unwrap()).unwrap();
        let signed = order.signed(plan.spec.encode().into(), &signature);
        assert_eq!((signed.check(1_790_000_600), signed.verify(31_337, dispatcher)), (Ok(()), Ok(())));
        assert_eq!(ComputeSpec::decode(&signed.spec).as_ref(), Ok(&plan.spec));
    }

    #[test]
    fn offers_that_nobody_could_accept_are_not_signed() {
        let public = plan(true, Taker::Anybody);
        let late = order(&public, 1, 601).unwrap_err().to_string();
        assert!(late.contains("good for 601 s") && late.contains("accept window of 600 s"), "{late}");
        assert!(order(&public, 0, 600).unwrap_err().to_string().contains("volume 0"));
        assert!(matches!(order(&plan(false, Taker::Anybody), 1, 60), Err(OfferError::NotSealed(_))));
    }

    #[test]
    fn its_state_is_what_the_dispatcher_counts() {
        let order = order(&plan(true, Taker::Anybody), 2, 600).unwrap();
        let (start, end) = (order.start_at, order.expiry);
        for (uses, nonce, now, state) in [
            (0, 3, start, OfferState::Open),
            (1, 3, end, OfferState::Open),
            (2, 3, start, OfferState::UsedUp),
            (1, 3, end + 1, OfferState::Expired),
            (CANCELLED, 3, start, OfferState::Cancelled),
            (0, 4, start, OfferState::Cancelled),
        ] {
            assert_eq!(OfferState::of(&order, uses, nonce, now), state, "{uses} {nonce} {now}");
        }
    }

    /// What a wallet signs here is what the contracts were tested with.
    #[test]
    fn signatures_are_those_of_the_vectors() {
        let vectors: Value = serde_json::from_str(include_str!("../../protocol/vectors/orders.json")).unwrap();
        let rows = vectors["orders"]["rows"].as_array().unwrap();
        assert!(!rows.is_empty());
        for row in rows {
            let order: Order = serde_json::from_value(row["order"].clone()).unwrap();
            let key: PrivateKeySigner = row["key"].as_str().unwrap().parse().unwrap();
            let chain_id = row["chainId"].as_u64().unwrap();
            let dispatcher = row["dispatcher"].as_str().unwrap().parse().unwrap();
            let hash = order.hash(chain_id, dispatcher).unwrap();
            assert_eq!(hash.to_string(), row["orderHash"].as_str().unwrap());
            let signature = key.sign_hash_sync(&hash).unwrap();
            let spec = Bytes::from(hex::decode(row["spec"].as_str().unwrap()).unwrap());
            let signed = order.signed(spec, &signature);
            assert_eq!(signed.signature.to_string(), row["signature"].as_str().unwrap());
            assert_eq!(signed.verify(chain_id, dispatcher), Ok(()));
        }
    }
}
