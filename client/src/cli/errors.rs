//! Failures as people read them: one sentence without repetition, and a line with what to do.

use super::exit::Exit;

/// Longest sentence that is printed; beyond it a node or an oracle is pouring out a page.
const MAX_CHARS: usize = 1200;

/// The causes of an error as one sentence; what their parent already says is left out, and so are line breaks of
/// strangers' texts.
pub fn sentence(report: &eyre::Report) -> String {
    let mut sentence = String::new();
    for cause in report.chain() {
        let text = tidy(&cause.to_string());
        if !text.is_empty() && !sentence.contains(&text) {
            if !sentence.is_empty() {
                sentence.push_str(": ");
            }
            sentence.push_str(&text);
        }
    }
    if sentence.chars().count() > MAX_CHARS {
        sentence = sentence.chars().take(MAX_CHARS).collect::<String>() + "…";
    }
    sentence
}

/// Without control characters (they could move the cursor of a terminal), line breaks, and parts that repeat the one before.
fn tidy(text: &str) -> String {
    let plain: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    let joined = plain.split(' ').filter(|word| !word.is_empty()).collect::<Vec<_>>().join(" ");
    let mut parts: Vec<&str> = Vec::new();
    for part in joined.split(": ") {
        // How the HTTP library wraps the cause tells nobody anything, and repeats the URL.
        let wrapping = part.starts_with("error sending request for url (")
            || matches!(part, "client error (Connect)" | "tcp connect error");
        if parts.last() != Some(&part) && !wrapping {
            parts.push(part);
        }
    }
    parts.join(": ")
}

/// What to do about a failure, where its sentence does not say so itself.
pub fn hint(exit: Exit, sentence: &str) -> Option<&'static str> {
    // A sentence that names a command, a flag, a variable or a next step needs no second advice.
    let says_it = [
        "sunwork ",
        "--",
        "SUNWORK_",
        "; use ",
        "; give ",
        ", expected ",
        "; expected ",
        "; send ",
        "try again",
        "; start ",
    ];
    // So does one that ends like a text: it has told how things are.
    if sentence.ends_with('.') || says_it.iter().any(|mark| sentence.contains(mark)) {
        return None;
    }
    match exit {
        Exit::Config => {
            Some("`sunwork doctor` checks all settings; `sunwork config show --origin` says where each is from")
        }
        Exit::Oracle => Some(
            "nothing is lost: try again later, or give another oracle with --oracle URL; `sunwork doctor` asks them all",
        ),
        Exit::Chain => Some(
            "nothing is lost: is the node running, is its URL right? give another with --rpc URL, or ask `sunwork doctor`",
        ),
        Exit::Funds => Some(
            "`sunwork wallet balance` shows what there is, `sunwork wallet faucet` gives test money on a development network; a lower \
             --reward, fewer --verifiers or a lower --fee need less",
        ),
        Exit::NoWorkers => {
            Some("`sunwork workers` lists who is there; a higher reward or a longer accept window finds more")
        }
        Exit::Mismatch => Some("do not use these files; the agreement's history is in `sunwork status ID`"),
        Exit::Usage => Some("`sunwork COMMAND --help` lists what it takes"),
        Exit::Failed => Some("`-v` says more about what happened; `sunwork doctor` looks at everything around it"),
        Exit::Ok | Exit::TaskFailed | Exit::TimedOut | Exit::Cancelled | Exit::Interrupted => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn causes_are_told_once() {
        let report = eyre::eyre!("disk full").wrap_err("cannot write: disk full").wrap_err("unpacking leaf 3");
        assert_eq!(sentence(&report), "unpacking leaf 3: cannot write: disk full");
    }

    #[test]
    fn strangers_texts_stay_on_one_line_and_do_not_repeat() {
        let report = eyre::eyre!("http://a: connection refused: connection refused:\n\t\x1b[31mtwice");
        assert_eq!(sentence(&report), "http://a: connection refused: [31mtwice");
        let refused =
            "http://a/: error sending request for url (http://a/b): client error (Connect): tcp connect error: refused";
        assert_eq!(sentence(&eyre::eyre!(refused)), "http://a/: refused");
        let page = eyre::eyre!("<html>{}", "x".repeat(100_000));
        assert!(sentence(&page).chars().count() <= MAX_CHARS + 1);
    }

    #[test]
    fn advice_is_given_where_the_sentence_has_none() {
        assert!(
            hint(Exit::Chain, "no RPC node answers: connection refused").is_some_and(|hint| hint.contains("--rpc"))
        );
        assert_eq!(hint(Exit::Config, "there is no wallet; make one with `sunwork wallet create`"), None);
    }
}
