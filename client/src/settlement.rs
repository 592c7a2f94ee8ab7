//! Who was paid what, and what every transaction of an agreement cost: from events and receipts.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use alloy::consensus::Transaction as _;
use alloy::network::TransactionResponse as _;
use alloy::primitives::{Address, B256};
use alloy::providers::Provider;
use alloy::rpc::types::{Filter, Log};
use alloy::sol_types::SolEventInterface;
use futures::{StreamExt, TryStreamExt};
use serde::Serialize;
use sunwork_protocol::abi::IComputeAgreement::IComputeAgreementCalls;
use sunwork_protocol::abi::IWorkerDispatcher::{IWorkerDispatcherCalls, IWorkerDispatcherEvents};
use sunwork_protocol::abi::SunToken::SunTokenCalls;
use sunwork_protocol::status::{Ending, Status};

use crate::agreements::FindError;
use crate::chain::{Doing, ReadError};
use crate::client::Client;

/// Questions under way at once.
const PARALLEL: usize = 8;
/// Ranges up to this many blocks are read block by block, which also finds transactions that reverted.
const MAX_SCANNED_BLOCKS: u64 = 4096;

/// A transaction that touched an agreement.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct TxCost {
    /// The function called, by its selector, or the selector itself.
    pub name: String,
    /// The transaction.
    pub tx: B256,
    /// Its block.
    pub block: u64,
    /// That block's time, Unix seconds.
    pub time: u64,
    /// Who sent it.
    pub sender: Address,
    /// Gas used.
    pub gas: u64,
    /// Price per gas, wei.
    pub gas_price_wei: u128,
    /// False if it reverted.
    pub ok: bool,
}

/// What became of a party's locked stake.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct StakeOutcome {
    /// The worker or verifier.
    pub worker: Address,
    /// Given back, smallest token unit.
    #[serde(serialize_with = "decimal")]
    pub released: u128,
    /// Lost, smallest token unit.
    #[serde(serialize_with = "decimal")]
    pub slashed: u128,
}

/// The money and the gas of an agreement. Amounts in the smallest token unit.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Settlement {
    /// The agreement.
    pub agreement: Address,
    /// Who bought.
    pub client: Address,
    /// Its status.
    pub status: Status,
    /// How it ended.
    pub ending: Ending,
    /// What the client put in.
    #[serde(serialize_with = "decimal")]
    pub budget: u128,
    /// What others put in: additions to the reward and bonds of disputes, by account.
    #[serde(serialize_with = "decimals")]
    pub funded: BTreeMap<Address, u128>,
    /// Credited: to workers and verifiers by their identity (their payout accounts get it), to others, such as the client for
    /// refunds, by their account.
    #[serde(serialize_with = "decimals")]
    pub paid: BTreeMap<Address, u128>,
    /// Still held for those who added to the reward and have not taken back their part.
    #[serde(serialize_with = "decimal")]
    pub held: u128,
    /// Burned.
    #[serde(serialize_with = "decimal")]
    pub burned: u128,
    /// Locked stakes and what became of them.
    pub stakes: Vec<StakeOutcome>,
    /// Every transaction found, oldest first.
    pub transactions: Vec<TxCost>,
    /// False when the agreement is so long that reverted transactions were not looked for.
    pub includes_reverted: bool,
}

fn decimal<S: serde::Serializer>(amount: &u128, s: S) -> Result<S::Ok, S::Error> {
    s.collect_str(amount)
}

fn decimals<S: serde::Serializer>(amounts: &BTreeMap<Address, u128>, s: S) -> Result<S::Ok, S::Error> {
    s.collect_map(amounts.iter().map(|(account, amount)| (account, amount.to_string())))
}

impl Settlement {
    /// Gas by transaction name.
    pub fn gas_by_name(&self) -> BTreeMap<String, u64> {
        let mut gas = BTreeMap::new();
        for tx in &self.transactions {
            *gas.entry(tx.name.clone()).or_default() += tx.gas;
        }
        gas
    }

    /// Gas by sender.
    pub fn gas_by_sender(&self) -> BTreeMap<Address, u64> {
        let mut gas = BTreeMap::new();
        for tx in &self.transactions {
            *gas.entry(tx.sender).or_default() += tx.gas;
        }
        gas
    }

    /// Transactions that take out what the agreement has paid: parties send them when they like, also long after its end.
    pub fn redeeming(&self) -> usize {
        self.transactions.iter().filter(|tx| tx.name == "redeemPayment").count()
    }

