//! Reads what the contracts know of all workers.

use alloy::primitives::Address;
use futures::{StreamExt, TryStreamExt};
use sunwork_edge::ledger::Ledger;
use sunwork_protocol::energy::NotPositive;
use sunwork_protocol::settlement::{verifier_lock, worker_lock};

use super::{Candidate, Eligibility, Needs, count};
use crate::chain::{Doing, ReadError, amount};
use crate::client::Client;
use crate::plan::Plan;
use crate::preflight::KIND_COMPUTE;

/// Most workers looked at; each takes up to four questions.
const MAX_WORKERS: usize = 2000;
/// Questions under way at once.
const PARALLEL: usize = 16;

impl Client {
    /// Who could take `plan` now if `account` bought it. Reads the chain only.
    ///
    /// # Errors
    /// When the chain cannot be read.
    pub async fn eligibility(&self, plan: &Plan, account: Option<Address>) -> Result<Eligibility, ReadError> {
        let epoch = self.dispatcher().epoch().call().await.doing(|| "reading the epoch".into())?;
        let terms = &plan.terms;
        // At the price of the first moment: what can be accepted then can be accepted now.
        let reward = terms.reward_min;
        // Terms that the contract refuses have no locks, and dividing by their zeros would end us.
        let sensible = terms.samples > 0 && (1..=8).contains(&terms.verifiers) && reward < 1 << 80;
        let needs = Needs {
            client: account,
            class_id: terms.class_id,
            class: self.deployment().class_name(terms.class_id),
            kind_id: KIND_COMPUTE,
            epoch,
            worker_lock: if sensible {
                worker_lock(reward, terms.verifier_fee, terms.samples, terms.verifiers)
            } else {
                u128::MAX
            },
            verifier_lock: if sensible {
                verifier_lock(terms.reward_max, terms.verifier_fee, terms.verifiers)
            } else {
                u128::MAX
            },
            verifiers: if terms.trust_level == 0 { 0 } else { terms.verifiers },
            named: terms.named_worker(),
            confidential: plan.confidential || terms.is_confidential(),
            green_only: terms.is_green_only(),
        };
        let ledger = if needs.green_only { self.ledger().await? } else { None };
        let now = self.rpc().latest().await.doing(|| "reading the latest block".into())?.1;
        let addresses = self.registered_workers().await?;
        let registered = addresses.len();
        let candidates: Vec<Candidate> = futures::stream::iter(addresses.into_iter().take(MAX_WORKERS))
            .map(|address| self.candidate(address, &needs, ledger, now))
            .buffered(PARALLEL)
            .try_collect()
            .await?;
        Ok(count(&candidates, registered, &needs))
    }

    /// The energy ledger of the deployment, if it has one.
    pub(crate) async fn ledger(&self) -> Result<Option<Ledger>, ReadError> {
        let implementation = self.deployment().compute_implementation;
        Ledger::of(self.rpc().provider(), implementation).await.doing(|| "asking for the energy ledger".into())
    }

    /// Whether the ledger calls a worker positive at `now` (Unix seconds), and if not, why.
    pub(crate) async fn positive(
        &self,
        ledger: Ledger,
        worker: Address,
        now: u64,
    ) -> Result<Result<(), NotPositive>, ReadError> {
        let asked = ledger.positive(self.rpc().provider(), worker, now).await;
        asked.doing(|| format!("reading the attested energy of worker {worker}"))
    }

    async fn candidate(
        &self,
        address: Address,
        needs: &Needs,
        ledger: Option<Ledger>,
        now: u64,
    ) -> Result<Candidate, ReadError> {
        let dispatcher = self.dispatcher();
        let info = dispatcher.workerInfo(address).call().await.doing(|| format!("reading worker {address}"))?;
        let mut candidate = Candidate {
            address,
            classes: info.classes.to(),
            classes_since: info.classesSince,
            kinds: info.kinds.to(),
            bonded: info.bonded.to(),
            locked: info.locked.to(),
            tickets: 0,
            has_key: false,
            // Without a ledger nobody is positive.
            not_positive: needs.green_only.then_some(NotPositive::NoMeter),
        };
        // Of those in other classes nothing more is asked.
        if candidate.classes.checked_shr(needs.class_id.into()).unwrap_or(0) & 1 == 1 {
            let tickets = dispatcher.ticketsOf(address, needs.class_id, needs.epoch).call().await;
            candidate.tickets = amount(tickets.doing(|| format!("reading the tickets of worker {address}"))?);
            if needs.confidential {
                let key = dispatcher.encryptionKeyOf(address).call().await;
                candidate.has_key = !key.doing(|| format!("reading the encryption key of worker {address}"))?.is_zero();
            }
            if let Some(ledger) = ledger {
                candidate.not_positive = self.positive(ledger, address, now).await?.err();
            }
        }
        Ok(candidate)
    }
}
