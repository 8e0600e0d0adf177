//! Contacts and commands: whom we write with, how they came here, what a person may do with them.

use hushwire_proto::account::Chain;
use hushwire_proto::address::ServerAddress;
use hushwire_proto::ids::{AccountId, Token};
use hushwire_proto::keyserver::{Found, RefusedReason, Who};
use hushwire_proto::relay::TokenClass;
use rand_core::CryptoRng;

use crate::account::verify_links;
use crate::engine::{Cx, Engine, Pending};
use crate::input::{Answer, Call, CallFailed, Command, CommandError, NewContact, Output, Reply};
use crate::store::me::{self, Flag};
use crate::store::{StoreError, contacts, messages, outbox, receipts};
use crate::types::{Contact, ContactId, Event, LocalId, Standing};
use crate::{receipts as due_receipts, send};

/// The longest name of a contact, in characters.
const NAME_CHARS_MAX: usize = 64;

/// A contact that a keyserver is asked for.
#[derive(Clone, Debug)]
pub(crate) struct Wanted {
    who: NewContact,
    name: Option<String>,
}

impl Wanted {
    fn asked(&self) -> String {
        match &self.who {
            NewContact::Handle(handle, _) => handle.to_string(),
            NewContact::Link(link) => link.to_string(),
        }
    }
}

/// Carries out a command.
pub(crate) fn command<R: CryptoRng>(cx: &mut Cx<'_, R>, command: Command) -> Result<(), StoreError> {
    let answer = match command {
        Command::AddContact { who, name } => add(cx, Wanted { who, name })?,
        Command::Send { to, text } => send::command(cx, to, &text)?,
        Command::MarkRead { contact, through } => mark_read(cx, contact, through)?,
        Command::Accept(contact) => with_contact(cx, contact, |cx, contact| accept(cx, contact.id))?,
        Command::Block(contact) => with_contact(cx, contact, |cx, contact| {
            contacts::set_standing(cx.db, contact.id, Standing::Blocked)?;
            me::revoke_token_of(cx.db, contact.id)
        })?,
        Command::SetVerified(contact, verified) => {
            with_contact(cx, contact, |cx, contact| contacts::set_verified(cx.db, contact.id, verified))?
        }
        Command::Rename(contact, name) => rename(cx, contact, &name)?,
        Command::SetHandleName(name) => set_handle_name(cx, name.as_deref())?,
    };
    cx.out.insert(0, Output::Answer(answer));
    Ok(())
}

/// A contact becomes one that gets receipts and a token of their own.
pub(crate) fn accept<R: CryptoRng>(cx: &mut Cx<'_, R>, contact: ContactId) -> Result<(), StoreError> {
    contacts::set_standing(cx.db, contact, Standing::Accepted)?;
    if me::token_of(cx.db, contact)?.is_none() {
        let token = Token::generate(cx.rng);
        me::add_token(cx.db, &token, TokenClass::Contact, Some(contact))?;
    }
    Ok(())
}

/// The keyserver answered a search.
pub(crate) fn found<R: CryptoRng>(
    cx: &mut Cx<'_, R>,
    wanted: Wanted,
    reply: Result<Reply, CallFailed>,
) -> Result<(), StoreError> {
    let outcome = match reply {
        Ok(Reply::Found(found)) => keep(cx, &wanted, found)?,
        Ok(_) => Err((CallFailed::OutOfProtocol.to_string(), false)),
        Err(CallFailed::Keyserver(refused)) if refused.reason == RefusedReason::Unknown => Err((
            "the keyserver knows nobody of that name; check the spelling and the server, or ask for a contact link"
                .into(),
            false,
        )),
        Err(CallFailed::Keyserver(refused)) => Err((refused.to_string(), refused.retry_after_ms > 0)),
        Err(failure) => Err((failure.to_string(), true)),
    };
    let event = match outcome {
        Ok(contact) => Event::ContactAdded(contact),
        Err((reason, retryable)) => Event::ContactNotFound { asked: wanted.asked(), reason, retryable },
    };
    cx.event(event);
    Ok(())
}

/// Their relay does not know the token or mailbox any more: stop using the token, and look for newer device lists.
pub(crate) fn door_closed<R: CryptoRng>(cx: &mut Cx<'_, R>, about: &outbox::About) -> Result<(), StoreError> {
    let links = contacts::links(cx.db, about.contact)?;
    let device =
        links.last().and_then(|link| link.link().devices.iter().find(|device| device.mailbox == about.mailbox));
    if let Some(device) = device
        && device.request_token != about.token
    {
        outbox::change_token(cx.db, about.mailbox, &about.token, &device.request_token)?;
        contacts::set_their_token(cx.db, about.contact, None)?;
    }
    let refreshing = cx.flight.calls.values().any(|p| matches!(p, Pending::Refresh(id) if *id == about.contact));
    if let (Some(keyserver), Some(contact), false) =
        (keyserver_of(cx, about.contact)?, contacts::get(cx.db, about.contact)?, refreshing)
    {
        let who = Who::Account(contact.account);
        cx.call(Call::Lookup { keyserver, who }, Pending::Refresh(contact.id));
    }
    Ok(())
}

