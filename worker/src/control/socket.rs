//! The socket, which its owner alone can connect to.
use std::{
    fs::File,
    os::{fd::AsRawFd, unix::fs::PermissionsExt},
    path::{Path, PathBuf},
};

use eyre::WrapErr;
use tokio::net::UnixListener;

/// Longest path of a socket that Linux takes, bytes.
const MAX_SOCKET_PATH: usize = 107;

/// A way to a socket that is short enough: long paths go through the open folder.
pub(crate) struct ShortPath {
    pub(crate) path: PathBuf,
    /// Keeps the folder open as long as the path is used.
    _folder: Option<File>,
}

impl ShortPath {
    pub(crate) fn of(path: &Path) -> std::io::Result<Self> {
        let name = path.file_name().filter(|_| path.as_os_str().len() > MAX_SOCKET_PATH);
        let (Some(folder), Some(name)) = (path.parent(), name) else {
            return Ok(Self { path: path.to_owned(), _folder: None });
        };
        let folder = File::open(folder)?;
        let path = PathBuf::from(format!("/proc/self/fd/{}", folder.as_raw_fd())).join(name);
        Ok(Self { path, _folder: Some(folder) })
    }
}

/// Binds the socket. The data folder is locked by now, so a socket that is there is of a worker that is gone.
///
/// # Errors
/// When it cannot be bound.
pub fn bind(path: &Path) -> eyre::Result<UnixListener> {
    let doing = || format!("making the control socket {}; name another place with --control-socket", path.display());
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error).wrap_err_with(doing),
        _ => {}
    }
    let short = ShortPath::of(path).wrap_err_with(doing)?;
    let listener = UnixListener::bind(&short.path).wrap_err_with(doing)?;
    // Whoever cannot write to the socket cannot connect to it.
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600)).wrap_err_with(doing)?;
    Ok(listener)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_socket_is_its_owners_alone_and_a_stale_one_is_replaced() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("control.sock");
        drop(bind(&path).unwrap());
        let _again = bind(&path).unwrap();
        let mode = std::fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        let deep = dir.path().join("x".repeat(120));
        std::fs::create_dir(&deep).unwrap();
        let far = deep.join("control.sock");
        let _listener = bind(&far).unwrap();
        let short = ShortPath::of(&far).unwrap();
        tokio::net::UnixStream::connect(&short.path).await.unwrap();
        let error = format!("{:#}", bind(&dir.path().join("missing/control.sock")).unwrap_err());
        assert!(error.contains("--control-socket"), "{error}");
    }
}
