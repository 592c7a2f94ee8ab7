//! A virtual environment with pinned packages, made on first use.
use std::{
    env,
    ffi::OsString,
    fs,
    path::{Path, PathBuf},
    time::Duration,
};

use eyre::{WrapErr, bail};
use tokio::process::Command;

use super::{home, work_dir};
use crate::{
    command::{capture, program},
    foundry,
};

/// Oldest Python that the pinned packages run on.
const MIN_PYTHON: (u32, u32) = (3, 11);
/// A slow line and a small machine; about 300 MB.
const INSTALL_LIMIT: Duration = Duration::from_secs(1200);
const VERSION_LIMIT: Duration = Duration::from_secs(60);
const HOW: &str = "slither and halmos need Python 3.11 or newer with its venv module: `apt-get install python3-venv` on \
                   Debian and Ubuntu, elsewhere see https://www.python.org/downloads/";

/// One environment: `script/analysis/NAME.txt` installed in `target/analysis/NAME`.
pub struct Environment {
    dir: PathBuf,
}

impl Environment {
    /// Makes or reuses it.
    ///
    /// # Errors
    /// Says how to get Python where it is missing.
    pub async fn ensure(name: &str) -> eyre::Result<Self> {
        let made = Self { dir: work_dir().join(name) };
        let file = home().join(format!("{name}.txt"));
        let requirements = fs::read(&file).wrap_err_with(|| format!("reading {}", file.display()))?;
        if made.is_current(&requirements).await {
            return Ok(made);
        }
        check_version().await?;
        if made.dir.exists() {
            fs::remove_dir_all(&made.dir).wrap_err_with(|| format!("removing {}", made.dir.display()))?;
        }
        eprintln!("installing {name} from PyPI into {} …", made.dir.display());
        let mut venv = program("python3");
        venv.args(["-m", "venv"]).arg(&made.dir);
        capture(venv, INSTALL_LIMIT).await.wrap_err(HOW)?;
        let mut pip = made.tool("python");
        // Wheels alone, as hashed: nothing is built, and nothing is resolved that the file does not name.
        pip.args(["-m", "pip", "install", "--quiet", "--no-input", "--disable-pip-version-check"]);
        pip.args(["--require-hashes", "--no-deps", "--only-binary", ":all:", "--requirement"]).arg(&file);
        capture(pip, INSTALL_LIMIT).await.wrap_err_with(|| format!("installing {}", file.display()))?;
        // Last of all, so it tells of a complete installation.
        fs::write(made.stamp(), requirements).wrap_err_with(|| format!("writing {}", made.stamp().display()))?;
        Ok(made)
    }

    /// A program of the environment, that finds forge on its PATH, and whose forge writes to `out` and not over anybody's
    /// artifacts.
    ///
    /// # Errors
    /// When there is no forge.
    pub async fn with_forge(&self, name: &str, out: &Path) -> eyre::Result<Command> {
        let mut dirs = vec![self.bin()];
        dirs.extend(foundry::tool("forge").await?.parent().map(Path::to_path_buf));
        dirs.extend(env::var_os("PATH").iter().flat_map(env::split_paths));
        let path: OsString = env::join_paths(dirs).wrap_err("putting forge on PATH")?;
        let mut command = self.tool(name);
        command.env("PATH", path).env("RUST_BACKTRACE", "0");
        command.env("FOUNDRY_OUT", out).env("FOUNDRY_CACHE_PATH", out.with_extension("cache"));
        Ok(command)
    }

    /// Path of one of its programs.
    pub fn path(&self, name: &str) -> PathBuf {
        self.bin().join(name)
    }

    fn tool(&self, name: &str) -> Command {
        program(self.path(name))
    }

    fn bin(&self) -> PathBuf {
        self.dir.join("bin")
    }

    fn stamp(&self) -> PathBuf {
        self.dir.join("requirements.txt")
    }

    /// The same requirements, and the Python that it was made with is still there.
    async fn is_current(&self, requirements: &[u8]) -> bool {
        if fs::read(self.stamp()).is_ok_and(|stamp| stamp == requirements) {
            let mut pip = self.tool("python");
            pip.args(["-m", "pip", "--version"]);
            return capture(pip, VERSION_LIMIT).await.is_ok();
        }
        false
    }
}

async fn check_version() -> eyre::Result<()> {
    let mut python = program("python3");
    python.arg("--version");
    let said = capture(python, VERSION_LIMIT).await.wrap_err(HOW)?;
    match version(&said) {
        Some(found) if found >= MIN_PYTHON => Ok(()),
        _ => bail!("found {}; {HOW}", said.trim()),
    }
}

/// Major and minor of "Python 3.11.7".
fn version(said: &str) -> Option<(u32, u32)> {
    let mut numbers = said.trim().strip_prefix("Python ")?.split('.');
    Some((numbers.next()?.parse().ok()?, numbers.next()?.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_compared_as_numbers() {
        assert_eq!(version("Python 3.9.2\n"), Some((3, 9)));
        assert!(version("Python 3.9.2").is_some_and(|found| found < MIN_PYTHON), "9 is below 11");
        assert!(version("Python 3.14.0rc1").is_some_and(|found| found >= MIN_PYTHON));
        assert_eq!(version("strange"), None);
    }

    #[tokio::test]
    async fn an_environment_of_other_requirements_is_not_current() {
        let dir = tempfile::tempdir().unwrap();
        let environment = Environment { dir: dir.path().to_path_buf() };
        assert!(!environment.is_current(b"a==1").await, "never made");
        fs::write(environment.stamp(), "a==1").unwrap();
        assert!(!environment.is_current(b"a==2").await, "other versions");
        assert!(!environment.is_current(b"a==1").await, "its Python is gone");
    }
}
