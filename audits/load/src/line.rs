//! One connection: sets itself up request by request, and then runs, saying what it is told and hearing what comes.

use std::time::Duration;

use bytes::{Buf, Bytes, BytesMut};
use hushwire_proto::auth::{EXPORTER_LABEL, SessionBinding, prove_mailbox};
use hushwire_proto::frame::{self, Frame, RequestId};
use hushwire_proto::ids::Seq;
use hushwire_proto::relay::{Answer, Request, TokenClass};
use quinn::{Connection, RecvStream, SendStream};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::time::timeout;

use crate::target::{Kind, Target};
use crate::tongue::{Event, Mailbox, Said, Tongue, floor, relay};
use crate::{Failure, said};

/// How long a handshake or an answer may take while connections are set up: a machine that is busy with others of them.
const PATIENCE: Duration = Duration::from_secs(30);

/// Bytes that wait to be written, beyond which no further deposit is taken.
const OUTPUT_BYTES: usize = 256 * 1024;

/// Pieces taken from the transport at once.
const READ_PIECES: usize = 32;

/// Says deposits; the line closes when it and all its clones are dropped.
#[derive(Clone, Debug)]
pub struct Mouth(UnboundedSender<Said>);

impl Mouth {
    /// One, and what a line that [runs](Line::run) takes from.
    #[must_use]
    pub fn new() -> (Self, UnboundedReceiver<Said>) {
        let (mouth, deposits) = unbounded_channel();
        (Self(mouth), deposits)
    }

    /// Goes out once the connection takes it.
    ///
    /// # Errors
    /// The connection was lost.
    pub fn send(&self, what: impl Into<Said>) -> Result<(), Failure> {
        self.0.send(what.into()).map_err(|_| "the connection was lost".to_owned())
    }
}

/// A connection that is set up.
#[derive(Debug)]
pub struct Line {
    quic: Connection,
    send: SendStream,
    receive: RecvStream,
    input: BytesMut,
    tongue: Tongue,
    asked: u64,
}

impl Line {
    /// A connection that only deposits.
    ///
    /// # Errors
    /// Why there is none.
    pub async fn sender(target: &Target) -> Result<Self, Failure> {
        let quic = timeout(PATIENCE, target.connect()).await.map_err(|_| "connecting took too long")??;
        let (send, receive) = quic.open_bi().await.map_err(said)?;
        let tongue = match target.kind() {
            Kind::Relay => Tongue::Relay(relay::Relay::default()),
            Kind::Floor => Tongue::Floor(floor::Floor),
        };
        Ok(Self { quic, send, receive, input: BytesMut::new(), tongue, asked: 0 })
    }

    /// A connection that owns a mailbox and has made its token known.
    ///
    /// # Errors
    /// Why there is none.
    pub async fn owner(target: &Target, mailbox: &Mailbox) -> Result<Self, Failure> {
        Self::owner_of(target, std::slice::from_ref(mailbox)).await
    }

    /// A connection that owns some mailboxes, at most eight, and has made their tokens known.
    ///
    /// # Errors
    /// Why there is none.
    pub async fn owner_of(target: &Target, mailboxes: &[Mailbox]) -> Result<Self, Failure> {
        let mut line = Self::sender(target).await?;
        if target.kind() == Kind::Relay {
            let mut binding = [0; 32];
            line.quic
                .export_keying_material(&mut binding, EXPORTER_LABEL, b"")
                .map_err(|_| "the TLS session is gone")?;
            for mailbox in mailboxes {
                let id = mailbox.door.mailbox;
                line.tongue = Tongue::Relay(relay::Relay::of(id));
                let proof = prove_mailbox(SessionBinding(binding), &mailbox.key);
                line.expect(&Request::Open { mailbox: id, proof }, &Answer::Opened).await?;
                let tokens = vec![(mailbox.door.token.hash(), TokenClass::Contact)];
                line.expect(&Request::Grant { mailbox: id, tokens }, &Answer::Granted).await?;
            }
        }
        Ok(line)
    }

