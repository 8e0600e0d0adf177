//! Nothing secret is left in memory once everything was dropped.
//!
//! The same story runs from the same seed in two processes. This one works out every secret that there is in it. The other,
//! this program started again, lives the story, drops everything, and then looks for the secrets in all of its own memory,
//! stack included. It is given the secrets masked, so that it does not find what it was given; and it keeps two
//! alive, which it has to find.
//!
//! What it shows is true for this build on this machine: nobody promises where a compiler puts what it moves, and what the
//! kernel keeps of registers or has swapped out is not looked at.
//!
//! Spec: signal-wire §3.1 (what is kept, and so what is not).

#![cfg(target_os = "linux")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

#[allow(unreachable_pub, reason = "shared with other tests")]
#[path = "../support/draws.rs"]
mod draws;
#[allow(unreachable_pub, reason = "shared with other tests")]
#[path = "../support/layout.rs"]
mod layout;
mod learned;
mod scanner;
mod story;

use std::collections::BTreeMap;
use std::env;
use std::io::{Read as _, Write as _};
use std::process::{Command, Stdio};

use learned::{Learned, PIECE};
use scanner::{MASK, Scanner};
use story::{Ear, Heard, SCENES, Told};

/// Set for the process that is scanned, to the number of its scene.
const SCANNED: &str = "HUSHWIRE_MEMORY_SCANNED";

#[test]
fn what_was_dropped_is_not_in_memory_any_more() {
    let mut controls = Learned::default();
    let (key, copy) = story::controls(&Ear::new(&mut |_| {}));
    controls.hear(&Told::Identity(key.to_bytes().as_slice()));
    controls.hear(&Told::Text(&copy));
    let mut left = BTreeMap::new();
    for (number, (scene, play)) in SCENES.into_iter().enumerate() {
        let mut learned = Learned::default();
        play(&mut Heard::new(1, &Ear::new(&mut |told: Told<'_>| learned.hear(&told))));
        assert!(learned.0.len() > 100, "{scene}: {} pieces are hardly all", learned.0.len());
        let found = in_another_process(number, learned.0.keys().chain(controls.0.keys()));
        for control in controls.0.keys() {
            assert!(found.iter().any(|(piece, _)| piece == control), "{scene}: the scan does not find what is there");
        }
        for (piece, place) in &found {
            if let Some(name) = learned.0.get(piece) {
                *left.entry((scene, *name, place.clone())).or_insert(0) += 1;
            }
        }
    }
    assert!(left.is_empty(), "left in memory: {left:#?}");
}

/// Gives those pieces that the other process found in itself, and the kind of memory.
fn in_another_process<'a>(scene: usize, pieces: impl Iterator<Item = &'a [u8; PIECE]>) -> Vec<([u8; PIECE], String)> {
    let mut child = Command::new(env::current_exe().unwrap())
        .args(["--exact", "the_process_that_is_scanned", "--ignored", "--nocapture", "--test-threads=1"])
        .env(SCANNED, scene.to_string())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let masked: Vec<u8> = pieces.flatten().map(|byte| byte ^ MASK).collect();
    child.stdin.take().unwrap().write_all(&masked).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "{output:?}");
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(text.contains("looked through"), "{text}");
    let found = text.lines().filter_map(|line| line.strip_prefix("found "));
    let found = found.map(|line| {
        let (piece, kind) = line.split_once(' ').unwrap();
        let piece = data_encoding::HEXLOWER.decode(piece.as_bytes()).unwrap();
        let piece: [u8; PIECE] = piece.try_into().unwrap();
        (piece.map(|byte| byte ^ MASK), kind.to_owned())
    });
    found.collect()
}

#[test]
#[ignore = "started by the test above, in a process of its own"]
fn the_process_that_is_scanned() {
    let Ok(scene) = env::var(SCANNED) else { return };
    let (_, play) = SCENES[scene.parse::<usize>().unwrap()];
    let mut masked = Vec::new();
    std::io::stdin().read_to_end(&mut masked).unwrap();
    let mut scanner = Scanner::new(&masked);
    play(&mut Heard::new(1, &Ear::new(&mut |_| {})));
    let controls = story::controls(&Ear::new(&mut |_| {}));
    let (found, bytes) = scanner.scan();
    let mut text = format!("\nlooked through {bytes} bytes\n");
    for ((masked, kind), times) in found {
        text += &format!("found {} {kind} {times} times\n", data_encoding::HEXLOWER.encode(&masked));
    }
    std::io::stdout().write_all(text.as_bytes()).unwrap();
    drop(controls);
}
