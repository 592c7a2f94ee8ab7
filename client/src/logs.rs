//! Logs in bounded pieces: nodes refuse ranges that are too long or answers that are too large, each at another limit.

use std::collections::{HashMap, HashSet};

use alloy::providers::Provider;
use alloy::rpc::types::{Filter, Log};
use alloy::transports::TransportError;

use crate::chain::{Doing, ReadError};
use crate::client::Client;

/// Blocks asked for at once to begin with; common limits of public nodes are 10,000, 2,000 and 500.
const CHUNK_BLOCKS: u64 = 10_000;
/// Below this a refusal is taken as final.
const MIN_CHUNK_BLOCKS: u64 = 16;

impl Client {
    /// All logs of `filter` from block `from` to block `to`, both included. Halves the piece whenever a node refuses it.
    pub(crate) async fn logs(&self, filter: &Filter, from: u64, to: u64) -> Result<Vec<Log>, ReadError> {
        let mut found = Vec::new();
        let mut start = from;
        let mut chunk = CHUNK_BLOCKS;
        while start <= to {
            let end = to.min(start.saturating_add(chunk - 1));
            let piece = filter.clone().from_block(start).to_block(end);
            match self.rpc().provider().get_logs(&piece).await {
                Ok(logs) => {
                    found.extend(logs.into_iter().filter(|log| !log.removed));
                    start = end + 1;
                }
                // An answer with an error, not silence: most likely "range too large" in one of its many wordings.
                Err(TransportError::ErrorResp(_)) if chunk > MIN_CHUNK_BLOCKS => chunk /= 2,
                Err(error) => return Err(error).doing(|| format!("reading the logs of blocks {start} to {end}")),
            }
        }
        Ok(found)
    }

    /// Unix times of the logs' blocks, seconds; nodes that tell the time with the log are believed.
    pub(crate) async fn times(&self, logs: &[Log]) -> Result<HashMap<u64, u64>, ReadError> {
        let mut times: HashMap<u64, u64> =
            logs.iter().filter_map(|log| Some((log.block_number?, log.block_timestamp?))).collect();
        let missing: HashSet<u64> =
            logs.iter().filter_map(|log| log.block_number).filter(|n| !times.contains_key(n)).collect();
        for number in missing {
            let block = self
                .rpc()
                .provider()
                .get_block_by_number(number.into())
                .await
                .doing(|| format!("reading block {number}"))?;
            if let Some(block) = block {
                times.insert(number, block.header.timestamp);
            }
        }
        Ok(times)
    }
}
