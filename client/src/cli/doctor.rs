//! `sunwork doctor`: everything around the command, one line each: passed, worth a look, or failed, with what to do.

mod local;
mod network;

use serde::Serialize;
use serde_json::json;

use super::args::Global;
use super::exit::{Exit, Failure};
use super::output::{Output, text_columns, wrap};
use super::session::Session;
use super::settings::Sources;

/// How a check went.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// In order.
    Pass,
    /// Works, but is worth a look.
    Warn,
    /// Something cannot work.
    Fail,
    /// Not looked at, because an earlier check failed.
    Skip,
}

/// One line.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Check {
    /// What was looked at.
    pub name: &'static str,
    /// How it went.
    pub verdict: Verdict,
    /// What was found.
    pub found: String,
    /// What to do about it.
    pub fix: Option<String>,
    /// The exit code if it failed.
    #[serde(skip)]
    pub exit: Exit,
}

impl Check {
    /// In order.
    pub fn pass(name: &'static str, found: impl Into<String>) -> Self {
        Self { name, verdict: Verdict::Pass, found: found.into(), fix: None, exit: Exit::Ok }
    }

    /// Worth a look.
    pub fn warn(name: &'static str, found: impl Into<String>, fix: impl Into<String>) -> Self {
        Self { name, verdict: Verdict::Warn, found: found.into(), fix: Some(fix.into()), exit: Exit::Ok }
    }

    /// Cannot work.
    pub fn fail(name: &'static str, exit: Exit, found: impl Into<String>, fix: impl Into<String>) -> Self {
        Self { name, verdict: Verdict::Fail, found: found.into(), fix: Some(fix.into()), exit }
    }

    /// Not looked at.
    pub fn skip(name: &'static str, because: &str) -> Self {
        Self { name, verdict: Verdict::Skip, found: format!("not checked: {because}"), fix: None, exit: Exit::Ok }
    }

    /// Cannot work, from a sentence of the kind "what was found; what to do".
    pub fn failed(name: &'static str, exit: Exit, sentence: &str, otherwise: &str) -> Self {
        match sentence.split_once("; ") {
            Some((found, fix)) => Self::fail(name, exit, found, fix),
            None => Self::fail(name, exit, sentence, otherwise),
        }
    }

    fn render(&self, width: usize) -> String {
        let verdict = match self.verdict {
            Verdict::Pass => "pass",
            Verdict::Warn => "warn",
            Verdict::Fail => "FAIL",
            Verdict::Skip => "skip",
        };
        // The verdict stands where the other lines are indented.
        let found = wrap(&format!("{}: {}", self.name, self.found), "      ", width);
        let first = format!("{verdict}  {}", found.trim_start());
        match &self.fix {
            Some(fix) => first + &wrap(&format!("fix: {fix}"), "      ", width),
            None => first,
        }
    }
}

/// Runs the command. It reads the settings itself: it must work where they cannot be used.
///
/// # Errors
/// None; what is wrong is in the lines, and in the exit code of the first that failed.
pub async fn run(flags: &Global, sources: &Sources, output: &Output) -> Result<Exit, Failure> {
    let (mut checks, settings) = local::configuration(flags, sources);
    let mut output = *output;
    if let Some(settings) = settings {
        output = Output::new(settings.output);
        let session = Session::new(settings, output);
        checks.extend(examine(&session).await);
    } else {
        checks.push(Check::skip("everything else", "it needs the configuration"));
    }
    let failed: Vec<&Check> = checks.iter().filter(|check| check.verdict == Verdict::Fail).collect();
    let exit = failed.first().map_or(Exit::Ok, |check| check.exit);
    let warned = checks.iter().filter(|check| check.verdict == Verdict::Warn).count();
    let document = json!({ "ok": failed.is_empty(), "failed": failed.len(), "warned": warned, "checks": checks });
    output.document("doctor", &document, || {
        let lines: String = checks.iter().map(|check| check.render(text_columns())).collect();
        let summary = match (failed.len(), warned) {
            (0, 0) => "everything is in order".to_owned(),
            (0, warned) => format!("nothing failed, {warned} worth a look"),
            (failed, _) => format!("{failed} failed"),
        };
        format!("{lines}\n{summary}")
    });
    Ok(exit)
}

async fn examine(session: &Session) -> Vec<Check> {
    let mut checks = local::folders(&session.settings);
    let (deployment_check, deployment) = local::deployment(&session.settings);
    let (wallet_checks, account) = local::wallet(session, deployment.as_ref()).await;
    checks.push(deployment_check);
    checks.extend(wallet_checks);
    match deployment {
        Some(deployment) => checks.extend(network::examine(&session.settings, deployment, account).await),
        None => checks.push(Check::skip("chain, contracts, oracles, money", "there is no deployment file")),
    }
    checks.push(local::docker().await);
    checks.push(local::terminal());
    checks
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_fit_the_terminal_and_fixes_stand_below() {
        let check = Check::fail(
            "wallet",
            Exit::Config,
            "there is no keystore in /home/me/.local/share",
            "make one with `sunwork wallet create`",
        );
        assert_eq!(
            check.render(40),
            "FAIL  wallet: there is no keystore in\n      /home/me/.local/share\n      fix: make one with `sunwork wallet\n      create`\n"
        );
        assert_eq!(Check::pass("terminal", "80 columns").render(80), "pass  terminal: 80 columns\n");
    }
}