/// The keyserver answered a search for newer device lists.
pub(crate) fn refreshed<R: CryptoRng>(
    cx: &mut Cx<'_, R>,
    contact: ContactId,
    reply: Result<Reply, CallFailed>,
) -> Result<(), StoreError> {
    if let Ok(Reply::Found(found)) = reply
        && let Ok(chain) = verify_links(found.links)
    {
        learn_chain(cx, contact, &chain)?;
    }
    Ok(())
}

/// Keeps newer device lists of a contact; a list that does not follow from the one we know is held back and told.
pub(crate) fn learn_chain<R: CryptoRng>(
    cx: &mut Cx<'_, R>,
    contact: ContactId,
    chain: &Chain,
) -> Result<bool, StoreError> {
    let known = contacts::links(cx.db, contact)?;
    if chain.links().starts_with(&known) {
        if chain.links().len() > known.len() {
            contacts::set_links(cx.db, contact, chain)?;
        }
        return Ok(true);
    }
    if !known.starts_with(chain.links()) {
        cx.event(Event::IdentityChanged { contact });
        return Ok(false);
    }
    Ok(true)
}

/// Where a contact's prekeys are: where they were found, else at our own keyserver.
pub(crate) fn keyserver_of<R: CryptoRng>(
    cx: &Cx<'_, R>,
    contact: ContactId,
) -> Result<Option<ServerAddress>, StoreError> {
    let stored = contacts::keyserver(cx.db, contact)?;
    Ok(match stored {
        None => Some(cx.keys.keyserver.clone()),
        Some(text) => ServerAddress::parse(&text, hushwire_proto::address::KEYSERVER_PORT).ok(),
    })
}

/// A name for an account that has none.
pub(crate) fn unnamed(account: AccountId) -> String {
    format!("unknown-{}", account.to_string().chars().take(8).collect::<String>())
}

/// `name`, or `name-2` and so on if that is taken.
pub(crate) fn free_name<R: CryptoRng>(cx: &Cx<'_, R>, name: &str) -> Result<String, StoreError> {
    let name: String = name.chars().filter(|c| !c.is_control()).take(NAME_CHARS_MAX - 8).collect();
    let mut candidate = name.clone();
    let mut number = 2u64;
    while contacts::by_name(cx.db, &candidate)?.is_some() {
        candidate = format!("{name}-{number}");
        number += 1;
    }
    Ok(candidate)
}

fn add<R: CryptoRng>(cx: &mut Cx<'_, R>, wanted: Wanted) -> Result<Answer, StoreError> {
    if let Some(name) = &wanted.name
        && let Err(error) = checked_name(name)
    {
        return Ok(Answer::Refused(error));
    }
    let (keyserver, who) = match &wanted.who {
        NewContact::Handle(handle, keyserver) => (keyserver.clone(), Who::Handle(handle.name().to_owned())),
        NewContact::Link(link) if link.account == cx.keys.account => return Ok(Answer::Refused(CommandError::Myself)),
        NewContact::Link(link) => (link.keyserver.clone(), Who::Account(link.account)),
    };
    cx.call(Call::Lookup { keyserver, who }, Pending::AddContact(Box::new(wanted)));
    Ok(Answer::Done)
}

