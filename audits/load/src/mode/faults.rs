//! A relay to which everything happens that can happen to a machine, and a ledger of what it promised.
//!
//! So many clients go on whatever becomes of the relay ([`storm`]); a checker that knows nothing of it reads what they
//! were promised and what came. One file for each kind of fault.
//!
//! | file | what happens |
//! |---|---|
//! | [`kill`] | SIGKILL at random moments; and with very much waiting |
//! | [`stop`] | SIGTERM at random moments |
//! | [`points`] | an end at every step between what arrives and what is answered |
//! | [`power`] | the power of its disk is cut; what was not synced is gone |
//! | [`fsync`] | a sync fails, once |
//! | [`full`] | its disk is full |
//! | [`corrupt`] | bits, pages and ends of its files are damaged while it is stopped |
//! | [`slow`] | syncs take long |
//! | [`clock`] | the clock on the wall jumps |
//! | [`files`] | it may open few files |
//! | `storm.rs`, `clients.rs`, `shout.rs` | the clients, and the verdict |
//! | `shim.rs`, `disk.rs` | how a clock or a sync is made bad; a disk of its own |

mod clients;
pub mod clock;
pub mod corrupt;
mod disk;
pub mod files;
pub mod fsync;
pub mod full;
pub mod kill;
pub mod points;
pub mod power;
mod shim;
mod shout;
pub mod slow;
pub mod stop;
pub mod storm;

use std::path::Path;

use clap::ValueEnum;

use crate::Failure;
use crate::ledger::Verdict;
use crate::report::{Case, Report};
use storm::{Outcome, Size};

/// What happens to the relay.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Fault {
    /// SIGKILL at random moments
    Kill,
    /// SIGTERM at random moments
    Stop,
    /// An end at every step between what arrives and what is answered
    Points,
    /// The power of its disk is cut (root, loop devices, ext4, python3)
    Power,
    /// A sync fails, once (cc)
    Fsync,
    /// Its disk is full (root, loop devices, ext4)
    Full,
    /// Its files are damaged while it is stopped
    Corrupt,
    /// Syncs take long (cc)
    Slow,
    /// The clock on the wall jumps (cc)
    Clock,
    /// It may open few files
    Files,
    /// It is killed while very much waits
    Restart,
}

/// How much.
#[derive(Clone, Copy, Debug)]
pub struct Sizes {
    /// Clients, each a sender and a device.
    pub clients: u32,
    /// Bytes of an envelope.
    pub bytes: usize,
    /// Deposits answered stored under SIGKILL, and kills.
    pub stored: u64,
    /// See `stored`.
    pub kills: u64,
    /// Power cuts, and deposits answered stored between two.
    pub cuts: u32,
    /// See `cuts`.
    pub stored_between_cuts: u64,
    /// Damages.
    pub placements: u32,
    /// Envelopes that wait while it is killed.
    pub waiting: u64,
    /// Everything; else one of each.
    pub in_full: bool,
}

impl Sizes {
    /// What must be shown.
    pub const FULL: Self = Self {
        clients: 64,
        bytes: 1024,
        stored: 1_000_000,
        kills: 200,
        cuts: 50,
        stored_between_cuts: 5000,
        placements: 500,
        waiting: 1_000_000,
        in_full: true,
    };

    /// What takes some seconds for each kind.
    pub const QUICK: Self = Self {
        clients: 52, // more than have an envelope to many each for themselves
        stored: 2000,
        kills: 5,
        cuts: 3,
        stored_between_cuts: 500,
        placements: 20,
        waiting: 10_000,
        in_full: false,
        ..Self::FULL
    };
}

/// Lets it happen. What is left of it lies in `dir`. A table for each case.
///
/// # Errors
/// What is missing here, or which promises were not kept.
pub async fn run(dir: &Path, fault: Fault, sizes: Sizes) -> Result<Report, Failure> {
    let size = Size { to_all: true, ..Size::of(sizes.clients, sizes.bytes) };
    let full = sizes.in_full;
    let outcomes = match fault {
        Fault::Kill => vec![kill::run(dir, kill::Plan { size, stored: sizes.stored, kills: sizes.kills }).await?],
        Fault::Stop => vec![stop::run(dir, size, if full { 50 } else { 3 }).await?],
        Fault::Points => vec![points::run(dir, points::Plan { size, thrice: full }).await?],
        Fault::Power => {
            let plan = power::Plan { size, cuts: sizes.cuts, stored: sizes.stored_between_cuts };
            vec![power::run(dir, plan).await?]
        }
        Fault::Fsync => {
            let (first, of_directories) = if full { (40, 30) } else { (3, 3) };
            vec![fsync::run(dir, fsync::Plan { size, first, of_directories }).await?]
        }
        Fault::Full => full::run(dir, size).await?,
        Fault::Corrupt => {
            let size = Size::of(sizes.clients.min(16), sizes.bytes);
            let plan = corrupt::Plan { size, stored: 3000, placements: sizes.placements };
            let (case, wrong) = corrupt::run(dir, plan).await?;
            return judged(&Verdict::default(), &wrong, case).map(|case| Report::new(title(fault), vec![case]));
        }
        Fault::Slow => {
            let size = Size::of(if full { 256 } else { 192 }, 64 * 1024);
            vec![slow::run(dir, size, if full { 60 } else { 5 }).await?]
        }
        Fault::Clock => vec![clock::run(dir, size, full).await?],
        Fault::Files => vec![files::run(dir, size).await?],
        Fault::Restart => {
            let kills = if full { 5 } else { 1 };
            vec![kill::with_much_waiting(dir, size, sizes.waiting, kills).await?]
        }
    };
    let cases = outcomes.into_iter().map(|Outcome { verdict, mut missed, wrong, case }| {
        missed.iter_mut().for_each(|missed| missed.insert_str(0, "control: "));
        judged(&verdict, &[missed, wrong].concat(), case)
    });
    Ok(Report::new(title(fault), cases.collect::<Result<_, _>>()?))
}

fn title(fault: Fault) -> String {
    let what = fault.to_possible_value().and_then(|value| value.get_help().map(ToString::to_string));
    format!("{}: every promise was kept", what.unwrap_or_default())
}

/// The case, if nothing was broken.
///
/// # Errors
/// What was.
pub fn judged(found: &Verdict, wrong: &[String], case: Case) -> Result<Case, Failure> {
    let broken =
        found.broken.iter().map(|(what, (count, first))| format!("\n    {what}: {count} times; first: {first}"));
    let broken: String = broken.chain(wrong.iter().map(|wrong| format!("\n    {wrong}"))).collect();
    if broken.is_empty() {
        Ok(case)
    } else {
        Err(format!("promises were not kept:{broken}\n{}", Report::new("", vec![case]).text()))
    }
}
