//! `top`: the worker in the terminal. Asks the control API; draws with ratatui.
use std::time::Duration;

use ratatui::{
    Frame, Terminal,
    backend::TestBackend,
    crossterm::event::{self, Event, KeyCode, KeyEventKind},
    layout::{Constraint, Layout},
    style::{Modifier, Style},
    text::Line,
    widgets::{Block, Paragraph, Row, Table},
};

use super::{orders::show_mode, status::standing};
use crate::{
    amount::Unit,
    board::Part,
    config::Layer,
    control::{Status, client},
    duration,
    why::Summary,
};

/// How often it looks.
const REFRESH: Duration = Duration::from_secs(2);
/// How often keys are looked for.
const KEYS: Duration = Duration::from_millis(100);
/// Size of the frame of `--once`.
const ONCE: (u16, u16) = (110, 32);

/// Watches until q, Escape or Ctrl-C; `once` prints a single frame.
///
/// # Errors
/// When no worker runs here, or the terminal cannot be used.
pub async fn top(settings: &Layer, once: bool) -> eyre::Result<()> {
    let socket = settings.control_socket();
    let look = async || -> eyre::Result<(Status, Summary)> {
        Ok((client::get(&socket, "/v1/status").await?, client::get(&socket, "/v1/why").await?))
    };
    let mut seen = look().await?;
    if once {
        print!("{}", frame_text(&seen.0, &seen.1)?);
        return Ok(());
    }
    let mut terminal = ratatui::try_init()?;
    let ended: eyre::Result<()> = loop {
        if let Err(error) = terminal.draw(|frame| draw(frame, &seen.0, &seen.1)) {
            break Err(error.into());
        }
        match tokio::task::spawn_blocking(wait_for_key).await {
            Ok(Ok(true)) => break Ok(()),
            Ok(Ok(false)) => {}
            Ok(Err(error)) => break Err(error.into()),
            Err(error) => break Err(error.into()),
        }
        match look().await {
            Ok(found) => seen = found,
            // The worker ended: so does the view, with the reason.
            Err(error) => break Err(error),
        }
    };
    ratatui::restore();
    ended
}

/// True when somebody wants to leave within [`REFRESH`].
fn wait_for_key() -> std::io::Result<bool> {
    let rounds = REFRESH.as_millis() / KEYS.as_millis();
    for _ in 0..rounds {
        if event::poll(KEYS)?
            && let Event::Key(key) = event::read()?
            && key.kind == KeyEventKind::Press
        {
            let ctrl_c = key.code == KeyCode::Char('c') && key.modifiers.contains(event::KeyModifiers::CONTROL);
            if ctrl_c || matches!(key.code, KeyCode::Char('q') | KeyCode::Esc) {
                return Ok(true);
            }
        }
    }
    Ok(false)
}

fn frame_text(status: &Status, why: &Summary) -> eyre::Result<String> {
    let mut terminal = Terminal::new(TestBackend::new(ONCE.0, ONCE.1))?;
    terminal.draw(|frame| draw(frame, status, why))?;
    let buffer = terminal.backend().buffer();
    let mut text = String::new();
    for y in 0..ONCE.1 {
        let line: String = (0..ONCE.0).filter_map(|x| buffer.cell((x, y))).map(|cell| cell.symbol()).collect();
        text.push_str(line.trim_end());
        text.push('\n');
    }
    Ok(text)
}

fn draw(frame: &mut Frame<'_>, status: &Status, why: &Summary) {
    let [head, agreements, demand] =
        Layout::vertical([Constraint::Length(9), Constraint::Fill(2), Constraint::Fill(1)]).areas(frame.area());
    let title = format!(" sunwork-worker {} — q leaves ", status.version);
    frame.render_widget(Paragraph::new(head_lines(status)).block(Block::bordered().title(title)), head);

    let bold = Style::new().add_modifier(Modifier::BOLD);
    let rows = status.agreements.iter().map(|row| {
        let address = row.agreement.to_string();
        let style = if row.role == Part::Candidate { Style::new().add_modifier(Modifier::DIM) } else { Style::new() };
        Row::new([address[..12].to_owned(), standing(row, status.block_time)]).style(style)
    });
    let table = Table::new(rows, [Constraint::Length(14), Constraint::Fill(1)])
        .header(Row::new(["AGREEMENT", "STEP AND DEADLINE"]).style(bold))
        .block(Block::bordered().title(format!(" agreements ({}) ", status.agreements.len())));
    frame.render_widget(table, agreements);

    let rows = why
        .excluded
        .iter()
        .map(|part| Row::new([part.reason.name().to_owned(), part.count.to_string(), part.example.clone()]));
    let title = format!(
        " demand of {}: {} seen, {} worked, {} verified, {} fitted ",
        duration::show(why.until.saturating_sub(why.since)),
        why.seen,
        why.worked,
        why.verified,
        why.fitted
    );
    let table = Table::new(rows, [Constraint::Length(18), Constraint::Length(6), Constraint::Fill(1)])
        .header(Row::new(["EXCLUDED BY", "COUNT", "LAST"]).style(bold))
        .block(Block::bordered().title(title));
    frame.render_widget(table, demand);
}

