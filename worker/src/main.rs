//! `sunwork-worker`: parses, starts, waits for a signal, stops.
use std::{io::IsTerminal, process::ExitCode};

use sunwork_worker::{
    cli::{self, LogFormat},
    exit::{Exit, exit_of},
};
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;
use tracing_subscriber::EnvFilter;

#[tokio::main]
async fn main() -> ExitCode {
    let (cli, matches) = match cli::parse() {
        Ok(parsed) => parsed,
        Err(error) => {
            // Help and version are no mistake.
            let exit = if error.use_stderr() { Exit::Usage } else { Exit::Ok };
            let _ = error.print();
            return exit.into();
        }
    };
    start_log(cli.log);
    let shutdown = CancellationToken::new();
    let signals = tokio::spawn(cancel_on_signal(shutdown.clone()));
    let result = cli::run(cli, matches, shutdown).await;
    signals.abort();
    match result {
        Ok(()) => Exit::Ok.into(),
        Err(error) => {
            // The whole chain in one line: what was being done, and why it failed.
            eprintln!("error: {error:#}");
            exit_of(&error).into()
        }
    }
}

fn start_log(format: LogFormat) {
    let filter = EnvFilter::try_from_env("SUNWORK_WORKER_LOG_FILTER")
        .unwrap_or_else(|_| EnvFilter::new("warn,sunwork_worker=info,sunwork_edge=info"));
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    match format {
        LogFormat::Human => {
            builder.with_ansi(std::io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none()).init();
        }
        LogFormat::Json => builder.json().init(),
    }
}

async fn cancel_on_signal(shutdown: CancellationToken) {
    let (Ok(mut term), Ok(mut int)) = (signal(SignalKind::terminate()), signal(SignalKind::interrupt())) else {
        tracing::warn!("cannot listen for signals; stop the worker with SIGKILL, the journal allows it");
        return;
    };
    tokio::select! {
        _ = term.recv() => {}
        _ = int.recv() => {}
    }
    tracing::info!("stopping");
    shutdown.cancel();
}
