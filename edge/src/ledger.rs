//! What the energy ledger says about a worker: whether it is positive now, and if not, why.
use alloy::{contract::Error, primitives::Address, providers::Provider};
use sunwork_protocol::{
    abi::{IComputeAgreement, IEnergyLedger},
    energy::{Asked, Attested, MeterStatus, NotPositive},
};

/// The ledger of a deployment, with what it asks of positive workers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ledger {
    /// Its address.
    pub address: Address,
    asked: Asked,
}

impl Ledger {
    /// The ledger that `agreement` (or the implementation that agreements are clones of) asks; `None` where it has none. The code says it,
    /// so a deployment file that is old or silent does no harm.
    ///
    /// # Errors
    /// When the chain cannot be read.
    pub async fn of<P: Provider>(provider: P, agreement: Address) -> Result<Option<Self>, Error> {
        let address = IComputeAgreement::new(agreement, &provider).energyLedger().call().await?;
        if address.is_zero() {
            return Ok(None);
        }
        let params = IEnergyLedger::new(address, provider).params().call().await?;
        Ok(Some(Self { address, asked: Asked { min_days: params.minDays, fresh_days: params.freshDays } }))
    }

    /// Whether `worker` is positive at a block of time `now` (Unix seconds).
    ///
    /// # Errors
    /// When the chain cannot be read.
    pub async fn positive<P: Provider>(
        &self,
        provider: P,
        worker: Address,
        now: u64,
    ) -> Result<Result<(), NotPositive>, Error> {
        let state = IEnergyLedger::new(self.address, provider).meterOf(worker).call().await?.state;
        // A status of a later version is none that lets anybody in.
        let status = MeterStatus::of(state.status).unwrap_or(MeterStatus::None);
        let attested = Attested { status, day: state.day, days: state.attestedDays, net_wh: state.netWh.as_i64() };
        Ok(attested.check(&self.asked, now))
    }
}
