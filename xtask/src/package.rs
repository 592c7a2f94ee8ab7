//! `cargo xtask package`: the worker as a Debian package and as a container image, both made from the release programs without a
//! packaging tool and without a container engine, and the package tried in a clean root.
use std::{
    env, fs,
    path::{Path, PathBuf},
    time::Duration,
};

use clap::{Args, CommandFactory};
use eyre::{WrapErr, bail, eyre};

use crate::{
    command::{capture, cargo, program, show},
    paths,
};

pub mod deb;
mod image;

use deb::{File, Files};

const PACKAGE: &str = "sunwork-worker";
const PROGRAMS: [&str; 2] = ["sunwork-worker", "sunwork-wasm-runner"];
/// Version that `cargo xtask package` stamps, from the workspace.
const VERSION: &str = env!("CARGO_PKG_VERSION");
const TRY_LIMIT: Duration = Duration::from_secs(900);

/// What to make.
#[derive(Debug, Args)]
pub struct Options {
    /// Folder for what is made
    #[arg(long, value_name = "DIR", default_value = "target/package")]
    out: PathBuf,
    /// Use the release programs that are there, and build none
    #[arg(long)]
    no_build: bool,
    /// Install, look at, remove and purge the package in a clean Debian root (as root, needs mmdebstrap)
    #[arg(long = "try")]
    try_it: bool,
}

/// Makes the package and the image, and says what is where.
///
/// # Errors
/// When something cannot be built or written, or the package does not behave in its root.
pub async fn run(options: &Options) -> eyre::Result<()> {
    if !options.no_build {
        build().await?;
    }
    let out = std::path::absolute(&options.out)?;
    fs::create_dir_all(&out).wrap_err_with(|| format!("making {}", out.display()))?;
    let programs = PROGRAMS.map(program_path);
    let arch = if env::consts::ARCH == "aarch64" { "arm64" } else { "amd64" };

    let data = contents(&programs)?;
    let package = out.join(format!("{PACKAGE}_{VERSION}_{arch}.deb"));
    write(&package, &deb::package(control(&data, arch, &programs)?, &data)?)?;
    println!("package  {}", package.display());
    let (archive, id) = image::make(&programs).await.wrap_err("making the container image")?;
    let file = out.join(format!("{PACKAGE}_{VERSION}_{arch}.image.tar"));
    write(&file, &archive)?;
    println!("image    {}  ({id}; `docker load -i FILE`, docs/WORKER.md)", file.display());
    if options.try_it {
        try_in_clean_root(&package, &out.join("root")).await.wrap_err("trying the package in a clean root")?;
    }
    Ok(())
}

/// The programs as they are delivered: the worker small, the runner fast.
///
/// # Errors
/// When they do not compile.
pub async fn build() -> eyre::Result<()> {
    for name in PROGRAMS {
        let mut command = cargo();
        command.args(["build", "--quiet", "--profile", profile(name), "--bin", name, "-p", name]);
        show(command).await.wrap_err_with(|| format!("building {name} as it is delivered"))?;
    }
    Ok(())
}

fn profile(name: &str) -> &'static str {
    if name == "sunwork-worker" { "dist" } else { "release" }
}

/// Where [`build`] leaves a program.
pub fn program_path(name: &str) -> PathBuf {
    let target = env::var_os("CARGO_TARGET_DIR").map_or_else(|| paths::root().join("target"), PathBuf::from);
    target.join(profile(name)).join(name)
}

fn write(path: &Path, bytes: &[u8]) -> eyre::Result<()> {
    fs::write(path, bytes).wrap_err_with(|| format!("writing {}", path.display()))
}

fn read(path: &Path) -> eyre::Result<Vec<u8>> {
    fs::read(path).wrap_err_with(|| format!("reading {}", path.display()))
}