    /// Gas of all.
    pub fn gas_total(&self) -> u64 {
        self.transactions.iter().map(|tx| tx.gas).sum()
    }

    /// True when all that went in came out: budget, what others put in and slashes are payments, burns and what is held. Holds
    /// at any time.
    pub fn adds_up(&self) -> bool {
        let slashed: u128 = self.stakes.iter().map(|s| s.slashed).sum();
        let funded: u128 = self.funded.values().sum();
        self.budget + funded + slashed == self.paid.values().sum::<u128>() + self.burned + self.held
    }
}

/// The name of what a transaction calls.
pub fn call_name(input: &[u8]) -> String {
    let Some(selector) = input.get(..4).and_then(|s| <[u8; 4]>::try_from(s).ok()) else {
        return "transfer of ether".into();
    };
    IComputeAgreementCalls::name_by_selector(selector)
        .or_else(|| IWorkerDispatcherCalls::name_by_selector(selector))
        .or_else(|| SunTokenCalls::name_by_selector(selector))
        .map_or_else(|| format!("0x{}", hex::encode(selector)), str::to_owned)
}

/// Money of an agreement, folded from the dispatcher's logs.
#[derive(Debug, Default, PartialEq, Eq)]
struct Money {
    funded: BTreeMap<Address, u128>,
    paid: BTreeMap<Address, u128>,
    burned: u128,
    stakes: BTreeMap<Address, (u128, u128)>,
}

fn fold(logs: &[Log], agreement: Address) -> Money {
    let mut money = Money::default();
    for log in logs {
        match IWorkerDispatcherEvents::decode_raw_log(log.topics(), &log.data().data) {
            Ok(IWorkerDispatcherEvents::Paid(e)) if e.agreement == agreement => {
                *money.paid.entry(e.account).or_default() += crate::chain::amount(e.amount);
            }
            Ok(IWorkerDispatcherEvents::Funded(e)) if e.agreement == agreement => {
                *money.funded.entry(e.from).or_default() += crate::chain::amount(e.amount);
            }
            Ok(IWorkerDispatcherEvents::Burned(e)) if e.agreement == agreement => {
                money.burned += crate::chain::amount(e.amount);
            }
            Ok(IWorkerDispatcherEvents::StakeReleased(e)) if e.agreement == agreement => {
                if !e.paid.is_zero() {
                    *money.paid.entry(e.worker).or_default() += e.paid.to::<u128>();
                }
                let stake = money.stakes.entry(e.worker).or_default();
                stake.0 += e.released.to::<u128>();
                stake.1 += e.slashed.to::<u128>();
            }
            _ => {}
        }
    }
    money
}

impl Client {
    /// Who was paid what for `agreement`, and the gas of every transaction that touched it.
    ///
    /// # Errors
    /// See [`FindError`].
    pub async fn settlement(&self, agreement: Address) -> Result<Settlement, FindError> {
        let purchase = self.purchase_of(agreement).await?;
        let standing = self.standing(agreement).await?;
        let (head, _) = self.rpc().latest().await.doing(|| "reading the latest block".into())?;
        let dispatcher = Filter::new().address(self.deployment().dispatcher);
        // The agreement is the first indexed argument of some events and the second of others.
        let mut money_logs = self.logs(&dispatcher.clone().topic1(agreement), purchase.block, head).await?;
        money_logs.extend(self.logs(&dispatcher.topic2(agreement), purchase.block, head).await?);
        let own_logs = self.logs(&Filter::new().address(agreement), purchase.block, head).await?;
        let money = fold(&money_logs, agreement);
        let escrow = self.dispatcher().escrowOf(agreement).call().await;
        let held = escrow.doing(|| format!("reading the escrow of agreement {agreement}"))?.balance.to();

        let mut hashes: BTreeSet<B256> =
            money_logs.iter().chain(&own_logs).filter_map(|log| log.transaction_hash).collect();
        // What is paid out later only leaves an event of the dispatcher, and what reverted leaves none at all.
        let includes_reverted = head.saturating_sub(purchase.block) < MAX_SCANNED_BLOCKS;
        if includes_reverted {
            hashes.extend(self.sent_to(agreement, purchase.block, head).await?);
        }
        let transactions = self.costs_of(hashes).await?;
        let stakes = money
            .stakes
            .into_iter()
            .map(|(worker, (released, slashed))| StakeOutcome { worker, released, slashed })
            .collect();
        Ok(Settlement {
            agreement,
            client: purchase.client,
            status: standing.status,
            ending: standing.ending,
            budget: purchase.budget,
            funded: money.funded,
            held,
            paid: money.paid,
            burned: money.burned,
            stakes,
            transactions,
            includes_reverted,
        })
    }

