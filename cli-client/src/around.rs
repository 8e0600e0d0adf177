//! What a message is shown with beside its text: what it answers, whom it names, and in a group how many have it.

use std::collections::BTreeMap;

use hushwire_client::{ConversationId, LocalId, Message, Page, State, Talk};

use crate::app::App;
use crate::exit::Failure;
use crate::show::{Heard, Shown};

impl App {
    /// A message with what is known around it.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub(crate) async fn shown(&self, message: Message) -> Result<Shown, Failure> {
        let of = self.others_in(&message).await?;
        self.shown_among(message, of).await
    }

    /// The same of many.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub(crate) async fn all_shown(&self, messages: Vec<Message>) -> Result<Vec<Shown>, Failure> {
        let mut sizes: BTreeMap<ConversationId, Option<usize>> = BTreeMap::new();
        let mut all = Vec::with_capacity(messages.len());
        for message in messages {
            let of = match sizes.get(&message.conversation) {
                Some(of) if message.outgoing => *of,
                Some(_) | None if !message.outgoing => None,
                _ => {
                    let of = self.others_in(&message).await?;
                    sizes.insert(message.conversation, of);
                    of
                }
            };
            all.push(self.shown_among(message, of).await?);
        }
        Ok(all)
    }

    /// What stands last in a conversation.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub(crate) async fn last_of(&self, id: ConversationId) -> Result<Option<Message>, Failure> {
        let page = Page { limit: 1, ..Page::default() };
        Ok(self.client().await?.query(move |engine| engine.history(Some(id), page)).await?.pop())
    }

    /// How many members have our message; `None` unless it is ours, to a group.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub(crate) async fn heard(&self, id: LocalId) -> Result<Option<Heard>, Failure> {
        let Some(message) = self.client().await?.query(move |engine| engine.message(id)).await? else {
            return Ok(None);
        };
        match self.others_in(&message).await? {
            Some(of) => Ok(Some(self.counted(id, of).await?)),
            None => Ok(None),
        }
    }

    /// How many members a message of ours is for.
    async fn others_in(&self, message: &Message) -> Result<Option<usize>, Failure> {
        let (true, Talk::Group(_), id) = (message.outgoing, message.with, message.conversation) else {
            return Ok(None);
        };
        let group = self.client().await?.query(move |engine| engine.group(id)).await?;
        Ok(Some(group.map_or(0, |group| group.state.members.len().saturating_sub(1))))
    }

    async fn counted(&self, id: LocalId, of: usize) -> Result<Heard, Failure> {
        let heard = self.client().await?.query(move |engine| engine.heard(id)).await?;
        let read = heard.iter().filter(|(_, state)| *state >= State::Read).count();
        // Some who have it may be members no longer.
        Ok(Heard { delivered: heard.len(), read, of: of.max(heard.len()) })
    }

    async fn shown_among(&self, message: Message, of: Option<usize>) -> Result<Shown, Failure> {
        let heard = match of {
            Some(of) => Some(self.counted(message.id, of).await?),
            None => None,
        };
        let answers = match message.reply_to {
            Some(id) => self.client().await?.query(move |engine| engine.message(id)).await?,
            None => None,
        };
        let mentions = self.names(message.mentions.iter().copied()).await?.into_values().collect();
        Ok(Shown { message, heard, answers, mentions })
    }
}
