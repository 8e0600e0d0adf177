//! What `hush doctor` looks at: each thing that a working client needs, and what to do when it is not so.

use hushwire_engine::{Credentials, Membership, Profile, Waiting};
use hushwire_proto::address::ServerAddress;
use hushwire_proto::ids::UnixMillis;
use hushwire_proto::limits::{CALL_DEADLINE, CONNECT_DEADLINE};
use hushwire_proto::net::call::{ConnectError, Connection};
use hushwire_proto::net::{KEYS_ALPN, RELAY_ALPN};
use hushwire_proto::{keyserver, relay};
use tokio::time::{Instant, timeout};

use crate::client::{Client, now};
use crate::connectivity::ClockOff;

/// Fewer one-time prekeys than this at the keyserver: the first messages of new contacts may soon do without one.
const PREKEYS_FEW: u32 = 10;

/// One thing that was looked at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// What: `database`, `account`, `prekeys`, `outbox`, `relay`, `keyserver`, `clock`.
    pub name: &'static str,
    /// How it is.
    pub verdict: Verdict,
    /// What was found, as a sentence.
    pub detail: String,
    /// What to do; `None` when there is nothing to do.
    pub advice: Option<String>,
}

/// How a finding is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Verdict {
    /// As it should be.
    Ok,
    /// Works, and may not for long, or not as well as it could.
    Warn,
    /// Does not work.
    Fail,
}

pub(crate) async fn run(client: &Client, credentials: &Credentials) -> Vec<Finding> {
    let mut findings = vec![database(client).await];
    let local = client.query(|engine| Ok((engine.profile()?, engine.waiting()?))).await;
    if let Ok((profile, waiting)) = local {
        findings.extend([account(&profile), prekeys(&profile), outbox(&waiting)]);
    }
    let relay = tokio::spawn(greet(credentials.relay.clone(), Server::Relay));
    let keyserver = greet(credentials.keyserver.clone(), Server::Keyserver).await;
    let relay = relay.await.unwrap_or_else(|_| Err((fail("relay", "the look at it broke off"), None)));
    let mut clocks = Vec::new();
    for greeted in [relay, keyserver] {
        match greeted {
            Ok((finding, clock)) => {
                findings.push(finding);
                clocks.push(clock);
            }
            Err((finding, advice)) => findings.push(Finding { advice, ..finding }),
        }
    }
    findings.extend(clock(&clocks));
    findings
}

async fn database(client: &Client) -> Finding {
    match client.query(|engine| engine.check_store()).await {
        Ok(()) => ok("database", "every page is as it was written"),
        Err(error) => advise(fail("database", &error.to_string()), "restore the data directory from a backup"),
    }
}

fn account(profile: &Profile) -> Finding {
    match profile.membership {
        Membership::Listed => {}
        Membership::Waiting => {
            return advise(
                fail("account", "this device waits to be added"),
                "type `device add` with its request on a device that you have",
            );
        }
        Membership::Revoked => {
            return advise(
                fail("account", "this device was taken out of its account"),
                "if that was not you, recover the account with the 24 words",
            );
        }
    }
    match (&profile.handle, profile.registered) {
        (Some(handle), true) => ok("account", &format!("registered as {handle}")),
        (None, true) => ok("account", "registered, without a handle: others add it by contact link"),
        (_, false) => advise(
            Finding { verdict: Verdict::Warn, ..ok("account", "not registered yet: nobody can find it") },
            "go online and wait until the keyserver has it",
        ),
    }
}

fn prekeys(profile: &Profile) -> Finding {
    match profile.prekeys_left {
        Some(left) if left >= PREKEYS_FEW => ok("prekeys", &format!("{left} left at the keyserver")),
        Some(left) => advise(
            Finding { verdict: Verdict::Warn, ..ok("prekeys", &format!("only {left} left at the keyserver")) },
            "go online for a moment: new ones are published by themselves",
        ),
        None => advise(
            Finding { verdict: Verdict::Warn, ..ok("prekeys", "the keyserver was not asked yet") },
            "go online for a moment",
        ),
    }
}

fn outbox(waiting: &[Waiting]) -> Finding {
    let failing = waiting.iter().filter(|message| message.attempts > 0).count();
    let detail = match waiting.len() {
        0 => "nothing waits".to_owned(),
        1 => format!("1 message waits, {}", if failing == 0 { "not tried yet" } else { "after a failed try" }),
        many => format!("{many} messages wait, {failing} of them after a failed try"),
    };
    if failing == 0 {
        return ok("outbox", &detail);
    }
    let reason = waiting.iter().find_map(|message| message.reason.clone());
    let advice = reason.unwrap_or_else(|| "they are sent as soon as the relay is reached".to_owned());
    Finding { advice: Some(advice), verdict: Verdict::Warn, ..ok("outbox", &detail) }
}

