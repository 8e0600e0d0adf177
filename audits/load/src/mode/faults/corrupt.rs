//! Damage in the files of a relay that was stopped: whatever it is, the relay finds it, or it changes nothing.

use std::collections::HashMap;
use std::fs::{self, File};
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use rand::RngExt;
use tokio::sync::mpsc;
use tokio::time::timeout;

use super::storm::{Size, Storm};
use crate::ledger::{self, Entry, Hash, Id, hash};
use crate::line::Line;
use crate::report::Case;
use crate::server::{Around, Server, Started};
use crate::target::Target;
use crate::tongue::{Event, Mailbox};
use crate::{Failure, said};

/// Times that the relay is killed while its files are made: what was in memory is then in files of its own.
const GENERATIONS: u64 = 3;

/// A part of a file that is lost together.
const PAGE_BYTES: u64 = 4096;

/// Whoever is given nothing for so long is given nothing any more.
const SILENCE: Duration = Duration::from_secs(2);

/// Files in which nothing of a queue stands: logs for people, a lock, what RocksDB was told and how it is called.
const NOTHING_IN: [&str; 5] = ["LOG", "LOCK", "OPTIONS", "IDENTITY", "server.log"];

/// What the log says of damage, whatever it is that was found.
const NAMED: [&str; 3] = ["is damaged", "cannot be read", "the disk failed"];

/// What is asked for.
#[derive(Clone, Copy, Debug)]
pub struct Plan {
    /// Who is there; the devices come later.
    pub size: Size,
    /// Envelopes that wait.
    pub stored: u64,
    /// Damages, each of a copy of its own.
    pub placements: u32,
}

/// What was done to a file.
#[derive(Clone, Copy, Debug)]
enum Damage {
    Flip { byte: u64, bit: u8 },
    Zero { page: u64 },
    Cut { to: u64 },
}

/// What became of one damaged copy.
enum Found {
    RefusedToStart,
    /// Part of it was not given out, and the log says so.
    RefusedInPart,
    Harmless,
    Wrong(String),
}

/// What each mailbox must be given.
type Owed = Vec<(Mailbox, HashMap<Id, Hash>)>;

/// Damages and judges: the figures, and what was wrong.
///
/// # Errors
/// The files cannot be made or copied.
pub async fn run(dir: &Path, plan: Plan) -> Result<(Case, Vec<String>), Failure> {
    let relay = dir.join("relay");
    let owed = fill(dir, &relay, plan).await?;
    let mut counts: HashMap<&str, u32> = HashMap::new();
    let mut wrong = Vec::new();
    if let Found::Wrong(why) = look(&relay_copy(dir, &relay, "whole")?, &owed).await? {
        return Err(format!("the files are not whole before they are damaged: {why}"));
    }
    let kinds = kinds(&relay.join("data"))?;
    let mut case = Case::new("damaged files");
    for number in 0..plan.placements {
        let copy = relay_copy(dir, &relay, &format!("damaged-{number}"))?;
        let (kind, file) = pick(&kinds, number).ok_or("the relay has no files")?;
        let (file, damage) = (copy.join("data").join(&file), damage(&relay.join("data").join(&file))?);
        apply(&file, damage)?;
        let found = look(&copy, &owed).await?;
        let name = match &found {
            Found::RefusedToStart => "refused to start",
            Found::RefusedInPart => "refused in part, and named",
            Found::Harmless => "changed nothing",
            Found::Wrong(_) => "wrong",
        };
        *counts.entry(name).or_default() += 1;
        *counts.entry(kind).or_default() += 1;
        if let Found::Wrong(why) = found {
            wrong.push(format!("{damage:?} in {}: {why}", file.display()));
        } else {
            fs::remove_dir_all(copy).map_err(said)?;
        }
    }
    let waiting: usize = owed.iter().map(|(_, owed)| owed.len()).sum();
    case = case.with("placements", f64::from(plan.placements)).with("envelopes", waiting as f64);
    let mut counts: Vec<_> = counts.into_iter().collect();
    counts.sort_unstable();
    Ok((counts.into_iter().fold(case, |case, (name, count)| case.with(name, f64::from(count))), wrong))
}

/// Makes the files, and says what is in them.
async fn fill(dir: &Path, relay: &Path, plan: Plan) -> Result<Owed, Failure> {
    let around = Around::default();
    let size = Size { devices: false, ..plan.size };
    let mut storm = Storm::begin(dir, relay, &around, size).await?;
    for generation in 1..=GENERATIONS {
        storm.until_stored(plan.stored * generation / GENERATIONS).await?;
        if generation < GENERATIONS {
            storm.kill().await;
            storm.restart(&around).await?;
        }
    }
    let (mailboxes, ledger) = storm.leave().await?;
    let mut owed: Owed = mailboxes.into_iter().map(|mailbox| (mailbox, HashMap::new())).collect();
    for entry in ledger::read(&ledger)? {
        if let Entry::Intent { mailbox, id, hash, .. } = entry
            && let Some((_, owed)) = owed.get_mut(usize::try_from(mailbox).unwrap_or(usize::MAX))
        {
            owed.insert(id, hash);
        }
    }
    Ok(owed)
}

