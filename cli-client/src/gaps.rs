//! What is missing of a conversation, to be shown where it would stand.

use hushwire_client::{ConversationId, Gap, LocalId};

use crate::app::App;
use crate::exit::Failure;
use crate::show::{Item, Named, Where};

/// What is missing of one conversation.
#[derive(Debug)]
pub(crate) struct Gaps {
    place: Where,
    all: Vec<(Gap, Named)>,
}

impl App {
    /// What is missing of a conversation.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub(crate) async fn gaps(&self, id: ConversationId) -> Result<Gaps, Failure> {
        let found = self.client().await?.query(move |engine| engine.gaps(id)).await?;
        let place = self.conversation(id).await?;
        let mut all = Vec::with_capacity(found.len());
        for gap in found {
            all.push((gap, self.named(gap.contact).await?));
        }
        Ok(Gaps { place, all })
    }
}

impl Gaps {
    /// What is missing right before this message.
    pub(crate) fn before(&self, message: LocalId) -> impl Iterator<Item = Item<'_>> {
        self.at(Some(message))
    }

    /// What is missing behind all messages.
    pub(crate) fn at_the_end(&self) -> impl Iterator<Item = Item<'_>> {
        self.at(None)
    }

    fn at(&self, before: Option<LocalId>) -> impl Iterator<Item = Item<'_>> {
        let here = self.all.iter().filter(move |(gap, _)| gap.before == before);
        here.map(move |(gap, contact)| Item::Gap {
            conversation: &self.place,
            contact,
            missing: gap.missing,
            first: gap.first,
            before,
            came: false,
        })
    }
}
