//! Clocks that jump by hours, both ways, with an agreement in hand: deadlines are the chain's.
use std::time::{Duration, Instant};

use alloy::primitives::Address;
use eyre::{bail, ensure};
use serde_json::Value;
use sunwork_protocol::status::{Ending, Status};
use tokio::time::sleep;

use super::{LIMIT, Net, Owner, expect_well, settings::hang_up, until};
use crate::support::expect;

const HOUR: i64 = 3600;
/// By how much the clocks are wrong from each of these states on, seconds. Session keys are mailed with clocks that are ahead, which an
/// oracle would refuse by their own word.
const JUMPS: [(Status, i64); 3] =
    [(Status::Working, -7 * HOUR), (Status::Sealed, 5 * HOUR), (Status::Verifying, -3 * HOUR)];

/// The agreement, which is confidential, so that keys and openings are mailed with these clocks.
pub(super) async fn a_clock_that_jumps_loses_nothing(
    net: &mut Net,
    owner: &Owner,
    agreement: Address,
) -> eyre::Result<()> {
    owner.write("")?;
    hang_up(net, "read the settings again").await?;
    let end = Instant::now() + LIMIT;
    let mut jumps = JUMPS.into_iter().peekable();
    let mut made = 0;
    let ending = loop {
        net.devnet.expect_alive()?;
        let view = net.view(agreement).await?;
        let Some(status) = Status::from_u8(view.status as u8) else { bail!("unknown status") };
        if status.is_final() {
            break Ending::from_u8(view.ending as u8);
        }
        // A state that was over before it was seen does not matter.
        if let Some((_, offset_secs)) = jumps.next_if(|(at, _)| status as u8 >= *at as u8) {
            owner.set_clock(offset_secs)?;
            made += 1;
            let (state, word) = if offset_secs > 0 { ("ahead", "ahead of") } else { ("behind", "behind") };
            let worker = &net.devnet.workers[0];
            let off = |said: &Value| {
                let clock = &said["daemon"]["clock"];
                clock["state"] == state && clock["offSecs"].as_i64().is_some_and(|off| (off - offset_secs).abs() < 120)
            };
            until(worker, &["status"], "the clock that is wrong", off).await?;
            let table = worker.once(&["status"]).await?;
            let line = table.lines().find(|line| line.trim_start().starts_with("Clock ")).unwrap_or_default();
            ensure!(line.contains(word) && line.contains("the newest block"), "{table}");
        }
        ensure!(Instant::now() < end, "the agreement is still {status}");
        sleep(Duration::from_millis(100)).await;
    };
    ensure!(made == JUMPS.len(), "only {made} jumps were made");
    expect(ending.unwrap_or(Ending::None), Ending::Verified)?;
    expect_well(net, agreement).await?;
    owner.set_clock(0)?;
    until(&net.devnet.workers[0], &["status"], "a good clock", |said| said["daemon"]["clock"]["state"] == "good")
        .await?;
    Ok(())
}
