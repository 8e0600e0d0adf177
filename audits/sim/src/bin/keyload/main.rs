//! What a keyserver does in a second, and how its answers, its memory and its disk grow with the handles it has;
//! `cargo xtask bench keyserver` runs it.
//!
//! One keyserver, filled further and further by its own code, many handles to an epoch; at each size it is started as a
//! program and asked over the loopback. Client and server share the machine, so figures of a second are those of both.
//! Lookups and fetches leave the server at multiples of 20 ms on purpose; with so many under way that costs no throughput.
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "its purpose is to print a table")]

mod load;
mod people;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use hushwire_keyserver::config::{self, Config};
use hushwire_keyserver::fill;
use hushwire_sim::Failure;
use hushwire_sim::port::free_port;
use hushwire_sim::server::{Kind, Server};
use hushwire_sim::usage::disk_bytes;
use serde_json::{Map, Value, json};

use self::load::Load;

const HELP: &str = "keyload [--quick] [--handles N,N,…] [--seconds N] [--json] [--dir DIR]";

/// Rates that one program on one address does not reach: the server is measured, not its patience.
const RATES: &str = "requests_per_second_per_connection = 1000000\nfetches_per_hour_per_address = 1000000000\n\
    lookups_per_hour_per_address = 1000000000\nconnections_per_address_max = 10000\n\
    work_bits = 0\ndisk_reserve_mib = 256\n";

/// How often the filling says how far it is.
const TOLD_EVERY: Duration = Duration::from_secs(10);

struct Asked {
    sizes: Vec<u64>,
    seconds: u64,
    json: bool,
    dir: Option<PathBuf>,
}

#[tokio::main]
async fn main() -> ExitCode {
    let done = match asked(std::env::args().skip(1)) {
        Ok(asked) => run(asked).await,
        Err(failure) => Err(failure),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("keyload: {failure}");
            ExitCode::FAILURE
        }
    }
}

fn asked(mut args: impl Iterator<Item = String>) -> Result<Asked, Failure> {
    let mut asked = Asked { sizes: vec![1_000, 100_000, 1_000_000], seconds: 10, json: false, dir: None };
    while let Some(arg) = args.next() {
        match arg.as_str() {
            "--quick" => (asked.sizes, asked.seconds) = (vec![1_000, 10_000], 3),
            "--handles" => {
                let sizes = args.next().unwrap_or_default();
                let sizes: Result<Vec<u64>, _> = sizes.split(',').map(str::parse).collect();
                asked.sizes = sizes.ok().filter(|sizes| sizes.is_sorted()).ok_or(HELP)?;
            }
            "--seconds" => asked.seconds = args.next().and_then(|n| n.parse().ok()).filter(|n| *n > 0).ok_or(HELP)?,
            "--json" => asked.json = true,
            "--dir" => asked.dir = Some(args.next().ok_or(HELP)?.into()),
            _ => return Err(HELP.to_owned()),
        }
    }
    Ok(asked)
}

async fn run(asked: Asked) -> Result<(), Failure> {
    let own = tempfile::tempdir().map_err(said)?;
    let dir = asked.dir.unwrap_or_else(|| own.path().to_owned());
    let path = prepare(&dir.join("keyserver"))?;
    let config = Config::load(&path).map_err(said)?;
    let mut filled = 0;
    let mut rows = Vec::new();
    for (number, size) in asked.sizes.iter().copied().enumerate() {
        let mut row = Row::default();
        let (took, last) = fill_up(&config, filled, size).await?;
        filled = size;
        row.put("handles", float(size));
        row.put("fill_s", took.as_secs_f64());
        row.put("last_big_epoch_ms", millis(last));
        row.put("disk_bytes_per_handle", disk_bytes(&config.data_dir) / float(size.max(1)));

        let began = Instant::now();
        let server = Server::start(Kind::Keyserver, &dir)?;
        row.put("open_ms", millis(began.elapsed()));
        let admin = config.admin.ok_or("no admin port")?;
        row.put("memory_mib_idle", mib(gauge(admin, "resident_memory_bytes").await?));
        let load = Load { address: server.address().clone(), handles: size, time: Duration::from_secs(asked.seconds) };
        eprintln!("{size} handles: lookups");
        let proofs = load.proofs().await?;
        row.put("lookup_proof_bytes", proofs.present_bytes);
        row.put("absence_proof_bytes", proofs.absent_bytes);
        row.put("client_verifies_lookup_us", 1000.0 * millis(proofs.present));
        row.put("client_verifies_absence_us", 1000.0 * millis(proofs.absent));
        row.put("lookups_per_s", load.lookups(false).await?);
        row.put("absences_per_s", load.lookups(true).await?);
        eprintln!("{size} handles: new accounts, publications, fetches");
        let before = epochs(admin).await?;
        let people = load.people(number as u64).await?;
        row.put("registrations_per_s", people.registrations_per_s);
        row.put("publications_per_s", people.publications_per_s);
        row.put("fetches_per_s", people.fetches_per_s);
        tokio::time::sleep(Duration::from_secs(3)).await; // what was registered comes into the log
        let after = epochs(admin).await?;
        let (count, entries, time) = (after.0 - before.0, after.1 - before.1, after.2 - before.2);
        row.put("entries_per_epoch", entries / count.max(1.0));
        row.put("epoch_ms", 1000.0 * time / count.max(1.0));
        row.put("memory_mib_used", mib(gauge(admin, "resident_memory_bytes").await?));
        server.kill();
        eprintln!("{}", row.to_json());
        rows.push(row);
    }
    print(&rows, asked.json);
    Ok(())
}

