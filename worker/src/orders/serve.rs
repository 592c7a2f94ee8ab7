//! The worker's side: looks into the folder, and takes what is there, one order after the other.
use std::{sync::Arc, time::Duration};

use alloy::{
    primitives::{Address, B256},
    providers::Provider,
    sol_types::{SolCall, SolEvent},
};
use eyre::{WrapErr, bail, eyre};
use sunwork_edge::tx::Receipt;
use sunwork_protocol::{
    abi::{ISignedOrders, IWorkerDispatcher},
    order::SignedOrder,
    terms::{ComputeSpec, ComputeTerms},
};

use super::{Answer, Inbox, OrderFacts, check};
use crate::{
    context::{Context, OracleBlobs},
    policy::{Offer, gas_units::worker_gas, price::Booking},
    refusal::Refusal,
    runtime::{ImageRef, Limits},
};

/// Serves the folder until the worker stops. What is under way then is left as it is: the next start says so.
pub async fn serve(ctx: Arc<Context>, inbox: Inbox, poll: Duration) {
    for hash in inbox.begun() {
        let reason = "the worker was ended while it took this order, and it may have it: see `sunwork-worker status`; if not, take it \
                      again"
            .to_owned();
        say(&inbox, hash, &Answer::Refused { reason });
    }
    let serving = async {
        loop {
            for hash in inbox.waiting() {
                let answer = match take(&ctx, &inbox, hash).await {
                    Ok((agreement, tx)) => {
                        tracing::info!(order = %hash, %agreement, %tx, "took a signed offer");
                        Answer::Taken { agreement, tx }
                    }
                    Err(error) => {
                        let reason = format!("{error:#}");
                        tracing::info!(order = %hash, reason, "did not take a signed offer");
                        Answer::Refused { reason }
                    }
                };
                say(&inbox, hash, &answer);
            }
            tokio::time::sleep(poll).await;
        }
    };
    tokio::select! {
        () = ctx.shutdown.cancelled() => {}
        () = serving => {}
    }
}

fn say(inbox: &Inbox, hash: B256, answer: &Answer) {
    if let Err(error) = inbox.answer(hash, answer) {
        tracing::warn!(order = %hash, %error, "cannot answer to an order");
    }
}

/// One order, from the look at it to the mined transaction.
async fn take(ctx: &Context, inbox: &Inbox, hash: B256) -> eyre::Result<(Address, B256)> {
    let signed = inbox.read(hash)?;
    let deployment = &ctx.chain.deployment;
    let found = signed.order.hash(deployment.chain_id, deployment.dispatcher)?;
    if found != hash {
        bail!("the order is {found} on this chain, its file is named {hash}; hand it over with `sunwork-worker take`");
    }
    // A later word of the owner goes before schedule, idle rule and prices, which are not asked here; not before a pause.
    ctx.governor.open_to_orders()?;
    let facts = facts(ctx, &signed, hash).await?;
    let (terms, spec) = check(&signed, |class| deployment.class_name(class), &facts, &ctx.governor.limits())?;
    ctx.governor.gas_money(worker_gas(terms.trust_level, terms.verifiers))?;
    ctx.governor.policy().images.check(&ImageRef::of_spec(&spec))?;
    ctx.governor.policy().hosts.check(&spec.hosts)?;
    ready(ctx, &terms, &spec).await?;
    reserve_energy(ctx, &hash.to_string(), &terms, &spec)?;
    let SignedOrder { order, spec, signature } = signed;
    let call = IWorkerDispatcher::acceptOfferCall { order: order.typed()?.into(), spec, signature };
    let calldata = alloy::primitives::Bytes::from(call.abi_encode());
    // What the client has and allows, and who was first, is said here before anything is paid.
    let tried = ctx.tx.simulate("accept-offer", deployment.dispatcher, calldata.clone()).await;
    if tried.is_err() {
        ctx.governor.energy.release(&hash.to_string());
    }
    tried?;
    inbox.begin(hash)?;
    let receipt = ctx.tx.send("accept-offer", deployment.dispatcher, calldata).await?;
    let agreement = agreement_of(&receipt, hash)
        .ok_or_else(|| eyre!("transaction {} took the order and names no agreement", receipt.transaction_hash))?;
    Ok((agreement, receipt.transaction_hash))
}