/// All files of the package.
fn contents(programs: &[PathBuf]) -> eyre::Result<Files> {
    let mut files = Files::new();
    let deploy = paths::root().join("deploy");
    let mut put = |path: &str, bytes: Vec<u8>, mode: u32| files.insert(path.to_owned(), File { bytes, mode });
    for program in programs {
        let name = program.file_name().unwrap_or_default().to_string_lossy().into_owned();
        put(&format!("usr/bin/{name}"), read(program)?, 0o755);
    }
    put("usr/lib/systemd/system/sunwork-worker.service", read(&deploy.join("sunwork-worker.service"))?, 0o644);
    put("usr/lib/sysusers.d/sunwork-worker.conf", read(&deploy.join("debian/sysusers.conf"))?, 0o644);
    put("etc/sunwork/worker.toml", sunwork_worker::config::keys().template().into_bytes(), 0o644);
    let doc = format!("usr/share/doc/{PACKAGE}");
    put(&format!("{doc}/copyright"), read(&deploy.join("debian/copyright"))?, 0o644);
    put(&format!("{doc}/WORKER.md"), read(&paths::root().join("docs/WORKER.md"))?, 0o644);
    let news = format!(
        "{PACKAGE} ({VERSION}) unstable; urgency=medium\n\n  * Version {VERSION}.\n\n -- The Sunwork authors <sunwork@users.noreply.github.com>  \
         Thu, 01 Jan 2026 00:00:00 +0000\n"
    );
    put(&format!("{doc}/changelog.gz"), deb::gzip(news.as_bytes())?, 0o644);
    for (name, page) in manual()? {
        put(&format!("usr/share/man/man1/{name}.gz"), deb::gzip(page.as_bytes())?, 0o644);
    }
    for (shell, path) in [
        (clap_complete::Shell::Bash, "usr/share/bash-completion/completions/sunwork-worker"),
        (clap_complete::Shell::Zsh, "usr/share/zsh/vendor-completions/_sunwork-worker"),
        (clap_complete::Shell::Fish, "usr/share/fish/vendor_completions.d/sunwork-worker.fish"),
    ] {
        let mut script = Vec::new();
        clap_complete::generate(shell, &mut command(), PACKAGE, &mut script);
        put(path, script, 0o644);
    }
    Ok(files)
}

fn command() -> clap::Command {
    // Long pages of the same settings in every subcommand help nobody: they are in the first page.
    let mut command = sunwork_worker::cli::Cli::command().name(PACKAGE);
    command.build();
    command
}

/// A page for the program and one for each subcommand.
fn manual() -> eyre::Result<Vec<(String, String)>> {
    let mut pages = Vec::new();
    let mut open = vec![command()];
    while let Some(command) = open.pop() {
        let page = clap_mangen::Man::new(command.clone());
        let mut roff = Vec::new();
        page.render(&mut roff).wrap_err("writing a manual page")?;
        pages.push((page.get_filename(), String::from_utf8(roff).wrap_err("writing a manual page")?));
        open.extend(command.get_subcommands().filter(|sub| sub.get_name() != "help").cloned());
    }
    Ok(pages)
}

/// Fields and scripts.
fn control(data: &Files, arch: &str, programs: &[PathBuf]) -> eyre::Result<Files> {
    let mut newest = (2, 0);
    for program in programs {
        newest = newest.max(glibc(&read(program)?));
    }
    let kib = data.values().map(|file| file.bytes.len().div_ceil(1024)).sum::<usize>();
    let fields = format!(
        "Package: {PACKAGE}\nVersion: {VERSION}\nArchitecture: {arch}\nMaintainer: The Sunwork authors <sunwork@users.noreply.github.com>\n\
         Installed-Size: {kib}\nDepends: libc6 (>= {}.{}), libgcc-s1, systemd | systemd-standalone-sysusers | passwd\n\
         Suggests: docker.io\nSection: net\nPriority: optional\nHomepage: https://github.com/sunwork/sunwork\n\
         Description: worker of the Sunwork market for verified computing\n \
         Takes computing work from a market on a blockchain, runs it in a cage\n (WebAssembly, or containers where an engine is installed), proves it, and\n \
         gets paid. Made for machines on solar power: it obeys its owner's hours,\n limits and prices.\n",
        newest.0, newest.1
    );
    let mut files = Files::from([("control".to_owned(), File { bytes: fields.into_bytes(), mode: 0o644 })]);
    for script in ["postinst", "prerm", "postrm"] {
        let bytes = read(&paths::root().join("deploy/debian").join(script))?;
        files.insert(script.to_owned(), File { bytes, mode: 0o755 });
    }
    Ok(files)
}

/// Newest version of the C library whose symbols a program asks for, by the names in it.
fn glibc(program: &[u8]) -> (u32, u32) {
    const MARK: &[u8] = b"GLIBC_2.";
    let starts = program.windows(MARK.len()).enumerate().filter(|(_, window)| *window == MARK);
    let minors = starts.filter_map(|(at, _)| {
        let digits: Vec<u8> =
            program[at + MARK.len()..].iter().copied().take(3).take_while(u8::is_ascii_digit).collect();
        String::from_utf8(digits).ok()?.parse::<u32>().ok()
    });
    (2, minors.max().unwrap_or(0))
}

/// The Debian release of this machine, whose keys it has; where it is another system, the stable one.
fn suite() -> String {
    let text = fs::read_to_string("/etc/os-release").unwrap_or_default();
    let debian = text.lines().any(|line| line == "ID=debian");
    let name = text.lines().find_map(|line| line.strip_prefix("VERSION_CODENAME=")).filter(|_| debian);
    name.unwrap_or("stable").to_owned()
}

