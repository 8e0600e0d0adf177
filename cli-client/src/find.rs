//! Who or what was meant by a name that was typed: a contact, a conversation, a group, one of the people of a group.

use std::collections::{BTreeMap, BTreeSet};

use hushwire_client::ids::AccountId;
use hushwire_client::{Contact, Conversation, ConversationId, Group, GroupStanding, Talk};

use crate::app::App;
use crate::exit::Failure;
use crate::show::{Named, Where};
use crate::text;

/// Before the name of a group that is called as a contact is.
const GROUP: &str = "group:";

/// What we may be called where a member is meant.
const ME: &str = "me";

/// The fewest characters of an account id that name somebody.
const ID_CHARS_MIN: usize = 4;

impl App {
    /// The contact of that name, handle or account id.
    ///
    /// # Errors
    /// When there is none; says what comes close.
    pub(crate) async fn contact(&self, asked: &str) -> Result<Contact, Failure> {
        match self.contact_if_any(asked).await? {
            Some(found) => Ok(found),
            None => {
                let contacts = self.client().await?.query(|engine| engine.contacts()).await?;
                Err(who_says_so(asked, &contacts).unwrap_or_else(|| no_contact(asked, &contacts)))
            }
        }
    }

    async fn contact_if_any(&self, asked: &str) -> Result<Option<Contact>, Failure> {
        let wanted = asked.to_owned();
        Ok(self.client().await?.query(move |engine| engine.find_contact(&wanted)).await?)
    }

    /// The conversation with a contact, or in a group. Where both have that name, the contact is meant.
    ///
    /// # Errors
    /// When there is none; says what comes close.
    pub(crate) async fn talk(&self, asked: &str) -> Result<Conversation, Failure> {
        if asked.starts_with(GROUP) {
            return self.group_talk(asked).await;
        }
        if let Some(contact) = self.contact_if_any(asked).await? {
            let id = contact.conversation;
            let found = self.client().await?.query(move |engine| engine.conversation(id)).await?;
            return found.ok_or_else(|| no_contact(asked, &[]));
        }
        let all = self.client().await?.query(|engine| engine.conversations()).await?;
        match self.group_named(asked, &all).await? {
            Some(group) => Ok(group),
            None => {
                let contacts = self.client().await?.query(|engine| engine.contacts()).await?;
                Err(who_says_so(asked, &contacts).unwrap_or_else(|| no_conversation(asked, &all)))
            }
        }
    }

    /// Of several groups of that name the one that we are in, if that is one.
    async fn group_named(&self, asked: &str, all: &[Conversation]) -> Result<Option<Conversation>, Failure> {
        let several = match named(asked, all) {
            Err(several) => several,
            found => return found,
        };
        let mut ours = Vec::new();
        for one in all {
            let id = one.id;
            let group = self.client().await?.query(move |engine| engine.group(id)).await?;
            if group.is_some_and(|group| group.standing == GroupStanding::Member) {
                ours.push(one.clone());
            }
        }
        match named(asked, &ours) {
            Ok(Some(group)) => Ok(Some(group)),
            Ok(None) | Err(_) => Err(several),
        }
    }

    /// The conversation of the group of that name; `group:` may stand before it, or before the conversation's number.
    ///
    /// # Errors
    /// When there is none, or there are several.
    pub(crate) async fn group_talk(&self, asked: &str) -> Result<Conversation, Failure> {
        let all = self.client().await?.query(|engine| engine.conversations()).await?;
        match self.group_named(asked, &all).await? {
            Some(group) => Ok(group),
            None => Err(Failure::usage(
                format!("there is no group `{}`", text::clean_line(asked)),
                "`hush group list` shows your groups; `hush group create` makes a new one",
            )),
        }
    }

    /// The group of that name, as it is now.
    ///
    /// # Errors
    /// When there is none, or nothing is known of it yet.
    pub(crate) async fn group(&self, asked: &str) -> Result<(Where, Group), Failure> {
        let place = Where::from(&self.group_talk(asked).await?);
        let id = place.id;
        match self.client().await?.query(move |engine| engine.group(id)).await? {
            Some(group) => Ok((place, group)),
            None => Err(Failure::usage(
                format!("nothing is known of the group `{}` yet", text::clean_line(&place.name)),
                "you asked to be let in; `hush receive` says when you are",
            )),
        }
    }

