//! What a command in a chat does. What cannot be done is said, and the chat goes on.

use hushwire_client::{Answer, Command, LocalId, Message, NewText};

use super::input::Input;
use super::slash::{HELP, Slash};
use super::{HISTORY, Talk};
use crate::exit::{Exit, Failure};
use crate::show::Item;
use crate::text;

/// Which message is meant where no number says it.
#[derive(Clone, Copy)]
enum Last {
    Ours,
    Theirs,
    Any,
}

impl Talk<'_> {
    pub(super) async fn act(&mut self, slash: Slash, input: &Input) -> Result<(), Failure> {
        let done = self.try_to(slash, input).await;
        match done {
            Ok(()) => Ok(()),
            // A name that nobody has, a message that is not ours.
            Err(Failure { exit: Exit::Usage, message, hint }) => {
                let hint = hint.map(|hint| format!("; {hint}")).unwrap_or_default();
                self.screen.notice(&format!("-- {}", text::clean_line(&format!("{message}{hint}"))))
            }
            Err(failure) => Err(failure),
        }
    }

    async fn try_to(&mut self, slash: Slash, input: &Input) -> Result<(), Failure> {
        match slash {
            Slash::Quit => Ok(()),
            Slash::Help => HELP.lines().try_for_each(|line| self.screen.notice(line)),
            Slash::Who => self.who().await,
            Slash::Pinned => self.pinned().await,
            Slash::Reply(which, text) => {
                let reply_to = Some(self.which(which, Last::Theirs).await?.id);
                self.send(NewText { text, reply_to, ..NewText::default() }).await
            }
            Slash::Edit(which, text) => {
                let message = self.which(which, Last::Ours).await?.id;
                self.does(Command::Edit { message, text }).await
            }
            Slash::Delete { which, here: false } => {
                let message = self.which(which, Last::Ours).await?;
                if !message.outgoing {
                    return Err(Failure::usage(
                        format!("message #{} is not yours to take back", message.id.0),
                        format!("/delete #{} here deletes it on this device only", message.id.0),
                    ));
                }
                self.does(Command::TakeBack(message.id)).await
            }
            Slash::Delete { which, here: true } => {
                let message = self.which(which, Last::Any).await?.id;
                self.does(Command::DeleteHere(message)).await
            }
            Slash::React(which, emoji) => {
                let message = self.which(which, Last::Theirs).await?.id;
                self.does(Command::React { message, emoji }).await
            }
            Slash::Pin(which, pinned) => {
                let message = self.which(which, Last::Any).await?.id;
                self.does(Command::Pin { message, pinned }).await
            }
            Slash::Forward(which, name) => self.forward(which, &name).await,
            Slash::Timer(after) => {
                let seconds = after.map(|time| u32::try_from(time.as_secs()).unwrap_or(u32::MAX));
                self.does(Command::SetTimer { conversation: self.conversation, seconds }).await
            }
            Slash::Typing(on) => {
                self.client.command(Command::ShareTyping(self.conversation, on)).await?;
                self.screen.notice(match (self.contact, on) {
                    (Some(_), true) => "-- they may see when you type, and you see when they do",
                    (None, true) => "-- members who switch it on too see when you type, and you see when they do",
                    (_, false) => "-- nobody sees when you type, and you do not see when others do",
                })?;
                self.types(input).await
            }
            Slash::Presence(on) => {
                let Some(contact) = self.contact else {
                    return Err(Failure::usage(
                        "whether you are there is told to contacts, never to groups",
                        "/typing works in groups",
                    ));
                };
                self.client.command(Command::SharePresence(contact, on)).await?;
                self.seen = None;
                self.screen.notice(match on {
                    true => "-- they may see that you are there; you see it of them once they switch it on too",
                    false => "-- they do not see whether you are there, and you do not see it of them",
                })
            }
        }
    }

    /// The message that is meant, of this conversation.
    async fn which(&self, number: Option<LocalId>, last: Last) -> Result<Message, Failure> {
        if let Some(id) = number {
            let found = self.client.query(move |engine| engine.message(id)).await?;
            return found.filter(|message| message.conversation == self.conversation).ok_or_else(|| {
                Failure::usage(
                    format!("there is no message #{} here", id.0),
                    "the number stands behind each message: #12",
                )
            });
        }
        let all = super::super::history::last(self.client, self.conversation, None, HISTORY * 10).await?;
        let fits = |message: &Message| match last {
            Last::Ours => message.outgoing,
            Last::Theirs => !message.outgoing,
            Last::Any => true,
        };
        all.into_iter().rev().find(|message| fits(message) && !message.deleted).ok_or_else(|| {
            let whose = match last {
                Last::Ours => "of yours",
                Last::Theirs => "of theirs",
                Last::Any => "at all",
            };
            Failure::usage(format!("there is no message {whose} here lately"), "say which by its number: #12")
        })
    }

    /// Does something of which an event says what came of it.
    async fn does(&self, command: Command) -> Result<(), Failure> {
        self.client.command(command).await?;
        Ok(())
    }

    async fn forward(&mut self, which: Option<LocalId>, name: &str) -> Result<(), Failure> {
        let message = self.which(which, Last::Any).await?.id;
        let to = self.app.talk(name).await?;
        match self.client.command(Command::Forward { message, to: to.id }).await? {
            Answer::Queued(sent) if sent.conversation == self.conversation => {
                let shown = self.app.shown(sent).await?;
                self.screen.message(&shown)
            }
            _ => self.screen.notice(&format!("-- forwarded to {}", text::clean_line(&to.name))),
        }
    }

    async fn pinned(&mut self) -> Result<(), Failure> {
        let id = self.conversation;
        let pinned = self.client.query(move |engine| engine.pinned(id)).await?;
        if pinned.is_empty() {
            return self.screen.notice("-- nothing is pinned here; /pin #12 pins a message");
        }
        for shown in self.app.all_shown(pinned).await? {
            self.screen.item(&Item::Message(&shown))?;
        }
        Ok(())
    }

    /// Who is in the conversation.
    async fn who(&mut self) -> Result<(), Failure> {
        let id = self.conversation;
        if let Some(contact) = self.contact {
            return match self.client.query(move |engine| engine.contact(contact)).await? {
                Some(contact) => self.screen.item(&Item::Contact(&contact)),
                None => Ok(()),
            };
        }
        let place = self.app.conversation(id).await?;
        let group = self.client.query(move |engine| engine.group(id)).await?;
        let us = self.app.profile().await?.account;
        self.screen.item(&Item::Group { place: &place, group: group.as_ref(), us, whole: true })
    }
}
