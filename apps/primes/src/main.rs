//! Counts the primes below a limit and writes the number to the file `answer`. See README.md.

mod sieve;

use std::{env, error::Error, fs, path::PathBuf, process::ExitCode};

/// The dapp refuses more.
const MAX_LIMIT: u64 = 100_000_000_000;

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("primes: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<(), Box<dyn Error>> {
    let limit = limit(env::args().skip(1))?;
    let out = PathBuf::from(env::var("IEXEC_OUT").map_err(|_| "IEXEC_OUT is not set, expected the output folder")?);
    let count = sieve::count_below(limit);
    let answer = out.join("answer");
    fs::write(&answer, format!("{count}\n"))?;
    let declared = format!("{{\"deterministic-output-path\":\"{}\"}}\n", answer.display());
    fs::write(out.join("computed.json"), declared)?;
    println!("{count} primes below {limit}");
    Ok(())
}

/// The one argument.
fn limit(mut args: impl Iterator<Item = String>) -> Result<u64, Box<dyn Error>> {
    let text = args.next().ok_or("needs one argument, the limit")?;
    if let Some(more) = args.next() {
        return Err(format!("unexpected argument {more:?} after the limit").into());
    }
    let limit = text.parse().ok().filter(|n| (1..=MAX_LIMIT).contains(n));
    limit.ok_or_else(|| format!("the limit is {text:?}, expected 1 to {MAX_LIMIT}").into())
}

#[cfg(test)]
mod tests {
    use super::limit;

    fn of(args: &[&str]) -> Result<u64, String> {
        limit(args.iter().map(ToString::to_string)).map_err(|e| e.to_string())
    }

    #[test]
    fn the_limit_is_one_number_in_range() {
        assert_eq!(of(&["100"]), Ok(100));
        assert_eq!(of(&["100000000000"]), Ok(100_000_000_000));
        for bad in [&["0"][..], &["100000000001"], &["-1"], &["ten"], &[""], &[], &["1", "2"]] {
            assert!(of(bad).is_err(), "{bad:?}");
        }
    }
}
