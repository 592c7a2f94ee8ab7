//! Errors of libraries with what caused them: their own texts often tell only the outermost part ("error sending request").

/// The error and its causes, each told once.
pub(crate) fn with_causes(error: &(dyn std::error::Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let cause_text = cause.to_string();
        if !text.contains(&cause_text) {
            text = format!("{text}: {cause_text}");
        }
        source = cause.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("reading {what}")]
    struct Outer {
        what: &'static str,
        source: std::io::Error,
    }

    #[test]
    fn causes_are_told_and_only_once() {
        let error = Outer { what: "the file", source: std::io::Error::other("the disk is gone") };
        assert_eq!(with_causes(&error), "reading the file: the disk is gone");
        let error = Outer { what: "it: the disk is gone", source: std::io::Error::other("the disk is gone") };
        assert_eq!(with_causes(&error), "reading it: the disk is gone");
    }
}