    /// An owner that is given everything after `after`.
    ///
    /// # Errors
    /// Why there is none.
    pub async fn drain(target: &Target, mailbox: &Mailbox, after: u64) -> Result<Self, Failure> {
        let mut line = Self::owner(target, mailbox).await?;
        match target.kind() {
            Kind::Relay => {
                let drain = Request::Drain { mailbox: mailbox.door.mailbox, after: Seq(after) };
                let answer = line.ask(drain.encode()).await?;
                if !matches!(Answer::parse(&answer), Ok(Answer::Draining { .. })) {
                    return Err("the relay does not give out the mailbox".to_owned());
                }
            }
            Kind::Floor => {
                let own = floor::Word::Own(mailbox.door.index).encode();
                if floor::Word::parse(line.ask(own).await?) != Some(floor::Word::Done) {
                    return Err("the yardstick gave no mailbox".to_owned());
                }
            }
        }
        Ok(line)
    }

    /// Leaves without a word, as a process that was killed.
    pub fn quic(&self) -> &Connection {
        &self.quic
    }

    /// Runs as a task: says what comes in at the mouth, hears with `on`.
    pub fn start(
        self,
        on: impl FnMut(Event) + Send + 'static,
    ) -> (Mouth, tokio::task::JoinHandle<Result<(), Failure>>) {
        let (mouth, deposits) = Mouth::new();
        (mouth, tokio::spawn(self.run(deposits, on)))
    }

    /// Says what comes, hears with `on`, until nobody is left who could say something, or the connection is lost.
    ///
    /// # Errors
    /// Why the connection was lost.
    pub async fn run(
        mut self,
        mut deposits: UnboundedReceiver<Said>,
        mut on: impl FnMut(Event),
    ) -> Result<(), Failure> {
        let mut output = BytesMut::new();
        loop {
            while let Some(frame) = frame::decode(&mut self.input).map_err(said)? {
                self.tongue.hear(frame, &mut output, &mut on)?;
            }
            tokio::select! {
                biased;
                written = self.send.write(&output), if !output.is_empty() => output.advance(written.map_err(said)?),
                read = read(&mut self.receive, &mut self.input) => read?,
                deposit = deposits.recv(), if output.len() < OUTPUT_BYTES => {
                    let Some(deposit) = deposit else { break };
                    self.tongue.say(deposit, &mut output)?;
                    while output.len() < OUTPUT_BYTES && let Ok(deposit) = deposits.try_recv() {
                        self.tongue.say(deposit, &mut output)?;
                    }
                }
            }
        }
        self.quic.close(0_u32.into(), b"done");
        Ok(())
    }

    async fn expect(&mut self, request: &Request, expected: &Answer) -> Result<(), Failure> {
        let answer = Answer::parse(&self.ask(request.encode()).await?).map_err(said)?;
        if answer == *expected { Ok(()) } else { Err(format!("{answer:?} instead of {expected:?}")) }
    }

    async fn ask(&mut self, payload: Bytes) -> Result<Bytes, Failure> {
        self.asked += 1;
        let id = RequestId(self.asked);
        let mut bytes = BytesMut::new();
        frame::encode(&Frame { id, payload }, &mut bytes).map_err(said)?;
        self.send.write_all(&bytes).await.map_err(said)?;
        loop {
            if let Some(frame) = frame::decode(&mut self.input).map_err(said)? {
                return if frame.id == id { Ok(frame.payload) } else { Err("an answer to nothing".to_owned()) };
            }
            timeout(PATIENCE, read(&mut self.receive, &mut self.input)).await.map_err(|_| "no answer in time")??;
        }
    }
}

/// Takes what has arrived, at least something. May be cancelled: what is taken is in `input` by then.
async fn read(stream: &mut RecvStream, input: &mut BytesMut) -> Result<(), Failure> {
    let mut pieces = [const { Bytes::new() }; READ_PIECES];
    match stream.read_chunks(&mut pieces).await.map_err(said)? {
        Some(count) => pieces.iter().take(count).for_each(|piece| input.extend_from_slice(piece)),
        None => return Err("the server ended the stream".to_owned()),
    }
    Ok(())
}
