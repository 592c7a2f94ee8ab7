//! Following an agreement on the terminal: one line per event, and a line below that disappears where nobody watches.

use std::pin::pin;
use std::time::Duration;

use alloy::primitives::Address;
use alloy::providers::Provider;
use futures::StreamExt;
use indicatif::{ProgressBar, ProgressStyle};
use sunwork_protocol::status::{Ending, Status};

use super::duration;
use super::exit::Failure;
use super::output::{Output, Tone};
use crate::chain::{Doing, short};
use crate::client::Client;
use crate::events::{Progress, Seen};

/// How often an agreement is looked at for a deadline that nobody acts on.
const POKE_EVERY: Duration = Duration::from_secs(5);
/// How long after a deadline the client acts itself, seconds of chain time: oracles poke earlier, and it costs gas.
const POKE_GRACE_SECS: u64 = 20;

/// How following ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Followed {
    /// The agreement ended.
    Ended(Ending),
    /// Ctrl-C.
    Interrupted,
    /// The time given was over.
    TimedOut,
}

/// Ctrl-C, heard from its making on. What must not be broken off (a purchase under way) runs to its end first.
pub struct Interrupt(tokio::task::JoinHandle<()>);

impl Interrupt {
    /// Listens from now on; the process is not ended by Ctrl-C any more.
    pub async fn listen() -> Self {
        let heard = tokio::spawn(async {
            // Without a handler Ctrl-C ends the process as ever, which is no worse.
            if tokio::signal::ctrl_c().await.is_err() {
                std::future::pending::<()>().await;
            }
        });
        // One turn for the task, so that the handler stands before the caller goes on.
        tokio::task::yield_now().await;
        Self(heard)
    }
}