/// A configuration that stands in no measurement's way; its path.
fn prepare(dir: &Path) -> Result<PathBuf, Failure> {
    let path = config::init(dir, &["127.0.0.1".to_owned()]).map_err(said)?;
    let text = fs::read_to_string(&path).map_err(said)?.replace("[::]:4432", "127.0.0.1:0");
    fs::write(&path, format!("{text}{RATES}admin = \"127.0.0.1:{}\"\n", free_port())).map_err(said)?;
    Ok(path)
}

/// Time of all of it, and of the last epoch.
async fn fill_up(config: &Config, from: u64, to: u64) -> Result<(Duration, Duration), Failure> {
    let (data_dir, identity) = (config.data_dir.clone(), config.identity().map_err(said)?);
    let began = Instant::now();
    let filling = tokio::task::spawn_blocking(move || {
        let (mut told, mut last) = (Instant::now(), Duration::ZERO);
        let done = fill::fill(&data_dir, &identity, from..to, |filled| {
            last = filled.last;
            if told.elapsed() > TOLD_EVERY {
                told = Instant::now();
                eprintln!("filling: {} of {to} handles, {:.0?} so far", filled.handles, began.elapsed());
            }
        });
        done.map(|()| last).map_err(said)
    });
    let last = filling.await.map_err(said)??;
    Ok((began.elapsed(), last))
}

async fn page(admin: std::net::SocketAddr) -> Result<String, Failure> {
    let page = tokio::task::spawn_blocking(move || hushwire_server::admin::get(admin, "/metrics"));
    String::from_utf8(page.await.map_err(said)?.map_err(said)?).map_err(said)
}

async fn gauge(admin: std::net::SocketAddr, name: &str) -> Result<u64, Failure> {
    value(&page(admin).await?, name)?.parse().map_err(said)
}

/// How many epochs there were since the start, what they had in them, and how many seconds they took.
async fn epochs(admin: std::net::SocketAddr) -> Result<(f64, f64, f64), Failure> {
    let page = page(admin).await?;
    let number = |name| value(&page, name)?.parse::<f64>().map_err(said);
    Ok((number("epoch_seconds_count")?, number("epoch_entries_sum")?, number("epoch_seconds_sum")?))
}

fn value<'a>(page: &'a str, name: &str) -> Result<&'a str, Failure> {
    let line = page.lines().find_map(|line| line.strip_prefix(&format!("hushwire_keyserver_{name} ")));
    line.ok_or_else(|| format!("no {name} among the numbers"))
}

/// What was measured at one size, by name.
#[derive(Default)]
struct Row(Vec<(&'static str, f64)>);

impl Row {
    fn put(&mut self, name: &'static str, value: f64) {
        self.0.push((name, value));
    }

    fn to_json(&self) -> Value {
        self.0
            .iter()
            .map(|(name, value)| ((*name).to_owned(), json!((value * 10.0).round() / 10.0)))
            .collect::<Map<_, _>>()
            .into()
    }
}

fn print(rows: &[Row], as_json: bool) {
    if as_json {
        return println!("{}", json!({ "rows": rows.iter().map(Row::to_json).collect::<Vec<_>>() }));
    }
    for (place, (name, _)) in
        rows.iter().flat_map(|row| &row.0).take(rows.first().map_or(0, |row| row.0.len())).enumerate()
    {
        let values = rows.iter().filter_map(|row| row.0.get(place)).map(|(_, value)| format!("{value:>12.1}"));
        println!("{name:28}{}", values.collect::<String>());
    }
}

/// Numbers of a table: far below where a float loses any.
#[allow(clippy::cast_precision_loss)]
fn float(number: u64) -> f64 {
    number as f64
}

fn mib(bytes: u64) -> f64 {
    float(bytes >> 20)
}

fn millis(time: Duration) -> f64 {
    1000.0 * time.as_secs_f64()
}

fn said(error: impl std::fmt::Display) -> Failure {
    error.to_string()
}
