//! The `sunwork` command; everything is in [`sunwork_client::cli`].

use std::process::ExitCode;

#[tokio::main]
async fn main() -> ExitCode {
    sunwork_client::cli::main().await
}
