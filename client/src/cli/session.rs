//! What commands share: settings, output, connection and key.

use std::path::{Path, PathBuf};

use alloy::primitives::Address;
use alloy::signers::local::PrivateKeySigner;
use eyre::{WrapErr, eyre};
use sunwork_edge::tx::{FeePolicy, Notify};
use sunwork_edge::{Deployment, keystore};

use super::exit::{Exit, Failure};
use super::output::Output;
use super::password::{Purpose, password};
use super::settings::Settings;
use crate::client::Client;
use crate::config::{ClientConfig, TxLogPlace};

/// One run of the command.
pub struct Session {
    /// Settled settings.
    pub settings: Settings,
    /// How to print.
    pub output: Output,
}

impl Session {
    /// Nothing is opened yet.
    pub fn new(settings: Settings, output: Output) -> Self {
        Self { settings, output }
    }

    /// Connects for reading only.
    ///
    /// # Errors
    /// With the exit code that fits.
    pub async fn reader(&self) -> Result<Client, Failure> {
        self.connect(self.deployment()?, None).await
    }

    /// Connects with the wallet's key.
    ///
    /// # Errors
    /// With the exit code that fits.
    pub async fn buyer(&self) -> Result<Client, Failure> {
        // The deployment first: nobody shall type a password only to hear that a file is missing.
        let deployment = self.deployment()?;
        let signer = self.signer().map_err(|report| Failure::new(Exit::Config, report))?;
        self.connect(deployment, Some(signer)).await
    }

    fn deployment(&self) -> Result<Deployment, Failure> {
        self.settings.load_deployment().map_err(|error| Failure::new(Exit::Config, error))
    }

    async fn connect(&self, deployment: Deployment, signer: Option<PrivateKeySigner>) -> Result<Client, Failure> {
        let usual = ClientConfig::new(deployment);
        let config = ClientConfig {
            rpc_urls: self.settings.rpc_urls.clone(),
            oracle_urls: self.settings.oracle_urls.clone(),
            fees: FeePolicy {
                max_fee_per_gas_wei: self.settings.max_fee_wei,
                max_tx_cost_wei: Some(self.settings.max_tx_cost_wei),
                ..usual.fees
            },
            // What is sent is written down first: the next command finds what this one could not finish.
            tx_log: TxLogPlace::usual(),
            notify: Notify::to(|notice| eprintln!("{notice}")),
            ..usual
        };
        Ok(Client::connect(config, signer).await?)
    }

    /// Connects for reading an agreement's content: with the wallet's key where the work is confidential, for only that derives
    /// its session key.
    ///
    /// # Errors
    /// With the exit code that fits.
    pub async fn reader_with_key(&self, id: &str) -> Result<(Client, Address), Failure> {
        let client = self.reader().await?;
        let agreement = self.find(&client, id).await?;
        if client.purchase_of(agreement).await?.spec.key_commitment.is_zero() {
            return Ok((client, agreement));
        }
        Ok((self.buyer().await?, agreement))
    }

    /// The agreement that `id` names, and then a client with the wallet's key to do something about it.
    ///
    /// # Errors
    /// With the exit code that fits.
    pub async fn buyer_of(&self, id: &str) -> Result<(Client, Address), Failure> {
        self.deployment()?;
        self.keystore().map_err(|report| Failure::new(Exit::Config, report))?;
        // Nobody shall type a password only to hear that there is nothing of that name.
        let agreement = self.find(&self.reader().await?, id).await?;
        Ok((self.buyer().await?, agreement))
    }

    /// The same; whoever only looks needs no key.
    ///
    /// # Errors
    /// With the exit code that fits.
    pub async fn buyer_unless(&self, only_looks: bool, id: &str) -> Result<(Client, Address), Failure> {
        if !only_looks {
            return self.buyer_of(id).await;
        }
        let client = self.reader().await?;
        let agreement = self.find(&client, id).await?;
        Ok((client, agreement))
    }

    /// The agreement that `text` names: an id, an unambiguous beginning of one, or "last" for the wallet's newest.
    ///
    /// # Errors
    /// With the exit code that fits.
    pub async fn find(&self, client: &Client, text: &str) -> Result<Address, Failure> {
        if text != "last" {
            return Ok(client.find_for(text, self.wallet_address()).await?);
        }
        let account = self.wallet_address().ok_or_else(|| {
            Failure::say(
                Exit::Config,
                "\"last\" means the newest agreement of the wallet, and there is none; give --keystore or an id",
            )
        })?;
        let newest = client.newest_purchase(account).await?;
        newest.ok_or_else(|| {
            Failure::say(Exit::Usage, format!("{account} has bought nothing yet on this deployment; expected an id"))
        })
    }

    /// The wallet's address, without its password; `None` where there is no keystore.
    pub fn wallet_address(&self) -> Option<Address> {
        let text = std::fs::read_to_string(self.keystore().ok()?).ok()?;
        let json: serde_json::Value = serde_json::from_str(&text).ok()?;
        let named = json.get("address").and_then(|address| address.as_str()).and_then(|text| text.parse().ok());
        // Keystores written by `wallet create` carry the address in their name only.
        named.or_else(|| self.keystore().ok()?.file_stem()?.to_str()?.parse().ok())
    }

    /// The wallet's address, for commands that need one but no password.
    ///
    /// # Errors
    /// When there is not exactly one wallet, or its file names no address.
    pub fn account(&self) -> Result<Address, Failure> {
        let path = self.keystore().map_err(|report| Failure::new(Exit::Config, report))?;
        self.wallet_address().ok_or_else(|| {
            let sentence = format!("the keystore {} cannot be read, or names no address", path.display());
            Failure::say(Exit::Config, sentence)
        })
    }

    /// The wallet's key, opened with its password.
    ///
    /// # Errors
    /// When there is no keystore, no password, or the wrong one.
    pub fn signer(&self) -> eyre::Result<PrivateKeySigner> {
        let path = self.keystore()?;
        let password = password(self.settings.password_file.as_deref(), Purpose::Open)?;
        keystore::load(&path, &password).wrap_err("opening the wallet")
    }

    /// The keystore file.
    ///
    /// # Errors
    /// When there is not exactly one, or no home folder to look in.
    pub fn keystore(&self) -> eyre::Result<PathBuf> {
        match &self.settings.keystore {
            Some(path) if path.is_dir() => only_keystore(path),
            Some(path) => Ok(path.clone()),
            None => only_keystore(&Settings::keystore_dir()?),
        }
    }
}

fn only_keystore(dir: &Path) -> eyre::Result<PathBuf> {
    let mut files: Vec<PathBuf> = std::fs::read_dir(dir)
        .into_iter()
        .flatten()
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| path.is_file() && path.extension().is_some_and(|e| e == "json"))
        .collect();
    match (files.pop(), files.len()) {
        (Some(file), 0) => Ok(file),
        (None, _) => Err(eyre!(
            "there is no wallet in {dir:?}; make one with `sunwork wallet create`, or name one with --keystore FILE"
        )),
        (Some(_), more) => Err(eyre!("{dir:?} holds {} wallets; name one with --keystore FILE", more + 1)),
    }
}
