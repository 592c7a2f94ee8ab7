//! The local container engine, by its command: it knows its own contexts and sockets, and it must build anyway. Build and
//! save go through the same command, so they meet the same engine.

use std::path::Path;
use std::process::Stdio;

use tokio::process::Command;

use super::{ImagePushError, PushOptions};

/// Most of an engine's error text that is shown.
const MAX_SAID_CHARS: usize = 600;

/// The command of an engine that takes Docker's commands.
#[derive(Clone, Debug)]
pub struct Engine {
    command: String,
}

impl Default for Engine {
    fn default() -> Self {
        Self::new("docker")
    }
}

impl Engine {
    /// An engine by its command, "docker" or "podman".
    pub fn new(command: impl Into<String>) -> Self {
        Self { command: command.into() }
    }

    /// Builds the folder `dir`; gives the image's ID. What the engine says goes to standard error.
    pub(super) async fn build(
        &self,
        dir: &Path,
        options: &PushOptions,
        scratch: &Path,
    ) -> Result<String, ImagePushError> {
        let dockerfile = match &options.dockerfile {
            Some(file) => file.clone(),
            None => [dir.join("Dockerfile"), dir.join("Containerfile")]
                .into_iter()
                .find(|file| file.is_file())
                .unwrap_or_else(|| dir.join("Dockerfile")),
        };
        if !dockerfile.is_file() {
            let expected = options.dockerfile.as_ref().map_or("Dockerfile".into(), |f| f.display().to_string());
            return Err(ImagePushError::NoDockerfile { dir: dir.to_owned(), expected });
        }
        let id_file = scratch.join("id");
        let mut command = Command::new(&self.command);
        command.arg("build").arg("--iidfile").arg(&id_file).arg("--file").arg(&dockerfile);
        if let Some(platform) = &options.platform {
            command.arg("--platform").arg(platform);
        }
        command.arg(dir);
        self.run(command, "build", false).await?;
        let id = std::fs::read_to_string(&id_file).map_err(|source| ImagePushError::Io { path: id_file, source })?;
        Ok(id.trim().to_owned())
    }

    /// Saves an image as an archive.
    pub(super) async fn save(&self, image: &str, path: &Path) -> Result<(), ImagePushError> {
        let mut command = Command::new(&self.command);
        // "--": an image's name is never an option.
        command.arg("save").arg("--output").arg(path).arg("--").arg(image);
        self.run(command, &format!("save {image}"), true).await
    }

    async fn run(&self, mut command: Command, doing: &str, quiet: bool) -> Result<(), ImagePushError> {
        command.stdin(Stdio::null()).stdout(Stdio::null()).kill_on_drop(true);
        command.stderr(if quiet { Stdio::piped() } else { Stdio::inherit() });
        let run = command.spawn();
        let child = run.map_err(|source| ImagePushError::NoEngine { engine: self.command.clone(), source })?;
        let output = child.wait_with_output().await;
        let output = output.map_err(|source| ImagePushError::NoEngine { engine: self.command.clone(), source })?;
        if output.status.success() {
            return Ok(());
        }
        let said = String::from_utf8_lossy(&output.stderr);
        let said = said.trim();
        let skip = said.chars().count().saturating_sub(MAX_SAID_CHARS);
        Err(ImagePushError::Engine {
            engine: self.command.clone(),
            doing: doing.to_owned(),
            status: output.status.to_string(),
            said: if quiet { said.chars().skip(skip).collect() } else { "see above".into() },
        })
    }
}
