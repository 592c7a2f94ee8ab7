//! Work that a pool places: its signed placement lies in the data folder (`sunwork-worker accept-placed` puts it there), so that
//! this process, which alone has journal and nonce, accepts it.
use alloy::primitives::{Bytes, aliases::U40};
use sunwork_protocol::{
    abi::IComputeAgreement::acceptPlacedCall,
    placement::{Placement, SignedPlacement},
    status::Status,
};

use super::Supervisor;
use crate::{
    journal::Agreement,
    step::StepError,
    view::{Head, View},
};

/// Longest file that is read.
const MAX_BYTES: u64 = 64 << 10;

impl Supervisor {
    /// The placement of this work with us that holds now. Whether the pool signed it, the contract says.
    pub(super) async fn placement(&self, view: &View, head: Head) -> Result<Option<SignedPlacement>, StepError> {
        if view.status != Status::Open || self.terms.pool().is_none() {
            return Ok(None);
        }
        let path = self.ctx.folder.placement(self.address);
        let text = match tokio::fs::metadata(&path).await {
            Ok(meta) if meta.len() > MAX_BYTES => return Ok(None),
            Ok(_) => tokio::fs::read(&path).await.map_err(StepError::io("reading a placement"))?,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(StepError::io("reading a placement")(error)),
        };
        let signed: Option<SignedPlacement> = serde_json::from_slice(&text).ok();
        Ok(signed.filter(|signed| {
            let Placement { agreement, worker, expiry } = signed.placement;
            agreement == self.address && worker == self.ctx.me && head.timestamp <= expiry
        }))
    }

    pub(super) async fn accept_placed(&self, view: &View, known: &Agreement) -> Result<(), StepError> {
        self.require_encryption().await?;
        let head = *self.ctx.heads.borrow();
        let signed = self.placement(view, head).await?;
        let signed = signed.ok_or_else(|| StepError::retry("the placement is over"))?;
        // More than 40 bits nobody can have signed; the contract will say so.
        let expiry = U40::saturating_from(signed.placement.expiry);
        let call = acceptPlacedCall { expiry, signature: signed.signature };
        let calldata: Bytes = alloy::sol_types::SolCall::abi_encode(&call).into();
        self.ctx.tx.simulate("accept-placed", self.address, calldata).await?;
        self.ensure_work_salt(known)?;
        self.send("accept-placed", call).await
    }

    pub(super) fn forget_placement(&self) {
        let (agreement, path) = (self.address, self.ctx.folder.placement(self.address));
        if let Err(error) = std::fs::remove_file(path)
            && error.kind() != std::io::ErrorKind::NotFound
        {
            tracing::warn!(%agreement, %error, "cannot delete the placement of a finished agreement");
        }
    }
}
