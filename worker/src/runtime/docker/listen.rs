//! Hears what an app prints, from before its start to its end.

use std::time::Duration;

use bollard::container::LogOutput;
use bollard::query_parameters::AttachContainerOptionsBuilder;
use futures::StreamExt;
use sunwork_protocol::logs::Stream;
use tokio::task::JoinHandle;
use tokio::time::timeout;

use super::super::Printing;
use super::Inner;

/// Longest wait for the last words of a container that has ended.
const LAST_WORDS_TIMEOUT: Duration = Duration::from_secs(10);

/// Listens until the container ends or this value is dropped.
pub(super) struct Listener {
    task: Option<JoinHandle<()>>,
}

impl Listener {
    /// Attaches to a container that was created and not started. For people only, so an engine that does not let us listen
    /// stops nothing.
    pub(super) async fn start(inner: &Inner, name: &str, printing: &Printing) -> Self {
        printing.restart();
        let options = AttachContainerOptionsBuilder::default().stream(true).stdout(true).stderr(true).build();
        let mut output = match inner.engine.attach_container(name, Some(options)).await {
            Ok(attached) => attached.output,
            Err(error) => {
                tracing::warn!(leaf = name, %error, "cannot listen to the app; it runs without a log");
                return Self { task: None };
            }
        };
        let (name, printing) = (name.to_owned(), printing.clone());
        let task = tokio::spawn(async move {
            while let Some(heard) = output.next().await {
                match heard {
                    Ok(LogOutput::StdErr { message }) => printing.push(Stream::Stderr, &message),
                    Ok(output) => printing.push(Stream::Stdout, output.as_ref()),
                    Err(error) => {
                        tracing::debug!(leaf = name, %error, "the engine stopped telling what the app prints");
                        break;
                    }
                }
            }
        });
        Self { task: Some(task) }
    }

    /// After the end of the container: returns when everything was heard.
    pub(super) async fn finish(mut self) {
        if let Some(task) = &mut self.task {
            let _ = timeout(LAST_WORDS_TIMEOUT, task).await;
        }
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        if let Some(task) = &self.task {
            task.abort();
        }
    }
}
