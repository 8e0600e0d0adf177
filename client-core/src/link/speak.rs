//! Calls as requests of the wire, and answers as replies.

use bytes::Bytes;
use hushwire_engine::{Call, CallFailed, Credentials, Reply};
use hushwire_proto::admission::Pass;
use hushwire_proto::auth::{EXPORTER_LABEL, SessionBinding, prove_device, prove_registration};
use hushwire_proto::ids::MailboxId;
use hushwire_proto::limits::CALL_DEADLINE;
use hushwire_proto::net::NoExporter;
use hushwire_proto::net::call::{CallError, Connection, Disconnect};
use hushwire_proto::{keyserver, relay};

/// Which protocol a call speaks, to read its answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Tongue {
    Relay,
    Keyserver,
}

/// What binds a proof to this connection.
pub(crate) fn binding(connection: &Connection) -> Result<SessionBinding, NoExporter> {
    connection.exporter(EXPORTER_LABEL, b"").map(SessionBinding)
}

/// The request for a call. Calls to the own keyserver need who we are; a registration proves it over this connection, and
/// is the only one to show a pass.
pub(crate) fn request(
    call: Call,
    connection: &Connection,
    credentials: &Credentials,
    pass: Pass,
) -> Result<(Bytes, Tongue), CallFailed> {
    let mailbox = MailboxId(credentials.mailbox_key.verifying_key().to_bytes());
    Ok(match call {
        Call::Grant { tokens } => to_relay(&relay::Request::Grant { mailbox, tokens }),
        Call::Revoke { hashes } => to_relay(&relay::Request::Revoke { mailbox, hashes }),
        Call::Acknowledge { through } => to_relay(&relay::Request::Acknowledge { mailbox, through }),
        Call::Deposit { deposit, .. } => to_relay(&relay::Request::Deposit(deposit)),
        Call::DepositMany { many, .. } => to_relay(&relay::Request::DepositMany(many)),
        Call::Whisper { whisper, .. } => to_relay(&relay::Request::Whisper(whisper)),
        Call::Register { link, handle_name, .. } => {
            let binding = binding(connection).map_err(|_| unreachable(CallError::Disconnected(Disconnect::Lost)))?;
            let Credentials { account, device, ref signing_key, .. } = *credentials;
            let name = handle_name.as_deref().unwrap_or_default();
            let proof = prove_registration(binding, account, device, name, signing_key);
            to_keyserver(&keyserver::Request::Register { link, handle_name, proof, pass })
        }
        Call::AppendLink { account, link, .. } => to_keyserver(&keyserver::Request::AppendLink { account, link }),
        Call::Publish { publish, .. } => to_keyserver(&keyserver::Request::Publish(publish)),
        Call::GetStock { .. } => to_keyserver(&keyserver::Request::GetStock),
        Call::Lookup { who, .. } => to_keyserver(&keyserver::Request::Lookup(who)),
        Call::GetHistory { handle_name, .. } => to_keyserver(&keyserver::Request::GetHistory { handle_name }),
        Call::GetReport { .. } => return Err(CallFailed::OutOfProtocol), // an auditor's, which speaks another protocol
        Call::Fetch { account, devices, .. } => to_keyserver(&keyserver::Request::Fetch { account, devices }),
    })
}

fn to_relay(request: &relay::Request) -> (Bytes, Tongue) {
    (request.encode(), Tongue::Relay)
}

fn to_keyserver(request: &keyserver::Request) -> (Bytes, Tongue) {
    (request.encode(), Tongue::Keyserver)
}

/// What an answer says to the engine, which checks itself that it fits the call.
pub(crate) fn reply(answer: &Bytes, tongue: Tongue) -> Result<Reply, CallFailed> {
    match tongue {
        Tongue::Relay => match relay::Answer::parse(answer) {
            Ok(relay::Answer::Stored) => Ok(Reply::Stored),
            Ok(relay::Answer::StoredMany(stored)) => Ok(Reply::StoredMany(stored)),
            Ok(relay::Answer::Granted | relay::Answer::Revoked) => Ok(Reply::TokensKept),
            Ok(relay::Answer::Acknowledged) => Ok(Reply::Acknowledged),
            Ok(relay::Answer::Refused(refused)) => Err(CallFailed::Relay(refused)),
            Ok(
                relay::Answer::Welcome(_)
                | relay::Answer::Opened
                | relay::Answer::Passed
                | relay::Answer::Draining { .. },
            )
            | Err(_) => Err(CallFailed::OutOfProtocol),
        },
        Tongue::Keyserver => match keyserver::Answer::parse(answer) {
            Ok(keyserver::Answer::Registered) => Ok(Reply::Registered),
            Ok(keyserver::Answer::Appended) => Ok(Reply::Appended),
            Ok(keyserver::Answer::Stock(stock)) => Ok(Reply::Stock(stock)),
            Ok(keyserver::Answer::Found(found)) => Ok(Reply::Found(found)),
            Ok(keyserver::Answer::Absent(proven)) => Ok(Reply::Absent(proven)),
            Ok(keyserver::Answer::History(proven)) => Ok(Reply::History(proven)),
            Ok(keyserver::Answer::Bundles(bundles)) => Ok(Reply::Bundles(bundles)),
            Ok(keyserver::Answer::Refused(refused)) => Err(CallFailed::Keyserver(refused)),
            Ok(
                keyserver::Answer::Welcome(_)
                | keyserver::Answer::SignedIn
                | keyserver::Answer::Root(_)
                | keyserver::Answer::Step(_),
            )
            | Err(_) => Err(CallFailed::OutOfProtocol),
        },
    }
}

/// Tells the keyserver which device this connection is.
pub(crate) async fn sign_in(connection: &Connection, credentials: &Credentials) -> Result<(), CallFailed> {
    let binding = binding(connection).map_err(|_| unreachable(CallError::Disconnected(Disconnect::Lost)))?;
    let Credentials { account, device, ref signing_key, .. } = *credentials;
    let proof = prove_device(binding, account, device, signing_key);
    let request = keyserver::Request::SignIn { account, device, proof };
    let answer = connection.call(request.encode(), CALL_DEADLINE).await.map_err(unreachable)?;
    match keyserver::Answer::parse(&answer) {
        Ok(keyserver::Answer::SignedIn) => Ok(()),
        Ok(keyserver::Answer::Refused(refused)) => Err(CallFailed::Keyserver(refused)),
        _ => Err(CallFailed::OutOfProtocol),
    }
}

/// A connection that gave no answer.
pub(crate) fn unreachable(error: CallError) -> CallFailed {
    CallFailed::Unreachable(error.to_string())
}
