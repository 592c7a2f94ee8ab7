//! `sunwork wallet`: keys and money.

use std::borrow::Cow;
use std::io::Read;
use std::path::Path;
use std::time::Duration;

use alloy::primitives::{Address, B256, Bytes, U256};
use alloy::providers::Provider;
use alloy::signers::local::PrivateKeySigner;
use alloy::sol_types::SolCall;
use eyre::{WrapErr, bail, eyre};
use serde_json::json;
use sunwork_edge::keystore;
use sunwork_protocol::abi::SunToken;

use super::args::WalletCommand;
use super::balances::{Balances, allow_exactly, open_transactions, show_ether, show_open};
use super::config_file::write_advice;
use super::exit::{Exit, Failure};
use super::output::fields;
use super::password::{Purpose, password};
use super::session::Session;
use super::settings::Settings;
use crate::chain::amount;
use crate::client::{Client, NoSigner};

/// A private key is 64 digits; what is much longer is another file.
const MAX_KEY_FILE_BYTES: u64 = 1024;
/// Ether for gas that the faucet brings an account to, wei.
const FAUCET_WEI: u64 = 10_000_000_000_000_000_000;

/// Runs the command.
///
/// # Errors
/// With the exit code that fits.
pub async fn run(session: &Session, command: WalletCommand) -> Result<Exit, Failure> {
    match command {
        WalletCommand::Create => create(session),
        WalletCommand::Import { file } => import(session, &file),
        WalletCommand::Balance => balance(session).await,
        WalletCommand::Approve { amount } => approve(session, &amount).await,
        WalletCommand::Withdraw => withdraw(session).await,
        WalletCommand::Agent { agent } => super::agent::run(session, agent.as_deref()).await,
        WalletCommand::Faucet { amount } => faucet(session, &amount).await,
    }
}

fn create(session: &Session) -> Result<Exit, Failure> {
    store(session, &PrivateKeySigner::random()).map_err(|report| Failure::new(Exit::Config, report))
}

fn import(session: &Session, file: &Path) -> Result<Exit, Failure> {
    let work = || -> eyre::Result<Exit> { store(session, &read_key(file)?) };
    work().map_err(|report| Failure::new(Exit::Config, report))
}

fn store(session: &Session, signer: &PrivateKeySigner) -> eyre::Result<Exit> {
    let dir = match &session.settings.keystore {
        Some(path) if path.exists() && !path.is_dir() => {
            bail!("{path:?} is a wallet already; name a folder with --keystore to store another one")
        }
        Some(path) => path.clone(),
        // A second one there would make every command ask which is meant, and hide the first with its money.
        None => match session.keystore() {
            Ok(wallet) => bail!(
                "there is a wallet already: {}; name another folder with --keystore FOLDER to store a second one",
                wallet.display()
            ),
            Err(_) => Settings::keystore_dir()?,
        },
    };
    // Before anybody thinks of a password: a place that cannot be written is said first.
    writable(&dir)?;
    let password = password(session.settings.password_file.as_deref(), Purpose::Make)?;
    let path = keystore::store(&dir, signer, &password).wrap_err("storing the key")?;
    let document = json!({ "address": signer.address(), "keystore": path });
    session.output.document("wallet", &document, || {
        let pairs = [("address", signer.address().to_string()), ("keystore", path.display().to_string())];
        format!(
            "{}Back up the file and its password: whoever has both has the money and can read your confidential work; without \
             them nobody can.\nNext:  sunwork doctor\n",
            fields(&pairs)
        )
    });
    Ok(Exit::Ok)
}

/// Makes the folder and tries whether a file can be written there.
fn writable(dir: &Path) -> eyre::Result<()> {
    let probe = dir.join(".sunwork-probe");
    let tried = std::fs::create_dir_all(dir)
        .and_then(|()| std::fs::write(&probe, []))
        .and_then(|()| std::fs::remove_file(&probe));
    tried.map_err(|error| {
        eyre!("cannot store a key in {dir:?}: {error}; {}, such as --keystore FOLDER", write_advice(error.kind()))
    })
}

fn read_key(file: &Path) -> eyre::Result<PrivateKeySigner> {
    let mut text = String::new();
    let read = if file == Path::new("-") {
        std::io::stdin().lock().take(MAX_KEY_FILE_BYTES).read_to_string(&mut text)
    } else {
        let open = std::fs::File::open(file).wrap_err_with(|| format!("reading the key from {file:?}"))?;
        open.take(MAX_KEY_FILE_BYTES).read_to_string(&mut text)
    };
    read.wrap_err("reading the key")?;
    // What was given is not repeated: it may be a key with a typing error.
    text.trim()
        .parse()
        .map_err(|_| eyre!("what was given is no private key; expected 64 hex digits, with or without 0x"))
}

async fn balance(session: &Session) -> Result<Exit, Failure> {
    let client = session.reader().await?;
    let account = session.account()?;
    let Balances { balance: tokens, allowance, owed, wei } = Balances::read(&client, account).await?;
    let open = open_transactions(&client, account).await;
    let unit = client.unit();
    let document = json!({
        "address": account,
        "token": unit.symbol,
        "decimals": unit.decimals,
        "balance": tokens.to_string(),
        "allowance": allowance.to_string(),
        "owed": owed.to_string(),
        "wei": wei.to_string(),
        "open": open,
    });
    session.output.document("wallet", &document, || {
        let mut text = fields(&[
            ("address", account.to_string()),
            ("balance", unit.show(tokens)),
            ("allowance", format!("{} may be taken for purchases", unit.show(allowance))),
            ("owed", unit.show(owed)),
            ("for gas", show_ether(wei)),
        ]);
        if owed > 0 {
            text.push_str("get what is owed with:  sunwork wallet withdraw\n");
        }
        text.push_str(&show_open(&open));
        text
    });
    Ok(Exit::Ok)
}