fn head_lines(status: &Status) -> Vec<Line<'static>> {
    let mut lines = vec![Line::from(format!("mode      {}", show_mode(status.mode)))];
    let takes = match status.not_working.first() {
        None => "yes".to_owned(),
        Some(reason) => format!("no: {}", reason.text),
    };
    lines.push(Line::from(format!("new work  {takes}")));
    let age = status.now.saturating_sub(status.block_time);
    lines.push(Line::from(format!(
        "chain     block {}, {} old; {} transactions under way; gas {}",
        status.block,
        duration::show(age),
        status.transactions.len(),
        status.gas_price_wei.map_or_else(|| "?".to_owned(), |wei| Unit::gwei().format(u128::from(wei)))
    )));
    lines.push(Line::from(format!(
        "leaves    {} running, {} of {} m CPU, caps {} MiB memory, {} MiB disk",
        status.running_leaves,
        status.running_milli_cpu,
        status.caps.milli_cpu,
        status.caps.memory_mib,
        status.caps.disk_mib
    )));
    match &status.account {
        Some(account) => {
            lines.push(Line::from(format!(
                "stake     {} of which {} locked, {} unbonding; score {}",
                account.show(&account.stake),
                account.show(&account.locked),
                account.show(&account.unbonding),
                account.score
            )));
            lines.push(Line::from(format!(
                "earned    {} not sent, {} pending if all goes well",
                account.show(&account.payable),
                account.show(&status.pending_pay)
            )));
        }
        None => lines.push(Line::from(format!(
            "account   unknown: {}",
            status.account_error.as_deref().unwrap_or_default().chars().take(80).collect::<String>()
        ))),
    }
    lines.push(Line::from(format!("up        {}", duration::show(status.now.saturating_sub(status.started_at)))));
    lines
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        board::Standing,
        policy::Mode,
        refusal::Refusal,
        why::{Fate, WhyBook},
    };
    use alloy::primitives::Address;

    #[test]
    fn a_frame_shows_mode_reason_agreement_and_demand() {
        let agreement = Address::repeat_byte(0xab);
        let status = Status {
            version: "1".into(),
            pid: 1,
            started_at: 100,
            now: 200,
            mode: Mode::Auto,
            clock: crate::clock::Clock::default(),
            not_working: vec![Refusal::Schedule { opens_in_secs: Some(600) }.into()],
            block: 42,
            block_time: 190,
            running_leaves: 1,
            running_milli_cpu: 500,
            caps: crate::policy::hardware::Caps { milli_cpu: 1000, memory_mib: 700, disk_mib: 800 },
            gas_price_wei: Some(7),
            agreements: vec![Standing {
                agreement,
                role: Part::Worker,
                status: sunwork_protocol::status::Status::Working,
                step: "compute leaves".into(),
                deadline: 790,
                leaves_done: 3,
                leaves: 8,
                promised: None,
                gas_units: 0,
                pay: "5".into(),
            }],
            pending_pay: "5".into(),
            transactions: vec![],
            account: None,
            account_error: Some("no node answers".into()),
            attestation: None,
        };
        let book = WhyBook::in_memory();
        book.note(agreement, Fate::Excluded { refusal: Refusal::Pool }, 150);
        let text = frame_text(&status, &book.summary(200, 3600)).unwrap();
        for part in [
            "no: outside the schedule, which opens in 10 min",
            "block 42, 10 s old",
            "worker, Working: compute leaves (3 of 8 leaves), 10 min left",
            "account   unknown: no node answers",
            "1 seen, 0 worked",
            "placed by a pool",
        ] {
            assert!(text.contains(part), "{part} is not in\n{text}");
        }
        assert_eq!(text.lines().count(), usize::from(ONCE.1));
    }
}
