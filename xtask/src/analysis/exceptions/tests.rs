use super::*;

fn finding(impact: Impact, detector: &str, place: &str) -> Finding {
    let (detector, place) = (detector.to_owned(), place.to_owned());
    Finding { impact, detector, place, line: "contracts/A.sol:1".to_owned(), text: String::new() }
}

fn exception(detector: &str, place: &str, times: usize) -> Exception {
    Exception { detector: detector.to_owned(), place: place.to_owned(), times, reason: "It is so.".to_owned() }
}

#[test]
fn every_finding_needs_an_exception_of_its_detector_and_place() {
    let findings = [finding(Impact::Low, "timestamp", "A.f"), finding(Impact::Low, "timestamp", "A.g")];
    let difference = compare(&findings, &[exception("timestamp", "A.f", 1)]);
    assert_eq!(difference.open.len(), 1);
    assert_eq!(difference.open[0].place, "A.g");
    assert!(difference.wrong.is_empty());
    let difference = compare(&findings[..1], &[exception("timestamp", "A.f", 1)]);
    assert!(difference.open.is_empty() && difference.wrong.is_empty());
    assert_eq!(compare(&findings[..1], &[exception("weak-prng", "A.f", 1)]).open.len(), 1, "of another detector");
}

#[test]
fn an_exception_without_a_finding_is_wrong() {
    let difference = compare(&[], &[exception("timestamp", "A.f", 1), exception("assembly", "*", 1)]);
    let expected =
        ["timestamp in A.f", "assembly in *"].map(|what| format!("{what}: matches no finding any more, remove it"));
    assert_eq!(difference.wrong, expected);
}

#[test]
fn a_second_finding_in_an_excepted_place_is_open() {
    let findings =
        [finding(Impact::Medium, "reentrancy-no-eth", "A.f"), finding(Impact::Medium, "reentrancy-no-eth", "A.f")];
    let difference = compare(&findings, &[exception("reentrancy-no-eth", "A.f", 1)]);
    assert_eq!(difference.open.len(), 2, "both are shown, for nobody knows which one was meant");
    assert_eq!(difference.wrong, ["reentrancy-no-eth in A.f: found 2 times, excepted 1"]);
    let difference = compare(&findings, &[exception("reentrancy-no-eth", "A.f", 2)]);
    assert!(difference.open.is_empty() && difference.wrong.is_empty());
    let difference = compare(&findings[..1], &[exception("reentrancy-no-eth", "A.f", 2)]);
    assert_eq!(difference.wrong, ["reentrancy-no-eth in A.f: found 1 times, excepted 2"]);
    assert!(difference.open.is_empty());
}

#[test]
fn patterns_cover_many_but_nothing_high() {
    let findings = [
        finding(Impact::High, "weak-prng", "A.f"),
        finding(Impact::Low, "weak-prng", "A.f"),
        finding(Impact::Low, "weak-prng", "B.f"),
    ];
    let difference = compare(&findings, &[exception("weak-prng", "*.f", 1)]);
    assert_eq!(difference.open.len(), 1);
    assert_eq!(difference.open[0].impact, Impact::High);
    let both = [exception("weak-prng", "*.f", 1), exception("weak-prng", "A.f", 2)];
    let difference = compare(&findings, &both);
    assert!(difference.open.is_empty() && difference.wrong.is_empty(), "{:?}", difference.wrong);
}

#[test]
fn reasons_must_be_given() {
    let mut silent = exception("timestamp", "A.f", 1);
    silent.reason = " ".to_owned();
    let findings = [finding(Impact::Low, "timestamp", "A.f")];
    assert_eq!(compare(&findings, &[silent]).wrong, ["timestamp in A.f: no reason is given"]);
}

#[test]
fn stars_stand_for_any_text() {
    for (pattern, text, expected) in [
        ("A.f", "A.f", true),
        ("A.f", "A.ff", false),
        ("*", "", true),
        ("*", "A.f", true),
        ("A.*", "A.f.x", true),
        ("A.*", "AB.f", false),
        ("Compute*._*", "ComputeSteps._claim", true),
        ("Compute*._*", "ComputeSteps.claim", false),
        ("*.f", "A.f", true),
        ("*.f", "A.f.x", false),
        ("a*a", "a", false),
    ] {
        assert_eq!(matches(pattern, text), expected, "{pattern} and {text}");
    }
}

#[test]
fn proposals_can_be_pasted_once_the_reasons_are_filled_in() {
    let findings = [finding(Impact::Low, "timestamp", "A.f"), finding(Impact::Low, "timestamp", "A.f")];
    let mut proposed = propose(&findings.iter().collect::<Vec<_>>());
    assert_eq!(proposed.len(), 1);
    assert_eq!((proposed[0].times, proposed[0].reason.as_str()), (2, ""));
    proposed[0].reason = "Meant.".to_owned();
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("exceptions.json");
    fs::write(&path, serde_json::to_string(&proposed).unwrap()).unwrap();
    let difference = compare(&findings, &read(&path).unwrap()).wrong;
    assert!(difference.is_empty(), "{difference:?}");
}

#[test]
fn files_of_another_form_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("exceptions.json");
    fs::write(&path, r#"[{ "detector": "a", "place": "A", "line": 3, "reason": "r" }]"#).unwrap();
    assert!(format!("{:#}", read(&path).unwrap_err()).contains("unknown field `line`"));
    fs::write(&path, r#"[{ "detector": "a", "place": "A.*", "times": 3, "reason": "r" }]"#).unwrap();
    assert!(read(&path).unwrap_err().to_string().contains("written out"));
}

#[test]
fn the_committed_exceptions_can_be_read() {
    let exceptions = read(&super::super::home().join("exceptions.json")).unwrap();
    assert!(exceptions.iter().all(|exception| !exception.reason.trim().is_empty()));
}