/// Starts a relay on these files and lets every device fetch what is its own.
async fn look(relay: &Path, owed: &Owed) -> Result<Found, Failure> {
    let server = match Server::start_relay(relay, &Around::default())? {
        Started::Serves(server) => server,
        Started::Ended { status, log, .. } => {
            let told = status.code().is_some_and(|code| code != 0) && log.contains("hushwire-relay: ");
            let crashed = || Found::Wrong(format!("it ended with {status} and said: {log}"));
            return Ok(if told && !log.contains("panicked") { Found::RefusedToStart } else { crashed() });
        }
    };
    let target = Target::of(&server)?;
    let (mut missing, mut wrong) = (0, Vec::new());
    for (mailbox, owed) in owed {
        let (heard, mut hears) = mpsc::unbounded_channel();
        let mut left = owed.clone();
        let mut told_all = false;
        if let Ok(line) = Line::drain(&target, mailbox, 0).await {
            let (mouth, running) = line.start(move |event| _ = heard.send(event));
            while let Ok(Some(event)) = timeout(SILENCE, hears.recv()).await {
                match event {
                    Event::Delivered { seq, body } => {
                        let id: Id = body.first_chunk().copied().unwrap_or_default();
                        if left.remove(&id) != Some(hash(&body)) {
                            wrong.push(format!("mailbox {} was given wrong bytes as {seq}", mailbox.door.index));
                        }
                    }
                    Event::CaughtUp => {
                        told_all = true;
                        break;
                    }
                    _ => {}
                }
            }
            drop(mouth);
            running.abort();
        }
        if told_all && !left.is_empty() {
            wrong.push(format!(
                "mailbox {} has everything, it was told, and {} are missing",
                mailbox.door.index,
                left.len()
            ));
        }
        missing += left.len();
    }
    let log = server.log();
    if missing > 0 && wrong.is_empty() && !NAMED.iter().any(|named| log.contains(named)) {
        wrong.push(format!("{missing} are not given out, and the log does not say why: {log}"));
    }
    if log.contains("panicked") {
        wrong.push(format!("a panic: {log}"));
    }
    Ok(match (wrong.is_empty(), missing) {
        (false, _) => Found::Wrong(wrong.join("; ")),
        (true, 0) => Found::Harmless,
        (true, _) => Found::RefusedInPart,
    })
}

/// The files in which something stands, by their kind: each kind is damaged as often as every other.
fn kinds(data: &Path) -> Result<Vec<(&'static str, Vec<PathBuf>)>, Failure> {
    let mut kinds: Vec<(&'static str, Vec<PathBuf>)> = Vec::new();
    for dir in [PathBuf::new(), PathBuf::from("queue")] {
        for entry in fs::read_dir(data.join(&dir)).map_err(said)? {
            let entry = entry.map_err(said)?;
            let name = entry.file_name().to_string_lossy().into_owned();
            let meta = entry.metadata().map_err(said)?;
            if meta.is_dir() || meta.len() == 0 || NOTHING_IN.iter().any(|known| name.starts_with(known)) {
                continue;
            }
            let kind = match name.as_str() {
                _ if name.ends_with(".sst") => "in tables",
                _ if name.ends_with(".log") => "in the log",
                _ if name.starts_with("MANIFEST") => "in the manifest",
                "CURRENT" => "in CURRENT",
                "acknowledged" => "in the mark",
                _ => "elsewhere",
            };
            match kinds.iter_mut().find(|(known, _)| *known == kind) {
                Some((_, files)) => files.push(dir.join(name)),
                None => kinds.push((kind, vec![dir.join(name)])),
            }
        }
    }
    Ok(kinds)
}

fn pick(kinds: &[(&'static str, Vec<PathBuf>)], number: u32) -> Option<(&'static str, PathBuf)> {
    let (kind, files) = kinds.iter().cycle().nth(usize::try_from(number).ok()? % kinds.len().max(1))?;
    Some((kind, files.get(rand::rng().random_range(0..files.len()))?.clone()))
}

fn damage(file: &Path) -> Result<Damage, Failure> {
    let mut rng = rand::rng();
    let bytes = fs::metadata(file).map_err(said)?.len();
    Ok(match rng.random_range(0..3) {
        0 => Damage::Flip { byte: rng.random_range(0..bytes), bit: rng.random_range(0..8) },
        1 => Damage::Zero { page: rng.random_range(0..bytes.div_ceil(PAGE_BYTES)) },
        _ => Damage::Cut { to: rng.random_range(0..bytes) },
    })
}

fn apply(path: &Path, damage: Damage) -> Result<(), Failure> {
    let mut file = File::options().read(true).write(true).open(path).map_err(said)?;
    let bytes = file.metadata().map_err(said)?.len();
    let mut at = |place: u64, with: &dyn Fn(&mut [u8]), count: u64| -> std::io::Result<()> {
        let mut part = vec![0; usize::try_from(count.min(bytes - place)).unwrap_or(0)];
        file.seek(SeekFrom::Start(place))?;
        file.read_exact(&mut part)?;
        with(&mut part);
        file.seek(SeekFrom::Start(place))?;
        file.write_all(&part)
    };
    match damage {
        Damage::Flip { byte, bit } => at(byte, &|part| part.iter_mut().for_each(|byte| *byte ^= 1 << bit), 1),
        Damage::Zero { page } => at(page * PAGE_BYTES, &|part| part.fill(0), PAGE_BYTES),
        Damage::Cut { to } => file.set_len(to),
    }
    .map_err(said)
}

/// The relay's files, once more.
fn relay_copy(dir: &Path, relay: &Path, name: &str) -> Result<PathBuf, Failure> {
    fn copy(from: &Path, to: &Path) -> std::io::Result<()> {
        fs::create_dir_all(to)?;
        for entry in fs::read_dir(from)? {
            let entry = entry?;
            let (from, to) = (entry.path(), to.join(entry.file_name()));
            if entry.file_type()?.is_dir() { copy(&from, &to)? } else { _ = fs::copy(&from, &to)? }
        }
        Ok(())
    }
    let to = dir.join(name);
    copy(relay, &to).map_err(said)?;
    fs::write(to.join("server.log"), "").map_err(said)?;
    Ok(to)
}