    /// One of these people of a group: by name, handle or the beginning of the account id, or `me`. `what`: they in words,
    /// such as "a member of the group".
    ///
    /// # Errors
    /// When it is none of them, or several.
    pub(crate) async fn one_of(
        &self,
        group: &Group,
        people: &[AccountId],
        asked: &str,
        what: &str,
    ) -> Result<AccountId, Failure> {
        let called = |account: &&AccountId| group.names.get(account).is_some_and(|name| name == asked);
        if let Some(account) = people.iter().find(called) {
            return Ok(*account);
        }
        let contact = self.contact_if_any(asked).await?.map(|contact| contact.account);
        if let Some(account) = contact.filter(|account| people.contains(account)) {
            return Ok(account);
        }
        let us = self.profile().await?.account;
        if asked == ME && people.contains(&us) {
            return Ok(us);
        }
        let begins = |account: &&AccountId| {
            asked.len() >= ID_CHARS_MIN && account.to_string().starts_with(&asked.to_ascii_lowercase())
        };
        let mut fitting = people.iter().filter(begins);
        match (fitting.next(), fitting.next()) {
            (Some(account), None) => Ok(*account),
            (Some(_), Some(_)) => Err(Failure::usage(
                format!("several accounts begin with `{}`", text::clean_line(asked)),
                "type more of the account id",
            )),
            (None, _) => Err(Failure::usage(
                format!("`{}` is not {what}", text::clean_line(asked)),
                "`hush group show NAME` shows who is; write a name or the beginning of an account id as it stands there",
            )),
        }
    }

    /// What accounts are called here, `you` for our own. Of whom nothing is known is called by the beginning of the account id.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub(crate) async fn names(
        &self,
        accounts: impl IntoIterator<Item = AccountId>,
    ) -> Result<BTreeMap<AccountId, String>, Failure> {
        let accounts: BTreeSet<AccountId> = accounts.into_iter().collect();
        let mut names = BTreeMap::new();
        if accounts.is_empty() {
            return Ok(names);
        }
        let client = self.client().await?;
        let us = self.profile().await?.account;
        for account in accounts {
            let name = if account == us {
                "you".to_owned()
            } else {
                match client.query(move |engine| engine.contact_of(account)).await? {
                    Some(contact) => contact.name,
                    None => format!("unknown-{:.8}", account.to_string()),
                }
            };
            names.insert(account, name);
        }
        Ok(names)
    }

    /// What a conversation is called now; events name only the row.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub(crate) async fn conversation(&self, id: ConversationId) -> Result<Where, Failure> {
        let found = self.client().await?.query(move |engine| engine.conversation(id)).await?;
        Ok(match found {
            Some(found) => Where::from(&found),
            None => {
                Where { id, name: format!("conversation {}", id.0), with: Talk::Contact(hushwire_client::ContactId(0)) }
            }
        })
    }

    /// What a contact is called now; events name only the row.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub(crate) async fn named(&self, id: hushwire_client::ContactId) -> Result<Named, Failure> {
        let found = self.client().await?.query(move |engine| engine.contact(id)).await?;
        Ok(found.as_ref().map_or_else(|| Named { id, name: format!("contact {}", id.0) }, Named::from))
    }

    /// The same, if it is anybody.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub(crate) async fn named_if(&self, id: Option<hushwire_client::ContactId>) -> Result<Option<Named>, Failure> {
        match id {
            Some(id) => Ok(Some(self.named(id).await?)),
            None => Ok(None),
        }
    }
}

/// The one group of that name, or of that conversation's number.
fn named(asked: &str, all: &[Conversation]) -> Result<Option<Conversation>, Failure> {
    let wanted = asked.strip_prefix(GROUP).unwrap_or(asked);
    let groups = || all.iter().filter(|one| matches!(one.with, Talk::Group(_)));
    let mut fitting = groups().filter(|one| one.name == wanted || one.name == asked);
    match (fitting.next(), fitting.next()) {
        (Some(group), None) => Ok(Some(group.clone())),
        (Some(_), Some(_)) => {
            let same = groups().filter(|one| one.name == wanted || one.name == asked);
            let numbers: Vec<String> = same.map(|one| format!("{GROUP}{}", one.id.0)).collect();
            Err(Failure::usage(
                format!("several groups are called `{}`", text::clean_line(wanted)),
                format!("say which by its number: {}; `hush group show` tells them apart", numbers.join(", ")),
            ))
        }
        (None, _) => {
            let number = asked.strip_prefix(GROUP).and_then(|number| number.parse().ok()).map(ConversationId);
            Ok(groups().find(|one| Some(one.id) == number).cloned())
        }
    }
}

