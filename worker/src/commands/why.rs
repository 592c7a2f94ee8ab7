//! `why`: the demand of the last day, and what excluded it.
use super::Report;
use crate::{
    config::Layer,
    control::client::{self, ControlError},
    duration,
    folder::Folder,
    governor::now_secs,
    refusal::Bound,
    why::{Measured, Summary, WhyBook},
};

/// Asks the running worker; reads its notes where none runs.
///
/// # Errors
/// When neither can be had.
pub async fn why(settings: &Layer, last_secs: u64) -> eyre::Result<Report> {
    let path = format!("/v1/why?secs={last_secs}");
    let (summary, running) = match client::get::<Summary>(&settings.control_socket(), &path).await {
        Ok(summary) => (summary, true),
        Err(ControlError::NotRunning { .. }) => {
            let folder = Folder::open(settings.data_dir())?;
            let now = now_secs();
            (WhyBook::open(folder.root().join("why"), now).summary(now, last_secs), false)
        }
        Err(error) => return Err(error.into()),
    };
    let mut report = Report::new("why");
    report.json["running"] = running.into();
    report.json["demand"] = serde_json::to_value(&summary)?;
    if !running {
        report.line("No worker runs here", "this is what the last one noted");
    }
    tell(&mut report, &summary);
    Ok(report)
}

fn tell(report: &mut Report, summary: &Summary) {
    let over = duration::show(summary.until.saturating_sub(summary.since));
    report.line(format!("Purchases seen in {over}"), summary.seen.to_string());
    if summary.seen == 0 {
        report.line("", "none: either nobody buys, or the worker does not reach the chain (`sunwork-worker doctor`)");
        return;
    }
    report.line("  taken as worker", summary.worked.to_string());
    report.line("  drawn as verifier", summary.verified.to_string());
    report.line("  fitted: open, or others were first", summary.fitted.to_string());
    let excluded: u64 = summary.excluded.iter().map(|part| part.count).sum();
    report.line("  excluded", excluded.to_string());
    for part in &summary.excluded {
        let measured = part.measured.as_ref().map(range).unwrap_or_default();
        report.line(format!("    {}", part.reason.name()), format!("{}{measured}", part.count));
        report.line("", format!("last: {}", part.example));
        report.line("", format!("remedy: {}", part.remedy));
    }
    if summary.dropped > 0 {
        report.line("  forgotten for want of room", summary.dropped.to_string());
    }
}

/// "  (found 2048 to 8192 MiB, limit at most 1024 MiB)".
fn range(measured: &Measured) -> String {
    let Measured { lowest, highest, limit, unit, bound } = measured;
    let found = if lowest == highest { lowest.to_string() } else { format!("{lowest} to {highest}") };
    let side = match bound {
        Bound::AtMost => "at most",
        Bound::AtLeast => "at least",
    };
    format!("  (found {found}, limit {side} {limit} {unit})")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{refusal::Refusal, why::Fate};
    use alloy::primitives::Address;

    #[test]
    fn each_reason_is_shown_with_count_numbers_and_remedy() {
        let book = WhyBook::in_memory();
        for (byte, asked_mib) in [(1, 2048), (2, 8192)] {
            let refusal = Refusal::Memory { asked_mib, limit_mib: 1024 };
            book.note(Address::repeat_byte(byte), Fate::Excluded { refusal }, 10_000 + u64::from(byte));
        }
        book.note(Address::repeat_byte(3), Fate::Worked, 10_000);
        let mut report = Report::new("why");
        tell(&mut report, &book.summary(10_200, 3600));
        let text: Vec<String> = report.rows.iter().map(|(label, text)| format!("{label}|{text}")).collect();
        assert_eq!(text[0], "Purchases seen in 60 min|3");
        assert!(text.contains(&"    memory|2  (found 2048 to 8192, limit at most 1024 MiB)".to_owned()), "{text:?}");
        assert!(text.contains(&"|last: memory 8192 MiB > limit 1024 MiB".to_owned()));
        assert!(text.iter().any(|line| line.contains("raise `max_memory_mib`")));
    }
}
