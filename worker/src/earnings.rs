//! What was earned and lost, by agreement and by day, from the chain's events. Days are of UTC, as accounts are kept.
use std::collections::BTreeMap;

use alloy::{
    eips::{BlockId, BlockNumberOrTag},
    network::BlockResponse,
    primitives::Address,
    providers::Provider,
    rpc::types::{Filter, Log},
    sol_types::SolEvent,
};
use eyre::{WrapErr, eyre};
use serde::{Deserialize, Serialize};
use sunwork_protocol::abi::IWorkerDispatcher::StakeReleased;

use crate::{
    chain::{Chain, LOG_CHUNK_BLOCKS},
    energy::handle::{Spent, key},
};

/// Most days that are read at once.
pub const MAX_DAYS: u32 = 3660;

/// One agreement that ended for us. Amounts are decimal texts in the token's smallest unit.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Earning {
    /// When, Unix seconds.
    pub time: u64,
    /// Block.
    pub block: u64,
    /// The agreement.
    pub agreement: Address,
    /// Credited to the payout account.
    pub paid: String,
    /// Taken from the stake.
    pub slashed: String,
    /// Stake that was freed.
    pub released: String,
    /// The transaction.
    pub tx: String,
}

/// A day of them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Day {
    /// "2026-06-05".
    pub day: String,
    /// Agreements that ended.
    pub agreements: u64,
    /// Credited.
    pub paid: String,
    /// Taken from the stake.
    pub slashed: String,
}

/// Reads what ended in the last `days`.
///
/// # Errors
/// When the chain cannot be asked.
pub async fn read(chain: &Chain, worker: Address, days: u32) -> eyre::Result<Vec<Earning>> {
    let (head, now) = chain.rpc().latest().await.wrap_err("reading the newest block")?;
    let begin = now.saturating_sub(u64::from(days.min(MAX_DAYS)) * 86_400);
    let mut from = first_block_at(chain, begin, head).await?;
    let mut earnings = Vec::new();
    let mut times = BTreeMap::new();
    while from <= head {
        let to = head.min(from + LOG_CHUNK_BLOCKS - 1);
        let filter = Filter::new()
            .address(chain.deployment.dispatcher)
            .event_signature(StakeReleased::SIGNATURE_HASH)
            .topic1(worker.into_word())
            .from_block(from)
            .to_block(to);
        let logs = chain.rpc().provider().get_logs(&filter).await.wrap_err("reading what was paid")?;
        for log in logs.iter().filter(|log| !log.removed) {
            earnings.extend(earning(chain, log, &mut times).await?);
        }
        from = to + 1;
    }
    Ok(earnings)
}

async fn earning(chain: &Chain, log: &Log, times: &mut BTreeMap<u64, u64>) -> eyre::Result<Option<Earning>> {
    let (Ok(event), Some(block)) = (StakeReleased::decode_log(&log.inner), log.block_number) else { return Ok(None) };
    let time = match (log.block_timestamp, times.get(&block)) {
        (Some(time), _) | (None, Some(&time)) => time,
        (None, None) => time_of(chain, block).await?,
    };
    times.insert(block, time);
    Ok(Some(Earning {
        time,
        block,
        agreement: event.agreement,
        paid: event.paid.to_string(),
        slashed: event.slashed.to_string(),
        released: event.released.to_string(),
        tx: log.transaction_hash.map(|hash| hash.to_string()).unwrap_or_default(),
    }))
}

async fn time_of(chain: &Chain, number: u64) -> eyre::Result<u64> {
    let id = BlockId::Number(BlockNumberOrTag::Number(number));
    let block = chain.rpc().provider().get_block(id).await.wrap_err("reading a block")?;
    Ok(block.ok_or_else(|| eyre!("the node does not know block {number}"))?.header().timestamp)
}

