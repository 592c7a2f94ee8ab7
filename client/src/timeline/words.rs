//! Small pieces of the sentences.

/// "leaf 5", "leaves 1, 5 and 7".
pub(super) fn leaves(list: &[u32]) -> String {
    let text: Vec<String> = list.iter().map(ToString::to_string).collect();
    match text.as_slice() {
        [] => "some leaves".to_owned(),
        [one] => format!("leaf {one}"),
        [rest @ .., last] => format!("leaves {} and {last}", rest.join(", ")),
    }
}

/// "leaf 5 is", "leaves 1 and 5 are".
pub(super) fn are(list: &[u32]) -> String {
    format!("{} {}", leaves(list), if list.len() == 1 { "is" } else { "are" })
}

/// "1 leaf", "16 leaves".
pub(super) fn count(number: u64, one: &str, many: &str) -> String {
    if number == 1 { format!("1 {one}") } else { format!("{number} {many}") }
}

/// Basis points as per cent: "10 %", "2.5 %".
pub(super) fn percent(bps: u16) -> String {
    let number = format!("{}.{:02}", bps / 100, bps % 100);
    format!("{} %", number.trim_end_matches('0').trim_end_matches('.'))
}