async fn facts(ctx: &Context, signed: &SignedOrder, hash: B256) -> eyre::Result<OrderFacts> {
    let (chain, client) = (&ctx.chain, signed.order.client);
    let to = chain.deployment.dispatcher;
    let orders = ISignedOrders::new(to, chain.rpc().provider());
    let uses = orders.orderUses(client, hash).call().await.wrap_err("reading how often the order was used")?;
    let nonce = orders.orderNonceOf(client).call().await.wrap_err("reading the client's order nonce")?;
    let code = chain.rpc().provider().get_code_at(client).await.wrap_err("looking whether the client is a contract")?;
    let (_, now) = chain.rpc().latest().await.wrap_err("reading the newest block")?;
    let info = chain.worker_info(ctx.me).await?;
    // Terms that cannot be read are refused for that.
    let is_green = ComputeTerms::unpack(&signed.order.terms).is_ok_and(|terms| terms.is_green_only());
    let implementation = chain.deployment.compute_implementation;
    let not_positive = match is_green {
        true => chain.positive(implementation, ctx.me, now).await?.err(),
        false => None,
    };
    Ok(OrderFacts {
        me: ctx.me,
        now,
        uses,
        nonce,
        classes: info.classes.to(),
        not_positive,
        free_stake: info.bonded.saturating_sub(info.locked).to(),
        chain_id: chain.deployment.chain_id,
        dispatcher: to,
        client_has_code: !code.is_empty(),
    })
}

/// The owner names the order, and the battery still has the last word: an agreement that is taken must be kept.
fn reserve_energy(ctx: &Context, key: &str, terms: &ComputeTerms, spec: &ComputeSpec) -> Result<(), Refusal> {
    let at_once = ctx.governor.leaves_at_once(Limits::of_spec(spec));
    let needs_secs = u64::from(spec.leaf_secs) * u64::from(terms.leaf_count.div_ceil(at_once));
    let booking = Booking {
        milli_cpu: spec.milli_cpu,
        memory_mib: spec.memory_mib,
        leaf_secs: spec.leaf_secs,
        leaves: terms.leaf_count,
    };
    let window_secs = u64::from(terms.work_secs);
    let needs_secs = needs_secs.min(window_secs);
    let offer = Offer { pay: 0, booking, gas_units: 0, transfer_bytes: 0, needs_secs, window_secs };
    ctx.governor.energy.reserve(key, &offer)
}

/// Image and inputs can be had: stake is locked with the transaction, and the time to work begins.
async fn ready(ctx: &Context, terms: &ComputeTerms, spec: &ComputeSpec) -> eyre::Result<()> {
    if terms.is_confidential() {
        let Some(secret) = &ctx.encryption else { bail!(Refusal::NoEncryptionKey) };
        let (own, published) = (secret.public(), ctx.chain.encryption_key_of(ctx.me).await?);
        if own != published {
            bail!(Refusal::EncryptionKey { own, published });
        }
    }
    ctx.runtime.prepare(&ImageRef::of_spec(spec), &OracleBlobs(&ctx.blobs)).await.wrap_err("fetching the image")?;
    for input in &spec.inputs {
        let there = ctx.blobs.has(input.sha256).await;
        if !there.wrap_err_with(|| format!("looking for the input {:?}", input.name))? {
            bail!("no oracle has the input {:?} ({}); the client must upload it", input.name, input.sha256);
        }
    }
    Ok(())
}

fn agreement_of(receipt: &Receipt, hash: B256) -> Option<Address> {
    let used = |log: &alloy::rpc::types::Log| ISignedOrders::OrderUsed::decode_log(&log.inner).ok();
    let events = receipt.inner.logs().iter().filter_map(used);
    events.filter(|event| event.orderHash == hash).map(|event| event.agreement).next()
}
