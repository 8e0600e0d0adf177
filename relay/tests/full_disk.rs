//! The program on a disk that is really full. Only root can make such a small disk: whoever is not sees these skipped.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, clippy::panic, clippy::print_stderr)]

mod support;

use std::{
    fs::{self, File},
    io::Write,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use hushwire_proto::{
    limits::ENVELOPE_BYTES_MAX,
    relay::{Answer, RefusedReason},
};
use support::{
    Client, DEADLINE, Owner, mark_of,
    program::{Process, init},
};

/// A file system of its own, gone when dropped.
struct SmallDisk(PathBuf);

impl SmallDisk {
    /// `None`, and said so, where the system does not let us.
    fn mount(at: &Path, mib: u64) -> Option<Self> {
        fs::create_dir_all(at).unwrap();
        let mut mount = Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", &format!("size={mib}m"), "tmpfs"]).arg(at).stderr(Stdio::null());
        if mount.status().is_ok_and(|status| status.success()) {
            return Some(Self(at.to_owned()));
        }
        eprintln!("SKIPPED: no small disk can be mounted here (that needs root)");
        None
    }

    /// What somebody else keeps there.
    fn hog(&self, mib: usize) -> PathBuf {
        let path = self.0.join("somebody-else");
        File::create(&path).unwrap().write_all(&vec![0; mib << 20]).unwrap();
        path
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(&self.0).status();
    }
}

/// How many it stored until it stored no more, and the refusal; `None` if it closed instead.
async fn deposit_until_refused(sender: &Client, bob: &Owner) -> (u64, Option<RefusedReason>) {
    for mark in 0.. {
        let call = sender.start(bob.deposit_of(mark, ENVELOPE_BYTES_MAX));
        match call.answer(DEADLINE).await.map(|answer| Answer::parse(&answer).unwrap()) {
            Ok(Answer::Stored) => {}
            Ok(Answer::Refused(refused)) => return (mark, Some(refused.reason)),
            Ok(other) => panic!("{other:?}"),
            Err(_) => return (mark, None),
        }
    }
    unreachable!("an endless disk")
}

/// Fetches and acknowledges everything up to that mark.
async fn fetch(device: &mut Client, bob: &Owner, last: u64) -> Vec<u64> {
    device.ask(bob.drain(0)).await;
    let mut found = Vec::new();
    while found.last() < Some(&last) {
        let push = device.push().await;
        found.extend(push.deliveries.iter().map(mark_of));
        let newest = push.deliveries.last().unwrap().seq.0;
        assert_eq!(device.ask(bob.acknowledge(newest)).await, Answer::Acknowledged);
    }
    found
}

/// One sender with one token into one mailbox.
const ONE_MAY_FILL_IT: &str =
    "mailbox_mib = 1024\ndeposits_per_second_per_token = 1000000\ndeposits_per_second_per_mailbox = 1000000\n";

fn started(disk: &SmallDisk, reserve_mib: u64) -> Process {
    let config = init(&disk.0);
    let text = fs::read_to_string(&config).unwrap() + &format!("disk_reserve_mib = {reserve_mib}\n{ONE_MAY_FILL_IT}");
    fs::write(&config, text).unwrap();
    Process::start(&config)
}

async fn with_mailbox(process: &Process, bob: &Owner) -> Client {
    let device = Client::connect(&process.address).await;
    device.open(bob).await;
    assert_eq!(device.ask(bob.grant()).await, Answer::Granted);
    device
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_disk_that_fills_up_is_left_room_and_everything_on_it_can_be_fetched() {
    let dir = tempfile::tempdir().unwrap();
    let Some(disk) = SmallDisk::mount(&dir.path().join("disk"), 384) else { return };
    let process = started(&disk, 240);
    let bob = Owner::new(1);
    let mut device = with_mailbox(&process, &bob).await;
    let sender = Client::connect(&process.address).await;
    let (stored, reason) = deposit_until_refused(&sender, &bob).await;
    assert_eq!(reason, Some(RefusedReason::StorageFull), "refused before the disk is full");
    assert!(stored > 100, "{stored}");
    let found = fetch(&mut device, &bob, stored - 1).await;
    assert_eq!(found, (0..stored).collect::<Vec<_>>());
    process.kill();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_disk_loses_nothing_acknowledged_and_the_relay_goes_on_by_itself_once_there_is_room() {
    let dir = tempfile::tempdir().unwrap();
    let Some(disk) = SmallDisk::mount(&dir.path().join("disk"), 96) else { return };
    let hog = disk.hog(48);
    let process = started(&disk, 0); // nothing is refused before the disk is full
    let bob = Owner::new(1);
    drop(with_mailbox(&process, &bob).await);
    let sender = Client::connect(&process.address).await;
    let (stored, reason) = deposit_until_refused(&sender, &bob).await;
    assert!(matches!(reason, None | Some(RefusedReason::StorageFailed)), "{reason:?}");
    assert!(stored > 100, "{stored}");
    fs::remove_file(hog).unwrap();
    let began = Instant::now();
    let mut device = loop {
        assert!(began.elapsed() < DEADLINE, "it did not come back");
        if let Some(client) = Client::try_connect(&process.address, Duration::from_secs(1)).await {
            break client;
        }
    };
    device.open(&bob).await;
    let found = fetch(&mut device, &bob, stored - 1).await;
    // The one that was refused may be there: that was not said.
    assert!(found == (0..stored).collect::<Vec<_>>() || found == (0..=stored).collect::<Vec<_>>(), "{found:?}");
    let (code, log) = tokio::task::spawn_blocking(move || process.terminate()).await.unwrap();
    assert_eq!(code, Some(0), "{log}");
    assert!(log.contains("the disk is full; waiting for room"), "{log}");
}
