//! `sunwork logs`: what the app printed.

use std::io::{IsTerminal, Write};

use alloy::primitives::Address;
use serde::Serialize;
use sunwork_protocol::leaf::Outcome;
use sunwork_protocol::logs::{Chunk, LeafLog, Stream};

use super::args::LogsArgs;
use super::exit::{Exit, Failure};
use super::session::Session;
use crate::app_logs::AttemptLogs;

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Report<'a> {
    agreement: Address,
    attempts: Vec<AttemptReport<'a>>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct AttemptReport<'a> {
    attempt: u8,
    worker: Address,
    withheld: Option<&'a str>,
    leaves: Vec<LeafReport<'a>>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct LeafReport<'a> {
    leaf: u32,
    outcome: Option<Outcome>,
    exit_status: i32,
    note: &'a str,
    head: Vec<Piece>,
    omitted_bytes: u64,
    tail: Vec<Piece>,
}

/// What the app printed, as text: for the bytes as they are there is the command without JSON.
#[derive(Serialize)]
struct Piece {
    stream: Stream,
    text: String,
}

impl<'a> AttemptReport<'a> {
    fn new(attempt: &'a AttemptLogs) -> Self {
        let logs = &attempt.logs;
        let withheld = Some(logs.withheld.as_str()).filter(|why| !why.is_empty());
        let leaves = logs.leaves.iter().map(LeafReport::new).collect();
        Self { attempt: logs.attempt, worker: attempt.worker, withheld, leaves }
    }
}

impl<'a> LeafReport<'a> {
    fn new(log: &'a LeafLog) -> Self {
        let piece =
            |chunk: &Chunk| Piece { stream: chunk.stream, text: String::from_utf8_lossy(&chunk.bytes).into_owned() };
        Self {
            leaf: log.leaf,
            outcome: log.outcome,
            exit_status: log.exit_status,
            note: &log.note,
            head: log.head.iter().map(piece).collect(),
            omitted_bytes: log.omitted_bytes,
            tail: log.tail.iter().map(piece).collect(),
        }
    }
}

/// Runs the command.
///
/// # Errors
/// With the exit code that fits.
pub async fn run(session: &Session, args: LogsArgs) -> Result<Exit, Failure> {
    let (client, agreement) = session.buyer_of(&args.id).await?;
    let mut attempts = client.app_logs(agreement).await?;
    if let Some(leaf) = args.leaf {
        for attempt in &mut attempts {
            attempt.logs.leaves.retain(|log| log.leaf == leaf);
        }
    }
    if session.output.is_json() {
        let report = Report { agreement, attempts: attempts.iter().map(AttemptReport::new).collect() };
        session.output.document("logs", &report, String::new);
        return Ok(Exit::Ok);
    }
    let wanted = |stream: Stream| match (args.stdout, args.stderr) {
        (true, false) => stream == Stream::Stdout,
        (false, true) => stream == Stream::Stderr,
        _ => true,
    };
    let several = attempts.iter().map(|attempt| attempt.logs.leaves.len()).sum::<usize>() > 1;
    for attempt in &attempts {
        if !attempt.logs.withheld.is_empty() {
            session.output.note(&format!("attempt {}: {}", attempt.logs.attempt + 1, attempt.logs.withheld));
        }
        for log in &attempt.logs.leaves {
            if several {
                session.output.note(&title(attempt.logs.attempt, log));
            }
            if let Err(error) = print(log, args.tail, wanted) {
                // Whoever closed the pipe has seen enough.
                if error.kind() == std::io::ErrorKind::BrokenPipe {
                    return Ok(Exit::Ok);
                }
                return Err(Failure::new(Exit::Failed, eyre::Report::new(error).wrap_err("printing the logs")));
            }
        }
    }
    Ok(Exit::Ok)
}

fn title(attempt: u8, log: &LeafLog) -> String {
    let attempt = if attempt == 0 { String::new() } else { format!(", attempt {}", attempt + 1) };
    format!("--- leaf {}{attempt}: {}", log.leaf, log.note)
}

/// Head and tail of what the app printed, with a line between that says what is missing: the bytes as they are for a pipe or a
/// file, and without what could steer a terminal on one, since a worker can send anything for the app's words.
fn print(log: &LeafLog, tail: Option<usize>, wanted: impl Fn(Stream) -> bool) -> std::io::Result<()> {
    let mut out = std::io::stdout().lock();
    let is_terminal = out.is_terminal();
    let shown = |bytes: &[u8]| if is_terminal { harmless(bytes) } else { bytes.to_vec() };
    let text = |chunks: &[Chunk]| -> Vec<u8> {
        chunks.iter().filter(|chunk| wanted(chunk.stream)).flat_map(|chunk| chunk.bytes.to_vec()).collect()
    };
    let (head, end) = (text(&log.head), text(&log.tail));
    if let Some(lines) = tail {
        let all = if log.omitted_bytes == 0 { [head, end].concat() } else { end };
        return out.write_all(&shown(last_lines(&all, lines))).and_then(|()| out.flush());
    }
    out.write_all(&shown(&head))?;
    if log.omitted_bytes > 0 {
        out.flush()?;
        eprintln!("\n… {} bytes were left out here …", log.omitted_bytes);
    }
    out.write_all(&shown(&end))?;
    out.flush()
}

/// Text for a terminal: line ends and tabs stay, other control characters (escape sequences begin with one) are shown by name.
fn harmless(bytes: &[u8]) -> Vec<u8> {
    let text = String::from_utf8_lossy(bytes).replace("\r\n", "\n");
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            // A progress bar's lines come one below the other.
            '\r' => out.push('\n'),
            '\n' | '\t' => out.push(c),
            c if c.is_control() => out.extend(c.escape_default()),
            c => out.push(c),
        }
    }
    out.into_bytes()
}

