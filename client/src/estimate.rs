//! What a purchase will take: gas and time, before anything is sent.

use alloy::primitives::{Address, Bytes, U256};
use alloy::providers::Provider;
use alloy::rpc::types::TransactionRequest;
use alloy::sol_types::SolCall;
use serde::Serialize;
use sunwork_protocol::abi::IComputeAgreement::ComputeParams;
use sunwork_protocol::abi::IWorkerDispatcher;

use crate::chain::{Doing, ReadError};
use crate::client::Client;
use crate::plan::Plan;
use crate::preflight::{KIND_COMPUTE, PreflightError};

/// Gas of a purchase besides its data, where it cannot be tried: from the gas snapshot of the contracts, rounded up.
const TYPICAL_EXECUTION_GAS: u64 = 202_000;

/// What sending the purchase will cost besides the tokens.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct GasEstimate {
    /// Gas of the purchase, the only transaction that a client must send.
    pub gas: u64,
    /// True when a node tried the very purchase; false for a typical one of its length.
    pub tried: bool,
    /// Wei per gas at the present base fee and a usual tip.
    #[serde(serialize_with = "text")]
    pub gas_price_wei: u128,
    /// Both multiplied: wei that leave the wallet.
    #[serde(serialize_with = "text")]
    pub wei: u128,
}

/// How long it can take, seconds of chain time. A phase ends as soon as all have acted: the windows serve the absent only.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct TimeEstimate {
    /// For a worker to accept.
    pub accept_secs: u64,
    /// For the client's key to reach the worker; 0 for public work.
    pub key_secs: u64,
    /// For the worker to compute.
    pub work_secs: u64,
    /// For the draw of the verifiers.
    pub draw_secs: u64,
    /// For the verifiers to compute.
    pub verify_secs: u64,
    /// For all to open their seals.
    pub open_secs: u64,
    /// For disputes, before payment; at trust level 0 the client's time to reject.
    pub dispute_secs: u64,
    /// With an app that needs no time, and parties that act at once: the one wait that nobody can shorten.
    pub at_least_secs: u64,
    /// All windows used to their end, one worker, one draw, nobody dissents or disputes.
    pub at_most_secs: u64,
    /// Workers that may try, if one after the other gives up.
    pub attempts: u8,
}

fn text<S: serde::Serializer>(number: &u128, s: S) -> Result<S::Ok, S::Error> {
    s.collect_str(number)
}

impl TimeEstimate {
    fn new(plan: &Plan, params: &ComputeParams) -> Self {
        let terms = &plan.terms;
        let confidential = plan.confidential || terms.is_confidential();
        let key_secs = if confidential { params.keySecs.to() } else { 0 };
        let step: u64 = params.drawStepSecs.to();
        let draw_secs = params.seedSecs.to::<u64>() + step * u64::from(params.drawSteps);
        let open_secs = params.revealSecs.to::<u64>() + params.openSecs.to::<u64>();
        let (accept_secs, work_secs, verify_secs, dispute_secs): (u64, u64, u64, u64) =
            (terms.accept_secs.into(), terms.work_secs.into(), terms.verify_secs.into(), terms.dispute_secs.into());
        // Level 0 asks no verifiers unless the client rejects the result, and a client that accepts it waits for nothing.
        let level_0 = terms.trust_level == 0;
        let verifying = if level_0 { 0 } else { draw_secs + verify_secs + open_secs };
        Self {
            accept_secs,
            key_secs,
            work_secs,
            draw_secs,
            verify_secs,
            open_secs,
            dispute_secs,
            at_least_secs: if level_0 { 0 } else { step + dispute_secs },
            at_most_secs: accept_secs + key_secs + work_secs + verifying + dispute_secs,
            attempts: params.maxAttempts,
        }
    }
}

impl Client {
    /// How long `plan` can take.
    ///
    /// # Errors
    /// When the chain cannot be read.
    pub async fn time_estimate(&self, plan: &Plan) -> Result<TimeEstimate, ReadError> {
        let implementation = self.compute(self.deployment().compute_implementation);
        let params = implementation.params().call().await.doing(|| "reading the deployment's time windows".into())?;
        Ok(TimeEstimate::new(plan, &params))
    }

