//! A small disk of its own: ext4 in a file, which can be filled, and whose power can be cut. Needs root and Linux.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread::sleep;
use std::time::Duration;

use crate::{Failure, said};

/// What ext4 is asked for when the power goes (`EXT4_IOC_SHUTDOWN`, without writing its journal out): from then on
/// nothing reaches the disk, and what has not is lost. No crate offers this call without `unsafe`, so Python makes it.
const CUT: &str = "import fcntl, os, struct, sys\n\
    fcntl.ioctl(os.open(sys.argv[1], os.O_RDONLY), 0x8004587D, struct.pack('I', 2))";

/// Seconds between two commits of the journal that nobody asked for: longer than any run.
const COMMIT_EVERY: u32 = 3600;

/// How often a disk that is busy for a moment more is asked to leave.
const UNMOUNT_TRIES: u32 = 100;

/// Mounted; unmounted when dropped.
#[derive(Debug)]
pub(super) struct Disk {
    image: PathBuf,
    at: PathBuf,
    mounted: bool,
}

impl Disk {
    /// A new one of so many MiB, in `dir`.
    ///
    /// # Errors
    /// What is missing here.
    pub(super) fn make(dir: &Path, mib: u64) -> Result<Self, Failure> {
        fs::create_dir_all(dir).map_err(said)?;
        let (image, at) = (dir.join("disk.img"), dir.join("disk"));
        fs::create_dir_all(&at).map_err(said)?;
        File::create(&image).and_then(|file| file.set_len(mib << 20)).map_err(said)?;
        run(Command::new("mkfs.ext4").args(["-q", "-F", "-m", "0"]).arg(&image), "mkfs.ext4 (of e2fsprogs)")?;
        let mut disk = Self { image, at, mounted: false };
        disk.mount()?;
        Ok(disk)
    }

    /// Where it is mounted.
    pub(super) fn at(&self) -> &Path {
        &self.at
    }

    fn mount(&mut self) -> Result<(), Failure> {
        let options = format!("loop,commit={COMMIT_EVERY}");
        let mut mount = Command::new("mount");
        mount.args(["-t", "ext4", "-o", &options]).arg(&self.image).arg(&self.at);
        run(&mut mount, "mounting a disk of our own (that needs root, and loop devices)")?;
        self.mounted = true;
        Ok(())
    }

    /// What is on it now is there after a cut.
    pub(super) fn settle(&self) -> Result<(), Failure> {
        run(Command::new("sync").arg("-f").arg(&self.at), "sync")
    }

    /// The power goes. Whoever writes fails from now on.
    pub(super) fn cut(&self) -> Result<(), Failure> {
        run(Command::new("python3").args(["-c", CUT]).arg(&self.at), "cutting the power of an ext4 (python3, and root)")
    }

    /// The power is back. Nobody may have a file open on it.
    pub(super) fn again(&mut self) -> Result<(), Failure> {
        self.unmount()?;
        self.mount()
    }

    fn unmount(&mut self) -> Result<(), Failure> {
        let mut last = Ok(());
        for _ in 0..UNMOUNT_TRIES {
            last = run(Command::new("umount").arg(&self.at), "unmounting our disk");
            if last.is_ok() {
                self.mounted = false;
                break;
            }
            sleep(Duration::from_millis(20));
        }
        last
    }

    /// Somebody else takes all but so many MiB. Returns what to remove.
    pub(super) fn hog(&self, left_mib: u64) -> Result<PathBuf, Failure> {
        let path = self.at.join("somebody-else");
        let said = Command::new("df").args(["--output=avail", "-k"]).arg(&self.at).output().map_err(said)?;
        let text = String::from_utf8_lossy(&said.stdout).into_owned();
        let free: u64 = text.lines().last().and_then(|line| line.trim().parse().ok()).ok_or("df says nothing")?;
        let taken = free.saturating_sub(left_mib * 1024);
        run(Command::new("fallocate").args(["-l", &format!("{taken}KiB")]).arg(&path), "fallocate")?;
        Ok(path)
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        if self.mounted {
            let _ = Command::new("umount").arg("-l").arg(&self.at).status();
        }
        let _ = fs::remove_file(&self.image);
    }
}

fn run(command: &mut Command, what: &str) -> Result<(), Failure> {
    let done = command.output().map_err(|error| format!("{what} does not work here: {error}"))?;
    if done.status.success() {
        Ok(())
    } else {
        Err(format!("{what} does not work here: {}", String::from_utf8_lossy(&done.stderr).trim()))
    }
}