/// The first block at or after a time, by halving; never before the deployment.
async fn first_block_at(chain: &Chain, time: u64, head: u64) -> eyre::Result<u64> {
    let (mut low, mut high) = (chain.deployment.deployed_block.min(head), head);
    while low < high {
        let middle = low + (high - low) / 2;
        if time_of(chain, middle).await? < time { low = middle + 1 } else { high = middle }
    }
    Ok(low)
}

/// "2026-06-05" of a Unix time, in UTC.
pub fn day_of(time: u64) -> String {
    let moment = i64::try_from(time).ok().and_then(|secs| jiff::Timestamp::from_second(secs).ok()).unwrap_or_default();
    moment.to_zoned(jiff::tz::TimeZone::UTC).date().to_string()
}

/// By day, the oldest first.
pub fn by_day(earnings: &[Earning]) -> Vec<Day> {
    let number = |text: &String| text.parse::<u128>().unwrap_or(0);
    let mut days: BTreeMap<String, (u64, u128, u128)> = BTreeMap::new();
    for earning in earnings {
        let (count, paid, slashed) = days.entry(day_of(earning.time)).or_default();
        *count += 1;
        *paid = paid.saturating_add(number(&earning.paid));
        *slashed = slashed.saturating_add(number(&earning.slashed));
    }
    let day = |(day, (agreements, paid, slashed)): (String, (u64, u128, u128))| Day {
        day,
        agreements,
        paid: paid.to_string(),
        slashed: slashed.to_string(),
    };
    days.into_iter().map(day).collect()
}

/// A table for spreadsheets, one line per agreement. No field holds a comma, a quote or a newline.
/// Energy is of those agreements that the running worker knows of, milliwatt hours and whether they were measured.
pub fn csv(earnings: &[Earning], energy: &BTreeMap<String, Spent>) -> String {
    let mut text =
        String::from("day,time,block,agreement,paid,slashed,released,transaction,energy_mwh,energy_source\n");
    for Earning { time, block, agreement, paid, slashed, released, tx } in earnings {
        let day = day_of(*time);
        let spent = energy.get(&key(*agreement));
        let mwh = spent.map(|spent| spent.milliwatt_hours.to_string()).unwrap_or_default();
        let source = spent.map_or("", |spent| if spent.measured { "measured" } else { "modelled" });
        text.push_str(&format!("{day},{time},{block},{agreement},{paid},{slashed},{released},{tx},{mwh},{source}\n"));
    }
    text
}

/// The same, one line per day.
pub fn csv_by_day(earnings: &[Earning]) -> String {
    let mut text = String::from("day,agreements,paid,slashed\n");
    for Day { day, agreements, paid, slashed } in by_day(earnings) {
        text.push_str(&format!("{day},{agreements},{paid},{slashed}\n"));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn earning(time: u64, paid: u128, slashed: u128) -> Earning {
        Earning {
            time,
            block: 7,
            agreement: Address::repeat_byte(1),
            paid: paid.to_string(),
            slashed: slashed.to_string(),
            released: "5".into(),
            tx: "0xab".into(),
        }
    }

    #[test]
    fn days_are_of_utc_and_add_up() {
        // 2026-06-05T23:59:59Z and a second later.
        let earnings = [earning(1_780_703_999, 10, 0), earning(1_780_704_000, 20, 3), earning(1_780_704_001, 1, 1)];
        let text = csv_by_day(&earnings);
        assert_eq!(text, "day,agreements,paid,slashed\n2026-06-05,1,10,0\n2026-06-06,2,21,4\n");
        let spent = Spent { milliwatt_hours: 7_300, direct_milliwatt_hours: 0, measured: false };
        let each = csv(&earnings, &BTreeMap::from([(key(Address::repeat_byte(1)), spent)]));
        assert_eq!(each.lines().count(), 4);
        assert_eq!(
            each.lines().nth(1),
            Some("2026-06-05,1780703999,7,0x0101010101010101010101010101010101010101,10,0,5,0xab,7300,modelled")
        );
    }
}
