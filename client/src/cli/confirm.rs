//! Asking before money moves.

use std::io::{BufRead, IsTerminal, Write};

use super::exit::{Exit, Failure};

/// Asks `question` on the terminal unless `yes`. `doing` names what it is for and `done` what did not happen if the answer is no:
/// "buying for at most 2 SUN", "bought".
///
/// # Errors
/// When the answer is not "y", or nobody can be asked.
pub fn confirm(yes: bool, doing: &str, question: &str, done: &str) -> Result<(), Failure> {
    if yes {
        return Ok(());
    }
    if !std::io::stdin().is_terminal() {
        let sentence = format!("{doing} needs a yes, and nobody can be asked; give --yes");
        return Err(Failure::say(Exit::Usage, sentence));
    }
    let mut stderr = std::io::stderr();
    let _ = write!(stderr, "{question} [y/N] ").and_then(|()| stderr.flush());
    let mut answer = String::new();
    let read = std::io::stdin().lock().read_line(&mut answer);
    if read.is_ok() && matches!(answer.trim().to_ascii_lowercase().as_str(), "y" | "yes") {
        Ok(())
    } else {
        Err(Failure::say(Exit::Failed, format!("nothing was {done}, for the answer was not \"y\".")))
    }
}
