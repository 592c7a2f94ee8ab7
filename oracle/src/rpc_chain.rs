//! The real chain, over JSON-RPC.
use alloy::{
    consensus::Transaction as _,
    eips::BlockId,
    network::TransactionResponse as _,
    primitives::{Address, B256, Bytes, Log as LogBody},
    providers::Provider,
    rpc::types::{Filter, Log},
    transports::TransportError,
};
use serde_json::{json, value::RawValue};
use sunwork_edge::Rpc;
use sunwork_protocol::{abi::IEnergyLedger::IEnergyLedgerInstance, energy::Link};

use crate::{
    chain::{ChainLog, ChainSource, ChainTx, Header, SourceError},
    energy::{EnergyContracts, calldata},
    events,
};

/// [`ChainSource`] over an [`Rpc`].
#[derive(Clone, Debug)]
pub struct RpcChain {
    rpc: Rpc,
    filters: Vec<Filter>,
}

impl RpcChain {
    /// Follows the chain of this connection.
    pub fn new(rpc: Rpc, energy: Option<EnergyContracts>) -> Self {
        // By topic and not by address: agreements are new contracts all the time, and a list of thousands of addresses is
        // refused by most nodes. What others emit under our topics is dropped by the index.
        let by_topic = Filter::new().event_signature(events::topics());
        // By address: every token of its kind emits the events of a certificate.
        let by_address = energy.map(|energy| Filter::new().address(vec![energy.ledger, energy.certificates]));
        Self { rpc, filters: [by_topic].into_iter().chain(by_address).collect() }
    }

    async fn logs(
        &self,
        doing: &str,
        place: impl Fn(Filter) -> Filter,
    ) -> Result<Result<Vec<ChainLog>, SourceError>, TransportError> {
        let mut all = Vec::new();
        for filter in &self.filters {
            let logs = self.rpc.provider().get_logs(&place(filter.clone())).await?;
            let logs: Result<Vec<ChainLog>, SourceError> = logs.into_iter().map(|log| placed(doing, log)).collect();
            match logs {
                Ok(logs) => all.extend(logs),
                Err(error) => return Ok(Err(error)),
            }
        }
        Ok(Ok(all))
    }
}

impl ChainSource for RpcChain {
    async fn head(&self) -> Result<Header, SourceError> {
        let (number, _) = self.rpc.latest().await.map_err(|e| unavailable("asking for the newest block", &e))?;
        self.header(number)
            .await?
            .ok_or_else(|| SourceError::Inconsistent(format!("block {number} is the newest, but unknown")))
    }

    async fn header(&self, number: u64) -> Result<Option<Header>, SourceError> {
        let doing = || format!("asking for block {number}");
        let block = self.rpc.provider().get_block_by_number(number.into()).await;
        let Some(block) = block.map_err(|e| unavailable(doing(), &e))? else { return Ok(None) };
        let header = block.header;
        if header.inner.number != number {
            let reason = format!("found block {} instead", header.inner.number);
            return Err(SourceError::Unavailable { doing: doing(), reason });
        }
        Ok(Some(Header { number, hash: header.hash, parent: header.inner.parent_hash, time: header.inner.timestamp }))
    }

    async fn logs_of_block(&self, hash: B256) -> Result<Vec<ChainLog>, SourceError> {
        let doing = format!("asking for the logs of block {hash}");
        self.logs(&doing, |filter| filter.at_block_hash(hash)).await.map_err(|e| unavailable(doing, &e))?
    }

    async fn logs_of_range(&self, from: u64, to: u64) -> Result<Vec<ChainLog>, SourceError> {
        let doing = format!("asking for the logs of blocks {from} to {to}");
        match self.logs(&doing, |filter| filter.from_block(from).to_block(to)).await {
            Ok(logs) => logs,
            // A node that answers with an error is up; nodes word their limits on range and result size in many ways, and
            // a smaller range is the remedy for all of them.
            Err(TransportError::ErrorResp(payload)) if from < to => {
                Err(SourceError::TooMuch { from, to, reason: payload.message.into_owned() })
            }
            Err(error) => Err(unavailable(doing, &error)),
        }
    }

    async fn transaction(&self, hash: B256) -> Result<Option<ChainTx>, SourceError> {
        let doing = || format!("asking for transaction {hash}");
        let found = self.rpc.provider().get_transaction_by_hash(hash).await.map_err(|e| unavailable(doing(), &e))?;
        let Some(found) = found else { return Ok(None) };
        if found.tx_hash() != hash {
            return Err(SourceError::Unavailable { doing: doing(), reason: format!("found {}", found.tx_hash()) });
        }
        Ok(Some(ChainTx { block_hash: found.block_hash, to: found.to(), input: found.input().clone() }))
    }

    async fn submitted_within(&self, hash: B256, ledger: Address) -> Result<Result<Vec<Bytes>, String>, SourceError> {
        let options = json!({ "tracer": "callTracer" });
        let asked =
            self.rpc.provider().raw_request::<_, Box<RawValue>>("debug_traceTransaction".into(), (hash, options));
        match asked.await {
            Ok(trace) => Ok(calldata::calls_of(trace.get(), ledger)),
            // It answers, and does not trace.
            Err(TransportError::ErrorResp(payload)) => Ok(Err(format!("the node does not trace: {}", payload.message))),
            Err(error) => Err(unavailable(format!("tracing transaction {hash}"), &error)),
        }
    }

    async fn link_of(
        &self,
        ledger: Address,
        worker: Address,
        day: u16,
        block: B256,
    ) -> Result<Option<Link>, SourceError> {
        let contract = IEnergyLedgerInstance::new(ledger, self.rpc.provider());
        let asked = contract.dayOf(worker, day).block(BlockId::hash(block));
        match asked.call().await {
            Ok(entry) => Ok(Some(entry.link).filter(|link| entry.day == day && !link.is_zero())),
            Err(alloy::contract::Error::TransportError(error @ TransportError::Transport(_))) => {
                Err(unavailable(format!("asking the ledger for day {day} of {worker}"), &error))
            }
            // The state of an old block is gone on most nodes.
            Err(_) => Ok(None),
        }
    }
}

fn unavailable(doing: impl Into<String>, error: &TransportError) -> SourceError {
    SourceError::Unavailable { doing: doing.into(), reason: error.to_string() }
}

fn placed(doing: &str, log: Log) -> Result<ChainLog, SourceError> {
    match (log.block_number, log.block_hash, log.transaction_hash, log.log_index) {
        (Some(block), Some(block_hash), Some(tx), Some(log_index)) if !log.removed => {
            let body = LogBody { address: log.inner.address, data: log.inner.data };
            Ok(ChainLog { block, block_hash, tx, log_index, log: body })
        }
        _ => Err(SourceError::Unavailable {
            doing: doing.to_owned(),
            reason: "a log without block, transaction or index came, expected one of a finished block".to_owned(),
        }),
    }
}
