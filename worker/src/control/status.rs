//! `status`: how the worker stands, with and without the chain.
use std::time::Duration;

use super::{Control, NotWorking, Status, no_stake};
use crate::{
    account::Account,
    board::{Part, Standing},
    clock::Clock,
    governor::now_secs,
    policy::gas_money::least_gas,
};

/// How long `status` waits for the chain; what needs it is left out after that.
pub(super) const CHAIN_TIMEOUT: Duration = Duration::from_secs(4);

impl Control {
    /// What we take part in.
    pub(super) fn taken_part(&self) -> Vec<Standing> {
        let mut all = self.ctx.governor.board.all();
        all.retain(|row| row.role != Part::Candidate);
        all
    }

    /// How the worker stands.
    pub(super) async fn status(&self) -> Status {
        let ctx = &self.ctx;
        let head = *ctx.heads.borrow();
        let (running_leaves, running_milli_cpu) = ctx.governor.running();
        let read = Account::read(&ctx.chain, ctx.signer.address(), &self.unit);
        // Side by side, and not for long: what does not need the chain must be told without it.
        let (read, transactions) = tokio::join!(tokio::time::timeout(CHAIN_TIMEOUT, read), self.transactions());
        let (account, account_error) = match read {
            Ok(Ok(account)) => (Some(account), None),
            Ok(Err(error)) => (None, Some(format!("{error:#}"))),
            Err(_) => (None, Some(format!("the chain gave no answer within {} s", CHAIN_TIMEOUT.as_secs()))),
        };
        if let Some(wei) = account.as_ref().and_then(|account| account.device_wei.parse().ok()) {
            ctx.governor.set_device_wei(wei, ctx.signer.address());
        }
        let mut not_working: Vec<NotWorking> = ctx.governor.hold().err().map(NotWorking::from).into_iter().collect();
        not_working.extend(account.as_ref().and_then(no_stake).map(NotWorking::from));
        not_working.extend(ctx.governor.gas_money(least_gas()).err().map(NotWorking::from));
        let agreements = ctx.governor.board.all();
        let pending = agreements.iter().filter_map(|row| row.pay.parse::<u128>().ok());
        let pending_pay = pending.fold(0_u128, u128::saturating_add).to_string();
        let now = now_secs();
        Status {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            pid: std::process::id(),
            started_at: self.started_at,
            now,
            clock: Clock::judge(head, now),
            mode: ctx.governor.mode(),
            not_working,
            block: head.number,
            block_time: head.timestamp,
            running_leaves,
            running_milli_cpu,
            caps: ctx.governor.caps(),
            gas_price_wei: ctx.governor.gas_price_wei(),
            agreements,
            pending_pay,
            transactions,
            account,
            account_error,
            attestation: ctx.governor.energy.attestation().map(|attestation| (*attestation).clone()),
        }
    }
}