impl Drop for Interrupt {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// Tells everything that happens to `agreement` from `from_block` on, until it ends.
///
/// # Errors
/// When the chain cannot be read for long.
pub async fn follow(
    client: &Client,
    output: &Output,
    agreement: Address,
    from_block: u64,
    timeout: Option<Duration>,
    interrupt: &mut Interrupt,
) -> Result<Followed, Failure> {
    let bar = spinner(agreement);
    let mut events = pin!(client.watch(agreement, from_block));
    let mut poke = tokio::time::interval(POKE_EVERY);
    poke.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let mut timeout = pin!(async {
        match timeout {
            Some(duration) => tokio::time::sleep(duration).await,
            None => std::future::pending().await,
        }
    });
    let started = block_time(client, from_block).await?;
    let mut line = Line::default();
    let outcome = loop {
        tokio::select! {
            event = events.next() => match event {
                Some(Ok(seen)) => {
                    let (tone, text) = describe(&seen, client);
                    if !text.is_empty() {
                        let text = format!("{:>6}  {text}", duration::show(seen.time.saturating_sub(started)));
                        // The bar prints above itself; where it is hidden it would print nothing.
                        bar.suspend(|| output.note(&output.paint(tone, &text)));
                    }
                    bar.set_message(line.update(&seen.progress));
                    if let Progress::Ended { ending } = seen.progress {
                        break Ok(Followed::Ended(ending));
                    }
                }
                Some(Err(error)) => break Err(error.into()),
                None => break Ok(Followed::Ended(client.standing(agreement).await?.ending)),
            },
            _ = poke.tick() => poke_late(client, agreement).await,
            () = &mut timeout => break Ok(Followed::TimedOut),
            _ = &mut interrupt.0 => break Ok(Followed::Interrupted),
        }
    };
    bar.finish_and_clear();
    outcome
}

/// Prints how to go on after following ended early.
pub fn how_to_follow(output: &Output, agreement: Address) {
    output.note(&format!(
        "the job goes on without this command; follow it with:  sunwork status {agreement} --follow\n\
         fetch its results when it has ended with:             sunwork results {agreement}"
    ));
}

/// No deadline needs a particular party: when worker, verifiers and oracles all sleep, the client acts.
async fn poke_late(client: &Client, agreement: Address) {
    if client.address().is_none() {
        return;
    }
    let Ok(standing) = client.standing(agreement).await else { return };
    let Ok((_, now)) = client.rpc().latest().await else { return };
    if standing.status.is_final() || standing.deadline == 0 || now <= standing.deadline + POKE_GRACE_SECS {
        return;
    }
    if let Err(error) = client.expire(agreement).await {
        tracing::debug!(%error, %agreement, "a late agreement could not be moved on; somebody else may have been first");
    }
}

async fn block_time(client: &Client, number: u64) -> Result<u64, Failure> {
    let block = client.rpc().provider().get_block_by_number(number.into()).await;
    let block = block.doing(|| format!("reading block {number}"))?;
    Ok(block.map_or(0, |block| block.header.timestamp))
}

fn spinner(agreement: Address) -> ProgressBar {
    // Indicatif draws to standard error, and nothing where that is no terminal.
    let bar = ProgressBar::new_spinner();
    if let Ok(style) = ProgressStyle::with_template("{spinner} {prefix}  {msg}  ({elapsed})") {
        bar.set_style(style);
    }
    bar.set_prefix(short(agreement));
    bar.set_message("waits for news");
    bar.enable_steady_tick(Duration::from_millis(120));
    bar
}

/// A spinner for a step with no events, such as an upload.
pub fn step(message: impl Into<std::borrow::Cow<'static, str>>) -> ProgressBar {
    let bar = ProgressBar::new_spinner().with_message(message);
    bar.enable_steady_tick(Duration::from_millis(120));
    bar
}

/// What the moving line says.
#[derive(Default)]
struct Line {
    status: Option<Status>,
    sealed: usize,
    opened: usize,
}

impl Line {
    fn update(&mut self, progress: &Progress) -> String {
        match progress {
            Progress::StatusChanged { status, .. } => self.status = Some(*status),
            Progress::VerifierSealed { .. } => self.sealed += 1,
            Progress::Opened { .. } => self.opened += 1,
            Progress::WorkerLeft { .. } => (self.sealed, self.opened) = (0, 0),
            _ => {}
        }
        let status = self.status.unwrap_or(Status::Open);
        match status {
            Status::Verifying => format!("{} ({} sealed)", status.meaning(), self.sealed),
            Status::Opening => format!("{} ({} opened)", status.meaning(), self.opened),
            _ => status.meaning().to_owned(),
        }
    }
}

/// One line for people about an event; empty for what another line tells already.
pub fn describe(seen: &Seen, client: &Client) -> (Tone, String) {
    let unit = client.unit();
    let lost = |amount: u128| if amount == 0 { String::new() } else { format!(", loses {}", unit.show(amount)) };
    match &seen.progress {
        Progress::Accepted { worker, attempt, reward, locked } => (
            Tone::Plain,
            format!(
                "accepted by worker {} (attempt {}) for {}, {} of its stake locked",
                short(*worker),
                // On chain the first attempt is number 0.
                attempt + 1,
                unit.show(*reward),
                unit.show(*locked)
            ),
        ),
        Progress::KeyPosted { .. } => (Tone::Plain, "session key posted".into()),
        Progress::WorkerLeft { worker, slashed, .. } => {
            (Tone::Bad, format!("worker {} left{}", short(*worker), lost(*slashed)))
        }
        Progress::Sealed { worker, round, .. } => (
            Tone::Plain,
            format!("computed and sealed by worker {}; beacon round {round} draws the verifiers", short(*worker)),
        ),
        Progress::DrawOpened { .. } => (Tone::Plain, "verifiers are drawn".into()),
        Progress::Claimed { verifier, displaced } => {
            let instead = displaced.map(|other| format!(" instead of {}", short(other))).unwrap_or_default();
            (Tone::Plain, format!("slot claimed by verifier {}{instead}", short(*verifier)))
        }
        Progress::VerifierSealed { verifier } => {
            (Tone::Plain, format!("checked and sealed by verifier {}", short(*verifier)))
        }
        Progress::VerifierLeft { verifier, reason, slashed } => {
            (Tone::Bad, format!("verifier {} left (reason {reason}){}", short(*verifier), lost(*slashed)))
        }
        Progress::Revealed { leaves, .. } => {
            (Tone::Plain, format!("result revealed, {} sampled leaves checked against its root", leaves.len()))
        }
        Progress::Opened { verifier, dissent: 0 } => (Tone::Good, format!("verifier {} agrees", short(*verifier))),
        Progress::Opened { verifier, dissent } => {
            (Tone::Bad, format!("verifier {} differs on {} of its leaves", short(*verifier), dissent.count_ones()))
        }
        Progress::Ended { ending } => {
            let tone = if *ending == Ending::Verified { Tone::Good } else { Tone::Bad };
            (tone, ending.meaning().to_owned())
        }
        // The other events say it better.
        Progress::StatusChanged { status: Status::Open, attempt, .. } if *attempt > 0 => {
            (Tone::Plain, format!("offered again (attempt {})", attempt + 1))
        }
        Progress::StatusChanged { .. } => (Tone::Plain, String::new()),
    }
}
