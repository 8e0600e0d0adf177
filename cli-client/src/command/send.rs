//! `hush send`: one message.

use std::io::{self, IsTerminal as _, Read as _};
use std::time::Duration;

use hushwire_client::limits::TEXT_BYTES_MAX;
use hushwire_client::{Answer, Client, Command, Event, EventStream, LocalId, Message, NewText, State, Talk};

use crate::app::App;
use crate::args::{Send, Wait};
use crate::exit::{Exit, Failure};
use crate::show::{self, Item};
use crate::text;

/// Without `--wait`: what a person spends watching a cursor. The message is safe either way.
const GLANCE: Duration = Duration::from_secs(5);

/// With `--wait`, unless `--timeout` says otherwise.
const PATIENCE: Duration = Duration::from_secs(60);

/// For receipts and prekeys that go along.
const ALONG: Duration = Duration::from_secs(2);

pub(super) async fn run(app: &App, args: Send) -> Result<(), Failure> {
    let text = text_of(&args)?;
    let (client, out) = (app.client().await?, app.out());
    let talk = app.talk(&args.to).await?;
    let to = talk.id;
    let mut mentions = Vec::with_capacity(args.mention.len());
    for who in &args.mention {
        mentions.push(app.contact(who).await?.id);
    }
    let mentions = app.mentions(&talk, &text, mentions).await?;
    let text = NewText { text, reply_to: args.reply_to.map(LocalId), mentions, forwarded: false };
    let mut events = client.events();
    let mut message = match client.command(Command::Send { to, text }).await? {
        Answer::Queued(message) => message,
        other => return Err(Failure::new(Exit::Unexpected, format!("the engine answered {other:?}"))),
    };
    client.connect().await?;
    let until = match args.wait {
        None | Some(Wait::Sent) => State::Sent,
        Some(Wait::Delivered) => State::Delivered,
        Some(Wait::Read) => State::Read,
    };
    if let Some(name) = held(client, &message).await? {
        return waits_for_a_person(app, message, args.wait.is_some(), &name).await;
    }
    let deadline = app.timeout(if args.wait.is_some() { PATIENCE } else { GLANCE });
    let reached = tokio::time::timeout(deadline, reaches(client, &mut events, &mut message, until)).await;
    if let Ok(result) = reached {
        result?;
    }
    if reached_sent(&message) {
        let _ = client.settle(ALONG).await?.done;
    }
    if args.wait.is_some() && message.state < until {
        // Nothing on stdout: what was asked for did not happen, yet.
        return Err(not_yet(&message, until, deadline));
    }
    let queued = message.state == State::Queued;
    out.item(&Item::Message(&app.shown(message).await?))?;
    if queued {
        out.note(&format!(
            "Queued{}. It goes out with the next command that connects, or with `hush receive`.",
            why(client)
        ));
    }
    Ok(())
}

/// The contact to whose new devices a person has to agree before this leaves.
async fn held(client: &Client, message: &Message) -> Result<Option<String>, Failure> {
    let Talk::Contact(contact) = message.with else { return Ok(None) };
    let identity = client.query(move |engine| engine.identity(contact)).await?;
    Ok(identity.filter(|identity| identity.held).map(|identity| identity.contact.name))
}

/// No server has anything to do with it: nothing is waited for.
async fn waits_for_a_person(app: &App, message: Message, wait: bool, name: &str) -> Result<(), Failure> {
    let (clean, agree) = (text::clean_line(name), show::agree(name));
    let why = format!("{clean} has new devices to which you have not agreed");
    let then = format!("ask {clean} whether they are theirs, then {agree}");
    if wait {
        let failure = Failure::new(Exit::Untrusted, format!("message #{} waits: {why}", message.id.0));
        return Err(failure.hint(then));
    }
    app.out().item(&Item::Message(&app.shown(message).await?))?;
    app.out().note(&format!("Queued: {why}. It is kept; {then}."));
    Ok(())
}

fn reached_sent(message: &Message) -> bool {
    message.state >= State::Sent
}

/// What was typed, or comes from stdin without the new line that `echo` adds.
fn text_of(args: &Send) -> Result<String, Failure> {
    let from_stdin = args.message_from_stdin || args.text == ["-"];
    if !from_stdin {
        if args.text.is_empty() {
            let hint = "hush send NAME \"Hello!\", or - to read it from stdin";
            return Err(Failure::usage("there is no message", hint));
        }
        return Ok(args.text.join(" "));
    }
    if io::stdin().is_terminal() {
        return Err(Failure::usage(
            "stdin is a terminal, so there is no message",
            "pipe it: echo Hello | hush send NAME -",
        ));
    }
    let mut text = String::new();
    let limit = u64::try_from(TEXT_BYTES_MAX).unwrap_or(u64::MAX).saturating_add(2);
    io::stdin().take(limit).read_to_string(&mut text).map_err(|error| {
        Failure::usage(format!("the message cannot be read from stdin: {error}"), "a message is text in UTF-8")
    })?;
    let end = text.strip_suffix('\n').map_or(text.len(), |rest| rest.strip_suffix('\r').unwrap_or(rest).len());
    text.truncate(end);
    Ok(text)
}

/// Follows the message until it is that far.
async fn reaches(
    client: &Client,
    events: &mut EventStream,
    message: &mut Message,
    until: State,
) -> Result<(), Failure> {
    let id = message.id;
    while message.state < until {
        match events.next().await {
            Some(Ok(Event::StateChanged { id: of, state, .. })) if of == id => message.state = state.max(message.state),
            Some(Ok(_)) => {}
            Some(Err(_)) => {
                if let Some(now) = client.query(move |engine| engine.message(id)).await? {
                    message.state = now.state;
                }
            }
            None => return Err(Failure::new(Exit::Unexpected, "the account was closed")),
        }
    }
    Ok(())
}

fn why(client: &Client) -> String {
    match &client.connectivity().borrow().last_error {
        Some(why) => format!(": {}", text::clean_line(why)),
        None => String::new(),
    }
}

fn not_yet(message: &Message, until: State, waited: Duration) -> Failure {
    let (wanted, now) = (word(until), word(message.state));
    Failure::new(
        Exit::Queued,
        format!("message #{} is not {wanted} after {} s; it is {now}", message.id.0, waited.as_secs()),
    )
    .hint(if message.state == State::Queued {
        "it is kept, and goes out with the next command that connects; `hush outbox` says why it waits".to_owned()
    } else {
        format!("the relay has it; `hush message status {} --explain` says how far it has come", message.id.0)
    })
}

const fn word(state: State) -> &'static str {
    match state {
        State::Queued => "queued",
        State::Sent => "sent",
        State::Delivered => "delivered",
        State::Read => "read",
    }
}
