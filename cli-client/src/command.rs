//! One file per command. Each gets what was typed and the [`App`], and shows what came of it.

mod auditor;
mod chat;
mod contact;
mod delete;
mod device;
mod doctor;
mod group;
mod history;
mod identity;
mod join;
mod link;
mod list;
mod log;
mod manual;
mod message;
mod outbox;
mod passphrase;
mod presence;
mod receive;
mod recovery;
mod register;
mod report;
mod search;
mod send;
mod settings;
mod verify;
mod whoami;
mod whom;
mod words;

use hushwire_client::{LocalId, Message};

use crate::app::App;
use crate::args::Command;
use crate::exit::Failure;
use crate::show;

/// Carries it out.
///
/// # Errors
/// Why it was not done, with the exit code.
pub(crate) async fn run(app: &App, command: Command) -> Result<(), Failure> {
    match command {
        Command::Register(args) => register::run(app, args).await,
        Command::Link(args) => link::run(app, &args).await,
        Command::Contact(args) => contact::run(app, args).await,
        Command::Send(args) => send::run(app, args).await,
        Command::Receive(args) => receive::run(app, &args).await,
        Command::List(args) => list::run(app, &args).await,
        Command::Search(args) => search::run(app, &args).await,
        Command::Message(args) => message::run(app, args).await,
        Command::Group(args) => group::run(app, args).await,
        Command::Timer(args) => settings::timer(app, &args).await,
        Command::Mute(args) => settings::mute(app, &args).await,
        Command::Archive(args) => settings::archive(app, &args).await,
        Command::Delete(args) => delete::run(app, &args).await,
        Command::Draft(args) => settings::draft(app, args).await,
        Command::Receipts(args) => settings::receipts(app, &args).await,
        Command::Typing(args) => presence::typing(app, &args).await,
        Command::Presence(args) => presence::presence(app, &args).await,
        Command::History(args) => history::run(app, &args).await,
        Command::Chat(args) => chat::run(app, &args).await,
        Command::Verify(args) => verify::run(app, &args).await,
        Command::Identity(args) => identity::run(app, args).await,
        Command::Device(args) => device::run(app, args).await,
        Command::Recover(args) => recovery::recover(app, *args).await,
        Command::Recovery(args) => recovery::run(app, args).await,
        Command::Auditor(args) => auditor::run(app, args).await,
        Command::Outbox => outbox::run(app).await,
        Command::Doctor => doctor::run(app).await,
        Command::Whoami => whoami::run(app).await,
        Command::Passphrase(args) => passphrase::run(app, args).await,
        Command::Completions { shell } => manual::completions(app, shell),
        Command::Man => manual::man(app),
        Command::Version => show::version(app.out()),
    }
}

/// The last of these that somebody else wrote: up to there they were seen, in the order in which they stand.
fn last_of_others(messages: &[Message]) -> Option<LocalId> {
    messages.iter().rfind(|message| !message.outgoing).map(|message| message.id)
}

impl Command {
    /// Whether it goes on until it is told to stop, so that SIGTERM is its orderly end.
    pub(crate) fn ends_when_told(&self) -> bool {
        matches!(self, Self::Receive(args) if args.follow)
    }
}