#[derive(Clone, Copy)]
enum Server {
    Relay,
    Keyserver,
}

impl Server {
    fn name(self) -> &'static str {
        match self {
            Self::Relay => "relay",
            Self::Keyserver => "keyserver",
        }
    }
}

/// Our clock and theirs, at the same moment.
type Clocks = (UnixMillis, UnixMillis);

/// Says hello over an anonymous connection of its own.
async fn greet(address: ServerAddress, server: Server) -> Result<(Finding, Clocks), (Finding, Option<String>)> {
    let failed = |why: &str, advice: &str| (fail(server.name(), why), Some(advice.to_owned()));
    let alpn = match server {
        Server::Relay => RELAY_ALPN,
        Server::Keyserver => KEYS_ALPN,
    };
    let connection = match timeout(CONNECT_DEADLINE, Connection::connect(&address, alpn, CONNECT_DEADLINE)).await {
        Ok(Ok(connection)) => connection,
        Ok(Err(error)) => return Err(failed(&format!("{address}: {error}"), advice_for(&error))),
        Err(_) => return Err(failed(&format!("{address}: no answer"), ASK_OPERATOR)),
    };
    let hello = match server {
        Server::Relay => relay::Request::Hello.encode(),
        Server::Keyserver => keyserver::Request::Hello.encode(),
    };
    let sent = Instant::now();
    let answer = connection.call(hello, CALL_DEADLINE).await;
    let round_trip = sent.elapsed();
    connection.close().await;
    let answer = answer.map_err(|error| failed(&format!("{address}: {error}"), ASK_OPERATOR))?;
    let welcome = match server {
        Server::Relay => match relay::Answer::parse(&answer) {
            Ok(relay::Answer::Welcome(welcome)) => Some((welcome.now, welcome.software)),
            _ => None,
        },
        Server::Keyserver => match keyserver::Answer::parse(&answer) {
            Ok(keyserver::Answer::Welcome(welcome)) => Some((welcome.now, welcome.software)),
            _ => None,
        },
    };
    let Some((theirs, software)) = welcome else {
        return Err(failed(&format!("{address}: answered out of protocol"), "update this program or the server"));
    };
    let detail = format!(
        "{address}: has the key that the address names, answered in {} ms, runs {}",
        round_trip.as_millis(),
        software.escape_debug()
    );
    Ok((ok(server.name(), &detail), (now(), theirs)))
}

const ASK_OPERATOR: &str = "check that UDP to that port is let through, or ask the operator whether the server runs";

fn advice_for(error: &ConnectError) -> &'static str {
    match error {
        ConnectError::WrongCertificate { .. } => {
            "do not go on: ask the operator over another way whether the server's key was changed"
        }
        ConnectError::NoFingerprint => "ask the operator for the address with its fingerprint",
        ConnectError::Dns { .. } => "check the network and the spelling of the name",
        ConnectError::WrongProtocol => "check the port, and whether one side needs an update",
        _ => ASK_OPERATOR,
    }
}

/// Right if one server agrees; with none that answered nothing is said.
fn clock(clocks: &[Clocks]) -> Option<Finding> {
    let off: Vec<_> = clocks.iter().map(|(ours, theirs)| ClockOff::between(*ours, *theirs)).collect();
    let worst = off.iter().flatten().next();
    match (worst, off.contains(&None)) {
        (_, true) => Some(ok("clock", "agrees with a server's to within five minutes")),
        (Some(off), false) => Some(advise(
            Finding { verdict: Verdict::Warn, ..ok("clock", &off.to_string()) },
            "set this machine's clock; times in the history and retries go by it",
        )),
        (None, false) => None,
    }
}

fn ok(name: &'static str, detail: &str) -> Finding {
    Finding { name, verdict: Verdict::Ok, detail: detail.to_owned(), advice: None }
}

fn fail(name: &'static str, detail: &str) -> Finding {
    Finding { verdict: Verdict::Fail, ..ok(name, detail) }
}

fn advise(finding: Finding, advice: &str) -> Finding {
    Finding { advice: Some(advice.to_owned()), ..finding }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_is_wrong_only_if_no_server_agrees_with_it() {
        let noon = UnixMillis(1_800_000_000_000);
        let late = noon.plus(3_600_000);
        assert_eq!(clock(&[]), None);
        assert_eq!(clock(&[(noon, late), (noon, noon)]).map(|found| found.verdict), Some(Verdict::Ok));
        assert_eq!(clock(&[(noon, late), (noon, late)]).map(|found| found.verdict), Some(Verdict::Warn));
    }
}
