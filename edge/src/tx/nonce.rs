//! Which transaction used a nonce: the proof that ours can no longer be mined, or that somebody sent it for us.
use alloy::{
    consensus::Transaction,
    eips::{BlockId, BlockNumberOrTag},
    network::TransactionResponse,
    primitives::{B256, keccak256},
    providers::Provider,
    transports::TransportError,
};

use super::{Inner, TxEntry};

/// Blocks that are looked back at most; nodes without an archive keep the state of 128.
const MAX_BLOCKS_BACK: u64 = 1 << 20;

/// Who used a nonce.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum User {
    /// One of our attempts: its receipt is late.
    Ours,
    /// Another program sent the very same call, for another fee say.
    SameCall(B256),
    /// Another call.
    Another(B256),
    /// The node does not keep the state of the blocks in question.
    Unknown,
}

impl Inner {
    /// Finds the block in which the account's count passed `nonce`, by bisection, and in it the transaction.
    pub(super) async fn user_of(&self, nonce: u64, attempts: &[TxEntry]) -> Result<User, TransportError> {
        let provider = self.rpc.provider();
        let mut used = provider.get_block_number().await?;
        if self.count(BlockNumberOrTag::Number(used)).await? <= nonce {
            // The node went back, or another one answered: nothing is known.
            return Ok(User::Unknown);
        }
        // Invariant: at `used` the nonce is used, at `free` it is not.
        let mut step = 1;
        let mut free = loop {
            let Some(block) = used.checked_sub(step) else { break None };
            match self.count(BlockNumberOrTag::Number(block)).await {
                Ok(count) if count <= nonce => break Some(block),
                Ok(_) => used = block,
                Err(TransportError::ErrorResp(_)) => return Ok(User::Unknown),
                Err(error) => return Err(error),
            }
            step *= 2;
            if step > MAX_BLOCKS_BACK {
                return Ok(User::Unknown);
            }
        };
        while used - free.map_or(0, |free| free + 1) > 0 {
            let middle = free.map_or(0, |free| free + 1).midpoint(used);
            match self.count(BlockNumberOrTag::Number(middle)).await {
                Ok(count) if count > nonce => used = middle,
                Ok(_) => free = Some(middle),
                Err(TransportError::ErrorResp(_)) => return Ok(User::Unknown),
                Err(error) => return Err(error),
            }
        }
        let block = provider.get_block(BlockId::Number(BlockNumberOrTag::Number(used))).full().await?;
        let account = self.signer.address();
        let user = block.and_then(|block| {
            block.transactions.into_transactions().find(|tx| tx.from() == account && tx.nonce() == nonce)
        });
        let Some(user) = user else { return Ok(User::Unknown) };
        let hash = user.tx_hash();
        if attempts.iter().any(|entry| entry.hash == hash) {
            return Ok(User::Ours);
        }
        let input_hash = keccak256(user.input());
        let same = |entry: &TxEntry| {
            user.to() == Some(entry.to) && user.value() == entry.value && input_hash == entry.input_hash
        };
        Ok(if attempts.iter().any(same) { User::SameCall(hash) } else { User::Another(hash) })
    }
}
