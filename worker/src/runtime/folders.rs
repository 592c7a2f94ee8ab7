//! The folders of a leaf on the host.

use super::{LeafJob, RuntimeError};

/// An empty folder for the output, and inputs that the app's user can read.
pub(super) async fn fresh_folders(job: &LeafJob) -> Result<(), RuntimeError> {
    let (input, output) = (job.input_dir.clone(), job.out_dir.clone());
    let done = tokio::task::spawn_blocking(move || {
        use std::os::unix::fs::PermissionsExt;
        match std::fs::remove_dir_all(&output) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error),
            _ => std::fs::create_dir_all(&output)?,
        }
        std::fs::create_dir_all(&input)?;
        std::fs::set_permissions(&input, std::fs::Permissions::from_mode(0o755))?;
        for entry in std::fs::read_dir(&input)? {
            let entry = entry?;
            if entry.file_type()?.is_file() {
                std::fs::set_permissions(entry.path(), std::fs::Permissions::from_mode(0o644))?;
            }
        }
        Ok(())
    });
    let doing = || format!("making the folders of leaf {}", job.name);
    done.await.map_err(|e| RuntimeError::Io { doing: doing(), source: e.into() })?.map_err(RuntimeError::io(doing()))
}