    async fn sent_to(&self, agreement: Address, from: u64, to: u64) -> Result<Vec<B256>, ReadError> {
        let provider = self.rpc().provider();
        let blocks: Vec<Vec<B256>> = futures::stream::iter(from..=to)
            .map(|number| async move {
                let block = provider.get_block_by_number(number.into()).full().await;
                let block = block.doing(|| format!("reading block {number}"))?;
                let transactions = block.map(|block| block.transactions.into_transactions_vec()).unwrap_or_default();
                let ours = transactions.into_iter().filter(|tx| tx.to() == Some(agreement)).map(|tx| tx.tx_hash());
                Ok::<_, ReadError>(ours.collect())
            })
            .buffered(PARALLEL)
            .try_collect()
            .await?;
        Ok(blocks.concat())
    }

    /// Gas of the given transactions, oldest first; those that a reorg removed are left out.
    pub(crate) async fn costs_of(&self, hashes: BTreeSet<B256>) -> Result<Vec<TxCost>, ReadError> {
        let mut costs: Vec<TxCost> = futures::stream::iter(hashes)
            .map(|hash| self.cost_of(hash))
            .buffer_unordered(PARALLEL)
            .try_filter_map(|cost| async move { Ok(cost) })
            .try_collect()
            .await?;
        costs.sort_by(|a, b| (a.block, &a.name, a.tx).cmp(&(b.block, &b.name, b.tx)));
        Ok(costs)
    }

    /// What `agreement` has paid so far to others than `client`, smallest token unit.
    pub(crate) async fn paid_to_others(
        &self,
        agreement: Address,
        client: Address,
        from: u64,
    ) -> Result<u128, ReadError> {
        let (head, _) = self.rpc().latest().await.doing(|| "reading the latest block".into())?;
        let filter = Filter::new().address(self.deployment().dispatcher);
        // What workers and verifiers get stands in the events of their stakes, whose second argument the agreement is.
        let mut logs = self.logs(&filter.clone().topic1(agreement), from, head).await?;
        logs.extend(self.logs(&filter.topic2(agreement), from, head).await?);
        let money = fold(&logs, agreement);
        Ok(money.paid.iter().filter(|(account, _)| **account != client).map(|(_, amount)| amount).sum())
    }

    async fn cost_of(&self, hash: B256) -> Result<Option<TxCost>, ReadError> {
        let provider = self.rpc().provider();
        let doing = || format!("reading transaction {hash}");
        let receipt = provider.get_transaction_receipt(hash).await.doing(doing)?;
        let tx = provider.get_transaction_by_hash(hash).await.doing(doing)?;
        // A reorg may have removed it in between: then it cost nobody anything.
        let (Some(receipt), Some(tx)) = (receipt, tx) else { return Ok(None) };
        let block = receipt.block_number.unwrap_or_default();
        let header = provider.get_block_by_number(block.into()).await.doing(|| format!("reading block {block}"))?;
        Ok(Some(TxCost {
            name: call_name(tx.input()),
            tx: hash,
            block,
            time: header.map_or(0, |block| block.header.timestamp),
            sender: receipt.from,
            gas: receipt.gas_used,
            gas_price_wei: receipt.effective_gas_price,
            ok: receipt.status(),
        }))
    }
}

