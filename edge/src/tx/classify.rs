//! What a node's refusal means.
use alloy::{rpc::json_rpc::ErrorPayload, transports::TransportError};

use super::TxError;
use crate::{revert, rpc};

/// A node's error as one of ours.
pub(super) fn error(label: &str, error: TransportError) -> TxError {
    if let TransportError::ErrorResp(payload) = &error {
        let label = label.to_owned();
        if let Some(data) = payload.as_revert_data() {
            let (reason, name) = (revert::explain(&data), revert::name(&data));
            return TxError::Reverted { label, reason, name, hash: None };
        }
        // Code 3 is "execution reverted" without data (geth); nodes without it say so in words only.
        if payload.code == 3 {
            return TxError::Reverted { label, reason: revert::explain(&[]), name: None, hash: None };
        }
        if !payload.is_retry_err() {
            return TxError::stop(&label, format!("the node refused it: {}", payload.message));
        }
    }
    if rpc::is_temporary(&error) {
        TxError::temporary(label, error.to_string())
    } else {
        TxError::stop(label, error.to_string())
    }
}

/// True when the node says that the account cannot pay. There is no code for it, but all nodes have words.
pub(super) fn is_no_funds(payload: &ErrorPayload) -> bool {
    let message = payload.message.to_lowercase();
    ["insufficient funds", "insufficientfunds", "insufficient balance", "exceeds account balance"]
        .iter()
        .any(|words| message.contains(words))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nodes_say_in_many_words_that_there_is_no_money() {
        let says = |text: &'static str| is_no_funds(&ErrorPayload { code: -32000, message: text.into(), data: None });
        for text in [
            "insufficient funds for gas * price + value: balance 0, tx cost 21000, overshot 21000", // geth, erigon
            "Insufficient funds for gas * price + value",                                           // anvil
            "InsufficientFunds, Account balance: 0, cumulative cost: 21000",                        // nethermind
            "Upfront cost exceeds account balance",                                                 // besu
        ] {
            assert!(says(text), "{text}");
        }
        assert!(!says("nonce too low") && !says("replacement transaction underpriced"));
    }
}