fn last_lines(text: &[u8], lines: usize) -> &[u8] {
    let mut start = text.len();
    for line in text.split_inclusive(|byte| *byte == b'\n').rev().take(lines) {
        start -= line.len();
    }
    &text[start..]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_tells_text_also_where_it_is_none() {
        let chunk = |stream, bytes: &'static [u8]| Chunk { stream, bytes: bytes.into() };
        let log = LeafLog {
            leaf: 2,
            outcome: None,
            exit_status: 0,
            note: "stopped".into(),
            head: vec![chunk(Stream::Stdout, b"a\n"), chunk(Stream::Stderr, b"\xff")],
            omitted_bytes: 9,
            tail: vec![],
        };
        let json = serde_json::to_value(LeafReport::new(&log)).unwrap();
        assert_eq!(json["head"][0], serde_json::json!({ "stream": "stdout", "text": "a\n" }));
        assert_eq!((json["head"][1]["text"].as_str(), json["outcome"].is_null()), (Some("\u{fffd}"), true));
        assert_eq!(json["omittedBytes"], 9);
    }

    #[test]
    fn the_last_lines_are_those_asked_for() {
        assert_eq!(last_lines(b"a\nb\nc\n", 2), b"b\nc\n");
        assert_eq!(last_lines(b"a\nb\nc", 1), b"c");
        assert_eq!(last_lines(b"a\nb\n", 9), b"a\nb\n");
        assert_eq!(last_lines(b"", 3), b"");
    }

    #[test]
    fn an_app_cannot_steer_the_terminal_that_shows_its_log() {
        // Erase the screen, set the title, and the one-character form of the same.
        let evil = "ok\t1\r\n\x1b[2J\x1b]0;owned\x07\u{9b}31mé\n50%\r100%".as_bytes();
        let shown = String::from_utf8(harmless(evil)).unwrap();
        assert_eq!(shown, "ok\t1\n\\u{1b}[2J\\u{1b}]0;owned\\u{7}\\u{9b}31mé\n50%\n100%");
        assert!(!shown.contains(|c: char| c.is_control() && c != '\n' && c != '\t'));
    }
}