async fn approve(session: &Session, text: &str) -> Result<Exit, Failure> {
    let client = session.buyer().await?;
    let account = client.address().ok_or(NoSigner)?;
    let allowed = client.unit().parse(text)?;
    let before = Balances::read(&client, account).await?;
    let tx = allow_exactly(&client, account, allowed).await?;
    let document = json!({ "allowance": allowed.to_string(), "before": before.allowance.to_string(), "tx": tx });
    let (shown, was) = (client.unit().show(allowed), client.unit().show(before.allowance));
    session.output.document("wallet", &document, || match tx {
        None => format!("the dispatcher may take exactly {shown} already; nothing was sent"),
        Some(_) if allowed == 0 => format!("the dispatcher may take nothing any more (before: {was})"),
        Some(_) => format!("the dispatcher may take exactly {shown} for purchases (before: {was}); 0 takes it back"),
    });
    Ok(Exit::Ok)
}

async fn withdraw(session: &Session) -> Result<Exit, Failure> {
    let client = session.buyer().await?;
    let account = client.address().ok_or(NoSigner)?;
    let before = Balances::read(&client, account).await?;
    let owed = before.owed;
    let tx = if owed == 0 { None } else { Some(client.withdraw().await?.transaction_hash) };
    let after = Balances::read(&client, account).await?;
    let document = json!({ "withdrawn": owed.to_string(), "tx": tx, "before": before, "after": after });
    session.output.document("wallet", &document, || {
        if owed == 0 {
            return "nothing is owed to this wallet".into();
        }
        format!("{} sent to {account}\n{}", client.unit().show(owed), before.change(&after, client.unit()))
    });
    Ok(Exit::Ok)
}

async fn faucet(session: &Session, text: &str) -> Result<Exit, Failure> {
    let client = session.reader().await?;
    let account = session.account()?;
    let wanted = client.unit().parse(text)?;
    let giver = client.deployment().owner;
    drip(&client, account, giver, wanted).await.map_err(|report| Failure::new(Exit::Failed, report))?;
    let document = json!({ "address": account, "received": wanted.to_string() });
    let shown = client.unit().show(wanted);
    session.output.document("wallet", &document, || format!("{account} got {shown}, and ether for gas"));
    Ok(Exit::Ok)
}

/// Test money, from the deployment's owner: only an anvil node lets anybody act for an account without its key.
async fn drip(client: &Client, account: Address, giver: Address, wanted: u128) -> eyre::Result<()> {
    let provider = client.rpc().provider();
    let version = provider.get_client_version().await.wrap_err("asking the node what it is")?;
    if !version.to_ascii_lowercase().starts_with("anvil") {
        bail!("the faucet works on a development network only: the node is {version:?}, expected anvil");
    }
    let have = amount(client.token().balanceOf(giver).call().await.wrap_err("reading the faucet's balance")?);
    if have < wanted {
        let unit = client.unit();
        bail!("the faucet ({giver}, the deployment's owner) holds {}, wanted {}", unit.show(have), unit.show(wanted));
    }
    let call = |method: &'static str, params: serde_json::Value| async move {
        let answer = provider.raw_request::<_, serde_json::Value>(Cow::Borrowed(method), params).await;
        answer.wrap_err_with(|| format!("calling {method}"))
    };
    for receiver in [account, giver] {
        let ether = provider.get_balance(receiver).await.wrap_err("reading an ether balance")?;
        if ether < U256::from(FAUCET_WEI) {
            call("anvil_setBalance", json!([receiver, U256::from(FAUCET_WEI)])).await?;
        }
    }
    let input = SunToken::transferCall { to: account, amount: U256::from(wanted) }.abi_encode();
    call("anvil_impersonateAccount", json!([giver])).await?;
    let transaction = json!([{ "from": giver, "to": client.deployment().token, "data": Bytes::from(input) }]);
    let sent = call("eth_sendTransaction", transaction).await;
    call("anvil_stopImpersonatingAccount", json!([giver])).await?;
    let hash: B256 = serde_json::from_value(sent?).wrap_err("reading the transaction's hash")?;
    for _ in 0..120 {
        if let Some(receipt) = provider.get_transaction_receipt(hash).await.wrap_err("waiting for the transfer")? {
            return if receipt.status() { Ok(()) } else { Err(eyre!("the faucet's transfer {hash} reverted")) };
        }
        tokio::time::sleep(Duration::from_millis(250)).await;
    }
    bail!("the faucet's transfer {hash} is not mined after 30 s; does the network make blocks?")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_read_and_never_repeated() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("key");
        std::fs::write(&path, format!("0x{}\n", "11".repeat(32))).unwrap();
        assert!(read_key(&path).is_ok());
        std::fs::write(&path, "secretsecret").unwrap();
        let error = read_key(&path).unwrap_err().to_string();
        assert!(error.contains("expected 64 hex digits") && !error.contains("secret"), "{error}");
        assert!(format!("{:#}", read_key(Path::new("/nowhere/key")).unwrap_err()).contains("/nowhere/key"));
    }
}
