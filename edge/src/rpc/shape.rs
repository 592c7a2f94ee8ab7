//! What a sane answer looks like, so that a node that talks nonsense is noticed before anybody believes it.
use alloy::{
    rpc::{
        json_rpc::{RequestPacket, Response, ResponsePacket, SerializedRequest},
        types::{Block, Log, TransactionReceipt},
    },
    transports::TransportResult,
};
use serde::de::DeserializeOwned;

/// Checks that the answer answers what was asked, in the form that the method has.
pub(super) fn check(asked: &RequestPacket, answer: &ResponsePacket) -> Result<(), String> {
    for request in asked.requests() {
        let response = answer
            .responses()
            .iter()
            .find(|response| response.id == *request.id())
            .ok_or_else(|| format!("its answer to {} has another id", request.method()))?;
        check_one(request, response)?;
    }
    Ok(())
}

fn check_one(request: &SerializedRequest, response: &Response) -> Result<(), String> {
    let Some(raw) = response.payload.as_success() else { return Ok(()) };
    let text = raw.get().trim();
    let sane = match request.method() {
        "eth_chainId"
        | "eth_blockNumber"
        | "eth_gasPrice"
        | "eth_maxPriorityFeePerGas"
        | "eth_getBalance"
        | "eth_getTransactionCount"
        | "eth_estimateGas" => is_hex(text, 1, 64),
        "eth_call" | "eth_getCode" => is_hex(text, 0, usize::MAX),
        "eth_sendRawTransaction" => is_hex(text, 64, 64),
        "eth_getLogs" => parses::<Vec<Log>>(text),
        "eth_getTransactionReceipt" => parses::<Option<TransactionReceipt>>(text),
        "eth_getBlockByNumber" | "eth_getBlockByHash" => parses::<Option<Block>>(text),
        _ => true,
    };
    if sane {
        return Ok(());
    }
    let start: String = text.chars().take(60).collect();
    Err(format!("its answer to {} makes no sense: {start}", request.method()))
}

fn is_hex(text: &str, min_digits: usize, max_digits: usize) -> bool {
    text.strip_prefix("\"0x").and_then(|text| text.strip_suffix('"')).is_some_and(|digits| {
        (min_digits..=max_digits).contains(&digits.len()) && digits.bytes().all(|byte| byte.is_ascii_hexdigit())
    })
}

fn parses<T: DeserializeOwned>(text: &str) -> bool {
    serde_json::from_str::<T>(text).is_ok()
}

/// True when the answer is an error that another node may not give (rate limits and the like).
pub(super) fn asks_for_retry(answer: &TransportResult<ResponsePacket>) -> bool {
    answer.as_ref().is_ok_and(|answer| answer.iter_errors().any(|error| error.is_retry_err()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hex_is_checked_strictly() {
        assert!(is_hex("\"0x1f\"", 1, 64));
        assert!(is_hex("\"0x\"", 0, usize::MAX));
        for bad in ["\"0x\"", "\"1f\"", "\"0xzz\"", "31", "null", "\"0x1f"] {
            assert!(!is_hex(bad, 1, 64), "{bad}");
        }
    }
}
