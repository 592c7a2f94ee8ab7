//! What an operator does by hand. Each command may be repeated at any time.
use std::{fmt, fs, io::Write};

use eyre::WrapErr;
use serde_json::{Value, json};
use sunwork_edge::{Deployment, rpc};

use crate::{chain::Chain, config::Layer};

mod accept_placed;
mod config;
mod doctor;
mod earnings;
mod energy;
mod init;
mod meter;
mod orders;
mod register;
mod stake;
mod status;
mod take;
mod top;
mod why;

pub use accept_placed::{PlacementArgs, accept_placed};
pub use config::{config_check, config_show, config_template};
pub use doctor::doctor;
pub use earnings::earnings;
pub use energy::{EnergyCommand, energy};
pub use init::{Config, init, print_unit};
pub use orders::{drain, pause, reload, resume};
pub use register::{Registration, register};
pub use stake::{unstake, withdraw};
pub use status::status;
pub use take::{Take, take};
pub use top::top;
pub use why::why;

/// How results are printed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum Output {
    /// Lines for people.
    #[default]
    Table,
    /// One JSON object for programs.
    Json,
}

/// The result of a command, ready for both.
pub struct Report {
    /// Name of the command.
    command: &'static str,
    rows: Vec<(String, String)>,
    json: Value,
}

impl Report {
    fn new(command: &'static str) -> Self {
        Self { command, rows: Vec::new(), json: json!({ "schema": format!("sunwork.worker.{command}.v1") }) }
    }

    /// Adds a value; `key` in camel case for programs, `label` for people.
    fn add(&mut self, key: &str, label: &str, text: impl fmt::Display, value: impl Into<Value>) -> &mut Self {
        self.rows.push((label.to_owned(), text.to_string()));
        self.json[key] = value.into();
        self
    }

    /// Adds a line for people only.
    fn line(&mut self, label: impl Into<String>, text: impl Into<String>) -> &mut Self {
        self.rows.push((label.into(), text.into()));
        self
    }

    /// Prints it on standard output.
    ///
    /// # Errors
    /// When standard output cannot be written.
    pub fn print(&self, output: Output) -> eyre::Result<()> {
        let mut out = std::io::stdout().lock();
        match output {
            Output::Json => writeln!(out, "{}", self.json)?,
            Output::Table => {
                let width = self.rows.iter().map(|(label, _)| label.len()).max().unwrap_or(0);
                for (label, text) in &self.rows {
                    writeln!(out, "{}", format!("{label:width$}  {text}").trim_end())?;
                }
            }
        }
        Ok(())
    }

    /// The command's name.
    pub const fn command(&self) -> &'static str {
        self.command
    }
}

/// Connects as the settings say.
async fn chain(settings: &Layer) -> eyre::Result<Chain> {
    let deployment = Deployment::load(settings.deployment()?)?;
    let rpc = rpc::connect(settings.rpc()?, deployment.chain_id).await?;
    Ok(Chain::new(rpc, deployment))
}

/// Writes a file that only its owner reads.
fn write_secret(path: &std::path::Path, text: &str) -> eyre::Result<()> {
    use std::os::unix::fs::OpenOptionsExt;
    let doing = || format!("writing {}", path.display());
    let mut file = fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(path).wrap_err_with(doing)?;
    file.write_all(text.as_bytes()).wrap_err_with(doing)?;
    file.sync_all().wrap_err_with(doing)
}
