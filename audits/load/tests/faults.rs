//! `hushload faults` in little: what needs neither root nor minutes.
#![allow(clippy::unwrap_used, clippy::print_stderr)]

use std::process::{Command, Stdio};

use hushwire_load::mode::faults::{self, Fault, Sizes, points};
use hushwire_load::server::beside_us;

async fn quickly(fault: Fault) {
    let dir = tempfile::tempdir().unwrap();
    faults::run(dir.path(), fault, Sizes::QUICK).await.unwrap();
}

/// Whether there is a C compiler; said so if not.
fn has_cc() -> bool {
    let found = Command::new("cc").arg("--version").stdout(Stdio::null()).status().is_ok_and(|status| status.success());
    if !found {
        eprintln!("SKIPPED: no C compiler is here (cc)");
    }
    found
}

#[tokio::test(flavor = "multi_thread")]
async fn a_relay_that_ends_at_any_step_and_before_any_sync_keeps_every_promise() {
    if let Err(missing) = beside_us(points::PROGRAM) {
        eprintln!("SKIPPED: {missing}");
    } else if has_cc() {
        quickly(Fault::Points).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_relay_whose_sync_fails_ends_and_keeps_every_promise() {
    if has_cc() {
        quickly(Fault::Fsync).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_relay_that_is_told_to_stop_answers_what_has_begun_and_nobody_loses_anything() {
    quickly(Fault::Stop).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn damage_in_the_files_of_a_relay_is_found_or_changes_nothing() {
    quickly(Fault::Corrupt).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_clock_that_jumps_expires_nothing_that_waits() {
    if has_cc() {
        quickly(Fault::Clock).await;
    }
}
