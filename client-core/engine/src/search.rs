//! Search: which messages say these words.

use crate::engine::Engine;
use crate::store::{StoreError, search};
use crate::types::{ConversationId, LocalId, Message};

/// Words of one question that are looked for.
const WORDS_MAX: usize = 32;

/// The longest word that is looked for, in characters.
const WORD_CHARS_MAX: usize = 128;

impl Engine {
    /// Messages that have all these words, in any order, the last of them perhaps only begun: those that came last
    /// first, at most `limit`, and only what came before `before`. Case and accents make no difference.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn search(
        &self,
        question: &str,
        conversation: Option<ConversationId>,
        before: Option<LocalId>,
        limit: u32,
    ) -> Result<Vec<Message>, StoreError> {
        match expression(question) {
            None => Ok(Vec::new()),
            Some(expression) => search::find(self.store.read(), &expression, conversation, before, limit),
        }
    }
}

/// Words in quotes, so that nothing that a person types is syntax; `None` if there is no word.
fn expression(question: &str) -> Option<String> {
    let words = question.split_whitespace().filter(|word| word.contains(char::is_alphanumeric)).take(WORDS_MAX);
    let quoted: Vec<String> = words
        .map(|word| {
            let word: String = word.chars().filter(|c| !c.is_control()).take(WORD_CHARS_MAX).collect();
            format!("\"{}\"", word.replace('"', "\"\""))
        })
        .collect();
    (!quoted.is_empty()).then(|| format!("{} *", quoted.join(" ")))
}

#[cfg(test)]
mod tests {
    use super::expression;

    #[test]
    fn whatever_is_typed_becomes_quoted_words() {
        let cases = [
            ("hello", Some("\"hello\" *")),
            ("  see you ", Some("\"see\" \"you\" *")),
            ("a\"b* OR (c", Some("\"a\"\"b*\" \"OR\" \"(c\" *")),
            ("text:x^2 -y\0", Some("\"text:x^2\" \"-y\" *")),
            ("\0 '\" *", None),
            ("", None),
        ];
        for (typed, expected) in cases {
            assert_eq!(expression(typed).as_deref(), expected, "{typed:?}");
        }
    }
}
