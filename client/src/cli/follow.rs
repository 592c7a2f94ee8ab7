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
use crate::timeline::{self, Mood};

/// How often an agreement is looked at for a deadline that nobody acts on.
const POKE_EVERY: Duration = Duration::from_secs(5);
/// How often an agreement is looked at whose claim window stands open: that it closes is no event.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// How long after a deadline the client acts itself, seconds of chain time: oracles poke earlier, and it costs gas.
const POKE_GRACE_SECS: u64 = 20;

/// How following ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Followed {
    /// The agreement ended.
    Ended(Ending),
    /// The result is open and waits for the client's word ([`Until::Open`]).
    Open,
    /// Ctrl-C.
    Interrupted,
    /// The time given was over.
    TimedOut,
}

/// How far an agreement is followed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Until {
    /// To its end.
    Ended,
    /// Until its result is open for the client to accept or reject, or to its end.
    Open,
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

impl Interrupt {
    /// Whether Ctrl-C was heard so far.
    pub fn was_heard(&self) -> bool {
        self.0.is_finished()
    }

    /// Returns when Ctrl-C was heard.
    pub async fn heard(&mut self) {
        // The task ends by hearing it, and is never cancelled while this is held.
        let _ = (&mut self.0).await;
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
    until: Until,
    timeout: Option<Duration>,
    interrupt: &mut Interrupt,
) -> Result<Followed, Failure> {
    let bar = spinner(agreement);
    let mut events = pin!(client.watch(agreement, from_block));
    let mut poke = tokio::time::interval(POKE_EVERY);
    poke.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let mut look = tokio::time::interval(LOOK_EVERY);
    look.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
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
                    match seen.progress {
                        Progress::Ended { ending } => break Ok(Followed::Ended(ending)),
                        Progress::StatusChanged { status: Status::Disputable, .. } if until == Until::Open => {
                            break Ok(Followed::Open);
                        }
                        _ => {}
                    }
                }
                Some(Err(error)) => break Err(error.into()),
                None => break Ok(Followed::Ended(client.standing(agreement).await?.ending)),
            },
            _ = look.tick(), if line.status == Some(Status::Drawing) => {
                if let Ok(standing) = client.standing(agreement).await {
                    bar.set_message(line.look(standing.status));
                }
            }
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
        "the job goes on without this command; follow it with:\n  sunwork status {id} --follow\n\
         and when it has ended, fetch its results with:\n  sunwork results {id}",
        id = short_id(agreement)
    ));
}

/// The beginning of an id, enough to name it in a command and short enough for a narrow terminal.
pub fn short_id(agreement: Address) -> String {
    agreement.to_string().chars().take(10).collect()
}

/// No deadline needs a particular party: when worker, verifiers and oracles all sleep, the client acts.
pub(super) async fn poke_late(client: &Client, agreement: Address) {
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
            Progress::WorkerLeft { .. } | Progress::RoundOpened { .. } => (self.sealed, self.opened) = (0, 0),
            _ => {}
        }
        self.message()
    }

    /// Time alone closes a claim window: the event comes with the next transaction, when somebody has computed already.
    fn look(&mut self, now: Status) -> String {
        if self.status == Some(Status::Drawing)
            && matches!(now, Status::Verifying | Status::Revealing | Status::Opening)
        {
            self.status = Some(now);
        }
        self.message()
    }

    fn message(&self) -> String {
        let status = self.status.unwrap_or(Status::Open);
        match status {
            Status::Verifying => format!("{} ({} sealed)", status.meaning(), self.sealed),
            Status::Opening => format!("{} ({} opened)", status.meaning(), self.opened),
            _ => status.meaning().to_owned(),
        }
    }
}

/// One line for people about an event, with short addresses; empty for what another line tells already.
pub fn describe(seen: &Seen, client: &Client) -> (Tone, String) {
    let name = |address: Address| if Some(address) == client.address() { "you".to_owned() } else { short(address) };
    let (mood, text) = timeline::describe(seen, client.unit(), None, &name);
    let tone = match mood {
        Mood::Plain => Tone::Plain,
        Mood::Good => Tone::Good,
        Mood::Bad => Tone::Bad,
    };
    (tone, text)
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn changed(status: Status) -> Progress {
        Progress::StatusChanged { status, attempt: 0, deadline: 0 }
    }

    #[test]
    fn the_line_says_that_verifiers_compute_before_the_first_of_them_has_sealed() {
        let mut line = Line::default();
        line.update(&changed(Status::Drawing));
        assert_eq!(line.look(Status::Drawing), "verifiers claim their slots");
        assert_eq!(line.look(Status::Verifying), "the drawn verifiers compute (0 sealed)");
        assert_eq!(
            line.update(&Progress::VerifierSealed { verifier: Address::ZERO }),
            "the drawn verifiers compute (1 sealed)"
        );
    }

    #[test]
    fn a_look_does_not_run_ahead_of_events() {
        let mut line = Line::default();
        assert_eq!(line.look(Status::Verifying), Status::Open.meaning());
        line.update(&changed(Status::Drawing));
        assert_eq!(line.look(Status::Settled), Status::Drawing.meaning());
        line.look(Status::Verifying);
        assert_eq!(line.update(&changed(Status::Drawing)), Status::Drawing.meaning(), "a slot is drawn again");
    }
}
