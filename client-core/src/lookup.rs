//! One question to a keyserver by somebody who has no account here yet: what is this account, whose new device I am to be?
//! Over a connection of its own on which nobody signs in.

use hushwire_engine::{KnownAccount, NewContact, whom_to_ask};
use hushwire_proto::keyserver::{Answer, RefusedReason, Request};
use hushwire_proto::limits::{CALL_DEADLINE, CONNECT_DEADLINE};
use hushwire_proto::net::KEYS_ALPN;
use hushwire_proto::net::call::Connection;
use tokio::time::timeout;

use crate::error::Error;

pub(crate) async fn look_up(whose: &NewContact) -> Result<KnownAccount, Error> {
    let (keyserver, who) = whom_to_ask(whose);
    let unreachable = |why: String| Error::Unreachable { server: keyserver.to_string(), why };
    let connection = match timeout(CONNECT_DEADLINE, Connection::connect(keyserver, KEYS_ALPN, CONNECT_DEADLINE)).await
    {
        Ok(Ok(connection)) => connection,
        Ok(Err(error)) => return Err(unreachable(error.to_string())),
        Err(_) => return Err(unreachable("no answer".to_owned())),
    };
    let answer = connection.call(Request::Lookup(who).encode(), CALL_DEADLINE).await;
    connection.close().await;
    let answer = answer.map_err(|error| unreachable(error.to_string()))?;
    match Answer::parse(&answer) {
        Ok(Answer::Found(found)) => KnownAccount::verify(whose, found).map_err(Error::CannotJoin),
        Ok(Answer::Absent(_)) => Err(Error::NoSuchAccount),
        Ok(Answer::Refused(refused)) if refused.reason == RefusedReason::Unknown => Err(Error::NoSuchAccount),
        Ok(Answer::Refused(refused)) => Err(unreachable(format!("it refused: {refused}"))),
        _ => Err(unreachable("it answered out of protocol".to_owned())),
    }
}
