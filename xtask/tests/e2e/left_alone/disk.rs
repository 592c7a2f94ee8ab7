//! A worker whose data folder is a small disk of its own, which fills up: almost, then to the last byte, over a `kill -9`.
use std::{
    fs::File,
    io::Write,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use eyre::{WrapErr, ensure};
use sunwork_client::job::Taker;
use sunwork_protocol::status::Status;
use sunwork_worker::journal::Journal;
use tokio::time::sleep;

use super::{LEAVES, Net, bag, expect_verified, until, until_excluded, until_held, until_status};

/// The workers' `keep_free_disk_mib`.
pub(super) const KEEP_FREE_MIB: u64 = 8;
/// The disk of the worker, MiB.
const DISK_MIB: u64 = 48;
const MIB: u64 = 1 << 20;

/// The first worker refuses what is new with its reason, finishes what it has, and goes on when there is room.
pub(super) async fn a_full_disk_loses_nothing(net: &mut Net) -> eyre::Result<()> {
    let image = net.image("raytrace").await?;
    let dir = net.devnet.workers[0].dir().to_owned();
    let env = [("SUNWORK_WORKER_KEEP_FREE_DISK_MIB".to_owned(), KEEP_FREE_MIB.to_string())];
    net.devnet.workers[0].stop();
    let Some(disk) = SmallDisk::under(&dir)? else {
        println!("SKIPPED: no file system can be mounted here (not root?): a full disk is not tried");
        return net.devnet.workers[0].start(&env);
    };
    net.devnet.workers[0].start(&env)?;
    until(&net.devnet.workers[0], &["status"], "it runs", |said| said["daemon"]["notWorking"][0].is_null()).await?;
    let named = Taker::Worker(net.devnet.workers[0].owner);

    // Almost full, with work in hand: it is finished, and nothing new is taken.
    let first = net.buy(bag(&image, LEAVES, named)).await?.address;
    until_status(net, first, Status::Working).await?;
    disk.fill_to(KEEP_FREE_MIB / 2 * MIB)?;
    until_held(&net.devnet.workers[0], "disk_free").await?;
    let second = net.buy(bag(&image, LEAVES, named)).await?.address;
    let excluded = until_excluded(&net.devnet.workers[0], "disk_free").await?;
    ensure!(excluded["measured"]["limit"] == KEEP_FREE_MIB, "{excluded:#}");
    expect_verified(net, first).await?;
    ensure!(net.status(second).await? == Status::Open, "it took work although its disk is nearly full");

    // Room again, work in hand again; the power fails, and at the next start the disk is full to the last byte.
    disk.free()?;
    until_status(net, second, Status::Working).await?;
    net.devnet.workers[0].kill();
    disk.fill_to(0)?;
    net.devnet.workers[0].start(&env)?;
    until_held(&net.devnet.workers[0], "journal_room").await?;
    sleep(Duration::from_secs(2)).await;
    net.devnet.expect_alive()?;
    ensure!(!net.status(second).await?.is_final(), "the work was lost");
    disk.free()?;
    expect_verified(net, second).await?;
    until(&net.devnet.workers[0], &["status"], "it works again", |said| said["daemon"]["notWorking"][0].is_null())
        .await?;

    let state = Journal::peek(dir.join("journal")).wrap_err("the journal is damaged")?;
    for agreement in [first, second] {
        ensure!(state.agreements.get(&agreement).is_some_and(|known| known.took_part()), "{agreement} is not in it");
    }
    net.devnet.workers[0].stop();
    drop(disk);
    // On the disk below, which has the folder as it was before: that is not gone on from.
    Ok(())
}

/// A tmpfs over a data folder, with the folder's content.
struct SmallDisk {
    at: PathBuf,
}

impl SmallDisk {
    /// `None` where nothing can be mounted.
    fn under(dir: &Path) -> eyre::Result<Option<Self>> {
        let aside = tempfile::tempdir_in(dir.parent().unwrap_or(dir))?;
        run(Command::new("cp").arg("-a").arg(dir.join(".")).arg(aside.path()))?;
        let size = format!("size={DISK_MIB}m,mode=0700");
        let mounted = Command::new("mount").args(["-t", "tmpfs", "-o", &size, "tmpfs"]).arg(dir).output();
        if !mounted.is_ok_and(|output| output.status.success()) {
            return Ok(None);
        }
        let disk = Self { at: dir.to_owned() };
        run(Command::new("cp").arg("-a").arg(aside.path().join(".")).arg(dir))?;
        Ok(Some(disk))
    }

    fn filler(&self) -> PathBuf {
        self.at.join("filler")
    }

    /// Leaves so many bytes free.
    fn fill_to(&self, free_bytes: u64) -> eyre::Result<()> {
        let mut file = File::options().create(true).append(true).open(self.filler())?;
        let page = [7; 4096];
        loop {
            let free = rustix::fs::statvfs(&self.at)?;
            if free.f_bavail * free.f_frsize <= free_bytes {
                return Ok(());
            }
            match file.write_all(&page) {
                Ok(()) => {}
                Err(error) if error.kind() == std::io::ErrorKind::StorageFull => return Ok(()),
                Err(error) => return Err(error).wrap_err("filling the disk"),
            }
        }
    }

    fn free(&self) -> eyre::Result<()> {
        std::fs::remove_file(self.filler()).wrap_err("making room")
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(&self.at).output();
    }
}

fn run(command: &mut Command) -> eyre::Result<()> {
    let output = command.output()?;
    ensure!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
    Ok(())
}
