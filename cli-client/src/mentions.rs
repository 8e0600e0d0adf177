//! Who is named in a text: `@bob`, as people write it.

use hushwire_client::{Contact, ContactId, Conversation, MENTIONS_MAX, Talk};

use crate::app::App;
use crate::exit::Failure;

/// Before a name that somebody gave themselves.
const THEIR_OWN: char = '~';

impl App {
    /// Those in this conversation whom a text names, behind those who are named already.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub(crate) async fn mentions(
        &self,
        within: &Conversation,
        text: &str,
        mut named: Vec<ContactId>,
    ) -> Result<Vec<ContactId>, Failure> {
        if !text.contains('@') {
            return Ok(named);
        }
        let (client, id) = (self.client().await?, within.id);
        let names: Vec<String> = match within.with {
            Talk::Contact(_) => vec![within.name.clone()],
            Talk::Group(_) => {
                let group = client.query(move |engine| engine.group(id)).await?;
                group.map_or_else(Vec::new, |group| {
                    let of_members =
                        group.names.into_iter().filter(|(account, _)| group.state.members.contains_key(account));
                    of_members.map(|(_, name)| name).collect()
                })
            }
        };
        for name in names_in(text, &names) {
            let found: Option<Contact> = client.query(move |engine| engine.find_contact(&name)).await?;
            if let Some(contact) = found.filter(|contact| !named.contains(&contact.id))
                && named.len() < MENTIONS_MAX
            {
                named.push(contact.id);
            }
        }
        Ok(named)
    }
}

/// Which of these names stand in a text behind an `@`, the longest that fits each.
fn names_in(text: &str, names: &[String]) -> Vec<String> {
    let mut found = Vec::new();
    for (place, _) in text.match_indices('@') {
        let (before, behind) = text.split_at(place);
        if before.chars().next_back().is_some_and(char::is_alphanumeric) {
            continue; // an address
        }
        let behind = behind.trim_start_matches('@');
        let fits = names.iter().filter(|name| begins_with(behind, name));
        // Of two who go by the same name, the one whom a person here called so.
        let best = fits.max_by_key(|name| (plain(name).len(), !name.starts_with(THEIR_OWN)));
        found.extend(best.cloned());
    }
    found
}

fn plain(name: &str) -> &str {
    name.trim_start_matches(THEIR_OWN)
}

/// Whether a text begins with this name as a whole word, in capitals or not.
fn begins_with(text: &str, name: &str) -> bool {
    let text = text.trim_start_matches(THEIR_OWN);
    let mut rest = text.chars();
    let same = plain(name).chars().all(|c| rest.next().is_some_and(|other| other.to_lowercase().eq(c.to_lowercase())));
    same && !plain(name).is_empty() && !rest.next().is_some_and(|next| next.is_alphanumeric() || next == '_')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_behind_an_at_sign_are_found_as_whole_words_the_longest_first() {
        let names = ["bob", "Bob Miller", "~carol", "~bob", "über"].map(str::to_owned);
        let cases: [(&str, &[&str]); 9] = [
            ("@bob will you?", &["bob"]),
            ("ask @BOB, and @carol.", &["bob", "~carol"]),
            ("(@Bob Miller)", &["Bob Miller"]),
            ("@~carol", &["~carol"]),
            ("@Über!", &["über"]),
            ("@bobby and @bob_b", &[]),
            ("write to x@bob.example.org", &[]),
            ("@ bob, bob", &[]),
            ("@", &[]),
        ];
        for (text, expected) in cases {
            assert_eq!(names_in(text, &names), expected, "{text}");
        }
    }
}
