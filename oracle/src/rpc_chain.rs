//! The real chain, over JSON-RPC.
use alloy::{
    primitives::{B256, Log as LogBody},
    providers::Provider,
    rpc::types::{Filter, Log},
    transports::TransportError,
};
use sunwork_edge::Rpc;

use crate::{
    chain::{ChainLog, ChainSource, Header, SourceError},
    events,
};

/// [`ChainSource`] over an [`Rpc`].
#[derive(Clone, Debug)]
pub struct RpcChain {
    rpc: Rpc,
    filter: Filter,
}

impl RpcChain {
    /// Follows the chain of this connection.
    pub fn new(rpc: Rpc) -> Self {
        // By topic and not by address: agreements are new contracts all the time, and a list of thousands of addresses is
        // refused by most nodes. What others emit under our topics is dropped by the index.
        Self { rpc, filter: Filter::new().event_signature(events::topics()) }
    }

    async fn logs(&self, doing: &str, filter: &Filter) -> Result<Result<Vec<ChainLog>, SourceError>, TransportError> {
        let logs = self.rpc.provider().get_logs(filter).await?;
        Ok(logs.into_iter().map(|log| placed(doing, log)).collect())
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
        let filter = self.filter.clone().at_block_hash(hash);
        self.logs(&doing, &filter).await.map_err(|e| unavailable(doing, &e))?
    }

    async fn logs_of_range(&self, from: u64, to: u64) -> Result<Vec<ChainLog>, SourceError> {
        let doing = format!("asking for the logs of blocks {from} to {to}");
        let filter = self.filter.clone().from_block(from).to_block(to);
        match self.logs(&doing, &filter).await {
            Ok(logs) => logs,
            // A node that answers with an error is up; nodes word their limits on range and result size in many ways, and
            // a smaller range is the remedy for all of them.
            Err(TransportError::ErrorResp(payload)) if from < to => {
                Err(SourceError::TooMuch { from, to, reason: payload.message.into_owned() })
            }
            Err(error) => Err(unavailable(doing, &error)),
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