/// Keeps a contact that a keyserver named, if what it says holds.
fn keep<R: CryptoRng>(
    cx: &mut Cx<'_, R>,
    wanted: &Wanted,
    found: Found,
) -> Result<Result<Contact, (String, bool)>, StoreError> {
    let refuse = |reason: &str| Ok(Err((reason.to_owned(), false)));
    let chain = match verify_links(found.links) {
        Ok(chain) if chain.account() == found.account => chain,
        Ok(_) => return refuse("the keyserver's answer contradicts itself; do not trust it"),
        Err(error) => {
            return Ok(Err((format!("the keyserver's answer does not verify ({error}); do not trust it"), false)));
        }
    };
    if chain.account() == cx.keys.account {
        return refuse("that is your own account");
    }
    let (keyserver, handle, verified) = match &wanted.who {
        NewContact::Link(link) if link.account != chain.account() => {
            return refuse("the keyserver answered with another account than the link names; do not trust it");
        }
        NewContact::Link(link) => (link.keyserver.to_string(), None, true),
        NewContact::Handle(handle, keyserver) => {
            if found.handle_name.as_deref() != Some(handle.name()) {
                return refuse("the keyserver answered with another handle than was asked for; do not trust it");
            }
            (keyserver.to_string(), Some(handle.to_string()), false)
        }
    };
    if let Some(handle) = &handle
        && let Some(known) = contacts::by_handle(cx.db, handle)?
        && known.account != chain.account()
    {
        cx.event(Event::IdentityChanged { contact: known.id });
        return refuse(
            "the keyserver now names another account under a handle that you know; compare safety numbers with them before you trust it",
        );
    }
    let id = match contacts::by_account(cx.db, chain.account())? {
        Some(known) => {
            if !learn_chain(cx, known.id, &chain)? {
                return refuse(
                    "their device list does not follow from the one you know; compare safety numbers with them",
                );
            }
            contacts::set_found(cx.db, known.id, handle.as_deref(), &keyserver)?;
            if verified {
                contacts::set_verified(cx.db, known.id, true)?;
            }
            if let Some(name) = &wanted.name
                && contacts::by_name(cx.db, name)?.is_none()
            {
                contacts::rename(cx.db, known.id, name)?;
            }
            known.id
        }
        None => {
            let proposed = match (&wanted.name, &wanted.who, &found.handle_name) {
                (Some(name), _, _) => name.clone(),
                (None, NewContact::Handle(handle, _), _) => handle.name().to_owned(),
                (None, NewContact::Link(_), Some(name)) => name.clone(),
                (None, NewContact::Link(_), None) => unnamed(chain.account()),
            };
            let name = free_name(cx, &proposed)?;
            let row = contacts::NewRow {
                chain: &chain,
                name: &name,
                handle: handle.as_deref(),
                claimed_handle: None,
                keyserver: Some(&keyserver),
                standing: Standing::Accepted,
                verified,
            };
            contacts::insert(cx.db, &row, cx.now)?
        }
    };
    accept(cx, id)?;
    Ok(contacts::get(cx.db, id)?.ok_or_else(|| ("the contact vanished".to_owned(), true)))
}

fn mark_read<R: CryptoRng>(cx: &mut Cx<'_, R>, contact: ContactId, through: LocalId) -> Result<Answer, StoreError> {
    with_contact(cx, contact, |cx, contact| {
        for (device, counter) in messages::mark_read(cx.db, contact.id, through)? {
            if contact.standing == Standing::Accepted {
                let due = due_receipts::hold_back(cx.now, cx.rng);
                receipts::add(cx.db, contact.id, receipts::Kind::Read, device, counter, due)?;
            }
        }
        Ok(())
    })
}

fn rename<R: CryptoRng>(cx: &mut Cx<'_, R>, contact: ContactId, name: &str) -> Result<Answer, StoreError> {
    if let Err(error) = checked_name(name) {
        return Ok(Answer::Refused(error));
    }
    if contacts::by_name(cx.db, name)?.is_some_and(|other| other.id != contact) {
        return Ok(Answer::Refused(CommandError::NameTaken(name.to_owned())));
    }
    with_contact(cx, contact, |cx, contact| contacts::rename(cx.db, contact.id, name))
}

fn set_handle_name<R: CryptoRng>(cx: &mut Cx<'_, R>, name: Option<&str>) -> Result<Answer, StoreError> {
    if me::flag(cx.db, Flag::Registered)? {
        return Ok(Answer::Refused(CommandError::AlreadyRegistered));
    }
    me::set_handle_name(cx.db, name)?;
    cx.flight.chores.remove(&crate::engine::Chore::Register);
    Ok(Answer::Done)
}

fn with_contact<R: CryptoRng>(
    cx: &mut Cx<'_, R>,
    id: ContactId,
    act: impl FnOnce(&mut Cx<'_, R>, Contact) -> Result<(), StoreError>,
) -> Result<Answer, StoreError> {
    match contacts::get(cx.db, id)? {
        None => Ok(Answer::Refused(CommandError::NoSuchContact)),
        Some(contact) => {
            act(cx, contact)?;
            Ok(Answer::Done)
        }
    }
}

fn checked_name(name: &str) -> Result<(), CommandError> {
    let fits = (1..=NAME_CHARS_MAX).contains(&name.chars().count()) && !name.chars().any(char::is_control);
    if fits && name.trim() == name { Ok(()) } else { Err(CommandError::BadName) }
}

impl Engine {
    /// All contacts, by name.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn contacts(&self) -> Result<Vec<Contact>, StoreError> {
        contacts::all(self.store.read())
    }

    /// One contact.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn contact(&self, id: ContactId) -> Result<Option<Contact>, StoreError> {
        contacts::get(self.store.read(), id)
    }

    /// The contact that a person means: by name, by handle, or by the beginning of the account id (8 digits or more),
    /// if only one fits.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn find_contact(&self, meant: &str) -> Result<Option<Contact>, StoreError> {
        let db = self.store.read();
        if let Some(contact) = contacts::by_name(db, meant)? {
            return Ok(Some(contact));
        }
        let fits = |contact: &Contact| {
            contact.handle.as_deref() == Some(meant)
                || (meant.len() >= 8 && contact.account.to_string().starts_with(&meant.to_ascii_lowercase()))
        };
        let mut fitting = contacts::all(db)?.into_iter().filter(fits);
        Ok(match (fitting.next(), fitting.next()) {
            (Some(contact), None) => Some(contact),
            _ => None,
        })
    }
}
