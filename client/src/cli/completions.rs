//! `sunwork completions` and `sunwork man`: made from the command line's own definition, so they cannot differ from it.

use std::path::{Path, PathBuf};

use clap::CommandFactory;
use serde_json::json;

use super::args::Args;
use super::config_file::write_advice;
use super::exit::{Exit, Failure};
use super::output::Output;

/// The command with all its subcommands, built as `--help` sees it.
fn command() -> clap::Command {
    let mut command = Args::command();
    command.build();
    command
}

/// The completion script of a shell.
pub fn script(shell: clap_complete::Shell) -> String {
    let mut out = Vec::new();
    clap_complete::generate(shell, &mut command(), "sunwork", &mut out);
    String::from_utf8_lossy(&out).into_owned()
}

/// Prints the completion script of a shell.
///
/// # Errors
/// None; the signature is that of all commands.
pub fn completions(shell: clap_complete::Shell, output: &Output) -> Result<Exit, Failure> {
    let script = script(shell);
    let document = json!({ "shell": shell.to_string(), "script": script });
    output.document("completions", &document, || script);
    Ok(Exit::Ok)
}

/// All manual pages: file name and roff text, the command's own first.
///
/// # Errors
/// When a page cannot be rendered.
pub fn pages() -> std::io::Result<Vec<(String, String)>> {
    let mut pages = Vec::new();
    add(&command(), &mut pages)?;
    Ok(pages)
}

fn add(command: &clap::Command, pages: &mut Vec<(String, String)>) -> std::io::Result<()> {
    let page = clap_mangen::Man::new(command.clone());
    let name = page.get_filename();
    let mut roff = Vec::new();
    page.render(&mut roff)?;
    pages.push((name, String::from_utf8_lossy(&roff).into_owned()));
    for sub in command.get_subcommands().filter(|sub| !sub.is_hide_set() && sub.get_name() != "help") {
        add(sub, pages)?;
    }
    Ok(())
}

/// Prints the main manual page, or writes all of them into a folder.
///
/// # Errors
/// When they cannot be written.
pub fn man(out: Option<&Path>, output: &Output) -> Result<Exit, Failure> {
    let pages = pages().map_err(|error| Failure::say(Exit::Failed, format!("making the manual pages: {error}")))?;
    let Some(dir) = out else {
        let main = pages.first().map(|(_, roff)| roff.clone()).unwrap_or_default();
        let document = json!({ "out": null, "page": main });
        output.document("man", &document, || main);
        return Ok(Exit::Ok);
    };
    let write = |path: &PathBuf, roff: &str| std::fs::write(path, roff);
    let mut files = Vec::new();
    for (name, roff) in &pages {
        let path = dir.join(name);
        let written = std::fs::create_dir_all(dir).and_then(|()| write(&path, roff));
        written.map_err(|error| {
            let sentence = format!("cannot write the manual page {path:?}: {error}; {}", write_advice(error.kind()));
            Failure::say(Exit::Failed, sentence)
        })?;
        files.push(path);
    }
    let document = json!({ "out": dir, "files": files });
    output.document("man", &document, || {
        format!(
            "{} manual pages in {}; read one with:  man -l {}",
            files.len(),
            dir.display(),
            dir.join("sunwork.1").display()
        )
    });
    Ok(Exit::Ok)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn paths(command: &clap::Command, prefix: &str, found: &mut Vec<String>) {
        for sub in command.get_subcommands().filter(|sub| sub.get_name() != "help") {
            let path = format!("{prefix}-{}", sub.get_name());
            found.push(path.clone());
            paths(sub, &path, found);
        }
    }

    #[test]
    fn every_subcommand_has_a_page_and_completions() {
        let mut wanted = Vec::new();
        paths(&Args::command(), "sunwork", &mut wanted);
        assert!(wanted.len() > 10, "{wanted:?}");
        let pages = pages().unwrap();
        assert_eq!(pages[0].0, "sunwork.1");
        for path in &wanted {
            let (_, roff) = pages
                .iter()
                .find(|(name, _)| *name == format!("{path}.1"))
                .unwrap_or_else(|| panic!("no page for {path}"));
            assert!(roff.contains(".SH SYNOPSIS"), "{path}");
        }
        use clap::ValueEnum;
        for shell in clap_complete::Shell::value_variants() {
            let script = script(*shell);
            for path in &wanted {
                let last = path.rsplit('-').next().unwrap();
                assert!(script.contains(last), "{shell}: {path} is missing");
            }
        }
    }
}
