//! `sunwork logs`: what the app printed.

use std::io::Write;

use serde::Serialize;
use sunwork_protocol::logs::{Chunk, LeafLog, Stream};

use super::args::LogsArgs;
use super::exit::{Exit, Failure};
use super::session::Session;
use crate::app_logs::AttemptLogs;

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Report<'a> {
    agreement: alloy::primitives::Address,
    attempts: &'a [AttemptLogs],
}

/// Runs the command.
///
/// # Errors
/// With the exit code that fits.
pub async fn run(session: &Session, args: LogsArgs) -> Result<Exit, Failure> {
    let client = session.buyer().await?;
    let agreement = session.find(&client, &args.id).await?;
    let mut attempts = client.app_logs(agreement).await?;
    if let Some(leaf) = args.leaf {
        for attempt in &mut attempts {
            attempt.logs.leaves.retain(|log| log.leaf == leaf);
        }
    }
    if session.output.is_json() {
        session.output.document("logs", &Report { agreement, attempts: &attempts }, String::new);
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

/// The app's bytes as they are, head and tail with a line between that says what is missing.
fn print(log: &LeafLog, tail: Option<usize>, wanted: impl Fn(Stream) -> bool) -> std::io::Result<()> {
    let mut out = std::io::stdout().lock();
    let text = |chunks: &[Chunk]| -> Vec<u8> {
        chunks.iter().filter(|chunk| wanted(chunk.stream)).flat_map(|chunk| chunk.bytes.to_vec()).collect()
    };
    let (head, end) = (text(&log.head), text(&log.tail));
    if let Some(lines) = tail {
        let all = if log.omitted_bytes == 0 { [head, end].concat() } else { end };
        return out.write_all(last_lines(&all, lines)).and_then(|()| out.flush());
    }
    out.write_all(&head)?;
    if log.omitted_bytes > 0 {
        out.flush()?;
        eprintln!("\n… {} bytes were left out here …", log.omitted_bytes);
    }
    out.write_all(&end)?;
    out.flush()
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
    fn the_last_lines_are_those_asked_for() {
        assert_eq!(last_lines(b"a\nb\nc\n", 2), b"b\nc\n");
        assert_eq!(last_lines(b"a\nb\nc", 1), b"c");
        assert_eq!(last_lines(b"a\nb\n", 9), b"a\nb\n");
        assert_eq!(last_lines(b"", 3), b"");
    }
}