fn close_to<'a>(asked: &str, names: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let wanted = asked.to_lowercase();
    let mut names = names;
    names.find(|name| {
        let name = name.to_lowercase();
        let begins = !name.is_empty() && (name.starts_with(&wanted) || wanted.starts_with(&name));
        !wanted.is_empty() && (begins || is_slip(&wanted, &name))
    })
}

/// Whether one letter is missing, too many or another one, or two beside each other have changed places.
fn is_slip(typed: &str, meant: &str) -> bool {
    let (typed, meant): (Vec<char>, Vec<char>) = (typed.chars().collect(), meant.chars().collect());
    if typed.len().min(meant.len()) < 3 {
        return false;
    }
    let same = typed.iter().zip(&meant).take_while(|(a, b)| a == b).count();
    let rest = |text: &[char], skipped: usize| text.get(same + skipped..).unwrap_or_default().to_vec();
    let swapped = typed.get(same) == meant.get(same + 1) && typed.get(same + 1) == meant.get(same);
    rest(&typed, 1) == rest(&meant, 1)
        || rest(&typed, 1) == rest(&meant, 0)
        || rest(&typed, 0) == rest(&meant, 1)
        || swapped && rest(&typed, 2) == rest(&meant, 2)
}

/// Somebody who is called otherwise here, and says that this is their handle.
fn who_says_so(asked: &str, contacts: &[Contact]) -> Option<Failure> {
    let says = |contact: &&Contact| {
        contact.claimed_handle.as_deref().is_some_and(|handle| {
            handle == asked || handle.split_once('@').is_some_and(|(name, _)| name.eq_ignore_ascii_case(asked))
        })
    };
    let contact = contacts.iter().find(says)?;
    let (name, word) = (text::clean_line(&contact.name), text::shell_word(&contact.name));
    let handle = text::clean_line(contact.claimed_handle.as_deref().unwrap_or_default());
    let rename = format!("{word} {}", text::shell_word(asked));
    Some(Failure::usage(
        format!(
            "nobody is called `{}` here; {name} says to be {handle}, which nobody has checked",
            text::clean_line(asked)
        ),
        format!("write {word}, or if you know that it is them: hush contact rename {rename}"),
    ))
}

fn no_contact(asked: &str, contacts: &[Contact]) -> Failure {
    let hint = match close_to(asked, contacts.iter().map(|contact| contact.name.as_str())) {
        Some(name) => format!("did you mean {}? `hush contact list` shows all", text::shell_word(name)),
        None if contacts.is_empty() => NOBODY_YET.to_owned(),
        None => "`hush contact list` shows your contacts; `hush contact add` makes a new one".to_owned(),
    };
    Failure::usage(format!("there is no contact `{}`", text::clean_line(asked)), hint)
}

fn no_conversation(asked: &str, all: &[Conversation]) -> Failure {
    let hint = match close_to(asked, all.iter().map(|one| one.name.as_str())) {
        Some(name) => format!("did you mean {}? `hush list --all` shows all", text::shell_word(name)),
        None if all.is_empty() => NOBODY_YET.to_owned(),
        None => "`hush list --all` shows them; `hush contact add` and `hush group create` make new ones".to_owned(),
    };
    Failure::usage(format!("there is no contact `{0}` and no group `{0}`", text::clean_line(asked)), hint)
}

const NOBODY_YET: &str = "you have no contacts yet: `hush contact add LINK`, or a handle such as bob@keys.example.org";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_comes_close_is_what_was_meant_and_what_does_not_is_not() {
        for (typed, meant) in
            [("bbo", "bob"), ("alcie", "alice"), ("alic", "alice"), ("aliice", "alice"), ("carel", "carol")]
        {
            assert_eq!(close_to(typed, ["dave", meant].into_iter()), Some(meant), "{typed}");
        }
        for typed in ["", "x", "eve", "davd1", "caorll"] {
            assert_eq!(close_to(typed, ["bob", "alice", "carol"].into_iter()), None, "{typed}");
        }
    }
}
