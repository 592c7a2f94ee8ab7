//! What every supervisor of one worker shares.
use std::sync::Arc;

use alloy::{primitives::Address, signers::local::PrivateKeySigner};
use futures::future::BoxFuture;
use sunwork_edge::{
    TxManager,
    blobs::{BlobClient, BlobError},
    mail::MailClient,
};
use sunwork_protocol::envelope::SecretKey;
use tokio::sync::{Semaphore, watch};
use tokio_util::sync::CancellationToken;

use crate::{
    chain::Chain,
    config::Limits,
    folder::Folder,
    journal::Journal,
    machine::Params,
    runtime::{BlobSource, BlobSourceError, Runtime},
    timings::Timings,
    view::Head,
};

/// One worker's hands and memory.
pub struct Context {
    /// Reads.
    pub chain: Chain,
    /// Writes.
    pub tx: TxManager,
    /// What was promised.
    pub journal: Arc<Journal>,
    /// Bytes from and to oracles.
    pub blobs: BlobClient,
    /// Sealed messages to and from the other parties.
    pub mail: MailClient,
    /// Signs mail: the same key as that of `tx`.
    pub signer: PrivateKeySigner,
    /// Opens what is sealed to us; without it only public work is done.
    pub encryption: Option<SecretKey>,
    /// Runs leaves.
    pub runtime: Arc<dyn Runtime>,
    /// Files.
    pub folder: Folder,
    /// Own limits.
    pub limits: Limits,
    /// The identity; `tx` may sign with a device's key.
    pub me: Address,
    /// Deployment parameters.
    pub params: Params,
    /// One permit per leaf that runs.
    pub leaf_permits: Arc<Semaphore>,
    /// How long leaves took.
    pub timings: Timings,
    /// The newest block.
    pub heads: watch::Receiver<Head>,
    /// Ends everything.
    pub shutdown: CancellationToken,
    /// Blocks after which an ending is believed.
    pub finality_blocks: u64,
}

/// Blobs for the runtime.
pub struct OracleBlobs<'a>(pub &'a BlobClient);

impl BlobSource for OracleBlobs<'_> {
    fn fetch<'a>(
        &'a self,
        sha256: [u8; 32],
        max_bytes: u64,
        path: &'a std::path::Path,
    ) -> BoxFuture<'a, Result<(), BlobSourceError>> {
        Box::pin(async move {
            self.0.get_to_file(sha256, max_bytes, path).await.map_err(|error| match error {
                BlobError::NotFound { .. } => BlobSourceError::Unknown(error.to_string()),
                other => BlobSourceError::Temporary(other.to_string()),
            })
        })
    }
}