    /// Gas of buying `plan`. With an account whose money and allowance suffice the purchase itself is tried (nothing is
    /// sent); else it is what a purchase of this length typically takes.
    ///
    /// # Errors
    /// When the chain cannot be read.
    pub async fn gas_estimate(&self, plan: &Plan, account: Option<Address>) -> Result<GasEstimate, PreflightError> {
        let (terms, spec) = (Bytes::from(plan.terms.pack()?), Bytes::from(plan.spec.encode()));
        let data_bytes = (terms.len() + spec.len()) as u64;
        let calldata = IWorkerDispatcher::buyContractCall { kindId: KIND_COMPUTE, terms, spec }.abi_encode();
        let provider = self.rpc().provider();
        let fees = provider.estimate_eip1559_fees().await.doing(|| "reading the price of gas".into())?;
        // The estimate doubles the base fee for safety; what is paid is nearer to the base fee itself.
        let base = fees.max_fee_per_gas.saturating_sub(fees.max_priority_fee_per_gas) / 2;
        // The tip as the sender of transactions asks for it; that of the fee history is next to nothing on an idle chain.
        let tip = provider.get_max_priority_fee_per_gas().await.unwrap_or(fees.max_priority_fee_per_gas);
        let gas_price_wei = base + tip;
        let tried = match account {
            Some(account) => {
                let request = TransactionRequest::default()
                    .from(account)
                    .to(self.deployment().dispatcher)
                    .value(U256::ZERO)
                    .input(calldata.clone().into());
                // Refused where money or allowance is missing, which the preflight says better.
                provider.estimate_gas(request).await.ok()
            }
            None => None,
        };
        let gas = tried.unwrap_or_else(|| typical_gas(&calldata, data_bytes));
        Ok(GasEstimate { gas, tried: tried.is_some(), gas_price_wei, wei: gas_price_wei.saturating_mul(gas.into()) })
    }
}

/// Calldata is priced by its bytes (EIP-2028), what the purchase event repeats of it by 8 gas a byte.
fn typical_gas(calldata: &[u8], event_bytes: u64) -> u64 {
    let data: u64 = calldata.iter().map(|byte| if *byte == 0 { 4 } else { 16 }).sum();
    TYPICAL_EXECUTION_GAS + data + 8 * event_bytes
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::job::JobBuilder;

    #[test]
    fn the_longest_time_is_the_sum_of_the_windows() {
        let job = JobBuilder::new("ab".repeat(32)).platform("linux/amd64").build().unwrap();
        let plan = Plan::make(&job, &["linux/amd64+docker".into()]).unwrap();
        let params = ComputeParams {
            keySecs: alloy::primitives::Uint::from(30),
            seedSecs: alloy::primitives::Uint::from(60),
            drawStepSecs: alloy::primitives::Uint::from(12),
            drawSteps: 5,
            drawFactor: 2,
            revealSecs: alloy::primitives::Uint::from(100),
            openSecs: alloy::primitives::Uint::from(200),
            maxAttempts: 3,
            maxStrikes: 3,
            abortBps: 0,
            vanishBps: 0,
            seedTip: alloy::primitives::Uint::from(0),
            auditOneIn: 0,
        };
        let time = TimeEstimate::new(&plan, &params);
        assert_eq!((time.key_secs, time.draw_secs, time.open_secs, time.at_least_secs), (30, 120, 300, 12));
        assert_eq!(time.at_most_secs, 600 + 30 + 420 + 120 + 420 + 300);
        let mut level_0 = plan.clone();
        (level_0.terms.trust_level, level_0.terms.dispute_secs) = (0, 3600);
        let time_0 = TimeEstimate::new(&level_0, &params);
        assert_eq!((time_0.at_least_secs, time_0.at_most_secs), (0, 600 + 30 + 420 + 3600));
        let public = TimeEstimate::new(&Plan { confidential: false, ..plan }, &params);
        assert_eq!((public.key_secs, public.at_most_secs), (0, time.at_most_secs - 30));
    }

    #[test]
    fn typical_gas_grows_with_the_data() {
        assert_eq!(typical_gas(&[0, 1, 2], 10), 202_000 + 4 + 32 + 80);
    }
}