/// Seconds in each status, in the order of their first coming, for reports: "Working" took from its event to the next.
///
/// Time alone ends Drawing, and the event of Verifying comes with the first seal only: its deadline lies `verify_secs` (of the
/// terms) after its beginning.
pub fn seconds_by_status(events: &[crate::events::Seen], bought_at: u64, verify_secs: u64) -> Vec<(Status, u64)> {
    let mut stages: Vec<(Status, u64)> = Vec::new();
    let (mut status, mut since) = (Status::Open, bought_at);
    let mut totals: HashMap<Status, u64> = HashMap::new();
    for seen in events {
        if let crate::events::Progress::StatusChanged { status: next, deadline, .. } = seen.progress {
            let began = match next {
                Status::Verifying => deadline.saturating_sub(verify_secs).clamp(since.min(seen.time), seen.time),
                _ => seen.time,
            };
            if !totals.contains_key(&status) {
                stages.push((status, 0));
            }
            *totals.entry(status).or_default() += began.saturating_sub(since);
            (status, since) = (next, began);
        }
    }
    for stage in &mut stages {
        stage.1 = totals.get(&stage.0).copied().unwrap_or_default();
    }
    stages
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::events::{Progress, Seen};
    use alloy::primitives::{LogData, U256, aliases::U96};
    use alloy::sol_types::{SolCall, SolEvent};
    use sunwork_protocol::abi::{IComputeAgreement, IWorkerDispatcher};

    fn log(data: LogData) -> Log {
        Log { inner: alloy::primitives::Log { address: Address::ZERO, data }, ..Log::default() }
    }

    #[test]
    fn transactions_are_named_by_what_they_call() {
        assert_eq!(call_name(&IComputeAgreement::acceptCall {}.abi_encode()), "accept");
        assert_eq!(call_name(&IWorkerDispatcher::withdrawCall { account: Address::ZERO }.abi_encode()), "withdraw");
        assert_eq!(call_name(&[1, 2, 3, 4, 5]), "0x01020304");
        assert_eq!(call_name(&[]), "transfer of ether");
    }

    #[test]
    fn money_is_folded_for_one_agreement_and_adds_up() {
        let (ours, other, worker) = (Address::repeat_byte(1), Address::repeat_byte(2), Address::repeat_byte(3));
        let paid = |agreement, amount: u64| {
            let event = IWorkerDispatcher::Paid { agreement, account: worker, amount: U256::from(amount) };
            log(event.encode_log_data())
        };
        let released = IWorkerDispatcher::StakeReleased {
            worker,
            agreement: ours,
            released: U96::from(7),
            slashed: U96::from(3),
            paid: U96::from(2),
        };
        let funded = IWorkerDispatcher::Funded { agreement: ours, from: other, amount: U256::from(2) };
        let burned = IWorkerDispatcher::Burned { agreement: ours, amount: U256::from(4) };
        let logs = [
            paid(ours, 5),
            paid(other, 100),
            paid(ours, 4),
            log(released.encode_log_data()),
            log(funded.encode_log_data()),
            log(burned.encode_log_data()),
        ];
        let money = fold(&logs, ours);
        assert_eq!((&money.paid, &money.funded), (&BTreeMap::from([(worker, 11)]), &BTreeMap::from([(other, 2)])));
        assert_eq!((money.burned, money.stakes[&worker]), (4, (7, 3)));
        let mut settlement = Settlement {
            agreement: ours,
            client: other,
            status: Status::Settled,
            ending: Ending::Verified,
            budget: 10,
            funded: money.funded,
            held: 0,
            paid: money.paid,
            burned: money.burned,
            stakes: vec![StakeOutcome { worker, released: 7, slashed: 3 }],
            transactions: Vec::new(),
            includes_reverted: true,
        };
        assert!(settlement.adds_up());
        (settlement.held, settlement.budget) = (3, 13);
        assert!(settlement.adds_up());
        settlement.budget = 11;
        assert!(!settlement.adds_up());
    }

    #[test]
    fn stages_last_from_status_to_status() {
        let seen = |status, time| Seen {
            progress: Progress::StatusChanged { status, attempt: 0, deadline: 0 },
            block: 1,
            time,
            tx: B256::ZERO,
        };
        let events = [seen(Status::Working, 12), seen(Status::Sealed, 20), seen(Status::Settled, 21)];
        let stages = seconds_by_status(&events, 10, 600);
        assert_eq!(stages, vec![(Status::Open, 2), (Status::Working, 8), (Status::Sealed, 1)]);
    }

    #[test]
    fn verifiers_compute_from_the_close_of_the_claim_window_not_from_the_first_seal() {
        let seen = |status, time, deadline| Seen {
            progress: Progress::StatusChanged { status, attempt: 0, deadline },
            block: 1,
            time,
            tx: B256::ZERO,
        };
        // The window opens at 10 and closes at 12; the first of the verifiers seals at 37, the last at 39.
        let events = [
            seen(Status::Drawing, 10, 70),
            seen(Status::Verifying, 37, 612),
            seen(Status::Revealing, 39, 99),
            seen(Status::Settled, 40, 0),
        ];
        let of = |events: &[Seen]| seconds_by_status(events, 10, 600);
        let expected = vec![(Status::Open, 0), (Status::Drawing, 2), (Status::Verifying, 27), (Status::Revealing, 1)];
        assert_eq!(of(&events), expected);
        // A deadline that does not fit moves nothing out of its place.
        for (deadline, drawing) in [(0, 0), (u64::MAX, 27)] {
            let odd = [seen(Status::Drawing, 10, 70), seen(Status::Verifying, 37, deadline)];
            assert_eq!(of(&odd), vec![(Status::Open, 0), (Status::Drawing, drawing)]);
        }
    }
}
