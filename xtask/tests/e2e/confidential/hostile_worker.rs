//! A worker that the test plays itself.

use std::time::{Duration, Instant};

use alloy::{
    primitives::{Address, B256},
    sol_types::SolCall,
};
use eyre::{ensure, eyre};
use sunwork_client::Client;
use sunwork_protocol::{
    abi::IComputeAgreement,
    bundle,
    envelope::{self, Context, Purpose, SecretKey},
    leaf::LeafRecord,
    mail::{Message, TOPIC_KEY},
    session::SessionKey,
};
use xtask::accounts;

use super::LEAVES;
use crate::support::Net;

/// An account that is a registered worker and does what the test says.
pub(crate) struct HostileWorker {
    client: Client,
}

impl HostileWorker {
    pub(crate) async fn register(net: &Net) -> eyre::Result<Self> {
        use sunwork_protocol::abi::{IWorkerDispatcher, SunToken};

        let client = net.devnet.client(accounts::CLIENT_2).await?;
        let deployment = &net.devnet.deployment;
        let class = deployment
            .class_id(xtask::apps::class(xtask::devnet::Runtime::Docker))
            .ok_or_else(|| eyre!("no class for this machine"))?;
        let kind = client.dispatcher().kind(0).call().await?;
        let stake = alloy::primitives::U256::from(2500 * xtask::devnet::SUN);
        let register = IWorkerDispatcher::registerWorkerCall {
            payout: accounts::CLIENT_2.address,
            classes: alloy::primitives::aliases::U48::from(1_u64 << class),
            kindHashes: vec![kind.codeHash],
            encryptionKey: SecretKey::derive(&[3; 32]).public(),
            transportKey: B256::ZERO,
        };
        let approve = SunToken::approveCall { spender: deployment.dispatcher, amount: stake };
        let worker = Self { client };
        worker.send(deployment.dispatcher, register).await?;
        worker.send(deployment.token, approve).await?;
        worker.send(deployment.dispatcher, IWorkerDispatcher::stakeCall { amount: stake }).await?;
        // Classes and stake count from the next epoch on.
        let staked = net.client.dispatcher().epoch().call().await?;
        while net.client.dispatcher().epoch().call().await? <= staked {
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
        Ok(worker)
    }

    pub(crate) fn address(&self) -> Address {
        accounts::CLIENT_2.address
    }

    pub(crate) fn client(&self) -> &Client {
        &self.client
    }

    /// What mail to it is opened with.
    pub(crate) fn message_key(&self) -> SecretKey {
        SecretKey::derive(&[3; 32])
    }

    pub(crate) async fn send(&self, to: Address, call: impl SolCall) -> eyre::Result<()> {
        self.client.transactions()?.send("hostile", to, call.abi_encode().into()).await?;
        Ok(())
    }

    /// A well-formed bundle of nothing, stored at the oracle, and the seal over it.
    pub(crate) async fn bundle(
        &self,
        net: &Net,
        agreement: Address,
    ) -> eyre::Result<IComputeAgreement::sealResultCall> {
        let salt = B256::repeat_byte(5);
        let record = LeafRecord::app_failed(1);
        let bodies: Vec<Vec<u8>> = (0..LEAVES)
            .map(|leaf| {
                let key = bundle::leaf_key(&[7; 32], &salt, agreement, 0, leaf);
                bundle::encrypt_leaf(&key, agreement, leaf, &bundle::plaintext(&record, &[]))
            })
            .collect();
        let lengths: Vec<u64> = bodies.iter().map(|body| body.len() as u64).collect();
        let mut writer = bundle::BundleWriter::new(Vec::new(), &lengths)?;
        for body in &bodies {
            writer.append(&mut body.as_slice())?;
        }
        let path = net.files.path().join("hostile-bundle");
        std::fs::write(&path, writer.finish()?)?;
        let hashes: Vec<[u8; 32]> = bodies.iter().map(|body| bundle::body_hash(body)).collect();
        Ok(IComputeAgreement::sealResultCall {
            seal_: B256::repeat_byte(6),
            ciphertextRoot: bundle::ciphertext_root(&hashes),
            resultBlob: self.client.blobs().put_file(&path).await?,
            location: alloy::primitives::Bytes::new(),
        })
    }

    pub(crate) async fn mail_key(
        &self,
        net: &Net,
        agreement: Address,
        to: Address,
        key: &SessionKey,
    ) -> eyre::Result<()> {
        let recipient = net.client.dispatcher().encryptionKeyOf(to).call().await?;
        let chain_id = net.devnet.deployment.chain_id;
        let context = Context { purpose: Purpose::VerifierKey, chain_id, agreement, attempt: 0 };
        let body = envelope::seal_key(recipient, &context, key, [9; 32])?;
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH)?.as_millis() as u64;
        let message = Message::new(agreement, recipient, TOPIC_KEY, now, body)?;
        let until = Instant::now() + Duration::from_secs(20);
        // The oracle learns of the draw a block later.
        while let Err(error) = self.client.mail().send(&accounts::CLIENT_2.signer()?, message.clone()).await {
            ensure!(Instant::now() < until, "the mailbox refuses the worker's mail: {error}");
            tokio::time::sleep(Duration::from_millis(250)).await;
        }
        Ok(())
    }
}