/// Installs, looks, removes, purges: with dpkg itself, in a root that holds nothing but a minimal Debian.
async fn try_in_clean_root(package: &Path, root: &Path) -> eyre::Result<()> {
    if !root.join("usr/bin/dpkg").is_file() {
        let mut make = program("mmdebstrap");
        make.args(["--quiet", "--variant=minbase", &suite()]).arg(root);
        capture(make, TRY_LIMIT).await.wrap_err("making a minimal Debian with mmdebstrap (as root)")?;
    }
    let name = package.file_name().ok_or_else(|| eyre!("the package has no name"))?;
    fs::copy(package, root.join(name)).wrap_err("copying the package into the root")?;
    let inside = async |words: &[&str]| {
        let mut command = program("chroot");
        command.arg(root).args(words);
        capture(command, TRY_LIMIT).await
    };
    let file = format!("/{}", name.to_string_lossy());
    inside(&["dpkg", "--install", &file]).await.wrap_err("installing")?;
    let version = inside(&["sunwork-worker", "--version"]).await.wrap_err("asking for the version")?;
    let checked = inside(&["sunwork-worker", "config", "show", "--config", "/etc/sunwork/worker.toml"]).await?;
    let user = inside(&["getent", "passwd", "sunwork"]).await.wrap_err("looking for the worker's user")?;
    let folder = inside(&["stat", "-c", "%a %U:%G", "/var/lib/sunwork-worker"]).await?;
    if folder.trim() != "700 sunwork:sunwork" {
        bail!("the data folder is {:?}, expected 700 sunwork:sunwork", folder.trim());
    }
    let changed = inside(&["dpkg", "--verify", PACKAGE]).await?;
    if !changed.trim().is_empty() {
        bail!("files are not as packed: {changed}");
    }
    // What the owner keeps: settings after remove, keys after purge.
    write(&root.join("var/lib/sunwork-worker/key"), b"of the owner")?;
    inside(&["dpkg", "--remove", PACKAGE]).await.wrap_err("removing")?;
    for (path, there) in [("usr/bin/sunwork-worker", false), ("etc/sunwork/worker.toml", true)] {
        if root.join(path).exists() != there {
            bail!("after remove, {path} {}", if there { "is gone" } else { "is still there" });
        }
    }
    inside(&["dpkg", "--purge", PACKAGE]).await.wrap_err("purging")?;
    if root.join("etc/sunwork/worker.toml").exists() || !root.join("var/lib/sunwork-worker/key").exists() {
        bail!("purge must take the settings and leave the keys");
    }
    fs::remove_file(root.join("var/lib/sunwork-worker/key")).wrap_err("removing the key of the test")?;
    println!("tried    {}; {} settings; {}; removed and purged", version.trim(), checked.lines().count(), user.trim());
    Ok(())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn the_newest_symbol_of_the_c_library_counts() {
        assert_eq!(glibc(b"\0GLIBC_2.2.5\0GLIBC_2.34\0GLIBC_2.9\0"), (2, 34));
        assert_eq!(glibc(b"static"), (2, 0));
    }

    #[test]
    fn the_package_has_what_a_debian_user_expects() {
        let folder = tempfile::tempdir().unwrap();
        let programs = PROGRAMS.map(|name| folder.path().join(name)).to_vec();
        programs.iter().for_each(|program| fs::write(program, "\0GLIBC_2.34\0").unwrap());
        let data = contents(&programs).unwrap();
        for path in [
            "usr/bin/sunwork-worker",
            "usr/bin/sunwork-wasm-runner",
            "usr/lib/systemd/system/sunwork-worker.service",
            "usr/lib/sysusers.d/sunwork-worker.conf",
            "etc/sunwork/worker.toml",
            "usr/share/man/man1/sunwork-worker.1.gz",
            "usr/share/man/man1/sunwork-worker-pause.1.gz",
            "usr/share/bash-completion/completions/sunwork-worker",
            "usr/share/zsh/vendor-completions/_sunwork-worker",
            "usr/share/fish/vendor_completions.d/sunwork-worker.fish",
        ] {
            assert!(data.get(path).is_some_and(|file| !file.bytes.is_empty()), "{path}");
        }
        let control = control(&data, "amd64", &programs).unwrap();
        let fields = String::from_utf8(control["control"].bytes.clone()).unwrap();
        assert!(fields.contains("libc6 (>= 2.34)") && fields.ends_with("prices.\n"), "{fields}");
        assert!(fields.lines().all(|line| line.starts_with(' ') || line.contains(": ")), "{fields}");
        // The unit starts what the package brings, as the user that it makes.
        let unit = String::from_utf8(data["usr/lib/systemd/system/sunwork-worker.service"].bytes.clone()).unwrap();
        assert!(unit.contains("ExecStart=/usr/bin/sunwork-worker run") && unit.contains("User=sunwork\n"));
    }
}
